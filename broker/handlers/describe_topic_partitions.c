/*
 * DescribeTopicPartitions (KIP-966): partitions of topics in name order, a page at a time.
 *
 * A page ends after a number of partitions; the cursor in the answer names where the next one
 * begins. Without a list of topics all are described, and a topic that is gone meanwhile is left
 * out instead of being answered with an error.
 */
#include "protocol/messages/describe_topic_partitions.h"

#include "base/assert.h"
#include "base/sort.h"
#include "broker/authorized_operations.h"
#include "broker/endpoint.h"
#include "broker/request.h"
#include "broker/shard.h"
#include "cluster/metadata/topic_name.h"

API_CODEC(describe_topic_partitions);

typedef struct describe_topic_partitions_response_topic topic_result;
typedef struct describe_topic_partitions_response_partition partition_result;

struct page {
    struct request *request;
    const struct image *image;
    struct describe_topic_partitions_response response;
    int32_t left; /* partitions that still fit */
    const struct describe_topic_partitions_request_cursor *cursor;
    bool is_full;
};

static void end_page(struct page *page, struct view topic, int32_t partition)
{
    struct describe_topic_partitions_response_cursor *cursor =
        request_get(page->request, 1, sizeof(*cursor));
    *cursor = (struct describe_topic_partitions_response_cursor){topic, partition};
    page->response.next_cursor = cursor;
    page->is_full = true;
}

static int32_t *copy_ids(struct page *page, struct node_list list, size_t *count)
{
    int32_t *ids = request_get(page->request, list.count, sizeof(*ids));
    if (list.count)
        memcpy(ids, list.ids, list.count * sizeof(*ids));
    *count = list.count;
    return ids;
}

static void fill_partition(struct page *page, const struct image_partition *partition,
                           int32_t index, partition_result *out)
{
    struct partition_state state = image_partition_state(partition);
    describe_topic_partitions_response_partition_init(out);
    out->partition_index = index;
    out->leader_id = state.leader;
    out->leader_epoch = state.leader_epoch;
    out->replica_nodes = copy_ids(page, state.replicas, &out->replica_nodes_count);
    out->isr_nodes = copy_ids(page, state.isr, &out->isr_nodes_count);
    out->eligible_leader_replicas =
        copy_ids(page, state.eligible, &out->eligible_leader_replicas_count);
    out->last_known_elr = copy_ids(page, state.last_known, &out->last_known_elr_count);
    out->offline_replicas =
        request_get(page->request, state.replicas.count, sizeof(*out->offline_replicas));
    for (uint32_t i = 0; i < state.replicas.count; i++) {
        if (endpoint_replica_is_offline(page->request, partition, i))
            out->offline_replicas[out->offline_replicas_count++] = state.replicas.ids[i];
    }
    out->error_code = (int16_t)endpoint_leader_error(page->request, state.leader);
    if (out->error_code != KAFKA_ERROR_NONE)
        out->leader_id = IMAGE_LEADER_NONE;
}

/* The next topic of the page; its partitions from the cursor on, as far as they fit. */
static void add_topic(struct page *page, const struct image_topic *topic)
{
    if (page->left == 0) {
        end_page(page, topic->name, 0);
        return;
    }
    int32_t first = 0;
    if (page->cursor && view_equal(page->cursor->topic_name, topic->name))
        first = page->cursor->partition_index;
    topic_result *out = &page->response.topics[page->response.topics_count++];
    describe_topic_partitions_response_topic_init(out);
    out->name = topic->name;
    out->topic_id = topic->id;
    out->is_internal = image_topic_name_is_internal(topic->name);
    out->topic_authorized_operations = TOPIC_OPERATIONS;
    int32_t count = (int32_t)topic->partition_count - first;
    if (count > page->left)
        count = page->left;
    if (count <= 0) {
        /* Only a topic without any partition; one that the cursor has passed takes no room. */
        page->left -= topic->partition_count == 0;
        return;
    }
    out->partitions = request_get(page->request, (size_t)count, sizeof(*out->partitions));
    for (int32_t i = 0; i < count; i++) {
        const struct image_partition *partition = image_topic_partition(topic, first + i);
        if (partition)
            fill_partition(page, partition, first + i, &out->partitions[out->partitions_count++]);
    }
    page->left -= count;
    if (first + count < (int32_t)topic->partition_count)
        end_page(page, topic->name, first + count);
}

