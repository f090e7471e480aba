/*
 * A replica that is removed while its log is being opened is destroyed when the job has ended.
 *
 * Most logs of a node that was stopped cleanly need no job and are there at once. A new directory
 * is made in two jobs: the first takes the name (and frees it where that is this node's leftover),
 * the second fills the directory and opens it.
 */
#include "broker/partition_open.h"

#include "base/assert.h"
#include "broker/partition_remove.h"
#include "broker/shard_metadata.h"

/* A deletion renames within milliseconds; after this long the name is taken from it. */
enum { CLEAR_PAUSE_MS = 20, CLEAR_ATTEMPTS_MAX = 500 };

static void end(struct partition_open *open)
{
    open->opened(open);
    heap_put(open->shard->loop->heap, MEMORY_STATE, open, sizeof(*open));
}

static void log_opened(struct log_open_job *job)
{
    struct partition_open *open = container_of(job, struct partition_open, job);
    struct shard *shard = open->shard;
    struct replica *replica = open->replica;
    const struct diagnostics *diagnostics = shard->loop->diagnostics;
    shard->opening--;
    if (job->message[0])
        log_info(diagnostics, "log: directory=%s %s", open->path.text, job->message);
    if (job->status == LOG_OPEN_OK && replica->state == REPLICA_OPENING) {
        replica_attach(replica, job->log);
    } else if (job->status == LOG_OPEN_OK) {
        partition_remove_log(shard, replica, job->log);
        open->replica = NULL;
    } else if (replica->state == REPLICA_GONE) {
        replica_destroy(replica);
        open->replica = NULL;
    } else {
        log_error(diagnostics, "partition offline: directory=%s", open->path.text);
        replica_fail(replica);
        shard->unopened |= UINT64_C(1) << open->place;
        if (job->status == LOG_OPEN_IO)
            directory_shard_fail(&shard->directories[open->place], STORAGE_IO);
    }
    end(open);
}

/* The log of a partition that a clean stop left and that needs no job; NULL: it needs one. */
static struct partition_log *open_known(const struct partition_open *open,
                                        const struct log_directory_entry *entry)
{
    if (!open->is_start || entry->state.size == 0)
        return NULL;
    return partition_log_open_known(&open->job.options, entry->state);
}

static void fill_options(struct partition_open *open, const struct log_directory_entry *entry)
{
    struct shard *shard = open->shard;
    const struct replica *replica = open->replica;
    struct log_config config;
    log_config_of_topic(&config, replica_config(replica));
    open->job.create = entry == NULL;
    open->job.lacks_topic_id = entry && uuid_is_zero(entry->topic_id);
    open->job.opened = log_opened;
    open->job.options = (struct partition_log_options){
        .shard = &shard->logs,
        .directory = open->path.text,
        .topic = replica->topic,
        .partition = replica->partition,
        .topic_id = replica->topic_id,
        .config = config,
        .producers = &shard->producers,
        .committer = &shard->directories[open->place].committer,
        .clean = entry && shard->broker->directories->found[open->place].is_clean,
        .is_checkpointed = entry && entry->is_checkpointed,
        .recovery_point = entry ? entry->recovery_point : 0,
        .log_start_offset = entry ? entry->log_start_offset : 0,
        .high_watermark = entry ? entry->high_watermark : 0,
        .cleaner_offset = entry ? entry->cleaner_offset : -1,
    };
}

/* False: there is no directory that works, or the name does not fit. */
static bool find_place(struct partition_open *open, struct uuid directory_id,
                       const struct log_directory_entry **entry)
{
    const struct directories *directories = open->shard->broker->directories;
    const struct replica *replica = open->replica;
    /* What the start found is true until the first image: a partition may leave and come back. */
    *entry = NULL;
    if (open->is_start)
        *entry = directories_find_entry(directories, replica->topic, replica->topic_id,
                                        replica->partition, &open->place);
    if (!*entry) {
        int chosen = directories_choose(directories, open->shard->directories, directory_id,
                                        replica->topic_id, replica->partition);
        if (chosen < 0)
            return false;
        open->place = (size_t)chosen;
    }
    char name[LOG_FILE_NAME_MAX + 1];
    return directory_name_format(name, replica->topic, replica->partition, DIRECTORY_PLAIN,
                                 UUID_ZERO) &&
           log_path_join(&open->path, directories->found[open->place].path.text, name) &&
           !open->shard->directories[open->place].is_failed;
}

/*
 * Takes the name by making the directory, so that of two shards that are told about two topics of
 * one name only one gets it. STORAGE_EXISTS: it is taken by something that is about to go.
 */
