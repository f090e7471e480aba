/*
 * Looking up rows: binary search by name, and the nearest name by edit distance.
 */
#include "config/definition.h"

#include "config/definition_tables.h"

struct config_definitions config_all(enum config_scope scope)
{
    return config_tables[scope];
}

const struct config_definition *config_find(enum config_scope scope, struct view name)
{
    struct config_definitions all = config_all(scope);
    size_t low = 0;
    size_t high = all.count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        int order = view_compare(all.rows[middle].name, name);
        if (order == 0)
            return &all.rows[middle];
        if (order < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return NULL;
}

/* Longer names are not compared: the row of the table below is one stack array. */
#define NEAREST_NAME_SIZE_MAX 96

/*
 * Edit distance (insert, delete, replace; a swap of neighbours counts as two) of `a` and `b`, or
 * `limit` + 1 when it is larger than `limit`.
 */
static size_t edit_distance(struct view a, struct view b, size_t limit)
{
    if (a.size > NEAREST_NAME_SIZE_MAX || b.size > NEAREST_NAME_SIZE_MAX)
        return limit + 1;
    size_t row[NEAREST_NAME_SIZE_MAX + 1];
    for (size_t j = 0; j <= b.size; j++)
        row[j] = j;
    for (size_t i = 1; i <= a.size; i++) {
        size_t diagonal = row[0];
        size_t best = row[0] = i;
        for (size_t j = 1; j <= b.size; j++) {
            size_t replaced = diagonal + (a.data[i - 1] != b.data[j - 1]);
            diagonal = row[j];
            size_t changed = 1 + (row[j] < row[j - 1] ? row[j] : row[j - 1]);
            row[j] = replaced < changed ? replaced : changed;
            if (row[j] < best)
                best = row[j];
        }
        if (best > limit)
            return limit + 1;
    }
    return row[b.size];
}

const struct config_definition *config_nearest(enum config_scope scope, struct view name)
{
    struct config_definitions all = config_all(scope);
    const struct config_definition *nearest = NULL;
    size_t limit = name.size / 3;
    for (size_t i = 0; i < all.count; i++) {
        if (all.rows[i].internal)
            continue;
        size_t distance = edit_distance(name, all.rows[i].name, limit);
        if (distance > limit)
            continue;
        nearest = &all.rows[i];
        if (distance == 0)
            break;
        limit = distance - 1;
    }
    return nearest;
}

const char *config_type_name(enum config_type type)
{
    switch (type) {
    case CONFIG_BOOLEAN:
        return "BOOLEAN";
    case CONFIG_STRING:
        return "STRING";
    case CONFIG_INT:
        return "INT";
    case CONFIG_SHORT:
        return "SHORT";
    case CONFIG_LONG:
        return "LONG";
    case CONFIG_DOUBLE:
        return "DOUBLE";
    case CONFIG_LIST:
        return "LIST";
    case CONFIG_CLASS:
        return "CLASS";
    case CONFIG_PASSWORD:
        return "PASSWORD";
    case CONFIG_UNKNOWN:
        break;
    }
    return "UNKNOWN";
}
