/*
 * One compacted partition log on one simulated node, through several lives (log_lives.h). A life
 * (compact_life.c) begins by walking over the log (compact_reader.c); so does the last one.
 */
#include "tests/sim/compact_life.h"

static void draw_config(struct scenario *scenario)
{
    struct random_stream *random = &scenario->lives.random;
    struct log_config *config = &scenario->lives.config;
    config->segment_bytes = 1500 + (int32_t)random_below(random, 15000);
    config->index_interval_bytes = 1 + (int32_t)random_below(random, 2000);
    config->durability =
        random_chance(random, 2, 3) ? TOPIC_DURABILITY_SYNC : TOPIC_DURABILITY_CACHE;
    config->file_delete_delay_ms = (int64_t)random_below(random, 500);
    config->cleanup_compact = true;
    config->cleanup_delete = random_chance(random, 1, 4);
    if (config->cleanup_delete)
        config->retention_bytes = 30000 + (int64_t)random_below(random, 200000);
    config->min_cleanable_ratio = (double)random_below(random, 60) / 100;
    config->delete_retention_ms = (int64_t)random_below(random, 1500);
    config->min_compaction_lag_ms =
        random_chance(random, 1, 4) ? (int64_t)random_below(random, 500) : 0;
    if (random_chance(random, 1, 3))
        config->max_compaction_lag_ms =
            config->min_compaction_lag_ms + 1 + (int64_t)random_below(random, 2000);
    scenario->delete_retention_min_ms = config->delete_retention_ms;
}

void compact_scenario_run(struct sim *sim, const struct scenario_options *options)
{
    static const struct log_lives_spec spec = {.boot = compact_life_boot,
                                               .no_space = {1, 4},
                                               .errors = {1, 5},
                                               .power_cut = {2, 3},
                                               .calls_log2 = 13,
                                               .open_limit_s = 120};
    struct scenario scenario = {0};
    log_lives_init(&scenario.lives, sim, options);
    draw_config(&scenario);
    log_lives_run(&scenario.lives, &spec);
    log_lives_deinit(&scenario.lives);
}
