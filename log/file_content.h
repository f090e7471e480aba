/*
 * Small files as a whole: read at once, replaced atomically and durably.
 *
 * Replacing writes "<name>.tmp", syncs it, renames it over the old file and syncs the directory, so
 * that after a crash either the old or the new content is there. Blocking: only inside jobs.
 */
#ifndef KLAMM_LOG_FILE_CONTENT_H
#define KLAMM_LOG_FILE_CONTENT_H

#include "base/bytes.h"
#include "base/memory.h"
#include "runtime/storage.h"

/* Bytes of a whole file in one block of `heap`, class MEMORY_SCRATCH. */
struct file_content {
    struct heap *heap;
    uint8_t *data; /* NULL when nothing is held */
    size_t size;   /* bytes of the file; one byte more is held, so an empty file has data too */
};

/*
 * Reads the file. STORAGE_NOT_FOUND when it is missing, STORAGE_NOT_EMPTY when it is larger than
 * `size_max` (it is something else), STORAGE_LIMIT when memory is refused or too many files are
 * open; then nothing is held.
 */
enum storage_status file_content_read(struct storage storage, const char *path, struct heap *heap,
                                      size_t size_max, struct file_content *content);
void file_content_release(struct file_content *content);
static inline struct view file_content_view(const struct file_content *content)
{
    return view_of(content->data, content->size);
}

/* Replaces "<directory>/<name>"; after a failure the old content is still there. */
enum storage_status file_content_replace(struct storage storage, const char *directory,
                                         const char *name, struct view content);

#endif
