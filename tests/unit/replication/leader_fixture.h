/*
 * A leader with followers, over a real log on a disk in memory; the test plays the followers, the
 * metadata and the controller.
 */
#ifndef KLAMM_TESTS_UNIT_REPLICATION_LEADER_FIXTURE_H
#define KLAMM_TESTS_UNIT_REPLICATION_LEADER_FIXTURE_H

#include "replication/replica_internal.h"
#include "tests/unit/log/log_fixture.h"

enum { SELF = 1, BROKERS = 5, LAG_MAX_MS = 1000, FETCH_WAIT_MAX_MS = 100 };

struct waiter {
    struct fixture_append source; /* owns the bytes */
    struct replica_append append;
    unsigned told;
};

struct leader_fixture {
    struct log_fixture log;
    struct replica_host host;
    struct replica *replica;
    struct replica_broker brokers[BROKERS]; /* as the leader's metadata has them */
    struct isr_proposal *proposal;          /* under way; NULL: none */
    unsigned proposals;
    unsigned fired;
    int32_t leader_epoch;
    int32_t partition_epoch;
};

/* A replica that has no role yet, in leader epoch 3 and partition epoch 10. */
void leader_fixture_init(struct leader_fixture *fixture, enum topic_durability durability,
                         int32_t min_insync_replicas);
void leader_fixture_deinit(struct leader_fixture *fixture);
/* The log and the loop run; the invariants hold afterwards. */
void leader_fixture_run(struct leader_fixture *fixture);
/* The metadata makes it lead, with these replicas and this in-sync set, in the fixture's epochs. */
void leader_fixture_lead(struct leader_fixture *fixture, const int32_t *replicas,
                         uint32_t replica_count, const int32_t *isr, uint32_t isr_count);
/* Time passes, and late followers are looked for. */
void leader_fixture_pass(struct leader_fixture *fixture, uint64_t delay_ms);

/* Appends two records; true when it was finished at once. */
bool leader_fixture_append(struct leader_fixture *fixture, struct waiter *waiter, int16_t acks);
void leader_fixture_release(struct leader_fixture *fixture, struct waiter *waiter);

/* A fetch as the handler passes it on. */
enum kafka_error leader_fixture_fetch_at(struct leader_fixture *fixture, int32_t leader_epoch,
                                         int32_t id, int64_t broker_epoch, int64_t offset);
/* One that is served, in the epochs that the metadata knows. */
void leader_fixture_fetch(struct leader_fixture *fixture, int32_t id, int64_t offset);
/* The proposal that is under way ends; without an error in the next partition epoch. */
void leader_fixture_answer(struct leader_fixture *fixture, enum kafka_error error,
                           const int32_t *isr, uint32_t isr_count);
/* Whether this set is what is under way. */
bool leader_fixture_proposes(const struct leader_fixture *fixture, const int32_t *isr,
                             uint32_t count);

#endif
