/*
 * A set of overrides of one resource: key to text, as metadata and property files hold them.
 *
 * Invariants:
 *  1. Entries are sorted by name (unsigned byte order) and names are unique.
 *  2. The set borrows its entries and their bytes; whoever built it says how long they live.
 */
#ifndef KLAMM_CONFIG_SET_H
#define KLAMM_CONFIG_SET_H

#include "base/arena.h"

struct config_entry {
    struct view name;
    struct view value; /* never null in a set; null in a list of changes: removed */
};

struct config_set {
    const struct config_entry *entries;
    size_t count;
};

#define CONFIG_SET_EMPTY ((struct config_set){NULL, 0})

/* The value of `name`, or null when the set has none. `set` may be NULL. */
struct view config_set_get(const struct config_set *set, struct view name);
/*
 * Sorts a copy of `entries` into a set held by the arena; of equal names the last wins and a null
 * value takes the name out. The bytes stay borrowed. False when the arena refuses.
 */
bool config_set_build(struct config_set *set, const struct config_entry *entries, size_t count,
                      struct arena *arena);
/*
 * `base` with `changes` applied (a null value removes), held by the arena; bytes stay borrowed from
 * both. False when the arena refuses.
 */
bool config_set_apply(struct config_set *set, const struct config_set *base,
                      const struct config_entry *changes, size_t change_count, struct arena *arena);

#endif
