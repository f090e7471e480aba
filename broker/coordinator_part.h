/*
 * The share of a request that coordinators handle. A request names one key or several (a group id,
 * a transactional id); each key is an item with a call of its own, and the items whose coordinators
 * are on one loop travel as one part. Or a request asks every coordinator of a slot on every shard
 * (ListGroups), which makes the items on the shards.
 *
 * One key:
 *
 *     split    coordinator_ask(request, COORDINATOR_GROUPS, group_id, response);
 *     part     coordinator_part_run(part, at, heartbeat);         heartbeat(state, call)
 *     join     error = coordinator_asked(request);                NONE: the response is filled
 *     abandon  coordinator_items_abandon                          where a call may be parked
 *
 * Several: embed struct coordinator_item, coordinator_items_place each, coordinator_items_post, and
 * in join coordinator_item_answer. A deadline is request_set_deadline before that: what is still
 * out then is answered REQUEST_TIMED_OUT and carried out all the same.
 *
 * Invariants:
 *  1. An item is touched at home until its part is posted, on the owner until its part is done.
 *  2. Every item that reached the owner ends with its call's `done` once; the part goes home with
 *     its last item.
 *  3. What a handler fills lives in the part's arena until the request has been answered.
 */
#ifndef KLAMM_BROKER_COORDINATOR_PART_H
#define KLAMM_BROKER_COORDINATOR_PART_H

#include "broker/request.h"
#include "coordinator/coordinators.h"

struct coordinator_part;

/* `state` is the kind's (coordinator_kind_state). Ends the call, or parks it. */
typedef void (*coordinator_handle)(void *state, struct coordinator_call *call);

struct coordinator_item {
    struct coordinator_part *part; /* NULL: refused at home, see call.error */
    struct coordinator_item *next; /* of the same part */
    enum coordinator_slot slot;
    int32_t partition; /* of the slot's topic */
    struct coordinator *coordinator; /* on the owner, inside the handler */
    struct coordinator_call call;
};

struct coordinator_part {
    struct part part;
    struct coordinator_item *first;
    struct coordinator_item **last;
    bool is_every;       /* ask every coordinator of `slot` */
    bool abandon_is_out; /* home: the message is not back yet */
    int16_t version;     /* of the request */
    enum coordinator_slot slot;
    size_t response_size; /* with is_every */
    struct coordinator_client client;
    const void *request; /* the decoded request */
    /* The owner's. */
    struct message abandon;
    struct loop *at;
    coordinator_handle handle;
    unsigned waiting; /* items that are not done, and one while the part begins */
    bool is_here;
};

/* The parts of one request; zeroed at first. */
struct coordinator_items {
    struct coordinator_part *parts[LOOP_COUNT_MAX]; /* by loop index */
};

/*
 * Gives the item to the shard of the key's coordinator. call.request (the decoded request) and
 * call.response (initialised) are set from the arguments; the rest of the call is filled here.
 * NOT_COORDINATOR when no partition of this node has the key: the item then stays at home with this
 * error, which is returned.
 */
enum kafka_error coordinator_items_place(struct request *request, struct coordinator_items *items,
                                         struct coordinator_item *item, enum coordinator_slot slot,
                                         struct view key, const void *message, void *response);
/* The same for a partition of the slot's topic (WriteTxnMarkers knows it). */
enum kafka_error coordinator_items_place_at(struct request *request,
                                            struct coordinator_items *items,
                                            struct coordinator_item *item,
                                            enum coordinator_slot slot, int32_t partition,
                                            const void *message, void *response);
/* Posts the parts and awaits them: the end of split. */
void coordinator_items_post(struct request *request, struct coordinator_items *items);
/* In join: what to answer; REQUEST_TIMED_OUT, and nothing else to be read, while it is out. */
enum kafka_error coordinator_item_answer(const struct coordinator_item *item);

/* One key, with the request itself as the call's; from split. `response` may not be NULL. */
void coordinator_ask(struct request *request, enum coordinator_slot slot, struct view key,
                     void *response);
/* In join: the error for the whole request, or NONE. */
enum kafka_error coordinator_asked(const struct request *request);
/* The response that coordinator_ask was given; to be read when coordinator_asked says NONE. */
void *coordinator_asked_response(const struct request *request);

/*
 * Every coordinator of a slot on every shard; from split. Each gets zeroed memory of response_size
 * as call.response. In join walk the items.
 */
void coordinator_ask_every(struct request *request, enum coordinator_slot slot,
                           size_t response_size);
/*
 * In join: the items of all parts that are home, NULL at first and at the end. call.error of an
 * item that could not be asked is COORDINATOR_LOAD_IN_PROGRESS or NOT_COORDINATOR.
 */
const struct coordinator_item *coordinator_every_next(const struct request *request,
                                                      const struct coordinator_item *item);

/* The body of a row's `part`. */
void coordinator_part_run(struct part *part, struct loop *at, coordinator_handle handle);
/* A row's `abandon`: tells the kinds that nobody reads the answers (coordinator_call.abandoned). */
void coordinator_items_abandon(struct request *request);

#endif
