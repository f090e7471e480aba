/*
 * Somebody who operates the cluster: makes the topic of the clients, then reassigns its partitions,
 * takes that back, elects preferred leaders, changes min.insync.replicas, and makes and deletes
 * other topics, each through a broker drawn anew.
 *
 * What an answer says is not believed further than that it must be one of the answers that Kafka
 * has; whether the cluster is right is the matter of the checks.
 */
#include <stdio.h>

#include "tests/sim/cluster_role.h"

enum { OTHER_TOPICS = 3, REQUEST_MAX = 512 };

enum { ELECTION = 3, REASSIGNMENT = 4 }; /* their places in the table of operations */

static const uint64_t ms = UINT64_C(1000000);

struct cluster_operator {
    struct cluster_client cluster;
    struct cluster_role *role;
    struct timer tick;
    int32_t node; /* asked; -1: nobody */
};

static struct sim *sim_here(const struct cluster_operator *self)
{
    return sim_of(self->cluster.loop);
}

/* ---- Requests ---- */

static void write_create(struct cluster_operator *self, struct writer *body, const char *topic,
                         int32_t partitions, int16_t replicas, const char *min_isr)
{
    write_i32(body, 1);
    kafka_write_string(body, topic);
    write_i32(body, partitions);
    write_i16(body, replicas);
    write_i32(body, 0); /* no assignments */
    bool is_unclean = min_isr && self->role->is_unclean;
    write_i32(body, is_unclean ? 2 : min_isr ? 1 : 0);
    if (min_isr) {
        kafka_write_string(body, "min.insync.replicas");
        kafka_write_string(body, min_isr);
    }
    if (is_unclean) {
        kafka_write_string(body, "unclean.leader.election.enable");
        kafka_write_string(body, "true");
    }
    write_i32(body, 10000); /* timeout */
    write_u8(body, 0);      /* not only validated */
}

static unsigned broker_count(const struct cluster_operator *self)
{
    return (unsigned)__builtin_popcount(self->cluster.options.brokers);
}

/* min.insync.replicas: one less than the replicas, or drawn. */
static void draw_min_isr(struct cluster_operator *self, char text[12])
{
    struct random_stream *random = &self->cluster.random;
    int most = self->role->replication_factor;
    int value = most > 1 ? most - 1 : 1;
    if (random_chance(random, 1, 3))
        value = 1 + (int)random_below(random, (uint64_t)most);
    snprintf(text, 12, "%d", value);
}

static void write_topic(struct cluster_operator *self, struct writer *body)
{
    char min_isr[12];
    draw_min_isr(self, min_isr);
    write_create(self, body, cluster_topic, HISTORY_PARTITIONS, self->role->replication_factor,
                 min_isr);
}

static void draw_name(struct cluster_operator *self, char text[16])
{
    snprintf(text, 16, "other-%u", (unsigned)random_below(&self->cluster.random, OTHER_TOPICS));
}

static void write_other_topic(struct cluster_operator *self, struct writer *body)
{
    struct random_stream *random = &self->cluster.random;
    char name[16];
    draw_name(self, name);
    write_create(self, body, name, 1 + (int32_t)random_below(random, 4),
                 (int16_t)(1 + random_below(random, broker_count(self))), NULL);
}

static void write_delete(struct cluster_operator *self, struct writer *body)
{
    char name[16];
    draw_name(self, name);
    write_i32(body, 1);
    kafka_write_string(body, name);
    write_i32(body, 10000);
}

static void write_config(struct cluster_operator *self, struct writer *body)
{
    char min_isr[12];
    draw_min_isr(self, min_isr);
    write_i32(body, 1);
    write_i8(body, 2); /* a topic */
    kafka_write_string(body, cluster_topic);
    write_i32(body, 1);
    kafka_write_string(body, "min.insync.replicas");
    write_i8(body, 0); /* set */
    kafka_write_string(body, min_isr);
    write_u8(body, 0);
}

/* Whose leaders are moved. */
static const char *draw_moved(struct cluster_operator *self)
{
    static const char *const moved[] = {cluster_topic, "__consumer_offsets", "__transaction_state"};
    return self->role->moves ? moved[random_below(&self->cluster.random, 3)] : cluster_topic;
}

