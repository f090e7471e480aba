/*
 * The answer to Fetch: which items it mentions, in which order, and the file ranges between the
 * encoded bytes.
 *
 * Without a session the order is that of the request. In a session the items of each shard come in
 * the order in which they were looked at, and a limit that is smaller than what the shards brought
 * cuts from the end; so that none is starved, each request begins with the next shard. The
 * partitions of a topic are then put together, because clients may take the second entry of a topic
 * for a replacement of the first.
 */
#include "broker/handlers/fetch.h"

#include "base/assert.h"
#include "broker/endpoint.h"
#include "broker/shard.h"
#include "runtime/test_point.h"

enum { LEADERS_SINCE_VERSION = 16 };

/* The items of an answer. */
struct item_list {
    struct fetch_item **items;
    size_t count;
};

/* Whether the part holds anything of its owner. */
static bool part_holds(const struct fetch_part *part)
{
    return part->part.arena.held > 0; /* items lie there, and slices in items */
}

void fetch_return_parts(struct request *request)
{
    const struct fetch_context *context = request->context;
    for (unsigned i = 1; i <= request->shard->broker->shard_count; i++) {
        struct fetch_part *part = context->parts[i];
        if (part && part_holds(part))
            part_return(&part->part);
    }
}

static void answer_gone(struct answer *answer)
{
    struct request *request = answer->context;
    fetch_return_parts(request);
    connection_request_release(&request->base);
}

/* ---- Order ---- */

static size_t count_items(const struct request *request)
{
    const struct fetch_context *context = request->context;
    size_t count = 0;
    for (const struct fetch_item *item = context->refused; item; item = item->next)
        count++;
    for (unsigned i = 1; i <= request->shard->broker->shard_count; i++) {
        const struct fetch_part *part = context->parts[i];
        for (const struct fetch_item *item = part ? part->items : NULL; item; item = item->next)
            count++;
    }
    return count;
}

static void add_items(struct item_list *list, struct fetch_item *first)
{
    for (struct fetch_item *item = first; item; item = item->next)
        list->items[list->count++] = item;
}

/* Those of a session, beginning with the shard whose turn it is. */
static void collect_session(struct request *request, struct item_list *list)
{
    const struct fetch_context *context = request->context;
    struct fetch_session *session = context->session;
    unsigned count = request->shard->broker->shard_count;
    add_items(list, context->refused);
    for (unsigned i = 0; i < count; i++) {
        const struct fetch_part *part = context->parts[1 + (session->first + i) % count];
        if (part)
            add_items(list, part->items);
    }
    session->first = (session->first + 1) % count;
}

static void place_singles(const struct fetch_context *context, struct item_list *list,
                          struct fetch_item *first)
{
    for (struct fetch_item *item = first; item; item = item->next) {
        const struct fetch_single *single = container_of(item->ask, struct fetch_single, ask);
        list->items[single - context->singles] = item;
        list->count++;
    }
}

/* Those of a request without a session, as it named them. */
static void collect_singles(struct request *request, struct item_list *list)
{
    const struct fetch_context *context = request->context;
    place_singles(context, list, context->refused);
    for (unsigned i = 1; i <= request->shard->broker->shard_count; i++)
        if (context->parts[i])
            place_singles(context, list, context->parts[i]->items);
    klamm_assert(list->count == context->single_count);
}

static struct item_list collect(struct request *request)
{
    const struct fetch_context *context = request->context;
    size_t capacity = count_items(request);
    struct item_list list = {.items = request_get(request, capacity, sizeof(struct fetch_item *))};
    if (context->session)
        collect_session(request, &list);
    else
        collect_singles(request, &list);
    return list;
}

/* Keeps to max bytes over all parts: in order, the first data in any case. */
static void trim(const struct fetch_context *context, const struct item_list *list)
{
    if (context->part_count < 2)
        return;
    uint64_t left = context->max_bytes;
    bool first = true;
    for (size_t i = 0; i < list->count; i++) {
        struct fetch_item *item = list->items[i];
        if (item->slice.size == 0)
            continue;
        /* Each shard let its own first partition have a batch above the limits. */
        int64_t limit = item->max_bytes;
        if (!first && (item->slice.size > left || item->slice.size > limit)) {
            item->slice.size = 0;
            item->ask->is_cut = true;
        }
        left -= item->slice.size < left ? item->slice.size : left;
        first = false;
    }
}

