/*
 * A loop: one thread (or one actor of the simulator) with its own timers, heap and seams.
 *
 * Loop 0 is the control loop, loops 1..n are data shards. Nothing inside a loop is locked. Loops
 * talk through messages only.
 *
 * A turn: completions of storage and jobs, messages, timers, network bytes, deferred work, sends.
 * `now_ns` and `wall_ms` are constant within a turn.
 *
 * Invariants:
 *  1. Everything that hangs on a loop (timers, streams, requests in flight) is touched on that loop
 *     only.
 *  2. Messages from one loop to another arrive in the order of loop_post, each exactly once while
 *     the node lives. A message is owned by the receiver from loop_post on; one that is answered
 *     travels back as itself, so its memory returns to the heap it came from.
 */
#ifndef KLAMM_RUNTIME_LOOP_H
#define KLAMM_RUNTIME_LOOP_H

#include <stdbool.h>
#include <stdint.h>

#include "base/list.h"
#include "base/memory.h"
#include "runtime/diagnostics.h"
#include "runtime/job.h"
#include "runtime/storage.h"
#include "runtime/test_points.h"
#include "runtime/timer.h"
#include "runtime/transport.h"

struct loop;

/* Embedded in whatever is sent to another loop (or to the own one). */
struct message {
    struct message *next; /* the mailbox's */
    void (*deliver)(struct message *message, struct loop *at);
    uint16_t from; /* index of the sending loop, set by loop_post */
};

/* Work for the deferred phase of this turn; embedded by its owner. */
struct deferred {
    struct list link;
    void (*run)(struct deferred *deferred);
};

/* The functions through which a loop reaches its host, besides storage and transport. */
struct host_ops {
    /* false: the ring to that loop is full, try again next turn. Wakes a sleeping loop. */
    bool (*post)(void *self, unsigned to, struct message *message);
    void (*start_job)(void *self, struct job *job);
    /* Fresh random bytes: seeds and secrets. */
    void (*entropy)(void *self, void *data, size_t size);
};

struct host {
    const struct host_ops *ops;
    void *self;
};

/* Counters of a loop, summed on scrape. */
struct loop_counters {
    uint64_t turns;
    uint64_t messages_posted;
    uint64_t messages_delivered;
    uint64_t wakeups_sent; /* times this loop woke a sleeping one */
    uint64_t timers_fired;
    uint64_t jobs_started;
};

struct loop {
    unsigned index; /* 0: control */
    unsigned count; /* all loops of the node, control included */
    uint64_t now_ns;
    int64_t wall_ms;
    struct heap *heap;
    struct storage storage;
    struct transport transport;
    struct host host;
    const struct diagnostics *diagnostics;
    struct timer_wheel timers;
    struct list deferred; /* struct deferred.link */
    struct {
        struct message *first;
        struct message **last;
    } backlog[64];                  /* per target loop: posted while its ring was full */
    uint64_t seed;                  /* of this loop's random streams */
    struct test_points test_points; /* that are on; test builds only */
    struct loop_counters counters;
    void *owner; /* whoever boots the loop: its shard or control state */
};

enum { LOOP_COUNT_MAX = 64 };

/* Fills a loop before its first turn; the host sets the clock fields from then on. */
void loop_init(struct loop *loop, unsigned index, unsigned count, struct heap *heap,
               struct storage storage, struct transport transport, struct host host,
               const struct diagnostics *diagnostics);
/* Sends to loop `to` (the own index too); never refuses: behind a full ring it queues here. */
void loop_post(struct loop *loop, unsigned to, struct message *message);
/* Runs in the deferred phase of this turn (or of the next, when called from there); idempotent. */
void loop_defer(struct loop *loop, struct deferred *deferred);
void deferred_init(struct deferred *deferred, void (*run)(struct deferred *deferred));
void loop_set_timer(struct loop *loop, struct timer *timer, uint64_t delay_ns);
void loop_start_job(struct loop *loop, struct job *job);
/* A stream of random numbers for one purpose, derived from the loop's seed. */
uint64_t loop_random_seed(const struct loop *loop, uint64_t purpose);
/* Fresh bytes for secrets and ids. */
void loop_entropy(struct loop *loop, void *data, size_t size);

/* For hosts: the phases of a turn that are the same everywhere. */
void loop_turn_begin(struct loop *loop, uint64_t now_ns, int64_t wall_ms);
void loop_deliver(struct loop *loop, struct message *message);
/* Timers, then deferred work, then the backlog of full rings. */
void loop_turn_timers(struct loop *loop);
void loop_turn_end(struct loop *loop);
/* When the loop wants its next turn at the latest; UINT64_MAX: only when something arrives. */
uint64_t loop_next_turn_ns(const struct loop *loop);

#endif
