/*
 * The data half of the storage calls: positional vectored reads and writes that go on after short
 * results, sync with poison, and opening. Names and directories are in file_names.c.
 */
#include "runtime/posix/file.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <mimalloc.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include "base/assert.h"
#include "runtime/posix/file_names.h"

enum { VECTOR_MAX = 64, WARM_PIECE = 256 * 1024 };

enum storage_status file_status_of(int error)
{
    switch (error) {
    case ENOENT:
    case ENOTDIR:
        return STORAGE_NOT_FOUND;
    case EEXIST:
        return STORAGE_EXISTS;
    case ENOSPC:
    case EDQUOT:
        return STORAGE_NO_SPACE;
    case EACCES:
    case EPERM:
    case EROFS:
    case ENAMETOOLONG:
        return STORAGE_DENIED;
    case EMFILE:
    case ENFILE:
        return STORAGE_LIMIT;
    case ENOTEMPTY:
    case EISDIR:
        return STORAGE_NOT_EMPTY;
    default:
        return STORAGE_IO;
    }
}

static bool is_poisoned(const struct storage_file *file)
{
    return atomic_load_explicit(&file->poisoned, memory_order_relaxed);
}

static void poison(struct storage_file *file)
{
    atomic_store_explicit(&file->poisoned, true, memory_order_relaxed);
}

static uint64_t size_of(const struct storage_file *file)
{
    return atomic_load_explicit(&file->size, memory_order_relaxed);
}

static void set_size(struct storage_file *file, uint64_t size)
{
    atomic_store_explicit(&file->size, size, memory_order_relaxed);
}

/* A place inside a list of buffers. */
struct cursor {
    const struct storage_buffer *buffers;
    size_t count;
    size_t skip; /* bytes of the first buffer that are done */
};

static int cursor_fill(const struct cursor *cursor, struct iovec vectors[VECTOR_MAX])
{
    int used = 0;
    size_t skip = cursor->skip;
    for (size_t i = 0; i < cursor->count && used < VECTOR_MAX; i++) {
        if (cursor->buffers[i].size > skip)
            vectors[used++] = (struct iovec){(uint8_t *)cursor->buffers[i].data + skip,
                                             cursor->buffers[i].size - skip};
        skip = 0;
    }
    return used;
}

static void cursor_advance(struct cursor *cursor, size_t size)
{
    size += cursor->skip;
    while (cursor->count > 0 && size >= cursor->buffers->size) {
        size -= cursor->buffers->size;
        cursor->buffers++;
        cursor->count--;
    }
    cursor->skip = size;
}

/* Writes everything at `offset`; *written says how far it came. */
static enum storage_status write_all(struct storage_file *file, struct cursor cursor,
                                     uint64_t offset, uint64_t *written)
{
    *written = 0;
    for (;;) {
        struct iovec vectors[VECTOR_MAX];
        int count = cursor_fill(&cursor, vectors);
        if (count == 0)
            return STORAGE_OK;
        ssize_t result = pwritev(file->descriptor, vectors, count, (off_t)(offset + *written));
        if (result < 0 && errno == EINTR)
            continue;
        if (result < 0)
            return file_status_of(errno);
        if (result == 0)
            return STORAGE_NO_SPACE;
        *written += (uint64_t)result;
        cursor_advance(&cursor, (size_t)result);
    }
}

/* Both ways of writing: knows the size afterwards, and poisons after a failed device. */
static enum storage_status write_at(struct storage_file *file, const struct storage_buffer *buffers,
                                    size_t buffer_count, uint64_t offset)
{
    if (is_poisoned(file))
        return STORAGE_POISONED;
    uint64_t written;
    enum storage_status status =
        write_all(file, (struct cursor){buffers, buffer_count, 0}, offset, &written);
    if (written > 0 && offset + written > size_of(file))
        set_size(file, offset + written);
    if (status == STORAGE_OK || status == STORAGE_NO_SPACE)
        return status;
    poison(file);
    return STORAGE_IO;
}

enum storage_status file_append(struct storage_file *file, const struct storage_buffer *buffers,
                                size_t buffer_count)
{
    return write_at(file, buffers, buffer_count, size_of(file));
}

