/*
 * Consumer groups on a coordinator in memory, asked through ConsumerGroupHeartbeat: a member of the
 * test remembers what a client would, and says what a client would.
 */
#ifndef KLAMM_TESTS_UNIT_CONSUMER_CONSUMER_BENCH_H
#define KLAMM_TESTS_UNIT_CONSUMER_CONSUMER_BENCH_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "consumer/consumer_group.h"
#include "consumer/consumer_groups.h"
#include "protocol/messages/consumer_group_describe.h"
#include "protocol/messages/consumer_group_heartbeat.h"
#include "tests/unit/coordinator/coordinator_fixture.h"

enum { BENCH_TOPICS_MAX = 4, BENCH_PARTITIONS_MAX = 16 };

/* A client: what it asks for, and what it was told. */
struct bench_member {
    const char *id;
    const char *instance;                 /* NULL: dynamic */
    const char *topics[BENCH_TOPICS_MAX]; /* NULL at the end */
    const char *regex;                    /* NULL: none */
    const char *assignor;                 /* NULL: no wish */
    int32_t epoch;
    uint32_t owned; /* bits of the partitions of the first topic that it owns */
};

struct bench_answer {
    enum kafka_error error;
    char message[160];
    char member_id[64];
    int32_t epoch;
    int32_t interval_ms;
    bool has_assignment;
    uint32_t assigned; /* bits of the partitions of all topics together, by `base` */
};

struct consumer_bench {
    struct coordinator_fixture fixture;
    struct {
        const char *name;
        struct uuid id;
        uint32_t base; /* its partition 0 is this bit */
    } topics[BENCH_TOPICS_MAX];
    uint32_t topic_count;
    const char *group;
    int16_t version; /* of heartbeats */
};

/* Started, with group "g". */
void consumer_bench_init(struct consumer_bench *bench);
/* Checks the group's invariants, and that a load gives the same group. */
void consumer_bench_deinit(struct consumer_bench *bench);
/* Partitions of a topic are the bits from 8 times its place on. */
void consumer_bench_topic(struct consumer_bench *bench, const char *name, int32_t partitions);

/* Any request, as it is; runs until it is answered. */
struct bench_answer bench_ask(struct consumer_bench *bench,
                              const struct consumer_group_heartbeat_request *request);
/* A request under way, for many in one turn of the loop. Lies still until it is received. */
struct bench_sent {
    struct consumer_group_heartbeat_request request;
    struct consumer_group_heartbeat_response response;
    struct fixture_call call;
};

/* Hands it to the coordinator and does not run. */
void bench_send(struct consumer_bench *bench, struct bench_sent *sent,
                const struct consumer_group_heartbeat_request *request);
/* After a run: what it was told. */
struct bench_answer bench_receive(const struct consumer_bench *bench, struct bench_sent *sent);
/* A client takes what it was told. */
void bench_note(struct bench_member *member, const struct bench_answer *answer);
/* The request of a heartbeat or leave that says nothing. */
struct consumer_group_heartbeat_request bench_beat_request(const struct consumer_bench *bench,
                                                           const struct bench_member *member);
/* The request of a join or rejoin: everything said, epoch 0. In memory of the fixture's arena. */
struct consumer_group_heartbeat_request bench_join_request(struct consumer_bench *bench,
                                                           const struct bench_member *member);
/* Joins; the member notes what it is told. */
struct bench_answer bench_join(struct consumer_bench *bench, struct bench_member *member);
/* A heartbeat that says nothing. */
struct bench_answer bench_beat(struct consumer_bench *bench, struct bench_member *member);
/* A heartbeat that says which partitions the member owns. */
struct bench_answer bench_beat_owning(struct consumer_bench *bench, struct bench_member *member,
                                      uint32_t owned);
/* A heartbeat that says everything, as after an answer that did not come. */
struct bench_answer bench_beat_fully(struct consumer_bench *bench, struct bench_member *member);
/* Leaves (-1) or pauses (-2). */
struct bench_answer bench_leave(struct consumer_bench *bench, const struct bench_member *member,
                                int32_t epoch);
/* Joins and heartbeats until nobody has anything to do any more. */
void bench_settle(struct consumer_bench *bench, struct bench_member **members, size_t count);

struct consumer_group *bench_group(struct consumer_bench *bench); /* NULL: none */
const struct consumer_member *bench_find(struct consumer_bench *bench, const char *member_id);
/* Records in the log so far. */
uint64_t bench_records(struct consumer_bench *bench);

#endif