static bool is_of_topic(const struct fetch_ask *a, const struct fetch_ask *b)
{
    return uuid_equal(a->topic_id, b->topic_id) && view_equal(a->topic, b->topic);
}

static bool is_before(const struct fetch_item *a, const struct fetch_item *b)
{
    int by_id = uuid_compare(a->ask->topic_id, b->ask->topic_id);
    int by_topic = by_id ? by_id : view_compare(a->ask->topic, b->ask->topic);
    return by_topic ? by_topic < 0 : a->ask->partition < b->ask->partition;
}

/* Merges two sorted halves of `from` into `to`. */
static void merge(struct fetch_item **from, size_t middle, size_t count, struct fetch_item **to)
{
    size_t left = 0;
    size_t right = middle;
    for (size_t i = 0; i < count; i++) {
        bool takes_right = left == middle || (right < count && is_before(from[right], from[left]));
        to[i] = takes_right ? from[right++] : from[left++];
    }
}

static void sort(struct request *request, struct item_list *list)
{
    struct fetch_item **from = list->items;
    struct fetch_item **to = request_get(request, list->count, sizeof(struct fetch_item *));
    for (size_t width = 1; width < list->count; width *= 2) {
        for (size_t i = 0; i < list->count; i += 2 * width) {
            size_t count = list->count - i < 2 * width ? list->count - i : 2 * width;
            merge(from + i, count < width ? count : width, count, to + i);
        }
        struct fetch_item **sorted = to;
        to = from;
        from = sorted;
    }
    list->items = from;
}

/* ---- Content ---- */

/* Who leads instead, so that the client need not ask for metadata first (KIP-951). */
static void name_leader(struct request *request, const struct fetch_item *item,
                        struct fetch_response_partition_data *out, struct endpoint_list *leaders)
{
    bool is_elsewhere = item->error == KAFKA_ERROR_NOT_LEADER_OR_FOLLOWER ||
                        item->error == KAFKA_ERROR_FENCED_LEADER_EPOCH;
    if (!is_elsewhere || request_version(request) < LEADERS_SINCE_VERSION)
        return;
    const struct image_partition *partition =
        endpoint_list_add_leader(leaders, request, item->ask->placed_id, item->ask->partition);
    if (!partition)
        return;
    out->current_leader.leader_id = partition->leader;
    out->current_leader.leader_epoch = partition->leader_epoch;
}

static void list_leaders(struct request *request, const struct endpoint_list *leaders,
                         struct fetch_response *response)
{
    response->node_endpoints =
        request_get(request, leaders->count, sizeof(*response->node_endpoints));
    response->node_endpoints_count = leaders->count;
    for (size_t i = 0; i < leaders->count; i++) {
        const struct endpoint_entry *entry = &leaders->entries[i];
        response->node_endpoints[i] = (struct fetch_response_node_endpoint){
            entry->node_id, entry->endpoint.host, entry->endpoint.port, entry->rack};
    }
}

static void fill_partition(struct request *request, struct fetch_item *item,
                           struct fetch_response_partition_data *out)
{
    fetch_response_partition_data_init(out);
    out->partition_index = item->ask->partition;
    out->error_code = (int16_t)item->error;
    out->high_watermark = item->high_watermark;
    out->last_stable_offset = item->last_stable_offset;
    out->log_start_offset = item->log_start_offset;
    out->diverging_epoch = item->diverging;
    out->preferred_read_replica = item->read_replica;
    out->records.memory = VIEW_LITERAL("");
    if (item->slice.size > 0) {
        out->records.memory = VIEW_NULL;
        out->records.external = item;
        out->records.external_size = item->slice.size;
    }
    const struct log_slice *slice = &item->slice;
    bool is_read_committed = item->part && item->part->asker.read_committed;
    if (item->part && (!is_read_committed || item->error != KAFKA_ERROR_NONE))
        out->aborted_transactions = NULL; /* Kafka's way to say that they were not looked for */
    if (!slice->aborted)
        return;
    out->aborted_transactions =
        request_get(request, slice->aborted_count, sizeof(*out->aborted_transactions));
    out->aborted_transactions_count = slice->aborted_count;
    for (uint32_t i = 0; i < slice->aborted_count; i++) {
        out->aborted_transactions[i].producer_id = slice->aborted[i].producer_id;
        out->aborted_transactions[i].first_offset = slice->aborted[i].first_offset;
    }
}

