/*
 * How it works.
 *
 * A write links its file into the partition's list of unsynced files and, when somebody waits for
 * it (or the flusher wants it), the partition into the queue. Once a turn, in the deferred phase,
 * the queue is served: each unsynced file below the target gets a sync request, as many at a time
 * as allowed. A request remembers how far the file was written when it was submitted; its
 * completion moves the file's synced end there, the partition's ends follow, and the partition
 * queues again if the target is not reached. So there is no timer on the way of an acknowledgement,
 * and load makes the batches.
 *
 * A partition's synced end is that of its oldest unsynced file: files are written one after the
 * other. The background flusher walks the partitions by how long they are dirty.
 *
 * Failing: the first failed sync ends everything. The partitions and the directory are told in the
 * next deferred phase; requests in flight come home and only release their files.
 */
#include "log/committer.h"

#include "base/assert.h"
#include "log/journal.h"
#include "log/log_path.h"
#include "runtime/test_point.h"

enum {
    SYNC_COUNT_DEFAULT = 8,
    JOURNAL_APPEND_DEFAULT = 64 * 1024,
    JOURNAL_PARTITIONS_MIN_DEFAULT = 3,
    JOURNALED_DELAYS = 10 /* flush intervals that a journaled partition may stay unsynced */
};

#define FLUSH_INTERVAL_DEFAULT_NS  UINT64_C(1000000000)
#define FLUSH_BYTES_DEFAULT        (UINT64_C(64) << 20)
#define UNSYNCED_BYTES_MAX_DEFAULT (UINT64_C(1) << 30)
#define JOURNAL_FILE_SIZE_DEFAULT  (UINT64_C(64) << 20)
#define NS_PER_MS                  UINT64_C(1000000)

/* One file on its way through the device, with a directory sync beside it for a new file. */
struct commit_sync {
    struct storage_request file_request;
    struct storage_request directory_request;
    struct committer *committer;
    struct commit_partition *partition; /* NULL: removed meanwhile */
    const struct commit_partition_events *events;
    struct commit_file *file; /* held */
    struct log_path directory;
    int64_t end;    /* how far the file was written at the submit */
    uint64_t bytes; /* unsynced bytes at the submit */
    uint64_t started_ns;
    uint32_t generation;
    uint32_t waiting;   /* requests not completed; 0: the slot is free */
    bool is_void;       /* the result must not be used */
    bool is_background; /* nobody waited for it */
    enum storage_status status;
};

static void run_deferred(struct deferred *deferred);
static void flush_tick(struct timer *timer);

static struct commit_partition *partition_of_queue(struct list *link)
{
    return container_of(link, struct commit_partition, queue_link);
}

static struct commit_partition *partition_of_flush(struct list *link)
{
    return container_of(link, struct commit_partition, flush_link);
}

static struct commit_partition *partition_of_dirty(struct list *link)
{
    return container_of(link, struct commit_partition, dirty_link);
}

static struct commit_file *file_of(struct list *link)
{
    return container_of(link, struct commit_file, link);
}

void committer_wake(struct committer *committer)
{
    if (!committer->is_running)
        loop_defer(committer->loop, &committer->deferred);
}

/* ---- Life ------------------------------------------------------------------------------------ */

static void set_defaults(struct committer_options *options)
{
    if (options->sync_count_max == 0)
        options->sync_count_max = SYNC_COUNT_DEFAULT;
    if (options->flush_interval_ns == 0)
        options->flush_interval_ns = FLUSH_INTERVAL_DEFAULT_NS;
    if (options->flush_bytes == 0)
        options->flush_bytes = FLUSH_BYTES_DEFAULT;
    if (options->unsynced_bytes_max == 0)
        options->unsynced_bytes_max = UNSYNCED_BYTES_MAX_DEFAULT;
    if (options->journal_append_max == 0)
        options->journal_append_max = JOURNAL_APPEND_DEFAULT;
    if (options->journal_file_size == 0)
        options->journal_file_size = JOURNAL_FILE_SIZE_DEFAULT;
    if (options->journal_partitions_min == 0)
        options->journal_partitions_min = JOURNAL_PARTITIONS_MIN_DEFAULT;
}

