/*
 * Sets are sorted arrays: binary search to read, one stable sort or one merge to build.
 */
#include "config/set.h"

#include "base/sort.h"

struct view config_set_get(const struct config_set *set, struct view name)
{
    size_t low = 0;
    size_t high = set ? set->count : 0;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        int order = view_compare(set->entries[middle].name, name);
        if (order == 0)
            return set->entries[middle].value;
        if (order < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return VIEW_NULL;
}

static int compare_names(const void *a, const void *b, void *context)
{
    (void)context;
    const struct config_entry *left = a;
    const struct config_entry *right = b;
    return view_compare(left->name, right->name);
}

bool config_set_build(struct config_set *set, const struct config_entry *entries, size_t count,
                      struct arena *arena)
{
    *set = CONFIG_SET_EMPTY;
    if (count == 0)
        return true;
    struct config_entry *sorted = arena_get_array(arena, count, sizeof(*sorted));
    struct config_entry *scratch = arena_get_array(arena, count, sizeof(*scratch));
    if (!sorted || !scratch)
        return false;
    memcpy(sorted, entries, count * sizeof(*sorted));
    sort_stable(sorted, count, sizeof(*sorted), scratch, compare_names, NULL);
    size_t kept = 0;
    for (size_t i = 0; i < count; i++) {
        bool last = i + 1 == count || !view_equal(sorted[i].name, sorted[i + 1].name);
        if (last && !view_is_null(sorted[i].value))
            sorted[kept++] = sorted[i];
    }
    *set = (struct config_set){sorted, kept};
    return true;
}

bool config_set_apply(struct config_set *set, const struct config_set *base,
                      const struct config_entry *changes, size_t change_count, struct arena *arena)
{
    size_t base_count = base ? base->count : 0;
    struct config_entry *all = arena_get_array(arena, base_count + change_count, sizeof(*all));
    if (!all)
        return false;
    if (base_count > 0)
        memcpy(all, base->entries, base_count * sizeof(*all));
    if (change_count > 0)
        memcpy(all + base_count, changes, change_count * sizeof(*all));
    return config_set_build(set, all, base_count + change_count, arena);
}
