/*
 * Groups on a whole broker: members of both protocols join, stay, fall silent, leave, crash and
 * come back, while the node is killed, loses power and is started anew. What they see goes into
 * group_history, which holds it against G1 to G5. In the end all trouble stops: every group must
 * settle with each partition owned once, commit for each owner, and read what was committed; and
 * read the same after another kill.
 */
#include <stdio.h>

#include "tests/sim/group_member.h"
#include "tests/sim/sim_broker.h"

static const uint64_t second_ns = UINT64_C(1000000000);

struct group_scenario {
    struct sim *sim;
    struct random_stream random;
    struct group_history history;
    struct sim_broker broker;
    unsigned group_count;
    unsigned member_count[GROUP_COUNT];
    struct group_role roles[GROUP_COUNT][GROUP_MEMBERS];
    uint64_t healed_ns;
    uint64_t compactions; /* of logs, before the last power cut */
};

/* ---- Making it ---- */

static void add_member(struct group_scenario *scenario, unsigned group, bool is_consumer_protocol)
{
    struct random_stream *random = &scenario->random;
    unsigned number = scenario->member_count[group]++;
    struct group_role *role = &scenario->roles[group][number];
    *role = (struct group_role){.history = &scenario->history,
                                .host = "node-0",
                                .group = group,
                                .member = number,
                                .is_consumer_protocol = is_consumer_protocol,
                                .session_ns = 2 * second_ns,
                                .rebalance_ns = second_ns + random_below(random, 2 * second_ns)};
    unsigned node = sim_add_node(
        scenario->sim,
        &(struct sim_node_spec){.loops = 1, .boot = group_member_boot, .argument = role});
    role->node = node;
    sim_start(scenario->sim, node);
}

static void make_broker(struct group_scenario *scenario, const struct scenario_options *options)
{
    struct random_stream *random = &scenario->random;
    struct sim_broker_cleaning cleaning;
    struct view cleaning_overrides[SIM_BROKER_CLEANING];
    char delay[64], segment[64];
    snprintf(delay, sizeof(delay), "group.initial.rebalance.delay.ms=%llu",
             (unsigned long long)random_below(random, 500));
    snprintf(segment, sizeof(segment), "offsets.topic.segment.bytes=%llu",
             (unsigned long long)(4096 << random_below(random, 6)));
    sim_broker_draw_cleaning(&cleaning, random, cleaning_overrides);
    const struct view overrides[] = {VIEW_LITERAL("num.partitions=3"),
                                     VIEW_LITERAL("offsets.topic.num.partitions=3"),
                                     VIEW_LITERAL("group.min.session.timeout.ms=100"),
                                     VIEW_LITERAL("group.consumer.min.session.timeout.ms=1000"),
                                     VIEW_LITERAL("group.consumer.session.timeout.ms=2000"),
                                     VIEW_LITERAL("group.consumer.min.heartbeat.interval.ms=50"),
                                     VIEW_LITERAL("group.consumer.heartbeat.interval.ms=150"),
                                     view_of_string(delay),
                                     view_of_string(segment),
                                     cleaning_overrides[0],
                                     cleaning_overrides[1],
                                     cleaning_overrides[2],
                                     cleaning_overrides[3]};
    sim_broker_init(&scenario->broker, scenario->sim, options, random, overrides,
                    sizeof(overrides) / sizeof(overrides[0]));
}

static void make_groups(struct group_scenario *scenario)
{
    struct random_stream *random = &scenario->random;
    scenario->group_count = 1 + (unsigned)random_below(random, GROUP_COUNT);
    for (unsigned group = 0; group < scenario->group_count; group++) {
        bool is_consumer_protocol = random_chance(random, 1, 2);
        uint64_t count = 1 + random_below(random, 5);
        for (uint64_t i = 0; i < count; i++)
            add_member(scenario, group, is_consumer_protocol);
    }
}

/* ---- Healing ---- */

static bool is_settled(void *context)
{
    const struct group_scenario *scenario = context;
    for (unsigned group = 0; group < scenario->group_count; group++) {
        if (!group_history_is_covered(&scenario->history, group))
            return false;
        uint64_t last_commit_ns = 0;
        for (unsigned i = 0; i < scenario->member_count[group]; i++) {
            const struct group_role *role = &scenario->roles[group][i];
            if (!role->is_stable && !role->is_gone)
                return false;
            if (role->last_commit_ns > last_commit_ns)
                last_commit_ns = role->last_commit_ns;
        }
        if (last_commit_ns <= scenario->healed_ns)
            return false;
    }
    return scenario->broker.is_ready;
}

