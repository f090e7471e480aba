/*
 * Bottom up: runs of 8 by insertion, then merges of twice the width through the scratch array. A
 * pair of runs that is in order already is left alone.
 */
#include "base/sort.h"

#include <stdint.h>
#include <string.h>

enum { RUN_COUNT = 8 };

struct sorting {
    uint8_t *items;
    uint8_t *scratch;
    size_t count;
    size_t size;
    sort_compare compare;
    void *context;
};

static uint8_t *item_at(const struct sorting *sorting, size_t index)
{
    return sorting->items + index * sorting->size;
}

static bool in_order(const struct sorting *sorting, const void *a, const void *b)
{
    return sorting->compare(a, b, sorting->context) <= 0;
}

static void insert_run(const struct sorting *sorting, size_t first, size_t end)
{
    size_t size = sorting->size;
    for (size_t i = first + 1; i < end; i++) {
        size_t place = i;
        while (place > first &&
               !in_order(sorting, item_at(sorting, place - 1), item_at(sorting, i)))
            place--;
        if (place == i)
            continue;
        memcpy(sorting->scratch, item_at(sorting, i), size);
        memmove(item_at(sorting, place + 1), item_at(sorting, place), (i - place) * size);
        memcpy(item_at(sorting, place), sorting->scratch, size);
    }
}

/* Merges the neighbouring runs [first, middle) and [middle, end). */
static void merge_runs(const struct sorting *sorting, size_t first, size_t middle, size_t end)
{
    size_t size = sorting->size;
    if (in_order(sorting, item_at(sorting, middle - 1), item_at(sorting, middle)))
        return;
    size_t left_count = middle - first;
    memcpy(sorting->scratch, item_at(sorting, first), left_count * size);
    const uint8_t *left = sorting->scratch;
    const uint8_t *left_end = left + left_count * size;
    const uint8_t *right = item_at(sorting, middle);
    const uint8_t *right_end = item_at(sorting, end - 1) + size;
    uint8_t *to = item_at(sorting, first);
    while (left < left_end && right < right_end) {
        const uint8_t **taken = in_order(sorting, left, right) ? &left : &right;
        memcpy(to, *taken, size);
        *taken += size;
        to += size;
    }
    memcpy(to, left, (size_t)(left_end - left));
}

void sort_stable(void *items, size_t count, size_t size, void *scratch, sort_compare compare,
                 void *context)
{
    if (count < 2 || size == 0)
        return;
    struct sorting sorting = {items, scratch, count, size, compare, context};
    for (size_t first = 0; first < count; first += RUN_COUNT)
        insert_run(&sorting, first, count - first < RUN_COUNT ? count : first + RUN_COUNT);
    for (size_t width = RUN_COUNT; width < count; width *= 2) {
        for (size_t first = 0; count - first > width; first += 2 * width) {
            size_t end = count - first < 2 * width ? count : first + 2 * width;
            merge_runs(&sorting, first, first + width, end);
            if (end == count)
                break;
        }
    }
}

bool sort_stable_on(struct heap *heap, void *items, size_t count, size_t size, sort_compare compare,
                    void *context)
{
    if (count < 2 || size == 0)
        return true;
    void *scratch = heap_get(heap, MEMORY_SCRATCH, count * size);
    if (!scratch)
        return false;
    sort_stable(items, count, size, scratch, compare, context);
    heap_put(heap, MEMORY_SCRATCH, scratch, count * size);
    return true;
}

size_t sort_lower_bound(const void *items, size_t count, size_t size, const void *key,
                        sort_compare compare, void *context)
{
    const uint8_t *bytes = items;
    size_t first = 0;
    while (count > 0) {
        size_t half = count / 2;
        if (compare(bytes + (first + half) * size, key, context) < 0) {
            first += half + 1;
            count -= half + 1;
        } else {
            count = half;
        }
    }
    return first;
}
