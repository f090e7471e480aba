/*
 * What happens to a cluster: each kind of trouble is on in half of the seeds, and the pace is drawn
 * from the seed too, so that long quiet stretches and storms both occur. Trouble of the network
 * ends after a while; nodes that have ended are started by cluster_run_until.
 */
#include "tests/sim/cluster_storm.h"

static const uint64_t ms = UINT64_C(1000000);

enum trouble {
    TROUBLE_KILL,     /* a process ends anywhere */
    TROUBLE_POWER,    /* a machine loses power */
    TROUBLE_CALL,     /* a process or machine ends at a storage call */
    TROUBLE_STOP,     /* an orderly stop */
    TROUBLE_BLACKOUT, /* all machines lose power at the same moment */
    TROUBLE_PAUSE,
    TROUBLE_ISOLATE, /* a node hears and is heard by nobody */
    TROUBLE_DEAF,    /* one direction of it */
    TROUBLE_SPLIT,   /* two halves */
    TROUBLE_BRIDGE,  /* two halves and a node that both reach */
    TROUBLE_LINK,    /* one direction between two nodes */
    TROUBLE_SLOW,    /* a slow direction */
    TROUBLE_CLIENT,  /* a client is cut off from a node */
    TROUBLE_CLOCK,
    TROUBLE_DISK,       /* disks are slow, full or fail, from the next start on */
    TROUBLE_SWAP,       /* two machines get each other's disk; they must refuse it */
    TROUBLE_SUCCESSION, /* leaders of a partition end one behind the other */
    TROUBLE_HANDOVER,   /* a preferred leader that is far away takes over and ends */
    TROUBLE_TAKEOVER,   /* one that comes back takes over and ends */
    TROUBLE_COMEBACK,   /* one that comes back stops and comes back once more */
    TROUBLE_LOSS,       /* a disk is emptied, or the page cache lost that a promise is made of */
    TROUBLES
};

struct random_stream *storm_random(struct storm *storm)
{
    return &storm->cluster->random;
}

unsigned storm_any_node(struct storm *storm)
{
    return (unsigned)random_below(storm_random(storm), storm->cluster->count);
}

bool storm_runs(const struct storm *storm, unsigned node)
{
    return sim_is_running(storm->cluster->sim, node);
}

/* ---- Processes and machines ---- */

void storm_end_node(struct storm *storm, unsigned number, bool power_cut)
{
    struct cluster_node *node = &storm->cluster->nodes[number];
    power_cut = power_cut && !storm->cluster->is_cached; /* storm_lose does that */
    if (power_cut || node->needs_power_cut)
        sim_power_cut(storm->cluster->sim, number);
    else
        sim_crash(storm->cluster->sim, number);
    node->needs_power_cut = false;
    node->start_ns = 0; /* drawn anew */
}

static void blackout(struct storm *storm)
{
    for (unsigned i = 0; i < storm->cluster->count; i++)
        storm_end_node(storm, i, true);
}

static void end_at_call(struct storm *storm, unsigned number)
{
    struct random_stream *random = storm_random(storm);
    bool power_cut = storm->cluster->nodes[number].needs_power_cut || random_chance(random, 1, 2);
    power_cut = power_cut && !storm->cluster->is_cached;
    uint64_t calls = 1 + random_below(random, UINT64_C(1) << random_below(random, 12));
    sim_crash_at_storage_call(storm->cluster->sim, number, calls, power_cut);
}

static void pause_node(struct storm *storm, unsigned number)
{
    uint64_t longest = UINT64_C(1) << random_below(storm_random(storm), 15);
    sim_pause(storm->cluster->sim, number, (1 + random_below(storm_random(storm), longest)) * ms);
}