static enum job_progress clear_step(struct job *job, const struct job_context *context)
{
    struct partition_open *open = container_of(job, struct partition_open, clear);
    open->clear_status =
        storage_run_path(context->storage, STORAGE_MAKE_DIRECTORY, open->path.text, NULL);
    if (open->clear_status != STORAGE_EXISTS)
        return JOB_FINISHED;
    if (!open->is_start && open->clear_attempts < CLEAR_ATTEMPTS_MAX)
        return JOB_FINISHED;
    const struct directories *directories = open->shard->broker->directories;
    struct log_path renamed;
    open->clear_status = log_directory_mark(
        context->storage, directories->found[open->place].path.text, open->replica->topic,
        open->replica->partition, DIRECTORY_STRAY, open->stray_id, &renamed);
    open->is_aside = open->clear_status == STORAGE_OK;
    if (open->is_aside)
        open->clear_status =
            storage_run_path(context->storage, STORAGE_MAKE_DIRECTORY, open->path.text, NULL);
    return JOB_FINISHED;
}

static void clear_again(struct timer *timer)
{
    struct partition_open *open = container_of(timer, struct partition_open, clear_again);
    loop_start_job(open->shard->loop, &open->clear);
}

/*
 * Whether the topic is deleted in a version that waits behind this one. Then the name may belong to
 * its successor already: another shard may be some versions ahead.
 */
static bool is_outdated(const struct partition_open *open)
{
    return !image_topic_by_id(shard_newest_image(open->shard), open->replica->topic_id);
}

static void give_up(struct partition_open *open)
{
    open->shard->opening--;
    if (open->replica->state == REPLICA_GONE) {
        replica_destroy(open->replica);
        open->replica = NULL;
    } else {
        replica_fail(open->replica);
    }
    end(open);
}

/* Data that nothing uses any more: whoever needs the space should know. */
static void say_aside(const struct partition_open *open)
{
    const struct replica *replica = open->replica;
    char name[LOG_FILE_NAME_MAX + 1];
    if (directory_name_format(name, replica->topic, replica->partition, DIRECTORY_STRAY,
                              open->stray_id))
        log_warn(open->shard->loop->diagnostics,
                 "partition %.*s-%d of an earlier topic is not in the metadata; kept as %s",
                 (int)replica->topic.size, (const char *)replica->topic.data,
                 (int)replica->partition, name);
}

static void clear_done(struct job *job)
{
    struct partition_open *open = container_of(job, struct partition_open, clear);
    struct loop *loop = open->shard->loop;
    if (open->is_aside)
        say_aside(open);
    if (open->clear_status == STORAGE_OK) {
        partition_log_open(&open->job);
        return;
    }
    if (open->clear_status == STORAGE_EXISTS && is_outdated(open)) {
        give_up(open);
        return;
    }
    if (open->clear_status == STORAGE_EXISTS) {
        open->clear_attempts++;
        timer_init(&open->clear_again, clear_again);
        loop_set_timer(loop, &open->clear_again, CLEAR_PAUSE_MS * UINT64_C(1000000));
        return;
    }
    log_error(loop->diagnostics, "cannot make %s: %s", open->path.text,
              storage_status_text(open->clear_status));
    open->job.status = LOG_OPEN_IO;
    log_opened(&open->job);
}

void partition_open_start(struct shard *shard, struct replica *replica,
                          const struct image_partition *state, struct uuid directory_id,
                          void (*opened)(struct partition_open *open), void *context)
{
    struct partition_open *open = heap_must_get(shard->loop->heap, MEMORY_STATE, sizeof(*open));
    open->shard = shard;
    open->replica = replica;
    open->state = state;
    open->opened = opened;
    open->context = context;
    open->is_start = shard->image == NULL;
    open->is_aside = false;
    const struct log_directory_entry *entry;
    if (!find_place(open, directory_id, &entry)) {
        replica_fail(replica);
        end(open);
        return;
    }
    fill_options(open, entry);
    struct partition_log *known = entry ? open_known(open, entry) : NULL;
    if (known) {
        replica_attach(replica, known);
        end(open);
        return;
    }
    shard->opening++;
    if (entry) {
        partition_log_open(&open->job);
        return;
    }
    loop_entropy(shard->loop, open->stray_id.bytes, UUID_SIZE);
    open->clear.step = clear_step;
    open->clear.done = clear_done;
    open->clear.job_class = JOB_DEVICE;
    loop_start_job(shard->loop, &open->clear);
}
