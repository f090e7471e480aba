/*
 * Decide on the head image, hold that image, commit; `done` follows when all shards show it. A part
 * whose records were not committed when this node ceased to be the controller goes to the next one.
 */
#include "broker/controller_part.h"

#include "broker/control.h"

static void post(struct request *request, const void *message, size_t response_size,
                 const struct controller_part_own *own)
{
    struct controller_part *part = request_add_part(request, sizeof(*part));
    part->message = message;
    part->version = request_version(request);
    part->is_own = request->is_local;
    part->response = request_get(request, 1, response_size);
    part->response_size = response_size;
    part->own = own;
    if (request->base.connection) {
        part->frame = view_of(request->base.frame, request->base.frame_size);
        part->peer = request->base.connection->stream.peer;
    }
    request_post_part(request, &part->part, 0);
    request_await_parts(request);
}

void controller_part_post(struct request *request, const void *message, size_t response_size)
{
    post(request, message, response_size, NULL);
}

void controller_part_post_until(struct request *request, const void *message, size_t response_size,
                                int32_t timeout_ms)
{
    request_set_deadline(request, timeout_ms > 0 ? timeout_ms : 1);
    post(request, message, response_size, NULL);
}

void controller_part_post_own(struct request *request, const void *message, size_t response_size,
                              const struct controller_part_own *own)
{
    post(request, message, response_size, own);
}

static void drop_image(struct controller_part *part)
{
    if (part->image)
        image_release(part->image);
    part->image = NULL;
}

static void committed(struct controller_wait *wait, enum kafka_error error)
{
    struct controller_part *part = container_of(wait, struct controller_part, wait);
    if (error == KAFKA_ERROR_NOT_CONTROLLER) {
        drop_image(part);
        if (forwarding_send(part, part->at))
            return;
    }
    part->error = error;
    part_done(&part->part, part->at);
}

bool controller_part_begin(struct controller_part *part, struct loop *at)
{
    struct control *control = at->owner;
    part->at = at;
    if (!control->has_controller ||
        !controller_decide(&control->controller, &part->decision, &part->part.arena)) {
        if (!forwarding_send(part, at)) {
            part->error = KAFKA_ERROR_NOT_CONTROLLER;
            part_done(&part->part, at);
        }
        return false;
    }
    part->decision.version = part->version;
    part->image = part->decision.image;
    image_acquire(part->image);
    return true;
}

void controller_part_run(struct part *part, struct loop *at, controller_part_decide decide)
{
    struct controller_part *asked = container_of(part, struct controller_part, part);
    if (!controller_part_begin(asked, at))
        return;
    decide(&asked->decision, asked->message, asked->response);
    controller_part_commit(asked);
}

void controller_part_commit(struct controller_part *part)
{
    struct control *control = part->at->owner;
    part->wait = (struct controller_wait){.done = committed};
    controller_commit(&control->controller, &part->decision, &part->wait);
}

void controller_part_arrived(struct part *part)
{
    forwarding_answer(container_of(part, struct controller_part, part));
}

void controller_part_release(struct part *part, struct loop *at)
{
    (void)at;
    drop_image(container_of(part, struct controller_part, part));
}

struct controller_part *controller_part_of(struct request *request)
{
    return container_of(container_of(request->parts.next, struct part, link),
                        struct controller_part, part);
}

void *controller_part_response(struct request *request, enum kafka_error *error)
{
    struct controller_part *part = controller_part_of(request);
    *error = part->part.is_home ? part->error : KAFKA_ERROR_REQUEST_TIMED_OUT;
    return *error == KAFKA_ERROR_NONE ? part->response : NULL;
}
