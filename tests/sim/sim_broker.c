/*
 * The faults of a life are drawn anew each time. A write or sync that failed leaves a cache that
 * shows what the platter will never have, so such a life ends with the power cut that the broker's
 * own end (it stops the directory) allows for.
 */
#include "tests/sim/sim_broker.h"

#include <stdio.h>

#include "base/assert.h"

enum { SHARDS = SIM_BROKER_SHARDS, OVERRIDES_MAX = 64 };

static const uint64_t second_ns = UINT64_C(1000000000);

/* ---- The node's code ---- */

static void node_ready(void *self)
{
    struct sim_broker *broker = self;
    broker->is_ready = true;
}

static void node_ended(void *self, int status)
{
    struct sim_broker *broker = self;
    sim_node_stop(broker->process->control.loop, status);
}

static struct sim_broker_process *make_process(struct sim_broker *broker, struct loop *loop)
{
    struct sim_broker_process *process = heap_must_get(loop->heap, MEMORY_STATE, sizeof(*process));
    process->broker = (struct broker){.config = &broker->config,
                                      .diagnostics = loop->diagnostics,
                                      .shard_count = SHARDS,
                                      .request_memory = 16 * 1024 * 1024,
                                      .open_files_limit = 8,
                                      .control = &process->control};
    return process;
}

static void broker_boot(struct loop *loop, void *argument)
{
    struct sim_broker *broker = argument;
    if (!broker->process)
        broker->process = make_process(broker, loop);
    struct sim_broker_process *process = broker->process;
    if (loop->index > 0) {
        shard_boot(&process->shards[loop->index], &process->broker, loop);
        return;
    }
    struct control_host host = {.ready = node_ready, .ended = node_ended, .self = broker};
    control_boot(&process->control, &process->broker, loop, host);
}

static void broker_stop(struct loop *loop)
{
    control_stop(loop->owner);
}

/* ---- Making one ---- */

static void build_config(struct sim_broker *broker, const struct view *overrides,
                         size_t override_count)
{
    char shards[32];
    snprintf(shards, sizeof(shards), "klamm.shards=%d", SHARDS);
    struct view all[OVERRIDES_MAX] = {VIEW_LITERAL("log.dirs=/data"), view_of_string(shards)};
    sim_require(broker->sim, override_count + 2 <= OVERRIDES_MAX, "too many settings");
    for (size_t i = 0; i < override_count; i++)
        all[2 + i] = overrides[i];
    struct server_config_input input = {.overrides = all, .override_count = 2 + override_count};
    struct config_report report = {0};
    heap_init_plain(&broker->heap);
    arena_init(&broker->arena, &broker->heap, MEMORY_STATE, 0);
    if (!server_config_build(&broker->config, &input, &report, &broker->arena))
        sim_fail(broker->sim, "the configuration is refused: %.*s",
                 report.count > 0 ? (int)report.messages[0].text.size : 0,
                 report.count > 0 ? (const char *)report.messages[0].text.data : "");
}

void sim_broker_draw_cleaning(struct sim_broker_cleaning *cleaning, struct random_stream *random,
                              struct view overrides[SIM_BROKER_CLEANING])
{
    bool cleans = random_chance(random, 1, 2);
    uint64_t backoff_ms = cleans ? 20 + random_below(random, 500) : 15000;
    /* Segments are rolled by time: topics have none smaller than a mebibyte. */
    const struct {
        const char *key;
        double value;
    } settings[SIM_BROKER_CLEANING] = {
        {"log.cleaner.backoff.ms", (double)backoff_ms},
        {"log.cleaner.min.cleanable.ratio", (double)random_below(random, 60) / 100},
        {"log.cleaner.delete.retention.ms", (double)random_below(random, 3000)},
        {"log.roll.ms", (double)(50 + random_below(random, 1000))},
    };
    for (int i = 0; i < SIM_BROKER_CLEANING; i++) {
        snprintf(cleaning->texts[i], sizeof(cleaning->texts[i]), "%s=%g", settings[i].key,
                 settings[i].value);
        overrides[i] = view_of_string(cleaning->texts[i]);
    }
}

void sim_broker_init(struct sim_broker *broker, struct sim *sim,
                     const struct scenario_options *options, struct random_stream *random,
                     const struct view *overrides, size_t override_count)
{
    *broker = (struct sim_broker){.sim = sim, .options = options, .random = random};
    build_config(broker, overrides, override_count);
    broker->node = sim_add_node(sim, &(struct sim_node_spec){.loops = SHARDS + 1,
                                                             .boot = broker_boot,
                                                             .stop_requested = broker_stop,
                                                             .argument = broker,
                                                             .chatty = options->chatty});
}

void sim_broker_deinit(struct sim_broker *broker)
{
    arena_deinit(&broker->arena);
}

/* ---- Lives ---- */

void sim_broker_start(struct sim_broker *broker)
{
    broker->process = NULL;
    broker->is_ready = false;
    broker->starts++;
    sim_start(broker->sim, broker->node);
}

void sim_broker_heal(struct sim_broker *broker)
{
    *sim_node_faults(broker->sim, broker->node) =
        (struct sim_faults){.test_points = broker->options->test_points};
    if (!sim_is_running(broker->sim, broker->node))
        sim_broker_start(broker);
}

bool sim_broker_draw_faults(struct sim_broker *broker)
{
    struct random_stream *random = broker->random;
    struct sim_faults *faults = sim_node_faults(broker->sim, broker->node);
    *faults = (struct sim_faults){.test_points = broker->options->test_points};
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
    return faults->write_error > 0 || faults->sync_error > 0;
}

static bool is_down(void *context)
{
    struct sim_broker *broker = context;
    return !sim_is_running(broker->sim, broker->node);
}

void sim_broker_live(struct sim_broker *broker, uint64_t most_ns)
{
    struct sim *sim = broker->sim;
    struct random_stream *random = broker->random;
    bool power_cut = random_chance(random, 1, 2);
    /* After a failed sync the cache may show what the platter will never have (storage.h). */
    power_cut = sim_broker_draw_faults(broker) || power_cut;
    sim_broker_start(broker);
    if (random_chance(random, 1, 2))
        sim_crash_at_storage_call(sim, broker->node,
                                  1 + random_below(random, UINT64_C(1) << random_below(random, 13)),
                                  power_cut);
    sim_run_to(sim, is_down, broker, sim_now_ns(sim) + random_below(random, most_ns));
    if (sim_is_running(sim, broker->node) && random_chance(random, 1, 4)) {
        sim_stop(sim, broker->node);
        bool stopped = sim_run_to(sim, is_down, broker, sim_now_ns(sim) + 120 * second_ns);
        sim_require(sim, stopped, "the node does not stop");
    }
    if (power_cut)
        sim_power_cut(sim, broker->node);
    else
        sim_crash(sim, broker->node);
    sim_run_until(sim, sim_now_ns(sim) + random_below(random, second_ns));
}

uint64_t sim_broker_compactions(const struct sim_broker *broker)
{
    uint64_t count = 0;
    if (!broker->process || !sim_is_running(broker->sim, broker->node))
        return 0;
    for (int i = 1; i <= SHARDS; i++)
        count += broker->process->shards[i].cleaner.counters.compactions;
    return count;
}
