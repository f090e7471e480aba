/*
 * An arena: memory of one lifetime (a request, a decode, a job step), given back all at once.
 *
 * Invariants:
 *  1. Every block is aligned for any type and lives until arena_reset or arena_deinit.
 *  2. The arena never holds more than its limit; a refusal returns NULL and changes nothing.
 */
#ifndef KLAMM_BASE_ARENA_H
#define KLAMM_BASE_ARENA_H

#include "base/bytes.h"
#include "base/memory.h"

struct arena_chunk;

struct arena {
    struct heap *heap;
    enum memory_class memory_class;
    struct arena_chunk *chunks; /* newest first */
    size_t limit;               /* bytes of all chunks together; 0: only the heap limits */
    size_t held;                /* bytes of all chunks together */
};

/* No memory is taken before the first arena_get. */
void arena_init(struct arena *arena, struct heap *heap, enum memory_class memory_class,
                size_t limit);
/* Uninitialised memory (size 0 gives a valid, unusable pointer), or NULL when refused. */
void *arena_get(struct arena *arena, size_t size);
/* count * size bytes of zeros, or NULL when refused or when the product overflows. */
void *arena_get_array(struct arena *arena, size_t count, size_t size);
/*
 * As arena_get_array, for what cannot be refused: an arena without a limit of its own, and memory
 * without which its owner cannot go on. Halts instead of answering NULL.
 */
void *arena_must_get(struct arena *arena, size_t count, size_t size);
/* A copy of `view` that lives as long as the arena; the null view when `view` is null or refused.
 */
struct view arena_copy(struct arena *arena, struct view view);
/* Gives everything back but keeps one chunk for the next use. */
void arena_reset(struct arena *arena);
/* Gives everything back. */
void arena_deinit(struct arena *arena);

#endif
