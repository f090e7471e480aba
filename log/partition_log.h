/*
 * The log of one partition: what a replica appends to, reads from and cuts.
 *
 * Owns the segments of one partition directory, their indexes, the producer state, the leader
 * epochs and the offsets derived from them. Relies on the storage seam, on the committer of its
 * log directory for durability, and on its owner (the replica) for the high watermark. Everything
 * here is called on the owning loop and never waits; what may wait is a job and ends in a callback,
 * which never runs inside the call that started it.
 *
 * Invariants (partition_log_check):
 *  1. log start <= high watermark <= written end <= log end.
 *  2. durable end <= written end, and recovery point <= durable end.
 *  3. log start <= last stable offset <= high watermark.
 *  4. Segments are sorted by base offset without repeats; there is at least one, and only the last
 *     one (the active segment) is appended to. Segment sizes count written bytes only.
 *  5. Queued appends cover written end .. log end in order, and an append ends (`done`) in the
 * order in which it was accepted.
 *  6. What a slice covers stays readable until its lease is released, whatever happens to the log.
 */
#ifndef KLAMM_LOG_PARTITION_LOG_H
#define KLAMM_LOG_PARTITION_LOG_H

#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/bytes.h"
#include "base/list.h"
#include "base/uuid.h"
#include "config/topic_config.h"
#include "log/log_shard.h"
#include "log/producer_state.h"
#include "protocol/errors.h"
#include "runtime/job.h"
#include "runtime/storage.h"

struct committer;
struct leader_epochs;
struct partition_log;
struct segment_file;

/* ---- Settings ------------------------------------------------------------------------------- */

/* The settings of a topic that the log itself looks at; Kafka's names and units. */
struct log_config {
    enum topic_durability durability;
    int32_t segment_bytes;
    int64_t segment_ms;
    int64_t segment_jitter_ms;
    int32_t segment_index_bytes;
    int32_t index_interval_bytes;
    int64_t flush_messages;  /* INT64_MAX: never */
    int64_t flush_ms;        /* INT64_MAX: never */
    int64_t retention_bytes; /* -1: no limit */
    int64_t retention_ms;    /* -1: no limit */
    int64_t file_delete_delay_ms;
    int64_t delete_retention_ms;   /* of tombstones */
    int64_t min_compaction_lag_ms; /* a record is not compacted before */
    int64_t max_compaction_lag_ms; /* INT64_MAX: no limit */
    double min_cleanable_ratio;
    bool cleanup_delete;
    bool cleanup_compact;
};

/* The log's part of a topic's settings. */
void log_config_of_topic(struct log_config *config, const struct topic_config *topic);

/* ---- Opening and creating -------------------------------------------------------------------- */

/* What the log tells its owner. All run in the deferred phase of a turn, never inside a call. */
struct partition_log_events {
    /* The written end moved up, after the `done` of the appends that moved it. */
    void (*written)(void *owner, int64_t written_end);
    /* The durable end moved up. */
    void (*durable)(void *owner, int64_t durable_end);
    /*
     * Appends failed: log end fell back to `written_end`. STORAGE_NO_SPACE: the log refuses appends
     * until space returns. Anything else: the log (and its directory) is gone until restart.
     */
    void (*failed)(void *owner, enum storage_status status, int64_t written_end);
    /* The log start moved up: retention, or inside partition_log_advance_start. May be NULL. */
    void (*started)(void *owner, int64_t log_start);
};

struct partition_log_options {
    struct log_shard *shard;
    const char *directory; /* path of the partition directory; copied */
    struct view topic;     /* copied */
    int32_t partition;
    struct uuid topic_id;
    struct log_config config;                       /* copied */
    const struct producer_state_options *producers; /* borrowed while the log lives */
    struct committer *committer; /* of the log directory; NULL: nothing ever becomes durable */
    const struct partition_log_events *events; /* may be NULL */
    void *owner;
    /* From the checkpoints of the log directory; 0 where there is no entry. */
    bool clean;           /* the directory was stopped cleanly */
    bool is_checkpointed; /* there is an entry for the recovery point */
    int64_t recovery_point;
    int64_t log_start_offset;
    int64_t high_watermark;
    int64_t cleaner_offset; /* below it the log was compacted; -1 where there is no entry */
};

enum log_open_status {
    LOG_OPEN_OK,
    LOG_OPEN_CORRUPT, /* damage below the recovery point: this replica failed; nothing was changed
                       */
    LOG_OPEN_IO,      /* the device failed: the log directory failed */
};

