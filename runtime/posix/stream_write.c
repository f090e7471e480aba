/*
 * The write loop of a stream. Consecutive memory slices, of several sends if need be, become one
 * sendmsg; MSG_MORE while a file range follows. A file range of 32 KiB and more goes by sendfile; a
 * smaller one is copied, because that is cheaper there, and joins the vector. A partial result only
 * moves the front of the first slices, so the next round starts wherever the kernel stopped.
 */
#include <errno.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include "base/assert.h"
#include "runtime/posix/file.h"
#include "runtime/posix/posix_stream.h"

enum { VECTOR_MAX = 64 };

/* One sendmsg being put together. */
struct vector {
    struct iovec parts[VECTOR_MAX];
    size_t count;
    size_t size;        /* bytes of all parts */
    size_t copied_size; /* bytes used of the copy buffer */
    bool more;          /* something follows behind */
    bool short_file;    /* a range could not be read */
};

static bool goes_by_sendfile(const struct slice *slice)
{
    return slice->kind == SLICE_FILE && slice->size >= SENDFILE_MIN;
}

/* Reads a small range into the copy buffer; NULL when it has no room, or a worker reads first. */
static uint8_t *copy_range(struct posix_stream *stream, struct vector *vector,
                           const struct slice *slice)
{
    struct posix_transport *transport = stream->transport;
    if (!transport->copy)
        transport->copy = heap_must_get(&transport->at->heap, MEMORY_STATE, COPY_SIZE);
    if (COPY_SIZE - vector->copied_size < slice->size)
        return NULL;
    uint8_t *place = transport->copy + vector->copied_size;
    if (file_read_now(slice->file, slice->offset, place, slice->size) == STORAGE_OK) {
        vector->copied_size += slice->size;
        return place;
    }
    /* What is sent before it goes first; the range is then at the front, and comes here again. */
    if (vector->count > 0 || posix_stream_resident(stream, slice) == 0)
        return NULL;
    size_t done = 0;
    while (done < slice->size) {
        ssize_t result = pread(slice->file->descriptor, place + done, slice->size - done,
                               (off_t)(slice->offset + done));
        if (result < 0 && errno == EINTR)
            continue;
        if (result <= 0) {
            vector->short_file = true;
            return NULL;
        }
        done += (size_t)result;
    }
    vector->copied_size += slice->size;
    return place;
}

/* Adds a slice; false when the vector ends before it. */
static bool vector_add(struct posix_stream *stream, struct vector *vector,
                       const struct slice *slice, size_t budget)
{
    if (slice->size == 0)
        return true;
    if (vector->count == VECTOR_MAX || vector->size >= budget || goes_by_sendfile(slice))
        return false;
    union {
        const uint8_t *constant;
        uint8_t *plain;
    } place = {slice->data};
    if (slice->kind == SLICE_FILE)
        place.plain = copy_range(stream, vector, slice);
    if (!place.plain)
        return false;
    vector->parts[vector->count++] = (struct iovec){place.plain, slice->size};
    vector->size += slice->size;
    return true;
}

static void vector_fill(struct posix_stream *stream, struct vector *vector, size_t budget)
{
    *vector = (struct vector){.count = 0};
    for (const struct stream_send *send = stream->first; send; send = send->next) {
        for (size_t i = 0; i < send->slice_count; i++) {
            if (!vector_add(stream, vector, &send->slices[i], budget)) {
                vector->more = true;
                return;
            }
        }
    }
}

/* Moves the front of the queue by `size` bytes; done sends go to `finished`. */
static void consume(struct posix_stream *stream, size_t size, bool by_file,
                    struct stream_send ***finished)
{
    while (stream->first) {
        struct stream_send *send = stream->first;
        while (send->slice_count > 0) {
            struct slice *slice = &send->slices[0];
            size_t part = size < slice->size ? size : slice->size;
            slice->size -= part;
            slice->offset += part;
            if (slice->kind == SLICE_MEMORY)
                slice->data += part;
            send->sent_size += part;
            send->sent_file_size += by_file ? part : 0;
            size -= part;
            if (slice->size > 0)
                return;
            send->slices++;
            send->slice_count--;
        }
        stream->first = send->next;
        if (!stream->first)
            stream->last = &stream->first;
        send->next = NULL;
        **finished = send;
        *finished = &send->next;
    }
}

/* What one system call did. */
enum wrote { WROTE_SOME, WROTE_NOTHING, WROTE_FAILED };