static int32_t draw_partition(struct cluster_operator *self)
{
    /* The topics of coordinators have two. */
    uint64_t count = self->role->moves ? 2 : HISTORY_PARTITIONS;
    return (int32_t)random_below(&self->cluster.random, count);
}

static void write_election(struct cluster_operator *self, struct writer *body)
{
    bool is_unclean = self->role->is_unclean && random_chance(&self->cluster.random, 1, 4);
    write_i8(body, is_unclean ? 1 : 0); /* else preferred */
    write_i32(body, 1);
    kafka_write_string(body, draw_moved(self));
    write_i32(body, 1);
    write_i32(body, draw_partition(self));
    write_i32(body, 10000);
}

/* Another set of brokers, mostly of the same size. */
static void write_replicas(struct cluster_operator *self, struct writer *body)
{
    struct random_stream *random = &self->cluster.random;
    unsigned count = (unsigned)self->role->replication_factor;
    if (random_chance(random, 1, 6) && !self->role->moves)
        count = 1 + (unsigned)random_below(random, broker_count(self));
    write_u8(body, (uint8_t)(count + 1));
    uint32_t taken = 0;
    while (count > 0) {
        int32_t node = cluster_client_any(&self->cluster);
        if (taken >> node & 1)
            continue;
        taken |= UINT32_C(1) << node;
        write_i32(body, node);
        count--;
    }
}

static void write_reassignment(struct cluster_operator *self, struct writer *body)
{
    struct random_stream *random = &self->cluster.random;
    write_i32(body, 10000); /* timeout */
    write_u8(body, 2);
    kafka_write_compact(body, draw_moved(self));
    write_u8(body, 2);
    write_i32(body, draw_partition(self));
    if (random_chance(random, 1, 5))
        write_u8(body, 0); /* take back what is under way */
    else
        write_replicas(self, body);
    for (int tags = 0; tags < 3; tags++)
        write_u8(body, 0);
}

static const struct {
    enum kafka_api api;
    int16_t version;
    bool is_flexible;
    unsigned share;
    void (*write)(struct cluster_operator *self, struct writer *body);
} operations[] = {
    {KAFKA_CREATE_TOPICS, 4, false, 2, write_other_topic},
    {KAFKA_DELETE_TOPICS, 3, false, 2, write_delete},
    {KAFKA_INCREMENTAL_ALTER_CONFIGS, 0, false, 1, write_config},
    {KAFKA_ELECT_LEADERS, 1, false, 2, write_election},
    {KAFKA_ALTER_PARTITION_REASSIGNMENTS, 0, true, 4, write_reassignment},
};

/* ---- Sending ---- */

static unsigned draw_operation(struct cluster_operator *self)
{
    unsigned all = 0, at = 0;
    if (self->role->moves)
        return random_chance(&self->cluster.random, 1, 2) ? ELECTION : REASSIGNMENT;
    if (self->role->elects && (!self->role->is_free || !random_chance(&self->cluster.random, 1, 8)))
        return ELECTION;
    for (unsigned i = 0; i < sizeof(operations) / sizeof(operations[0]); i++)
        all += operations[i].share;
    uint64_t draw = random_below(&self->cluster.random, all);
    for (; draw >= operations[at].share; at++)
        draw -= operations[at].share;
    return at;
}

static void operate(struct cluster_operator *self)
{
    int32_t node = cluster_client_any(&self->cluster);
    struct kafka_client *kafka = cluster_client_to(&self->cluster, node);
    if (!kafka)
        return;
    uint8_t memory[REQUEST_MAX];
    struct writer body = writer_of(memory, sizeof(memory));
    self->node = node;
    if (!self->role->topic_exists) {
        write_topic(self, &body);
        kafka_client_send(kafka, KAFKA_CREATE_TOPICS, 4, &body, self);
        return;
    }
    unsigned i = draw_operation(self);
    operations[i].write(self, &body);
    if (operations[i].is_flexible)
        kafka_client_send_flexible(kafka, operations[i].api, operations[i].version, &body, NULL);
    else
        kafka_client_send(kafka, operations[i].api, operations[i].version, &body, NULL);
}

