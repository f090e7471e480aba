/*
 * The committer of one log directory on one loop: it makes appended bytes durable.
 *
 * The log never syncs to acknowledge. It tells the committer what it wrote (committer_written) and
 * who waits (committer_request); the committer syncs files in parallel, a bounded number at a time,
 * as long as anyone waits, and reports the durable end per partition. Load makes the batch: what
 * is written while a sync is under way is covered by the next one. Small appends of partitions
 * that wait go into a journal instead: one write and one sync for all partitions of the loop.
 *
 * Relies on the storage seam; all calls and callbacks are on the committer's loop, callbacks in the
 * deferred phase or on a completion, never inside a call of this module.
 *
 * Invariants:
 *  1. recovery point <= synced end <= written end, and recovery point <= durable end <= written
 *     end. Synced end <= durable end, unless a cut still waits for the journal (journal_barrier).
 *  2. Below the synced end every byte is durable in its segment file, and the directory entry of
 *     that file is too. Below the durable end it is there or in the journal.
 *  3. A sync proves nothing about a file that was truncated after the sync was submitted: results
 *     of an older generation of the partition are thrown away.
 *  4. A failed sync or journal write fails the whole directory, once; nothing is synced or reported
 *     durable afterwards, and nothing is tried again.
 *  5. A file is held (events->hold) while a sync of it is in flight.
 */
#ifndef KLAMM_LOG_COMMITTER_H
#define KLAMM_LOG_COMMITTER_H

#include <stdbool.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/list.h"
#include "base/uuid.h"
#include "runtime/loop.h"
#include "runtime/storage.h"

struct commit_partition;
struct journal;

/* A log file with bytes that are not synced; embedded in the owner's open file. */
struct commit_file {
    struct list link;          /* commit_partition.files while it has unsynced bytes */
    struct storage_file *file; /* set by the owner before the first committer_written */
    int64_t segment_base;      /* set by the owner */
    /* Set by the owner for a new file: nothing in it is durable before a directory sync. */
    bool is_directory_unsynced;
    /* The committer's. */
    int64_t written_end;     /* offset behind the last byte written */
    int64_t synced_end;      /* offset behind the last byte synced */
    uint64_t unsynced_bytes; /* at least what is not synced */
    bool is_in_flight;
};

/* What the owner of a partition is told. */
struct commit_partition_events {
    /* The durable end moved up. */
    void (*durable)(struct commit_partition *partition, int64_t durable_end);
    /* The directory failed: nothing of this partition will become durable any more. */
    void (*failed)(struct commit_partition *partition, enum storage_status status);
    /*
     * The file must not be closed between hold and release; its memory must stay. `partition` is
     * NULL in a release that comes after committer_remove_partition.
     */
    void (*hold)(struct commit_partition *partition, struct commit_file *file);
    void (*release)(struct commit_partition *partition, struct commit_file *file);
};

