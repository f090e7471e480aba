/*
 * Calls lie in their items, and items in memory that the request holds until its parts are home.
 * `done` of a call counts its part down. The message that tells of a lost connection travels beside
 * the part and holds the request, too; on the owner `is_here` tells whether the part is still there
 * when it arrives.
 */
#include "broker/coordinator_part.h"

#include <stdio.h>

#include "broker/shard.h"
#include "coordinator/placement.h"
#include "runtime/test_point.h"

/* ---- At home ---- */

/* As Java writes an address: "/127.0.0.1", "/0:0:0:0:0:0:0:1". */
static struct view client_host(struct request *request)
{
    const struct connection *connection = request->base.connection;
    if (!connection)
        return VIEW_LITERAL("/");
    const struct address *peer = &connection->stream.peer;
    const uint8_t *b = peer->bytes;
    static const uint8_t mapped[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};
    char text[64];
    int size = 1;
    text[0] = '/';
    if (peer->family == 6 && memcmp(b, mapped, sizeof(mapped)) == 0)
        size = snprintf(text, sizeof(text), "/%u.%u.%u.%u", b[12], b[13], b[14], b[15]);
    else if (peer->family == 6)
        size = snprintf(text, sizeof(text), "/%x:%x:%x:%x:%x:%x:%x:%x", load_u16(b),
                        load_u16(b + 2), load_u16(b + 4), load_u16(b + 6), load_u16(b + 8),
                        load_u16(b + 10), load_u16(b + 12), load_u16(b + 14));
    else if (peer->family == 4)
        size = snprintf(text, sizeof(text), "/%u.%u.%u.%u", b[0], b[1], b[2], b[3]);
    return arena_copy(&request->arena, view_of(text, (size_t)size));
}

static struct coordinator_part *part_for(struct request *request, struct coordinator_items *items,
                                         unsigned target)
{
    struct coordinator_part *part = items->parts[target];
    if (part)
        return part;
    part = request_add_part(request, sizeof(*part));
    part->last = &part->first;
    part->version = request_version(request);
    part->request = request->message;
    part->client = (struct coordinator_client){request->base.client_id, client_host(request)};
    items->parts[target] = part;
    return part;
}

static void init_call(struct coordinator_item *item, const void *message, void *response)
{
    coordinator_call_init(&item->call);
    item->call.request = message;
    item->call.response = response;
}

enum kafka_error coordinator_items_place_at(struct request *request,
                                            struct coordinator_items *items,
                                            struct coordinator_item *item,
                                            enum coordinator_slot slot, int32_t partition,
                                            const void *message, void *response)
{
    const struct broker *broker = request->shard->broker;
    init_call(item, message, response);
    item->part = NULL;
    item->next = NULL;
    item->slot = slot;
    item->partition = partition;
    const struct image_topic *topic =
        image_topic_by_name(request->shard->image, coordinator_slot_topic(slot));
    const struct image_partition *found = topic ? image_topic_partition(topic, partition) : NULL;
    bool is_led_here = found && (found->leader == broker->config->node_id ||
                                 test_point(request->shard->loop, BUG_COORDINATOR_KEEP_ANSWERING));
    if (!is_led_here) {
        item->call.error = KAFKA_ERROR_NOT_COORDINATOR;
        return item->call.error;
    }
    struct coordinator_part *part =
        part_for(request, items, shard_of_partition(broker, topic->id, partition));
    item->part = part;
    item->call.version = part->version;
    item->call.client = part->client;
    *part->last = item;
    part->last = &item->next;
    return KAFKA_ERROR_NONE;
}

enum kafka_error coordinator_items_place(struct request *request, struct coordinator_items *items,
                                         struct coordinator_item *item, enum coordinator_slot slot,
                                         struct view key, const void *message, void *response)
{
    const struct image_topic *topic =
        image_topic_by_name(request->shard->image, coordinator_slot_topic(slot));
    int32_t partition = -1;
    if (topic && topic->partition_count > 0)
        partition = placement_partition(key, (int32_t)topic->partition_count);
    return coordinator_items_place_at(request, items, item, slot, partition, message, response);
}

void coordinator_items_post(struct request *request, struct coordinator_items *items)
{
    for (unsigned i = 1; i <= request->shard->broker->shard_count; i++)
        if (items->parts[i])
            request_post_part(request, &items->parts[i]->part, i);
    request_await_parts(request);
}

enum kafka_error coordinator_item_answer(const struct coordinator_item *item)
{
    return item->part && !item->part->part.is_home ? KAFKA_ERROR_REQUEST_TIMED_OUT
                                                   : item->call.error;
}

struct asked {
    struct coordinator_items items;
    struct coordinator_item item;
};

void coordinator_ask(struct request *request, enum coordinator_slot slot, struct view key,
                     void *response)
{
    struct asked *asked = request_get(request, 1, sizeof(*asked));
    request->context = asked;
    coordinator_items_place(request, &asked->items, &asked->item, slot, key, request->message,
                            response);
    coordinator_items_post(request, &asked->items);
}

