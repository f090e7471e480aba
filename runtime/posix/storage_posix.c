/*
 * The storage table of a loop: at-once calls go to the file, requests to the pool of the device,
 * and come back through the loop's completions. A request's `seam` words hold its task and the loop
 * that it returns to.
 *
 * A listing made for a loop is built by a worker on the request's heap, which is the loop's: so
 * LIST runs on a private heap of the worker's making and the block changes hands at completion.
 */
#include <assert.h>
#include <string.h>

#include "base/assert.h"
#include "runtime/posix/file.h"
#include "runtime/posix/host.h"
#include "runtime/posix/posix_loop.h"

/* Lives in storage_request.seam. */
struct request_task {
    struct task task;
    struct posix_loop *at;
};

static_assert(sizeof(struct request_task) <= sizeof(((struct storage_request *)0)->seam),
              "the backend's words hold the task");

static struct request_task *task_of(struct storage_request *request)
{
    return (struct request_task *)(void *)request->seam;
}

static struct storage_request *request_of(struct task *task)
{
    struct request_task *own = container_of(task, struct request_task, task);
    return container_of((void **)(void *)own, struct storage_request, seam);
}

static enum storage_status posix_append(void *self, struct storage_file *file,
                                        const struct storage_buffer *buffers, size_t buffer_count,
                                        struct storage_request *pending)
{
    (void)pending;
    struct posix_loop *at = self;
    if (at)
        posix_loop_enter(at, "append to a file");
    return file_append(file, buffers, buffer_count);
}

static enum storage_status posix_read_now(void *self, struct storage_file *file, uint64_t offset,
                                          void *data, size_t size)
{
    struct posix_loop *at = self;
    if (at)
        posix_loop_enter(at, "read of a file");
    return file_read_now(file, offset, data, size);
}

static uint64_t posix_size(void *self, const struct storage_file *file)
{
    (void)self;
    return atomic_load_explicit(&file->size, memory_order_relaxed);
}

/* In the completion phase of the loop. */
static void complete_request(struct task *task)
{
    struct storage_request *request = request_of(task);
    if (request->operation == STORAGE_LIST && request->status == STORAGE_OK) {
        struct heap *heap = &task_of(request)->at->heap;
        heap->used[MEMORY_SCRATCH] += request->listing->held_size;
        request->heap = request->listing->heap = heap;
    }
    request->done(request);
}

/* On a worker. */
static void run_request(struct task *task)
{
    struct storage_request *request = request_of(task);
    struct posix_loop *at = task_of(request)->at;
    struct heap private;
    if (request->operation == STORAGE_LIST) {
        host_heap_init(&private);
        request->heap = &private;
    }
    file_run(request);
    task->run = complete_request;
    posix_loop_complete(at, task);
}

static void posix_submit(void *self, struct storage_request *request)
{
    struct posix_loop *at = self;
    klamm_assert(at != NULL);
    if (request->operation == STORAGE_LIST)
        klamm_assert(request->heap == &at->heap);
    struct request_task *own = task_of(request);
    *own = (struct request_task){.task = {.run = run_request}, .at = at};
    bool has_file = request->operation != STORAGE_OPEN && request->operation != STORAGE_LOCK &&
                    request->file != NULL;
    worker_pool_add(node_device_pool(at->node, has_file ? request->file->device : 0), &own->task);
}

static void posix_run(void *self, struct storage_request *request)
{
    (void)self;
    file_run(request);
}

static const struct storage_ops posix_ops = {posix_append, posix_read_now, posix_size, posix_submit,
                                             posix_run};

struct storage storage_posix(struct posix_loop *at)
{
    return (struct storage){&posix_ops, at};
}

struct storage host_storage_blocking(void)
{
    return (struct storage){&posix_ops, NULL};
}
