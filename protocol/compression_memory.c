/* Blocks for codec libraries: 16 bytes in front hold the size, which keeps the block aligned. */
#include "protocol/compression_internal.h"

enum { PREFIX_SIZE = 16 };

void *compression_block_get(struct heap *heap, size_t size)
{
    if (size > SIZE_MAX / 2)
        return NULL;
    uint8_t *block = heap_get(heap, MEMORY_SCRATCH, size + PREFIX_SIZE);
    if (!block)
        return NULL;
    memcpy(block, &size, sizeof(size));
    return block + PREFIX_SIZE;
}

void compression_block_put(struct heap *heap, void *block)
{
    if (!block)
        return;
    uint8_t *start = (uint8_t *)block - PREFIX_SIZE;
    size_t size;
    memcpy(&size, start, sizeof(size));
    heap_put(heap, MEMORY_SCRATCH, start, size + PREFIX_SIZE);
}
