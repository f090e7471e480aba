/*
 * The producer ids that a shard may give out: a block that the controller gave it alone (KIP-730),
 * and the requests that wait for the next one.
 *
 * Invariants:
 *  1. An id is given out once: blocks never overlap, and `next` only moves forward.
 *  2. While requests wait, one of them asks the controller for a block.
 */
#ifndef KLAMM_BROKER_PRODUCER_IDS_H
#define KLAMM_BROKER_PRODUCER_IDS_H

#include <stdint.h>

struct request;

struct producer_ids {
    int64_t next;
    int64_t end;             /* behind the block's last id; equal to `next`: used up */
    struct request *asking;  /* the request that asks for a block, or NULL */
    struct request *waiting; /* in the order of arrival; linked by the handler */
    struct request *last_waiting;
};

#endif
