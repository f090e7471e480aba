/*
 * One step: the directory holds a handful of names, and the snapshot is read in one go because
 * nothing else runs yet. Leftovers of interrupted writes (.part, .deleted, .tmp) are removed first.
 */
#include "cluster/quorum/quorum_boot.h"

#include <stdio.h>

#include "base/list.h"
#include "base/text.h"

enum { SNAPSHOT_BYTES_MAX = INT32_MAX };

static void refuse(struct quorum_boot *boot, const char *what, enum storage_status status)
{
    boot->is_refused = true;
    snprintf(boot->message, sizeof(boot->message), "%.150s: %s (%s)", boot->directory.text, what,
             storage_status_text(status));
}

static bool make_directory(struct quorum_boot *boot, struct storage storage)
{
    /* Its name is made durable before bootstrap.checkpoint is there, or when the log is made. */
    enum storage_status status =
        storage_run_path(storage, STORAGE_MAKE_DIRECTORY, boot->directory.text, NULL);
    if (status == STORAGE_OK || status == STORAGE_EXISTS)
        return true;
    refuse(boot, "cannot be made", status);
    return false;
}

static bool is_leftover(struct view name)
{
    return text_ends_with(name, VIEW_LITERAL(SNAPSHOT_PART_SUFFIX)) ||
           text_ends_with(name, VIEW_LITERAL(SNAPSHOT_DELETED_SUFFIX)) ||
           text_ends_with(name, VIEW_LITERAL(".tmp"));
}

static void look_at(struct quorum_boot *boot, struct storage storage, const char *name)
{
    struct view text = view_of_string(name);
    struct log_path path;
    struct snapshot_id id;
    if (is_leftover(text)) {
        if (log_path_join(&path, boot->directory.text, name))
            storage_run_path(storage, STORAGE_UNLINK, path.text, NULL);
    } else if (snapshot_name_parse(name, &id)) {
        if (!boot->has_snapshot || id.end_offset > boot->snapshot.end_offset ||
            (id.end_offset == boot->snapshot.end_offset && id.epoch > boot->snapshot.epoch))
            boot->snapshot = id;
        if (!boot->has_snapshot || id.end_offset < boot->oldest.end_offset)
            boot->oldest = id;
        boot->has_snapshot = true;
    } else if (text_ends_with(text, VIEW_LITERAL(".log"))) {
        boot->has_log = true;
    }
}

static bool list_directory(struct quorum_boot *boot, struct storage storage, struct heap *heap)
{
    struct storage_listing *listing;
    enum storage_status status = storage_run_list(storage, boot->directory.text, heap, &listing);
    if (status != STORAGE_OK) {
        refuse(boot, "cannot be listed", status);
        return false;
    }
    for (size_t i = 0; i < listing->count; i++)
        look_at(boot, storage, listing->entries[i].name);
    storage_listing_release(listing);
    return true;
}

static bool write_checkpoint(struct quorum_boot *boot, const struct job_context *context,
                             const char *directory, const char *name,
                             const struct snapshot_voters *voters, const struct view *values,
                             size_t count)
{
    struct snapshot_writer writer;
    bool ok = snapshot_writer_begin(&writer, context->storage, context->heap, directory,
                                    (struct snapshot_id){0, 0}, 0, context->wall_ms, voters) &&
              snapshot_writer_append(&writer, values, count) &&
              snapshot_writer_finish(&writer, name);
    if (!ok) {
        refuse(boot, "cannot be formatted", writer.status);
        snapshot_writer_abort(&writer);
    }
    return ok;
}

static bool format(struct quorum_boot *boot, const struct job_context *context)
{
    if (!boot->may_format) {
        boot->is_refused = true;
        snprintf(boot->message, sizeof(boot->message), "%.200s is not formatted",
                 boot->log_directory.text);
        return false;
    }
    if (!boot->static_voters) {
        uint8_t version[16];
        uint8_t voters[VOTERS_SOLE_SIZE_MAX];
        size_t version_size =
            voters_encode_kraft_version(KRAFT_VERSION_DYNAMIC, version, sizeof(version));
        size_t voters_size = voters_encode_sole(&boot->voter, voters, sizeof(voters));
        struct snapshot_voters values = {view_of(version, version_size),
                                         view_of(voters, voters_size)};
        if (!write_checkpoint(boot, context, boot->directory.text, NULL, &values, NULL, 0))
            return false;
        boot->has_snapshot = true;
        boot->snapshot = (struct snapshot_id){0, 0};
    }
    /* Nobody formats again who finds bootstrap.checkpoint: what lies beside it must stay, too. */
    enum storage_status status =
        storage_run_path(context->storage, STORAGE_SYNC_DIRECTORY, boot->log_directory.text, NULL);
    if (status != STORAGE_OK) {
        refuse(boot, "cannot be formatted", status);
        return false;
    }
    return write_checkpoint(boot, context, boot->log_directory.text, QUORUM_BOOTSTRAP_NAME, NULL,
                            boot->bootstrap, boot->bootstrap_count);
}

