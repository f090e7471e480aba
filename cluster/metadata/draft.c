/*
 * A draft is a private image whose trees start as second references to the base's. Tree functions
 * copy what is shared. A topic is copied the first time it is touched; the map of touched topics
 * says which topics are ours to write, since a topic is held by two trees and its count alone does
 * not tell. Within an own topic a chunk is ours while its count is one.
 */
#include "cluster/metadata/draft.h"

#include "base/assert.h"
#include "cluster/metadata/draft_internal.h"
#include "cluster/metadata/object.h"

enum {
    DRAFT_PARTITIONS_MAX = 1 << 22
}; /* of one topic: bounds what a damaged record can ask for */

/* One topic that the draft changed. */
struct draft_topic {
    struct uuid id;
    struct image_topic *topic; /* in next's trees, ours to write; NULL: deleted */
};

void draft_begin(struct image_draft *draft, const struct image *base)
{
    struct heap *heap = base->heap;
    image_acquire(base);
    struct image *next = heap_must_get(heap, MEMORY_STATE, sizeof(*next));
    *next = *base;
    next->references = 1;
    next->version = base->version + 1;
    next->topics_by_name = image_tree_acquire(&base->topics_by_name);
    next->topics_by_id = image_tree_acquire(&base->topics_by_id);
    next->brokers = image_tree_acquire(&base->brokers);
    next->controllers = image_tree_acquire(&base->controllers);
    next->configs = image_tree_acquire(&base->configs);
    next->quotas = image_tree_acquire(&base->quotas);
    next->acls = image_tree_acquire(&base->acls);
    next->scrams = image_tree_acquire(&base->scrams);
    next->tokens = image_tree_acquire(&base->tokens);
    next->features = image_tree_acquire(&base->features);
    *draft = (struct image_draft){.base = (struct image *)(uintptr_t)base, .next = next};
    arena_init(&draft->arena, heap, MEMORY_STATE, 0);
    map_init(&draft->topics, heap, MEMORY_STATE, 0);
    map_init(&draft->configs, heap, MEMORY_STATE, 0);
    map_init(&draft->brokers, heap, MEMORY_STATE, 0);
}

static void draft_end(struct image_draft *draft)
{
    map_deinit(&draft->topics);
    map_deinit(&draft->configs);
    map_deinit(&draft->brokers);
    arena_deinit(&draft->arena);
    image_release(draft->base);
    *draft = (struct image_draft){0};
}

void draft_drop(struct image_draft *draft)
{
    image_release(draft->next);
    draft_end(draft);
}

void *draft_must_get(struct image_draft *draft, size_t size)
{
    void *room = arena_get(&draft->arena, size);
    if (!room)
        klamm_halt(__FILE__, __LINE__, "out of memory for a metadata change");
    return room;
}

/* Finishing: the list of changes. */

static void list_topics(struct image_draft *draft, struct image_delta *delta,
                        struct image_topic_change *changes)
{
    for (int deleted = 1; deleted >= 0; deleted--) {
        map_for_each(entry, &draft->topics)
        {
            const struct draft_topic *touched = entry->value;
            const struct image_topic *before = image_topic_by_id(draft->base, touched->id);
            if ((touched->topic == NULL) != (deleted == 1) || (!before && !touched->topic))
                continue;
            changes[delta->topic_count++] = (struct image_topic_change){
                .id = touched->id, .before = before, .after = touched->topic};
        }
    }
    delta->topics = changes;
}

static void list_configs(struct image_draft *draft, struct image_delta *delta,
                         struct image_config_change *changes)
{
    map_for_each(entry, &draft->configs)
    {
        struct view key = map_entry_key(entry);
        enum config_resource_type type = (enum config_resource_type)key.data[0];
        struct view name = view_of(key.data + 1, key.size - 1);
        const struct image_config *before = image_config(draft->base, type, name);
        const struct image_config *after = image_config(draft->next, type, name);
        if (before == after)
            continue;
        changes[delta->config_count++] =
            (struct image_config_change){.type = (int8_t)type,
                                         .name = after ? after->name : before->name,
                                         .before = before,
                                         .after = after};
    }
    delta->configs = changes;
}

static void list_brokers(struct image_draft *draft, struct image_delta *delta,
                         struct image_node_change *changes)
{
    map_for_each(entry, &draft->brokers)
    {
        int32_t id = (int32_t)entry->key_number;
        const struct image_node *before = image_broker(draft->base, id);
        const struct image_node *after = image_broker(draft->next, id);
        if (before == after)
            continue;
        changes[delta->broker_count++] = (struct image_node_change){id, before, after};
    }
    delta->brokers = changes;
}

