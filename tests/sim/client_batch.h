/*
 * The batches of simulated clients: records that say who sent them (history.h), and what a consumer
 * does with the records of an answer.
 */
#ifndef KLAMM_TESTS_SIM_CLIENT_BATCH_H
#define KLAMM_TESTS_SIM_CLIENT_BATCH_H

#include "base/bytes.h"
#include "tests/sim/history.h"

struct client_batch {
    unsigned client;
    uint32_t first_number; /* of its values */
    int32_t count;
    int32_t partition;
    int64_t producer_id; /* -1: not idempotent */
    int16_t producer_epoch;
    int32_t sequence;
};

/*
 * Writes size and bytes as Produce takes them. Equal batches make equal bytes: a retry is a true
 * retry.
 */
void client_batch_write(struct sim *sim, struct heap *heap, const struct client_batch *batch,
                        struct writer *writer);
/*
 * Notes every record of an answer to a fetch at `position`; returns where to read next. *count
 * grows by the records.
 */
int64_t client_batch_read(struct history *history, int32_t partition, struct view records,
                          int64_t position, uint64_t *count);

#endif
