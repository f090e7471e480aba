/*
 * Changes wait in an outbox, which sends and repeats; here is what a request says and what its
 * answer means. The request names topics in the order in which their first change came.
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

static struct isr_sender *sender_of(struct outbox *outbox)
{
    return container_of(outbox, struct isr_sender, outbox);
}

static struct isr_change *change_of(struct outbox_item *item)
{
    return container_of(item, struct isr_change, item);
}

static const struct isr_change *sent_change(struct list *link)
{
    return change_of(container_of(link, struct outbox_item, link));
}

/* The change leaves this module. */
static void end(struct outbox *outbox, struct isr_change *change, enum kafka_error error,
                const response_partition *state)
{
    outbox_remove(outbox, &change->item);
    change->error = error;
    change->state = state;
    change->done(change);
}

static void drop(struct outbox *outbox, struct outbox_item *item)
{
    end(outbox, change_of(item), KAFKA_ERROR_OPERATION_NOT_ATTEMPTED, NULL);
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
    list_for_each(link, &sender->outbox.sent)
    {
        const struct isr_change *change = sent_change(link);
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
        topic->partitions = arena_must_get(&sender->outbox.arena, topic->partitions_count,
                                           sizeof(*topic->partitions));
        topic->partitions_count = 0;
    }
}

static void build_request(struct isr_sender *sender, size_t count)
{
    struct alter_partition_request *request = &sender->request;
    arena_reset(&sender->outbox.arena);
    alter_partition_request_init(request);
    request->broker_id = sender->options.broker_id;
    request->broker_epoch = sender->options.broker_epoch(sender->options.self);
    request->topics = arena_must_get(&sender->outbox.arena, count, sizeof(*request->topics));
    struct map places;
    map_init(&places, sender->options.loop->heap, MEMORY_SCRATCH, sender->options.loop->seed);
    fill_topics(sender, &places);
    list_for_each(link, &sender->outbox.sent)
    {
        const struct isr_change *change = sent_change(link);
        const struct map_entry *entry =
            map_find(&places, view_of(change->topic_id.bytes, UUID_SIZE));
        request_topic *topic = &request->topics[entry->number];
        fill_partition(&sender->outbox.arena, change,
                       &topic->partitions[topic->partitions_count++]);
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

static void take_partition(struct outbox *outbox, struct uuid topic_id,
                           const response_partition *state)
{
    struct outbox_item *item = outbox_find(outbox, topic_id, state->partition_index);
    enum kafka_error error = (enum kafka_error)state->error_code;
    if (item && item->is_sent && is_definite(error))
        end(outbox, change_of(item), error, error == KAFKA_ERROR_NONE ? state : NULL);
}

static uint64_t answered(struct outbox *outbox, const void *response, bool is_hopeless)
{
    const struct alter_partition_response *answer = response;
    for (size_t i = 0; answer && i < answer->topics_count; i++)
        for (size_t k = 0; k < answer->topics[i].partitions_count; k++)
            take_partition(outbox, answer->topics[i].topic_id, &answer->topics[i].partitions[k]);
    return is_hopeless ? UNSUPPORTED_RETRY_NS : RETRY_NS;
}

static enum kafka_error error_of(const void *response)
{
    return (enum kafka_error)((const struct alter_partition_response *)response)->error_code;
}

/* ---- Sending ---- */

static void ask(struct outbox *outbox)
{
    struct isr_sender *sender = sender_of(outbox);
    size_t count = 0;
    for (; !list_is_empty(&outbox->queued) && count < REQUEST_CHANGES_MAX; count++)
        outbox_take(outbox);
    build_request(sender, count);
    outbox_send(outbox, &sender->request);
}

static const struct outbox_kind kind = {
    .api = &alter_partition_call,
    .version_min = ALTER_PARTITION_VERSION,
    .version_max = ALTER_PARTITION_VERSION,
    .not_yet = "in-sync sets are not changed yet",
    .error_of = error_of,
    .ask = ask,
    .answered = answered,
    .drop = drop,
};

void isr_sender_init(struct isr_sender *sender, const struct isr_sender_options *options)
{
    *sender = (struct isr_sender){.options = *options};
    outbox_init(&sender->outbox, &kind, options->loop, options->channel);
}

void isr_sender_add(struct isr_sender *sender, struct isr_change *change)
{
    if (!outbox_add(&sender->outbox, &change->item, change->topic_id, change->partition))
        outbox_refuse(&sender->outbox, &change->item);
}

void isr_sender_close(struct isr_sender *sender)
{
    outbox_close(&sender->outbox);
}
