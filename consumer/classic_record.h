/*
 * The record of a classic group (type 2, GroupMetadata): what of the group lasts.
 *
 * It is written when the leader has given the assignments, when the group becomes empty, when a
 * static member comes back under a new id, and, without members, when the group is made.
 */
#ifndef KLAMM_CONSUMER_CLASSIC_RECORD_H
#define KLAMM_CONSUMER_CLASSIC_RECORD_H

#include "consumer/classic_group.h"

/* Adds the record of a group that nobody has joined yet. */
void classic_record_put_empty(struct coordinator_records *records, struct view group,
                              int64_t now_ms);
/* Appends the record of the group as it is. */
enum kafka_error classic_record_write(const struct classic_group *classic);
/* Adds the group's tombstone. */
void classic_record_put_tombstone(struct coordinator_records *records, struct view group);
/*
 * A record of type 2. Members that are there stay the same objects, so that live replay keeps
 * their timers and parked calls.
 */
enum coordinator_replay classic_record_replay(struct groups *groups,
                                              const struct coordinator_record *record);

#endif
