/*
 * Metadata records in a row, each behind its size (uint16), replayed on the empty image. Refused
 * ones change nothing and are passed over.
 *
 * What the image says as records, an empty image takes, and says again in the same bytes. The
 * difference between the image and itself is empty, and all memory comes home.
 */
#include "tests/fuzz/fuzz.h"

#include "base/assert.h"
#include "cluster/metadata/image_records.h"
#include "cluster/metadata/loader.h"
#include "tests/unit/protocol/message_random.h"

enum { MEMORY_MAX = 256 * 1024 * 1024, SEED_RECORDS = 30, POOL = 3 };

/*
 * metadata.version 29 stands in front of everything and is not changed: under an older one newer
 * fields could not be said.
 */
static const uint8_t version_record[] = {1,   METADATA_RECORD_FEATURE_LEVEL,
                                         0,   17,
                                         'm', 'e',
                                         't', 'a',
                                         'd', 'a',
                                         't', 'a',
                                         '.', 'v',
                                         'e', 'r',
                                         's', 'i',
                                         'o', 'n',
                                         0,   29,
                                         0};

static bool is_version_record(struct view value)
{
    struct reader reader = reader_of(value);
    struct metadata_frame frame;
    return metadata_frame_read(&reader, &frame) && frame.type == METADATA_RECORD_FEATURE_LEVEL;
}

/* Replays each value; with `all`, none may be refused. */
static const struct image *replay_values(struct heap *heap, const struct view *values, size_t count,
                                         bool all)
{
    struct image *empty = image_create_empty(heap, VIEW_LITERAL("cluster"));
    struct image_draft draft;
    struct arena scratch;
    arena_init(&scratch, heap, MEMORY_SCRATCH, 0);
    draft_begin(&draft, empty);
    image_release(empty);
    for (size_t i = 0; i < count; i++) {
        struct replay replay = {.draft = &draft, .arena = &scratch, .offset = (int64_t)i};
        enum replay_mark mark;
        bool taken = replay_record(&replay, values[i], &mark);
        klamm_assert(taken || replay.problem[0] != '\0');
        klamm_assert(taken || !all);
        arena_reset(&scratch);
    }
    const struct image *image = draft_finish(&draft, NULL);
    arena_deinit(&scratch);
    return image;
}

static void say(const struct image *image, struct metadata_records *records, struct arena *arena)
{
    struct image_records_walk walk;
    bool failed = false;
    metadata_records_init(records, arena);
    image_records_start(image, &walk);
    while (image_records_next(&walk, records, records->count + 7, &failed))
        klamm_assert(!failed);
    klamm_assert(!failed);
}

static void check_said_again(struct heap *heap, const struct image *image)
{
    struct arena arena;
    struct metadata_records first, second;
    arena_init(&arena, heap, MEMORY_SCRATCH, MEMORY_MAX);
    say(image, &first, &arena);
    const struct image *again = replay_values(heap, first.values, first.count, true);
    say(again, &second, &arena);
    klamm_assert(first.count == second.count);
    for (size_t i = 0; i < first.count; i++)
        klamm_assert(view_equal(first.values[i], second.values[i]));
    image_release(again);
    arena_deinit(&arena);
}

static void check_same_as_itself(struct heap *heap, const struct image *image)
{
    struct image_delta *delta = image_delta_between(heap, image, image);
    klamm_assert(delta->topic_count == 0);
    klamm_assert(delta->config_count == 0);
    klamm_assert(delta->broker_count == 0);
    klamm_assert(!delta->features_changed);
    klamm_assert(!delta->acls_changed);
    image_delta_destroy(heap, delta);
}

void fuzz_one(const uint8_t *data, size_t size)
{
    struct heap heap;
    struct buffer values;
    struct reader reader = reader_of(view_of(data, size));
    heap_init_plain(&heap);
    buffer_init(&values, &heap, MEMORY_SCRATCH, 0);
    struct view version = view_of(version_record, sizeof(version_record));
    klamm_assert(buffer_append(&values, &version, sizeof(version)));
    while (reader_left(&reader) > 0 && !reader.failed) {
        uint16_t value_size = read_u16(&reader);
        const uint8_t *value = reader_take(&reader, value_size);
        struct view view = view_of(value, value_size);
        if (value && !is_version_record(view))
            klamm_assert(buffer_append(&values, &view, sizeof(view)));
    }
    const struct image *image = replay_values(&heap, (const struct view *)(const void *)values.data,
                                              values.size / sizeof(struct view), false);
    klamm_assert(image_feature_level(image, VIEW_LITERAL("metadata.version")) == 29);
    check_said_again(&heap, image);
    check_same_as_itself(&heap, image);
    image_release(image);
    buffer_deinit(&values);
    for (int i = 0; i < MEMORY_CLASSES; i++)
        klamm_assert(heap.used[i] == 0);
}

