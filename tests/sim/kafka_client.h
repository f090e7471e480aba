/*
 * A small Kafka client over a stream of the seams: connection, request frames, answers in order. It
 * encodes and decodes by hand, mostly in old versions without tagged fields, so that it shares no
 * mistake with the broker's generated code.
 *
 * Invariants:
 *  1. Answers come in the order of the requests; a connection that breaks answers nothing more, and
 *     `broken` is told once per connection.
 *  2. Whatever waits longer than answer_limit_ns breaks the connection, its making too.
 */
#ifndef KLAMM_TESTS_SIM_KAFKA_CLIENT_H
#define KLAMM_TESTS_SIM_KAFKA_CLIENT_H

#include <string.h>

#include "base/bytes.h"
#include "tests/sim/sim.h"

enum kafka_api {
    KAFKA_PRODUCE = 0,
    KAFKA_FETCH = 1,
    KAFKA_LIST_OFFSETS = 2,
    KAFKA_METADATA = 3,
    KAFKA_OFFSET_COMMIT = 8,
    KAFKA_OFFSET_FETCH = 9,
    KAFKA_FIND_COORDINATOR = 10,
    KAFKA_JOIN_GROUP = 11,
    KAFKA_HEARTBEAT = 12,
    KAFKA_LEAVE_GROUP = 13,
    KAFKA_SYNC_GROUP = 14,
    KAFKA_CREATE_TOPICS = 19,
    KAFKA_DELETE_TOPICS = 20,
    KAFKA_INIT_PRODUCER_ID = 22,
    KAFKA_ADD_PARTITIONS_TO_TXN = 24,
    KAFKA_ADD_OFFSETS_TO_TXN = 25,
    KAFKA_END_TXN = 26,
    KAFKA_TXN_OFFSET_COMMIT = 28,
    KAFKA_ELECT_LEADERS = 43,
    KAFKA_INCREMENTAL_ALTER_CONFIGS = 44,
    KAFKA_ALTER_PARTITION_REASSIGNMENTS = 45,
    KAFKA_UPDATE_FEATURES = 57,
    KAFKA_CONSUMER_GROUP_HEARTBEAT = 68,
    KAFKA_ADD_RAFT_VOTER = 80,
    KAFKA_REMOVE_RAFT_VOTER = 81
};

struct kafka_client;

struct kafka_client_events {
    void (*connected)(struct kafka_client *client);
    /* The body of an answer, behind the correlation id. `context` as given with the request. */
    void (*answered)(struct kafka_client *client, enum kafka_api api, void *context,
                     struct reader *body);
    void (*broken)(struct kafka_client *client); /* retry after a while: kafka_client_connect */
};

struct kafka_request;

struct kafka_client {
    const struct kafka_client_events *events;
    struct loop *loop;
    struct stream stream;
    const char *host;
    uint16_t port;
    uint64_t answer_limit_ns; /* 40 s unless set behind kafka_client_init */
    bool is_open;             /* there is a stream */
    bool is_usable;           /* connected */
    int32_t next_correlation;
    struct list sent; /* struct kafka_request.link, waiting for answers */
    struct timer limit;
    uint8_t *frame; /* of the answer under way */
    size_t frame_size, frame_have;
    uint8_t head[4];
    size_t head_have;
};

void kafka_client_init(struct kafka_client *client, struct loop *loop,
                       const struct kafka_client_events *events, const char *host, uint16_t port);
void kafka_client_connect(struct kafka_client *client);
/* Drops the connection; `broken` is not told. */
void kafka_client_drop(struct kafka_client *client);
/* Sends a request; `body` is copied. Only while is_usable. */
void kafka_client_send(struct kafka_client *client, enum kafka_api api, int16_t version,
                       const struct writer *body, void *context);

/* The same in a flexible version: with the tag sections of the headers. */
void kafka_client_send_flexible(struct kafka_client *client, enum kafka_api api, int16_t version,
                                const struct writer *body, void *context);

static inline void kafka_write_string(struct writer *writer, const char *text)
{
    write_i16(writer, text ? (int16_t)strlen(text) : -1);
    if (text)
        write_bytes(writer, text, strlen(text));
}

/* Strings, lists and tags of flexible versions; nothing here is longer than 126 bytes. */
static inline void kafka_write_compact(struct writer *writer, const char *text)
{
    write_u8(writer, text ? (uint8_t)(strlen(text) + 1) : 0);
    if (text)
        write_bytes(writer, text, strlen(text));
}

/* The count of a list, or the length of a string: -1 for null. */
static inline int32_t kafka_read_compact_count(struct reader *reader)
{
    return (int32_t)read_uvarint(reader) - 1;
}

static inline void kafka_skip_compact(struct reader *reader)
{
    int32_t size = kafka_read_compact_count(reader);
    if (size > 0)
        reader_take(reader, (size_t)size);
}

/* Skips a tag section. */
static inline void kafka_skip_tags(struct reader *reader)
{
    for (uint32_t left = read_uvarint(reader); left > 0 && !reader->failed; left--) {
        read_uvarint(reader);
        reader_take(reader, read_uvarint(reader));
    }
}

/* Copies a string (not null, shorter than the capacity) and ends it with a zero. */
static inline void kafka_read_text(struct reader *reader, char *text, size_t capacity)
{
    int16_t size = read_i16(reader);
    const uint8_t *bytes = size > 0 ? reader_take(reader, (size_t)size) : NULL;
    size_t kept = bytes && (size_t)size < capacity ? (size_t)size : 0;
    if (kept > 0)
        memcpy(text, bytes, kept);
    text[kept] = '\0';
}

/* Skips a nullable string. */
static inline void kafka_skip_string(struct reader *reader)
{
    int16_t size = read_i16(reader);
    if (size > 0)
        reader_take(reader, (size_t)size);
}

#endif
