/*
 * A list of chunks, each filled from the front. A block that does not fit the newest chunk opens a
 * chunk of twice the size of the last one (64 KiB at most), or one of its own when it is larger.
 */
#include "base/arena.h"

#include <assert.h>

#include "base/assert.h"

enum { CHUNK_SIZE_MIN = 1024, CHUNK_SIZE_MAX = 64 * 1024, ALIGNMENT = 16 };

struct arena_chunk {
    struct arena_chunk *older;
    size_t capacity; /* bytes behind this header */
    size_t used;
    size_t reserved; /* keeps the header a multiple of the alignment */
};

static_assert(sizeof(struct arena_chunk) % ALIGNMENT == 0, "blocks start aligned");

void arena_init(struct arena *arena, struct heap *heap, enum memory_class memory_class,
                size_t limit)
{
    *arena = (struct arena){.heap = heap, .memory_class = memory_class, .limit = limit};
}

static struct arena_chunk *chunk_open(struct arena *arena, size_t needed)
{
    size_t capacity = arena->chunks ? arena->chunks->capacity * 2 : CHUNK_SIZE_MIN;
    if (capacity > CHUNK_SIZE_MAX)
        capacity = CHUNK_SIZE_MAX;
    if (capacity < needed)
        capacity = needed;
    size_t total = capacity + sizeof(struct arena_chunk);
    if (arena->limit != 0 && (total > arena->limit || arena->held > arena->limit - total))
        return NULL;
    struct arena_chunk *chunk = heap_get(arena->heap, arena->memory_class, total);
    if (!chunk)
        return NULL;
    *chunk = (struct arena_chunk){.older = arena->chunks, .capacity = capacity};
    arena->chunks = chunk;
    arena->held += total;
    return chunk;
}

static void chunk_close(struct arena *arena, struct arena_chunk *chunk)
{
    size_t total = chunk->capacity + sizeof(*chunk);
    arena->held -= total;
    heap_put(arena->heap, arena->memory_class, chunk, total);
}

void *arena_get(struct arena *arena, size_t size)
{
    if (size > SIZE_MAX / 2)
        return NULL;
    size = size == 0 ? ALIGNMENT : (size + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
    struct arena_chunk *chunk = arena->chunks;
    if (!chunk || chunk->capacity - chunk->used < size) {
        chunk = chunk_open(arena, size);
        if (!chunk)
            return NULL;
    }
    void *block = (uint8_t *)(chunk + 1) + chunk->used;
    chunk->used += size;
    return block;
}

void *arena_get_array(struct arena *arena, size_t count, size_t size)
{
    if (size != 0 && count > SIZE_MAX / 2 / size)
        return NULL;
    void *block = arena_get(arena, count * size);
    if (block && count * size > 0)
        memset(block, 0, count * size);
    return block;
}

void *arena_must_get(struct arena *arena, size_t count, size_t size)
{
    void *block = arena_get_array(arena, count, size);
    if (!block)
        klamm_halt(__FILE__, __LINE__, "out of memory for an array that cannot be refused");
    return block;
}

struct view arena_copy(struct arena *arena, struct view view)
{
    if (view_is_null(view))
        return view;
    uint8_t *copy = arena_get(arena, view.size);
    if (!copy)
        return VIEW_NULL;
    if (view.size)
        memcpy(copy, view.data, view.size);
    return view_of(copy, view.size);
}

void arena_reset(struct arena *arena)
{
    struct arena_chunk *chunk = arena->chunks;
    if (!chunk)
        return;
    while (chunk->older) {
        struct arena_chunk *older = chunk->older;
        chunk->older = older->older;
        chunk_close(arena, older);
    }
    if (chunk->capacity > CHUNK_SIZE_MAX) {
        chunk_close(arena, chunk);
        arena->chunks = NULL;
        return;
    }
    chunk->used = 0;
}

void arena_deinit(struct arena *arena)
{
    while (arena->chunks) {
        struct arena_chunk *chunk = arena->chunks;
        arena->chunks = chunk->older;
        chunk_close(arena, chunk);
    }
}
