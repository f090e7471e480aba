/*
 * A whole broker with simulated clients. The node is killed, loses power, is stopped and started,
 * streams break, the disk is slow; producers retry until acknowledged, consumers note what they
 * read. In the end all faults stop, everything pending must be acknowledged, and a fresh consumer
 * reads all partitions from the start: the history must hold together.
 */
#include <stdio.h>

#include "base/assert.h"
#include "broker/control.h"
#include "broker/shard.h"
#include "config/server_config.h"
#include "tests/sim/node_clients.h"
#include "tests/sim/scenario.h"

enum { SHARDS = 2, CLIENTS_MAX = 6 };

static const uint64_t second_ns = UINT64_C(1000000000);

/* Lives in the node's memory. */
struct process {
    struct broker broker;
    struct control control;
    struct shard shards[SHARDS + 1];
};

struct scenario {
    struct sim *sim;
    const struct scenario_options *options;
    struct random_stream random;
    struct history history;
    struct server_config config;
    struct heap heap;
    struct arena arena;
    unsigned node;
    struct process *process; /* of the running node; NULL until its first loop boots */
    unsigned client_count;
    struct client_role clients[CLIENTS_MAX + 1]; /* the last one reads at the end */
    bool is_ready;
};

/* ---- The broker ---- */

static void node_ready(void *self)
{
    struct scenario *scenario = self;
    scenario->is_ready = true;
}

static void node_ended(void *self, int status)
{
    struct scenario *scenario = self;
    sim_node_stop(scenario->process->control.loop, status);
}

static struct process *make_process(struct scenario *scenario, struct loop *loop)
{
    struct process *process = heap_must_get(loop->heap, MEMORY_STATE, sizeof(*process));
    process->broker = (struct broker){.config = &scenario->config,
                                      .diagnostics = loop->diagnostics,
                                      .shard_count = SHARDS,
                                      .request_memory = 16 * 1024 * 1024,
                                      .open_files_limit = 8,
                                      .control = &process->control};
    return process;
}

static void broker_boot(struct loop *loop, void *argument)
{
    struct scenario *scenario = argument;
    if (!scenario->process)
        scenario->process = make_process(scenario, loop);
    struct process *process = scenario->process;
    if (loop->index > 0) {
        shard_boot(&process->shards[loop->index], &process->broker, loop);
        return;
    }
    struct control_host host = {.ready = node_ready, .ended = node_ended, .self = scenario};
    control_boot(&process->control, &process->broker, loop, host);
}

static void broker_stop(struct loop *loop)
{
    control_stop(loop->owner);
}

static void build_config(struct scenario *scenario)
{
    struct random_stream *random = &scenario->random;
    char roll[64], shards[32];
    snprintf(roll, sizeof(roll), "log.roll.ms=%llu",
             (unsigned long long)(200 + random_below(random, 5000)));
    snprintf(shards, sizeof(shards), "klamm.shards=%d", SHARDS);
    const struct view overrides[] = {VIEW_LITERAL("log.dirs=/data"),
                                     VIEW_LITERAL("num.partitions=3"), view_of_string(roll),
                                     view_of_string(shards)};
    struct server_config_input input = {.overrides = overrides,
                                        .override_count = sizeof(overrides) / sizeof(overrides[0])};
    struct config_report report = {0};
    heap_init_plain(&scenario->heap);
    arena_init(&scenario->arena, &scenario->heap, MEMORY_STATE, 0);
    if (!server_config_build(&scenario->config, &input, &report, &scenario->arena))
        sim_fail(scenario->sim, "the configuration is refused: %.*s",
                 report.count > 0 ? (int)report.messages[0].text.size : 0,
                 report.count > 0 ? (const char *)report.messages[0].text.data : "");
}

static void start_broker(struct scenario *scenario)
{
    scenario->process = NULL;
    scenario->is_ready = false;
    for (unsigned i = 0; i < scenario->client_count; i++)
        scenario->clients[i].restarts++;
    sim_start(scenario->sim, scenario->node);
}

