/*
 * What a group subscribes to, as it will be when some members have left and one has joined or
 * changed: the topics that exist, their hash, and the input of the assignor.
 *
 * Computed before the records are written that make it so.
 */
#ifndef KLAMM_CONSUMER_CONSUMER_GROUP_SUBSCRIPTION_H
#define KLAMM_CONSUMER_CONSUMER_GROUP_SUBSCRIPTION_H

#include "consumer/assignor.h"
#include "consumer/consumer_group.h"

struct topic_use {
    struct view name;
    uint32_t uses;
    struct subscribed_topic *known;  /* NULL: nobody else subscribes to it yet */
    const struct image_topic *topic; /* NULL: does not exist */
    uint32_t place;                  /* among the topics that exist and are used, by id */
};

struct group_subscription {
    const struct consumer_group *consumer;
    const struct image *image;
    struct topic_use *uses; /* known ones at subscribed_topic.place, then the new ones by name */
    uint32_t known_count;
    uint32_t count;
    struct assignor_topic *topics; /* those that exist and are used, rising by id */
    uint32_t topic_count;
    int64_t hash;
};

/* The change: members that go, and one that comes or changes (it is then among those that go). */
struct subscription_change {
    struct consumer_member *const *leaving;
    size_t leaving_count;
    struct view joining_id;
    const member_metadata *joining; /* NULL: nobody */
};

/* False when memory was refused. */
bool group_subscription_compute(const struct consumer_group *consumer,
                                const struct subscription_change *change, struct arena *arena,
                                struct group_subscription *subscription);
/* Patterns that nobody subscribes to any more after the change; in the arena. */
bool group_subscription_lost_patterns(const struct consumer_group *consumer,
                                      const struct subscription_change *change, struct arena *arena,
                                      struct view **patterns, size_t *count);

/*
 * The places (in subscription.topics, rising) of the topics that metadata subscribes to, resolved
 * patterns included. `known` are the entries of its names where it is a member's, else NULL. NULL
 * when memory was refused.
 */
const uint32_t *group_subscription_places(const struct group_subscription *subscription,
                                          const member_metadata *metadata,
                                          struct subscribed_topic *const *known,
                                          struct arena *arena, uint32_t *count);

#endif
