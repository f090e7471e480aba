/*
 * ListOffsets: the offset of a special position or of a time (KIP-79, KIP-734).
 *
 * Consumers see offsets below the bound of their isolation level only; other callers see the whole
 * log. Positions are answered at once; a time needs the log's lookup, which is a job, so an item
 * may wait on its owner. The bound is taken before the lookup: what is appended meanwhile does not
 * belong to this answer.
 *
 * A partition that is named twice is answered once, with INVALID_REQUEST.
 */
#include "protocol/messages/list_offsets.h"

#include "base/sort.h"
#include "broker/handlers/partition_items.h"
#include "broker/shard.h"
#include "log/leader_epochs.h"
#include "runtime/test_point.h"

API_CODEC(list_offsets);

enum {
    POSITION_LATEST = -1,
    POSITION_EARLIEST = -2,
    POSITION_MAX_TIMESTAMP = -3,
    POSITION_EARLIEST_LOCAL = -4,
    POSITION_LATEST_TIERED = -5,
    POSITION_EARLIEST_PENDING_UPLOAD = -6,
};

enum {
    CONSUMER_REPLICA_ID = -1,
    ISOLATION_READ_UNCOMMITTED = 0,
    ISOLATION_READ_COMMITTED = 1,
    LEADER_EPOCH_SINCE_VERSION = 4,
    NOT_AVAILABLE_SINCE_VERSION = 5, /* before, LEADER_NOT_AVAILABLE says the same */
    TIMEOUT_SINCE_VERSION = 10,
};

struct list_item {
    struct partition_item item;
    struct view topic;
    const struct list_context *context;
    bool is_repeat; /* an earlier item answers for it */
    int64_t asked;  /* a time, or a position below zero */
    int64_t offset;
    int64_t timestamp;
    int32_t found_epoch;
    /* The owner's. */
    struct log_lookup lookup;
    int64_t bound;     /* what is found lies below it */
    bool is_unsettled; /* the leader does not know its high watermark yet */
};

struct list_context {
    struct partition_items items;
    struct list_item *list; /* in the order of the request */
    size_t count;
    enum log_read_bound bound;
    bool is_consumer;
};

/* ---- On the owner ---- */

static void found(struct list_item *item, int64_t offset, int64_t timestamp, int32_t epoch)
{
    item->offset = offset;
    item->timestamp = timestamp;
    item->found_epoch = epoch;
    partition_item_done(&item->item);
}

static void not_available(struct list_item *item)
{
    item->item.error = KAFKA_ERROR_OFFSET_NOT_AVAILABLE;
    partition_item_done(&item->item);
}

static void lookup_ended(struct log_lookup *lookup)
{
    struct list_item *item = container_of(lookup, struct list_item, lookup);
    if (lookup->status != LOG_READ_OK) {
        item->item.error = KAFKA_ERROR_KAFKA_STORAGE_ERROR;
        partition_item_done(&item->item);
    } else if (lookup->offset >= 0 && lookup->offset < item->bound) {
        found(item, lookup->offset, lookup->found_timestamp, lookup->leader_epoch);
    } else if (item->is_unsettled) {
        not_available(item);
    } else {
        found(item, -1, -1, -1);
    }
}

/* The epoch of the log start, when the log knows it. */
static int32_t epoch_at_start(const struct partition_log *log)
{
    const struct leader_epochs *epochs = partition_log_leader_epochs(log);
    bool is_known =
        epochs->count > 0 && epochs->entries[0].start_offset <= partition_log_start_offset(log);
    return is_known ? epochs->entries[0].epoch : -1;
}

static void answer_item(struct partition_item *base, struct replica *replica)
{
    struct list_item *item = container_of(base, struct list_item, item);
    const struct list_context *context = item->context;
    item->bound = replica_read_bound(replica, context->bound);
    item->is_unsettled = context->is_consumer &&
                         replica_high_watermark(replica) < replica->epoch_start_offset &&
                         !test_point(replica->host->loop, BUG_REPLICA_END_TOLD_EARLY);
    switch (item->asked) {
    case POSITION_LATEST:
        if (item->is_unsettled)
            not_available(item);
        else
            found(item, item->bound, -1, replica->leader_epoch);
        return;
    case POSITION_EARLIEST:
    case POSITION_EARLIEST_LOCAL: /* nothing is kept elsewhere */
        found(item, partition_log_start_offset(replica->log), -1, epoch_at_start(replica->log));
        return;
    case POSITION_LATEST_TIERED:
    case POSITION_EARLIEST_PENDING_UPLOAD:
        found(item, -1, -1, -1);
        return;
    case POSITION_MAX_TIMESTAMP:
        item->lookup.kind = LOG_LOOKUP_MAX_TIMESTAMP;
        break;
    default:
        item->lookup.kind = LOG_LOOKUP_TIMESTAMP;
        item->lookup.timestamp = item->asked;
        break;
    }
    item->lookup.found = lookup_ended;
    partition_log_lookup(replica->log, &item->lookup);
}

static void list_offsets_part(struct part *part, struct loop *at)
{
    partition_part_run(part, at, answer_item);
}

/* ---- At home ---- */

/* The first version that may ask for a position; false for what is no position. */
static bool is_supported(int64_t asked, int16_t version)
{
    switch (asked) {
    case POSITION_LATEST:
    case POSITION_EARLIEST:
        return true;
    case POSITION_MAX_TIMESTAMP:
        return version >= 7;
    case POSITION_EARLIEST_LOCAL:
        return version >= 8;
    case POSITION_LATEST_TIERED:
        return version >= 9;
    case POSITION_EARLIEST_PENDING_UPLOAD:
        return version >= 11;
    default:
        return asked >= 0;
    }
}

