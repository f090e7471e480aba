/*
 * How it works: reading opens, learns the size, reads once and closes. Replacing goes through
 * "<name>.tmp"; when a step fails the temporary file is removed as far as possible and the status
 * of the first failure is returned.
 */
#include "log/file_content.h"

#include "log/log_path.h"

enum storage_status file_content_read(struct storage storage, const char *path, struct heap *heap,
                                      size_t size_max, struct file_content *content)
{
    *content = (struct file_content){.heap = heap};
    struct storage_file *file = NULL;
    uint64_t size = 0;
    enum storage_status status = storage_run_open(storage, path, STORAGE_FLAG_READ, &file, &size);
    if (status != STORAGE_OK)
        return status;
    uint8_t *data = NULL;
    size_t read_size = 0;
    if (size > size_max)
        status = STORAGE_NOT_EMPTY;
    else if ((data = heap_get(heap, MEMORY_SCRATCH, (size_t)size + 1)) == NULL)
        status = STORAGE_LIMIT;
    else
        status = storage_run_read(storage, file, 0, data, (size_t)size, &read_size);
    storage_run_close(storage, file);
    if (status == STORAGE_OK && read_size != size)
        status = STORAGE_IO;
    if (status != STORAGE_OK) {
        heap_put(heap, MEMORY_SCRATCH, data, (size_t)size + 1);
        return status;
    }
    data[size] = 0;
    content->data = data;
    content->size = (size_t)size;
    return STORAGE_OK;
}

void file_content_release(struct file_content *content)
{
    if (content->data)
        heap_put(content->heap, MEMORY_SCRATCH, content->data, content->size + 1);
    content->data = NULL;
    content->size = 0;
}

/* Makes the temporary file with its content, synced and closed. */
static enum storage_status write_temporary(struct storage storage, const char *path,
                                           struct view content)
{
    struct storage_file *file = NULL;
    enum storage_status status =
        storage_run_open(storage, path, STORAGE_FLAG_WRITE | STORAGE_FLAG_CREATE, &file, NULL);
    if (status != STORAGE_OK)
        return status;
    status = storage_run_truncate(storage, file, 0);
    if (status == STORAGE_OK && content.size > 0)
        status = storage_run_write(storage, file, 0, content.data, content.size);
    if (status == STORAGE_OK)
        status = storage_run_sync(storage, file);
    enum storage_status closed = storage_run_close(storage, file);
    return status == STORAGE_OK ? closed : status;
}

enum storage_status file_content_replace(struct storage storage, const char *directory,
                                         const char *name, struct view content)
{
    struct log_path final;
    struct log_path temporary;
    char temporary_name[LOG_FILE_NAME_MAX + 1];
    size_t name_size = strlen(name);
    if (name_size + 4 > LOG_FILE_NAME_MAX || !log_path_join(&final, directory, name))
        return STORAGE_LIMIT;
    memcpy(temporary_name, name, name_size);
    memcpy(temporary_name + name_size, ".tmp", 5);
    if (!log_path_join(&temporary, directory, temporary_name))
        return STORAGE_LIMIT;
    enum storage_status status = write_temporary(storage, temporary.text, content);
    if (status == STORAGE_OK)
        status = storage_run_path(storage, STORAGE_RENAME, temporary.text, final.text);
    if (status != STORAGE_OK) {
        storage_run_path(storage, STORAGE_UNLINK, temporary.text, NULL);
        return status;
    }
    return storage_run_path(storage, STORAGE_SYNC_DIRECTORY, directory, NULL);
}
