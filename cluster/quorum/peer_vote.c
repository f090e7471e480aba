/* Vote and pre-vote on the wire (KIP-595, KIP-853, KIP-996). */
#include "cluster/quorum/metadata_log_internal.h"
#include "protocol/api_info.h"
#include "protocol/messages/vote.h"

CHANNEL_CALL(vote, API_KEY_VOTE);

static const void *build(const struct metadata_log *log, const struct quorum_message *message,
                         struct arena *arena)
{
    struct vote_request *request = arena_get_array(arena, 1, sizeof(*request));
    struct vote_request_topic_data *topic = arena_get_array(arena, 1, sizeof(*topic));
    struct vote_request_partition_data *partition = arena_get_array(arena, 1, sizeof(*partition));
    if (!request || !topic || !partition)
        return NULL;
    vote_request_init(request);
    request->cluster_id = log->options.cluster_id;
    request->voter_id = message->to.id;
    request->topics = topic;
    request->topics_count = 1;
    *topic = (struct vote_request_topic_data){PEER_TOPIC, partition, 1};
    vote_request_partition_data_init(partition);
    partition->replica_epoch = message->epoch;
    partition->replica_id = message->from.id;
    partition->replica_directory_id = message->from.directory_id;
    partition->voter_directory_id = message->to.directory_id;
    partition->last_offset_epoch = message->last_epoch;
    partition->last_offset = message->last_offset;
    partition->pre_vote = message->is_pre_vote;
    return request;
}

static bool hear(const void *message, struct quorum_answer *answer,
                 struct quorum_endpoint *endpoint)
{
    const struct vote_response *response = message;
    answer->error = (enum kafka_error)response->error_code;
    if (response->error_code != KAFKA_ERROR_NONE)
        return false;
    if (response->topics_count != 1 || response->topics[0].partitions_count != 1) {
        answer->error = KAFKA_ERROR_INVALID_REQUEST;
        return false;
    }
    const struct vote_response_partition_data *partition = &response->topics[0].partitions[0];
    answer->error = (enum kafka_error)partition->error_code;
    answer->epoch = partition->leader_epoch;
    answer->leader_id = partition->leader_id;
    answer->is_granted = partition->vote_granted;
    for (size_t i = 0; i < response->node_endpoints_count; i++) {
        const struct vote_response_node_endpoint *node = &response->node_endpoints[i];
        if (node->node_id == partition->leader_id)
            *endpoint = (struct quorum_endpoint){node->node_id, node->host, node->port};
    }
    return true;
}

static enum kafka_error read(const struct metadata_log *log, const void *message, int16_t version,
                             struct quorum_message *asked, struct quorum_endpoint *leader)
{
    const struct vote_request *request = message;
    enum kafka_error error = peer_cluster_check(log, request->cluster_id);
    if (error != KAFKA_ERROR_NONE)
        return error;
    if (request->topics_count != 1 || request->topics[0].partitions_count != 1 ||
        !view_equal(request->topics[0].topic_name, PEER_TOPIC) ||
        request->topics[0].partitions[0].partition_index != 0)
        return KAFKA_ERROR_INVALID_REQUEST;
    const struct vote_request_partition_data *partition = &request->topics[0].partitions[0];
    (void)version;
    (void)leader;
    asked->from = (struct quorum_node){partition->replica_id, partition->replica_directory_id};
    asked->to = (struct quorum_node){request->voter_id, partition->voter_directory_id};
    asked->epoch = partition->replica_epoch;
    asked->is_pre_vote = partition->pre_vote;
    asked->last_epoch = partition->last_offset_epoch;
    asked->last_offset = partition->last_offset;
    return KAFKA_ERROR_NONE;
}

static void respond(struct quorum_call *call, enum kafka_error error,
                    const struct quorum_answer *answer, const struct quorum_endpoint *leader)
{
    struct vote_response *response = call->response;
    vote_response_init(response);
    response->error_code = (int16_t)error;
    if (!answer)
        return;
    struct vote_response_topic_data *topic = arena_get_array(call->arena, 1, sizeof(*topic));
    struct vote_response_partition_data *partition =
        arena_get_array(call->arena, 1, sizeof(*partition));
    struct vote_response_node_endpoint *node = arena_get_array(call->arena, 1, sizeof(*node));
    if (!topic || !partition || !node) {
        response->error_code = KAFKA_ERROR_UNKNOWN_SERVER_ERROR;
        return;
    }
    response->topics = topic;
    response->topics_count = 1;
    *topic = (struct vote_response_topic_data){PEER_TOPIC, partition, 1};
    vote_response_partition_data_init(partition);
    partition->error_code = (int16_t)answer->error;
    partition->leader_id = answer->leader_id;
    partition->leader_epoch = answer->epoch;
    partition->vote_granted = answer->is_granted;
    if (leader->id == QUORUM_NODE_NONE || call->version < 1)
        return;
    *node = (struct vote_response_node_endpoint){leader->id, leader->host, leader->port};
    response->node_endpoints = node;
    response->node_endpoints_count = 1;
}

const struct peer_message peer_vote = {
    .call = &vote_call,
    .version_max = VOTE_REQUEST_VERSION_MAX,
    .pre_vote_version = 2,
    .build = build,
    .hear = hear,
    .read = read,
    .respond = respond,
};
