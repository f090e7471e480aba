/*
 * What clients have seen of the partitions of one topic: which value stands at which offset. Lives
 * outside of all nodes.
 *
 * Invariants (histories, simulation notes section 7):
 *  1. One offset holds one value, for ever: whoever is told or reads it again must agree.
 *  2. A value of an idempotent producer stands at one offset only.
 *  3. The values of an idempotent producer stand in the order in which it sent them.
 *  4. An acknowledged value is read by whoever reads far enough.
 *  5. Where a partition was cut by an unclean election, all this is meant of what is left and what
 *     comes later: what earlier epochs had from there on is forgotten, and not believed any more.
 */
#ifndef KLAMM_TESTS_SIM_HISTORY_H
#define KLAMM_TESTS_SIM_HISTORY_H

#include "tests/sim/sim.h"

enum {
    HISTORY_PARTITIONS = 3,
    HISTORY_CLIENTS = 256,
    HISTORY_CUTS_MAX = 128,
    HISTORY_EPOCHS_MAX = 32
};

/*
 * From `offset` on, what was written in epochs below `epoch` is lost, but for what the leader of
 * that epoch has, though nobody called it committed before.
 */
struct history_cut {
    int32_t epoch;
    int64_t offset;
    unsigned kept_count;
    struct {
        int32_t epoch;
        int64_t end; /* of that epoch in the leader's log */
    } kept[HISTORY_EPOCHS_MAX];
};

struct history_partition {
    uint64_t *values; /* by offset; 0: not known */
    uint8_t *acknowledged;
    size_t capacity;
    int64_t end;              /* behind the last known offset */
    int64_t acknowledged_end; /* behind the last acknowledged one */
    struct history_cut cuts[HISTORY_CUTS_MAX];
    unsigned cut_count;
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
/* The leader of cut->epoch was elected uncleanly. */
void history_cut(struct history *history, int32_t partition, const struct history_cut *cut);
/* Whether a batch of that epoch, which ends at the offset, is lost. */
bool history_is_lost(const struct history *history, int32_t partition, int32_t epoch,
                     int64_t last_offset);
/* Where somebody goes on who stood at `position` when there were `cuts` of them. */
int64_t history_resume(const struct history *history, int32_t partition, unsigned cuts,
                       int64_t position);
/* At the end, when `read_end` of each partition was read anew: invariants 2, 3 and 4. */
void history_check(const struct history *history, const int64_t read_end[HISTORY_PARTITIONS]);

#endif
