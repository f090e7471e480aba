/*
 * The transport seam: byte streams between this node and clients or other nodes.
 *
 * Promises:
 *  1. Bytes of a stream arrive in order, without gap or repeat, cut anywhere; a stream may stop at
 *     any byte. `closed` is called exactly once for a stream that was accepted or connected, unless
 *     this side closed it. Before `closed`, sends that are not done are finished with
 *     TRANSPORT_CLOSED. After `closed` or stream_close the stream struct is not touched any more.
 *  2. No callback runs inside a call of this seam, but for one case: stream_close with reset
 *     finishes the unsent sends with TRANSPORT_CLOSED before it returns. All others run in the
 *     network or the send phase of a turn. After stream_close without reset the sends that were
 *     handed over stay with the seam and are done later, sent or not.
 *  3. A send that is done means that its memory and file ranges are released, not that the peer has
 *     them. File ranges are read when they are transmitted; a file that turns out shorter than
 *     promised resets the stream.
 *  4. Sends of one stream leave in the order of stream_send.
 */
#ifndef KLAMM_RUNTIME_TRANSPORT_H
#define KLAMM_RUNTIME_TRANSPORT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "runtime/storage.h"

enum transport_status {
    TRANSPORT_OK,
    TRANSPORT_CLOSED,      /* the peer finished, or this side closed */
    TRANSPORT_RESET,       /* the connection broke */
    TRANSPORT_REFUSED,     /* nobody listens there */
    TRANSPORT_UNREACHABLE, /* no route, or no answer in time */
    TRANSPORT_IN_USE,      /* listen: the port is taken */
    TRANSPORT_BAD_ADDRESS, /* the host name or address cannot be resolved or is not ours */
    TRANSPORT_LIMIT,       /* too many open streams */
    TRANSPORT_DENIED,      /* not permitted, such as a low port */
    TRANSPORT_SHORT_FILE,  /* promise 3: the file ended inside a range */
};

const char *transport_status_text(enum transport_status status);

struct address {
    uint8_t family; /* 4, 6, or 0 for none */
    uint8_t bytes[16];
    uint16_t port;
};

/* "127.0.0.1:9092" or "[::1]:9092" into text (64 bytes suffice), NUL-terminated; returns text. */
const char *address_format(const struct address *address, char *text, size_t capacity);

enum { ADDRESS_TEXT_SIZE = 64 };

enum slice_kind { SLICE_MEMORY, SLICE_FILE };

/* A piece of what is sent. The owner keeps memory and file in place until the send is done. */
struct slice {
    enum slice_kind kind;
    const uint8_t *data;       /* MEMORY */
    struct storage_file *file; /* FILE */
    uint64_t offset;           /* FILE: position in bytes */
    size_t size;               /* bytes */
};

struct stream_send {
    struct stream_send *next; /* the seam's */
    struct slice *slices;     /* consumed from the front; not readable afterwards */
    size_t slice_count;
    void (*done)(struct stream_send *send, enum transport_status status);
    uint64_t sent_size;      /* bytes handed to the kernel so far */
    uint64_t sent_file_size; /* of these, bytes that went by sendfile without a copy */
};

struct stream;

/* What the owner of a stream is told. */
struct stream_events {
    /*
     * Bytes can be read: where to? Returns the capacity of *place (0: not now; then reading stays
     * off until stream_set_reading). Followed by `received` in the same turn, unless none came.
     */
    size_t (*space)(struct stream *stream, uint8_t **place);
    void (*received)(struct stream *stream, size_t size);
    void (*connected)(struct stream *stream); /* only after transport_connect */
    void (*closed)(struct stream *stream, enum transport_status why);
};

/* Embedded by its owner (a connection or a channel). */
struct stream {
    const struct stream_events *events;
    void *seam; /* the backend's */
    struct address local;
    struct address peer;
};

/* An accepted stream on its way from the control loop to the loop that will own it. */
struct accepted_stream {
    uint64_t handle; /* the backend's; adopt or drop it exactly once */
    struct address local;
    struct address peer;
};

struct listener;
struct listener_events {
    void (*accepted)(struct listener *listener, const struct accepted_stream *accepted);
};

/* Embedded by its owner. */
struct listener {
    const struct listener_events *events;
    void *seam;
    struct address local; /* with the port that was given, also for port 0 */
};

struct transport_ops {
    enum transport_status (*listen)(void *self, struct listener *listener, const char *host,
                                    uint16_t port, int backlog);
    void (*unlisten)(void *self, struct listener *listener);
    enum transport_status (*adopt)(void *self, struct stream *stream,
                                   const struct accepted_stream *accepted);
    void (*drop)(void *self, const struct accepted_stream *accepted);
    enum transport_status (*connect)(void *self, struct stream *stream, const char *host,
                                     uint16_t port);
    void (*send)(void *self, struct stream *stream, struct stream_send *send);
    void (*set_reading)(void *self, struct stream *stream, bool on);
    void (*close)(void *self, struct stream *stream, bool reset);
};

struct transport {
    const struct transport_ops *ops;
    void *self;
};

/*
 * Listens on one address. `host`: a name or address, "" for all addresses of both families.
 * A name with several addresses ("localhost") listens on each through the one listener; all get
 * the same port.
 */
enum transport_status transport_listen(struct transport transport, struct listener *listener,
                                       const char *host, uint16_t port, int backlog);
void transport_unlisten(struct transport transport, struct listener *listener);
/* Takes an accepted stream on this loop; reading starts on. events must be set before. */
enum transport_status transport_adopt(struct transport transport, struct stream *stream,
                                      const struct accepted_stream *accepted);
/* Closes an accepted stream that nobody adopts. */
void transport_drop(struct transport transport, const struct accepted_stream *accepted);
/* Starts connecting; `connected` or `closed` follows. events must be set before. */
enum transport_status transport_connect(struct transport transport, struct stream *stream,
                                        const char *host, uint16_t port);
void stream_send(struct transport transport, struct stream *stream, struct stream_send *send);
/* Back-pressure: off leaves bytes with the kernel and so with the peer. */
void stream_set_reading(struct transport transport, struct stream *stream, bool on);
/* Ends the stream: reset drops what is unsent, else what was handed over is still sent. */
void stream_close(struct transport transport, struct stream *stream, bool reset);

#endif