static int compare_items(const void *a, const void *b, void *unused)
{
    (void)unused;
    const struct list_item *left = *(struct list_item *const *)a;
    const struct list_item *right = *(struct list_item *const *)b;
    int order = view_compare(left->topic, right->topic);
    if (order != 0)
        return order;
    return (left->item.partition > right->item.partition) -
           (left->item.partition < right->item.partition);
}

/* Refuses what is named more than once. */
static void refuse_repeated(struct request *request, struct list_context *context)
{
    if (context->count < 2)
        return;
    struct list_item **sorted = request_get(request, context->count, sizeof(struct list_item *));
    void *scratch = request_get(request, context->count, sizeof(struct list_item *));
    for (size_t i = 0; i < context->count; i++)
        sorted[i] = &context->list[i];
    sort_stable(sorted, context->count, sizeof(struct list_item *), scratch, compare_items, NULL);
    for (size_t i = 1; i < context->count; i++) {
        if (compare_items(&sorted[i - 1], &sorted[i], NULL) != 0)
            continue;
        sorted[i]->is_repeat = true;
        sorted[i - 1]->item.error = sorted[i]->item.error = KAFKA_ERROR_INVALID_REQUEST;
    }
}

static void fill_items(struct request *request)
{
    const struct list_offsets_request *message = REQUEST_MESSAGE(list_offsets, request);
    struct list_context *context = request->context;
    bool is_isolation = message->isolation_level == ISOLATION_READ_UNCOMMITTED ||
                        message->isolation_level == ISOLATION_READ_COMMITTED;
    struct list_item *item = context->list;
    for (size_t i = 0; i < message->topics_count; i++) {
        const struct list_offsets_request_list_offsets_topic *topic = &message->topics[i];
        for (size_t j = 0; j < topic->partitions_count; j++, item++) {
            item->context = context;
            item->topic = topic->name;
            item->item.partition = topic->partitions[j].partition_index;
            item->item.leader_epoch = topic->partitions[j].current_leader_epoch;
            item->asked = topic->partitions[j].timestamp;
            if (!is_isolation)
                item->item.error = KAFKA_ERROR_UNKNOWN_SERVER_ERROR;
        }
    }
}

static void list_offsets_split(struct request *request)
{
    const struct list_offsets_request *message = REQUEST_MESSAGE(list_offsets, request);
    struct list_context *context = request_get(request, 1, sizeof(*context));
    request->context = context;
    context->is_consumer = message->replica_id == CONSUMER_REPLICA_ID;
    context->bound = !context->is_consumer ? LOG_READ_LOG_END
                     : message->isolation_level == ISOLATION_READ_COMMITTED
                         ? LOG_READ_LAST_STABLE
                         : LOG_READ_HIGH_WATERMARK;
    for (size_t i = 0; i < message->topics_count; i++)
        context->count += message->topics[i].partitions_count;
    context->list = request_get(request, context->count, sizeof(*context->list));
    fill_items(request);
    refuse_repeated(request, context);
    for (size_t i = 0; i < context->count; i++) {
        struct list_item *item = &context->list[i];
        if (item->item.error != KAFKA_ERROR_NONE)
            continue;
        if (is_supported(item->asked, request_version(request)))
            partition_items_place(request, &context->items, &item->item, item->topic,
                                  item->item.partition, item->item.leader_epoch);
        else
            item->item.error = KAFKA_ERROR_UNSUPPORTED_VERSION;
    }
    if (request_version(request) >= TIMEOUT_SINCE_VERSION && message->timeout_ms > 0)
        request_set_deadline(request, message->timeout_ms);
    partition_items_post(request, &context->items);
}

static void fill_partition(const struct request *request, const struct list_item *item,
                           struct list_offsets_response_list_offsets_partition_response *out)
{
    list_offsets_response_list_offsets_partition_response_init(out);
    out->partition_index = item->item.partition;
    enum kafka_error error = partition_item_answer(&item->item);
    if (error == KAFKA_ERROR_OFFSET_NOT_AVAILABLE &&
        request_version(request) < NOT_AVAILABLE_SINCE_VERSION)
        error = KAFKA_ERROR_LEADER_NOT_AVAILABLE;
    out->error_code = (int16_t)error;
    if (error != KAFKA_ERROR_NONE)
        return;
    out->offset = item->offset;
    out->timestamp = item->timestamp;
    if (request_version(request) >= LEADER_EPOCH_SINCE_VERSION)
        out->leader_epoch = item->found_epoch;
}

static void list_offsets_join(struct request *request)
{
    const struct list_offsets_request *message = REQUEST_MESSAGE(list_offsets, request);
    const struct list_context *context = request->context;
    struct list_offsets_response response;
    list_offsets_response_init(&response);
    response.topics = request_get(request, message->topics_count, sizeof(*response.topics));
    const struct list_item *item = context->list;
    for (size_t i = 0; i < message->topics_count; i++) {
        struct list_offsets_response_list_offsets_topic_response *topic =
            &response.topics[response.topics_count];
        size_t count = message->topics[i].partitions_count;
        list_offsets_response_list_offsets_topic_response_init(topic);
        topic->name = message->topics[i].name;
        topic->partitions = request_get(request, count, sizeof(*topic->partitions));
        for (size_t j = 0; j < count; j++, item++)
            if (!item->is_repeat)
                fill_partition(request, item, &topic->partitions[topic->partitions_count++]);
        if (topic->partitions_count > 0)
            response.topics_count++;
    }
    request_respond(request, &response);
}

const struct api_row api_row_list_offsets = {
    API_ROW(list_offsets, API_KEY_LIST_OFFSETS),
    .route = API_ROUTE_PARTITION,
    .split = list_offsets_split,
    .part = list_offsets_part,
    .join = list_offsets_join,
};
