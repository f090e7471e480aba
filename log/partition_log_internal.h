/*
 * The inside of a partition log, for the files of this folder that act on it and for their tests.
 *
 * Files: partition_log.c (offsets, events, life), partition_log_append.c (queue and writes),
 * partition_log_roll.c (new segments, side files), partition_log_change.c (truncation),
 * partition_log_close.c, partition_log_open.c (from log_recovery.c), log_read.c, log_lookup.c,
 * log_retention.c.
 *
 * States:
 *   RUNNING      appends are taken
 *   NO_SPACE     a write found the device full and was rolled back; refused until retry_at_ns
 *   CUTTING      a truncation waits for its turn or runs; appends are refused
 *   CLOSING      nothing new is taken; ends when queue and jobs are empty
 *   FAILED       the device failed; reads of what is resident may still work
 */
#ifndef KLAMM_LOG_PARTITION_LOG_INTERNAL_H
#define KLAMM_LOG_PARTITION_LOG_INTERNAL_H

#include "log/committer.h"
#include "log/leader_epochs.h"
#include "log/partition_log.h"
#include "log/segment.h"
#include "log/segment_file.h"

enum partition_log_state {
    PARTITION_LOG_RUNNING,
    PARTITION_LOG_NO_SPACE,
    PARTITION_LOG_CUTTING,
    PARTITION_LOG_CLOSING,
    PARTITION_LOG_FAILED,
};

struct compaction;
struct log_truncation;

struct partition_log {
    struct log_shard *shard;
    char *directory;     /* own: the path with its NUL, then the topic's name */
    uint32_t topic_size; /* bytes */
    int32_t partition;
    struct uuid topic_id;
    struct log_config config;
    const struct partition_log_events *events;
    void *owner;

    struct segment **segments; /* by base offset; the last is active */
    uint32_t segment_count;
    uint32_t segment_capacity;
    int64_t log_start;
    int64_t high_watermark;
    int64_t written_end;
    int64_t log_end;
    uint64_t generation; /* of remembered places */
    struct leader_epochs epochs;
    struct producer_state producers;

    struct commit_partition commit;
    struct commit_room_wait room_wait;

    enum partition_log_state state;
    enum storage_status failure; /* why FAILED or NO_SPACE */
    uint64_t retry_at_ns;
    uint64_t next_maintenance_ns;
    uint64_t next_retention_ns;
    int64_t retained_start; /* log start at the last retention */
    struct list deletions;  /* struct log_deletion: renamed files that wait for their delay */

    struct list compacted_link;    /* log_shard.compacted, while the policy says compact */
    struct compaction *compaction; /* the one under way, or NULL */
    int64_t first_dirty; /* below it the log was compacted; see partition_log_first_dirty */
    int64_t loaded_end;  /* log end at the last load: below it markers are not followed */
    bool wants_compaction_end;
    bool is_swapping;    /* files are between names: none of a replaced segment may be opened */
    bool is_uncleanable; /* damage was found; until the log is opened again */
    bool outgrows_compaction; /* it grew by more than half of what the last one compacted */
    struct list lookups;      /* struct log_lookup_job: wait for the end of is_swapping */

    /* Writing: queue holds log_append.link; the first write_count of it are being written. */
    struct list queue;
    struct list finished; /* to be told `done` */
    uint32_t queued_bytes;
    uint32_t write_count; /* in flight; 0: none */
    int64_t told_written_end;
    struct deferred deferred;

    struct log_truncation *truncation;
    int64_t cut_limit; /* of the recovery point, while a truncation is under way; INT64_MAX: none */
    struct log_close *close;

    uint32_t jobs;          /* that refer to this log: side files, lookups, warmings, deletions */
    bool is_writing_epochs; /* a job has their text: no second one may replace the file */
    bool has_committer;
    bool is_opening_for_write;
    bool is_rolling_back;
    bool wants_roll;
    bool wants_failed_event;
    bool is_dropping;
    bool is_changed; /* since its files were last complete: closing has something to write */
    bool is_damaged; /* something failed: the directory is not clean */
    bool is_closed;  /* the closing job ended */
};

static inline struct segment *partition_log_active(const struct partition_log *log)
{
    return log->segments[log->segment_count - 1];
}

/* The place of the last segment whose base offset is <= `offset`, or 0. */
uint32_t partition_log_segment_at(const struct partition_log *log, int64_t offset);
/* The offset behind the segment: the next one's base, or the written end. */
int64_t partition_log_segment_end(const struct partition_log *log, uint32_t place);
/* Makes room and adds a segment behind the others (takes it). */
void partition_log_push_segment(struct partition_log *log, struct segment *segment);
/* A fresh segment object. */
struct segment *partition_log_new_segment(struct partition_log *log, int64_t base_offset);
void partition_log_free_segment(struct partition_log *log, struct segment *segment);

/* Writes what can be written now; appends that ended are told in the deferred phase. */
void partition_log_pump(struct partition_log *log);
/* Something that others wait for ended: starts a truncation or a closing that can begin now. */
void partition_log_advance(struct partition_log *log);
/* The device failed: queued appends end with an error, the owner hears it, nothing goes on. */
void partition_log_fail(struct partition_log *log, enum storage_status status);
/* Ends every queued append that is not being written with KAFKA_STORAGE_ERROR, and forgets what
 * they had changed. */
void partition_log_refuse_queue(struct partition_log *log);

/* Begins a new active segment at `base_offset`; the queue must be empty. */
void partition_log_begin_segment(struct partition_log *log, int64_t base_offset);
/* Writes index tails of a segment into their files when they grew long. */
void partition_log_trim_tails(struct partition_log *log, struct segment *segment);
/* Recomputes how far the recovery point may go. */
void partition_log_update_recovery_limit(struct partition_log *log);
/* Tells the committer's copy of the offsets. */
void partition_log_update_commit(struct partition_log *log);

/* What the producer state needs to know of a whole batch, its marker included. */
void partition_log_producer_batch(struct view batch, struct producer_batch *producer);

/* The offset that a read may not reach. */
int64_t partition_log_bound(const struct partition_log *log, enum log_read_bound bound);

/* Renamed files are left to the next start: the log is going. */
void partition_log_forget_deletions(struct partition_log *log);
/* Files of these segments were renamed to `.deleted`: removes them after the delay. */
void partition_log_remove_renamed(struct partition_log *log, const int64_t *bases, uint32_t count);

/* Where the next compaction begins: where the last one ended, or the log start. */
int64_t partition_log_first_dirty(const struct partition_log *log);
/* Files can be opened by name again: lookups that waited go on. */
void partition_log_start_lookups(struct partition_log *log);

/* Counted activities that keep the log alive. */
void partition_log_job_begin(struct partition_log *log);
void partition_log_job_end(struct partition_log *log);

/* An empty log file, so that the next start finds where the log is. Inside a job; not synced. */
enum storage_status partition_log_make_file(struct storage storage, const char *directory,
                                            int64_t base_offset);

/* Builds the log object from what a load found; NULL never (memory is state). */
struct log_load;
struct partition_log *partition_log_create_loaded(const struct partition_log_options *options,
                                                  const struct log_load *load);
/* Replaces segments, epochs, producers and offsets by those of a load (after a truncation). */
void partition_log_adopt(struct partition_log *log, const struct log_load *load);
/* Ends the object; nothing may refer to it. `clean`: everything was written and synced. */
void partition_log_destroy(struct partition_log *log, bool clean);

#endif