void committer_init(struct committer *committer, struct loop *loop, const char *directory,
                    const struct committer_options *options,
                    void (*failed)(struct committer *committer, enum storage_status status,
                                   void *context),
                    void *failed_context)
{
    *committer = (struct committer){
        .loop = loop, .directory = directory, .failed = failed, .failed_context = failed_context};
    if (options)
        committer->options = *options;
    set_defaults(&committer->options);
    list_init(&committer->partitions);
    list_init(&committer->remembered);
    list_init(&committer->queue);
    list_init(&committer->flush_queue);
    list_init(&committer->dirty);
    list_init(&committer->reports);
    list_init(&committer->room_waits);
    deferred_init(&committer->deferred, run_deferred);
    timer_init(&committer->flush_timer, flush_tick);
    committer->syncs = heap_must_get(loop->heap, MEMORY_STATE,
                                     committer->options.sync_count_max * sizeof(*committer->syncs));
    if (committer->options.is_journal_enabled)
        committer->journal = journal_create(committer);
}

void committer_fail(struct committer *committer, enum storage_status status)
{
    if (committer->failure != STORAGE_OK)
        return;
    committer->failure = status == STORAGE_OK ? STORAGE_IO : status;
    committer_wake(committer);
}

/* ---- Partitions ------------------------------------------------------------------------------ */

static void forget(struct committer *committer, struct commit_remembered *remembered)
{
    list_remove(&remembered->link);
    heap_put(committer->loop->heap, MEMORY_STATE, remembered,
             sizeof(*remembered) + remembered->topic_size + remembered->state_size);
}

/* Drops what is remembered of an earlier life of this partition. */
static void forget_earlier(struct committer *committer, const struct commit_partition *partition)
{
    list_for_each_safe(link, after, &committer->remembered)
    {
        struct commit_remembered *remembered = container_of(link, struct commit_remembered, link);
        if (remembered->partition == partition->partition &&
            view_equal(view_of(remembered->topic, remembered->topic_size), partition->topic))
            forget(committer, remembered);
    }
}

static void remember(struct committer *committer, const struct commit_partition *partition,
                     const struct commit_state *state)
{
    struct commit_remembered *remembered =
        heap_must_get(committer->loop->heap, MEMORY_STATE,
                      sizeof(*remembered) + partition->topic.size + state->state.size);
    remembered->partition = partition->partition;
    remembered->topic_id = partition->topic_id;
    remembered->recovery_point = commit_partition_recovery_point(partition);
    remembered->log_start_offset = partition->log_start_offset;
    remembered->first_base_offset = partition->first_base_offset;
    remembered->cleaner_offset = partition->cleaner_offset;
    remembered->high_watermark = partition->high_watermark;
    remembered->topic_size = partition->topic.size;
    memcpy(remembered->topic, partition->topic.data, partition->topic.size);
    remembered->active_base_offset = state->active_base_offset;
    remembered->active_size = state->active_size;
    remembered->state_size = state->state.size;
    if (state->state.size)
        memcpy(remembered->topic + partition->topic.size, state->state.data, state->state.size);
    list_push_back(&committer->remembered, &remembered->link);
}

void committer_add_partition(struct committer *committer, struct commit_partition *partition,
                             int64_t written_end)
{
    partition->committer = committer;
    forget_earlier(committer, partition);
    committer->membership_version++;
    list_link_init(&partition->queue_link);
    list_link_init(&partition->flush_link);
    list_link_init(&partition->dirty_link);
    list_link_init(&partition->report_link);
    list_init(&partition->files);
    list_push_back(&committer->partitions, &partition->link);
    partition->written_end = written_end;
    partition->synced_end = written_end;
    partition->durable_end = written_end;
    partition->reported_end = written_end;
    partition->requested_end = 0;
    partition->sync_target = 0;
    partition->flush_target = 0;
    partition->journal_start = 0;
    partition->journal_end = 0;
    partition->journal_written = 0;
    partition->journal_closing_end = 0;
    partition->journal_file = 0;
    partition->journal_round = 0;
    partition->journal_barrier = 0;
    partition->generation = 1;
}

/* The result of a sync in flight is of no use any more. */
static void void_syncs(struct committer *committer, const struct commit_partition *partition,
                       const struct commit_file *file)
{
    for (uint32_t i = 0; i < committer->options.sync_count_max; i++) {
        struct commit_sync *sync = &committer->syncs[i];
        if (sync->waiting > 0 && sync->partition == partition && (!file || sync->file == file))
            sync->is_void = true;
    }
}

