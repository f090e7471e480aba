/*
 * The way of a batch (the partitions of one topic of one work, all led by one node):
 *
 *   marker_work_add -> delayed -> (place: leader lookup) -> queue of a node -> flight -> settled
 *                        ^------------------ retriable, lost -------------------'
 *
 * The pump runs in the deferred phase, so that the works of one turn share requests. It places what
 * is new, then gives every idle node its next request. What comes back as retriable waits for the
 * retry timer, and only then it is placed again.
 */
#include "transaction/marker_writer.h"

#include "base/assert.h"
#include "protocol/errors.h"
#include "runtime/diagnostics.h"
#include "runtime/test_point.h"

enum { REQUEST_PARTITIONS_MAX = 2000, RETRY_DELAY_MS = 50, BATCH_PARTITIONS_MAX = 1000 };

#define RETRY_DELAY_NS (RETRY_DELAY_MS * UINT64_C(1000000))

struct marker_batch {
    struct list link;         /* queue, delayed or flight.batches */
    struct list work_link;    /* work.batches */
    struct marker_work *work; /* NULL: cancelled */
    bool is_new;              /* in delayed, but to be placed at once */
    uint32_t count;
    size_t held_size;
    struct view topic; /* behind the partitions */
    int32_t partitions[];
};

struct marker_node {
    int32_t id;
    struct list queue; /* struct marker_batch.link */
    bool is_busy;
};

struct marker_flight {
    struct marker_send send;
    struct marker_writer *writer;
    struct marker_node *node;
    struct list batches; /* in the order of the request */
    struct arena arena;
};

/* ---- Batches ---- */

static struct marker_batch *batch_create(struct marker_writer *writer, struct marker_work *work,
                                         struct view topic, const int32_t *partitions,
                                         uint32_t count)
{
    size_t size = sizeof(struct marker_batch) + count * sizeof(*partitions) + topic.size;
    struct marker_batch *batch = heap_must_get(writer->loop->heap, MEMORY_STATE, size);
    batch->held_size = size;
    batch->work = work;
    batch->count = count;
    if (count > 0)
        memcpy(batch->partitions, partitions, count * sizeof(*partitions));
    uint8_t *name = (uint8_t *)(batch->partitions + count);
    if (topic.size > 0)
        memcpy(name, topic.data, topic.size);
    batch->topic = view_of(name, topic.size);
    list_link_init(&batch->link);
    list_link_init(&batch->work_link);
    list_push_back(&work->batches, &batch->work_link);
    return batch;
}

static void batch_destroy(struct marker_writer *writer, struct marker_batch *batch)
{
    list_remove(&batch->link);
    list_remove(&batch->work_link);
    heap_put(writer->loop->heap, MEMORY_STATE, batch, batch->held_size);
}

static struct marker_batch *batch_of(struct list *link)
{
    return container_of(link, struct marker_batch, link);
}

/* ---- Works ---- */

static void finish_when_settled(struct marker_work *work)
{
    if ((work->left > 0 && !work->is_fenced) || list_is_linked(&work->done_link))
        return;
    list_push_back(&work->writer->finished, &work->done_link);
    loop_defer(work->writer->loop, &work->writer->pump);
}

static void settle(struct marker_work *work, uint32_t count)
{
    klamm_assert(work->left >= count);
    work->left -= count;
    finish_when_settled(work);
}

void marker_work_init(struct marker_work *work)
{
    list_init(&work->batches);
    list_link_init(&work->done_link);
    work->writer = NULL;
    work->left = 0;
    work->is_fenced = false;
}

void marker_work_add(struct marker_writer *writer, struct marker_work *work, struct view topic,
                     const int32_t *partitions, uint32_t count)
{
    for (uint32_t from = 0; from < count; from += BATCH_PARTITIONS_MAX) {
        uint32_t size = count - from < BATCH_PARTITIONS_MAX ? count - from : BATCH_PARTITIONS_MAX;
        struct marker_batch *batch = batch_create(writer, work, topic, partitions + from, size);
        batch->is_new = true;
        work->left += size;
    }
}

void marker_writer_start(struct marker_writer *writer, struct marker_work *work)
{
    work->writer = writer;
    list_for_each(link, &work->batches)
    {
        struct marker_batch *batch = container_of(link, struct marker_batch, work_link);
        list_push_back(&writer->delayed, &batch->link);
    }
    finish_when_settled(work);
    loop_defer(writer->loop, &writer->pump);
}

