/*
 * Fetch, on the connection's loop: session, items, parts, deadline, answer.
 *
 * One message a shard in each direction serves the common long poll: the part reads, waits on its
 * owner and comes home with data. With several shards each waits for its share of min bytes; home
 * adds up what has come, sends parts back to wait for the rest, and recalls those that are out once
 * there is enough. Answers hold file ranges; their leases go home when the bytes are sent.
 */
#include "broker/handlers/fetch.h"

#include "base/assert.h"
#include "base/hash.h"
#include "broker/client.h"
#include "broker/endpoint.h"
#include "broker/read_replica.h"
#include "broker/shard.h"
#include "broker/topic_lookup.h"
#include "runtime/test_point.h"

API_CODEC(fetch);

enum { TOPIC_IDS_SINCE_VERSION = 13, REPLICA_STATE_SINCE_VERSION = 15, LEADERS_SINCE_VERSION = 16 };

struct fetch_context {
    enum fetch_session_kind kind;
    int32_t session_id;
    struct fetch_item *items; /* in the order of the answer */
    size_t item_count;
    struct fetch_part *parts[LOOP_COUNT_MAX]; /* by loop index */
    size_t part_count;
    bool has_local_error; /* an item was refused here */
    bool may_wait;
    uint32_t max_bytes;
    uint64_t min_bytes;
    bool is_finishing; /* the parts were called home */
};

/* The session that the request works with, while its connection lives. */
static struct fetch_session *session_of(const struct request *request)
{
    const struct fetch_context *context = request->context;
    const struct connection *connection = request->base.connection;
    if (!connection || context->kind == FETCH_SESSION_NONE)
        return NULL;
    const struct client *client = connection->context;
    return client->session;
}

static void answer_error(struct request *request, enum kafka_error error)
{
    struct fetch_response response;
    fetch_response_init(&response);
    response.error_code = (int16_t)error;
    request_respond(request, &response);
}

/* ---- Items and parts ---- */

static void items_of_session(struct request *request, struct fetch_session *session)
{
    struct fetch_context *context = request->context;
    context->item_count = map_count(&session->by_key);
    context->items = request_get(request, context->item_count, sizeof(*context->items));
    struct fetch_item *item = context->items;
    list_for_each(link, &session->partitions)
    {
        struct fetch_partition *partition = container_of(link, struct fetch_partition, link);
        *item++ = (struct fetch_item){
            .session_partition = partition,
            .topic = partition->topic,
            .asked_id = partition->topic_id,
            .partition = partition->partition,
            .leader_epoch = partition->leader_epoch,
            .last_fetched_epoch = partition->last_fetched_epoch,
            .max_bytes = partition->max_bytes,
            .fetch_offset = partition->fetch_offset,
            .follower_log_start = partition->log_start_offset,
        };
    }
}

static void items_of_request(struct request *request)
{
    const struct fetch_request *message = REQUEST_MESSAGE(fetch, request);
    struct fetch_context *context = request->context;
    for (size_t i = 0; i < message->topics_count; i++)
        context->item_count += message->topics[i].partitions_count;
    context->items = request_get(request, context->item_count, sizeof(*context->items));
    struct fetch_item *item = context->items;
    for (size_t i = 0; i < message->topics_count; i++) {
        const struct fetch_request_fetch_topic *topic = &message->topics[i];
        for (size_t j = 0; j < topic->partitions_count; j++)
            *item++ = (struct fetch_item){
                .topic = topic->topic,
                .asked_id = topic->topic_id,
                .partition = topic->partitions[j].partition,
                .leader_epoch = topic->partitions[j].current_leader_epoch,
                .last_fetched_epoch = topic->partitions[j].last_fetched_epoch,
                .max_bytes = topic->partitions[j].partition_max_bytes,
                .fetch_offset = topic->partitions[j].fetch_offset,
                .follower_log_start = topic->partitions[j].log_start_offset,
            };
    }
}

static struct fetch_part *part_for(struct request *request, unsigned target)
{
    const struct fetch_request *message = REQUEST_MESSAGE(fetch, request);
    struct fetch_context *context = request->context;
    struct fetch_part *part = context->parts[target];
    if (part)
        return part;
    part = request_add_part(request, sizeof(*part));
    part->last = &part->first;
    part->max_bytes = context->max_bytes;
    part->read_committed = message->isolation_level == 1;
    part->version = request_version(request);
    bool has_state = part->version >= REPLICA_STATE_SINCE_VERSION;
    part->replica_id = has_state ? message->replica_state.replica_id : message->replica_id;
    part->broker_epoch = has_state ? message->replica_state.replica_epoch : -1;
    const struct broker_settings *settings = &request->shard->broker->config->settings;
    if (part->replica_id < 0 && message->rack_id.size > 0 &&
        read_replica_is_rack_aware(settings->replica_selector_class)) {
        const struct client *client = request->base.connection->context;
        part->rack = message->rack_id;
        part->listener = client->config->name;
    }
    context->parts[target] = part;
    context->part_count++;
    return part;
}

