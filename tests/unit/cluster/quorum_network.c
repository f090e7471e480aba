/* See the header. */
#include "tests/unit/cluster/quorum_network.h"

#include <stdarg.h>
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

#include "connection/channel.h"
#include "protocol/api_info.h"
#include "protocol/messages/add_raft_voter.h"
#include "protocol/messages/api_versions.h"
#include "protocol/messages/begin_quorum_epoch.h"
#include "protocol/messages/end_quorum_epoch.h"
#include "protocol/messages/fetch.h"
#include "protocol/messages/fetch_snapshot.h"
#include "protocol/messages/remove_raft_voter.h"
#include "protocol/messages/update_raft_voter.h"
#include "protocol/messages/vote.h"

struct channel {
    struct list link;
    struct channel_options options;
    int from, to;
};

enum packet_kind { PACKET_REQUEST, PACKET_RESPONSE, PACKET_FAILURE };

struct net_packet {
    struct list link;
    enum packet_kind kind;
    uint64_t due_ms;
    struct channel *channel;         /* of the asker; NULL: it is gone */
    struct channel_request *request; /* NULL: taken back */
    int16_t version;
    enum channel_status status;
    size_t size;
    uint8_t bytes[];
};

/* A request at a node. */
struct served {
    struct list link;
    struct quorum_call call;
    struct heap heap;
    struct arena arena;
    int node;
    struct channel *channel;
    struct channel_request *request;
};

static struct quorum_net *the_net; /* the channels' only way to it */

/* The server's half of each API. */
#define SERVER(name)                                                                               \
    static bool name##_in(void *message, struct reader *in, int16_t version, struct arena *arena)  \
    {                                                                                              \
        return name##_request_decode(message, in, version, arena);                                 \
    }                                                                                              \
    static void name##_out(const void *message, struct message_writer *out, int16_t version)       \
    {                                                                                              \
        name##_response_encode(message, out, version);                                             \
    }                                                                                              \
    static size_t name##_out_size(const void *message, int16_t version)                            \
    {                                                                                              \
        return name##_response_size(message, version);                                             \
    }

SERVER(vote)
SERVER(begin_quorum_epoch)
SERVER(end_quorum_epoch)
SERVER(fetch)
SERVER(fetch_snapshot)
SERVER(add_raft_voter)
SERVER(remove_raft_voter)
SERVER(update_raft_voter)

