/*
 * Three steps: drop the log (its queue ends, its files close), rename the directory in a job, and
 * after the delay remove it piece by piece in a job. A stop waits for the first two; a directory
 * whose removal it interrupts has its delete name and is removed after the next start.
 */
#include "broker/partition_remove.h"

#include "base/assert.h"
#include "log/partition_log.h"

enum { FILES_PER_STEP = 64 };

struct removal {
    struct shard *shard;
    struct log_close close;
    struct job job;
    struct timer delay;
    struct uuid topic_id;
    int32_t partition;
    struct view topic; /* in this block */
    int64_t delay_ms;
    struct uuid unique_id;
    struct log_path log_directory;
    struct log_path renamed;
    enum storage_status status;
    size_t held_size;
};

static void removal_end(struct removal *removal)
{
    heap_put(removal->shard->loop->heap, MEMORY_STATE, removal, removal->held_size);
}

static enum job_progress remove_step(struct job *job, const struct job_context *context)
{
    struct removal *removal = container_of(job, struct removal, job);
    bool finished = false;
    removal->status = log_directory_remove(context->storage, removal->renamed.text, context->heap,
                                           FILES_PER_STEP, &finished);
    return removal->status == STORAGE_OK && !finished ? JOB_MORE : JOB_FINISHED;
}

static void remove_done(struct job *job)
{
    struct removal *removal = container_of(job, struct removal, job);
    if (removal->status != STORAGE_OK)
        log_warn(removal->shard->loop->diagnostics, "cannot remove %s: %s", removal->renamed.text,
                 storage_status_text(removal->status));
    removal_end(removal);
}

static void delay_over(struct timer *timer)
{
    struct removal *removal = container_of(timer, struct removal, delay);
    removal->job =
        (struct job){.step = remove_step, .done = remove_done, .job_class = JOB_BACKGROUND};
    loop_start_job(removal->shard->loop, &removal->job);
}

static enum job_progress mark_step(struct job *job, const struct job_context *context)
{
    struct removal *removal = container_of(job, struct removal, job);
    removal->status = log_directory_mark(context->storage, removal->log_directory.text,
                                         removal->topic, removal->partition, DIRECTORY_DELETE,
                                         removal->unique_id, &removal->renamed);
    return JOB_FINISHED;
}

static void mark_done(struct job *job)
{
    struct removal *removal = container_of(job, struct removal, job);
    struct loop *loop = removal->shard->loop;
    removal->shard->removing--;
    if (removal->status != STORAGE_OK) {
        log_warn(loop->diagnostics, "cannot delete %.*s-%d: %s", (int)removal->topic.size,
                 (const char *)removal->topic.data, removal->partition,
                 storage_status_text(removal->status));
        removal_end(removal);
        return;
    }
    timer_init(&removal->delay, delay_over);
    uint64_t delay_ms = removal->delay_ms > 0 ? (uint64_t)removal->delay_ms : 0;
    loop_set_timer(loop, &removal->delay, delay_ms * UINT64_C(1000000));
}

static void log_dropped(struct log_close *close, bool clean)
{
    (void)clean;
    struct removal *removal = container_of(close, struct removal, close);
    removal->job = (struct job){.step = mark_step, .done = mark_done, .job_class = JOB_DEVICE};
    loop_start_job(removal->shard->loop, &removal->job);
}

/* The parent of the partition directory. */
static void set_log_directory(struct removal *removal, const char *partition_directory)
{
    bool fits = log_path_set(&removal->log_directory, partition_directory);
    klamm_assert(fits);
    char *slash = strrchr(removal->log_directory.text, '/');
    klamm_assert(slash != NULL);
    *slash = 0;
}

void partition_remove_log(struct shard *shard, struct replica *replica, struct partition_log *log)
{
    size_t size = sizeof(struct removal) + replica->topic.size;
    struct removal *removal = heap_must_get(shard->loop->heap, MEMORY_STATE, size);
    uint8_t *name = (uint8_t *)(removal + 1);
    memcpy(name, replica->topic.data, replica->topic.size);
    removal->shard = shard;
    removal->topic = view_of(name, replica->topic.size);
    removal->topic_id = replica->topic_id;
    removal->partition = replica->partition;
    removal->delay_ms = replica_config(replica)->file_delete_delay_ms;
    removal->held_size = size;
    loop_entropy(shard->loop, removal->unique_id.bytes, UUID_SIZE);
    set_log_directory(removal, partition_log_directory(log));
    removal->close.closed = log_dropped;
    shard->removing++;
    partition_log_drop(log, &removal->close);
    replica_destroy(replica);
}

void partition_remove(struct shard *shard, struct replica *replica)
{
    bool opening = replica->state == REPLICA_OPENING;
    replica_table_remove(&shard->replicas, replica);
    coordinators_leave(&shard->coordinators, replica);
    struct partition_log *log = replica_detach(replica, KAFKA_ERROR_UNKNOWN_TOPIC_OR_PARTITION);
    if (opening)
        return; /* partition_open finds it gone */
    if (log)
        partition_remove_log(shard, replica, log);
    else
        replica_destroy(replica);
}
