/*
 * A group of the classic protocol: its members and its state. What changes it is in
 * classic_rebalance.h; its record in classic_record.h; one file per request beside it.
 *
 *                 first member            all joined, or time is up
 *      EMPTY ----------------> PREPARING ------------------------> COMPLETING
 *        ^                       ^   ^ ^                               |  |
 *        |  nobody came          |   |  \------ a member changed ------/  | the leader's
 *        \-----------------------/   \--- a member came, left, changed    v assignment
 *                                           ----------------------- STABLE
 *
 * EMPTY: no members; offsets may exist. PREPARING: members are to join again; their calls wait
 * here. COMPLETING: the generation is fixed, the leader's SyncGroup is awaited, the others' wait
 * here. STABLE: every member's assignment is known. A group that is deleted is gone; Kafka's state
 * Dead is what nobody finds.
 *
 * What lasts (generation, protocol, leader, members with their assignments) is in the group's one
 * record; the rest is soft: parked calls, timers, pending members, protocols that were not chosen.
 *
 * Invariants:
 *  1. EMPTY if and only if there is no member.
 *  2. `leader` is a member, NULL if and only if there is none.
 *  3. `awaiting_join` counts members with a parked join, `awaiting_sync` members that have joined
 *     the generation and not asked for its assignment yet.
 *  4. A protocol is chosen (`protocol`) in COMPLETING and STABLE; all members know it.
 *  5. A parked join exists only in PREPARING, a parked sync only in COMPLETING.
 */
#ifndef KLAMM_CONSUMER_CLASSIC_GROUP_H
#define KLAMM_CONSUMER_CLASSIC_GROUP_H

#include "base/list.h"
#include "base/map.h"
#include "consumer/group.h"
#include "coordinator/coordinator.h"
#include "protocol/messages/join_group.h"

enum classic_state { CLASSIC_EMPTY, CLASSIC_PREPARING, CLASSIC_COMPLETING, CLASSIC_STABLE };

/* Bytes of the coordinator's heap that belong to a struct; null, or a copy. */
struct owned {
    uint8_t *data;
    size_t size;
};

struct classic_protocol {
    struct view name;
    struct view metadata;
};

struct classic_member {
    struct list link; /* classic_group.members */
    struct classic_group *group;
    struct owned id;
    struct owned instance_id; /* null: a dynamic member */
    struct owned client_id;
    struct owned client_host;
    int32_t session_timeout_ms;
    int32_t rebalance_timeout_ms;
    struct classic_protocol *protocols; /* the views point behind the array, into this block */
    size_t protocol_count;
    size_t protocols_size; /* bytes of the block */
    struct owned assignment;
    struct coordinator_call *join; /* parked, or NULL */
    struct coordinator_call *sync; /* parked, or NULL */
    bool is_new;                   /* its first join is not answered: it may not know its id */
    bool awaits_sync;
    bool has_grace; /* its session was prolonged after a stall of this node */
    uint64_t deadline_ns;
    struct timer session; /* set no later than deadline_ns, moved when it fires */
};

/* A member id that was given out and not yet used (KIP-394). */
struct pending_member {
    struct classic_group *group;
    struct timer timer;
    struct view id;
    uint8_t id_bytes[];
};

struct classic_group {
    struct group *group;
    enum classic_state state;
    enum classic_state previous_state;
    int64_t state_since_ms; /* wall clock; -1: not known (older records) */
    int32_t generation;
    struct owned protocol_type; /* null: nobody ever joined */
    struct owned protocol;      /* null: none chosen */
    struct classic_member *leader;
    struct list members;    /* in the order in which they came */
    struct map by_id;       /* struct classic_member */
    struct map by_instance; /* static members */
    struct map known;       /* struct protocol_count by name: how many members list it */
    struct map pending;     /* struct pending_member by id */
    uint32_t awaiting_join;
    uint32_t awaiting_sync;
    bool member_came; /* since the initial delay was last prolonged */
    int32_t initial_delay_ms;
    int32_t initial_left_ms; /* by which the initial delay may still be prolonged */
    struct timer join_timer; /* ends PREPARING */
    struct timer sync_timer; /* ends the wait for SyncGroup */
};

/* ---- Life ---- */

/* The group's classic part, made when it is SIMPLE. The type becomes CLASSIC. */
struct classic_group *classic_group_get(struct group *group);
/* Frees it: clears its timers; no call may be parked. The type becomes SIMPLE. */
void classic_group_free(struct group *group);
/* Ends every parked call. */
void classic_group_unload(struct classic_group *classic, enum kafka_error error);
/* "Empty", "PreparingRebalance", "CompletingRebalance", "Stable". */
struct view classic_state_name(enum classic_state state);
void classic_group_move(struct classic_group *classic, enum classic_state state);
/* Asserts invariants 1 to 5. */
void classic_group_check(const struct classic_group *classic);

