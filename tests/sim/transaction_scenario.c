/*
 * Transactions on a whole broker: producers and copiers of both versions of the protocol write,
 * commit, abort, fall silent, crash and fence each other, readers read at read_committed, while the
 * node is killed, loses power and is started anew. In the end all trouble stops: every transaction
 * must end, the stable offsets must reach the end, the copy must be complete; then a fresh reader
 * reads everything and the history is checked (T1 to T8).
 */
#include <stdio.h>

#include "tests/sim/sim_broker.h"
#include "tests/sim/transaction_load.h"

static const uint64_t second_ns = UINT64_C(1000000000);

struct transaction_scenario {
    struct sim *sim;
    struct random_stream random;
    struct transaction_load load;
    struct sim_broker broker;
};

static void make_broker(struct transaction_scenario *scenario,
                        const struct scenario_options *options)
{
    struct random_stream *random = &scenario->random;
    struct sim_broker_cleaning cleaning;
    struct view cleaning_overrides[SIM_BROKER_CLEANING];
    char segment[64];
    snprintf(segment, sizeof(segment), "transaction.state.log.segment.bytes=%llu",
             (unsigned long long)(4096 << random_below(random, 6)));
    sim_broker_draw_cleaning(&cleaning, random, cleaning_overrides);
    const struct view overrides[] = {
        VIEW_LITERAL("node.id=0"),
        VIEW_LITERAL("num.partitions=3"),
        VIEW_LITERAL("offsets.topic.num.partitions=3"),
        VIEW_LITERAL("transaction.state.log.num.partitions=3"),
        VIEW_LITERAL("transaction.abort.timed.out.transaction.cleanup.interval.ms=200"),
        view_of_string(segment),
        cleaning_overrides[0],
        cleaning_overrides[1],
        cleaning_overrides[2],
        cleaning_overrides[3]};
    sim_broker_init(&scenario->broker, scenario->sim, options, random, overrides,
                    sizeof(overrides) / sizeof(overrides[0]));
}

/* ---- Healing ---- */

static bool is_quiet(void *context)
{
    const struct transaction_scenario *scenario = context;
    return transaction_load_is_quiet(&scenario->load) && scenario->broker.is_ready;
}

static bool has_read_all(void *context)
{
    const struct transaction_scenario *scenario = context;
    return transaction_load_has_read(&scenario->load);
}

static void heal(struct transaction_scenario *scenario)
{
    struct sim *sim = scenario->sim;
    sim_broker_heal(&scenario->broker);
    transaction_load_pause(&scenario->load);
    /* What was left open ends by its timeout. */
    sim_run_until(sim, sim_now_ns(sim) + 15 * second_ns);
    transaction_load_heal(&scenario->load);
    bool quiet = sim_run_to(sim, is_quiet, scenario, sim_now_ns(sim) + 120 * second_ns);
    sim_require(sim, quiet, "transactions do not end after all faults have ended");
    transaction_load_require_stable(&scenario->load);
    transaction_load_read(&scenario->load);
    bool read = sim_run_to(sim, has_read_all, scenario, sim_now_ns(sim) + 120 * second_ns);
    sim_require(sim, read, "a fresh reader does not come to the end");
    transaction_history_check(&scenario->load.history);
}

void transaction_scenario_run(struct sim *sim, const struct scenario_options *options)
{
    struct transaction_scenario scenario = {.sim = sim};
    random_init(&scenario.random, sim_seed(sim), 4000);
    make_broker(&scenario, options);
    transaction_load_init(&scenario.load, sim, &scenario.random,
                          &(struct cluster_client_options){.brokers = 1, .makes_topics = true});
    uint64_t lives = 1 + random_below(&scenario.random, 4);
    for (uint64_t i = 0; i < lives; i++)
        sim_broker_live(&scenario.broker, 6 * second_ns);
    heal(&scenario);
    if (options->chatty) {
        transaction_load_print(&scenario.load);
        fprintf(stderr, "%llu compactions\n",
                (unsigned long long)sim_broker_compactions(&scenario.broker));
    }
    sim_broker_deinit(&scenario.broker);
    transaction_load_deinit(&scenario.load);
}
