/*
 * Streams as links of two ends. Each end has bytes that arrived and were not read, and a window:
 * the other side may have so many bytes under way or unread and no more, so a peer that does not
 * read stops the sender. Segments of a drawn size travel with a drawn delay and never overtake each
 * other: the event of an arrival takes the oldest of what is coming. File ranges are read when they
 * are cut into a segment, not before.
 *
 * Where the network is cut, arrivals are counted instead of carried out and made up for when the
 * direction is healed: bytes are late, never lost, as retransmission makes them.
 */
#include "base/assert.h"
#include "tests/sim/sim_internal.h"

enum {
    WINDOW = 64 * 1024,
    SEGMENT_MAX = 16 * 1024,
    READS_PER_TURN = 16,
    DEATH_DELAY_MIN_NS = 20000,
    CONNECT_AGAIN_MIN_NS = 50000000,
    CONNECT_AGAIN_MAX_NS = 1000000000,
    DEATH_DELAY_MAX_NS = 100000000
};

struct link;

struct end {
    struct list ready_link;  /* at->ready */
    struct list unsent_link; /* at->unsent */
    struct list node_link;   /* node->ends */
    struct link *link;
    struct sim_node *node; /* NULL: gone or closed */
    struct sim_loop *at;   /* NULL: accepted and not adopted yet */
    struct stream *owner;
    struct listener *listener; /* who accepted it, until told */
    bool paused;
    bool connecting; /* until `connected` is told */
    bool tell_connected;
    bool finished; /* the other side sent its last byte: `why` follows the unread bytes */
    bool closing;  /* closed by the owner; what was handed over still leaves */
    enum transport_status why;
    uint8_t *unread; /* [WINDOW] */
    size_t unread_size;
    size_t under_way;   /* bytes sent by the other side that have not arrived */
    struct list coming; /* struct segment.link: sent by the other side, oldest first */
    unsigned held;      /* arrivals that a cut keeps back */
    uint64_t last_arrival_ns;
    struct stream_send *first;
    struct stream_send **last;
};

struct link {
    struct list all_link;
    uint64_t handle;
    struct sim *sim;
    struct sim_node *hosts[2]; /* of the ends, for ever; NULL: no such host */
    struct end ends[2];
    unsigned events; /* that still refer to it */
};

struct sim_listener {
    struct list node_link;
    struct sim_node *node;
    struct sim_loop *at;
    struct listener *owner;
    uint16_t port;
};

static struct end *other_end(struct end *end)
{
    return &end->link->ends[end == &end->link->ends[0] ? 1 : 0];
}

static void ready_mark(struct end *end)
{
    if (!end->at)
        return;
    if (!list_is_linked(&end->ready_link))
        list_push_back(&end->at->ready, &end->ready_link);
    sim_wake(end->at);
}

static void unsent_mark(struct end *end)
{
    if (!end->at || !end->node)
        return;
    if (!list_is_linked(&end->unsent_link))
        list_push_back(&end->at->unsent, &end->unsent_link);
    sim_wake(end->at);
}

/* Whether nothing gets through to this end now. */
static bool end_is_cut(const struct end *end)
{
    const struct link *link = end->link;
    int to = end == &link->ends[0] ? 0 : 1;
    return sim_network_is_cut(link->sim, link->hosts[1 - to], link->hosts[to]);
}

/* How long something takes to this end; drawn. */
static uint64_t end_delay(const struct end *end)
{
    const struct link *link = end->link;
    int to = end == &link->ends[0] ? 0 : 1;
    return sim_network_delay(link->sim, link->hosts[1 - to], link->hosts[to]);
}

static void end_init(struct link *link, struct end *end, struct sim_node *node)
{
    *end = (struct end){.link = link, .node = node};
    list_init(&end->coming);
    list_link_init(&end->ready_link);
    list_link_init(&end->unsent_link);
    list_link_init(&end->node_link);
    if (node)
        list_push_back(&node->ends, &end->node_link);
    end->last = &end->first;
    end->unread = sim_get(link->sim, WINDOW);
}

