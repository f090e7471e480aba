/*
 * Two arrays: entries in insertion order, and slots found by hash with linear probing. A removed
 * entry stays in place, dead, and its slot goes on pointing at it, so probes pass over it; both go
 * when the entries are full and everything is laid out anew, at the size that the live ones need.
 */
#include "base/map.h"

#include "base/assert.h"
#include "base/hash.h"

enum { CAPACITY_MIN = 8, CAPACITY_MAX = 1 << 30 };

/* A key of either kind: data NULL for an integer. */
struct key {
    const uint8_t *data;
    uint64_t number;
    uint32_t hash;
};

/* An empty byte key must not look like an integer, whatever its pointer is. */
static const uint8_t empty_key[1];

static struct key key_of_bytes(const struct map *map, struct view key)
{
    uint64_t hash = hash_bytes(map->seed, key);
    return (struct key){key.data ? key.data : empty_key, key.size, (uint32_t)(hash ^ hash >> 32)};
}

static struct key key_of_number(const struct map *map, uint64_t key)
{
    uint64_t hash = hash_u64(map->seed, key);
    return (struct key){NULL, key, (uint32_t)(hash ^ hash >> 32)};
}

static size_t block_size(uint32_t capacity)
{
    return capacity * (sizeof(struct map_entry) + 2 * sizeof(uint32_t));
}

void map_init(struct map *map, struct heap *heap, enum memory_class memory_class, uint64_t seed)
{
    *map = (struct map){.heap = heap, .memory_class = memory_class, .seed = seed};
}

void map_deinit(struct map *map)
{
    if (map->capacity)
        heap_put(map->heap, map->memory_class, map->entries, block_size(map->capacity));
    map_init(map, map->heap, map->memory_class, map->seed);
}

void map_clear(struct map *map)
{
    if (map->capacity)
        memset(map->slots, 0, 2 * sizeof(uint32_t) * map->capacity);
    map->used = 0;
    map->count = 0;
    map->first = 0;
}

static bool entry_matches(const struct map_entry *entry, const struct key *key)
{
    if (!entry->live || entry->hash != key->hash || entry->key_number != key->number)
        return false;
    if (!key->data)
        return true;
    return memcmp(entry->key_data, key->data, (size_t)key->number) == 0;
}

/* The slot of a key, or the free slot where it belongs. The map has capacity. */
static uint32_t slot_of(const struct map *map, const struct key *key)
{
    uint32_t mask = 2 * map->capacity - 1;
    uint32_t slot = key->hash & mask;
    while (map->slots[slot] != 0 && !entry_matches(&map->entries[map->slots[slot] - 1], key))
        slot = (slot + 1) & mask;
    return slot;
}

static struct map_entry *find(const struct map *map, const struct key *key)
{
    if (map->count == 0)
        return NULL;
    uint32_t slot = slot_of(map, key);
    return map->slots[slot] ? &map->entries[map->slots[slot] - 1] : NULL;
}

struct map_entry *map_find(const struct map *map, struct view key)
{
    struct key wanted = key_of_bytes(map, key);
    return find(map, &wanted);
}

struct map_entry *map_find_number(const struct map *map, uint64_t key)
{
    struct key wanted = key_of_number(map, key);
    return find(map, &wanted);
}

/* Lays the live entries out anew, leaving room for at least as many again. */
static bool rebuild(struct map *map)
{
    uint32_t capacity = CAPACITY_MIN;
    while (capacity < CAPACITY_MAX && capacity / 2 < map->count)
        capacity *= 2;
    if (capacity <= map->count)
        return false;
    struct map_entry *entries = heap_get(map->heap, map->memory_class, block_size(capacity));
    if (!entries)
        return false;
    uint32_t *slots = (uint32_t *)(void *)(entries + capacity);
    memset(slots, 0, 2 * sizeof(uint32_t) * capacity);
    uint32_t mask = 2 * capacity - 1;
    uint32_t used = 0;
    map_for_each(entry, map)
    {
        uint32_t slot = entry->hash & mask;
        while (slots[slot] != 0)
            slot = (slot + 1) & mask;
        entries[used++] = *entry;
        slots[slot] = used;
    }
    klamm_assert(used == map->count);
    if (map->capacity)
        heap_put(map->heap, map->memory_class, map->entries, block_size(map->capacity));
    map->entries = entries;
    map->slots = slots;
    map->capacity = capacity;
    map->used = used;
    map->first = 0;
    return true;
}

static struct map_entry *add(struct map *map, const struct key *key, bool *added)
{
    struct map_entry *entry = find(map, key);
    if (added)
        *added = !entry;
    if (entry)
        return entry;
    if (map->used == map->capacity && !rebuild(map))
        return NULL;
    uint32_t slot = slot_of(map, key);
    entry = &map->entries[map->used++];
    *entry = (struct map_entry){
        .key_data = key->data, .key_number = key->number, .hash = key->hash, .live = true};
    map->slots[slot] = map->used;
    map->count++;
    return entry;
}

struct map_entry *map_add(struct map *map, struct view key, bool *added)
{
    struct key wanted = key_of_bytes(map, key);
    return add(map, &wanted, added);
}

struct map_entry *map_add_number(struct map *map, uint64_t key, bool *added)
{
    struct key wanted = key_of_number(map, key);
    return add(map, &wanted, added);
}

void map_remove_entry(struct map *map, struct map_entry *entry)
{
    klamm_assert(entry >= map->entries && entry < map->entries + map->used);
    klamm_assert(entry->live);
    entry->live = false;
    map->count--;
    while (map->first < map->used && !map->entries[map->first].live)
        map->first++;
}

struct map_entry *map_live_from(const struct map *map, uint32_t place)
{
    for (; place < map->used; place++) {
        if (map->entries[place].live)
            return &map->entries[place];
    }
    return NULL;
}
