/*
 * Slices are counted by the clock and not by CPU time: asking for the latter is a system call. A
 * slice in which the thread waited for a device is over early, which costs one needless offer.
 */
#include "runtime/posix/background.h"

#include <fcntl.h>
#include <sched.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/assert.h"
#include "runtime/posix/file.h"
#include "runtime/posix/host.h"

static void give_way(void *self)
{
    struct background *background = self;
    if (host_monotonic_ns() < background->slice_end_ns)
        return;
    background->offers++;
    sched_yield();
    background->slice_end_ns = host_monotonic_ns() + BACKGROUND_SLICE_NS;
}

struct job_pace background_pace(struct background *background)
{
    return (struct job_pace){give_way, background};
}

/* ---- Storage --------------------------------------------------------------------------------- */

/*
 * The sync that comes later would send all of it to the device in one go: 1.4 to 2.9 ms of
 * computing for 32 MiB, and a queue in front of everybody else's syncs. Errors are the sync's.
 */
static void start_writing(struct background *background, const struct storage_request *request,
                          uint64_t size)
{
    if (size >= BACKGROUND_PIECE)
        file_start_writing(request->file, request->offset, size);
    give_way(background);
}

/* A read or write of one buffer in pieces; it ends with the first that is short or fails. */
static void run_pieces(struct background *background, struct storage_request *request)
{
    const struct storage_buffer *whole = request->buffers;
    uint64_t moved = 0;
    do {
        struct storage_buffer buffer = {(uint8_t *)whole->data + moved, whole->size - moved};
        if (buffer.size > BACKGROUND_PIECE)
            buffer.size = BACKGROUND_PIECE;
        struct storage_request piece = *request;
        piece.offset = request->offset + moved;
        piece.buffers = &buffer;
        request->status = storage_run(host_storage_blocking(), &piece);
        give_way(background);
        if (request->operation == STORAGE_READ) {
            moved += piece.result_size;
            if (piece.result_size < buffer.size)
                break;
        } else {
            moved += buffer.size;
        }
    } while (request->status == STORAGE_OK && moved < whole->size);
    request->result_size = moved;
    if (request->operation == STORAGE_WRITE && request->status == STORAGE_OK)
        start_writing(background, request, moved);
}

/*
 * Unlinking a segment of 256 MB that is in memory takes 18 to 23 ms in one call, nearly all of it
 * for its pages. Nobody looks for them any more; who still has the file open reads them again.
 */
static void drop_from_memory(struct background *background, const char *path)
{
    int descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    if (descriptor < 0)
        return;
    struct stat information;
    if (fstat(descriptor, &information) == 0 && S_ISREG(information.st_mode) &&
        information.st_nlink == 1) {
        for (off_t at = 0; at < information.st_size; at += BACKGROUND_DROP) {
            posix_fadvise(descriptor, at, BACKGROUND_DROP, POSIX_FADV_DONTNEED);
            give_way(background);
        }
    }
    close(descriptor);
}

static void run_background(void *self, struct storage_request *request)
{
    struct background *background = self;
    bool moves = request->operation == STORAGE_READ || request->operation == STORAGE_WRITE;
    if (moves && request->buffer_count == 1 && request->buffers->size > BACKGROUND_PIECE) {
        run_pieces(background, request);
        return;
    }
    if (request->operation == STORAGE_UNLINK)
        drop_from_memory(background, request->path);
    storage_run(host_storage_blocking(), request);
    give_way(background);
}

static enum storage_status append_background(void *self, struct storage_file *file,
                                             const struct storage_buffer *buffers,
                                             size_t buffer_count, struct storage_request *pending)
{
    enum storage_status status =
        storage_append(host_storage_blocking(), file, buffers, buffer_count, pending);
    give_way(self);
    return status;
}

static enum storage_status read_now_background(void *self, struct storage_file *file,
                                               uint64_t offset, void *data, size_t size)
{
    (void)self;
    return storage_read_now(host_storage_blocking(), file, offset, data, size);
}

static uint64_t size_background(void *self, const struct storage_file *file)
{
    (void)self;
    return storage_size(host_storage_blocking(), file);
}

static void submit_background(void *self, struct storage_request *request)
{
    (void)self;
    (void)request;
    klamm_unreachable("a job does not submit");
}

static const struct storage_ops background_ops = {
    append_background, read_now_background, size_background, submit_background, run_background};

struct storage storage_background(struct background *background)
{
    return (struct storage){&background_ops, background};
}
