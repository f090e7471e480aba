/*
 * How it works: names and inodes are plain lists; looking up is linear, which is fine for tests.
 * Inodes live until the end, so a name that is unlinked leaves open files as they are.
 */
#include "tests/unit/log/memory_node.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/random.h"

static struct memory_name *find_name(struct memory_node *node, const char *path)
{
    for (struct memory_name *name = node->names; name; name = name->next) {
        if (strcmp(name->path, path) == 0)
            return name;
    }
    return NULL;
}

static struct memory_inode *find_inode(struct memory_node *node, const char *path)
{
    struct memory_name *name = find_name(node, path);
    return name ? name->current : NULL;
}

static struct memory_name *need_name(struct memory_node *node, const char *path)
{
    struct memory_name *name = find_name(node, path);
    if (name)
        return name;
    name = calloc(1, sizeof(*name));
    name->path = strdup(path);
    name->next = node->names;
    node->names = name;
    return name;
}

static struct memory_inode *new_inode(struct memory_node *node, bool is_directory)
{
    struct memory_inode *inode = calloc(1, sizeof(*inode));
    inode->is_directory = is_directory;
    inode->modified_ms = node->wall_ms;
    inode->next = node->inodes;
    node->inodes = inode;
    return inode;
}

static void resize(struct memory_inode *inode, size_t size)
{
    if (size > inode->capacity) {
        inode->capacity = size * 2;
        inode->data = realloc(inode->data, inode->capacity);
    }
    if (size > inode->size)
        memset(inode->data + inode->size, 0, size - inode->size);
    inode->size = size;
}

static void write_at(struct memory_node *node, struct memory_inode *inode, uint64_t offset,
                     const struct storage_buffer *buffers, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (offset + buffers[i].size > inode->size)
            resize(inode, (size_t)offset + buffers[i].size);
        if (buffers[i].size)
            memcpy(inode->data + offset, buffers[i].data, buffers[i].size);
        offset += buffers[i].size;
    }
    inode->modified_ms = node->wall_ms;
}

static bool has_parent(struct memory_node *node, const char *path)
{
    const char *slash = strrchr(path, '/');
    if (!slash || slash == path)
        return true;
    char *parent = strndup(path, (size_t)(slash - path));
    struct memory_inode *inode = find_inode(node, parent);
    free(parent);
    return inode && inode->is_directory;
}

static bool is_child(const char *directory, const char *path)
{
    size_t size = strcmp(directory, "/") == 0 ? 0 : strlen(directory);
    return strncmp(directory, path, size) == 0 && path[size] == '/' &&
           strchr(path + size + 1, '/') == NULL;
}

static bool take_failure(struct memory_node *node, enum storage_operation operation,
                         enum storage_status *status)
{
    if (node->failure[operation].status == STORAGE_OK)
        return false;
    if (node->failure[operation].after-- > 0)
        return false;
    *status = node->failure[operation].status;
    node->failure[operation].status = STORAGE_OK;
    return true;
}

static enum storage_status open_file(struct memory_node *node, struct storage_request *request)
{
    struct memory_name *name = find_name(node, request->path);
    struct memory_inode *inode = name ? name->current : NULL;
    if (inode && inode->is_directory)
        return STORAGE_NOT_EMPTY;
    if (inode && (request->flags & STORAGE_FLAG_EXCLUSIVE))
        return STORAGE_EXISTS;
    if (!inode) {
        if (!(request->flags & STORAGE_FLAG_CREATE) || !has_parent(node, request->path))
            return STORAGE_NOT_FOUND;
        inode = new_inode(node, false);
        need_name(node, request->path)->current = inode;
    }
    struct storage_file *file = calloc(1, sizeof(*file));
    file->inode = inode;
    file->next = node->files;
    node->files = file;
    request->file = file;
    request->result_size = inode->size;
    return STORAGE_OK;
}

static enum storage_status lock_file(struct memory_node *node, struct storage_request *request)
{
    for (struct storage_file *file = node->files; file; file = file->next) {
        if (file->is_lock && !file->closed && strcmp(file->path, request->path) == 0)
            return STORAGE_LOCKED;
    }
    request->flags = STORAGE_FLAG_CREATE;
    enum storage_status status = open_file(node, request);
    if (status == STORAGE_OK) {
        request->file->is_lock = true;
        request->file->path = strdup(request->path);
    }
    return status;
}

