/*
 * Losing what was promised, one node at a time. Whether that may be is read from the image of the
 * controller that decides, after a calm while in which everybody's session was renewed.
 */
#include "replication/replica_internal.h"
#include "tests/sim/cluster_storm.h"

static const uint64_t ms = UINT64_C(1000000);

const struct image *storm_newest_image(const struct cluster *cluster)
{
    for (unsigned i = 0; i < cluster->count; i++) {
        const struct sim_broker_process *process = cluster->nodes[i].broker.process;
        if (sim_is_running(cluster->sim, i) && process && process->control.has_controller &&
            process->control.controller.is_active)
            return process->control.publisher.current;
    }
    return NULL;
}

static int64_t broker_epoch(const struct cluster *cluster, unsigned node)
{
    const struct image *image = storm_newest_image(cluster);
    const struct image_node *broker = image ? image_broker(image, (int32_t)node) : NULL;
    return broker ? broker->epoch : -1;
}

/* Registered in the life that runs: of a former one the controller may not have heard the end. */
static bool is_well(const struct storm *storm, const struct image *image, int32_t id)
{
    const struct image_node *broker = image_broker(image, id);
    const struct sim_broker_process *process = storm->cluster->nodes[id].broker.process;
    return broker && !broker->fenced && !broker->in_controlled_shutdown && process &&
           storm_runs(storm, (unsigned)id) &&
           membership_broker_epoch(&process->control.membership) == broker->epoch;
}

/* Whether somebody else keeps the partition. */
static bool is_kept(const struct storm *storm, const struct image *image,
                    const struct partition_state *state, int32_t node)
{
    if (!node_list_contains(state->replicas, node))
        return true;
    for (uint32_t i = 0; i < state->isr.count; i++)
        if (state->isr.ids[i] != node && is_well(storm, image, state->isr.ids[i]))
            return state->leader != IMAGE_LEADER_NONE;
    return false;
}

/* Whether the node has proposed to be alone in sync, or anything else. */
static bool is_proposing(const struct storm *storm, unsigned node)
{
    const struct sim_broker_process *process = storm->cluster->nodes[node].broker.process;
    for (unsigned i = 1; i <= SIM_BROKER_SHARDS; i++) {
        const struct shard *shard = process ? &process->shards[i] : NULL;
        if (!shard || !shard->loop || !shard->image)
            return true;
        list_for_each(place, &shard->replicas.replicas)
        {
            const struct replica *replica = container_of(place, struct replica, link);
            if (replica->leadership && replica->leadership->in_sync.state != IN_SYNC_COMMITTED)
                return true;
        }
    }
    return false;
}

static bool may_lose(const struct storm *storm, unsigned node)
{
    const struct image *image = storm_newest_image(storm->cluster);
    if (!image || !is_well(storm, image, (int32_t)node) || is_proposing(storm, node))
        return false;
    struct image_topic_walk walk;
    image_topic_walk_start(image, (struct view){0}, &walk);
    for (const struct image_topic *topic; (topic = image_topic_walk_next(&walk)) != NULL;) {
        for (int32_t i = 0; i < (int32_t)topic->partition_count; i++) {
            struct partition_state state = image_partition_state(image_topic_partition(topic, i));
            if (!is_kept(storm, image, &state, (int32_t)node))
                return false;
        }
    }
    return true;
}

/* Everybody runs, is heard, and has no death ordered. */
static void calm_down(struct storm *storm)
{
    struct cluster *cluster = storm->cluster;
    sim_heal_network(cluster->sim);
    storm->network_heals_ns = 0;
    for (unsigned i = 0; i < cluster->count; i++) {
        sim_crash_at_storage_call(cluster->sim, i, 0, false);
        sim_resume(cluster->sim, i);
    }
    cluster_run_until(cluster, sim_now_ns(cluster->sim) + 2 * cluster->session_ns);
}

struct renewal {
    const struct cluster *cluster;
    unsigned node;
    int64_t epoch; /* before */
};

static bool is_registered_again(void *context)
{
    const struct renewal *renewal = context;
    return broker_epoch(renewal->cluster, renewal->node) > renewal->epoch;
}

/* Takes what the node has, and waits until nobody counts on it any more. */
static void take_all(struct storm *storm, unsigned number, bool wipes)
{
    struct cluster *cluster = storm->cluster;
    struct sim *sim = cluster->sim;
    struct cluster_node *node = &cluster->nodes[number];
    struct renewal renewal = {cluster, number, broker_epoch(cluster, number)};
    node->is_lost = true;
    node->losses++;
    sim_power_cut(sim, number);
    if (wipes) {
        sim_wipe_disk(sim, number);
        node->is_formatted = false;
    }
    node->start_ns =
        sim_now_ns(sim) + ms + random_below(storm_random(storm), 2 * cluster->session_ns);
    bool back = cluster_run_to(cluster, is_registered_again, &renewal,
                               sim_now_ns(sim) + 10 * cluster->session_ns + 20000 * ms);
    sim_require(sim, back, "node %u has lost what it had and is not registered again", number);
    cluster_run_until(cluster, sim_now_ns(sim) + cluster->session_ns);
    node->is_lost = false;
}