static struct link *link_create(struct sim *sim, struct sim_node *from, struct sim_node *to)
{
    struct link *link = sim_get(sim, sizeof(*link));
    link->sim = sim;
    link->handle = ++sim->next_handle;
    link->hosts[0] = from;
    link->hosts[1] = to;
    list_push_back(&sim->links, &link->all_link);
    end_init(link, &link->ends[0], from);
    end_init(link, &link->ends[1], NULL);
    return link;
}

/* What travels to an end: bytes, or the end of the stream. */
struct segment {
    struct list link;  /* end.coming */
    bool is_end;       /* carries `why` instead of bytes */
    bool drops_unread; /* a reset overtakes what was not read */
    enum transport_status why;
    uint8_t *data;
    size_t size;
};

static void segment_free(struct sim *sim, struct segment *segment)
{
    if (segment->data)
        sim_put(sim, segment->data, segment->size);
    sim_put(sim, segment, sizeof(*segment));
}

static void link_free(struct link *link)
{
    list_remove(&link->all_link);
    for (int i = 0; i < 2; i++) {
        struct end *end = &link->ends[i];
        while (!list_is_empty(&end->coming))
            segment_free(link->sim,
                         container_of(list_pop_front(&end->coming), struct segment, link));
        sim_put(link->sim, end->unread, WINDOW);
    }
    sim_put(link->sim, link, sizeof(*link));
}

static void link_release(struct link *link)
{
    if (link->events == 0 && !link->ends[0].node && !link->ends[1].node)
        link_free(link);
}

/* The end belongs to nobody from here on. */
static void end_detach(struct end *end)
{
    list_remove(&end->ready_link);
    list_remove(&end->unsent_link);
    list_remove(&end->node_link);
    end->node = NULL;
    end->at = NULL;
    end->owner = NULL;
    end->first = NULL;
    end->last = &end->first;
}

/* ---- What travels ---- */

static void segment_take(struct end *end, const struct segment *segment)
{
    struct sim *sim = end->link->sim;
    if (segment->is_end) {
        end->finished = true;
        end->why = segment->why;
        if (segment->drops_unread)
            end->unread_size = 0;
    } else {
        klamm_assert(end->unread_size + segment->size <= WINDOW);
        memcpy(end->unread + end->unread_size, segment->data, segment->size);
        end->unread_size += segment->size;
        end->under_way -= segment->size;
        sim_fold_bytes(sim, segment->data, segment->size);
    }
    ready_mark(end);
}

static void segment_arrives(struct sim_event *event)
{
    struct end *end = event->subject;
    struct link *link = end->link;
    if (end_is_cut(end)) {
        end->held++; /* and the link stays as long */
        return;
    }
    link->events--;
    struct segment *segment = container_of(list_pop_front(&end->coming), struct segment, link);
    if (end->node)
        segment_take(end, segment);
    segment_free(link->sim, segment);
    link_release(link);
}

/* An arrival at the end, behind all those before it. */
static void schedule_arrival(struct end *end, uint64_t delay_ns)
{
    struct sim *sim = end->link->sim;
    uint64_t due = sim->now_ns + delay_ns;
    if (due <= end->last_arrival_ns)
        due = end->last_arrival_ns + 1;
    end->last_arrival_ns = due;
    struct sim_event *event = sim_schedule(sim, NULL, due - sim->now_ns, segment_arrives);
    event->subject = end;
}

void sim_transport_healed(struct sim *sim)
{
    list_for_each(place, &sim->links)
    {
        struct link *link = container_of(place, struct link, all_link);
        for (int i = 0; i < 2; i++) {
            struct end *end = &link->ends[i];
            for (; end->held > 0 && !end_is_cut(end); end->held--)
                schedule_arrival(end, end_delay(end));
        }
    }
}

