/* The settings of a topic as the metadata image and this node's own configuration give them. */
#ifndef KLAMM_BROKER_TOPIC_SETTINGS_H
#define KLAMM_BROKER_TOPIC_SETTINGS_H

#include "broker/broker.h"
#include "cluster/metadata/image.h"
#include "config/topic_config.h"

/* The dynamic settings of a resource as a set; in the arena, views borrowed from the image. */
struct config_set settings_of(const struct image *image, enum config_resource_type type,
                              struct view name, struct arena *arena);
/* Every layer for a topic (an empty name: none of its own), held by the arena. */
struct config_layers settings_layers(const struct broker *broker, const struct image *image,
                                     struct view topic, struct arena *arena);
/* Resolves all settings of a topic; borrows nothing from the image. */
void topic_settings_resolve(struct topic_config *config, const struct broker *broker,
                            const struct image *image, struct view topic, struct heap *scratch);

#endif
