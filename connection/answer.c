/*
 * One allocation per answer: struct, slices, bytes, in this order. Slices that continue the one
 * before them in memory are merged, so a response without file ranges is always one slice.
 */
#include "connection/answer.h"

#include "base/assert.h"

static size_t align_up(size_t size)
{
    return (size + 15) & ~(size_t)15;
}

struct answer *answer_create(struct heap *heap, size_t byte_size, size_t slice_capacity)
{
    size_t head = align_up(sizeof(struct answer));
    size_t list = align_up(slice_capacity * sizeof(struct slice));
    size_t held = head + list + byte_size;
    uint8_t *block = heap_get(heap, MEMORY_ANSWER, held);
    klamm_assert(block != NULL);
    struct answer *answer = (struct answer *)(void *)block;
    *answer = (struct answer){
        .heap = heap,
        .held_size = held,
        .slice_capacity = slice_capacity,
        .slices = (struct slice *)(void *)(block + head),
        .bytes = block + head + list,
        .byte_size = byte_size,
    };
    return answer;
}

void answer_add_memory(struct answer *answer, const uint8_t *data, size_t size)
{
    if (size == 0)
        return;
    answer->size += size;
    if (answer->slice_count > 0) {
        struct slice *last = &answer->slices[answer->slice_count - 1];
        if (last->kind == SLICE_MEMORY && last->data + last->size == data) {
            last->size += size;
            return;
        }
    }
    klamm_assert(answer->slice_count < answer->slice_capacity);
    answer->slices[answer->slice_count++] =
        (struct slice){.kind = SLICE_MEMORY, .data = data, .size = size};
}

void answer_add_file(struct answer *answer, struct storage_file *file, uint64_t offset, size_t size)
{
    klamm_assert(answer->slice_count < answer->slice_capacity);
    answer->slices[answer->slice_count++] =
        (struct slice){.kind = SLICE_FILE, .file = file, .offset = offset, .size = size};
    answer->size += size;
    answer->has_file = true;
}

void answer_destroy(struct answer *answer)
{
    if (answer->release)
        answer->release(answer);
    heap_put(answer->heap, MEMORY_ANSWER, answer, answer->held_size);
}