static struct segment *segment_send(struct end *to, uint8_t *data, size_t size, uint64_t delay_ns)
{
    struct segment *segment = sim_get(to->link->sim, sizeof(*segment));
    *segment = (struct segment){.is_end = data == NULL, .data = data, .size = size};
    list_push_back(&to->coming, &segment->link);
    schedule_arrival(to, delay_ns);
    to->link->events++;
    to->under_way += size;
    return segment;
}

static void send_end(struct end *to, enum transport_status why, uint64_t delay_ns)
{
    struct segment *segment = segment_send(to, NULL, 0, delay_ns);
    segment->why = why;
    segment->drops_unread = why == TRANSPORT_RESET && random_chance(&to->link->sim->schedule, 1, 2);
}

/* ---- Sending ---- */

/* Copies the next bytes of the send queue; *short_file when a range ended early. */
static size_t gather(struct end *end, uint8_t *data, size_t capacity, bool *short_file)
{
    size_t size = 0;
    for (struct stream_send *send = end->first; send && size < capacity; send = send->next) {
        for (size_t i = 0; i < send->slice_count && size < capacity; i++) {
            const struct slice *slice = &send->slices[i];
            size_t part = slice->size < capacity - size ? slice->size : capacity - size;
            if (slice->kind == SLICE_MEMORY) {
                if (part > 0)
                    memcpy(data + size, slice->data, part);
            } else if (!sim_file_range(slice->file, slice->offset, data + size, part)) {
                *short_file = true;
                return size;
            }
            size += part;
        }
    }
    return size;
}

/* Moves the front of the queue; returns the sends that are done, linked. */
static struct stream_send *consume(struct end *end, size_t size)
{
    struct stream_send *finished = NULL;
    struct stream_send **last = &finished;
    while (end->first) {
        struct stream_send *send = end->first;
        while (send->slice_count > 0) {
            struct slice *slice = send->slices;
            size_t part = slice->size < size ? slice->size : size;
            slice->size -= part;
            slice->offset += part;
            if (slice->kind == SLICE_MEMORY)
                slice->data += part;
            send->sent_size += part;
            size -= part;
            if (slice->size > 0)
                return finished;
            send->slices++;
            send->slice_count--;
        }
        end->first = send->next;
        if (!end->first)
            end->last = &end->first;
        send->next = NULL;
        *last = send;
        last = &send->next;
    }
    return finished;
}

static void finish(struct stream_send *sends, enum transport_status status)
{
    while (sends) {
        struct stream_send *send = sends;
        sends = send->next;
        send->done(send, status);
    }
}

static struct stream_send *take_sends(struct end *end)
{
    struct stream_send *sends = end->first;
    end->first = NULL;
    end->last = &end->first;
    return sends;
}

/* Breaks the link: this side is told in its network phase, the other after a delay. */
static void end_break(struct end *end, enum transport_status why)
{
    end->finished = true;
    end->why = why;
    end->unread_size = 0;
    ready_mark(end);
    if (other_end(end)->node)
        send_end(other_end(end), TRANSPORT_RESET, end_delay(other_end(end)));
}

static void end_transmit(struct end *end)
{
    struct link *link = end->link;
    struct sim *sim = link->sim;
    struct end *to = other_end(end);
    if (end->finished || end->connecting)
        return;
    while (end->node && end->first) {
        size_t room = WINDOW - to->unread_size - to->under_way;
        size_t wanted = 1 + random_below(&sim->schedule, SEGMENT_MAX);
        if (random_chance(&sim->schedule, 1, 8))
            wanted = 1 + random_below(&sim->schedule, 16);
        if (room == 0 && to->node)
            return;
        bool short_file = false;
        uint8_t data[SEGMENT_MAX];
        size_t size = gather(end, data, room < wanted && to->node ? room : wanted, &short_file);
        if (short_file && size == 0) {
            end_break(end, TRANSPORT_SHORT_FILE);
            return;
        }
        struct stream_send *finished = consume(end, size);
        uint32_t chance = end->node->faults.stream_reset;
        bool reset = chance > 0 && random_chance(&sim->schedule, chance, 1000000);
        if (to->node && size > 0 && !reset) {
            uint8_t *exact = sim_get(sim, size);
            memcpy(exact, data, size);
            segment_send(to, exact, size, end_delay(to));
        }
        if (reset)
            end_break(end, TRANSPORT_RESET);
        finish(finished, TRANSPORT_OK);
        if (reset)
            return;
    }
}

