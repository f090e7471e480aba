/*
 * Followers of one loop on a disk in memory, and brokers that they follow: models of leaders that
 * stand behind the interface of connection/channel.h. Requests and answers pass through the
 * generated codec, and the leaders' sessions are those of replication/fetch_session.h.
 *
 * The model of a log is a list of batches with the leader epochs that it knows, kept in the
 * plainest way, so that it can be compared with.
 */
#ifndef KLAMM_TESTS_UNIT_REPLICATION_FOLLOWER_FIXTURE_H
#define KLAMM_TESTS_UNIT_REPLICATION_FOLLOWER_FIXTURE_H

#include "connection/channel.h"
#include "log/committer.h"
#include "protocol/messages/fetch.h"
#include "protocol/messages/list_offsets.h"
#include "replication/fetch_session.h"
#include "replication/fetcher.h"
#include "replication/fetchers.h"
#include "replication/follower.h"
#include "tests/unit/log/memory_node.h"

enum {
    FIXTURE_PARTITIONS = 6,
    FIXTURE_LEADERS = 2, /* brokers 2 and 3; this one is 1 */
    FIXTURE_NODE = 1,
    FIXTURE_BATCHES = 400,
    FIXTURE_EPOCHS = 200,
};

struct model_batch {
    uint8_t *bytes; /* from malloc */
    size_t size;
    int64_t base_offset;
    int64_t last_offset;
    int32_t epoch;
};

struct model_epoch {
    int32_t epoch;
    int64_t start;
};

struct model_log {
    struct model_batch batches[FIXTURE_BATCHES];
    size_t batch_count;
    struct model_epoch epochs[FIXTURE_EPOCHS];
    size_t epoch_count;
    int64_t log_start;
    int64_t log_end;
    int64_t high_watermark;
    int32_t leader_epoch;   /* as this leader knows it */
    enum kafka_error error; /* answered instead of anything else */
    bool is_corrupt;        /* the next records are sent with a flipped bit */
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

struct follower_fixture {
    struct memory_node node;
    struct loop *loop;
    struct heap heap; /* of the test itself */
    struct log_shard shard;
    struct committer committer;
    struct producer_state_options producers;
    struct topic_config topic;
    struct arena topic_arena;
    struct replica_host host;
    struct replica_table replicas;
    struct fetchers fetchers;
    bool is_closed;
    const struct image *image;
    struct replica *replica[FIXTURE_PARTITIONS];
    struct model_leader leaders[FIXTURE_LEADERS];
    struct list channels;   /* of the stand-in channels */
    unsigned channel_count; /* ever made */
};

/* Partitions are topics "topic-0" and so on, each with partition 0 and an id of its own. */
void follower_fixture_init(struct follower_fixture *fixture, enum topic_durability durability,
                           unsigned partition_count);
void follower_fixture_deinit(struct follower_fixture *fixture);
/* Shows an image with the brokers, all on ports 9000 + id + `shift`. */
void fixture_show(struct follower_fixture *fixture, int64_t broker_epoch, unsigned shift,
                  int16_t metadata_version);
/* Sets follower.replication.throttled.replicas of the partition's topic. */
void fixture_set_throttled(struct follower_fixture *fixture, unsigned partition, struct view list);
struct model_leader *fixture_leader(struct follower_fixture *fixture, int32_t id);
/* The leader `id` leads the partition in this epoch, and this node follows it. */
void fixture_follow(struct follower_fixture *fixture, unsigned partition, int32_t id,
                    int32_t leader_epoch);
/* This node leads the partition in this epoch; it does not follow any more. */
void fixture_lead(struct follower_fixture *fixture, unsigned partition, int32_t leader_epoch);
/* Ends following and runs until it is over. */
void fixture_unfollow(struct follower_fixture *fixture, unsigned partition);

/* Runs the loop; leaders answer what they can say something to. True: something was answered. */
bool fixture_step(struct follower_fixture *fixture);
/* Steps until nobody has anything to say; answers that are waited for without news stay. */
void fixture_run(struct follower_fixture *fixture);
/* Requests that wait for an answer. */
unsigned fixture_waiting(const struct follower_fixture *fixture);
/* Answers the waiting requests even when there is no news (their wait is over). */
void fixture_answer_all(struct follower_fixture *fixture);
/* Ends the waiting requests with this status. */
void fixture_break(struct follower_fixture *fixture, enum channel_status status);

/* The models. */
void model_append(struct follower_fixture *fixture, struct model_log *log, int32_t count,
                  size_t value_size);
void model_begin_epoch(struct model_log *log, int32_t leader_epoch);
void model_truncate(struct model_log *log, int64_t offset);
/* Cuts behind what both have in common and takes up to `count` batches from the other. */
void model_replicate(struct model_log *log, const struct model_log *from, size_t count);
void model_take_batch(struct model_log *log, struct view batch);
/* Removes whole batches below the offset and moves the log start. */
void model_advance_start(struct model_log *log, int64_t offset);
void model_clear(struct model_log *log);
bool model_epoch_end(const struct model_log *log, int32_t epoch, int32_t *found, int64_t *end);

/* All bytes from the log start on; free with free(). */
uint8_t *fixture_read_log(struct follower_fixture *fixture, unsigned partition, size_t *size);
/* The follower's log says the same as the leader's, from the follower's log start on. */
void fixture_assert_same(struct follower_fixture *fixture, unsigned partition,
                         const struct model_log *log);
/* The leaders' sessions hold what this node believes to have told them. */
void fixture_assert_sessions(const struct follower_fixture *fixture);

#endif