enum storage_status file_read_now(struct storage_file *file, uint64_t offset, void *data,
                                  size_t size)
{
    if (is_poisoned(file))
        return STORAGE_POISONED;
    if (offset > size_of(file) || size > size_of(file) - offset)
        return STORAGE_IO;
    uint8_t *place = data;
    while (size > 0) {
        struct iovec vector = {place, size};
        int flags = atomic_load_explicit(&file->waits, memory_order_relaxed) ? 0 : RWF_NOWAIT;
        ssize_t result = preadv2(file->descriptor, &vector, 1, (off_t)offset, flags);
        if (result < 0 && errno == EINTR)
            continue;
        if (result < 0 && errno == EAGAIN)
            return STORAGE_NOT_RESIDENT;
        if (result < 0 && errno == EOPNOTSUPP && flags != 0) {
            /* Such a file system (tmpfs, some network ones) cannot tell what is in memory; warming
             * would never help, so the read is made and may wait. */
            atomic_store_explicit(&file->waits, true, memory_order_relaxed);
            continue;
        }
        if (result <= 0)
            return STORAGE_IO;
        place += result;
        offset += (uint64_t)result;
        size -= (size_t)result;
    }
    return STORAGE_OK;
}

static enum storage_status run_read(struct storage_request *request)
{
    struct cursor cursor = {request->buffers, request->buffer_count, 0};
    request->result_size = 0;
    for (;;) {
        struct iovec vectors[VECTOR_MAX];
        int count = cursor_fill(&cursor, vectors);
        if (count == 0)
            return STORAGE_OK;
        ssize_t result = preadv(request->file->descriptor, vectors, count,
                                (off_t)(request->offset + request->result_size));
        if (result < 0 && errno == EINTR)
            continue;
        if (result < 0)
            return STORAGE_IO;
        if (result == 0)
            return STORAGE_OK;
        request->result_size += (uint64_t)result;
        cursor_advance(&cursor, (size_t)result);
    }
}

static enum storage_status run_sync(struct storage_file *file)
{
    int result;
    do
        result = fdatasync(file->descriptor);
    while (result < 0 && errno == EINTR);
    if (result == 0)
        return STORAGE_OK;
    poison(file);
    return STORAGE_IO;
}

/* What cachestat(2) takes and gives; the C library does not know it yet. */
struct cache_range {
    uint64_t offset;
    uint64_t size;
};

struct cache_counts {
    uint64_t cached; /* pages; also those that are still being read */
    uint64_t dirty;
    uint64_t written_back;
    uint64_t evicted;
    uint64_t recently_evicted;
};

enum { SYSTEM_CACHESTAT = 451, PAGE = 4096, PROBE_STEP = 64 * 1024 };

/* True unless the byte is known not to be in memory. */
static bool is_byte_resident(struct storage_file *file, uint64_t offset)
{
    uint8_t byte;
    return file_read_now(file, offset, &byte, 1) != STORAGE_NOT_RESIDENT;
}

bool file_is_resident(struct storage_file *file, uint64_t offset, size_t size)
{
    if (size == 0 || atomic_load_explicit(&file->waits, memory_order_relaxed))
        return true;
    uint64_t last = offset + size - 1;
    struct cache_range range = {offset, size};
    struct cache_counts counts;
    if (syscall(SYSTEM_CACHESTAT, file->descriptor, &range, &counts, 0) == 0) {
        if (counts.cached < last / PAGE - offset / PAGE + 1)
            return false;
        return is_byte_resident(file, last); /* the last one to come, if they are under way */
    }
    for (uint64_t at = offset; at < last; at += PROBE_STEP) {
        if (!is_byte_resident(file, at))
            return false;
    }
    return is_byte_resident(file, last);
}

void file_start_writing(struct storage_file *file, uint64_t offset, uint64_t size)
{
    if (!is_poisoned(file))
        sync_file_range(file->descriptor, (off_t)offset, (off_t)size, SYNC_FILE_RANGE_WRITE);
}

/* Afterwards the range is in the page cache, as far as there is room. */
void file_warm(int descriptor, uint64_t offset, uint64_t size)
{
    uint8_t *nowhere = mi_malloc(WARM_PIECE);
    if (!nowhere)
        return;
    posix_fadvise(descriptor, (off_t)offset, (off_t)size, POSIX_FADV_WILLNEED);
    while (size > 0) {
        size_t piece = size < WARM_PIECE ? (size_t)size : WARM_PIECE;
        ssize_t result = pread(descriptor, nowhere, piece, (off_t)offset);
        if (result <= 0)
            break;
        offset += (uint64_t)result;
        size -= (uint64_t)result;
    }
    mi_free(nowhere);
}

static enum storage_status run_truncate(const struct storage_request *request)
{
    if (ftruncate(request->file->descriptor, (off_t)request->size) < 0)
        return file_status_of(errno);
    set_size(request->file, request->size);
    return STORAGE_OK;
}

