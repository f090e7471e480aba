/*
 * Brokers that are followed: models of leaders that stand behind the interface of
 * connection/channel.h. Requests and answers pass through the generated codec, and the leaders'
 * sessions are those of replication/fetch_session.h.
 */
#ifndef KLAMM_TESTS_UNIT_REPLICATION_MODEL_LEADER_H
#define KLAMM_TESTS_UNIT_REPLICATION_MODEL_LEADER_H

#include "connection/channel.h"
#include "protocol/messages/fetch.h"
#include "protocol/messages/list_offsets.h"
#include "replication/fetch_session.h"
#include "tests/unit/replication/model_log.h"

struct follower_fixture;

enum {
    FIXTURE_PARTITIONS = 6,
    FIXTURE_LEADERS = 2, /* brokers 2 and 3 */
    FIXTURE_PORT_BASE = 9000,
};

/* What a leader was asked, as the tests look at it. */
struct asked_partition {
    unsigned topic; /* number of the partition in the fixture */
    int64_t fetch_offset;
    int32_t leader_epoch;
    int32_t last_fetched_epoch;
    int64_t log_start_offset;
};

struct model_leader {
    int32_t id;
    struct model_log logs[FIXTURE_PARTITIONS];
    struct fetch_sessions sessions;
    enum kafka_error error; /* of the whole answer, once */
    bool is_refusing_sessions;
    uint32_t max_bytes; /* of one answer; 0: as asked */
    /* The last Fetch. */
    struct asked_partition asked[FIXTURE_PARTITIONS];
    unsigned asked_count;
    unsigned forgotten_count;
    int32_t asked_epoch; /* of the session */
    int16_t asked_version;
    int64_t asked_broker_epoch;
    int32_t asked_replica;
    unsigned fetches;
    unsigned list_offsets;
};

/* From now on channels lead to this fixture's leaders. */
void model_leaders_stand_in(struct follower_fixture *fixture);
struct model_leader *fixture_leader(struct follower_fixture *fixture, int32_t id);
/* Answers what waits, as far as there is news or it is forced. True: something was answered. */
bool model_leaders_serve(struct follower_fixture *fixture, bool force);
/* What the leader holds for this connection; NULL: nothing. */
const struct fetch_session *model_leader_session(const struct channel *channel);
/* Requests that wait for an answer. */
unsigned fixture_waiting(const struct follower_fixture *fixture);
/* Ends the waiting requests with this status. */
void fixture_break(struct follower_fixture *fixture, enum channel_status status);

#endif
