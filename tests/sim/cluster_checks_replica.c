/* R1 to R6: what the replicas of partitions hold and say. */
#include <stdio.h>

#include "log/leader_epochs.h"
#include "replication/replica_internal.h"
#include "tests/sim/cluster_checks_internal.h"

static const char *name_of(const struct seen_partition *seen)
{
    return seen->log.directory;
}

bool checks_is_as_written(const struct cluster_checks *checks, const struct replica *replica)
{
    return checks->cluster->never_cleans || !image_topic_name_is_internal(replica->topic);
}

static bool is_clients_topic(const struct seen_partition *seen)
{
    char prefix[64];
    int size = snprintf(prefix, sizeof(prefix), "/data/%s-", cluster_topic);
    return strncmp(seen->log.directory, prefix, (size_t)size) == 0;
}

/* R3, by the set that the controller may go by, as far as the leader knows. */
static void check_held_in_sync(struct cluster_checks *checks, struct seen_partition *seen,
                               unsigned node, const struct replica *replica, int64_t watermark)
{
    const struct in_sync *set = replica->leadership ? &replica->leadership->in_sync : NULL;
    for (uint32_t i = 0; set && i < set->count; i++) {
        const struct remote_replica *remote = &set->remotes[i];
        if (!remote->is_in_sync && !remote->is_changing)
            continue;
        struct seen_replica *member = &seen->replicas[remote->id];
        if (!checks_is_known(checks, seen, (unsigned)remote->id))
            continue;
        sim_require(checks->sim, member->durable_end >= watermark,
                    "%s: node %u shows up to %lld, and %d, which is in sync, has %lld",
                    name_of(seen), node, (long long)watermark, remote->id,
                    (long long)member->durable_end);
        sim_require(checks->sim,
                    committed_log_agree(&seen->log, (unsigned)remote->id, &member->copy, watermark),
                    "%s: node %u shows up to %lld, and %d, which is in sync, has something else",
                    name_of(seen), node, (long long)watermark, remote->id);
    }
    int holders = checks_holders(checks, seen, watermark);
    int wanted = checks_holders_wanted(checks, seen);
    sim_require(checks->sim, holders >= wanted || !is_clients_topic(seen),
                "%s: node %u shows up to %lld, which %d nodes have, wanted are %d", name_of(seen),
                node, (long long)watermark, holders, wanted);
}

/* M8: whom the leader proposes for the in-sync set, and in which of its lives it knew them. */
static void note_proposal(struct seen_partition *seen, unsigned leader_life,
                          const struct replica *replica)
{
    const struct in_sync *set = replica->leadership ? &replica->leadership->in_sync : NULL;
    for (uint32_t i = 0; set && set->state == IN_SYNC_EXPANDING && i < set->count; i++) {
        const struct remote_replica *remote = &set->remotes[i];
        struct seen_replica *member = &seen->replicas[remote->id];
        if (!remote->is_changing ||
            (member->proposed_leader_epoch == replica->leader_epoch &&
             member->proposed_life == leader_life && member->proposal == set->proposal))
            continue;
        member->proposed_broker_epoch = remote->broker_epoch;
        member->proposed_leader_epoch = replica->leader_epoch;
        member->proposed_life = leader_life;
        member->proposal = set->proposal;
    }
}

static void note_history_cut(struct cluster_checks *checks, const struct seen_partition *seen,
                             const struct replica *replica, int64_t offset)
{
    struct history_cut cut = {.epoch = seen->unclean_epoch, .offset = offset};
    const struct leader_epochs *epochs = partition_log_leader_epochs(replica->log);
    for (uint32_t i = 0; i < epochs->count; i++) {
        int64_t end = i + 1 < epochs->count ? epochs->entries[i + 1].start_offset
                                            : partition_log_end_offset(replica->log);
        if (end <= offset)
            continue;
        sim_require(checks->sim, cut.kept_count < HISTORY_EPOCHS_MAX, "%s: too many epochs",
                    name_of(seen));
        cut.kept[cut.kept_count].epoch = epochs->entries[i].epoch;
        cut.kept[cut.kept_count++].end = end;
    }
    history_cut(checks->history, seen->partition, &cut);
}

/*
 * R7: an unclean leader begins. What it has is what is left; every copy is compared anew with that.
 * What was said in earlier epochs counts no more, whoever still leads in one.
 */