static enum storage_status read_file(struct storage_request *request)
{
    struct memory_inode *inode = request->file->inode;
    uint64_t at = request->offset;
    request->result_size = 0;
    for (size_t i = 0; i < request->buffer_count; i++) {
        size_t left = at < inode->size ? inode->size - (size_t)at : 0;
        size_t size = request->buffers[i].size < left ? request->buffers[i].size : left;
        if (size)
            memcpy(request->buffers[i].data, inode->data + at, size);
        at += size;
        request->result_size += size;
    }
    return STORAGE_OK;
}

static void sync_inode(struct memory_inode *inode)
{
    free(inode->durable);
    inode->durable = malloc(inode->size + 1);
    if (inode->size)
        memcpy(inode->durable, inode->data, inode->size);
    inode->durable_size = inode->size;
}

static enum storage_status remove_name(struct memory_node *node, const char *path,
                                       bool is_directory)
{
    struct memory_name *name = find_name(node, path);
    if (!name || !name->current)
        return STORAGE_NOT_FOUND;
    if (name->current->is_directory != is_directory)
        return STORAGE_NOT_EMPTY;
    for (struct memory_name *other = node->names; is_directory && other; other = other->next) {
        if (other->current && is_child(path, other->path))
            return STORAGE_NOT_EMPTY;
    }
    name->current = NULL;
    return STORAGE_OK;
}

/* A directory takes the names below it along. */
static enum storage_status rename_path(struct memory_node *node, const char *from, const char *to)
{
    struct memory_name *name = find_name(node, from);
    if (!name || !name->current)
        return STORAGE_NOT_FOUND;
    size_t from_size = strlen(from);
    for (struct memory_name *below = node->names; below; below = below->next) {
        if (strncmp(below->path, from, from_size) != 0 || below->path[from_size] != '/' ||
            !below->current)
            continue;
        char moved[1024];
        snprintf(moved, sizeof(moved), "%s%s", to, below->path + from_size);
        struct memory_name *target = need_name(node, moved);
        target->current = below->current;
        target->durable = below->durable;
        below->current = NULL;
    }
    need_name(node, to)->current = name->current;
    name->current = NULL;
    return STORAGE_OK;
}

static int compare_entries(const void *a, const void *b)
{
    return strcmp(((const struct storage_entry *)a)->name, ((const struct storage_entry *)b)->name);
}

static enum storage_status list_directory(struct memory_node *node, struct storage_request *request)
{
    struct memory_inode *inode = find_inode(node, request->path);
    if (!inode || !inode->is_directory)
        return STORAGE_NOT_FOUND;
    size_t count = 0, text = 0;
    for (struct memory_name *name = node->names; name; name = name->next) {
        if (name->current && is_child(request->path, name->path)) {
            count++;
            text += strlen(name->path) + 1;
        }
    }
    size_t held = sizeof(struct storage_listing) + count * sizeof(struct storage_entry) + text;
    struct storage_listing *listing = heap_must_get(request->heap, MEMORY_SCRATCH, held);
    *listing = (struct storage_listing){.heap = request->heap, .held_size = held, .count = count};
    char *texts = (char *)&listing->entries[count];
    size_t i = 0;
    for (struct memory_name *name = node->names; name; name = name->next) {
        if (!name->current || !is_child(request->path, name->path))
            continue;
        strcpy(texts, strrchr(name->path, '/') + 1);
        listing->entries[i++] = (struct storage_entry){
            .name = texts,
            .is_directory = name->current->is_directory,
            .size = name->current->size,
            .modified_ms = name->current->modified_ms,
        };
        texts += strlen(texts) + 1;
    }
    qsort(listing->entries, count, sizeof(struct storage_entry), compare_entries);
    request->listing = listing;
    return STORAGE_OK;
}

static enum storage_status sync_directory(struct memory_node *node, const char *path)
{
    struct memory_inode *inode = find_inode(node, path);
    if (!inode || !inode->is_directory)
        return STORAGE_NOT_FOUND;
    for (struct memory_name *name = node->names; name; name = name->next) {
        if (is_child(path, name->path))
            name->durable = name->current;
    }
    return STORAGE_OK;
}

static enum storage_status make_directory(struct memory_node *node, const char *path)
{
    if (find_inode(node, path))
        return STORAGE_EXISTS;
    if (!has_parent(node, path))
        return STORAGE_NOT_FOUND;
    need_name(node, path)->current = new_inode(node, true);
    return STORAGE_OK;
}

