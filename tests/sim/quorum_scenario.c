/*
 * The quorum of a cluster alone: one to seven controllers, of which up to five vote and the others
 * look on, and trouble. Idle leaders append records all the time, so that there is something to
 * lose. When all faults have ended somebody must lead, and everybody follow, within a bounded time.
 */
#include <stdio.h>

#include "tests/sim/cluster_checks.h"

static const uint64_t second_ns = UINT64_C(1000000000);

void quorum_scenario_run(struct sim *sim, const struct scenario_options *options)
{
    struct cluster *cluster = &(struct cluster){0};
    struct cluster_checks *checks = &(struct cluster_checks){0};
    cluster_init(
        cluster, sim, options,
        &(struct cluster_shape){.node_count_max = CLUSTER_NODES_MAX, .controllers_only = true});
    cluster_checks_init(checks, cluster);
    cluster_start(cluster);
    struct random_stream *random = &cluster->random;
    if (random_chance(random, 3, 4))
        cluster_run_until(cluster, sim_now_ns(sim) + random_below(random, 5 * second_ns));
    if (!options->is_calm)
        cluster_trouble(cluster, (1 + random_below(random, 40)) * second_ns, 0, 0);
    cluster_heal(cluster);
    bool settled = cluster_run_to(cluster, cluster_checks_is_quorum_settled, checks,
                                  sim_now_ns(sim) + 60 * second_ns);
    if (!settled)
        cluster_checks_require_quorum_settled(checks);
    cluster_run_until(cluster, sim_now_ns(sim) + 5 * second_ns);
    cluster_checks_require_quorum_settled(checks);
    sim_require(sim, committed_log_end(&checks->metadata) > 0, "nothing was ever committed");
    if (options->chatty)
        fprintf(stderr, "%u nodes, %u faults, %u starts, %u leaders, %u images, %lld committed\n",
                cluster->count, cluster->faults, cluster->starts, checks->elections, checks->images,
                (long long)committed_log_end(&checks->metadata));
    cluster_checks_deinit(checks);
    cluster_deinit(cluster);
}
