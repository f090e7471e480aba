/*
 * Pools of worker threads for what may wait: storage requests, jobs, name resolution.
 *
 * Invariants:
 *  1. A pool without work has no threads after a while: they start with the first task that finds
 *     nobody idle and end after ten seconds without one.
 *  2. Tasks start in the order in which they were added.
 */
#ifndef KLAMM_RUNTIME_POSIX_WORKER_H
#define KLAMM_RUNTIME_POSIX_WORKER_H

#include <pthread.h>
#include <stdbool.h>

/* Embedded in the work; `run` owns the memory from the moment it is called. */
struct task {
    struct task *next;
    void (*run)(struct task *task);
};

struct worker_pool {
    pthread_mutex_t lock;
    pthread_cond_t work;  /* a task was added, or stopping */
    pthread_cond_t ended; /* a thread ended */
    struct task *first;
    struct task **last;
    unsigned queued;
    unsigned idle;
    unsigned threads;
    unsigned threads_max;
    int niceness; /* of the threads, above the process's; set before the first task */
    bool stopping;
    const char *name; /* of the threads, at most 15 bytes */
};

void worker_pool_init(struct worker_pool *pool, const char *name, unsigned threads_max);
void worker_pool_add(struct worker_pool *pool, struct task *task);
/* Finishes what was added, then ends the threads. */
void worker_pool_deinit(struct worker_pool *pool);

#endif
