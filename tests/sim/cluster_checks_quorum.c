/* M1 to M4 and M7: who leads and votes in the quorum, and what its log says. */
#include <stdio.h>

#include "tests/sim/cluster_checks_internal.h"

static void check_vote(struct cluster_checks *checks, struct seen_quorum *seen, unsigned node,
                       const struct quorum *quorum)
{
    /* A vote counts when it may have been answered: not while it is being written down. */
    int32_t voted = quorum->voted.id;
    if (quorum->is_persisting || voted == QUORUM_NODE_NONE)
        return;
    unsigned first =
        epoch_table_set(checks, &seen->directory.votes, quorum->epoch, (unsigned)voted);
    sim_require(checks->sim, first == (unsigned)voted, "node %u voted for %u and %d in epoch %d",
                node, first, voted, quorum->epoch);
    if (seen->voted_epoch == quorum->epoch)
        return;
    seen->voted_epoch = quorum->epoch;
    uint64_t size = 0;
    const uint8_t *file = sim_platter_file(
        checks->sim, node, "/data/" QUORUM_DIRECTORY_NAME "/" QUORUM_STATE_FILE_NAME, &size);
    struct quorum_state state;
    sim_require(checks->sim,
                file && quorum_state_decode(view_of(file, size), &state) &&
                    state.leader_epoch == quorum->epoch && state.voted_id == voted,
                "node %u voted for %d in epoch %d, and its disk does not say so", node, voted,
                quorum->epoch);
}

/*
 * M7: the disk that a voter of a set is. A voter of the settings is whatever its node has. NULL:
 * nobody has seen that disk.
 */
static const struct seen_directory *directory_of(const struct cluster_checks *checks,
                                                 struct quorum_node voter)
{
    const struct seen_quorum *seen = &checks->quorums[voter.id];
    if (uuid_is_zero(voter.directory_id) || uuid_equal(voter.directory_id, seen->directory.id))
        return &seen->directory;
    for (unsigned i = 0; i < seen->lost_count; i++)
        if (uuid_equal(voter.directory_id, seen->lost[i].id))
            return &seen->lost[i];
    return NULL;
}

/* M7: whoever is counted as a vote for the new leader voted so with the disk that is the voter. */
static void check_electors(const struct cluster_checks *checks, unsigned node,
                           const struct quorum *quorum)
{
    for (uint32_t i = 0; i < quorum->voter_count; i++) {
        const struct quorum_voter *voter = &quorum->voters[i];
        if (voter->vote != QUORUM_VOTE_GRANTED || voter->node.id == (int32_t)node)
            continue;
        const struct seen_directory *elector = directory_of(checks, voter->node);
        size_t place = (size_t)quorum->epoch;
        bool has_voted = elector && place < elector->votes.capacity &&
                         elector->votes.nodes[place] == (int32_t)node + 1;
        sim_require(checks->sim, has_voted,
                    "node %u leads in epoch %d by a vote of %d, whose disk never voted so", node,
                    quorum->epoch, voter->node.id);
    }
}

static uint32_t missing_from(const struct voter_set *set, const struct voter_set *other)
{
    uint32_t missing = set->count;
    for (uint32_t i = 0; i < set->count; i++)
        for (uint32_t k = 0; k < other->count; k++)
            missing -= set->nodes[i].id == other->nodes[k].id &&
                       uuid_equal(set->nodes[i].directory_id, other->nodes[k].directory_id);
    return missing;
}

/* M7: each set of voters differs from the one before it by one voter at most. */
static void check_voters(const struct cluster_checks *checks, struct seen_quorum *seen,
                         unsigned node, const struct metadata_log *log)
{
    const struct voter_set *last = voter_history_last(&log->voters), *before = NULL;
    if (last->offset == seen->voters_checked)
        return;
    seen->voters_checked = last->offset;
    list_for_each(place, &log->voters.sets)
    {
        const struct voter_set *set = container_of(place, struct voter_set, link);
        uint32_t changed = before ? missing_from(set, before) + missing_from(before, set) : 0;
        sim_require(checks->sim, !before || before->count == 0 || changed <= 1,
                    "node %u: %u voters change at once at %lld", node, changed,
                    (long long)set->offset);
        before = set;
    }
}

