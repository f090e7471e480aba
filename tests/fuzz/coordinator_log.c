/* See the header. A record that the log refuses, such as one of an older epoch, is left out. */
#include "tests/fuzz/coordinator_log.h"

#include <stdio.h>

#include "base/assert.h"
#include "base/random.h"
#include "tests/unit/protocol/message_random.h"

enum {
    FLAG_NULL_VALUE = 1,
    FLAG_PRODUCER = 6, /* producer id 1 to 3; 0: none */
    FLAG_MARKER = 8,
    FLAG_COMMIT = 16,
    RECORDS_MAX = 64,
    SEED_RECORDS = 24,
    POOL = 4
};

static void append(struct coordinator_fixture *fixture, uint8_t *data, size_t size)
{
    struct log_append append = {
        .data = data, .size = size, .origin = LOG_APPEND_COORDINATOR, .leader_epoch = 1};
    if (partition_log_append(fixture->log.log, &append) == LOG_APPEND_QUEUED)
        memory_node_run(&fixture->log.node);
}

static void append_marker(struct coordinator_fixture *fixture, uint8_t flags)
{
    uint8_t batch[CONTROL_RECORD_MARKER_BATCH_SIZE];
    const struct control_marker marker = {.commit = flags & FLAG_COMMIT,
                                          .producer_id = (flags & FLAG_PRODUCER) >> 1,
                                          .timestamp_ms = fixture->log.node.wall_ms};
    append(fixture, batch, control_record_build_marker(batch, &marker));
}

static void append_record(struct coordinator_fixture *fixture, uint8_t flags, struct view key,
                          struct view value)
{
    struct batch_options options = fixture_options();
    if (flags & FLAG_PRODUCER) {
        options.transactional = true;
        options.producer_id = (flags & FLAG_PRODUCER) >> 1;
        options.producer_epoch = 0;
    }
    struct batch_builder builder;
    batch_builder_init(&builder, &fixture->other_heap, 0, &options);
    const struct batch_record record = {.timestamp_ms = fixture->log.node.wall_ms,
                                        .key = key,
                                        .value = flags & FLAG_NULL_VALUE ? VIEW_NULL : value};
    struct view batch;
    klamm_assert(batch_builder_append(&builder, &record));
    klamm_assert(batch_builder_finish(&builder, &batch) == COMPRESSION_OK);
    append(fixture, (uint8_t *)(uintptr_t)batch.data, batch.size);
    batch_builder_deinit(&builder);
}

void coordinator_log_write(struct coordinator_fixture *fixture, const uint8_t *data, size_t size)
{
    struct reader reader = reader_of(view_of(data, size));
    for (int i = 0; i < RECORDS_MAX && reader_left(&reader) > 0; i++) {
        uint8_t flags = read_u8(&reader);
        if (flags & FLAG_MARKER) {
            append_marker(fixture, flags);
            continue;
        }
        uint16_t key_size = read_u16(&reader);
        const uint8_t *key = reader_take(&reader, key_size);
        uint16_t value_size = read_u16(&reader);
        const uint8_t *value = reader_take(&reader, value_size);
        if (reader.failed)
            return;
        append_record(fixture, flags, view_of(key, key_size), view_of(value, value_size));
    }
}

/* ---- Seeds: random records whose names, ids and epochs come from small pools -------------- */

struct pooling {
    struct random_stream *random;
    int16_t version;
};

static void pool_struct(const struct pooling *pooling, const struct message_struct *description,
                        uint8_t *message);

