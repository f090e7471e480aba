/*
 * What the requests of the classic protocol, and those about offsets and groups, ask of a group of
 * the consumer protocol (type GROUP_CONSUMER, KIP-848).
 *
 * Everything here is called with such a group only, except where a function says otherwise.
 */
#ifndef KLAMM_CONSUMER_CONSUMER_CLASSIC_H
#define KLAMM_CONSUMER_CONSUMER_CLASSIC_H

#include "consumer/group.h"
#include "consumer/offset_commit.h"
#include "coordinator/coordinator.h"

/* The four requests of a classic member in a consumer group; each ends the call. */
void consumer_classic_join(struct group *group, struct coordinator_call *call);
void consumer_classic_sync(struct group *group, struct coordinator_call *call);
void consumer_classic_heartbeat(struct group *group, struct coordinator_call *call);
void consumer_classic_leave(struct group *group, struct coordinator_call *call);

/* Whether a commit is allowed: UNKNOWN_MEMBER_ID, STALE_MEMBER_EPOCH and the like. */
enum kafka_error consumer_classic_validate_commit(struct group *group,
                                                  const struct commit_claim *claim);
/* Whether a fetch is allowed; `member_id` is null and the epoch negative when none is given. */
enum kafka_error consumer_classic_validate_fetch(const struct group *group, struct view member_id,
                                                 int32_t member_epoch);

/* Whether it has no members: then it may be deleted, or become a classic group. */
bool consumer_classic_is_empty(const struct group *group);
/* Whether a member subscribes to the topic. */
bool consumer_classic_subscribes(const struct group *group, struct view topic);
/* "Empty", "Assigning", "Reconciling", "Stable". */
struct view consumer_classic_state_name(const struct group *group);
/* Adds the tombstones of everything but the offsets. */
void consumer_classic_put_tombstones(struct coordinator_records *records,
                                     const struct group *group);

/* A record of type 3 and above; the group may be of any type or absent. */
enum coordinator_replay consumer_classic_replay(struct groups *groups,
                                                const struct coordinator_record *record);
/* The log says that the group is a classic one now: frees the consumer part, type SIMPLE. */
void consumer_classic_displace(struct group *group);

#endif