/* ---- Voters ---- */

static const struct metadata_log *log_of(const struct cluster *cluster, unsigned node)
{
    const struct sim_broker_process *process = cluster->nodes[node].broker.process;
    bool runs = sim_is_running(cluster->sim, node) && cluster->nodes[node].broker.is_ready;
    return runs && process && process->control.has_controller ? &process->control.controller.log
                                                              : NULL;
}

/* The node that leads the quorum and may change its voters; NULL: none. */
static const struct metadata_log *leading_log(const struct cluster *cluster)
{
    const struct metadata_log *newest = NULL;
    for (unsigned i = 0; i < cluster->count; i++) {
        const struct metadata_log *log = log_of(cluster, i);
        if (log && log->quorum.role == QUORUM_LEADER &&
            (!newest || log->quorum.epoch > newest->quorum.epoch))
            newest = log;
    }
    return newest && quorum_may_change_voters(&newest->quorum) ? newest : NULL;
}

static bool is_voter_with(const struct voter_set *set, unsigned node, struct uuid id)
{
    for (uint32_t i = 0; i < set->count; i++)
        if (set->nodes[i].id == (int32_t)node && uuid_equal(set->nodes[i].directory_id, id))
            return true;
    return false;
}

/*
 * Whether the others can go on without what is on the node's disk: it is no voter, or one of three
 * or more, all of which are there with the disk that is meant, and know this set.
 */
static bool may_lose_voter(const struct cluster *cluster, unsigned number)
{
    const struct metadata_log *leader = leading_log(cluster);
    if (!leader)
        return false;
    const struct voter_set *set = voter_history_last(&leader->voters);
    if (set->count > 0 && !is_voter_with(set, number, cluster->directory_ids[number]))
        return true;
    for (uint32_t i = 0; i < set->count; i++) {
        unsigned voter = (unsigned)set->nodes[i].id;
        const struct metadata_log *log = log_of(cluster, voter);
        if (!log || !uuid_equal(set->nodes[i].directory_id, cluster->directory_ids[voter]) ||
            !view_equal(voter_history_last(&log->voters)->value, set->value))
            return false;
    }
    return set->count >= 3;
}

static bool is_removal_answered(void *context)
{
    const struct cluster *cluster = context;
    return cluster->replacement.step != REPLACEMENT_REMOVAL;
}

static void empty_disk(struct storm *storm, unsigned number)
{
    struct cluster *cluster = storm->cluster;
    struct cluster_node *node = &cluster->nodes[number];
    struct voter_replacement *replacement = &cluster->replacement;
    bool is_removed = replacement->step == REPLACEMENT_REMOVED;
    node->losses++;
    sim_power_cut(cluster->sim, number);
    sim_wipe_disk(cluster->sim, number);
    node->is_formatted = false;
    node->start_ns =
        sim_now_ns(cluster->sim) + ms + random_below(storm_random(storm), 2 * cluster->session_ns);
    replacement->is_lost = true;
    replacement->step = is_removed ? REPLACEMENT_ADDITION : REPLACEMENT_REMOVAL;
}

/* One at a time; the operator ends it whatever else happens. */
static void lose_voter(struct storm *storm, unsigned number)
{
    struct cluster *cluster = storm->cluster;
    struct voter_replacement *replacement = &cluster->replacement;
    struct cluster_node *node = &cluster->nodes[number];
    if (replacement->step != REPLACEMENT_NONE || !node->is_formatted ||
        node->losses == CLUSTER_LOSSES_MAX)
        return;
    cluster->is_held = true;
    replacement->node = number;
    replacement->old_id = cluster->directory_ids[number];
    replacement->is_lost = false;
    if (random_chance(storm_random(storm), 1, 2)) {
        replacement->step = REPLACEMENT_REMOVAL;
        cluster_run_to(cluster, is_removal_answered, cluster,
                       sim_now_ns(cluster->sim) + 10000 * ms);
    }
    calm_down(storm);
    bool is_asked = replacement->step == REPLACEMENT_REMOVAL;
    if (!is_asked && storm_runs(storm, number) && may_lose_voter(cluster, number)) {
        replacement->begun++;
        empty_disk(storm, number);
    } else {
        replacement->step = REPLACEMENT_NONE;
    }
    cluster->is_held = false;
}

void storm_lose(struct storm *storm, unsigned number)
{
    struct cluster *cluster = storm->cluster;
    if (cluster->is_dynamic) {
        lose_voter(storm, number);
        return;
    }
    const struct cluster_node *node = &cluster->nodes[number];
    bool wipes =
        !node->is_controller && (!cluster->is_cached || random_chance(storm_random(storm), 1, 2));
    if (!wipes && !(cluster->is_cached && node->is_broker))
        return;
    cluster->is_held = true; /* nothing is moved to the node alone */
    calm_down(storm);
    if (storm_runs(storm, number) && may_lose(storm, number))
        take_all(storm, number, wipes);
    cluster->is_held = false;
}
