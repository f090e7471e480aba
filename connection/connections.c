/*
 * The connections of a loop: a table of slots for names, a list by last activity, a list of those
 * that wait for memory.
 *
 * One timer watches idleness: it is set for the head of the activity list and so fires rarely. The
 * other runs once a second, only while somebody waits for memory, and closes those who hold memory
 * and do not move. Waiting connections are served in the deferred phase of any turn in which frames
 * or answers were freed.
 */
#include "connection/connections.h"

#include "base/assert.h"
#include "connection/connection_internal.h"

#define NO_SLOT UINT32_MAX

enum { SLOTS_FIRST = 64 };

static const uint64_t NS_PER_MS = 1000000;

bool connections_answers_full(const struct connections *connections)
{
    uint64_t limit = connections->options.answer_memory;
    return limit && connections->loop->heap->used[MEMORY_ANSWER] >= limit;
}

static bool frames_full(const struct connections *connections)
{
    uint64_t limit = connections->options.frame_memory;
    return limit && connections->loop->heap->used[MEMORY_FRAME] >= limit;
}

void connections_memory_freed(struct connections *connections)
{
    if (!list_is_empty(&connections->wait_list))
        loop_defer(connections->loop, &connections->serve_waiting);
}

static void serve_waiting(struct deferred *deferred)
{
    struct connections *connections = container_of(deferred, struct connections, serve_waiting);
    struct list waiting;
    list_init(&waiting);
    list_splice_back(&waiting, &connections->wait_list);
    while (!list_is_empty(&waiting)) {
        bool frames = frames_full(connections) && connections->borrowed;
        if (frames || connections_answers_full(connections))
            break;
        struct list *link = list_pop_front(&waiting);
        connection_pump(container_of(link, struct connection, wait_link));
    }
    /* Those who came first stay first; who had to wait again is behind them. */
    list_splice_back(&waiting, &connections->wait_list);
    list_splice_back(&connections->wait_list, &waiting);
}

void connection_wait(struct connection *connection)
{
    struct connections *owner = connection->owner;
    if (list_is_linked(&connection->wait_link))
        return;
    owner->counters.memory_waits++;
    list_push_back(&owner->wait_list, &connection->wait_link);
    if (!timer_is_set(&owner->stall_timer))
        loop_set_timer(owner->loop, &owner->stall_timer, 1000 * NS_PER_MS);
}

/* Holds frame or answer memory without having moved for stall_ms. */
static bool is_stalled(const struct connection *connection)
{
    const struct connections *owner = connection->owner;
    bool holds_frame = connection->block != NULL && connection->request_count == 0 &&
                       !list_is_linked(&connection->wait_link);
    bool holds_answers = connection->unsent_count > 0;
    uint64_t still_ns = owner->loop->now_ns - connection->active_ns;
    return (holds_frame || holds_answers) && still_ns >= owner->options.stall_ms * NS_PER_MS;
}

static void close_stalled(struct timer *timer)
{
    struct connections *connections = container_of(timer, struct connections, stall_timer);
    if (list_is_empty(&connections->wait_list))
        return;
    list_for_each_safe(link, after, &connections->active_list)
    {
        struct connection *connection = container_of(link, struct connection, active_link);
        if (connections->loop->now_ns - connection->active_ns <
            connections->options.stall_ms * NS_PER_MS)
            break;
        if (is_stalled(connection))
            connection_close(connection, CONNECTION_CLOSE_STALLED, NULL);
    }
    connections_memory_freed(connections);
    loop_set_timer(connections->loop, &connections->stall_timer, 1000 * NS_PER_MS);
}

static void set_idle_timer(struct connections *connections)
{
    uint64_t idle_ns = connections->options.idle_ms * NS_PER_MS;
    if (idle_ns == 0 || list_is_empty(&connections->active_list))
        return;
    const struct connection *oldest =
        container_of(connections->active_list.next, struct connection, active_link);
    uint64_t due = oldest->active_ns + idle_ns;
    uint64_t now = connections->loop->now_ns;
    loop_set_timer(connections->loop, &connections->idle_timer,
                   due > now ? due - now + NS_PER_MS : NS_PER_MS);
}

