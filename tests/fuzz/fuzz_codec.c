/*
 * Compressed bytes of one codec (FUZZ_CODEC). Any input: what comes out is within the limit, and
 * goes through our own compressor and back, equal.
 */
#include "tests/fuzz/fuzz.h"

#include "base/assert.h"
#include "base/random.h"
#include "protocol/compression.h"

enum { PLAIN_SIZE_MAX = 256 * 1024, SEED_SIZE_MAX = 3000 };

void fuzz_one(const uint8_t *data, size_t size)
{
    struct heap heap;
    struct buffer plain, packed, again;
    heap_init_plain(&heap);
    buffer_init(&plain, &heap, MEMORY_SCRATCH, 0);
    buffer_init(&packed, &heap, MEMORY_SCRATCH, 0);
    buffer_init(&again, &heap, MEMORY_SCRATCH, 0);
    enum compression_result result =
        compression_decompress(FUZZ_CODEC, view_of(data, size), PLAIN_SIZE_MAX, &plain);
    klamm_assert(plain.size <= PLAIN_SIZE_MAX);
    klamm_assert(result != COMPRESSION_OUT_OF_MEMORY);
    if (result == COMPRESSION_OK && plain.size > 0) {
        klamm_assert(compression_compress(FUZZ_CODEC, compression_level_default(FUZZ_CODEC),
                                          buffer_view(&plain), &packed) == COMPRESSION_OK);
        klamm_assert(compression_decompress(FUZZ_CODEC, buffer_view(&packed), plain.size, &again) ==
                     COMPRESSION_OK);
        klamm_assert(view_equal(buffer_view(&plain), buffer_view(&again)));
    }
    buffer_deinit(&plain);
    buffer_deinit(&packed);
    buffer_deinit(&again);
    klamm_assert(heap.used[MEMORY_SCRATCH] == 0);
}

size_t fuzz_seed(uint64_t number, uint8_t *data, size_t capacity)
{
    uint8_t input[SEED_SIZE_MAX];
    struct random_stream random;
    struct heap heap;
    struct buffer packed;
    random_init(&random, 31, number);
    size_t size = (size_t)random_below(&random, sizeof(input));
    uint64_t alphabet = 1 + random_below(&random, number % 5 == 0 ? 256 : 4);
    for (size_t i = 0; i < size; i++)
        input[i] = (uint8_t)random_below(&random, alphabet);
    heap_init_plain(&heap);
    buffer_init(&packed, &heap, MEMORY_SCRATCH, capacity);
    klamm_assert(compression_compress(FUZZ_CODEC, compression_level_default(FUZZ_CODEC),
                                      view_of(input, size), &packed) == COMPRESSION_OK);
    size = packed.size;
    memcpy(data, packed.data, size);
    buffer_deinit(&packed);
    return size;
}