static struct image_delta *make_delta(struct image_draft *draft)
{
    size_t topics_size = map_count(&draft->topics) * sizeof(struct image_topic_change);
    size_t configs_size = map_count(&draft->configs) * sizeof(struct image_config_change);
    size_t brokers_size = map_count(&draft->brokers) * sizeof(struct image_node_change);
    size_t size = sizeof(struct image_delta) + topics_size + configs_size + brokers_size;
    struct image_delta *delta = heap_must_get(draft->next->heap, MEMORY_STATE, size);
    *delta = (struct image_delta){
        .before = draft->base,
        .after = draft->next,
        .controllers_changed = draft->controllers_changed,
        .features_changed = draft->features_changed,
        .quotas_changed = draft->quotas_changed,
        .acls_changed = draft->acls_changed,
        .scrams_changed = draft->scrams_changed,
        .tokens_changed = draft->tokens_changed,
        .producer_ids_changed = draft->producer_ids_changed,
        .size = size,
    };
    uint8_t *room = (uint8_t *)(delta + 1);
    list_topics(draft, delta, (void *)room);
    list_configs(draft, delta, (void *)(room + topics_size));
    list_brokers(draft, delta, (void *)(room + topics_size + configs_size));
    return delta;
}

const struct image *draft_finish(struct image_draft *draft, struct image_delta **delta)
{
    const struct image *next = draft->next;
    if (delta)
        *delta = make_delta(draft);
    draft_end(draft);
    return next;
}

/* Topics. */

static struct draft_topic *find_touched(struct image_draft *draft, struct uuid id)
{
    return map_get(&draft->topics, view_of(id.bytes, UUID_SIZE));
}

static struct draft_topic *touch(struct image_draft *draft, struct uuid id,
                                 struct image_topic *topic)
{
    struct draft_topic *touched = draft_must_get(draft, sizeof(*touched));
    *touched = (struct draft_topic){id, topic};
    if (!map_put(&draft->topics, view_of(touched->id.bytes, UUID_SIZE), touched))
        klamm_halt(__FILE__, __LINE__, "out of memory for a metadata change");
    return touched;
}

/* Puts a topic with one reference into both trees. */
static void put_topic(struct image_draft *draft, struct image_topic *topic)
{
    struct heap *heap = draft->next->heap;
    image_object_acquire(&topic->object);
    image_tree_put(&image_topics_by_name_kind, heap, &draft->next->topics_by_name, &topic->name,
                   &topic->object);
    image_tree_put(&image_topics_by_id_kind, heap, &draft->next->topics_by_id, &topic->id,
                   &topic->object);
}

static struct image_topic *make_topic(struct heap *heap, struct view name, struct uuid id)
{
    size_t size = sizeof(struct image_topic) + name.size;
    struct image_topic *topic = heap_must_get(heap, MEMORY_STATE, size);
    *topic = (struct image_topic){.object = {.references = 1, .size = (uint32_t)size}, .id = id};
    if (name.size)
        memcpy(topic->name_bytes, name.data, name.size);
    topic->name = view_of(topic->name_bytes, name.size);
    return topic;
}

/* The topic, ours to write, or NULL when there is none. */
static struct image_topic *own_topic(struct image_draft *draft, struct uuid id)
{
    struct draft_topic *touched = find_touched(draft, id);
    if (touched)
        return touched->topic;
    const struct image_topic *old = image_topic_by_id(draft->next, id);
    if (!old)
        return NULL;
    struct heap *heap = draft->next->heap;
    struct image_topic *topic = make_topic(heap, old->name, id);
    topic->partition_count = old->partition_count;
    topic->chunk_count = old->chunk_count;
    if (old->chunk_count) {
        size_t size = old->chunk_count * sizeof(*topic->chunks);
        topic->chunks = heap_must_get(heap, MEMORY_STATE, size);
        memcpy(topic->chunks, old->chunks, size);
        for (uint32_t i = 0; i < topic->chunk_count; i++)
            topic->chunks[i]->references++;
    }
    put_topic(draft, topic);
    touch(draft, id, topic);
    return topic;
}

bool draft_add_topic(struct image_draft *draft, struct view name, struct uuid id)
{
    if (image_topic_by_name(draft->next, name) || image_topic_by_id(draft->next, id) ||
        find_touched(draft, id))
        return false;
    struct image_topic *topic = make_topic(draft->next->heap, name, id);
    put_topic(draft, topic);
    touch(draft, id, topic);
    return true;
}

static uint32_t count_partitions(const struct image_topic *topic)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < topic->partition_count; i++)
        count += image_topic_partition(topic, (int32_t)i) != NULL;
    return count;
}

bool draft_remove_topic(struct image_draft *draft, struct uuid id)
{
    const struct image_topic *topic = image_topic_by_id(draft->next, id);
    if (!topic)
        return false;
    draft->next->partition_count -= count_partitions(topic);
    draft_remove_config(draft, CONFIG_RESOURCE_TOPIC, topic->name);
    struct draft_topic *touched = find_touched(draft, id);
    if (touched)
        touched->topic = NULL;
    else
        touch(draft, id, NULL);
    /* The name lives in the topic: the tree by id keeps it alive until the second removal. */
    struct heap *heap = draft->next->heap;
    struct view name = topic->name;
    image_tree_remove(&image_topics_by_name_kind, heap, &draft->next->topics_by_name, &name);
    image_tree_remove(&image_topics_by_id_kind, heap, &draft->next->topics_by_id, &id);
    return true;
}

