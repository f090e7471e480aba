/* The rules for topic names. */
#ifndef KLAMM_CLUSTER_CONTROLLER_TOPIC_NAME_H
#define KLAMM_CLUSTER_CONTROLLER_TOPIC_NAME_H

#include "cluster/metadata/image.h"

enum { TOPIC_NAME_SIZE_MAX = 249 };

/* NULL when the name is fine, else what is wrong with it. */
const char *topic_name_problem(struct view name);
/*
 * A topic that has the same name once '.' is read as '_' (their metric names would be the same),
 * or NULL. The very same name is no collision. Costs a walk over all topics, and only for names
 * that contain one of the two.
 */
const struct image_topic *topic_name_collision(const struct image *image, struct view name);
/* Whether any other name could collide with this one: it has a '.' or a '_'. */
bool topic_name_can_collide(struct view name);
/* Whether two names differ in nothing but '.' and '_'. */
bool topic_names_collide(struct view a, struct view b);

#endif
