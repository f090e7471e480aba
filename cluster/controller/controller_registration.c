/* Controllers have no epoch and no fence: the newest incarnation replaces the one before. */
#include "cluster/controller/controller_registration.h"

#include "cluster/controller/features.h"
#include "protocol/messages/register_controller_record.h"

enum { CONTROLLER_REGISTRATION_SINCE = 15 }; /* metadata.version */

/* The finalized feature that the controller does not support, or NULL. */
static const struct image_feature *
unsupported(struct decision *decision, const struct controller_registration_request *request)
{
    struct image_feature_range *ranges =
        decision_get(decision, request->features_count, sizeof(*ranges));
    for (size_t i = 0; i < request->features_count; i++)
        ranges[i] = (struct image_feature_range){request->features[i].name,
                                                 request->features[i].min_supported_version,
                                                 request->features[i].max_supported_version};
    return feature_ranges_missing(ranges, request->features_count, decision->image);
}

/* Whether this incarnation is registered already with the same endpoints. */
static bool is_known(const struct image *image,
                     const struct controller_registration_request *request)
{
    const struct image_node *node = image_controller(image, request->controller_id);
    if (!node || !uuid_equal(node->incarnation, request->incarnation_id) ||
        node->endpoint_count != request->listeners_count ||
        node->feature_count != request->features_count)
        return false;
    for (uint32_t i = 0; i < node->endpoint_count; i++) {
        const struct image_endpoint *endpoint =
            image_node_endpoint(node, request->listeners[i].name);
        if (!endpoint || !view_equal(endpoint->host, request->listeners[i].host) ||
            endpoint->port != request->listeners[i].port)
            return false;
    }
    return true;
}

static void add_record(struct decision *decision,
                       const struct controller_registration_request *request)
{
    struct register_controller_record record;
    register_controller_record_init(&record);
    record.controller_id = request->controller_id;
    record.incarnation_id = request->incarnation_id;
    record.zk_migration_ready = request->zk_migration_ready;
    record.end_points =
        decision_get(decision, request->listeners_count, sizeof(*record.end_points));
    record.end_points_count = request->listeners_count;
    for (size_t i = 0; i < request->listeners_count; i++)
        record.end_points[i] = (struct register_controller_record_controller_endpoint){
            request->listeners[i].name, request->listeners[i].host, request->listeners[i].port,
            request->listeners[i].security_protocol};
    record.features = decision_get(decision, request->features_count, sizeof(*record.features));
    record.features_count = request->features_count;
    for (size_t i = 0; i < request->features_count; i++)
        record.features[i] = (struct register_controller_record_controller_feature){
            request->features[i].name, request->features[i].min_supported_version,
            request->features[i].max_supported_version};
    decision_add(decision, METADATA_RECORD_REGISTER_CONTROLLER, &record);
}

void decide_controller_registration(struct decision *decision,
                                    const struct controller_registration_request *request,
                                    struct controller_registration_response *response)
{
    controller_registration_response_init(response);
    const struct image *image = decision->image;
    int16_t version = image_feature_level(image, VIEW_LITERAL("metadata.version"));
    const struct image_feature *missing = unsupported(decision, request);
    if (version < CONTROLLER_REGISTRATION_SINCE) {
        response->error_code = KAFKA_ERROR_UNSUPPORTED_VERSION;
        response->error_message =
            VIEW_LITERAL("metadata.version is too old for registrations of controllers");
    } else if (missing) {
        response->error_code = KAFKA_ERROR_UNSUPPORTED_VERSION;
        response->error_message = decision_text(
            decision, "the controller does not support the finalized level %d of %.*s",
            missing->level, (int)missing->name.size, (const char *)missing->name.data);
    } else if (!is_known(image, request)) {
        add_record(decision, request);
    }
}
