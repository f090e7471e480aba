/*
 * Opening is one or two device requests, one after the other, for everybody who waits. Closing is a
 * request that nobody waits for. A handle that the idle list gives up takes the whole object along:
 * an idle partition holds none.
 */
#include "log/segment_file.h"

#include "base/assert.h"
#include "log/log_path.h"
#include "log/segment.h"

struct file_open {
    struct storage_request request;
    struct segment_file *file;
    bool with_index;
    struct log_path log_path;
    struct log_path index_path;
};

struct file_close {
    struct file_close *next; /* segment_file.retired */
    struct storage_request request;
    struct heap *heap;
};

struct segment_file *segment_file_of(struct log_shard *shard, struct segment *segment)
{
    if (segment->file)
        return segment->file;
    struct segment_file *file = heap_must_get(shard->heap, MEMORY_STATE, sizeof(*file));
    *file = (struct segment_file){.shard = shard, .segment = segment};
    list_link_init(&file->idle_link);
    list_init(&file->waits);
    list_link_init(&file->commit.link);
    file->commit.segment_base = segment->base_offset;
    file->commit.is_directory_unsynced = segment->is_directory_unsynced;
    segment->file = file;
    return file;
}

static void close_done(struct storage_request *request)
{
    struct file_close *close = container_of(request, struct file_close, request);
    heap_put(close->heap, MEMORY_SCRATCH, close, sizeof(*close));
}

static struct file_close *prepare_close(struct log_shard *shard, struct storage_file *handle)
{
    struct file_close *close = heap_must_get(shard->heap, MEMORY_SCRATCH, sizeof(*close));
    close->heap = shard->heap;
    close->request.operation = STORAGE_CLOSE;
    close->request.file = handle;
    close->request.done = close_done;
    return close;
}

static void start_close(struct log_shard *shard, struct file_close *close)
{
    shard->counters.file_closes++;
    storage_submit(shard->loop->storage, &close->request);
}

static void close_handle(struct log_shard *shard, struct storage_file *handle)
{
    if (handle)
        start_close(shard, prepare_close(shard, handle));
}

/* Jobs with a reference may still search in index handles that were given up. */
static void close_retired(struct segment_file *file)
{
    while (file->retired) {
        struct file_close *close = file->retired;
        file->retired = close->next;
        start_close(file->shard, close);
    }
}

static void leave_idle(struct segment_file *file)
{
    if (!list_is_linked(&file->idle_link))
        return;
    list_remove(&file->idle_link);
    file->shard->idle_count--;
}

/* Ends the object; nothing may refer to it. */
static void destroy(struct segment_file *file)
{
    struct log_shard *shard = file->shard;
    klamm_assert(file->references == 0);
    klamm_assert(!file->is_opening);
    leave_idle(file);
    close_retired(file);
    close_handle(shard, file->log);
    close_handle(shard, file->index);
    if (file->segment) {
        file->segment->is_directory_unsynced = file->commit.is_directory_unsynced;
        file->segment->file = NULL;
    }
    heap_put(shard->heap, MEMORY_STATE, file, sizeof(*file));
}

/* Closes the files that were idle longest, down to the limit. */
static void evict(struct log_shard *shard)
{
    while (shard->idle_count > shard->open_files_limit)
        destroy(container_of(shard->idle_files.next, struct segment_file, idle_link));
}

void segment_file_settle(struct segment_file *file)
{
    if (file->references == 0)
        close_retired(file);
    if (file->references > 0 || file->is_opening)
        return;
    if (!file->segment) {
        if (!file->commit.is_in_flight)
            destroy(file);
        return;
    }
    if (commit_file_is_busy(&file->commit) || list_is_linked(&file->idle_link))
        return;
    list_push_back(&file->shard->idle_files, &file->idle_link);
    file->shard->idle_count++;
    evict(file->shard);
}

void segment_file_acquire(struct segment_file *file)
{
    leave_idle(file);
    file->references++;
}

void segment_file_release(struct segment_file *file)
{
    klamm_assert(file->references > 0);
    file->references--;
    segment_file_settle(file);
}

/* Tells everybody who waits; each gives its reference back when it was told. */
static void open_finish(struct file_open *open, enum storage_status status)
{
    struct segment_file *file = open->file;
    heap_put(file->shard->heap, MEMORY_SCRATCH, open, sizeof(*open));
    file->is_opening = false;
    struct list waits;
    list_init(&waits);
    list_splice_back(&waits, &file->waits);
    file->references++; /* across the callbacks, which may doom the file */
    for (struct list *link; (link = list_pop_front(&waits)) != NULL;) {
        struct segment_file_wait *wait = container_of(link, struct segment_file_wait, link);
        file->references--;
        wait->ready(wait, status);
    }
    segment_file_release(file);
}

static void open_index(struct file_open *open);

static void open_done(struct storage_request *request)
{
    struct file_open *open = container_of(request, struct file_open, request);
    struct segment_file *file = open->file;
    if (request->status != STORAGE_OK) {
        open_finish(open, request->status);
        return;
    }
    file->shard->counters.file_opens++;
    if (!file->log) {
        file->log = request->file;
        file->commit.file = request->file;
        open_index(open);
        return;
    }
    file->index = request->file;
    open_finish(open, STORAGE_OK);
}

static void submit_open(struct file_open *open, const char *path, unsigned flags)
{
    open->request = (struct storage_request){
        .operation = STORAGE_OPEN, .path = path, .flags = flags, .done = open_done};
    storage_submit(open->file->shard->loop->storage, &open->request);
}

static void open_index(struct file_open *open)
{
    if (open->with_index && !open->file->index)
        submit_open(open, open->index_path.text, STORAGE_FLAG_READ);
    else
        open_finish(open, STORAGE_OK);
}

void segment_file_open(struct segment_file *file, const char *directory, bool with_index,
                       bool create, struct segment_file_wait *wait)
{
    klamm_assert(file->segment != NULL);
    wait->file = file;
    segment_file_acquire(file);
    list_push_back(&file->waits, &wait->link);
    if (file->is_opening)
        return;
    struct file_open *open = heap_must_get(file->shard->heap, MEMORY_SCRATCH, sizeof(*open));
    open->file = file;
    open->with_index = with_index;
    int64_t base = file->segment->base_offset;
    bool fits = log_path_of_offset(&open->log_path, directory, base, SEGMENT_LOG_SUFFIX) &&
                log_path_of_offset(&open->index_path, directory, base, SEGMENT_INDEX_SUFFIX);
    klamm_assert(fits);
    file->is_opening = true;
    if (!file->log)
        submit_open(open, open->log_path.text,
                    STORAGE_FLAG_READ | STORAGE_FLAG_WRITE | (create ? STORAGE_FLAG_CREATE : 0));
    else
        submit_open(open, open->index_path.text, STORAGE_FLAG_READ);
}

void segment_file_forget_index(struct segment_file *file)
{
    if (file->index) {
        struct file_close *close = prepare_close(file->shard, file->index);
        close->next = file->retired;
        file->retired = close;
    }
    file->index = NULL;
    if (file->references == 0)
        close_retired(file);
}

void segment_file_check_index(struct segment_file *file, uint32_t stored_count)
{
    struct storage storage = file->shard->loop->storage;
    if (file->index &&
        storage_size(storage, file->index) < (uint64_t)stored_count * OFFSET_INDEX_ENTRY_SIZE)
        segment_file_forget_index(file);
}

void segment_file_doom(struct segment_file *file)
{
    if (!file)
        return;
    leave_idle(file);
    file->segment = NULL;
    segment_file_settle(file);
}