static void add_unknown(struct page *page, struct view name)
{
    if (page->left == 0) {
        end_page(page, name, 0);
        return;
    }
    topic_result *out = &page->response.topics[page->response.topics_count++];
    describe_topic_partitions_response_topic_init(out);
    out->name = name;
    out->is_internal = image_topic_name_is_internal(name);
    out->topic_authorized_operations = TOPIC_OPERATIONS;
    out->error_code = topic_name_fault(name) ? KAFKA_ERROR_INVALID_TOPIC_EXCEPTION
                                             : KAFKA_ERROR_UNKNOWN_TOPIC_OR_PARTITION;
}

static void list_all(struct page *page)
{
    /* Each topic takes one of the page's partitions at least, but for the one at the cursor. */
    size_t room = page->image->topics_by_name.count;
    if (room > (size_t)page->left + 1)
        room = (size_t)page->left + 1;
    page->response.topics = request_get(page->request, room, sizeof(topic_result));
    struct image_topic_walk walk;
    image_topic_walk_start(page->image, page->cursor ? page->cursor->topic_name : VIEW_NULL, &walk);
    for (const struct image_topic *topic = image_topic_walk_next(&walk); topic && !page->is_full;
         topic = image_topic_walk_next(&walk))
        add_topic(page, topic);
}

static int compare_names(const void *a, const void *b, void *context)
{
    (void)context;
    return view_compare(*(const struct view *)a, *(const struct view *)b);
}

/* The asked names, sorted, each once, from the cursor on. */
static size_t sort_names(struct page *page, const struct describe_topic_partitions_request *message,
                         struct view *names)
{
    size_t count = 0;
    for (size_t i = 0; i < message->topics_count; i++) {
        if (!page->cursor || view_compare(message->topics[i].name, page->cursor->topic_name) >= 0)
            names[count++] = message->topics[i].name;
    }
    struct view *scratch = request_get(page->request, count, sizeof(*scratch));
    sort_stable(names, count, sizeof(*names), scratch, compare_names, NULL);
    size_t kept = 0;
    for (size_t i = 0; i < count; i++) {
        if (kept == 0 || !view_equal(names[kept - 1], names[i]))
            names[kept++] = names[i];
    }
    return kept;
}

static void refuse_all(struct request *request, enum kafka_error error)
{
    const struct describe_topic_partitions_request *message =
        REQUEST_MESSAGE(describe_topic_partitions, request);
    struct describe_topic_partitions_response response;
    describe_topic_partitions_response_init(&response);
    response.topics = request_get(request, message->topics_count, sizeof(*response.topics));
    response.topics_count = message->topics_count;
    for (size_t i = 0; i < message->topics_count; i++) {
        describe_topic_partitions_response_topic_init(&response.topics[i]);
        response.topics[i].name = message->topics[i].name;
        response.topics[i].error_code = (int16_t)error;
    }
    request_respond(request, &response);
}

static void list_asked(struct page *page, const struct view *names, size_t count)
{
    page->response.topics = request_get(page->request, count, sizeof(topic_result));
    for (size_t i = 0; i < count && !page->is_full; i++) {
        const struct image_topic *topic = image_topic_by_name(page->image, names[i]);
        if (topic)
            add_topic(page, topic);
        else
            add_unknown(page, names[i]);
    }
}

static int32_t page_limit(const struct request *request)
{
    int32_t limit = request->shard->broker->config->settings.max_request_partition_size_limit;
    int32_t asked = REQUEST_MESSAGE(describe_topic_partitions, request)->response_partition_limit;
    if (asked < limit)
        limit = asked;
    return limit > 1 ? limit : 1;
}

static void describe_topic_partitions_split(struct request *request)
{
    const struct describe_topic_partitions_request *message =
        REQUEST_MESSAGE(describe_topic_partitions, request);
    struct page page = {.request = request,
                        .image = request->shard->image,
                        .left = page_limit(request),
                        .cursor = message->cursor};
    describe_topic_partitions_response_init(&page.response);
    if (page.cursor && page.cursor->partition_index < 0) {
        refuse_all(request, KAFKA_ERROR_INVALID_REQUEST);
        return;
    }
    if (message->topics_count == 0) {
        list_all(&page);
    } else {
        struct view *names = request_get(request, message->topics_count, sizeof(*names));
        size_t count = sort_names(&page, message, names);
        if (page.cursor && (count == 0 || !view_equal(names[0], page.cursor->topic_name))) {
            refuse_all(request, KAFKA_ERROR_INVALID_REQUEST);
            return;
        }
        list_asked(&page, names, count);
    }
    request_respond(request, &page.response);
}

const struct api_row api_row_describe_topic_partitions = {
    API_ROW(describe_topic_partitions, API_KEY_DESCRIBE_TOPIC_PARTITIONS),
    .route = API_ROUTE_HERE,
    .split = describe_topic_partitions_split,
};
