/*
 * What the consumer groups (KIP-848) of one coordinator share, and what the coordinator calls.
 *
 * Groups learn about topics lazily: the coordinator notes that something changed that assignments
 * depend on, and a group compares at the next heartbeat of one of its members. A change of leaders
 * or in-sync sets, by far the most frequent one, touches no group.
 */
#ifndef KLAMM_CONSUMER_CONSUMER_GROUPS_H
#define KLAMM_CONSUMER_CONSUMER_GROUPS_H

#include "cluster/metadata/image.h"
#include "coordinator/coordinator.h"

struct group;
struct groups;

/* In struct groups. */
struct consumer_groups {
    /* Rises when a topic comes or goes, or its partitions or their racks change; never 0. */
    uint64_t topics_version;
    /* Metadata offset of the image that last brought a new topic; -1: none was seen yet. */
    int64_t topics_created_offset;
    struct list parked; /* coordinator_call.link: heartbeats that wait for the target of the turn */
    struct deferred assign; /* makes it, and answers them */
};

void consumer_groups_init(struct consumer_groups *shared);
/* The coordinator ends or loads anew: parked heartbeats are told `error`. */
void consumer_groups_unload(struct groups *groups, enum kafka_error error);
void consumer_groups_deinit(struct consumer_groups *shared);
/* The coordinator is loaded: session timers for all members, rebalance timers where they revoke. */
void consumer_groups_loaded(struct groups *groups);
/* A new image is shown. */
void consumer_groups_metadata(struct groups *groups, const struct image_delta *delta);
/* A record of type 3 to 8 or 16. */
enum coordinator_replay consumer_groups_replay(struct groups *groups,
                                               const struct coordinator_record *record);

/* ConsumerGroupHeartbeat, ConsumerGroupDescribe (KIP-848): answer or fail the call. */
void consumer_group_heartbeat(struct groups *groups, struct coordinator_call *call);
/* The end of the turn: answers the heartbeats that were parked in it. */
void consumer_group_heartbeats_assign(struct deferred *deferred);
void consumer_group_describe(struct groups *groups, struct coordinator_call *call);

#endif
