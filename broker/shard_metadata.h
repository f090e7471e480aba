/*
 * How a shard takes over a new metadata image: its partitions change first (deleted, made, led or
 * followed, other settings), and when all of that is done, the version shows.
 *
 * Invariants:
 *  1. Versions are applied one after the other, in order.
 *  2. A partition that the shown image has on this shard is in the replica table, leading,
 *     following or offline.
 */
#ifndef KLAMM_BROKER_SHARD_METADATA_H
#define KLAMM_BROKER_SHARD_METADATA_H

#include "cluster/metadata/publisher.h"

struct shard;

/* The publisher's image_apply. */
void shard_apply_image(struct image_update *update, struct loop *loop);
/* The newest image that the shard has heard of; it may be some versions ahead of what it shows. */
const struct image *shard_newest_image(const struct shard *shard);

#endif