static inline struct groups *classic_groups(const struct classic_group *classic)
{
    return classic->group->groups;
}

/* ---- Members ---- */

static inline uint32_t classic_group_size(const struct classic_group *classic)
{
    return map_count(&classic->by_id);
}

/* NULL when there is no such member. */
struct classic_member *classic_member_find(const struct classic_group *classic, struct view id);
struct classic_member *classic_member_by_instance(const struct classic_group *classic,
                                                  struct view instance_id);
/*
 * The member that a request speaks for: UNKNOWN_MEMBER_ID, or FENCED_INSTANCE_ID when its instance
 * has another member by now (KIP-345). `instance_id` may be null.
 */
enum kafka_error classic_member_validate(const struct classic_group *classic, struct view id,
                                         struct view instance_id, struct classic_member **member);

/* What a member says of itself when it joins. Borrowed. */
struct classic_joiner {
    struct view id;
    struct view instance_id; /* may be null */
    struct view client_id;
    struct view client_host;
    int32_t session_timeout_ms;
    int32_t rebalance_timeout_ms;
    struct view protocol_type;
    const struct join_group_request_protocol *protocols;
    size_t protocol_count;
};

/* Adds a member that is not there yet; the first one leads and gives the group its type. */
struct classic_member *classic_member_add(struct classic_group *classic,
                                          const struct classic_joiner *joiner);
/* Replaces what the member lists, and its timeouts. */
void classic_member_update(struct classic_member *member, const struct classic_joiner *joiner);
/* The same member under a new id; parked calls under the old one end with FENCED_INSTANCE_ID. */
void classic_member_rename(struct classic_member *member, struct view id);
/* Takes a member out and frees it; parked calls end with UNKNOWN_MEMBER_ID. */
void classic_member_remove(struct classic_member *member);
/* Whether the member lists exactly these, in this order, with this metadata. */
bool classic_member_matches(const struct classic_member *member,
                            const struct join_group_request_protocol *protocols, size_t count);
/* Whether the member lists the protocol with this metadata. */
bool classic_member_gives(const struct classic_member *member,
                          const struct join_group_request_protocol *protocol);
/* What the member gave with a protocol; empty when it does not list it. */
struct view classic_member_metadata(const struct classic_member *member, struct view protocol);
void classic_member_assign(struct classic_member *member, struct view assignment);
/* Sets when the member is dead unless something comes from it. */
void classic_member_expect(struct classic_member *member, uint64_t timeout_ms);

static inline void classic_member_touch(struct classic_member *member)
{
    classic_member_expect(member, (uint64_t)member->session_timeout_ms);
}

/* Parks a call; a call that was parked before ends with REBALANCE_IN_PROGRESS. */
void classic_member_park_join(struct classic_member *member, struct coordinator_call *call);
void classic_member_park_sync(struct classic_member *member, struct coordinator_call *call);
/* Takes the parked call, or NULL. */
struct coordinator_call *classic_member_take_join(struct classic_member *member);
struct coordinator_call *classic_member_take_sync(struct classic_member *member);
void classic_member_await_sync(struct classic_member *member, bool awaits);

static inline struct view owned_view(struct owned owned)
{
    return view_of(owned.data, owned.size);
}

static inline struct view classic_member_id(const struct classic_member *member)
{
    return owned_view(member->id);
}

/* ---- Pending members ---- */

void classic_pending_add(struct classic_group *classic, struct view id, uint64_t timeout_ms);
bool classic_pending_remove(struct classic_group *classic, struct view id);

/* ---- Protocols ---- */

/* Whether one of the names is listed by every member, and the type is the group's. */
bool classic_group_supports(const struct classic_group *classic, struct view protocol_type,
                            const struct join_group_request_protocol *protocols, size_t count);
/* The protocol that most members prefer among those that all list; a view into a member. */
struct view classic_group_vote(const struct classic_group *classic);
void classic_group_set_protocol(struct classic_group *classic, struct view protocol);
void classic_group_set_protocol_type(struct classic_group *classic, struct view protocol_type);
/* The largest rebalance timeout of all members. */
int32_t classic_group_rebalance_timeout_ms(const struct classic_group *classic);
/* Whether its protocol type is "consumer": then metadata can be read as subscriptions. */
bool classic_group_has_consumers(const struct classic_group *classic);

#endif