static enum wrote failed(struct posix_stream *stream, enum transport_status why)
{
    stream->failure = why;
    ready_mark(stream->transport, &stream->ready);
    return WROTE_FAILED;
}

static enum wrote write_failed(struct posix_stream *stream)
{
    if (errno == EINTR)
        return WROTE_SOME;
    if (errno != EAGAIN)
        return failed(stream, transport_status_of(errno));
    if (!stream->blocked) {
        stream->blocked = true;
        event_add(&stream->write_event, NULL);
    }
    return WROTE_NOTHING;
}

static enum wrote write_range(struct posix_stream *stream, const struct slice *slice,
                              size_t *budget, struct stream_send ***finished)
{
    struct node_loop_counters *counters = &stream->transport->at->counters;
    off_t offset = (off_t)slice->offset;
    size_t resident = posix_stream_resident(stream, slice);
    if (resident == 0)
        return WROTE_NOTHING;
    size_t size = resident < *budget ? resident : *budget;
    ssize_t result = sendfile(stream->descriptor, slice->file->descriptor, &offset, size);
    if (result < 0)
        return write_failed(stream);
    if (result == 0)
        return failed(stream, TRANSPORT_SHORT_FILE);
    counters->sendfile_calls++;
    counters->sendfile_size += (uint64_t)result;
    *budget -= (size_t)result;
    consume(stream, (size_t)result, true, finished);
    return WROTE_SOME;
}

static enum wrote write_vector(struct posix_stream *stream, size_t *budget,
                               struct stream_send ***finished)
{
    struct node_loop_counters *counters = &stream->transport->at->counters;
    struct vector vector;
    vector_fill(stream, &vector, *budget);
    if (vector.count == 0 && vector.short_file)
        return failed(stream, TRANSPORT_SHORT_FILE);
    if (stream->warm && vector.count == 0)
        return WROTE_NOTHING;
    if (vector.count == 0) { /* only empty slices */
        consume(stream, 0, false, finished);
        return WROTE_SOME;
    }
    struct msghdr message = {.msg_iov = vector.parts, .msg_iovlen = vector.count};
    ssize_t result = sendmsg(stream->descriptor, &message,
                             MSG_NOSIGNAL | MSG_DONTWAIT | (vector.more ? MSG_MORE : 0));
    if (result < 0)
        return write_failed(stream);
    counters->sends++;
    counters->sent_size += (uint64_t)result;
    *budget -= (size_t)result < *budget ? (size_t)result : *budget;
    consume(stream, (size_t)result, false, finished);
    return WROTE_SOME;
}

/* The first slice that is not empty, or NULL when only empty ones are left. */
static const struct slice *first_slice(const struct posix_stream *stream)
{
    for (const struct stream_send *send = stream->first; send; send = send->next) {
        for (size_t i = 0; i < send->slice_count; i++) {
            if (send->slices[i].size > 0)
                return &send->slices[i];
        }
    }
    return NULL;
}

void posix_stream_write(struct posix_stream *stream)
{
    if (stream->connecting || stream->blocked || stream->warm || stream->failure != TRANSPORT_OK)
        return;
    struct stream_send *finished_first = NULL;
    struct stream_send **finished = &finished_first;
    size_t budget = SEND_BUDGET;
    enum wrote wrote = WROTE_SOME;
    while (stream->first && budget > 0 && wrote == WROTE_SOME) {
        const struct slice *slice = first_slice(stream);
        if (slice && goes_by_sendfile(slice))
            wrote = write_range(stream, slice, &budget, &finished);
        else
            wrote = write_vector(stream, &budget, &finished);
    }
    if (stream->first && wrote == WROTE_SOME && !list_is_linked(&stream->unsent_link))
        list_push_back(&stream->transport->unsent, &stream->unsent_link);
    while (finished_first) {
        struct stream_send *send = finished_first;
        finished_first = send->next;
        send->done(send, TRANSPORT_OK);
    }
    if (!stream->owner && !stream->first && !stream->buried)
        posix_stream_bury(stream, false);
}

void posix_stream_finish_sends(struct posix_stream *stream, enum transport_status status)
{
    while (stream->first) {
        struct stream_send *send = stream->first;
        stream->first = send->next;
        if (!stream->first)
            stream->last = &stream->first;
        send->next = NULL;
        send->done(send, status);
    }
}