/* Closes who is idle; who waits for an answer of ours is not idle. */
static void close_idle(struct timer *timer)
{
    struct connections *connections = container_of(timer, struct connections, idle_timer);
    uint64_t idle_ns = connections->options.idle_ms * NS_PER_MS;
    uint64_t now = connections->loop->now_ns;
    list_for_each_safe(link, after, &connections->active_list)
    {
        struct connection *connection = container_of(link, struct connection, active_link);
        if (now - connection->active_ns < idle_ns)
            break;
        if (connection->request_count > 0)
            connection_touch(connection);
        else
            connection_close(connection, CONNECTION_CLOSE_IDLE, NULL);
    }
    set_idle_timer(connections);
}

void connection_touch(struct connection *connection)
{
    struct connections *owner = connection->owner;
    connection->active_ns = owner->loop->now_ns;
    if (connection->closing || owner->active_list.previous == &connection->active_link)
        return;
    list_remove(&connection->active_link);
    list_push_back(&owner->active_list, &connection->active_link);
}

void connections_init(struct connections *connections, struct loop *loop,
                      const struct connection_handler *handler,
                      const struct connections_options *options, void *context)
{
    klamm_assert(options->request_size >= sizeof(struct connection_request));
    *connections = (struct connections){
        .loop = loop,
        .handler = handler,
        .context = context,
        .options = *options,
        .first_free = NO_SLOT,
    };
    connections->options.request_size = (options->request_size + 15) & ~(size_t)15;
    list_init(&connections->active_list);
    list_init(&connections->wait_list);
    deferred_init(&connections->serve_waiting, serve_waiting);
    timer_init(&connections->idle_timer, close_idle);
    timer_init(&connections->stall_timer, close_stalled);
    loop->heap->limit[MEMORY_FRAME] = options->frame_memory;
    connections->read_buffer = heap_must_get(loop->heap, MEMORY_CONNECTION, CONNECTION_READ_SIZE);
}

void connections_deinit(struct connections *connections)
{
    klamm_assert(connections->count == 0);
    struct heap *heap = connections->loop->heap;
    timer_clear(&connections->idle_timer);
    timer_clear(&connections->stall_timer);
    heap_put(heap, MEMORY_CONNECTION, connections->read_buffer, CONNECTION_READ_SIZE);
    heap_put(heap, MEMORY_CONNECTION, connections->slots,
             connections->slot_capacity * sizeof(*connections->slots));
    connections->read_buffer = NULL;
    connections->slots = NULL;
}

/* Doubles the table when it is full; false when memory is refused. */
static bool reserve_slot(struct connections *connections)
{
    if (connections->first_free != NO_SLOT)
        return true;
    struct heap *heap = connections->loop->heap;
    uint32_t old = connections->slot_capacity;
    uint32_t capacity = old ? 2 * old : SLOTS_FIRST;
    size_t size = capacity * sizeof(struct connection_slot);
    struct connection_slot *slots =
        old ? heap_resize(heap, MEMORY_CONNECTION, connections->slots, old * sizeof(*slots), size)
            : heap_get(heap, MEMORY_CONNECTION, size);
    if (!slots)
        return false;
    for (uint32_t i = old; i < capacity; i++)
        slots[i] = (struct connection_slot){
            .generation = 1,
            .next_free = i + 1 < capacity ? i + 1 : NO_SLOT,
        };
    connections->slots = slots;
    connections->slot_capacity = capacity;
    connections->first_free = old;
    return true;
}

/* The connection's deferred work: go on reading, or go. */
static void connection_deferred(struct deferred *deferred)
{
    struct connection *connection = container_of(deferred, struct connection, pump);
    if (!connection->closing)
        connection_pump(connection);
    else if (connection->unsent_count == 0)
        connection_finish(connection);
}

