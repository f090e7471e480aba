/*
 * One replica of a partition on the loop that owns it: leadership, high watermark, and everybody
 * who waits for it.
 *
 * Owns the leader epoch, the in-sync set as this node leads it, the rule by which the high
 * watermark moves, the appends that wait for an acknowledgement and the fetches that watch for
 * data. Reaches storage only through its log (log/partition_log.h), which belongs to it from
 * replica_attach to replica_detach. Everything runs on the replica's loop; callbacks run in the
 * deferred phase of a turn or inside replica_lead, replica_follow, replica_fail and replica_detach,
 * never inside replica_append.
 *
 *     OPENING --attach--> FOLLOWING <--lead, follow--> LEADING     any --fail--> OFFLINE
 *                                                                  any --detach--> GONE
 *
 * Alone in its in-sync set a leader's high watermark is the local end: the durable end in `sync`
 * durability, the written end in `cache`.
 *
 * Invariants:
 *  1. log start <= high watermark <= local end <= log end; the high watermark of a leader never
 *     moves down.
 *  2. commit_waits and local_waits are in rising order of required_offset, and every wait in them
 *     requires more than the high watermark (the local end).
 *  3. Every append for which replica_append returned false is told exactly once (`done`).
 *  4. Appends whose preparation takes time (codecs, in jobs) keep the order of their arrival: turns
 *     are taken from the front of `turns` only, when they are ready.
 *  5. A watch is in the list of its replica until it fires or is removed.
 */
#ifndef KLAMM_REPLICATION_REPLICA_H
#define KLAMM_REPLICATION_REPLICA_H

#include "base/list.h"
#include "base/uuid.h"
#include "cluster/metadata/image.h"
#include "config/topic_config.h"
#include "log/partition_log.h"
#include "protocol/errors.h"
#include "replication/replica_host.h"

enum replica_state {
    REPLICA_OPENING, /* its log is being opened or made */
    REPLICA_LEADING,
    REPLICA_FOLLOWING, /* another broker leads, or nobody */
    REPLICA_OFFLINE,   /* the directory failed or the log is damaged; until restart */
    REPLICA_GONE       /* deleted, or the node stops */
};

enum { REPLICA_KEY_SIZE = UUID_SIZE + 4 };

/* What the metadata says about a partition; borrowed for a call. */
struct replica_assignment {
    int32_t leader; /* IMAGE_LEADER_NONE: nobody leads */
    int32_t leader_epoch;
    int32_t partition_epoch;
    struct node_list replicas; /* all, this broker's too */
    struct node_list isr;
};

struct replica {
    uint8_t key[REPLICA_KEY_SIZE]; /* topic id and partition, for the table */
    struct list link;              /* of the table */
    struct replica_host *host;
    struct uuid topic_id;
    int32_t partition;
    enum replica_state state;
    struct partition_log *log; /* NULL while OPENING, when GONE, and when it could not be opened */
    const struct shared_config *settings;
    int32_t leader_id; /* as the metadata says; -1: nobody */
    int32_t leader_epoch;
    int32_t partition_epoch;
    int64_t epoch_start_offset; /* LEADING: log end when this leader epoch began here */
    struct follower *follower;  /* replication/follower.h; NULL unless it is fetched for */
    struct replica_leadership *leadership; /* NULL: does not lead, or is the only replica */
    struct list local_waits;               /* replica_append.link: acks=1 */
    struct list commit_waits;              /* replica_append.link: acks=all */
    struct list watches;                   /* replica_watch.link */
    struct list turns;                     /* replica_turn.link: appends being prepared */
    struct view topic;                     /* in this block */
    size_t held_size;
};

/* An append and its acknowledgement; embedded by whoever waits, who keeps the bytes in place. */
struct replica_append {
    struct log_append append; /* data, size, origin: the caller's */
    int16_t acks;             /* 0: done when written; 1: at the local end; -1: committed */
    void (*done)(struct replica_append *append);
    /* Out: error, and in `append` the offsets. */
    enum kafka_error error;
    /* Private. */
    struct list link;
    struct replica *replica;
    int64_t required_offset; /* end that must be reached */
    bool is_written;         /* the log does not use the bytes any more */
};

/* A place in the order of appends, for one that is not ready to be appended yet; embedded. */
struct replica_turn {
    struct list link;
    struct replica *replica; /* NULL: the replica has ended */
    bool is_ready;
    /* It is this one's turn. `replica` is NULL when it has ended or gone offline meanwhile. */
    void (*go)(struct replica_turn *turn, struct replica *replica);
};

/* Someone who waits for data or for a change of state; embedded. */
struct replica_watch {
    struct list link;
    void (*fired)(struct replica_watch *watch); /* out of the list already */
};

/* A replica without a log, OPENING; copies the name, shares the config. */
struct replica *replica_create(struct replica_host *host, struct view topic, struct uuid topic_id,
                               int32_t partition, const struct topic_config *config);
/* GONE or never attached; nobody waits. */
void replica_destroy(struct replica *replica);

/* What an image says, borrowed from it. */
struct replica_assignment replica_assignment_of(const struct image_partition *partition);

/* Takes the log: FOLLOWING nobody, until replica_lead or replica_follow. */
void replica_attach(struct replica *replica, struct partition_log *log);
/*
 * This broker leads, by this state of the metadata. A new leader epoch begins at the log end. An
 * older partition epoch, and a replica without a usable log, change nothing.
 */
void replica_lead(struct replica *replica, const struct replica_assignment *assignment);
/*
 * Another broker leads, or nobody. With a new leader epoch everybody who waits is told
 * NOT_LEADER_OR_FOLLOWER. Otherwise as replica_lead.
 */
