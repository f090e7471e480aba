/*
 * A request of this node to itself: the channel to oneself, without socket or encoding. It runs
 * through the same row as a client's request; the answer is the response struct.
 *
 * Invariants:
 *  1. `answered` is called once, with the response, or with NULL where a client would have lost its
 *     connection; then `ended` once, when no part is out any more. Both on the loop that started
 * it.
 *  2. The memory of the request struct belongs to whoever starts it, until `ended`.
 */
#ifndef KLAMM_BROKER_LOCAL_REQUEST_H
#define KLAMM_BROKER_LOCAL_REQUEST_H

#include "broker/request.h"

struct local_request {
    struct request request; /* private */
    /* The response is valid inside the call. Perhaps inside local_request_start. */
    void (*answered)(struct local_request *local, const void *response);
    /* The memory may go. */
    void (*ended)(struct local_request *local);
    void *context; /* the caller's */
};

/*
 * `message` is the decoded request struct of the row's API; it lives until `ended`. The front is of
 * this loop: the shard's, or on the control loop control's, where only APIs of the controller
 * listener may be asked.
 */
void local_request_start(struct local_request *local, struct front *front,
                         const struct api_row *row, int16_t version, const void *message);

/* For request.c. */
static inline struct local_request *local_request_of(struct request *request)
{
    return container_of(request, struct local_request, request);
}

#endif
