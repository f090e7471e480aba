/*
 * Bytes that Apache Kafka's own serialisers wrote (messages/, made by record/) against ours:
 * every message in every version. Each entry is decoded, every field is compared with the values
 * that Kafka says are in it, and encoding it again must give the same bytes.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

#include <cmocka.h>
#include <jansson.h>

#include "protocol/message_inspect.h"

enum { LINE_SIZE_MAX = 16384, TYPES_MAX = 1024 };

static const char *folder;
/* By place of the message: the versions that an entry with all fields was read of, a bit each. */
static uint64_t read_versions[TYPES_MAX];
static const char *const files[] = {
    "requests.hex",      "responses.hex",     "metadata_records.hex",
    "group_records.hex", "share_records.hex", "transaction_records.hex",
    "other.hex",
};

struct entry {
    char name[128];
    int version;
    char variant[16];
    json_t *values;
    uint8_t bytes[LINE_SIZE_MAX / 2];
    size_t size;
    struct arena *arena;
};

#define fail_entry(entry, ...)                                                                     \
    do {                                                                                           \
        print_error("%s v%d %s: ", (entry)->name, (entry)->version, (entry)->variant);             \
        print_error(__VA_ARGS__);                                                                  \
        fail_msg(" (above)");                                                                      \
    } while (0)

static void compare_struct(const struct entry *entry, const struct message_struct *description,
                           const uint8_t *message, json_t *values);

static bool read_entry(FILE *file, struct entry *entry)
{
    static char line[LINE_SIZE_MAX];
    if (!fgets(line, sizeof(line), file))
        return false;
    assert_int_equal(sscanf(line, "%127s %d %15s", entry->name, &entry->version, entry->variant),
                     3);
    assert_non_null(fgets(line, sizeof(line), file));
    json_error_t error;
    entry->values = json_loads(line, 0, &error);
    if (!entry->values)
        fail_entry(entry, "%s\n", error.text);
    assert_non_null(fgets(line, sizeof(line), file));
    entry->size = 0;
    for (const char *at = line; at[0] != '\n'; at += 2) {
        unsigned byte;
        assert_int_equal(sscanf(at, "%2x", &byte), 1);
        entry->bytes[entry->size++] = (uint8_t)byte;
    }
    return true;
}

/* Kafka's converter writes field names with a small first letter. */
static json_t *member(json_t *object, const char *name)
{
    const char *key;
    json_t *value;
    json_object_foreach(object, key, value) if (strcasecmp(key, name) == 0) return value;
    return NULL;
}

static int64_t number_at(const struct message_field *field, const void *place)
{
    switch (field->kind) {
    case MESSAGE_FIELD_BOOL:
        return *(const bool *)place;
    case MESSAGE_FIELD_INT8:
        return *(const int8_t *)place;
    case MESSAGE_FIELD_INT16:
        return *(const int16_t *)place;
    case MESSAGE_FIELD_UINT16:
        return *(const uint16_t *)place;
    case MESSAGE_FIELD_INT32:
        return *(const int32_t *)place;
    case MESSAGE_FIELD_UINT32:
        return *(const uint32_t *)place;
    case MESSAGE_FIELD_INT64:
        return *(const int64_t *)place;
    case MESSAGE_FIELD_FLOAT64:
    case MESSAGE_FIELD_UUID:
    case MESSAGE_FIELD_STRING:
    case MESSAGE_FIELD_BYTES:
    case MESSAGE_FIELD_RECORDS:
    case MESSAGE_FIELD_STRUCT:
        break;
    }
    fail_msg("%s is not a number", field->name);
    return 0;
}

/* Base64 with padding, as JSON carries bytes. */
static struct view base64_of(const struct entry *entry, struct view bytes)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    size_t size = (bytes.size + 2) / 3 * 4;
    uint8_t *text = arena_get(entry->arena, size + 1);
    assert_non_null(text);
    for (size_t i = 0; i < size; i++) {
        size_t bit = i * 6;
        if (bit >= bytes.size * 8) {
            text[i] = '=';
            continue;
        }
        unsigned pair = (unsigned)bytes.data[bit / 8] << 8;
        if (bit / 8 + 1 < bytes.size)
            pair |= bytes.data[bit / 8 + 1];
        text[i] = (uint8_t)digits[pair >> (10 - bit % 8) & 0x3f];
    }
    return view_of(text, size);
}

static bool text_equal(struct view text, json_t *value)
{
    if (json_is_null(value))
        return view_is_null(text);
    return json_is_string(value) && !view_is_null(text) && text.size == json_string_length(value) &&
           memcmp(text.data, json_string_value(value), text.size) == 0;
}

static bool uuid_matches(const struct uuid *id, json_t *value)
{
    char text[UUID_TEXT_SIZE + 1];
    uuid_format(*id, text);
    return json_is_string(value) && strcmp(json_string_value(value), text) == 0;
}