void marker_writer_cancel(struct marker_work *work)
{
    struct marker_writer *writer = work->writer;
    if (!writer)
        return;
    list_for_each_safe(link, after, &work->batches)
    {
        struct marker_batch *batch = container_of(link, struct marker_batch, work_link);
        /* Its flight names it; only the flight may free it. The work forgets it. */
        batch->work = NULL;
        list_remove(&batch->work_link);
    }
    list_remove(&work->done_link);
    work->writer = NULL;
    work->left = 0;
}

/* ---- Placing ---- */

static struct marker_node *node_of(struct marker_writer *writer, int32_t id)
{
    struct map_entry *entry = map_add_number(&writer->nodes, (uint32_t)id, NULL);
    klamm_assert(entry != NULL);
    if (!entry->value) {
        struct marker_node *node = heap_must_get(writer->loop->heap, MEMORY_STATE, sizeof(*node));
        node->id = id;
        list_init(&node->queue);
        entry->value = node;
    }
    return entry->value;
}

enum { LEADER_UNKNOWN = -1, PARTITION_GONE = -2 };

static int32_t leader_of(const struct image *image, struct view topic, int32_t partition)
{
    if (!image)
        return LEADER_UNKNOWN;
    const struct image_partition *found = image_partition_by_name(image, topic, partition);
    return found ? found->leader : PARTITION_GONE;
}

/* Takes the partitions with this leader out of the batch, in place; returns how many. */
static uint32_t take_with_leader(struct marker_batch *batch, const struct image *image,
                                 int32_t leader, int32_t *taken)
{
    uint32_t count = 0, kept = 0;
    for (uint32_t i = 0; i < batch->count; i++) {
        int32_t partition = batch->partitions[i];
        if (leader_of(image, batch->topic, partition) == leader)
            taken[count++] = partition;
        else
            batch->partitions[kept++] = partition;
    }
    batch->count = kept;
    return count;
}

/* Spreads a batch over the queues of its leaders; what has no leader stays in `delayed`. */
static void place(struct marker_writer *writer, const struct image *image,
                  struct marker_batch *batch)
{
    int32_t taken[BATCH_PARTITIONS_MAX];
    batch->is_new = false;
    for (uint32_t i = 0; i < batch->count;) {
        int32_t leader = leader_of(image, batch->topic, batch->partitions[i]);
        if (leader == LEADER_UNKNOWN) {
            i++;
            continue;
        }
        uint32_t count = take_with_leader(batch, image, leader, taken);
        i = 0;
        if (leader == PARTITION_GONE) {
            writer->counters.dropped += count;
            settle(batch->work, count);
            continue;
        }
        struct marker_batch *placed = batch_create(writer, batch->work, batch->topic, taken, count);
        list_push_back(&node_of(writer, leader)->queue, &placed->link);
    }
    if (batch->count == 0)
        batch_destroy(writer, batch);
}

static void place_delayed(struct marker_writer *writer, bool only_new)
{
    const struct image *image = writer->host.image(writer->host.self);
    bool is_waiting = false;
    list_for_each_safe(link, after, &writer->delayed)
    {
        struct marker_batch *batch = batch_of(link);
        if (!batch->work) {
            batch_destroy(writer, batch);
            continue;
        }
        if (only_new && !batch->is_new) {
            is_waiting = true;
            continue;
        }
        place(writer, image, batch);
    }
    is_waiting = is_waiting || !list_is_empty(&writer->delayed);
    if (is_waiting && !timer_is_set(&writer->retry))
        loop_set_timer(writer->loop, &writer->retry, RETRY_DELAY_NS);
}

static void retry_due(struct timer *timer)
{
    struct marker_writer *writer = container_of(timer, struct marker_writer, retry);
    place_delayed(writer, false);
    loop_defer(writer->loop, &writer->pump);
}

/* ---- Answers ---- */

enum outcome { OUTCOME_DONE, OUTCOME_RETRY, OUTCOME_FENCED };

