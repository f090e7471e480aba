/*
 * Comparison walks two structs of one description side by side, field by field.
 */
#include "protocol/message_inspect.h"

#include "base/assert.h"
#include "protocol/message_types.h"

size_t message_type_count(void)
{
    return MESSAGE_TYPES_COUNT;
}

const struct message_type *message_type_at(size_t index)
{
    klamm_assert(index < MESSAGE_TYPES_COUNT);
    return message_types[index];
}

const struct message_type *message_type_find(const char *name)
{
    for (size_t i = 0; i < MESSAGE_TYPES_COUNT; i++)
        if (strcmp(message_types[i]->name, name) == 0)
            return message_types[i];
    return NULL;
}

size_t message_field_item_size(const struct message_field *field)
{
    switch (field->kind) {
    case MESSAGE_FIELD_BOOL:
        return sizeof(bool);
    case MESSAGE_FIELD_INT8:
        return 1;
    case MESSAGE_FIELD_INT16:
    case MESSAGE_FIELD_UINT16:
        return 2;
    case MESSAGE_FIELD_INT32:
    case MESSAGE_FIELD_UINT32:
        return 4;
    case MESSAGE_FIELD_INT64:
    case MESSAGE_FIELD_FLOAT64:
        return 8;
    case MESSAGE_FIELD_UUID:
        return UUID_SIZE;
    case MESSAGE_FIELD_STRING:
    case MESSAGE_FIELD_BYTES:
        return sizeof(struct view);
    case MESSAGE_FIELD_RECORDS:
        return sizeof(struct records_field);
    case MESSAGE_FIELD_STRUCT:
        return field->fields->size;
    }
    klamm_unreachable("kind of field");
}

static bool views_equal(struct view a, struct view b, bool nullable)
{
    if (nullable)
        return view_equal(a, b);
    return a.size == b.size && (a.size == 0 || memcmp(a.data, b.data, a.size) == 0);
}

static bool structs_equal(const struct message_struct *description, const void *a, const void *b,
                          int16_t version);

static bool items_equal(const struct message_field *field, const void *a, const void *b,
                        bool nullable, int16_t version)
{
    struct view left, right;
    switch (field->kind) {
    case MESSAGE_FIELD_STRING:
    case MESSAGE_FIELD_BYTES:
    case MESSAGE_FIELD_RECORDS: /* its memory comes first */
        memcpy(&left, a, sizeof(left));
        memcpy(&right, b, sizeof(right));
        return views_equal(left, right, nullable);
    case MESSAGE_FIELD_STRUCT:
        return structs_equal(field->fields, a, b, version);
    case MESSAGE_FIELD_BOOL:
    case MESSAGE_FIELD_INT8:
    case MESSAGE_FIELD_INT16:
    case MESSAGE_FIELD_UINT16:
    case MESSAGE_FIELD_INT32:
    case MESSAGE_FIELD_UINT32:
    case MESSAGE_FIELD_INT64:
    case MESSAGE_FIELD_FLOAT64:
    case MESSAGE_FIELD_UUID:
        return memcmp(a, b, message_field_item_size(field)) == 0;
    }
    klamm_unreachable("kind of field");
}

static const void *pointer_at(const void *place)
{
    const void *pointer;
    memcpy(&pointer, place, sizeof(pointer));
    return pointer;
}

static bool arrays_equal(const struct message_field *field, const uint8_t *a, const uint8_t *b,
                         bool nullable, int16_t version)
{
    const uint8_t *left = pointer_at(a + field->offset);
    const uint8_t *right = pointer_at(b + field->offset);
    size_t left_count, right_count;
    memcpy(&left_count, a + field->count_offset, sizeof(left_count));
    memcpy(&right_count, b + field->count_offset, sizeof(right_count));
    if (left_count != right_count || (nullable && (!left != !right)))
        return false;
    size_t size = message_field_item_size(field);
    for (size_t i = 0; i < left_count; i++)
        if (!items_equal(field, left + i * size, right + i * size, false, version))
            return false;
    return true;
}

static bool structs_equal(const struct message_struct *description, const void *a, const void *b,
                          int16_t version)
{
    const uint8_t *left = a;
    const uint8_t *right = b;
    for (size_t i = 0; i < description->fields_count; i++) {
        const struct message_field *field = &description->fields[i];
        if (!message_versions_contain(field->versions, version))
            continue;
        bool nullable = message_versions_contain(field->nullable, version);
        if (field->is_array) {
            if (!arrays_equal(field, left, right, nullable, version))
                return false;
            continue;
        }
        const void *left_item = left + field->offset;
        const void *right_item = right + field->offset;
        if (field->is_pointer) {
            left_item = pointer_at(left_item);
            right_item = pointer_at(right_item);
            if (!left_item || !right_item) {
                if (left_item != right_item)
                    return false;
                continue;
            }
        }
        if (!items_equal(field, left_item, right_item, nullable, version))
            return false;
    }
    return true;
}

bool message_equal(const struct message_type *type, const void *a, const void *b, int16_t version)
{
    return structs_equal(type->body, a, b, version);
}
