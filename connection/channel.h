/*
 * A channel: one connection from this node to another one, and the requests that wait on it.
 *
 * Owns connecting (on demand, with backoff after failures), the negotiation of versions
 * (ApiVersions is the first request on every connection), encoding, the order of answers,
 * time-outs, decoding. Leaves to others: whom to ask and what to do with an answer. Runs on one
 * loop.
 *
 * Invariants:
 *  1. `done` of a request that was sent is called exactly once, never inside a call of this module
 *     other than channel_close; the request's memory and its message stay in place until then.
 *  2. Requests leave in the order of channel_send, at most in_flight_max of them unanswered.
 *  3. A connection on which an answer is late, malformed or out of order is closed, and every
 *     request that was on it ends with DISCONNECTED (the late one with TIMED_OUT, the one whose
 *     answer cannot be decoded with MALFORMED).
 *  4. A request that was not sent yet stays in line when a connection ends that was up, and ends
 *     with DISCONNECTED when connecting fails: nobody waits longer for a dead peer than one try.
 */
#ifndef KLAMM_CONNECTION_CHANNEL_H
#define KLAMM_CONNECTION_CHANNEL_H

#include "base/arena.h"
#include "base/list.h"
#include "base/random.h"
#include "protocol/message_writer.h"
#include "runtime/loop.h"

enum channel_status {
    CHANNEL_OK,
    CHANNEL_DISCONNECTED, /* could not connect, or the connection ended: may have been carried out
                           */
    CHANNEL_TIMED_OUT,    /* no answer in time: may have been carried out */
    CHANNEL_UNSUPPORTED,  /* the peer serves no version between version_min and version_max, or
                             only ones that cannot carry the message; it was not sent */
    CHANNEL_MALFORMED,    /* the answer cannot be decoded */
    CHANNEL_CLOSED,       /* channel_close was called */
};

const char *channel_status_text(enum channel_status status);

/* The client's half of an API's generated codec, with its types taken away (CHANNEL_CALL). */
struct channel_call {
    int16_t api_key;
    size_t response_size; /* bytes of the decoded response struct */
    size_t (*size)(const void *request, int16_t version);
    void (*encode)(const void *request, struct message_writer *out, int16_t version);
    bool (*decode)(void *response, struct reader *in, int16_t version, struct arena *arena);
};

/* A frame that an answer was decoded from, while somebody uses it. */
struct channel_frame {
    struct heap *heap;
    uint8_t *bytes;
    uint32_t held_size;
    struct arena arena; /* what decoding made */
};

/* Embedded by whoever asks. */
struct channel_request {
    const struct channel_call *call;
    const void *message;     /* the request struct; stays until `done` */
    int16_t version_min;     /* that the caller can live with */
    int16_t version_max;     /* the highest that it speaks; the highest common one is taken */
    int32_t message_version; /* out: the version that was sent; -1 before */
    uint64_t timeout_ns;     /* from channel_send to the answer; 0: the channel's */
    /*
     * `response`: the decoded struct when CHANNEL_OK, else NULL; valid inside the call, and longer
     * when channel_keep_frame is called inside it. The request may be reused or freed inside.
     */
    void (*done)(struct channel_request *request, enum channel_status status, const void *response);
    void *context; /* the caller's */
    /* Private. */
    struct list link;
    struct channel *channel;     /* NULL: not with a channel */
    struct channel_frame *frame; /* of its answer, inside `done` */
    uint64_t deadline_ns;
    enum channel_status status; /* of one that ended and is not told yet */
    bool is_sent;
};

struct channel_options {
    struct loop *loop;
    struct view host; /* copied */
    uint16_t port;
    struct view client_id;       /* borrowed for good */
    uint32_t in_flight_max;      /* 0: 1; at most CHANNEL_IN_FLIGHT_MAX */
    uint32_t frame_size_limit;   /* of an answer; 0: 100 MiB */
    uint64_t request_timeout_ns; /* 0: 30 s */
    uint64_t connect_timeout_ns; /* 0: 10 s */
    uint64_t backoff_ns;     /* after a failed connect; 0: 50 ms, doubled up to backoff_max_ns */
    uint64_t backoff_max_ns; /* 0: 1 s */
};

enum { CHANNEL_IN_FLIGHT_MAX = 64 };

struct channel;

/* Connects at the first request. */
struct channel *channel_create(const struct channel_options *options);
/* Sends at once or when it is connected and its turn comes. */
void channel_send(struct channel *channel, struct channel_request *request);
/*
 * Takes a request back; `done` is not called. Its answer, if it was sent already, is dropped when
 * it comes, and still due in time. Nothing happens when the request is not with a channel.
 */
void channel_cancel(struct channel_request *request);
/* Another address from the next connection on; a connection to the old one is closed. */
void channel_set_address(struct channel *channel, struct view host, uint16_t port);
/* Whether the connection is up and versions are known. */
bool channel_is_connected(const struct channel *channel);
/* Ends all requests with CHANNEL_CLOSED and frees the channel; not from inside `done`. */
void channel_close(struct channel *channel);

/*
 * Inside `done` with CHANNEL_OK, before the request is sent again: the response stays valid until
 * channel_release_frame, also when the channel is gone by then.
 */
void channel_keep_frame(struct channel_request *request, struct channel_frame *frame);
void channel_release_frame(struct channel_frame *frame);

/* Defines <name>_call for the generated <name>_request and <name>_response. */
#define CHANNEL_CALL(name, key)                                                                    \
    static size_t name##_call_size(const void *request, int16_t version)                           \
    {                                                                                              \
        return name##_request_size(request, version);                                              \
    }                                                                                              \
    static void name##_call_encode(const void *request, struct message_writer *out,                \
                                   int16_t version)                                                \
    {                                                                                              \
        name##_request_encode(request, out, version);                                              \
    }                                                                                              \
    static bool name##_call_decode(void *response, struct reader *in, int16_t version,             \
                                   struct arena *arena)                                            \
    {                                                                                              \
        return name##_response_decode(response, in, version, arena);                               \
    }                                                                                              \
    static const struct channel_call name##_call = {                                               \
        .api_key = (key),                                                                          \
        .response_size = sizeof(struct name##_response),                                           \
        .size = name##_call_size,                                                                  \
        .encode = name##_call_encode,                                                              \
        .decode = name##_call_decode,                                                              \
    }

#endif
