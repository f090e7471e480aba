/*
 * The inside of the log scenario: what outlives its nodes, one life of the node, and the functions
 * that its files call in each other. log_scenario.c draws the lives, log_life.c lives one,
 * log_checks.c compares the log with the model.
 */
#ifndef KLAMM_TESTS_SIM_LOG_LIFE_H
#define KLAMM_TESTS_SIM_LOG_LIFE_H

#include "base/assert.h"
#include "log/directory_owner.h"
#include "log/directory_shard.h"
#include "log/log_directory.h"
#include "log/partition_log.h"
#include "tests/sim/log_model.h"
#include "tests/sim/scenario.h"

enum {
    PRODUCERS = 4,
    SCAN_SIZE = 64 * 1024,
    READS_MAX = 4 /* under way at a time */
};

/* ---- State outside of the node ---- */

enum expectation { EXPECT_NOTHING_LOST, EXPECT_DURABLE_ONLY };

struct scenario {
    struct sim *sim;
    const struct scenario_options *options;
    struct random_stream random;
    struct log_model model;
    struct log_model failed; /* batches whose append failed and that nothing has replaced yet */
    unsigned node;
    enum expectation expectation; /* of the last death */
    bool faults_allowed;          /* the device may fail in this life */
    bool recovered;               /* this life has opened its log */
    bool verified;                /* this life has compared its log */
    bool failed_device;           /* this life saw a device error */
    bool stop_wanted;
    bool stopped; /* this life ended by a clean stop */
    bool clean;   /* everything was closed when the marker began to be written */
    struct log_config config;
    int32_t epoch;  /* the newest leader epoch of all lives */
    bool truncates; /* this run cuts the log now and then */
    uint64_t operations;
    uint64_t appended, read, looked_up;
    struct life *life; /* of the running node; its memory is the node's */
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
    struct scenario *scenario;
    struct loop *loop;
    struct log_boot_job boot;
    struct directory_owner owner;
    struct directory_shard directory;
    struct log_shard shard;
    struct log_open_job open;
    struct partition_log *log;
    struct producer_state_options producers;
    struct timer tick;
    struct scan scans[READS_MAX];
    struct log_change change;
    struct directory_flush_wait checkpoint_wait;
    bool checkpointing;
    bool changing; /* a truncation is under way */
    int64_t changing_to;
    struct log_close close;
    struct directory_stop stop;
    bool stopping;
    bool clean;       /* the directory was marked clean at boot */
    unsigned lookups; /* under way */
    unsigned warms;
    uint64_t version; /* changes with every append and cut */
    uint64_t cuts;    /* truncations asked for */
    int32_t epoch;
    char path[64];
};

#define FAIL(life, ...) sim_fail((life)->scenario->sim, __VA_ARGS__)
#define REQUIRE(life, condition, ...)                                                              \
    do {                                                                                           \
        if (!(condition))                                                                          \
            FAIL(life, __VA_ARGS__);                                                               \
    } while (0)

/* What happens, for a person who follows one seed (--chatty). */
#define TRACE(life, ...) log_debug((life)->loop->diagnostics, __VA_ARGS__)

/* ---- A life: log_life.c ---- */

/* The entry of the node; `argument` is the scenario. */
void log_life_boot(struct loop *loop, void *argument);
/* The log was compared: begins with the random calls. */
void log_life_start_operations(struct life *life);
/* A device error was seen, which this life must allow. */
void log_life_device_failed(struct life *life);

/* ---- Comparing: log_checks.c ---- */

void log_check_producers(struct life *life);
/* Leader epochs of the batches from this offset on. */
void log_check_epochs(struct life *life, int64_t from);
/* What an open log may look like after the last death; then the model follows it. */
void log_check_recovered(struct life *life);
/* Reads everything, then calls log_life_start_operations. */
void log_check_whole(struct life *life);
/* One read from the offset on, unless as many as may are under way. */
void log_check_read(struct life *life, int64_t offset, enum log_read_bound bound);
/* Looks a timestamp up. */
void log_check_lookup(struct life *life, int64_t timestamp);
/* Reads or lookups are under way. */
bool log_checks_are_busy(const struct life *life);

#endif
