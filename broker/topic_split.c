/*
 * A walk counts along which partitions the coordinator was asked about, so that its places follow
 * from the errors alone.
 */
#include "broker/topic_split.h"

#include "base/assert.h"

void topic_split_init(struct topic_split *split, struct arena *arena, size_t topic_capacity)
{
    *split = (struct topic_split){.arena = arena, .topic_capacity = topic_capacity};
    split->topics = arena_must_get(arena, topic_capacity, sizeof(*split->topics));
}

int16_t *topic_split_add(struct topic_split *split, size_t partition_count)
{
    klamm_assert(split->topic_count < split->topic_capacity);
    int16_t *errors = arena_must_get(split->arena, partition_count, sizeof(*errors));
    split->topics[split->topic_count].errors = errors;
    split->topics[split->topic_count].count = partition_count;
    split->topic_count++;
    return errors;
}

struct topic_walk topic_walk_of(const struct topic_split *split, enum topic_walk_order order)
{
    return (struct topic_walk){.split = split,
                               .pass = order == TOPIC_WALK_REFUSED_FIRST ? WALK_REFUSED : WALK_ALL};
}

/* To the next partition of the request. */
static bool step(struct topic_walk *walk)
{
    const struct topic_split *split = walk->split;
    while (walk->next_topic < split->topic_count &&
           walk->next_partition == split->topics[walk->next_topic].count) {
        walk->next_topic++;
        walk->next_partition = 0;
        walk->next_asked_topic += walk->asked_here > 0;
        walk->asked_here = 0;
    }
    if (walk->next_topic == split->topic_count)
        return false;
    walk->topic = walk->next_topic;
    walk->partition = walk->next_partition++;
    walk->error = (enum kafka_error)split->topics[walk->topic].errors[walk->partition];
    if (walk->error == KAFKA_ERROR_NONE) {
        walk->asked_topic = walk->next_asked_topic;
        walk->asked_partition = walk->asked_here++;
    }
    return true;
}

bool topic_walk_next(struct topic_walk *walk)
{
    for (;;) {
        while (step(walk)) {
            bool is_refused = walk->error != KAFKA_ERROR_NONE;
            if (walk->pass == WALK_ALL || is_refused == (walk->pass == WALK_REFUSED))
                return true;
        }
        if (walk->pass != WALK_REFUSED)
            return false;
        *walk = (struct topic_walk){.split = walk->split, .pass = WALK_ASKED};
    }
}
