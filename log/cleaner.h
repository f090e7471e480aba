/*
 * The cleaner of one loop: decides which of its compacted logs is compacted next, one at a time.
 *
 * Every log.cleaner.backoff.ms it surveys the compacted logs of the loop, a bounded number in a
 * turn, and remembers the most urgent: the one whose max.compaction.lag.ms has passed by most, else
 * the dirtiest. For it it asks for a permit of the node. Then it waits until everything below the
 * high watermark is durable: a power cut that takes the marker of a transaction back would open
 * again what compaction took for decided. It has the checkpoints of the directory written, so that
 * what a start checks for gaps lies above what is rewritten, and starts the compaction. When that
 * ends well it surveys again at once.
 *
 * Relies on struct log_shard, whose list it walks, and on committers that are embedded in
 * directory_shard. Everything here runs on the loop.
 *
 * Invariants:
 *  1. At most one log of the loop is compacted by it at a time, and only with a permit.
 *  2. `chosen` is a log in the list, or NULL: a log that goes is forgotten (cleaner_forget).
 */
#ifndef KLAMM_LOG_CLEANER_H
#define KLAMM_LOG_CLEANER_H

#include "log/cleaner_permits.h"
#include "log/directory_shard.h"
#include "log/log_shard.h"

struct partition_log;

struct cleaner_options {
    bool is_enabled;
    uint64_t backoff_ns;       /* log.cleaner.backoff.ms */
    uint64_t map_size_max;     /* log.cleaner.dedupe.buffer.size, of one compaction */
    double map_load_factor;    /* log.cleaner.io.buffer.load.factor */
    uint64_t bytes_per_second; /* of one compaction; 0: no limit */
    unsigned time_percent;     /* klamm.log.cleaner.time.percent */
};

/* Plain values, summed on scrape. */
struct cleaner_counters {
    uint64_t compactions; /* that ended well */
    uint64_t failures;    /* that did not: no space, damage, device */
    uint64_t bytes_moved; /* read and written */
    uint64_t bytes_freed; /* by which logs became smaller */
    uint64_t uncleanable; /* logs that were marked */
};

enum cleaner_state {
    CLEANER_IDLE,       /* the timer is set, or it is stopped */
    CLEANER_SURVEYING,  /* some logs in each turn */
    CLEANER_ASKING,     /* for a permit */
    CLEANER_SETTLING,   /* until the high watermark is durable */
    CLEANER_FLUSHING,   /* the checkpoints */
    CLEANER_COMPACTING, /* a log */
    CLEANER_RETURNING,  /* the permit */
};

struct cleaner {
    struct log_shard *shard;
    struct cleaner_options options;
    enum cleaner_state state;
    bool is_stopped;
    bool goes_on;  /* the last one ended well: no pause */
    uint32_t left; /* logs still to be surveyed */
    uint32_t due;  /* of those that were */
    struct partition_log *chosen;
    struct compaction_need need; /* of `chosen` */
    int64_t settled_end;         /* the high watermark of `chosen` at that time */
    uint64_t generation;         /* of `chosen` at that time */
    struct timer timer;
    struct cleaner_permit permit;
    struct directory_shard_flush flush;
    struct cleaner_counters counters;
};

/* Begins with a pause. `permits` belongs to the control loop; used as an address. */
void cleaner_init(struct cleaner *cleaner, struct log_shard *shard, struct cleaner_permits *permits,
                  const struct cleaner_options *options);
/* Takes effect for the next compaction. */
void cleaner_set_options(struct cleaner *cleaner, const struct cleaner_options *options);
/* Surveys now instead of after the pause; for tests and whoever knows of work. */
void cleaner_wake(struct cleaner *cleaner);
/*
 * Starts nothing any more; the compaction under way ends with its log (partition_log_close). The
 * memory must stay as long as the loops turn.
 */
void cleaner_stop(struct cleaner *cleaner);
/* A log leaves the list of its loop. */
void cleaner_forget(struct cleaner *cleaner, const struct partition_log *log);

#endif
