/* The storage seam's plain parts: calls through the table, and the blocking shorthands. */
#include "runtime/storage.h"

#include "base/assert.h"

const char *storage_status_text(enum storage_status status)
{
    switch (status) {
    case STORAGE_OK:
        return "ok";
    case STORAGE_PENDING:
        return "pending";
    case STORAGE_NOT_RESIDENT:
        return "not in memory";
    case STORAGE_NOT_FOUND:
        return "no such file or directory";
    case STORAGE_EXISTS:
        return "already exists";
    case STORAGE_NO_SPACE:
        return "no space left";
    case STORAGE_DENIED:
        return "permission denied";
    case STORAGE_LOCKED:
        return "locked by another process";
    case STORAGE_LIMIT:
        return "too many open files";
    case STORAGE_NOT_EMPTY:
        return "directory not empty";
    case STORAGE_IO:
        return "input/output error";
    case STORAGE_POISONED:
        return "not trusted after an earlier failure";
    }
    klamm_unreachable("storage status");
}

enum storage_status storage_append(struct storage storage, struct storage_file *file,
                                   const struct storage_buffer *buffers, size_t buffer_count,
                                   struct storage_request *pending)
{
    if (pending) {
        pending->operation = STORAGE_WRITE;
        pending->file = file;
    }
    return storage.ops->append(storage.self, file, buffers, buffer_count, pending);
}

enum storage_status storage_read_now(struct storage storage, struct storage_file *file,
                                     uint64_t offset, void *data, size_t size)
{
    return storage.ops->read_now(storage.self, file, offset, data, size);
}

uint64_t storage_size(struct storage storage, const struct storage_file *file)
{
    return storage.ops->size(storage.self, file);
}

void storage_submit(struct storage storage, struct storage_request *request)
{
    klamm_assert(request->done != NULL);
    storage.ops->submit(storage.self, request);
}

enum storage_status storage_run(struct storage storage, struct storage_request *request)
{
    storage.ops->run(storage.self, request);
    klamm_assert(request->status != STORAGE_PENDING);
    return request->status;
}

enum storage_status storage_run_open(struct storage storage, const char *path, unsigned flags,
                                     struct storage_file **file, uint64_t *size)
{
    struct storage_request request = {.operation = STORAGE_OPEN, .path = path, .flags = flags};
    enum storage_status status = storage_run(storage, &request);
    *file = status == STORAGE_OK ? request.file : NULL;
    if (size)
        *size = status == STORAGE_OK ? request.result_size : 0;
    return status;
}

enum storage_status storage_run_close(struct storage storage, struct storage_file *file)
{
    struct storage_request request = {.operation = STORAGE_CLOSE, .file = file};
    return storage_run(storage, &request);
}

enum storage_status storage_run_read(struct storage storage, struct storage_file *file,
                                     uint64_t offset, void *data, size_t size, size_t *read_size)
{
    struct storage_buffer buffer = {data, size};
    struct storage_request request = {.operation = STORAGE_READ,
                                      .file = file,
                                      .offset = offset,
                                      .buffers = &buffer,
                                      .buffer_count = 1};
    enum storage_status status = storage_run(storage, &request);
    if (read_size)
        *read_size = status == STORAGE_OK ? (size_t)request.result_size : 0;
    return status;
}

enum storage_status storage_run_write(struct storage storage, struct storage_file *file,
                                      uint64_t offset, const void *data, size_t size)
{
    /* The buffer type is shared with reads; a write does not change it (storage.h). */
    union {
        const void *constant;
        void *plain;
    } place = {data};
    struct storage_buffer buffer = {place.plain, size};
    struct storage_request request = {.operation = STORAGE_WRITE,
                                      .file = file,
                                      .offset = offset,
                                      .buffers = &buffer,
                                      .buffer_count = 1};
    return storage_run(storage, &request);
}

enum storage_status storage_run_sync(struct storage storage, struct storage_file *file)
{
    struct storage_request request = {.operation = STORAGE_SYNC, .file = file};
    return storage_run(storage, &request);
}

enum storage_status storage_run_truncate(struct storage storage, struct storage_file *file,
                                         uint64_t size)
{
    struct storage_request request = {.operation = STORAGE_TRUNCATE, .file = file, .size = size};
    return storage_run(storage, &request);
}

enum storage_status storage_run_path(struct storage storage, enum storage_operation operation,
                                     const char *path, const char *to_path)
{
    struct storage_request request = {.operation = operation, .path = path, .to_path = to_path};
    return storage_run(storage, &request);
}

enum storage_status storage_run_list(struct storage storage, const char *path, struct heap *heap,
                                     struct storage_listing **listing)
{
    struct storage_request request = {.operation = STORAGE_LIST, .path = path, .heap = heap};
    enum storage_status status = storage_run(storage, &request);
    *listing = status == STORAGE_OK ? request.listing : NULL;
    return status;
}

void storage_listing_release(struct storage_listing *listing)
{
    if (listing)
        heap_put(listing->heap, MEMORY_SCRATCH, listing, listing->held_size);
}
