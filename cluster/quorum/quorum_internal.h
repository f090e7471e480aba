/* The parts of the quorum's step function, for quorum*.c. */
#ifndef KLAMM_CLUSTER_QUORUM_QUORUM_INTERNAL_H
#define KLAMM_CLUSTER_QUORUM_QUORUM_INTERNAL_H

#include "cluster/quorum/quorum.h"
#include "runtime/test_point.h"

static inline bool quorum_test_point(const struct quorum *quorum, enum test_point point)
{
    return test_point_in(quorum->options.test_points, point);
}

/* Ids equal, and directories too where both are known. */
bool quorum_same_node(struct quorum_node a, struct quorum_node b);
struct quorum_voter *quorum_voter_of(struct quorum *quorum, struct quorum_node node);
struct quorum_voter *quorum_voter_by_id(struct quorum *quorum, int32_t id);
uint32_t quorum_majority(const struct quorum *quorum);
/* Whether there is a voter besides this node. */
bool quorum_has_others(const struct quorum *quorum);
/*
 * Whether this node may ask for votes: a voter, or one that was removed by a record of which it
 * does not know that it is committed. That one may be the only node that has the record: then
 * nobody else is elected by it, and it has to lead once more to make the record known.
 */
bool quorum_may_campaign(const struct quorum *quorum);

/* Moves between the roles; each asserts that it may be made from where the node is. */
void quorum_become_unattached(struct quorum *quorum, int32_t epoch, struct quorum_effects *effects);
void quorum_become_prospective(struct quorum *quorum, struct quorum_effects *effects);
void quorum_become_candidate(struct quorum *quorum, struct quorum_effects *effects);
void quorum_become_leader(struct quorum *quorum, struct quorum_effects *effects);
void quorum_become_follower(struct quorum *quorum, int32_t epoch, int32_t leader_id,
                            struct quorum_effects *effects);
void quorum_become_resigned(struct quorum *quorum, struct quorum_effects *effects);
/* A new epoch or a leader was heard of; leader -1: not known. False: invariant 3 is broken. */
bool quorum_hear(struct quorum *quorum, int32_t epoch, int32_t leader_id,
                 struct quorum_effects *effects);
void quorum_draw_election_timeout(struct quorum *quorum);
void quorum_persist(struct quorum *quorum, struct quorum_effects *effects);

/* quorum_vote.c */
void quorum_vote_asked(struct quorum *quorum, const struct quorum_message *message,
                       struct quorum_answer *answer, struct quorum_effects *effects);
void quorum_vote_answered(struct quorum *quorum, const struct quorum_answer *answer,
                          struct quorum_effects *effects);
void quorum_vote_count(struct quorum *quorum, struct quorum_effects *effects);

/* quorum_leader.c */
void quorum_leader_advance(struct quorum *quorum, struct quorum_effects *effects);
void quorum_leader_fetched(struct quorum *quorum, struct quorum_node node, int64_t offset,
                           struct quorum_effects *effects);
/* The set has changed. */
void quorum_leader_voters(struct quorum *quorum, struct quorum_effects *effects);
void quorum_leader_time(struct quorum *quorum, struct quorum_effects *effects);
uint64_t quorum_leader_deadline_ns(const struct quorum *quorum);
/* How long a follower waits after EndQuorumEpoch. */
uint64_t quorum_end_backoff_ns(const struct quorum *quorum, const struct quorum_message *message);

#endif