static void cut(struct cluster_checks *checks, struct seen_partition *seen, unsigned node,
                const struct replica *replica)
{
    int64_t committed = committed_log_end(&seen->log);
    /* What is not on its disk it does not show yet, and may still lose. */
    int64_t kept = committed_log_kept(&seen->log, node, seen->replicas[node].durable_end);
    if (kept > committed)
        kept = committed;
    committed_log_cut(&seen->log, kept);
    for (unsigned i = 0; i < CLUSTER_NODES_MAX; i++) {
        committed_copy_init(&seen->replicas[i].copy);
        seen->replicas[i].shown = seen->replicas[i].compared_end = -1;
        seen->replicas[i].is_stale = i != node;
    }
    note_history_cut(checks, seen, replica, kept);
    seen->is_cut_due = false;
    checks->unclean++;
    checks->lost += (uint64_t)(committed - kept);
}

static void check_leader(struct cluster_checks *checks, struct seen_partition *seen, unsigned node,
                         const struct replica *replica, int64_t watermark)
{
    struct seen_replica *own = &seen->replicas[node];
    struct sim *sim = checks->sim;
    if (own->led_epoch != replica->leader_epoch) {
        unsigned first = epoch_table_set(checks, &seen->leaders, replica->leader_epoch, node);
        sim_require(sim, first == node, "%s: nodes %u and %u lead in epoch %d", name_of(seen),
                    first, node, replica->leader_epoch);
        own->led_epoch = replica->leader_epoch;
        own->watermark = 0;
        checks->leaders++;
        /* Who hears late that it was elected, and is no more, lacks what its successors wrote. */
        if (seen->is_cut_due && replica->leader_epoch >= seen->unclean_epoch)
            cut(checks, seen, node, replica);
        else if (replica->leader_epoch >= seen->leader_epoch)
            committed_log_require_whole(&seen->log, node, partition_log_written_end(replica->log),
                                        partition_log_end_offset(replica->log), "is elected");
    }
    sim_require(sim, watermark >= own->watermark,
                "%s: the watermark of node %u falls from %lld to %lld in epoch %d", name_of(seen),
                node, (long long)own->watermark, (long long)watermark, replica->leader_epoch);
    own->watermark = watermark;
    note_proposal(seen, own->life, replica);
}

/* Looks how much of what the node has written is what was committed. */
static void follow_committed(struct seen_partition *seen, unsigned node, int64_t end)
{
    struct seen_replica *own = &seen->replicas[node];
    int64_t committed = committed_log_end(&seen->log);
    if (own->compared_end == end && own->compared_committed == committed)
        return;
    own->compared_end = end;
    own->compared_committed = committed;
    committed_log_agree(&seen->log, node, &own->copy, end);
}

/*
 * Behind an unclean election a follower shows what it had before, until it has cut that. What it
 * never cuts is found by its leader's watermark, or at the end.
 */
static bool is_stale(const struct seen_partition *seen, struct seen_replica *own,
                     const struct replica *replica)
{
    int64_t committed = committed_log_end(&seen->log);
    int64_t end = partition_log_written_end(replica->log);
    int64_t limit = end < committed ? end : committed;
    bool agrees = (limit == 0 || own->copy.checked >= limit) &&
                  partition_log_high_watermark(replica->log) <= committed;
    if (replica->state == REPLICA_LEADING || agrees)
        own->is_stale = false;
    return own->is_stale;
}

/*
 * R6. Who is behind with the metadata may meet a leader that was one for a moment, and take its
 * log over, after a later leader has committed what that one lacked. Nobody counts on what it has:
 * it is neither in sync nor eligible; and it has not shown it.
 */
static void check_cut(struct cluster_checks *checks, struct seen_partition *seen, unsigned node,
                      int64_t end)
{
    struct seen_replica *own = &seen->replicas[node];
    if (end >= own->copy.checked)
        return;
    bool is_counted_on = (seen->in_sync | seen->eligible) >> node & 1;
    sim_require(checks->sim, !is_counted_on && end >= own->shown,
                "%s: node %u cuts at %lld below %lld, and it was what is committed", name_of(seen),
                node, (long long)end, (long long)own->copy.checked);
    committed_copy_init(&own->copy);
    own->compared_end = -1;
}

static void check_replica(struct cluster_checks *checks, unsigned node,
                          const struct replica *replica)
{
    if (!replica->log || (replica->state != REPLICA_LEADING && replica->state != REPLICA_FOLLOWING))
        return;
    struct seen_partition *seen =
        checks_partition(checks, replica->topic_id, replica->topic, replica->partition);
    struct seen_replica *own = &seen->replicas[node];
    unsigned life = checks->cluster->nodes[node].broker.starts;
    /* A replica that was away has a new log, though its partition is the same. */
    bool was_there = own->life == life && own->look + 1 == checks->looks[node];
    own->look = checks->looks[node];
    if (!was_there) {
        own->life = life;
        own->led_epoch = -1;
        own->shown = own->compared_end = -1;
        committed_copy_init(&own->copy);
    }
    int64_t watermark = partition_log_high_watermark(replica->log);
    int64_t end = partition_log_end_offset(replica->log);
    own->durable_end = checks->cluster->is_cached ? partition_log_written_end(replica->log)
                                                  : partition_log_durable_end(replica->log);
    if (own->durable_end > own->highest_end)
        own->highest_end = own->durable_end;
    check_cut(checks, seen, node, end);
    follow_committed(seen, node, partition_log_written_end(replica->log));
    if (replica->state == REPLICA_LEADING)
        check_leader(checks, seen, node, replica, watermark);
    if (watermark <= own->shown || replica->leader_epoch < seen->unclean_epoch ||
        is_stale(seen, own, replica))
        return;
    own->shown = watermark;
    committed_log_expose(&seen->log, node, &own->copy, watermark);
    if (replica->state == REPLICA_LEADING)
        check_held_in_sync(checks, seen, node, replica, watermark);
}

