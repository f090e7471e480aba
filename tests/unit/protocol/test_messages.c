/*
 * Properties of every message in every version, on random values: what is encoded decodes to the
 * same, what is cut is refused, what is damaged does no harm.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "tests/unit/protocol/message_random.h"

enum { VALUES_PER_VERSION = 40, DAMAGED_PER_VERSION = 60 };

static struct heap heap;

/* One type in one version, with memory for a case. */
struct subject {
    const struct message_type *type;
    int16_t version;
    struct random_stream random;
    struct arena arena;
};

/* Calls `check` for every type and version. */
static void for_each_version(void (*check)(struct subject *subject))
{
    heap_init_plain(&heap);
    for (size_t i = 0; i < message_type_count(); i++) {
        struct subject subject = {.type = message_type_at(i)};
        for (int version = subject.type->version_min; version <= subject.type->version_max;
             version++) {
            subject.version = (int16_t)version;
            random_init(&subject.random, 1, i * 100 + (uint64_t)version);
            arena_init(&subject.arena, &heap, MEMORY_SCRATCH, 0);
            check(&subject);
            arena_deinit(&subject.arena);
        }
    }
}

/* Encodes into memory of exactly the size that was promised. */
static struct view encode(struct subject *subject, const void *message)
{
    size_t size = subject->type->size(message, subject->version);
    struct message_writer writer = message_writer_of(arena_get(&subject->arena, size), size);
    subject->type->encode(message, &writer, subject->version);
    if (message_writer_failed(&writer) || writer.bytes.size != size)
        fail_msg("%s v%d: size says %zu, encode wrote %zu, failed %d", subject->type->name,
                 subject->version, size, writer.bytes.size, writer.bytes.failed);
    return view_of(writer.bytes.data, size);
}

static void check_round_trip(struct subject *subject, const void *message)
{
    struct view bytes = encode(subject, message);
    void *copy = arena_get(&subject->arena, subject->type->body->size);
    memset(copy, 0xa5, subject->type->body->size);
    struct reader reader = reader_of(bytes);
    if (!subject->type->decode(copy, &reader, subject->version, &subject->arena))
        fail_msg("%s v%d does not decode", subject->type->name, subject->version);
    assert_int_equal(reader_left(&reader), 0);
    if (!message_equal(subject->type, message, copy, subject->version))
        fail_msg("%s v%d decodes to something else", subject->type->name, subject->version);
    assert_true(view_equal(bytes, encode(subject, copy)));
}

static void check_random_values(struct subject *subject)
{
    for (int i = 0; i < VALUES_PER_VERSION; i++) {
        check_round_trip(subject, message_random(subject->type, subject->version, &subject->random,
                                                 &subject->arena));
        arena_reset(&subject->arena);
    }
}

static void every_message_round_trips_in_every_version(void **state)
{
    (void)state;
    for_each_version(check_random_values);
}

static void check_defaults(struct subject *subject)
{
    void *message = arena_get_array(&subject->arena, 1, subject->type->body->size);
    subject->type->body->init(message);
    check_round_trip(subject, message);
}

static void defaults_can_be_encoded_in_every_version(void **state)
{
    (void)state;
    for_each_version(check_defaults);
}

/* Decodes a copy of its own, so that a read beyond the end is seen by the sanitizer. */
static bool decode_copy(struct subject *subject, const uint8_t *data, size_t size, void *out)
{
    uint8_t *copy = malloc(size ? size : 1);
    memcpy(copy, data, size);
    struct reader reader = reader_of(view_of(copy, size));
    bool decoded = subject->type->decode(out, &reader, subject->version, &subject->arena);
    free(copy);
    return decoded;
}

