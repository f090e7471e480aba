/*
 * Timers of the members of consumer groups: who stops answering, or does not give up what it must
 * in time, is fenced.
 *
 * A heartbeat only notes a later deadline; the timer finds out when it fires, and sets itself
 * again. A timer that fires much too late says that this node was stopped, not the member: the
 * member gets one more heartbeat interval.
 */
#ifndef KLAMM_CONSUMER_CONSUMER_GROUP_TIMERS_H
#define KLAMM_CONSUMER_CONSUMER_GROUP_TIMERS_H

#include "consumer/consumer_group.h"

void consumer_member_init_timers(struct consumer_member *member);
void consumer_member_clear_timers(struct consumer_member *member);
/* The member was heard of. */
void consumer_member_touch(struct consumer_member *member);
/* Its progress has changed: arms the rebalance timer when it must give up something. */
void consumer_member_watch_revocation(struct consumer_member *member);
/* For members of the classic protocol: JoinGroup must come (unless already awaited); it came, and
 * SyncGroup must come; that came. */
void consumer_member_await_join(struct consumer_member *member);
void consumer_member_joined(struct consumer_member *member);
void consumer_member_synced(struct consumer_member *member);

/* The setting of the group, else of the node. */
int32_t consumer_group_heartbeat_interval_ms(const struct groups *groups, struct view group_id);

#endif
