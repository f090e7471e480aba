/*
 * Connections of the load generator: non-blocking sockets behind one epoll, requests sent from
 * encoded templates, answers handed back in request order.
 *
 * Invariants:
 *  1. A template is never copied nor changed: a send writes 12 bytes of its own (size, API,
 *     version, correlation id) and then the template's bytes.
 *  2. Answers of a connection come in the order of its sends; anything else ends the run.
 *  3. A connection holds at most pool.queue_capacity sends, unsent or unanswered.
 */
#ifndef KLAMM_BENCH_CLIENT_H
#define KLAMM_BENCH_CLIENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/memory.h"

enum { BENCH_HEAD_SIZE = 12 };

/* A request without its first 12 bytes: client id, tags and body. */
struct request_template {
    int16_t api_key;
    int16_t version;
    uint8_t *bytes;
    size_t size;
    uint64_t payload; /* bytes of record batches in it, for the figures */
};

struct bench_send {
    const struct request_template *template;
    uint64_t intended_ns;
    uint8_t head[BENCH_HEAD_SIZE];
};

struct bench_client;
struct bench_pool;

/* `body`: the answer behind its size and correlation id; valid during the call. */
typedef void bench_answered(struct bench_client *client, const struct bench_send *send,
                            const uint8_t *body, size_t size, uint64_t now_ns);

struct bench_client {
    struct bench_pool *pool;
    unsigned index;
    int fd;
    struct bench_send *queue; /* [pool->queue_capacity] */
    uint64_t sent;            /* sends handed in, ever */
    uint64_t written;         /* of these, wholly written */
    uint64_t answered;        /* of these, answered */
    size_t progress;          /* bytes written of the send after `written` */
    bool wants_write;
    uint8_t *input;
    size_t input_size;
    size_t input_capacity;
};

struct bench_pool {
    int epoll;
    struct heap heap;
    struct bench_client *clients;
    unsigned count;
    unsigned queue_capacity;
    bench_answered *answered;
    bool expects_answers; /* false with acks=0 */
    void *owner;
};

uint64_t bench_now_ns(void);
/* Prints and ends the program with status 1. */
_Noreturn void bench_fail(const char *format, ...) __attribute__((format(printf, 1, 2)));

/*
 * Opens `count` connections, each with room for `queue_capacity` sends; fails the program when one
 * cannot be had.
 */
void bench_pool_open(struct bench_pool *pool, const char *host, uint16_t port, unsigned count,
                     unsigned queue_capacity);
void bench_pool_close(struct bench_pool *pool);
/* Queues a request; false when the connection's queue is full. Written with bench_pool_turn. */
bool bench_client_send(struct bench_client *client, const struct request_template *template,
                       uint64_t intended_ns);
static inline uint64_t bench_client_open_sends(const struct bench_client *client)
{
    return client->sent - client->answered;
}
/* Writes what is queued on one connection, as far as the socket takes it. */
void bench_client_flush(struct bench_client *client);
/* Queues a request for which there is room, and writes it at once. */
void bench_client_ask(struct bench_client *client, const struct request_template *template,
                      uint64_t intended_ns);
/* Whether every request of every connection is answered. */
bool bench_pool_is_idle(const struct bench_pool *pool);
/* Waits up to timeout_ns for sockets, then writes, reads and hands out answers. */
void bench_pool_turn(struct bench_pool *pool, uint64_t timeout_ns);
/*
 * One request on the first connection, waiting for its answer. Returns the body in *answer, which
 * stays valid until the next call on the pool.
 */
size_t bench_call(struct bench_pool *pool, const struct request_template *template,
                  const uint8_t **answer);

#endif
