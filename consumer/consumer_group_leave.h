/*
 * Members that go: leave, are fenced, or pause (static members, epoch -2).
 */
#ifndef KLAMM_CONSUMER_CONSUMER_GROUP_LEAVE_H
#define KLAMM_CONSUMER_CONSUMER_GROUP_LEAVE_H

#include "consumer/consumer_group.h"

/*
 * Removes members and raises the group's epoch; what they owned is free at once. When the last
 * members of the consumer protocol go and others stay, the group becomes a classic one, where the
 * policy allows it (consumer_group_migrate.h). On an error nothing has changed.
 */
enum kafka_error consumer_group_remove_members(struct consumer_group *consumer,
                                               struct consumer_member *const *members,
                                               size_t count);
/* The same for one member that did not do what it must. */
enum kafka_error consumer_group_fence(struct consumer_member *member, const char *reason);
/* A static member that will be back: keeps what it owns until its session ends. */
enum kafka_error consumer_group_pause_member(struct consumer_member *member);

#endif
