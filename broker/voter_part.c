/* The call lies in the part's arena, which lasts until the part is returned. */
#include "broker/voter_part.h"

#include "broker/control.h"

struct voter_call {
    struct quorum_call call;
    struct controller_part *part;
};

static void served(struct quorum_call *call)
{
    struct controller_part *part = container_of(call, struct voter_call, call)->part;
    part_done(&part->part, part->at);
}

void voter_part_run(struct part *base, struct loop *at, enum quorum_call_kind kind)
{
    struct controller_part *part = container_of(base, struct controller_part, part);
    struct control *control = at->owner;
    if (!controller_part_begin(part, at))
        return;
    struct voter_call *call = arena_must_get(&base->arena, 1, sizeof(*call));
    *call = (struct voter_call){.part = part,
                                .call = {.kind = kind,
                                         .message = part->message,
                                         .response = part->response,
                                         .arena = &base->arena,
                                         .version = part->version,
                                         .done = served}};
    metadata_log_serve(&control->controller.log, &call->call);
}

void *voter_part_response(struct request *request, enum kafka_error *error)
{
    void *response = controller_part_response(request, error);
    if (*error == KAFKA_ERROR_NOT_CONTROLLER && !request->shard && !request->is_local)
        *error = KAFKA_ERROR_NOT_LEADER_OR_FOLLOWER;
    return response;
}
