/*
 * What a run of klamm-bench is asked to do: one struct, filled from the command line.
 */
#ifndef KLAMM_BENCH_OPTIONS_H
#define KLAMM_BENCH_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum bench_mode {
    BENCH_PRODUCE,
    BENCH_MANY,
    BENCH_FETCH,
    BENCH_TAIL,
    BENCH_GROUP,
    BENCH_COMMIT,
    BENCH_TRANSACTION,
    BENCH_STREAM,
    BENCH_FLOORS
};

struct bench_options {
    enum bench_mode mode;
    char host[256];
    uint16_t port;
    const char *topic;
    int32_t partitions;
    unsigned connections;
    unsigned in_flight;   /* requests a connection may have unanswered */
    double rate;          /* requests a second over all connections; 0: as fast as answered */
    unsigned records_min; /* records of a batch */
    unsigned records_max;
    size_t record_size; /* bytes of a value */
    unsigned batches;   /* partitions written by one request */
    double seconds;
    uint64_t bytes;    /* produce: stop after so many bytes of batches; 0: by time only */
    uint64_t requests; /* produce, many, stream: stop after so many; 0: by time only */
    int acks;
    bool idempotent;          /* produce, many: with producer ids and sequences */
    const char *group;        /* group: its id; commit, transaction, stream: prefix of the ids */
    int transaction_version;  /* transaction: 1 or 2 (KIP-890) */
    double commit_ms;         /* stream: between two commits; 0: not by time */
    uint64_t commit_requests; /* stream: of a producer between two commits; 0: not by count */
    const char *protocol;     /* group: classic or consumer (KIP-848) */
    unsigned rounds;          /* group: rebalances after the first */
    size_t fetch_size;        /* fetch: bytes asked of each partition */
    int broker_pid;           /* 0: the broker's cost is not measured */
    const char *json_path;    /* NULL: no JSON */
    const char *directory;    /* floors: where files are written */
    bool quiet;               /* no progress line */
    const char *configs[16];  /* key=value for a topic that is created */
    unsigned config_count;
};

/* Fills `options`; prints what is wrong or the usage and returns false. */
bool bench_options_parse(struct bench_options *options, int argc, char **argv);

#endif
