/*
 * An entity is a user, a client id, both, or an address; each may be the default one (no name).
 * Which keys it may have depends on that. What is as it should be already is not written again.
 */
#include "cluster/controller/alter_client_quotas.h"

#include "base/text.h"
#include "cluster/controller/refusal.h"
#include "protocol/messages/client_quota_record.h"

typedef struct alter_client_quotas_request_entry_data asked_entry;
typedef struct alter_client_quotas_request_entity_data asked_part;
typedef struct alter_client_quotas_request_op_data asked_op;

enum entity_kind { ENTITY_USER = 1, ENTITY_CLIENT = 2, ENTITY_ADDRESS = 4 };

static const struct quota_key {
    const char *name;
    unsigned kinds; /* of entities that may have it */
    double maximum; /* 0: any number; else a whole one up to this */
} keys[] = {
    {"connection_creation_rate", ENTITY_ADDRESS, INT32_MAX},
    {"consumer_byte_rate", ENTITY_USER | ENTITY_CLIENT, 9223372036854774784.0},
    {"controller_mutation_rate", ENTITY_USER | ENTITY_CLIENT, 0},
    {"producer_byte_rate", ENTITY_USER | ENTITY_CLIENT, 9223372036854774784.0},
    {"request_percentage", ENTITY_USER | ENTITY_CLIENT, 0},
};

static struct refusal refuse(struct decision *decision, const char *why, struct view what)
{
    return (struct refusal){
        KAFKA_ERROR_INVALID_REQUEST,
        decision_text(decision, "%s: '%.*s'", why, (int)what.size, (const char *)what.data)};
}

static unsigned kind_of(struct view type)
{
    if (view_equal(type, VIEW_LITERAL("user")))
        return ENTITY_USER;
    if (view_equal(type, VIEW_LITERAL("client-id")))
        return ENTITY_CLIENT;
    return view_equal(type, VIEW_LITERAL("ip")) ? ENTITY_ADDRESS : 0;
}

/* Four numbers up to 255, or hexadecimal groups with at least two colons. */
static bool is_address(struct view text)
{
    unsigned dots = 0, colons = 0, digits = 0, number = 0;
    bool is_v4 = true;
    for (size_t i = 0; i < text.size; i++) {
        uint8_t c = text.data[i];
        bool is_digit = c >= '0' && c <= '9';
        bool is_hex = is_digit || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
        if (!is_hex && c != '.' && c != ':')
            return false;
        is_v4 &= is_digit || (c == '.' && digits > 0);
        dots += c == '.';
        colons += c == ':';
        number = is_digit ? number * 10 + (unsigned)(c - '0') : 0;
        digits = is_digit ? digits + 1 : 0;
        is_v4 &= digits <= 3 && number <= 255;
        if (number > 9999)
            number = 0;
    }
    if (colons > 0)
        return colons >= 2 && colons <= 7;
    return is_v4 && dots == 3 && digits > 0;
}

/* Checks the entity; its kinds in *kinds. */
static struct refusal check_entity(struct decision *decision, const asked_entry *entry,
                                   unsigned *kinds)
{
    *kinds = 0;
    for (size_t i = 0; i < entry->entity_count; i++) {
        const asked_part *part = &entry->entity[i];
        unsigned kind = kind_of(part->entity_type);
        if (!kind)
            return refuse(decision, "there are no quotas of this kind", part->entity_type);
        if (*kinds & kind)
            return refuse(decision, "an entity names one kind twice", part->entity_type);
        if (!view_is_null(part->entity_name) && part->entity_name.size == 0)
            return refuse(decision, "an entity has an empty name", part->entity_type);
        if (kind == ENTITY_ADDRESS && !view_is_null(part->entity_name) &&
            !is_address(part->entity_name))
            return refuse(decision, "this is no address", part->entity_name);
        *kinds |= kind;
    }
    if (*kinds == 0)
        return refuse(decision, "an entity is empty", VIEW_LITERAL(""));
    if ((*kinds & ENTITY_ADDRESS) && *kinds != ENTITY_ADDRESS)
        return refuse(decision, "an address stands alone", VIEW_LITERAL("ip"));
    return (struct refusal){KAFKA_ERROR_NONE, VIEW_NULL};
}

static struct refusal check_op(struct decision *decision, const asked_entry *entry, size_t index,
                               unsigned kinds)
{
    const asked_op *op = &entry->ops[index];
    for (size_t i = 0; i < index; i++) {
        if (view_equal(entry->ops[i].key, op->key))
            return refuse(decision, "a quota is named twice", op->key);
    }
    if (op->remove)
        return (struct refusal){KAFKA_ERROR_NONE, VIEW_NULL};
    for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
        if (!view_equal(op->key, view_of_string(keys[i].name)) || !(keys[i].kinds & kinds))
            continue;
        bool is_number = op->value >= -9223372036854774784.0 && op->value <= 9223372036854774784.0;
        if (!is_number)
            return refuse(decision, "this value cannot be a quota", op->key);
        if (op->value <= 0)
            return refuse(decision, "a quota has to be above zero", op->key);
        double whole = (double)(int64_t)(op->value + 1e-6);
        bool is_whole = op->value - whole <= 1e-6 && whole - op->value <= 1e-6;
        if (keys[i].maximum > 0 && (!is_whole || op->value > keys[i].maximum))
            return refuse(decision, "this value has to be a whole number in range", op->key);
        return (struct refusal){KAFKA_ERROR_NONE, VIEW_NULL};
    }
    return refuse(decision, "such an entity has no quota of this name", op->key);
}