static enum storage_status stat_path(struct memory_node *node, struct storage_request *request)
{
    struct memory_inode *inode = find_inode(node, request->path);
    if (!inode)
        return STORAGE_NOT_FOUND;
    request->result_size = inode->size;
    request->result_modified_ms = inode->modified_ms;
    request->result_is_directory = inode->is_directory;
    return STORAGE_OK;
}

static enum storage_status execute(struct memory_node *node, struct storage_request *request)
{
    enum storage_status status;
    node->calls[request->operation]++;
    bool is_failing = take_failure(node, request->operation, &status);
    switch (request->operation) {
    case STORAGE_OPEN:
        return is_failing ? status : open_file(node, request);
    case STORAGE_LOCK:
        return is_failing ? status : lock_file(node, request);
    case STORAGE_CLOSE:
        klamm_assert(!request->file->closed);
        request->file->closed = true;
        return is_failing ? status : STORAGE_OK;
    case STORAGE_READ:
        return is_failing ? status : read_file(request);
    case STORAGE_WRITE:
    case STORAGE_SYNC:
    case STORAGE_TRUNCATE:
        if (request->file->poisoned)
            return STORAGE_POISONED;
        if (is_failing) {
            request->file->poisoned = status == STORAGE_IO;
            return status;
        }
        if (request->operation == STORAGE_WRITE)
            write_at(node, request->file->inode, request->offset, request->buffers,
                     request->buffer_count);
        else if (request->operation == STORAGE_SYNC)
            sync_inode(request->file->inode);
        else
            resize(request->file->inode, (size_t)request->size);
        return STORAGE_OK;
    case STORAGE_WARM:
    case STORAGE_PREALLOCATE:
        return is_failing ? status : STORAGE_OK;
    case STORAGE_STAT:
        return is_failing ? status : stat_path(node, request);
    case STORAGE_SET_MODIFIED:
        if (!is_failing && find_inode(node, request->path))
            find_inode(node, request->path)->modified_ms = request->modified_ms;
        return is_failing ? status : STORAGE_OK;
    case STORAGE_RENAME:
        return is_failing ? status : rename_path(node, request->path, request->to_path);
    case STORAGE_UNLINK:
    case STORAGE_REMOVE_DIRECTORY:
        return is_failing ? status
                          : remove_name(node, request->path,
                                        request->operation == STORAGE_REMOVE_DIRECTORY);
    case STORAGE_MAKE_DIRECTORY:
        return is_failing ? status : make_directory(node, request->path);
    case STORAGE_LIST:
        return is_failing ? status : list_directory(node, request);
    case STORAGE_SYNC_DIRECTORY:
        return is_failing ? status : sync_directory(node, request->path);
    case STORAGE_SPACE:
        request->result_size = 1u << 30;
        request->result_total = 1u << 31;
        return is_failing ? status : STORAGE_OK;
    }
    return STORAGE_IO;
}

static void run_request(void *self, struct storage_request *request)
{
    request->status = execute(self, request);
}

static void submit_request(void *self, struct storage_request *request)
{
    struct memory_node *node = self;
    request->next = NULL;
    *node->last_request = request;
    node->last_request = &request->next;
}

static enum storage_status append_now(void *self, struct storage_file *file,
                                      const struct storage_buffer *buffers, size_t buffer_count,
                                      struct storage_request *pending)
{
    struct memory_node *node = self;
    enum storage_status status;
    node->append_calls++;
    if (file->poisoned)
        return STORAGE_POISONED;
    if (node->slow) {
        pending->offset = file->inode->size;
        pending->buffers = buffers;
        pending->buffer_count = buffer_count;
        submit_request(self, pending);
        return STORAGE_PENDING;
    }
    if (take_failure(node, STORAGE_WRITE, &status)) {
        file->poisoned = status == STORAGE_IO;
        return status;
    }
    write_at(node, file->inode, file->inode->size, buffers, buffer_count);
    return STORAGE_OK;
}

static enum storage_status read_now(void *self, struct storage_file *file, uint64_t offset,
                                    void *data, size_t size)
{
    struct memory_node *node = self;
    if (node->cold)
        return STORAGE_NOT_RESIDENT;
    if (offset + size > file->inode->size)
        return STORAGE_IO;
    if (size)
        memcpy(data, file->inode->data + offset, size);
    return STORAGE_OK;
}

static uint64_t file_size(void *self, const struct storage_file *file)
{
    (void)self;
    return file->inode->size;
}

static const struct storage_ops storage_ops = {
    .append = append_now,
    .read_now = read_now,
    .size = file_size,
    .submit = submit_request,
    .run = run_request,
};

