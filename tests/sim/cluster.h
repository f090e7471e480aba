/*
 * A cluster of 1 to 7 simulated nodes: brokers, controllers or both, with settings drawn for the
 * seed, and what happens to them from outside.
 *
 * Node numbers of the simulator are node ids; the nodes of the cluster come first.
 *
 * Invariants:
 *  1. All nodes have the same list of voters, which is static; or, in a dynamic quorum, the same
 *     bootstrap servers, and node 0 is formatted as the first voter.
 *  2. A node is formatted once, before its first start, unless its disk was emptied on purpose.
 */
#ifndef KLAMM_TESTS_SIM_CLUSTER_H
#define KLAMM_TESTS_SIM_CLUSTER_H

#include "tests/sim/cluster_client.h"
#include "tests/sim/sim_broker.h"

enum { CLUSTER_SETTINGS = 48, CLUSTER_CONTROLLER_PORT = 9093, CLUSTER_LOSSES_MAX = 4 };

struct cluster_settings {
    char texts[CLUSTER_SETTINGS][192];
    struct view views[CLUSTER_SETTINGS];
    size_t count;
};

struct cluster_node {
    struct cluster *cluster;
    struct sim_broker broker;
    struct cluster_settings own; /* those of this node only */
    bool is_broker;
    bool is_controller;
    bool is_wanted;       /* should run; when it does not, it is started after a while */
    bool needs_power_cut; /* its disk may have lied: only a power cut makes its state honest */
    bool is_formatted;
    bool is_stopping;  /* was asked to stop in this life */
    bool is_lost;      /* has lost what it promised to keep, and may count as in sync yet */
    unsigned losses;   /* so far */
    uint64_t start_ns; /* when it is to be started */
};

/*
 * A voter of a dynamic quorum gets another disk (cluster_loss.c): its old directory is removed from
 * the voters, the disk is emptied and formatted anew, and the new directory is added. Either the
 * removal or the loss comes first.
 */
enum replacement_step {
    REPLACEMENT_NONE,
    REPLACEMENT_REMOVAL,  /* the operator removes the old directory */
    REPLACEMENT_REMOVED,  /* he was told so, and the disk is still there */
    REPLACEMENT_ADDITION, /* he adds the new one, as soon as it is formatted */
};

struct voter_replacement {
    enum replacement_step step;
    unsigned node;
    struct uuid old_id;
    bool is_lost; /* the disk was emptied */
    unsigned begun, done;
};

struct cluster {
    struct sim *sim;
    const struct scenario_options *options;
    struct random_stream random;
    struct cluster_settings common;
    unsigned count;
    struct cluster_node nodes[CLUSTER_NODES_MAX];
    uint32_t brokers;     /* bit per node */
    uint32_t controllers; /* bit per node */
    unsigned starts;      /* of all nodes */
    unsigned faults;      /* so far */
    bool draws_faults;    /* of disks, for each life */
    bool is_failover;
    bool has_coordinators;
    bool never_cleans; /* what is compacted elsewhere stays as it was written */
    bool is_cached;    /* klamm.durability=cache: a power cut takes what was acknowledged */
    bool has_eligible; /* formatted with eligible leader replicas, as by default */
    bool is_healed;
    bool is_held;                                 /* operators do nothing */
    bool is_dynamic;                              /* the voters are in the log (kraft.version 1) */
    struct uuid directory_ids[CLUSTER_NODES_MAX]; /* of formatted nodes */
    struct voter_replacement replacement;
    uint64_t session_ns; /* of brokers */
    uint64_t lag_ns;
};

struct cluster_shape {
    unsigned node_count_max;
    bool controllers_only;
    bool is_failover; /* three or four brokers with short limits, whose leaders change all the time
                       */
    bool is_dynamic;
    /* Groups and transactions are the load: their topics are replicated, nothing is lost. */
    bool has_coordinators;
};

enum { CLUSTER_COORDINATOR_PARTITIONS = 2 }; /* of each topic of coordinators */

void cluster_init(struct cluster *cluster, struct sim *sim, const struct scenario_options *options,
                  const struct cluster_shape *shape);
void cluster_deinit(struct cluster *cluster);
/* All nodes are to be started, in any order and with pauses. */
void cluster_start(struct cluster *cluster);
/* Runs, and starts what has ended and should run. */
void cluster_run_until(struct cluster *cluster, uint64_t time_ns);
bool cluster_run_to(struct cluster *cluster, bool (*reached)(void *context), void *context,
                    uint64_t limit_ns);
/* Formats the node where that was not done, and starts it. */
void cluster_node_start(struct cluster_node *node);
/*
 * Trouble for so long: faults are drawn and carried out (cluster_trouble.c). The nodes from
 * `first_client` to the last one of the simulator are clients, which may be cut off too.
 */
void cluster_trouble(struct cluster *cluster, uint64_t duration_ns, unsigned first_client,
                     unsigned client_count);
/* Behind cluster_heal: all machines lose power at once, and start again. */
void cluster_blackout(struct cluster *cluster);
/* Ends all faults for good and starts what does not run. A node that ends from here on fails. */
void cluster_heal(struct cluster *cluster);

#endif
