/* Gaps are fine, reuse never: the record is committed before the block is used. */
#include "cluster/controller/allocate_producer_ids.h"

#include "protocol/messages/producer_ids_record.h"

void decide_allocate_producer_ids(struct decision *decision,
                                  const struct allocate_producer_ids_request *request,
                                  struct allocate_producer_ids_response *response)
{
    allocate_producer_ids_response_init(response);
    const struct image_node *broker = image_broker(decision->image, request->broker_id);
    int64_t next = decision->image->producer_ids.next;
    if (!broker)
        response->error_code = KAFKA_ERROR_BROKER_ID_NOT_REGISTERED;
    else if (broker->epoch != request->broker_epoch)
        response->error_code = KAFKA_ERROR_STALE_BROKER_EPOCH;
    else if (next > INT64_MAX - PRODUCER_ID_BLOCK_SIZE)
        response->error_code = KAFKA_ERROR_UNKNOWN_SERVER_ERROR;
    if (response->error_code != KAFKA_ERROR_NONE)
        return;
    struct producer_ids_record record = {.broker_id = request->broker_id,
                                         .broker_epoch = request->broker_epoch,
                                         .next_producer_id = next + PRODUCER_ID_BLOCK_SIZE};
    decision_add(decision, METADATA_RECORD_PRODUCER_IDS, &record);
    response->producer_id_start = next;
    response->producer_id_len = PRODUCER_ID_BLOCK_SIZE;
}
