/*
 * Contents are compared byte by byte. Settings that are equal but differ in padding are two copies,
 * which costs memory only; resolving fills the whole struct, so that does not happen in practice.
 */
#include "replication/shared_config.h"

#include "base/assert.h"

void shared_configs_init(struct shared_configs *configs, struct heap *heap, uint64_t seed)
{
    map_init(&configs->by_content, heap, MEMORY_STATE, seed);
}

void shared_configs_deinit(struct shared_configs *configs)
{
    klamm_assert(map_count(&configs->by_content) == 0);
    map_deinit(&configs->by_content);
}

static struct view key_of(const struct topic_config *config)
{
    return view_of(config, sizeof(*config));
}

const struct shared_config *shared_configs_take(struct shared_configs *configs,
                                                const struct topic_config *config)
{
    struct shared_config *shared = map_get(&configs->by_content, key_of(config));
    if (!shared) {
        shared = heap_must_get(configs->by_content.heap, MEMORY_STATE, sizeof(*shared));
        memcpy(&shared->config, config, sizeof(*config)); /* with its padding: it is the key */
        shared->home = configs;
        shared->references = 0;
        bool added = map_put(&configs->by_content, key_of(&shared->config), shared);
        klamm_assert(added);
    }
    shared->references++;
    return shared;
}

void shared_config_release(const struct shared_config *shared)
{
    struct shared_configs *home = shared->home;
    struct shared_config *held = map_get(&home->by_content, key_of(&shared->config));
    klamm_assert(held == shared);
    if (--held->references > 0)
        return;
    map_remove(&home->by_content, key_of(&held->config));
    heap_put(home->by_content.heap, MEMORY_STATE, held, sizeof(*held));
}
