/*
 * BrokerHeartbeat: keeps a session alive. It is answered when what it changed is shown; one that
 * changes nothing waits for what was decided before it.
 */
#include "protocol/messages/broker_heartbeat.h"

#include "broker/controller_part.h"
#include "broker/control.h"

API_CODEC(broker_heartbeat);

static void broker_heartbeat_split(struct request *request)
{
    controller_part_post(request, request->message, sizeof(struct broker_heartbeat_response));
}

static void broker_heartbeat_part(struct part *base, struct loop *at)
{
    struct controller_part *part = container_of(base, struct controller_part, part);
    struct control *control = at->owner;
    if (!controller_part_begin(part, at))
        return;
    broker_sessions_heartbeat(&control->controller.duties.sessions, &part->decision, part->message,
                              at->now_ns, part->response);
    controller_part_commit(part);
}

static void broker_heartbeat_join(struct request *request)
{
    enum kafka_error error;
    const struct broker_heartbeat_response *response = controller_part_response(request, &error);
    if (response) {
        request_respond(request, response);
        return;
    }
    struct broker_heartbeat_response refused;
    broker_heartbeat_response_init(&refused);
    refused.error_code = (int16_t)error;
    request_respond(request, &refused);
}

const struct api_row api_row_broker_heartbeat = {
    API_ROW(broker_heartbeat, API_KEY_BROKER_HEARTBEAT),
    .route = API_ROUTE_CONTROLLER,
    .split = broker_heartbeat_split,
    .part = broker_heartbeat_part,
    .join = broker_heartbeat_join,
    .release = controller_part_release,
};
