/*
 * The memory seam: every allocation comes from a loop's heap, by class, under a limit.
 *
 * A heap is used by one thread at a time (its loop's; a job's heap moves with the job). The backend
 * is handed in: mimalloc in runtime/posix, a list of blocks that a crash drops in tests/sim.
 *
 * Invariants:
 *  1. used[class] is the sum of the sizes of the blocks of that class that are not put back.
 *  2. A refusal (NULL) changes nothing. Admission points (frames, answers, connections) handle it;
 *     everywhere else heap_must_get halts, because state without memory cannot be continued.
 */
#ifndef KLAMM_BASE_MEMORY_H
#define KLAMM_BASE_MEMORY_H

#include <stddef.h>
#include <stdint.h>

enum memory_class {
    MEMORY_STATE,      /* long-lived: partitions, metadata, tables */
    MEMORY_CONNECTION, /* per connection */
    MEMORY_FRAME,      /* requests as received */
    MEMORY_ANSWER,     /* answers until sent */
    MEMORY_SCRATCH,    /* within a turn, a request or a job */
    MEMORY_CLASSES
};

struct heap {
    /* Backend: `get` returns NULL when out of memory; `put` takes what `get` gave, with its size.
     */
    void *(*get)(struct heap *heap, size_t size);
    void (*put)(struct heap *heap, void *block, size_t size);
    void *backend;
    uint64_t used[MEMORY_CLASSES];  /* bytes */
    uint64_t limit[MEMORY_CLASSES]; /* bytes; 0: no limit */
};

/* Uninitialised memory, or NULL when the limit or the backend refuses. size > 0. */
void *heap_get(struct heap *heap, enum memory_class memory_class, size_t size);
/* The same, filled with zeros. */
void *heap_get_zeroed(struct heap *heap, enum memory_class memory_class, size_t size);
/* The same as heap_get_zeroed, but halts instead of refusing. */
void *heap_must_get(struct heap *heap, enum memory_class memory_class, size_t size);
/* Gives back; `size` and class as when gotten. NULL is fine. */
void heap_put(struct heap *heap, enum memory_class memory_class, void *block, size_t size);
/*
 * Moves a block to another size, keeping the common prefix; the old block is gone on success and
 * untouched on refusal (NULL).
 */
void *heap_resize(struct heap *heap, enum memory_class memory_class, void *block, size_t old_size,
                  size_t new_size);

/* A heap on the C library, for tools, tests and code without a loop. */
void heap_init_plain(struct heap *heap);

#endif
