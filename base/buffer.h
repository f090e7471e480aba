/*
 * A growing range of bytes from a heap, with a limit.
 *
 * Invariants:
 *  1. size <= capacity <= limit (limit 0: as far as the heap allows).
 *  2. A refusal changes nothing: what was written stays.
 *  3. Growing may move the bytes: views into a buffer are good until the next call that grows it.
 */
#ifndef KLAMM_BASE_BUFFER_H
#define KLAMM_BASE_BUFFER_H

#include "base/bytes.h"
#include "base/memory.h"

struct buffer {
    struct heap *heap;
    enum memory_class memory_class;
    uint8_t *data;
    size_t size;     /* bytes in use */
    size_t capacity; /* bytes */
    size_t limit;    /* bytes; 0: none */
};

/* An empty buffer; takes no memory yet. */
void buffer_init(struct buffer *buffer, struct heap *heap, enum memory_class memory_class,
                 size_t limit);
/* Gives the memory back; the buffer is empty and usable again. */
void buffer_deinit(struct buffer *buffer);
/* Makes room for `more` bytes behind `size`, doubling; false when the limit or the heap refuses. */
bool buffer_reserve(struct buffer *buffer, size_t more);
/* Appends; false (unchanged) when refused. */
bool buffer_append(struct buffer *buffer, const void *data, size_t size);

static inline void buffer_clear(struct buffer *buffer)
{
    buffer->size = 0;
}

/* Where the next bytes belong, after buffer_reserve. */
static inline uint8_t *buffer_end(struct buffer *buffer)
{
    return buffer->data + buffer->size;
}

static inline size_t buffer_room(const struct buffer *buffer)
{
    return buffer->capacity - buffer->size;
}

static inline struct view buffer_view(const struct buffer *buffer)
{
    return view_of(buffer->data, buffer->size);
}

#endif
