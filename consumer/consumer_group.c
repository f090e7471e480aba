/*
 * The state of a consumer group, and its counts.
 *
 * What a listed member subscribes to is counted when its metadata is set and uncounted before it
 * is replaced; count_metadata is the only place. The same holds for owners and set_progress.
 */
#include "consumer/consumer_group.h"

#include "base/assert.h"
#include "consumer/consumer_group_regex.h"
#include "consumer/consumer_group_timers.h"
#include "consumer/member_metadata.h"

/* How often a name is used. */
struct counted_name {
    uint32_t count;
    struct view name;
    uint8_t bytes[];
};

static struct heap *heap_of(const struct consumer_group *consumer)
{
    return consumer->groups->heap;
}

/* ---- Life ------------------------------------------------------------------------------------ */

void consumer_group_init(struct consumer_group *consumer, struct groups *groups,
                         struct group *group)
{
    *consumer = (struct consumer_group){.group = group, .groups = groups};
    struct map *maps[] = {&consumer->members, &consumer->instances, &consumer->subscribed,
                          &consumer->regexes, &consumer->owners,    &consumer->protocols};
    for (size_t i = 0; i < sizeof(maps) / sizeof(maps[0]); i++)
        map_init(maps[i], groups->heap, MEMORY_STATE, groups->by_id.seed);
}

void consumer_group_deinit(struct consumer_group *consumer)
{
    consumer_group_stop_resolution(consumer);
    map_for_each(entry, &consumer->members)
    {
        struct consumer_member *member = entry->value;
        if (member->listed)
            consumer_member_unlist(member); /* frees one without target */
        else
            consumer_member_set_target(member, NULL);
    }
    map_for_each(entry, &consumer->members)
    {
        consumer_member_set_target(entry->value, NULL);
    }
    map_for_each(entry, &consumer->regexes)
    {
        struct consumer_regex *regex = entry->value;
        consumer_group_set_regex(consumer, regex->pattern, NULL, 0, 0, 0);
    }
    struct map *maps[] = {&consumer->members, &consumer->instances, &consumer->subscribed,
                          &consumer->regexes, &consumer->owners,    &consumer->protocols};
    for (size_t i = 0; i < sizeof(maps) / sizeof(maps[0]); i++) {
        klamm_assert(map_count(maps[i]) == 0);
        map_deinit(maps[i]);
    }
}

struct consumer_group *consumer_group_create(struct group *group)
{
    klamm_assert(group->type == GROUP_SIMPLE);
    struct consumer_group *consumer =
        heap_must_get(group->groups->heap, MEMORY_STATE, sizeof(*consumer));
    consumer_group_init(consumer, group->groups, group);
    group->consumer = consumer;
    group->type = GROUP_CONSUMER;
    return consumer;
}

void consumer_group_destroy(struct group *group)
{
    struct consumer_group *consumer = group->consumer;
    consumer_group_deinit(consumer);
    heap_put(group->groups->heap, MEMORY_STATE, consumer, sizeof(*consumer));
    group->consumer = NULL;
    group->type = GROUP_SIMPLE;
}

/* ---- Counts of names ------------------------------------------------------------------------- */

static struct subscribed_topic *get_topic(struct consumer_group *consumer, struct view name)
{
    struct subscribed_topic *topic = map_get(&consumer->subscribed, name);
    if (topic)
        return topic;
    topic = heap_must_get(heap_of(consumer), MEMORY_STATE, sizeof(*topic) + name.size);
    topic->name = view_of(topic->name_bytes, name.size);
    if (name.size)
        memcpy(topic->name_bytes, name.data, name.size);
    map_put(&consumer->subscribed, topic->name, topic);
    return topic;
}

static void put_topic(struct consumer_group *consumer, struct subscribed_topic *topic)
{
    if (topic->by_name > 0 || topic->by_regex > 0)
        return;
    map_remove(&consumer->subscribed, topic->name);
    heap_put(heap_of(consumer), MEMORY_STATE, topic, sizeof(*topic) + topic->name.size);
}