static bool post_message(void *self, unsigned to, struct message *message)
{
    struct memory_loop *target = &((struct memory_loop *)self)->node->loops[to];
    message->next = NULL;
    *target->last_message = message;
    target->last_message = &message->next;
    return true;
}

static void start_job(void *self, struct job *job)
{
    struct memory_node *node = ((struct memory_loop *)self)->node;
    heap_init_plain(&job->heap);
    job->next = NULL;
    *node->last_job = job;
    node->last_job = &job->next;
}

static void fill_entropy(void *self, void *data, size_t size)
{
    struct memory_node *node = ((struct memory_loop *)self)->node;
    struct random_stream random;
    random_init(&random, 0x5a, node->entropy_drawn++);
    random_fill(&random, data, size);
}

static const struct host_ops host_ops = {post_message, start_job, fill_entropy};

static void keep_line(void *self, enum log_level level, const char *text)
{
    struct memory_node *node = self;
    (void)level;
    snprintf(node->last_line, sizeof(node->last_line), "%s", text);
}

/* Blocks know their heap, so that a crash can drop them all. */
struct block {
    struct list link;
    max_align_t data[];
};

static void *get_block(struct heap *heap, size_t size)
{
    struct memory_loop *loop = container_of(heap, struct memory_loop, heap);
    struct block *block = malloc(sizeof(*block) + size);
    list_push_back(&loop->blocks, &block->link);
    return block->data;
}

static void put_block(struct heap *heap, void *data, size_t size)
{
    struct block *block = container_of(data, struct block, data);
    (void)heap;
    (void)size;
    list_remove(&block->link);
    free(block);
}

void memory_node_init(struct memory_node *node)
{
    *node = (struct memory_node){.now_ns = 1000000000u, .wall_ms = 1700000000000};
    node->last_request = &node->first_request;
    node->last_job = &node->first_job;
    node->diagnostics = (struct diagnostics){keep_line, node, LOG_LEVEL_DEBUG};
    for (unsigned i = 0; i < MEMORY_NODE_LOOPS; i++) {
        struct memory_loop *loop = &node->loops[i];
        loop->node = node;
        loop->last_message = &loop->first_message;
        list_init(&loop->blocks);
        loop->heap = (struct heap){.get = get_block, .put = put_block};
        loop_init(&loop->loop, i, MEMORY_NODE_LOOPS, &loop->heap, memory_node_storage(node),
                  (struct transport){0}, (struct host){&host_ops, loop}, &node->diagnostics);
        loop_turn_begin(&loop->loop, node->now_ns, node->wall_ms);
        loop_turn_timers(&loop->loop);
    }
    memory_node_make_directory(node, "/");
}

void memory_node_deinit(struct memory_node *node)
{
    for (unsigned i = 0; i < MEMORY_NODE_LOOPS; i++) {
        for (struct list *link; (link = list_pop_front(&node->loops[i].blocks)) != NULL;)
            free(container_of(link, struct block, link));
    }
    while (node->names) {
        struct memory_name *name = node->names;
        node->names = name->next;
        free(name->path);
        free(name);
    }
    while (node->inodes) {
        struct memory_inode *inode = node->inodes;
        node->inodes = inode->next;
        free(inode->data);
        free(inode->durable);
        free(inode);
    }
    while (node->files) {
        struct storage_file *file = node->files;
        node->files = file->next;
        free(file->path);
        free(file);
    }
}

struct storage memory_node_storage(struct memory_node *node)
{
    return (struct storage){&storage_ops, node};
}

struct loop *memory_node_loop(struct memory_node *node, unsigned index)
{
    return &node->loops[index].loop;
}

struct job_context memory_node_context(struct memory_node *node)
{
    return (struct job_context){
        .storage = memory_node_storage(node),
        .heap = &node->loops[0].heap,
        .now_ns = node->now_ns,
        .wall_ms = node->wall_ms,
        .diagnostics = &node->diagnostics,
    };
}

static void pass_time(struct memory_node *node, uint64_t delay_ns)
{
    node->now_ns += delay_ns;
    node->wall_ms += (int64_t)(delay_ns / 1000000);
}

static bool run_jobs(struct memory_node *node)
{
    bool any = node->first_job != NULL;
    while (node->first_job) {
        struct job *job = node->first_job;
        node->first_job = job->next;
        if (!node->first_job)
            node->last_job = &node->first_job;
        struct job_context context = memory_node_context(node);
        context.heap = &job->heap;
        while (job->step(job, &context) == JOB_MORE)
            ;
        pass_time(node, node->job_ns);
        /* Of the turn in which a loop hears of the end. */
        for (unsigned i = 0; i < MEMORY_NODE_LOOPS; i++)
            node->loops[i].loop.now_ns = node->now_ns;
        job->done(job);
    }
    return any;
}

