/*
 * What the files of this folder share: a loop with its host side, and the node that holds the
 * loops.
 *
 * Sleeping: a loop that is about to block sets `sleeping`, then looks once more at its mailboxes
 * and completions. Whoever hands it something first makes that visible, then looks at `sleeping`,
 * and writes the eventfd if it was the one to clear the flag. Both sides put a full fence between
 * their store and their load, so at least one of them sees the other.
 */
#ifndef KLAMM_RUNTIME_POSIX_POSIX_LOOP_H
#define KLAMM_RUNTIME_POSIX_POSIX_LOOP_H

#include <pthread.h>
#include <stdatomic.h>

#include <event2/event.h>
#include <event2/event_struct.h>

#include "runtime/posix/mailbox.h"
#include "runtime/posix/node.h"
#include "runtime/posix/worker.h"

struct posix_transport {
    struct posix_loop *at;
    struct list ready;     /* streams and listeners with something for the network phase */
    struct list unsent;    /* streams with something for the send phase */
    struct list streams;   /* all */
    struct list listeners; /* all */
    struct list graveyard; /* closed in this turn, freed at its end */
    uint8_t *copy;         /* COPY_SIZE bytes for small file ranges, made on first use */
    uint64_t limit_logged_ns;
};

struct posix_loop {
    struct loop loop;
    struct heap heap;
    struct node *node;
    pthread_t thread;
    struct event_base *base;
    struct event timer_event;
    uint64_t timer_set_ns; /* what timer_event is set to; 0: not set */
    struct event wake_event;
    int wake_fd;
    uint64_t wake_wanted; /* bit per loop that was posted to in this turn */
    _Alignas(CACHE_LINE) atomic_bool sleeping;
    _Atomic uint64_t turn_started_ns; /* 0 between turns; for the watchdog */
    _Atomic(const char *) turn_phase; /* what the turn is doing, a literal */
    pthread_mutex_t completed_lock;
    struct task *completed_first;
    struct task **completed_last;
    atomic_bool has_completed;
    struct mailbox *inbox[LOOP_COUNT_MAX]; /* by sender */
    struct posix_transport transport;
    struct node_loop_counters counters;
};

enum { DEVICE_POOLS_MAX = 16 };

struct node {
    const struct node_options *options;
    struct posix_loop *loops;
    unsigned count;
    atomic_bool stopping;
    atomic_int status;
    struct worker_pool job_pools[JOB_CLASSES];
    struct worker_pool name_pool; /* resolution of host names */
    pthread_mutex_t devices_lock;
    struct {
        uint64_t device;
        struct worker_pool pool;
    } devices[DEVICE_POOLS_MAX];
    unsigned device_count;
};

static inline struct posix_loop *posix_loop_of(const struct loop *loop)
{
    return loop->host.self;
}

/* Names what a turn is doing, for the watchdog. */
static inline void posix_loop_enter(struct posix_loop *at, const char *phase)
{
    atomic_store_explicit(&at->turn_phase, phase, memory_order_relaxed);
}

/* From a worker: `task` runs on the loop, in the completion phase of a coming turn. */
void posix_loop_complete(struct posix_loop *at, struct task *task);
/* Wakes the loop if it sleeps; true when it did. */
bool posix_loop_wake(struct posix_loop *at);
/* The pool for a device, made when it is new. */
struct worker_pool *node_device_pool(struct node *node, uint64_t device);

uint64_t posix_monotonic_ns(void);
int64_t posix_wall_ms(void);

/* storage_posix.c: the table for loops; submits on `at`. */
struct storage storage_posix(struct posix_loop *at);

/* transport_posix.c */
struct transport transport_posix_init(struct posix_transport *transport, struct posix_loop *at);
void transport_posix_deinit(struct posix_transport *transport);
/* The network phase, and the send phase; true when something is left for the next turn. */
void transport_posix_network(struct posix_transport *transport);
void transport_posix_flush(struct posix_transport *transport);
bool transport_posix_is_busy(const struct posix_transport *transport);

#endif
