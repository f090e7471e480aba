/*
 * The leader: the high watermark from what voters hold, whether a majority is still heard, telling
 * voters about the epoch, and its end.
 */
#include "base/assert.h"
#include "cluster/quorum/quorum_internal.h"

/* The end that a voter holds for sure. */
static int64_t held_end(const struct quorum *quorum, const struct quorum_voter *voter)
{
    if (!quorum_same_node(voter->node, quorum->options.self))
        return voter->fetch_offset;
    return quorum_test_point(quorum, BUG_QUORUM_COUNT_UNFLUSHED) ? quorum->log_end
                                                                 : quorum->flushed_end;
}

/* The largest end that a majority holds: how many hold at least this one? */
static int64_t majority_end(const struct quorum *quorum)
{
    int64_t best = -1;
    for (uint32_t i = 0; i < quorum->voter_count; i++) {
        int64_t end = held_end(quorum, &quorum->voters[i]);
        uint32_t holders = 0;
        for (uint32_t k = 0; k < quorum->voter_count; k++)
            holders += held_end(quorum, &quorum->voters[k]) >= end;
        if (holders >= quorum_majority(quorum) && end > best)
            best = end;
    }
    return best;
}

void quorum_leader_advance(struct quorum *quorum, struct quorum_effects *effects)
{
    if (quorum->role != QUORUM_LEADER || quorum->is_persisting)
        return;
    int64_t end = majority_end(quorum);
    bool is_own =
        end > quorum->epoch_start_offset || quorum_test_point(quorum, BUG_QUORUM_COMMIT_OLD_EPOCH);
    if (!is_own || end <= quorum->high_watermark)
        return;
    klamm_assert(end <= quorum->log_end);
    quorum->high_watermark = end;
    effects->committed = true;
    effects->activated = !quorum->is_active && end > quorum->epoch_start_offset;
    quorum->is_active = quorum->is_active || effects->activated;
    if (!quorum_is_voter(quorum) && quorum->high_watermark > quorum->voters_offset) {
        effects->activated = false;
        quorum_become_resigned(quorum, effects);
    }
}

bool quorum_may_change_voters(const struct quorum *quorum)
{
    return quorum->is_active && !quorum->is_persisting &&
           quorum->high_watermark > quorum->voters_offset;
}

void quorum_leader_voters(struct quorum *quorum, struct quorum_effects *effects)
{
    if (quorum->role != QUORUM_LEADER)
        return;
    quorum->begin_due_ns = quorum_has_others(quorum)
                               ? quorum->now_ns + quorum->options.fetch_timeout_ns / 2
                               : UINT64_MAX;
    effects->send = QUORUM_MESSAGE_BEGIN_EPOCH;
    quorum_leader_advance(quorum, effects);
}

void quorum_leader_fetched(struct quorum *quorum, struct quorum_node node, int64_t offset,
                           struct quorum_effects *effects)
{
    struct quorum_voter *voter = quorum_voter_of(quorum, node);
    if (quorum->role != QUORUM_LEADER || !voter)
        return;
    voter->heard_ns = quorum->now_ns;
    voter->is_told = true;
    if (offset > voter->fetch_offset)
        voter->fetch_offset = offset;
    quorum_leader_advance(quorum, effects);
}

/* One and a half fetch timeouts without a majority: others may have elected somebody. */
static uint64_t patience_ns(const struct quorum *quorum)
{
    return quorum->options.fetch_timeout_ns + quorum->options.fetch_timeout_ns / 2;
}

/* When the majority would be lost if nobody were heard any more. */
static uint64_t majority_lost_ns(const struct quorum *quorum)
{
    uint64_t latest = 0;
    for (uint32_t i = 0; i < quorum->voter_count; i++) {
        const struct quorum_voter *one = &quorum->voters[i];
        bool is_self = quorum_same_node(one->node, quorum->options.self);
        uint64_t lost_ns = is_self ? UINT64_MAX : one->heard_ns + patience_ns(quorum);
        uint32_t longer = 0; /* voters that are heard at least as long */
        for (uint32_t k = 0; k < quorum->voter_count; k++) {
            const struct quorum_voter *other = &quorum->voters[k];
            bool other_self = quorum_same_node(other->node, quorum->options.self);
            longer += other_self || (!is_self && other->heard_ns >= one->heard_ns);
        }
        if (longer >= quorum_majority(quorum) && lost_ns > latest)
            latest = lost_ns;
    }
    return latest;
}

uint64_t quorum_leader_deadline_ns(const struct quorum *quorum)
{
    uint64_t lost_ns = majority_lost_ns(quorum);
    return lost_ns < quorum->begin_due_ns ? lost_ns : quorum->begin_due_ns;
}

void quorum_leader_time(struct quorum *quorum, struct quorum_effects *effects)
{
    if (quorum->now_ns >= majority_lost_ns(quorum)) {
        quorum_become_resigned(quorum, effects);
        return;
    }
    if (quorum->now_ns < quorum->begin_due_ns)
        return;
    uint64_t interval_ns = quorum->options.fetch_timeout_ns / 2;
    quorum->begin_due_ns = quorum_has_others(quorum) ? quorum->now_ns + interval_ns : UINT64_MAX;
    for (uint32_t i = 0; i < quorum->voter_count; i++)
        if (quorum->voters[i].heard_ns + interval_ns <= quorum->now_ns)
            quorum->voters[i].is_told = false;
    effects->send = QUORUM_MESSAGE_BEGIN_EPOCH;
}

uint64_t quorum_end_backoff_ns(const struct quorum *quorum, const struct quorum_message *message)
{
    uint64_t most = quorum->options.backoff_max_ns;
    uint32_t count = message->preferred_count;
    for (uint32_t i = 0; i < count; i++) {
        if (!quorum_same_node(message->preferred[i], quorum->options.self))
            continue;
        if (i == 0)
            return 0;
        uint64_t unit = most >> (count - 1);
        uint64_t backoff_ns = unit << (i - 1);
        return backoff_ns < most ? backoff_ns : most;
    }
    return most;
}
