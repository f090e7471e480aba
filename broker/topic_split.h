/*
 * The partitions of a request for a coordinator, of which some are refused where the request came
 * in: what was found about each, and the order in which they are answered. The coordinator is asked
 * about the others, topic by topic in the order of the request, without the topics that have none.
 */
#ifndef KLAMM_BROKER_TOPIC_SPLIT_H
#define KLAMM_BROKER_TOPIC_SPLIT_H

#include "base/arena.h"
#include "protocol/errors.h"

struct topic_split {
    struct arena *arena;
    size_t topic_count, topic_capacity;
    struct {
        int16_t *errors; /* NONE: the coordinator is asked */
        size_t count;
    } * topics;
};

/* For at most `topic_capacity` topics; the arena's memory holds it. */
void topic_split_init(struct topic_split *split, struct arena *arena, size_t topic_capacity);
/* The next topic of the request: an error for each of its partitions, for the caller to set. */
int16_t *topic_split_add(struct topic_split *split, size_t partition_count);

enum topic_walk_order {
    TOPIC_WALK_REFUSED_FIRST, /* all that was refused, then what the coordinator was asked */
    TOPIC_WALK_IN_ORDER       /* of the request */
};

/* On the way through all partitions, once each. */
struct topic_walk {
    /* Out: places in the request, what was found there, and where that is NONE, in the question. */
    size_t topic, partition;
    enum kafka_error error;
    size_t asked_topic, asked_partition;
    /* Private. */
    const struct topic_split *split;
    enum { WALK_ALL, WALK_REFUSED, WALK_ASKED } pass;
    size_t next_topic, next_partition;
    size_t next_asked_topic, asked_here;
};

struct topic_walk topic_walk_of(const struct topic_split *split, enum topic_walk_order order);
/* Moves to the next partition, the first one at first; false: there is none. */
bool topic_walk_next(struct topic_walk *walk);

#endif