/*
 * Opens a partition directory (loads, and recovers when it was not stopped cleanly), or makes it
 * when `create`. A job: embed or allocate it, fill `options`, `create` and `opened`, start it with
 * partition_log_open. Many may run at the same time.
 */
struct log_open_job {
    struct partition_log_options options; /* what it points to must live until `opened` */
    bool create; /* make directory, partition.metadata and first segment, durable before `opened` */
    bool lacks_topic_id; /* there is a directory, cut short before its partition.metadata: write it
                          */
    /* Ends the job. With LOG_OPEN_OK `log` is ready and belongs to the receiver. */
    void (*opened)(struct log_open_job *job);
    enum log_open_status status;
    struct partition_log *log;
    char message[256];      /* what was found, for people; empty when there is nothing to say */
    uint64_t scanned_bytes; /* read and checked by recovery */
    uint64_t cut_bytes;     /* removed behind the last good batch */
    struct job job;         /* private from here */
    struct log_load *load;
    void *context; /* the caller's */
};

/* Starts the job on the shard's loop. */
void partition_log_open(struct log_open_job *job);
/*
 * Opens at once, without a look at the device, a log whose state was kept by a clean stop and is
 * still believed (log_directory_entry.state). NULL: it says nothing useful; open it in a job.
 */
struct partition_log *partition_log_open_known(const struct partition_log_options *options,
                                               struct view state);

/*
 * Stops and closes: writes what is queued, flushes, snapshots the producers, seals the indexes.
 * `closed` tells whether all that succeeded (only then may the directory be marked clean). The log
 * is gone afterwards; `closed` runs in a later turn. No append may be made after the call; leases
 * must be home.
 */
struct log_close {
    void (*closed)(struct log_close *close, bool clean);
    /* Out: what the checkpoints should say. */
    int64_t log_end;
    int64_t log_start_offset;
    int64_t recovery_point;
    int64_t high_watermark;
    void *context; /* the caller's */
};
void partition_log_close(struct partition_log *log, struct log_close *close);
/*
 * The same without writing anything: for a log whose directory failed or will be removed. Queued
 * appends end with KAFKA_ERROR_KAFKA_STORAGE_ERROR before `closed`.
 */
void partition_log_drop(struct partition_log *log, struct log_close *close);

/* Takes effect for the next append, the next maintenance and the next compaction. */
void partition_log_set_config(struct partition_log *log, const struct log_config *config);
void partition_log_set_owner(struct partition_log *log, const struct partition_log_events *events,
                             void *owner);

/* ---- Offsets --------------------------------------------------------------------------------- */

int64_t partition_log_start_offset(const struct partition_log *log);
/* The offset that the next record will get; includes appends that are still queued. */
int64_t partition_log_end_offset(const struct partition_log *log);
/* Below it everything is in the file and can be read. */
int64_t partition_log_written_end(const struct partition_log *log);
/* Below it everything survives a power cut. */
int64_t partition_log_durable_end(const struct partition_log *log);
/* Below it recovery need not look. */
int64_t partition_log_recovery_point(const struct partition_log *log);
int64_t partition_log_high_watermark(const struct partition_log *log);
/* min(first unstable offset, high watermark); not below the log start. */
int64_t partition_log_last_stable_offset(const struct partition_log *log);
/* Clamped to [log start, written end]; returns what it is now. May move down (a new leader's). */
int64_t partition_log_set_high_watermark(struct partition_log *log, int64_t offset);
/* Bytes of all segments; with `from_offset` only those at or behind it, roughly (by segment). */
uint64_t partition_log_size(const struct partition_log *log);
int32_t partition_log_segment_count(const struct partition_log *log);
int64_t partition_log_active_segment_base(const struct partition_log *log);
const char *partition_log_directory(const struct partition_log *log);
struct uuid partition_log_topic_id(const struct partition_log *log);
/* Views of the log's own parts; do not change them. */
const struct leader_epochs *partition_log_leader_epochs(const struct partition_log *log);
const struct producer_state *partition_log_producers(const struct partition_log *log);

/* The newest leader epoch of the log, or -1. */
int32_t partition_log_latest_epoch(const struct partition_log *log);
/*
 * The end of `leader_epoch` as OffsetsForLeaderEpoch answers it (KIP-101, KIP-279): the largest
 * epoch <= the asked one and its end offset. False: unknown (both outputs -1).
 */