size_t memory_node_held(const struct memory_node *node)
{
    size_t count = 0;
    for (const struct storage_request *r = node->first_request; r; r = r->next)
        count++;
    return count;
}

struct storage_request *memory_node_held_request(struct memory_node *node, size_t index)
{
    struct storage_request *request = node->first_request;
    while (request && index-- > 0)
        request = request->next;
    return request;
}

void memory_node_complete(struct memory_node *node, size_t index)
{
    struct storage_request **place = &node->first_request;
    while (index-- > 0)
        place = &(*place)->next;
    struct storage_request *request = *place;
    *place = request->next;
    if (!*place)
        node->last_request = place;
    request->status = execute(node, request);
    request->done(request);
}

static bool run_loop(struct memory_node *node, struct memory_loop *memory_loop)
{
    struct loop *loop = &memory_loop->loop;
    bool any = !list_is_empty(&loop->deferred) || memory_loop->first_message;
    loop_turn_begin(loop, node->now_ns, node->wall_ms);
    struct message *message = memory_loop->first_message;
    memory_loop->first_message = NULL;
    memory_loop->last_message = &memory_loop->first_message;
    while (message) {
        struct message *next = message->next;
        loop_deliver(loop, message);
        message = next;
    }
    uint64_t fired = loop->timers.fired;
    loop_turn_timers(loop);
    any |= fired != loop->timers.fired;
    loop_turn_end(loop);
    return any;
}

bool memory_node_run(struct memory_node *node)
{
    bool any_ever = false;
    for (int turn = 0; turn < 100000; turn++) {
        bool any = false;
        while (!node->hold && node->first_request) {
            memory_node_complete(node, 0);
            any = true;
        }
        any |= run_jobs(node);
        for (unsigned i = 0; i < MEMORY_NODE_LOOPS; i++)
            any |= run_loop(node, &node->loops[i]);
        if (!any)
            return any_ever;
        any_ever = true;
    }
    klamm_unreachable("the node never comes to rest");
}

void memory_node_advance(struct memory_node *node, uint64_t delay_ns)
{
    pass_time(node, delay_ns);
    memory_node_run(node);
}

void memory_node_crash(struct memory_node *node)
{
    for (struct memory_name *name = node->names; name; name = name->next)
        name->current = name->durable;
    for (struct memory_inode *inode = node->inodes; inode; inode = inode->next) {
        if (inode->is_directory)
            continue;
        resize(inode, 0);
        resize(inode, inode->durable_size);
        if (inode->durable_size)
            memcpy(inode->data, inode->durable, inode->durable_size);
    }
    for (struct storage_file *file = node->files; file; file = file->next)
        file->closed = true;
    node->first_request = NULL;
    node->last_request = &node->first_request;
    node->first_job = NULL;
    node->last_job = &node->first_job;
}

void memory_node_fail(struct memory_node *node, enum storage_operation operation, int after,
                      enum storage_status status)
{
    node->failure[operation].after = after;
    node->failure[operation].status = status;
}

struct view memory_node_file(struct memory_node *node, const char *path)
{
    struct memory_inode *inode = find_inode(node, path);
    if (!inode || inode->is_directory)
        return VIEW_NULL;
    return view_of(inode->data ? inode->data : (const uint8_t *)"", inode->size);
}

struct view memory_node_durable_file(struct memory_node *node, const char *path)
{
    struct memory_name *name = find_name(node, path);
    if (!name || !name->durable)
        return VIEW_NULL;
    const uint8_t *data = name->durable->durable;
    return view_of(data ? data : (const uint8_t *)"", name->durable->durable_size);
}

void memory_node_put_file(struct memory_node *node, const char *path, struct view content)
{
    struct memory_name *name = need_name(node, path);
    if (!name->current)
        name->current = new_inode(node, false);
    resize(name->current, 0);
    resize(name->current, content.size);
    if (content.size)
        memcpy(name->current->data, content.data, content.size);
}

void memory_node_make_directory(struct memory_node *node, const char *path)
{
    struct memory_name *name = need_name(node, path);
    if (!name->current)
        name->current = new_inode(node, true);
    name->durable = name->current;
}

bool memory_node_exists(struct memory_node *node, const char *path)
{
    return find_inode(node, path) != NULL;
}
