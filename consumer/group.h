/*
 * One group: its kind of membership, and its committed offsets.
 *
 * A group is of one type at a time. What the types share is here: the id, the offsets (which stay
 * when the type changes), the place in the table. What they do not share is in classic_group.h
 * (JoinGroup and its like) and consumer_group.h (KIP-848).
 *
 * Invariants:
 *  1. `classic` is set if and only if type is CLASSIC, `consumer` if and only if it is CONSUMER.
 *  2. A SIMPLE group has offsets only: it was never joined.
 */
#ifndef KLAMM_CONSUMER_GROUP_H
#define KLAMM_CONSUMER_GROUP_H

#include "base/bytes.h"
#include "base/list.h"
#include "consumer/group_offsets.h"

struct classic_group;
struct consumer_group;
struct groups;

enum group_type { GROUP_SIMPLE, GROUP_CLASSIC, GROUP_CONSUMER };

struct group {
    struct groups *groups; /* of this coordinator */
    enum group_type type;
    struct classic_group *classic;
    struct consumer_group *consumer;
    struct group_offsets offsets;
    struct view id; /* in this block */
    uint8_t id_bytes[];
};

#endif
