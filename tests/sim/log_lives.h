/*
 * One partition log on one simulated node, through several lives: what outlives the node, and how
 * lives begin and end. What the log and the compact scenario share; log_node.h is the inside.
 *
 * A life ends when the process dies, the machine loses power, the device fails, or a clean stop is
 * asked for. Deaths happen at a drawn storage call or at a drawn time. After the last life the log
 * is opened once more without faults.
 */
#ifndef KLAMM_TESTS_SIM_LOG_LIVES_H
#define KLAMM_TESTS_SIM_LOG_LIVES_H

#include "log/partition_log.h"
#include "tests/sim/log_model.h"
#include "tests/sim/scenario.h"

/* Lies outside of the node. */
struct log_lives {
    struct sim *sim;
    const struct scenario_options *options;
    struct random_stream random;
    struct log_model model;
    struct log_model failed; /* of appends that failed, or cut: they may be found after a crash */
    unsigned node;
    bool durable_only;   /* the last death took what was not synced */
    bool faults_allowed; /* the device may fail in this life */
    bool opened;         /* this life has opened its log */
    bool verified;       /* this life has compared its log */
    bool failed_device;  /* this life saw a device error */
    bool stop_wanted;
    bool stopped; /* this life ended by a clean stop */
    bool clean;   /* everything was closed when the marker began to be written */
    struct log_config config;
    int32_t epoch; /* the newest leader epoch of all lives */
    uint64_t operations;
};

struct log_odds {
    uint32_t part, whole;
};

/* What a scenario draws its lives by. */
struct log_lives_spec {
    void (*boot)(struct loop *loop, void *lives);
    struct log_odds no_space;  /* of lives whose device is full now and then */
    struct log_odds errors;    /* of lives whose device fails */
    struct log_odds power_cut; /* of deaths, else only the process ends */
    unsigned calls_log2;       /* storage calls before a death */
    uint64_t open_limit_s;     /* to open and compare; a slow, cold device takes its time */
};

/* `lives->config` is that of a topic without settings. */
void log_lives_init(struct log_lives *lives, struct sim *sim,
                    const struct scenario_options *options);
void log_lives_run(struct log_lives *lives, const struct log_lives_spec *spec);
void log_lives_deinit(struct log_lives *lives);

#endif
