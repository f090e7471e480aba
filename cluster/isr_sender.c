/*
 * A change waits in `queued`, moves to `sent` when the request is built, and ends or goes back. The
 * request names topics in the order in which their first change came.
 */
#include "cluster/isr_sender.h"

#include "base/assert.h"
#include "protocol/api_keys.h"

enum {
    ALTER_PARTITION_VERSION = 3, /* before it there are no epochs of members */
    REQUEST_CHANGES_MAX = 10000,
};

static const uint64_t RETRY_NS = UINT64_C(50000000);
static const uint64_t UNSUPPORTED_RETRY_NS = UINT64_C(1000000000);

CHANNEL_CALL(alter_partition, API_KEY_ALTER_PARTITION);

typedef struct alter_partition_request_topic_data request_topic;
typedef struct alter_partition_request_partition_data request_partition;
typedef struct alter_partition_response_topic_data response_topic;
typedef struct alter_partition_response_partition_data response_partition;

static struct isr_change *change_of(struct list *link)
{
    return container_of(link, struct isr_change, link);
}

static void make_key(uint8_t *key, struct uuid topic_id, int32_t partition)
{
    memcpy(key, topic_id.bytes, UUID_SIZE);
    store_u32(key + UUID_SIZE, (uint32_t)partition);
}

/* The change leaves this module. */
static void end(struct isr_sender *sender, struct isr_change *change, enum kafka_error error,
                const response_partition *state)
{
    struct map_entry *entry =
        map_find(&sender->by_partition, view_of(change->key, sizeof(change->key)));
    if (entry && entry->value == change)
        map_remove_entry(&sender->by_partition, entry);
    list_remove(&change->link);
    change->error = error;
    change->state = state;
    change->done(change);
}

static void end_all(struct isr_sender *sender, struct list *changes)
{
    while (!list_is_empty(changes))
        end(sender, change_of(changes->next), KAFKA_ERROR_OPERATION_NOT_ATTEMPTED, NULL);
}

/* ---- The request ---- */

static void fill_partition(struct arena *arena, const struct isr_change *change,
                           request_partition *out)
{
    alter_partition_request_partition_data_init(out);
    out->partition_index = change->partition;
    out->leader_epoch = change->leader_epoch;
    out->partition_epoch = change->partition_epoch;
    out->leader_recovery_state = change->recovery;
    out->new_isr_with_epochs =
        arena_must_get(arena, change->member_count, sizeof(*out->new_isr_with_epochs));
    out->new_isr_with_epochs_count = change->member_count;
    for (uint32_t i = 0; i < change->member_count; i++) {
        alter_partition_request_broker_state_init(&out->new_isr_with_epochs[i]);
        out->new_isr_with_epochs[i].broker_id = change->members[i].broker_id;
        out->new_isr_with_epochs[i].broker_epoch = change->members[i].broker_epoch;
    }
}

/* The topics of what is sent, with room for their partitions, which are counted again. */
static void fill_topics(struct isr_sender *sender, struct map *places)
{
    struct alter_partition_request *request = &sender->request;
    list_for_each(link, &sender->sent)
    {
        struct isr_change *change = change_of(link);
        bool added;
        struct map_entry *entry =
            map_add(places, view_of(change->topic_id.bytes, UUID_SIZE), &added);
        klamm_assert(entry != NULL);
        if (added) {
            entry->number = request->topics_count++;
            request->topics[entry->number].topic_id = change->topic_id;
        }
        request->topics[entry->number].partitions_count++;
    }
    for (size_t i = 0; i < request->topics_count; i++) {
        request_topic *topic = &request->topics[i];
        topic->partitions =
            arena_must_get(&sender->arena, topic->partitions_count, sizeof(*topic->partitions));
        topic->partitions_count = 0;
    }
}

static void build_request(struct isr_sender *sender, size_t count)
{
    struct alter_partition_request *request = &sender->request;
    arena_reset(&sender->arena);
    alter_partition_request_init(request);
    request->broker_id = sender->options.broker_id;
    request->broker_epoch = sender->options.broker_epoch(sender->options.self);
    request->topics = arena_must_get(&sender->arena, count, sizeof(*request->topics));
    struct map places;
    map_init(&places, sender->options.loop->heap, MEMORY_SCRATCH, sender->options.loop->seed);
    fill_topics(sender, &places);
    list_for_each(link, &sender->sent)
    {
        const struct isr_change *change = change_of(link);
        const struct map_entry *entry =
            map_find(&places, view_of(change->topic_id.bytes, UUID_SIZE));
        request_topic *topic = &request->topics[entry->number];
        fill_partition(&sender->arena, change, &topic->partitions[topic->partitions_count++]);
    }
    map_deinit(&places);
}

/* ---- Its answer ---- */

static bool is_definite(enum kafka_error error)
{
    return error == KAFKA_ERROR_NONE || error == KAFKA_ERROR_OPERATION_NOT_ATTEMPTED ||
           error == KAFKA_ERROR_INELIGIBLE_REPLICA || error == KAFKA_ERROR_UNKNOWN_TOPIC_ID ||
           error == KAFKA_ERROR_UNKNOWN_TOPIC_OR_PARTITION ||
           error == KAFKA_ERROR_FENCED_LEADER_EPOCH ||
           error == KAFKA_ERROR_INVALID_UPDATE_VERSION || error == KAFKA_ERROR_INVALID_REQUEST ||
           error == KAFKA_ERROR_NEW_LEADER_ELECTED;
}

static void retry_after(struct isr_sender *sender, uint64_t delay_ns)
{
    if (!timer_is_set(&sender->retry))
        loop_set_timer(sender->options.loop, &sender->retry, delay_ns);
}

