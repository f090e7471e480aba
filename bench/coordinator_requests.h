/*
 * What the loads on groups and transactions ask of coordinators. A run is against one node: the
 * coordinator that FindCoordinator names is taken to be the broker that the connections lead to.
 */
#ifndef KLAMM_BENCH_COORDINATOR_REQUESTS_H
#define KLAMM_BENCH_COORDINATOR_REQUESTS_H

#include "bench/requests.h"
#include "protocol/errors.h"

enum bench_key_type { BENCH_KEY_GROUP = 0, BENCH_KEY_TRANSACTION = 1 };

/* Whether a coordinator that says this may be asked again. */
bool bench_is_passing(enum kafka_error error);
/* Asks until the coordinator of the key is known (its internal topic may have to be made). */
void bench_await_coordinator(struct bench_pool *pool, const char *key, enum bench_key_type type);

enum {
    BENCH_JOIN_VERSION = 5,
    BENCH_SYNC_VERSION = 3,
    BENCH_HEARTBEAT_VERSION = 3,
    BENCH_COMMIT_VERSION = 7
};

/* One member of a classic group. */
struct bench_member {
    const char *group;
    uint8_t id[128];
    size_t id_size;
    int32_t generation;
    bool is_leader;
};

void bench_join_template(struct arena *arena, const struct bench_member *member,
                         struct request_template *template);
/* Reads the answer into the member; MEMBER_ID_REQUIRED sets the id only. */
enum kafka_error bench_read_join(struct arena *arena, const uint8_t *body, size_t size,
                                 struct bench_member *member);
/* `assigned`: all members, when this one is the leader; else count 0. */
void bench_sync_template(struct arena *arena, const struct bench_member *member,
                         const struct bench_member *assigned, unsigned assigned_count,
                         struct request_template *template);
enum kafka_error bench_read_sync(struct arena *arena, const uint8_t *body, size_t size);
void bench_heartbeat_template(struct arena *arena, const struct bench_member *member,
                              struct request_template *template);
enum kafka_error bench_read_heartbeat(struct arena *arena, const uint8_t *body, size_t size);

/* Commits `offset` for partitions [0, count) of the topic, without membership. */
void bench_commit_template(struct arena *arena, const char *group, const char *topic, int32_t count,
                           int64_t offset, struct request_template *template);
/* Ends the program when any partition has an error. */
void bench_check_commit(struct arena *arena, const uint8_t *body, size_t size);

/* A producer id for the transactional id, or for none (NULL); the call waits. */
struct bench_producer_id {
    int64_t id;
    int16_t epoch;
};
struct bench_producer_id bench_init_producer(struct bench_pool *pool, const char *transactional_id);

/* A transactional producer, and what it asks of its coordinator. */
struct bench_transactional {
    char id[128];
    struct bench_producer_id producer;
};
/* The one of a connection, when its coordinator is there; the call waits. */
void bench_init_transactional(struct bench_pool *pool, const struct bench_options *options,
                              unsigned index, struct bench_transactional *out);
/* EndTxn that commits. Version 5 and later bring a new epoch (KIP-890). */
void bench_end_template(struct arena *arena, const struct bench_transactional *producer,
                        int16_t version, struct request_template *template);
/* Reads the answer, the new epoch too. */
enum kafka_error bench_read_end(struct arena *arena, int16_t version, const uint8_t *body,
                                size_t size, struct bench_transactional *producer);
/* Whether a transaction is not to go on yet, and the same is to be asked again. */
bool bench_is_early(enum kafka_error error);

#endif
