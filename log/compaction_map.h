/*
 * What a compaction remembers of the part that was not compacted yet: for every key the newest
 * offset, in bounded memory. The keys themselves are not kept: 128 bits of a keyed hash stand for
 * them, under a hash key that is drawn for every compaction.
 *
 * Bytes of memory at any time: at most `size_max`, the table that it grows out of included; an
 * entry takes COMPACTION_MAP_ENTRY_SIZE (Kafka's log.cleaner.dedupe.buffer.size counts the same
 * way).
 *
 * Invariants:
 *  1. count <= capacity * load factor < capacity, so a probe always ends.
 *  2. Offsets are put in rising order; the newest offset of a key is the last that was put.
 *  3. A refusal (full) changes nothing.
 */
#ifndef KLAMM_LOG_COMPACTION_MAP_H
#define KLAMM_LOG_COMPACTION_MAP_H

#include <stdbool.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/memory.h"
#include "base/siphash.h"
#include "runtime/job.h"

enum { COMPACTION_MAP_ENTRY_SIZE = 24 };

struct compaction_map_entry {
    struct siphash hash;
    int64_t offset_plus_one; /* 0: free */
};

struct compaction_map {
    struct heap *heap;
    struct siphash_key key;
    struct compaction_map_entry *entries; /* capacity; NULL before the first key */
    uint64_t capacity;
    uint64_t capacity_max;
    uint64_t count;
    uint64_t count_max; /* of the capacity at hand */
    double load_factor;
    struct job_pace pace; /* of the step at work, set by the owner; for when the table grows */
};

/* Takes no memory yet. `load_factor` is kept between 0.1 and 0.95. */
void compaction_map_init(struct compaction_map *map, struct heap *heap, struct siphash_key key,
                         uint64_t size_max, double load_factor);
void compaction_map_deinit(struct compaction_map *map);
/* Remembers that the newest record of `key` is at `offset`; false: the map is full. */
bool compaction_map_put(struct compaction_map *map, struct view key, int64_t offset);
/* The newest offset of a key, or -1. */
int64_t compaction_map_find(const struct compaction_map *map, struct view key);

#endif
