/*
 * Groups on a whole broker: members of both protocols join, stay, fall silent, leave, crash and
 * come back, while the node is killed, loses power and is started anew. What they see goes into
 * group_history, which holds it against G1 to G5. In the end all trouble stops: every group must
 * settle with each partition owned once, commit for each owner, and read what was committed; and
 * read the same after another kill.
 */
#include <stdio.h>

#include "tests/sim/group_load.h"
#include "tests/sim/sim_broker.h"

static const uint64_t second_ns = UINT64_C(1000000000);

struct group_scenario {
    struct sim *sim;
    struct random_stream random;
    struct group_load load;
    struct sim_broker broker;
    uint64_t compactions; /* of logs, before the last power cut */
};

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
    const struct view overrides[] = {VIEW_LITERAL("node.id=0"),
                                     VIEW_LITERAL("num.partitions=3"),
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

/* ---- Healing ---- */

static bool is_settled(void *context)
{
    const struct group_scenario *scenario = context;
    return group_load_is_settled(&scenario->load) && scenario->broker.is_ready;
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
    group_load_heal(&scenario->load);
    await_settled(scenario, when);
    /* What crashed members left behind ends with their sessions and moves partitions once more. */
    sim_run_until(sim, sim_now_ns(sim) + 10 * second_ns);
    await_settled(scenario, when);
    /* Nothing moves any more, and what is read is held against what was committed. */
    sim_run_until(sim, sim_now_ns(sim) + 5 * second_ns);
    sim_require(sim, is_settled(scenario), "G5: the groups do not stay settled %s", when);
}

static void heal(struct group_scenario *scenario)
{
    group_load_behave(&scenario->load);
    sim_broker_heal(&scenario->broker);
    /* A silence that has begun lasts up to three sessions, and nobody sees it from outside. */
    sim_run_until(scenario->sim, sim_now_ns(scenario->sim) + 8 * second_ns);
    settle(scenario, "after all faults have ended");
    group_load_lose_members(&scenario->load);
    settle(scenario, "after members have died");
    scenario->compactions = sim_broker_compactions(&scenario->broker);
    sim_power_cut(scenario->sim, scenario->broker.node);
    settle(scenario, "after a last power cut");
}

void group_scenario_run(struct sim *sim, const struct scenario_options *options)
{
    struct group_scenario scenario = {.sim = sim};
    random_init(&scenario.random, sim_seed(sim), 3000);
    make_broker(&scenario, options);
    group_load_init(&scenario.load, sim, &scenario.random,
                    &(struct group_load_options){.client = {.brokers = 1, .makes_topics = true},
                                                 .groups_max = GROUP_COUNT,
                                                 .members_max = 5});
    uint64_t lives = 1 + random_below(&scenario.random, 4);
    for (uint64_t i = 0; i < lives; i++)
        sim_broker_live(&scenario.broker, 8 * second_ns);
    heal(&scenario);
    if (options->chatty) {
        group_load_print(&scenario.load);
        fprintf(stderr, "%llu compactions\n", (unsigned long long)scenario.compactions);
    }
    sim_broker_deinit(&scenario.broker);
    group_load_deinit(&scenario.load);
}