static enum outcome outcome_of(struct marker_writer *writer, int16_t error)
{
    switch (error) {
    case KAFKA_ERROR_NONE:
    case KAFKA_ERROR_UNSUPPORTED_FOR_MESSAGE_FORMAT:
    case KAFKA_ERROR_UNSUPPORTED_VERSION:
        return OUTCOME_DONE;
    case KAFKA_ERROR_INVALID_PRODUCER_EPOCH:
    case KAFKA_ERROR_TRANSACTION_COORDINATOR_FENCED:
        return OUTCOME_FENCED;
    case KAFKA_ERROR_NOT_LEADER_OR_FOLLOWER:
        return test_point(writer->loop, BUG_TXN_MARKER_MOVED) ? OUTCOME_DONE : OUTCOME_RETRY;
    case KAFKA_ERROR_UNKNOWN_TOPIC_OR_PARTITION:
    case KAFKA_ERROR_NOT_ENOUGH_REPLICAS:
    case KAFKA_ERROR_NOT_ENOUGH_REPLICAS_AFTER_APPEND:
    case KAFKA_ERROR_REQUEST_TIMED_OUT:
    case KAFKA_ERROR_KAFKA_STORAGE_ERROR:
        return OUTCOME_RETRY;
    default:
        log_warn(writer->loop->diagnostics, "a transaction marker was refused: error=%s",
                 kafka_error_name((enum kafka_error)error));
        return OUTCOME_RETRY;
    }
}

typedef struct write_txn_markers_response_writable_txn_marker_result marker_result;
typedef struct write_txn_markers_response_writable_txn_marker_topic_result topic_result;

static const int16_t *error_in(const topic_result *topic, int32_t partition)
{
    for (size_t i = 0; i < topic->partitions_count; i++) {
        if (topic->partitions[i].partition_index == partition)
            return &topic->partitions[i].error_code;
    }
    return NULL;
}

/* What the response says of a partition; one that it leaves out was not written. */
static int16_t error_of(const struct write_txn_markers_response *response,
                        const struct marker_batch *batch, int32_t partition)
{
    for (size_t i = 0; response && i < response->markers_count; i++) {
        const marker_result *marker = &response->markers[i];
        if (marker->producer_id != batch->work->producer_id)
            continue;
        for (size_t j = 0; j < marker->topics_count; j++) {
            const int16_t *error = view_equal(marker->topics[j].name, batch->topic)
                                       ? error_in(&marker->topics[j], partition)
                                       : NULL;
            if (error)
                return *error;
        }
    }
    return KAFKA_ERROR_REQUEST_TIMED_OUT;
}

/* Settles what is written; what has to be tried again stays in the batch, in `delayed`. */
static void take_answer(struct marker_writer *writer, struct marker_batch *batch,
                        const struct write_txn_markers_response *response)
{
    struct marker_work *work = batch->work;
    uint32_t kept = 0, settled = 0;
    for (uint32_t i = 0; i < batch->count; i++) {
        int32_t partition = batch->partitions[i];
        switch (outcome_of(writer, error_of(response, batch, partition))) {
        case OUTCOME_DONE:
            settled++;
            break;
        case OUTCOME_RETRY:
            batch->partitions[kept++] = partition;
            break;
        case OUTCOME_FENCED:
            settled++;
            work->is_fenced = true;
            break;
        }
    }
    batch->count = kept;
    writer->counters.retried += kept;
    if (kept > 0)
        list_push_back(&writer->delayed, &batch->link);
    else
        batch_destroy(writer, batch);
    settle(work, settled);
}

static void answered(struct marker_send *send, const struct write_txn_markers_response *response)
{
    struct marker_flight *flight = container_of(send, struct marker_flight, send);
    struct marker_writer *writer = flight->writer;
    struct list *link;
    while ((link = list_pop_front(&flight->batches))) {
        struct marker_batch *batch = batch_of(link);
        if (batch->work)
            take_answer(writer, batch, response);
        else
            batch_destroy(writer, batch);
    }
    flight->node->is_busy = false;
    arena_deinit(&flight->arena);
    heap_put(writer->loop->heap, MEMORY_STATE, flight, sizeof(*flight));
    loop_defer(writer->loop, &writer->pump);
}

/* ---- Sending ---- */

typedef struct write_txn_markers_request_writable_txn_marker request_marker;
typedef struct write_txn_markers_request_writable_txn_marker_topic request_topic;

/* Moves what fits one request from the node's queue to the flight; the number of batches. */
static size_t load(struct marker_writer *writer, struct marker_flight *flight)
{
    size_t batches = 0, partitions = 0;
    list_for_each_safe(link, after, &flight->node->queue)
    {
        struct marker_batch *batch = batch_of(link);
        if (!batch->work) {
            batch_destroy(writer, batch);
            continue;
        }
        if (batches > 0 && partitions + batch->count > REQUEST_PARTITIONS_MAX)
            break;
        list_remove(&batch->link);
        list_push_back(&flight->batches, &batch->link);
        batches++;
        partitions += batch->count;
    }
    writer->counters.markers += partitions;
    return batches;
}