static void on_tick(struct timer *timer)
{
    struct cluster_operator *self = container_of(timer, struct cluster_operator, tick);
    const struct cluster_role *role = self->role;
    bool pauses = role->pauses || *role->shared->is_held;
    bool wants = !role->topic_exists || ((role->is_free || role->elects) && !pauses);
    if (wants && self->node < 0)
        operate(self);
    uint64_t pace_ns = role->topic_exists ? role->pace_ns : 200 * ms;
    loop_set_timer(self->cluster.loop, &self->tick,
                   ms + random_below(&self->cluster.random, pace_ns));
}

/* ---- Answers ---- */

/* The error of the one thing that was asked for, or of the whole. */
static int16_t read_error(enum kafka_api api, struct reader *body)
{
    read_i32(body); /* throttle */
    if (api == KAFKA_INCREMENTAL_ALTER_CONFIGS) {
        read_i32(body);
        return read_i16(body);
    }
    if (api == KAFKA_ALTER_PARTITION_REASSIGNMENTS) {
        int16_t error = read_i16(body);
        kafka_skip_compact(body);
        if (error != 0 || kafka_read_compact_count(body) != 1)
            return error;
        kafka_skip_compact(body);
        kafka_read_compact_count(body);
        read_i32(body);
        return read_i16(body);
    }
    if (api == KAFKA_ELECT_LEADERS) {
        int16_t error = read_i16(body);
        if (error != 0 || read_i32(body) != 1)
            return error;
        kafka_skip_string(body);
        if (read_i32(body) != 1)
            return error;
        read_i32(body);
        return read_i16(body);
    }
    read_i32(body);
    kafka_skip_string(body);
    return read_i16(body);
}

static bool is_expected(int16_t error)
{
    switch (error) {
    case 0:
    case 3:  /* UNKNOWN_TOPIC_OR_PARTITION */
    case 7:  /* REQUEST_TIMED_OUT */
    case 36: /* TOPIC_ALREADY_EXISTS */
    case 38: /* INVALID_REPLICATION_FACTOR: too few brokers are there */
    case 39: /* INVALID_REPLICA_ASSIGNMENT */
    case 56: /* KAFKA_STORAGE_ERROR */
    case 80: /* PREFERRED_LEADER_NOT_AVAILABLE */
    case 83: /* ELIGIBLE_LEADERS_NOT_AVAILABLE */
    case 84: /* ELECTION_NOT_NEEDED */
    case 85: /* NO_REASSIGNMENT_IN_PROGRESS */
        return true;
    default:
        return false;
    }
}

static void answered(struct cluster_client *client, int32_t node, enum kafka_api api, void *context,
                     struct reader *body)
{
    struct cluster_operator *self = container_of(client, struct cluster_operator, cluster);
    struct cluster_role *role = self->role;
    self->node = -1;
    int16_t error = read_error(api, body);
    sim_require(sim_here(self), !body->failed, "a malformed answer of API %d", (int)api);
    bool is_leaving =
        error == 41 && role->shared->is_leaving(role->shared->context, node); /* NOT_CONTROLLER */
    sim_require(sim_here(self), is_leaving || is_expected(error),
                "node %d answers API %d with error %d", node, (int)api, error);
    if (context)
        role->topic_exists = error == 0 || error == 36;
    role->operations += error == 0;
    role->refusals += error != 0;
}

static void broken(struct cluster_client *client, int32_t node)
{
    struct cluster_operator *self = container_of(client, struct cluster_operator, cluster);
    if (self->node == node)
        self->node = -1;
}

static const struct cluster_client_events client_events = {answered, broken, NULL};

void cluster_operator_boot(struct loop *loop, void *argument)
{
    struct cluster_operator *self = heap_must_get(loop->heap, MEMORY_STATE, sizeof(*self));
    self->role = argument;
    self->node = -1;
    cluster_client_init(&self->cluster, loop, &client_events, &self->role->client);
    timer_init(&self->tick, on_tick);
    on_tick(&self->tick);
}
