/*
 * The smaller collections of a draft. An object is replaced as a whole: its layout function counts
 * first and fills then, so that one block holds the struct, its arrays and its texts.
 */
#include "base/assert.h"
#include "cluster/metadata/draft_internal.h"
#include "cluster/metadata/object.h"

enum { OBJECT_STRUCT_SIZE_MAX = 256 };

void *block_room(struct block *block, size_t size)
{
    block->used = (block->used + 7) & ~(size_t)7;
    void *room = block->data ? block->data + block->used : NULL;
    block->used += size;
    return room;
}

struct view block_view(struct block *block, struct view view)
{
    if (view_is_null(view))
        return VIEW_NULL;
    uint8_t *to = block->data ? block->data + block->used : NULL;
    block->used += view.size;
    if (!to)
        return view;
    if (view.size)
        memcpy(to, view.data, view.size);
    return view_of(to, view.size);
}

/* Copies everything but the object head from `from` to `to`. */
typedef void (*object_lay)(struct block *block, const void *from, void *to);

static struct image_object *object_make(struct heap *heap, size_t struct_size, object_lay lay,
                                        const void *from)
{
    _Alignas(16) uint8_t scratch[OBJECT_STRUCT_SIZE_MAX];
    klamm_assert(struct_size <= sizeof(scratch));
    struct block block = {NULL, struct_size};
    lay(&block, from, scratch);
    size_t size = block.used;
    klamm_assert(size <= UINT32_MAX);
    struct image_object *object = heap_must_get(heap, MEMORY_STATE, size);
    block = (struct block){(uint8_t *)object, struct_size};
    lay(&block, from, object);
    klamm_assert(block.used == size);
    object->references = 1;
    object->size = (uint32_t)size;
    return object;
}

/* Nodes. */

static void lay_node(struct block *block, const void *from_object, void *to_object)
{
    const struct image_node *from = from_object;
    struct image_node *to = to_object;
    *to = *from;
    struct image_endpoint *endpoints = block_room(block, from->endpoint_count * sizeof(*endpoints));
    struct image_feature_range *features =
        block_room(block, from->feature_count * sizeof(*features));
    size_t directories_size = from->directory_count * sizeof(struct uuid);
    struct uuid *directories = block_room(block, directories_size);
    for (uint32_t i = 0; i < from->endpoint_count; i++) {
        struct image_endpoint endpoint = from->endpoints[i];
        endpoint.name = block_view(block, endpoint.name);
        endpoint.host = block_view(block, endpoint.host);
        if (endpoints)
            endpoints[i] = endpoint;
    }
    for (uint32_t i = 0; i < from->feature_count; i++) {
        struct image_feature_range feature = from->features[i];
        feature.name = block_view(block, feature.name);
        if (features)
            features[i] = feature;
    }
    if (directories && directories_size)
        memcpy(directories, from->directories, directories_size);
    to->endpoints = endpoints;
    to->features = features;
    to->directories = directories;
    to->rack = block_view(block, from->rack);
}

void draft_set_broker(struct image_draft *draft, const struct image_node *node)
{
    struct heap *heap = draft->next->heap;
    struct image_object *object = object_make(heap, sizeof(*node), lay_node, node);
    int32_t id = node->id;
    map_add_number(&draft->brokers, (uint64_t)(uint32_t)id, NULL);
    image_tree_put(&image_nodes_kind, heap, &draft->next->brokers, &id, object);
}

bool draft_remove_broker(struct image_draft *draft, int32_t id)
{
    if (!image_broker(draft->next, id))
        return false;
    map_add_number(&draft->brokers, (uint64_t)(uint32_t)id, NULL);
    image_tree_remove(&image_nodes_kind, draft->next->heap, &draft->next->brokers, &id);
    return true;
}

void draft_set_controller(struct image_draft *draft, const struct image_node *node)
{
    struct heap *heap = draft->next->heap;
    struct image_object *object = object_make(heap, sizeof(*node), lay_node, node);
    int32_t id = node->id;
    image_tree_put(&image_nodes_kind, heap, &draft->next->controllers, &id, object);
    draft->controllers_changed = true;
}

bool draft_remove_controller(struct image_draft *draft, int32_t id)
{
    if (!image_controller(draft->next, id))
        return false;
    image_tree_remove(&image_nodes_kind, draft->next->heap, &draft->next->controllers, &id);
    draft->controllers_changed = true;
    return true;
}

/* Settings. */

static void lay_config(struct block *block, const void *from_object, void *to_object)
{
    const struct image_config *from = from_object;
    struct image_config *to = to_object;
    *to = *from;
    struct image_setting *settings = block_room(block, from->setting_count * sizeof(*settings));
    for (uint32_t i = 0; i < from->setting_count; i++) {
        struct image_setting setting = from->settings[i];
        setting.name = block_view(block, setting.name);
        setting.value = block_view(block, setting.value);
        if (settings)
            settings[i] = setting;
    }
    to->settings = settings;
    to->name = block_view(block, from->name);
}

