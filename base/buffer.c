/* Capacity doubles from 256 bytes, so appending n bytes one by one copies at most 2n. */
#include "base/buffer.h"

#include "base/assert.h"

enum { CAPACITY_MIN = 256 };

void buffer_init(struct buffer *buffer, struct heap *heap, enum memory_class memory_class,
                 size_t limit)
{
    *buffer = (struct buffer){.heap = heap, .memory_class = memory_class, .limit = limit};
}

void buffer_deinit(struct buffer *buffer)
{
    heap_put(buffer->heap, buffer->memory_class, buffer->data, buffer->capacity);
    buffer_init(buffer, buffer->heap, buffer->memory_class, buffer->limit);
}

bool buffer_reserve(struct buffer *buffer, size_t more)
{
    if (buffer->capacity - buffer->size >= more && buffer->data)
        return true;
    size_t most = buffer->limit ? buffer->limit : SIZE_MAX / 4;
    if (more > most || buffer->size > most - more)
        return false;
    size_t capacity = buffer->capacity ? buffer->capacity : CAPACITY_MIN;
    while (capacity < buffer->size + more)
        capacity *= 2;
    if (capacity > most)
        capacity = most;
    klamm_assert(capacity >= buffer->size + more);
    void *moved =
        heap_resize(buffer->heap, buffer->memory_class, buffer->data, buffer->capacity, capacity);
    if (!moved)
        return false;
    buffer->data = moved;
    buffer->capacity = capacity;
    return true;
}

bool buffer_append(struct buffer *buffer, const void *data, size_t size)
{
    if (!buffer_reserve(buffer, size))
        return false;
    if (size > 0)
        memcpy(buffer_end(buffer), data, size);
    buffer->size += size;
    return true;
}
