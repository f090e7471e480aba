/*
 * What a compacted log must still say: checks of batches that were read against those that were
 * appended (log_model.h), record by record, and of the view that a reader has of the whole.
 *
 * Two walks over a log are judged. A structural one reads to the log end: whatever is there was
 * appended so, what cannot have been compacted yet is there byte for byte, and the last batch of
 * every producer is there. The view is that of a consumer of committed data, which filters by
 * aborted transactions and markers as clients do: of every key the last record is the one that was
 * appended last, or a tombstone whose time had come.
 *
 * Keys are "k00" to "k23", so that a table holds them all.
 */
#ifndef KLAMM_TESTS_SIM_COMPACT_MODEL_H
#define KLAMM_TESTS_SIM_COMPACT_MODEL_H

#include "log/partition_log.h"
#include "tests/sim/log_model.h"

enum { COMPACT_KEYS = 24, COMPACT_PRODUCERS = 5 };

/* How the transaction of a batch ended. */
enum compact_fate { COMPACT_PLAIN, COMPACT_OPEN, COMPACT_COMMITTED, COMPACT_ABORTED };

/* "k07" -> 7; -1: none of the keys. */
int compact_key_index(struct view key);
/* The fate of the batch at this place of the model. */
enum compact_fate compact_fate_of(const struct log_model *model, size_t place);
/* Whether a producer has a transaction open at the model's end. */
bool compact_is_open(const struct log_model *model, int64_t producer_id);
/* The smallest first offset of a transaction that is open, or whose marker is not below
 * `high_watermark`; -1: none. */
int64_t compact_unstable_offset(const struct log_model *model, int64_t high_watermark);

/* One walk. */
struct compact_walk {
    struct log_model *model;
    bool is_view; /* committed data only; else structural */
    int64_t start;
    int64_t next; /* all below was read */
    /* Structural. */
    int64_t compacted_to; /* at the beginning: nothing at or behind it had been compacted */
    int64_t last_of_producer[COMPACT_PRODUCERS + 1]; /* last offset of the last batch seen */
    /* View. */
    int64_t last_offset[COMPACT_KEYS];  /* -1: none */
    uint32_t clean_count[COMPACT_KEYS]; /* visible records below `clean_end` */
    int64_t clean_end;
};

void compact_walk_begin(struct compact_walk *walk, struct log_model *model, bool is_view,
                        int64_t start, int64_t compacted_to, int64_t clean_end);
/* Takes a slice's bytes (whole batches) with its aborted transactions, which it sorts; fails the
 * run on anything that cannot be. */
void compact_walk_take(struct compact_walk *walk, struct view bytes,
                       struct log_aborted_transaction *aborted, uint32_t aborted_count);
/*
 * The walk has reached `end` (the last stable offset for a view). `log_start` is that of now;
 * tombstones may be gone `delete_retention_ms` after they were written.
 */
void compact_walk_end_view(const struct compact_walk *walk, int64_t log_start, int64_t end,
                           int64_t now_ms, int64_t delete_retention_ms, bool judges_clean);

#endif
