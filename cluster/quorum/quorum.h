/*
 * The quorum of the metadata log as a step function: events in, effects out (KIP-595, KIP-996,
 * KIP-853). Nothing here reads a clock, a file or a message by itself, so that the same code runs
 * in a node, in the simulator and in a model.
 *
 * Replication is by pull and is the driver's: it asks the leader for records, answers those who
 * ask, and tells this module what matters of it (fetched, contact, appended, flushed, truncated).
 *
 *     UNATTACHED --election timeout--> PROSPECTIVE --pre-votes--> CANDIDATE --votes--> LEADER
 *         ^   ^                          |  (nothing is stored)   epoch + 1              |
 *         |   +--------------------------+ lost, no leader known                         |
 *         |          FOLLOWER <-- a leader is heard; its silence --> PROSPECTIVE         |
 *         +--election timeout, epoch + 1-- RESIGNED <--no majority heard, order to stop--+
 *
 * What must be on disk before anybody hears of it (epoch, vote, leader) is an effect, `persist`:
 * the driver writes quorum->persisted, gives no other event than those of the log meanwhile, and
 * says PERSISTED; only then come the messages and the answer of the step that asked for it.
 *
 * Invariants:
 *  1. The epoch never falls, neither here nor over a restart: it starts at the larger of the file's
 *     and the log's, and a new one is persisted before a record or a message carries it.
 *  2. In one epoch this node votes for one candidate at most, over restarts too.
 *  3. In one epoch there is one leader; who hears of a second one keeps to the first and says so.
 *  4. Before the epoch's own LEADER_CHANGE is held by a majority nothing is committed (a leader
 *     commits only through a record of its own epoch).
 *  5. high_watermark <= log end, and it never falls; a leader counts itself at its flushed end, and
 * a follower's is at its flushed end at most: what it appended may still fail to be written.
 *  6. A node that led an epoch does not lead it again after a restart: records that it had not
 *     flushed may be gone.
 *  7. The voters are those of the last record that names some, committed or not. A leader writes
 *     such a record only when the one before and its own epoch's first record are committed
 *     (quorum_may_change_voters), and it differs by one voter, or is the first one and names those
 *     of the settings with their directories: majorities of two sets in a row have a node in
 * common. A leader that is not among them counts the others only, and resigns when the record is
 * committed.
 */
#ifndef KLAMM_CLUSTER_QUORUM_QUORUM_H
#define KLAMM_CLUSTER_QUORUM_QUORUM_H

#include "base/random.h"
#include "cluster/quorum/quorum_state.h"
#include "protocol/errors.h"
#include "runtime/test_points.h"

enum { QUORUM_VOTERS_MAX = QUORUM_STATE_VOTERS_MAX };

enum quorum_role {
    QUORUM_UNATTACHED,  /* no leader known in this epoch */
    QUORUM_PROSPECTIVE, /* asks whether it could win, in the present epoch */
    QUORUM_CANDIDATE,   /* has voted for itself and asks for votes */
    QUORUM_LEADER,
    QUORUM_FOLLOWER,
    QUORUM_RESIGNED, /* led this epoch and does not any more */
};

/* A voter or a candidate; a zero directory id matches any (kraft.version 0). */
struct quorum_node {
    int32_t id;
    struct uuid directory_id;
};

enum quorum_vote { QUORUM_VOTE_OPEN, QUORUM_VOTE_GRANTED, QUORUM_VOTE_REFUSED };

struct quorum_voter {
    struct quorum_node node;
    enum quorum_vote vote; /* in the present candidacy */
    /* As the leader sees it. */
    int64_t fetch_offset; /* it holds everything below, flushed; -1: not known */
    uint64_t heard_ns;    /* its last Fetch, or when leadership began */
    bool is_told;         /* it acknowledged BeginQuorumEpoch (or EndQuorumEpoch) */
};

struct quorum_options {
    struct quorum_node self;
    uint64_t election_timeout_ns; /* an election starts between this and twice this */
    uint64_t fetch_timeout_ns;    /* a follower's patience */
    uint64_t backoff_max_ns;      /* after EndQuorumEpoch */
    uint64_t seed;
    struct test_points test_points; /* of the loop (runtime/test_point.h) */
};

/* What is sent to voters. */
enum quorum_message_kind {
    QUORUM_MESSAGE_NONE,
    QUORUM_MESSAGE_VOTE,
    QUORUM_MESSAGE_BEGIN_EPOCH,
    QUORUM_MESSAGE_END_EPOCH
};

struct quorum_message {
    enum quorum_message_kind kind;
    struct quorum_node from; /* candidate, or leader */
    struct quorum_node to;   /* a zero id of -1: not named */
    int32_t epoch;
    /* VOTE */
    bool is_pre_vote;
    int32_t last_epoch;  /* of the candidate's log */
    int64_t last_offset; /* its end */
    /* END_EPOCH: who should follow, best first */
    struct quorum_node preferred[QUORUM_VOTERS_MAX];
    uint32_t preferred_count;
};

struct quorum_answer {
    enum quorum_message_kind kind;
    enum kafka_error error;
    int32_t from;      /* who answers; set by the driver of the receiver */
    int32_t epoch;     /* of who answers */
    int32_t leader_id; /* that it knows, or QUORUM_NODE_NONE */
    bool is_granted;
    /* What was asked; set by the driver of the receiver. */
    bool is_pre_vote;
    int32_t asked_epoch;
};

