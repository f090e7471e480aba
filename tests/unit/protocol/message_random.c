/*
 * Arrays have at most three elements and strings are short, because the point is variety; now and
 * then a string is longer than 127 bytes, so that its compact length takes two bytes.
 */
#include "tests/unit/protocol/message_random.h"

#include "base/assert.h"

enum { ARRAY_COUNT_MAX = 3, STRING_SIZE_MAX = 12, LONG_STRING_SIZE = 300 };

struct filler {
    int16_t version;
    struct random_stream *random;
    struct arena *arena;
};

static void fill_struct(const struct filler *filler, const struct message_struct *description,
                        void *message);

static struct view random_view(const struct filler *filler)
{
    size_t size = random_chance(filler->random, 1, 40)
                      ? LONG_STRING_SIZE
                      : (size_t)random_below(filler->random, STRING_SIZE_MAX + 1);
    uint8_t *data = arena_get(filler->arena, size);
    klamm_assert(data);
    random_fill(filler->random, data, size);
    return view_of(data, size);
}

/* Numbers are often small, sometimes the default, sometimes any bits. */
static uint64_t random_number(const struct filler *filler, const struct message_field *field)
{
    switch (random_below(filler->random, 4)) {
    case 0:
        return (uint64_t)field->default_value;
    case 1:
        return (uint64_t)random_between(filler->random, -2, 2);
    default:
        return random_u64(filler->random);
    }
}

static void store_number(void *place, uint64_t number, size_t size)
{
    uint8_t number_8 = (uint8_t)number;
    uint16_t number_16 = (uint16_t)number;
    uint32_t number_32 = (uint32_t)number;
    const void *from = size == 1   ? (const void *)&number_8
                       : size == 2 ? (const void *)&number_16
                       : size == 4 ? (const void *)&number_32
                                   : (const void *)&number;
    memcpy(place, from, size);
}

/* Fills one value that is not null. */
static void fill_item(const struct filler *filler, const struct message_field *field, void *place)
{
    switch (field->kind) {
    case MESSAGE_FIELD_BOOL:
        *(bool *)place = random_chance(filler->random, 1, 2);
        return;
    case MESSAGE_FIELD_INT8:
    case MESSAGE_FIELD_INT16:
    case MESSAGE_FIELD_UINT16:
    case MESSAGE_FIELD_INT32:
    case MESSAGE_FIELD_UINT32:
    case MESSAGE_FIELD_INT64:
    case MESSAGE_FIELD_FLOAT64:
        store_number(place, random_number(filler, field), message_field_item_size(field));
        return;
    case MESSAGE_FIELD_UUID:
        if (random_chance(filler->random, 1, 2))
            random_fill(filler->random, place, UUID_SIZE);
        else
            memset(place, 0, UUID_SIZE);
        return;
    case MESSAGE_FIELD_STRING:
    case MESSAGE_FIELD_BYTES:
        *(struct view *)place = random_view(filler);
        return;
    case MESSAGE_FIELD_RECORDS:
        *(struct records_field *)place = (struct records_field){.memory = random_view(filler)};
        return;
    case MESSAGE_FIELD_STRUCT:
        fill_struct(filler, field->fields, place);
        return;
    }
    klamm_unreachable("kind of field");
}

static void fill_array(const struct filler *filler, const struct message_field *field,
                       uint8_t *message, bool null)
{
    size_t count = null ? 0 : (size_t)random_below(filler->random, ARRAY_COUNT_MAX + 1);
    size_t size = message_field_item_size(field);
    uint8_t *items = null ? NULL : arena_get_array(filler->arena, count, size);
    klamm_assert(null || items);
    for (size_t i = 0; i < count; i++)
        fill_item(filler, field, items + i * size);
    memcpy(message + field->offset, &items, sizeof(items));
    memcpy(message + field->count_offset, &count, sizeof(count));
}

static void fill_field(const struct filler *filler, const struct message_field *field,
                       uint8_t *message)
{
    bool null = message_versions_contain(field->nullable, filler->version) &&
                random_chance(filler->random, 1, 4);
    if (field->is_array) {
        fill_array(filler, field, message, null);
        return;
    }
    void *place = message + field->offset;
    if (field->is_pointer) {
        void *inner = null ? NULL : arena_get_array(filler->arena, 1, field->fields->size);
        memcpy(place, &inner, sizeof(inner));
        if (inner)
            fill_struct(filler, field->fields, inner);
        return;
    }
    if (!null)
        fill_item(filler, field, place);
    else if (field->kind == MESSAGE_FIELD_RECORDS)
        *(struct records_field *)place = RECORDS_NULL;
    else
        *(struct view *)place = VIEW_NULL;
}

static void fill_struct(const struct filler *filler, const struct message_struct *description,
                        void *message)
{
    description->init(message);
    for (size_t i = 0; i < description->fields_count; i++) {
        const struct message_field *field = &description->fields[i];
        if (message_versions_contain(field->versions, filler->version))
            fill_field(filler, field, message);
    }
}

void *message_random(const struct message_type *type, int16_t version, struct random_stream *random,
                     struct arena *arena)
{
    void *message = arena_get_array(arena, 1, type->body->size);
    klamm_assert(message);
    const struct filler filler = {version, random, arena};
    fill_struct(&filler, type->body, message);
    return message;
}
