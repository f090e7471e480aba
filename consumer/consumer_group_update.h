/*
 * What happens when a member joins a consumer group or tells something new about itself, in either
 * protocol: its records, the group's epoch, the target, and the member's next step towards it.
 *
 *   1. the member's metadata                      type 5, when it changed
 *   2. subscriptions or topics changed            the group's epoch rises, type 3
 *   3. epoch above the target's                   a new target, types 7 and 6
 *   4. the member is not where its target is      reconciled, type 8
 *
 * All of it is one batch. The caller has checked that the member may do this.
 *
 * Where many join in one turn of the loop, the target is not made for each of them: the first one
 * gets it at once, the others have steps 1 and 2 only and wait. consumer_group_finish_update, at
 * the end of the turn, makes one target for all of them and takes their steps 4. Epochs and records
 * are the same, but for the targets in between, which nobody would have reached.
 */
#ifndef KLAMM_CONSUMER_CONSUMER_GROUP_UPDATE_H
#define KLAMM_CONSUMER_CONSUMER_GROUP_UPDATE_H

#include "consumer/consumer_group.h"

struct member_update {
    struct view member_id;
    /* The member as it is: itself, or the static member whose place it takes; NULL: new. */
    struct consumer_member *member;
    bool replaces; /* `member` is to be replaced under member_id (maybe its own id) */
    member_metadata metadata;
    const struct partition_set *owned; /* what the member says it owns; NULL: does not say */
    bool may_wait;                     /* the caller finishes an update that `waits` */
    /* Results, good while nothing was appended since. */
    struct consumer_member *updated; /* in the group now */
    bool assignment_changed;
    bool waits;                /* for consumer_group_finish_update; what follows is for that */
    bool subscription_changed; /* names or pattern */
    const char *message;       /* for the client, with an error */
};

/*
 * Carries an update out. `group` is NULL for a group that does not exist yet (`id` names it). On an
 * error nothing has changed: INVALID_REGULAR_EXPRESSION, FENCED_MEMBER_EPOCH, append errors.
 */
enum kafka_error consumer_group_update_member(struct groups *groups, struct view id,
                                              struct group *group, struct member_update *update,
                                              struct arena *arena);

/*
 * The rest of an update that waited: `update` holds the member as it is now, `owned` and
 * `subscription_changed`. On an error the member has not moved.
 */
enum kafka_error consumer_group_finish_update(struct member_update *update, struct arena *arena);

#endif