void checks_replicas(struct cluster_checks *checks, unsigned node,
                     const struct sim_broker_process *process)
{
    checks->looks[node]++;
    for (unsigned i = 1; i <= SIM_BROKER_SHARDS; i++) {
        const struct shard *shard = &process->shards[i];
        if (!shard->loop || !shard->image)
            continue;
        sim_require(checks->sim, shard->fetchers.counters.refused == 0,
                    "node %u fetched records that do not fit behind its own", node);
        list_for_each(place, &shard->replicas.replicas)
        {
            const struct replica *replica = container_of(place, struct replica, link);
            if (checks_is_as_written(checks, replica))
                check_replica(checks, node, replica);
        }
    }
}

bool checks_is_known(const struct cluster_checks *checks, const struct seen_partition *seen,
                     unsigned node)
{
    const struct cluster_node *of = &checks->cluster->nodes[node];
    return seen->replicas[node].life == of->broker.starts && !of->is_lost;
}

int checks_holders(const struct cluster_checks *checks, const struct seen_partition *seen,
                   int64_t end)
{
    int holders = 0;
    for (unsigned i = 0; i < checks->cluster->count; i++) {
        const struct seen_replica *replica = &seen->replicas[i];
        /* What is asked about may be from before a loss. */
        int64_t held =
            checks->cluster->nodes[i].losses > 0 ? replica->highest_end : replica->durable_end;
        holders += held >= end || !sim_is_running(checks->sim, i);
    }
    return holders;
}

int checks_holders_wanted(const struct cluster_checks *checks, const struct seen_partition *seen)
{
    return seen->replicas_min < checks->min_isr ? seen->replicas_min : checks->min_isr;
}

/* NULL: nobody has seen it. */
static const struct seen_partition *find_seen(const struct cluster_checks *checks,
                                              const char *topic, int32_t number)
{
    char name[64];
    snprintf(name, sizeof(name), "/data/%s-%d", topic, number);
    for (size_t i = 0; i < checks->partition_count; i++)
        if (strcmp(checks->partitions[i]->log.directory, name) == 0)
            return checks->partitions[i];
    return NULL;
}

int32_t cluster_checks_leads(void *context, int32_t node, int32_t number)
{
    const struct cluster_checks *checks = context;
    const struct seen_partition *seen = find_seen(checks, cluster_topic, number);
    bool is_known = seen && seen->replicas[node].life == checks->cluster->nodes[node].broker.starts;
    return is_known ? seen->replicas[node].led_epoch : -1;
}

struct cluster_standing cluster_checks_standing(void *context, int32_t node, const char *topic,
                                                int32_t number)
{
    const struct cluster_checks *checks = context;
    const struct seen_partition *seen = find_seen(checks, topic, number);
    const struct sim_broker_process *process = checks_process(checks, (unsigned)node);
    const struct replica *replica =
        seen && process ? checks_find_replica(process, seen->topic_id, number) : NULL;
    struct cluster_standing standing = {CLUSTER_DEPOSED, replica ? replica->leader_epoch : -1};
    if (replica && replica->state == REPLICA_LEADING)
        standing.state =
            replica->leader_epoch == seen->leader_epoch ? CLUSTER_LEADS : CLUSTER_BELIEVES;
    return standing;
}

void cluster_checks_acknowledged(void *context, int32_t number, int64_t last_offset)
{
    struct cluster_checks *checks = context;
    const struct seen_partition *seen = find_seen(checks, cluster_topic, number);
    sim_require(checks->sim, seen != NULL, "an acknowledgement of an unknown partition");
    int holders = checks_holders(checks, seen, last_offset + 1);
    int wanted = checks_holders_wanted(checks, seen);
    sim_require(checks->sim, holders >= wanted,
                "%s: %lld is acknowledged and durable on %d nodes, wanted are %d", name_of(seen),
                (long long)last_offset, holders, wanted);
}
