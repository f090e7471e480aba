/*
 * The start of all log directories, a job: one directory after the other through five phases.
 *
 *   open    make the directory when missing, take the lock, read meta.properties
 *   agree   one cluster id and one node id in all; write meta.properties where there is none
 *   list    the partition directories, each in one log directory only
 *   scan    read and delete the clean marker, read checkpoints and topic ids (a bounded number a
 *           step); nothing refuses any more, so the marker is not lost to a start that did nothing.
 *           Beside the marker lies what the clean stop kept of each log (log/state_file.h): where
 *           it still agrees with the directory, nothing in there is read
 *   journal complete the segment files from the journals (log/journal_replay.h)
 *
 * What a person has to repair (a lock, another cluster, a directory with a strange name) refuses
 * the start with one line. A device error takes only that directory offline, unless none is left or
 * it is the one with the metadata.
 */
#include "log/log_directory.h"

#include <stdarg.h>
#include <stdio.h>

#include "base/assert.h"
#include "base/list.h"
#include "base/text.h"
#include "log/file_content.h"
#include "log/journal.h"
#include "log/journal_replay.h"
#include "log/partition_metadata.h"
#include "log/segment.h"
#include "log/state_file.h"
#include "runtime/test_point.h"

enum { BOOT_ENTRIES_PER_STEP = 256, META_FILE_SIZE_MAX = 65536, MARKER_FILE_SIZE_MAX = 65536 };

enum boot_phase { BOOT_OPEN, BOOT_AGREE, BOOT_LIST, BOOT_SCAN, BOOT_TOPIC_IDS, BOOT_JOURNALS };

struct log_boot_progress {
    enum boot_phase phase;
    size_t directory;
    size_t entry;
    bool has_meta[LOG_DIRECTORY_COUNT_MAX];
    bool is_replaying;
    struct journal_replay replay;
    /* The state file of the directory at work, read beside its entries; both are sorted by name. */
    struct state_file_walk kept_walk;
    struct state_file_entry kept;
    bool has_kept; /* `kept` is not passed yet */
};

