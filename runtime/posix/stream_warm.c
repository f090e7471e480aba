/*
 * File ranges that are not in memory. Before a range is sent the kernel is asked, once for up to
 * WARM_AHEAD bytes. What is not there is read by a worker of the file's device, on a descriptor of
 * its own, because the stream and with it the file may be gone before the device answers. What was
 * just warmed is sent without a second question: where memory is so short that it is gone again,
 * asking for ever would help nobody.
 */
#include <unistd.h>

#include "base/assert.h"
#include "runtime/posix/file.h"
#include "runtime/posix/posix_stream.h"

struct stream_warm {
    struct task task;
    struct posix_loop *at;
    struct posix_stream *stream; /* NULL once it is buried; looked at on the loop only */
    int descriptor;
    const struct storage_file *file;
    uint64_t offset;
    uint64_t size;
};

static void warm_done(struct task *task)
{
    struct stream_warm *warm = container_of(task, struct stream_warm, task);
    struct posix_stream *stream = warm->stream;
    if (stream) {
        stream->warm = NULL;
        stream->resident_file = warm->file;
        stream->resident_from = warm->offset;
        stream->resident_to = warm->offset + warm->size;
        if (!list_is_linked(&stream->unsent_link))
            list_push_back(&stream->transport->unsent, &stream->unsent_link);
    }
    heap_put(&warm->at->heap, MEMORY_CONNECTION, warm, sizeof(*warm));
}

/* On a worker. */
static void warm_run(struct task *task)
{
    struct stream_warm *warm = container_of(task, struct stream_warm, task);
    file_warm(warm->descriptor, warm->offset, warm->size);
    close(warm->descriptor);
    task->run = warm_done;
    posix_loop_complete(warm->at, task);
}

/* False: there is no descriptor or memory for it, and the loop has to wait for the device. */
static bool start_warm(struct posix_stream *stream, const struct storage_file *file,
                       uint64_t offset, uint64_t size)
{
    struct posix_loop *at = stream->transport->at;
    struct stream_warm *warm = heap_get(&at->heap, MEMORY_CONNECTION, sizeof(*warm));
    int descriptor = warm ? dup(file->descriptor) : -1;
    if (descriptor < 0) {
        heap_put(&at->heap, MEMORY_CONNECTION, warm, sizeof(*warm));
        return false;
    }
    *warm = (struct stream_warm){.task = {.run = warm_run},
                                 .at = at,
                                 .stream = stream,
                                 .descriptor = descriptor,
                                 .file = file,
                                 .offset = offset,
                                 .size = size};
    stream->warm = warm;
    at->counters.warmed_ranges++;
    worker_pool_add(node_device_pool(at->node, file->device), &warm->task);
    return true;
}

size_t posix_stream_resident(struct posix_stream *stream, const struct slice *slice)
{
    uint64_t offset = slice->offset;
    if (stream->resident_file != slice->file || offset < stream->resident_from ||
        offset >= stream->resident_to) {
        size_t size = slice->size < WARM_AHEAD ? slice->size : WARM_AHEAD;
        if (!file_is_resident(slice->file, offset, size) &&
            start_warm(stream, slice->file, offset, size))
            return 0;
        stream->resident_file = slice->file;
        stream->resident_from = offset;
        stream->resident_to = offset + size;
    }
    uint64_t left = stream->resident_to - offset;
    return left < slice->size ? (size_t)left : slice->size;
}

void posix_stream_forget_warm(struct posix_stream *stream)
{
    if (stream->warm)
        stream->warm->stream = NULL;
    stream->warm = NULL;
}
