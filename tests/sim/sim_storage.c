/*
 * The storage seam over a simulated disk. Every call passes the gate: it may be the one at which
 * the node dies, before or after its effect. A request takes effect at once or when it completes,
 * as drawn; what it read or synced is told at completion.
 */
#include "base/assert.h"
#include "tests/sim/sim_disk.h"

enum { MILLION = 1000000, DEVICE_DELAY_MIN_NS = 20000, DEVICE_DELAY_MAX_NS = 4000000 };

struct storage_file {
    struct sim_inode *inode;
    bool poisoned;
};

/* A request in flight; event->data. */
struct operation {
    struct storage_request *request;
    struct sim_sync *sync;
    uint64_t directory_number;
    bool effect_done;
};

static bool strikes(struct sim_node *node, uint32_t chance)
{
    return chance > 0 && random_chance(&node->random, chance, MILLION);
}

/* The place of a death: `after` is false before the effect of a call and true behind it. */
static void gate(struct sim_node *node, bool after)
{
    if (node->crash_call == 0 || node->sim->inside != node)
        return;
    if (!after) {
        if (--node->crash_call > 0)
            return;
        if (random_chance(&node->random, 1, 2))
            sim_die(node);
        node->crash_call = UINT64_MAX; /* behind the effect, then */
    } else if (node->crash_call > UINT64_MAX / 2) {
        sim_die(node);
    }
}

static void fold_call(struct sim_node *node, unsigned kind, enum storage_status status,
                      uint64_t offset, uint64_t size)
{
    sim_fold(node->sim, (uint64_t)kind << 8 | status);
    sim_fold(node->sim, offset ^ size << 32);
}

/* ---- Effects on files ---- */

static size_t buffers_size(const struct storage_buffer *buffers, size_t count)
{
    size_t size = 0;
    for (size_t i = 0; i < count; i++)
        size += buffers[i].size;
    return size;
}

/* Writes the first `size` bytes of the buffers. */
static void write_some(struct sim_node *node, struct sim_inode *inode, uint64_t offset,
                       const struct storage_buffer *buffers, size_t size)
{
    while (size > 0) {
        size_t part = buffers->size < size ? buffers->size : size;
        sim_inode_write(node->disk, inode, offset, buffers->data, part);
        sim_fold_bytes(node->sim, buffers->data, part);
        offset += part;
        size -= part;
        buffers++;
    }
}

static enum storage_status write_at(struct sim_node *node, struct storage_file *file,
                                    uint64_t offset, const struct storage_buffer *buffers,
                                    size_t buffer_count)
{
    if (file->poisoned)
        return STORAGE_POISONED;
    size_t size = buffers_size(buffers, buffer_count);
    uint64_t end = offset + size;
    uint64_t growth = end > file->inode->size ? end - file->inode->size : 0;
    uint64_t capacity = node->faults.disk_capacity;
    enum storage_status status = STORAGE_OK;
    if (strikes(node, node->faults.write_error)) {
        status = STORAGE_IO;
        file->poisoned = true;
    } else if (strikes(node, node->faults.no_space) ||
               (capacity > 0 && growth > 0 && node->disk->used + growth > capacity)) {
        status = STORAGE_NO_SPACE;
    }
    size_t written = status == STORAGE_OK ? size : random_below(&node->random, size + 1);
    write_some(node, file->inode, offset, buffers, written);
    return status;
}

static enum storage_status read_at(struct sim_node *node, struct storage_request *request)
{
    const struct sim_inode *inode = request->file->inode;
    request->result_size = 0;
    if (strikes(node, node->faults.read_error))
        return STORAGE_IO;
    uint64_t offset = request->offset;
    for (size_t i = 0; i < request->buffer_count && offset < inode->size; i++) {
        size_t part = request->buffers[i].size;
        if (part > inode->size - offset)
            part = (size_t)(inode->size - offset);
        memcpy(request->buffers[i].data, inode->cache + offset, part);
        request->result_size += part;
        offset += part;
    }
    return STORAGE_OK;
}

/* ---- Effects on names ---- */

