/*
 * Fetch, on the connection's loop: session, parts, deadline. The answer is composed in
 * fetch_answer.c.
 *
 * One message a shard in each direction serves the common long poll: the part looks at what is due,
 * waits on its owner and comes home with data. With several shards each waits for its share of min
 * bytes; home adds up what has come, sends parts back to wait for the rest, and recalls those that
 * are out once there is enough. Answers hold file ranges; their leases go home when the bytes are
 * sent.
 */
#include "broker/handlers/fetch.h"

#include "base/assert.h"
#include "base/hash.h"
#include "broker/client.h"
#include "broker/read_replica.h"
#include "broker/shard.h"
#include "broker/topic_lookup.h"

API_CODEC(fetch);

enum { TOPIC_IDS_SINCE_VERSION = 13, REPLICA_STATE_SINCE_VERSION = 15 };

static void answer_error(struct request *request, enum kafka_error error)
{
    struct fetch_response response;
    fetch_response_init(&response);
    response.error_code = (int16_t)error;
    request_respond(request, &response);
}

/* ---- Parts ---- */

/* Whose Fetch it is, for the owners. */
static struct fetch_asker asker_of(const struct request *request)
{
    const struct fetch_request *message = REQUEST_MESSAGE(fetch, request);
    bool has_state = request_version(request) >= REPLICA_STATE_SINCE_VERSION;
    return (struct fetch_asker){
        .replica_id = has_state ? message->replica_state.replica_id : message->replica_id,
        .broker_epoch = has_state ? message->replica_state.replica_epoch : -1,
        .version = request_version(request),
        .read_committed = message->isolation_level == 1,
    };
}

static struct fetch_part *part_for(struct request *request, unsigned target)
{
    const struct fetch_request *message = REQUEST_MESSAGE(fetch, request);
    struct fetch_context *context = request->context;
    struct fetch_part *part = context->parts[target];
    if (part)
        return part;
    part = request_add_part(request, sizeof(*part));
    part->last_ask = &part->asks;
    part->seat = context->session ? &context->session->seats[target] : NULL;
    part->max_bytes = context->max_bytes;
    part->is_full = context->kind != FETCH_SESSION_INCREMENTAL;
    part->asker = asker_of(request);
    const struct broker_settings *settings = &request->shard->broker->config->settings;
    if (part->asker.replica_id < 0 && message->rack_id.size > 0 &&
        read_replica_is_rack_aware(settings->replica_selector_class)) {
        const struct client *client = request->base.connection->context;
        part->rack = message->rack_id;
        part->listener = client->config->name;
    }
    context->parts[target] = part;
    context->part_count++;
    return part;
}

static void refuse(struct request *request, struct fetch_ask *ask, enum kafka_error error)
{
    struct fetch_context *context = request->context;
    struct fetch_item *item = request_get(request, 1, sizeof(*item));
    item->next = context->refused;
    item->ask = ask;
    item->error = error;
    item->high_watermark = item->last_stable_offset = item->log_start_offset = -1;
    item->read_replica = -1;
    fetch_response_epoch_end_offset_init(&item->diverging);
    context->refused = item;
}

/* The loop that owns the partition gets what is said of it; 0: there is no such partition. */
static unsigned place(struct request *request, struct fetch_ask *ask, bool *is_moved)
{
    bool by_id = request_version(request) >= TOPIC_IDS_SINCE_VERSION;
    const struct image_topic *topic;
    enum kafka_error error = topic_lookup(request->shard->image, by_id, ask->topic_id, ask->topic,
                                          ask->partition, &topic);
    *is_moved = error != KAFKA_ERROR_NONE || !uuid_equal(ask->placed_id, topic->id);
    if (error != KAFKA_ERROR_NONE) {
        refuse(request, ask, error);
        return 0;
    }
    ask->placed_id = topic->id;
    return shard_of_partition(request->shard->broker, topic->id, ask->partition);
}

static void take(struct request *request, struct fetch_ask *ask, unsigned target)
{
    struct fetch_part *part = part_for(request, target);
    ask->next = NULL;
    *part->last_ask = ask;
    part->last_ask = &ask->next;
}

static void drop(struct request *request, struct fetch_partition *partition)
{
    struct fetch_ask *ask = &partition->ask;
    if (!ask->interest)
        return;
    struct fetch_part *part = part_for(request, partition->target);
    struct fetch_drop *dropped = request_get(request, 1, sizeof(*dropped));
    *dropped = (struct fetch_drop){.next = part->drops, .interest = ask->interest};
    part->drops = dropped;
    ask->interest = NULL;
}

