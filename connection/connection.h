/*
 * One Kafka connection on its loop: frames in, answers out, in order.
 *
 * Owns the reading of frames, their memory, the order of requests and answers of a connection, and
 * the reasons why it ends. Relies on the transport seam for bytes. What a request means is the
 * handler's business (connection/connections.h), which gets a connection_request and answers it
 * with connection_answer, at once or turns later.
 *
 * Invariants:
 *  1. Answers leave in the order in which requests arrived.
 *  2. Produce overlaps with Produce, at most CONNECTION_PRODUCE_OVERLAP; every other request starts
 *     only when all before it are answered.
 *  3. No request starts while CONNECTION_UNSENT_LIMIT bytes of answers, or a file range, are unsent
 *     here; at most CONNECTION_TURN_FRAMES start in one turn; none starts while muted.
 *  4. A connection that waits (for memory, order, its unsent answers, a mute) is not read: at most
 *     one read buffer of bytes lies here unparsed.
 *  5. Memory of a frame grows as its bytes arrive. One frame per loop may go above the limit for
 *     frames (the borrower), so a frame that was begun can always be finished.
 *  6. A request outlives its connection until it is answered and nobody holds it.
 */
#ifndef KLAMM_CONNECTION_CONNECTION_H
#define KLAMM_CONNECTION_CONNECTION_H

#include "base/bytes.h"
#include "base/list.h"
#include "connection/answer.h"
#include "runtime/loop.h"

struct connections;
struct connection;

enum {
    CONNECTION_PRODUCE_OVERLAP = 32,
    CONNECTION_TURN_FRAMES = 16,
    CONNECTION_UNSENT_LIMIT = 1024 * 1024, /* bytes */
    CONNECTION_READ_SIZE = 64 * 1024       /* bytes of the loop's shared read buffer */
};

enum connection_close_reason {
    CONNECTION_CLOSE_PEER,        /* the peer finished, or the network broke */
    CONNECTION_CLOSE_FRAME_SIZE,  /* size field negative, zero or above the limit */
    CONNECTION_CLOSE_MALFORMED,   /* header or body cannot be decoded */
    CONNECTION_CLOSE_UNKNOWN_API, /* key or version that is not served */
    CONNECTION_CLOSE_ACKS_ZERO,   /* Produce with acks=0 failed: the only signal there is */
    CONNECTION_CLOSE_IDLE,        /* connections.max.idle.ms */
    CONNECTION_CLOSE_STALLED,     /* held memory that others waited for, and did not move */
    CONNECTION_CLOSE_SHORT_FILE,  /* a file range ended before its promised size */
    CONNECTION_CLOSE_ENCODING,    /* an answer could not be encoded */
    CONNECTION_CLOSE_STOPPING,    /* this node stops */
    CONNECTION_CLOSE_REASONS
};

/* Lower-case English, for log lines and metrics. */
const char *connection_close_text(enum connection_close_reason reason);

/* Names a connection across loops; a stale name finds nothing. */
struct connection_name {
    uint16_t shard;
    uint32_t slot;
    uint32_t generation;
};

/*
 * A request as it arrived. The handler's own struct begins with it and lies in front of the frame,
 * in one block (connections_options.request_size).
 */
struct connection_request {
    struct list link;              /* the connection's, in order of arrival */
    struct connection *connection; /* NULL once the connection is closed */
    struct connections *owner;
    uint8_t *frame; /* frame_size bytes, without the size field; stays until the request ends */
    uint32_t frame_size;
    uint32_t held_size; /* bytes of the whole block */
    int16_t api_key;
    int16_t api_version;
    int32_t correlation_id;
    struct view client_id; /* null when not given */
    struct view body; /* behind the client id: of flexible versions the header's tags are left */
    uint64_t received_ns;  /* when the last byte arrived */
    struct answer *answer; /* waits for those before it */
    uint32_t holds;
    bool answered;
    bool borrowed; /* invariant 5 */
};

struct connection {
    struct stream stream;
    struct connections *owner;
    void *context;           /* the handler's */
    struct list active_link; /* of the owner, by last activity */
    struct list wait_link;   /* of the owner, waiting for memory */
    struct list requests;    /* connection_request.link, in order of arrival */
    struct deferred pump;
    struct timer mute;
    uint64_t active_ns;   /* last time bytes moved in either direction */
    uint64_t turn;        /* the turn that turn_frames counts */
    uint64_t unsent_size; /* bytes of answers handed to the transport */
    struct connection_name name;
    uint32_t request_count;
    uint32_t other_count; /* of these, not Produce */
    uint32_t unsent_count;
    uint32_t unsent_file_count;
    uint32_t turn_frames;
    uint8_t head[4]; /* the frame's size field as it arrives */
    uint8_t head_size;
    bool reading;
    bool expects_large; /* the frame before was large: its follower is read into place */
    bool muted;
    bool closing;
    bool stream_open;
    uint8_t reason; /* enum connection_close_reason */
    /* The frame being read; its block has room for the request in front. */
    uint8_t *block;
    uint32_t block_size;
    uint32_t frame_size;
    uint32_t frame_filled;
    bool block_borrowed;
    /* Bytes read but not parsed: in the read buffer while it is worked through, else held. */
    uint8_t *input;
    uint32_t input_size;
    uint32_t input_taken;
    bool input_held;
};

/*
 * Gives the answer of a request, at once or later; takes `answer` (NULL: this request has none).
 * The request may be gone when the call returns, unless it is held. After the connection's end the
 * answer is dropped.
 */
void connection_answer(struct connection_request *request, struct answer *answer);
/* A held request stays in memory after its answer, until it is released as often as held. */
void connection_request_hold(struct connection_request *request);
void connection_request_release(struct connection_request *request);
/* Starts no further request for this long (throttling, KIP-219). */
void connection_mute(struct connection *connection, uint32_t milliseconds);
/*
 * Ends the connection. `detail` (may be NULL) goes into the one log line that names the peer.
 * Requests that are not answered yet are told through the handler's `abandoned`.
 */
void connection_close(struct connection *connection, enum connection_close_reason reason,
                      const char *detail);

#endif