void replica_follow(struct replica *replica, const struct replica_assignment *assignment);
static inline const struct topic_config *replica_config(const struct replica *replica)
{
    return &replica->settings->config;
}

/* Takes effect for what comes next. */
void replica_set_config(struct replica *replica, const struct topic_config *config);
/* The log or its directory is lost: tells everybody KAFKA_STORAGE_ERROR. */
void replica_fail(struct replica *replica);
/*
 * Ends the replica: tells everybody who waits `error` and gives the log out (NULL when it has
 * none); its owner closes or drops it.
 */
struct partition_log *replica_detach(struct replica *replica, enum kafka_error error);

/*
 * Whether requests to the leader may be served: NONE, or what to answer. `leader_epoch` is the one
 * the requester knows, -1 when it does not say (KIP-320).
 */
enum kafka_error replica_check(const struct replica *replica, int32_t leader_epoch);
/* The same for requests that a follower serves as well (KIP-392). */
enum kafka_error replica_check_any(const struct replica *replica, int32_t leader_epoch);

/*
 * Whether a follower's fetch is served: as replica_check, UNKNOWN_LEADER_EPOCH when this broker
 * does not know the replica yet that knows its epoch, NOT_LEADER_OR_FOLLOWER for one that is not
 * assigned or belongs to an incarnation of its broker that is over (`broker_epoch`, -1: not said).
 */
enum kafka_error replica_check_fetch(struct replica *replica, int32_t leader_epoch,
                                     int32_t replica_id, int64_t broker_epoch);
/*
 * A fetch that passed the check and was read for the first time, without an error or a divergence;
 * nothing was appended since the read. It says what the follower has.
 */
void replica_fetched(struct replica *replica, const struct replica_fetch *fetch);
/*
 * Whether a follower that was read for and has everything may rest: nothing but another end, which
 * replica_watch_end tells, makes its next fetch count. A member of the in-sync set that stays.
 */
bool replica_may_rest(const struct replica *replica, const struct replica_fetch *fetch);
/*
 * The follower rests: *clock_ns, which the caller moves on, is the time of its last fetch. Until
 * replica_follower_stirs with the same clock, which is right also after the end of the leadership,
 * and when the follower rests by the clock of another session by then.
 */
void replica_follower_rests(struct replica *replica, int32_t replica_id, const int64_t *clock_ns);
void replica_follower_stirs(struct replica *replica, int32_t replica_id, const int64_t *clock_ns);
/* The answer to a proposal of this replica's; late ones are welcome and do nothing. */
void replica_isr_answered(struct replica *replica, const struct isr_proposal *proposal);
/* What is known of the other replicas; NULL: it does not lead, or is the only one. */
const struct in_sync *replica_in_sync(const struct replica *replica);
/* Whether another broker is in the in-sync set of this leader. */
bool replica_is_in_sync(const struct replica *replica, int32_t broker_id);
/* Whether the in-sync set is large enough for acks=all (min.insync.replicas). */
bool replica_has_enough(const struct replica *replica);
/*
 * Whether somebody of the in-sync set still follows this leader, or nobody else is in it. Where
 * not, the leader may have been replaced without having heard of it.
 */
bool replica_is_followed(const struct replica *replica);

/*
 * Appends. With acks=all NOT_ENOUGH_REPLICAS comes first. OUT_OF_ORDER_SEQUENCE_NUMBER is said only
 * by a leader that is followed, NOT_LEADER_OR_FOLLOWER by one that is not. True: finished, see
 * append->error. False: `done` is called later, and only then the bytes may go.
 */
bool replica_append(struct replica *replica, struct replica_append *append);

/* Whether an append has to queue behind others that are being prepared. */
bool replica_is_turn_needed(const struct replica *replica);
/* Takes the next place; nothing that comes later is appended before replica_turn_ready. */
void replica_turn_begin(struct replica *replica, struct replica_turn *turn);
/* Prepared: goes now, or when those before it have gone. */
void replica_turn_ready(struct replica_turn *turn);

int64_t replica_high_watermark(const struct replica *replica);
/* What acks=1 waits for and what this node counts as its own in the high watermark. */
int64_t replica_local_end(const struct replica *replica);
/* The end that a reader may see: LOG_READ_HIGH_WATERMARK or LOG_READ_LAST_STABLE and so on. */
int64_t replica_read_bound(const struct replica *replica, enum log_read_bound bound);

/* Fires when the high watermark, the last stable offset, the log start or the state moves. */
void replica_watch(struct replica *replica, struct replica_watch *watch);
/* Fires when the written end, the in-sync set or the state moves; of a leader with others. */
void replica_watch_end(struct replica *replica, struct replica_watch *watch);
/* Also right for a watch that has fired. */
void replica_unwatch(struct replica_watch *watch);

/*
 * The log start that every replica has reached whose broker is alive; -1: not all of them have said
 * where theirs is. Leading only.
 */
int64_t replica_low_watermark(const struct replica *replica);
/* Fires when the low watermark or the state may have moved; of a leader with other replicas. */
void replica_watch_start(struct replica *replica, struct replica_watch *watch);

/*
 * DeleteRecords: moves the log start up to `offset`; -1 stands for the high watermark, and becomes
 * it. OFFSET_OUT_OF_RANGE above the high watermark, POLICY_VIOLATION when the topic does not
 * delete.
 */
enum kafka_error replica_delete_records(struct replica *replica, int64_t *offset);

/* Asserts invariants 1 and 2. */
void replica_assert(const struct replica *replica);

#endif