static enum storage_status run_preallocate(const struct storage_request *request)
{
    int result = fallocate(request->file->descriptor, FALLOC_FL_KEEP_SIZE, (off_t)request->offset,
                           (off_t)request->size);
    if (result < 0 && errno != EOPNOTSUPP && errno != EINTR)
        return file_status_of(errno);
    return STORAGE_OK;
}

static int open_flags(unsigned flags)
{
    int result = O_CLOEXEC;
    if (flags & STORAGE_FLAG_WRITE)
        result |= O_RDWR;
    if (flags & STORAGE_FLAG_CREATE)
        result |= O_CREAT;
    if (flags & STORAGE_FLAG_EXCLUSIVE)
        result |= O_EXCL;
    return result;
}

/* Puts a descriptor of a regular file into a new storage_file; closes it when that fails. */
static enum storage_status adopt_descriptor(struct storage_request *request, int descriptor)
{
    struct stat information;
    enum storage_status status = STORAGE_OK;
    if (fstat(descriptor, &information) < 0)
        status = file_status_of(errno);
    else if (S_ISDIR(information.st_mode))
        status = STORAGE_NOT_EMPTY;
    struct storage_file *file = status == STORAGE_OK ? mi_malloc(sizeof(*file)) : NULL;
    if (!file) {
        close(descriptor);
        return status == STORAGE_OK ? STORAGE_LIMIT : status;
    }
    *file = (struct storage_file){.descriptor = descriptor, .device = information.st_dev};
    set_size(file, (uint64_t)information.st_size);
    request->file = file;
    request->result_size = (uint64_t)information.st_size;
    return STORAGE_OK;
}

static enum storage_status run_open(struct storage_request *request)
{
    int descriptor = open(request->path, open_flags(request->flags), 0644);
    if (descriptor < 0)
        return file_status_of(errno);
    return adopt_descriptor(request, descriptor);
}

/* A lock of the open file description: it also keeps out a Java process that locks the file. */
static enum storage_status run_lock(struct storage_request *request)
{
    int descriptor = open(request->path, O_RDWR | O_CREAT | O_CLOEXEC, 0644);
    if (descriptor < 0)
        return file_status_of(errno);
    struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
    if (fcntl(descriptor, F_OFD_SETLK, &lock) < 0) {
        int error = errno;
        close(descriptor);
        return error == EAGAIN || error == EACCES ? STORAGE_LOCKED : file_status_of(error);
    }
    return adopt_descriptor(request, descriptor);
}

static enum storage_status run_close(struct storage_file *file)
{
    int result = close(file->descriptor);
    mi_free(file);
    return result < 0 && errno != EINTR ? file_status_of(errno) : STORAGE_OK;
}

/* The operations on an open file that a poisoned one refuses. */
static enum storage_status run_on_file(struct storage_request *request)
{
    klamm_assert(request->file != NULL);
    if (is_poisoned(request->file))
        return STORAGE_POISONED;
    if (request->operation == STORAGE_READ)
        return run_read(request);
    if (request->operation == STORAGE_WRITE)
        return write_at(request->file, request->buffers, request->buffer_count, request->offset);
    if (request->operation == STORAGE_SYNC)
        return run_sync(request->file);
    if (request->operation == STORAGE_WARM) {
        file_warm(request->file->descriptor, request->offset, request->size);
        return STORAGE_OK;
    }
    if (request->operation == STORAGE_TRUNCATE)
        return run_truncate(request);
    klamm_assert(request->operation == STORAGE_PREALLOCATE);
    return run_preallocate(request);
}

void file_run(struct storage_request *request)
{
    switch (request->operation) {
    case STORAGE_OPEN:
        request->status = run_open(request);
        break;
    case STORAGE_LOCK:
        request->status = run_lock(request);
        break;
    case STORAGE_CLOSE:
        request->status = run_close(request->file);
        break;
    case STORAGE_READ:
    case STORAGE_WRITE:
    case STORAGE_SYNC:
    case STORAGE_WARM:
    case STORAGE_TRUNCATE:
    case STORAGE_PREALLOCATE:
        request->status = run_on_file(request);
        break;
    case STORAGE_STAT:
    case STORAGE_SET_MODIFIED:
    case STORAGE_RENAME:
    case STORAGE_UNLINK:
    case STORAGE_MAKE_DIRECTORY:
    case STORAGE_REMOVE_DIRECTORY:
    case STORAGE_LIST:
    case STORAGE_SYNC_DIRECTORY:
    case STORAGE_SPACE:
        request->status = file_names_run(request);
        break;
    }
}
