/*
 * What transactional clients did and what readers saw. Lives outside of all nodes.
 *
 * A value names who wrote it, in which of its transactions, and its place there. The topics are
 * numbered partitions: 0 to 2 of "sim", then partition 0 of "copy", where the copier writes each
 * value of partition 0 again.
 *
 * Invariants (simulation notes section 7):
 *  T1. A value stands at one offset, and the offset holds it for ever (R8).
 *  T2. The values of a transaction are read all or none, in whatever partition they are.
 *  T3. What was aborted, or never committed, is never read.
 *  T4. Follows from T2: the markers of a transaction agree.
 *  T6. Nothing is acknowledged to a producer whose epoch had been replaced when it asked.
 *  T7. The last stable offset never falls and is not above the high watermark.
 *  T8. The copy holds the values of its source, in their order, each once.
 */
#ifndef KLAMM_TESTS_SIM_TRANSACTION_HISTORY_H
#define KLAMM_TESTS_SIM_TRANSACTION_HISTORY_H

#include "tests/sim/sim.h"

enum {
    TRANSACTION_SOURCE_PARTITIONS = 3,
    TRANSACTION_COPY = 3, /* the number of the copy's partition */
    TRANSACTION_PARTITIONS = 4,
    TRANSACTION_CLIENTS = 8,
    TRANSACTION_IDS = 4
};

enum transaction_outcome {
    TRANSACTION_OPEN,      /* not decided: not to be read */
    TRANSACTION_ABORTED,   /* never committed, or aborted */
    TRANSACTION_UNKNOWN,   /* a commit was sent and not answered */
    TRANSACTION_COMMITTED, /* the commit was answered well */
};

struct transaction_entry {
    enum transaction_outcome outcome;
    uint32_t values; /* that were written into it */
    uint32_t seen;   /* of these, by the last reader */
};

struct transaction_log_of_client {
    struct transaction_entry *entries;
    uint32_t count;
    uint32_t capacity;
};

/* The values of a partition as one reader reads them, in order. */
struct transaction_reading {
    uint64_t *values;
    size_t count;
    size_t capacity;
};

/* By offset: what was read there, 0 for nothing yet. */
struct transaction_seen {
    uint64_t *values;
    bool *is_noted; /* by the last reader */
    size_t capacity;
};

struct transaction_history {
    struct sim *sim;
    struct heap heap;
    struct transaction_log_of_client clients[TRANSACTION_CLIENTS];
    struct {
        int64_t producer_id;
        int16_t epoch;
    } current[TRANSACTION_IDS]; /* the newest that was given out; -1: none */
    struct transaction_reading reading[TRANSACTION_PARTITIONS]; /* of the last, complete reader */
    struct transaction_seen seen[TRANSACTION_PARTITIONS];       /* by all readers */
    uint64_t commits, aborts, unknown, fenced;
    uint64_t doubtful; /* answers of who did not lead any more, perhaps */
};

static inline uint64_t transaction_value(unsigned client, uint32_t transaction, uint32_t place)
{
    return (uint64_t)(client + 1) << 40 | (uint64_t)transaction << 8 | place;
}

void transaction_history_init(struct transaction_history *history, struct sim *sim);
void transaction_history_deinit(struct transaction_history *history);
/* A transaction begins; returns its number. */
uint32_t transaction_history_begin(struct transaction_history *history, unsigned client);
void transaction_history_set(struct transaction_history *history, unsigned client,
                             uint32_t transaction, enum transaction_outcome outcome);
struct transaction_entry *transaction_history_entry(struct transaction_history *history,
                                                    unsigned client, uint32_t transaction);
/* A producer id and epoch were given out for a transactional id. */
void transaction_history_identity(struct transaction_history *history, unsigned id,
                                  int64_t producer_id, int16_t epoch);
/* Whether the identity had been replaced by now. */
bool transaction_history_is_replaced(const struct transaction_history *history, unsigned id,
                                     int64_t producer_id, int16_t epoch);
/* A reader (read_committed) saw the value; the last reader notes everything from the start. */
void transaction_history_saw(struct transaction_history *history, int32_t partition, int64_t offset,
                             uint64_t value, bool notes);
/* A client was told these ends; `*known` is the stable offset that it was told before. */
void transaction_history_stable(struct transaction_history *history, int32_t partition,
                                int64_t last_stable, int64_t watermark, int64_t *known);
/* When the last reader has read all: T1, T2, T3, T8. */
void transaction_history_check(struct transaction_history *history);

#endif
