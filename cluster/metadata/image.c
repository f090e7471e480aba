/*
 * Reading an image: lookups go through the trees, walks are tree cursors, and the difference of two
 * topics is found by comparing chunk pointers first and partition pointers then. Releasing an image
 * gives up one reference per tree; the trees free what no other image holds, and a topic its
 * chunks, a chunk its partitions.
 */
#include "cluster/metadata/image.h"

#include "base/assert.h"
#include "cluster/metadata/object.h"

/* Kinds: how keys compare to values, and how a value is given back. */

static int order_i32(int32_t a, int32_t b)
{
    return (a > b) - (a < b);
}

static int compare_topic_name(const void *key, const struct image_object *value)
{
    return view_compare(*(const struct view *)key, ((const struct image_topic *)value)->name);
}

static int compare_topic_id(const void *key, const struct image_object *value)
{
    return uuid_compare(*(const struct uuid *)key, ((const struct image_topic *)value)->id);
}

static int compare_node(const void *key, const struct image_object *value)
{
    return order_i32(*(const int32_t *)key, ((const struct image_node *)value)->id);
}

static int compare_config(const void *key, const struct image_object *value)
{
    const struct image_config_key *wanted = key;
    const struct image_config *config = (const struct image_config *)value;
    if (wanted->type != config->type)
        return order_i32(wanted->type, config->type);
    return view_compare(wanted->name, config->name);
}

static int compare_quota(const void *key, const struct image_object *value)
{
    return view_compare(*(const struct view *)key, ((const struct image_quota *)value)->key);
}

static int compare_acl(const void *key, const struct image_object *value)
{
    return uuid_compare(*(const struct uuid *)key, ((const struct image_acl *)value)->id);
}

static int compare_scram(const void *key, const struct image_object *value)
{
    const struct image_scram_key *wanted = key;
    const struct image_scram *scram = (const struct image_scram *)value;
    if (wanted->mechanism != scram->mechanism)
        return order_i32(wanted->mechanism, scram->mechanism);
    return view_compare(wanted->user, scram->user);
}

static int compare_token(const void *key, const struct image_object *value)
{
    return view_compare(*(const struct view *)key, ((const struct image_token *)value)->token_id);
}

static int compare_feature(const void *key, const struct image_object *value)
{
    return view_compare(*(const struct view *)key, ((const struct image_feature *)value)->name);
}

static void release_block(struct heap *heap, struct image_object *value)
{
    heap_put(heap, MEMORY_STATE, value, value->size);
}

void image_partition_release(struct heap *heap, const struct image_partition *partition)
{
    if (!partition)
        return;
    /* References are the one part of a finished partition that its maker still writes. */
    struct image_object *object = (struct image_object *)(uintptr_t)partition;
    klamm_assert(object->references > 0);
    if (--object->references == 0)
        release_block(heap, object);
}

void image_chunk_release(struct heap *heap, struct image_chunk *chunk)
{
    klamm_assert(chunk->references > 0);
    if (--chunk->references > 0)
        return;
    for (size_t i = 0; i < IMAGE_CHUNK_PARTITIONS; i++)
        image_partition_release(heap, chunk->partitions[i]);
    heap_put(heap, MEMORY_STATE, chunk, sizeof(*chunk));
}

static void release_topic(struct heap *heap, struct image_object *value)
{
    struct image_topic *topic = (struct image_topic *)value;
    for (uint32_t i = 0; i < topic->chunk_count; i++)
        image_chunk_release(heap, topic->chunks[i]);
    heap_put(heap, MEMORY_STATE, topic->chunks, topic->chunk_count * sizeof(*topic->chunks));
    release_block(heap, value);
}

void image_topic_release(struct heap *heap, struct image_topic *topic)
{
    klamm_assert(topic->object.references > 0);
    if (--topic->object.references == 0)
        release_topic(heap, &topic->object);
}

