/*
 * A member of a group as a simulated client: the part that classic members and members of the
 * consumer protocol (KIP-848) share. Each is a simulated node of one loop.
 *
 * A member finds its coordinator (cluster_client.h), joins, keeps itself alive, commits for what it
 * owns and reads what is committed. It also misbehaves: goes silent for longer than its session,
 * leaves, or "crashes": drops everything without a word and comes back as somebody new.
 *
 * Invariants:
 *  1. One request is under way at a time; `busy` tells.
 *  2. What the member believes to own is what group_history was told.
 */
#ifndef KLAMM_TESTS_SIM_GROUP_MEMBER_H
#define KLAMM_TESTS_SIM_GROUP_MEMBER_H

#include "tests/sim/cluster_client.h"
#include "tests/sim/group_history.h"

enum { MEMBER_ID_SIZE = 96 };

/* What a member is, and what the scenario wants of it. Outlives its node. */
struct group_role {
    struct group_history *history;
    struct cluster_client_options client;
    bool clocks_differ; /* those of brokers run fast or slow */
    unsigned group;
    unsigned member; /* number in the group */
    bool is_consumer_protocol;
    unsigned node; /* of the simulator */
    bool is_gone;  /* its node has crashed for good */
    bool behaves;  /* no more leaving, crashing or silence */
    uint64_t session_ns;
    uint64_t rebalance_ns;
    /* Told by the member. */
    bool is_stable;
    uint64_t last_commit_ns; /* when a commit was acknowledged */
    uint64_t rebalances, silences, crashes, refused;
};

struct group_member;

/* What differs between the protocols. */
struct group_protocol {
    /* Joins, or goes on with what was under way. */
    void (*join)(struct group_member *member);
    /* A moment has passed: heartbeats when it is time. Nothing else is under way. */
    void (*tick)(struct group_member *member);
    void (*leave)(struct group_member *member);
    /* Sends a commit of member->commit_offset. */
    void (*commit)(struct group_member *member);
    void (*answered)(struct group_member *member, enum kafka_api api, struct reader *body);
    /* Forgets membership: a new member joins next. */
    void (*forget)(struct group_member *member);
};

struct group_member {
    struct cluster_client cluster;
    struct kafka_client *link;      /* to the coordinator, while a tick acts */
    struct cluster_witness witness; /* of the request under way */
    struct group_role *role;
    const struct group_protocol *protocol;
    struct random_stream random;
    struct timer tick;
    bool busy;
    bool is_leaders; /* the answer at hand is the coordinator's, whoever that is in truth */
    bool is_joined;
    uint64_t sent_ns; /* of the request under way */
    uint64_t heartbeat_due_ns;
    char id[MEMBER_ID_SIZE];
    bool owns[GROUP_PARTITIONS];
    int32_t generation; /* or member epoch */
    int32_t commit_partition;
    int64_t commit_offset; /* 0: none under way */
    bool must_join;        /* classic: told of a rebalance */
    /* Consumer protocol. */
    uint8_t topic_id[16];
    bool has_topic_id;
    bool must_report; /* what is owned has changed since the last heartbeat */
};

void group_member_boot(struct loop *loop, void *role);

extern const struct group_protocol group_classic_protocol;
extern const struct group_protocol group_consumer_protocol;

extern const char group_topic[];
/* "g0" and so on. */
const char *group_name(unsigned group);

/* What is known of it outside. */
static inline struct group_ownership *group_member_ownership(const struct group_member *member)
{
    const struct group_role *role = member->role;
    return &role->history->members[role->group][role->member];
}

static inline struct sim *group_sim(const struct group_member *member)
{
    return sim_of(member->cluster.loop);
}

/* Sends; the answer comes to protocol->answered. */
void group_member_send(struct group_member *member, enum kafka_api api, int16_t version,
                       const struct writer *body);
void group_member_send_flexible(struct group_member *member, enum kafka_api api, int16_t version,
                                const struct writer *body);
/* NOT_COORDINATOR and its like: true, and the coordinator is looked for again. */
bool group_member_is_passing(struct group_member *member, int16_t error);
/* The answer at hand is no error: sets is_leaders. */
void group_member_answered_well(struct group_member *member);
/* The same of an answer that shows that the coordinator keeps the member. */
void group_member_contact(struct group_member *member);
/* It owns nothing any more, and the history knows. */
void group_member_release(struct group_member *member);
/* How a commit ended; `error` of the partition or the whole request. */
void group_member_committed(struct group_member *member, int16_t error);

#endif