/* ---- Seeds: random records whose names and ids come from small pools, so that they meet --------
 */

struct pooling {
    struct random_stream *random;
    int16_t version;
};

static void pool_struct(const struct pooling *pooling, const struct message_struct *description,
                        uint8_t *message);

static void pool_item(const struct pooling *pooling, const struct message_field *field,
                      uint8_t *place)
{
    static const struct view names[POOL] = {{(const uint8_t *)"orders", 6},
                                            {(const uint8_t *)"payments", 8},
                                            {(const uint8_t *)"metadata.version", 16}};
    uint8_t chosen = (uint8_t)random_below(pooling->random, POOL);
    if (random_chance(pooling->random, 1, 12))
        return; /* stays as random as it is */
    if (field->kind == MESSAGE_FIELD_UUID) {
        struct uuid id = uuid_of_halves(7, 1u + chosen);
        memcpy(place, &id, sizeof(id));
    } else if (field->kind == MESSAGE_FIELD_STRING) {
        struct view now;
        memcpy(&now, place, sizeof(now));
        if (!view_is_null(now))
            memcpy(place, &names[chosen], sizeof(now));
    } else if (field->kind == MESSAGE_FIELD_INT32) {
        int32_t number = chosen;
        memcpy(place, &number, sizeof(number));
    } else if (field->kind == MESSAGE_FIELD_INT16) {
        int16_t number = (int16_t)random_below(pooling->random, 30);
        memcpy(place, &number, sizeof(number));
    } else if (field->kind == MESSAGE_FIELD_STRUCT && !field->is_pointer) {
        pool_struct(pooling, field->fields, place);
    }
}

static void pool_struct(const struct pooling *pooling, const struct message_struct *description,
                        uint8_t *message)
{
    for (size_t i = 0; i < description->fields_count; i++) {
        const struct message_field *field = &description->fields[i];
        if (!message_versions_contain(field->versions, pooling->version))
            continue;
        if (!field->is_array) {
            pool_item(pooling, field, message + field->offset);
            continue;
        }
        uint8_t *items;
        size_t count;
        memcpy(&items, message + field->offset, sizeof(items));
        memcpy(&count, message + field->count_offset, sizeof(count));
        for (size_t k = 0; k < count; k++)
            pool_item(pooling, field, items + k * message_field_item_size(field));
    }
}

static const struct message_type *random_type(struct random_stream *random)
{
    for (;;) {
        const struct message_type *type =
            message_type_at((size_t)random_below(random, message_type_count()));
        if (type->kind == MESSAGE_METADATA)
            return type;
    }
}

static void write_record(struct writer *writer, struct random_stream *random, struct arena *arena)
{
    const struct message_type *type = random_type(random);
    int16_t version = (int16_t)random_between(random, type->version_min, type->version_max);
    struct pooling pooling = {random, version};
    uint8_t *message = message_random(type, version, random, arena);
    pool_struct(&pooling, type->body, message);
    size_t frame_size = 1 + uvarint_size((uint32_t)type->key) + uvarint_size((uint32_t)version);
    size_t size = frame_size + type->size(message, version);
    write_u16(writer, (uint16_t)size);
    write_uvarint(writer, METADATA_FRAME_VERSION);
    write_uvarint(writer, (uint32_t)type->key);
    write_uvarint(writer, (uint32_t)version);
    uint8_t *place = writer_reserve(writer, size - frame_size);
    if (!place)
        return;
    struct message_writer out = message_writer_of(place, size - frame_size);
    type->encode(message, &out, version);
    klamm_assert(!message_writer_failed(&out));
}

size_t fuzz_seed(uint64_t number, uint8_t *data, size_t capacity)
{
    struct random_stream random;
    struct heap heap;
    struct arena arena;
    struct writer writer = writer_of(data, capacity);
    random_init(&random, 91, number);
    heap_init_plain(&heap);
    arena_init(&arena, &heap, MEMORY_SCRATCH, 0);
    for (uint64_t i = random_below(&random, SEED_RECORDS); i > 0; i--)
        write_record(&writer, &random, &arena);
    arena_deinit(&arena);
    return writer.failed ? 0 : writer.size;
}
