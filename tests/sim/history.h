/*
 * What clients have seen of the partitions of one topic: which value stands at which offset. Lives
 * outside of all nodes.
 *
 * Invariants (histories, simulation notes section 7):
 *  1. One offset holds one value, for ever: whoever is told or reads it again must agree.
 *  2. A value of an idempotent producer stands at one offset only.
 *  3. The values of an idempotent producer stand in the order in which it sent them.
 *  4. An acknowledged value is read by whoever reads far enough.
 */
#ifndef KLAMM_TESTS_SIM_HISTORY_H
#define KLAMM_TESTS_SIM_HISTORY_H

#include "tests/sim/sim.h"

enum { HISTORY_PARTITIONS = 3, HISTORY_CLIENTS = 256 };

struct history_partition {
    uint64_t *values; /* by offset; 0: not known */
    uint8_t *acknowledged;
    size_t capacity;
    int64_t end;              /* behind the last known offset */
    int64_t acknowledged_end; /* behind the last acknowledged one */
};

struct history {
    struct sim *sim;
    struct heap heap;
    struct history_partition partitions[HISTORY_PARTITIONS];
    bool idempotent[HISTORY_CLIENTS]; /* by client number */
};

/* A value: who sent it, and its number there (from 1). */
static inline uint64_t history_value(unsigned client, uint32_t number)
{
    return (uint64_t)(client + 1) << 32 | number;
}

void history_init(struct history *history, struct sim *sim);
void history_deinit(struct history *history);
/* An answer said that the value stands there, or a consumer read it there. */
void history_see(struct history *history, int32_t partition, int64_t offset, uint64_t value,
                 bool acknowledged);
/* At the end, when `read_end` of each partition was read anew: invariants 2, 3 and 4. */
void history_check(const struct history *history, const int64_t read_end[HISTORY_PARTITIONS]);

#endif
