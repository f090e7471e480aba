/*
 * What a partition is on its shard: led, followed, or removed, as an image says.
 *
 * A follower may have an append or a truncation under way, and neither leading nor removing may
 * begin before that is through. So both can take until a later turn; following never does.
 */
#ifndef KLAMM_BROKER_PARTITION_ROLE_H
#define KLAMM_BROKER_PARTITION_ROLE_H

#include "broker/shard.h"

/*
 * Takes the role that `state` (of the image that is being applied) gives this broker; a null one:
 * the partition is removed (broker/partition_remove.h). True: done. False: `taken` follows in a
 * later turn, and `state` must stay until then.
 */
bool partition_role_take(struct shard *shard, struct replica *replica,
                         const struct image_partition *state, void (*taken)(void *context),
                         void *context);

#endif
