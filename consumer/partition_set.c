/* Sets are built in an arena: names are gathered, sorted, and folded into topics; what stays is
 * copied to the heap as one block. */
#include "consumer/partition_set.h"

#include "base/assert.h"
#include "base/sort.h"

const struct partition_set partition_set_empty = {0, 0, NULL, NULL};

static size_t block_size(uint32_t topic_count, uint32_t partition_count)
{
    return sizeof(struct partition_set) + topic_count * sizeof(struct partition_set_topic) +
           partition_count * sizeof(int32_t);
}

size_t partition_set_size(const struct partition_set *set)
{
    if (partition_set_is_empty(set))
        return 0;
    return block_size(set->topic_count, set->partition_count);
}

static void point_into(struct partition_set *set, uint32_t topic_room)
{
    set->topics = partition_set_room_topics(set);
    set->partitions = partition_set_room_partitions(set, topic_room);
}

const struct partition_set *partition_set_copy(struct heap *heap, const struct partition_set *set)
{
    if (!set || partition_set_is_empty(set))
        return &partition_set_empty;
    struct partition_set *copy = heap_must_get(heap, MEMORY_STATE, partition_set_size(set));
    copy->topic_count = set->topic_count;
    copy->partition_count = set->partition_count;
    point_into(copy, set->topic_count);
    memcpy(partition_set_room_topics(copy), set->topics, set->topic_count * sizeof(*set->topics));
    memcpy(partition_set_room_partitions(copy, set->topic_count), set->partitions,
           set->partition_count * sizeof(*set->partitions));
    return copy;
}

void partition_set_free(struct heap *heap, const struct partition_set *set)
{
    if (!set || partition_set_is_empty(set))
        return;
    /* Only blocks of partition_set_copy come here; they are the heap's. */
    union {
        const struct partition_set *set;
        void *block;
    } own = {.set = set};
    heap_put(heap, MEMORY_STATE, own.block, partition_set_size(set));
}

void partition_set_builder_init(struct partition_set_builder *builder, struct arena *arena)
{
    *builder = (struct partition_set_builder){.arena = arena};
}

void partition_set_add(struct partition_set_builder *builder, struct uuid topic, int32_t partition)
{
    if (builder->count == builder->capacity) {
        uint32_t capacity = builder->capacity ? builder->capacity * 2 : 16;
        struct partition_name *names =
            arena_get(builder->arena, (size_t)capacity * sizeof(*builder->names));
        if (!names) {
            builder->failed = true;
            return;
        }
        if (builder->count)
            memcpy(names, builder->names, builder->count * sizeof(*names));
        builder->names = names;
        builder->capacity = capacity;
    }
    builder->names[builder->count++] = (struct partition_name){topic, partition};
}

void partition_set_add_topic(struct partition_set_builder *builder, const struct partition_set *set,
                             const struct partition_set_topic *topic)
{
    for (uint32_t i = 0; i < topic->count; i++)
        partition_set_add(builder, topic->id, partition_set_of(set, topic)[i]);
}

void partition_set_add_all(struct partition_set_builder *builder, const struct partition_set *set)
{
    for (uint32_t t = 0; t < set->topic_count; t++)
        partition_set_add_topic(builder, set, &set->topics[t]);
}

static int compare_names(const void *a, const void *b, void *context)
{
    (void)context;
    const struct partition_name *left = a;
    const struct partition_name *right = b;
    int order = uuid_compare(left->topic, right->topic);
    if (order != 0)
        return order;
    return (left->partition > right->partition) - (left->partition < right->partition);
}

struct partition_set *partition_set_room(struct arena *arena, uint32_t topic_count,
                                         uint32_t partition_count)
{
    struct partition_set *set = arena_get(arena, block_size(topic_count, partition_count));
    if (!set)
        return NULL;
    set->topic_count = topic_count;
    set->partition_count = partition_count;
    point_into(set, topic_count);
    return set;
}

