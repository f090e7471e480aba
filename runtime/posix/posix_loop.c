/* Waking, completions and device pools: what workers and loops do to each other. */
#include "runtime/posix/posix_loop.h"

#include <errno.h>
#include <unistd.h>

#include "base/assert.h"

enum { DEVICE_THREADS_MAX = 16 };

bool posix_loop_wake(struct posix_loop *at)
{
    atomic_thread_fence(memory_order_seq_cst);
    if (!atomic_load_explicit(&at->sleeping, memory_order_relaxed) ||
        !atomic_exchange_explicit(&at->sleeping, false, memory_order_relaxed))
        return false;
    uint64_t one = 1;
    ssize_t result;
    do
        result = write(at->wake_fd, &one, sizeof(one));
    while (result < 0 && errno == EINTR);
    return true;
}

void posix_loop_complete(struct posix_loop *at, struct task *task)
{
    task->next = NULL;
    pthread_mutex_lock(&at->completed_lock);
    *at->completed_last = task;
    at->completed_last = &task->next;
    atomic_store_explicit(&at->has_completed, true, memory_order_release);
    pthread_mutex_unlock(&at->completed_lock);
    posix_loop_wake(at);
}

struct worker_pool *node_device_pool(struct node *node, uint64_t device)
{
    pthread_mutex_lock(&node->devices_lock);
    unsigned i = 0;
    while (i < node->device_count && node->devices[i].device != device)
        i++;
    if (i == node->device_count) {
        if (i == DEVICE_POOLS_MAX) {
            i = DEVICE_POOLS_MAX - 1; /* more devices than pools share the last one */
        } else {
            node->devices[i].device = device;
            worker_pool_init(&node->devices[i].pool, "klamm-device", DEVICE_THREADS_MAX);
            node->device_count++;
        }
    }
    struct worker_pool *pool = &node->devices[i].pool;
    pthread_mutex_unlock(&node->devices_lock);
    return pool;
}
