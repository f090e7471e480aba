/*
 * The groups of one partition of __consumer_offsets: the state of one group coordinator
 * (coordinator/coordinator.h, kind `groups_kind`).
 *
 * Records reach a group through groups_replay, which picks the file by record type: offsets
 * (types 0, 1) group_offsets, classic groups (2) classic_record, consumer groups (3 to 8, 16)
 * consumer_group.
 *
 * Invariants:
 *  1. Every group of the table belongs to this coordinator; its id is the key.
 *  2. An interned topic stands in `topics` while a group's offsets refer to it, and no longer.
 *  3. A transaction stands in `transactions` while it has pending offsets, and no longer.
 */
#ifndef KLAMM_CONSUMER_GROUPS_H
#define KLAMM_CONSUMER_GROUPS_H

#include "base/arena.h"
#include "base/map.h"
#include "consumer/consumer_groups.h"
#include "consumer/group.h"
#include "coordinator/coordinator.h"

struct groups {
    struct coordinator *coordinator;
    struct heap *heap;
    struct map by_id;  /* struct group by group.id */
    struct map topics; /* struct offset_topic by name */
    uint32_t topic_number_next;
    struct map transactions; /* struct offset_transaction by producer id */
    struct arena scratch;    /* within one replayed record or one sweep */
    struct timer expiry;     /* offsets.retention.check.interval.ms */
    struct consumer_groups consumer;
    uint32_t sweep_place;    /* of by_id, where the sweep under way goes on */
};

extern const struct coordinator_kind groups_kind;

/* NULL when there is no such group. */
struct group *groups_find(const struct groups *groups, struct view id);
/* The group, added as SIMPLE when it is new. For replay. */
struct group *groups_get(struct groups *groups, struct view id);
/* Takes a SIMPLE group without offsets out. For replay. */
void groups_remove(struct groups *groups, struct group *group);

/* The settings of the node. */
static inline const struct broker_settings *groups_settings(const struct groups *groups)
{
    return &coordinator_config(groups->coordinator)->settings;
}

#endif
