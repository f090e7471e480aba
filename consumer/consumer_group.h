/*
 * A consumer group (KIP-848): its members, what they are meant to own and what they own.
 *
 * Three numbers drive it. The group epoch rises with everything that can change the assignment. The
 * assignment epoch is the group epoch for which the target was computed. A member's epoch is the
 * assignment epoch that it has reached; it reaches it by giving up first and taking over later
 * (consumer_group_reconcile.h). A partition that somebody holds has an owner epoch, so that nobody
 * else is given it.
 *
 * All of this is hard state: it changes through records only (consumer_group_replay.c). Timers and
 * what is written "soft" below are not in the log.
 *
 * Invariants:
 *  1. A member with `listed` counts; one without has a target only, left over in a compacted log.
 *  2. subscribed.by_name is the number of listed members that name the topic, by_regex the number
 *     of resolved patterns with it; an entry is there while one of them is above zero.
 *  3. A regex entry is there while it has subscribers or a resolution.
 *  4. owners has for every partition that a member holds (assigned or revoking) its member epoch,
 *     and the newest one when a compacted log shows two (KAFKA-19862).
 *  5. sorted has the listed members, each once, rising by id: the order of assignors.
 *  6. member epoch <= assignment epoch <= group epoch, sentinels aside.
 */
#ifndef KLAMM_CONSUMER_CONSUMER_GROUP_H
#define KLAMM_CONSUMER_CONSUMER_GROUP_H

#include "consumer/groups.h"
#include "consumer/member_metadata.h"
#include "consumer/partition_set.h"

enum {
    MEMBER_EPOCH_JOIN = 0,
    MEMBER_EPOCH_LEAVE = -1,
    MEMBER_EPOCH_LEAVE_STATIC = -2,
    PARTITION_EPOCH_FREE = -1,
    /* A partition number above this in a record is damage, not a partition. */
    CONSUMER_PARTITION_MAX = 1 << 20
};

/* The numbers of the records; others are of a newer version and mean UNKNOWN. */
enum consumer_member_state {
    MEMBER_STABLE = 0,
    MEMBER_UNREVOKED_PARTITIONS = 1,  /* must still give up some */
    MEMBER_UNRELEASED_PARTITIONS = 2, /* waits for what others have not given up */
    MEMBER_UNKNOWN = 127
};

enum consumer_group_state {
    CONSUMER_GROUP_EMPTY,
    CONSUMER_GROUP_ASSIGNING,
    CONSUMER_GROUP_RECONCILING,
    CONSUMER_GROUP_STABLE
};

/* A topic name somebody subscribes to. */
struct subscribed_topic {
    uint32_t by_name;
    uint32_t by_regex;
    uint32_t place;        /* scratch of one computation (consumer_group_subscription.h) */
    uint64_t hash_version; /* consumer_groups.topics_version when `hash` was computed; soft */
    int64_t hash;
    struct view name;
    uint8_t name_bytes[];
};

/* A pattern that members subscribe to, and the topics that it stood for when it was resolved. */
struct consumer_regex {
    uint32_t subscribers;
    bool resolved;
    uint32_t topic_count;
    struct subscribed_topic **topics;
    int64_t version;      /* metadata offset of the resolution */
    int64_t timestamp_ms; /* of the resolution */
    struct view pattern;
    uint8_t pattern_bytes[];
};

/* How far a member is: the content of a record of type 8. */
struct member_progress {
    int32_t epoch;
    int32_t previous_epoch;
    enum consumer_member_state state;
    const struct partition_set *assigned; /* never NULL */
    const struct partition_set *revoking;
};

struct consumer_member {
    struct consumer_group *group;
    bool listed;
    bool has_target;
    member_metadata *metadata;        /* one block with all it points to; never NULL */
    size_t metadata_size;             /* bytes of that block */
    struct subscribed_topic **topics; /* [metadata->subscribed_topic_names_count] */
    struct consumer_regex *regex;     /* NULL: none */
    struct member_progress progress;  /* sets on the heap */
    const struct partition_set *target;
    /* Soft. */
    struct timer session;
    uint64_t session_due_ns; /* the timer is set again when it fires before */
    struct timer rebalance;
    int32_t rebalance_epoch; /* the member is fenced when it still has it then */
    struct timer join;       /* of members of the classic protocol: JoinGroup must come */
    struct timer sync;       /* the same: SyncGroup must come */
    struct view id;
    uint8_t id_bytes[];
};

/* Who owns the partitions of a topic. */
struct owned_topic {
    struct uuid id;
    uint32_t owned;
    uint32_t capacity;
    int32_t *epochs; /* [capacity]: PARTITION_EPOCH_FREE, or the owner's epoch */
};