/* How many of the voters have everything below `end` on their disks; `set` NULL: of the present
 * ones. */
static uint32_t count_holders(const struct cluster_checks *checks, const struct quorum *quorum,
                              const struct voter_set *set, int64_t end, uint32_t *voters)
{
    uint32_t holders = 0;
    *voters = set ? set->count : quorum->voter_count;
    for (uint32_t i = 0; i < *voters; i++) {
        const struct seen_directory *holder =
            directory_of(checks, set ? set->nodes[i] : quorum->voters[i].node);
        holders += holder && holder->durable_end >= end;
    }
    return holders;
}

/* Whether a majority of one of the sets had it: of the one in force at `end`, or of a later one. */
static bool is_held_by_earlier(const struct cluster_checks *checks, const struct metadata_log *log,
                               int64_t end)
{
    const struct voter_set *first = voter_history_at(&log->voters, end);
    list_for_each(place, &log->voters.sets)
    {
        const struct voter_set *set = container_of(place, struct voter_set, link);
        uint32_t voters;
        if (set->offset >= first->offset &&
            count_holders(checks, &log->quorum, set, end, &voters) > voters / 2)
            return true;
    }
    return false;
}

/*
 * Everything below a leader's watermark is on the disks of a majority, and so is a record of its
 * own epoch: what is only from earlier epochs can still be overwritten (Raft's figure 8). Where the
 * watermark is below the record of the present voters, it may have moved before that was appended,
 * under the set before or, when it is one that was heard of as a follower, one before that.
 */
static void check_held(struct cluster_checks *checks, struct seen_quorum *seen, unsigned node,
                       const struct metadata_log *log)
{
    const struct quorum *quorum = &log->quorum;
    int64_t end = quorum->high_watermark;
    if (quorum->role != QUORUM_LEADER || end <= seen->watermark)
        return;
    seen->watermark = end;
    sim_require(checks->sim,
                seen->led_epoch != quorum->epoch || end <= seen->led_from ||
                    end > quorum->epoch_start_offset,
                "node %u calls [.., %lld) committed in epoch %d, which began at %lld", node,
                (long long)end, quorum->epoch, (long long)quorum->epoch_start_offset);
    uint32_t voters;
    uint32_t holders = count_holders(checks, quorum, NULL, end, &voters);
    bool is_earlier = quorum->voters_offset >= end && is_held_by_earlier(checks, log, end);
    sim_require(checks->sim, holders > voters / 2 || is_earlier,
                "node %u calls [.., %lld) committed, which %u of %u voters have on their disks",
                node, (long long)end, holders, voters);
}

static void check_leader(struct cluster_checks *checks, struct seen_quorum *seen, unsigned node,
                         const struct metadata_log *log)
{
    const struct quorum *quorum = &log->quorum;
    if (quorum->role != QUORUM_LEADER || quorum->is_persisting || seen->led_epoch == quorum->epoch)
        return;
    unsigned first = epoch_table_set(checks, &checks->quorum_leaders, quorum->epoch, node);
    sim_require(checks->sim, first == node, "nodes %u and %u lead the quorum in epoch %d", first,
                node, quorum->epoch);
    check_electors(checks, node, quorum);
    seen->led_epoch = quorum->epoch;
    seen->led_from = quorum->high_watermark;
    checks->elections++;
    committed_log_require_whole(&checks->metadata, node, partition_log_written_end(log->log),
                                partition_log_end_offset(log->log), "leads the quorum");
}

/* The node begins anew on an empty disk; what the old one promised stays promised. */
static void change_directory(struct cluster_checks *checks, struct seen_quorum *seen, unsigned node)
{
    struct uuid id = checks->cluster->directory_ids[node];
    if (uuid_equal(seen->directory.id, id))
        return;
    if (seen->lost_count < CLUSTER_LOSSES_MAX && !uuid_is_zero(seen->directory.id))
        seen->lost[seen->lost_count++] = seen->directory;
    else /* of a broker only, which is no voter: there is no limit to its losses */
        epoch_table_free(checks, &seen->directory.votes);
    seen->epoch = 0;
    seen->directory = (struct seen_directory){.id = id};
}