#define ROW(name, api_key, call_kind)                                                              \
    {                                                                                              \
        .key = (api_key), .kind = (call_kind), .request_size = sizeof(struct name##_request),      \
        .response_size = sizeof(struct name##_response), .decode = name##_in,                      \
        .encode = name##_out, .size = name##_out_size                                              \
    }

static const struct server_row {
    int16_t key;
    enum quorum_call_kind kind;
    size_t request_size, response_size;
    bool (*decode)(void *message, struct reader *in, int16_t version, struct arena *arena);
    void (*encode)(const void *message, struct message_writer *out, int16_t version);
    size_t (*size)(const void *message, int16_t version);
} rows[] = {
    ROW(vote, API_KEY_VOTE, QUORUM_CALL_VOTE),
    ROW(begin_quorum_epoch, API_KEY_BEGIN_QUORUM_EPOCH, QUORUM_CALL_BEGIN_EPOCH),
    ROW(end_quorum_epoch, API_KEY_END_QUORUM_EPOCH, QUORUM_CALL_END_EPOCH),
    ROW(fetch, API_KEY_FETCH, QUORUM_CALL_FETCH),
    ROW(fetch_snapshot, API_KEY_FETCH_SNAPSHOT, QUORUM_CALL_FETCH_SNAPSHOT),
    ROW(add_raft_voter, API_KEY_ADD_RAFT_VOTER, QUORUM_CALL_ADD_VOTER),
    ROW(remove_raft_voter, API_KEY_REMOVE_RAFT_VOTER, QUORUM_CALL_REMOVE_VOTER),
    ROW(update_raft_voter, API_KEY_UPDATE_RAFT_VOTER, QUORUM_CALL_UPDATE_VOTER),
};

static const struct server_row *row_of_kind(enum quorum_call_kind kind)
{
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        if (rows[i].kind == kind)
            return &rows[i];
    fail();
    return NULL;
}

static const struct server_row *row_of_key(int16_t key)
{
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        if (rows[i].key == key)
            return &rows[i];
    fail();
    return NULL;
}

/* ---- Packets --------------------------------------------------------------------------------- */

static struct net_packet *post(struct quorum_net *net, enum packet_kind kind,
                               struct channel *channel, struct channel_request *request,
                               size_t size, unsigned delay_ms)
{
    struct net_packet *packet = calloc(1, sizeof(*packet) + size);
    assert_non_null(packet);
    packet->kind = kind;
    packet->channel = channel;
    packet->request = request;
    packet->size = size;
    packet->due_ms = net->now_ms + delay_ms;
    list_push_back(&net->packets, &packet->link);
    return packet;
}

static unsigned some_delay(struct quorum_net *net)
{
    return 1 + (unsigned)random_below(&net->random, net->delay_ms);
}

static void post_failure(struct quorum_net *net, struct channel *channel,
                         struct channel_request *request, enum channel_status status,
                         unsigned delay_ms)
{
    post(net, PACKET_FAILURE, channel, request, 0, delay_ms)->status = status;
}

static unsigned timeout_ms(const struct channel *channel)
{
    return (unsigned)(channel->options.request_timeout_ns / 1000000);
}

/* ---- The other side -------------------------------------------------------------------------- */

static void free_served(struct served *served)
{
    list_remove(&served->link);
    arena_deinit(&served->arena);
    free(served);
}

static void call_done(struct quorum_call *call)
{
    struct served *served = container_of(call, struct served, call);
    struct quorum_net *net = the_net;
    const struct server_row *row = row_of_kind(call->kind);
    if (served->request && served->channel) {
        size_t size = row->size(call->response, call->version);
        struct net_packet *packet =
            post(net, PACKET_RESPONSE, served->channel, served->request, size, some_delay(net));
        struct message_writer out = message_writer_of(packet->bytes, size);
        row->encode(call->response, &out, call->version);
        assert_false(message_writer_failed(&out));
        packet->version = call->version;
    }
    free_served(served);
}

/* A broker's answer, as far as the quorum looks at it. */
static void answer_versions(struct quorum_net *net, const struct net_packet *packet)
{
    struct api_versions_response_supported_feature_key feature = {
        .name = VIEW_LITERAL("kraft.version"), .min_version = 0, .max_version = 1};
    struct api_versions_response response;
    api_versions_response_init(&response);
    response.supported_features = &feature;
    response.supported_features_count = 1;
    size_t size = api_versions_response_size(&response, packet->version);
    struct net_packet *answer =
        post(net, PACKET_RESPONSE, packet->channel, packet->request, size, some_delay(net));
    struct message_writer out = message_writer_of(answer->bytes, size);
    api_versions_response_encode(&response, &out, packet->version);
    assert_false(message_writer_failed(&out));
    answer->version = packet->version;
}

static void deliver_request(struct quorum_net *net, struct net_packet *packet)
{
    struct channel *channel = packet->channel;
    if (packet->request->call->api_key == API_KEY_API_VERSIONS) {
        answer_versions(net, packet);
        return;
    }
    const struct server_row *row = row_of_key(packet->request->call->api_key);
    struct served *served = calloc(1, sizeof(*served));
    assert_non_null(served);
    heap_init_plain(&served->heap);
    arena_init(&served->arena, &served->heap, MEMORY_SCRATCH, 0);
    served->node = channel->to;
    served->channel = channel;
    served->request = packet->request;
    list_push_back(&net->served, &served->link);
    uint8_t *bytes = arena_get(&served->arena, packet->size ? packet->size : 1);
    memcpy(bytes, packet->bytes, packet->size);
    void *message = arena_get_array(&served->arena, 1, row->request_size);
    struct reader in = reader_of(view_of(bytes, packet->size));
    assert_true(row->decode(message, &in, packet->version, &served->arena));
    served->call = (struct quorum_call){
        .kind = row->kind,
        .message = message,
        .response = arena_get_array(&served->arena, 1, row->response_size),
        .arena = &served->arena,
        .version = packet->version,
        .done = call_done,
    };
    metadata_log_serve(&net->nodes[channel->to].fixture.controller.log, &served->call);
}

static struct heap answer_heap;    /* kept answers too */
static struct arena *answer_arena; /* of the answer being told; NULL: it is kept */

static void deliver_response(struct net_packet *packet)
{
    struct channel_request *request = packet->request;
    const struct channel_call *call = request->call;
    struct arena arena;
    arena_init(&arena, &answer_heap, MEMORY_SCRATCH, 0);
    void *response = arena_get_array(&arena, 1, call->response_size);
    struct view bytes = arena_copy(&arena, view_of(packet->bytes, packet->size));
    struct reader in = reader_of(bytes);
    assert_true(call->decode(response, &in, packet->version, &arena));
    answer_arena = &arena;
    request->done(request, CHANNEL_OK, response);
    if (answer_arena)
        arena_deinit(&arena);
    answer_arena = NULL;
}

void channel_keep_frame(struct channel_request *request, struct channel_frame *frame)
{
    (void)request;
    assert_non_null(answer_arena);
    frame->arena = *answer_arena;
    answer_arena = NULL;
}

void channel_release_frame(struct channel_frame *frame)
{
    arena_deinit(&frame->arena);
}

static void deliver(struct quorum_net *net, struct net_packet *packet)
{
    struct channel *channel = packet->channel;
    if (!channel || !packet->request)
        return;
    bool is_cut = net->cut[channel->from][channel->to];
    bool is_down = !net->nodes[channel->to].runs;
    if (packet->kind == PACKET_FAILURE)
        packet->request->done(packet->request, packet->status, NULL);
    else if (is_cut)
        post_failure(net, channel, packet->request, CHANNEL_TIMED_OUT, timeout_ms(channel));
    else if (packet->kind == PACKET_RESPONSE)
        deliver_response(packet);
    else if (is_down)
        post_failure(net, channel, packet->request, CHANNEL_DISCONNECTED, 1);
    else
        deliver_request(net, packet);
}

/* ---- channel.h ------------------------------------------------------------------------------- */

const char *channel_status_text(enum channel_status status)
{
    (void)status;
    return "of the test";
}

static int node_of_loop(const struct loop *loop)
{
    for (int id = 1; id <= the_net->count; id++)
        if (memory_node_loop(&the_net->nodes[id].fixture.node, 0) == loop)
            return id;
    fail();
    return 0;
}

struct channel *channel_create(const struct channel_options *options)
{
    struct channel *channel = calloc(1, sizeof(*channel));
    assert_non_null(channel);
    channel->options = *options;
    channel->from = node_of_loop(options->loop);
    channel->to = options->port - QUORUM_PORT;
    assert_in_range(channel->to, 1, the_net->count);
    list_push_back(&the_net->channels, &channel->link);
    return channel;
}

void channel_set_address(struct channel *channel, struct view host, uint16_t port)
{
    (void)host;
    channel->to = port - QUORUM_PORT;
}

void channel_send(struct channel *channel, struct channel_request *request)
{
    const struct api_info *info = api_info_find(request->call->api_key);
    int16_t version = request->version_max;
    assert_non_null(info);
    size_t size = request->call->size(request->message, version);
    struct net_packet *packet =
        post(the_net, PACKET_REQUEST, channel, request, size, some_delay(the_net));
    packet->version = version;
    request->message_version = version;
    struct message_writer out = message_writer_of(packet->bytes, size);
    request->call->encode(request->message, &out, version);
    assert_false(message_writer_failed(&out));
}

static void forget_request(const struct channel_request *request)
{
    list_for_each(link, &the_net->packets)
    {
        struct net_packet *packet = container_of(link, struct net_packet, link);
        if (packet->request == request)
            packet->request = NULL;
    }
    list_for_each(link, &the_net->served)
    {
        struct served *served = container_of(link, struct served, link);
        if (served->request == request)
            served->request = NULL;
    }
}

void channel_cancel(struct channel_request *request)
{
    forget_request(request);
}

static void free_channel(struct channel *channel, bool tell)
{
    list_for_each_safe(link, after, &the_net->packets)
    {
        struct net_packet *packet = container_of(link, struct net_packet, link);
        if (packet->channel != channel)
            continue;
        struct channel_request *request = packet->request;
        packet->channel = NULL;
        packet->request = NULL;
        if (request && tell)
            request->done(request, CHANNEL_CLOSED, NULL);
    }
    list_for_each(link, &the_net->served)
    {
        struct served *served = container_of(link, struct served, link);
        if (served->channel != channel)
            continue;
        struct channel_request *request = served->request;
        served->channel = NULL;
        served->request = NULL;
        if (request && tell)
            request->done(request, CHANNEL_CLOSED, NULL);
    }
    list_remove(&channel->link);
    free(channel);
}

void channel_close(struct channel *channel)
{
    free_channel(channel, true);
}

struct uuid quorum_net_directory(int id)
{
    return uuid_of_halves((uint64_t)id, 7);
}

/* ---- Nodes ----------------------------------------------------------------------------------- */

/* `voters_text` says where the quorum is. */
static void make_node(struct quorum_net *net, int id, bool is_broker_only)
{
    struct quorum_net_node *node = &net->nodes[id];
    node->exists = true;
    node->is_broker_only = is_broker_only;
    snprintf(node->id_text, sizeof(node->id_text), "node.id=%d", id);
    snprintf(node->roles_text, sizeof(node->roles_text), "process.roles=%s",
             node->is_broker_only ? "broker" : "broker,controller");
    snprintf(node->listeners_text, sizeof(node->listeners_text),
             node->is_broker_only ? "listeners=PLAINTEXT://:9092"
                                  : "listeners=PLAINTEXT://:9092,CONTROLLER://localhost:%d",
             QUORUM_PORT + id);
    snprintf(node->names_text, sizeof(node->names_text), "controller.listener.names=CONTROLLER");
    const struct view overrides[] = {
        view_of_string(node->id_text),     view_of_string(node->roles_text),
        view_of_string(node->voters_text), view_of_string(node->listeners_text),
        view_of_string(node->names_text),
    };
    fixture_init_with(&node->fixture, overrides, sizeof(overrides) / sizeof(overrides[0]));
    node->fixture.directory_id = quorum_net_directory(id);
}

static void init(struct quorum_net *net, int count, uint64_t seed)
{
    memset(net, 0, sizeof(*net));
    the_net = net;
    heap_init_plain(&answer_heap);
    random_init(&net->random, seed, 3);
    net->delay_ms = 3;
    net->count = count;
    list_init(&net->packets);
    list_init(&net->served);
    list_init(&net->channels);
}

static void name_voters(struct quorum_net *net, int id, int voters)
{
    char *text = net->nodes[id].voters_text;
    size_t size = sizeof(net->nodes[id].voters_text);
    size_t used = (size_t)snprintf(text, size, "controller.quorum.voters=");
    for (int i = 1; i <= voters; i++)
        used += (size_t)snprintf(text + used, size - used, "%s%d@localhost:%d", i > 1 ? "," : "", i,
                                 QUORUM_PORT + i);
}

static void name_first(struct quorum_net *net, int id)
{
    snprintf(net->nodes[id].voters_text, sizeof(net->nodes[id].voters_text),
             "controller.quorum.bootstrap.servers=localhost:%d", QUORUM_PORT + 1);
}

void quorum_net_init(struct quorum_net *net, int voters, int observers, uint64_t seed)
{
    init(net, voters + observers, seed);
    for (int id = 1; id <= net->count; id++) {
        name_voters(net, id, voters);
        make_node(net, id, id > voters);
    }
}

void quorum_net_init_dynamic(struct quorum_net *net, int count, uint64_t seed)
{
    init(net, count, seed);
    for (int id = 1; id <= net->count; id++) {
        name_first(net, id);
        make_node(net, id, false);
    }
}

void quorum_net_init_growing(struct quorum_net *net, int voters, int others, uint64_t seed)
{
    init(net, voters + others, seed);
    for (int id = 1; id <= net->count; id++) {
        if (id <= voters)
            name_voters(net, id, voters);
        else
            name_first(net, id);
        make_node(net, id, false);
    }
}

void quorum_net_start(struct quorum_net *net, int id)
{
    struct quorum_net_node *node = &net->nodes[id];
    node->runs = true;
    /* Clocks of nodes begin where the others are. */
    fixture_begin(&node->fixture);
    memory_node_run(&node->fixture.node);
}

static void turn(struct quorum_net *net)
{
    net->now_ms++;
    list_for_each(link, &net->packets)
    {
        struct net_packet *packet = container_of(link, struct net_packet, link);
        if (packet->due_ms <= net->now_ms)
            packet->due_ms = 0;
    }
    /* They stay in the list, where forget_request finds them. */
    for (;;) {
        struct net_packet *packet = NULL;
        list_for_each(link, &net->packets)
        {
            struct net_packet *one = container_of(link, struct net_packet, link);
            if (one->due_ms == 0) {
                packet = one;
                break;
            }
        }
        if (!packet)
            break;
        list_remove(&packet->link);
        deliver(net, packet);
        free(packet);
    }
    for (int id = 1; id <= net->count; id++)
        memory_node_advance(&net->nodes[id].fixture.node, 1000000);
}

void quorum_net_run(struct quorum_net *net, unsigned ms)
{
    for (unsigned i = 0; i < ms; i++)
        turn(net);
}

static void drop_node_traffic(struct quorum_net *net, int id)
{
    list_for_each_safe(link, after, &net->served)
    {
        struct served *served = container_of(link, struct served, link);
        if (served->node != id)
            continue;
        if (served->request && served->channel)
            post_failure(net, served->channel, served->request, CHANNEL_DISCONNECTED, 1);
        free_served(served);
    }
    list_for_each_safe(link, after, &net->channels)
    {
        struct channel *channel = container_of(link, struct channel, link);
        if (channel->from == id)
            free_channel(channel, false);
    }
}

void quorum_net_crash(struct quorum_net *net, int id)
{
    drop_node_traffic(net, id);
    net->nodes[id].runs = false;
    fixture_crash(&net->nodes[id].fixture);
}

void quorum_net_stop(struct quorum_net *net, int id)
{
    struct fixture *fixture = &net->nodes[id].fixture;
    controller_close(&fixture->controller);
    for (int i = 0; i < 20000 && !fixture->is_closed; i++)
        turn(net);
    assert_true(fixture->is_closed);
    publisher_deinit(&fixture->publisher);
    drop_node_traffic(net, id);
    net->nodes[id].runs = false;
}

void quorum_net_deinit(struct quorum_net *net)
{
    for (int id = net->count; id >= 1; id--)
        if (net->nodes[id].runs)
            quorum_net_stop(net, id);
    struct list *link;
    while ((link = list_pop_front(&net->packets)) != NULL)
        free(container_of(link, struct net_packet, link));
    assert_true(list_is_empty(&net->served));
    assert_true(list_is_empty(&net->channels));
    for (int id = 1; id <= net->count; id++)
        fixture_deinit(&net->nodes[id].fixture);
}

void quorum_net_isolate(struct quorum_net *net, int id, bool on)
{
    for (int other = 1; other <= net->count; other++)
        if (other != id)
            net->cut[id][other] = net->cut[other][id] = on;
}

int quorum_net_leader(const struct quorum_net *net)
{
    int leader = 0;
    int32_t epoch = -1;
    for (int id = 1; id <= net->count; id++) {
        const struct controller *controller = &net->nodes[id].fixture.controller;
        if (net->nodes[id].runs && controller->is_active && controller->log.quorum.epoch > epoch) {
            leader = id;
            epoch = controller->log.quorum.epoch;
        }
    }
    return leader;
}

int quorum_net_await_leader(struct quorum_net *net, int but)
{
    for (int i = 0; i < 30000; i++) {
        int leader = quorum_net_leader(net);
        if (leader != 0 && leader != but)
            return leader;
        turn(net);
    }
    fail();
    return 0;
}
