/*
 * Where the replicas of new partitions go: striped over racks and brokers.
 *
 * Leaders go to unfenced brokers in turn, the other replicas to the racks in turn, in each rack to
 * its unfenced brokers first. Start points and orders are drawn from the random stream given.
 */
#ifndef KLAMM_CLUSTER_CONTROLLER_PLACEMENT_H
#define KLAMM_CLUSTER_CONTROLLER_PLACEMENT_H

#include "base/arena.h"
#include "base/random.h"
#include "cluster/metadata/image.h"

/*
 * Fills replicas[partition * replication_factor ...] for `count` partitions. NULL when it worked,
 * else why this replication factor is not possible. The arena is scratch.
 */
const char *placement_choose(const struct image *image, struct random_stream *random,
                             struct arena *arena, uint32_t count, int32_t replication_factor,
                             int32_t *replicas);

#endif
