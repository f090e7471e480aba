/* BrokerRegistration: of another broker, or of this process itself. */
#include "protocol/messages/broker_registration.h"

#include "broker/controller_part.h"
#include "broker/control.h"

API_CODEC(broker_registration);

static void broker_registration_split(struct request *request)
{
    controller_part_post(request, request->message, sizeof(struct broker_registration_response));
}

static void broker_registration_part(struct part *base, struct loop *at)
{
    struct controller_part *part = container_of(base, struct controller_part, part);
    struct control *control = at->owner;
    if (!controller_part_begin(part, at))
        return;
    broker_sessions_register(&control->controller.duties.sessions, &part->decision, part->message,
                             part->is_own, at->now_ns, part->response);
    controller_part_commit(part);
}

static void broker_registration_join(struct request *request)
{
    enum kafka_error error;
    const struct broker_registration_response *response = controller_part_response(request, &error);
    if (response) {
        request_respond(request, response);
        return;
    }
    struct broker_registration_response refused;
    broker_registration_response_init(&refused);
    refused.error_code = (int16_t)error;
    request_respond(request, &refused);
}

const struct api_row api_row_broker_registration = {
    API_ROW(broker_registration, API_KEY_BROKER_REGISTRATION),
    .route = API_ROUTE_CONTROLLER,
    .split = broker_registration_split,
    .part = broker_registration_part,
    .join = broker_registration_join,
    .release = controller_part_release,
};