struct regex_resolution;

struct consumer_group {
    struct group *group; /* NULL: not in the table (yet) */
    struct groups *groups;
    int32_t epoch;
    int32_t assignment_epoch;
    int64_t metadata_hash;
    bool has_partition_metadata;     /* a record of type 4 waits for its tombstone */
    struct map members;              /* struct consumer_member by id */
    struct consumer_member **sorted; /* [member_count]: the listed ones, rising by id */
    uint32_t sorted_capacity;
    uint32_t member_count;     /* listed */
    uint32_t classic_count;    /* listed members of the classic protocol */
    struct map instances;      /* struct consumer_member by instance id */
    struct map subscribed;     /* struct subscribed_topic by name */
    struct map regexes;        /* struct consumer_regex by pattern */
    uint32_t regex_subscribed; /* patterns with subscribers */
    struct map owners;         /* struct owned_topic by topic id */
    struct map protocols;      /* of classic members: count by name */
    /* Soft. */
    uint64_t checked_version; /* of topics, when the metadata hash was last compared; 0: never */
    uint64_t target_turn;     /* turn of the loop in which the target was last made; 0: none */
    struct regex_resolution *resolution; /* under way, or NULL */
};

/* ---- Life; for replay, and for groups that are not written yet ------------------------------- */

/* An empty group in memory of the caller. Takes nothing from the heap yet. */
void consumer_group_init(struct consumer_group *consumer, struct groups *groups,
                         struct group *group);
/* Frees what it holds; stops its timers and its resolution. */
void consumer_group_deinit(struct consumer_group *consumer);
/* The consumer state of a SIMPLE group, which becomes a CONSUMER group; and back. */
struct consumer_group *consumer_group_create(struct group *group);
void consumer_group_destroy(struct group *group);

/* ---- Changes; for replay --------------------------------------------------------------------- */

/* The member, made when it is new (not listed yet). */
struct consumer_member *consumer_group_get_member(struct consumer_group *consumer, struct view id);
/* Adds it to the members that count. */
void consumer_member_list(struct consumer_member *member);
/* Takes it out; frees it when it has no target either. */
void consumer_member_unlist(struct consumer_member *member);
/* Copies. */
void consumer_member_set_metadata(struct consumer_member *member, const member_metadata *metadata);
void consumer_member_set_progress(struct consumer_member *member,
                                  const struct member_progress *progress);
/* `target` NULL: it has none any more; may free a member that is not listed. */
void consumer_member_set_target(struct consumer_member *member, const struct partition_set *target);
/* Copies; topics NULL: not resolved any more. */
void consumer_group_set_regex(struct consumer_group *consumer, struct view pattern,
                              const struct view *topics, size_t topic_count, int64_t version,
                              int64_t timestamp_ms);

/* ---- Looking --------------------------------------------------------------------------------- */

/* A listed member; NULL when there is none. */
struct consumer_member *consumer_group_find_member(const struct consumer_group *consumer,
                                                   struct view id);
struct consumer_member *consumer_group_find_instance(const struct consumer_group *consumer,
                                                     struct view instance_id);
/* PARTITION_EPOCH_FREE or the owner's epoch. */
int32_t consumer_group_partition_epoch(const struct consumer_group *consumer, struct uuid topic,
                                       int32_t partition);
struct consumer_regex *consumer_group_find_regex(const struct consumer_group *consumer,
                                                 struct view pattern);
enum consumer_group_state consumer_group_state(const struct consumer_group *consumer);
/* "Empty", "Assigning", "Reconciling", "Stable". */
struct view consumer_group_state_name(enum consumer_group_state state);
/* Listed classic members that list this protocol. */
uint32_t consumer_group_protocol_count(const struct consumer_group *consumer, struct view name);
/* Asserts the invariants. */
void consumer_group_check(const struct consumer_group *consumer);

static inline bool consumer_member_is_classic(const struct consumer_member *member)
{
    return member->metadata->classic_member_metadata != NULL;
}

/* Whether it waits for nothing any more. */
static inline bool member_progress_is_at(const struct member_progress *progress,
                                         int32_t assignment_epoch)
{
    return progress->state == MEMBER_STABLE && progress->epoch == assignment_epoch;
}

bool member_progress_equal(const struct member_progress *a, const struct member_progress *b);

#define CONSUMER_PROGRESS_NEW                                                                      \
    ((struct member_progress){MEMBER_EPOCH_JOIN, -1, MEMBER_STABLE, &partition_set_empty,          \
                              &partition_set_empty})

#endif