const struct image_tree_kind image_topics_by_name_kind = {compare_topic_name, release_topic};
const struct image_tree_kind image_topics_by_id_kind = {compare_topic_id, release_topic};
const struct image_tree_kind image_nodes_kind = {compare_node, release_block};
const struct image_tree_kind image_configs_kind = {compare_config, release_block};
const struct image_tree_kind image_quotas_kind = {compare_quota, release_block};
const struct image_tree_kind image_acls_kind = {compare_acl, release_block};
const struct image_tree_kind image_scrams_kind = {compare_scram, release_block};
const struct image_tree_kind image_tokens_kind = {compare_token, release_block};
const struct image_tree_kind image_features_kind = {compare_feature, release_block};

/* Life. */

struct image *image_create_empty(struct heap *heap, struct view cluster_id)
{
    struct image *image = heap_must_get(heap, MEMORY_STATE, sizeof(*image));
    *image = (struct image){.heap = heap,
                            .references = 1,
                            .offset = -1,
                            .timestamp_ms = -1,
                            .cluster_id = cluster_id,
                            .controller_id = -1,
                            .zk_migration_state = -1};
    return image;
}

void image_acquire(const struct image *image)
{
    ((struct image *)(uintptr_t)image)->references++;
}

void image_release(const struct image *const_image)
{
    if (!const_image)
        return;
    struct image *image = (struct image *)(uintptr_t)const_image;
    klamm_assert(image->references > 0);
    if (--image->references > 0)
        return;
    struct heap *heap = image->heap;
    image_tree_release(&image_topics_by_name_kind, heap, &image->topics_by_name);
    image_tree_release(&image_topics_by_id_kind, heap, &image->topics_by_id);
    image_tree_release(&image_nodes_kind, heap, &image->brokers);
    image_tree_release(&image_nodes_kind, heap, &image->controllers);
    image_tree_release(&image_configs_kind, heap, &image->configs);
    image_tree_release(&image_quotas_kind, heap, &image->quotas);
    image_tree_release(&image_acls_kind, heap, &image->acls);
    image_tree_release(&image_scrams_kind, heap, &image->scrams);
    image_tree_release(&image_tokens_kind, heap, &image->tokens);
    image_tree_release(&image_features_kind, heap, &image->features);
    heap_put(heap, MEMORY_STATE, image, sizeof(*image));
}

/* Topics. */

const struct image_topic *image_topic_by_name(const struct image *image, struct view name)
{
    return (const struct image_topic *)image_tree_find(&image_topics_by_name_kind,
                                                       &image->topics_by_name, &name);
}

const struct image_topic *image_topic_by_id(const struct image *image, struct uuid id)
{
    return (const struct image_topic *)image_tree_find(&image_topics_by_id_kind,
                                                       &image->topics_by_id, &id);
}

const struct image_partition *image_topic_partition(const struct image_topic *topic, int32_t index)
{
    if (index < 0 || (uint32_t)index >= topic->partition_count)
        return NULL;
    uint32_t place = (uint32_t)index;
    return topic->chunks[place / IMAGE_CHUNK_PARTITIONS]
        ->partitions[place % IMAGE_CHUNK_PARTITIONS];
}

const struct image_partition *image_partition_by_name(const struct image *image, struct view name,
                                                      int32_t index)
{
    const struct image_topic *topic = image_topic_by_name(image, name);
    return topic ? image_topic_partition(topic, index) : NULL;
}

bool image_topic_name_is_internal(struct view name)
{
    return view_equal(name, VIEW_LITERAL("__consumer_offsets")) ||
           view_equal(name, VIEW_LITERAL("__transaction_state")) ||
           view_equal(name, VIEW_LITERAL("__share_group_state"));
}

void image_topic_walk_start(const struct image *image, struct view from,
                            struct image_topic_walk *walk)
{
    if (view_is_null(from))
        image_tree_start(&image->topics_by_name, &walk->cursor);
    else
        image_tree_seek(&image_topics_by_name_kind, &image->topics_by_name, &from, &walk->cursor);
}

const struct image_topic *image_topic_walk_next(struct image_topic_walk *walk)
{
    return (const struct image_topic *)image_tree_next(&walk->cursor);
}