/* A request costs what is due, and a message to each loop that has interests. */
static void place_session(struct request *request, struct fetch_session *session)
{
    fetch_session_show(session, request->shard->image->version);
    list_for_each_safe(link, after, &session->dropped)
    {
        struct fetch_partition *partition = container_of(link, struct fetch_partition, link);
        drop(request, partition);
        fetch_session_free_dropped(session, partition);
    }
    list_for_each_safe(link, after, &session->due)
    {
        struct fetch_partition *partition = container_of(link, struct fetch_partition, due_link);
        bool is_moved; /* another topic has the name now, or none */
        unsigned target = place(request, &partition->ask, &is_moved);
        if (is_moved)
            drop(request, partition);
        if (target == 0)
            continue; /* it is looked for again with the next request */
        list_remove(&partition->due_link);
        partition->target = target;
        take(request, &partition->ask, target);
    }
    for (unsigned i = 1; i < session->seat_count; i++)
        if (session->seats[i].interests)
            part_for(request, i);
}

static void place_singles(struct request *request)
{
    const struct fetch_request *message = REQUEST_MESSAGE(fetch, request);
    struct fetch_context *context = request->context;
    for (size_t i = 0; i < message->topics_count; i++)
        context->single_count += message->topics[i].partitions_count;
    context->singles = request_get(request, context->single_count, sizeof(*context->singles));
    struct fetch_single *single = context->singles;
    for (size_t i = 0; i < message->topics_count; i++) {
        const struct fetch_request_fetch_topic *topic = &message->topics[i];
        for (size_t j = 0; j < topic->partitions_count; j++, single++) {
            bool is_moved;
            fetch_ask_fill(&single->ask, topic->topic, topic->topic_id, &topic->partitions[j]);
            unsigned target = place(request, &single->ask, &is_moved);
            if (target == 0)
                continue;
            single->ask.interest = &single->interest;
            take(request, &single->ask, target);
        }
    }
}

static void post_parts(struct request *request)
{
    const struct fetch_request *message = REQUEST_MESSAGE(fetch, request);
    struct fetch_context *context = request->context;
    context->may_wait = message->max_wait_ms > 0 && context->min_bytes > 0 && !context->refused &&
                        context->part_count > 0;
    for (unsigned i = 1; i <= request->shard->broker->shard_count; i++) {
        struct fetch_part *part = context->parts[i];
        if (!part)
            continue;
        part->may_wait = context->may_wait && !context->is_finishing;
        part->wanted_bytes = (context->min_bytes + context->part_count - 1) / context->part_count;
        request_post_part(request, &part->part, i);
    }
    if (context->may_wait && request->parts_out > 1)
        request_set_deadline(request, message->max_wait_ms);
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
    bool by_id = request_version(request) >= TOPIC_IDS_SINCE_VERSION;
    uint64_t random = hash_u64(shard->loop->seed, shard->sessions.created + shard->loop->now_ns);
    enum kafka_error error = fetch_session_begin(&shard->sessions, &client->session, message, by_id,
                                                 random, &context->kind);
    if (error != KAFKA_ERROR_NONE) {
        answer_error(request, error);
        return;
    }
    request->context = context;
    context->session = context->kind == FETCH_SESSION_NONE ? NULL : client->session;
    uint32_t limit = (uint32_t)shard->broker->config->settings.fetch_max_bytes;
    uint32_t asked = message->max_bytes > 0 ? (uint32_t)message->max_bytes : 0;
    context->max_bytes = asked < limit ? asked : limit;
    context->min_bytes = message->min_bytes > 0 ? (uint64_t)message->min_bytes : 0;
    if (context->min_bytes > context->max_bytes)
        context->min_bytes = context->max_bytes;
    if (context->session)
        place_session(request, context->session);
    else
        place_singles(request);
    post_parts(request);
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

/* ---- The end ---- */

static void fetch_join(struct request *request)
{
    struct fetch_context *context = request->context;
    if (request->parts_out > 0) {
        finish_parts(request);
        return;
    }
    if (request->base.connection) {
        fetch_answer(request);
        return;
    }
    if (context->session)
        fetch_session_end(context->session);
    fetch_return_parts(request);
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
