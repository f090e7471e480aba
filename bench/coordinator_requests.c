/* Versions are the last ones without flexible fields, which every broker since Kafka 2.4 serves. */
#include "bench/coordinator_requests.h"

#include <stdio.h>
#include <string.h>

#include "bench/template.h"
#include "protocol/errors.h"
#include "protocol/messages/end_txn.h"
#include "protocol/messages/find_coordinator.h"
#include "protocol/messages/heartbeat.h"
#include "protocol/messages/init_producer_id.h"
#include "protocol/messages/join_group.h"
#include "protocol/messages/offset_commit.h"
#include "protocol/messages/sync_group.h"

enum { FIND_VERSION = 2, INIT_PRODUCER_VERSION = 1, WAIT_S = 60 };

bool bench_is_passing(enum kafka_error error)
{
    return error == KAFKA_ERROR_COORDINATOR_NOT_AVAILABLE ||
           error == KAFKA_ERROR_COORDINATOR_LOAD_IN_PROGRESS ||
           error == KAFKA_ERROR_NOT_COORDINATOR || error == KAFKA_ERROR_CONCURRENT_TRANSACTIONS;
}

void bench_await_coordinator(struct bench_pool *pool, const char *key, enum bench_key_type type)
{
    struct arena arena;
    arena_init(&arena, &pool->heap, MEMORY_SCRATCH, 0);
    struct find_coordinator_request request;
    find_coordinator_request_init(&request);
    request.key = view_of_string(key);
    request.key_type = (int8_t)type;
    struct request_template template;
    BENCH_TEMPLATE(find_coordinator_request, API_KEY_FIND_COORDINATOR, &request, FIND_VERSION,
                   &arena, &template);
    uint64_t end_ns = bench_now_ns() + WAIT_S * 1000000000ull;
    for (;;) {
        const uint8_t *body;
        size_t size = bench_call(pool, &template, &body);
        struct find_coordinator_response response;
        BENCH_DECODE(find_coordinator_response, API_KEY_FIND_COORDINATOR, FIND_VERSION, body, size,
                     &response, &arena);
        enum kafka_error error = (enum kafka_error)response.error_code;
        if (error == KAFKA_ERROR_NONE)
            break;
        if (!bench_is_passing(error) || bench_now_ns() > end_ns)
            bench_fail("the coordinator of %s: %s", key, kafka_error_name(error));
    }
    arena_deinit(&arena);
}

/* ---- Classic groups ---- */

void bench_join_template(struct arena *arena, const struct bench_member *member,
                         struct request_template *template)
{
    static const uint8_t subscription[32] = {0};
    struct join_group_request_protocol protocol = {
        .name = view_of_string("range"), .metadata = view_of(subscription, sizeof(subscription))};
    struct join_group_request request;
    join_group_request_init(&request);
    request.group_id = view_of_string(member->group);
    request.session_timeout_ms = 120000;
    request.rebalance_timeout_ms = 120000;
    request.member_id = view_of(member->id, member->id_size);
    request.protocol_type = view_of_string("klamm-bench");
    request.protocols = &protocol;
    request.protocols_count = 1;
    BENCH_TEMPLATE(join_group_request, API_KEY_JOIN_GROUP, &request, BENCH_JOIN_VERSION, arena,
                   template);
}

enum kafka_error bench_read_join(struct arena *arena, const uint8_t *body, size_t size,
                                 struct bench_member *member)
{
    struct join_group_response response;
    BENCH_DECODE(join_group_response, API_KEY_JOIN_GROUP, BENCH_JOIN_VERSION, body, size, &response,
                 arena);
    enum kafka_error error = (enum kafka_error)response.error_code;
    if (error == KAFKA_ERROR_NONE || error == KAFKA_ERROR_MEMBER_ID_REQUIRED) {
        if (response.member_id.size > sizeof(member->id))
            bench_fail("a member id of %zu bytes", response.member_id.size);
        memcpy(member->id, response.member_id.data, response.member_id.size);
        member->id_size = response.member_id.size;
    }
    member->generation = response.generation_id;
    member->is_leader =
        error == KAFKA_ERROR_NONE && view_equal(response.leader, response.member_id);
    arena_reset(arena);
    return error;
}

void bench_sync_template(struct arena *arena, const struct bench_member *member,
                         const struct bench_member *assigned, unsigned assigned_count,
                         struct request_template *template)
{
    static const uint8_t assignment[32] = {0};
    struct sync_group_request request;
    sync_group_request_init(&request);
    request.group_id = view_of_string(member->group);
    request.generation_id = member->generation;
    request.member_id = view_of(member->id, member->id_size);
    request.assignments = arena_get_array(arena, assigned_count, sizeof(*request.assignments));
    request.assignments_count = assigned_count;
    for (unsigned i = 0; i < assigned_count; i++) {
        request.assignments[i].member_id = view_of(assigned[i].id, assigned[i].id_size);
        request.assignments[i].assignment = view_of(assignment, sizeof(assignment));
    }
    BENCH_TEMPLATE(sync_group_request, API_KEY_SYNC_GROUP, &request, BENCH_SYNC_VERSION, arena,
                   template);
}

enum kafka_error bench_read_sync(struct arena *arena, const uint8_t *body, size_t size)
{
    struct sync_group_response response;
    BENCH_DECODE(sync_group_response, API_KEY_SYNC_GROUP, BENCH_SYNC_VERSION, body, size, &response,
                 arena);
    arena_reset(arena);
    return (enum kafka_error)response.error_code;
}

