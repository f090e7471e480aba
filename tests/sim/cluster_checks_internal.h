/* The parts of the checks, for cluster_checks*.c. */
#ifndef KLAMM_TESTS_SIM_CLUSTER_CHECKS_INTERNAL_H
#define KLAMM_TESTS_SIM_CLUSTER_CHECKS_INTERNAL_H

#include "tests/sim/cluster_checks.h"

/* Sets `node` where nobody stands yet; returns who stands there. */
unsigned epoch_table_set(struct cluster_checks *checks, struct epoch_table *table, int32_t epoch,
                         unsigned node);
void epoch_table_free(struct cluster_checks *checks, struct epoch_table *table);

/* The running node's memory; NULL when there is nothing to look at. */
const struct sim_broker_process *checks_process(const struct cluster_checks *checks, unsigned node);
/* The image that the node's control loop has published; NULL: none yet. */
const struct image *checks_image(const struct sim_broker_process *process);
struct seen_partition *checks_partition(struct cluster_checks *checks, struct uuid topic_id,
                                        struct view topic, int32_t partition);

const struct replica *checks_find_replica(const struct sim_broker_process *process,
                                          struct uuid topic_id, int32_t partition);
/* The cluster's own topics are compacted, where anything is: their old parts change. */
bool checks_is_as_written(const struct cluster_checks *checks, const struct replica *replica);
/* Whether it is known what the node holds in its present life, and that it must be enough. */
bool checks_is_known(const struct cluster_checks *checks, const struct seen_partition *seen,
                     unsigned node);
/* How many nodes hold everything below `end`, counting those that are down. */
int checks_holders(const struct cluster_checks *checks, const struct seen_partition *seen,
                   int64_t end);
/* How many have to. */
int checks_holders_wanted(const struct cluster_checks *checks, const struct seen_partition *seen);
/* cluster_checks_quorum.c, cluster_checks_image.c, cluster_checks_replica.c: behind an event. */
void checks_quorum(struct cluster_checks *checks, unsigned node,
                   const struct sim_broker_process *process);
void checks_image_of(struct cluster_checks *checks, unsigned node,
                     const struct sim_broker_process *process);
void checks_replicas(struct cluster_checks *checks, unsigned node,
                     const struct sim_broker_process *process);

#endif
