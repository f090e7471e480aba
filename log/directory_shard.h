/*
 * One log directory as seen by one loop: its committer, and the loop's half of the checkpoints.
 *
 * The owner on the control loop (log/directory_owner.h) asks each loop for the offsets of its
 * partitions and writes the checkpoint files; a failure seen here is told to the owner, and the
 * owner tells every loop.
 *
 * Invariants:
 *  1. is_failed is set on this loop before any partition is told, and never cleared.
 *  2. A report lists every partition that is on this loop at that time exactly once.
 */
#ifndef KLAMM_LOG_DIRECTORY_SHARD_H
#define KLAMM_LOG_DIRECTORY_SHARD_H

#include "log/committer.h"
#include "log/log_path.h"
#include "runtime/loop.h"

struct directory_owner;

/* The offsets of one partition, on their way to the checkpoints. */
struct directory_report_entry {
    const char *topic; /* in the report's own memory */
    uint32_t topic_size;
    int32_t partition;
    int64_t recovery_point;
    int64_t log_start_offset; /* -1: the first segment begins there, nothing to remember */
    int64_t high_watermark;
};

struct directory_shard {
    struct loop *loop;
    unsigned index; /* of the directory */
    struct log_path path;
    struct committer committer;
    bool is_failed;
    /* Called on this loop, once, after its partitions were told; may be NULL. */
    void (*failed)(struct directory_shard *shard, void *context);
    void *failed_context;
    struct directory_owner *owner; /* used only as the address of messages */
    unsigned owner_loop;
    struct message failure_message; /* to the owner, at most once */
    enum storage_status failure;
};

/* Begins on its loop; then the owner's loop must be told: directory_owner_attach. */
void directory_shard_init(struct directory_shard *shard, struct loop *loop, unsigned index,
                          const char *path, const struct committer_options *options,
                          void (*failed)(struct directory_shard *shard, void *context),
                          void *failed_context);
/* Any device error of this directory seen on this loop (append, truncate, open for append). */
void directory_shard_fail(struct directory_shard *shard, enum storage_status status);

#endif
