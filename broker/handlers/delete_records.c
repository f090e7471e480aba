/*
 * DeleteRecords: moves the start of partitions up (KIP-107). The answer's low watermark is the
 * smallest log start of all replicas whose brokers are alive; the request waits until it has
 * reached the offset, or for its timeout. A partition whose only replica is here is done at once.
 */
#include "protocol/messages/delete_records.h"

#include "broker/handlers/partition_items.h"
#include "broker/shard.h"

API_CODEC(delete_records);

struct delete_item {
    struct partition_item item;
    int64_t offset; /* -1: the high watermark */
    int32_t timeout_ms;
    int64_t low_watermark; /* -1: nothing was deleted */
    /* The owner's, while followers are behind. */
    struct replica *replica;
    struct replica_watch watch;
    struct timer timeout;
};

struct delete_context {
    struct partition_items items;
    struct delete_item *list; /* in the order of the request */
};

static void finish(struct delete_item *item, enum kafka_error error)
{
    item->item.error = error;
    timer_clear(&item->timeout);
    replica_unwatch(&item->watch);
    partition_item_done(&item->item);
}

/* Whether the followers are there too; if not, waits for the next of their fetches. */
static void look(struct delete_item *item)
{
    int64_t low_watermark = replica_low_watermark(item->replica);
    item->low_watermark = low_watermark;
    if (low_watermark >= item->offset)
        finish(item, KAFKA_ERROR_NONE);
    else
        replica_watch_start(item->replica, &item->watch);
}

static void start_moved(struct replica_watch *watch)
{
    struct delete_item *item = container_of(watch, struct delete_item, watch);
    enum kafka_error error = replica_check(item->replica, item->item.leader_epoch);
    if (error == KAFKA_ERROR_NONE) {
        look(item);
        return;
    }
    item->low_watermark = -1;
    finish(item, error);
}

static void timed_out(struct timer *timer)
{
    finish(container_of(timer, struct delete_item, timeout), KAFKA_ERROR_REQUEST_TIMED_OUT);
}

static void delete_below(struct partition_item *base, struct replica *replica)
{
    struct delete_item *item = container_of(base, struct delete_item, item);
    base->error = replica_delete_records(replica, &item->offset);
    if (base->error != KAFKA_ERROR_NONE) {
        partition_item_done(base);
        return;
    }
    item->replica = replica;
    list_link_init(&item->watch.link);
    item->watch.fired = start_moved;
    uint64_t timeout_ms = item->timeout_ms > 0 ? (uint64_t)item->timeout_ms : 0;
    timer_init(&item->timeout, timed_out);
    loop_set_timer(base->part->at, &item->timeout, timeout_ms * UINT64_C(1000000));
    look(item);
}

static void delete_records_part(struct part *part, struct loop *at)
{
    partition_part_run(part, at, delete_below);
}

/* The cluster's own topics are not for clients to cut. */
static void place(struct request *request, struct delete_item *item, struct view topic)
{
    struct delete_context *context = request->context;
    bool is_protected = image_topic_name_is_internal(topic) &&
                        image_partition_by_name(request->shard->image, topic, item->item.partition);
    if (is_protected)
        item->item.error = KAFKA_ERROR_INVALID_TOPIC_EXCEPTION;
    else
        partition_items_place(request, &context->items, &item->item, topic, item->item.partition,
                              -1);
}

static void delete_records_split(struct request *request)
{
    const struct delete_records_request *message = REQUEST_MESSAGE(delete_records, request);
    struct delete_context *context = request_get(request, 1, sizeof(*context));
    request->context = context;
    size_t count = 0;
    for (size_t i = 0; i < message->topics_count; i++)
        count += message->topics[i].partitions_count;
    context->list = request_get(request, count, sizeof(*context->list));
    struct delete_item *item = context->list;
    for (size_t i = 0; i < message->topics_count; i++) {
        const struct delete_records_request_delete_records_topic *topic = &message->topics[i];
        for (size_t j = 0; j < topic->partitions_count; j++, item++) {
            item->item.partition = topic->partitions[j].partition_index;
            item->offset = topic->partitions[j].offset;
            item->timeout_ms = message->timeout_ms;
            item->low_watermark = -1;
            place(request, item, topic->name);
        }
    }
    partition_items_post(request, &context->items);
}

static void delete_records_join(struct request *request)
{
    const struct delete_records_request *message = REQUEST_MESSAGE(delete_records, request);
    const struct delete_context *context = request->context;
    struct delete_records_response response;
    delete_records_response_init(&response);
    response.topics_count = message->topics_count;
    response.topics = request_get(request, response.topics_count, sizeof(*response.topics));
    const struct delete_item *item = context->list;
    for (size_t i = 0; i < message->topics_count; i++) {
        struct delete_records_response_delete_records_topic_result *topic = &response.topics[i];
        delete_records_response_delete_records_topic_result_init(topic);
        topic->name = message->topics[i].name;
        topic->partitions_count = message->topics[i].partitions_count;
        topic->partitions =
            request_get(request, topic->partitions_count, sizeof(*topic->partitions));
        for (size_t j = 0; j < topic->partitions_count; j++, item++) {
            struct delete_records_response_delete_records_partition_result *out =
                &topic->partitions[j];
            delete_records_response_delete_records_partition_result_init(out);
            out->partition_index = item->item.partition;
            out->error_code = (int16_t)partition_item_answer(&item->item);
            out->low_watermark = item->low_watermark;
        }
    }
    request_respond(request, &response);
}

const struct api_row api_row_delete_records = {
    API_ROW(delete_records, API_KEY_DELETE_RECORDS),
    .route = API_ROUTE_PARTITION,
    .split = delete_records_split,
    .part = delete_records_part,
    .join = delete_records_join,
};
