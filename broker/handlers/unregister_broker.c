/* UnregisterBroker: decided by the controller. */
#include "protocol/messages/unregister_broker.h"

#include "broker/controller_part.h"
#include "broker/front.h"
#include "cluster/controller/unregister_broker.h"

API_CODEC(unregister_broker);

static void unregister_broker_split(struct request *request)
{
    controller_part_post_until(request, request->message, sizeof(struct unregister_broker_response),
                               request->front->broker->config->settings.request_timeout_ms);
}

static void decide(struct decision *decision, const void *message, void *response)
{
    decide_unregister_broker(decision, message, response);
}

static void unregister_broker_part(struct part *part, struct loop *at)
{
    controller_part_run(part, at, decide);
}

static void unregister_broker_join(struct request *request)
{
    enum kafka_error error;
    const struct unregister_broker_response *response = controller_part_response(request, &error);
    if (response) {
        request_respond(request, response);
        return;
    }
    struct unregister_broker_response refused;
    unregister_broker_response_init(&refused);
    refused.error_code = (int16_t)error;
    refused.error_message = view_of_string(kafka_error_text(error));
    request_respond(request, &refused);
}

const struct api_row api_row_unregister_broker = {
    API_ROW(unregister_broker, API_KEY_UNREGISTER_BROKER),
    .route = API_ROUTE_CONTROLLER,
    .split = unregister_broker_split,
    .part = unregister_broker_part,
    .arrived = controller_part_arrived,
    .join = unregister_broker_join,
    .release = controller_part_release,
};
