/*
 * Coordinators that move: a cluster whose load are groups and transactions (group_load.h,
 * transaction_load.h), on topics of coordinators with as many replicas as the nodes allow, while an
 * operator moves their leaders and nodes end, links break and clocks go wrong
 * (cluster_trouble.c). Clients find their coordinators by asking any broker. The histories of
 * groups and transactions are held against G1 to G5 and T1 to T8, the cluster against
 * cluster_checks.h. Then all faults end: groups must settle and transactions end; members die, all
 * machines lose power at once, and groups must settle again on what the coordinators load.
 */
#include <stdio.h>

#include "tests/sim/cluster_checks.h"
#include "tests/sim/cluster_role.h"
#include "tests/sim/group_load.h"
#include "tests/sim/transaction_load.h"

static const uint64_t second_ns = UINT64_C(1000000000);

struct scenario {
    struct sim *sim;
    struct random_stream random;
    struct cluster cluster;
    struct cluster_checks checks;
    struct cluster_clients shared; /* of the operator */
    struct cluster_role mover;     /* the operator */
    bool has_groups, has_transactions;
    struct group_load groups;
    struct transaction_load transactions;
    unsigned first_client, client_count; /* nodes */
};

/* ---- Clients ---- */

static void add_operator(struct scenario *scenario)
{
    struct random_stream *random = &scenario->random;
    unsigned brokers = (unsigned)__builtin_popcount(scenario->cluster.brokers);
    scenario->shared = (struct cluster_clients){.starts = &scenario->cluster.starts,
                                                .is_held = &scenario->cluster.is_held,
                                                .is_leaving = cluster_checks_is_leaving,
                                                .context = &scenario->checks};
    scenario->mover = (struct cluster_role){
        .shared = &scenario->shared,
        .client = {.brokers = scenario->cluster.brokers,
                   .answer_limit_ns = second_ns * (1 + random_below(random, 5))},
        .replication_factor = (int16_t)(brokers < 3 ? brokers : 3),
        .topic_exists = true, /* its clients see to that */
        .is_free = random_chance(random, 3, 4),
        .moves = true,
        .pace_ns = (20 + random_below(random, 500)) * UINT64_C(1000000)};
    scenario->first_client =
        sim_add_node(scenario->sim, &(struct sim_node_spec){.loops = 1,
                                                            .boot = cluster_operator_boot,
                                                            .argument = &scenario->mover});
    sim_start(scenario->sim, scenario->first_client);
}

static void add_clients(struct scenario *scenario)
{
    struct random_stream *random = &scenario->random;
    const struct cluster_client_options client = {
        .brokers = scenario->cluster.brokers,
        .answer_limit_ns = second_ns * (1 + random_below(random, 8)),
        .makes_topics = true,
        .coordinator_partitions = CLUSTER_COORDINATOR_PARTITIONS,
        .standing = cluster_checks_standing,
        .context = &scenario->checks};
    add_operator(scenario);
    scenario->has_groups = random_chance(random, 3, 4);
    scenario->has_transactions = !scenario->has_groups || random_chance(random, 2, 3);
    if (scenario->has_groups)
        group_load_init(
            &scenario->groups, scenario->sim, random,
            &(struct group_load_options){
                .client = client, .groups_max = 2, .members_max = 4, .clocks_differ = true});
    if (scenario->has_transactions)
        transaction_load_init(&scenario->transactions, scenario->sim, random, &client);
    scenario->client_count = 1;
    for (unsigned i = 0; i < scenario->groups.group_count; i++)
        scenario->client_count += scenario->groups.member_count[i];
    if (scenario->has_transactions)
        scenario->client_count += scenario->transactions.client_count + 1;
}

/* ---- Healing ---- */

static uint64_t limit(const struct scenario *scenario, uint64_t seconds)
{
    return sim_now_ns(scenario->sim) + seconds * second_ns;
}

static void run_for(struct scenario *scenario, uint64_t seconds)
{
    cluster_run_until(&scenario->cluster, limit(scenario, seconds));
}

static bool is_settled(void *context)
{
    const struct scenario *scenario = context;
    return group_load_is_settled(&scenario->groups);
}

static bool is_quiet(void *context)
{
    const struct scenario *scenario = context;
    return transaction_load_is_quiet(&scenario->transactions);
}

static bool has_read_all(void *context)
{
    const struct scenario *scenario = context;
    return transaction_load_has_read(&scenario->transactions);
}