/* What is still in `sent` goes before what was proposed since. */
static void take_back_sent(struct isr_sender *sender, uint64_t delay_ns)
{
    if (list_is_empty(&sender->sent))
        return;
    list_for_each(link, &sender->sent) change_of(link)->is_sent = false;
    list_splice_back(&sender->sent, &sender->queued);
    list_splice_back(&sender->queued, &sender->sent);
    retry_after(sender, delay_ns);
}

static void take_partition(struct isr_sender *sender, struct uuid topic_id,
                           const response_partition *state)
{
    uint8_t key[ISR_CHANGE_KEY_SIZE];
    make_key(key, topic_id, state->partition_index);
    struct isr_change *change = map_get(&sender->by_partition, view_of(key, sizeof(key)));
    enum kafka_error error = (enum kafka_error)state->error_code;
    if (change && change->is_sent && is_definite(error))
        end(sender, change, error, error == KAFKA_ERROR_NONE ? state : NULL);
}

static void note_failure(struct isr_sender *sender, enum kafka_error error, const char *text)
{
    if ((int16_t)error != sender->last_error)
        log_warn(sender->options.loop->diagnostics, "in-sync sets are not changed yet: %s", text);
    sender->last_error = (int16_t)error;
}

static void answered(struct controller_call *call, enum channel_status status, const void *response)
{
    struct isr_sender *sender = container_of(call, struct isr_sender, call);
    const struct alter_partition_response *answer = response;
    sender->is_asking = false;
    if (!answer) {
        bool is_hopeless = status == CHANNEL_UNSUPPORTED || status == CHANNEL_MALFORMED;
        if (is_hopeless)
            note_failure(sender, KAFKA_ERROR_UNSUPPORTED_VERSION, channel_status_text(status));
        take_back_sent(sender, is_hopeless ? UNSUPPORTED_RETRY_NS : RETRY_NS);
    } else if (answer->error_code != KAFKA_ERROR_NONE) {
        enum kafka_error error = (enum kafka_error)answer->error_code;
        note_failure(sender, error, kafka_error_text(error));
        take_back_sent(sender, RETRY_NS);
    } else {
        sender->last_error = KAFKA_ERROR_NONE;
        for (size_t i = 0; i < answer->topics_count; i++)
            for (size_t k = 0; k < answer->topics[i].partitions_count; k++)
                take_partition(sender, answer->topics[i].topic_id,
                               &answer->topics[i].partitions[k]);
        take_back_sent(sender, RETRY_NS);
    }
    loop_defer(sender->options.loop, &sender->pump);
}

static enum kafka_error error_of(const void *response)
{
    return (enum kafka_error)((const struct alter_partition_response *)response)->error_code;
}

/* ---- Sending ---- */

static void send(struct isr_sender *sender)
{
    size_t count = 0;
    while (!list_is_empty(&sender->queued) && count < REQUEST_CHANGES_MAX) {
        struct list *link = list_pop_front(&sender->queued);
        change_of(link)->is_sent = true;
        list_push_back(&sender->sent, link);
        count++;
    }
    build_request(sender, count);
    sender->call = (struct controller_call){
        .api = &alter_partition_call,
        .message = &sender->request,
        .version_min = ALTER_PARTITION_VERSION,
        .version_max = ALTER_PARTITION_VERSION,
        .error_of = error_of,
        .done = answered,
    };
    sender->is_asking = true;
    sender->requests++;
    sender->changes += count;
    controller_channel_send(sender->options.channel, &sender->call);
}

/* A request that runs on this node itself is waited for. */
static void finish_close(struct isr_sender *sender)
{
    end_all(sender, &sender->queued);
    end_all(sender, &sender->refused);
    if (sender->is_asking)
        return;
    arena_deinit(&sender->arena);
    map_deinit(&sender->by_partition);
}

static void pump(struct deferred *deferred)
{
    struct isr_sender *sender = container_of(deferred, struct isr_sender, pump);
    struct list refused;
    list_init(&refused);
    list_splice_back(&refused, &sender->refused);
    end_all(sender, &refused);
    if (sender->is_closed)
        finish_close(sender);
    else if (!sender->is_asking && !timer_is_set(&sender->retry) && !list_is_empty(&sender->queued))
        send(sender);
}

static void retry_due(struct timer *timer)
{
    struct isr_sender *sender = container_of(timer, struct isr_sender, retry);
    loop_defer(sender->options.loop, &sender->pump);
}

void isr_sender_init(struct isr_sender *sender, const struct isr_sender_options *options)
{
    *sender = (struct isr_sender){.options = *options};
    list_init(&sender->queued);
    list_init(&sender->sent);
    list_init(&sender->refused);
    map_init(&sender->by_partition, options->loop->heap, MEMORY_STATE, options->loop->seed);
    arena_init(&sender->arena, options->loop->heap, MEMORY_SCRATCH, 0);
    timer_init(&sender->retry, retry_due);
    deferred_init(&sender->pump, pump);
}

void isr_sender_add(struct isr_sender *sender, struct isr_change *change)
{
    bool added = false;
    make_key(change->key, change->topic_id, change->partition);
    change->is_sent = false;
    if (!sender->is_closed) {
        struct map_entry *entry =
            map_add(&sender->by_partition, view_of(change->key, sizeof(change->key)), &added);
        klamm_assert(entry != NULL);
        entry->value = added ? change : entry->value;
    }
    list_push_back(added ? &sender->queued : &sender->refused, &change->link);
    loop_defer(sender->options.loop, &sender->pump);
}

void isr_sender_close(struct isr_sender *sender)
{
    if (sender->is_closed)
        return;
    sender->is_closed = true;
    timer_clear(&sender->retry);
    finish_close(sender);
}