bool partition_log_epoch_end(const struct partition_log *log, int32_t leader_epoch,
                             int32_t *found_epoch, int64_t *end_offset);
/* A leader begins: remembers that `leader_epoch` starts at the log end. */
void partition_log_begin_epoch(struct partition_log *log, int32_t leader_epoch);

/* ---- Appending ------------------------------------------------------------------------------- */

enum log_append_origin {
    LOG_APPEND_CLIENT,      /* offsets are assigned; producer sequences are checked */
    LOG_APPEND_COORDINATOR, /* offsets are assigned; producer epochs are checked, no sequences */
    LOG_APPEND_REPLICATION, /* offsets are the leader's; producers are applied, never rejected */
    LOG_APPEND_RAFT_LEADER, /* offsets are set; every batch has the given leader epoch */
};

/*
 * One append of one or more whole batches, embedded in the request that waits for it. The batches
 * have passed record validation (protocol/record_validation.h). `data` is patched in place and must
 * stay, unchanged, until `done`.
 */
struct log_append {
    /* In. */
    uint8_t *data;
    size_t size; /* bytes; a partial batch at the end is ignored */
    enum log_append_origin origin;
    int32_t leader_epoch;        /* stamped into the batches (CLIENT, COORDINATOR) */
    uint64_t verification_guard; /* KIP-890; 0: none */
    int16_t transaction_version; /* of markers from a coordinator; 2: the stricter epoch rule */
    void (*done)(struct log_append *append); /* written or failed: see `error`; may be NULL */
    void *context;                           /* the caller's */
    /* Out: valid when partition_log_append returns, except that `error` may still turn. */
    enum kafka_error error;
    int64_t base_offset; /* of the first record; for a duplicate, the original's */
    int64_t last_offset;
    int64_t append_time_ms; /* of a LogAppendTime topic, or of a duplicate; else -1 */
    int64_t max_timestamp;
    int64_t log_start_offset;
    /* Private. */
    struct list link;
    int64_t segment_base;
    size_t valid_size;
    size_t batch_count;
};

enum log_append_result {
    LOG_APPEND_QUEUED,    /* accepted; `done` follows in this turn or a later one */
    LOG_APPEND_DUPLICATE, /* nothing to write: offsets are the original's; no `done` follows. The
                             caller waits for last_offset as if it had been written now */
    LOG_APPEND_REFUSED,   /* see `error`; nothing changed; no `done` follows */
};

/*
 * Refusals: RECORD_LIST_TOO_LARGE, the producer errors of log/producer_state.h, CORRUPT_MESSAGE
 * (batches do not parse), OFFSET_OUT_OF_RANGE (replication below the log end), KAFKA_STORAGE_ERROR
 * (no space, failed, truncating or closing), INVALID_RECORD.
 */
enum log_append_result partition_log_append(struct partition_log *log, struct log_append *append);
/* True while appends are refused because the device is full. */
bool partition_log_is_out_of_space(const struct partition_log *log);
/* True after a device error or damage: only partition_log_drop helps. */
bool partition_log_is_failed(const struct partition_log *log);
/*
 * Asks for everything below the written end to be made durable, whatever the topic's durability;
 * the `durable` event tells. With TOPIC_DURABILITY_SYNC every write asks by itself.
 */
void partition_log_flush(struct partition_log *log);

/* KIP-890: see producer_state_begin_verification. */
uint64_t partition_log_begin_verification(struct partition_log *log, int64_t producer_id,
                                          int16_t producer_epoch, int32_t first_sequence,
                                          bool supports_epoch_bump);

/* ---- Reading --------------------------------------------------------------------------------- */

enum log_read_bound { LOG_READ_LOG_END, LOG_READ_HIGH_WATERMARK, LOG_READ_LAST_STABLE };

struct log_read {
    int64_t offset;
    uint32_t max_bytes;
    bool min_one; /* the first batch whole even when it is larger than max_bytes */
    enum log_read_bound bound;
    struct arena *arena; /* where aborted transactions are listed; only for LOG_READ_LAST_STABLE */
};

struct log_aborted_transaction {
    int64_t producer_id;
    int64_t first_offset;
};

/* A range of one segment file, whole batches, or empty (size 0, no lease). */
struct log_slice {
    struct segment_file *lease; /* counted; give back with log_slice_release */
    struct storage_file *file;
    uint64_t position; /* bytes */
    uint32_t size;     /* bytes */
    /* Where the next read goes on: behind the last batch (or the bound, if that is inside one). */
    int64_t next_offset;
    /* Whether the range may be sent by file reference: large and below the high watermark. */
    bool by_reference;
    struct log_aborted_transaction *aborted; /* in the arena; NULL unless LOG_READ_LAST_STABLE */
    uint32_t aborted_count;
};