struct quorum {
    struct quorum_options options;
    struct random_stream random;
    enum quorum_role role;
    struct quorum_state persisted; /* what the file says, or will say when the write is done */
    int32_t epoch;
    int32_t leader_id; /* of this epoch, or QUORUM_NODE_NONE */
    struct quorum_node voted;
    struct quorum_voter voters[QUORUM_VOTERS_MAX];
    uint32_t voter_count;
    int64_t voters_offset; /* of the record that names them; -1: the settings do */
    bool was_voter;        /* this node is in the set before that one */
    bool is_started;
    bool is_stopping;
    bool is_persisting;
    bool has_fetched; /* from this epoch's leader: answers to pre-votes */
    int32_t last_epoch;
    int64_t log_end;
    int64_t flushed_end;
    int64_t high_watermark;
    int64_t told_watermark;     /* follower: the leader's, as far as this log goes */
    int64_t epoch_start_offset; /* leader: offset of this epoch's LEADER_CHANGE */
    bool is_active;             /* the state machine may append: invariant 4 holds */
    uint64_t now_ns;            /* of the last event */
    uint64_t deadline_ns;       /* election or fetch timeout; UINT64_MAX: none */
    uint64_t begin_due_ns;      /* leader: when BeginQuorumEpoch is sent again */
    struct {
        bool append_change, resigned;
        enum quorum_message_kind send;
        bool has_answer;
        struct quorum_answer answer;
    } held; /* effects that wait for PERSISTED */
};

enum quorum_event_kind {
    QUORUM_EVENT_STARTED,   /* log and file are loaded */
    QUORUM_EVENT_TIME,      /* nothing but the time; at quorum_deadline_ns at the latest */
    QUORUM_EVENT_PERSISTED, /* the state of the last PERSIST effect is on disk */
    QUORUM_EVENT_APPENDED,  /* the log ends at `offset`, its last record has `epoch` */
    QUORUM_EVENT_FLUSHED,   /* everything below `offset` is on disk */
    QUORUM_EVENT_CUT,       /* the device was full, or a follower truncated: ends at `offset` */
    QUORUM_EVENT_REPLACED, /* follower: a snapshot took the log's place: starts and ends at `offset`
                            */
    QUORUM_EVENT_RESIGN,   /* stop, or an append failed */
    QUORUM_EVENT_VOTERS,   /* a KRAFT_VOTERS record was appended or cut: the set is this now */
    QUORUM_EVENT_REQUEST,  /* `message` came; effects have the answer */
    QUORUM_EVENT_ANSWER,   /* `answer` came */
    QUORUM_EVENT_FETCHED,  /* leader: `node` asked for `offset`, so it holds all below */
    QUORUM_EVENT_CONTACT, /* follower: the leader of `epoch` answered; `offset`: watermark, or -1 */
    QUORUM_EVENT_HEARD,   /* somebody said that `node.id` (or -1) leads `epoch` */
};

struct quorum_event {
    enum quorum_event_kind kind;
    uint64_t now_ns;
    int64_t offset;
    int32_t epoch;
    struct quorum_node node;
    const struct quorum_message *message;
    const struct quorum_answer *answer;
    /* STARTED, VOTERS */
    const struct quorum_node *voters;
    uint32_t voter_count;
    int64_t voters_offset; /* of the record; -1: they come from the settings, or there are none */
    bool was_voter;        /* this node is in the set before this one */
    int16_t state_version; /* VOTERS: of quorum-state from now on */
    struct {
        struct quorum_state file; /* as found; init for a new node */
        int32_t last_epoch;       /* of log or snapshot, 0 when there is neither */
        int64_t log_end;          /* everything below is flushed */
        int64_t snapshot_end;     /* end of the newest snapshot: committed for sure */
    } started;
};

/* What to do, in this order. */
struct quorum_effects {
    bool persist;                  /* write quorum->persisted, then QUORUM_EVENT_PERSISTED */
    bool resigned;                 /* this node led and does not any more: append nothing */
    bool append_change;            /* append LEADER_CHANGE of `epoch` (and voters), then APPENDED */
    bool committed;                /* the high watermark moved to quorum->high_watermark */
    bool activated;                /* this node leads and may append from now on */
    enum quorum_message_kind send; /* to the voters for which quorum_message_to is true */
    bool conflict; /* a second leader of the epoch was named: worth a line in the log */
    bool has_answer;
    struct quorum_answer answer; /* to the request of this event, or of the one before persist */
};

void quorum_init(struct quorum *quorum, const struct quorum_options *options);
void quorum_step(struct quorum *quorum, const struct quorum_event *event,
                 struct quorum_effects *effects);
/* When the next TIME event is due; UINT64_MAX: never. */
uint64_t quorum_deadline_ns(const struct quorum *quorum);
/* The message of effects.send for a voter; false: it is not for this one. */
bool quorum_message_to(const struct quorum *quorum, enum quorum_message_kind kind, uint32_t voter,
                       struct quorum_message *message);
bool quorum_is_voter(const struct quorum *quorum);
/* Leader: whether a record with other voters may be appended (invariant 7). */
bool quorum_may_change_voters(const struct quorum *quorum);
/* Asserts the invariants. */
void quorum_check(const struct quorum *quorum);

#endif
