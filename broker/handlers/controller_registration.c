/* ControllerRegistration: endpoints and features of a controller. */
#include "protocol/messages/controller_registration.h"

#include "broker/controller_part.h"
#include "cluster/controller/controller_registration.h"

API_CODEC(controller_registration);

static void controller_registration_split(struct request *request)
{
    controller_part_post(request, request->message,
                         sizeof(struct controller_registration_response));
}

static void decide(struct decision *decision, const void *message, void *response)
{
    decide_controller_registration(decision, message, response);
}

static void controller_registration_part(struct part *part, struct loop *at)
{
    controller_part_run(part, at, decide);
}

static void controller_registration_join(struct request *request)
{
    enum kafka_error error;
    const struct controller_registration_response *response =
        controller_part_response(request, &error);
    if (response) {
        request_respond(request, response);
        return;
    }
    struct controller_registration_response refused;
    controller_registration_response_init(&refused);
    refused.error_code = (int16_t)error;
    refused.error_message = view_of_string(kafka_error_text(error));
    request_respond(request, &refused);
}

const struct api_row api_row_controller_registration = {
    API_ROW(controller_registration, API_KEY_CONTROLLER_REGISTRATION),
    .route = API_ROUTE_CONTROLLER,
    .split = controller_registration_split,
    .part = controller_registration_part,
    .join = controller_registration_join,
    .release = controller_part_release,
};
