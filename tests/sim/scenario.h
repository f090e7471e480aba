/* The scenarios that klamm-sim runs: one seed, one run. */
#ifndef KLAMM_TESTS_SIM_SCENARIO_H
#define KLAMM_TESTS_SIM_SCENARIO_H

#include "runtime/test_points.h"
#include "tests/sim/sim.h"

/* What a run may be told besides its seed. */
struct scenario_options {
    struct test_points test_points; /* only in builds with test points */
    bool chatty;
    bool truncates; /* log: cuts too */
    unsigned nodes; /* cluster: so many; 0: drawn */
    bool is_calm;   /* cluster: no trouble */
};

/* Ends normally or by sim_fail. */
typedef void (*scenario_run)(struct sim *sim, const struct scenario_options *options);

void cluster_scenario_run(struct sim *sim, const struct scenario_options *options);
void failover_scenario_run(struct sim *sim, const struct scenario_options *options);
void compact_scenario_run(struct sim *sim, const struct scenario_options *options);
void coordinator_scenario_run(struct sim *sim, const struct scenario_options *options);
void log_scenario_run(struct sim *sim, const struct scenario_options *options);
void group_scenario_run(struct sim *sim, const struct scenario_options *options);
void node_scenario_run(struct sim *sim, const struct scenario_options *options);
void quorum_scenario_run(struct sim *sim, const struct scenario_options *options);
void transaction_scenario_run(struct sim *sim, const struct scenario_options *options);

#endif