static void settle(struct scenario *scenario, const char *when)
{
    if (!scenario->has_groups)
        return;
    group_load_heal(&scenario->groups);
    /* What crashed members left behind ends with their sessions and moves partitions once more. */
    for (int i = 0; i < 2; i++) {
        bool settled =
            cluster_run_to(&scenario->cluster, is_settled, scenario, limit(scenario, 120));
        sim_require(scenario->sim, settled, "G5: the groups do not settle %s", when);
        run_for(scenario, i == 0 ? 10 : 5);
    }
    sim_require(scenario->sim, is_settled(scenario), "G5: the groups do not stay settled %s", when);
}

static void end_transactions(struct scenario *scenario)
{
    struct transaction_load *load = &scenario->transactions;
    if (!scenario->has_transactions)
        return;
    transaction_load_heal(load);
    bool quiet = cluster_run_to(&scenario->cluster, is_quiet, scenario, limit(scenario, 120));
    sim_require(scenario->sim, quiet, "transactions do not end after all faults have ended");
    transaction_load_require_stable(load);
}

static void check_transactions(struct scenario *scenario)
{
    struct transaction_load *load = &scenario->transactions;
    if (!scenario->has_transactions)
        return;
    transaction_load_read(load);
    bool read = cluster_run_to(&scenario->cluster, has_read_all, scenario, limit(scenario, 120));
    sim_require(scenario->sim, read, "a fresh reader does not come to the end");
    transaction_history_check(&load->history);
}

/* Without clients: sessions end, and then nothing is written any more. */
static void come_to_rest(struct scenario *scenario)
{
    for (unsigned i = 0; i < scenario->client_count + scenario->has_transactions; i++)
        sim_crash(scenario->sim, scenario->first_client + i);
    if (!cluster_run_to(&scenario->cluster, cluster_checks_is_settled, &scenario->checks,
                        limit(scenario, 120)))
        cluster_checks_require_settled(&scenario->checks);
    cluster_checks_finish(&scenario->checks);
}

static void heal(struct scenario *scenario)
{
    struct cluster *cluster = &scenario->cluster;
    cluster_heal(cluster);
    scenario->mover.pauses = true;
    if (scenario->has_groups)
        group_load_behave(&scenario->groups);
    if (scenario->has_transactions)
        transaction_load_pause(&scenario->transactions);
    /* Silences end that have begun, and what was left open, by its timeout. */
    run_for(scenario, 15);
    settle(scenario, "after all faults have ended");
    end_transactions(scenario);
    if (scenario->has_groups)
        group_load_lose_members(&scenario->groups);
    cluster_blackout(cluster);
    settle(scenario, "after members and all machines have died");
    check_transactions(scenario);
    come_to_rest(scenario);
}

static void print_totals(const struct scenario *scenario)
{
    const struct cluster_checks *checks = &scenario->checks;
    fprintf(stderr,
            "%u nodes (brokers %x, controllers %x), %u faults, %u starts, %u leaders, %llu moves "
            "and %llu refusals of the operator\n",
            scenario->cluster.count, scenario->cluster.brokers, scenario->cluster.controllers,
            scenario->cluster.faults, scenario->cluster.starts, checks->leaders,
            (unsigned long long)scenario->mover.operations,
            (unsigned long long)scenario->mover.refusals);
    if (scenario->has_groups)
        group_load_print(&scenario->groups);
    if (scenario->has_transactions)
        transaction_load_print(&scenario->transactions);
}

void coordinator_scenario_run(struct sim *sim, const struct scenario_options *options)
{
    struct scenario *scenario = &(struct scenario){.sim = sim};
    random_init(&scenario->random, sim_seed(sim), 6000);
    cluster_init(&scenario->cluster, sim, options,
                 &(struct cluster_shape){
                     .node_count_max = 4, .is_failover = true, .has_coordinators = true});
    cluster_checks_init(&scenario->checks, &scenario->cluster);
    add_clients(scenario);
    cluster_start(&scenario->cluster);
    if (random_chance(&scenario->random, 3, 4)) /* the others meet trouble at once */
        run_for(scenario, 1 + random_below(&scenario->random, 5));
    if (!options->is_calm && !random_chance(&scenario->random, 1, 20))
        cluster_trouble(&scenario->cluster, (2 + random_below(&scenario->random, 15)) * second_ns,
                        scenario->first_client, scenario->client_count);
    heal(scenario);
    if (options->chatty)
        print_totals(scenario);
    if (scenario->has_groups)
        group_load_deinit(&scenario->groups);
    if (scenario->has_transactions)
        transaction_load_deinit(&scenario->transactions);
    cluster_checks_deinit(&scenario->checks);
    cluster_deinit(&scenario->cluster);
}
