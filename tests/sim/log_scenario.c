/*
 * One partition log on one simulated node, through several lives (log_lives.h). A life (log_life.c)
 * begins by comparing the log as a whole with the model (log_checks.c); so does the last one.
 */
#include "tests/sim/log_life.h"

static void draw_config(struct log_lives *lives)
{
    struct random_stream *random = &lives->random;
    struct log_config *config = &lives->config;
    config->segment_bytes = 20000 + (int32_t)random_below(random, 60000);
    config->index_interval_bytes = 1 + (int32_t)random_below(random, 5000);
    config->durability =
        random_chance(random, 2, 3) ? TOPIC_DURABILITY_SYNC : TOPIC_DURABILITY_CACHE;
    config->file_delete_delay_ms = (int64_t)random_below(random, 2000);
    if (random_chance(random, 1, 3))
        config->retention_bytes = 30000 + (int64_t)random_below(random, 200000);
    if (random_chance(random, 1, 4))
        config->flush_ms = 10 + (int64_t)random_below(random, 2000);
}

void log_scenario_run(struct sim *sim, const struct scenario_options *options)
{
    static const struct log_lives_spec spec = {.boot = log_life_boot,
                                               .no_space = {1, 3},
                                               .errors = {1, 4},
                                               .power_cut = {1, 2},
                                               .calls_log2 = 12,
                                               .open_limit_s = 600};
    struct scenario scenario = {0};
    struct log_lives *lives = &scenario.lives;
    log_lives_init(lives, sim, options);
    draw_config(lives);
    scenario.truncates = options->truncates && random_chance(&lives->random, 1, 2);
    log_lives_run(lives, &spec);
    log_lives_deinit(lives);
}
