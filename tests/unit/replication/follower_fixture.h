/* Followers of one loop on a disk in memory, and the leaders that they follow (model_leader.h). */
#ifndef KLAMM_TESTS_UNIT_REPLICATION_FOLLOWER_FIXTURE_H
#define KLAMM_TESTS_UNIT_REPLICATION_FOLLOWER_FIXTURE_H

#include "log/committer.h"
#include "replication/fetcher.h"
#include "replication/fetchers.h"
#include "replication/follower.h"
#include "tests/unit/log/memory_node.h"
#include "tests/unit/replication/model_leader.h"

enum { FIXTURE_NODE = 1 };

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
    struct loop leader_loop; /* where their sessions are: a heap and a clock that stands still */
    struct list channels;    /* of the stand-in channels */
    unsigned channel_count;  /* ever made */
};

/* The fixture's partition n is partition n % 2 of the topic "topic-<n / 2>". */
struct uuid fixture_topic_id(unsigned partition);
unsigned fixture_partition_of(struct uuid topic_id, int32_t index);
void follower_fixture_init(struct follower_fixture *fixture, enum topic_durability durability,
                           unsigned partition_count);
void follower_fixture_deinit(struct follower_fixture *fixture);
/* Shows an image with the brokers, all on ports 9000 + id + `shift`. */
void fixture_show(struct follower_fixture *fixture, int64_t broker_epoch, unsigned shift,
                  int16_t metadata_version);
/* Sets follower.replication.throttled.replicas of the partition's topic. */
void fixture_set_throttled(struct follower_fixture *fixture, unsigned partition, struct view list);
/* The leader `id` leads the partition in this epoch, and this node follows it. */
void fixture_follow(struct follower_fixture *fixture, unsigned partition, int32_t id,
                    int32_t leader_epoch);
/* This node leads the partition in this epoch; it does not follow any more. */
void fixture_lead(struct follower_fixture *fixture, unsigned partition, int32_t leader_epoch);
/* Ends following and runs until it is over. */
void fixture_unfollow(struct follower_fixture *fixture, unsigned partition);

/* What the leader `id` has of the partition. */
struct model_log *fixture_log_of(struct follower_fixture *fixture, int32_t id, unsigned partition);
struct follower *fixture_follower_of(const struct follower_fixture *fixture, unsigned partition);
/* The end of this node's log. */
int64_t fixture_end_of(const struct follower_fixture *fixture, unsigned partition);
/* Completes all held requests of the device, and those that follow from them. */
void fixture_complete_all(struct follower_fixture *fixture);

/* Runs the loop; leaders answer what they can say something to. True: something was answered. */
bool fixture_step(struct follower_fixture *fixture);
/* Steps until nobody has anything to say; answers that are waited for without news stay. */
void fixture_run(struct follower_fixture *fixture);
/* Answers the waiting requests even when there is no news (their wait is over). */
void fixture_answer_all(struct follower_fixture *fixture);
/* Appends to a model at the fixture's time. */
void model_append(struct follower_fixture *fixture, struct model_log *log, int32_t count,
                  size_t value_size);

/* All bytes from the log start on; free with free(). */
uint8_t *fixture_read_log(struct follower_fixture *fixture, unsigned partition, size_t *size);
/* The follower's log says the same as the leader's, from the follower's log start on. */
void fixture_assert_same(struct follower_fixture *fixture, unsigned partition,
                         const struct model_log *log);
/* The leaders' sessions hold what this node believes to have told them. */
void fixture_assert_sessions(const struct follower_fixture *fixture);

#endif