enum kafka_error coordinator_asked(const struct request *request)
{
    const struct asked *asked = request->context;
    return coordinator_item_answer(&asked->item);
}

void *coordinator_asked_response(const struct request *request)
{
    const struct asked *asked = request->context;
    return asked->item.call.response;
}

void coordinator_ask_every(struct request *request, enum coordinator_slot slot,
                           size_t response_size)
{
    struct coordinator_items *items = request_get(request, 1, sizeof(*items));
    for (unsigned i = 1; i <= request->shard->broker->shard_count; i++) {
        struct coordinator_part *part = part_for(request, items, i);
        part->is_every = true;
        part->slot = slot;
        part->response_size = response_size;
    }
    coordinator_items_post(request, items);
}

static struct coordinator_part *part_of(struct part *part)
{
    return container_of(part, struct coordinator_part, part);
}

/* The first item of the parts behind `link` that are home. */
static const struct coordinator_item *first_behind(const struct request *request,
                                                   const struct list *link)
{
    for (link = link->next; link != &request->parts; link = link->next) {
        const struct coordinator_part *part =
            part_of(container_of((struct list *)(uintptr_t)link, struct part, link));
        if (part->part.is_home && part->first)
            return part->first;
    }
    return NULL;
}

const struct coordinator_item *coordinator_every_next(const struct request *request,
                                                      const struct coordinator_item *item)
{
    if (!item)
        return first_behind(request, &request->parts);
    return item->next ? item->next : first_behind(request, &item->part->part.link);
}

/* ---- On the owner ---- */

static void one_done(struct coordinator_part *part)
{
    if (--part->waiting > 0)
        return;
    part->is_here = false;
    part_done(&part->part, part->at);
}

static void call_done(struct coordinator_call *call)
{
    struct coordinator_item *item = container_of(call, struct coordinator_item, call);
    call->done = NULL;
    one_done(item->part);
}

/* An item for every coordinator of the slot, in memory of the part. */
static void list_every(struct coordinator_part *part, const struct coordinators *coordinators)
{
    map_for_each(entry, &coordinators->slots[part->slot].by_partition)
    {
        struct coordinator_item *item = arena_must_get(&part->part.arena, 1, sizeof(*item));
        void *response = arena_must_get(&part->part.arena, 1, part->response_size);
        init_call(item, part->request, response);
        item->part = part;
        item->slot = part->slot;
        item->partition = (int32_t)entry->key_number;
        item->call.version = part->version;
        item->call.client = part->client;
        *part->last = item;
        part->last = &item->next;
    }
}

static void begin_item(struct coordinator_item *item, const struct coordinators *coordinators)
{
    struct coordinator *coordinator;
    item->call.arena = &item->part->part.arena;
    item->call.done = call_done;
    item->call.error = coordinators_find(coordinators, item->slot, item->partition, &coordinator);
    item->coordinator = coordinator;
    if (coordinator)
        item->part->handle(coordinator_kind_state(coordinator), &item->call);
    else
        call_done(&item->call);
}

void coordinator_part_run(struct part *base, struct loop *at, coordinator_handle handle)
{
    struct coordinator_part *part = part_of(base);
    const struct coordinators *coordinators = &shard_of(at)->coordinators;
    part->at = at;
    part->handle = handle;
    part->is_here = true;
    part->waiting = 1;
    if (part->is_every)
        list_every(part, coordinators);
    for (const struct coordinator_item *item = part->first; item; item = item->next)
        part->waiting++;
    for (struct coordinator_item *item = part->first, *next; item; item = next) {
        next = item->next;
        begin_item(item, coordinators);
    }
    one_done(part);
}

/* ---- A lost connection ---- */

static void abandon_home(struct message *message, struct loop *at)
{
    (void)at;
    struct coordinator_part *part = container_of(message, struct coordinator_part, abandon);
    part->abandon_is_out = false;
    connection_request_release(&part->part.request->base);
}

static void abandon_arrived(struct message *message, struct loop *at)
{
    struct coordinator_part *part = container_of(message, struct coordinator_part, abandon);
    message->deliver = abandon_home;
    if (part->is_here) {
        part->waiting++; /* the last item may end in here */
        for (struct coordinator_item *item = part->first; item; item = item->next)
            if (item->call.done && item->call.abandoned)
                item->call.abandoned(&item->call);
        one_done(part);
    }
    loop_post(at, part->part.home_loop, message);
}

void coordinator_items_abandon(struct request *request)
{
    list_for_each(link, &request->parts)
    {
        struct coordinator_part *part = part_of(container_of(link, struct part, link));
        if (part->part.is_home || part->abandon_is_out)
            continue;
        connection_request_hold(&request->base);
        part->abandon_is_out = true;
        part->abandon.deliver = abandon_arrived;
        loop_post(request_loop(request), part->part.target, &part->abandon);
    }
}
