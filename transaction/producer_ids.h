/*
 * The producer ids that a loop may give out: a block that the controller gave it alone (KIP-730),
 * and who waits for the next one.
 *
 * Invariants:
 *  1. An id is given out once: blocks never overlap, and `next` only moves forward.
 *  2. While somebody waits, the controller is being asked for a block.
 */
#ifndef KLAMM_TRANSACTION_PRODUCER_IDS_H
#define KLAMM_TRANSACTION_PRODUCER_IDS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/list.h"

struct producer_ids;

/* Somebody who needs an id; embedded. */
struct producer_id_wait {
    struct list link;
    /* There are ids again (take one), or the controller gives none now. Out of the list already. */
    void (*ready)(struct producer_id_wait *wait, bool are_given);
};

struct producer_ids {
    int64_t next;
    int64_t end; /* behind the block's last id; equal to `next`: used up */
    bool is_asking;
    struct list waiting; /* struct producer_id_wait.link, in the order of arrival */
    /* Asks the controller for a block; producer_ids_given or _refused follows, not inside. */
    void (*ask)(struct producer_ids *ids);
};

void producer_ids_init(struct producer_ids *ids, void (*ask)(struct producer_ids *ids));
/* False: the block is used up; see producer_ids_await. */
bool producer_ids_take(struct producer_ids *ids, int64_t *id);
/* `ready` is called later, unless producer_ids_forget comes first. */
void producer_ids_await(struct producer_ids *ids, struct producer_id_wait *wait);
/* Also right for one that does not wait. */
void producer_ids_forget(struct producer_id_wait *wait);

/* The controller's answer. */
void producer_ids_given(struct producer_ids *ids, int64_t first, int32_t count);
void producer_ids_refused(struct producer_ids *ids);

#endif
