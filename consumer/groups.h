/*
 * The groups of one partition of __consumer_offsets: the state of one group coordinator
 * (coordinator/coordinator.h, kind `groups_kind`).
 *
 * Records reach a group through groups_replay, which picks the file by record type: offsets
 * (types 0, 1) group_offsets, classic groups (2) classic_group, consumer groups (3 to 8, 16)
 * consumer_group.
 */
#ifndef KLAMM_CONSUMER_GROUPS_H
#define KLAMM_CONSUMER_GROUPS_H

#include "base/map.h"
#include "consumer/group.h"
#include "coordinator/coordinator.h"

struct groups {
    struct coordinator *coordinator;
    struct heap *heap;
    struct map by_id; /* struct group by group.id */
    struct timer expiry; /* offsets.retention.check.interval.ms */
};

extern const struct coordinator_kind groups_kind;

/* NULL when there is no such group. */
struct group *groups_find(const struct groups *groups, struct view id);
/* The group, added as SIMPLE when it is new. For replay. */
struct group *groups_get(struct groups *groups, struct view id);
/* Takes an empty group without offsets out. For replay. */
void groups_remove(struct groups *groups, struct group *group);

#endif