void checks_quorum(struct cluster_checks *checks, unsigned node,
                   const struct sim_broker_process *process)
{
    const struct controller *controller = &process->control.controller;
    const struct metadata_log *log = &controller->log;
    const struct quorum *quorum = &log->quorum;
    struct seen_quorum *seen = &checks->quorums[node];
    if (!process->control.has_controller || !quorum->is_started || !log->log)
        return;
    if (seen->life != checks->cluster->nodes[node].broker.starts) {
        seen->life = checks->cluster->nodes[node].broker.starts;
        seen->led_epoch = seen->voted_epoch = -1;
        seen->watermark = 0;
        seen->voters_checked = -2;
        committed_copy_init(&seen->copy);
        change_directory(checks, seen, node);
    }
    if (!quorum->is_persisting) {
        sim_require(checks->sim, quorum->epoch >= seen->epoch,
                    "node %u falls from quorum epoch %d to %d", node, seen->epoch, quorum->epoch);
        seen->epoch = quorum->epoch;
    }
    seen->directory.durable_end = partition_log_durable_end(log->log);
    check_vote(checks, seen, node, quorum);
    check_leader(checks, seen, node, log);
    check_voters(checks, seen, node, log);
    check_held(checks, seen, node, log);
    sim_require(checks->sim, partition_log_end_offset(log->log) >= seen->copy.checked,
                "node %u cuts the metadata log at %lld below %lld, which is committed", node,
                (long long)partition_log_end_offset(log->log), (long long)seen->copy.checked);
    committed_log_agree(&checks->metadata, node, &seen->copy, seen->directory.durable_end);
    /* A follower knows of what is committed before its disk has it, or refuses it. */
    int64_t written_end = partition_log_written_end(log->log);
    bool is_behind = quorum->role != QUORUM_LEADER && written_end < quorum->high_watermark;
    committed_log_expose(&checks->metadata, node, &seen->copy,
                         is_behind ? written_end : quorum->high_watermark);
}

/* ---- Coming to rest ---- */

static const struct metadata_log *log_of(const struct cluster_checks *checks, unsigned node)
{
    const struct sim_broker_process *process = checks_process(checks, node);
    return process && process->control.has_controller ? &process->control.controller.log : NULL;
}

static bool is_settled(const struct cluster_checks *checks, char *text, size_t capacity)
{
    int32_t leader = -1, epoch = -1;
    int64_t low = INT64_MAX, high = 0;
    for (unsigned i = 0; i < checks->cluster->count; i++) {
        const struct metadata_log *log = log_of(checks, i);
        const struct quorum *quorum = log ? &log->quorum : NULL;
        if (!quorum || quorum->leader_id < 0 || (i > 0 && quorum->leader_id != leader) ||
            (i > 0 && quorum->epoch != epoch)) {
            snprintf(text, capacity, "node %u follows %d in epoch %d, the first one %d in %d", i,
                     quorum ? quorum->leader_id : -1, quorum ? quorum->epoch : -1, leader, epoch);
            return false;
        }
        leader = quorum->leader_id;
        epoch = quorum->epoch;
        if (quorum->high_watermark < low)
            low = quorum->high_watermark;
        if (quorum->high_watermark > high)
            high = quorum->high_watermark;
    }
    bool is_active = log_of(checks, (unsigned)leader)->quorum.is_active;
    if (!is_active || low + 100 < high) {
        snprintf(text, capacity, "node %d leads (%s), watermarks are between %lld and %lld", leader,
                 is_active ? "active" : "not active", (long long)low, (long long)high);
        return false;
    }
    return true;
}

bool cluster_checks_is_quorum_settled(void *context)
{
    char text[256];
    return is_settled(context, text, sizeof(text));
}

void cluster_checks_require_quorum_settled(const struct cluster_checks *checks)
{
    char text[256] = "";
    bool settled = is_settled(checks, text, sizeof(text));
    sim_require(checks->sim, settled, "the quorum does not come to rest: %s", text);
}
