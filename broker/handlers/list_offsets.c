/*
 * ListOffsets: offsets by time and the special positions (KIP-79).
 */
#include "protocol/messages/list_offsets.h"

#include "broker/request.h"
#include "broker/shard.h"

API_CODEC(list_offsets);

static void list_offsets_split(struct request *request)
{
    const struct list_offsets_request *message = REQUEST_MESSAGE(list_offsets, request);
    struct list_offsets_response response;
    list_offsets_response_init(&response);
    struct list_offsets_response_list_offsets_topic_response *topics =
        request_get(request, message->topics_count, sizeof(*topics));
    for (size_t i = 0; i < message->topics_count; i++) {
        size_t count = message->topics[i].partitions_count;
        list_offsets_response_list_offsets_topic_response_init(&topics[i]);
        topics[i].name = message->topics[i].name;
        topics[i].partitions = request_get(request, count, sizeof(*topics[i].partitions));
        topics[i].partitions_count = count;
        for (size_t j = 0; j < count; j++) {
            list_offsets_response_list_offsets_partition_response_init(&topics[i].partitions[j]);
            topics[i].partitions[j].partition_index =
                message->topics[i].partitions[j].partition_index;
            topics[i].partitions[j].error_code = KAFKA_ERROR_NOT_LEADER_OR_FOLLOWER;
        }
    }
    response.topics = topics;
    response.topics_count = message->topics_count;
    request_respond(request, &response);
}

const struct api_row api_row_list_offsets = {
    API_ROW(list_offsets, API_KEY_LIST_OFFSETS),
    .route = API_ROUTE_PARTITION,
    .split = list_offsets_split,
};
