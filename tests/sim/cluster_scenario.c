/*
 * A cluster with clients, and trouble (cluster_trouble.c). Producers, consumers and an operator go
 * on while nodes end, links break and clocks go wrong; the checks look at every event. Then all
 * faults end: within a bounded time all must be led, in sync and equal, everything pending be
 * acknowledged, and a fresh consumer reads all partitions from the start: the history must hold
 * together, and everything that acks=all acknowledged must be there.
 */
#include <stdio.h>

#include "tests/sim/cluster_checks.h"
#include "tests/sim/cluster_role.h"

enum { CLIENTS_MAX = 9, PRODUCERS_MAX = 4, CONSUMERS_MAX = 3 };

static const uint64_t second_ns = UINT64_C(1000000000);

struct scenario {
    struct sim *sim;
    const struct scenario_options *options;
    struct random_stream random;
    struct history history;
    struct cluster cluster;
    struct cluster_checks checks;
    struct cluster_clients shared;
    unsigned client_count;
    unsigned first_client;                      /* node number */
    struct cluster_role roles[CLIENTS_MAX + 1]; /* operator, producers, consumers, at the end one */
    unsigned producer_count;
};

/* ---- Clients ---- */

static struct cluster_role *add_client(struct scenario *scenario,
                                       void (*boot)(struct loop *loop, void *role))
{
    struct random_stream *random = &scenario->random;
    struct cluster_role *role = &scenario->roles[scenario->client_count];
    role->shared = &scenario->shared;
    role->number = scenario->client_count;
    role->client = (struct cluster_client_options){.brokers = scenario->cluster.brokers,
                                                   .answer_limit_ns =
                                                       second_ns * (2 + random_below(random, 10))};
    role->pace_ns = UINT64_C(1000000) << random_below(random, 8);
    unsigned node = sim_add_node(
        scenario->sim, &(struct sim_node_spec){.loops = 1, .boot = boot, .argument = role});
    if (scenario->client_count == 0)
        scenario->first_client = node;
    scenario->client_count++;
    sim_start(scenario->sim, node);
    return role;
}

static unsigned broker_count(const struct scenario *scenario)
{
    return (unsigned)__builtin_popcount(scenario->cluster.brokers);
}

/* In some clusters leaders of the clients' topic may lack records; drawn apart from all else. */
static bool draws_unclean(const struct scenario *scenario)
{
    struct random_stream random;
    random_init(&random, sim_seed(scenario->sim), 2001);
    return random_chance(&random, 1, 6);
}

static void add_clients(struct scenario *scenario)
{
    struct random_stream *random = &scenario->random;
    struct cluster_role *operators = add_client(scenario, cluster_operator_boot);
    unsigned most = broker_count(scenario) < 3 ? broker_count(scenario) : 3;
    operators->replication_factor =
        (int16_t)(random_chance(random, 3, 4) ? most : 1 + random_below(random, most));
    operators->is_unclean = draws_unclean(scenario);
    operators->is_free = random_chance(random, 2, 3);
    operators->pace_ns = (100 + random_below(random, 3000)) * UINT64_C(1000000);
    operators->elects = scenario->cluster.is_failover && random_chance(random, 3, 4);
    if (operators->elects)
        operators->pace_ns = (20 + random_below(random, 100)) * UINT64_C(1000000);
    scenario->producer_count = 1 + (unsigned)random_below(random, PRODUCERS_MAX);
    for (unsigned i = 0; i < scenario->producer_count; i++) {
        struct cluster_role *role = add_client(scenario, cluster_producer_boot);
        role->is_idempotent = random_chance(random, 3, 4);
        role->acks = random_chance(random, 1, 4) ? 1 : -1;
    }
    unsigned consumers = 1 + (unsigned)random_below(random, CONSUMERS_MAX);
    for (unsigned i = 0; i < consumers; i++)
        add_client(scenario, cluster_consumer_boot)->reads_followers = random_chance(random, 1, 2);
}

/* ---- Healing ---- */

static bool topic_exists(void *context)
{
    const struct scenario *scenario = context;
    return scenario->roles[0].topic_exists;
}

static bool is_acknowledged(void *context)
{
    const struct scenario *scenario = context;
    for (unsigned i = 0; i < scenario->client_count; i++) {
        if (scenario->roles[i].pending > 0)
            return false;
    }
    return true;
}

static bool has_read_all(void *context)
{
    const struct scenario *scenario = context;
    const struct cluster_role *reader = &scenario->roles[scenario->client_count - 1];
    for (int i = 0; i < HISTORY_PARTITIONS; i++) {
        if (reader->positions[i] < scenario->history.partitions[i].end)
            return false;
    }
    return true;
}

static uint64_t limit(const struct scenario *scenario, uint64_t seconds)
{
    return sim_now_ns(scenario->sim) + seconds * second_ns;
}

static int64_t read_so_far(const struct scenario *scenario)
{
    int64_t sum = 0;
    for (int i = 0; i < HISTORY_PARTITIONS; i++)
        sum += scenario->roles[scenario->client_count - 1].positions[i];
    return sum;
}

