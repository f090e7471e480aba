/*
 * A whole broker with simulated clients. The node is killed, loses power, is stopped and started,
 * streams break, the disk is slow; producers retry until acknowledged, consumers note what they
 * read. In the end all faults stop, everything pending must be acknowledged, and a fresh consumer
 * reads all partitions from the start: the history must hold together.
 */
#include <stdio.h>

#include "tests/sim/node_clients.h"
#include "tests/sim/sim_broker.h"

enum { CLIENTS_MAX = 6 };

static const uint64_t second_ns = UINT64_C(1000000000);

struct scenario {
    struct sim *sim;
    struct random_stream random;
    struct history history;
    struct sim_broker broker;
    unsigned client_count;
    struct client_role clients[CLIENTS_MAX + 1]; /* the last one reads at the end */
};

/* ---- Healing ---- */

static bool is_acknowledged(void *context)
{
    struct scenario *scenario = context;
    for (unsigned i = 0; i < scenario->client_count; i++) {
        if (scenario->clients[i].pending > 0)
            return false;
    }
    return scenario->broker.is_ready;
}

static bool has_read_all(void *context)
{
    struct scenario *scenario = context;
    const struct client_role *reader = &scenario->clients[scenario->client_count];
    for (int i = 0; i < HISTORY_PARTITIONS; i++) {
        if (reader->positions[i] < scenario->history.partitions[i].end)
            return false;
    }
    return true;
}

static void add_client(struct scenario *scenario, unsigned number)
{
    struct client_role *role = &scenario->clients[number];
    role->history = &scenario->history;
    role->number = number;
    role->host = "node-0";
    role->restarts = &scenario->broker.starts;
    unsigned node = sim_add_node(
        scenario->sim, &(struct sim_node_spec){.loops = 1, .boot = client_boot, .argument = role});
    sim_start(scenario->sim, node);
}

static void heal(struct scenario *scenario)
{
    struct sim *sim = scenario->sim;
    sim_broker_heal(&scenario->broker);
    for (unsigned i = 0; i < scenario->client_count; i++)
        scenario->clients[i].pauses = true;
    bool settled = sim_run_to(sim, is_acknowledged, scenario, sim_now_ns(sim) + 180 * second_ns);
    sim_require(sim, settled, "what is pending is not acknowledged after all faults have ended");
    add_client(scenario, scenario->client_count);
    bool read = sim_run_to(sim, has_read_all, scenario, sim_now_ns(sim) + 180 * second_ns);
    const struct client_role *reader = &scenario->clients[scenario->client_count];
    sim_require(sim, read, "a fresh consumer stands at %lld, %lld, %lld of %lld, %lld, %lld",
                (long long)reader->positions[0], (long long)reader->positions[1],
                (long long)reader->positions[2], (long long)scenario->history.partitions[0].end,
                (long long)scenario->history.partitions[1].end,
                (long long)scenario->history.partitions[2].end);
    history_check(&scenario->history, reader->positions);
}

void node_scenario_run(struct sim *sim, const struct scenario_options *options)
{
    struct scenario scenario = {.sim = sim};
    random_init(&scenario.random, sim_seed(sim), 2000);
    history_init(&scenario.history, sim);
    char roll[64];
    snprintf(roll, sizeof(roll), "log.roll.ms=%llu",
             (unsigned long long)(200 + random_below(&scenario.random, 5000)));
    const struct view overrides[] = {VIEW_LITERAL("num.partitions=3"), view_of_string(roll)};
    sim_broker_init(&scenario.broker, sim, options, &scenario.random, overrides,
                    sizeof(overrides) / sizeof(overrides[0]));
    scenario.client_count = 2 + (unsigned)random_below(&scenario.random, CLIENTS_MAX - 1);
    for (unsigned i = 0; i < scenario.client_count; i++) {
        struct client_role *role = &scenario.clients[i];
        role->is_producer = i == 0 || random_chance(&scenario.random, 2, 3);
        role->is_rude = i > 0 && random_chance(&scenario.random, 1, 6);
        role->is_producer = role->is_producer && !role->is_rude;
        role->is_idempotent = random_chance(&scenario.random, 3, 4);
        role->acks = random_chance(&scenario.random, 1, 4) ? 1 : -1;
        role->pace_ns = UINT64_C(1000000) << random_below(&scenario.random, 6);
        scenario.history.idempotent[i] = role->is_idempotent;
        add_client(&scenario, i);
    }
    uint64_t lives = 1 + random_below(&scenario.random, 4);
    for (uint64_t i = 0; i < lives; i++)
        sim_broker_live(&scenario.broker, 4 * second_ns);
    heal(&scenario);
    if (options->chatty) {
        for (unsigned i = 0; i <= scenario.client_count; i++)
            fprintf(stderr,
                    "client %u: %llu acknowledged, %llu read, %llu retries, %llu abandoned\n", i,
                    (unsigned long long)scenario.clients[i].acknowledged,
                    (unsigned long long)scenario.clients[i].read,
                    (unsigned long long)scenario.clients[i].retries,
                    (unsigned long long)scenario.clients[i].abandoned);
    }
    sim_broker_deinit(&scenario.broker);
    history_deinit(&scenario.history);
}