static struct consumer_regex *get_regex(struct consumer_group *consumer, struct view pattern)
{
    struct consumer_regex *regex = map_get(&consumer->regexes, pattern);
    if (regex)
        return regex;
    regex = heap_must_get(heap_of(consumer), MEMORY_STATE, sizeof(*regex) + pattern.size);
    regex->pattern = view_of(regex->pattern_bytes, pattern.size);
    memcpy(regex->pattern_bytes, pattern.data, pattern.size);
    map_put(&consumer->regexes, regex->pattern, regex);
    return regex;
}

static void free_regex(struct consumer_group *consumer, struct consumer_regex *regex)
{
    if (regex->subscribers > 0 || regex->resolved)
        return;
    map_remove(&consumer->regexes, regex->pattern);
    heap_put(heap_of(consumer), MEMORY_STATE, regex, sizeof(*regex) + regex->pattern.size);
}

static void count_protocol(struct consumer_group *consumer, struct view name, bool add)
{
    struct counted_name *counted = map_get(&consumer->protocols, name);
    if (!counted) {
        counted = heap_must_get(heap_of(consumer), MEMORY_STATE, sizeof(*counted) + name.size);
        counted->name = view_of(counted->bytes, name.size);
        if (name.size)
            memcpy(counted->bytes, name.data, name.size);
        map_put(&consumer->protocols, counted->name, counted);
    }
    counted->count += add ? 1 : -1u;
    if (counted->count > 0)
        return;
    map_remove(&consumer->protocols, counted->name);
    heap_put(heap_of(consumer), MEMORY_STATE, counted, sizeof(*counted) + counted->name.size);
}

uint32_t consumer_group_protocol_count(const struct consumer_group *consumer, struct view name)
{
    const struct counted_name *counted = map_get(&consumer->protocols, name);
    return counted ? counted->count : 0;
}

static void count_classic(struct consumer_member *member, bool add)
{
    if (!consumer_member_is_classic(member))
        return;
    const struct consumer_group_member_metadata_value_classic_member_metadata *classic =
        member->metadata->classic_member_metadata;
    for (size_t i = 0; i < classic->supported_protocols_count; i++)
        count_protocol(member->group, classic->supported_protocols[i].name, add);
    member->group->classic_count += add ? 1 : -1u;
}

/* Points the member to the topics, the pattern and the instance that its metadata names. */
static void count_metadata(struct consumer_member *member)
{
    struct consumer_group *consumer = member->group;
    const member_metadata *metadata = member->metadata;
    size_t count = metadata->subscribed_topic_names_count;
    if (count > 0)
        member->topics =
            heap_must_get(heap_of(consumer), MEMORY_STATE, count * sizeof(*member->topics));
    for (size_t i = 0; i < count; i++) {
        member->topics[i] = get_topic(consumer, metadata->subscribed_topic_names[i]);
        member->topics[i]->by_name++;
    }
    struct view pattern = member_metadata_regex(metadata);
    if (!view_is_null(pattern)) {
        member->regex = get_regex(consumer, pattern);
        if (member->regex->subscribers++ == 0)
            consumer->regex_subscribed++;
    }
    if (!view_is_null(metadata->instance_id))
        map_put(&consumer->instances, metadata->instance_id, member);
    count_classic(member, true);
}

static void uncount_metadata(struct consumer_member *member)
{
    struct consumer_group *consumer = member->group;
    const member_metadata *metadata = member->metadata;
    count_classic(member, false);
    if (!view_is_null(metadata->instance_id) &&
        map_get(&consumer->instances, metadata->instance_id) == member)
        map_remove(&consumer->instances, metadata->instance_id);
    if (member->regex) {
        if (--member->regex->subscribers == 0)
            consumer->regex_subscribed--;
        free_regex(consumer, member->regex);
        member->regex = NULL;
    }
    size_t count = metadata->subscribed_topic_names_count;
    for (size_t i = 0; i < count; i++) {
        member->topics[i]->by_name--;
        put_topic(consumer, member->topics[i]);
    }
    heap_put(heap_of(consumer), MEMORY_STATE, member->topics, count * sizeof(*member->topics));
    member->topics = NULL;
}

