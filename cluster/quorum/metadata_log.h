/*
 * The metadata log of a node: directory, log, quorum state and snapshots, driven on the control
 * loop by the quorum's step function, with the other members behind channels.
 *
 * Start: look at the directory (format it when it is empty and that is allowed), load the newest
 * snapshot, open the log, read it for the voters. A sole voter loads it too and elects itself at
 * once. A voter among others, or an observer, knows only what the snapshot holds to be committed:
 * it applies the log as it hears of the high watermark.
 *
 * Relies on log/partition_log.h for the file, with durability `sync`, and on a committer of its own
 * on this loop.
 *
 * Invariants:
 *  1. A batch counts as committed when the quorum says so, never before; a node counts itself, and
 *     asks for more, only at what it has flushed.
 *  2. Batches carry the offsets that they get: metadata_log_next_offset is the next one's base.
 *  3. Snapshots are made of committed images only, and the log start moves up only to the end of a
 *     snapshot that is on disk.
 *  4. After `failed` nothing is appended; the owner ends the process.
 *  5. The owner is told of every committed record once, in order: by `applied` while it does not
 *     lead, and by `committed` while it does (what was appended is the owner's own).
 */
#ifndef KLAMM_CLUSTER_QUORUM_METADATA_LOG_H
#define KLAMM_CLUSTER_QUORUM_METADATA_LOG_H

#include "cluster/metadata/loader.h"
#include "cluster/quorum/fetch_client.h"
#include "cluster/quorum/followers.h"
#include "cluster/quorum/kraft_upgrade.h"
#include "cluster/quorum/own_vote.h"
#include "cluster/quorum/peers.h"
#include "cluster/quorum/quorum.h"
#include "cluster/quorum/quorum_boot.h"
#include "cluster/quorum/quorum_call.h"
#include "cluster/quorum/snapshot_client.h"
#include "cluster/quorum/voter_change.h"
#include "cluster/quorum/voter_history.h"
#include "config/server_config.h"
#include "log/committer.h"
#include "log/directory_name.h"
#include "log/partition_log.h"
#include "log/producer_state.h"
#include "runtime/loop.h"

/* What the owner is told; never inside a call of this module. */
struct metadata_log_events {
    /*
     * Committed records, while this node does not lead, or just before `activated`: the image with
     * them (a reference for the owner) and what changed since the image before (the owner's to
     * destroy; NULL: not known, as after a start or a snapshot). The first call comes when the node
     * has caught up with what was committed when it found the leader.
     */
    void (*applied)(void *owner, const struct image *image, struct image_delta *delta);
    /*
     * This node leads, and everything before its epoch is committed and applied:
     * metadata_log_append may be called.
     */
    void (*activated)(void *owner);
    /*
     * This node does not lead any more. Call metadata_log_resume with the newest image that was
     * published (inside or later, unless the log is being closed): whatever else was appended may
     * be undone.
     */
    void (*resigned)(void *owner);
    void (*committed)(void *owner, int64_t high_watermark);
    /* The device is full: what was appended behind `log_end` is gone. Later appends may work. */
    void (*cut)(void *owner, int64_t log_end);
    /* Another leader, another epoch, or its address became known (metadata_log_leader). */
    void (*leader_changed)(void *owner);
    /* Cannot start, or cannot go on. */
    void (*failed)(void *owner, const char *text);
    void (*closed)(void *owner, bool clean);
};

struct metadata_log_options {
    struct loop *loop; /* the control loop */
    const char *log_directory;
    struct sole_voter voter; /* the node as a voter; views are borrowed for good */
    struct view cluster_id;  /* borrowed for good */
    bool may_vote;           /* the node has the role controller */
    bool may_format;
    bool forms_quorum; /* formatting makes this node the only voter of a new dynamic quorum */
    bool joins;        /* controller.quorum.auto.join.enable */
    bool is_reachable; /* it has a listener for other members of the quorum */
    const struct voter_config *voters; /* controller.quorum.voters; borrowed for good */
    size_t voter_count;
    struct config_list bootstrap_servers; /* where a dynamic quorum is found; borrowed for good */
    const struct view *bootstrap;         /* record values; borrowed until activated */
    size_t bootstrap_count;
    uint64_t election_timeout_ns;
    uint64_t fetch_timeout_ns;
    uint64_t election_backoff_max_ns;
    uint64_t request_timeout_ns;
    uint64_t retry_backoff_ns;
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
    struct log_shard shard;
    struct committer committer;
    struct producer_state_options producers;
    struct log_open_job open;
    struct log_close close;
    struct log_change change;
    struct partition_log *log;
    struct job state_job; /* writes quorum-state */
    enum storage_status state_status;
    bool is_state_writing;
    struct voter_history voters; /* as snapshot and log name them */
    struct voter_change change_of_voters;
    struct own_vote own_vote;
    struct kraft_upgrade upgrade;

