/*
 * Changing the voters (KIP-853): AddRaftVoter, RemoveRaftVoter and UpdateRaftVoter at the leader.
 *
 * A new voter is asked first whether it is there and knows this kraft.version, and it must have
 * caught up with the log; else its first act would be to hold up the high watermark. Then the
 * record with the new set is appended, and holds at once. The answer comes when it is committed, by
 * a majority of the new set.
 *
 * Invariants:
 *  1. One change at a time: until the record of the last one is committed, and before the epoch's
 *     own first record is, every other one is answered REQUEST_TIMED_OUT.
 *  2. A call that is under way is answered once: committed, late, or this node does not lead any
 *     more. The last two say nothing about the outcome when the record was appended.
 */
#ifndef KLAMM_CLUSTER_QUORUM_VOTER_CHANGE_H
#define KLAMM_CLUSTER_QUORUM_VOTER_CHANGE_H

#include "cluster/quorum/quorum_call.h"
#include "connection/channel.h"
#include "protocol/messages/api_versions.h"

struct metadata_log;

struct voter_change {
    struct quorum_call *call; /* the one under way; NULL: none */
    int64_t offset;           /* of its record; -1: not appended yet */
    struct timer deadline;
    /* The question to a new voter. */
    struct channel *channel;
    struct channel_request probe;
    struct api_versions_request message;
};

void voter_change_init(struct metadata_log *log);
void voter_change_deinit(struct metadata_log *log);
/* The high watermark moved. */
void voter_change_committed(struct metadata_log *log);
/* Answers the call under way with an error. */
void voter_change_abort(struct metadata_log *log, enum kafka_error error);
/* Closes what is not needed any more; not from inside an answer. */
void voter_change_tidy(struct metadata_log *log);

/* The services (quorum_call.h): one file for each message. */
void add_voter_serve(struct metadata_log *log, struct quorum_call *call);
void remove_voter_serve(struct metadata_log *log, struct quorum_call *call);
void update_voter_serve(struct metadata_log *log, struct quorum_call *call);
/* Fills the response of any of them. */
void voter_change_refuse(struct quorum_call *call, enum kafka_error error);

#endif
