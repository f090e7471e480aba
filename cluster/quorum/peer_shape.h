/*
 * What the generated structs of the messages of elections have alike, as functions for each of
 * them: the types differ in name only, so these are macros. Included by the file of a message.
 */
#ifndef KLAMM_CLUSTER_QUORUM_PEER_SHAPE_H
#define KLAMM_CLUSTER_QUORUM_PEER_SHAPE_H

#include "cluster/quorum/metadata_log_internal.h"
#include "protocol/api_info.h"

/*
 * For a message whose request and response have one topic with one partition, and whose response
 * says who leads and where that node is:
 *
 *     name_call    of connection/channel.h
 *     name_begin   a request with its partition at topics[0].partitions[0]; NULL: out of memory
 *     name_check   whether a request is of this cluster's metadata log
 *     name_heard   takes error, epoch and leader; the partition, or NULL as `hear` says false
 *     name_answer  fills a response; its partition, or NULL when there is only an error
 */
#define PEER_SHAPE(name)                                                                           \
    static struct name##_request *name##_begin(const struct metadata_log *log,                     \
                                               struct arena *arena)                                \
    {                                                                                              \
        struct {                                                                                   \
            struct name##_request request;                                                         \
            struct name##_request_topic_data topic;                                                \
            struct name##_request_partition_data partition;                                        \
        } *body = arena_get_array(arena, 1, sizeof(*body));                                        \
        if (!body)                                                                                 \
            return NULL;                                                                           \
        name##_request_init(&body->request);                                                       \
        name##_request_partition_data_init(&body->partition);                                      \
        body->topic = (struct name##_request_topic_data){PEER_TOPIC, &body->partition, 1};         \
        body->request.cluster_id = log->options.cluster_id;                                        \
        body->request.topics = &body->topic;                                                       \
        body->request.topics_count = 1;                                                            \
        return &body->request;                                                                     \
    }                                                                                              \
    static enum kafka_error name##_check(const struct metadata_log *log,                           \
                                         const struct name##_request *request)                     \
    {                                                                                              \
        enum kafka_error error = peer_cluster_check(log, request->cluster_id);                     \
        if (error != KAFKA_ERROR_NONE)                                                             \
            return error;                                                                          \
        bool is_ours = request->topics_count == 1 && request->topics[0].partitions_count == 1 &&   \
                       view_equal(request->topics[0].topic_name, PEER_TOPIC) &&                    \
                       request->topics[0].partitions[0].partition_index == 0;                      \
        return is_ours ? KAFKA_ERROR_NONE : KAFKA_ERROR_INVALID_REQUEST;                           \
    }                                                                                              \
    static const struct name##_response_partition_data *name##_heard(                              \
        const struct name##_response *response, struct quorum_answer *answer,                      \
        struct quorum_endpoint *endpoint)                                                          \
    {                                                                                              \
        bool is_one = response->topics_count == 1 && response->topics[0].partitions_count == 1;    \
        answer->error = (enum kafka_error)response->error_code;                                    \
        if (answer->error == KAFKA_ERROR_NONE && !is_one)                                          \
            answer->error = KAFKA_ERROR_INVALID_REQUEST;                                           \
        if (answer->error != KAFKA_ERROR_NONE)                                                     \
            return NULL;                                                                           \
        const struct name##_response_partition_data *partition =                                   \
            &response->topics[0].partitions[0];                                                    \
        answer->error = (enum kafka_error)partition->error_code;                                   \
        answer->epoch = partition->leader_epoch;                                                   \
        answer->leader_id = partition->leader_id;                                                  \
        for (size_t i = 0; i < response->node_endpoints_count; i++) {                              \
            const struct name##_response_node_endpoint *node = &response->node_endpoints[i];       \
            if (node->node_id == partition->leader_id)                                             \
                *endpoint = (struct quorum_endpoint){node->node_id, node->host, node->port};       \
        }                                                                                          \
        return partition;                                                                          \
    }                                                                                              \
    static struct name##_response_partition_data *name##_answer(                                   \
        struct quorum_call *call, enum kafka_error error, const struct quorum_answer *answer,      \
        const struct quorum_endpoint *leader)                                                      \
    {                                                                                              \
        struct name##_response *response = call->response;                                         \
        name##_response_init(response);                                                            \
        response->error_code = (int16_t)error;                                                     \
        if (!answer)                                                                               \
            return NULL;                                                                           \
        struct {                                                                                   \
            struct name##_response_topic_data topic;                                               \
            struct name##_response_partition_data partition;                                       \
            struct name##_response_node_endpoint node;                                             \
        } *body = arena_get_array(call->arena, 1, sizeof(*body));                                  \
        if (!body) {                                                                               \
            response->error_code = KAFKA_ERROR_UNKNOWN_SERVER_ERROR;                               \
            return NULL;                                                                           \
        }                                                                                          \
        response->topics = &body->topic;                                                           \
        response->topics_count = 1;                                                                \
        body->topic = (struct name##_response_topic_data){PEER_TOPIC, &body->partition, 1};        \
        name##_response_partition_data_init(&body->partition);                                     \
        body->partition.error_code = (int16_t)answer->error;                                       \
        body->partition.leader_id = answer->leader_id;                                             \
        body->partition.leader_epoch = answer->epoch;                                              \
        if (leader->id == QUORUM_NODE_NONE || call->version < 1)                                   \
            return &body->partition;                                                               \
        body->node =                                                                               \
            (struct name##_response_node_endpoint){leader->id, leader->host, leader->port};        \
        response->node_endpoints = &body->node;                                                    \
        response->node_endpoints_count = 1;                                                        \
        return &body->partition;                                                                   \
    }

#define PEER_MESSAGE(name, key) PEER_SHAPE(name) CHANNEL_CALL(name, key)

/*
 * The same for a message that a leader sends, and besides:
 *
 *     name_name_leader  puts the own address into a request; false: out of memory
 *     name_leader       leader and epoch of a request, and the address if there is one
 *     hear, respond     of struct peer_message: these responses say no more than every other
 */
#define PEER_MESSAGE_OF_LEADER(name, key)                                                          \
    PEER_SHAPE(name)                                                                               \
    static bool name##_name_leader(const struct metadata_log *log, struct name##_request *request, \
                                   struct arena *arena)                                            \
    {                                                                                              \
        const struct sole_voter *self = &log->options.voter;                                       \
        request->leader_endpoints = arena_get_array(arena, 1, sizeof(*request->leader_endpoints)); \
        if (!request->leader_endpoints)                                                            \
            return false;                                                                          \
        request->leader_endpoints_count = 1;                                                       \
        request->leader_endpoints[0] =                                                             \
            (struct name##_request_leader_endpoint){self->listener, self->host, self->port};       \
        return true;                                                                               \
    }                                                                                              \
    static void name##_leader(const struct name##_request *request, struct quorum_message *asked,  \
                              struct quorum_endpoint *leader)                                      \
    {                                                                                              \
        asked->from.id = request->topics[0].partitions[0].leader_id;                               \
        asked->epoch = request->topics[0].partitions[0].leader_epoch;                              \
        if (request->leader_endpoints_count > 0)                                                   \
            *leader = (struct quorum_endpoint){asked->from.id, request->leader_endpoints[0].host,  \
                                               request->leader_endpoints[0].port};                 \
    }                                                                                              \
    static bool hear(const void *response, struct quorum_answer *answer,                           \
                     struct quorum_endpoint *endpoint)                                             \
    {                                                                                              \
        return name##_heard(response, answer, endpoint) != NULL;                                   \
    }                                                                                              \
    static void respond(struct quorum_call *call, enum kafka_error error,                          \
                        const struct quorum_answer *answer, const struct quorum_endpoint *leader)  \
    {                                                                                              \
        name##_answer(call, error, answer, leader);                                                \
    }                                                                                              \
    CHANNEL_CALL(name, key)

#endif
