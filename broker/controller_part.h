/*
 * The part of a request that the controller decides: it goes to the control loop, a decision is
 * made and committed, and it comes home when every shard of this node shows the outcome. Where
 * another node is the active controller it is forwarded to that one (broker/forwarding.h).
 *
 * A handler splits with controller_part_post, gives its row a `part` that calls controller_part_run
 * with its decision, the row's `arrived` is controller_part_arrived and its `release`
 * controller_part_release, and its `join` answers with the response, or, where `error` is not NONE,
 * with that error for everything asked. What was decided elsewhere is answered before `join`.
 *
 * Invariants:
 *  1. The response may borrow from the image of the decision; it is held until the part is returned
 *     after the answer is encoded.
 *  2. What was decided is carried out even when the connection is gone, or the deadline has passed
 *     and the answer said REQUEST_TIMED_OUT.
 */
#ifndef KLAMM_BROKER_CONTROLLER_PART_H
#define KLAMM_BROKER_CONTROLLER_PART_H

#include "broker/forwarding.h"
#include "broker/request.h"
#include "cluster/controller/controller.h"

/* How a request of this node itself reaches the controller of another one: as what it is. */
struct controller_part_own {
    const struct channel_call *call; /* its response struct has no pointers */
    enum kafka_error (*error_of)(const void *response);
};

struct controller_part {
    struct part part;
    const void *message; /* the decoded request; read on the control loop */
    int16_t version;     /* of the request */
    bool is_own;         /* a request of this node to itself */
    void *response;      /* of the request's arena; written on the control loop */
    size_t response_size;
    enum kafka_error error; /* why nothing was decided or committed */
    /* For forwarding. */
    struct view frame;   /* as the client sent it; null for a request of this node itself */
    struct address peer; /* the client's */
    const struct controller_part_own *own; /* of a request of this node itself */
    struct view answer; /* header and body from the active controller; null: none */
    bool hangs_up;      /* that one does not serve the version */
    /* The control loop's. */
    struct forward forward;
    struct loop *at;
    struct decision decision;
    const struct image *image; /* referenced; NULL when nothing was decided */
    struct controller_wait wait;
};

/* The generated request and response structs of one API, with their types taken away. */
typedef void (*controller_part_decide)(struct decision *decision, const void *message,
                                       void *response);

/* From split: posts the part with `message` and room for a response, and awaits it. */
void controller_part_post(struct request *request, const void *message, size_t response_size);
/* The same with a deadline, after which the answer is REQUEST_TIMED_OUT. */
void controller_part_post_until(struct request *request, const void *message, size_t response_size,
                                int32_t timeout_ms);
/* The same for a request of this node itself. */
void controller_part_post_own(struct request *request, const void *message, size_t response_size,
                              const struct controller_part_own *own);
/* The row's `part`. */
void controller_part_run(struct part *part, struct loop *at, controller_part_decide decide);
/* For a `part` that decides by itself, after controller_part_begin: commits and ends it. */
void controller_part_commit(struct controller_part *part);
/* The row's `arrived`. */
void controller_part_arrived(struct part *part);
/* The row's `release`. */
void controller_part_release(struct part *part, struct loop *at);
/*
 * For a `part` that only reads: begins as controller_part_run does, without a commit. False when
 * the controller is not active here and the part is on its way there or home; else end with
 * part_done.
 */
bool controller_part_begin(struct controller_part *part, struct loop *at);
/* In join: the part of the request (there is one, and it is home). */
struct controller_part *controller_part_of(struct request *request);
/* In join with a deadline: the response, or NULL and the error for everything asked. */
void *controller_part_response(struct request *request, enum kafka_error *error);

#endif
