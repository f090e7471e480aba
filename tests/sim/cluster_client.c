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
    client->is_finding = false;
    for (int32_t place = CLUSTER_GROUP; place < CLUSTER_PLACES; place++)
        if (client->leaders[place].node == connection->node)
            client->leaders[place].node = -1;
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

static void find_coordinator(struct cluster_client *client, int32_t place);

struct kafka_client *cluster_client_to_leader(struct cluster_client *client, int32_t place)
{
    int32_t leader = client->leaders[place].node;
    if (leader >= 0)
        return cluster_client_to(client, leader);
    if (place < CLUSTER_GROUP)
        cluster_client_refresh(client);
    else if (!client->is_finding)
        find_coordinator(client, place);
    return NULL;
}

void cluster_client_forget(struct cluster_client *client, int32_t place)
{
    if (place < CLUSTER_GROUP)
        cluster_client_refresh(client);
    else
        client->leaders[place].node = -1;
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

void cluster_client_drop_all(struct cluster_client *client)
{
    for (int32_t i = 0; i < CLUSTER_NODES_MAX; i++)
        if (client->connections[i].client.is_open)
            cluster_client_drop(client, i);
}

/* ---- Coordinators ---- */

static const char *key_of(const struct cluster_client *client, int32_t place)
{
    return place == CLUSTER_GROUP ? client->options.group : client->options.transactional_id;
}

static void find_coordinator(struct cluster_client *client, int32_t place)
{
    struct kafka_client *kafka = cluster_client_to(client, cluster_client_any(client));
    if (!kafka)
        return;
    uint8_t memory[64];
    struct writer body = writer_of(memory, sizeof(memory));
    kafka_write_string(&body, key_of(client, place));
    write_i8(&body, place == CLUSTER_GROUP ? 0 : 1);
    client->is_finding = true;
    kafka_client_send(kafka, KAFKA_FIND_COORDINATOR, 1, &body, &client->leaders[place]);
}

static void coordinator_answered(struct cluster_client *client, struct cluster_leader *leader,
                                 struct reader *body)
{
    client->is_finding = false;
    read_i32(body); /* throttle */
    int16_t error = read_i16(body);
    kafka_skip_string(body);
    leader->node = read_i32(body);
    sim_require(sim_of(client->loop), !body->failed && (error == 0 || error == 14 || error == 15),
                "FindCoordinator: %d", error);
    if (error != 0)
        leader->node = -1;
}

/* Where an id lives among the partitions of its topic: the hash of Java's strings. */
static int32_t partition_of(const struct cluster_client *client, const char *key)
{
    uint32_t hash = 0;
    for (; *key; key++)
        hash = 31 * hash + (uint8_t)*key;
    int32_t value = (int32_t)hash;
    value = value == INT32_MIN ? 0 : value < 0 ? -value : value;
    return value % client->options.coordinator_partitions;
}

static struct cluster_standing standing_of(const struct cluster_client *client, int32_t place,
                                           int32_t node)
{
    const struct cluster_client_options *options = &client->options;
    if (!options->standing)
        return (struct cluster_standing){CLUSTER_LEADS, 0};
    if (place < HISTORY_PARTITIONS)
        return options->standing(options->context, node, cluster_topic, place);
    if (place == CLUSTER_SECOND)
        return options->standing(options->context, node, options->second_topic, 0);
    return options->standing(options->context, node,
                             place == CLUSTER_GROUP ? "__consumer_offsets" : "__transaction_state",
                             partition_of(client, key_of(client, place)));
}

struct cluster_witness cluster_client_witness(const struct cluster_client *client, int32_t place)
{
    int32_t node = client->leaders[place].node;
    return (struct cluster_witness){place, node, standing_of(client, place, node)};
}

bool cluster_client_is_leaders(const struct cluster_client *client,
                               const struct cluster_witness *witness)
{
    struct cluster_standing now = standing_of(client, witness->place, witness->node);
    struct cluster_standing before = witness->standing;
    bool is_same = now.state == before.state && now.epoch == before.epoch;
    sim_require(sim_of(client->loop), !is_same || now.state != CLUSTER_DEPOSED,
                "node %d does not lead place %d in epoch %d, knows it, and answers well",
                witness->node, witness->place, now.epoch);
    return is_same && now.state == CLUSTER_LEADS;
}

/* ---- Metadata ---- */

bool cluster_client_has_topics(const struct cluster_client *client)
{
    for (int32_t i = 0; i < HISTORY_PARTITIONS; i++)
        if (client->leaders[i].epoch < 0)
            return false;
    return !client->options.second_topic || client->leaders[CLUSTER_SECOND].epoch >= 0;
}

static void ask_metadata(struct cluster_client *client)
{
    struct kafka_client *kafka = cluster_client_to(client, cluster_client_any(client));
    refresh_in(client, kafka ? second_ns : retry_ns);
    if (!kafka)
        return;
    uint8_t memory[64];
    struct writer body = writer_of(memory, sizeof(memory));
    write_i32(&body, client->options.second_topic ? 2 : 1);
    kafka_write_string(&body, cluster_topic);
    if (client->options.second_topic)
        kafka_write_string(&body, client->options.second_topic);
    write_u8(&body, client->options.makes_topics);
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
static bool take_partition(struct cluster_client *client, bool is_second, struct reader *body)
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
    if (is_second && number > 0)
        return false;
    struct cluster_leader *known = &client->leaders[is_second ? CLUSTER_SECOND : number];
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
    for (int32_t topics = read_i32(body); topics > 0 && !body->failed; topics--) {
        char name[16];
        int16_t error = read_i16(body);
        kafka_read_text(body, name, sizeof(name));
        read_u8(body);
        int32_t count = read_i32(body);
        sim_require(sim_of(client->loop), error == 0 || error == 3 || error == 5,
                    "metadata of the topic has error %d", error);
        bool is_second = strcmp(name, cluster_topic) != 0;
        for (int32_t left = count; left > 0 && !body->failed; left--)
            is_new = take_partition(client, is_second, body) || is_new;
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
    else if (api == KAFKA_FIND_COORDINATOR)
        coordinator_answered(connection->owner, context, body);
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
        if (options->answer_limit_ns > 0)
            connection->client.answer_limit_ns = options->answer_limit_ns;
    }
    for (int i = 0; i < CLUSTER_PLACES; i++)
        client->leaders[i] = (struct cluster_leader){.node = -1, .epoch = -1};
    refresh_in(client, retry_ns);
}
