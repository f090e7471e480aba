/*
 * A channel with the test as the other node: it takes connections, reads what was sent from the
 * pipe, and answers when and how it likes. What each request ended with is written down in order.
 */
#ifndef KLAMM_TESTS_UNIT_CONNECTION_CHANNEL_FIXTURE_H
#define KLAMM_TESTS_UNIT_CONNECTION_CHANNEL_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "connection/channel.h"
#include "memory_stream.h"
#include "protocol/api_info.h"
#include "protocol/errors.h"
#include "protocol/messages/api_versions.h"
#include "protocol/messages/heartbeat.h"
#include "protocol/messages/metadata.h"
#include "protocol/messages/request_header.h"

enum { ASKS_MAX = 16, TOLD_MAX = 64, SCRATCH_SIZE = 24 * 1024 * 1024, ALL_VERSIONS = 3 };

struct fixture;

struct ask {
    struct channel_request request;
    struct fixture *fixture;
    struct heartbeat_request heartbeat;
    struct metadata_request metadata;
    unsigned times;           /* `done` was called */
    enum channel_status last; /* what it was told */
    int error;                /* of the answer; -1: none */
    bool again;               /* sends itself once more inside `done` */
    struct ask *cancels;      /* taken back inside `done` */
    uint16_t moves_to;        /* another port inside `done`; 0: none */
    bool keeps;
    struct channel_frame kept;
    const struct heartbeat_response *response; /* inside the kept frame */
};

struct fixture {
    struct memory_transport transport;
    struct channel *channel;
    struct ask asks[ASKS_MAX];
    struct ask *told[TOLD_MAX]; /* in the order of `done` */
    unsigned told_count;
    bool in_call;            /* inside a call of the channel: `done` must not run */
    size_t taken[PIPES_MAX]; /* bytes of pipes[i].sent that were looked at */
    uint8_t *scratch;
};

/* What a peer serves that knows every API of these tests. */
extern const struct api_versions_response_api_version all_versions[ALL_VERSIONS];

/* Short time limits: 2 s for an answer, 1 s for connecting, backoff from 100 to 400 ms. */
struct channel_options standard(void);
/* Every ask is a heartbeat with its number as the generation. */
struct fixture *fixture_create(struct channel_options options);
/* Ends everything and checks that nothing is left. */
void fixture_destroy(struct fixture *fixture);

void send_ask(struct fixture *fixture, unsigned number);
void turn(struct fixture *fixture, uint64_t milliseconds);
/* What the other node reads next on a pipe; its body is left in *body. */
struct request_header take_request(struct fixture *fixture, unsigned index, struct reader *body);
bool nothing_sent(struct fixture *fixture, unsigned index);

/* A framed answer in the scratch memory; returns its size. */
size_t put_answer(struct fixture *fixture, int16_t api_key, int16_t version, int32_t correlation_id,
                  const void *response, size_t offset);
size_t put_heartbeat(struct fixture *fixture, int16_t version, int32_t correlation_id,
                     int16_t error, size_t offset);
void answer_versions(struct fixture *fixture, unsigned index, int16_t version,
                     int32_t correlation_id, int16_t error,
                     const struct api_versions_response_api_version *list, size_t count);
/* Takes connection `index` and tells the versions in `list`. */
void accept_with(struct fixture *fixture, unsigned index,
                 const struct api_versions_response_api_version *list, size_t count);
void accept_whole(struct fixture *fixture, unsigned index);
/* Takes a heartbeat and answers it with `error`. */
void serve(struct fixture *fixture, unsigned index, int16_t error);

/* How often an ask was told, and with what the last time. */
void expect(const struct fixture *fixture, unsigned number, unsigned times,
            enum channel_status status);

#endif
