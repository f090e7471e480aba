/*
 * OffsetForLeaderEpoch: the end of a leader epoch, for consumers and followers (KIP-101, KIP-320).
 */
#include "protocol/messages/offset_for_leader_epoch.h"

#include "broker/request.h"
#include "broker/shard.h"

API_CODEC(offset_for_leader_epoch);

static void offset_for_leader_epoch_split(struct request *request)
{
    const struct offset_for_leader_epoch_request *message =
        REQUEST_MESSAGE(offset_for_leader_epoch, request);
    struct offset_for_leader_epoch_response response;
    offset_for_leader_epoch_response_init(&response);
    struct offset_for_leader_epoch_response_offset_for_leader_topic_result *topics =
        request_get(request, message->topics_count, sizeof(*topics));
    for (size_t i = 0; i < message->topics_count; i++) {
        size_t count = message->topics[i].partitions_count;
        offset_for_leader_epoch_response_offset_for_leader_topic_result_init(&topics[i]);
        topics[i].topic = message->topics[i].topic;
        topics[i].partitions = request_get(request, count, sizeof(*topics[i].partitions));
        topics[i].partitions_count = count;
        for (size_t j = 0; j < count; j++) {
            offset_for_leader_epoch_response_epoch_end_offset_init(&topics[i].partitions[j]);
            topics[i].partitions[j].partition = message->topics[i].partitions[j].partition;
            topics[i].partitions[j].error_code = KAFKA_ERROR_NOT_LEADER_OR_FOLLOWER;
        }
    }
    response.topics = topics;
    response.topics_count = message->topics_count;
    request_respond(request, &response);
}

const struct api_row api_row_offset_for_leader_epoch = {
    API_ROW(offset_for_leader_epoch, API_KEY_OFFSET_FOR_LEADER_EPOCH),
    .route = API_ROUTE_PARTITION,
    .split = offset_for_leader_epoch_split,
};