void sim_transport_flush(struct sim_loop *at)
{
    struct list now;
    list_init(&now);
    list_splice_back(&now, &at->unsent);
    for (struct list *place; (place = list_pop_front(&now)) != NULL;) {
        struct end *end = container_of(place, struct end, unsent_link);
        struct link *link = end->link;
        link->events++; /* keeps it while callbacks close things */
        end_transmit(end);
        if (end->node && end->closing && !end->first) {
            struct end *to = other_end(end);
            end_detach(end);
            if (to->node)
                send_end(to, TRANSPORT_CLOSED, end_delay(to));
        }
        link->events--;
        link_release(link);
    }
}

/* ---- Receiving ---- */

static void end_close_told(struct end *end, enum transport_status why)
{
    struct stream *owner = end->owner;
    finish(take_sends(end), TRANSPORT_CLOSED);
    if (!end->node)
        return;
    bool silent = end->closing;
    end_detach(end);
    if (other_end(end)->node)
        unsent_mark(other_end(end));
    if (silent)
        return;
    owner->seam = NULL;
    owner->events->closed(owner, why);
}

static void end_read(struct end *end)
{
    struct sim *sim = end->link->sim;
    for (int i = 0; i < READS_PER_TURN && end->owner && !end->paused && end->unread_size > 0; i++) {
        struct stream *owner = end->owner;
        uint8_t *place = NULL;
        size_t capacity = owner->events->space(owner, &place);
        if (!end->owner)
            return;
        if (capacity == 0) {
            end->paused = true;
            return;
        }
        size_t size = end->unread_size < capacity ? end->unread_size : capacity;
        if (random_chance(&sim->schedule, 1, 4))
            size = 1 + random_below(&sim->schedule, size);
        memcpy(place, end->unread, size);
        memmove(end->unread, end->unread + size, end->unread_size - size);
        end->unread_size -= size;
        if (other_end(end)->node)
            unsent_mark(other_end(end)); /* the window opened */
        owner->events->received(owner, size);
    }
    if (end->owner && !end->paused && end->unread_size > 0)
        ready_mark(end);
}

static void end_network(struct end *end)
{
    if (end->listener) {
        struct listener *listener = end->listener;
        end->listener = NULL;
        end->at = NULL; /* travels to whoever adopts it */
        struct accepted_stream accepted = {.handle = end->link->handle, .local = listener->local};
        accepted.peer = (struct address){
            .family = 4, .bytes = {10, 0, 0, (uint8_t)other_end(end)->link->handle}, .port = 1};
        listener->events->accepted(listener, &accepted);
        return;
    }
    if (end->tell_connected) {
        end->tell_connected = false;
        end->connecting = false;
        if (end->first)
            unsent_mark(end);
        end->owner->events->connected(end->owner);
        if (!end->node)
            return;
    }
    if (!end->closing)
        end_read(end);
    else
        end->unread_size = 0;
    if (end->node && end->finished && (end->unread_size == 0 || (end->closing && !end->first)))
        end_close_told(end, end->why);
}

void sim_transport_network(struct sim_loop *at)
{
    struct list now;
    list_init(&now);
    list_splice_back(&now, &at->ready);
    for (struct list *place; (place = list_pop_front(&now)) != NULL;) {
        struct end *end = container_of(place, struct end, ready_link);
        struct link *link = end->link;
        link->events++;
        end_network(end);
        link->events--;
        link_release(link);
    }
}

/* ---- Operations ---- */

static struct sim_listener *find_listener(const struct sim_node *node, uint16_t port)
{
    list_for_each(place, &node->listeners)
    {
        struct sim_listener *listener = container_of(place, struct sim_listener, node_link);
        if (listener->port == port)
            return listener;
    }
    return NULL;
}