static struct connection *refuse(struct connections *connections,
                                 const struct accepted_stream *accepted)
{
    transport_drop(connections->loop->transport, accepted);
    return NULL;
}

struct connection *connections_adopt(struct connections *connections,
                                     const struct accepted_stream *accepted, void *context)
{
    struct loop *loop = connections->loop;
    if (connections->stopping || !reserve_slot(connections))
        return refuse(connections, accepted);
    struct connection *connection =
        heap_get_zeroed(loop->heap, MEMORY_CONNECTION, sizeof(*connection));
    if (!connection)
        return refuse(connections, accepted);
    connection->owner = connections;
    connection->context = context;
    connection->stream.events = &connection_stream_events;
    connection->stream.local = accepted->local;
    connection->stream.peer = accepted->peer;
    if (transport_adopt(loop->transport, &connection->stream, accepted) != TRANSPORT_OK) {
        heap_put(loop->heap, MEMORY_CONNECTION, connection, sizeof(*connection));
        return NULL;
    }
    uint32_t slot = connections->first_free;
    connections->first_free = connections->slots[slot].next_free;
    connections->slots[slot].connection = connection;
    connection->name = (struct connection_name){
        .shard = (uint16_t)loop->index,
        .slot = slot,
        .generation = connections->slots[slot].generation,
    };
    list_link_init(&connection->wait_link);
    list_init(&connection->requests);
    deferred_init(&connection->pump, connection_deferred);
    connection->active_ns = loop->now_ns;
    connection->reading = true;
    connection->stream_open = true;
    list_push_back(&connections->active_list, &connection->active_link);
    connections->count++;
    connections->counters.opened++;
    if (!timer_is_set(&connections->idle_timer))
        set_idle_timer(connections);
    return connection;
}

struct connection *connections_find(const struct connections *connections,
                                    struct connection_name name)
{
    if (name.shard != connections->loop->index || name.slot >= connections->slot_capacity)
        return NULL;
    const struct connection_slot *slot = &connections->slots[name.slot];
    return slot->generation == name.generation ? slot->connection : NULL;
}

void connections_forget(struct connections *connections, struct connection *connection)
{
    list_remove(&connection->active_link);
    list_remove(&connection->wait_link);
    struct connection_slot *slot = &connections->slots[connection->name.slot];
    slot->connection = NULL;
    slot->generation++;
    slot->next_free = connections->first_free;
    connections->first_free = connection->name.slot;
}

void connections_one_gone(struct connections *connections)
{
    klamm_assert(connections->count > 0);
    connections->count--;
    if (connections->stopping && connections->count == 0)
        connections->stopped(connections);
}

/* An answer may be given inside `hurry`, and takes its request out of the list. */
static void hurry_requests(struct connection *connection)
{
    const struct connection_handler *handler = connection->owner->handler;
    list_for_each_safe(link, after, &connection->requests)
    {
        struct connection_request *request = container_of(link, struct connection_request, link);
        if (!request->answered)
            handler->hurry(request);
    }
}

void connections_stop(struct connections *connections,
                      void (*stopped)(struct connections *connections))
{
    klamm_assert(!connections->stopping);
    connections->stopping = true;
    connections->stopped = stopped;
    timer_clear(&connections->idle_timer);
    if (connections->count == 0) {
        stopped(connections);
        return;
    }
    list_for_each_safe(link, after, &connections->active_list)
    {
        struct connection *connection = container_of(link, struct connection, active_link);
        if (connection->request_count == 0 && connection->unsent_count == 0)
            connection_close(connection, CONNECTION_CLOSE_STOPPING, NULL);
        else
            hurry_requests(connection);
    }
}

void connections_close_all(struct connections *connections, enum connection_close_reason reason)
{
    while (!list_is_empty(&connections->active_list)) {
        struct list *link = connections->active_list.next;
        connection_close(container_of(link, struct connection, active_link), reason, NULL);
    }
}
