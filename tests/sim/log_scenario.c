/*
 * One partition log on one simulated node, through several lives.
 *
 * A life (log_life.c) ends when the process dies, the machine loses power, the device fails, or a
 * clean stop is asked for. Deaths happen at a drawn storage call or at a drawn time. After the last
 * life the log is opened once more without faults and compared as a whole (log_checks.c).
 */
#include <stdio.h>

#include "tests/sim/log_life.h"

enum { LIVES_MAX = 6 };

/* A device that is slow and often cold takes its time for a search. */
static const uint64_t open_limit_ns = UINT64_C(600) * 1000000000;
static const uint64_t stop_limit_ns = UINT64_C(120) * 1000000000;

static bool has_verified_or_died(void *context)
{
    struct scenario *scenario = context;
    return scenario->verified || scenario->failed_device ||
           !sim_is_running(scenario->sim, scenario->node);
}

static bool has_ended(void *context)
{
    struct scenario *scenario = context;
    return scenario->failed_device || !sim_is_running(scenario->sim, scenario->node);
}

static void draw_faults(struct scenario *scenario)
{
    struct random_stream *random = &scenario->random;
    struct sim_faults *faults = sim_node_faults(scenario->sim, scenario->node);
    *faults = (struct sim_faults){.test_points = scenario->options->test_points};
    if (random_chance(random, 1, 2))
        faults->append_pending = 200000;
    if (random_chance(random, 1, 2))
        faults->read_miss = 200000;
    if (random_chance(random, 1, 4))
        faults->storage_slow = 1 + (uint32_t)random_below(random, 20);
    if (random_chance(random, 1, 3))
        faults->no_space = 5000;
    scenario->faults_allowed = random_chance(random, 1, 4);
    if (scenario->faults_allowed) {
        faults->write_error = random_chance(random, 1, 2) ? 2000 : 0;
        faults->sync_error = random_chance(random, 1, 2) ? 2000 : 0;
        faults->read_error = random_chance(random, 1, 2) ? 500 : 0;
    }
    /* Refused space while opening or stopping ends in a failed directory, which is fair. */
    scenario->faults_allowed = scenario->faults_allowed || faults->no_space > 0;
}

static void draw_config(struct scenario *scenario)
{
    struct random_stream *random = &scenario->random;
    struct arena arena;
    struct heap heap;
    heap_init_plain(&heap);
    arena_init(&arena, &heap, MEMORY_SCRATCH, 0);
    struct topic_config topic;
    topic_config_default(&topic, &arena);
    log_config_of_topic(&scenario->config, &topic);
    arena_deinit(&arena);
    scenario->config.segment_bytes = 20000 + (int32_t)random_below(random, 60000);
    scenario->config.index_interval_bytes = 1 + (int32_t)random_below(random, 5000);
    scenario->config.durability =
        random_chance(random, 2, 3) ? TOPIC_DURABILITY_SYNC : TOPIC_DURABILITY_CACHE;
    scenario->config.file_delete_delay_ms = (int64_t)random_below(random, 2000);
    if (random_chance(random, 1, 3))
        scenario->config.retention_bytes = 30000 + (int64_t)random_below(random, 200000);
    if (random_chance(random, 1, 4))
        scenario->config.flush_ms = 10 + (int64_t)random_below(random, 2000);
}

/* Dies now, by power cut or as a process; after device errors only a power cut is judged. */
static void end_life(struct scenario *scenario, bool power_cut)
{
    struct sim *sim = scenario->sim;
    if (scenario->failed_device)
        power_cut = true;
    if (sim_is_running(sim, scenario->node)) {
        if (power_cut)
            sim_power_cut(sim, scenario->node);
        else
            sim_crash(sim, scenario->node);
    }
    scenario->life = NULL;
}

static void live(struct scenario *scenario, bool last)
{
    struct sim *sim = scenario->sim;
    struct random_stream *random = &scenario->random;
    scenario->recovered = scenario->verified = false;
    scenario->failed_device = scenario->stop_wanted = scenario->stopped = false;
    draw_faults(scenario);
    if (last) {
        *sim_node_faults(sim, scenario->node) =
            (struct sim_faults){.test_points = scenario->options->test_points};
        scenario->faults_allowed = false;
    }
    bool power_cut = random_chance(random, 1, 2);
    bool crash_at_call = !last && random_chance(random, 1, 2);
    if (scenario->options->chatty) {
        const struct sim_faults *faults = sim_node_faults(sim, scenario->node);
        fprintf(stderr, "life: %s%s pending %u miss %u no space %u write %u sync %u read %u\n",
                power_cut ? "power cut" : "crash", crash_at_call ? " at a call" : "",
                faults->append_pending, faults->read_miss, faults->no_space, faults->write_error,
                faults->sync_error, faults->read_error);
        sim_print_files(sim, scenario->node);
    }
    sim_start(sim, scenario->node);
    if (crash_at_call)
        sim_crash_at_storage_call(sim, scenario->node,
                                  1 + random_below(random, UINT64_C(1) << random_below(random, 12)),
                                  power_cut);
    bool reached = sim_run_to(sim, has_verified_or_died, scenario, sim_now_ns(sim) + open_limit_ns);
    sim_require(sim, reached, "the log did not open within %llu s",
                (unsigned long long)(open_limit_ns / 1000000000));
    uint64_t until = sim_now_ns(sim) + (random_below(random, 2000) + 1) * 1000000;
    sim_run_to(sim, has_ended, scenario, until);
    if (sim_is_running(sim, scenario->node) && !scenario->failed_device &&
        random_chance(random, 1, 4)) {
        scenario->stop_wanted = true;
        reached = sim_run_to(sim, has_ended, scenario, sim_now_ns(sim) + stop_limit_ns);
        sim_require(sim, reached, "the log did not stop within %llu s",
                    (unsigned long long)(stop_limit_ns / 1000000000));
        if (scenario->stopped)
            power_cut = random_chance(random, 1, 2);
        if (scenario->stopped && power_cut)
            sim_power_cut(sim, scenario->node);
    }
    bool was_power = power_cut || scenario->failed_device;
    end_life(scenario, power_cut);
    /* What an earlier power cut took is still missing when nobody has looked meanwhile. */
    if (was_power)
        scenario->expectation = EXPECT_DURABLE_ONLY;
    else if (scenario->recovered)
        scenario->expectation = EXPECT_NOTHING_LOST;
}

void log_scenario_run(struct sim *sim, const struct scenario_options *options)
{
    struct scenario scenario = {.sim = sim, .options = options};
    random_init(&scenario.random, sim_seed(sim), 1000);
    log_model_init(&scenario.model, sim);
    log_model_init(&scenario.failed, sim);
    draw_config(&scenario);
    scenario.truncates = options->truncates && random_chance(&scenario.random, 1, 2);
    scenario.node = sim_add_node(sim, &(struct sim_node_spec){.loops = 1,
                                                              .boot = log_life_boot,
                                                              .argument = &scenario,
                                                              .chatty = options->chatty});
    uint64_t lives = 1 + random_below(&scenario.random, LIVES_MAX);
    for (uint64_t i = 0; i < lives; i++)
        live(&scenario, false);
    live(&scenario, true);
    sim_note(sim, &scenario.operations, sizeof(scenario.operations));
    log_model_deinit(&scenario.model);
    log_model_deinit(&scenario.failed);
}
