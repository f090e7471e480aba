/* An item at a time; a removal takes as many steps as it has files, in bounded pieces. */
#include "broker/sweep.h"

enum { FILES_PER_STEP = 64 };

struct sweep_item {
    const char *log_directory;
    const struct log_directory_entry *entry;
    struct log_path path;
    struct uuid unique_id;
    enum storage_status status;
};

/* By name alone: an older topic's directory of that name is renamed when the partition is opened.
 */
static bool belongs_here(const struct image *image, const struct log_directory_entry *entry,
                         int32_t node_id)
{
    const struct image_topic *topic = image_topic_by_name(image, entry->parsed.topic);
    if (!topic)
        return false;
    const struct image_partition *partition = image_topic_partition(topic, entry->parsed.partition);
    return partition && node_list_contains(image_partition_replicas(partition), node_id);
}

static bool is_to_be_swept(const struct sweep_input *input, enum sweep_what what,
                           const struct log_directory_entry *entry)
{
    if (what == SWEEP_DELETED)
        return entry->parsed.kind == DIRECTORY_DELETE;
    return entry->parsed.kind == DIRECTORY_PLAIN &&
           !belongs_here(input->image, entry, input->node_id);
}

static enum job_progress sweep_step(struct job *job, const struct job_context *context)
{
    struct sweep *sweep = container_of(job, struct sweep, job);
    struct sweep_item *item = &sweep->items[sweep->at];
    const struct directory_name *name = &item->entry->parsed;
    bool finished = true;
    if (name->kind == DIRECTORY_PLAIN)
        item->status =
            log_directory_mark(context->storage, item->log_directory, name->topic, name->partition,
                               DIRECTORY_STRAY, item->unique_id, &item->path);
    else
        item->status = log_directory_remove(context->storage, item->path.text, context->heap,
                                            FILES_PER_STEP, &finished);
    if (finished || item->status != STORAGE_OK)
        sweep->at++;
    return sweep->at < sweep->count ? JOB_MORE : JOB_FINISHED;
}

static void sweep_done(struct job *job)
{
    struct sweep *sweep = container_of(job, struct sweep, job);
    const struct diagnostics *diagnostics = sweep->loop->diagnostics;
    for (size_t i = 0; i < sweep->count; i++) {
        const struct sweep_item *item = &sweep->items[i];
        const char *what =
            item->entry->parsed.kind == DIRECTORY_PLAIN ? "not in the metadata" : "deleted";
        if (item->status != STORAGE_OK)
            log_warn(diagnostics, "cannot sweep %s/%s (%s): %s", item->log_directory,
                     item->entry->name, what, storage_status_text(item->status));
        else if (item->entry->parsed.kind == DIRECTORY_PLAIN)
            log_warn(diagnostics, "partition %s is %s; kept as %s", item->entry->name, what,
                     item->path.text);
    }
    arena_deinit(&sweep->arena);
    if (sweep->done)
        sweep->done(sweep);
}

static void add_items(struct sweep *sweep, enum sweep_what what, const struct sweep_input *input,
                      const struct log_directory_found *found)
{
    for (size_t i = 0; !found->is_failed && i < found->entry_count; i++) {
        const struct log_directory_entry *entry = &found->entries[i];
        if (!is_to_be_swept(input, what, entry))
            continue;
        struct sweep_item *item = &sweep->items[sweep->count];
        item->log_directory = found->path.text;
        item->entry = entry;
        loop_entropy(sweep->loop, item->unique_id.bytes, UUID_SIZE);
        if (log_path_join(&item->path, found->path.text, entry->name))
            sweep->count++;
    }
}

static size_t count_items(enum sweep_what what, const struct sweep_input *input)
{
    size_t count = 0;
    for (size_t i = 0; i < input->directories->count; i++) {
        const struct log_directory_found *found = &input->directories->found[i];
        for (size_t j = 0; j < found->entry_count; j++)
            count += is_to_be_swept(input, what, &found->entries[j]);
    }
    return count;
}

void sweep_start(struct sweep *sweep, struct loop *loop, enum sweep_what what,
                 const struct sweep_input *input, void (*done)(struct sweep *sweep))
{
    *sweep = (struct sweep){.loop = loop, .done = done};
    arena_init(&sweep->arena, loop->heap, MEMORY_STATE, 0);
    size_t capacity = count_items(what, input);
    if (capacity > 0) {
        sweep->items = arena_must_get(&sweep->arena, capacity, sizeof(*sweep->items));
        for (size_t i = 0; i < input->directories->count; i++)
            add_items(sweep, what, input, &input->directories->found[i]);
    }
    sweep->job.step = sweep_step;
    sweep->job.done = sweep_done;
    sweep->job.job_class = what == SWEEP_STRAYS ? JOB_DEVICE : JOB_BACKGROUND;
    if (sweep->count > 0)
        loop_start_job(loop, &sweep->job);
    else
        sweep_done(&sweep->job);
}
