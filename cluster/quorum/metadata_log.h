/*
 * The metadata log of a sole voter: directory, log, quorum state and snapshots, driven on the
 * control loop by the quorum's step function.
 *
 * Start: look at the directory (format it when it is empty), load the newest snapshot and the log
 * behind it, let the quorum elect itself, and tell the owner once the epoch's first record is on
 * disk. Then: appends in, commits out. The owner asks for snapshots by offering committed images.
 *
 * Relies on log/partition_log.h for the file, with durability `sync`, and on a committer of its own
 * on this loop.
 *
 * Invariants:
 *  1. A batch counts as committed when it is flushed and the quorum says so, never before.
 *  2. Batches carry the offsets that they get: metadata_log_next_offset is the next one's base.
 *  3. Snapshots are made of committed images only, and the log start moves up only to the end of a
 *     snapshot that is on disk.
 *  4. After `failed` nothing is appended; the owner ends the process.
 */
#ifndef KLAMM_CLUSTER_QUORUM_METADATA_LOG_H
#define KLAMM_CLUSTER_QUORUM_METADATA_LOG_H

#include "cluster/metadata/loader.h"
#include "cluster/quorum/quorum.h"
#include "cluster/quorum/quorum_boot.h"
#include "log/committer.h"
#include "log/directory_name.h"
#include "log/partition_log.h"
#include "log/producer_state.h"
#include "runtime/loop.h"

/* What the owner is told; never inside a call of this module. */
struct metadata_log_events {
    /* Loaded, elected, first record of the epoch committed: metadata_log_append may be called. */
    void (*activated)(void *owner);
    void (*committed)(void *owner, int64_t high_watermark);
    /* The device is full: what was appended behind `log_end` is gone. Later appends may work. */
    void (*cut)(void *owner, int64_t log_end);
    /* Cannot start, or cannot go on. */
    void (*failed)(void *owner, const char *text);
    void (*closed)(void *owner, bool clean);
};

struct metadata_log_options {
    struct loop *loop; /* the control loop */
    const char *log_directory;
    struct sole_voter voter; /* the node as a voter; views are borrowed for good */
    struct view cluster_id;  /* borrowed for good */
    bool may_format;
    bool static_voters;           /* controller.quorum.voters is set */
    const struct view *bootstrap; /* record values; borrowed until activated */
    size_t bootstrap_count;
    int32_t segment_bytes;
    int64_t snapshot_bytes;       /* appended bytes that make a snapshot due; 0: 20 MiB */
    int64_t snapshot_interval_ms; /* 0: never by time */
    const struct metadata_log_events *events;
    void *owner;
};

struct snapshot_job;

struct metadata_log {
    struct metadata_log_options options;
    struct loop *loop;
    struct quorum quorum;
    struct quorum_boot boot;
    struct metadata_loader loader;
    struct log_shard shard;
    struct committer committer;
    struct producer_state_options producers;
    struct log_open_job open;
    struct log_close close;
    struct log_change change;
    struct log_warm warm;
    struct partition_log *log;
    struct deferred load_step;
    struct job state_job; /* writes quorum-state */
    enum storage_status state_status;
    bool is_state_writing;
    int16_t kraft_version;
    bool has_voters_in_log;        /* KRAFT_VOTERS stands behind the snapshot with end 0 */
    struct buffer voters;          /* newest value of KRAFT_VOTERS; empty: none */
    uint8_t *piece;                /* of the log while loading */
    struct snapshot_job *snapshot; /* the one under way */
    int64_t snapshot_end;
    uint64_t bytes_since_snapshot;
    uint64_t snapshot_due_ns; /* by time; 0: nothing new to write */
    struct timer maintenance;
    struct deferred close_step;
    enum { METADATA_LOG_BOOTING, METADATA_LOG_OPENING, METADATA_LOG_OPEN, METADATA_LOG_NONE } stage;
    bool is_closing;
    bool is_clean;
    bool has_failed;
};

/* Begins; `events->activated` or `failed` follows. `log` must stay where it is. */
void metadata_log_start(struct metadata_log *log, const struct metadata_log_options *options);
/* After activated, once: the image of everything in the log, with a reference for the caller. */
const struct image *metadata_log_take_image(struct metadata_log *log);
/* After activated: the log holds no metadata record yet. */
bool metadata_log_is_empty(const struct metadata_log *log);
/* After activated and until the first append: content of bootstrap.checkpoint; null when none. */
struct view metadata_log_bootstrap(const struct metadata_log *log);
int64_t metadata_log_next_offset(const struct metadata_log *log);
static inline int32_t metadata_log_epoch(const struct metadata_log *log)
{
    return log->quorum.epoch;
}
/*
 * Appends one batch, which is copied. Its base offset and epoch must be the next ones. False: not
 * active, or the log refuses (device full, failed); nothing was appended then.
 */
bool metadata_log_append(struct metadata_log *log, struct view batch);
/* Offers the newest committed image; starts a snapshot when one is due. */
void metadata_log_offer(struct metadata_log *log, const struct image *image);
/*
 * Ends, at any time after start, also after a failure: no append may follow; `events->closed` when
 * everything is on disk.
 */
void metadata_log_close(struct metadata_log *log);

#endif
