/* A node without a metadata log, or before it is open, answers that it is not available. */
#include "broker/quorum_part.h"

#include "broker/control.h"

void quorum_part_post(struct request *request, enum quorum_call_kind kind, size_t response_size)
{
    struct quorum_part *part = request_add_part(request, sizeof(*part));
    part->call = (struct quorum_call){
        .kind = kind,
        .message = request->message,
        .response = request_get(request, 1, response_size),
        .version = request_version(request),
    };
    request_post_part(request, &part->part, 0);
    request_await_parts(request);
}

static void served(struct quorum_call *call)
{
    struct quorum_part *part = container_of(call, struct quorum_part, call);
    part_done(&part->part, part->at);
}

void quorum_part_run(struct part *base, struct loop *at)
{
    struct quorum_part *part = container_of(base, struct quorum_part, part);
    struct control *control = at->owner;
    part->at = at;
    part->call.arena = &base->arena;
    part->call.done = served;
    metadata_log_serve(control->has_controller ? &control->controller.log : NULL, &part->call);
}

void quorum_part_join(struct request *request)
{
    struct part *part = container_of(request->parts.next, struct part, link);
    request_respond(request, container_of(part, struct quorum_part, part)->call.response);
}
