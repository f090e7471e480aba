/*
 * The part of a request that the controller decides: it goes to the control loop, a decision is
 * made and committed, and it comes home when every shard of this node shows the outcome.
 *
 * A handler splits with controller_part_post, gives its row a `part` that calls controller_part_run
 * with its decision, the row's `release` is controller_part_release, and its `join` answers with
 * the response, or, where `error` is not NONE, with that error for everything asked.
 *
 * Invariants:
 *  1. The response may borrow from the image of the decision; it is held until the part is returned
 *     after the answer is encoded.
 *  2. What was decided is carried out even when the connection is gone.
 */
#ifndef KLAMM_BROKER_CONTROLLER_PART_H
#define KLAMM_BROKER_CONTROLLER_PART_H

#include "broker/request.h"
#include "cluster/controller/controller.h"

struct controller_part {
    struct part part;
    const void *message;    /* the decoded request; read on the control loop */
    void *response;         /* of the request's arena; written on the control loop */
    enum kafka_error error; /* why nothing was decided or committed */
    /* The control loop's. */
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
/* The row's `part`. */
void controller_part_run(struct part *part, struct loop *at, controller_part_decide decide);
/* The row's `release`. */
void controller_part_release(struct part *part, struct loop *at);
/* In join: the part of the request (there is one, and it is home). */
struct controller_part *controller_part_of(struct request *request);

#endif