/* Whether both name the same entity, in whatever order. */
static bool is_entity(const struct image_quota *quota, const asked_entry *entry)
{
    if (quota->part_count != entry->entity_count)
        return false;
    for (uint32_t i = 0; i < quota->part_count; i++) {
        const struct image_quota_part *part = &quota->parts[i];
        bool is_found = false;
        for (size_t k = 0; k < entry->entity_count; k++)
            is_found |= view_equal(part->type, entry->entity[k].entity_type) &&
                        view_is_null(part->name) == view_is_null(entry->entity[k].entity_name) &&
                        view_equal(part->name, entry->entity[k].entity_name);
        if (!is_found)
            return false;
    }
    return true;
}

static const struct image_quota *find_quota(const struct image *image, const asked_entry *entry)
{
    struct image_walk walk;
    image_walk_start(&image->quotas, &walk);
    for (const struct image_quota *quota = image_walk_next_quota(&walk); quota;
         quota = image_walk_next_quota(&walk)) {
        if (is_entity(quota, entry))
            return quota;
    }
    return NULL;
}

static const struct image_quota_value *find_value(const struct image_quota *quota, struct view key)
{
    for (uint32_t i = 0; quota && i < quota->value_count; i++) {
        if (view_equal(quota->values[i].key, key))
            return &quota->values[i];
    }
    return NULL;
}

static void add_records(struct decision *decision, const asked_entry *entry)
{
    const struct image_quota *quota = find_quota(decision->image, entry);
    struct client_quota_record record;
    client_quota_record_init(&record);
    record.entity = decision_get(decision, entry->entity_count, sizeof(*record.entity));
    record.entity_count = entry->entity_count;
    for (size_t i = 0; i < entry->entity_count; i++)
        record.entity[i] = (struct client_quota_record_entity_data){entry->entity[i].entity_type,
                                                                    entry->entity[i].entity_name};
    for (size_t i = 0; i < entry->ops_count; i++) {
        const asked_op *op = &entry->ops[i];
        const struct image_quota_value *now = find_value(quota, op->key);
        bool is_fine =
            op->remove ? !now : now && !(now->value < op->value) && !(now->value > op->value);
        if (is_fine)
            continue;
        record.key = op->key;
        record.value = op->remove ? 0 : op->value;
        record.remove = op->remove;
        decision_add(decision, METADATA_RECORD_CLIENT_QUOTA, &record);
    }
}

static bool is_same_entity(const asked_entry *a, const asked_entry *b)
{
    struct image_quota_part parts[3];
    struct image_quota quota = {.parts = parts, .part_count = (uint32_t)a->entity_count};
    if (a->entity_count > 3)
        return false;
    for (size_t i = 0; i < a->entity_count; i++)
        parts[i] = (struct image_quota_part){a->entity[i].entity_type, a->entity[i].entity_name};
    return is_entity(&quota, b);
}

static struct refusal alter(struct decision *decision,
                            const struct alter_client_quotas_request *request, size_t index)
{
    const asked_entry *entry = &request->entries[index];
    unsigned kinds;
    struct refusal refusal = check_entity(decision, entry, &kinds);
    for (size_t i = 0; refusal.error == KAFKA_ERROR_NONE && i < index; i++) {
        if (is_same_entity(&request->entries[i], entry))
            refusal = refuse(decision, "the request names this entity twice",
                             entry->entity[0].entity_name);
    }
    for (size_t i = 0; refusal.error == KAFKA_ERROR_NONE && i < entry->ops_count; i++)
        refusal = check_op(decision, entry, i, kinds);
    if (refusal.error == KAFKA_ERROR_NONE && !request->validate_only)
        add_records(decision, entry);
    return refusal;
}

void decide_alter_client_quotas(struct decision *decision,
                                const struct alter_client_quotas_request *request,
                                struct alter_client_quotas_response *response)
{
    alter_client_quotas_response_init(response);
    response->entries = decision_get(decision, request->entries_count, sizeof(*response->entries));
    response->entries_count = request->entries_count;
    for (size_t i = 0; i < request->entries_count; i++) {
        const asked_entry *entry = &request->entries[i];
        struct alter_client_quotas_response_entry_data *out = &response->entries[i];
        struct refusal refusal = alter(decision, request, i);
        out->error_code = (int16_t)refusal.error;
        out->error_message = refusal.message;
        out->entity = decision_get(decision, entry->entity_count, sizeof(*out->entity));
        out->entity_count = entry->entity_count;
        for (size_t k = 0; k < entry->entity_count; k++)
            out->entity[k] = (struct alter_client_quotas_response_entity_data){
                entry->entity[k].entity_type, entry->entity[k].entity_name};
    }
}
