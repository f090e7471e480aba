/*
 * A set of partitions of many topics: what a member owns, gives up, or is meant to own.
 *
 * A set is one immutable block. Topics stand in rising order of id, the partitions of a topic in
 * rising order, so equal sets have equal bytes and every operation is one walk over its operands.
 *
 * Invariants:
 *  1. topics[0, topic_count) rise strictly by id; none is empty.
 *  2. partitions[first, first + count) of a topic rise strictly and are not negative; the ranges of
 *     the topics follow each other without gap.
 */
#ifndef KLAMM_CONSUMER_PARTITION_SET_H
#define KLAMM_CONSUMER_PARTITION_SET_H

#include "base/arena.h"
#include "base/uuid.h"

struct partition_set_topic {
    struct uuid id;
    uint32_t first; /* place of its first partition in partitions[] */
    uint32_t count;
};

struct partition_set {
    uint32_t topic_count;
    uint32_t partition_count;                 /* of all topics */
    const struct partition_set_topic *topics; /* both arrays lie behind this header */
    const int32_t *partitions;
};

/* The set of nothing; never freed. */
extern const struct partition_set partition_set_empty;

/* One partition, for building. */
struct partition_name {
    struct uuid topic;
    int32_t partition;
};

/*
 * A set on the heap, copied from another one; partition_set_free gives it back. NULL and the empty
 * set are copied to the empty set.
 */
const struct partition_set *partition_set_copy(struct heap *heap, const struct partition_set *set);
void partition_set_free(struct heap *heap, const struct partition_set *set);

/* A growing list of partitions that becomes a set; lives in an arena. */
struct partition_set_builder {
    struct arena *arena;
    struct partition_name *names;
    uint32_t count;
    uint32_t capacity;
    bool failed; /* the arena refused */
};

void partition_set_builder_init(struct partition_set_builder *builder, struct arena *arena);
/* Adds in any order; twice is once. */
void partition_set_add(struct partition_set_builder *builder, struct uuid topic, int32_t partition);
/* Adds all of a set, or those of one topic of it. */
void partition_set_add_all(struct partition_set_builder *builder, const struct partition_set *set);
void partition_set_add_topic(struct partition_set_builder *builder, const struct partition_set *set,
                             const struct partition_set_topic *topic);
/* The set, in the arena; NULL when memory was refused. */
const struct partition_set *partition_set_finish(struct partition_set_builder *builder);

/*
 * A set of already sorted parts: room for so many topics and partitions, filled by the caller in
 * order through the two pointers, which are good until the arena is reset. NULL when refused.
 */
struct partition_set *partition_set_room(struct arena *arena, uint32_t topic_count,
                                         uint32_t partition_count);
static inline struct partition_set_topic *partition_set_room_topics(struct partition_set *set)
{
    return (struct partition_set_topic *)(set + 1);
}
static inline int32_t *partition_set_room_partitions(struct partition_set *set, uint32_t topic_room)
{
    return (int32_t *)(partition_set_room_topics(set) + topic_room);
}

static inline bool partition_set_is_empty(const struct partition_set *set)
{
    return set->partition_count == 0;
}

bool partition_set_equal(const struct partition_set *a, const struct partition_set *b);
/* NULL when the set has none of this topic. */
const struct partition_set_topic *partition_set_find_topic(const struct partition_set *set,
                                                           struct uuid topic);
bool partition_set_topic_contains(const struct partition_set *set,
                                  const struct partition_set_topic *topic, int32_t partition);
bool partition_set_contains(const struct partition_set *set, struct uuid topic, int32_t partition);
/* Whether all of `a` is in `b`. */
bool partition_set_is_subset(const struct partition_set *a, const struct partition_set *b);
bool partition_set_intersects(const struct partition_set *a, const struct partition_set *b);
/* Bytes of its block on the heap; 0 for the empty set. */
size_t partition_set_size(const struct partition_set *set);

/* The partitions of a topic of a set. */
static inline const int32_t *partition_set_of(const struct partition_set *set,
                                              const struct partition_set_topic *topic)
{
    return set->partitions + topic->first;
}

#endif