static enum transport_status sim_listen(void *self, struct listener *owner, const char *host,
                                        uint16_t port, int backlog)
{
    (void)host;
    (void)backlog;
    struct sim_loop *at = self;
    if (port == 0)
        for (port = 40000; find_listener(at->node, port);)
            port++;
    if (find_listener(at->node, port))
        return TRANSPORT_IN_USE;
    struct sim_listener *listener = sim_node_get(at->node, sizeof(*listener));
    *listener = (struct sim_listener){.node = at->node, .at = at, .owner = owner, .port = port};
    list_push_back(&at->node->listeners, &listener->node_link);
    owner->local =
        (struct address){.family = 4, .bytes = {10, 0, 1, (uint8_t)at->node->number}, .port = port};
    owner->seam = listener;
    return TRANSPORT_OK;
}

static void sim_unlisten(void *self, struct listener *owner)
{
    struct sim_loop *at = self;
    struct sim_listener *listener = owner->seam;
    owner->seam = NULL;
    if (!listener)
        return;
    /* Those that nobody was told of are reset. */
    list_for_each_safe(place, after, &at->node->ends)
    {
        struct end *end = container_of(place, struct end, node_link);
        if (end->listener != owner)
            continue;
        struct end *to = other_end(end);
        end_detach(end);
        if (to->node)
            send_end(to, TRANSPORT_RESET, end_delay(to));
    }
    list_remove(&listener->node_link);
    at->heap.put(&at->heap, listener, sizeof(*listener));
}

static struct end *find_accepted(struct sim_node *node, uint64_t handle)
{
    list_for_each(place, &node->ends)
    {
        struct end *end = container_of(place, struct end, node_link);
        if (end->link->handle == handle && end == &end->link->ends[1])
            return end;
    }
    klamm_unreachable("a stream that was not accepted");
}

static enum transport_status sim_adopt(void *self, struct stream *owner,
                                       const struct accepted_stream *accepted)
{
    struct sim_loop *at = self;
    struct end *end = find_accepted(at->node, accepted->handle);
    klamm_assert(end->owner == NULL);
    end->at = at;
    end->owner = owner;
    owner->seam = end;
    owner->local = accepted->local;
    owner->peer = accepted->peer;
    if (end->unread_size > 0 || end->finished)
        ready_mark(end);
    return TRANSPORT_OK;
}

static void sim_drop(void *self, const struct accepted_stream *accepted)
{
    struct sim_loop *at = self;
    struct end *end = find_accepted(at->node, accepted->handle);
    struct end *to = other_end(end);
    struct link *link = end->link;
    end_detach(end);
    if (to->node)
        send_end(to, TRANSPORT_RESET, end_delay(to));
    link_release(link);
}

/* A connect on its way; event->data. */
struct attempt {
    struct link *link;
    uint16_t port;
};

static void connect_arrives(struct sim_event *event);

static void schedule_connect(struct link *link, uint16_t port, uint64_t delay_ns)
{
    struct sim_event *event = sim_schedule(link->sim, NULL, delay_ns, connect_arrives);
    struct attempt *attempt = sim_get(link->sim, sizeof(*attempt));
    *attempt = (struct attempt){link, port};
    event->data = attempt;
    event->size = sizeof(*attempt);
}

static void connect_arrives(struct sim_event *event)
{
    const struct attempt *attempt = event->data;
    struct link *link = attempt->link;
    struct end *from = &link->ends[0];
    struct sim_node *to = link->hosts[1];
    if (from->node && (end_is_cut(from) || end_is_cut(&link->ends[1]))) {
        schedule_connect(
            link, attempt->port,
            sim_delay(&link->sim->schedule, CONNECT_AGAIN_MIN_NS, CONNECT_AGAIN_MAX_NS));
        return;
    }
    struct sim_listener *listener = to && to->running ? find_listener(to, attempt->port) : NULL;
    link->events--;
    if (from->node && listener) {
        struct end *end = &link->ends[1];
        end->node = to;
        list_push_back(&to->ends, &end->node_link);
        end->listener = listener->owner;
        end->at = listener->at;
        ready_mark(end);
        from->tell_connected = true;
        ready_mark(from);
    } else if (from->node) {
        from->finished = true;
        from->why = to && to->running ? TRANSPORT_REFUSED : TRANSPORT_UNREACHABLE;
        from->tell_connected = false;
        ready_mark(from);
    }
    link_release(link);
}