    /* Reading the log into images (metadata_log_load.c). */
    struct metadata_loader loader;
    bool has_loader;
    bool is_scanning;          /* at start: the log is read for the voters in it */
    bool loads_along;          /* and applied at once: this node alone decides what is committed */
    int64_t scan_offset;       /* of the next batch to look at, while scanning */
    bool has_records;          /* a metadata record stands in the log or was appended */
    uint64_t shown_version;    /* of the newest image that the owner knows */
    bool has_shown;            /* `applied` was called */
    bool has_open_transaction; /* activated: it was begun by another leader and has to be aborted */
    int64_t leader_end; /* high watermark of the leader when it was first heard; -1: not heard */
    struct log_warm warm;
    struct deferred load_step;
    bool is_warming;
    uint8_t *piece; /* of the log while reading */

    /* The other members (peers.c, fetch_*.c). */
    struct quorum_peers peers;
    struct fetch_client fetch;
    struct snapshot_client fetched;
    struct list followers; /* quorum_follower.link, while this node leads */
    unsigned follower_count;
    struct list parked;        /* struct quorum_call.link: fetches that wait for records */
    struct list waiting;       /* struct quorum_call.link: until the quorum takes events again */
    struct quorum_call *asked; /* its answer waits for quorum-state */
    struct timer quorum_timer;
    struct deferred pump;
    bool is_cutting; /* the log is being truncated */
    bool is_active;  /* `activated` was told, `resigned` not */
    bool has_resigned;
    int32_t told_leader; /* what leader_changed was called for last */
    int32_t told_epoch;
    bool is_told_address;

    struct snapshot_job *snapshot; /* the one under way */
    int64_t snapshot_end;          /* of the newest one on disk */
    int32_t snapshot_epoch;
    uint64_t bytes_since_snapshot;
    uint64_t snapshot_due_ns; /* by time; 0: nothing new to write */
    struct timer maintenance;
    struct timer farewell; /* closing: how long others are waited for */
    struct deferred close_step;
    enum {
        METADATA_LOG_BOOTING,
        METADATA_LOG_OPENING,
        METADATA_LOG_OPEN,
        METADATA_LOG_UNOPENED, /* it could not be: only its committer is there */
        METADATA_LOG_NONE
    } stage;
    bool is_closing;
    bool is_log_closing;
    bool is_clean;
    bool has_failed;
};

/* Begins; `applied`, `activated` or `failed` follows. `log` must stay where it is. */
void metadata_log_start(struct metadata_log *log, const struct metadata_log_options *options);
/* After `resigned`: goes on behind `image`, whose reference is taken. */
void metadata_log_resume(struct metadata_log *log, const struct image *image);
/* After activated: the log holds no metadata record yet. */
bool metadata_log_is_empty(const struct metadata_log *log);
/* After activated and until the first append: content of bootstrap.checkpoint; null when none. */
struct view metadata_log_bootstrap(const struct metadata_log *log);
int64_t metadata_log_next_offset(const struct metadata_log *log);
static inline int32_t metadata_log_epoch(const struct metadata_log *log)
{
    return log->quorum.epoch;
}
static inline int16_t metadata_log_kraft_version(const struct metadata_log *log)
{
    return voter_history_last(&log->voters)->kraft_version;
}
/* Whether this node is the only voter. */
bool metadata_log_is_alone(const struct metadata_log *log);
/*
 * The leader that this node knows, for whoever needs the active controller: its id (-1: none), its
 * epoch and the address of its controller listener (null: not known, or this node itself).
 */
void metadata_log_leader(const struct metadata_log *log, int32_t *id, int32_t *epoch,
                         struct view *host, uint16_t *port);
/*
 * Appends one batch, which is copied. Its base offset and epoch must be the next ones. False: not
 * active, or the log refuses (device full, failed); nothing was appended then.
 */
bool metadata_log_append(struct metadata_log *log, struct view batch);
/* Offers the newest committed image; starts a snapshot when one is due. */
void metadata_log_offer(struct metadata_log *log, const struct image *image);
/* Serves a request of another node (quorum_call.h); `log` NULL: there is none. */
void metadata_log_serve(struct metadata_log *log, struct quorum_call *call);
/*
 * Ends, at any time after start, also after a failure: no append may follow; `events->closed` when
 * everything is on disk. A leader says goodbye first.
 */
void metadata_log_close(struct metadata_log *log);

#endif