/* Whether the answer mentions the item: sessions remember what they were told. */
static bool is_told(struct request *request, const struct fetch_item *item)
{
    const struct fetch_context *context = request->context;
    bool is_news = item->is_news;
    if (test_point(request->shard->loop, BUG_FETCH_WATERMARK_NO_NEWS))
        is_news = false;
    return context->kind != FETCH_SESSION_INCREMENTAL || is_news || item->slice.size > 0 ||
           item->error != KAFKA_ERROR_NONE || item->diverging.epoch >= 0 || item->read_replica >= 0;
}

/* Returns how many have records. */
static size_t fill_topics(struct request *request, const struct item_list *list,
                          struct fetch_response *response)
{
    response->responses = request_get(request, list->count, sizeof(*response->responses));
    struct fetch_response_partition_data *partitions =
        request_get(request, list->count, sizeof(*partitions));
    struct fetch_response_fetchable_topic_response *topic = NULL;
    const struct fetch_item *before = NULL;
    size_t with_data = 0;
    struct endpoint_list leaders = {0};
    for (size_t i = 0; i < list->count; i++) {
        struct fetch_item *item = list->items[i];
        if (!is_told(request, item))
            continue;
        if (!before || !is_of_topic(before->ask, item->ask)) {
            topic = &response->responses[response->responses_count++];
            fetch_response_fetchable_topic_response_init(topic);
            topic->topic = item->ask->topic;
            topic->topic_id = item->ask->topic_id;
            topic->partitions = partitions;
        }
        before = item;
        fill_partition(request, item, partitions);
        name_leader(request, item, partitions++, &leaders);
        topic->partitions_count++;
        with_data += item->slice.size > 0;
    }
    if (leaders.count > 0)
        list_leaders(request, &leaders, response);
    return with_data;
}

/* Weaves the file ranges into the encoded bytes. */
static void add_slices(struct request *request, struct answer *answer, size_t size,
                       const struct splice *splices, size_t splice_count)
{
    size_t at = 0;
    struct shard_counters *counters = &request->shard->counters;
    for (size_t i = 0; i < splice_count; i++) {
        const struct fetch_item *item = splices[i].external;
        answer_add_memory(answer, answer->bytes + at, splices[i].position - at);
        answer_add_file(answer, item->slice.file, item->slice.position, item->slice.size);
        at = splices[i].position;
        counters->fetched_size += item->slice.size;
        counters->fetched_by_reference += item->slice.by_reference ? item->slice.size : 0;
    }
    answer_add_memory(answer, answer->bytes + at, size - at);
}

void fetch_answer(struct request *request)
{
    struct fetch_context *context = request->context;
    struct fetch_response response;
    fetch_response_init(&response);
    struct item_list list = collect(request);
    trim(context, &list);
    if (context->session) {
        response.session_id = context->session->id;
        sort(request, &list);
    }
    size_t with_data = fill_topics(request, &list, &response);
    struct splice *splices = request_get(request, with_data, sizeof(*splices));
    size_t splice_count;
    size_t size;
    struct answer *answer = request_encode(request, &response, 2 * with_data + 1, splices,
                                           with_data, &splice_count, &size);
    if (context->session)
        fetch_session_end(context->session); /* with it the names of topics may go */
    if (!answer) {
        fetch_return_parts(request);
        request_refuse(request, CONNECTION_CLOSE_ENCODING, request->info->name);
        return;
    }
    add_slices(request, answer, size, splices, splice_count);
    connection_request_hold(&request->base);
    answer->release = answer_gone;
    answer->context = request;
    request_respond_answer(request, answer);
}
