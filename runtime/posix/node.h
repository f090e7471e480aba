/*
 * A node as a process: one control loop on the calling thread, n shards on threads of their own,
 * worker pools for devices and jobs, signals, and a watchdog.
 *
 * Invariants:
 *  1. `boot` runs once on each loop, on its own thread, before its first turn. Messages to loops
 *     that have not booted yet wait.
 *  2. The first SIGTERM or SIGINT calls `stop_requested` in a turn of the control loop; a second
 *     one ends the process at once with status 128 + signal.
 *  3. After node_stop each loop ends behind its current turn; what is still open is closed, what is
 *     still queued is dropped.
 */
#ifndef KLAMM_RUNTIME_POSIX_NODE_H
#define KLAMM_RUNTIME_POSIX_NODE_H

#include "base/histogram.h"
#include "runtime/loop.h"

struct node_options {
    unsigned shards; /* loops besides the control loop, at least 1 */
    const struct diagnostics *diagnostics;
    void (*boot)(struct loop *loop, void *argument);
    void (*stop_requested)(struct loop *control);
    void *argument;
    bool keep_signals; /* leaves the process's signal handling alone (tests) */
};

/* What a loop has used of the operating system. */
struct node_loop_counters {
    uint64_t sends;          /* sendmsg calls */
    uint64_t sent_size;      /* bytes by sendmsg */
    uint64_t sendfile_calls; /* ranges, or parts of them, that went without a copy */
    uint64_t sendfile_size;  /* bytes */
    uint64_t warmed_ranges;  /* ranges that a worker read before they were sent */
    uint64_t receives;       /* recv calls that brought bytes */
    uint64_t received_size;  /* bytes */
    uint64_t accepted;
    uint64_t polls;           /* times the loop asked the kernel for events */
    struct histogram turn_us; /* duration of turns */
};

/* Runs a node to its end on the calling thread; returns the status given to node_stop. */
int node_run(const struct node_options *options);
/* From any loop: ends the node with an exit status. */
void node_stop(struct loop *loop, int status);
/* The counters of the own loop; only for loops of node_run. */
const struct node_loop_counters *node_counters(const struct loop *loop);

#endif
