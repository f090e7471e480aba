/*
 * A new incarnation first loses its places in in-sync sets (what it had in memory may be gone),
 * then is registered fenced. Its epoch is the offset of the first record of this decision.
 */
#include "cluster/controller/broker_registration.h"

#include "cluster/controller/broker_departure.h"
#include "cluster/controller/features.h"
#include "protocol/messages/register_broker_record.h"
#include "runtime/test_point.h"

enum { DIRECTORIES_SINCE = 17 }; /* metadata.version */

/* Whether registrations name log directories (KIP-858). */
static bool has_directories(const struct decision *decision)
{
    return image_feature_level(decision->image, VIEW_LITERAL("metadata.version")) >=
           DIRECTORIES_SINCE;
}

static bool is_reserved_directory(struct uuid id)
{
    return uuid_most(id) == 0 && uuid_least(id) <= 100;
}

/* Whether another broker has this directory registered. */
static bool is_foreign_directory(const struct image *image, int32_t broker_id, struct uuid id)
{
    struct image_walk walk;
    image_walk_start(&image->brokers, &walk);
    for (const struct image_node *node = image_walk_next_node(&walk); node;
         node = image_walk_next_node(&walk)) {
        for (uint32_t i = 0; node->id != broker_id && i < node->directory_count; i++) {
            if (uuid_equal(node->directories[i], id))
                return true;
        }
    }
    return false;
}

static bool are_directories_valid(const struct decision *decision,
                                  const struct broker_registration_request *request)
{
    if (request->log_dirs_count == 0)
        return false;
    for (size_t i = 0; i < request->log_dirs_count; i++) {
        struct uuid id = request->log_dirs[i];
        if (is_reserved_directory(id) ||
            is_foreign_directory(decision->image, request->broker_id, id))
            return false;
        for (size_t k = 0; k < i; k++) {
            if (uuid_equal(request->log_dirs[k], id))
                return false;
        }
    }
    return true;
}

static bool supports_all(struct decision *decision,
                         const struct broker_registration_request *request)
{
    struct image_feature_range *ranges =
        decision_get(decision, request->features_count, sizeof(*ranges));
    for (size_t i = 0; i < request->features_count; i++)
        ranges[i] = (struct image_feature_range){request->features[i].name,
                                                 request->features[i].min_supported_version,
                                                 request->features[i].max_supported_version};
    return !feature_ranges_missing(ranges, request->features_count, decision->image);
}

static enum kafka_error check(struct decision *decision,
                              const struct broker_registration_request *request, int16_t version,
                              bool is_taken)
{
    if (!view_equal(request->cluster_id, decision->image->cluster_id))
        return KAFKA_ERROR_INCONSISTENT_CLUSTER_ID;
    if (is_taken)
        return KAFKA_ERROR_DUPLICATE_BROKER_REGISTRATION;
    if (version >= 1 && request->is_migrating_zk_broker)
        return KAFKA_ERROR_BROKER_ID_NOT_REGISTERED;
    if (has_directories(decision) && !are_directories_valid(decision, request))
        return KAFKA_ERROR_INVALID_REGISTRATION;
    if (!supports_all(decision, request))
        return KAFKA_ERROR_UNSUPPORTED_VERSION;
    return KAFKA_ERROR_NONE;
}

static void add_record(struct decision *decision, const struct broker_registration_request *request,
                       int64_t epoch, bool fenced, bool in_controlled_shutdown)
{
    struct register_broker_record record;
    register_broker_record_init(&record);
    record.broker_id = request->broker_id;
    record.incarnation_id = request->incarnation_id;
    record.broker_epoch = epoch;
    record.rack = request->rack;
    record.fenced = fenced;
    record.in_controlled_shutdown = in_controlled_shutdown;
    if (has_directories(decision)) {
        record.log_dirs = request->log_dirs;
        record.log_dirs_count = request->log_dirs_count;
    }
    record.end_points =
        decision_get(decision, request->listeners_count, sizeof(*record.end_points));
    record.end_points_count = request->listeners_count;
    for (size_t i = 0; i < request->listeners_count; i++)
        record.end_points[i] = (struct register_broker_record_broker_endpoint){
            request->listeners[i].name, request->listeners[i].host, request->listeners[i].port,
            request->listeners[i].security_protocol};
    record.features = decision_get(decision, request->features_count, sizeof(*record.features));
    record.features_count = request->features_count;
    for (size_t i = 0; i < request->features_count; i++)
        record.features[i] = (struct register_broker_record_broker_feature){
            request->features[i].name, request->features[i].min_supported_version,
            request->features[i].max_supported_version};
    decision_add(decision, METADATA_RECORD_REGISTER_BROKER, &record);
}

void decide_broker_registration(struct decision *decision,
                                const struct broker_registration_request *request, int16_t version,
                                bool has_session, struct broker_registration_response *response)
{
    broker_registration_response_init(response);
    const struct image_node *existing = image_broker(decision->image, request->broker_id);
    bool is_same = existing && uuid_equal(existing->incarnation, request->incarnation_id);
    /* It names the epoch that it was stopped cleanly under: that incarnation has ended. */
    bool is_clean = existing && version >= 3 && request->previous_broker_epoch == existing->epoch;
    enum kafka_error error =
        check(decision, request, version, has_session && !is_same && !is_clean);
    response->error_code = (int16_t)error;
    if (error != KAFKA_ERROR_NONE)
        return;
    if (is_same) {
        response->broker_epoch = existing->epoch;
        add_record(decision, request, existing->epoch, existing->fenced,
                   existing->in_controlled_shutdown);
        return;
    }
    if (existing && !test_point_in(decision->test_points, BUG_CONTROLLER_KEEP_IN_SYNC)) {
        struct broker_departure departure = {
            .broker_id = request->broker_id,
            .removal = is_clean ? BROKER_REMOVAL_CLEAN : BROKER_REMOVAL_UNCLEAN,
            .directories = request->log_dirs,
            .directory_count = request->log_dirs_count,
        };
        partition_changes_for_removed(decision, &departure);
    }
    response->broker_epoch = decision->next_offset;
    add_record(decision, request, decision->next_offset, true, false);
}