/* Another machine's disk names another node: who finds it in its place does not start. */
static void swap_disks(struct storm *storm, unsigned one)
{
    struct cluster *cluster = storm->cluster;
    unsigned other = storm_any_node(storm);
    if (other == one || !cluster->nodes[one].is_formatted || !cluster->nodes[other].is_formatted)
        return;
    storm_end_node(storm, one, true);
    storm_end_node(storm, other, true);
    sim_swap_disks(cluster->sim, one, other);
    for (int i = 0; i < 2; i++) {
        unsigned number = i ? other : one;
        *sim_node_faults(cluster->sim, number) =
            (struct sim_faults){.test_points = cluster->options->test_points};
        cluster->nodes[number].is_wanted = false;
        cluster_node_start(&cluster->nodes[number]);
    }
    cluster_run_until(cluster, sim_now_ns(cluster->sim) + 3000 * ms);
    for (int i = 0; i < 2; i++) {
        unsigned number = i ? other : one;
        sim_require(cluster->sim,
                    !storm_runs(storm, number) && !cluster->nodes[number].broker.is_ready,
                    "node %u runs with the disk of another one", number);
        cluster->nodes[number].is_wanted = true;
    }
    sim_swap_disks(cluster->sim, one, other);
}

/* Ends a node and starts it again at once. */
void storm_bounce(struct storm *storm, unsigned number)
{
    if (!storm_runs(storm, number))
        return;
    storm_end_node(storm, number, random_chance(storm_random(storm), 1, 2));
    storm->cluster->nodes[number].start_ns = sim_now_ns(storm->cluster->sim) + ms;
}

void storm_wait_up_to(struct storm *storm, uint64_t most_ns)
{
    cluster_run_until(storm->cluster,
                      sim_now_ns(storm->cluster->sim) + random_below(storm_random(storm), most_ns));
}

/* Each is led by another node shortly, which does not know for long that the last one has gone. */
static void succeed(struct storm *storm)
{
    struct cluster *cluster = storm->cluster;
    unsigned first = storm_any_node(storm);
    for (unsigned i = 0; i < cluster->count; i++) {
        storm_bounce(storm, (first + i) % cluster->count);
        storm_wait_up_to(storm, cluster->session_ns);
    }
}

static void skew(struct storm *storm, unsigned number)
{
    struct random_stream *random = storm_random(storm);
    int32_t rate = (int32_t)random_below(random, 20001) - 10000;
    int64_t error_ms = (int64_t)random_below(random, 7200001) - 3600000;
    sim_set_clock(storm->cluster->sim, number, rate, random_chance(random, 1, 2) ? error_ms : 0);
}

/* ---- The network ---- */

static void cut(struct storm *storm, unsigned from, unsigned to)
{
    if (from != to)
        sim_cut(storm->cluster->sim, from, to, true);
}

static void isolate(struct storm *storm, unsigned node, bool in, bool out)
{
    for (unsigned i = 0; i < storm->cluster->count; i++) {
        if (in)
            cut(storm, i, node);
        if (out)
            cut(storm, node, i);
    }
    /* Half of the time it still has its clients. */
    if (storm->parts_long || random_chance(storm_random(storm), 1, 2))
        return;
    for (unsigned i = 0; i < storm->client_count; i++) {
        if (in)
            cut(storm, storm->first_client + i, node);
        if (out)
            cut(storm, node, storm->first_client + i);
    }
}

/* Two groups that do not reach each other, but for one node perhaps. */
static void split(struct storm *storm, bool has_bridge)
{
    struct random_stream *random = storm_random(storm);
    uint32_t side = (uint32_t)random_u64(random);
    unsigned bridge = has_bridge ? storm_any_node(storm) : CLUSTER_NODES_MAX;
    for (unsigned a = 0; a < storm->cluster->count; a++) {
        for (unsigned b = 0; b < storm->cluster->count; b++) {
            if ((side >> a & 1) != (side >> b & 1) && a != bridge && b != bridge)
                cut(storm, a, b);
        }
    }
}