static void touch_config(struct image_draft *draft, int8_t type, struct view resource)
{
    uint8_t *key = draft_must_get(draft, 1 + resource.size);
    key[0] = (uint8_t)type;
    if (resource.size)
        memcpy(key + 1, resource.data, resource.size);
    if (!map_add(&draft->configs, view_of(key, 1 + resource.size), NULL))
        klamm_halt(__FILE__, __LINE__, "out of memory for a metadata change");
}

void draft_remove_config(struct image_draft *draft, int8_t type, struct view resource)
{
    if (!image_config(draft->next, (enum config_resource_type)type, resource))
        return;
    touch_config(draft, type, resource);
    struct image_config_key key = {type, resource};
    image_tree_remove(&image_configs_kind, draft->next->heap, &draft->next->configs, &key);
}

void draft_set_config(struct image_draft *draft, int8_t type, struct view resource,
                      struct view name, struct view value)
{
    const struct image_config *old =
        image_config(draft->next, (enum config_resource_type)type, resource);
    uint32_t old_count = old ? old->setting_count : 0;
    struct image_setting *settings =
        draft_must_get(draft, (old_count + 1) * sizeof(struct image_setting));
    uint32_t count = 0;
    bool placed = view_is_null(value);
    for (uint32_t i = 0; i < old_count; i++) {
        int order = view_compare(name, old->settings[i].name);
        if (order <= 0 && !placed) {
            settings[count++] = (struct image_setting){name, value};
            placed = true;
        }
        if (order != 0)
            settings[count++] = old->settings[i];
    }
    if (!placed)
        settings[count++] = (struct image_setting){name, value};
    if (count == 0) {
        draft_remove_config(draft, type, resource);
        return;
    }
    touch_config(draft, type, resource);
    struct image_config config = {
        .type = type, .name = resource, .settings = settings, .setting_count = count};
    struct heap *heap = draft->next->heap;
    struct image_object *object = object_make(heap, sizeof(config), lay_config, &config);
    struct image_config_key key = {type, resource};
    image_tree_put(&image_configs_kind, heap, &draft->next->configs, &key, object);
}

/* Features. */

static void lay_feature(struct block *block, const void *from_object, void *to_object)
{
    const struct image_feature *from = from_object;
    struct image_feature *to = to_object;
    *to = *from;
    to->name = block_view(block, from->name);
}

void draft_set_feature(struct image_draft *draft, struct view name, int16_t level)
{
    struct heap *heap = draft->next->heap;
    draft->features_changed = true;
    if (level == 0) {
        image_tree_remove(&image_features_kind, heap, &draft->next->features, &name);
        return;
    }
    struct image_feature feature = {.level = level, .name = name};
    image_tree_put(&image_features_kind, heap, &draft->next->features, &name,
                   object_make(heap, sizeof(feature), lay_feature, &feature));
}

/* Quotas. */

static void lay_quota(struct block *block, const void *from_object, void *to_object)
{
    const struct image_quota *from = from_object;
    struct image_quota *to = to_object;
    *to = *from;
    struct image_quota_part *parts = block_room(block, from->part_count * sizeof(*parts));
    struct image_quota_value *values = block_room(block, from->value_count * sizeof(*values));
    for (uint32_t i = 0; i < from->part_count; i++) {
        struct image_quota_part part = from->parts[i];
        part.type = block_view(block, part.type);
        part.name = block_view(block, part.name);
        if (parts)
            parts[i] = part;
    }
    for (uint32_t i = 0; i < from->value_count; i++) {
        struct image_quota_value value = from->values[i];
        value.key = block_view(block, value.key);
        if (values)
            values[i] = value;
    }
    to->parts = parts;
    to->values = values;
    to->key = block_view(block, from->key);
}

/* Sorts the parts by type into `sorted` and writes the canonical text: type, NUL, name or \1. */
static struct view quota_key(struct image_draft *draft, const struct image_quota_part *parts,
                             uint32_t part_count, struct image_quota_part *sorted)
{
    size_t size = 0;
    for (uint32_t i = 0; i < part_count; i++) {
        uint32_t place = i;
        while (place > 0 && view_compare(parts[i].type, sorted[place - 1].type) < 0) {
            sorted[place] = sorted[place - 1];
            place--;
        }
        sorted[place] = parts[i];
        size += parts[i].type.size + parts[i].name.size + 3;
    }
    struct writer writer = writer_of(draft_must_get(draft, size), size);
    for (uint32_t i = 0; i < part_count; i++) {
        write_view(&writer, sorted[i].type);
        write_u8(&writer, 0);
        write_u8(&writer, view_is_null(sorted[i].name) ? 1 : 2);
        write_view(&writer, sorted[i].name);
        write_u8(&writer, 0);
    }
    klamm_assert(!writer.failed);
    return view_of(writer.data, writer.size);
}