static void await_settled(struct group_scenario *scenario, const char *when)
{
    struct sim *sim = scenario->sim;
    bool settled = sim_run_to(sim, is_settled, scenario, sim_now_ns(sim) + 120 * second_ns);
    sim_require(sim, settled, "G5: the groups do not settle %s", when);
}

static void settle(struct group_scenario *scenario, const char *when)
{
    struct sim *sim = scenario->sim;
    sim_broker_heal(&scenario->broker);
    scenario->healed_ns = sim_now_ns(sim);
    await_settled(scenario, when);
    /* What crashed members left behind ends with their sessions and moves partitions once more. */
    sim_run_until(sim, sim_now_ns(sim) + 10 * second_ns);
    await_settled(scenario, when);
    /* Nothing moves any more, and what is read is held against what was committed. */
    sim_run_until(sim, sim_now_ns(sim) + 5 * second_ns);
    sim_require(sim, is_settled(scenario), "G5: the groups do not stay settled %s", when);
}

/* One of several members dies without a word: the others must get what it had. */
static void lose_a_member(struct group_scenario *scenario, unsigned group)
{
    unsigned count = scenario->member_count[group];
    if (count == 1 || random_chance(&scenario->random, 1, 2))
        return;
    struct group_role *role = &scenario->roles[group][random_below(&scenario->random, count)];
    role->is_gone = true;
    sim_crash(scenario->sim, role->node);
    group_history_release(&scenario->history, group, role->member);
}

static void heal(struct group_scenario *scenario)
{
    for (unsigned group = 0; group < scenario->group_count; group++)
        for (unsigned i = 0; i < scenario->member_count[group]; i++)
            scenario->roles[group][i].behaves = true;
    sim_broker_heal(&scenario->broker);
    /* A silence that has begun lasts up to three sessions, and nobody sees it from outside. */
    sim_run_until(scenario->sim, sim_now_ns(scenario->sim) + 8 * second_ns);
    settle(scenario, "after all faults have ended");
    for (unsigned group = 0; group < scenario->group_count; group++)
        lose_a_member(scenario, group);
    settle(scenario, "after members have died");
    scenario->compactions = sim_broker_compactions(&scenario->broker);
    sim_power_cut(scenario->sim, scenario->broker.node);
    settle(scenario, "after a last power cut");
}

static void print(const struct group_scenario *scenario)
{
    for (unsigned group = 0; group < scenario->group_count; group++) {
        for (unsigned i = 0; i < scenario->member_count[group]; i++) {
            const struct group_role *role = &scenario->roles[group][i];
            fprintf(stderr,
                    "group %u, member %u (%s): %llu joins, %llu silences, %llu crashes, %llu "
                    "refused commits\n",
                    group, i, role->is_consumer_protocol ? "consumer" : "classic",
                    (unsigned long long)role->rebalances, (unsigned long long)role->silences,
                    (unsigned long long)role->crashes, (unsigned long long)role->refused);
        }
    }
    fprintf(stderr, "%llu commits, %llu offsets read, %llu assignments, %llu compactions\n",
            (unsigned long long)scenario->history.commits,
            (unsigned long long)scenario->history.reads,
            (unsigned long long)scenario->history.assignments,
            (unsigned long long)scenario->compactions);
}

void group_scenario_run(struct sim *sim, const struct scenario_options *options)
{
    struct group_scenario scenario = {.sim = sim};
    random_init(&scenario.random, sim_seed(sim), 3000);
    group_history_init(&scenario.history, sim);
    make_broker(&scenario, options);
    make_groups(&scenario);
    uint64_t lives = 1 + random_below(&scenario.random, 4);
    for (uint64_t i = 0; i < lives; i++)
        sim_broker_live(&scenario.broker, 8 * second_ns);
    heal(&scenario);
    if (options->chatty)
        print(&scenario);
    sim_broker_deinit(&scenario.broker);
    group_history_deinit(&scenario.history);
}
