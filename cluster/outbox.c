/*
 * An item waits in `queued`, moves to `sent` when the owner takes it into a request, and is removed
 * or goes back when the answer is there. Everything that sends or drops runs in the deferred pump.
 */
#include "cluster/outbox.h"

#include "base/assert.h"

static struct outbox_item *item_of(struct list *link)
{
    return container_of(link, struct outbox_item, link);
}

static void make_key(uint8_t *key, struct uuid topic_id, int32_t partition)
{
    memcpy(key, topic_id.bytes, UUID_SIZE);
    store_u32(key + UUID_SIZE, (uint32_t)partition);
}

static void drop_all(struct outbox *outbox, struct list *items)
{
    while (!list_is_empty(items))
        outbox->kind->drop(outbox, item_of(items->next));
}

/* ---- Items ---- */

struct outbox_item *outbox_find(const struct outbox *outbox, struct uuid topic_id,
                                int32_t partition)
{
    uint8_t key[OUTBOX_KEY_SIZE];
    make_key(key, topic_id, partition);
    return map_get(&outbox->by_partition, view_of(key, sizeof(key)));
}

bool outbox_add(struct outbox *outbox, struct outbox_item *item, struct uuid topic_id,
                int32_t partition)
{
    make_key(item->key, topic_id, partition);
    item->is_sent = false;
    if (outbox->is_closed)
        return false;
    bool added;
    struct map_entry *entry =
        map_add(&outbox->by_partition, view_of(item->key, sizeof(item->key)), &added);
    klamm_assert(entry != NULL);
    if (!added)
        return false;
    entry->value = item;
    list_push_back(&outbox->queued, &item->link);
    loop_defer(outbox->loop, &outbox->pump);
    return true;
}

void outbox_refuse(struct outbox *outbox, struct outbox_item *item)
{
    list_push_back(&outbox->refused, &item->link);
    loop_defer(outbox->loop, &outbox->pump);
}

void outbox_remove(struct outbox *outbox, struct outbox_item *item)
{
    struct map_entry *entry =
        map_find(&outbox->by_partition, view_of(item->key, sizeof(item->key)));
    if (entry && entry->value == item)
        map_remove_entry(&outbox->by_partition, entry);
    list_remove(&item->link);
}

struct outbox_item *outbox_take(struct outbox *outbox)
{
    struct outbox_item *item = item_of(list_pop_front(&outbox->queued));
    item->is_sent = true;
    list_push_back(&outbox->sent, &item->link);
    return item;
}

/* What is still in `sent` goes before what came since. */
static void take_back_sent(struct outbox *outbox)
{
    list_for_each(link, &outbox->sent) item_of(link)->is_sent = false;
    list_splice_back(&outbox->sent, &outbox->queued);
    list_splice_back(&outbox->queued, &outbox->sent);
}

/* ---- Requests ---- */

void outbox_pause(struct outbox *outbox, uint64_t delay_ns)
{
    if (!outbox->is_closed && !timer_is_set(&outbox->retry))
        loop_set_timer(outbox->loop, &outbox->retry, delay_ns);
}

static void note_failure(struct outbox *outbox, enum kafka_error error, const char *text)
{
    if ((int16_t)error != outbox->last_error)
        log_warn(outbox->loop->diagnostics, "%s: %s", outbox->kind->not_yet, text);
    outbox->last_error = (int16_t)error;
}

static void answered(struct controller_call *call, enum channel_status status, const void *response)
{
    struct outbox *outbox = container_of(call, struct outbox, call);
    enum kafka_error error = response ? outbox->kind->error_of(response) : KAFKA_ERROR_NONE;
    bool is_hopeless = !response && (status == CHANNEL_UNSUPPORTED || status == CHANNEL_MALFORMED);
    outbox->is_asking = false;
    if (is_hopeless)
        note_failure(outbox, KAFKA_ERROR_UNSUPPORTED_VERSION, channel_status_text(status));
    else if (error != KAFKA_ERROR_NONE)
        note_failure(outbox, error, kafka_error_text(error));
    else if (response)
        outbox->last_error = KAFKA_ERROR_NONE;
    uint64_t pause_ns =
        outbox->kind->answered(outbox, error == KAFKA_ERROR_NONE ? response : NULL, is_hopeless);
    if (pause_ns > 0 && !list_is_empty(&outbox->sent))
        outbox_pause(outbox, pause_ns);
    take_back_sent(outbox);
    loop_defer(outbox->loop, &outbox->pump);
}

void outbox_send(struct outbox *outbox, const void *message)
{
    outbox->call = (struct controller_call){
        .api = outbox->kind->api,
        .message = message,
        .version_min = outbox->kind->version_min,
        .version_max = outbox->kind->version_max,
        .error_of = outbox->kind->error_of,
        .done = answered,
    };
    outbox->is_asking = true;
    controller_channel_send(outbox->channel, &outbox->call);
}

/* ---- Its life ---- */

/* A request that runs on this node itself is waited for. */
static void finish_close(struct outbox *outbox)
{
    drop_all(outbox, &outbox->queued);
    drop_all(outbox, &outbox->refused);
    if (outbox->is_asking)
        return;
    arena_deinit(&outbox->arena);
    map_deinit(&outbox->by_partition);
}

static void pump(struct deferred *deferred)
{
    struct outbox *outbox = container_of(deferred, struct outbox, pump);
    struct list refused; /* those of now: `drop` may bring others */
    list_init(&refused);
    list_splice_back(&refused, &outbox->refused);
    drop_all(outbox, &refused);
    if (outbox->is_closed)
        finish_close(outbox);
    else if (!outbox->is_asking && !timer_is_set(&outbox->retry) && !list_is_empty(&outbox->queued))
        outbox->kind->ask(outbox);
}

static void retry_due(struct timer *timer)
{
    struct outbox *outbox = container_of(timer, struct outbox, retry);
    loop_defer(outbox->loop, &outbox->pump);
}

void outbox_init(struct outbox *outbox, const struct outbox_kind *kind, struct loop *loop,
                 struct controller_channel *channel)
{
    *outbox = (struct outbox){.kind = kind, .loop = loop, .channel = channel};
    list_init(&outbox->queued);
    list_init(&outbox->sent);
    list_init(&outbox->refused);
    map_init(&outbox->by_partition, loop->heap, MEMORY_STATE, loop->seed);
    arena_init(&outbox->arena, loop->heap, MEMORY_SCRATCH, 0);
    timer_init(&outbox->retry, retry_due);
    deferred_init(&outbox->pump, pump);
}

void outbox_close(struct outbox *outbox)
{
    if (outbox->is_closed)
        return;
    outbox->is_closed = true;
    timer_clear(&outbox->retry);
    finish_close(outbox);
}
