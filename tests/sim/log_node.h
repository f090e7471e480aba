/*
 * The inside of a node that has one partition log (log_lives.h): boots the log directory, opens the
 * log, makes random calls until the process dies, the device fails or a stop is asked for, and
 * closes it. Appends and cuts go through here, so that the model follows them. In the node's
 * memory: gone with it.
 */
#ifndef KLAMM_TESTS_SIM_LOG_NODE_H
#define KLAMM_TESTS_SIM_LOG_NODE_H

#include "log/directory_owner.h"
#include "log/directory_shard.h"
#include "log/log_directory.h"
#include "log/partition_log.h"
#include "tests/sim/log_lives.h"

struct log_node;

/* What a scenario does with its log. */
struct log_node_events {
    /* The directory is there, the log will be opened. May be NULL. */
    void (*booted)(struct log_node *node);
    /* The log is open: it is looked at, then log_node_start_operations. */
    void (*opened)(struct log_node *node);
    void (*operate)(struct log_node *node);
    /* It cannot be closed now. */
    bool (*is_busy)(struct log_node *node);
    /* It will be closed now. May be NULL. */
    void (*closing)(struct log_node *node);
    unsigned operations_max; /* in a row */
    bool opens_known;        /* by the state of a clean stop, where there is one */
    uint64_t journal_size_min, journal_size_range;
    uint32_t journal_partitions_min;
};

struct log_node {
    struct log_lives *lives;
    struct loop *loop;
    const struct log_node_events *events;
    struct log_boot_job boot;
    struct directory_owner owner;
    struct directory_shard directory;
    struct log_shard shard;
    struct log_open_job open;
    struct partition_log *log;
    struct producer_state_options producers;
    struct timer tick;
    struct log_change change;
    struct log_close close;
    struct directory_stop stop;
    bool is_cutting; /* a truncation is under way */
    int64_t cutting_to;
    bool is_stopping;
    unsigned lookups; /* under way */
    unsigned warms;
    uint64_t version; /* changes with every append and cut */
    uint64_t cuts;    /* truncations asked for, and appends that were taken back */
    char path[64];
};

/* For a life, which is a struct that has its node as `node`. */
#define REQUIRE(life, ...) sim_require((life)->node.lives->sim, __VA_ARGS__)

/* What happens, for a person who follows one seed (--chatty). */
#define TRACE(node, ...) log_debug((node)->loop->diagnostics, __VA_ARGS__)

extern const char *const log_node_directories[1];

/* Then log_node_boot, or a job of the scenario before it. */
void log_node_init(struct log_node *node, struct loop *loop, struct log_lives *lives,
                   const struct log_node_events *events);
void log_node_boot(struct log_node *node);
/* A device error was seen, which this life must allow. */
void log_node_device_failed(struct log_node *node);
/*
 * What an open log may look like after the last death: fails unless its end is one of those that
 * were promised. Then log_node_follow, unless the scenario knows better.
 */
void log_node_check_end(struct log_node *node);
/* The model becomes what was found. */
void log_node_follow(struct log_node *node);
/* The log was compared: begins with the random calls. */
void log_node_start_operations(struct log_node *node);
/*
 * Appends a copy of the bytes; the model has it when it was queued. `*append`, for what the log
 * said of it, is there until the next turn.
 */
enum log_append_result log_node_append(struct log_node *node, struct view bytes,
                                       enum log_append_origin origin,
                                       const struct log_append **append);
/* Appends may be refused now. */
bool log_node_may_refuse(const struct log_node *node);
/* Cuts the log; `done` (of node->change) takes the cut to the model and ends is_cutting. */
void log_node_cut(struct log_node *node, int64_t offset, void (*done)(struct log_change *change));
/* Batches from there on may be found again after a crash, though the model will not have them. */
void log_node_remember_failed(struct log_lives *lives, int64_t base_offset);

#endif
