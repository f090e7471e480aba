/*
 * A stable merge sort: equal items keep their order, so results do not depend on the C library's
 * choice of algorithm.
 */
#ifndef KLAMM_BASE_SORT_H
#define KLAMM_BASE_SORT_H

#include <stdbool.h>
#include <stddef.h>

#include "base/memory.h"

/* Below zero, zero, above zero: a stands before, with, behind b. */
typedef int (*sort_compare)(const void *a, const void *b, void *context);

/*
 * Sorts `count` items of `size` bytes. `scratch` has room for as many bytes again (it may be NULL
 * when count < 2). At most count * log2(count) comparisons; an already sorted array takes count
 * - 1.
 */
void sort_stable(void *items, size_t count, size_t size, void *scratch, sort_compare compare,
                 void *context);
/* The same with scratch memory from a heap; false (unsorted) when it is refused. */
bool sort_stable_on(struct heap *heap, void *items, size_t count, size_t size, sort_compare compare,
                    void *context);
/*
 * The first index of a sorted array whose item does not stand before `key` (count when none):
 * compare(item, key, context).
 */
size_t sort_lower_bound(const void *items, size_t count, size_t size, const void *key,
                        sort_compare compare, void *context);

#endif