static void place_items(struct request *request)
{
    struct fetch_context *context = request->context;
    bool by_id = request_version(request) >= TOPIC_IDS_SINCE_VERSION;
    for (size_t i = 0; i < context->item_count; i++) {
        struct fetch_item *item = &context->items[i];
        const struct image_topic *topic;
        item->error = topic_lookup(request->shard->image, by_id, item->asked_id, item->topic,
                                   item->partition, &topic);
        if (item->error != KAFKA_ERROR_NONE) {
            item->high_watermark = item->last_stable_offset = item->log_start_offset = -1;
            item->read_replica = -1;
            fetch_response_epoch_end_offset_init(&item->diverging);
            context->has_local_error = true;
            continue;
        }
        item->topic_id = topic->id;
        unsigned target = shard_of_partition(request->shard->broker, topic->id, item->partition);
        struct fetch_part *part = part_for(request, target);
        item->part = part;
        *part->last = item;
        part->last = &item->next;
    }
}

static void fetch_split(struct request *request)
{
    const struct fetch_request *message = REQUEST_MESSAGE(fetch, request);
    if (front_is_controllers(request->front)) {
        fetch_metadata_split(request);
        return;
    }
    struct shard *shard = request->shard;
    struct client *client = request->base.connection->context;
    struct fetch_context *context = request_get(request, 1, sizeof(*context));
    request->context = context;
    bool by_id = request_version(request) >= TOPIC_IDS_SINCE_VERSION;
    uint64_t random = hash_u64(shard->loop->seed, shard->sessions.created + shard->loop->now_ns);
    enum kafka_error error = fetch_session_begin(&shard->sessions, &client->session, message, by_id,
                                                 shard->loop->now_ns, random, &context->kind);
    if (error != KAFKA_ERROR_NONE) {
        answer_error(request, error);
        return;
    }
    uint32_t limit = (uint32_t)shard->broker->config->settings.fetch_max_bytes;
    uint32_t asked = message->max_bytes > 0 ? (uint32_t)message->max_bytes : 0;
    context->max_bytes = asked < limit ? asked : limit;
    context->min_bytes = message->min_bytes > 0 ? (uint64_t)message->min_bytes : 0;
    if (context->min_bytes > context->max_bytes)
        context->min_bytes = context->max_bytes;
    struct fetch_session *session = session_of(request);
    if (session) {
        context->session_id = session->id;
        items_of_session(request, session);
    } else {
        items_of_request(request);
    }
    place_items(request);
    context->may_wait = message->max_wait_ms > 0 && context->min_bytes > 0 &&
                        !context->has_local_error && context->part_count > 0;
    for (unsigned i = 1; i <= shard->broker->shard_count; i++) {
        struct fetch_part *part = context->parts[i];
        if (!part)
            continue;
        part->may_wait = context->may_wait && !context->is_finishing;
        part->wanted_bytes = (context->min_bytes + context->part_count - 1) / context->part_count;
        request_post_part(request, &part->part, i);
    }
    if (context->may_wait && request->parts_out > 1)
        request_set_deadline(request, message->max_wait_ms);
    request_await_parts(request);
}

/* ---- Waiting ---- */

static void finish_parts(struct request *request)
{
    struct fetch_context *context = request->context;
    context->is_finishing = true;
    if (!context->may_wait)
        return; /* they come home by themselves */
    for (unsigned i = 1; i <= request->shard->broker->shard_count; i++)
        if (context->parts[i])
            fetch_part_recall(context->parts[i]);
}

/* Decides whether what is home is enough; if not, the part waits for more. */
static void fetch_arrived(struct part *base)
{
    struct request *request = base->request;
    struct fetch_context *context = request->context;
    struct fetch_part *arrived = container_of(base, struct fetch_part, part);
    uint64_t found = 0;
    bool news = false;
    for (unsigned i = 1; i <= request->shard->broker->shard_count; i++) {
        const struct fetch_part *part = context->parts[i];
        if (!part || !part->part.is_home)
            continue;
        found += part->found_bytes;
        news |= part->has_news;
    }
    if (context->is_finishing)
        return;
    if (found >= context->min_bytes || news || !context->may_wait || request->expired) {
        finish_parts(request);
        return;
    }
    arrived->wanted_bytes = arrived->found_bytes + (context->min_bytes - found);
    request_post_part(request, base, base->target);
}

/* The connection is gone: nobody needs what the parts wait for. */
static void fetch_abandon(struct request *request)
{
    if (request->context)
        finish_parts(request);
}

/* ---- The answer ---- */

/* Leases go back to their owners; memory of a part that holds nothing stays with the request. */
static void return_parts(struct request *request)
{
    const struct fetch_context *context = request->context;
    for (unsigned i = 1; i <= request->shard->broker->shard_count; i++) {
        struct fetch_part *part = context->parts[i];
        if (part && fetch_part_holds(part))
            part_return(&part->part);
    }
}

