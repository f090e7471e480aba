/* A map over the keys that lie in the replicas. */
#include "replication/replica_table.h"

#include "base/assert.h"

void replica_table_init(struct replica_table *table, struct heap *heap, uint64_t seed)
{
    map_init(&table->by_key, heap, MEMORY_STATE, seed);
    list_init(&table->replicas);
}

void replica_table_deinit(struct replica_table *table)
{
    klamm_assert(map_count(&table->by_key) == 0);
    map_deinit(&table->by_key);
}

void replica_table_add(struct replica_table *table, struct replica *replica)
{
    bool added = map_put(&table->by_key, view_of(replica->key, REPLICA_KEY_SIZE), replica);
    klamm_assert(added);
    list_push_back(&table->replicas, &replica->link);
}

void replica_table_remove(struct replica_table *table, struct replica *replica)
{
    map_remove(&table->by_key, view_of(replica->key, REPLICA_KEY_SIZE));
    list_remove(&replica->link);
}

struct replica *replica_table_find(const struct replica_table *table, struct uuid topic_id,
                                   int32_t partition)
{
    uint8_t key[REPLICA_KEY_SIZE];
    memcpy(key, topic_id.bytes, UUID_SIZE);
    store_u32(key + UUID_SIZE, (uint32_t)partition);
    return map_get(&table->by_key, view_of(key, sizeof(key)));
}