static struct storage_file *file_open(struct sim_node *node, struct sim_inode *inode)
{
    struct storage_file *file = sim_node_get(node, sizeof(*file));
    *file = (struct storage_file){.inode = inode};
    return file;
}

static void file_close(struct sim_node *node, struct storage_file *file)
{
    if (file->inode->lock == file)
        file->inode->lock = NULL;
    struct heap heap;
    sim_heap_init(node, &heap);
    heap.put(&heap, file, sizeof(*file));
}

static enum storage_status run_open(struct sim_node *node, struct storage_request *request)
{
    unsigned flags = request->operation == STORAGE_LOCK ? STORAGE_FLAG_CREATE : request->flags;
    struct sim_inode *inode = sim_disk_find(node->disk, request->path);
    if (inode && inode->is_directory)
        return STORAGE_NOT_EMPTY;
    if (inode && (flags & STORAGE_FLAG_EXCLUSIVE))
        return STORAGE_EXISTS;
    if (!inode) {
        const char *name;
        struct sim_inode *parent = sim_disk_parent(node->disk, request->path, &name);
        if (!parent || !(flags & STORAGE_FLAG_CREATE))
            return STORAGE_NOT_FOUND;
        if (strikes(node, node->faults.no_space))
            return STORAGE_NO_SPACE;
        inode = sim_disk_make(node->disk, parent, name, false);
    }
    if (request->operation == STORAGE_LOCK && inode->lock)
        return STORAGE_LOCKED;
    request->file = file_open(node, inode);
    if (request->operation == STORAGE_LOCK)
        inode->lock = request->file;
    request->result_size = inode->size;
    return STORAGE_OK;
}

static enum storage_status run_rename(struct sim_node *node, const struct storage_request *request)
{
    const char *from_name, *to_name;
    struct sim_inode *from = sim_disk_parent(node->disk, request->path, &from_name);
    struct sim_inode *to = sim_disk_parent(node->disk, request->to_path, &to_name);
    struct sim_inode *inode = from ? sim_names_find(&from->names, from_name) : NULL;
    if (!inode || !to)
        return STORAGE_NOT_FOUND;
    const struct sim_inode *there = sim_names_find(&to->names, to_name);
    if (there && there != inode && (there->is_directory || inode->is_directory))
        return STORAGE_EXISTS;
    sim_disk_rename(node->disk, from, from_name, to, to_name);
    return STORAGE_OK;
}

static enum storage_status run_unlink(struct sim_node *node, const char *path, bool is_directory)
{
    const char *name;
    struct sim_inode *parent = sim_disk_parent(node->disk, path, &name);
    const struct sim_inode *inode = parent ? sim_names_find(&parent->names, name) : NULL;
    if (!inode)
        return sim_disk_find(node->disk, path) ? STORAGE_NOT_EMPTY : STORAGE_NOT_FOUND;
    if (inode->is_directory != is_directory || inode->names.count > 0)
        return is_directory && !inode->is_directory ? STORAGE_NOT_FOUND : STORAGE_NOT_EMPTY;
    sim_disk_unlink(node->disk, parent, name);
    return STORAGE_OK;
}

static enum storage_status run_make_directory(struct sim_node *node, const char *path)
{
    const char *name;
    struct sim_inode *parent = sim_disk_parent(node->disk, path, &name);
    if (!parent)
        return sim_disk_find(node->disk, path) ? STORAGE_EXISTS : STORAGE_NOT_FOUND;
    if (sim_names_find(&parent->names, name))
        return STORAGE_EXISTS;
    sim_disk_make(node->disk, parent, name, true);
    return STORAGE_OK;
}