static void check_cuts(struct subject *subject)
{
    struct arena values;
    arena_init(&values, &heap, MEMORY_SCRATCH, 0);
    struct subject writer = *subject;
    writer.arena = values;
    void *message =
        message_random(subject->type, subject->version, &subject->random, &writer.arena);
    struct view bytes = encode(&writer, message);
    for (size_t size = 0; size < bytes.size; size++) {
        void *out = arena_get(&subject->arena, subject->type->body->size);
        if (decode_copy(subject, bytes.data, size, out))
            fail_msg("%s v%d decodes from %zu of %zu bytes", subject->type->name, subject->version,
                     size, bytes.size);
        arena_reset(&subject->arena);
    }
    arena_deinit(&writer.arena);
}

static void messages_cut_at_any_byte_are_malformed(void **state)
{
    (void)state;
    for_each_version(check_cuts);
}

/*
 * What decodes from damaged bytes is a message: it can be walked, sized and encoded. (It need not
 * give the same bytes: a bool may have been 7, a tag unknown.)
 */
static void check_damage(struct subject *subject)
{
    for (int i = 0; i < DAMAGED_PER_VERSION; i++) {
        void *message =
            message_random(subject->type, subject->version, &subject->random, &subject->arena);
        struct view bytes = encode(subject, message);
        uint8_t *damaged = arena_get(&subject->arena, bytes.size);
        memcpy(damaged, bytes.data, bytes.size);
        for (int hits = 1 + i % 3; hits > 0 && bytes.size > 0; hits--)
            damaged[random_below(&subject->random, bytes.size)] =
                (uint8_t)random_u64(&subject->random);
        void *out = arena_get(&subject->arena, subject->type->body->size);
        struct reader reader = reader_of(view_of(damaged, bytes.size));
        if (subject->type->decode(out, &reader, subject->version, &subject->arena))
            check_round_trip(subject, out);
        arena_reset(&subject->arena);
    }
}

static void damaged_messages_do_no_harm(void **state)
{
    (void)state;
    for_each_version(check_damage);
}

/* All bits set make every count and length as large as it can be; zeros make everything empty. */
static void check_floods(struct subject *subject)
{
    static const uint8_t fillings[] = {0x00, 0x01, 0x7f, 0xff};
    enum { INPUT_SIZE = 4096, MEMORY_PER_BYTE = 64 };
    for (size_t i = 0; i < sizeof(fillings); i++) {
        uint8_t input[INPUT_SIZE];
        memset(input, fillings[i], sizeof(input));
        void *out = arena_get(&subject->arena, subject->type->body->size);
        (void)decode_copy(subject, input, sizeof(input), out);
        if (subject->arena.held > (size_t)INPUT_SIZE * MEMORY_PER_BYTE)
            fail_msg("%s v%d takes %zu bytes for %d", subject->type->name, subject->version,
                     subject->arena.held, INPUT_SIZE);
        arena_deinit(&subject->arena);
    }
}

static void memory_stays_in_proportion_to_the_input(void **state)
{
    (void)state;
    for_each_version(check_floods);
}

/* The n-th refusal of memory makes the decode fail and nothing worse. */
static void check_refusals(struct subject *subject)
{
    void *message =
        message_random(subject->type, subject->version, &subject->random, &subject->arena);
    struct view bytes = encode(subject, message);
    for (size_t limit = 1; limit < 16 * 1024; limit = limit * 2 + 7) {
        struct arena small;
        arena_init(&small, &heap, MEMORY_SCRATCH, limit);
        void *out = arena_get(&subject->arena, subject->type->body->size);
        struct reader reader = reader_of(bytes);
        (void)subject->type->decode(out, &reader, subject->version, &small);
        assert_true(small.held <= limit);
        arena_deinit(&small);
    }
}

static void refused_memory_makes_the_decode_fail(void **state)
{
    (void)state;
    for_each_version(check_refusals);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_message_round_trips_in_every_version),
        cmocka_unit_test(defaults_can_be_encoded_in_every_version),
        cmocka_unit_test(messages_cut_at_any_byte_are_malformed),
        cmocka_unit_test(damaged_messages_do_no_harm),
        cmocka_unit_test(memory_stays_in_proportion_to_the_input),
        cmocka_unit_test(refused_memory_makes_the_decode_fail),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
