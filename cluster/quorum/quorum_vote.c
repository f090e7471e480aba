/*
 * Votes and pre-votes, both sides (KIP-595, KIP-996).
 *
 * A pre-vote asks in the present epoch whether the asker could win, and leaves no trace. A vote is
 * for the asker's epoch and is on disk before it is answered. Both go to whose log is at least as
 * long as ours: last epoch first, then the end.
 */
#include "base/assert.h"
#include "cluster/quorum/quorum_internal.h"

static bool is_up_to_date(const struct quorum *quorum, const struct quorum_message *message)
{
    if (quorum_test_point(quorum, BUG_QUORUM_SHORT_LOG_WINS))
        return true;
    if (message->last_epoch != quorum->last_epoch)
        return message->last_epoch > quorum->last_epoch;
    return message->last_offset >= quorum->log_end;
}

static bool grants_pre_vote(const struct quorum *quorum, const struct quorum_message *message)
{
    switch (quorum->role) {
    case QUORUM_LEADER:
        return false;
    case QUORUM_FOLLOWER:
        /* Whoever hears the leader sees no need for another. */
        return !quorum->has_fetched && is_up_to_date(quorum, message);
    case QUORUM_UNATTACHED:
    case QUORUM_PROSPECTIVE:
    case QUORUM_CANDIDATE:
    case QUORUM_RESIGNED:
        break;
    }
    return is_up_to_date(quorum, message);
}

static bool grants_vote(const struct quorum *quorum, const struct quorum_message *message)
{
    if (quorum->role != QUORUM_UNATTACHED && quorum->role != QUORUM_PROSPECTIVE)
        return false;
    if (quorum->voted.id != QUORUM_NODE_NONE && !quorum_test_point(quorum, BUG_QUORUM_DOUBLE_VOTE))
        return quorum_same_node(quorum->voted, message->from);
    return quorum->leader_id == QUORUM_NODE_NONE && is_up_to_date(quorum, message);
}

static bool is_malformed(const struct quorum_message *message)
{
    if (message->from.id < 0 || message->last_epoch < 0 || message->last_offset < 0)
        return true;
    return message->is_pre_vote ? message->last_epoch > message->epoch
                                : message->last_epoch >= message->epoch;
}

void quorum_vote_asked(struct quorum *quorum, const struct quorum_message *message,
                       struct quorum_answer *answer, struct quorum_effects *effects)
{
    if (is_malformed(message)) {
        answer->error = KAFKA_ERROR_INVALID_REQUEST;
    } else if (message->to.id != QUORUM_NODE_NONE &&
               !quorum_same_node(message->to, quorum->options.self)) {
        answer->error = KAFKA_ERROR_INVALID_VOTER_KEY;
    } else if (message->is_pre_vote) {
        answer->is_granted = grants_pre_vote(quorum, message);
    } else if (grants_vote(quorum, message)) {
        answer->is_granted = true;
        if (quorum->role == QUORUM_PROSPECTIVE)
            quorum->role = QUORUM_UNATTACHED;
        quorum_draw_election_timeout(quorum);
        if (quorum->voted.id != message->from.id) {
            quorum->voted = message->from;
            if (!quorum_test_point(quorum, BUG_QUORUM_FORGET_VOTE))
                quorum_persist(quorum, effects);
        }
    }
}

void quorum_vote_count(struct quorum *quorum, struct quorum_effects *effects)
{
    uint32_t granted = 0, refused = 0;
    for (uint32_t i = 0; i < quorum->voter_count; i++) {
        granted += quorum->voters[i].vote == QUORUM_VOTE_GRANTED;
        refused += quorum->voters[i].vote == QUORUM_VOTE_REFUSED;
    }
    bool is_prospective = quorum->role == QUORUM_PROSPECTIVE;
    if (granted >= quorum_majority(quorum)) {
        if (is_prospective)
            quorum_become_candidate(quorum, effects);
        else
            quorum_become_leader(quorum, effects);
        return;
    }
    bool is_lost = refused + quorum_majority(quorum) > quorum->voter_count;
    if (!is_lost || !is_prospective)
        return; /* a candidate that lost waits for its time to be over */
    if (quorum->leader_id != QUORUM_NODE_NONE)
        quorum_become_follower(quorum, quorum->epoch, quorum->leader_id, effects);
    else
        quorum->role = QUORUM_UNATTACHED; /* with what is left of its timeout */
}

void quorum_vote_answered(struct quorum *quorum, const struct quorum_answer *answer,
                          struct quorum_effects *effects)
{
    bool is_prospective = quorum->role == QUORUM_PROSPECTIVE;
    bool is_awaited = answer->asked_epoch == quorum->epoch &&
                      (answer->is_pre_vote ? is_prospective : quorum->role == QUORUM_CANDIDATE);
    struct quorum_voter *voter = quorum_voter_by_id(quorum, answer->from);
    if (!is_awaited || !voter)
        return;
    if (answer->error == KAFKA_ERROR_UNSUPPORTED_VERSION && is_prospective) {
        /* A peer that knows no pre-votes: do without. */
        quorum_become_candidate(quorum, effects);
        return;
    }
    if (answer->error != KAFKA_ERROR_NONE || voter->vote != QUORUM_VOTE_OPEN)
        return;
    voter->vote = answer->is_granted ? QUORUM_VOTE_GRANTED : QUORUM_VOTE_REFUSED;
    quorum_vote_count(quorum, effects);
}