void consumer_group_set_regex(struct consumer_group *consumer, struct view pattern,
                              const struct view *topics, size_t topic_count, int64_t version,
                              int64_t timestamp_ms)
{
    struct consumer_regex *regex = get_regex(consumer, pattern);
    struct subscribed_topic **before = regex->topics;
    uint32_t before_count = regex->topic_count;
    regex->topics = NULL;
    regex->topic_count = (uint32_t)topic_count;
    if (topic_count > 0)
        regex->topics =
            heap_must_get(heap_of(consumer), MEMORY_STATE, topic_count * sizeof(*regex->topics));
    for (size_t i = 0; i < topic_count; i++) {
        regex->topics[i] = get_topic(consumer, topics[i]);
        regex->topics[i]->by_regex++;
    }
    for (uint32_t i = 0; i < before_count; i++) {
        before[i]->by_regex--;
        put_topic(consumer, before[i]);
    }
    heap_put(heap_of(consumer), MEMORY_STATE, before, before_count * sizeof(*before));
    regex->resolved = topics != NULL;
    regex->version = version;
    regex->timestamp_ms = timestamp_ms;
    free_regex(consumer, regex);
}

/* ---- Owners ---------------------------------------------------------------------------------- */

static struct view topic_key(const struct uuid *id)
{
    return view_of(id->bytes, UUID_SIZE);
}

static struct owned_topic *get_owned(struct consumer_group *consumer, const struct uuid *id)
{
    struct owned_topic *topic = map_get(&consumer->owners, topic_key(id));
    if (topic)
        return topic;
    topic = heap_must_get(heap_of(consumer), MEMORY_STATE, sizeof(*topic));
    topic->id = *id;
    map_put(&consumer->owners, topic_key(&topic->id), topic);
    return topic;
}

static void put_owned(struct consumer_group *consumer, struct owned_topic *topic)
{
    if (topic->owned > 0)
        return;
    map_remove(&consumer->owners, topic_key(&topic->id));
    heap_put(heap_of(consumer), MEMORY_STATE, topic->epochs,
             topic->capacity * sizeof(*topic->epochs));
    heap_put(heap_of(consumer), MEMORY_STATE, topic, sizeof(*topic));
}

static void reserve_owned(struct consumer_group *consumer, struct owned_topic *topic,
                          uint32_t partition)
{
    if (partition < topic->capacity)
        return;
    uint32_t capacity = topic->capacity ? topic->capacity : 4;
    while (capacity <= partition)
        capacity *= 2;
    int32_t *epochs = heap_must_get(heap_of(consumer), MEMORY_STATE, capacity * sizeof(*epochs));
    for (uint32_t p = 0; p < capacity; p++)
        epochs[p] = p < topic->capacity ? topic->epochs[p] : PARTITION_EPOCH_FREE;
    heap_put(heap_of(consumer), MEMORY_STATE, topic->epochs,
             topic->capacity * sizeof(*topic->epochs));
    topic->epochs = epochs;
    topic->capacity = capacity;
}

static void own(struct consumer_group *consumer, const struct partition_set *set, int32_t epoch)
{
    for (uint32_t t = 0; t < set->topic_count; t++) {
        const struct partition_set_topic *topic = &set->topics[t];
        const int32_t *partitions = partition_set_of(set, topic);
        struct owned_topic *owned = get_owned(consumer, &topic->id);
        reserve_owned(consumer, owned, (uint32_t)partitions[topic->count - 1]);
        for (uint32_t i = 0; i < topic->count; i++) {
            int32_t *owner = &owned->epochs[partitions[i]];
            if (*owner == PARTITION_EPOCH_FREE) {
                owned->owned++;
                *owner = epoch;
            } else if (*owner < epoch) {
                *owner = epoch; /* the newer one; the older owner's record was compacted away */
            }
        }
    }
}

