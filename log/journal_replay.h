/*
 * Replaying the journals of a log directory at the start after a crash, before any partition of it
 * is opened: what the journals have and the segment files lost is written into the files.
 *
 * Relies on the rules of log/journal.h: entries of cuts are durable before anything behind the cut,
 * files vanish in order, data entries lie in files whose names are durable.
 *
 * Invariants:
 *  1. Nothing that was cut, voided or deleted later comes back.
 *  2. A segment file never holds batches of two histories: what is behind a batch that differs from
 *     the journal goes with it.
 *  3. The journals are removed only after every file they were for is synced, written or not. A
 * crash at any point leads to another replay with the same result.
 */
#ifndef KLAMM_LOG_JOURNAL_REPLAY_H
#define KLAMM_LOG_JOURNAL_REPLAY_H

#include "log/log_directory.h"
#include "runtime/job.h"

struct journal_item;
struct journal_source;

struct journal_replay {
    const struct log_directory_found *found;
    struct heap *heap;
    struct journal_source *sources; /* the journal files, oldest first */
    size_t source_count;
    struct journal_item *items;
    size_t item_count;
    size_t item_capacity;
    size_t next_source;
    size_t next_item;
    int phase;
    struct storage_file *file; /* the segment file being completed */
    uint64_t file_size;
    bool must_sync;
    bool is_blocked; /* the rest of the current partition is left out */
    /* Counts, for the log line and for tests. */
    uint64_t written_count;
    uint64_t written_bytes;
    uint64_t present_count;  /* already in their files */
    uint64_t void_count;     /* cut, voided, deleted, or of partitions that are gone */
    uint64_t gap_count;      /* behind a gap in their files, so never acknowledged */
    uint64_t conflict_count; /* another valid batch was there and went */
};

/* Begins; `found` must stay. Nothing is read before the first step. */
void journal_replay_init(struct journal_replay *replay, const struct log_directory_found *found);
/*
 * One bounded piece, inside a job. *is_finished when all journals are gone (at once when there were
 * none). After a failure call journal_replay_release; the journals are still there then.
 */
enum storage_status journal_replay_step(struct journal_replay *replay,
                                        const struct job_context *context, bool *is_finished);
void journal_replay_release(struct journal_replay *replay, const struct job_context *context);

#endif
