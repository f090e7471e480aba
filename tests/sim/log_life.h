/*
 * The inside of the log scenario: what outlives its nodes, one life of the node, and the functions
 * that its files call in each other. log_scenario.c draws the run, log_life.c lives a life,
 * log_checks.c compares the log with the model. What it shares with others: log_lives.h,
 * log_node.h.
 */
#ifndef KLAMM_TESTS_SIM_LOG_LIFE_H
#define KLAMM_TESTS_SIM_LOG_LIFE_H

#include "tests/sim/log_node.h"
#include "tests/sim/state_damage.h"

enum {
    PRODUCERS = 4,
    SCAN_SIZE = 64 * 1024,
    READS_MAX = 4 /* under way at a time */
};

/* ---- State outside of the node ---- */

struct scenario {
    struct log_lives lives;
    struct state_damage_copy state_copy; /* of the state file of some clean stop */
    bool truncates;                      /* this run cuts the log now and then */
};

/* ---- State inside of the node ---- */

struct scan {
    struct life *life;
    struct log_read read;
    struct log_slice slice;
    struct log_warm warm;
    uint8_t *data; /* SCAN_SIZE */
    bool busy;
    bool whole;        /* goes on to the end, for verification */
    int64_t limit;     /* do not read behind this offset */
    uint32_t patience; /* warms in a row */
    uint64_t cuts;     /* of the life, at the start */
};

/* In the node's memory: gone with it. */
struct life {
    struct log_node node;
    struct scenario *scenario;
    struct state_damage damage;
    struct scan scans[READS_MAX];
    struct directory_flush_wait checkpoint_wait;
    bool checkpointing;
};

/* ---- A life: log_life.c ---- */

/* The entry of the node. */
void log_life_boot(struct loop *loop, void *lives);

/* ---- Comparing: log_checks.c ---- */

void log_check_producers(struct life *life);
/* Leader epochs of the batches from this offset on. */
void log_check_epochs(struct life *life, int64_t from);
/* What an open log may look like after the last death; then the model follows it. */
void log_check_recovered(struct life *life);
/* Reads everything, then calls log_node_start_operations. */
void log_check_whole(struct life *life);
/* One read from the offset on, unless as many as may are under way. */
void log_check_read(struct life *life, int64_t offset, enum log_read_bound bound);
/* Looks a timestamp up. */
void log_check_lookup(struct life *life, int64_t timestamp);
/* Reads or lookups are under way. */
bool log_checks_are_busy(const struct life *life);

#endif
