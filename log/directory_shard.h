/*
 * One log directory as seen by one loop: its committer, and the loop's half of the checkpoints.
 *
 * The owner on the control loop (log/directory_owner.h) asks each loop for the offsets of its
 * partitions and writes the checkpoint files, also when a log of this loop wants them written; a
 * failure seen here is told to the owner, and the owner tells every loop.
 *
 * Invariants:
 *  1. is_failed is set on this loop before any partition is told, and never cleared. Partitions
 *     are told by the committer, right after `failed`.
 *  2. A report lists every partition that is on this loop at that time exactly once.
 */
#ifndef KLAMM_LOG_DIRECTORY_SHARD_H
#define KLAMM_LOG_DIRECTORY_SHARD_H

#include "log/committer.h"
#include "log/log_path.h"
#include "runtime/loop.h"

struct directory_owner;

/* Someone who waits for the checkpoints; embedded. See directory_owner_flush. */
struct directory_flush_wait {
    struct directory_flush_wait *next;
    void (*done)(struct directory_flush_wait *wait, bool ok);
};

struct directory_shard {
    struct loop *loop;
    unsigned index; /* of the directory */
    struct log_path path;
    struct committer committer;
    bool is_failed;
    /* Called on this loop, once, just before its partitions are told; may be NULL. */
    void (*failed)(struct directory_shard *shard, void *context);
    void *failed_context;
    struct directory_owner *owner;  /* used only as the address of messages to loop 0 */
    uint64_t reported_digest[2];    /* of the offsets last reported; by kind of checkpoint */
    struct message failure_message; /* to the owner, at most once */
    bool is_owner_told;
    enum storage_status failure;
    void (*stopped)(struct directory_shard *shard);
};

/*
 * Begins on its loop. `owner` is only the address of messages (NULL: a test without owner); on the
 * control loop, directory_owner_attach makes it known there.
 */
void directory_shard_init(struct directory_shard *shard, struct loop *loop, unsigned index,
                          const char *path, struct directory_owner *owner,
                          const struct committer_options *options,
                          void (*failed)(struct directory_shard *shard, void *context),
                          void *failed_context);
/*
 * Ends the committer, after all partitions of this loop were removed; `stopped` runs in a later
 * turn, then the memory may go. Before it directory_owner_stop must be done, because the closed
 * partitions' offsets are remembered here.
 */
void directory_shard_stop(struct directory_shard *shard,
                          void (*stopped)(struct directory_shard *shard));
/* Somebody on this loop who wants all checkpoints of the directory written; embedded. */
struct directory_shard_flush {
    struct message message;
    struct directory_flush_wait wait;
    struct directory_shard *shard;
    void (*done)(struct directory_shard_flush *flush); /* on the shard's loop, in a later turn */
    bool ok;                                           /* they are on disk */
    void *context;                                     /* the caller's */
};
/* Asks the owner (directory_owner_flush). Without owner it ends well. */
void directory_shard_flush(struct directory_shard *shard, struct directory_shard_flush *flush);
/* Any device error of this directory seen on this loop (append, truncate, open for append). */
void directory_shard_fail(struct directory_shard *shard, enum storage_status status);

#endif
