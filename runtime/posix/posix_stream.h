/*
 * The backend's half of a stream, shared by transport_posix.c (life, reading) and stream_write.c.
 *
 * Invariants:
 *  1. A stream is in `streams` from adopt or connect until it is buried; in `ready` and `unsent`
 *     only while that phase has something to do for it.
 *  2. `owner` is NULL from stream_close on; such a stream only sends what is left (it lingers).
 *  3. A range that is not in memory is never read by the loop: a worker reads it first, at most
 *     WARM_AHEAD bytes, and the stream sends nothing meanwhile.
 *  4. A buried stream is freed at the end of the turn, so code further up the stack may still look
 *     at `buried`.
 */
#ifndef KLAMM_RUNTIME_POSIX_POSIX_STREAM_H
#define KLAMM_RUNTIME_POSIX_POSIX_STREAM_H

#include "runtime/posix/posix_loop.h"
#include "runtime/posix/worker.h"

/* What hangs in the ready list. */
enum ready_kind { READY_STREAM, READY_LISTENER };

struct ready {
    struct list link;
    enum ready_kind kind;
};

struct stream_warm;

struct posix_stream {
    struct ready ready;
    struct list all_link;
    struct list unsent_link;
    struct posix_transport *transport;
    struct stream *owner;
    int descriptor; /* -1 while a name is being resolved */
    struct event read_event;
    struct event write_event;
    bool readable;   /* the kernel has said so in this turn */
    bool paused;     /* the owner does not want bytes */
    bool connecting; /* no answer from the peer yet */
    bool blocked;    /* the socket's buffer is full: write_event is set */
    bool buried;
    enum transport_status failure; /* to be told in the network phase; TRANSPORT_OK: none */
    struct stream_send *first;
    struct stream_send **last;
    struct stream_warm *warm; /* under way for the range at the front; nothing is sent meanwhile */
    const struct storage_file *resident_file; /* the range of it that was found in memory last */
    uint64_t resident_from;                   /* bytes */
    uint64_t resident_to;
    const void *resolution; /* while a resolver works for this stream */
    struct timer linger;    /* ends a stream whose peer takes nothing any more */
};

enum { SEND_BUDGET = 256 * 1024, SENDFILE_MIN = 32 * 1024, COPY_SIZE = 64 * 1024 };
enum { WARM_AHEAD = 1024 * 1024 };

/* Puts the stream or listener into the ready list. */
static inline void ready_mark(struct posix_transport *transport, struct ready *ready)
{
    if (!list_is_linked(&ready->link))
        list_push_back(&transport->ready, &ready->link);
}

/* Sends what the socket takes, up to the budget, and finishes sends; may bury the stream. */
void posix_stream_write(struct posix_stream *stream);
/*
 * How many bytes of the file range at the front can be read without waiting; 0: a worker reads them
 * first, and then the stream is written again. (stream_warm.c)
 */
size_t posix_stream_resident(struct posix_stream *stream, const struct slice *slice);
/* The stream is buried: what a worker still reads for it concerns nobody. */
void posix_stream_forget_warm(struct posix_stream *stream);
/* Finishes all sends that are left with `status`. */
void posix_stream_finish_sends(struct posix_stream *stream, enum transport_status status);
/* Closes the descriptor and leaves the rest to the end of the turn. */
void posix_stream_bury(struct posix_stream *stream, bool reset);

enum transport_status transport_status_of(int error);

#endif
