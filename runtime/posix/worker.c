/*
 * One lock and one condition per pool. Threads are detached and counted; deinit waits until the
 * count is zero.
 */
#include "runtime/posix/worker.h"

#include <errno.h>
#include <limits.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "base/assert.h"

enum { IDLE_SECONDS = 10, STACK_SIZE = 256 * 1024 };

void worker_pool_init(struct worker_pool *pool, const char *name, unsigned threads_max)
{
    *pool = (struct worker_pool){.threads_max = threads_max, .name = name};
    pool->last = &pool->first;
    pthread_condattr_t attributes;
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_mutex_init(&pool->lock, NULL);
    pthread_cond_init(&pool->work, &attributes);
    pthread_cond_init(&pool->ended, NULL);
    pthread_condattr_destroy(&attributes);
}

/* Waits for a task with the lock held; NULL when the thread should end. */
static struct task *next_task(struct worker_pool *pool)
{
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += IDLE_SECONDS;
    while (!pool->first) {
        if (pool->stopping)
            return NULL;
        pool->idle++;
        int result = pthread_cond_timedwait(&pool->work, &pool->lock, &until);
        pool->idle--;
        if (result == ETIMEDOUT && !pool->first)
            return NULL;
    }
    struct task *task = pool->first;
    pool->first = task->next;
    if (!pool->first)
        pool->last = &pool->first;
    pool->queued--;
    return task;
}

static void *worker_main(void *argument)
{
    struct worker_pool *pool = argument;
    pthread_setname_np(pthread_self(), pool->name);
    if (pool->niceness > 0)
        setpriority(PRIO_PROCESS, (id_t)gettid(), getpriority(PRIO_PROCESS, 0) + pool->niceness);
    pthread_mutex_lock(&pool->lock);
    for (struct task *task; (task = next_task(pool)) != NULL;) {
        pthread_mutex_unlock(&pool->lock);
        task->run(task);
        pthread_mutex_lock(&pool->lock);
    }
    pool->threads--;
    pthread_cond_signal(&pool->ended);
    pthread_mutex_unlock(&pool->lock);
    return NULL;
}

/* With the lock held. Without any thread a failure to start one ends the node. */
static void start_thread(struct worker_pool *pool)
{
    pthread_attr_t attributes;
    pthread_attr_init(&attributes);
    pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
    pthread_attr_setstacksize(&attributes, STACK_SIZE);
    pthread_t thread;
    int result = pthread_create(&thread, &attributes, worker_main, pool);
    pthread_attr_destroy(&attributes);
    if (result == 0)
        pool->threads++;
    else if (pool->threads == 0)
        klamm_halt(__FILE__, __LINE__, "no worker thread can be started");
}

void worker_pool_add(struct worker_pool *pool, struct task *task)
{
    task->next = NULL;
    pthread_mutex_lock(&pool->lock);
    klamm_assert(!pool->stopping);
    *pool->last = task;
    pool->last = &task->next;
    pool->queued++;
    if (pool->queued > pool->idle && pool->threads < pool->threads_max)
        start_thread(pool);
    bool wake = pool->idle > 0;
    pthread_mutex_unlock(&pool->lock);
    if (wake)
        pthread_cond_signal(&pool->work);
}

void worker_pool_deinit(struct worker_pool *pool)
{
    pthread_mutex_lock(&pool->lock);
    pool->stopping = true;
    pthread_cond_broadcast(&pool->work);
    while (pool->threads > 0)
        pthread_cond_wait(&pool->ended, &pool->lock);
    pthread_mutex_unlock(&pool->lock);
    pthread_mutex_destroy(&pool->lock);
    pthread_cond_destroy(&pool->work);
    pthread_cond_destroy(&pool->ended);
}
