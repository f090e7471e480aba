/*
 * The inside of the compact scenario, for its files. compact_scenario.c draws the run,
 * compact_life.c lives a life, compact_reader.c walks over the log and hands what it reads to
 * compact_model.c. What it shares with others: log_lives.h, log_node.h.
 */
#ifndef KLAMM_TESTS_SIM_COMPACT_LIFE_H
#define KLAMM_TESTS_SIM_COMPACT_LIFE_H

#include "log/cleaner.h"
#include "tests/sim/compact_model.h"
#include "tests/sim/log_node.h"

enum { COMPACT_READERS = 3 /* under way at a time */, READ_SIZE = 64 * 1024 };

/* ---- State outside of the node ---- */

struct scenario {
    struct log_lives lives;
    int64_t compacted_to;       /* nothing at or behind it was compacted, ever */
    int64_t high_watermark_max; /* of all lives: a cut below it would be none of a replica's */
    int64_t delete_retention_min_ms;
    uint64_t records;
};

/* ---- State inside of the node ---- */

struct walk {
    struct life *life;
    struct compact_walk state;
    struct log_read read;
    struct log_slice slice;
    struct log_warm warm;
    struct arena arena;
    uint8_t *data; /* READ_SIZE */
    bool is_busy;
    bool is_whole;        /* from the log start to the end */
    bool is_first;        /* of this life: operations begin when it has ended */
    uint64_t compactions; /* of the life, at the start */
    uint64_t cuts;
    int64_t began_dirty;
    uint32_t patience;
};

struct life {
    struct log_node node;
    struct scenario *scenario;
    struct cleaner cleaner;
    struct cleaner_permits permits;
    struct walk walks[COMPACT_READERS];
    struct directory_flush_wait flush;
};

/* The entry of the node. */
void compact_life_boot(struct loop *loop, void *lives);
/*
 * Walks over the log, structurally or as the view of committed data, unless as many as may are
 * under way. `is_whole`: from the log start to the end. Behind the first walk of a life comes the
 * first view, behind it the operations.
 */
void compact_read_begin(struct life *life, bool is_view, bool is_whole, bool is_first);

#endif
