/*
 * Metadata is asked of a broker drawn anew each time, once a second or when somebody was told that
 * a leader has moved. Version 7 names leader epochs and has no tags.
 */
#include "tests/sim/cluster_client.h"

#include <stdio.h>

const char cluster_topic[] = "sim";

static const uint64_t second_ns = UINT64_C(1000000000);
static const uint64_t retry_ns = UINT64_C(30000000);

static void tell_changed(struct cluster_client *client)
{
    if (client->events->changed)
        client->events->changed(client);
}

/* ---- Connections ---- */

static void refresh_in(struct cluster_client *client, uint64_t most_ns)
{
    loop_set_timer(client->loop, &client->refresh,
                   retry_ns + random_below(&client->random, most_ns));
}

static void connected(struct kafka_client *kafka)
{
    struct cluster_connection *connection = container_of(kafka, struct cluster_connection, client);
    tell_changed(connection->owner);
}

static void connection_lost(struct cluster_connection *connection)
{
    struct cluster_client *client = connection->owner;
    if (client->is_asking) {
        client->is_asking = false; /* perhaps of this one: asking twice does no harm */
        refresh_in(client, retry_ns);
    }
}

static void broken(struct kafka_client *kafka)
{
    struct cluster_connection *connection = container_of(kafka, struct cluster_connection, client);
    struct cluster_client *client = connection->owner;
    connection_lost(connection);
    loop_set_timer(client->loop, &connection->reconnect,
                   retry_ns + random_below(&client->random, 10 * retry_ns));
    client->events->broken(client, connection->node);
}

static void reconnect(struct timer *timer)
{
    tell_changed(container_of(timer, struct cluster_connection, reconnect)->owner);
}

struct kafka_client *cluster_client_to(struct cluster_client *client, int32_t node)
{
    sim_require(sim_of(client->loop),
                node >= 0 && node < CLUSTER_NODES_MAX && client->options.brokers >> node & 1,
                "a client is sent to node %d, which is no broker", node);
    struct cluster_connection *connection = &client->connections[node];
    if (connection->client.is_usable)
        return &connection->client;
    if (!connection->client.is_open && !timer_is_set(&connection->reconnect))
        kafka_client_connect(&connection->client);
    return NULL;
}

struct kafka_client *cluster_client_to_leader(struct cluster_client *client, int32_t partition)
{
    int32_t leader = client->leaders[partition].node;
    if (leader >= 0)
        return cluster_client_to(client, leader);
    cluster_client_refresh(client);
    return NULL;
}

int32_t cluster_client_any(struct cluster_client *client)
{
    for (;;) {
        int32_t node = (int32_t)random_below(&client->random, CLUSTER_NODES_MAX);
        if (client->options.brokers >> node & 1)
            return node;
    }
}

void cluster_client_drop(struct cluster_client *client, int32_t node)
{
    struct cluster_connection *connection = &client->connections[node];
    kafka_client_drop(&connection->client);
    connection_lost(connection);
    loop_set_timer(client->loop, &connection->reconnect, retry_ns);
}

/* ---- Metadata ---- */

static void ask_metadata(struct cluster_client *client)
{
    struct kafka_client *kafka = cluster_client_to(client, cluster_client_any(client));
    refresh_in(client, kafka ? second_ns : retry_ns);
    if (!kafka)
        return;
    uint8_t memory[64];
    struct writer body = writer_of(memory, sizeof(memory));
    write_i32(&body, 1);
    kafka_write_string(&body, cluster_topic);
    write_u8(&body, 0); /* do not make it */
    client->is_asking = true;
    kafka_client_send(kafka, KAFKA_METADATA, 7, &body, NULL);
}

static void on_refresh(struct timer *timer)
{
    struct cluster_client *client = container_of(timer, struct cluster_client, refresh);
    if (client->is_asking)
        refresh_in(client, second_ns);
    else
        ask_metadata(client);
}

void cluster_client_refresh(struct cluster_client *client)
{
    if (!client->is_asking && client->refresh.due_ns > client->loop->now_ns + 2 * retry_ns)
        loop_set_timer(client->loop, &client->refresh, retry_ns);
}

static void skip_brokers(struct reader *body)
{
    for (int32_t left = read_i32(body); left > 0 && !body->failed; left--) {
        read_i32(body);
        kafka_skip_string(body);
        read_i32(body);
        kafka_skip_string(body);
    }
}

