#include "consumer/consumer_group_heartbeat.h"

#include "consumer/consumer_group.h"

enum { MEMBER_ID_REQUIRED_SINCE = 1 };

/* Nothing but blanks, and not null. */
static bool is_blank(struct view text)
{
    for (size_t i = 0; i < text.size; i++) {
        if (text.data[i] > ' ')
            return false;
    }
    return !view_is_null(text);
}

static const char *join_problem(const struct consumer_group_heartbeat_request *request)
{
    if (request->rebalance_timeout_ms == -1)
        return "RebalanceTimeoutMs must be set to join.";
    if (!request->topic_partitions || request->topic_partitions_count > 0)
        return "TopicPartitions must be empty to join.";
    if (!request->subscribed_topic_names && view_is_null(request->subscribed_topic_regex))
        return "SubscribedTopicNames or SubscribedTopicRegex must be set to join.";
    return NULL;
}

static const char *problem(const struct consumer_group_heartbeat_request *request, int16_t version)
{
    int32_t epoch = request->member_epoch;
    if ((version >= MEMBER_ID_REQUIRED_SINCE || epoch > 0 || epoch == MEMBER_EPOCH_LEAVE) &&
        is_blank(request->member_id))
        return "MemberId must not be empty.";
    if (is_blank(request->group_id))
        return "GroupId must not be empty.";
    if (is_blank(request->instance_id))
        return "InstanceId must not be empty.";
    if (is_blank(request->rack_id))
        return "RackId must not be empty.";
    if (epoch == MEMBER_EPOCH_JOIN)
        return join_problem(request);
    if (epoch == MEMBER_EPOCH_LEAVE_STATIC && view_is_null(request->instance_id))
        return "InstanceId must be set to leave for a while.";
    if (epoch < MEMBER_EPOCH_LEAVE_STATIC)
        return "MemberEpoch is invalid.";
    return NULL;
}

enum kafka_error consumer_heartbeat_validate(const struct consumer_group_heartbeat_request *request,
                                             int16_t version,
                                             const struct broker_settings *settings,
                                             const char **message)
{
    *message = problem(request, version);
    if (*message)
        return KAFKA_ERROR_INVALID_REQUEST;
    if (!view_is_null(request->server_assignor) &&
        !config_list_has(&settings->group_consumer_assignors, request->server_assignor)) {
        *message = "ServerAssignor is not among group.consumer.assignors.";
        return KAFKA_ERROR_UNSUPPORTED_ASSIGNOR;
    }
    return KAFKA_ERROR_NONE;
}