/* One partition of the directory on this loop; embedded in its log. */
struct commit_partition {
    /* Set by the owner before committer_add_partition; the text must stay. */
    const struct commit_partition_events *events;
    struct view topic;
    int32_t partition;
    struct uuid topic_id;
    const char *directory; /* path of the partition directory */
    /* Kept current by the owner, at any time; the checkpoints and the flusher read them. */
    int64_t log_start_offset;
    int64_t first_base_offset; /* of the first segment */
    int64_t high_watermark;
    int64_t cleaner_offset; /* below it the log was compacted; -1: never */
    /*
     * The recovery point may not pass this offset yet, because side files (indexes, snapshot) of a
     * sealed segment are not synced: the last offset of the first such segment. INT64_MAX: none.
     */
    int64_t recovery_limit;
    int64_t flush_messages; /* flush.messages; INT64_MAX: off */
    int64_t flush_ms;       /* flush.ms; INT64_MAX: off */
    bool is_waited_for;     /* appends are waited for (sync durability): they may be journaled */
    /* The committer's; read them freely. */
    struct committer *committer; /* NULL when not added */
    struct list link;            /* committer.partitions */
    struct list queue_link;      /* committer.queue: someone waits for its sync */
    struct list flush_link;      /* committer.flush_queue: nobody does */
    struct list dirty_link;      /* committer.dirty: has unsynced files, longest first */
    struct list report_link;     /* committer.reports: durable end moved, not told yet */
    struct list files;           /* struct commit_file, by offset */
    int64_t written_end;
    int64_t synced_end;
    int64_t durable_end;
    int64_t reported_end;  /* the last durable end that was told */
    int64_t requested_end; /* somebody waits for this to be durable */
    int64_t sync_target;   /* files are to be synced up to here, because someone waits */
    int64_t flush_target;  /* the same, in the background */
    /* The journal's: a chain of appends [start, written), durable in the journal up to `end`. */
    int64_t journal_start;
    int64_t journal_end;
    int64_t journal_written;     /* 0: the next append begins a new chain */
    int64_t journal_closing_end; /* to be synced before the closing file may go; 0: not in it */
    uint64_t journal_file;       /* number of the last file with entries of it; 0: none */
    uint64_t journal_round;      /* number of the last round with appends of it */
    uint64_t journal_barrier;    /* round that must be durable before anything is reported */
    uint32_t journal_record;     /* index of its record in that round */
    uint64_t dirty_since_ns;
    uint32_t generation;
};

struct committer_options {
    uint32_t sync_count_max;     /* syncs in flight; 0: 8 */
    uint64_t flush_interval_ns;  /* of the background flusher; 0: 1 s */
    uint64_t flush_bytes;        /* unsynced bytes that start it early; 0: 64 MiB */
    uint64_t unsynced_bytes_max; /* appends of the directory wait from here on; 0: 1 GiB */
    uint32_t journal_append_max; /* appends below this many bytes are journaled; 0: 64 KiB */
    uint64_t journal_file_size;  /* a new journal file is begun here; 0: 64 MiB */
    /* With fewer partitions waiting their files are synced: no slower, and written once. 0: 3 */
    uint32_t journal_partitions_min;
    bool is_journal_enabled;
};

struct committer_counters {
    uint64_t syncs;
    uint64_t directory_syncs;
    uint64_t journal_rounds;
    uint64_t journal_bytes;
    uint64_t journal_entries;
};

/* Someone whose append waits for room; embedded. */
struct commit_room_wait {
    struct list link;
    void (*ready)(struct commit_room_wait *wait);
};

/* Someone who waits for the checkpoints of the directory; embedded. */
struct commit_checkpoint_wait {
    /* On the loop that asked, in a later turn. False: they are not written, now at least. */
    void (*written)(struct commit_checkpoint_wait *wait, bool ok);
};

struct commit_sync;

/* What the next start may know of a log that closed with everything in its files. */
struct commit_state {
    int64_t active_base_offset; /* of the last segment */
    uint32_t active_size;       /* bytes of its log file */
    struct view state;          /* log/log_state.h */
};

/* The last offsets of a closed partition; they still belong into the checkpoints. */
struct commit_remembered {
    struct list link;
    int32_t partition;
    struct uuid topic_id;
    int64_t recovery_point;
    int64_t log_start_offset;
    int64_t first_base_offset;
    int64_t high_watermark;
    int64_t active_base_offset;
    uint32_t active_size;
    int64_t cleaner_offset;
    size_t topic_size;
    size_t state_size; /* 0: nothing is known of it */
    char topic[];      /* topic_size bytes, then the state */
};

struct committer {
    struct loop *loop;
    const char *directory; /* path of the log directory; borrowed */
    struct committer_options options;
    void (*failed)(struct committer *committer, enum storage_status status, void *context);
    void *failed_context;
    /* Writes the checkpoint files with the offsets of now; NULL: nobody keeps checkpoints. Set by
     * the owner of the committer, called with failed_context. */
    void (*write_checkpoints)(struct committer *committer, struct commit_checkpoint_wait *wait,
                              void *context);
    struct list partitions;
    struct list remembered;      /* struct commit_remembered */
    uint64_t membership_version; /* changes when a partition comes or goes */
    struct list queue;
    struct list flush_queue;
    struct list dirty;
    struct list reports;
    struct list room_waits;
    struct deferred deferred;
    struct timer flush_timer;
    struct commit_sync *syncs; /* sync_count_max */
    uint32_t sync_count;       /* in flight */
    uint32_t flush_count;      /* of these, in the background */
    uint64_t unsynced_bytes;
    struct journal *journal;     /* NULL when not enabled */
    enum storage_status failure; /* STORAGE_OK while the directory lives */
    bool is_failure_told;
    bool is_running; /* inside the deferred phase: no need to ask for it again */
    void (*stopped)(struct committer *committer);
    struct committer_counters counters;
};