static void pool_item(const struct pooling *pooling, const struct message_field *field,
                      uint8_t *place)
{
    static const struct view groups[POOL] = {{(const uint8_t *)"g", 1},
                                             {(const uint8_t *)"h", 1},
                                             {(const uint8_t *)"g", 1},
                                             {(const uint8_t *)"g", 1}};
    static const struct view names[POOL] = {{(const uint8_t *)"orders", 6},
                                            {(const uint8_t *)"payments", 8},
                                            {(const uint8_t *)"consumer", 8},
                                            {(const uint8_t *)"range", 5}};
    uint8_t chosen = (uint8_t)random_below(pooling->random, POOL);
    if (random_chance(pooling->random, 1, 20))
        return; /* stays as random as it is */
    if (field->kind == MESSAGE_FIELD_UUID) {
        struct uuid id = {{0x40}};
        store_u32(id.bytes + 12, 1u + chosen % 3u);
        memcpy(place, &id, sizeof(id));
    } else if (field->kind == MESSAGE_FIELD_STRING) {
        struct view now;
        memcpy(&now, place, sizeof(now));
        bool is_group = strcmp(field->name, "Group") == 0 || strcmp(field->name, "group") == 0 ||
                        strcmp(field->name, "GroupId") == 0;
        if (!view_is_null(now))
            memcpy(place, is_group ? &groups[chosen] : &names[chosen], sizeof(now));
    } else if (field->kind == MESSAGE_FIELD_INT32) {
        int32_t number = (int32_t)random_below(pooling->random, 4);
        if (strstr(field->name, "imeout"))
            number = 1000 * (1 + number * 20);
        memcpy(place, &number, sizeof(number));
    } else if (field->kind == MESSAGE_FIELD_INT64 && random_chance(pooling->random, 1, 2)) {
        int64_t number = strstr(field->name, "imestamp") ? 1700000000000 : 5;
        memcpy(place, &number, sizeof(number));
    } else if (field->kind == MESSAGE_FIELD_INT8) {
        *place = (uint8_t)random_below(pooling->random, 6);
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

/* A key type that is wanted and its value type. */
static const struct message_type *random_key(struct random_stream *random,
                                             bool (*is_wanted)(const char *name),
                                             const struct message_type **value)
{
    for (;;) {
        const struct message_type *key =
            message_type_at((size_t)random_below(random, message_type_count()));
        char name[128];
        if (key->kind != MESSAGE_KEY || !is_wanted(key->name))
            continue;
        snprintf(name, sizeof(name), "%.*sValue", (int)strlen(key->name) - 3, key->name);
        *value = message_type_find(name);
        if (*value)
            return key;
    }
}

static void write_part(struct writer *writer, const struct message_type *type, int16_t prefix,
                       int16_t version, struct random_stream *random, struct arena *arena)
{
    struct pooling pooling = {random, version};
    uint8_t *message = message_random(type, version, random, arena);
    pool_struct(&pooling, type->body, message);
    size_t size = type->size(message, version);
    write_u16(writer, (uint16_t)(size + 2));
    write_i16(writer, prefix);
    uint8_t *place = writer_reserve(writer, size);
    if (!place)
        return;
    struct message_writer out = message_writer_of(place, size);
    type->encode(message, &out, version);
    klamm_assert(!message_writer_failed(&out));
}

static void write_entry(struct writer *writer, struct random_stream *random, struct arena *arena,
                        bool (*is_wanted)(const char *name))
{
    const struct message_type *value;
    if (random_chance(random, 1, 10)) {
        write_u8(writer, (uint8_t)(FLAG_MARKER | random_below(random, 32)));
        return;
    }
    const struct message_type *key = random_key(random, is_wanted, &value);
    int16_t version = (int16_t)random_between(random, value->version_min, value->version_max);
    uint8_t flags = random_chance(random, 1, 8) ? FLAG_NULL_VALUE : 0;
    if (key->key <= 1 && random_chance(random, 1, 3))
        flags |= (uint8_t)(2 * (1 + random_below(random, 2)));
    write_u8(writer, flags);
    write_part(writer, key, key->key, key->version_max, random, arena);
    write_part(writer, value, version, version, random, arena);
}

size_t coordinator_log_seed(uint64_t number, uint8_t *data, size_t capacity,
                            bool (*is_wanted)(const char *name))
{
    struct random_stream random;
    struct heap heap;
    struct arena arena;
    struct writer writer = writer_of(data, capacity);
    random_init(&random, 92, number);
    heap_init_plain(&heap);
    arena_init(&arena, &heap, MEMORY_SCRATCH, 0);
    for (uint64_t i = random_below(&random, SEED_RECORDS); i > 0; i--)
        write_entry(&writer, &random, &arena, is_wanted);
    arena_deinit(&arena);
    return writer.failed ? 0 : writer.size;
}
