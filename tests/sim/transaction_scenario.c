/*
 * Transactions on a whole broker: producers and copiers of both versions of the protocol write,
 * commit, abort, fall silent, crash and fence each other, readers read at read_committed, while the
 * node is killed, loses power and is started anew. In the end all trouble stops: every transaction
 * must end, the stable offsets must reach the end, the copy must be complete; then a fresh reader
 * reads everything and the history is checked (T1 to T8).
 */
#include <stdio.h>

#include "tests/sim/sim_broker.h"
#include "tests/sim/transaction_client.h"

static const uint64_t second_ns = UINT64_C(1000000000);

struct transaction_scenario {
    struct sim *sim;
    struct random_stream random;
    struct transaction_history history;
    struct sim_broker broker;
    unsigned client_count;
    struct transaction_role clients[TRANSACTION_CLIENTS + 2]; /* behind them: two readers */
    uint64_t rounds; /* of the reader, when something began to be waited for */
};

/* ---- Making it ---- */

static void start_client(struct transaction_scenario *scenario, struct transaction_role *role)
{
    role->history = &scenario->history;
    role->host = "node-0";
    unsigned node = sim_add_node(
        scenario->sim,
        &(struct sim_node_spec){.loops = 1, .boot = transaction_client_boot, .argument = role});
    sim_start(scenario->sim, node);
}

static void add_client(struct transaction_scenario *scenario, enum transaction_role_kind kind,
                       unsigned id, bool is_newer)
{
    struct random_stream *random = &scenario->random;
    unsigned number = scenario->client_count++;
    struct transaction_role *role = &scenario->clients[number];
    *role = (struct transaction_role){.kind = kind,
                                      .client = number,
                                      .id = id,
                                      .is_newer = is_newer,
                                      .timeout_ms = 300 + (int32_t)random_below(random, 3000),
                                      .pace_ns = UINT64_C(1000000) << random_below(random, 6)};
    start_client(scenario, role);
}

static struct transaction_role *add_reader(struct transaction_scenario *scenario, unsigned place,
                                           bool notes)
{
    struct transaction_role *role = &scenario->clients[TRANSACTION_CLIENTS + place];
    *role = (struct transaction_role){.kind = TRANSACTION_READER, .notes = notes};
    start_client(scenario, role);
    return role;
}

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

static void make_clients(struct transaction_scenario *scenario)
{
    struct random_stream *random = &scenario->random;
    unsigned ids = 1 + (unsigned)random_below(random, TRANSACTION_IDS - 1);
    for (unsigned id = 0; id < ids; id++) {
        bool is_newer = random_chance(random, 1, 2);
        add_client(scenario, TRANSACTION_PRODUCER, id, is_newer);
        if (random_chance(random, 1, 4)) /* a second one, each a zombie of the other */
            add_client(scenario, TRANSACTION_PRODUCER, id, is_newer);
    }
    bool is_newer = random_chance(random, 1, 2);
    add_client(scenario, TRANSACTION_COPIER, TRANSACTION_IDS - 1, is_newer);
    if (random_chance(random, 1, 4))
        add_client(scenario, TRANSACTION_COPIER, TRANSACTION_IDS - 1, is_newer);
    add_reader(scenario, 0, false);
}

/* ---- Healing ---- */

/* A copier has come to the end when it stands where the reader stands. */
static bool is_quiet(void *context)
{
    const struct transaction_scenario *scenario = context;
    const struct transaction_role *reader = &scenario->clients[TRANSACTION_CLIENTS];
    for (unsigned i = 0; i < scenario->client_count; i++) {
        const struct transaction_role *role = &scenario->clients[i];
        bool lags = role->kind == TRANSACTION_COPIER && !role->is_retired &&
                    role->positions[0] < reader->positions[0];
        if (!role->is_idle || lags)
            return false;
    }
    /* Two whole rounds of the reader without anything new: nothing is held back any more. */
    return scenario->broker.is_ready && reader->rounds >= scenario->rounds + 2;
}

static bool has_read_all(void *context)
{
    const struct transaction_scenario *scenario = context;
    return scenario->clients[TRANSACTION_CLIENTS + 1].rounds >= 1;
}

static void require_all_stable(const struct transaction_scenario *scenario)
{
    const struct transaction_role *reader = &scenario->clients[TRANSACTION_CLIENTS];
    for (int i = 0; i < TRANSACTION_PARTITIONS; i++)
        sim_require(scenario->sim, reader->positions[i] == reader->stable[i],
                    "partition %d is read up to %lld and stable up to %lld", i,
                    (long long)reader->positions[i], (long long)reader->stable[i]);
}

static void heal(struct transaction_scenario *scenario)
{
    struct sim *sim = scenario->sim;
    sim_broker_heal(&scenario->broker);
    for (unsigned i = 0; i < scenario->client_count; i++) {
        struct transaction_role *role = &scenario->clients[i];
        role->pauses = true;
        /* Two with one id would fence each other for ever: the second one goes. */
        role->is_retired = i > 0 && role->id == scenario->clients[i - 1].id;
    }
    /* What was left open ends by its timeout. */
    sim_run_until(sim, sim_now_ns(sim) + 15 * second_ns);
    scenario->rounds = scenario->clients[TRANSACTION_CLIENTS].rounds;
    bool quiet = sim_run_to(sim, is_quiet, scenario, sim_now_ns(sim) + 120 * second_ns);
    sim_require(sim, quiet, "transactions do not end after all faults have ended");
    require_all_stable(scenario);
    add_reader(scenario, 1, true);
    bool read = sim_run_to(sim, has_read_all, scenario, sim_now_ns(sim) + 120 * second_ns);
    sim_require(sim, read, "a fresh reader does not come to the end");
    transaction_history_check(&scenario->history);
}

void transaction_scenario_run(struct sim *sim, const struct scenario_options *options)
{
    struct transaction_scenario scenario = {.sim = sim};
    random_init(&scenario.random, sim_seed(sim), 4000);
    transaction_history_init(&scenario.history, sim);
    make_broker(&scenario, options);
    make_clients(&scenario);
    uint64_t lives = 1 + random_below(&scenario.random, 4);
    for (uint64_t i = 0; i < lives; i++)
        sim_broker_live(&scenario.broker, 6 * second_ns);
    heal(&scenario);
    if (options->chatty)
        fprintf(stderr,
                "%llu committed, %llu aborted, %llu unknown at some time, %llu fenced, %llu "
                "compactions\n",
                (unsigned long long)scenario.history.commits,
                (unsigned long long)scenario.history.aborts,
                (unsigned long long)scenario.history.unknown,
                (unsigned long long)scenario.history.fenced,
                (unsigned long long)sim_broker_compactions(&scenario.broker));
    sim_broker_deinit(&scenario.broker);
    transaction_history_deinit(&scenario.history);
}
