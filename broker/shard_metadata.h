/* How a shard takes over a new metadata image: what it owns changes first, then the version shows.
 */
#ifndef KLAMM_BROKER_SHARD_METADATA_H
#define KLAMM_BROKER_SHARD_METADATA_H

#include "cluster/metadata/publisher.h"

/* The publisher's image_apply. */
void shard_apply_image(struct image_update *update, struct loop *loop);

#endif