/* Partitions. */

static void grow_chunks(struct heap *heap, struct image_topic *topic, uint32_t chunk_count)
{
    if (chunk_count <= topic->chunk_count)
        return;
    struct image_chunk **chunks = heap_must_get(heap, MEMORY_STATE, chunk_count * sizeof(*chunks));
    if (topic->chunk_count)
        memcpy(chunks, topic->chunks, topic->chunk_count * sizeof(*chunks));
    for (uint32_t i = topic->chunk_count; i < chunk_count; i++) {
        chunks[i] = heap_must_get(heap, MEMORY_STATE, sizeof(*chunks[i]));
        chunks[i]->references = 1;
    }
    heap_put(heap, MEMORY_STATE, topic->chunks, topic->chunk_count * sizeof(*chunks));
    topic->chunks = chunks;
    topic->chunk_count = chunk_count;
}

/* The chunk of an own topic, ours to write. */
static struct image_chunk *own_chunk(struct heap *heap, struct image_topic *topic, uint32_t index)
{
    struct image_chunk *chunk = topic->chunks[index];
    if (chunk->references == 1)
        return chunk;
    struct image_chunk *copy = heap_must_get(heap, MEMORY_STATE, sizeof(*copy));
    *copy = *chunk;
    copy->references = 1;
    for (size_t i = 0; i < IMAGE_CHUNK_PARTITIONS; i++) {
        if (copy->partitions[i])
            image_object_acquire((struct image_object *)(uintptr_t)copy->partitions[i]);
    }
    chunk->references--;
    topic->chunks[index] = copy;
    return copy;
}

bool draft_set_partition(struct image_draft *draft, struct uuid topic_id, int32_t index,
                         const struct partition_state *state)
{
    if (index < 0 || index >= DRAFT_PARTITIONS_MAX || state->replicas.count > UINT16_MAX ||
        state->isr.count > UINT16_MAX || state->adding.count > UINT16_MAX ||
        state->removing.count > UINT16_MAX || state->eligible.count > UINT16_MAX ||
        state->last_known.count > UINT16_MAX)
        return false;
    struct image_topic *topic = own_topic(draft, topic_id);
    if (!topic)
        return false;
    struct heap *heap = draft->next->heap;
    uint32_t place = (uint32_t)index;
    /* Made first: `state` may borrow from the partition that is replaced. */
    const struct image_partition *partition = image_partition_create(heap, state);
    grow_chunks(heap, topic, place / IMAGE_CHUNK_PARTITIONS + 1);
    struct image_chunk *chunk = own_chunk(heap, topic, place / IMAGE_CHUNK_PARTITIONS);
    const struct image_partition **slot = &chunk->partitions[place % IMAGE_CHUNK_PARTITIONS];
    draft->next->partition_count += *slot == NULL;
    image_partition_release(heap, *slot);
    *slot = partition;
    if (topic->partition_count <= place)
        topic->partition_count = place + 1;
    return true;
}

static void clear_topic(struct image_draft *draft, const struct image_topic *topic)
{
    struct uuid id = topic->id;
    for (uint32_t i = 0; i < topic->partition_count; i++) {
        const struct image_partition *partition = image_topic_partition(topic, (int32_t)i);
        if (!partition || (partition->eligible_count == 0 && partition->last_known_count == 0))
            continue;
        struct partition_state state = image_partition_state(partition);
        state.eligible.count = 0;
        state.last_known.count = 0;
        draft_set_partition(draft, id, (int32_t)i, &state);
        topic = image_topic_by_id(draft->next, id); /* it may have become ours just now */
    }
}

void draft_clear_eligible(struct image_draft *draft, struct view topic_name)
{
    if (!view_is_null(topic_name)) {
        const struct image_topic *topic = image_topic_by_name(draft->next, topic_name);
        if (topic)
            clear_topic(draft, topic);
        return;
    }
    /* The walk runs over the base, which does not change; topics made since have nothing set. */
    struct image_topic_walk walk;
    image_topic_walk_start(draft->base, VIEW_NULL, &walk);
    for (const struct image_topic *old = image_topic_walk_next(&walk); old;
         old = image_topic_walk_next(&walk)) {
        const struct image_topic *topic = image_topic_by_id(draft->next, old->id);
        if (topic)
            clear_topic(draft, topic);
    }
}

void draft_set_position(struct image_draft *draft, int64_t offset, int32_t epoch,
                        int64_t timestamp_ms)
{
    draft->next->offset = offset;
    draft->next->epoch = epoch;
    draft->next->timestamp_ms = timestamp_ms;
}

void draft_set_leadership(struct image_draft *draft, int32_t controller_id,
                          int32_t controller_epoch, int16_t kraft_version)
{
    draft->next->kraft_version = kraft_version;
    draft->next->controller_id = controller_id;
    draft->next->controller_epoch = controller_epoch;
}
