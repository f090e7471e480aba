/* The table of the replication notes, 3.5: a row per state of the broker, in order. */
#include "cluster/controller/broker_heartbeat.h"

#include "cluster/controller/partition_change.h"
#include "protocol/messages/broker_registration_change_record.h"

static void add_change(struct decision *decision, const struct image_node *broker, int8_t fenced,
                       int8_t in_controlled_shutdown)
{
    struct broker_registration_change_record record;
    broker_registration_change_record_init(&record);
    record.broker_id = broker->id;
    record.broker_epoch = broker->epoch;
    record.fenced = fenced;
    record.in_controlled_shutdown = in_controlled_shutdown;
    /* The lowest version that can say it, as Kafka writes it. */
    int16_t version = in_controlled_shutdown ? 1 : 0;
    if (!metadata_records_add(&decision->records, METADATA_RECORD_BROKER_REGISTRATION_CHANGE,
                              version, &record))
        decision->failed = true;
}

void decide_fence_broker(struct decision *decision, const struct image_node *broker)
{
    partition_changes_for_removed(decision, broker->id, BROKER_REMOVAL_GONE);
    add_change(decision, broker, 1, 0);
}

static void when_fenced(struct decision *decision, const struct image_node *broker,
                        const struct broker_heartbeat_request *request,
                        struct broker_heartbeat_response *response)
{
    if (request->want_shut_down) {
        response->should_shut_down = true;
    } else if (!request->want_fence && response->is_caught_up) {
        add_change(decision, broker, -1, 0);
        partition_changes_for_added(decision, broker->id);
        response->is_fenced = false;
    }
}

static void when_active(struct decision *decision, const struct image_node *broker,
                        const struct broker_heartbeat_request *request,
                        struct broker_heartbeat_response *response)
{
    if (request->want_fence) {
        decide_fence_broker(decision, broker);
        response->is_fenced = true;
        response->should_shut_down = request->want_shut_down;
        return;
    }
    response->is_fenced = false;
    if (!request->want_shut_down)
        return;
    if (partition_count_led_by(decision->image, broker->id) == 0) {
        response->should_shut_down = true;
        return;
    }
    add_change(decision, broker, 0, 1);
    partition_changes_for_removed(decision, broker->id, BROKER_REMOVAL_GONE);
}

static void when_leaving(struct decision *decision, const struct image_node *broker,
                         int64_t others_offset, int64_t shutdown_offset,
                         struct broker_heartbeat_response *response)
{
    response->is_fenced = false;
    response->should_shut_down = partition_count_led_by(decision->image, broker->id) == 0 &&
                                 shutdown_offset <= others_offset;
}

void decide_broker_heartbeat(struct decision *decision,
                             const struct broker_heartbeat_request *request, int64_t others_offset,
                             int64_t shutdown_offset, struct broker_heartbeat_response *response)
{
    broker_heartbeat_response_init(response);
    const struct image_node *broker = image_broker(decision->image, request->broker_id);
    if (!broker || broker->epoch != request->broker_epoch) {
        response->error_code = KAFKA_ERROR_STALE_BROKER_EPOCH;
        return;
    }
    response->is_caught_up = request->current_metadata_offset >= broker->register_offset;
    if (broker->fenced)
        when_fenced(decision, broker, request, response);
    else if (broker->in_controlled_shutdown)
        when_leaving(decision, broker, others_offset, shutdown_offset, response);
    else
        when_active(decision, broker, request, response);
}
