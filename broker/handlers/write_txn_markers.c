/*
 * WriteTxnMarkers: the end of transactions is written into their partitions, for a transaction
 * coordinator, or for an operator who aborts a transaction that hangs (KIP-98, KIP-664, KIP-1228).
 *
 * Partitions of __consumer_offsets are written by their group coordinators, so that the offsets of
 * the transaction are applied when the answer leaves (KAFKA-17507). Their parts have a row of their
 * own, because the work on the owner is another one.
 */
#include "protocol/messages/write_txn_markers.h"

#include "base/assert.h"
#include "broker/coordinator_part.h"
#include "broker/handlers/partition_items.h"
#include "broker/shard.h"
#include "protocol/control_record.h"

API_CODEC(write_txn_markers);

typedef struct write_txn_markers_request_writable_txn_marker request_marker;
typedef struct write_txn_markers_response_writable_txn_marker_result result_marker;

struct marker_item {
    struct partition_item partition;
    struct coordinator_item group; /* of __consumer_offsets, else unused */
    bool is_group;
    struct coordinator_marker marker;
    struct replica_append append;
    uint8_t batch[CONTROL_RECORD_MARKER_BATCH_SIZE];
};

struct markers_context {
    struct partition_items partitions;
    struct coordinator_items groups;
    struct marker_item *list; /* in the order of the request */
};

static const struct api_row group_markers_row;

/* ---- At home ---- */

static void place(struct request *request, struct markers_context *context,
                  struct marker_item *item, struct view topic, int32_t partition)
{
    item->is_group = view_equal(topic, coordinator_slot_topic(COORDINATOR_GROUPS)) &&
                     image_partition_by_name(request->shard->image, topic, partition);
    if (item->is_group)
        coordinator_items_place_at(request, &context->groups, &item->group, COORDINATOR_GROUPS,
                                   partition, &item->marker, item);
    else
        partition_items_place(request, &context->partitions, &item->partition, topic, partition,
                              -1);
}

static void place_all(struct request *request, struct markers_context *context)
{
    const struct write_txn_markers_request *message = REQUEST_MESSAGE(write_txn_markers, request);
    struct marker_item *item = context->list;
    for (size_t i = 0; i < message->markers_count; i++) {
        const request_marker *marker = &message->markers[i];
        for (size_t j = 0; j < marker->topics_count; j++) {
            for (size_t k = 0; k < marker->topics[j].partition_indexes_count; k++, item++) {
                item->marker = (struct coordinator_marker){
                    .producer_id = marker->producer_id,
                    .producer_epoch = marker->producer_epoch,
                    .coordinator_epoch = marker->coordinator_epoch,
                    .transaction_version = marker->transaction_version,
                    .commit = marker->transaction_result,
                };
                place(request, context, item, marker->topics[j].name,
                      marker->topics[j].partition_indexes[k]);
            }
        }
    }
}

static void write_txn_markers_split(struct request *request)
{
    const struct write_txn_markers_request *message = REQUEST_MESSAGE(write_txn_markers, request);
    struct markers_context *context = request_get(request, 1, sizeof(*context));
    request->context = context;
    size_t count = 0;
    for (size_t i = 0; i < message->markers_count; i++)
        for (size_t j = 0; j < message->markers[i].topics_count; j++)
            count += message->markers[i].topics[j].partition_indexes_count;
    context->list = request_get(request, count, sizeof(*context->list));
    place_all(request, context);
    for (unsigned i = 1; i <= request->shard->broker->shard_count; i++) {
        struct coordinator_part *part = context->groups.parts[i];
        if (!part)
            continue;
        part->part.row = &group_markers_row;
        request_post_part(request, &part->part, i);
    }
    partition_items_post(request, &context->partitions);
}

/* ---- On the owner ---- */

static void appended(struct replica_append *append)
{
    struct marker_item *item = container_of(append, struct marker_item, append);
    item->partition.error = append->error;
    partition_item_done(&item->partition);
}

