/*
 * How it works: the committer reports a failure here; from there one message goes to the owner on
 * the control loop, which tells every loop, this one too. A wish for checkpoints goes there and
 * comes home when they are written. The owner's questions are answered in directory_owner.c, next
 * to the messages that carry them.
 */
#include "log/directory_shard.h"

#include "base/assert.h"
#include "log/directory_owner.h"

static void committer_failed(struct committer *committer, enum storage_status status, void *context)
{
    struct directory_shard *shard = context;
    (void)committer;
    shard->is_failed = true;
    shard->failure = status;
    if (shard->failed)
        shard->failed(shard, shard->failed_context);
    if (shard->owner && !shard->is_owner_told) {
        shard->is_owner_told = true;
        shard->failure_message.deliver = directory_owner_hear_failure;
        loop_post(shard->loop, 0, &shard->failure_message);
    }
}

/* A wish for checkpoints on its way to the owner and back. */
struct checkpoint_errand {
    struct message message;
    struct directory_flush_wait flush;
    struct directory_shard *shard;
    struct commit_checkpoint_wait *wait;
    bool is_written;
};

static void errand_came_home(struct message *message, struct loop *at)
{
    struct checkpoint_errand *errand = container_of(message, struct checkpoint_errand, message);
    struct commit_checkpoint_wait *wait = errand->wait;
    bool is_written = errand->is_written;
    heap_put(at->heap, MEMORY_STATE, errand, sizeof(*errand));
    wait->written(wait, is_written);
}

static void errand_done(struct directory_flush_wait *flush, bool ok)
{
    struct checkpoint_errand *errand = container_of(flush, struct checkpoint_errand, flush);
    struct directory_shard *shard = errand->shard;
    errand->is_written = ok;
    errand->message.deliver = errand_came_home;
    loop_post(shard->owner->loop, shard->loop->index, &errand->message);
}

static void errand_arrived(struct message *message, struct loop *at)
{
    struct checkpoint_errand *errand = container_of(message, struct checkpoint_errand, message);
    (void)at;
    errand->flush.done = errand_done;
    directory_owner_flush(errand->shard->owner, &errand->flush);
}

static void write_checkpoints(struct committer *committer, struct commit_checkpoint_wait *wait,
                              void *context)
{
    struct directory_shard *shard = context;
    struct checkpoint_errand *errand =
        heap_must_get(committer->loop->heap, MEMORY_STATE, sizeof(*errand));
    errand->shard = shard;
    errand->wait = wait;
    errand->message.deliver = errand_arrived;
    loop_post(shard->loop, 0, &errand->message);
}

void directory_shard_init(struct directory_shard *shard, struct loop *loop, unsigned index,
                          const char *path, struct directory_owner *owner,
                          const struct committer_options *options,
                          void (*failed)(struct directory_shard *shard, void *context),
                          void *failed_context)
{
    *shard = (struct directory_shard){.loop = loop,
                                      .index = index,
                                      .owner = owner,
                                      .failed = failed,
                                      .failed_context = failed_context};
    if (!log_path_set(&shard->path, path))
        klamm_unreachable("the path was checked at the start");
    committer_init(&shard->committer, loop, shard->path.text, options, committer_failed, shard);
    if (owner)
        shard->committer.write_checkpoints = write_checkpoints;
}

void directory_shard_fail(struct directory_shard *shard, enum storage_status status)
{
    if (shard->is_failed)
        return;
    log_error(shard->loop->diagnostics, "log directory %s failed: %s", shard->path.text,
              storage_status_text(status));
    shard->is_failed = true;
    committer_fail(&shard->committer, status);
}

static void flush_came_home(struct message *message, struct loop *at)
{
    (void)at;
    struct directory_shard_flush *flush =
        container_of(message, struct directory_shard_flush, message);
    flush->done(flush);
}

/* On the control loop. */
static void checkpoints_flushed(struct directory_flush_wait *wait, bool ok)
{
    struct directory_shard_flush *flush = container_of(wait, struct directory_shard_flush, wait);
    flush->ok = ok;
    flush->message.deliver = flush_came_home;
    loop_post(flush->shard->owner->loop, flush->shard->loop->index, &flush->message);
}

static void flush_arrived(struct message *message, struct loop *at)
{
    (void)at;
    struct directory_shard_flush *flush =
        container_of(message, struct directory_shard_flush, message);
    flush->wait.done = checkpoints_flushed;
    directory_owner_flush(flush->shard->owner, &flush->wait);
}

void directory_shard_flush(struct directory_shard *shard, struct directory_shard_flush *flush)
{
    flush->shard = shard;
    flush->ok = true;
    flush->message.deliver = shard->owner ? flush_arrived : flush_came_home;
    loop_post(shard->loop, shard->owner ? 0 : shard->loop->index, &flush->message);
}

static void committer_stopped(struct committer *committer)
{
    struct directory_shard *shard = container_of(committer, struct directory_shard, committer);
    shard->stopped(shard);
}

void directory_shard_stop(struct directory_shard *shard,
                          void (*stopped)(struct directory_shard *shard))
{
    shard->stopped = stopped;
    committer_stop(&shard->committer, committer_stopped);
}
