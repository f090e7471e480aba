/*
 * A whole broker of two shards with a topic "data" of 4 partitions, and the requests of clients
 * that work with transactions: producers, readers and whoever looks at a transaction's state.
 *
 *     start_broker(NULL, 0);
 *     begin_producer("t", &producer);
 *     produce("t", &producer, 0, NEW_PROTOCOL);
 *     end_transaction("t", &producer, true, 5);
 *     broker_fixture_deinit(&broker);
 *
 * Versions are those of the request; offsets and counts are of records, control records included
 * where nothing else is said.
 */
#ifndef KLAMM_TESTS_UNIT_BROKER_TRANSACTION_CLIENT_H
#define KLAMM_TESTS_UNIT_BROKER_TRANSACTION_CLIENT_H

#include "tests/unit/broker/broker_fixture.h"

/* That of the running test. */
extern struct broker_fixture broker;

/* Versions of Produce that speak the two protocols of transactions (KIP-98, KIP-890). */
enum { OLD_PROTOCOL = 9, NEW_PROTOCOL = 12 };

struct producer {
    int64_t id;
    int16_t epoch;
    int32_t sequence[4]; /* next, by partition */
};

/* Starts the broker with these settings ("key=value") and makes the topic. */
void start_broker(const char *const *settings, size_t count);
/* Type 0: of a group, 1: of a transaction. Its topic is made on first use, then it loads. */
void await_coordinator(int8_t type, const char *key);

/* ---- A producer ---- */

/* Waits for the coordinator of `id` and takes a producer id from it. */
void begin_producer(const char *id, struct producer *producer);
/* The errors of partitions `first` and `first` + 1 of "data". */
void add_two_partitions(const char *id, const struct producer *producer, int32_t first,
                        int16_t errors[2]);
/* The same two, asserting success. */
void add_partitions(const char *id, const struct producer *producer, int32_t first);
/* One batch of three records at this sequence; the partition's error. */
int16_t produce_once(const char *id, struct producer *producer, int32_t partition, int16_t version,
                     int32_t sequence);
/* The next three records, asserting success. */
void produce(const char *id, struct producer *producer, int32_t partition, int16_t version);
/* Version 5 takes over the id and epoch of the answer. */
int16_t end_transaction(const char *id, struct producer *producer, bool commit, int16_t version);

/* ---- A reader ---- */

struct seen {
    int64_t last_stable_offset;
    int64_t high_watermark;
    size_t aborted; /* ranges in the answer's list */
    int64_t first_aborted_offset;
    int64_t records; /* whatever that list says; without control records */
};

/* Reads the partition to its end: the last stable offset where only what is committed is asked. */
struct seen fetch_all(int32_t partition, bool committed);
/* ListOffsets: where the partition ends. */
int64_t latest_offset(int32_t partition, bool committed);

/* ---- The state ---- */

/* Its name, or that of the error, in the arena of the fixture. */
const char *state_of(const char *id);
/* The end of a transaction is answered before its markers are written. */
void await_state(const char *id, const char *wanted);

#endif
