/* Counting and limits on top of a heap's backend; the rules are in the header. */
#include "base/memory.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"

void *heap_get(struct heap *heap, enum memory_class memory_class, size_t size)
{
    klamm_assert(size > 0);
    klamm_assert(memory_class < MEMORY_CLASSES);
    uint64_t limit = heap->limit[memory_class];
    if (limit != 0 && (size > limit || heap->used[memory_class] > limit - size))
        return NULL;
    void *block = heap->get(heap, size);
    if (block)
        heap->used[memory_class] += size;
    return block;
}

void *heap_get_zeroed(struct heap *heap, enum memory_class memory_class, size_t size)
{
    void *block = heap_get(heap, memory_class, size);
    if (block)
        memset(block, 0, size);
    return block;
}

void *heap_must_get(struct heap *heap, enum memory_class memory_class, size_t size)
{
    void *block = heap_get_zeroed(heap, memory_class, size);
    if (!block)
        klamm_halt(__FILE__, __LINE__, "out of memory for state that cannot be refused");
    return block;
}

void heap_put(struct heap *heap, enum memory_class memory_class, void *block, size_t size)
{
    if (!block)
        return;
    klamm_assert(memory_class < MEMORY_CLASSES);
    klamm_assert(heap->used[memory_class] >= size);
    heap->used[memory_class] -= size;
    heap->put(heap, block, size);
}

void *heap_resize(struct heap *heap, enum memory_class memory_class, void *block, size_t old_size,
                  size_t new_size)
{
    void *moved = heap_get(heap, memory_class, new_size);
    if (!moved)
        return NULL;
    if (block) {
        memcpy(moved, block, old_size < new_size ? old_size : new_size);
        heap_put(heap, memory_class, block, old_size);
    }
    return moved;
}

static void *plain_get(struct heap *heap, size_t size)
{
    (void)heap;
    return malloc(size);
}

static void plain_put(struct heap *heap, void *block, size_t size)
{
    (void)heap;
    (void)size;
    free(block);
}

void heap_init_plain(struct heap *heap)
{
    *heap = (struct heap){.get = plain_get, .put = plain_put};
}
