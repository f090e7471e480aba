/*
 * What compaction makes of one batch: keep it as it is, write it anew with fewer records, leave an
 * empty one, or drop it. Bytes in, bytes out; no files.
 *
 * A record of data stays when it is behind the map, or when it is the newest of its key and has a
 * value, or is a tombstone whose time has not come. Records without key go. Nothing of an aborted
 * transaction stays. A tombstone, or a marker of which nothing else is left, gets its time (the
 * delete horizon: attribute bit 6, the base timestamp holds it) from the first pass that meets it,
 * and goes with a later one (KIP-354, KIP-534).
 *
 * Invariants:
 *  1. A batch that is written anew keeps base offset, last offset, leader epoch, producer fields,
 *     codec, timestamp type, and every record that stays keeps offset, time, key, value, headers.
 *  2. The last batch of a producer stays, empty if it must, so that its sequence survives; so does
 *     the batch that ends at `upper_offset`.
 *  3. What is kept has a right checksum; a batch that has none, or that cannot be read, is damage.
 */
#ifndef KLAMM_LOG_COMPACTION_FILTER_H
#define KLAMM_LOG_COMPACTION_FILTER_H

#include "log/compaction_map.h"
#include "log/compaction_transactions.h"
#include "log/producer_state.h"
#include "protocol/batch_builder.h"
#include "protocol/batch_reader.h"
#include "runtime/loop.h"

enum compaction_verdict {
    COMPACTION_KEEP,          /* as it is */
    COMPACTION_REPLACE,       /* *output instead */
    COMPACTION_DROP,          /* nothing of it stays */
    COMPACTION_DAMAGED,       /* `fault` says what is wrong with it */
    COMPACTION_OUT_OF_MEMORY, /* the heap refused */
};

struct compaction_rules {
    int64_t map_end; /* records at or behind it are not in the map: they stay */
    int64_t upper_offset;
    int64_t now_ms;
    int64_t delete_retention_ms;
};

struct compaction_counts {
    uint64_t read_records;
    uint64_t kept_records;
    uint64_t keyless_records; /* dropped for want of a key */
};

struct compaction_filter {
    struct compaction_rules rules;
    const struct compaction_map *map;
    struct compaction_transactions *transactions;
    const struct producer_state *producers; /* as they are at `upper_offset` */
    const struct loop *loop;                /* for test points only; may be NULL */
    struct job_pace pace;                   /* of the step at work, set by the owner */
    struct batch_reader reader;
    struct batch_builder builder;
    uint8_t empty[BATCH_HEADER_SIZE];
    struct compaction_counts counts;
    const char *fault;
};

/* All are borrowed and must stay. */
void compaction_filter_init(struct compaction_filter *filter, struct heap *heap,
                            const struct compaction_rules *rules, const struct compaction_map *map,
                            struct compaction_transactions *transactions,
                            const struct producer_state *producers, const struct loop *loop);
void compaction_filter_deinit(struct compaction_filter *filter);
/*
 * Takes the next batch of the pass. *output is set for REPLACE and good until the next call;
 * *aborted as in compaction_transactions_control.
 */
enum compaction_verdict compaction_filter_batch(struct compaction_filter *filter, struct view batch,
                                                struct view *output,
                                                const struct aborted_transaction **aborted);

/* For the pass that fills the map: what is wrong with a batch, or NULL. Opens the reader. */
const char *compaction_open_batch(struct batch_reader *reader, struct view batch);

#endif
