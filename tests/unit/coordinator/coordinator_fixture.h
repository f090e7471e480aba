/*
 * A coordinator of any kind on a partition in memory: a real replica and log, a clock that the test
 * turns, and a metadata image that the test changes.
 *
 *     struct coordinator_fixture fixture;
 *     coordinator_fixture_init(&fixture, &my_kind);
 *     ... change fixture.config ...
 *     coordinator_fixture_start(&fixture);              loaded and ACTIVE (or FAILED)
 *     struct fixture_call call;
 *     fixture_call_init(&fixture, &call, version, &request, &response);
 *     my_handler(coordinator_fixture_state(&fixture), &call.call);
 *     coordinator_fixture_run(&fixture);                committed: call.told == 1
 *     ... call.call.error, response ...
 *     fixture_call_deinit(&call);
 *     coordinator_fixture_deinit(&fixture);             resigns; asserts that all memory is back
 *
 * Nothing happens by itself: the test acts, then runs or advances.
 */
#ifndef KLAMM_TESTS_UNIT_COORDINATOR_COORDINATOR_FIXTURE_H
#define KLAMM_TESTS_UNIT_COORDINATOR_COORDINATOR_FIXTURE_H

#include "coordinator/lifecycle.h"
#include "replication/replica.h"
#include "tests/unit/log/log_fixture.h"
#include "tests/unit/replication/replica_alone.h"

struct coordinator_fixture {
    struct log_fixture log; /* log.node.wall_ms is the time */
    struct heap heap;       /* of the coordinator */
    struct heap other_heap; /* of everything around it */
    struct arena arena;     /* of the configuration */
    struct server_config config;
    const struct coordinator_kind *kind;
    struct replica_host replica_host;
    struct replica *replica;
    struct coordinator_host host;
    struct coordinator *coordinator; /* NULL: resigned */
    const struct image *image;
    uint32_t next_topic;
    int32_t leader_epoch; /* 1 at first */
    bool is_refusing;
};

/* A call and what became of it. */
struct fixture_call {
    struct coordinator_call call;
    struct arena arena;
    unsigned told; /* times that `done` ran */
};

void coordinator_fixture_init(struct coordinator_fixture *fixture,
                              const struct coordinator_kind *kind);
void coordinator_fixture_start(struct coordinator_fixture *fixture);
void coordinator_fixture_deinit(struct coordinator_fixture *fixture);

/* The kind's state; the coordinator must be ACTIVE. It is another one after every load. */
void *coordinator_fixture_state(struct coordinator_fixture *fixture);

/* A call of client "client" at /127.0.0.1; the response is the caller's, initialised. */
void fixture_call_init(struct coordinator_fixture *fixture, struct fixture_call *call,
                       int16_t version, const void *request, void *response);
/* It was told (or never given to a handler). */
void fixture_call_deinit(struct fixture_call *call);

/* Runs until nothing is left to do at this time; moves time by `ms` first. */
void coordinator_fixture_run(struct coordinator_fixture *fixture);
void coordinator_fixture_advance(struct coordinator_fixture *fixture, int64_t ms);

/* From now on appends are taken but not committed; until commit, which runs. */
void coordinator_fixture_hold(struct coordinator_fixture *fixture);
void coordinator_fixture_commit(struct coordinator_fixture *fixture);
/* Appends are refused at once (the handler sees NOT_COORDINATOR), or taken again. */
void coordinator_fixture_refuse(struct coordinator_fixture *fixture, bool refuse);
/* The next append is taken and then lost: at the next run the coordinator loads anew. */
void coordinator_fixture_lose_next(struct coordinator_fixture *fixture);

/* Resigns, as when the leadership goes; parked calls are told NOT_COORDINATOR. */
void coordinator_fixture_resign(struct coordinator_fixture *fixture);
/* Resigns if need be, leads with the next epoch and loads the log again. */
void coordinator_fixture_reload(struct coordinator_fixture *fixture);
/* Power cut: only what was committed is left; then as reload. Ends a hold. */
void coordinator_fixture_crash(struct coordinator_fixture *fixture);

/* Creates the topic, or changes its partitions to `partitions`; all led by node 1. Shows the image.
 */
struct uuid coordinator_fixture_set_topic(struct coordinator_fixture *fixture, const char *name,
                                          int32_t partitions);
void coordinator_fixture_delete_topic(struct coordinator_fixture *fixture, const char *name);
/* A dynamic setting of a resource (NULL value: removes it), and a finalized feature. */
void coordinator_fixture_set_setting(struct coordinator_fixture *fixture,
                                     enum config_resource_type type, const char *resource,
                                     const char *name, const char *value);
void coordinator_fixture_set_feature(struct coordinator_fixture *fixture, const char *name,
                                     int16_t level);

/* Appends a batch that some other version might have written, before a load; runs. */
void coordinator_fixture_write(struct coordinator_fixture *fixture,
                               const struct batch_options *options, struct view key,
                               struct view value);
/* Every record of the log in order, whatever the coordinator made of it. Markers are left out. */
void coordinator_fixture_each(struct coordinator_fixture *fixture,
                              void (*visit)(void *context, const struct coordinator_record *record),
                              void *context);
/* How many records of a type are in the log; tombstones count. */
uint32_t coordinator_fixture_count(struct coordinator_fixture *fixture, int16_t type);

#endif
