/*
 * The quorum of a cluster alone: one to seven controllers and trouble. Idle leaders append records
 * all the time, so that there is something to lose. In half of the seeds the voters are in the log:
 * one node begins, and an operator adds and removes voters while the trouble lasts (KIP-853). In
 * most others he raises kraft.version first, in the middle of the trouble. Where the voters were in
 * the log from the start, disks of voters are replaced too. When all faults have
 * ended somebody must lead, and everybody follow, within a bounded time; and the level must rise.
 */
#include <stdio.h>

#include "tests/sim/cluster_checks_internal.h"
#include "tests/sim/voter_operator.h"

static const uint64_t second_ns = UINT64_C(1000000000);

static void add_operator(struct cluster *cluster, struct voter_operator_role *role,
                         struct random_stream *random)
{
    *role = (struct voter_operator_role){
        .count = cluster->count,
        .directory_ids = cluster->directory_ids,
        .replacement = &cluster->replacement,
        .is_held = &cluster->is_held,
        .raises = !cluster->is_dynamic,
        .pace_ns = (second_ns / 20) << random_below(random, 8),
    };
    unsigned node = sim_add_node(
        cluster->sim,
        &(struct sim_node_spec){.loops = 1, .boot = voter_operator_boot, .argument = role});
    sim_start(cluster->sim, node);
}

static const struct voter_set *voters_at(const struct cluster_checks *checks, unsigned node)
{
    const struct sim_broker_process *process = checks_process(checks, node);
    return voter_history_last(&process->control.controller.log.voters);
}

/* At rest everybody's log names the same voters. */
static void require_same_voters(const struct cluster_checks *checks)
{
    const struct voter_set *first = voters_at(checks, 0);
    for (unsigned i = 1; i < checks->cluster->count; i++) {
        const struct voter_set *other = voters_at(checks, i);
        sim_require(checks->sim, view_equal(other->value, first->value),
                    "nodes 0 and %u know different voters", i);
    }
}

static bool is_raised(void *context)
{
    return ((const struct voter_operator_role *)context)->is_raised;
}

static bool is_replaced(void *context)
{
    return ((const struct cluster *)context)->replacement.step == REPLACEMENT_NONE;
}

/* What could not be done in the trouble is possible now; the voters are in everybody's log then. */
static void require_raised(struct cluster *cluster, struct voter_operator_role *role,
                           const struct cluster_checks *checks)
{
    role->must_raise = true;
    bool raised =
        cluster_run_to(cluster, is_raised, role, sim_now_ns(cluster->sim) + 60 * second_ns);
    sim_require(cluster->sim, raised, "kraft.version does not rise in a sound quorum");
    cluster_run_until(cluster, sim_now_ns(cluster->sim) + 5 * second_ns);
    for (unsigned i = 0; i < cluster->count; i++)
        sim_require(cluster->sim,
                    voters_at(checks, i)->kraft_version == 1 && voters_at(checks, i)->count > 0,
                    "node %u does not know that kraft.version was raised", i);
}

void quorum_scenario_run(struct sim *sim, const struct scenario_options *options)
{
    struct cluster *cluster = &(struct cluster){0};
    struct cluster_checks *checks = &(struct cluster_checks){0};
    struct voter_operator_role *operator= &(struct voter_operator_role){0};
    struct random_stream *random = &(struct random_stream){0};
    random_init(random, sim_seed(sim), 5001);
    cluster_init(cluster, sim, options,
                 &(struct cluster_shape){.node_count_max = CLUSTER_NODES_MAX,
                                         .controllers_only = true,
                                         .is_dynamic = random_chance(random, 1, 2)});
    cluster_checks_init(checks, cluster);
    bool has_operator = cluster->is_dynamic || random_chance(random, 3, 4);
    if (has_operator)
        add_operator(cluster, operator, random);
    cluster_start(cluster);
    random = &cluster->random;
    if (random_chance(random, 3, 4))
        cluster_run_until(cluster, sim_now_ns(sim) + random_below(random, 5 * second_ns));
    if (!options->is_calm)
        cluster_trouble(cluster, (1 + random_below(random, 40)) * second_ns, 0, 0);
    operator->pauses = true;
    cluster_heal(cluster);
    bool settled = cluster_run_to(cluster, cluster_checks_is_quorum_settled, checks,
                                  sim_now_ns(sim) + 60 * second_ns);
    if (!settled)
        cluster_checks_require_quorum_settled(checks);
    bool replaced =
        cluster_run_to(cluster, is_replaced, cluster, sim_now_ns(sim) + 120 * second_ns);
    sim_require(sim, replaced, "the disk of voter %u is not replaced in a sound quorum",
                cluster->replacement.node);
    if (operator->raises)
        require_raised(cluster, operator, checks);
    cluster_run_until(cluster, sim_now_ns(sim) + 5 * second_ns);
    cluster_checks_require_quorum_settled(checks);
    require_same_voters(checks);
    sim_require(sim, committed_log_end(&checks->metadata) > 0, "nothing was ever committed");
    if (options->chatty)
        fprintf(stderr,
                "%u nodes, %u faults, %u starts, %u leaders, %u images, %lld committed, %u voters "
                "added, %u removed, %u of %u disks replaced%s\n",
                cluster->count, cluster->faults, cluster->starts, checks->elections, checks->images,
                (long long)committed_log_end(&checks->metadata), operator->added, operator->removed,
                cluster->replacement.done,
                cluster->replacement.begun, operator->is_raised ? ", kraft.version raised" : "");
    cluster_checks_deinit(checks);
    cluster_deinit(cluster);
}