enum log_read_status {
    LOG_READ_OK,           /* the slice may be empty: nothing below the bound yet */
    LOG_READ_OUT_OF_RANGE, /* below the log start or behind the log end */
    LOG_READ_NEEDS_IO,     /* run partition_log_warm, then read again */
    LOG_READ_FAILED,       /* the device failed or the bytes are damaged */
};

enum { LOG_COPY_LIMIT = 32 * 1024 }; /* shorter ranges are copied, longer ones sent by reference */

enum log_read_status partition_log_read(struct partition_log *log, const struct log_read *read,
                                        struct log_slice *slice);
/*
 * Copies `size` bytes at `at` of the slice. LOG_READ_NEEDS_IO: warm the same read, then copy again.
 * The slice keeps its lease.
 */
enum log_read_status log_slice_copy(struct log_shard *shard, const struct log_slice *slice,
                                    uint32_t at, void *data, uint32_t size);
/* Gives the lease back (twice is harmless). On the owning loop. */
void log_slice_release(struct log_slice *slice);

/*
 * Brings into memory what a read of `offset` needs (opens the files, finds the place, warms the
 * bytes). `warmed` runs on the loop; then read again. The log must not be closed meanwhile
 * (partition_log_close waits for it).
 */
struct log_warm {
    void (*warmed)(struct log_warm *warm);
    enum log_read_status status; /* OK or FAILED */
    void *context;               /* the caller's */
    struct log_warm_job *job;    /* private */
};
void partition_log_warm(struct partition_log *log, const struct log_read *read,
                        struct log_warm *warm);

/* ---- Looking up ------------------------------------------------------------------------------ */

enum log_lookup_kind {
    LOG_LOOKUP_TIMESTAMP,     /* the first offset whose timestamp is >= `timestamp` */
    LOG_LOOKUP_MAX_TIMESTAMP, /* the record with the largest timestamp (ListOffsets -3) */
};

/* ListOffsets by time; a job. The other specials are answered from the offsets above. */
struct log_lookup {
    enum log_lookup_kind kind;
    int64_t timestamp;
    void (*found)(struct log_lookup *lookup);
    void *context; /* the caller's */
    /* Out: offset -1 when there is none. */
    enum log_read_status status;
    int64_t offset;
    int64_t found_timestamp;
    int32_t leader_epoch;
    struct log_lookup_job *job; /* private */
};
void partition_log_lookup(struct partition_log *log, struct log_lookup *lookup);

/* ---- Cutting --------------------------------------------------------------------------------- */

/* A change that needs the device; appends are refused until `done`. One at a time. */
struct log_change {
    void (*done)(struct log_change *change);
    enum storage_status status; /* out */
    void *context;              /* the caller's */
    struct deferred deferred;   /* private */
};

/*
 * Removes the batches that hold `offset` and everything behind it. Queued appends are written
 * first; then the log end is at most `offset`, and reads below it go on. With STORAGE_NO_SPACE the
 * log is as it was before: the device is full, or the directory's checkpoints cannot be written yet
 * because its partitions are still being loaded.
 */
void partition_log_truncate(struct partition_log *log, int64_t offset, struct log_change *change);
/* Drops everything; the log is empty and starts (and ends) at `offset`. */
void partition_log_truncate_fully(struct partition_log *log, int64_t offset,
                                  struct log_change *change);
/*
 * Moves the log start up (DeleteRecords, a leader's value, retention). False, and nothing changed:
 * above the high watermark. A lower or equal offset is true and changes nothing.
 */
bool partition_log_advance_start(struct partition_log *log, int64_t offset);

/*
 * The regular step: retention by size, time and log start, removal of files whose delay is over,
 * expiry of producers, background flush (flush.ms). Call about every second; cheap when nothing is
 * due. `pause_age`: wall and monotonic time disagree, so nothing expires by age.
 */
void partition_log_maintain(struct partition_log *log, bool pause_age);
/* Begins a new segment at the next append. */
void partition_log_roll(struct partition_log *log);

/* ---- Describing ------------------------------------------------------------------------------ */

/* Asserts the invariants above. */
void partition_log_check(const struct partition_log *log);

#endif
