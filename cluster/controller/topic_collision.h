/* Names that differ in '.' and '_' only. What a name may be: cluster/metadata/topic_name.h. */
#ifndef KLAMM_CLUSTER_CONTROLLER_TOPIC_COLLISION_H
#define KLAMM_CLUSTER_CONTROLLER_TOPIC_COLLISION_H

#include "cluster/metadata/image.h"

/*
 * A topic that has the same name once '.' is read as '_' (their metric names would be the same),
 * or NULL. The very same name is no collision. Names with few of the two characters are looked up
 * in all their spellings; only for others all topics with the same beginning are walked.
 */
const struct image_topic *topic_name_collision(const struct image *image, struct view name);

#endif