const struct partition_set *partition_set_finish(struct partition_set_builder *builder)
{
    if (builder->failed)
        return NULL;
    if (builder->count == 0)
        return &partition_set_empty;
    void *scratch = arena_get(builder->arena, builder->count * sizeof(*builder->names));
    if (!scratch)
        return NULL;
    sort_stable(builder->names, builder->count, sizeof(*builder->names), scratch, compare_names,
                NULL);
    struct partition_set *set = partition_set_room(builder->arena, builder->count, builder->count);
    if (!set)
        return NULL;
    struct partition_set_topic *topics = partition_set_room_topics(set);
    int32_t *partitions = partition_set_room_partitions(set, builder->count);
    uint32_t topic_count = 0;
    uint32_t count = 0;
    for (uint32_t i = 0; i < builder->count; i++) {
        const struct partition_name *name = &builder->names[i];
        if (i > 0 && compare_names(name, name - 1, NULL) == 0)
            continue;
        if (topic_count == 0 || !uuid_equal(topics[topic_count - 1].id, name->topic))
            topics[topic_count++] = (struct partition_set_topic){name->topic, count, 0};
        partitions[count++] = name->partition;
        topics[topic_count - 1].count++;
    }
    set->topic_count = topic_count;
    set->partition_count = count;
    return set;
}

bool partition_set_equal(const struct partition_set *a, const struct partition_set *b)
{
    if (a->topic_count != b->topic_count || a->partition_count != b->partition_count)
        return false;
    for (uint32_t t = 0; t < a->topic_count; t++) {
        if (a->topics[t].count != b->topics[t].count ||
            !uuid_equal(a->topics[t].id, b->topics[t].id))
            return false;
    }
    return a->partition_count == 0 ||
           memcmp(a->partitions, b->partitions, a->partition_count * sizeof(*a->partitions)) == 0;
}

const struct partition_set_topic *partition_set_find_topic(const struct partition_set *set,
                                                           struct uuid topic)
{
    uint32_t low = 0;
    uint32_t high = set->topic_count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        int order = uuid_compare(set->topics[middle].id, topic);
        if (order == 0)
            return &set->topics[middle];
        if (order < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return NULL;
}

bool partition_set_topic_contains(const struct partition_set *set,
                                  const struct partition_set_topic *topic, int32_t partition)
{
    const int32_t *list = partition_set_of(set, topic);
    uint32_t low = 0;
    uint32_t high = topic->count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (list[middle] == partition)
            return true;
        if (list[middle] < partition)
            low = middle + 1;
        else
            high = middle;
    }
    return false;
}

bool partition_set_contains(const struct partition_set *set, struct uuid topic, int32_t partition)
{
    const struct partition_set_topic *found = partition_set_find_topic(set, topic);
    return found && partition_set_topic_contains(set, found, partition);
}

/* Partitions of a topic of `a` that `b` has as well. */
static uint32_t common(const struct partition_set *a, const struct partition_set_topic *a_topic,
                       const struct partition_set *b)
{
    const struct partition_set_topic *b_topic = partition_set_find_topic(b, a_topic->id);
    if (!b_topic)
        return 0;
    const int32_t *left = partition_set_of(a, a_topic);
    const int32_t *right = partition_set_of(b, b_topic);
    uint32_t found = 0;
    for (uint32_t i = 0, j = 0; i < a_topic->count && j < b_topic->count;) {
        if (left[i] == right[j]) {
            found++;
            i++;
            j++;
        } else if (left[i] < right[j]) {
            i++;
        } else {
            j++;
        }
    }
    return found;
}

bool partition_set_is_subset(const struct partition_set *a, const struct partition_set *b)
{
    for (uint32_t t = 0; t < a->topic_count; t++) {
        if (common(a, &a->topics[t], b) != a->topics[t].count)
            return false;
    }
    return true;
}

bool partition_set_intersects(const struct partition_set *a, const struct partition_set *b)
{
    for (uint32_t t = 0; t < a->topic_count; t++) {
        if (common(a, &a->topics[t], b) > 0)
            return true;
    }
    return false;
}