static void disown(struct consumer_group *consumer, const struct partition_set *set, int32_t epoch)
{
    for (uint32_t t = 0; t < set->topic_count; t++) {
        const struct partition_set_topic *topic = &set->topics[t];
        const int32_t *partitions = partition_set_of(set, topic);
        struct owned_topic *owned = map_get(&consumer->owners, topic_key(&topic->id));
        if (!owned)
            continue;
        for (uint32_t i = 0; i < topic->count; i++) {
            if ((uint32_t)partitions[i] < owned->capacity &&
                owned->epochs[partitions[i]] == epoch) {
                owned->epochs[partitions[i]] = PARTITION_EPOCH_FREE;
                owned->owned--;
            }
        }
        put_owned(consumer, owned);
    }
}

int32_t consumer_group_partition_epoch(const struct consumer_group *consumer, struct uuid topic,
                                       int32_t partition)
{
    const struct owned_topic *owned = map_get(&consumer->owners, topic_key(&topic));
    if (!owned || partition < 0 || (uint32_t)partition >= owned->capacity)
        return PARTITION_EPOCH_FREE;
    return owned->epochs[partition];
}

/* ---- Members --------------------------------------------------------------------------------- */

struct consumer_member *consumer_group_get_member(struct consumer_group *consumer, struct view id)
{
    struct consumer_member *member = map_get(&consumer->members, id);
    if (member)
        return member;
    struct heap *heap = heap_of(consumer);
    member = heap_must_get(heap, MEMORY_STATE, sizeof(*member) + id.size);
    member->group = consumer;
    member->id = view_of(member->id_bytes, id.size);
    if (id.size)
        memcpy(member->id_bytes, id.data, id.size);
    member_metadata metadata;
    member_metadata_default(&metadata);
    member->metadata = member_metadata_copy(heap, &metadata, &member->metadata_size);
    member->progress = CONSUMER_PROGRESS_NEW;
    member->target = &partition_set_empty;
    consumer_member_init_timers(member);
    map_put(&consumer->members, member->id, member);
    return member;
}

static void free_member(struct consumer_member *member)
{
    if (member->listed || member->has_target)
        return;
    struct consumer_group *consumer = member->group;
    consumer_member_clear_timers(member);
    map_remove(&consumer->members, member->id);
    heap_put(heap_of(consumer), MEMORY_STATE, member->metadata, member->metadata_size);
    heap_put(heap_of(consumer), MEMORY_STATE, member, sizeof(*member) + member->id.size);
}

void consumer_member_list(struct consumer_member *member)
{
    if (member->listed)
        return;
    member->listed = true;
    member->group->member_count++;
    count_metadata(member);
}

void consumer_member_unlist(struct consumer_member *member)
{
    klamm_assert(member->listed);
    consumer_member_clear_timers(member);
    consumer_member_set_progress(member, &CONSUMER_PROGRESS_NEW);
    uncount_metadata(member);
    member->listed = false;
    member->group->member_count--;
    free_member(member);
}

void consumer_member_set_metadata(struct consumer_member *member, const member_metadata *metadata)
{
    struct heap *heap = heap_of(member->group);
    size_t size;
    member_metadata *copy = member_metadata_copy(heap, metadata, &size);
    if (member->listed)
        uncount_metadata(member);
    heap_put(heap, MEMORY_STATE, member->metadata, member->metadata_size);
    member->metadata = copy;
    member->metadata_size = size;
    if (member->listed)
        count_metadata(member);
}

void consumer_member_set_progress(struct consumer_member *member,
                                  const struct member_progress *progress)
{
    struct consumer_group *consumer = member->group;
    struct heap *heap = heap_of(consumer);
    struct member_progress before = member->progress;
    disown(consumer, before.assigned, before.epoch);
    disown(consumer, before.revoking, before.epoch);
    member->progress = *progress;
    member->progress.assigned = partition_set_copy(heap, progress->assigned);
    member->progress.revoking = partition_set_copy(heap, progress->revoking);
    partition_set_free(heap, before.assigned);
    partition_set_free(heap, before.revoking);
    own(consumer, member->progress.assigned, progress->epoch);
    own(consumer, member->progress.revoking, progress->epoch);
}