static void forget_file(struct commit_partition *partition, struct commit_file *file)
{
    partition->committer->unsynced_bytes -= file->unsynced_bytes;
    file->unsynced_bytes = 0;
    list_remove(&file->link);
}

void committer_remove_partition(struct commit_partition *partition,
                                const struct commit_state *state)
{
    struct committer *committer = partition->committer;
    bool is_deleted = state == NULL;
    committer->membership_version++;
    if (!is_deleted)
        remember(committer, partition, state);
    if (committer->journal)
        journal_remove_partition(committer->journal, partition, is_deleted);
    void_syncs(committer, partition, NULL);
    for (uint32_t i = 0; i < committer->options.sync_count_max; i++) {
        if (committer->syncs[i].partition == partition)
            committer->syncs[i].partition = NULL;
    }
    list_for_each_safe(link, after, &partition->files) forget_file(partition, file_of(link));
    list_remove(&partition->queue_link);
    list_remove(&partition->flush_link);
    list_remove(&partition->dirty_link);
    list_remove(&partition->report_link);
    list_remove(&partition->link);
    partition->committer = NULL;
    committer_wake(committer);
}

/* Computes the ends anew and remembers to tell when the durable end moved up. */
void committer_update_ends(struct commit_partition *partition)
{
    struct committer *committer = partition->committer;
    bool is_clean = list_is_empty(&partition->files);
    partition->synced_end =
        is_clean ? partition->written_end : file_of(partition->files.next)->synced_end;
    if (is_clean)
        list_remove(&partition->dirty_link);
    int64_t durable_end = partition->synced_end;
    if (committer->journal) {
        journal_release_synced(committer->journal, partition);
        durable_end = journal_durable_end(partition);
    }
    if (test_point(committer->loop, BUG_LOG_DURABLE_BEFORE_SYNC))
        durable_end = partition->written_end;
    if (durable_end <= partition->durable_end || committer->failure != STORAGE_OK ||
        !journal_is_barrier_durable(partition))
        return;
    partition->durable_end = durable_end;
    list_remove(&partition->report_link);
    list_push_back(&committer->reports, &partition->report_link);
    committer_wake(committer);
}

static void enqueue(struct commit_partition *partition)
{
    struct committer *committer = partition->committer;
    if (committer->failure != STORAGE_OK)
        return;
    if (partition->sync_target > partition->synced_end) {
        if (!list_is_linked(&partition->queue_link))
            list_push_back(&committer->queue, &partition->queue_link);
    } else if (partition->flush_target > partition->synced_end) {
        if (!list_is_linked(&partition->flush_link))
            list_push_back(&committer->flush_queue, &partition->flush_link);
    } else {
        return;
    }
    committer_wake(committer);
}

static void set_target(struct commit_partition *partition, int64_t target)
{
    if (target > partition->sync_target)
        partition->sync_target = target;
    enqueue(partition);
}

void committer_want_sync(struct commit_partition *partition)
{
    set_target(partition, partition->written_end);
}

void committer_want_flush(struct commit_partition *partition)
{
    partition->flush_target = partition->written_end;
    enqueue(partition);
}

static void mark_dirty(struct commit_partition *partition, struct commit_file *file,
                       int64_t base_offset)
{
    struct committer *committer = partition->committer;
    if (!list_is_linked(&file->link)) {
        file->synced_end = base_offset;
        list_push_back(&partition->files, &file->link);
    }
    if (!list_is_linked(&partition->dirty_link)) {
        partition->dirty_since_ns = committer->loop->now_ns;
        list_push_back(&committer->dirty, &partition->dirty_link);
    }
    uint64_t delay_ns = committer->options.flush_interval_ns;
    if (partition->flush_ms >= 0 && (uint64_t)partition->flush_ms < delay_ns / NS_PER_MS)
        delay_ns = (uint64_t)partition->flush_ms * NS_PER_MS;
    uint64_t due_ns = committer->loop->now_ns + delay_ns;
    if (!timer_is_set(&committer->flush_timer) || committer->flush_timer.due_ns > due_ns)
        loop_set_timer(committer->loop, &committer->flush_timer, delay_ns);
}

