/*
 * Any message in any version: the first two bytes choose the type, the third the version, the rest
 * is the message. What decodes must encode, and what was encoded must decode to the same; memory
 * stays in proportion to the input.
 */
#include "tests/fuzz/fuzz.h"

#include "base/assert.h"
#include "tests/unit/protocol/message_random.h"

enum { PREFIX_SIZE = 3, MEMORY_PER_BYTE = 128, MEMORY_BASE = 64 * 1024 };

static int16_t version_of(const struct message_type *type, uint8_t chosen)
{
    int count = type->version_max - type->version_min + 1;
    return (int16_t)(type->version_min + chosen % count);
}

static struct view encode(const struct message_type *type, const void *message, int16_t version,
                          struct arena *arena)
{
    size_t size = type->size(message, version);
    struct message_writer writer = message_writer_of(arena_get(arena, size), size);
    type->encode(message, &writer, version);
    klamm_assert(!message_writer_failed(&writer));
    klamm_assert(writer.bytes.size == size);
    return view_of(writer.bytes.data, size);
}

void fuzz_one(const uint8_t *data, size_t size)
{
    if (size < PREFIX_SIZE)
        return;
    const struct message_type *type = message_type_at(load_u16(data) % message_type_count());
    int16_t version = version_of(type, data[2]);
    struct heap heap;
    struct arena arena, copies;
    heap_init_plain(&heap);
    arena_init(&arena, &heap, MEMORY_SCRATCH, 0);
    arena_init(&copies, &heap, MEMORY_SCRATCH, 0);

    void *message = arena_get(&copies, type->body->size);
    struct reader reader = reader_of(view_of(data + PREFIX_SIZE, size - PREFIX_SIZE));
    bool decoded = type->decode(message, &reader, version, &arena);
    klamm_assert(arena.held <= MEMORY_BASE + size * MEMORY_PER_BYTE);
    if (decoded) {
        struct view bytes = encode(type, message, version, &copies);
        void *copy = arena_get(&copies, type->body->size);
        reader = reader_of(bytes);
        bool again = type->decode(copy, &reader, version, &copies);
        klamm_assert(again);
        klamm_assert(reader_left(&reader) == 0);
        klamm_assert(message_equal(type, message, copy, version));
    }
    arena_deinit(&arena);
    arena_deinit(&copies);
    klamm_assert(heap.used[MEMORY_SCRATCH] == 0);
}

size_t fuzz_seed(uint64_t number, uint8_t *data, size_t capacity)
{
    size_t index = (size_t)(number % message_type_count());
    const struct message_type *type = message_type_at(index);
    uint8_t chosen = (uint8_t)(number / message_type_count());
    int16_t version = version_of(type, chosen);
    struct random_stream random;
    random_init(&random, 11, number);
    struct heap heap;
    struct arena arena;
    heap_init_plain(&heap);
    arena_init(&arena, &heap, MEMORY_SCRATCH, 0);
    struct view bytes =
        encode(type, message_random(type, version, &random, &arena), version, &arena);
    size_t size = PREFIX_SIZE + bytes.size;
    if (size <= capacity) {
        store_u16(data, (uint16_t)index);
        data[2] = chosen;
        memcpy(data + PREFIX_SIZE, bytes.data, bytes.size);
    }
    arena_deinit(&arena);
    return size <= capacity ? size : 0;
}
