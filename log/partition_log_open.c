/*
 * Opening is a load (log_recovery.h) run as a job; creating makes the directory, its topic id and
 * the first file durable first, then loads the result like any other. A log of which a clean stop
 * kept the state needs no job.
 */
#include "base/assert.h"
#include "log/log_recovery.h"
#include "log/log_state.h"
#include "log/partition_log_internal.h"
#include "log/partition_metadata.h"

/* The directory above, of a path without trailing slash; false when there is none. */
static bool parent_of(struct log_path *parent, const char *directory)
{
    const char *slash = strrchr(directory, '/');
    if (!slash || slash == directory || !log_path_set(parent, directory))
        return false;
    parent->text[slash - directory] = '\0';
    return true;
}

enum storage_status partition_log_make_file(struct storage storage, const char *directory,
                                            int64_t base_offset)
{
    struct log_path path;
    struct storage_file *file;
    uint64_t size;
    if (!log_path_of_offset(&path, directory, base_offset, SEGMENT_LOG_SUFFIX))
        return STORAGE_IO;
    enum storage_status status = storage_run_open(
        storage, path.text, STORAGE_FLAG_READ | STORAGE_FLAG_WRITE | STORAGE_FLAG_CREATE, &file,
        &size);
    if (status == STORAGE_OK)
        status = storage_run_close(storage, file);
    return status;
}

/* Directory, first file, topic id; durable. A directory left by an interrupted try is taken. */
static enum storage_status make_partition(struct log_open_job *open, struct storage storage)
{
    const struct partition_log_options *options = &open->options;
    struct log_path parent;
    if (!parent_of(&parent, options->directory))
        return STORAGE_IO;
    enum storage_status status =
        storage_run_path(storage, STORAGE_MAKE_DIRECTORY, options->directory, NULL);
    if (status != STORAGE_OK && status != STORAGE_EXISTS)
        return status;
    status = partition_log_make_file(storage, options->directory, options->log_start_offset);
    /* Its directory sync, which it makes in any case, covers the log file's name as well. */
    if (status == STORAGE_OK)
        status = partition_metadata_write(storage, options->directory, options->topic_id);
    if (status == STORAGE_OK)
        status = storage_run_path(storage, STORAGE_SYNC_DIRECTORY, parent.text, NULL);
    return status;
}

/* A load of these options, not begun. */
static void begin_load(struct log_load *load, const struct partition_log_options *options,
                       struct heap *heap)
{
    load->heap = heap;
    load->loop = options->shard->loop;
    load->directory = options->directory;
    load->index_interval_bytes = options->config.index_interval_bytes;
    load->is_compacted = options->config.cleanup_compact;
    load->producer_options = options->producers;
    load->clean = options->clean;
    load->recovery_point = options->recovery_point;
    load->log_start = options->log_start_offset;
    load->is_checkpointed = options->is_checkpointed;
    load->cleaner_offset = options->cleaner_offset;
    log_load_init(load);
}

static enum job_progress open_step(struct job *job, const struct job_context *context)
{
    struct log_open_job *open = container_of(job, struct log_open_job, job);
    if (!open->load) {
        const struct partition_log_options *options = &open->options;
        struct log_load *load = heap_must_get(context->heap, MEMORY_SCRATCH, sizeof(*load));
        open->load = load;
        begin_load(load, options, context->heap);
        load->clean = options->clean || open->create;
        if (!open->create && !open->lacks_topic_id)
            return JOB_MORE;
        enum storage_status status =
            open->create
                ? make_partition(open, context->storage)
                : partition_metadata_write(context->storage, options->directory, options->topic_id);
        return log_load_check(load, status, "making the partition") ? JOB_MORE : JOB_FINISHED;
    }
    return log_load_step(open->load, context);
}

static void open_done(struct job *job)
{
    struct log_open_job *open = container_of(job, struct log_open_job, job);
    struct log_load *load = open->load;
    open->status = load->status;
    open->scanned_bytes = load->scanned_bytes;
    open->cut_bytes = load->cut_bytes;
    _Static_assert(sizeof(open->message) == sizeof(load->message), "copied whole");
    memcpy(open->message, load->message, sizeof(open->message));
    open->log = NULL;
    if (load->status == LOG_OPEN_OK)
        open->log = partition_log_create_loaded(&open->options, load);
    log_load_deinit(load);
    heap_put(load->heap, MEMORY_SCRATCH, load, sizeof(*load));
    open->load = NULL;
    open->opened(open);
}

void partition_log_open(struct log_open_job *open)
{
    klamm_assert(open->options.shard != NULL);
    klamm_assert(open->opened != NULL);
    open->load = NULL;
    open->message[0] = '\0';
    open->job.step = open_step;
    open->job.done = open_done;
    open->job.job_class = JOB_DEVICE;
    loop_start_job(open->options.shard->loop, &open->job);
}

struct partition_log *partition_log_open_known(const struct partition_log_options *options,
                                               struct view state)
{
    struct heap *heap = options->shard->heap;
    struct partition_log *log = NULL;
    struct log_load load = {0};
    begin_load(&load, options, heap);
    if (options->clean && log_state_decode(&load, state, options->shard->loop->wall_ms))
        log = partition_log_create_loaded(options, &load);
    log_load_deinit(&load);
    return log;
}