void committer_written(struct commit_partition *partition, struct commit_file *file,
                       int64_t base_offset, int64_t end_offset, uint64_t position,
                       const struct storage_buffer *buffers, size_t buffer_count, size_t size)
{
    struct committer *committer = partition->committer;
    klamm_assert(base_offset >= partition->written_end);
    klamm_assert(end_offset > base_offset);
    int64_t start = partition->written_end;
    mark_dirty(partition, file, base_offset);
    file->written_end = end_offset;
    file->unsynced_bytes += size;
    committer->unsynced_bytes += size;
    partition->written_end = end_offset;
    bool is_journaled = committer->journal &&
                        journal_take_append(committer->journal, partition, file, start, end_offset,
                                            position, buffers, buffer_count, size);
    if (end_offset - partition->synced_end >= partition->flush_messages ||
        (!is_journaled && partition->requested_end > partition->durable_end))
        set_target(partition, end_offset);
    if (committer->unsynced_bytes >= committer->options.flush_bytes)
        committer_wake(committer);
}

void committer_request(struct commit_partition *partition, int64_t up_to)
{
    if (up_to > partition->requested_end)
        partition->requested_end = up_to;
    if (up_to <= partition->durable_end)
        return;
    /* What the journal will hold needs only what lies before it to be synced. */
    if (partition->committer->journal && journal_covers(partition)) {
        if (partition->journal_start > partition->durable_end)
            set_target(partition, partition->journal_start);
        return;
    }
    set_target(partition, up_to < partition->written_end ? up_to : partition->written_end);
}

void committer_truncated(struct commit_partition *partition, int64_t offset)
{
    bool is_reset = offset > partition->written_end;
    void_syncs(partition->committer, partition, NULL);
    partition->generation++;
    list_for_each_safe(link, after, &partition->files)
    {
        struct commit_file *file = file_of(link);
        if (file->written_end > offset)
            file->written_end = offset;
        if (is_reset || file->synced_end >= file->written_end || file->segment_base > offset)
            forget_file(partition, file);
    }
    if (is_reset)
        partition->written_end = offset; /* empty, and begins there */
    if (partition->written_end > offset)
        partition->written_end = offset;
    if (partition->durable_end > offset)
        partition->durable_end = offset;
    if (partition->reported_end > offset)
        partition->reported_end = offset;
    if (partition->requested_end > offset)
        partition->requested_end = offset;
    if (partition->sync_target > offset)
        partition->sync_target = offset;
    if (partition->flush_target > offset)
        partition->flush_target = offset;
    if (partition->committer->journal)
        journal_take_cut(partition->committer->journal, partition,
                         is_reset ? JOURNAL_DELETED : JOURNAL_CUT, is_reset ? 0 : offset);
    committer_update_ends(partition);
}

void committer_discard_file(struct commit_partition *partition, struct commit_file *file)
{
    if (!partition->committer)
        return;
    void_syncs(partition->committer, partition, file);
    if (!list_is_linked(&file->link))
        return;
    forget_file(partition, file);
    committer_update_ends(partition);
    committer_wake(partition->committer);
}

bool committer_void_below(struct commit_partition *partition, int64_t offset)
{
    if (partition->committer->journal)
        journal_take_cut(partition->committer->journal, partition, JOURNAL_VOID, offset);
    return committer_is_void_durable(partition);
}

bool committer_is_void_durable(const struct commit_partition *partition)
{
    return journal_is_barrier_durable(partition);
}

int64_t commit_partition_recovery_point(const struct commit_partition *partition)
{
    if (partition->committer &&
        test_point(partition->committer->loop, BUG_LOG_RECOVERY_POINT_EARLY))
        return partition->written_end;
    int64_t point = partition->synced_end < partition->durable_end ? partition->synced_end
                                                                   : partition->durable_end;
    return point < partition->recovery_limit ? point : partition->recovery_limit;
}

bool commit_file_is_busy(const struct commit_file *file)
{
    return file->is_in_flight || list_is_linked(&file->link);
}

/* ---- Stopping ------------------------------------------------------------------------------ */