static void answer_gone(struct answer *answer)
{
    struct request *request = answer->context;
    return_parts(request);
    connection_request_release(&request->base);
}

/* Keeps to max bytes over all parts: in order, the first data in any case. */
static void trim_items(struct fetch_context *context)
{
    if (context->part_count < 2)
        return;
    uint64_t left = context->max_bytes;
    bool first = true;
    for (size_t i = 0; i < context->item_count; i++) {
        struct fetch_item *item = &context->items[i];
        if (item->slice.size == 0)
            continue;
        /* Each shard let its own first partition have a batch above the limits. */
        int64_t limit = item->max_bytes;
        if (!first && (item->slice.size > left || item->slice.size > limit))
            item->slice.size = 0;
        left -= item->slice.size < left ? item->slice.size : left;
        first = false;
    }
}

/* Who leads instead, so that the client need not ask for metadata first (KIP-951). */
static void name_leader(struct request *request, const struct fetch_item *item,
                        struct fetch_response_partition_data *out, struct endpoint_list *leaders)
{
    bool is_elsewhere = item->error == KAFKA_ERROR_NOT_LEADER_OR_FOLLOWER ||
                        item->error == KAFKA_ERROR_FENCED_LEADER_EPOCH;
    if (!is_elsewhere || request_version(request) < LEADERS_SINCE_VERSION)
        return;
    const struct image_partition *partition =
        endpoint_list_add_leader(leaders, request, item->topic_id, item->partition);
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
    out->partition_index = item->partition;
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
    bool is_read_committed = item->part && item->part->read_committed;
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

/* Whether the answer mentions the item; sessions remember what they were told. */
static bool is_told(struct request *request, struct fetch_session *session, struct fetch_item *item)
{
    const struct fetch_context *context = request->context;
    if (!session)
        return true;
    bool news =
        fetch_partition_tell(session, item->session_partition, item->error, item->high_watermark,
                             item->log_start_offset, item->slice.size > 0);
    if (test_point(request->shard->loop, BUG_FETCH_WATERMARK_NO_NEWS) && item->slice.size == 0)
        news = item->error != KAFKA_ERROR_NONE;
    return news || item->diverging.epoch >= 0 || item->read_replica >= 0 ||
           context->kind != FETCH_SESSION_INCREMENTAL;
}

/* Items in a row of the same topic share an entry. */
static size_t fill_topics(struct request *request, struct fetch_response *response)
{
    struct fetch_context *context = request->context;
    struct fetch_session *session = session_of(request);
    size_t capacity = context->item_count;
    response->responses = request_get(request, capacity, sizeof(*response->responses));
    struct fetch_response_partition_data *partitions =
        request_get(request, capacity, sizeof(*partitions));
    struct fetch_response_fetchable_topic_response *topic = NULL;
    const struct fetch_item *before = NULL;
    size_t with_data = 0;
    struct endpoint_list leaders = {0};
    for (size_t i = 0; i < context->item_count; i++) {
        struct fetch_item *item = &context->items[i];
        if (!is_told(request, session, item))
            continue;
        if (!before || !view_equal(before->topic, item->topic) ||
            !uuid_equal(before->asked_id, item->asked_id)) {
            topic = &response->responses[response->responses_count++];
            fetch_response_fetchable_topic_response_init(topic);
            topic->topic = item->topic;
            topic->topic_id = item->asked_id;
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

static void answer_items(struct request *request)
{
    struct fetch_context *context = request->context;
    struct fetch_response response;
    fetch_response_init(&response);
    response.session_id = context->session_id;
    trim_items(context);
    size_t with_data = fill_topics(request, &response);
    fetch_session_end(session_of(request));
    struct splice *splices = request_get(request, with_data, sizeof(*splices));
    size_t splice_count;
    size_t size;
    struct answer *answer = request_encode(request, &response, 2 * with_data + 1, splices,
                                           with_data, &splice_count, &size);
    if (!answer) {
        return_parts(request);
        request_refuse(request, CONNECTION_CLOSE_ENCODING, request->info->name);
        return;
    }
    add_slices(request, answer, size, splices, splice_count);
    connection_request_hold(&request->base);
    answer->release = answer_gone;
    answer->context = request;
    request_respond_answer(request, answer);
}

static void fetch_join(struct request *request)
{
    if (request->parts_out > 0) {
        finish_parts(request);
        return;
    }
    if (request->base.connection) {
        answer_items(request);
        return;
    }
    return_parts(request);
    request_end(request);
}

const struct api_row api_row_fetch = {
    API_ROW(fetch, API_KEY_FETCH),
    .route = API_ROUTE_PARTITION,
    .keeps_parts = true,
    .split = fetch_split,
    .part = fetch_part_run,
    .arrived = fetch_arrived,
    .join = fetch_join,
    .abandon = fetch_abandon,
    .release = fetch_part_release,
};
