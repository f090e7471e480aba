/*
 * The owner of a log directory, on the control loop: checkpoints, failure, the clean stop.
 *
 * Every 5 s it gathers high watermarks, every 60 s recovery points, log starts and where compaction
 * has come to, from all loops by message, and writes the files that changed, in a job. It hears of
 * device errors, fails the directory under a new generation and tells every loop. At a clean stop
 * it writes everything once more and the marker last.
 *
 * Invariants:
 *  1. At most one gathering and one writing job per directory at a time; a wish that comes
 * meanwhile is remembered and done afterwards.
 *  2. A file is written only when its text differs from what was written last.
 *  3. A failed directory is never written again, and gets no clean marker.
 *  4. Before its partitions are loaded nothing is written: the checkpoints would forget those that
 *     are not open yet. A stop then writes the marker again only if it was there at the start.
 */
#ifndef KLAMM_LOG_DIRECTORY_OWNER_H
#define KLAMM_LOG_DIRECTORY_OWNER_H

#include "base/uuid.h"
#include "log/directory_shard.h"
#include "log/log_directory.h"
#include "runtime/loop.h"

struct directory_owner;
struct directory_gather;

enum { DIRECTORY_CHECKPOINTS = 4 /* recovery points, log starts, high watermarks, cleaner */ };

struct directory_owner_options {
    uint64_t high_watermark_interval_ns; /* replica.high.watermark.checkpoint.interval.ms; 0: 5 s */
    uint64_t offset_interval_ns;         /* log.flush.offset.checkpoint.interval.ms; 0: 60 s */
};

struct directory_owner {
    struct loop *loop; /* control */
    unsigned index;
    struct log_path path;
    struct uuid directory_id;
    struct storage_file *lock;
    struct directory_owner_options options;
    uint32_t generation; /* counts failures: 0 while it lives */
    bool is_failed;
    bool is_loaded; /* every partition of the directory is open or known to be gone */
    bool was_clean; /* at the start */
    struct directory_shard *shards[LOOP_COUNT_MAX]; /* by loop index; NULL where not attached */
    struct timer high_watermark_timer;
    struct timer offset_timer;
    struct directory_gather *gather; /* the one under way, or NULL */
    struct {
        uint32_t failures; /* in a row; above 0, changed or not, everything is written again */
        enum storage_status status; /* of the last one */
        uint64_t since_ns;          /* the first one */
    } unwritten;
    unsigned wanted;                    /* kinds of checkpoints wished meanwhile */
    struct directory_flush_wait *waits; /* to be told after the next gathering */
    struct {
        bool is_written; /* by this process */
        uint32_t checksum;
        size_t size;
    } written[DIRECTORY_CHECKPOINTS];
    struct directory_stop *stop;
    /* The directory failed; on the control loop, once. */
    void (*failed)(struct directory_owner *owner, enum storage_status status, void *context);
    void *context;
};

/* Takes over the lock and the identity from `found`; the timers start. */
void directory_owner_init(struct directory_owner *owner, struct loop *loop, unsigned index,
                          const struct log_directory_found *found,
                          const struct directory_owner_options *options,
                          void (*failed)(struct directory_owner *owner, enum storage_status status,
                                         void *context),
                          void *context);
/* Before the loops run, or on the control loop: this loop has partitions of the directory. */
void directory_owner_attach(struct directory_owner *owner, struct directory_shard *shard);
/* All partitions that the start found are open (or stray, or failed): checkpoints may be written.
 */
void directory_owner_loaded(struct directory_owner *owner);
/* An error seen on the control loop. */
void directory_owner_fail(struct directory_owner *owner, enum storage_status status);

/* Writes all checkpoint files now (after a truncation or a deletion, and at stop). */
void directory_owner_flush(struct directory_owner *owner, struct directory_flush_wait *wait);

/*
 * The clean stop, after all partitions were closed on the loops but before directory_shard_stop
 * (committers remember the offsets of closed partitions): writes the checkpoints and, when
 * `is_clean`, the marker last; releases the lock; then `done`. The loops must still turn.
 *
 * `ok` is false when something could not be written now. A directory that has failed before was
 * reported then; there is nothing to write in it, and its stop ends well.
 */
struct directory_stop {
    void (*done)(struct directory_stop *stop, bool ok);
    bool is_clean;                 /* every partition of it closed without error */
    int64_t broker_epoch;          /* for the marker */
    struct directory_owner *owner; /* private from here */
    struct directory_flush_wait wait;
    struct job job;
    bool had_failed;
    bool is_written;
};
void directory_owner_stop(struct directory_owner *owner, struct directory_stop *stop);

/* For log/directory_shard.c: takes a shard's failure_message on the control loop. */
void directory_owner_hear_failure(struct message *message, struct loop *at);

#endif
