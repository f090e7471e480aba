/*
 * DescribeProducers: the active producers of partitions (KIP-664).
 */
#include "protocol/messages/describe_producers.h"

#include "broker/request.h"
#include "broker/shard.h"

API_CODEC(describe_producers);

static void describe_producers_split(struct request *request)
{
    const struct describe_producers_request *message = REQUEST_MESSAGE(describe_producers, request);
    struct describe_producers_response response;
    describe_producers_response_init(&response);
    struct describe_producers_response_topic_response *topics =
        request_get(request, message->topics_count, sizeof(*topics));
    for (size_t i = 0; i < message->topics_count; i++) {
        size_t count = message->topics[i].partition_indexes_count;
        describe_producers_response_topic_response_init(&topics[i]);
        topics[i].name = message->topics[i].name;
        topics[i].partitions = request_get(request, count, sizeof(*topics[i].partitions));
        topics[i].partitions_count = count;
        for (size_t j = 0; j < count; j++) {
            describe_producers_response_partition_response_init(&topics[i].partitions[j]);
            topics[i].partitions[j].partition_index = message->topics[i].partition_indexes[j];
            topics[i].partitions[j].error_code = KAFKA_ERROR_NOT_LEADER_OR_FOLLOWER;
        }
    }
    response.topics = topics;
    response.topics_count = message->topics_count;
    request_respond(request, &response);
}

const struct api_row api_row_describe_producers = {
    API_ROW(describe_producers, API_KEY_DESCRIBE_PRODUCERS),
    .route = API_ROUTE_PARTITION,
    .split = describe_producers_split,
};