/* Takes what is new of one partition; true when it was. */
static bool take_partition(struct cluster_client *client, struct reader *body)
{
    int16_t error = read_i16(body);
    int32_t number = read_i32(body);
    struct cluster_leader leader = {.node = read_i32(body), .epoch = read_i32(body)};
    for (int32_t left = read_i32(body); left > 0 && !body->failed; left--)
        leader.replicas |= UINT32_C(1) << (read_i32(body) & 31);
    for (int list = 0; list < 2; list++) { /* in sync, offline */
        for (int32_t left = read_i32(body); left > 0 && !body->failed; left--)
            read_i32(body);
    }
    sim_require(sim_of(client->loop), !body->failed, "malformed metadata");
    struct sim *sim = sim_of(client->loop);
    /* LEADER_NOT_AVAILABLE, REPLICA_NOT_AVAILABLE, LISTENER_NOT_FOUND */
    sim_require(sim, error == 0 || error == 5 || error == 9 || error == 72, "metadata has error %d",
                error);
    sim_require(sim, number >= 0 && number < HISTORY_PARTITIONS, "metadata of partition %d",
                number);
    struct cluster_leader *known = &client->leaders[number];
    if (leader.epoch < known->epoch)
        return false;
    /* The same epoch means the same leader, whoever says it; without one, none is named. */
    if (leader.epoch == known->epoch && known->node >= 0 && leader.node >= 0)
        sim_require(sim, leader.node == known->node, "partition %d, epoch %d: leaders %d and %d",
                    number, leader.epoch, known->node, leader.node);
    bool is_new = leader.epoch > known->epoch || leader.node != known->node;
    if (leader.epoch == known->epoch && leader.node < 0)
        leader.node = known->node; /* not available to this broker, but it leads */
    *known = leader;
    return is_new;
}

static void metadata_answered(struct cluster_client *client, struct reader *body)
{
    client->is_asking = false;
    bool is_new = false;
    read_i32(body); /* throttle */
    skip_brokers(body);
    kafka_skip_string(body); /* cluster id */
    read_i32(body);          /* controller */
    if (read_i32(body) == 1) {
        int16_t error = read_i16(body);
        kafka_skip_string(body);
        read_u8(body);
        int32_t count = read_i32(body);
        sim_require(sim_of(client->loop), error == 0 || error == 3 || error == 5,
                    "metadata of the topic has error %d", error);
        for (int32_t left = count; left > 0 && !body->failed; left--)
            is_new = take_partition(client, body) || is_new;
    }
    sim_require(sim_of(client->loop), !body->failed, "malformed metadata");
    if (is_new)
        tell_changed(client);
}

static void answered(struct kafka_client *kafka, enum kafka_api api, void *context,
                     struct reader *body)
{
    struct cluster_connection *connection = container_of(kafka, struct cluster_connection, client);
    if (api == KAFKA_METADATA)
        metadata_answered(connection->owner, body);
    else
        connection->owner->events->answered(connection->owner, connection->node, api, context,
                                            body);
}

static const struct kafka_client_events kafka_events = {connected, answered, broken};

void cluster_client_init(struct cluster_client *client, struct loop *loop,
                         const struct cluster_client_events *events,
                         const struct cluster_client_options *options)
{
    *client = (struct cluster_client){.events = events, .loop = loop, .options = *options};
    random_init(&client->random, loop_random_seed(loop, 1), 0);
    timer_init(&client->refresh, on_refresh);
    for (int32_t i = 0; i < CLUSTER_NODES_MAX; i++) {
        struct cluster_connection *connection = &client->connections[i];
        connection->owner = client;
        connection->node = i;
        snprintf(connection->host, sizeof(connection->host), "node-%d", i);
        timer_init(&connection->reconnect, reconnect);
        kafka_client_init(&connection->client, loop, &kafka_events, connection->host, CLUSTER_PORT);
        connection->client.answer_limit_ns = options->answer_limit_ns;
    }
    for (int i = 0; i < HISTORY_PARTITIONS; i++)
        client->leaders[i] = (struct cluster_leader){.node = -1, .epoch = -1};
    refresh_in(client, retry_ns);
}
