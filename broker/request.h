/*
 * A request on its way through the broker: decoded on the loop of its connection, split into parts
 * for the loops that own what it is about, joined and answered.
 *
 * Invariants:
 *  1. A request and its arena are touched only on the loop of its connection. A part is touched by
 *     the loop that has it: home until posted, the target until part_done, home again after.
 *  2. A request stays in memory until it is answered and all its parts are home for good; parts may
 *     therefore lie in the request's arena and point into its frame, whatever happens to the
 *     connection or the deadline.
 *  3. request_respond (or request_end) is called exactly once per request.
 *  4. join runs at most once with parts still out, when the deadline has passed (`expired`). It
 *     answers without them (what they do is still carried out), or calls them home and is run again
 *     when they are.
 */
#ifndef KLAMM_BROKER_REQUEST_H
#define KLAMM_BROKER_REQUEST_H

#include "base/arena.h"
#include "broker/api_row.h"
#include "broker/front.h"
#include "connection/connections.h"
#include "protocol/errors.h"

/*
 * Bytes that a request may decode to. Elements of one byte on the wire become structs of a hundred,
 * so a frame of allowed size could otherwise take gigabytes, and what handlers keep per element
 * comes on top. This is room for two hundred thousand partitions.
 */
enum { REQUEST_DECODED_SIZE_MAX = 16 * 1024 * 1024 };

struct request {
    struct connection_request base;
    const struct api_row *row;
    const struct api_info *info;
    struct front *front; /* of the connection */
    struct shard *shard; /* the front's; NULL for requests of the controller listener */
    struct arena arena;  /* until the request ends */
    void *message;       /* the decoded request struct */
    void *context;       /* the handler's, usually in the arena */
    struct list parts;   /* part.link: home or out */
    unsigned parts_out;
    struct timer deadline;
    bool started;  /* split has been called */
    bool expired;  /* the deadline has passed */
    bool answered; /* request_respond or request_end was called */
    bool is_local; /* of this node itself (local_request.h) */
};

/* A piece of a request for one loop; the first member of a handler's own part struct. */
struct part {
    struct message message;
    struct list link;        /* request.parts */
    struct request *request; /* touched at home only */
    const struct api_row *row;
    unsigned home_loop; /* index of the request's loop */
    unsigned target;    /* index of the loop that works on it */
    bool is_home;       /* touched at home only */
    /*
     * Memory of the target's heap, for results of unforeseen size; valid on both sides until the
     * part is returned. Initialised when the part arrives.
     */
    struct arena arena;
};

static inline struct request *request_of(struct connection_request *base)
{
    return container_of(base, struct request, base);
}

/* The decoded request, by the name of its API: REQUEST_MESSAGE(metadata, request)->topics. */
#define REQUEST_MESSAGE(name, request) ((const struct name##_request *)(request)->message)

static inline int16_t request_version(const struct request *request)
{
    return request->base.api_version;
}

/* The image that requests see on this loop; NULL before the first one. */
static inline const struct image *request_image(const struct request *request)
{
    return *request->front->image;
}

static inline struct loop *request_loop(const struct request *request)
{
    return request->base.owner->loop;
}

/*
 * Memory of the request, zeroed; never NULL: a request whose arena is refused ends the node,
 * because frames are admitted with room for it.
 */
void *request_get(struct request *request, size_t count, size_t size);

/* Encodes and hands over the response struct of this API. */
void request_respond(struct request *request, const void *response);
/*
 * The answer's memory with header and body encoded, for handlers that add slices: the body is
 * bytes[0, *size), `splices` tells where external bytes belong. The caller builds the slices and
 * calls request_respond_answer.
 */
struct answer *request_encode(struct request *request, const void *response, size_t slice_capacity,
                              struct splice *splices, size_t splice_capacity, size_t *splice_count,
                              size_t *size);
void request_respond_answer(struct request *request, struct answer *answer);
/* Ends a request that has no answer (acks=0). */
void request_end(struct request *request);
/* Closes the connection instead of answering; the request ends. */
void request_refuse(struct request *request, enum connection_close_reason reason,
                    const char *detail);

/* A part of at least sizeof(struct part) bytes, zeroed, in the request's arena. */
void *request_add_part(struct request *request, size_t size);
/* Posts a part that is home to a loop; the row's `part` runs there. */
void request_post_part(struct request *request, struct part *part, unsigned loop_index);
/*
 * After split has posted its parts: calls join when all of them are home already. Split ends with
 * this when it posts parts (it holds the request open while it does).
 */
void request_await_parts(struct request *request);
/* Calls join after this long at the latest. */
void request_set_deadline(struct request *request, int32_t timeout_ms);
/* On the loop that has the part: it is done and goes home. */
void part_done(struct part *part, struct loop *at);
/*
 * At home: gives what the part took from its loop back there (the arena, and what the row's
 * `release` knows). request_respond does this for all parts unless the row keeps them.
 */
void part_return(struct part *part);

/* connection_handler functions; dispatch.c gives them to the connections. */
void request_end_early(struct connection_request *base);
void request_ended(struct connection_request *base);

#endif