/* How long that takes depends on how much there is; that it goes on does not. */
static bool reads_all(struct scenario *scenario)
{
    for (int64_t before = -1; before < read_so_far(scenario);) {
        before = read_so_far(scenario);
        if (cluster_run_to(&scenario->cluster, has_read_all, scenario, limit(scenario, 120)))
            return true;
    }
    return false;
}

static void heal(struct scenario *scenario)
{
    struct sim *sim = scenario->sim;
    struct cluster *cluster = &scenario->cluster;
    cluster_heal(cluster);
    for (unsigned i = 0; i < scenario->client_count; i++)
        scenario->roles[i].pauses = true;
    bool made = cluster_run_to(cluster, topic_exists, scenario, limit(scenario, 120));
    sim_require(sim, made, "the topic cannot be made after all faults have ended");
    bool settled = cluster_run_to(cluster, is_acknowledged, scenario, limit(scenario, 120));
    sim_require(sim, settled, "what is pending is not acknowledged after all faults have ended");
    if (!cluster_run_to(cluster, cluster_checks_is_settled, &scenario->checks,
                        limit(scenario, 120)))
        cluster_checks_require_settled(&scenario->checks);
    add_client(scenario, cluster_consumer_boot);
    bool read = reads_all(scenario);
    const struct cluster_role *reader = &scenario->roles[scenario->client_count - 1];
    sim_require(sim, read, "a fresh consumer stands at %lld, %lld, %lld of %lld, %lld, %lld",
                (long long)reader->positions[0], (long long)reader->positions[1],
                (long long)reader->positions[2], (long long)scenario->history.partitions[0].end,
                (long long)scenario->history.partitions[1].end,
                (long long)scenario->history.partitions[2].end);
    history_check(&scenario->history, reader->positions);
    cluster_checks_finish(&scenario->checks);
}

static void print_totals(const struct scenario *scenario)
{
    const struct cluster_checks *checks = &scenario->checks;
    fprintf(stderr,
            "%u nodes (brokers %x, controllers %x), %u faults, %u starts, %u quorum leaders, %u "
            "leaders, %u images, %u unclean leaders, %llu offsets lost\n",
            scenario->cluster.count, scenario->cluster.brokers, scenario->cluster.controllers,
            scenario->cluster.faults, scenario->cluster.starts, checks->elections, checks->leaders,
            checks->images, checks->unclean, (unsigned long long)checks->lost);
    for (unsigned i = 0; i < scenario->client_count; i++) {
        const struct cluster_role *role = &scenario->roles[i];
        fprintf(stderr,
                "client %u: %llu acknowledged, %llu read, %llu listed, %llu retries, %llu "
                "abandoned, %llu operations, %llu refusals\n",
                i, (unsigned long long)role->acknowledged, (unsigned long long)role->read,
                (unsigned long long)role->listed, (unsigned long long)role->retries,
                (unsigned long long)role->abandoned, (unsigned long long)role->operations,
                (unsigned long long)role->refusals);
    }
}

static void run(struct sim *sim, const struct scenario_options *options,
                const struct cluster_shape *shape)
{
    struct scenario *scenario = &(struct scenario){.sim = sim, .options = options};
    random_init(&scenario->random, sim_seed(sim), 2000);
    history_init(&scenario->history, sim);
    cluster_init(&scenario->cluster, sim, options, shape);
    cluster_checks_init(&scenario->checks, &scenario->cluster);
    scenario->checks.history = &scenario->history;
    scenario->shared = (struct cluster_clients){.history = &scenario->history,
                                                .starts = &scenario->cluster.starts,
                                                .is_held = &scenario->cluster.is_held,
                                                .acknowledged = cluster_checks_acknowledged,
                                                .leads = cluster_checks_leads,
                                                .is_leaving = cluster_checks_is_leaving,
                                                .context = &scenario->checks};
    add_clients(scenario);
    cluster_start(&scenario->cluster);
    if (random_chance(&scenario->random, 3, 4)) {
        bool made =
            cluster_run_to(&scenario->cluster, topic_exists, scenario, limit(scenario, 120));
        sim_require(sim, made, "the topic cannot be made in a fresh cluster");
    }
    if (!random_chance(&scenario->random, 1, 10) &&
        !options->is_calm) /* a part of the seeds has no faults */
        cluster_trouble(&scenario->cluster, (1 + random_below(&scenario->random, 30)) * second_ns,
                        scenario->first_client, scenario->client_count);
    heal(scenario);
    if (options->chatty)
        print_totals(scenario);
    cluster_checks_deinit(&scenario->checks);
    cluster_deinit(&scenario->cluster);
    history_deinit(&scenario->history);
}

void cluster_scenario_run(struct sim *sim, const struct scenario_options *options)
{
    run(sim, options, &(struct cluster_shape){.node_count_max = CLUSTER_NODES_MAX});
}

void failover_scenario_run(struct sim *sim, const struct scenario_options *options)
{
    run(sim, options, &(struct cluster_shape){.node_count_max = 4, .is_failover = true});
}
