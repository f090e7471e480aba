/*
 * A whole broker as a simulated node, and its lives: it is started, gets into trouble, and ends by
 * an order, a kill or a power cut. What all scenarios with a broker share.
 *
 * Invariants:
 *  1. What is here lives outside of the node: a crash takes nothing of it.
 *  2. `process` is the memory of the running node, NULL until its first loop boots.
 */
#ifndef KLAMM_TESTS_SIM_SIM_BROKER_H
#define KLAMM_TESTS_SIM_SIM_BROKER_H

#include "config/server_config.h"
#include "tests/sim/scenario.h"

struct sim_broker_process;

/*
 * Settings under which internal topics are compacted all the time, in half of the seeds; in the
 * others hardly ever. The overrides point into `texts`.
 */
enum { SIM_BROKER_CLEANING = 4 };
struct sim_broker_cleaning {
    char texts[SIM_BROKER_CLEANING][64];
};
void sim_broker_draw_cleaning(struct sim_broker_cleaning *cleaning, struct random_stream *random,
                              struct view overrides[SIM_BROKER_CLEANING]);

struct sim_broker {
    struct sim *sim;
    const struct scenario_options *options;
    struct random_stream *random; /* of the scenario: draws faults and lives */
    struct server_config config;
    struct heap heap;
    struct arena arena;
    unsigned node;
    struct sim_broker_process *process;
    bool is_ready;   /* it listens */
    unsigned starts; /* so far */
};

/* Adds the node, with these settings over the defaults; it does not run yet. */
void sim_broker_init(struct sim_broker *broker, struct sim *sim,
                     const struct scenario_options *options, struct random_stream *random,
                     const struct view *overrides, size_t override_count);
void sim_broker_deinit(struct sim_broker *broker);
/* Starts it when it does not run, in a kind world. */
void sim_broker_heal(struct sim_broker *broker);
/*
 * One life of up to `most_ns`: draws faults, starts, and ends it (with a clean stop first, in one
 * of four lives); a pause follows.
 */
void sim_broker_live(struct sim_broker *broker, uint64_t most_ns);
/* Of logs, in the present life. */
uint64_t sim_broker_compactions(const struct sim_broker *broker);

#endif