static void finish_stop(struct committer *committer)
{
    void (*stopped)(struct committer *) = committer->stopped;
    committer->stopped = NULL;
    timer_clear(&committer->flush_timer);
    if (committer->journal)
        journal_destroy(committer->journal);
    committer->journal = NULL;
    list_for_each_safe(link, after, &committer->remembered)
        forget(committer, container_of(link, struct commit_remembered, link));
    heap_put(committer->loop->heap, MEMORY_STATE, committer->syncs,
             committer->options.sync_count_max * sizeof(*committer->syncs));
    committer->syncs = NULL;
    stopped(committer);
}

void committer_stop(struct committer *committer, void (*stopped)(struct committer *committer))
{
    klamm_assert(list_is_empty(&committer->partitions));
    committer->stopped = stopped;
    committer_wake(committer);
}

/* ---- Room ------------------------------------------------------------------------------------ */

bool committer_has_room(const struct committer *committer)
{
    return committer->unsynced_bytes < committer->options.unsynced_bytes_max;
}

void committer_wait_for_room(struct committer *committer, struct commit_room_wait *wait)
{
    list_push_back(&committer->room_waits, &wait->link);
    committer_wake(committer);
}

void committer_cancel_wait(struct commit_room_wait *wait)
{
    if (wait->link.next)
        list_remove(&wait->link);
}

static void give_room(struct committer *committer)
{
    struct list ready;
    if (!committer_has_room(committer) && committer->failure == STORAGE_OK)
        return;
    list_init(&ready);
    list_splice_back(&ready, &committer->room_waits);
    for (struct list *link; (link = list_pop_front(&ready)) != NULL;) {
        struct commit_room_wait *wait = container_of(link, struct commit_room_wait, link);
        wait->ready(wait);
    }
}

/* ---- Syncing --------------------------------------------------------------------------------- */

/* The sync of a file succeeded and still counts. */
static void take_result(struct commit_sync *sync)
{
    struct commit_partition *partition = sync->partition;
    struct commit_file *file = sync->file;
    if (test_point(sync->committer->loop, BUG_LOG_DURABLE_OF_NOW)) {
        sync->end = file->written_end;
        sync->bytes = file->unsynced_bytes;
    }
    file->is_directory_unsynced = file->is_directory_unsynced && sync->directory.text[0] == 0;
    file->synced_end = sync->end;
    klamm_assert(file->unsynced_bytes >= sync->bytes);
    file->unsynced_bytes -= sync->bytes;
    sync->committer->unsynced_bytes -= sync->bytes;
    if (file->synced_end == file->written_end)
        list_remove(&file->link);
    partition->dirty_since_ns = sync->started_ns;
    committer_update_ends(partition);
    if (list_is_linked(&partition->dirty_link)) {
        list_remove(&partition->dirty_link);
        list_push_back(&sync->committer->dirty, &partition->dirty_link);
    }
}

static void finish_sync(struct commit_sync *sync)
{
    struct committer *committer = sync->committer;
    struct commit_partition *partition = sync->partition;
    struct commit_file *file = sync->file;
    file->is_in_flight = false;
    committer->sync_count--;
    committer->flush_count -= sync->is_background;
    if (test_point(committer->loop, BUG_LOG_IGNORE_FAILED_SYNC))
        sync->status = STORAGE_OK;
    if (sync->status != STORAGE_OK && (!sync->is_void || sync->status == STORAGE_IO))
        committer_fail(committer, sync->status);
    else if (!sync->is_void && committer->failure == STORAGE_OK)
        take_result(sync);
    if (partition && committer->failure == STORAGE_OK)
        enqueue(partition);
    sync->events->release(partition, file);
    committer_wake(committer);
}

static void sync_done(struct commit_sync *sync, enum storage_status status)
{
    if (status != STORAGE_OK && sync->status == STORAGE_OK)
        sync->status = status;
    if (--sync->waiting == 0)
        finish_sync(sync);
}

static void file_sync_done(struct storage_request *request)
{
    sync_done(container_of(request, struct commit_sync, file_request), request->status);
}

static void directory_sync_done(struct storage_request *request)
{
    sync_done(container_of(request, struct commit_sync, directory_request), request->status);
}

uint32_t committer_waiting_syncs(const struct committer *committer, uint64_t round)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < committer->options.sync_count_max; i++) {
        const struct commit_sync *sync = &committer->syncs[i];
        count += sync->waiting > 0 && !sync->is_background && sync->partition &&
                 sync->partition->journal_round != round;
    }
    return count;
}