/* Partitions. */

static const struct uuid *partition_directories(const struct image_partition *partition)
{
    if (!partition->has_directories)
        return NULL;
    size_t count = (size_t)partition->replica_count + partition->isr_count +
                   partition->adding_count + partition->removing_count + partition->eligible_count +
                   partition->last_known_count;
    return (const struct uuid *)(const void *)(partition->ids + count);
}

static struct node_list take_list(const int32_t **next, uint32_t count)
{
    struct node_list list = {*next, count};
    *next += count;
    return list;
}

struct partition_state image_partition_state(const struct image_partition *partition)
{
    const int32_t *next = partition->ids;
    struct partition_state state = {
        .leader = partition->leader,
        .leader_epoch = partition->leader_epoch,
        .partition_epoch = partition->partition_epoch,
        .recovery = (enum image_recovery)partition->recovery,
        .directories = partition_directories(partition),
    };
    state.replicas = take_list(&next, partition->replica_count);
    state.isr = take_list(&next, partition->isr_count);
    state.adding = take_list(&next, partition->adding_count);
    state.removing = take_list(&next, partition->removing_count);
    state.eligible = take_list(&next, partition->eligible_count);
    state.last_known = take_list(&next, partition->last_known_count);
    return state;
}

struct uuid image_partition_directory(const struct image_partition *partition, uint32_t place)
{
    const struct uuid *directories = partition_directories(partition);
    if (!directories || place >= partition->replica_count)
        return UUID_ZERO;
    return directories[place];
}

int32_t node_list_find(struct node_list list, int32_t id)
{
    for (uint32_t i = 0; i < list.count; i++) {
        if (list.ids[i] == id)
            return (int32_t)i;
    }
    return -1;
}

static int32_t *copy_list(int32_t *to, struct node_list list)
{
    if (list.count)
        memcpy(to, list.ids, list.count * sizeof(*to));
    return to + list.count;
}

const struct image_partition *image_partition_create(struct heap *heap,
                                                     const struct partition_state *state)
{
    size_t count = (size_t)state->replicas.count + state->isr.count + state->adding.count +
                   state->removing.count + state->eligible.count + state->last_known.count;
    size_t directories_size = state->directories ? state->replicas.count * sizeof(struct uuid) : 0;
    size_t size = sizeof(struct image_partition) + count * sizeof(int32_t) + directories_size;
    klamm_assert(state->replicas.count <= UINT16_MAX);
    struct image_partition *partition = heap_must_get(heap, MEMORY_STATE, size);
    *partition = (struct image_partition){
        .object = {.references = 1, .size = (uint32_t)size},
        .leader = state->leader,
        .leader_epoch = state->leader_epoch,
        .partition_epoch = state->partition_epoch,
        .replica_count = (uint16_t)state->replicas.count,
        .isr_count = (uint16_t)state->isr.count,
        .adding_count = (uint16_t)state->adding.count,
        .removing_count = (uint16_t)state->removing.count,
        .eligible_count = (uint16_t)state->eligible.count,
        .last_known_count = (uint16_t)state->last_known.count,
        .recovery = (uint8_t)state->recovery,
        .has_directories = state->directories != NULL,
    };
    int32_t *to = copy_list(partition->ids, state->replicas);
    to = copy_list(to, state->isr);
    to = copy_list(to, state->adding);
    to = copy_list(to, state->removing);
    to = copy_list(to, state->eligible);
    to = copy_list(to, state->last_known);
    if (directories_size)
        memcpy(to, state->directories, directories_size);
    return partition;
}

/* Nodes. */

const struct image_node *image_broker(const struct image *image, int32_t id)
{
    return (const struct image_node *)image_tree_find(&image_nodes_kind, &image->brokers, &id);
}

const struct image_node *image_controller(const struct image *image, int32_t id)
{
    return (const struct image_node *)image_tree_find(&image_nodes_kind, &image->controllers, &id);
}

