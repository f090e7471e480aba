/*
 * A whole broker as a simulated node, and its lives: it is started, gets into trouble, and ends by
 * an order, a kill or a power cut. What all scenarios with a broker share.
 *
 * Invariants:
 *  1. What is here lives outside of the node: a crash takes nothing of it.
 *  2. `process` is the memory of the running node, NULL until its first loop boots; when the node
 *     does not run it is nobody's.
 */
#ifndef KLAMM_TESTS_SIM_SIM_BROKER_H
#define KLAMM_TESTS_SIM_SIM_BROKER_H

#include "broker/control.h"
#include "broker/shard.h"
#include "config/server_config.h"
#include "tests/sim/scenario.h"

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
    struct sim_broker_process *process; /* of the running node, or stale */
    bool is_ready;                      /* it listens */
    unsigned starts;                    /* so far */
};

/* The memory of the running node; for checks that look into it between events. */
enum { SIM_BROKER_SHARDS = 2 };
struct sim_broker_process {
    struct broker broker;
    struct control control;
    struct shard shards[SIM_BROKER_SHARDS + 1]; /* the first one is not used */
};

/* Adds the node, with these settings over the defaults; it does not run yet. */
void sim_broker_init(struct sim_broker *broker, struct sim *sim,
                     const struct scenario_options *options, struct random_stream *random,
                     const struct view *overrides, size_t override_count);
void sim_broker_deinit(struct sim_broker *broker);
/* Starts it; it must not run. */
void sim_broker_start(struct sim_broker *broker);
/*
 * Draws the faults of the life that begins. True: the disk may lie about failed writes or syncs
 * (storage.h), so only a power cut may end this life.
 */
bool sim_broker_draw_faults(struct sim_broker *broker);
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