static void trouble_network(struct storm *storm, enum trouble kind, unsigned node)
{
    struct random_stream *random = storm_random(storm);
    struct sim *sim = storm->cluster->sim;
    unsigned other = storm_any_node(storm);
    bool in = random_chance(random, 1, 2);
    if (kind == TROUBLE_ISOLATE)
        isolate(storm, node, true, true);
    else if (kind == TROUBLE_DEAF)
        isolate(storm, node, in, !in);
    else if (kind == TROUBLE_SPLIT || kind == TROUBLE_BRIDGE)
        split(storm, kind == TROUBLE_BRIDGE);
    else if (kind == TROUBLE_LINK)
        cut(storm, node, other);
    else if (kind == TROUBLE_SLOW && node != other)
        sim_slow_down(sim, node, other, (1 + random_below(random, 3000)) * ms);
    else if (kind == TROUBLE_CLIENT && storm->client_count > 0)
        cut(storm, node, storm->first_client + (unsigned)random_below(random, storm->client_count));
    uint64_t longest = UINT64_C(1) << random_below(random, 15);
    if (storm->parts_long)
        longest = 4 * storm->cluster->session_ns / ms;
    uint64_t ends = sim_now_ns(sim) + (1 + random_below(random, longest)) * ms;
    if (ends > storm->network_heals_ns)
        storm->network_heals_ns = ends;
}

/*
 * Of two that are far from each other the preferred one leads soon, and has not got what the other
 * one wrote last; nor has that one got what it writes, when it ends (KIP-279).
 */
static void hand_over(struct storm *storm, unsigned node)
{
    struct cluster *cluster = storm->cluster;
    unsigned other = storm_any_node(storm);
    if (other == node || !storm_runs(storm, node))
        return;
    uint64_t delay =
        cluster->session_ns / 8 + random_below(storm_random(storm), cluster->session_ns);
    sim_slow_down(cluster->sim, node, other, delay);
    sim_slow_down(cluster->sim, other, node, delay);
    storm_wait_up_to(storm, 3 * cluster->session_ns);
    storm_end_node(storm, node, random_chance(storm_random(storm), 1, 2));
    cluster->nodes[node].start_ns = sim_now_ns(cluster->sim) + 2 * cluster->session_ns;
    sim_heal_network(cluster->sim);
    storm_wait_up_to(storm, 3 * cluster->session_ns);
}

/* ---- Time ---- */

static void strike(struct storm *storm, enum trouble kind)
{
    unsigned node = storm_any_node(storm);
    storm->cluster->faults++;
    switch (kind) {
    case TROUBLE_KILL:
    case TROUBLE_POWER:
        if (storm_runs(storm, node))
            storm_end_node(storm, node, kind == TROUBLE_POWER);
        break;
    case TROUBLE_CALL:
        end_at_call(storm, node);
        break;
    case TROUBLE_STOP:
        storm->cluster->nodes[node].is_stopping = true;
        sim_stop(storm->cluster->sim, node);
        break;
    case TROUBLE_BLACKOUT:
        if (random_chance(storm_random(storm), 1, 4))
            blackout(storm);
        break;
    case TROUBLE_PAUSE:
        pause_node(storm, node);
        break;
    case TROUBLE_CLOCK:
        skew(storm, node);
        break;
    case TROUBLE_DISK:
        storm->cluster->draws_faults = random_chance(storm_random(storm), 1, 2);
        break;
    case TROUBLE_SWAP:
        if (random_chance(storm_random(storm), 1, 4))
            swap_disks(storm, node);
        break;
    case TROUBLE_SUCCESSION:
        succeed(storm);
        break;
    case TROUBLE_HANDOVER:
        hand_over(storm, node);
        break;
    case TROUBLE_TAKEOVER:
        storm_take_over(storm, node);
        break;
    case TROUBLE_COMEBACK:
        storm_come_back(storm, node);
        break;
    case TROUBLE_LOSS:
        storm_lose(storm, node);
        break;
    case TROUBLE_ISOLATE:
    case TROUBLE_DEAF:
    case TROUBLE_SPLIT:
    case TROUBLE_BRIDGE:
    case TROUBLE_LINK:
    case TROUBLE_SLOW:
    case TROUBLE_CLIENT:
        trouble_network(storm, kind, node);
        break;
    case TROUBLES:
        break;
    }
}

