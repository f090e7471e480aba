/* UpdateFeatures: decided by the controller, answered when every shard shows the levels. */
#include "protocol/messages/update_features.h"

#include "broker/controller_part.h"
#include "cluster/controller/update_features.h"

API_CODEC(update_features);

static void update_features_split(struct request *request)
{
    controller_part_post_until(request, request->message, sizeof(struct update_features_response),
                               REQUEST_MESSAGE(update_features, request)->timeout_ms);
}

static void decide(struct decision *decision, const void *message, void *response)
{
    decide_update_features(decision, message, decision->version, response);
}

static void update_features_part(struct part *part, struct loop *at)
{
    controller_part_run(part, at, decide);
}

/* Up to version 1 each feature has a result of its own. */
static void refuse_all(struct request *request, enum kafka_error error)
{
    const struct update_features_request *message = REQUEST_MESSAGE(update_features, request);
    struct update_features_response response;
    update_features_response_init(&response);
    response.error_code = (int16_t)error;
    response.error_message = view_of_string(kafka_error_text(error));
    if (request_version(request) <= 1) {
        response.results =
            request_get(request, message->feature_updates_count, sizeof(*response.results));
        response.results_count = message->feature_updates_count;
        for (size_t i = 0; i < message->feature_updates_count; i++)
            response.results[i] = (struct update_features_response_updatable_feature_result){
                message->feature_updates[i].feature, (int16_t)error, response.error_message};
    }
    request_respond(request, &response);
}

static void update_features_join(struct request *request)
{
    enum kafka_error error;
    const struct update_features_response *response = controller_part_response(request, &error);
    if (response)
        request_respond(request, response);
    else
        refuse_all(request, error);
}

const struct api_row api_row_update_features = {
    API_ROW(update_features, API_KEY_UPDATE_FEATURES),
    .route = API_ROUTE_CONTROLLER,
    .split = update_features_split,
    .part = update_features_part,
    .join = update_features_join,
    .arrived = controller_part_arrived,
    .release = controller_part_release,
};
