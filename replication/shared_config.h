/*
 * The settings of topics as the replicas of one loop use them: one copy for all replicas whose
 * settings are the same, because a node has many partitions and few different settings.
 *
 * Invariants:
 *  1. A shared_config never changes; a replica whose settings change takes another one.
 *  2. It lives as long as someone holds it.
 */
#ifndef KLAMM_REPLICATION_SHARED_CONFIG_H
#define KLAMM_REPLICATION_SHARED_CONFIG_H

#include "base/map.h"
#include "config/topic_config.h"

struct shared_configs {
    struct map by_content; /* struct shared_config */
};

struct shared_config {
    struct topic_config config;
    struct shared_configs *home;
    uint32_t references;
};

void shared_configs_init(struct shared_configs *configs, struct heap *heap, uint64_t seed);
/* Nothing is held any more. */
void shared_configs_deinit(struct shared_configs *configs);
/* The one that says the same, or a copy; to be given back with shared_config_release. */
const struct shared_config *shared_configs_take(struct shared_configs *configs,
                                                const struct topic_config *config);
void shared_config_release(const struct shared_config *shared);

#endif