static void wait(struct storm *storm, uint64_t until)
{
    struct cluster *cluster = storm->cluster;
    if (storm->network_heals_ns > 0 && storm->network_heals_ns < until) {
        cluster_run_until(cluster, storm->network_heals_ns);
        sim_heal_network(cluster->sim);
        storm->network_heals_ns = 0;
    }
    cluster_run_until(cluster, until);
}

/* Leaders change all the time; in two thirds of the seeds in a way that chance seldom finds. */
static void choose_failover(struct storm *storm)
{
    struct random_stream *random = storm_random(storm);
    uint64_t profile = random_below(random, 3);
    storm->pace_ns = (50 * ms) << random_below(random, 4);
    if (profile == 0) {
        storm->kinds |= 1U << TROUBLE_SUCCESSION | 1U << TROUBLE_HANDOVER;
        storm->kinds &= ~(1U << TROUBLE_SWAP | 1U << TROUBLE_CLOCK | 1U << TROUBLE_BLACKOUT);
    } else if (profile == 1) {
        storm->kinds = 1U << TROUBLE_TAKEOVER | 1U << TROUBLE_HANDOVER;
    } else {
        storm->kinds = 1U << TROUBLE_COMEBACK;
    }
}

/*
 * Leaderships move by all that ends, parts and delays nodes, and by an operator all the time. Who
 * is parted from the others only, or paused, does not hear of its successor for a while, and is
 * asked on.
 */
static void choose_coordinators(struct storm *storm)
{
    struct random_stream *random = storm_random(storm);
    storm->pace_ns = (50 * ms) << random_below(random, 6);
    uint64_t profile = random_below(random, 8);
    if (profile < 2) {
        choose_failover(storm);
    } else if (profile < 4) {
        storm->pace_ns = storm->cluster->session_ns;
        storm->parts_long = true;
        storm->kinds =
            1U << TROUBLE_ISOLATE | 1U << TROUBLE_DEAF | 1U << TROUBLE_SPLIT | 1U << TROUBLE_PAUSE;
    } else if (profile == 4) {
        storm->kinds = 1U << TROUBLE_LOSS | 1U << TROUBLE_KILL | 1U << TROUBLE_SLOW;
    } else {
        storm->kinds &= ~(1U << TROUBLE_SWAP);
    }
}

void cluster_trouble(struct cluster *cluster, uint64_t duration_ns, unsigned first_client,
                     unsigned client_count)
{
    struct random_stream *random = &cluster->random;
    struct storm storm = {.cluster = cluster,
                          .first_client = first_client,
                          .client_count = client_count,
                          .kinds = (uint32_t)random_below(random, UINT32_C(1) << TROUBLES),
                          .pace_ns = (100 * ms) << random_below(random, 7)};
    uint64_t end = sim_now_ns(cluster->sim) + duration_ns;
    if (cluster->has_coordinators)
        choose_coordinators(&storm);
    else if (cluster->is_failover)
        choose_failover(&storm);
    else if ((cluster->brokers != 0 || cluster->is_dynamic) && random_chance(random, 1, 4))
        storm.kinds = 1U << TROUBLE_LOSS | 1U << TROUBLE_KILL | 1U << TROUBLE_SLOW;
    /* What ends a node unasked would be one loss too many. */
    if (cluster->is_cached || (storm.kinds >> TROUBLE_LOSS & 1))
        storm.kinds &= ~(1U << TROUBLE_DISK | 1U << TROUBLE_SWAP);
    if (storm.kinds == 0)
        storm.kinds = 1;
    for (;;) {
        uint64_t next = sim_now_ns(cluster->sim) + random_below(random, 2 * storm.pace_ns);
        wait(&storm, next < end ? next : end);
        if (next >= end)
            return;
        enum trouble kind;
        do
            kind = (enum trouble)random_below(random, TROUBLES);
        while (!(storm.kinds >> kind & 1));
        strike(&storm, kind);
    }
}
