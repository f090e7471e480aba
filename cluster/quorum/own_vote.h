/*
 * What a controller does about its own place among the voters (KIP-853): as a follower it tells the
 * leader when it listens elsewhere than the voters' record says (UpdateRaftVoter), and, where
 * controller.quorum.auto.join.enable says so, an observer takes an older directory of its own out
 * of the set and then adds itself. A voter of the settings tells every new leader its directory id,
 * address and versions, without which kraft.version cannot be raised (kraft_upgrade.h).
 *
 * Invariant: one request at a time, and the next one a fetch timeout later at the earliest: what
 * comes of it is seen in the log, not in the answer.
 */
#ifndef KLAMM_CLUSTER_QUORUM_OWN_VOTE_H
#define KLAMM_CLUSTER_QUORUM_OWN_VOTE_H

#include "base/arena.h"
#include "connection/channel.h"
#include "protocol/messages/voters_record.h"

struct metadata_log;

enum own_vote_wish {
    OWN_VOTE_NONE,
    OWN_VOTE_REPORT, /* a voter of the settings: once for each leader */
    OWN_VOTE_UPDATE,
    OWN_VOTE_LEAVE,
    OWN_VOTE_JOIN
};

struct own_vote {
    enum own_vote_wish wish;        /* by the newest voters */
    enum own_vote_wish asked;       /* what is under way, or was last */
    int32_t asked_epoch;            /* of the leader that was asked */
    int32_t reported_epoch;         /* REPORT: whose leader knows; -1: none */
    struct uuid old_directory_id;   /* LEAVE */
    struct channel_request request; /* channel NULL: nothing is under way */
    struct arena arena;
    bool is_asking;
    int16_t refused; /* the last answer's error; said once */
    struct timer pause;
};

void own_vote_init(struct metadata_log *log);
void own_vote_deinit(struct metadata_log *log);
/* The log names other voters. */
void own_vote_look(struct metadata_log *log);
/* Asks the leader, when that has a sense now. */
void own_vote_run(struct metadata_log *log);
/* Puts this node's address into a record; false: it is there already, or this node is no voter. */
bool own_vote_correct(const struct metadata_log *log, struct voters_record *record,
                      struct arena *arena);

#endif