static enum storage_status run_list(struct sim_node *node, struct storage_request *request)
{
    const struct sim_inode *inode = sim_disk_find(node->disk, request->path);
    if (!inode || !inode->is_directory)
        return STORAGE_NOT_FOUND;
    size_t count = inode->names.count, names_size = 0;
    for (size_t i = 0; i < count; i++)
        names_size += strlen(inode->names.entries[i].text) + 1;
    size_t held =
        sizeof(struct storage_listing) + count * sizeof(struct storage_entry) + names_size;
    struct storage_listing *listing = heap_get(request->heap, MEMORY_SCRATCH, held);
    if (!listing)
        return STORAGE_LIMIT;
    *listing = (struct storage_listing){request->heap, held, count};
    char *place = (char *)(listing->entries + count);
    for (size_t i = 0; i < count; i++) {
        const struct sim_inode *one = inode->names.entries[i].inode;
        size_t size = strlen(inode->names.entries[i].text) + 1;
        memcpy(place, inode->names.entries[i].text, size);
        listing->entries[i] = (struct storage_entry){.name = place,
                                                     .is_directory = one->is_directory,
                                                     .size = one->size,
                                                     .modified_ms = one->modified_ms};
        place += size;
    }
    request->listing = listing;
    return STORAGE_OK;
}

static enum storage_status run_stat(struct sim_node *node, struct storage_request *request)
{
    const struct sim_inode *inode = sim_disk_find(node->disk, request->path);
    if (!inode)
        return STORAGE_NOT_FOUND;
    request->result_size = inode->size;
    request->result_is_directory = inode->is_directory;
    request->result_modified_ms = inode->modified_ms;
    return STORAGE_OK;
}

static enum storage_status run_set_modified(struct sim_node *node,
                                            const struct storage_request *request)
{
    struct sim_inode *inode = sim_disk_find(node->disk, request->path);
    if (!inode)
        return STORAGE_NOT_FOUND;
    inode->modified_ms = request->modified_ms;
    return STORAGE_OK;
}

static enum storage_status run_space(struct sim_node *node, struct storage_request *request)
{
    if (!sim_disk_find(node->disk, request->path))
        return STORAGE_NOT_FOUND;
    uint64_t capacity = node->faults.disk_capacity;
    request->result_total = capacity > 0 ? capacity : UINT64_C(1) << 40;
    request->result_size =
        request->result_total > node->disk->used ? request->result_total - node->disk->used : 0;
    return STORAGE_OK;
}

/* What the operation does to disk and request, syncs aside. */
static enum storage_status take_effect(struct sim_node *node, struct storage_request *request)
{
    if (request->operation == STORAGE_OPEN || request->operation == STORAGE_LOCK)
        return run_open(node, request);
    if (request->operation == STORAGE_CLOSE) {
        file_close(node, request->file);
        return STORAGE_OK;
    }
    switch ((unsigned)request->operation) {
    case STORAGE_READ:
        return request->file->poisoned ? STORAGE_POISONED : read_at(node, request);
    case STORAGE_WRITE:
        return write_at(node, request->file, request->offset, request->buffers,
                        request->buffer_count);
    case STORAGE_WARM:
    case STORAGE_PREALLOCATE:
        return request->file->poisoned ? STORAGE_POISONED : STORAGE_OK;
    case STORAGE_TRUNCATE:
        if (request->file->poisoned)
            return STORAGE_POISONED;
        sim_inode_truncate(node->disk, request->file->inode, request->size);
        return STORAGE_OK;
    case STORAGE_STAT:
        return run_stat(node, request);
    case STORAGE_SET_MODIFIED:
        return run_set_modified(node, request);
    case STORAGE_RENAME:
        return run_rename(node, request);
    case STORAGE_UNLINK:
        return run_unlink(node, request->path, false);
    case STORAGE_REMOVE_DIRECTORY:
        return run_unlink(node, request->path, true);
    case STORAGE_MAKE_DIRECTORY:
        return run_make_directory(node, request->path);
    case STORAGE_LIST:
        return run_list(node, request);
    case STORAGE_SPACE:
        return run_space(node, request);
    default:
        klamm_unreachable("operation with an effect of its own");
    }
}

/* ---- Beginning and ending an operation ---- */

static void operation_begin(struct sim_node *node, struct operation *operation)
{
    struct storage_request *request = operation->request;
    if (request->operation == STORAGE_SYNC && !request->file->poisoned)
        operation->sync = sim_sync_begin(node->disk, request->file->inode);
    if (request->operation == STORAGE_SYNC_DIRECTORY)
        operation->directory_number = sim_directory_sync_begin(node->disk);
}