static bool item_matches(const struct entry *entry, const struct message_field *field,
                         const void *place, json_t *value)
{
    switch (field->kind) {
    case MESSAGE_FIELD_BOOL:
        return json_is_boolean(value) && *(const bool *)place == json_is_true(value);
    case MESSAGE_FIELD_FLOAT64:
        return json_is_number(value) && *(const double *)place == json_number_value(value);
    case MESSAGE_FIELD_UUID:
        return uuid_matches(place, value);
    case MESSAGE_FIELD_STRING:
        return text_equal(*(const struct view *)place, value);
    case MESSAGE_FIELD_BYTES: {
        struct view bytes = *(const struct view *)place;
        return text_equal(view_is_null(bytes) ? bytes : base64_of(entry, bytes), value);
    }
    case MESSAGE_FIELD_RECORDS: {
        /* Kafka's converter leaves records out; what the recorder puts in begins with "bytes-". */
        struct view records = ((const struct records_field *)place)->memory;
        if (json_is_null(value))
            return view_is_null(records);
        return records.size > 6 && memcmp(records.data, "bytes-", 6) == 0;
    }
    case MESSAGE_FIELD_STRUCT:
        compare_struct(entry, field->fields, place, value);
        return true;
    case MESSAGE_FIELD_INT8:
    case MESSAGE_FIELD_INT16:
    case MESSAGE_FIELD_UINT16:
    case MESSAGE_FIELD_INT32:
    case MESSAGE_FIELD_UINT32:
    case MESSAGE_FIELD_INT64:
        return json_is_integer(value) && number_at(field, place) == json_integer_value(value);
    }
    return false;
}

static bool array_matches(const struct entry *entry, const struct message_field *field,
                          const uint8_t *message, json_t *value)
{
    const uint8_t *items = *(uint8_t *const *)(const void *)(message + field->offset);
    size_t count = *(const size_t *)(const void *)(message + field->count_offset);
    if (json_is_null(value))
        return items == NULL && count == 0;
    if (!json_is_array(value) || !items || json_array_size(value) != count)
        return false;
    for (size_t i = 0; i < count; i++)
        if (!item_matches(entry, field, items + i * message_field_item_size(field),
                          json_array_get(value, i)))
            return false;
    return true;
}

static bool field_matches(const struct entry *entry, const struct message_field *field,
                          const uint8_t *message, json_t *value)
{
    if (field->is_array)
        return array_matches(entry, field, message, value);
    const void *place = message + field->offset;
    if (field->is_pointer) {
        place = *(const void *const *)place;
        if (!place || json_is_null(value))
            return !place && json_is_null(value);
    }
    return item_matches(entry, field, place, value);
}

static void compare_struct(const struct entry *entry, const struct message_struct *description,
                           const uint8_t *message, json_t *values)
{
    size_t found = 0;
    for (size_t i = 0; i < description->fields_count; i++) {
        const struct message_field *field = &description->fields[i];
        if (!message_versions_contain(field->versions, (int16_t)entry->version))
            continue;
        json_t *value = member(values, field->name);
        bool is_tagged = message_versions_contain(field->tagged, (int16_t)entry->version);
        if (!value && is_tagged)
            continue;
        if (!value || !field_matches(entry, field, message, value))
            fail_entry(entry, "%s.%s differs\n", description->name, field->name);
        found++;
    }
    if (found != json_object_size(values))
        fail_entry(entry, "%s has fields that are not ours\n", description->name);
}

static void note_read(const struct message_type *type, int16_t version)
{
    assert_in_range(version, 0, 63);
    for (size_t i = 0; i < message_type_count(); i++)
        if (message_type_at(i) == type)
            read_versions[i] |= UINT64_C(1) << version;
}

/* A message that is added, or gets a new version, wants its entries. */
static void no_message_is_without_kafkas_bytes(void **state)
{
    (void)state;
    unsigned missing = 0;
    for (size_t i = 0; i < message_type_count(); i++) {
        const struct message_type *type = message_type_at(i);
        for (int16_t version = type->version_min; version <= type->version_max; version++) {
            if (read_versions[i] >> version & 1)
                continue;
            print_error("%s v%d has no entry\n", type->name, version);
            missing++;
        }
    }
    assert_int_equal(missing, 0);
}

static void check_entry(struct entry *entry)
{
    const struct message_type *type = message_type_find(entry->name);
    if (!type)
        fail_entry(entry, "is not described\n");
    int16_t version = (int16_t)entry->version;
    uint8_t *message = arena_get(entry->arena, type->body->size);
    memset(message, 0xa5, type->body->size);
    struct reader reader = reader_of(view_of(entry->bytes, entry->size));
    if (!type->decode(message, &reader, version, entry->arena) || reader_left(&reader) != 0)
        fail_entry(entry, "does not decode\n");
    compare_struct(entry, type->body, message, entry->values);

    size_t size = type->size(message, version);
    struct message_writer writer = message_writer_of(arena_get(entry->arena, size), size);
    type->encode(message, &writer, version);
    if (message_writer_failed(&writer))
        fail_entry(entry, "does not encode\n");
    if (writer.bytes.size != entry->size ||
        memcmp(writer.bytes.data, entry->bytes, entry->size) != 0)
        fail_entry(entry, "encodes to other bytes\n");
    if (strcmp(entry->variant, "full") == 0)
        note_read(type, version);
}

static void kafkas_bytes_are_our_bytes(void **state)
{
    (void)state;
    static struct entry entry;
    struct heap heap;
    struct arena arena;
    heap_init_plain(&heap);
    arena_init(&arena, &heap, MEMORY_SCRATCH, 0);
    assert_true(message_type_count() <= TYPES_MAX);
    for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
        char path[4096];
        snprintf(path, sizeof(path), "%s/%s", folder, files[i]);
        FILE *file = fopen(path, "r");
        if (!file)
            fail_msg("%s cannot be opened", path);
        entry.arena = &arena;
        while (read_entry(file, &entry)) {
            check_entry(&entry);
            json_decref(entry.values);
            arena_reset(&arena);
        }
        fclose(file);
    }
    arena_deinit(&arena);
}

int main(int argument_count, char **arguments)
{
    if (argument_count != 2)
        return 2;
    folder = arguments[1];
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(kafkas_bytes_are_our_bytes),
        cmocka_unit_test(no_message_is_without_kafkas_bytes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