void bench_heartbeat_template(struct arena *arena, const struct bench_member *member,
                              struct request_template *template)
{
    struct heartbeat_request request;
    heartbeat_request_init(&request);
    request.group_id = view_of_string(member->group);
    request.generation_id = member->generation;
    request.member_id = view_of(member->id, member->id_size);
    BENCH_TEMPLATE(heartbeat_request, API_KEY_HEARTBEAT, &request, BENCH_HEARTBEAT_VERSION, arena,
                   template);
}

enum kafka_error bench_read_heartbeat(struct arena *arena, const uint8_t *body, size_t size)
{
    struct heartbeat_response response;
    BENCH_DECODE(heartbeat_response, API_KEY_HEARTBEAT, BENCH_HEARTBEAT_VERSION, body, size,
                 &response, arena);
    return (enum kafka_error)response.error_code;
}

/* ---- Offsets ---- */

void bench_commit_template(struct arena *arena, const char *group, const char *topic_name,
                           int32_t count, int64_t offset, struct request_template *template)
{
    struct offset_commit_request request;
    offset_commit_request_init(&request);
    request.group_id = view_of_string(group);
    request.member_id = view_of_string("");
    struct offset_commit_request_topic topic = {.name = view_of_string(topic_name)};
    topic.partitions = arena_get_array(arena, (size_t)count, sizeof(*topic.partitions));
    topic.partitions_count = (size_t)count;
    for (int32_t i = 0; i < count; i++) {
        offset_commit_request_partition_init(&topic.partitions[i]);
        topic.partitions[i].partition_index = i;
        topic.partitions[i].committed_offset = offset;
        topic.partitions[i].committed_metadata = view_of_string("");
    }
    request.topics = &topic;
    request.topics_count = 1;
    BENCH_TEMPLATE(offset_commit_request, API_KEY_OFFSET_COMMIT, &request, BENCH_COMMIT_VERSION,
                   arena, template);
}

void bench_check_commit(struct arena *arena, const uint8_t *body, size_t size)
{
    struct offset_commit_response response;
    BENCH_DECODE(offset_commit_response, API_KEY_OFFSET_COMMIT, BENCH_COMMIT_VERSION, body, size,
                 &response, arena);
    for (size_t t = 0; t < response.topics_count; t++)
        for (size_t p = 0; p < response.topics[t].partitions_count; p++)
            if (response.topics[t].partitions[p].error_code != 0)
                bench_fail("commit: %s",
                           kafka_error_name(
                               (enum kafka_error)response.topics[t].partitions[p].error_code));
    arena_reset(arena);
}

/* ---- Producers ---- */

struct bench_producer_id bench_init_producer(struct bench_pool *pool, const char *transactional_id)
{
    struct arena arena;
    arena_init(&arena, &pool->heap, MEMORY_SCRATCH, 0);
    struct init_producer_id_request request;
    init_producer_id_request_init(&request);
    request.transactional_id =
        transactional_id ? view_of_string(transactional_id) : view_of(NULL, 0);
    request.transaction_timeout_ms = 60000;
    struct request_template template;
    BENCH_TEMPLATE(init_producer_id_request, API_KEY_INIT_PRODUCER_ID, &request,
                   INIT_PRODUCER_VERSION, &arena, &template);
    struct init_producer_id_response response;
    uint64_t end_ns = bench_now_ns() + WAIT_S * 1000000000ull;
    for (;;) {
        const uint8_t *body;
        size_t size = bench_call(pool, &template, &body);
        BENCH_DECODE(init_producer_id_response, API_KEY_INIT_PRODUCER_ID, INIT_PRODUCER_VERSION,
                     body, size, &response, &arena);
        enum kafka_error error = (enum kafka_error)response.error_code;
        if (error == KAFKA_ERROR_NONE)
            break;
        if (!bench_is_passing(error) || bench_now_ns() > end_ns)
            bench_fail("producer id: %s", kafka_error_name(error));
    }
    arena_deinit(&arena);
    return (struct bench_producer_id){response.producer_id, response.producer_epoch};
}

void bench_init_transactional(struct bench_pool *pool, const struct bench_options *options,
                              unsigned index, struct bench_transactional *out)
{
    snprintf(out->id, sizeof(out->id), "%s-%u", options->group, index);
    bench_await_coordinator(pool, out->id, BENCH_KEY_TRANSACTION);
    out->producer = bench_init_producer(pool, out->id);
}

void bench_end_template(struct arena *arena, const struct bench_transactional *producer,
                        int16_t version, struct request_template *template)
{
    struct end_txn_request request;
    end_txn_request_init(&request);
    request.transactional_id = view_of_string(producer->id);
    request.producer_id = producer->producer.id;
    request.producer_epoch = producer->producer.epoch;
    request.committed = true;
    BENCH_TEMPLATE(end_txn_request, API_KEY_END_TXN, &request, version, arena, template);
}

enum kafka_error bench_read_end(struct arena *arena, int16_t version, const uint8_t *body,
                                size_t size, struct bench_transactional *producer)
{
    enum { BRINGS_EPOCH = 5 };
    struct end_txn_response response;
    BENCH_DECODE(end_txn_response, API_KEY_END_TXN, version, body, size, &response, arena);
    enum kafka_error error = (enum kafka_error)response.error_code;
    if (error == KAFKA_ERROR_NONE && version >= BRINGS_EPOCH)
        producer->producer = (struct bench_producer_id){.id = response.producer_id,
                                                        .epoch = response.producer_epoch};
    return error;
}

bool bench_is_early(enum kafka_error error)
{
    return error == KAFKA_ERROR_CONCURRENT_TRANSACTIONS || error == KAFKA_ERROR_NOT_ENOUGH_REPLICAS;
}