static enum storage_status end_sync(struct sim_node *node, struct operation *operation)
{
    struct storage_file *file = operation->request->file;
    if (!operation->sync)
        return STORAGE_POISONED;
    bool kept = !file->poisoned && !strikes(node, node->faults.sync_error);
    struct sim_sync *sync = operation->sync;
    operation->sync = NULL;
    if (file->poisoned) {
        sim_sync_abandon(node->disk, sync);
        return STORAGE_POISONED;
    }
    sim_sync_end(node->disk, sync, kept);
    file->poisoned = file->poisoned || !kept;
    return kept ? STORAGE_OK : STORAGE_IO;
}

static void operation_end(struct sim_node *node, struct operation *operation)
{
    struct storage_request *request = operation->request;
    if (request->operation == STORAGE_SYNC) {
        request->status = end_sync(node, operation);
    } else if (request->operation == STORAGE_SYNC_DIRECTORY) {
        const struct sim_inode *directory = sim_disk_find(node->disk, request->path);
        request->status = directory && directory->is_directory ? STORAGE_OK : STORAGE_NOT_FOUND;
        if (request->status == STORAGE_OK && strikes(node, node->faults.sync_error))
            request->status = STORAGE_IO;
        if (request->status == STORAGE_OK)
            sim_directory_sync_end(node->disk, directory, operation->directory_number);
    } else if (!operation->effect_done) {
        request->status = take_effect(node, request);
    }
    fold_call(node, request->operation, request->status, request->offset, request->result_size);
}

/* Whether it may take effect when it is submitted; the others look at completion. */
static bool may_take_effect_early(const struct storage_request *request)
{
    switch (request->operation) {
    case STORAGE_WRITE:
    case STORAGE_TRUNCATE:
    case STORAGE_RENAME:
    case STORAGE_UNLINK:
    case STORAGE_MAKE_DIRECTORY:
    case STORAGE_REMOVE_DIRECTORY:
        return true;
    case STORAGE_OPEN:
    case STORAGE_CLOSE:
    case STORAGE_READ:
    case STORAGE_SYNC:
    case STORAGE_WARM:
    case STORAGE_PREALLOCATE:
    case STORAGE_STAT:
    case STORAGE_SET_MODIFIED:
    case STORAGE_LIST:
    case STORAGE_SYNC_DIRECTORY:
    case STORAGE_SPACE:
    case STORAGE_LOCK:
        return false;
    }
    klamm_unreachable("storage operation");
}

static uint64_t device_delay(struct sim_node *node)
{
    uint64_t slow = node->faults.storage_slow ? node->faults.storage_slow : 1;
    return slow * sim_delay(&node->random, DEVICE_DELAY_MIN_NS, DEVICE_DELAY_MAX_NS);
}

static void run_done(struct sim_loop *at, void *subject)
{
    (void)at;
    struct storage_request *request = subject;
    request->done(request);
}

static void request_completes(struct sim_event *event)
{
    struct operation *operation = event->data;
    operation_end(event->node, operation);
    sim_arrive(event->at, &event->at->completed, run_done, operation->request);
}

static void request_dropped(struct sim_event *event)
{
    struct operation *operation = event->data;
    if (operation->sync)
        sim_sync_abandon(event->node->disk, operation->sync);
}

static void start_request(struct sim_loop *at, struct storage_request *request)
{
    struct sim_node *node = at->node;
    struct sim_event *event = sim_schedule(node->sim, node, device_delay(node), request_completes);
    struct operation *operation = sim_get(node->sim, sizeof(*operation));
    operation->request = request;
    event->at = at;
    event->data = operation;
    event->size = sizeof(*operation);
    event->dropped = request_dropped;
    operation_begin(node, operation);
    if (may_take_effect_early(request) && random_chance(&node->random, 1, 2)) {
        operation->effect_done = true;
        request->status = take_effect(node, request);
    }
}

