/*
 * The transaction coordinator of one partition in memory (tests/unit/coordinator), with markers and
 * producer ids in the test's hands.
 */
#ifndef KLAMM_TESTS_UNIT_TRANSACTION_TRANSACTION_FIXTURE_H
#define KLAMM_TESTS_UNIT_TRANSACTION_TRANSACTION_FIXTURE_H

#include "protocol/messages/end_txn.h"
#include "protocol/messages/init_producer_id.h"
#include "tests/unit/coordinator/coordinator_fixture.h"
#include "transaction/transactions.h"

enum { SENDS_MAX = 16 };

struct transaction_fixture {
    struct coordinator_fixture base;
    struct producer_ids ids;
    struct marker_writer markers;
    struct marker_send *sends[SENDS_MAX]; /* in the air */
    unsigned send_count;
    unsigned sent_count; /* all there ever were */
    bool holds_markers;  /* else each is answered NONE when the test runs */
    bool gives_ids;      /* blocks of ten are given when asked for */
};

/* The one of the running test. */
extern struct transaction_fixture fixture;

/* Active, feature level 2, topics "data" (4 partitions) and "__consumer_offsets" (50). */
void transaction_fixture_begin(void);
/* The same with another feature level. */
void transaction_fixture_begin_version(int16_t level);
void transaction_fixture_end(void);
/* Runs until nothing is left to do; answers markers unless they are held. */
void transaction_fixture_run(void);
/* Answers every marker in the air with this error; runs. -1: the request is lost. */
void transaction_fixture_answer_markers(int error);
/* Loads anew. */
void transaction_fixture_reload(void);

struct transactions *transactions(void);
/* NULL: unknown. */
struct transaction *transaction_named(const char *id);

/* ---- Requests; each runs until it is told and asserts that it was ---- */

struct producer {
    int64_t id;
    int16_t epoch;
};

/* The error of the answer; `*got` is what it gave. */
enum kafka_error init_producer(const char *id, int16_t version, struct producer expected,
                               struct producer *got);
/* The same without an expectation, asserting success. */
struct producer new_producer(const char *id);
enum kafka_error add_partition(const char *id, int16_t version, struct producer producer,
                               const char *topic, int32_t partition);
enum kafka_error verify_partition(const char *id, struct producer producer, const char *topic,
                                  int32_t partition);
enum kafka_error add_offsets(const char *id, int16_t version, struct producer producer,
                             const char *group);
enum kafka_error end_transaction(const char *id, int16_t version, struct producer producer,
                                 bool commit, struct producer *got);

/*
 * Writes the record of this state into the log of the id "t" as another coordinator might have, and
 * loads it: producer id 1000, previous id 900.
 */
void load_state(enum transaction_status status, int16_t epoch);

#endif
