/*
 * Open addressing with linear probes from the place that the first half of the hash names. The
 * table doubles; its last size is half of what the limit allows plus the table before it.
 */
#include "log/compaction_map.h"

#include "base/assert.h"
#include "base/hash.h"

enum { CAPACITY_FIRST = 1024, MOVED_AT_A_TIME = 1024 };

_Static_assert(sizeof(struct compaction_map_entry) == COMPACTION_MAP_ENTRY_SIZE, "counted in it");

void compaction_map_init(struct compaction_map *map, struct heap *heap, struct siphash_key key,
                         uint64_t size_max, double load_factor)
{
    *map = (struct compaction_map){.heap = heap, .key = key};
    map->load_factor = load_factor < 0.1 ? 0.1 : load_factor > 0.95 ? 0.95 : load_factor;
    /* A table and the one of half its size that it grows out of. */
    map->capacity_max = size_max / COMPACTION_MAP_ENTRY_SIZE / 3 * 2;
    if (map->capacity_max < 16)
        map->capacity_max = 16;
}

void compaction_map_deinit(struct compaction_map *map)
{
    heap_put(map->heap, MEMORY_SCRATCH, map->entries, map->capacity * sizeof(*map->entries));
    map->entries = NULL;
    map->capacity = 0;
    map->count = 0;
    map->count_max = 0;
}

/* The place of a hash, or the free one where it belongs. */
static struct compaction_map_entry *place_of(const struct compaction_map *map, struct siphash hash)
{
    uint64_t place = (uint64_t)((hash_product)hash.low * map->capacity >> 64);
    for (;;) {
        struct compaction_map_entry *entry = &map->entries[place];
        if (entry->offset_plus_one == 0 ||
            (entry->hash.low == hash.low && entry->hash.high == hash.high))
            return entry;
        if (++place == map->capacity)
            place = 0;
    }
}

/* The next capacity; the last but one is at most half of the last. */
static uint64_t next_capacity(const struct compaction_map *map)
{
    if (map->capacity == 0) {
        uint64_t capacity = map->capacity_max;
        while (capacity > CAPACITY_FIRST)
            capacity /= 2;
        return capacity;
    }
    uint64_t capacity = map->capacity * 2;
    return capacity * 2 > map->capacity_max ? map->capacity_max : capacity;
}

static bool grow(struct compaction_map *map)
{
    if (map->capacity == map->capacity_max)
        return false;
    struct compaction_map old = *map;
    uint64_t capacity = next_capacity(map);
    struct compaction_map_entry *entries =
        heap_get_zeroed(map->heap, MEMORY_SCRATCH, capacity * sizeof(*entries));
    if (!entries)
        return false;
    map->entries = entries;
    map->capacity = capacity;
    map->count_max = (uint64_t)((double)capacity * map->load_factor);
    if (map->count_max == 0)
        map->count_max = 1;
    klamm_assert(map->count_max < capacity);
    for (uint64_t i = 0; i < old.capacity; i++) {
        if (i % MOVED_AT_A_TIME == 0)
            job_give_way(map->pace);
        if (old.entries[i].offset_plus_one != 0)
            *place_of(map, old.entries[i].hash) = old.entries[i];
    }
    heap_put(map->heap, MEMORY_SCRATCH, old.entries, old.capacity * sizeof(*old.entries));
    return true;
}

bool compaction_map_put(struct compaction_map *map, struct view key, int64_t offset)
{
    struct siphash hash = siphash_bytes(map->key, key);
    struct compaction_map_entry *entry = map->capacity ? place_of(map, hash) : NULL;
    if (entry && entry->offset_plus_one != 0) {
        klamm_assert(entry->offset_plus_one <= offset);
        entry->offset_plus_one = offset + 1;
        return true;
    }
    if (map->count == map->count_max) {
        if (!grow(map))
            return false;
        entry = place_of(map, hash);
    }
    *entry = (struct compaction_map_entry){hash, offset + 1};
    map->count++;
    return true;
}

int64_t compaction_map_find(const struct compaction_map *map, struct view key)
{
    if (map->count == 0)
        return -1;
    return place_of(map, siphash_bytes(map->key, key))->offset_plus_one - 1;
}