/* The node that a host name means; "localhost" and loopback addresses mean the own one. */
static struct sim_node *find_host(struct sim_node *from, const char *host)
{
    if (strncmp(host, "node-", 5) == 0) {
        unsigned number = 0;
        for (const char *digit = host + 5; *digit >= '0' && *digit <= '9'; digit++)
            number = number * 10 + (unsigned)(*digit - '0');
        return number < from->sim->node_count ? from->sim->nodes[number] : NULL;
    }
    return from;
}

static enum transport_status sim_connect(void *self, struct stream *owner, const char *host,
                                         uint16_t port)
{
    struct sim_loop *at = self;
    struct sim *sim = at->node->sim;
    struct sim_node *to = find_host(at->node, host);
    struct link *link = link_create(sim, at->node, to);
    struct end *end = &link->ends[0];
    end->at = at;
    end->owner = owner;
    end->connecting = true;
    owner->seam = end;
    schedule_connect(link, port, end_delay(&link->ends[1]));
    link->events++;
    return TRANSPORT_OK;
}

static void sim_send(void *self, struct stream *owner, struct stream_send *send)
{
    (void)self;
    struct end *end = owner->seam;
    klamm_assert(end != NULL);
    send->next = NULL;
    send->sent_size = 0;
    send->sent_file_size = 0;
    *end->last = send;
    end->last = &send->next;
    unsent_mark(end);
}

static void sim_set_reading(void *self, struct stream *owner, bool on)
{
    (void)self;
    struct end *end = owner->seam;
    klamm_assert(end != NULL);
    end->paused = !on;
    if (on && (end->unread_size > 0 || end->finished))
        ready_mark(end);
}

static void sim_close(void *self, struct stream *owner, bool reset)
{
    (void)self;
    struct end *end = owner->seam;
    if (!end)
        return;
    owner->seam = NULL;
    end->owner = NULL;
    struct end *to = other_end(end);
    struct link *link = end->link;
    if (!reset && end->first && !end->finished && to->node) {
        end->closing = true;
        unsent_mark(end);
        return;
    }
    struct stream_send *sends = take_sends(end);
    end_detach(end);
    if (to->node)
        send_end(to, reset ? TRANSPORT_RESET : TRANSPORT_CLOSED, end_delay(to));
    link->events++;
    finish(sends, TRANSPORT_CLOSED);
    link->events--;
    link_release(link);
}

static const struct transport_ops ops = {sim_listen,  sim_unlisten, sim_adopt,       sim_drop,
                                         sim_connect, sim_send,     sim_set_reading, sim_close};

struct transport sim_transport(struct sim_loop *at)
{
    return (struct transport){&ops, at};
}

void sim_transport_node_ended(struct sim_node *node)
{
    while (!list_is_empty(&node->listeners))
        list_pop_front(&node->listeners);
    while (!list_is_empty(&node->ends)) {
        struct end *end = container_of(node->ends.next, struct end, node_link);
        struct end *to = other_end(end);
        struct link *link = end->link;
        end_detach(end);
        if (to->node)
            send_end(to, TRANSPORT_RESET,
                     sim_delay(&link->sim->schedule, DEATH_DELAY_MIN_NS, DEATH_DELAY_MAX_NS));
        link_release(link);
    }
}

void sim_transport_destroy(struct sim *sim)
{
    while (!list_is_empty(&sim->links))
        link_free(container_of(sim->links.next, struct link, all_link));
}
