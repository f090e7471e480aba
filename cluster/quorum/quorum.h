/*
 * The quorum of the metadata log as a step function: events in, effects out.
 *
 * This build has the part of KRaft that a sole voter needs: it campaigns and elects itself at once,
 * takes appends, and commits what is flushed. The shape is that of the whole: the state is a role
 * in an epoch, every change of it is made durable before it is acted upon, and nothing here reads a
 * clock, a file or a message by itself.
 *
 *     STARTED: candidate in epoch + 1 -> (state persisted) -> leader, LEADER_CHANGE appended
 *     -> (flushed beyond it) -> leader that may append: its first record is committed
 *
 * Invariants:
 *  1. The epoch never falls, neither here nor over a restart: it starts at the larger of the file's
 *     and the log's, and a new one is persisted before a record carries it.
 *  2. Before the epoch's own LEADER_CHANGE is flushed nothing is committed (KRaft: a leader commits
 *     only through an entry of its own epoch).
 *  3. high_watermark <= flushed end <= log end, and it never falls.
 */
#ifndef KLAMM_CLUSTER_QUORUM_QUORUM_H
#define KLAMM_CLUSTER_QUORUM_QUORUM_H

#include "cluster/quorum/quorum_state.h"

enum quorum_role {
    QUORUM_UNATTACHED, /* no leader known in this epoch */
    QUORUM_CANDIDATE,  /* votes for itself; the vote is being persisted */
    QUORUM_LEADER,
    QUORUM_RESIGNED, /* stopping, or failed: appends nothing any more */
};

struct quorum {
    int32_t node_id;
    struct uuid directory_id;
    enum quorum_role role;
    struct quorum_state persisted; /* what the file says, or will say when the write is done */
    int32_t epoch;
    int64_t log_end;
    int64_t flushed_end;
    int64_t high_watermark;
    int64_t epoch_start_offset; /* offset of this epoch's LEADER_CHANGE */
    bool is_active;             /* the state machine may append: invariant 2 holds */
};

enum quorum_event_kind {
    QUORUM_EVENT_STARTED,   /* log and file are loaded */
    QUORUM_EVENT_PERSISTED, /* the state of the last PERSIST effect is on disk */
    QUORUM_EVENT_APPENDED,  /* the log ends at `offset` now */
    QUORUM_EVENT_FLUSHED,   /* everything below `offset` is on disk */
    QUORUM_EVENT_CUT,       /* the device was full: the log ends at `offset` again */
    QUORUM_EVENT_RESIGN,    /* stop, or an append failed */
};

struct quorum_event {
    enum quorum_event_kind kind;
    int64_t offset;
    struct {
        struct quorum_state file; /* as found; init for a new node */
        int32_t last_epoch;       /* of log or snapshot, 0 when there is neither */
        int64_t log_end;          /* everything below is flushed */
        int64_t snapshot_end;     /* end of the newest snapshot: committed for sure */
    } started;
};

/* What to do, in this order. */
struct quorum_effects {
    bool persist;       /* write `quorum->persisted`, then QUORUM_EVENT_PERSISTED */
    bool append_change; /* append LEADER_CHANGE of `epoch` (and voters), then APPENDED */
    bool committed;     /* the high watermark moved to quorum->high_watermark */
    bool activated;     /* this node leads and may append from now on */
};

void quorum_init(struct quorum *quorum, int32_t node_id, struct uuid directory_id);
void quorum_step(struct quorum *quorum, const struct quorum_event *event,
                 struct quorum_effects *effects);
/* Asserts the invariants. */
void quorum_check(const struct quorum *quorum);

#endif
