/*
 * A loop with a transport in memory, for the tests of connections: the test is the peer. Bytes are
 * given with peer_send, answers are taken from the pipe, and sends stay unfinished until the test
 * lets them go.
 */
#ifndef KLAMM_TESTS_UNIT_CONNECTION_MEMORY_STREAM_H
#define KLAMM_TESTS_UNIT_CONNECTION_MEMORY_STREAM_H

#include "base/memory.h"
#include "connection/connections.h"
#include "runtime/loop.h"

enum { PIPES_MAX = 64, PIPE_SIZE = 4 * 1024 * 1024 };

/* One accepted or connected stream. */
struct pipe {
    struct stream *stream; /* NULL before it is adopted and after its end */
    struct stream_send *first, **last;
    bool reading;
    bool connecting;
    bool closed;   /* by this side */
    uint16_t port; /* that a connect asked for */
    uint8_t *sent; /* everything that left, in order */
    size_t sent_size;
    const uint8_t *unread; /* given by the peer, not taken yet */
    size_t unread_size;
};

struct memory_transport {
    struct loop loop;
    struct heap heap;
    struct diagnostics diagnostics;
    unsigned lines; /* log lines written */
    struct pipe pipes[PIPES_MAX];
    bool hold_sends;                      /* sends stay with the transport until release_sends */
    unsigned connects;                    /* connects so far; the n-th one is pipe n */
    enum transport_status connect_status; /* of the next connects */
};

void memory_transport_init(struct memory_transport *transport);
void memory_transport_deinit(struct memory_transport *transport);
/* An accepted stream that connections_adopt turns into pipe `index`. */
struct accepted_stream memory_transport_accept(unsigned index);
/* Bytes from the peer; what is not read stays in line. Lives until it is read. */
void peer_send(struct memory_transport *transport, unsigned index, const void *data, size_t size);
/* The peer takes the connection that pipe `index` waits for. */
void peer_accept(struct memory_transport *transport, unsigned index);
/* It ends for another reason than the peer's leaving: connecting failed, say. */
void peer_fail(struct memory_transport *transport, unsigned index, enum transport_status why);
/* The peer goes. */
void peer_close(struct memory_transport *transport, unsigned index);
/* One turn `milliseconds` later: timers, waiting bytes, sends, deferred work. */
void memory_turn(struct memory_transport *transport, uint64_t milliseconds);
/* Lets all sends of a pipe leave. */
void release_sends(struct memory_transport *transport, unsigned index);

#endif