static void write_marker(struct partition_item *base, struct replica *replica)
{
    struct marker_item *item = container_of(base, struct marker_item, partition);
    const struct control_marker marker = {
        .commit = item->marker.commit,
        .producer_id = item->marker.producer_id,
        .producer_epoch = item->marker.producer_epoch,
        .coordinator_epoch = item->marker.coordinator_epoch,
        .timestamp_ms = base->part->at->wall_ms,
    };
    item->append = (struct replica_append){.acks = -1, .done = appended};
    item->append.append.data = item->batch;
    item->append.append.size = control_record_build_marker(item->batch, &marker);
    item->append.append.origin = LOG_APPEND_COORDINATOR;
    item->append.append.transaction_version = item->marker.transaction_version;
    if (replica_append(replica, &item->append))
        appended(&item->append);
}

static void write_txn_markers_part(struct part *part, struct loop *at)
{
    partition_part_run(part, at, write_marker);
}

static void write_group_marker(void *state, struct coordinator_call *call)
{
    (void)state;
    struct coordinator *coordinator =
        container_of(call, struct coordinator_item, call)->coordinator;
    enum kafka_error error = coordinator_append_marker(coordinator, call->request);
    if (error == KAFKA_ERROR_NONE)
        coordinator_answer(coordinator, call);
    else
        coordinator_fail(call, error);
}

static void group_markers_part(struct part *part, struct loop *at)
{
    coordinator_part_run(part, at, write_group_marker);
}

static const struct api_row group_markers_row = {
    API_ROW(write_txn_markers, API_KEY_WRITE_TXN_MARKERS),
    .part = group_markers_part,
};

/* ---- At home again ---- */

static enum kafka_error answer_of(const struct marker_item *item)
{
    if (!item->is_group)
        return partition_item_answer(&item->partition);
    enum kafka_error error = coordinator_item_answer(&item->group);
    bool is_elsewhere = error == KAFKA_ERROR_COORDINATOR_LOAD_IN_PROGRESS ||
                        error == KAFKA_ERROR_COORDINATOR_NOT_AVAILABLE ||
                        error == KAFKA_ERROR_NOT_COORDINATOR;
    return is_elsewhere ? KAFKA_ERROR_NOT_LEADER_OR_FOLLOWER : error;
}

static const struct marker_item *fill_marker(struct request *request, const request_marker *marker,
                                             const struct marker_item *item, result_marker *out)
{
    write_txn_markers_response_writable_txn_marker_result_init(out);
    out->producer_id = marker->producer_id;
    out->topics_count = marker->topics_count;
    out->topics = request_get(request, out->topics_count, sizeof(*out->topics));
    for (size_t j = 0; j < out->topics_count; j++) {
        struct write_txn_markers_response_writable_txn_marker_topic_result *topic =
            &out->topics[j];
        topic->name = marker->topics[j].name;
        topic->partitions_count = marker->topics[j].partition_indexes_count;
        topic->partitions =
            request_get(request, topic->partitions_count, sizeof(*topic->partitions));
        for (size_t k = 0; k < topic->partitions_count; k++, item++) {
            topic->partitions[k].partition_index = marker->topics[j].partition_indexes[k];
            topic->partitions[k].error_code = (int16_t)answer_of(item);
        }
    }
    return item;
}

static void write_txn_markers_join(struct request *request)
{
    const struct write_txn_markers_request *message = REQUEST_MESSAGE(write_txn_markers, request);
    const struct markers_context *context = request->context;
    const struct marker_item *item = context->list;
    struct write_txn_markers_response response;
    write_txn_markers_response_init(&response);
    response.markers_count = message->markers_count;
    response.markers = request_get(request, response.markers_count, sizeof(*response.markers));
    for (size_t i = 0; i < message->markers_count; i++)
        item = fill_marker(request, &message->markers[i], item, &response.markers[i]);
    request_respond(request, &response);
}

const struct api_row api_row_write_txn_markers = {
    API_ROW(write_txn_markers, API_KEY_WRITE_TXN_MARKERS),
    .route = API_ROUTE_PARTITION,
    .split = write_txn_markers_split,
    .part = write_txn_markers_part,
    .join = write_txn_markers_join,
};
