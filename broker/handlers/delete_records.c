/*
 * DeleteRecords: moves the start of partitions up (KIP-107).
 */
#include "protocol/messages/delete_records.h"

#include "broker/request.h"
#include "broker/shard.h"

API_CODEC(delete_records);

static void delete_records_split(struct request *request)
{
    const struct delete_records_request *message = REQUEST_MESSAGE(delete_records, request);
    struct delete_records_response response;
    delete_records_response_init(&response);
    struct delete_records_response_delete_records_topic_result *topics =
        request_get(request, message->topics_count, sizeof(*topics));
    for (size_t i = 0; i < message->topics_count; i++) {
        size_t count = message->topics[i].partitions_count;
        delete_records_response_delete_records_topic_result_init(&topics[i]);
        topics[i].name = message->topics[i].name;
        topics[i].partitions = request_get(request, count, sizeof(*topics[i].partitions));
        topics[i].partitions_count = count;
        for (size_t j = 0; j < count; j++) {
            delete_records_response_delete_records_partition_result_init(&topics[i].partitions[j]);
            topics[i].partitions[j].partition_index =
                message->topics[i].partitions[j].partition_index;
            topics[i].partitions[j].error_code = KAFKA_ERROR_NOT_LEADER_OR_FOLLOWER;
        }
    }
    response.topics = topics;
    response.topics_count = message->topics_count;
    request_respond(request, &response);
}

const struct api_row api_row_delete_records = {
    API_ROW(delete_records, API_KEY_DELETE_RECORDS),
    .route = API_ROUTE_PARTITION,
    .split = delete_records_split,
};
