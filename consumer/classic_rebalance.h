/*
 * How a classic group goes from one generation to the next.
 *
 * A rebalance begins when a member comes, goes or changes (classic_prepare): members are told with
 * REBALANCE_IN_PROGRESS and join again. The first rebalance of an empty group waits
 * group.initial.rebalance.delay.ms for more members, prolonged while they keep coming; later ones
 * wait until all members are back, at most the largest rebalance timeout of all. Then the
 * generation rises, every parked JoinGroup is answered, and the leader's SyncGroup is awaited.
 */
#ifndef KLAMM_CONSUMER_CLASSIC_REBALANCE_H
#define KLAMM_CONSUMER_CLASSIC_REBALANCE_H

#include "consumer/classic_group.h"

/* A new member's first JoinGroup answer may be lost: it is kept no longer than this. */
enum { CLASSIC_NEW_MEMBER_TIMEOUT_MS = 5 * 60 * 1000 };

/* Begins a rebalance, or sees whether the one under way is complete. */
void classic_prepare_or_complete(struct classic_group *classic);
/* PREPARING of an existing group: completes when all members have joined. */
void classic_maybe_complete_join(struct classic_group *classic);
/* The member has sent its SyncGroup. */
void classic_sync_arrived(struct classic_member *member);
/* Answers all parked SyncGroups of a group that is STABLE now. */
void classic_answer_syncs(struct classic_group *classic);
/* The generation will have no assignments: whoever waits for one in SyncGroup is told the error. */
void classic_drop_assignments(struct classic_group *classic, enum kafka_error error);
/* After load: sessions begin, and a group above group.max.size is made to rebalance. */
void classic_group_loaded(struct classic_group *classic);

/* The session of a member has ended, perhaps. */
void classic_session_fired(struct classic_member *member);
void classic_join_timer_fired(struct timer *timer);
void classic_sync_timer_fired(struct timer *timer);

/* Answers of the present generation. The leader's has all members. */
void classic_answer_join(struct classic_member *member, struct coordinator_call *call);
void classic_answer_sync(struct classic_member *member, struct coordinator_call *call);
void classic_answer_join_error(struct classic_group *classic, struct coordinator_call *call,
                               struct view member_id, enum kafka_error error);
void classic_answer_sync_error(struct classic_group *classic, struct coordinator_call *call,
                               enum kafka_error error);

#endif