/*
 * Begins on `loop`. `directory` must stay. `failed` is called once, when the directory fails by a
 * sync or write of this committer. Options are copied, zeros mean defaults.
 */
void committer_init(struct committer *committer, struct loop *loop, const char *directory,
                    const struct committer_options *options,
                    void (*failed)(struct committer *committer, enum storage_status status,
                                   void *context),
                    void *failed_context);
/*
 * Ends: waits for what is in flight, removes the journal when everything is synced, then calls
 * `stopped` (in a later turn); only then memory may go. All partitions must be removed before.
 */
void committer_stop(struct committer *committer, void (*stopped)(struct committer *committer));
/* Fails the directory from outside (an error elsewhere): as if a sync had failed. */
void committer_fail(struct committer *committer, enum storage_status status);

/*
 * Adds a partition whose files are synced up to durable_end == written_end; recovery_point as the
 * checkpoint says. INT64_MAX fields and zeros of the owner's part are as documented above.
 */
void committer_add_partition(struct committer *committer, struct commit_partition *partition,
                             int64_t written_end);
/*
 * Takes a partition out: closed (after a flush, if it matters) or deleted. Unsynced files are
 * forgotten. The offsets of a closed one and `state`, what else the next start may know (zeros:
 * nothing), are remembered for the checkpoints; of a deleted one (`state` NULL) the journal is told
 * that its entries are void. Nothing is reported for it afterwards, except releases of held files.
 */
void committer_remove_partition(struct commit_partition *partition,
                                const struct commit_state *state);

/*
 * [base_offset, end_offset) was written at `position` of the file, `size` bytes in `buffers`. The
 * bytes need to stay only during the call.
 */
void committer_written(struct commit_partition *partition, struct commit_file *file,
                       int64_t base_offset, int64_t end_offset, uint64_t position,
                       const struct storage_buffer *buffers, size_t buffer_count, size_t size);
/* Someone waits until everything below `up_to` is durable. May be called before the write. */
void committer_request(struct commit_partition *partition, int64_t up_to);
/*
 * The log was cut to `offset`; the owner cuts and syncs the file before its next write. Ends fall
 * back; nothing behind is reported before the journal knows of the cut. An offset above the written
 * end: the log is empty now and begins there.
 */
void committer_truncated(struct commit_partition *partition, int64_t offset);
/* A file is deleted or replaced: its bytes need no sync. It may still be held. */
void committer_discard_file(struct commit_partition *partition, struct commit_file *file);
/*
 * Journal entries of this partition below `offset` are void (segments deleted or replaced by
 * compaction). `true`: already durable; `false`: after the next journal round
 * (committer_is_void_durable).
 */
bool committer_void_below(struct commit_partition *partition, int64_t offset);
bool committer_is_void_durable(const struct commit_partition *partition);

/* min(synced end, durable end, recovery limit): what the recovery-point checkpoint may say. */
int64_t commit_partition_recovery_point(const struct commit_partition *partition);
/* The file has bytes that are not synced or is being synced: do not close it. */
bool commit_file_is_busy(const struct commit_file *file);

/* false: too much is unsynced; appends of this directory should wait (committer_wait_for_room). */
bool committer_has_room(const struct committer *committer);
void committer_wait_for_room(struct committer *committer, struct commit_room_wait *wait);
void committer_cancel_wait(struct commit_room_wait *wait);

/* Asserts the invariants. */
void committer_assert(const struct committer *committer);

#endif