static void refuse(struct log_boot_job *boot, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

static void refuse(struct log_boot_job *boot, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(boot->message, sizeof(boot->message), format, arguments);
    va_end(arguments);
    boot->status = LOG_BOOT_REFUSED;
}

/* A device error: the directory is offline. */
static void fail_directory(struct log_boot_job *boot, const struct job_context *context,
                           struct log_directory_found *found, const char *what,
                           enum storage_status status)
{
    found->is_failed = true;
    log_error(context->diagnostics, "log directory %s is offline: cannot %s: %s", found->path.text,
              what, storage_status_text(status));
    struct text_builder message;
    if (boot->message[0] != 0)
        return;
    text_builder_init(&message, boot->message, sizeof(boot->message));
    text_append_format(&message, "log directory %s: cannot %s: %s", found->path.text, what,
                       storage_status_text(status));
}

/* ---- Open ------------------------------------------------------------------------------------ */

static void take_lock(struct log_boot_job *boot, const struct job_context *context,
                      struct log_directory_found *found)
{
    struct log_path path;
    if (!log_path_join(&path, found->path.text, LOG_DIRECTORY_LOCK_NAME)) {
        refuse(boot, "the path of log directory %s is too long", found->path.text);
        return;
    }
    struct storage_request lock = {.operation = STORAGE_LOCK, .path = path.text};
    enum storage_status status = storage_run(context->storage, &lock);
    if (status == STORAGE_LOCKED)
        refuse(boot, "log directory %s is in use by another process (its .lock is held)",
               found->path.text);
    else if (status == STORAGE_DENIED)
        refuse(boot, "log directory %s: no permission to write", found->path.text);
    else if (status != STORAGE_OK)
        fail_directory(boot, context, found, "lock it", status);
    else
        found->lock = lock.file;
}

/* Reads meta.properties; *present false when there is none. */
static void read_meta(struct log_boot_job *boot, const struct job_context *context,
                      struct log_directory_found *found, bool *present)
{
    struct log_path path;
    struct file_content content;
    const char *problem = NULL;
    *present = false;
    if (!log_path_join(&path, found->path.text, META_PROPERTIES_FILE_NAME))
        return;
    enum storage_status status =
        file_content_read(context->storage, path.text, context->heap, META_FILE_SIZE_MAX, &content);
    if (status == STORAGE_NOT_FOUND)
        return;
    if (status != STORAGE_OK) {
        fail_directory(boot, context, found, "read meta.properties", status);
        return;
    }
    struct arena arena;
    arena_init(&arena, context->heap, MEMORY_SCRATCH, 0);
    if (meta_properties_decode(file_content_view(&content), &arena, &found->meta, &problem))
        *present = true;
    else
        refuse(boot, "%s cannot be used: %s", path.text, problem);
    arena_deinit(&arena);
    file_content_release(&content);
}

static void open_directory(struct log_boot_job *boot, const struct job_context *context,
                           size_t index)
{
    struct log_directory_found *found = &boot->found[index];
    if (!log_path_set(&found->path, boot->paths[index])) {
        refuse(boot, "the path of log directory %s is too long", boot->paths[index]);
        return;
    }
    enum storage_status status = log_directory_make(context->storage, found->path.text);
    if (status == STORAGE_NOT_EMPTY)
        refuse(boot, "log directory %s: it, or a part of its path, is not a directory",
               found->path.text);
    else if (status == STORAGE_DENIED)
        refuse(boot, "log directory %s cannot be made: permission denied", found->path.text);
    else if (status != STORAGE_OK)
        fail_directory(boot, context, found, "make it", status);
    if (boot->status == LOG_BOOT_OK && !found->is_failed)
        take_lock(boot, context, found);
    if (boot->status == LOG_BOOT_OK && !found->is_failed)
        read_meta(boot, context, found, &boot->progress->has_meta[index]);
}

/* ---- Agree ----------------------------------------------------------------------------------- */

static void check_cluster_id(struct log_boot_job *boot, const struct log_directory_found *found)
{
    const char *id = found->meta.cluster_id;
    if (id[0] == 0)
        return;
    if (boot->cluster_id.size > 0 && !view_equal(boot->cluster_id, view_of_string(id)))
        refuse(boot, "log directory %s belongs to cluster %s, expected is cluster %.*s",
               found->path.text, id, (int)boot->cluster_id.size,
               (const char *)boot->cluster_id.data);
    else if (boot->cluster_id_found[0] == 0)
        memcpy(boot->cluster_id_found, id, strlen(id) + 1);
    else if (strcmp(boot->cluster_id_found, id) != 0)
        refuse(boot, "log directory %s belongs to cluster %s, another log directory to cluster %s",
               found->path.text, id, boot->cluster_id_found);
}

static void check_identity(struct log_boot_job *boot, size_t index)
{
    const struct log_directory_found *found = &boot->found[index];
    check_cluster_id(boot, found);
    if (boot->status != LOG_BOOT_OK)
        return;
    if (found->meta.node_id >= 0 && found->meta.node_id != boot->node_id) {
        refuse(boot, "log directory %s belongs to node %d, but node.id is %d", found->path.text,
               found->meta.node_id, boot->node_id);
        return;
    }
    for (size_t i = 0; i < index; i++) {
        if (boot->progress->has_meta[i] && !uuid_is_zero(found->meta.directory_id) &&
            uuid_equal(boot->found[i].meta.directory_id, found->meta.directory_id)) {
            refuse(boot,
                   "log directories %s and %s have the same directory.id; is one a copy of the "
                   "other?",
                   boot->found[i].path.text, found->path.text);
            return;
        }
    }
}

/* Writes meta.properties where it is missing, or where it is of version 0 or lacks ids. */
static void format_directory(struct log_boot_job *boot, const struct job_context *context,
                             size_t index)
{
    struct log_directory_found *found = &boot->found[index];
    if (boot->progress->has_meta[index] && found->meta.version == 1 &&
        !uuid_is_zero(found->meta.directory_id))
        return;
    bool may_format = boot->may_format && !(boot->metadata_must_be_formatted &&
                                            strcmp(boot->metadata_path, boot->paths[index]) == 0);
    if (!boot->progress->has_meta[index] && !may_format) {
        boot->is_unformatted = true;
        refuse(boot, "log directory %s is not formatted (it has no meta.properties)",
               found->path.text);
        return;
    }
    memcpy(found->meta.cluster_id, boot->cluster_id_found, sizeof(found->meta.cluster_id));
    found->meta.version = 1;
    found->meta.node_id = boot->node_id;
    if (uuid_is_zero(found->meta.directory_id))
        found->meta.directory_id = boot->new_directory_ids[index];
    enum storage_status status = log_directory_sync_names(context->storage, found->path.text);
    if (status == STORAGE_OK)
        status = log_directory_write_meta(context->storage, found->path.text, &found->meta);
    if (status != STORAGE_OK)
        fail_directory(boot, context, found, "write meta.properties", status);
    else
        found->is_formatted_now = !boot->progress->has_meta[index];
}

static void agree(struct log_boot_job *boot, const struct job_context *context)
{
    for (size_t i = 0; i < boot->path_count && boot->status == LOG_BOOT_OK; i++) {
        if (boot->progress->has_meta[i])
            check_identity(boot, i);
    }
    struct view id = boot->cluster_id.size > 0 ? boot->cluster_id : boot->new_cluster_id;
    if (boot->status == LOG_BOOT_OK && boot->cluster_id_found[0] == 0 &&
        (id.size == 0 ||
         !text_to_string(id, boot->cluster_id_found, sizeof(boot->cluster_id_found)))) {
        boot->is_unformatted = true;
        refuse(boot, "no log directory is formatted (%s has no meta.properties with a cluster.id)",
               boot->found[0].path.text);
    }
    for (size_t i = 0; i < boot->path_count && boot->status == LOG_BOOT_OK; i++) {
        if (!boot->found[i].is_failed)
            format_directory(boot, context, i);
    }
}

/* ---- List and scan
 * ------------------------------------------------------------------------------------ */

/* Remembers and removes the marker; the removal is durable before anything is loaded. */
static enum storage_status take_marker(const struct log_boot_job *boot,
                                       const struct job_context *context,
                                       struct log_directory_found *found)
{
    struct log_path path;
    struct file_content content;
    found->clean_broker_epoch = -1;
    if (!log_path_join(&path, found->path.text, LOG_DIRECTORY_CLEAN_MARKER_NAME))
        return STORAGE_LIMIT;
    enum storage_status status = file_content_read(context->storage, path.text, context->heap,
                                                   MARKER_FILE_SIZE_MAX, &content);
    if (status == STORAGE_NOT_FOUND && test_point(boot->job.loop, BUG_LOG_SKIP_BOOT_SYNC))
        return STORAGE_OK;
    if (status == STORAGE_NOT_FOUND && found->is_formatted_now)
        return STORAGE_OK;           /* synced just now, with its first file */
    if (status == STORAGE_NOT_FOUND) /* names that a dead process made may be in memory only */
        return storage_run_path(context->storage, STORAGE_SYNC_DIRECTORY, found->path.text, NULL);
    if (status != STORAGE_OK)
        return status;
    found->is_clean = true;
    found->clean_broker_epoch = log_directory_parse_clean_marker(file_content_view(&content));
    file_content_release(&content);
    if (test_point(boot->job.loop, BUG_LOG_KEEP_CLEAN_MARKER))
        return STORAGE_OK;
    status = storage_run_path(context->storage, STORAGE_UNLINK, path.text, NULL);
    if (status == STORAGE_OK)
        status = storage_run_path(context->storage, STORAGE_SYNC_DIRECTORY, found->path.text, NULL);
    return status;
}

/* Reads one checkpoint; an invalid one is said and taken as empty. */
static enum storage_status take_checkpoint(struct log_boot_job *boot,
                                           const struct job_context *context,
                                           const struct log_directory_found *found,
                                           const char *name, struct checkpoint *checkpoint)
{
    bool valid;
    enum storage_status status =
        checkpoint_read(context->storage, found->path.text, name, &boot->arena, checkpoint, &valid);
    if (status == STORAGE_OK && !valid)
        log_warn(context->diagnostics, "%s/%s is damaged and not used", found->path.text, name);
    return status;
}

/* Turns the listing into entries; refuses names that are none of ours. */
static void take_listing(struct log_boot_job *boot, struct log_directory_found *found,
                         const struct storage_listing *listing)
{
    found->entries = arena_must_get(&boot->arena, listing->count, sizeof(*found->entries));
    for (size_t i = 0; i < listing->count; i++) {
        const char *name = listing->entries[i].name;
        struct directory_name parsed;
        found->has_journals |= strncmp(name, JOURNAL_NAME_PREFIX, strlen(JOURNAL_NAME_PREFIX)) == 0;
        if (!listing->entries[i].is_directory)
            continue;
        if (!directory_name_parse(name, &parsed)) {
            refuse(boot,
                   "log directory %s contains the directory %s, which is no partition directory; "
                   "move it away, or use a directory of its own for the log",
                   found->path.text, name);
            return;
        }
        if (view_equal(parsed.topic, VIEW_LITERAL(DIRECTORY_METADATA_TOPIC)) &&
            parsed.kind == DIRECTORY_PLAIN)
            continue;
        struct view copy = arena_copy(&boot->arena, view_of(name, strlen(name) + 1));
        struct log_directory_entry *entry = &found->entries[found->entry_count++];
        entry->name = (const char *)copy.data;
        directory_name_parse(entry->name, &entry->parsed);
    }
}

static void look_up_offsets(struct log_directory_found *found,
                            const struct checkpoint *recovery_points,
                            const struct checkpoint *log_starts,
                            const struct checkpoint *high_watermarks,
                            const struct checkpoint *cleaner)
{
    for (size_t i = 0; i < found->entry_count; i++) {
        struct log_directory_entry *entry = &found->entries[i];
        struct view topic = entry->parsed.topic;
        int32_t partition = entry->parsed.partition;
        if (entry->parsed.kind != DIRECTORY_PLAIN)
            continue;
        int64_t recovery_point = checkpoint_find(recovery_points, topic, partition, -1);
        entry->is_checkpointed = recovery_point >= 0;
        entry->recovery_point = entry->is_checkpointed ? recovery_point : 0;
        entry->log_start_offset = checkpoint_find(log_starts, topic, partition, 0);
        entry->high_watermark = checkpoint_find(high_watermarks, topic, partition, 0);
        entry->cleaner_offset = checkpoint_find(cleaner, topic, partition, -1);
    }
}

static void list_directory(struct log_boot_job *boot, const struct job_context *context,
                           size_t index)
{
    struct log_directory_found *found = &boot->found[index];
    struct storage_listing *listing = NULL;
    enum storage_status status =
        storage_run_list(context->storage, found->path.text, context->heap, &listing);
    if (status != STORAGE_OK) {
        fail_directory(boot, context, found, "list it", status);
        return;
    }
    take_listing(boot, found, listing);
    storage_listing_release(listing);
}

static void scan_directory(struct log_boot_job *boot, const struct job_context *context,
                           size_t index)
{
    struct log_directory_found *found = &boot->found[index];
    struct checkpoint recovery_points, log_starts, high_watermarks, cleaner;
    enum storage_status status = take_marker(boot, context, found);
    if (status == STORAGE_OK)
        status = take_checkpoint(boot, context, found, CHECKPOINT_RECOVERY_POINT, &recovery_points);
    if (status == STORAGE_OK)
        status = take_checkpoint(boot, context, found, CHECKPOINT_LOG_START_OFFSET, &log_starts);
    if (status == STORAGE_OK)
        status = take_checkpoint(boot, context, found, CHECKPOINT_HIGH_WATERMARK, &high_watermarks);
    if (status == STORAGE_OK)
        status = take_checkpoint(boot, context, found, CHECKPOINT_CLEANER, &cleaner);
    if (status != STORAGE_OK) {
        fail_directory(boot, context, found, "read it", status);
        return;
    }
    look_up_offsets(found, &recovery_points, &log_starts, &high_watermarks, &cleaner);
}

/* Reads the state file of a cleanly stopped directory; without it the start takes longer. */
static void take_states(struct log_boot_job *boot, const struct job_context *context,
                        struct log_directory_found *found)
{
    struct log_boot_progress *progress = boot->progress;
    struct log_path path;
    progress->has_kept = false;
    if (!found->is_clean || !log_path_join(&path, found->path.text, STATE_FILE_NAME))
        return;
    enum storage_status status = file_content_read(context->storage, path.text, context->heap,
                                                   STATE_FILE_SIZE_MAX, &found->state);
    if (status != STORAGE_OK)
        return;
    if (state_file_open(&progress->kept_walk, file_content_view(&found->state),
                        found->clean_broker_epoch))
        progress->has_kept = state_file_next(&progress->kept_walk, &progress->kept);
}

/* Whether size and time on the device are what the clean stop left. */
static bool is_as_kept(struct storage storage, const char *directory,
                       const struct state_file_entry *kept)
{
    struct log_path path;
    struct storage_request stat = {.operation = STORAGE_STAT, .path = directory};
    if (storage_run(storage, &stat) != STORAGE_OK || !stat.result_is_directory ||
        stat.result_modified_ms != kept->directory_modified_ms ||
        !log_path_of_offset(&path, directory, kept->active_base_offset, SEGMENT_LOG_SUFFIX))
        return false;
    stat = (struct storage_request){.operation = STORAGE_STAT, .path = path.text};
    return storage_run(storage, &stat) == STORAGE_OK && !stat.result_is_directory &&
           stat.result_size == kept->active_size;
}

/* Finds what was kept of an entry; false: nothing, or it is not true any more. */
static bool take_kept(struct log_boot_progress *progress, struct storage storage,
                      const char *directory, struct log_directory_entry *entry)
{
    struct view name = view_of_string(entry->name);
    int order = -1;
    while (progress->has_kept && (order = state_file_compare_names(progress->kept.name, name)) < 0)
        progress->has_kept = state_file_next(&progress->kept_walk, &progress->kept);
    if (!progress->has_kept || order != 0 || entry->parsed.kind != DIRECTORY_PLAIN ||
        !is_as_kept(storage, directory, &progress->kept))
        return false;
    entry->topic_id = progress->kept.topic_id;
    entry->state = progress->kept.state;
    return true;
}

/* Reads a bounded number of topic ids; true when the directory is done. */
static bool read_topic_ids(struct log_boot_job *boot, const struct job_context *context,
                           size_t index)
{
    struct log_directory_found *found = &boot->found[index];
    size_t *next = &boot->progress->entry;
    if (*next == 0)
        take_states(boot, context, found);
    for (int i = 0; i < BOOT_ENTRIES_PER_STEP && *next < found->entry_count; i++, (*next)++) {
        struct log_directory_entry *entry = &found->entries[*next];
        struct log_path path;
        bool valid;
        if (entry->parsed.kind == DIRECTORY_DELETE ||
            !log_path_join(&path, found->path.text, entry->name) ||
            take_kept(boot->progress, context->storage, path.text, entry))
            continue;
        enum storage_status status = partition_metadata_load(
            context->storage, path.text, context->heap, &entry->topic_id, &valid);
        if (status != STORAGE_OK && status != STORAGE_NOT_FOUND) {
            fail_directory(boot, context, found, "read a partition.metadata", status);
            return true;
        }
        if (!valid)
            entry->topic_id = UUID_ZERO;
    }
    return *next == found->entry_count;
}

static void forget_states(struct log_directory_found *found)
{
    file_content_release(&found->state);
    for (size_t i = 0; i < found->entry_count; i++)
        found->entries[i].state = VIEW_NULL;
}

/* One piece of the replay; true when the directory is done. */
static bool replay_journals(struct log_boot_job *boot, const struct job_context *context,
                            size_t index)
{
    struct log_directory_found *found = &boot->found[index];
    struct journal_replay *replay = &boot->progress->replay;
    bool is_finished;
    if (!found->has_journals)
        return true;
    if (!boot->progress->is_replaying)
        journal_replay_init(replay, found);
    boot->progress->is_replaying = true;
    enum storage_status status = journal_replay_step(replay, context, &is_finished);
    if (status == STORAGE_OK && !is_finished)
        return false;
    if (status != STORAGE_OK)
        fail_directory(boot, context, found, "replay its journals", status);
    else if (replay->source_count > 0)
        log_info(context->diagnostics,
                 "log directory %s: journals completed the files: %llu appends written (%llu "
                 "bytes), %llu were there, %llu void, %llu behind gaps, %llu in conflict",
                 found->path.text, (unsigned long long)replay->written_count,
                 (unsigned long long)replay->written_bytes,
                 (unsigned long long)replay->present_count, (unsigned long long)replay->void_count,
                 (unsigned long long)replay->gap_count, (unsigned long long)replay->conflict_count);
    if (replay->source_count > 0)
        forget_states(found); /* files may have changed */
    journal_replay_release(replay, context);
    boot->progress->is_replaying = false;
    return true;
}

/* The same partition in two live directories cannot be loaded: which one is true? */
static void check_twins(struct log_boot_job *boot)
{
    for (size_t a = 0; a < boot->path_count; a++) {
        for (size_t b = a + 1; b < boot->path_count; b++) {
            const struct log_directory_found *left = &boot->found[a];
            const struct log_directory_found *right = &boot->found[b];
            size_t i = 0, j = 0;
            while (i < left->entry_count && j < right->entry_count) {
                int order = strcmp(left->entries[i].name, right->entries[j].name);
                if (order == 0 && left->entries[i].parsed.kind == DIRECTORY_PLAIN) {
                    refuse(boot, "partition %s is in both %s and %s", left->entries[i].name,
                           left->path.text, right->path.text);
                    return;
                }
                i += order <= 0;
                j += order >= 0;
            }
        }
    }
}

/* ---- The job --------------------------------------------------------------------------------- */

/* After the last directory: is enough left to go on? */
static enum job_progress finish(struct log_boot_job *boot, const struct job_context *context)
{
    size_t alive = 0;
    for (size_t i = 0; i < boot->path_count; i++) {
        const struct log_directory_found *found = &boot->found[i];
        alive += !found->is_failed;
        if (found->is_failed && boot->metadata_path &&
            strcmp(boot->metadata_path, boot->paths[i]) == 0 && boot->status == LOG_BOOT_OK)
            boot->status = LOG_BOOT_IO;
    }
    if (alive == 0 && boot->status == LOG_BOOT_OK)
        boot->status = LOG_BOOT_IO;
    if (boot->status == LOG_BOOT_OK)
        boot->message[0] = 0;
    heap_put(context->heap, MEMORY_SCRATCH, boot->progress, sizeof(*boot->progress));
    boot->progress = NULL;
    return JOB_FINISHED;
}

static void begin(struct log_boot_job *boot, const struct job_context *context)
{
    klamm_assert(boot->path_count > 0 && boot->path_count <= LOG_DIRECTORY_COUNT_MAX);
    arena_init(&boot->arena, context->heap, MEMORY_STATE, 0);
    boot->progress = heap_must_get(context->heap, MEMORY_SCRATCH, sizeof(*boot->progress));
    boot->found = arena_must_get(&boot->arena, boot->path_count, sizeof(*boot->found));
}

/* One piece of the current phase for the current directory. */
static void step_directory(struct log_boot_job *boot, const struct job_context *context)
{
    struct log_boot_progress *progress = boot->progress;
    size_t index = progress->directory;
    bool is_alive = !boot->found[index].is_failed;
    bool is_done = true;
    if (progress->phase == BOOT_OPEN)
        open_directory(boot, context, index);
    else if (progress->phase == BOOT_LIST && is_alive)
        list_directory(boot, context, index);
    else if (progress->phase == BOOT_SCAN && is_alive)
        scan_directory(boot, context, index);
    else if (progress->phase == BOOT_TOPIC_IDS && is_alive)
        is_done = read_topic_ids(boot, context, index);
    else if (progress->phase == BOOT_JOURNALS && is_alive)
        is_done = replay_journals(boot, context, index);
    if (!is_done)
        return;
    progress->entry = 0;
    progress->directory++;
}

static enum job_progress log_boot_step(struct job *job, const struct job_context *context)
{
    struct log_boot_job *boot = container_of(job, struct log_boot_job, job);
    if (!boot->progress)
        begin(boot, context);
    struct log_boot_progress *progress = boot->progress;
    if (progress->phase == BOOT_AGREE) {
        agree(boot, context);
        progress->phase = BOOT_LIST;
    } else {
        step_directory(boot, context);
        if (progress->directory == boot->path_count) {
            if (progress->phase == BOOT_JOURNALS)
                return finish(boot, context);
            if (progress->phase == BOOT_LIST)
                check_twins(boot);
            progress->phase++;
            progress->directory = 0;
        }
    }
    if (boot->status == LOG_BOOT_OK)
        return JOB_MORE;
    return finish(boot, context);
}

void log_boot_init(struct log_boot_job *boot)
{
    boot->job.step = log_boot_step;
    boot->job.job_class = JOB_DEVICE;
    boot->status = LOG_BOOT_OK;
    boot->message[0] = 0;
    boot->cluster_id_found[0] = 0;
    boot->found = NULL;
    boot->progress = NULL;
}

void log_boot_forget_states(struct log_boot_job *boot)
{
    for (size_t i = 0; boot->found && i < boot->path_count; i++)
        forget_states(&boot->found[i]);
}

void log_boot_release(struct log_boot_job *boot)
{
    log_boot_forget_states(boot);
    boot->found = NULL;
    arena_deinit(&boot->arena);
}