static request_marker *marker_of(request_marker *marker, const struct marker_work *work)
{
    write_txn_markers_request_writable_txn_marker_init(marker);
    marker->producer_id = work->producer_id;
    marker->producer_epoch = work->producer_epoch;
    marker->transaction_result = work->commit;
    marker->coordinator_epoch = work->coordinator_epoch;
    marker->transaction_version = work->transaction_version;
    return marker;
}

/* A marker per work; the batches of one work stand together in the queue. Names and numbers are
   copied, because batches change while the request is in the air. */
static void fill_request(struct marker_flight *flight, size_t batches)
{
    struct write_txn_markers_request *request = &flight->send.request;
    write_txn_markers_request_init(request);
    request->markers = arena_must_get(&flight->arena, batches, sizeof(*request->markers));
    request_topic *topics = arena_must_get(&flight->arena, batches, sizeof(*topics));
    const struct marker_work *work = NULL;
    request_marker *marker = NULL;
    list_for_each(link, &flight->batches)
    {
        const struct marker_batch *batch = batch_of(link);
        if (batch->work != work) {
            work = batch->work;
            marker = marker_of(&request->markers[request->markers_count++], work);
            marker->topics = topics;
        }
        write_txn_markers_request_writable_txn_marker_topic_init(topics);
        topics->name = arena_copy(&flight->arena, batch->topic);
        topics->partition_indexes =
            arena_must_get(&flight->arena, batch->count, sizeof(*topics->partition_indexes));
        memcpy(topics->partition_indexes, batch->partitions,
               batch->count * sizeof(*batch->partitions));
        topics->partition_indexes_count = batch->count;
        marker->topics_count++;
        topics++;
    }
}

static void send_next(struct marker_writer *writer, struct marker_node *node)
{
    struct heap *heap = writer->loop->heap;
    struct marker_flight *flight = heap_must_get(heap, MEMORY_STATE, sizeof(*flight));
    flight->writer = writer;
    flight->node = node;
    list_init(&flight->batches);
    size_t batches = load(writer, flight);
    if (batches == 0) {
        heap_put(heap, MEMORY_STATE, flight, sizeof(*flight));
        return;
    }
    arena_init(&flight->arena, heap, MEMORY_SCRATCH, 0);
    fill_request(flight, batches);
    flight->send.node = node->id;
    flight->send.answered = answered;
    node->is_busy = true;
    writer->counters.requests++;
    writer->host.send(writer->host.self, &flight->send);
}

static void pump(struct deferred *deferred)
{
    struct marker_writer *writer = container_of(deferred, struct marker_writer, pump);
    place_delayed(writer, true);
    map_for_each(entry, &writer->nodes)
    {
        struct marker_node *node = entry->value;
        if (!node->is_busy && !list_is_empty(&node->queue))
            send_next(writer, node);
    }
    struct list *link;
    while ((link = list_pop_front(&writer->finished))) {
        struct marker_work *work = container_of(link, struct marker_work, done_link);
        marker_writer_cancel(work); /* what is left of a fenced one */
        work->done(work);
    }
}

/* ---- Life ---- */

void marker_writer_init(struct marker_writer *writer, struct loop *loop,
                        const struct marker_host *host)
{
    *writer = (struct marker_writer){.loop = loop, .host = *host};
    map_init(&writer->nodes, loop->heap, MEMORY_STATE, 0);
    list_init(&writer->delayed);
    list_init(&writer->finished);
    timer_init(&writer->retry, retry_due);
    deferred_init(&writer->pump, pump);
}

static void drop_all(struct marker_writer *writer, struct list *batches)
{
    list_for_each_safe(link, after, batches)
    {
        klamm_assert(batch_of(link)->work == NULL);
        batch_destroy(writer, batch_of(link));
    }
}

void marker_writer_deinit(struct marker_writer *writer)
{
    timer_clear(&writer->retry);
    list_remove(&writer->pump.link);
    drop_all(writer, &writer->delayed);
    map_for_each(entry, &writer->nodes)
    {
        struct marker_node *node = entry->value;
        klamm_assert(!node->is_busy);
        drop_all(writer, &node->queue);
        heap_put(writer->loop->heap, MEMORY_STATE, node, sizeof(*node));
    }
    map_deinit(&writer->nodes);
}