static struct commit_sync *free_slot(struct committer *committer)
{
    for (uint32_t i = 0; i < committer->options.sync_count_max; i++) {
        if (committer->syncs[i].waiting == 0)
            return &committer->syncs[i];
    }
    return NULL;
}

static void start_sync(struct commit_partition *partition, struct commit_file *file,
                       struct commit_sync *sync, bool is_background)
{
    struct committer *committer = partition->committer;
    sync->file_request = (struct storage_request){
        .operation = STORAGE_SYNC, .file = file->file, .done = file_sync_done};
    sync->committer = committer;
    sync->partition = partition;
    sync->events = partition->events;
    sync->file = file;
    sync->directory.text[0] = 0;
    sync->end = file->written_end;
    sync->bytes = file->unsynced_bytes;
    sync->started_ns = committer->loop->now_ns;
    sync->generation = partition->generation;
    sync->waiting = 1;
    sync->is_void = false;
    sync->is_background = is_background;
    sync->status = STORAGE_OK;
    file->is_in_flight = true;
    partition->events->hold(partition, file);
    committer->sync_count++;
    committer->flush_count += is_background;
    committer->counters.syncs++;
    if (file->is_directory_unsynced && !test_point(committer->loop, BUG_LOG_SKIP_DIRECTORY_SYNC)) {
        if (!log_path_set(&sync->directory, partition->directory))
            klamm_unreachable("the path of an open partition fits");
        sync->directory_request = (struct storage_request){.operation = STORAGE_SYNC_DIRECTORY,
                                                           .path = sync->directory.text,
                                                           .done = directory_sync_done};
        sync->waiting = 2;
        committer->counters.directory_syncs++;
        storage_submit(committer->loop->storage, &sync->directory_request);
    }
    storage_submit(committer->loop->storage, &sync->file_request);
}

/*
 * How many syncs may be under way in the background. Where a journal answers for what is waited
 * for, file syncs only delay its syncs, so they go one by one; unless too much piles up.
 */
static uint32_t flush_count_max(const struct committer *committer)
{
    if (!committer->journal ||
        committer->unsynced_bytes >= committer->options.unsynced_bytes_max / 2)
        return committer->options.sync_count_max;
    return 1;
}

/* Starts what the partition needs up to `target`; false when slots ran out before that. */
static bool serve(struct commit_partition *partition, int64_t target, bool is_background)
{
    struct committer *committer = partition->committer;
    list_for_each(link, &partition->files)
    {
        struct commit_file *file = file_of(link);
        if (file->synced_end >= target)
            break;
        if (file->is_in_flight)
            continue;
        struct commit_sync *slot = free_slot(committer);
        if (!slot || (is_background && committer->flush_count >= flush_count_max(committer)))
            return false;
        start_sync(partition, file, slot, is_background);
    }
    return true;
}

static void serve_queues(struct committer *committer)
{
    while (!list_is_empty(&committer->queue)) {
        struct commit_partition *partition = partition_of_queue(committer->queue.next);
        if (!serve(partition, partition->sync_target, false))
            return;
        list_remove(&partition->queue_link);
    }
    while (!list_is_empty(&committer->flush_queue)) {
        struct commit_partition *partition = partition_of_flush(committer->flush_queue.next);
        if (!serve(partition, partition->flush_target, true))
            return;
        list_remove(&partition->flush_link);
    }
}

/* ---- The background flusher ------------------------------------------------------------------ */

static uint64_t flush_delay_ns(const struct commit_partition *partition)
{
    uint64_t delay_ns = partition->committer->options.flush_interval_ns;
    /* What is durable in the journal is not in a hurry: it only bounds the replay. */
    if (partition->committer->journal && partition->durable_end == partition->written_end)
        delay_ns *= JOURNALED_DELAYS;
    if (partition->flush_ms >= 0 && (uint64_t)partition->flush_ms < delay_ns / NS_PER_MS)
        delay_ns = (uint64_t)partition->flush_ms * NS_PER_MS;
    return delay_ns;
}

