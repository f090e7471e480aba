/*
 * Groups that change between the classic and the consumer protocol while they have members
 * (KIP-848, section "upgrade" and "downgrade"; group.consumer.migration.policy).
 *
 * Upgrade: a member of the consumer protocol joins a classic group. Its members become classic
 * members of a consumer group, with their generation as epoch and their assignments as targets.
 * Downgrade: the last member of the consumer protocol leaves, or its static place is taken by a
 * classic one, and classic members stay.
 *
 * Both are one batch of records: after a crash the group is either the one or the other.
 */
#ifndef KLAMM_CONSUMER_CONSUMER_GROUP_MIGRATE_H
#define KLAMM_CONSUMER_CONSUMER_GROUP_MIGRATE_H

#include "consumer/consumer_group.h"

/*
 * Makes a consumer group of a classic or simple one. GROUP_ID_NOT_FOUND with a sentence in
 * *message when that is not possible; append errors. Members that wait in JoinGroup or SyncGroup
 * are told REBALANCE_IN_PROGRESS.
 */
enum kafka_error consumer_group_upgrade(struct group *group, const char **message);

/* Whether the group becomes a classic one when these members go. */
bool consumer_group_can_downgrade_without(const struct consumer_group *consumer,
                                          struct consumer_member *const *members, size_t count);
/* Does it; the classic group then rebalances. On an error nothing has changed. */
enum kafka_error consumer_group_downgrade(struct consumer_group *consumer,
                                          struct consumer_member *const *leaving, size_t count);

#endif