/* ---- Trouble ---- */

static void draw_faults(struct scenario *scenario)
{
    struct random_stream *random = &scenario->random;
    struct sim_faults *faults = sim_node_faults(scenario->sim, scenario->node);
    *faults = (struct sim_faults){.test_points = scenario->options->test_points};
    if (random_chance(random, 1, 2))
        faults->append_pending = 100000;
    if (random_chance(random, 1, 2))
        faults->read_miss = 100000;
    if (random_chance(random, 1, 3))
        faults->stream_reset = 5000;
    if (random_chance(random, 1, 4))
        faults->storage_slow = 1 + (uint32_t)random_below(random, 20);
    if (random_chance(random, 1, 5))
        faults->no_space = 2000;
    if (random_chance(random, 1, 6)) {
        /* The node then ends by itself; what it had not acknowledged may be lost with the power. */
        faults->write_error = random_chance(random, 1, 2) ? 200 : 0;
        faults->sync_error = random_chance(random, 1, 2) ? 200 : 0;
        faults->read_error = random_chance(random, 1, 2) ? 50 : 0;
    }
}

static bool is_down(void *context)
{
    struct scenario *scenario = context;
    return !sim_is_running(scenario->sim, scenario->node);
}

static void live(struct scenario *scenario)
{
    struct sim *sim = scenario->sim;
    struct random_stream *random = &scenario->random;
    bool power_cut = random_chance(random, 1, 2);
    draw_faults(scenario);
    const struct sim_faults *faults = sim_node_faults(sim, scenario->node);
    /* After a failed sync the cache may show what the platter will never have (storage.h). */
    power_cut = power_cut || faults->write_error > 0 || faults->sync_error > 0;
    start_broker(scenario);
    if (random_chance(random, 1, 2))
        sim_crash_at_storage_call(sim, scenario->node,
                                  1 + random_below(random, UINT64_C(1) << random_below(random, 13)),
                                  power_cut);
    sim_run_to(sim, is_down, scenario, sim_now_ns(sim) + random_below(random, 4 * second_ns));
    if (sim_is_running(sim, scenario->node) && random_chance(random, 1, 4)) {
        sim_stop(sim, scenario->node);
        bool stopped = sim_run_to(sim, is_down, scenario, sim_now_ns(sim) + 120 * second_ns);
        sim_require(sim, stopped, "the node does not stop");
    }
    if (power_cut)
        sim_power_cut(sim, scenario->node);
    else
        sim_crash(sim, scenario->node);
    sim_run_until(sim, sim_now_ns(sim) + random_below(random, second_ns));
}

/* ---- Healing ---- */

static bool is_acknowledged(void *context)
{
    struct scenario *scenario = context;
    for (unsigned i = 0; i < scenario->client_count; i++) {
        if (scenario->clients[i].pending > 0)
            return false;
    }
    return scenario->is_ready;
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
    unsigned node = sim_add_node(
        scenario->sim, &(struct sim_node_spec){.loops = 1, .boot = client_boot, .argument = role});
    sim_start(scenario->sim, node);
}

static void heal(struct scenario *scenario)
{
    struct sim *sim = scenario->sim;
    *sim_node_faults(sim, scenario->node) =
        (struct sim_faults){.test_points = scenario->options->test_points};
    if (!sim_is_running(sim, scenario->node))
        start_broker(scenario);
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
    struct scenario scenario = {.sim = sim, .options = options};
    random_init(&scenario.random, sim_seed(sim), 2000);
    history_init(&scenario.history, sim);
    build_config(&scenario);
    scenario.node = sim_add_node(sim, &(struct sim_node_spec){.loops = SHARDS + 1,
                                                              .boot = broker_boot,
                                                              .stop_requested = broker_stop,
                                                              .argument = &scenario,
                                                              .chatty = options->chatty});
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
        live(&scenario);
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
    arena_deinit(&scenario.arena);
    history_deinit(&scenario.history);
}
