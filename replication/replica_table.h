/*
 * The replicas of one loop, by topic id and partition, in the order in which they came.
 *
 * Invariant: a replica is in the table from replica_table_add until replica_table_remove, and is
 * found under its key only.
 */
#ifndef KLAMM_REPLICATION_REPLICA_TABLE_H
#define KLAMM_REPLICATION_REPLICA_TABLE_H

#include "base/map.h"
#include "replication/replica.h"

struct replica_table {
    struct map by_key;
    struct list replicas; /* replica.link */
};

void replica_table_init(struct replica_table *table, struct heap *heap, uint64_t seed);
/* The table must be empty. */
void replica_table_deinit(struct replica_table *table);
void replica_table_add(struct replica_table *table, struct replica *replica);
void replica_table_remove(struct replica_table *table, struct replica *replica);
/* NULL when this loop has no such replica. */
struct replica *replica_table_find(const struct replica_table *table, struct uuid topic_id,
                                   int32_t partition);

static inline uint32_t replica_table_count(const struct replica_table *table)
{
    return map_count(&table->by_key);
}

#endif
