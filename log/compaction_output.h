/*
 * The files that a compaction writes for one group of segments, and their way to their names. Only
 * inside a job; the loop reads the results.
 *
 * Invariants:
 *  1. `.cleaned` files may be gone or half written at any time; nothing relies on them.
 *  2. What has the name `.swap` is complete and synced, and so is everything with a larger base.
 *  3. Outputs are in rising order of base offset; together they hold the offsets of their sources.
 */
#ifndef KLAMM_LOG_COMPACTION_OUTPUT_H
#define KLAMM_LOG_COMPACTION_OUTPUT_H

#include "log/log_path.h"
#include "log/segment.h"
#include "runtime/job.h"

/* One new segment. Its index tails are on the output's heap until it is sealed. */
struct compaction_output {
    struct segment segment;
    struct storage_file *log;   /* open until the loop takes it */
    struct storage_file *index; /* from the seal on */
    int64_t last_offset;
};

struct compaction_outputs {
    struct heap *heap;
    const char *directory;   /* borrowed */
    const struct loop *loop; /* for test points only */
    struct compaction_output *items;
    uint32_t count;
    uint32_t capacity;
    /* Bytes behind the last item's file, not written yet. */
    uint8_t *buffer;
    size_t buffered;
    uint64_t unsynced; /* bytes written since the last sync of the last item's file */
    uint64_t written;  /* bytes in all, counted up */
};

void compaction_outputs_init(struct compaction_outputs *outputs, struct heap *heap,
                             const char *directory, const struct loop *loop);
/* Closes what is open and gives the memory back; ready for another group. The files stay. */
void compaction_outputs_clear(struct compaction_outputs *outputs, struct storage storage);

/* Starts another segment behind the others. */
enum storage_status compaction_outputs_begin(struct compaction_outputs *outputs,
                                             struct storage storage, int64_t base_offset);
/* Whether the last segment has room for this batch, at most `size_max` bytes of log. */
bool compaction_outputs_has_room(const struct compaction_outputs *outputs, const uint8_t *batch,
                                 uint64_t size_max, int32_t index_bytes);
/* Adds a batch to the last segment. */
enum storage_status compaction_outputs_add(struct compaction_outputs *outputs,
                                           struct storage storage, struct view batch,
                                           int32_t index_interval_bytes);
/* Writes what is left of the last segment, with its indexes, and syncs it; sets the file's time. */
enum storage_status compaction_outputs_seal(struct compaction_outputs *outputs,
                                            struct storage storage, int64_t modified_ms);

/* Step 2 of log/compaction.h. The handles stay open. After a failure: revert. */
enum storage_status compaction_outputs_commit(const struct compaction_outputs *outputs,
                                              struct storage storage);
/* Takes a step 2 back that failed somewhere: at no time would a start take a part of it. */
enum storage_status compaction_outputs_revert(const struct compaction_outputs *outputs,
                                              struct storage storage);
/* Removes `.cleaned` files as far as they are there; what goes wrong is left to the next start. */
void compaction_outputs_discard(const struct compaction_outputs *outputs, struct storage storage);

/* Step 4 of log/compaction.h; each half may be run again after a failure, the second after the
 * first. */
struct compaction_names {
    const char *directory;
    const int64_t *bases; /* of the source segments, count */
    uint32_t count;
    const int64_t *new_bases; /* of the outputs, new_count */
    uint32_t new_count;
};
/* The source segments' files become `.deleted`. */
enum storage_status compaction_take_old_names(const struct compaction_names *names,
                                              struct storage storage, const struct loop *loop);
/* The outputs' files get their final names. */
enum storage_status compaction_take_new_names(const struct compaction_names *names,
                                              struct storage storage, const struct loop *loop);

#endif
