/* EndQuorumEpoch on the wire: a leader that resigns tells its voters (KIP-595, KIP-853). */
#include "cluster/quorum/metadata_log_internal.h"
#include "protocol/api_info.h"
#include "protocol/messages/end_quorum_epoch.h"

CHANNEL_CALL(end_quorum_epoch, API_KEY_END_QUORUM_EPOCH);

static bool list_successors(const struct quorum_message *message,
                            struct end_quorum_epoch_request_partition_data *partition,
                            struct arena *arena)
{
    size_t count = message->preferred_count;
    partition->preferred_successors =
        arena_get_array(arena, count, sizeof(*partition->preferred_successors));
    partition->preferred_candidates =
        arena_get_array(arena, count, sizeof(*partition->preferred_candidates));
    if (!partition->preferred_successors || !partition->preferred_candidates)
        return false;
    partition->preferred_successors_count = partition->preferred_candidates_count = count;
    for (size_t i = 0; i < count; i++) {
        const struct quorum_node *node = &message->preferred[i];
        partition->preferred_successors[i] = node->id;
        partition->preferred_candidates[i].candidate_id = node->id;
        partition->preferred_candidates[i].candidate_directory_id = node->directory_id;
    }
    return true;
}

static const void *build(const struct metadata_log *log, const struct quorum_message *message,
                         struct arena *arena)
{
    struct end_quorum_epoch_request *request = arena_get_array(arena, 1, sizeof(*request));
    struct end_quorum_epoch_request_topic_data *topic = arena_get_array(arena, 1, sizeof(*topic));
    struct end_quorum_epoch_request_partition_data *partition =
        arena_get_array(arena, 1, sizeof(*partition));
    struct end_quorum_epoch_request_leader_endpoint *endpoint =
        arena_get_array(arena, 1, sizeof(*endpoint));
    if (!request || !topic || !partition || !endpoint)
        return NULL;
    end_quorum_epoch_request_init(request);
    request->cluster_id = log->options.cluster_id;
    request->topics = topic;
    request->topics_count = 1;
    *topic = (struct end_quorum_epoch_request_topic_data){PEER_TOPIC, partition, 1};
    end_quorum_epoch_request_partition_data_init(partition);
    partition->leader_id = message->from.id;
    partition->leader_epoch = message->epoch;
    if (!list_successors(message, partition, arena))
        return NULL;
    const struct sole_voter *self = &log->options.voter;
    *endpoint =
        (struct end_quorum_epoch_request_leader_endpoint){self->listener, self->host, self->port};
    request->leader_endpoints = endpoint;
    request->leader_endpoints_count = 1;
    return request;
}

static bool hear(const void *message, struct quorum_answer *answer,
                 struct quorum_endpoint *endpoint)
{
    const struct end_quorum_epoch_response *response = message;
    answer->error = (enum kafka_error)response->error_code;
    if (response->error_code != KAFKA_ERROR_NONE)
        return false;
    if (response->topics_count != 1 || response->topics[0].partitions_count != 1) {
        answer->error = KAFKA_ERROR_INVALID_REQUEST;
        return false;
    }
    const struct end_quorum_epoch_response_partition_data *partition =
        &response->topics[0].partitions[0];
    answer->error = (enum kafka_error)partition->error_code;
    answer->epoch = partition->leader_epoch;
    answer->leader_id = partition->leader_id;
    for (size_t i = 0; i < response->node_endpoints_count; i++) {
        const struct end_quorum_epoch_response_node_endpoint *node = &response->node_endpoints[i];
        if (node->node_id == partition->leader_id)
            *endpoint = (struct quorum_endpoint){node->node_id, node->host, node->port};
    }
    return true;
}

static enum kafka_error read(const struct metadata_log *log, const void *message, int16_t version,
                             struct quorum_message *asked, struct quorum_endpoint *leader)
{
    const struct end_quorum_epoch_request *request = message;
    enum kafka_error error = peer_cluster_check(log, request->cluster_id);
    if (error != KAFKA_ERROR_NONE)
        return error;
    if (request->topics_count != 1 || request->topics[0].partitions_count != 1 ||
        !view_equal(request->topics[0].topic_name, PEER_TOPIC) ||
        request->topics[0].partitions[0].partition_index != 0)
        return KAFKA_ERROR_INVALID_REQUEST;
    const struct end_quorum_epoch_request_partition_data *partition =
        &request->topics[0].partitions[0];
    asked->from.id = partition->leader_id;
    asked->epoch = partition->leader_epoch;
    if (request->leader_endpoints_count > 0)
        *leader = (struct quorum_endpoint){partition->leader_id, request->leader_endpoints[0].host,
                                           request->leader_endpoints[0].port};
    asked->to.id = QUORUM_NODE_NONE;
    size_t count =
        version < 1 ? partition->preferred_successors_count : partition->preferred_candidates_count;
    for (size_t i = 0; i < count && i < QUORUM_VOTERS_MAX; i++) {
        struct quorum_node *node = &asked->preferred[asked->preferred_count++];
        if (version < 1)
            *node = (struct quorum_node){.id = partition->preferred_successors[i]};
        else
            *node = (struct quorum_node){partition->preferred_candidates[i].candidate_id,
                                         partition->preferred_candidates[i].candidate_directory_id};
    }
    return KAFKA_ERROR_NONE;
}

static void respond(struct quorum_call *call, enum kafka_error error,
                    const struct quorum_answer *answer, const struct quorum_endpoint *leader)
{
    struct end_quorum_epoch_response *response = call->response;
    end_quorum_epoch_response_init(response);
    response->error_code = (int16_t)error;
    if (!answer)
        return;
    struct end_quorum_epoch_response_topic_data *topic =
        arena_get_array(call->arena, 1, sizeof(*topic));
    struct end_quorum_epoch_response_partition_data *partition =
        arena_get_array(call->arena, 1, sizeof(*partition));
    struct end_quorum_epoch_response_node_endpoint *node =
        arena_get_array(call->arena, 1, sizeof(*node));
    if (!topic || !partition || !node) {
        response->error_code = KAFKA_ERROR_UNKNOWN_SERVER_ERROR;
        return;
    }
    response->topics = topic;
    response->topics_count = 1;
    *topic = (struct end_quorum_epoch_response_topic_data){PEER_TOPIC, partition, 1};
    end_quorum_epoch_response_partition_data_init(partition);
    partition->error_code = (int16_t)answer->error;
    partition->leader_id = answer->leader_id;
    partition->leader_epoch = answer->epoch;
    if (leader->id == QUORUM_NODE_NONE || call->version < 1)
        return;
    *node =
        (struct end_quorum_epoch_response_node_endpoint){leader->id, leader->host, leader->port};
    response->node_endpoints = node;
    response->node_endpoints_count = 1;
}

const struct peer_message peer_end_epoch = {
    .call = &end_quorum_epoch_call,
    .version_max = END_QUORUM_EPOCH_REQUEST_VERSION_MAX,
    .build = build,
    .hear = hear,
    .read = read,
    .respond = respond,
};
