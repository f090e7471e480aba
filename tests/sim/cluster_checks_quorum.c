/* M1 to M4: who leads and votes in the quorum, and what its log says. */
#include "tests/sim/cluster_checks_internal.h"

static void check_vote(struct cluster_checks *checks, struct seen_quorum *seen, unsigned node,
                       const struct quorum *quorum)
{
    int32_t voted = quorum->persisted.voted_id;
    if (quorum->is_persisting || voted == QUORUM_NODE_NONE)
        return;
    unsigned first =
        epoch_table_set(checks, &seen->votes, quorum->persisted.leader_epoch, (unsigned)voted);
    sim_require(checks->sim, first == (unsigned)voted, "node %u voted for %u and %d in epoch %d",
                node, first, voted, quorum->persisted.leader_epoch);
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
    seen->led_epoch = quorum->epoch;
    checks->elections++;
    committed_log_require_whole(&checks->metadata, node, partition_log_written_end(log->log),
                                partition_log_end_offset(log->log), "leads the quorum");
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
        seen->led_epoch = -1;
        committed_copy_init(&seen->copy);
    }
    if (!quorum->is_persisting) {
        sim_require(checks->sim, quorum->epoch >= seen->epoch,
                    "node %u falls from quorum epoch %d to %d", node, seen->epoch, quorum->epoch);
        seen->epoch = quorum->epoch;
    }
    check_vote(checks, seen, node, quorum);
    check_leader(checks, seen, node, log);
    sim_require(checks->sim, partition_log_end_offset(log->log) >= seen->copy.checked,
                "node %u cuts the metadata log at %lld below %lld, which is committed", node,
                (long long)partition_log_end_offset(log->log), (long long)seen->copy.checked);
    committed_log_expose(&checks->metadata, node, &seen->copy, quorum->high_watermark);
}
