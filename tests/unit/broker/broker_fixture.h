/*
 * A whole broker of two shards in the simulator, with the test as its only client: one call is one
 * request and its answer, encoded and decoded by the generated codecs, in any version.
 *
 * The world is kind: no faults are drawn, and every test starts with an empty disk.
 */
#ifndef KLAMM_TESTS_UNIT_BROKER_BROKER_FIXTURE_H
#define KLAMM_TESTS_UNIT_BROKER_BROKER_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/arena.h"
#include "config/server_config.h"
#include "protocol/api_info.h"
#include "protocol/errors.h"
#include "protocol/message_writer.h"
#include "protocol/messages/produce.h"
#include "tests/sim/sim.h"

enum { FIXTURE_SHARDS = 2, FIXTURE_NODE_ID = 1 };

struct coordinator_kind;
struct fixture_process;
struct shard;

struct broker_fixture {
    struct sim *sim;
    struct heap heap; /* of the test */
    struct arena arena;
    struct server_config config;
    unsigned node;
    struct fixture_process *process; /* of the broker */
    bool is_ready;
    const struct coordinator_kind *const *coordinator_kinds; /* see struct broker */
    /* The request under way. */
    const struct api_info *info;
    int16_t version;
    struct view request; /* what stands behind client id in the frame */
    struct view answer;  /* behind the correlation id; in the arena */
    bool hangs_up;       /* the client drops its connection at its next look */
    uint16_t port;       /* that the client connects to */
    enum { FIXTURE_IDLE, FIXTURE_ASKED, FIXTURE_SENT, FIXTURE_ANSWERED, FIXTURE_CLOSED } state;
};

/* Starts a broker with these settings ("key=value") beside its own; ends the test if it fails. */
void broker_fixture_init(struct broker_fixture *fixture, const char *const *settings, size_t count);
/* The same with these kinds of coordinators ([COORDINATOR_SLOTS]) instead of the broker's own. */
void broker_fixture_init_kinds(struct broker_fixture *fixture,
                               const struct coordinator_kind *const *kinds,
                               const char *const *settings, size_t count);
void broker_fixture_deinit(struct broker_fixture *fixture);
/* Another client of the same broker, for requests at the same time; ends before the first. */
void broker_fixture_add_client(struct broker_fixture *second, const struct broker_fixture *first);
void broker_fixture_drop_client(struct broker_fixture *second);
/* A power cut and a start. */
void broker_fixture_restart(struct broker_fixture *fixture);
/* Sends a body; the answer's body, or null when the connection was closed. */
struct view broker_fixture_exchange(struct broker_fixture *fixture, int16_t key, int16_t version,
                                    struct view body);
/* The same in two steps: sends and runs for a moment; then runs until the answer is there. */
void broker_fixture_send(struct broker_fixture *fixture, int16_t key, int16_t version,
                         struct view body);
struct view broker_fixture_await(struct broker_fixture *fixture);
/* The client drops its connection, whatever is under way; runs for a moment. */
void broker_fixture_hang_up(struct broker_fixture *fixture);
/* The client goes on at another port of the broker. */
void broker_fixture_use_port(struct broker_fixture *fixture, uint16_t port);
/* Asks the broker to stop in order. */
void broker_fixture_begin_stop(struct broker_fixture *fixture);
/* Runs until the broker has stopped; its exit status. */
int broker_fixture_await_stop(struct broker_fixture *fixture);
/* Creates a topic with one setting, which may be NULL, and fails the test if that is refused. */
void broker_fixture_create_topic(struct broker_fixture *fixture, const char *name,
                                 int32_t partitions, const char *setting, const char *value);
/* A batch for one partition, as its bytes stand in a Produce with acks=all. */
struct fixture_batch {
    const char *topic;
    int32_t partition;
    struct view bytes;
    const char *transactional_id; /* NULL: none */
};
/* What is answered about it. */
struct produce_response_partition_produce_response
broker_fixture_send_batch(struct broker_fixture *fixture, int16_t version,
                          const struct fixture_batch *batch);
/* One batch of `count` records, the i-th with time `timestamp_ms` + i; returns the base offset. */
int64_t broker_fixture_produce(struct broker_fixture *fixture, const char *topic, int32_t partition,
                               int32_t count, int64_t timestamp_ms);
/* The same from an idempotent producer in epoch 0. */
int64_t broker_fixture_produce_as(struct broker_fixture *fixture, const char *topic,
                                  int32_t partition, int32_t count, int64_t producer_id,
                                  int32_t sequence);
/* A shard of the broker, 1 to FIXTURE_SHARDS, to be looked at. */
struct shard *broker_fixture_shard(struct broker_fixture *fixture, unsigned index);
/* Zeroed memory that lives as long as the fixture. */
void *broker_fixture_get(struct broker_fixture *fixture, size_t count, size_t size);

/*
 * Defines call_<name>(fixture, version, request, response): the exchange with the codecs of one
 * API. It asserts that the connection stays open and that the answer is well formed to its end.
 */
#define BROKER_FIXTURE_CALL(name, key)                                                             \
    static void call_##name(struct broker_fixture *fixture, int16_t version,                       \
                            const struct name##_request *request,                                  \
                            struct name##_response *response)                                      \
    {                                                                                              \
        size_t size = name##_request_size(request, version);                                       \
        struct message_writer out = message_writer_of(broker_fixture_get(fixture, size, 1), size); \
        name##_request_encode(request, &out, version);                                             \
        assert_false(message_writer_failed(&out));                                                 \
        struct view body = view_of(out.bytes.data, out.bytes.size);                                \
        struct view answer = broker_fixture_exchange(fixture, key, version, body);                 \
        assert_false(view_is_null(answer));                                                        \
        struct reader reader = reader_of(answer);                                                  \
        assert_true(name##_response_decode(response, &reader, version, &fixture->arena));          \
        assert_int_equal(reader_left(&reader), 0);                                                 \
    }

#endif