/* ---- The tables ---- */

/* self of both tables: a loop for the loop's table, a node for the jobs'. */
static enum storage_status append_on(struct sim_node *node, struct storage_file *file,
                                     const struct storage_buffer *buffers, size_t buffer_count)
{
    gate(node, false);
    uint64_t offset = file->inode->size;
    enum storage_status status = write_at(node, file, offset, buffers, buffer_count);
    fold_call(node, 100, status, offset, file->inode->size);
    gate(node, true);
    return status;
}

static enum storage_status loop_append(void *self, struct storage_file *file,
                                       const struct storage_buffer *buffers, size_t buffer_count,
                                       struct storage_request *pending)
{
    struct sim_loop *at = self;
    if (!pending || file->poisoned || !strikes(at->node, at->node->faults.append_pending))
        return append_on(at->node, file, buffers, buffer_count);
    gate(at->node, false);
    pending->offset = file->inode->size;
    pending->buffers = buffers;
    pending->buffer_count = buffer_count;
    start_request(at, pending);
    gate(at->node, true);
    return STORAGE_PENDING;
}

static enum storage_status job_append(void *self, struct storage_file *file,
                                      const struct storage_buffer *buffers, size_t buffer_count,
                                      struct storage_request *pending)
{
    (void)pending;
    return append_on(self, file, buffers, buffer_count);
}

static enum storage_status read_now_on(struct sim_node *node, const struct storage_file *file,
                                       uint64_t offset, void *data, size_t size)
{
    if (file->poisoned)
        return STORAGE_POISONED;
    if (offset > file->inode->size || size > file->inode->size - offset)
        return STORAGE_IO;
    if (strikes(node, node->faults.read_miss))
        return STORAGE_NOT_RESIDENT;
    if (size > 0)
        memcpy(data, file->inode->cache + offset, size);
    return STORAGE_OK;
}

static enum storage_status loop_read_now(void *self, struct storage_file *file, uint64_t offset,
                                         void *data, size_t size)
{
    struct sim_loop *at = self;
    return read_now_on(at->node, file, offset, data, size);
}

static enum storage_status job_read_now(void *self, struct storage_file *file, uint64_t offset,
                                        void *data, size_t size)
{
    return read_now_on(self, file, offset, data, size);
}

static uint64_t any_size(void *self, const struct storage_file *file)
{
    (void)self;
    return file->inode->size;
}

static void loop_submit(void *self, struct storage_request *request)
{
    struct sim_loop *at = self;
    gate(at->node, false);
    start_request(at, request);
    gate(at->node, true);
}

static void loop_run(void *self, struct storage_request *request)
{
    (void)self;
    (void)request;
    klamm_unreachable("a blocking storage call on a loop");
}

static void job_submit(void *self, struct storage_request *request)
{
    (void)self;
    (void)request;
    klamm_unreachable("a storage request from a job");
}

static void job_run(void *self, struct storage_request *request)
{
    struct sim_node *node = self;
    gate(node, false);
    struct operation operation = {.request = request};
    operation_begin(node, &operation);
    operation_end(node, &operation);
    node->step_delay_ns += device_delay(node);
    gate(node, true);
}

static const struct storage_ops loop_ops = {loop_append, loop_read_now, any_size, loop_submit,
                                            loop_run};
static const struct storage_ops job_ops = {job_append, job_read_now, any_size, job_submit, job_run};

struct storage sim_storage(struct sim_loop *at)
{
    return (struct storage){&loop_ops, at};
}

struct storage sim_storage_blocking(struct sim_node *node)
{
    return (struct storage){&job_ops, node};
}

bool sim_file_range(const struct storage_file *file, uint64_t offset, void *data, size_t size)
{
    if (offset > file->inode->size || size > file->inode->size - offset)
        return false;
    if (size > 0)
        memcpy(data, file->inode->cache + offset, size);
    return true;
}

struct storage sim_blocking_storage(struct sim *sim, unsigned node)
{
    klamm_assert(!sim->nodes[node]->running);
    return sim_storage_blocking(sim->nodes[node]);
}
