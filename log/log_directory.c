/*
 * How it works: the single acts on a log directory (identity, marker, deletion). Deleting a
 * partition is two-phased: a rename that is durable takes it out of sight at once, removing the
 * files may then take its time and is resumed by the next start.
 */
#include "log/log_directory.h"

#include "base/text.h"
#include "log/file_content.h"

/* Makes one directory and its name durable in its parent. */
static enum storage_status make_directory(struct storage storage, const char *path)
{
    struct log_path parent;
    enum storage_status status = storage_run_path(storage, STORAGE_MAKE_DIRECTORY, path, NULL);
    if (status == STORAGE_EXISTS)
        return STORAGE_OK;
    if (status != STORAGE_OK || !log_path_set(&parent, path))
        return status;
    char *slash = strrchr(parent.text, '/');
    if (!slash)
        return storage_run_path(storage, STORAGE_SYNC_DIRECTORY, ".", NULL);
    slash[slash == parent.text] = 0;
    return storage_run_path(storage, STORAGE_SYNC_DIRECTORY, parent.text, NULL);
}

enum storage_status log_directory_make(struct storage storage, const char *path)
{
    struct log_path part;
    if (!log_path_set(&part, path))
        return STORAGE_LIMIT;
    size_t size = strlen(path);
    for (size_t i = 1; i <= size; i++) {
        if ((path[i] != '/' && path[i] != 0) || path[i - 1] == '/')
            continue;
        part.text[i] = 0;
        struct storage_request stat = {.operation = STORAGE_STAT, .path = part.text};
        enum storage_status status = storage_run(storage, &stat);
        if (status == STORAGE_NOT_FOUND)
            status = make_directory(storage, part.text);
        else if (status == STORAGE_OK && !stat.result_is_directory)
            return STORAGE_NOT_EMPTY;
        if (status != STORAGE_OK)
            return status;
        part.text[i] = path[i];
    }
    return STORAGE_OK;
}

enum storage_status log_directory_sync_names(struct storage storage, const char *path)
{
    struct log_path part;
    if (!log_path_set(&part, path))
        return STORAGE_LIMIT;
    for (char *slash; (slash = strrchr(part.text, '/')) != NULL && part.text[1] != 0;) {
        slash[slash == part.text] = 0;
        if (storage_run_path(storage, STORAGE_SYNC_DIRECTORY, part.text, NULL) == STORAGE_IO)
            return STORAGE_IO;
    }
    return STORAGE_OK;
}

enum storage_status log_directory_write_meta(struct storage storage, const char *path,
                                             const struct meta_properties *meta)
{
    char text[META_PROPERTIES_SIZE_MAX];
    size_t size = meta_properties_encode(meta, text, sizeof(text));
    if (size == 0)
        return STORAGE_LIMIT;
    return file_content_replace(storage, path, META_PROPERTIES_FILE_NAME, view_of(text, size));
}

enum storage_status log_directory_write_clean_marker(struct storage storage, const char *path,
                                                     int64_t broker_epoch)
{
    char text[64];
    struct text_builder builder;
    text_builder_init(&builder, text, sizeof(text));
    text_append_format(&builder, "{\"version\":0,\"brokerEpoch\":%lld}", (long long)broker_epoch);
    return file_content_replace(storage, path, LOG_DIRECTORY_CLEAN_MARKER_NAME,
                                text_builder_view(&builder));
}

/* Skips blanks, then an optional minus and digits. */
static struct view number_at(struct view text, size_t start)
{
    while (start < text.size && (text.data[start] == ' ' || text.data[start] == ':'))
        start++;
    size_t end = start;
    while (end < text.size &&
           (text.data[end] == '-' || (text.data[end] >= '0' && text.data[end] <= '9')))
        end++;
    return view_of(text.data + start, end - start);
}

int64_t log_directory_parse_clean_marker(struct view text)
{
    static const char name[] = "\"brokerEpoch\"";
    size_t name_size = sizeof(name) - 1;
    int64_t epoch;
    for (size_t i = 0; i + name_size <= text.size; i++) {
        if (memcmp(text.data + i, name, name_size) != 0)
            continue;
        if (text_parse_i64(number_at(text, i + name_size), -1, INT64_MAX, &epoch))
            return epoch;
    }
    return -1;
}

enum storage_status log_directory_mark(struct storage storage, const char *log_directory,
                                       struct view topic, int32_t partition,
                                       enum directory_kind kind, struct uuid unique_id,
                                       struct log_path *renamed)
{
    char old_name[LOG_FILE_NAME_MAX + 1];
    char new_name[LOG_FILE_NAME_MAX + 1];
    struct log_path old;
    if (!directory_name_format(old_name, topic, partition, DIRECTORY_PLAIN, unique_id) ||
        !directory_name_format(new_name, topic, partition, kind, unique_id) ||
        !log_path_join(&old, log_directory, old_name) ||
        !log_path_join(renamed, log_directory, new_name))
        return STORAGE_LIMIT;
    enum storage_status status = storage_run_path(storage, STORAGE_RENAME, old.text, renamed->text);
    if (status != STORAGE_OK)
        return status;
    return storage_run_path(storage, STORAGE_SYNC_DIRECTORY, log_directory, NULL);
}

enum storage_status log_directory_remove(struct storage storage, const char *path,
                                         struct heap *scratch, size_t budget, bool *is_finished)
{
    struct storage_listing *listing = NULL;
    *is_finished = false;
    enum storage_status status = storage_run_list(storage, path, scratch, &listing);
    if (status == STORAGE_NOT_FOUND) {
        *is_finished = true;
        return STORAGE_OK;
    }
    if (status != STORAGE_OK)
        return status;
    size_t count = listing->count < budget ? listing->count : budget;
    for (size_t i = 0; i < count && status == STORAGE_OK; i++) {
        struct log_path file;
        enum storage_operation operation =
            listing->entries[i].is_directory ? STORAGE_REMOVE_DIRECTORY : STORAGE_UNLINK;
        if (log_path_join(&file, path, listing->entries[i].name))
            status = storage_run_path(storage, operation, file.text, NULL);
        else
            status = STORAGE_LIMIT;
        if (status == STORAGE_NOT_FOUND)
            status = STORAGE_OK;
    }
    bool is_empty = count == listing->count;
    storage_listing_release(listing);
    if (status != STORAGE_OK || !is_empty)
        return status;
    status = storage_run_path(storage, STORAGE_REMOVE_DIRECTORY, path, NULL);
    *is_finished = status == STORAGE_OK || status == STORAGE_NOT_FOUND;
    return *is_finished ? STORAGE_OK : status;
}