/*
 * A process that was killed may have written the file and not synced it. What it says counts only
 * when a power cut cannot take it back: this node answers by it, and must not vote twice.
 */
static bool keep_state(struct quorum_boot *boot, const struct job_context *context,
                       struct view content)
{
    bool has_others = boot->has_others || (boot->is_reachable && boot->state.version > 0);
    if (!has_others || boot->is_observer)
        return true;
    enum storage_status status = file_content_replace(context->storage, boot->directory.text,
                                                      QUORUM_STATE_FILE_NAME, content);
    if (status != STORAGE_OK)
        refuse(boot, "quorum-state cannot be written", status);
    return status == STORAGE_OK;
}

static bool read_state(struct quorum_boot *boot, const struct job_context *context)
{
    struct log_path path;
    struct file_content content;
    if (!log_path_join(&path, boot->directory.text, QUORUM_STATE_FILE_NAME))
        return false;
    enum storage_status status = file_content_read(context->storage, path.text, context->heap,
                                                   QUORUM_STATE_SIZE_MAX, &content);
    if (status == STORAGE_NOT_FOUND)
        return true;
    if (status != STORAGE_OK) {
        refuse(boot, "quorum-state cannot be read", status);
        return false;
    }
    boot->has_state = quorum_state_decode(file_content_view(&content), &boot->state);
    if (!boot->has_state)
        refuse(boot, "quorum-state is damaged", STORAGE_OK);
    bool ok = boot->has_state && keep_state(boot, context, file_content_view(&content));
    file_content_release(&content);
    return ok;
}

static bool read_snapshot(struct quorum_boot *boot, const struct job_context *context)
{
    if (!boot->has_snapshot)
        return true;
    char name[SNAPSHOT_NAME_SIZE];
    snapshot_name_format(boot->snapshot, SNAPSHOT_SUFFIX, name);
    struct log_path path;
    enum storage_status status = STORAGE_LIMIT;
    if (log_path_join(&path, boot->directory.text, name))
        status = file_content_read(context->storage, path.text, context->heap, SNAPSHOT_BYTES_MAX,
                                   &boot->snapshot_content);
    if (status != STORAGE_OK)
        refuse(boot, "the newest snapshot cannot be read", status);
    return status == STORAGE_OK;
}

/* Sets `found` and keeps the content, which the first leader of an empty log appends. */
static bool read_bootstrap(struct quorum_boot *boot, const struct job_context *context, bool *found)
{
    struct log_path path;
    enum storage_status status = STORAGE_LIMIT;
    if (log_path_join(&path, boot->log_directory.text, QUORUM_BOOTSTRAP_NAME))
        status = file_content_read(context->storage, path.text, context->heap, 1 << 20,
                                   &boot->bootstrap_content);
    *found = status == STORAGE_OK;
    if (status == STORAGE_OK || status == STORAGE_NOT_FOUND)
        return true;
    refuse(boot, "bootstrap.checkpoint cannot be read", status);
    return false;
}

static enum job_progress boot_step(struct job *job, const struct job_context *context)
{
    struct quorum_boot *boot = container_of(job, struct quorum_boot, job);
    bool has_bootstrap = false;
    if (!log_path_join(&boot->directory, boot->log_directory.text, QUORUM_DIRECTORY_NAME)) {
        refuse(boot, "the path is too long", STORAGE_LIMIT);
        return JOB_FINISHED;
    }
    if (!make_directory(boot, context->storage) ||
        !list_directory(boot, context->storage, context->heap) ||
        !read_bootstrap(boot, context, &has_bootstrap))
        return JOB_FINISHED;
    bool is_empty =
        !boot->has_log && !has_bootstrap && !(boot->has_snapshot && boot->snapshot.end_offset > 0);
    if (is_empty && !boot->is_observer &&
        (!format(boot, context) || !read_bootstrap(boot, context, &has_bootstrap)))
        return JOB_FINISHED;
    if (read_state(boot, context))
        read_snapshot(boot, context);
    return JOB_FINISHED;
}

void quorum_boot_init(struct quorum_boot *boot)
{
    *boot = (struct quorum_boot){.job = {.step = boot_step, .job_class = JOB_DEVICE}};
    quorum_state_init(&boot->state, 1);
}

void quorum_boot_release(struct quorum_boot *boot)
{
    file_content_release(&boot->snapshot_content);
    file_content_release(&boot->bootstrap_content);
}
