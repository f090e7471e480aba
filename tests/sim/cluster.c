/*
 * Settings are drawn small, so that elections, expiries and snapshots happen within seconds of
 * virtual time, and such that what must hold between them holds.
 */
#include "tests/sim/cluster.h"

#include <stdarg.h>
#include <stdio.h>

#include "base/text.h"
#include "broker/format.h"

static const uint64_t ms = UINT64_C(1000000);

/* ---- Settings ---- */

static void set(struct cluster *cluster, struct cluster_settings *settings, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

static void set(struct cluster *cluster, struct cluster_settings *settings, const char *format, ...)
{
    sim_require(cluster->sim, settings->count < CLUSTER_SETTINGS, "too many settings");
    char *text = settings->texts[settings->count];
    va_list arguments;
    va_start(arguments, format);
    int size = vsnprintf(text, sizeof(settings->texts[0]), format, arguments);
    va_end(arguments);
    sim_require(cluster->sim, size > 0 && (size_t)size < sizeof(settings->texts[0]),
                "a setting is too long");
    settings->views[settings->count++] = view_of_string(text);
}

static unsigned long long between(struct cluster *cluster, uint64_t low, uint64_t high)
{
    return (unsigned long long)(low + random_below(&cluster->random, high - low + 1));
}

/* The list of voters, or where they are found. */
static void set_quorum(struct cluster *cluster, struct cluster_settings *common)
{
    char list[160];
    size_t size = 0;
    for (unsigned i = 0; i < cluster->count; i++) {
        if (!(cluster->controllers >> i & 1))
            continue;
        if (size > 0)
            list[size++] = ',';
        if (!cluster->is_dynamic)
            size += (size_t)snprintf(list + size, sizeof(list) - size, "%u@", i);
        size += (size_t)snprintf(list + size, sizeof(list) - size, "node-%u:%d", i,
                                 CLUSTER_CONTROLLER_PORT);
    }
    set(cluster, common, "controller.quorum.%s=%s",
        cluster->is_dynamic ? "bootstrap.servers" : "voters", list);
}

/*
 * As many replicas as there are brokers, up to three, from the first moment on; and settings of
 * groups and transactions such that a session is longer than a broker is missed.
 */
static void set_coordinators(struct cluster *cluster, struct cluster_settings *common)
{
    struct random_stream *random = &cluster->random;
    unsigned replicas = (unsigned)__builtin_popcount(cluster->brokers);
    replicas = replicas < 3 ? replicas : 3;
    set(cluster, common, "auto.create.topics.enable=true");
    set(cluster, common, "num.partitions=%d", HISTORY_PARTITIONS);
    set(cluster, common, "default.replication.factor=%u", replicas);
    set(cluster, common, "offsets.topic.replication.factor=%u", replicas);
    set(cluster, common, "transaction.state.log.replication.factor=%u", replicas);
    set(cluster, common, "min.insync.replicas=%llu", between(cluster, 1, replicas > 1 ? 2 : 1));
    set(cluster, common, "transaction.state.log.min.isr=%llu",
        between(cluster, 1, replicas > 1 ? 2 : 1));
    set(cluster, common, "offsets.commit.timeout.ms=%llu", between(cluster, 500, 5000));
    set(cluster, common, "transaction.abort.timed.out.transaction.cleanup.interval.ms=200");
    set(cluster, common, "group.initial.rebalance.delay.ms=%llu", between(cluster, 0, 500));
    set(cluster, common, "group.min.session.timeout.ms=100");
    set(cluster, common, "group.consumer.min.session.timeout.ms=1000");
    set(cluster, common, "group.consumer.session.timeout.ms=2000");
    set(cluster, common, "group.consumer.min.heartbeat.interval.ms=50");
    set(cluster, common, "group.consumer.heartbeat.interval.ms=150");
    cluster->never_cleans = random_chance(random, 1, 2);
    if (cluster->never_cleans)
        set(cluster, common, "log.cleaner.min.compaction.lag.ms=864000000");
    set(cluster, common, "log.cleaner.backoff.ms=%llu", between(cluster, 20, 500));
    set(cluster, common, "log.cleaner.min.cleanable.ratio=0.%llu", between(cluster, 0, 6));
    set(cluster, common, "log.cleaner.delete.retention.ms=%llu", between(cluster, 0, 3000));
}

static void draw_common(struct cluster *cluster)
{
    struct cluster_settings *common = &cluster->common;
    set_quorum(cluster, common);
    set(cluster, common, "controller.listener.names=CONTROLLER");
    set(cluster, common, "inter.broker.listener.name=PLAINTEXT");
    bool fast = cluster->is_failover;
    set(cluster, common, "controller.quorum.election.timeout.ms=%llu",
        between(cluster, 200, fast ? 400 : 1000));
    set(cluster, common, "controller.quorum.fetch.timeout.ms=%llu",
        between(cluster, fast ? 500 : 1000, fast ? 1000 : 3000));
    set(cluster, common, "controller.quorum.request.timeout.ms=%llu", between(cluster, 500, 2000));
    uint64_t session_ms = between(cluster, fast ? 800 : 1500, fast ? 1500 : 6000);
    cluster->session_ns = session_ms * ms;
    set(cluster, common, "broker.session.timeout.ms=%llu", (unsigned long long)session_ms);
    set(cluster, common, "broker.heartbeat.interval.ms=%llu",
        between(cluster, session_ms / 10, session_ms / 4));
    uint64_t lag_ms = between(cluster, fast ? 500 : 1000, fast ? 1500 : 6000);
    cluster->lag_ns = lag_ms * ms;
    set(cluster, common, "replica.lag.time.max.ms=%llu", (unsigned long long)lag_ms);
    set(cluster, common, "replica.fetch.wait.max.ms=%llu", between(cluster, 50, 500));
    set(cluster, common, "replica.fetch.backoff.ms=%llu", between(cluster, 50, 1000));
    set(cluster, common, "replica.socket.timeout.ms=%llu", between(cluster, 1000, 5000));
    set(cluster, common, "replica.high.watermark.checkpoint.interval.ms=%llu",
        between(cluster, 100, 5000));
    set(cluster, common, "metadata.log.max.record.bytes.between.snapshots=%llu",
        between(cluster, 1, 3) == 1 ? between(cluster, 500, 5000) : 20000000ULL);
    if (cluster->has_coordinators)
        set_coordinators(cluster, common);
    else
        set(cluster, common, "auto.create.topics.enable=false");
    set(cluster, common, "leader.imbalance.check.interval.seconds=%llu",
        between(cluster, 1, fast ? 2 : 30));
    /* Without brokers these records are all that there is to replicate. */
    bool has_brokers = cluster->brokers != 0;
    set(cluster, common, "metadata.max.idle.interval.ms=%llu",
        !has_brokers                            ? between(cluster, 20, 300)
        : random_chance(&cluster->random, 1, 2) ? 0
                                                : between(cluster, 2000, 8000));
    set(cluster, common, "log.roll.ms=%llu", between(cluster, 500, 10000));
    set(cluster, common, "offsets.topic.num.partitions=%d", CLUSTER_COORDINATOR_PARTITIONS);
    set(cluster, common, "transaction.state.log.num.partitions=%d", CLUSTER_COORDINATOR_PARTITIONS);
    if (cluster->is_cached)
        set(cluster, common, "klamm.durability=cache");
}

static void draw_own(struct cluster *cluster, struct cluster_node *node, unsigned number)
{
    struct cluster_settings *own = &node->own;
    set(cluster, own, "node.id=%u", number);
    bool both = node->is_broker && node->is_controller;
    set(cluster, own, "process.roles=%s",
        both                  ? "broker,controller"
        : node->is_controller ? "controller"
                              : "broker");
    set(cluster, own, "listeners=%s%s%s", node->is_broker ? "PLAINTEXT://:9092" : "",
        both ? "," : "", node->is_controller ? "CONTROLLER://:9093" : "");
    if (node->is_broker)
        set(cluster, own, "advertised.listeners=PLAINTEXT://node-%u:%d", number, CLUSTER_PORT);
    else if (cluster->is_dynamic)
        set(cluster, own, "advertised.listeners=CONTROLLER://node-%u:%d", number,
            CLUSTER_CONTROLLER_PORT);
    set(cluster, own, "broker.rack=rack-%u", number % 3);
}

/* Who is what: at least one of each role, and an odd number of voters mostly. */
static void draw_roles(struct cluster *cluster, const struct cluster_shape *shape)
{
    struct random_stream *random = &cluster->random;
    cluster->count = 1 + (unsigned)random_below(random, shape->node_count_max);
    if (cluster->count == 2 && random_chance(random, 1, 2))
        cluster->count = 3;
    if (shape->is_failover)
        cluster->count = 3 + (unsigned)random_below(random, 2);
    if (cluster->options->nodes > 0)
        cluster->count = cluster->options->nodes;
    unsigned most = cluster->count < 5 ? cluster->count : 5;
    unsigned voters = 1 + (unsigned)random_below(random, most);
    if (voters % 2 == 0 && random_chance(random, 2, 3))
        voters--;
    bool are_apart = cluster->count > voters && random_chance(random, 1, 2);
    if (shape->is_failover && cluster->count < voters + 3)
        are_apart = false;
    for (unsigned i = 0; i < cluster->count; i++) {
        struct cluster_node *node = &cluster->nodes[i];
        node->is_controller = i < voters || shape->controllers_only;
        node->is_broker = !shape->controllers_only && (i >= voters || !are_apart);
        cluster->controllers |= (uint32_t)node->is_controller << i;
        cluster->brokers |= (uint32_t)node->is_broker << i;
    }
}

/* ---- Life ---- */

/* Whose random bytes format_node gets: its callback has no argument. */
static struct random_stream *format_random;

static void format_entropy(void *data, size_t size)
{
    random_fill(format_random, data, size);
}

static void format_say(const char *line)
{
    (void)line;
}

/* By an operator who tries until it works: of the faults of the node's first life there is none. */
static enum format_voters first_voters(const struct cluster_node *node)
{
    if (!node->cluster->is_dynamic)
        return FORMAT_VOTERS_BY_CONFIG;
    bool is_first = node->broker.node == 0 && node->losses == 0;
    return is_first ? FORMAT_VOTERS_SELF : FORMAT_VOTERS_NONE;
}

/* The id that the directory got. */
static struct uuid read_directory_id(const struct cluster_node *node)
{
    static const char key[] = "directory.id=";
    struct sim *sim = node->cluster->sim;
    struct uuid id = UUID_ZERO;
    uint64_t size = 0;
    const uint8_t *file = sim_platter_file(sim, node->broker.node, "/data/meta.properties", &size);
    for (uint64_t i = 0; file && i + sizeof(key) - 1 + UUID_TEXT_SIZE <= size; i++)
        if (memcmp(file + i, key, sizeof(key) - 1) == 0)
            (void)uuid_parse(view_of(file + i + sizeof(key) - 1, UUID_TEXT_SIZE), &id);
    sim_require(sim, !uuid_is_zero(id), "node %u has no directory id", node->broker.node);
    return id;
}

static void format_one(struct cluster_node *node)
{
    struct cluster *cluster = node->cluster;
    struct sim_faults *faults = sim_node_faults(cluster->sim, node->broker.node);
    const struct sim_faults drawn = *faults;
    *faults = (struct sim_faults){.test_points = drawn.test_points};
    format_random = &cluster->random;
    struct format_request request = {.config = &node->broker.config,
                                     .host_name = "localhost",
                                     .cluster_id = VIEW_LITERAL("c2ltdWxhdGVkLWNsdXN0ZQ"),
                                     .voters = first_voters(node),
                                     .storage =
                                         sim_blocking_storage(cluster->sim, node->broker.node),
                                     .heap = &node->broker.heap,
                                     .wall_ms = INT64_C(1700000000000),
                                     .entropy = format_entropy,
                                     .say = format_say};
    if (!cluster->has_eligible)
        request.features[request.feature_count++] =
            VIEW_LITERAL("eligible.leader.replicas.version=0");
    char message[512] = "";
    if (format_node(&request, message, sizeof(message)) != FORMAT_DONE)
        sim_fail(cluster->sim, "node %u cannot be formatted: %s", node->broker.node, message);
    node->is_formatted = true;
    *faults = drawn;
    sim_power_cut(cluster->sim, node->broker.node); /* the tool has ended, and all must be there */
    cluster->directory_ids[node->broker.node] = read_directory_id(node);
}

void cluster_node_start(struct cluster_node *node)
{
    if (!node->is_formatted)
        format_one(node);
    node->start_ns = 0;
    node->is_stopping = false;
    node->cluster->starts++;
    sim_broker_start(&node->broker);
}

void cluster_init(struct cluster *cluster, struct sim *sim, const struct scenario_options *options,
                  const struct cluster_shape *shape)
{
    *cluster = (struct cluster){.sim = sim,
                                .options = options,
                                .is_dynamic = shape->is_dynamic,
                                .is_failover = shape->is_failover,
                                .has_coordinators = shape->has_coordinators};
    random_init(&cluster->random, sim_seed(sim), 5000);
    draw_roles(cluster, shape);
    cluster->is_cached = cluster->brokers != 0 && random_chance(&cluster->random, 1, 4) &&
                         !cluster->has_coordinators;
    draw_common(cluster);
    for (unsigned i = 0; i < cluster->count; i++) {
        struct cluster_node *node = &cluster->nodes[i];
        node->cluster = cluster;
        draw_own(cluster, node, i);
        struct view all[2 * CLUSTER_SETTINGS];
        size_t count = 0;
        for (size_t k = 0; k < cluster->common.count; k++)
            all[count++] = cluster->common.views[k];
        for (size_t k = 0; k < node->own.count; k++)
            all[count++] = node->own.views[k];
        sim_broker_init(&node->broker, sim, options, &cluster->random, all, count);
        sim_require(sim, node->broker.node == i, "the nodes of the cluster come first");
        /* From the first life on, also where no faults of disks are ever drawn. */
        sim_node_faults(sim, i)->test_points = options->test_points;
    }
    cluster->has_eligible = random_chance(&cluster->random, 3, 4);
}

void cluster_deinit(struct cluster *cluster)
{
    for (unsigned i = 0; i < cluster->count; i++)
        sim_broker_deinit(&cluster->nodes[i].broker);
}

void cluster_start(struct cluster *cluster)
{
    for (unsigned i = 0; i < cluster->count; i++) {
        struct cluster_node *node = &cluster->nodes[i];
        node->is_wanted = true;
        node->start_ns = sim_now_ns(cluster->sim) + between(cluster, 0, 1000) * ms;
    }
}

static bool is_running(const struct cluster_node *node)
{
    return sim_is_running(node->cluster->sim, node->broker.node);
}

/* Starts what has ended and should run, after a while. */
static void look_after(struct cluster_node *node)
{
    struct cluster *cluster = node->cluster;
    uint64_t now = sim_now_ns(cluster->sim);
    if (is_running(node) || !node->is_wanted)
        return;
    if (node->needs_power_cut) {
        sim_power_cut(cluster->sim, node->broker.node);
        node->needs_power_cut = false;
    }
    if (node->start_ns == 0) {
        sim_require(cluster->sim, !cluster->is_healed || node->is_stopping,
                    "node %u has ended with status %d after all faults", node->broker.node,
                    sim_exit_status(cluster->sim, node->broker.node));
        unsigned longest = 1U << between(cluster, 0, cluster->is_failover ? 10 : 13);
        node->start_ns = now + between(cluster, 0, longest) * ms;
    }
    if (node->start_ns > now)
        return;
    if (cluster->draws_faults)
        node->needs_power_cut = sim_broker_draw_faults(&node->broker);
    cluster_node_start(node);
}

void cluster_run_until(struct cluster *cluster, uint64_t time_ns)
{
    while (sim_now_ns(cluster->sim) < time_ns) {
        uint64_t next = sim_now_ns(cluster->sim) + 50 * ms;
        sim_run_until(cluster->sim, next < time_ns ? next : time_ns);
        for (unsigned i = 0; i < cluster->count; i++)
            look_after(&cluster->nodes[i]);
    }
}

bool cluster_run_to(struct cluster *cluster, bool (*reached)(void *context), void *context,
                    uint64_t limit_ns)
{
    while (!reached(context)) {
        if (sim_now_ns(cluster->sim) >= limit_ns)
            return false;
        cluster_run_until(cluster, sim_now_ns(cluster->sim) + 50 * ms);
    }
    return true;
}

void cluster_blackout(struct cluster *cluster)
{
    for (unsigned i = 0; i < cluster->count; i++) {
        sim_power_cut(cluster->sim, i);
        cluster->nodes[i].start_ns = sim_now_ns(cluster->sim) + between(cluster, 1, 2000) * ms;
    }
}

void cluster_heal(struct cluster *cluster)
{
    struct sim *sim = cluster->sim;
    sim_heal_network(sim);
    cluster->draws_faults = false;
    for (unsigned i = 0; i < cluster->count; i++) {
        struct cluster_node *node = &cluster->nodes[i];
        *sim_node_faults(sim, i) =
            (struct sim_faults){.test_points = cluster->options->test_points};
        sim_crash_at_storage_call(sim, i, 0, false);
        sim_resume(sim, i);
        if (node->needs_power_cut) {
            sim_power_cut(sim, i);
            node->needs_power_cut = false;
        }
        node->is_wanted = true;
        if (!is_running(node))
            node->start_ns = sim_now_ns(sim) + between(cluster, 0, 2000) * ms;
    }
    cluster_run_until(cluster, sim_now_ns(sim) + 3000 * ms);
    cluster->is_healed = true;
}
