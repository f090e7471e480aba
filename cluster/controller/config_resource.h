/*
 * Which resources a request may ask the settings of, and what is wrong with the others.
 */
#ifndef KLAMM_CLUSTER_CONTROLLER_CONFIG_RESOURCE_H
#define KLAMM_CLUSTER_CONTROLLER_CONFIG_RESOURCE_H

#include "base/arena.h"
#include "cluster/metadata/image.h"
#include "config/definition.h"
#include "protocol/errors.h"

struct config_resource_check {
    enum kafka_error error;
    struct view message; /* null when there is none; constant or in the arena */
    enum config_scope scope;
    bool cluster_default; /* the broker resource with the empty name */
};

/*
 * Checks type and name of a resource whose settings are asked of this node: an unknown
 * topic, another broker's id, an empty name where one is needed, a type without settings.
 */
struct config_resource_check config_resource_check(const struct image *image, int32_t node_id,
                                                   int8_t type, struct view name,
                                                   struct arena *arena);

#endif
