/*
 * Compaction of a partition log: of every key the newest record stays.
 *
 * What is compacted are whole sealed segments that nothing can change any more: below the last
 * stable offset, below the recovery point, older than min.compaction.lag.ms. The pass runs as a job
 * in slices, each of them bounded; between two slices the loop looks whether the log wants
 * something else, and waits when the bytes of this second are used up. Segments go into groups; of
 * each group the files are written anew beside the old ones and then change places with them.
 *
 * Changing places (compaction_output.h, log_listing.c for the start after a crash):
 *
 *   1. `<base>.log.cleaned` and its indexes are written and synced; the directory is synced.
 *   2. They are renamed to `.swap`, the last base first, a directory sync behind each. From here on
 *      the new files count: a start finishes the change, before it forgets them.
 *   3. On the loop the new segments take the old ones' places, their files open already; readers
 *      with a lease keep the old files.
 *   4. The old files are renamed to `.deleted`, the directory is synced, the new ones get their
 *      final names, the directory is synced. The old ones are unlinked after file.delete.delay.ms.
 *
 * Invariants:
 *  1. At most one compaction of a log at a time (partition_log.compaction); it counts as a job of
 *     the log. Retention does not remove segments meanwhile; a truncation or the end of the log
 *     waits, and the compaction ends at its next step.
 *  2. Offsets never change, base offset and last offset of a batch that stays do not either.
 *  3. At a crash of any kind at any point, each group is there as it was or as it is written anew.
 *  4. Between 3 and 4 no file of the changed segments is opened by name: they stay referenced, and
 *     lookups wait (partition_log.is_swapping).
 */
#ifndef KLAMM_LOG_COMPACTION_H
#define KLAMM_LOG_COMPACTION_H

#include <stdbool.h>
#include <stdint.h>

#include "runtime/storage.h"

struct compaction;
struct partition_log;

/* What there is to do for a log. */
struct compaction_need {
    int64_t first_dirty;  /* everything below was compacted before */
    int64_t upper_offset; /* behind the last segment that may be compacted; <= first_dirty: none */
    uint64_t clean_bytes;
    uint64_t dirty_bytes;
    double ratio;       /* dirty share of both */
    int64_t overdue_ms; /* by how much max.compaction.lag.ms has passed; 0: it has not */
    bool is_due;
};

/* Surveys the segments; false: the log is not to be compacted (policy, state, or marked). */
bool compaction_survey(const struct partition_log *log, struct compaction_need *need);
/* Whether `a` is to be compacted before `b`: what is overdue longest, then the dirtier. */
bool compaction_is_before(const struct compaction_need *a, const struct compaction_need *b);

struct compaction_options {
    /* Everything below is in the recovery point that the checkpoint file has. */
    int64_t upper_offset;
    uint64_t map_size_max;     /* bytes for remembering keys */
    double map_load_factor;    /* 0 to 1 */
    uint64_t bytes_per_second; /* read and written; 0: no limit */
    /*
     * Of the time that a compaction takes, the percentage in which it works, 1 to 100. It works all
     * of the time where max.compaction.lag.ms has passed, and after one in which the log grew by
     * more than half of what was compacted.
     */
    unsigned time_percent;
};

enum compaction_status {
    COMPACTION_OK,
    COMPACTION_STOPPED,     /* the log wanted something else, or the caller */
    COMPACTION_NO_SPACE,    /* nothing was changed by the group at work; later again */
    COMPACTION_UNCLEANABLE, /* damage: said once, and the log is marked until it is opened again */
    COMPACTION_FAILED,      /* the device failed, and the log with it */
};

/* What was done, for people and counters. */
struct compaction_report {
    enum compaction_status status;
    int64_t first_dirty; /* where the pass began and where it ended: all below is compacted */
    int64_t end_offset;
    uint32_t old_segments;
    uint32_t new_segments;
    uint64_t bytes_before; /* of the segments that changed places */
    uint64_t bytes_after;
    uint64_t bytes_moved; /* read and written */
    uint64_t read_records;
    uint64_t kept_records;
    uint64_t keyless_records;
};

/*
 * Starts a compaction; false, and nothing happens, when there is nothing to do below
 * options->upper_offset. `done` runs once, in a later turn; the report is good during the call.
 */
bool partition_log_compact(struct partition_log *log, const struct compaction_options *options,
                           void (*done)(void *context, const struct compaction_report *report),
                           void *context);
/* Wishes that the compaction under way ends soon; nothing happens when there is none. */
void partition_log_stop_compaction(struct partition_log *log);

#endif
