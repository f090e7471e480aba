/*
 * Decide on the head image, hold that image, commit; `done` follows when all shards show it.
 */
#include "broker/controller_part.h"

#include "broker/control.h"

void controller_part_post(struct request *request, const void *message, size_t response_size)
{
    struct controller_part *part = request_add_part(request, sizeof(*part));
    part->message = message;
    part->response = request_get(request, 1, response_size);
    request_post_part(request, &part->part, 0);
    request_await_parts(request);
}

static void committed(struct controller_wait *wait, enum kafka_error error)
{
    struct controller_part *part = container_of(wait, struct controller_part, wait);
    part->error = error;
    part_done(&part->part, part->at);
}

void controller_part_run(struct part *part, struct loop *at, controller_part_decide decide)
{
    struct controller_part *asked = container_of(part, struct controller_part, part);
    struct control *control = at->owner;
    asked->at = at;
    if (!control->has_controller ||
        !controller_decide(&control->controller, &asked->decision, &part->arena)) {
        asked->error = KAFKA_ERROR_NOT_CONTROLLER;
        part_done(part, at);
        return;
    }
    asked->image = asked->decision.image;
    image_acquire(asked->image);
    decide(&asked->decision, asked->message, asked->response);
    asked->wait = (struct controller_wait){.done = committed};
    controller_commit(&control->controller, &asked->decision, &asked->wait);
}

void controller_part_release(struct part *part, struct loop *at)
{
    struct controller_part *asked = container_of(part, struct controller_part, part);
    (void)at;
    if (asked->image)
        image_release(asked->image);
    asked->image = NULL;
}

struct controller_part *controller_part_of(struct request *request)
{
    return container_of(container_of(request->parts.next, struct part, link),
                        struct controller_part, part);
}
