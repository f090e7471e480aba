/*
 * Looks into running nodes, between events, for the moment to go on. Whatever is waited for may
 * fail to come: then the trouble goes on without it.
 */
#include "replication/replica_internal.h"
#include "tests/sim/cluster_storm.h"

static const uint64_t ms = UINT64_C(1000000);

/* ---- What nodes know ---- */

static const struct sim_broker_process *process_of(const struct cluster *cluster, unsigned node)
{
    return sim_is_running(cluster->sim, node) ? cluster->nodes[node].broker.process : NULL;
}

/* Calls for all replicas of the clients' topic on the node until one fits. */
static bool any_replica(const struct cluster *cluster, unsigned node,
                        bool (*fits)(const struct replica *replica, void *context), void *context)
{
    const struct sim_broker_process *process = process_of(cluster, node);
    for (unsigned i = 1; process && i <= SIM_BROKER_SHARDS; i++) {
        const struct shard *shard = &process->shards[i];
        if (!shard->loop || !shard->image)
            continue;
        list_for_each(place, &shard->replicas.replicas)
        {
            const struct replica *replica = container_of(place, struct replica, link);
            if (view_equal(replica->topic, view_of_string(cluster_topic)) && fits(replica, context))
                return true;
        }
    }
    return false;
}

static bool is_active_controller(const struct cluster *cluster, unsigned node)
{
    const struct sim_broker_process *process = process_of(cluster, node);
    return process && process->control.has_controller && process->control.controller.is_active;
}

/* ---- Taking over ---- */

struct reign {
    const struct cluster *cluster;
    unsigned node;
    int32_t epochs[HISTORY_PARTITIONS]; /* the newest ones that anybody knew */
};

static bool note_epoch(const struct replica *replica, void *context)
{
    struct reign *reign = context;
    int32_t *epoch = &reign->epochs[replica->partition % HISTORY_PARTITIONS];
    if (replica->leader_epoch > *epoch)
        *epoch = replica->leader_epoch;
    return false;
}

static bool is_newer(const struct replica *replica, void *context)
{
    const struct reign *reign = context;
    return replica->state == REPLICA_LEADING &&
           replica->leader_epoch > reign->epochs[replica->partition % HISTORY_PARTITIONS];
}

static bool reigns(void *context)
{
    struct reign *reign = context;
    return any_replica(reign->cluster, reign->node, is_newer, reign);
}

void storm_take_over(struct storm *storm, unsigned node)
{
    struct cluster *cluster = storm->cluster;
    struct sim *sim = cluster->sim;
    struct reign reign = {.cluster = cluster, .node = node};
    if (!storm_runs(storm, node) || !cluster->nodes[node].is_broker)
        return;
    uint64_t delay =
        cluster->session_ns / 16 + random_below(storm_random(storm), cluster->session_ns / 4);
    for (unsigned i = 0; i < cluster->count; i++) {
        any_replica(cluster, i, note_epoch, &reign);
        if (i == node)
            continue;
        sim_slow_down(sim, node, i, delay);
        sim_slow_down(sim, i, node, delay);
    }
    storm_bounce(storm, node);
    cluster_run_to(cluster, reigns, &reign, sim_now_ns(sim) + 5 * cluster->session_ns);
    storm_wait_up_to(storm, 2 * delay);
    storm_end_node(storm, node, random_chance(storm_random(storm), 1, 2));
    cluster->nodes[node].start_ns = sim_now_ns(sim) + 2 * cluster->session_ns;
    sim_heal_network(sim);
    storm_wait_up_to(storm, 3 * cluster->session_ns);
}

/* ---- Coming back ---- */

struct comeback {
    const struct cluster *cluster;
    unsigned controller; /* that decides */
    int32_t node;
    int64_t epoch; /* of the broker, before */
};

static struct remote_replica *remote_of(const struct replica *replica, int32_t node)
{
    return replica->state == REPLICA_LEADING && replica->leadership
               ? in_sync_find(&replica->leadership->in_sync, node)
               : NULL;
}

static bool proposes_it(const struct replica *replica, void *context)
{
    const struct comeback *comeback = context;
    const struct remote_replica *remote = remote_of(replica, comeback->node);
    return remote && remote->is_changing && !remote->is_in_sync;
}

static bool is_proposed(void *context)
{
    struct comeback *comeback = context;
    for (unsigned i = 0; i < comeback->cluster->count; i++)
        if (i != comeback->controller && any_replica(comeback->cluster, i, proposes_it, comeback))
            return true;
    return false;
}

static bool find_controller(const struct cluster *cluster, unsigned *controller)
{
    for (*controller = 0; *controller < cluster->count; ++*controller)
        if (is_active_controller(cluster, *controller))
            return true;
    return false;
}

static const struct image_node *broker_now(const struct comeback *comeback)
{
    const struct image *image = storm_newest_image(comeback->cluster);
    return image ? image_broker(image, comeback->node) : NULL;
}

static bool is_back(void *context)
{
    const struct comeback *comeback = context;
    const struct image_node *broker = broker_now(comeback);
    return broker && broker->epoch > comeback->epoch && !broker->fenced;
}

/* It stops and comes back while the leaders' words wait; not so long that their sessions end. */
static void come_again(struct storm *storm, struct comeback *comeback)
{
    struct cluster *cluster = storm->cluster;
    unsigned number = (unsigned)comeback->node;
    struct cluster_node *node = &cluster->nodes[number];
    const struct image_node *broker = broker_now(comeback);
    for (unsigned i = 0; i < cluster->count; i++)
        if (i != number && i != comeback->controller)
            sim_cut(cluster->sim, i, comeback->controller, true);
    comeback->epoch = broker ? broker->epoch : -1;
    node->is_stopping = true;
    node->start_ns = sim_now_ns(cluster->sim) + ms;
    sim_stop(cluster->sim, number);
    cluster_run_to(cluster, is_back, comeback,
                   sim_now_ns(cluster->sim) + cluster->session_ns * 3 / 4);
}

void storm_come_back(struct storm *storm, unsigned number)
{
    struct cluster *cluster = storm->cluster;
    struct sim *sim = cluster->sim;
    struct comeback comeback = {.cluster = cluster, .node = (int32_t)number};
    if (!storm_runs(storm, number) || !cluster->nodes[number].is_broker ||
        !find_controller(cluster, &comeback.controller) || comeback.controller == number)
        return;
    uint64_t delay = (200 + random_below(storm_random(storm), 400)) * ms;
    for (unsigned i = 0; i < cluster->count; i++)
        if (i != number && i != comeback.controller)
            sim_slow_down(sim, i, comeback.controller, delay);
    storm_bounce(storm, number);
    if (cluster_run_to(cluster, is_proposed, &comeback,
                       sim_now_ns(sim) + 4 * cluster->session_ns) &&
        storm_runs(storm, number))
        come_again(storm, &comeback);
    sim_heal_network(sim);
    storm_wait_up_to(storm, 2 * cluster->session_ns);
}
