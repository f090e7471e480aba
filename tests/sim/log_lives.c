/* The lives of one run are drawn from the seed; what is done in them is the node's matter. */
#include "tests/sim/log_lives.h"

#include <stdio.h>

enum { LIVES_MAX = 6 };

static const uint64_t second_ns = UINT64_C(1000000000);
static const uint64_t stop_limit_s = 120;

static bool has_ended(void *context)
{
    const struct log_lives *lives = context;
    return lives->failed_device || !sim_is_running(lives->sim, lives->node);
}

static bool has_verified_or_ended(void *context)
{
    const struct log_lives *lives = context;
    return lives->verified || has_ended(context);
}

static bool draw(struct log_lives *lives, struct log_odds odds)
{
    return random_chance(&lives->random, odds.part, odds.whole);
}

static void draw_faults(struct log_lives *lives, const struct log_lives_spec *spec)
{
    struct random_stream *random = &lives->random;
    struct sim_faults *faults = sim_node_faults(lives->sim, lives->node);
    *faults = (struct sim_faults){.test_points = lives->options->test_points};
    if (random_chance(random, 1, 2))
        faults->append_pending = 200000;
    if (random_chance(random, 1, 2))
        faults->read_miss = 200000;
    if (random_chance(random, 1, 4))
        faults->storage_slow = 1 + (uint32_t)random_below(random, 20);
    if (draw(lives, spec->no_space))
        faults->no_space = 5000;
    lives->faults_allowed = draw(lives, spec->errors);
    if (lives->faults_allowed) {
        faults->write_error = random_chance(random, 1, 2) ? 2000 : 0;
        faults->sync_error = random_chance(random, 1, 2) ? 2000 : 0;
        faults->read_error = random_chance(random, 1, 2) ? 500 : 0;
    }
    /* Refused space while opening or stopping ends in a failed directory, which is fair. */
    lives->faults_allowed = lives->faults_allowed || faults->no_space > 0;
}

static void print_life(const struct log_lives *lives, bool power_cut, bool crash_at_call)
{
    const struct sim_faults *faults = sim_node_faults(lives->sim, lives->node);
    fprintf(stderr, "life: %s%s pending %u miss %u no space %u write %u sync %u read %u\n",
            power_cut ? "power cut" : "crash", crash_at_call ? " at a call" : "",
            faults->append_pending, faults->read_miss, faults->no_space, faults->write_error,
            faults->sync_error, faults->read_error);
    sim_print_files(lives->sim, lives->node);
}

/* Stops in good order; returns whether the machine loses power when this life ends. */
static bool stop(struct log_lives *lives, bool power_cut, const struct log_lives_spec *spec)
{
    struct sim *sim = lives->sim;
    lives->stop_wanted = true;
    bool reached = sim_run_to(sim, has_ended, lives, sim_now_ns(sim) + stop_limit_s * second_ns);
    sim_require(sim, reached, "the log did not stop within %llu s",
                (unsigned long long)stop_limit_s);
    if (!lives->stopped)
        return power_cut;
    power_cut = draw(lives, spec->power_cut);
    if (power_cut)
        sim_power_cut(sim, lives->node);
    return power_cut;
}

/* Dies now, by power cut or as a process; after device errors only a power cut is judged. */
static void end_life(struct log_lives *lives, bool power_cut)
{
    struct sim *sim = lives->sim;
    power_cut = power_cut || lives->failed_device;
    if (sim_is_running(sim, lives->node) && power_cut)
        sim_power_cut(sim, lives->node);
    else if (sim_is_running(sim, lives->node))
        sim_crash(sim, lives->node);
    /* What an earlier power cut took is still missing when nobody has looked meanwhile. */
    if (power_cut)
        lives->durable_only = true;
    else if (lives->opened)
        lives->durable_only = false;
}

static void live(struct log_lives *lives, const struct log_lives_spec *spec, bool is_last)
{
    struct sim *sim = lives->sim;
    struct random_stream *random = &lives->random;
    lives->opened = lives->verified = lives->failed_device = false;
    lives->stop_wanted = lives->stopped = false;
    draw_faults(lives, spec);
    if (is_last) {
        *sim_node_faults(sim, lives->node) =
            (struct sim_faults){.test_points = lives->options->test_points};
        lives->faults_allowed = false;
    }
    bool power_cut = draw(lives, spec->power_cut);
    bool crash_at_call = !is_last && random_chance(random, 1, 2);
    if (lives->options->chatty)
        print_life(lives, power_cut, crash_at_call);
    sim_start(sim, lives->node);
    if (crash_at_call)
        sim_crash_at_storage_call(
            sim, lives->node,
            1 + random_below(random, UINT64_C(1) << random_below(random, spec->calls_log2)),
            power_cut);
    bool reached = sim_run_to(sim, has_verified_or_ended, lives,
                              sim_now_ns(sim) + spec->open_limit_s * second_ns);
    sim_require(sim, reached, "the log did not open within %llu s",
                (unsigned long long)spec->open_limit_s);
    sim_run_to(sim, has_ended, lives, sim_now_ns(sim) + (random_below(random, 2000) + 1) * 1000000);
    if (!has_ended(lives) && random_chance(random, 1, 4))
        power_cut = stop(lives, power_cut, spec);
    end_life(lives, power_cut);
}

void log_lives_init(struct log_lives *lives, struct sim *sim,
                    const struct scenario_options *options)
{
    struct arena arena;
    struct heap heap;
    struct topic_config topic;
    *lives = (struct log_lives){.sim = sim, .options = options};
    random_init(&lives->random, sim_seed(sim), 1000);
    log_model_init(&lives->model, sim);
    log_model_init(&lives->failed, sim);
    heap_init_plain(&heap);
    arena_init(&arena, &heap, MEMORY_SCRATCH, 0);
    topic_config_default(&topic, &arena);
    log_config_of_topic(&lives->config, &topic);
    arena_deinit(&arena);
}

void log_lives_run(struct log_lives *lives, const struct log_lives_spec *spec)
{
    lives->node = sim_add_node(
        lives->sim,
        &(struct sim_node_spec){
            .loops = 1, .boot = spec->boot, .argument = lives, .chatty = lives->options->chatty});
    uint64_t count = 1 + random_below(&lives->random, LIVES_MAX);
    for (uint64_t i = 0; i < count; i++)
        live(lives, spec, false);
    live(lives, spec, true);
    sim_note(lives->sim, &lives->operations, sizeof(lives->operations));
}

void log_lives_deinit(struct log_lives *lives)
{
    log_model_deinit(&lives->model);
    log_model_deinit(&lives->failed);
}
