/*
 * Loading a partition directory: what is there, what is trusted, what is cut.
 *
 * Runs inside a job, in steps; its results lie on the job's heap and are copied by
 * partition_log_create_loaded and partition_log_adopt.
 *
 * A clean directory is not scanned: sizes come from the listing, the log end from the last index
 * entry and the headers behind it. An unclean one is scanned from the segment that holds the
 * recovery point: a batch that fails a check there is a torn tail and is cut with everything behind
 * it. Damage below the recovery point is never cut: those bytes were synced, so this is rot, and
 * the replica fails with a message.
 *
 * Invariants:
 *  1. Running a load again gives the same bytes and the same result.
 *  2. Everything below `log_end` is on stable storage when an unclean load has ended, because what
 *     it found in memory only is synced before it is trusted.
 */
#ifndef KLAMM_LOG_LOG_RECOVERY_H
#define KLAMM_LOG_LOG_RECOVERY_H

#include "log/leader_epochs.h"
#include "log/log_path.h"
#include "log/log_scan.h"
#include "log/partition_log.h"
#include "log/producer_state.h"
#include "log/segment.h"
#include "runtime/job.h"

/* Where a load stands. */
enum log_load_phase {
    LOG_LOAD_LISTING,   /* files, half-finished replacements, leader epochs */
    LOG_LOAD_INDEXES,   /* indexes and end of the log, as far as they are trusted */
    LOG_LOAD_SNAPSHOT,  /* newest producer snapshot before what is read next */
    LOG_LOAD_REPLAYING, /* producers of trusted segments behind the snapshot */
    LOG_LOAD_SCANNING,  /* segments that are not trusted: every batch, indexes made again */
    LOG_LOAD_ENDING,
    LOG_LOAD_FINISHED,
};

/* What the listing says about the side files of a segment; -1: missing. */
struct log_load_sizes {
    int64_t index;
    int64_t times;
    int64_t aborted;
    bool has_log;
};

struct log_load {
    /* In. */
    struct heap *heap;       /* the job's */
    const struct loop *loop; /* for test points only */
    const char *directory;
    int32_t index_interval_bytes;
    /* There may be gaps: inside of segments (the leader's, for a follower), and between segments
     * below cleaner_offset, or anywhere without checkpoints. */
    bool is_compacted;
    const struct producer_state_options *producer_options;
    bool clean;
    bool is_checkpointed; /* there is an entry for the recovery point */
    int64_t recovery_point;
    int64_t log_start;
    int64_t cleaner_offset; /* below it the log was compacted; -1: not known */
    /* Out, when finished. */
    enum log_open_status status;
    char message[256];
    struct segment *segments;
    uint32_t segment_count;
    struct leader_epochs epochs;
    struct producer_state producers;
    int64_t log_end;
    uint64_t scanned_bytes;
    uint64_t cut_bytes;
    bool is_directory_changed; /* a file was changed, or may not be durable under its name */
    bool was_scanned; /* a segment with batches was not trusted: there may be no snapshot at the end
                       */
    /* Private. */
    enum log_load_phase phase;
    struct storage storage;       /* of the step that runs */
    struct log_load_sizes *sizes; /* [segment_capacity], beside segments */
    uint32_t segment_capacity;
    int64_t first_snapshot_offset; /* the oldest in the listing, or -1 */
    int64_t last_snapshot_offset;  /* the newest, or -1 */
    uint64_t last_snapshot_size;
    uint32_t place;      /* the segment at work */
    uint32_t scan_place; /* the first segment that is not trusted; segment_count: none */
    struct log_scan scan;
    struct log_path path; /* scratch */
};

/* The `in` fields are set, the others are zero. */
void log_load_init(struct log_load *load);
/* One bounded piece of work. */
enum job_progress log_load_step(struct log_load *load, const struct job_context *context);
/* Gives everything back. */
void log_load_deinit(struct log_load *load);

/* Ends a load with an error; the format makes the message. Returns false, for tail calls. */
bool log_load_fail(struct log_load *load, enum log_open_status status, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* The same for a status of the storage seam; true when it is STORAGE_OK. */
bool log_load_check(struct log_load *load, enum storage_status status, const char *what);
/* Path of a file of the segment with this base, in load->path. */
const char *log_load_path(struct log_load *load, int64_t base_offset, const char *suffix);
/* Removes the files of segments [from, segment_count) and the segments. */
bool log_load_drop_segments(struct log_load *load, uint32_t from);
/* Removes a file of the segment with this base; that it is not there is no error. */
bool log_load_remove_file(struct log_load *load, int64_t base_offset, const char *suffix);
/* Opens the log of the segment at work for load->scan, unless it is open; false ends the step. */
bool log_load_open_scan(struct log_load *load, const struct segment *segment);
/* A batch with a producer id was read; an aborted transaction goes to `segment` (NULL: it is
 * already there). */
void log_load_apply_producer(struct log_load *load, struct segment *segment, struct view batch);

enum { LOG_LOAD_PIECES_PER_STEP = 1 }; /* of log_scan, in one step of the load */

/* Listing phase: log_listing.c. */
bool log_load_list(struct log_load *load);
/* Indexes phase: log_trust.c. */
void log_load_step_indexes(struct log_load *load);
/* Scanning phase: log_rescan.c. */
void log_load_step_scanning(struct log_load *load);

#endif