void draft_set_quota(struct image_draft *draft, const struct image_quota_part *parts,
                     uint32_t part_count, struct view key, double value, bool remove)
{
    struct heap *heap = draft->next->heap;
    struct image_quota_part *sorted = draft_must_get(draft, part_count * sizeof(*sorted));
    struct view entity = quota_key(draft, parts, part_count, sorted);
    const struct image_quota *old = (const struct image_quota *)image_tree_find(
        &image_quotas_kind, &draft->next->quotas, &entity);
    uint32_t old_count = old ? old->value_count : 0;
    struct image_quota_value *values = draft_must_get(draft, (old_count + 1) * sizeof(*values));
    uint32_t count = 0;
    bool placed = remove;
    for (uint32_t i = 0; i < old_count; i++) {
        int order = view_compare(key, old->values[i].key);
        if (order <= 0 && !placed) {
            values[count++] = (struct image_quota_value){key, value};
            placed = true;
        }
        if (order != 0)
            values[count++] = old->values[i];
    }
    if (!placed)
        values[count++] = (struct image_quota_value){key, value};
    draft->quotas_changed = true;
    if (count == 0) {
        image_tree_remove(&image_quotas_kind, heap, &draft->next->quotas, &entity);
        return;
    }
    struct image_quota quota = {.key = entity,
                                .parts = sorted,
                                .part_count = part_count,
                                .values = values,
                                .value_count = count};
    image_tree_put(&image_quotas_kind, heap, &draft->next->quotas, &entity,
                   object_make(heap, sizeof(quota), lay_quota, &quota));
}

/* Security. */

static void lay_acl(struct block *block, const void *from_object, void *to_object)
{
    const struct image_acl *from = from_object;
    struct image_acl *to = to_object;
    *to = *from;
    to->resource_name = block_view(block, from->resource_name);
    to->principal = block_view(block, from->principal);
    to->host = block_view(block, from->host);
}

void draft_set_acl(struct image_draft *draft, const struct image_acl *acl)
{
    struct heap *heap = draft->next->heap;
    struct uuid id = acl->id;
    image_tree_put(&image_acls_kind, heap, &draft->next->acls, &id,
                   object_make(heap, sizeof(*acl), lay_acl, acl));
    draft->acls_changed = true;
}

bool draft_remove_acl(struct image_draft *draft, struct uuid id)
{
    uint32_t before = draft->next->acls.count;
    image_tree_remove(&image_acls_kind, draft->next->heap, &draft->next->acls, &id);
    draft->acls_changed = true;
    return draft->next->acls.count != before;
}

static void lay_scram(struct block *block, const void *from_object, void *to_object)
{
    const struct image_scram *from = from_object;
    struct image_scram *to = to_object;
    *to = *from;
    to->user = block_view(block, from->user);
    to->salt = block_view(block, from->salt);
    to->stored_key = block_view(block, from->stored_key);
    to->server_key = block_view(block, from->server_key);
}

void draft_set_scram(struct image_draft *draft, const struct image_scram *scram)
{
    struct heap *heap = draft->next->heap;
    struct image_scram_key key = {scram->mechanism, scram->user};
    image_tree_put(&image_scrams_kind, heap, &draft->next->scrams, &key,
                   object_make(heap, sizeof(*scram), lay_scram, scram));
    draft->scrams_changed = true;
}

bool draft_remove_scram(struct image_draft *draft, int8_t mechanism, struct view user)
{
    uint32_t before = draft->next->scrams.count;
    struct image_scram_key key = {mechanism, user};
    image_tree_remove(&image_scrams_kind, draft->next->heap, &draft->next->scrams, &key);
    draft->scrams_changed = true;
    return draft->next->scrams.count != before;
}

static void lay_token(struct block *block, const void *from_object, void *to_object)
{
    const struct image_token *from = from_object;
    struct image_token *to = to_object;
    *to = *from;
    struct view *renewers = block_room(block, from->renewer_count * sizeof(*renewers));
    for (uint32_t i = 0; i < from->renewer_count; i++) {
        struct view renewer = block_view(block, from->renewers[i]);
        if (renewers)
            renewers[i] = renewer;
    }
    to->renewers = renewers;
    to->token_id = block_view(block, from->token_id);
    to->owner = block_view(block, from->owner);
    to->requester = block_view(block, from->requester);
}

void draft_set_token(struct image_draft *draft, const struct image_token *token)
{
    struct heap *heap = draft->next->heap;
    struct view key = token->token_id;
    image_tree_put(&image_tokens_kind, heap, &draft->next->tokens, &key,
                   object_make(heap, sizeof(*token), lay_token, token));
    draft->tokens_changed = true;
}

bool draft_remove_token(struct image_draft *draft, struct view token_id)
{
    uint32_t before = draft->next->tokens.count;
    image_tree_remove(&image_tokens_kind, draft->next->heap, &draft->next->tokens, &token_id);
    draft->tokens_changed = true;
    return draft->next->tokens.count != before;
}

/* Single values. */

void draft_set_producer_ids(struct image_draft *draft, struct image_producer_ids producer_ids)
{
    draft->next->producer_ids = producer_ids;
    draft->producer_ids_changed = true;
}

void draft_set_zk_migration(struct image_draft *draft, int8_t state)
{
    draft->next->zk_migration_state = state;
}
