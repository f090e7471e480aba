/*
 * A hash map that iterates in insertion order, so that equal inputs give equal behaviour.
 *
 * Keys are byte ranges or 64-bit integers; one map uses one kind. Byte keys are borrowed: they
 * usually lie in the value, and must stay unchanged while they are in the map. A value is a pointer
 * or a 64-bit number. Nothing is allocated before the first key.
 *
 * Invariants:
 *  1. The entries [0, used) are in insertion order; the dead among them are skipped. Replacing the
 *     value of a key keeps its place, removing and adding it again puts it last.
 *  2. count <= used <= capacity, slots hold twice the capacity: a probe always ends.
 *  3. A pointer to an entry is good until the next map_add. Removing moves nothing, so the body of
 *     map_for_each may remove any entry, but must not add.
 */
#ifndef KLAMM_BASE_MAP_H
#define KLAMM_BASE_MAP_H

#include "base/bytes.h"
#include "base/memory.h"

struct map_entry {
    const uint8_t *key_data; /* NULL: the key is the integer in key_number */
    uint64_t key_number;     /* the integer, or the size of the byte key */
    union {
        void *value;
        uint64_t number;
    };
    uint32_t hash;
    bool live;
};

struct map {
    struct heap *heap;
    enum memory_class memory_class;
    uint64_t seed;
    struct map_entry *entries; /* [capacity] */
    uint32_t *slots;           /* [2 * capacity]: 1 + index of an entry, 0 for free */
    uint32_t capacity;         /* a power of two, or 0 */
    uint32_t used;
    uint32_t count;
    uint32_t first; /* no live entry stands before it */
};

/* An empty map; takes no memory yet. `seed` spreads the hashes. */
void map_init(struct map *map, struct heap *heap, enum memory_class memory_class, uint64_t seed);
/* Gives the map's own memory back; what the values point to is the caller's. */
void map_deinit(struct map *map);
/* Removes every key; keeps the memory. */
void map_clear(struct map *map);

static inline uint32_t map_count(const struct map *map)
{
    return map->count;
}

/* The entry of a key, or NULL. The caller may change its value. */
struct map_entry *map_find(const struct map *map, struct view key);
struct map_entry *map_find_number(const struct map *map, uint64_t key);

/*
 * The entry of a key, added with a zero value when it is absent (`*added`, which may be NULL,
 * tells). NULL when memory is refused or 2^30 keys are reached; the map is unchanged then.
 */
struct map_entry *map_add(struct map *map, struct view key, bool *added);
struct map_entry *map_add_number(struct map *map, uint64_t key, bool *added);

/* Takes an entry of this map out. */
void map_remove_entry(struct map *map, struct map_entry *entry);

/* The first live entry at or behind a place; NULL at the end. For map_for_each. */
struct map_entry *map_live_from(const struct map *map, uint32_t place);

static inline struct map_entry *map_first(const struct map *map)
{
    return map_live_from(map, map->first);
}

static inline struct map_entry *map_next(const struct map *map, const struct map_entry *entry)
{
    return map_live_from(map, (uint32_t)(entry - map->entries) + 1);
}

/* Runs over the live entries in insertion order. */
#define map_for_each(entry, map)                                                                   \
    for (struct map_entry *entry = map_first(map); entry; entry = map_next(map, entry))

/* The byte key of an entry. */
static inline struct view map_entry_key(const struct map_entry *entry)
{
    return view_of(entry->key_data, (size_t)entry->key_number);
}

/* The value of a key, or NULL. */
static inline void *map_get(const struct map *map, struct view key)
{
    struct map_entry *entry = map_find(map, key);
    return entry ? entry->value : NULL;
}

static inline void *map_get_number(const struct map *map, uint64_t key)
{
    struct map_entry *entry = map_find_number(map, key);
    return entry ? entry->value : NULL;
}

/* Sets the value of a key, present or not; false when memory is refused. */
static inline bool map_put(struct map *map, struct view key, void *value)
{
    struct map_entry *entry = map_add(map, key, NULL);
    if (!entry)
        return false;
    entry->key_data = key.data ? key.data : entry->key_data;
    entry->value = value;
    return true;
}

static inline bool map_put_number(struct map *map, uint64_t key, void *value)
{
    struct map_entry *entry = map_add_number(map, key, NULL);
    if (!entry)
        return false;
    entry->value = value;
    return true;
}

/* Removes a key and returns the value that it had; NULL when absent. */
static inline void *map_remove(struct map *map, struct view key)
{
    struct map_entry *entry = map_find(map, key);
    if (!entry)
        return NULL;
    void *value = entry->value;
    map_remove_entry(map, entry);
    return value;
}

static inline void *map_remove_number(struct map *map, uint64_t key)
{
    struct map_entry *entry = map_find_number(map, key);
    if (!entry)
        return NULL;
    void *value = entry->value;
    map_remove_entry(map, entry);
    return value;
}

#endif