/* Flushes every partition that is dirty for its delay; arms the timer for the others. */
static void flush_old(struct committer *committer)
{
    uint64_t now_ns = committer->loop->now_ns;
    uint64_t next_ns = UINT64_MAX;
    list_for_each(link, &committer->dirty)
    {
        struct commit_partition *partition = partition_of_dirty(link);
        uint64_t delay_ns = flush_delay_ns(partition);
        uint64_t due_ns = partition->dirty_since_ns + delay_ns;
        if (due_ns <= now_ns) {
            committer_want_flush(partition);
            due_ns = now_ns + delay_ns;
        }
        if (due_ns < next_ns)
            next_ns = due_ns;
    }
    if (next_ns != UINT64_MAX)
        loop_set_timer(committer->loop, &committer->flush_timer, next_ns - now_ns);
}

static void flush_tick(struct timer *timer)
{
    struct committer *committer = container_of(timer, struct committer, flush_timer);
    if (committer->failure == STORAGE_OK)
        flush_old(committer);
}

/* Too many unsynced bytes: everything that is dirty now is flushed. */
static void flush_much(struct committer *committer)
{
    if (committer->unsynced_bytes < committer->options.flush_bytes ||
        !list_is_empty(&committer->flush_queue))
        return;
    list_for_each(link, &committer->dirty)
    {
        struct commit_partition *partition = partition_of_dirty(link);
        if (partition->flush_target < partition->written_end)
            committer_want_flush(partition);
    }
}

/* ---- Once a turn ----------------------------------------------------------------------------- */

static void tell_reports(struct committer *committer)
{
    struct list now;
    list_init(&now);
    list_splice_back(&now, &committer->reports);
    for (struct list *link; (link = list_pop_front(&now)) != NULL;) {
        struct commit_partition *partition =
            container_of(link, struct commit_partition, report_link);
        /* A truncation may have taken back what was to be told. */
        if (partition->durable_end <= partition->reported_end)
            continue;
        partition->reported_end = partition->durable_end;
        partition->events->durable(partition, partition->durable_end);
    }
}

/* Tells everyone once. Callbacks may remove their partition. */
static void tell_failure(struct committer *committer)
{
    committer->is_failure_told = true;
    list_for_each_safe(link, after, &committer->queue) list_remove(link);
    list_for_each_safe(flush_link, flush_after, &committer->flush_queue) list_remove(flush_link);
    if (committer->failed)
        committer->failed(committer, committer->failure, committer->failed_context);
    struct list told;
    list_init(&told);
    for (struct list *link; (link = list_pop_front(&committer->partitions)) != NULL;) {
        struct commit_partition *partition = container_of(link, struct commit_partition, link);
        list_push_back(&told, link);
        partition->events->failed(partition, committer->failure);
    }
    list_splice_back(&committer->partitions, &told);
}

static void run_deferred(struct deferred *deferred)
{
    struct committer *committer = container_of(deferred, struct committer, deferred);
    tell_reports(committer);
    if (committer->failure != STORAGE_OK && !committer->is_failure_told)
        tell_failure(committer);
    committer->is_running = true;
    if (committer->failure == STORAGE_OK) {
        if (committer->journal)
            journal_run(committer->journal);
        flush_much(committer);
        serve_queues(committer);
    }
    committer->is_running = false;
    if (!list_is_empty(&committer->reports) ||
        (committer->failure != STORAGE_OK && !committer->is_failure_told))
        committer_wake(committer);
    give_room(committer);
    if (committer->stopped && committer->sync_count == 0 &&
        (!committer->journal || journal_stop(committer->journal)))
        finish_stop(committer);
}

void committer_assert(const struct committer *committer)
{
    uint64_t bytes = 0;
    list_for_each(link, &committer->partitions)
    {
        const struct commit_partition *partition =
            container_of(link, struct commit_partition, link);
        klamm_assert(commit_partition_recovery_point(partition) <= partition->synced_end);
        klamm_assert(partition->synced_end <= partition->durable_end ||
                     committer->failure != STORAGE_OK || !journal_is_barrier_durable(partition));
        klamm_assert(partition->durable_end <= partition->written_end);
        list_for_each(file_link, &partition->files) bytes += file_of(file_link)->unsynced_bytes;
        klamm_assert(list_is_linked(&partition->dirty_link) == !list_is_empty(&partition->files));
    }
    klamm_assert(bytes == committer->unsynced_bytes);
}