void consumer_member_set_target(struct consumer_member *member, const struct partition_set *target)
{
    struct heap *heap = heap_of(member->group);
    const struct partition_set *before = member->target;
    member->target = partition_set_copy(heap, target);
    partition_set_free(heap, before);
    member->has_target = target != NULL;
    free_member(member);
}

/* ---- Looking --------------------------------------------------------------------------------- */

struct consumer_member *consumer_group_find_member(const struct consumer_group *consumer,
                                                   struct view id)
{
    struct consumer_member *member = map_get(&consumer->members, id);
    return member && member->listed ? member : NULL;
}

struct consumer_member *consumer_group_find_instance(const struct consumer_group *consumer,
                                                     struct view instance_id)
{
    return view_is_null(instance_id) ? NULL : map_get(&consumer->instances, instance_id);
}

struct consumer_regex *consumer_group_find_regex(const struct consumer_group *consumer,
                                                 struct view pattern)
{
    return view_is_null(pattern) ? NULL : map_get(&consumer->regexes, pattern);
}

bool member_progress_equal(const struct member_progress *a, const struct member_progress *b)
{
    return a->epoch == b->epoch && a->previous_epoch == b->previous_epoch && a->state == b->state &&
           partition_set_equal(a->assigned, b->assigned) &&
           partition_set_equal(a->revoking, b->revoking);
}

enum consumer_group_state consumer_group_state(const struct consumer_group *consumer)
{
    if (consumer->member_count == 0)
        return CONSUMER_GROUP_EMPTY;
    if (consumer->epoch > consumer->assignment_epoch)
        return CONSUMER_GROUP_ASSIGNING;
    map_for_each(entry, &consumer->members)
    {
        const struct consumer_member *member = entry->value;
        if (member->listed && !member_progress_is_at(&member->progress, consumer->assignment_epoch))
            return CONSUMER_GROUP_RECONCILING;
    }
    return CONSUMER_GROUP_STABLE;
}

struct view consumer_group_state_name(enum consumer_group_state state)
{
    switch (state) {
    case CONSUMER_GROUP_EMPTY:
        return VIEW_LITERAL("Empty");
    case CONSUMER_GROUP_ASSIGNING:
        return VIEW_LITERAL("Assigning");
    case CONSUMER_GROUP_RECONCILING:
        return VIEW_LITERAL("Reconciling");
    case CONSUMER_GROUP_STABLE:
        return VIEW_LITERAL("Stable");
    }
    klamm_unreachable("no such state");
}

static void check_owned(const struct consumer_group *consumer, const struct partition_set *set,
                        int32_t epoch)
{
    for (uint32_t t = 0; t < set->topic_count; t++) {
        const struct partition_set_topic *topic = &set->topics[t];
        for (uint32_t i = 0; i < topic->count; i++)
            klamm_assert(consumer_group_partition_epoch(consumer, topic->id,
                                                        partition_set_of(set, topic)[i]) >= epoch);
    }
}

void consumer_group_check(const struct consumer_group *consumer)
{
    uint32_t listed = 0;
    uint32_t classic = 0;
    uint64_t named = 0;
    map_for_each(entry, &consumer->members)
    {
        const struct consumer_member *member = entry->value;
        klamm_assert(member->listed || member->has_target);
        if (!member->listed)
            continue;
        listed++;
        classic += consumer_member_is_classic(member);
        named += member->metadata->subscribed_topic_names_count;
        check_owned(consumer, member->progress.assigned, member->progress.epoch);
        check_owned(consumer, member->progress.revoking, member->progress.epoch);
    }
    klamm_assert(listed == consumer->member_count);
    klamm_assert(classic == consumer->classic_count);
    uint64_t counted = 0;
    map_for_each(entry, &consumer->subscribed)
    {
        const struct subscribed_topic *topic = entry->value;
        klamm_assert(topic->by_name + topic->by_regex > 0);
        counted += topic->by_name;
    }
    klamm_assert(counted == named);
    klamm_assert(consumer->assignment_epoch <= consumer->epoch);
}
