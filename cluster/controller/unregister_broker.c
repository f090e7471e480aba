/* One that lives on will be told that its epoch is stale, and registers anew. */
#include "cluster/controller/unregister_broker.h"

#include "cluster/controller/broker_departure.h"
#include "protocol/messages/unregister_broker_record.h"

void decide_unregister_broker(struct decision *decision,
                              const struct unregister_broker_request *request,
                              struct unregister_broker_response *response)
{
    unregister_broker_response_init(response);
    const struct image_node *broker = image_broker(decision->image, request->broker_id);
    if (!broker) {
        response->error_code = KAFKA_ERROR_BROKER_ID_NOT_REGISTERED;
        response->error_message =
            decision_text(decision, "no broker %d is registered", request->broker_id);
        return;
    }
    if (image_broker_is_active(decision->image, broker->id) &&
        broker_is_last_active(decision->image, broker->id)) {
        response->error_code = KAFKA_ERROR_INVALID_REQUEST;
        response->error_message = decision_text(
            decision, "broker %d is the only one that serves the cluster", request->broker_id);
        return;
    }
    struct broker_departure departure = {.broker_id = broker->id,
                                         .removal = BROKER_REMOVAL_UNREGISTERED};
    partition_changes_for_removed(decision, &departure);
    struct unregister_broker_record record = {broker->id, broker->epoch};
    decision_add(decision, METADATA_RECORD_UNREGISTER_BROKER, &record);
}