const struct image_endpoint *image_node_endpoint(const struct image_node *node, struct view name)
{
    for (uint32_t i = 0; i < node->endpoint_count; i++) {
        if (view_equal(node->endpoints[i].name, name))
            return &node->endpoints[i];
    }
    return NULL;
}

bool image_broker_is_active(const struct image *image, int32_t id)
{
    const struct image_node *broker = image_broker(image, id);
    return broker && !broker->fenced && !broker->in_controlled_shutdown;
}

void image_walk_start(const struct image_tree *tree, struct image_walk *walk)
{
    image_tree_start(tree, &walk->cursor);
}

const struct image_node *image_walk_next_node(struct image_walk *walk)
{
    return (const struct image_node *)image_tree_next(&walk->cursor);
}

const struct image_config *image_walk_next_config(struct image_walk *walk)
{
    return (const struct image_config *)image_tree_next(&walk->cursor);
}

const struct image_quota *image_walk_next_quota(struct image_walk *walk)
{
    return (const struct image_quota *)image_tree_next(&walk->cursor);
}

const struct image_scram *image_walk_next_scram(struct image_walk *walk)
{
    return (const struct image_scram *)image_tree_next(&walk->cursor);
}

const struct image_feature *image_walk_next_feature(struct image_walk *walk)
{
    return (const struct image_feature *)image_tree_next(&walk->cursor);
}

/* Settings, features, the rest. */

const struct image_config *image_config(const struct image *image, enum config_resource_type type,
                                        struct view name)
{
    struct image_config_key key = {(int8_t)type, name};
    return (const struct image_config *)image_tree_find(&image_configs_kind, &image->configs, &key);
}

struct view image_config_value(const struct image_config *config, struct view name)
{
    if (!config)
        return VIEW_NULL;
    size_t low = 0;
    size_t high = config->setting_count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        int order = view_compare(name, config->settings[middle].name);
        if (order == 0)
            return config->settings[middle].value;
        if (order < 0)
            high = middle;
        else
            low = middle + 1;
    }
    return VIEW_NULL;
}

int16_t image_feature_level(const struct image *image, struct view name)
{
    const struct image_feature *feature = (const struct image_feature *)image_tree_find(
        &image_features_kind, &image->features, &name);
    return feature ? feature->level : 0;
}

const struct image_scram *image_scram(const struct image *image, int8_t mechanism, struct view user)
{
    struct image_scram_key key = {mechanism, user};
    return (const struct image_scram *)image_tree_find(&image_scrams_kind, &image->scrams, &key);
}

/* What changed. */

void image_delta_destroy(struct heap *heap, struct image_delta *delta)
{
    if (delta)
        heap_put(heap, MEMORY_STATE, delta, delta->size);
}

static const struct image_chunk *topic_chunk(const struct image_topic *topic, uint32_t chunk)
{
    return topic && chunk < topic->chunk_count ? topic->chunks[chunk] : NULL;
}

static uint32_t topic_partition_count(const struct image_topic *topic)
{
    return topic ? topic->partition_count : 0;
}

bool image_topic_change_next(const struct image_topic_change *topic, uint32_t *cursor,
                             struct image_partition_change *change)
{
    uint32_t before_count = topic_partition_count(topic->before);
    uint32_t after_count = topic_partition_count(topic->after);
    uint32_t count = before_count > after_count ? before_count : after_count;
    while (*cursor < count) {
        uint32_t chunk = *cursor / IMAGE_CHUNK_PARTITIONS;
        const struct image_chunk *before = topic_chunk(topic->before, chunk);
        const struct image_chunk *after = topic_chunk(topic->after, chunk);
        if (before == after) {
            *cursor = (chunk + 1) * IMAGE_CHUNK_PARTITIONS;
            continue;
        }
        uint32_t place = *cursor % IMAGE_CHUNK_PARTITIONS;
        change->index = (int32_t)*cursor;
        change->before = before ? before->partitions[place] : NULL;
        change->after = after ? after->partitions[place] : NULL;
        ++*cursor;
        if (change->before != change->after)
            return true;
    }
    return false;
}
