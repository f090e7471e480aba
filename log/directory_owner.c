/*
 * How it works.
 *
 * A gathering asks every loop for a report. A loop answers "unchanged" when a digest of its offsets
 * is what it reported last; when every loop says so nothing is written, and when only some do the
 * others are asked again to report in full. A report lives in the memory of the loop that made it
 * and travels back there when a job has turned all reports into the checkpoint files.
 *
 * The gathering of a clean stop also writes the state file, of what the committers remember.
 *
 * Wishes that come during a gathering are kept and begin the next one; whoever waits for a flush
 * waits for a gathering that began after the wish.
 */
#include "log/directory_owner.h"

#include "base/assert.h"
#include "base/crc32c.h"
#include "base/hash.h"
#include "base/sort.h"
#include "log/file_content.h"
#include "log/state_file.h"

#define HIGH_WATERMARK_INTERVAL_DEFAULT_NS (UINT64_C(5) * 1000000000)
#define OFFSET_INTERVAL_DEFAULT_NS         (UINT64_C(60) * 1000000000)

/* Kinds of checkpoints, as a set. */
enum { GATHER_OFFSETS = 1, GATHER_HIGH_WATERMARKS = 2 };

struct directory_report_entry {
    struct view topic; /* in the report's own memory */
    int32_t partition;
    int64_t recovery_point;
    int64_t log_start_offset; /* -1: the first segment begins there, nothing to remember */
    int64_t high_watermark;
    /* Of a closed partition, for the state file. */
    struct uuid topic_id; /* zero: not closed */
    int64_t active_base_offset;
    uint32_t active_size;
    struct view state;      /* in the report's own memory */
    int64_t cleaner_offset; /* -1: never compacted */
};

/* What one loop knows; made in its heap, given back there. */
struct directory_report {
    struct message message;
    struct directory_gather *gather;
    struct directory_report *next;
    struct loop *loop;
    size_t held_size;
    bool is_unchanged;
    size_t count;
    struct directory_report_entry entries[];
};

struct directory_ask {
    struct message message;
    struct directory_shard *shard;
    struct directory_gather *gather;
    bool is_forced;
    bool is_answered; /* in full */
};

struct directory_gather {
    struct directory_owner *owner;
    struct job job;
    unsigned kinds;
    bool is_forced;
    unsigned waiting; /* reports still out */
    struct directory_report *reports;
    struct directory_flush_wait *waits;
    int64_t state_epoch; /* write the state file too, under this broker epoch; -1: do not */
    enum storage_status status;
    struct directory_ask asks[LOOP_COUNT_MAX];
};

/* ---- On the loops ---------------------------------------------------------------------------- */

static uint64_t digest_of(const struct committer *committer, unsigned kind)
{
    uint64_t digest = hash_u64(kind, committer->membership_version);
    list_for_each(link, &committer->partitions)
    {
        const struct commit_partition *partition =
            container_of(link, struct commit_partition, link);
        if (kind == GATHER_HIGH_WATERMARKS) {
            digest = hash_u64(digest, (uint64_t)partition->high_watermark);
            continue;
        }
        digest = hash_u64(digest, (uint64_t)commit_partition_recovery_point(partition));
        digest = hash_u64(digest, (uint64_t)partition->log_start_offset);
        digest = hash_u64(digest, (uint64_t)partition->first_base_offset);
        digest = hash_u64(digest, (uint64_t)partition->cleaner_offset);
    }
    return digest;
}

/* Remembers the digests of the asked kinds; true when all are what they were. */
static bool is_unchanged(struct directory_shard *shard, unsigned kinds)
{
    bool same = true;
    for (unsigned i = 0; i < 2; i++) {
        unsigned kind = 1u << i;
        if (!(kinds & kind))
            continue;
        uint64_t digest = digest_of(&shard->committer, kind);
        same = same && digest == shard->reported_digest[i];
        shard->reported_digest[i] = digest;
    }
    return same;
}

static struct directory_report *new_report(struct directory_shard *shard, size_t count,
                                           size_t text_size)
{
    size_t size =
        sizeof(struct directory_report) + count * sizeof(struct directory_report_entry) + text_size;
    struct directory_report *report = heap_must_get(shard->loop->heap, MEMORY_STATE, size);
    report->held_size = size;
    report->loop = shard->loop;
    report->count = count;
    return report;
}

static struct view put_text(uint8_t **text, struct view topic)
{
    uint8_t *place = *text;
    memcpy(place, topic.data, topic.size);
    *text += topic.size;
    return view_of(place, topic.size);
}

static int64_t log_start_to_remember(int64_t log_start_offset, int64_t first_base_offset)
{
    return log_start_offset > first_base_offset ? log_start_offset : -1;
}

/* A log that was never compacted begins at its start anyway. */
static int64_t cleaner_offset_to_remember(int64_t cleaner_offset)
{
    return cleaner_offset > 0 ? cleaner_offset : -1;
}

static struct directory_report *full_report(struct directory_shard *shard)
{
    struct committer *committer = &shard->committer;
    size_t count = 0, text_size = 0;
    list_for_each(link, &committer->partitions)
    {
        count++;
        text_size += container_of(link, struct commit_partition, link)->topic.size;
    }
    list_for_each(link, &committer->remembered)
    {
        count++;
        const struct commit_remembered *from = container_of(link, struct commit_remembered, link);
        text_size += from->topic_size + from->state_size;
    }
    struct directory_report *report = new_report(shard, count, text_size);
    struct directory_report_entry *entry = report->entries;
    uint8_t *text = (uint8_t *)&report->entries[count];
    list_for_each(link, &committer->partitions)
    {
        const struct commit_partition *from = container_of(link, struct commit_partition, link);
        *entry++ = (struct directory_report_entry){
            .topic = put_text(&text, from->topic),
            .partition = from->partition,
            .recovery_point = commit_partition_recovery_point(from),
            .log_start_offset =
                log_start_to_remember(from->log_start_offset, from->first_base_offset),
            .high_watermark = from->high_watermark,
            .cleaner_offset = cleaner_offset_to_remember(from->cleaner_offset),
        };
    }
    list_for_each(link, &committer->remembered)
    {
        const struct commit_remembered *from = container_of(link, struct commit_remembered, link);
        *entry++ = (struct directory_report_entry){
            .topic = put_text(&text, view_of(from->topic, from->topic_size)),
            .partition = from->partition,
            .recovery_point = from->recovery_point,
            .log_start_offset =
                log_start_to_remember(from->log_start_offset, from->first_base_offset),
            .high_watermark = from->high_watermark,
            .topic_id = from->topic_id,
            .active_base_offset = from->active_base_offset,
            .active_size = from->active_size,
            .state = put_text(&text, view_of(from->topic + from->topic_size, from->state_size)),
            .cleaner_offset = cleaner_offset_to_remember(from->cleaner_offset),
        };
    }
    return report;
}

static void report_arrived(struct message *message, struct loop *at);

static void ask_arrived(struct message *message, struct loop *at)
{
    struct directory_ask *ask = container_of(message, struct directory_ask, message);
    struct directory_shard *shard = ask->shard;
    struct directory_report *report;
    if (is_unchanged(shard, ask->gather->kinds) && !ask->is_forced) {
        report = new_report(shard, 0, 0);
        report->is_unchanged = true;
    } else {
        report = full_report(shard);
    }
    report->gather = ask->gather;
    report->message.deliver = report_arrived;
    loop_post(at, 0, &report->message);
}

static void report_came_home(struct message *message, struct loop *at)
{
    struct directory_report *report = container_of(message, struct directory_report, message);
    heap_put(at->heap, MEMORY_STATE, report, report->held_size);
}

static void send_home(struct loop *loop, struct directory_report *report)
{
    report->message.deliver = report_came_home;
    loop_post(loop, report->loop->index, &report->message);
}

/* ---- The job: reports into files --------------------------------------------------------------
 */

enum checkpoint_kind { KIND_RECOVERY_POINT, KIND_LOG_START, KIND_HIGH_WATERMARK, KIND_CLEANER };

static const struct {
    const char *name;
    unsigned kinds;
} checkpoint_kinds[DIRECTORY_CHECKPOINTS] = {
    [KIND_RECOVERY_POINT] = {CHECKPOINT_RECOVERY_POINT, GATHER_OFFSETS},
    [KIND_LOG_START] = {CHECKPOINT_LOG_START_OFFSET, GATHER_OFFSETS},
    [KIND_HIGH_WATERMARK] = {CHECKPOINT_HIGH_WATERMARK, GATHER_HIGH_WATERMARKS},
    [KIND_CLEANER] = {CHECKPOINT_CLEANER, GATHER_OFFSETS},
};

static int64_t offset_of(const struct directory_report_entry *entry, unsigned kind)
{
    switch ((enum checkpoint_kind)kind) {
    case KIND_RECOVERY_POINT:
        return entry->recovery_point;
    case KIND_LOG_START:
        return entry->log_start_offset;
    case KIND_HIGH_WATERMARK:
        return entry->high_watermark;
    case KIND_CLEANER:
        return entry->cleaner_offset;
    }
    klamm_unreachable("checkpoint kind");
}

static size_t fill_entries(const struct directory_gather *gather, unsigned kind,
                           struct checkpoint_entry *entries)
{
    size_t count = 0;
    for (const struct directory_report *report = gather->reports; report; report = report->next) {
        for (size_t i = 0; i < report->count; i++) {
            const struct directory_report_entry *entry = &report->entries[i];
            int64_t offset = offset_of(entry, kind);
            if (offset < 0)
                continue;
            if (entries)
                entries[count] = (struct checkpoint_entry){entry->topic, entry->partition, offset};
            count++;
        }
    }
    return count;
}

/* Writes one file when its text is not what was written last. */
static enum storage_status write_kind(struct directory_gather *gather, unsigned kind,
                                      const struct job_context *context)
{
    struct directory_owner *owner = gather->owner;
    size_t count = fill_entries(gather, kind, NULL);
    size_t entries_size = (count + 1) * sizeof(struct checkpoint_entry);
    struct checkpoint_entry *entries = heap_must_get(context->heap, MEMORY_SCRATCH, entries_size);
    fill_entries(gather, kind, entries);
    size_t size = checkpoint_size(entries, count);
    uint8_t *text = heap_must_get(context->heap, MEMORY_SCRATCH, size);
    checkpoint_encode(entries, count, text);
    uint32_t checksum = crc32c(0, text, size);
    enum storage_status status = STORAGE_OK;
    if (!owner->written[kind].is_written || owner->written[kind].checksum != checksum ||
        owner->written[kind].size != size) {
        status = file_content_replace(context->storage, owner->path.text,
                                      checkpoint_kinds[kind].name, view_of(text, size));
        owner->written[kind].is_written = status == STORAGE_OK;
        owner->written[kind].checksum = checksum;
        owner->written[kind].size = size;
    }
    heap_put(context->heap, MEMORY_SCRATCH, text, size);
    heap_put(context->heap, MEMORY_SCRATCH, entries, entries_size);
    return status;
}

/* Says what the directory of a closed partition is now; false when it cannot be told. */
static bool describe_entry(const struct directory_owner *owner, struct storage storage,
                           const struct directory_report_entry *from, struct arena *arena,
                           struct state_file_entry *entry)
{
    char name[LOG_FILE_NAME_MAX + 1];
    struct log_path path;
    if (uuid_is_zero(from->topic_id) ||
        !directory_name_format(name, from->topic, from->partition, DIRECTORY_PLAIN, UUID_ZERO) ||
        !log_path_join(&path, owner->path.text, name))
        return false;
    struct storage_request stat = {.operation = STORAGE_STAT, .path = path.text};
    if (storage_run(storage, &stat) != STORAGE_OK)
        return false;
    *entry = (struct state_file_entry){
        .name = arena_copy(arena, view_of_string(name)),
        .topic_id = from->topic_id,
        .directory_modified_ms = stat.result_modified_ms,
        .active_base_offset = from->active_base_offset,
        .active_size = from->active_size,
        .state = from->state,
    };
    return entry->name.data != NULL;
}

static int compare_entries(const void *a, const void *b, void *context)
{
    const struct state_file_entry *left = a;
    const struct state_file_entry *right = b;
    (void)context;
    return state_file_compare_names(left->name, right->name);
}

/*
 * The state file of a clean stop. Nothing depends on it, so that only a device that failed counts:
 * without room for it the next start takes longer.
 */
static enum storage_status write_state(const struct directory_gather *gather, struct heap *heap,
                                       struct storage storage)
{
    struct arena arena;
    size_t count = 0, capacity = 0;
    arena_init(&arena, heap, MEMORY_SCRATCH, 0);
    for (const struct directory_report *report = gather->reports; report; report = report->next)
        capacity += report->count;
    struct state_file_entry *entries =
        heap_must_get(heap, MEMORY_SCRATCH, (capacity + 1) * sizeof(*entries));
    for (const struct directory_report *report = gather->reports; report; report = report->next) {
        for (size_t i = 0; i < report->count; i++)
            count += describe_entry(gather->owner, storage, &report->entries[i], &arena,
                                    &entries[count]);
    }
    enum storage_status status = STORAGE_OK;
    size_t size = state_file_size_max(entries, count);
    if (count > 0 && size <= STATE_FILE_SIZE_MAX &&
        sort_stable_on(heap, entries, count, sizeof(*entries), compare_entries, NULL)) {
        uint8_t *data = heap_must_get(heap, MEMORY_SCRATCH, size);
        size_t written = state_file_encode(gather->state_epoch, entries, count, data, size);
        status = file_content_replace(storage, gather->owner->path.text, STATE_FILE_NAME,
                                      view_of(data, written));
        heap_put(heap, MEMORY_SCRATCH, data, size);
    }
    heap_put(heap, MEMORY_SCRATCH, entries, (capacity + 1) * sizeof(*entries));
    arena_deinit(&arena);
    return status == STORAGE_NO_SPACE || status == STORAGE_LIMIT ? STORAGE_OK : status;
}

static enum job_progress write_step(struct job *job, const struct job_context *context)
{
    struct directory_gather *gather = container_of(job, struct directory_gather, job);
    for (unsigned kind = 0; kind < DIRECTORY_CHECKPOINTS; kind++) {
        if (!(checkpoint_kinds[kind].kinds & gather->kinds) || gather->status != STORAGE_OK)
            continue;
        gather->status = write_kind(gather, kind, context);
    }
    if (gather->state_epoch >= 0 && gather->status == STORAGE_OK)
        gather->status = write_state(gather, context->heap, context->storage);
    return JOB_FINISHED;
}

/* ---- Gathering --------------------------------------------------------------------------------
 */

static void begin_gather(struct directory_owner *owner);

static void tell_waits(struct directory_flush_wait *wait, bool ok)
{
    while (wait) {
        struct directory_flush_wait *next = wait->next;
        wait->done(wait, ok);
        wait = next;
    }
}

/* An attempt follows every few seconds: said when it begins, when the reason changes, at its end.
 */
static void note_unwritten(struct directory_owner *owner, enum storage_status status)
{
    if (owner->unwritten.failures == 0)
        owner->unwritten.since_ns = owner->loop->now_ns;
    if (owner->unwritten.failures == 0 || owner->unwritten.status != status)
        log_warn(owner->loop->diagnostics, "checkpoints of %s are not written: %s",
                 owner->path.text, storage_status_text(status));
    owner->unwritten.failures++;
    owner->unwritten.status = status;
}

static void note_written(struct directory_owner *owner)
{
    uint64_t for_ns = owner->loop->now_ns - owner->unwritten.since_ns;
    if (owner->unwritten.failures > 0)
        log_info(owner->loop->diagnostics,
                 "checkpoints of %s are written again: %u attempts had failed, for %llu s",
                 owner->path.text, owner->unwritten.failures,
                 (unsigned long long)(for_ns / UINT64_C(1000000000)));
    owner->unwritten.failures = 0;
}

static void finish_gather(struct directory_gather *gather)
{
    struct directory_owner *owner = gather->owner;
    while (gather->reports) {
        struct directory_report *report = gather->reports;
        gather->reports = report->next;
        send_home(owner->loop, report);
    }
    struct directory_flush_wait *waits = gather->waits;
    enum storage_status status = gather->status;
    owner->gather = NULL;
    heap_put(owner->loop->heap, MEMORY_STATE, gather, sizeof(*gather));
    /* No space or a missing name is said and tried again; a device error is the end. */
    if (status == STORAGE_OK)
        note_written(owner);
    else if (status != STORAGE_IO && status != STORAGE_POISONED)
        note_unwritten(owner, status);
    else
        directory_owner_fail(owner, status);
    tell_waits(waits, status == STORAGE_OK && !owner->is_failed);
    if (!owner->gather && (owner->wanted || owner->waits))
        begin_gather(owner);
}

static void write_done(struct job *job)
{
    finish_gather(container_of(job, struct directory_gather, job));
}

static void send_ask(struct directory_gather *gather, unsigned index, bool is_forced)
{
    struct directory_ask *ask = &gather->asks[index];
    ask->message.deliver = ask_arrived;
    ask->shard = gather->owner->shards[index];
    ask->gather = gather;
    ask->is_forced = is_forced;
    gather->waiting++;
    loop_post(gather->owner->loop, index, &ask->message);
}

/* All reports are in: nothing new, some must be asked again, or write. */
static void all_reported(struct directory_gather *gather)
{
    struct directory_owner *owner = gather->owner;
    if (owner->is_failed || !gather->reports) {
        finish_gather(gather);
        return;
    }
    for (unsigned i = 0; i < LOOP_COUNT_MAX; i++) {
        if (owner->shards[i] && !gather->asks[i].is_answered)
            send_ask(gather, i, true);
    }
    if (gather->waiting > 0)
        return;
    gather->job.step = write_step;
    gather->job.done = write_done;
    gather->job.job_class = JOB_DEVICE;
    loop_start_job(owner->loop, &gather->job);
}

static void report_arrived(struct message *message, struct loop *at)
{
    struct directory_report *report = container_of(message, struct directory_report, message);
    struct directory_gather *gather = report->gather;
    gather->waiting--;
    if (report->is_unchanged) {
        send_home(at, report);
    } else {
        gather->asks[report->loop->index].is_answered = true;
        report->next = gather->reports;
        gather->reports = report;
    }
    if (gather->waiting == 0)
        all_reported(gather);
}

static void begin_gather(struct directory_owner *owner)
{
    if (owner->is_failed || !owner->is_loaded) {
        struct directory_flush_wait *waits = owner->waits;
        owner->waits = NULL;
        owner->wanted = 0;
        tell_waits(waits, false);
        return;
    }
    struct directory_gather *gather =
        heap_must_get(owner->loop->heap, MEMORY_STATE, sizeof(*gather));
    owner->gather = gather;
    gather->owner = owner;
    gather->kinds = owner->wanted;
    gather->waits = owner->waits;
    gather->state_epoch = owner->stop && owner->stop->is_clean ? owner->stop->broker_epoch : -1;
    gather->is_forced = gather->waits != NULL || owner->unwritten.failures > 0;
    if (gather->is_forced)
        gather->kinds = GATHER_OFFSETS | GATHER_HIGH_WATERMARKS;
    owner->wanted = 0;
    owner->waits = NULL;
    for (unsigned i = 0; i < LOOP_COUNT_MAX; i++) {
        if (owner->shards[i])
            send_ask(gather, i, gather->is_forced);
    }
    if (gather->waiting == 0)
        finish_gather(gather);
}

static void want(struct directory_owner *owner, unsigned kinds)
{
    owner->wanted |= kinds;
    if (!owner->gather)
        begin_gather(owner);
}

void directory_owner_flush(struct directory_owner *owner, struct directory_flush_wait *wait)
{
    wait->next = owner->waits;
    owner->waits = wait;
    want(owner, GATHER_OFFSETS | GATHER_HIGH_WATERMARKS);
}

/* ---- Life -------------------------------------------------------------------------------------
 */

static void high_watermarks_due(struct timer *timer)
{
    struct directory_owner *owner =
        container_of(timer, struct directory_owner, high_watermark_timer);
    if (owner->is_failed)
        return;
    want(owner, GATHER_HIGH_WATERMARKS);
    loop_set_timer(owner->loop, timer, owner->options.high_watermark_interval_ns);
}

static void offsets_due(struct timer *timer)
{
    struct directory_owner *owner = container_of(timer, struct directory_owner, offset_timer);
    if (owner->is_failed)
        return;
    want(owner, GATHER_OFFSETS);
    loop_set_timer(owner->loop, timer, owner->options.offset_interval_ns);
}

void directory_owner_init(struct directory_owner *owner, struct loop *loop, unsigned index,
                          const struct log_directory_found *found,
                          const struct directory_owner_options *options,
                          void (*failed)(struct directory_owner *owner, enum storage_status status,
                                         void *context),
                          void *context)
{
    *owner = (struct directory_owner){
        .loop = loop,
        .index = index,
        .path = found->path,
        .directory_id = found->meta.directory_id,
        .lock = found->lock,
        .is_failed = found->is_failed,
        .was_clean = found->is_clean,
        .failed = failed,
        .context = context,
    };
    if (options)
        owner->options = *options;
    if (owner->options.high_watermark_interval_ns == 0)
        owner->options.high_watermark_interval_ns = HIGH_WATERMARK_INTERVAL_DEFAULT_NS;
    if (owner->options.offset_interval_ns == 0)
        owner->options.offset_interval_ns = OFFSET_INTERVAL_DEFAULT_NS;
    timer_init(&owner->high_watermark_timer, high_watermarks_due);
    timer_init(&owner->offset_timer, offsets_due);
    if (owner->is_failed)
        return;
    loop_set_timer(loop, &owner->high_watermark_timer, owner->options.high_watermark_interval_ns);
    loop_set_timer(loop, &owner->offset_timer, owner->options.offset_interval_ns);
}

void directory_owner_loaded(struct directory_owner *owner)
{
    owner->is_loaded = true;
}

void directory_owner_attach(struct directory_owner *owner, struct directory_shard *shard)
{
    klamm_assert(shard->index == owner->index);
    owner->shards[shard->loop->index] = shard;
}

/* ---- Failure ----------------------------------------------------------------------------------
 */

/* Tells one loop; travels back to be given back. */
struct directory_order {
    struct message message;
    struct directory_shard *shard;
    enum storage_status status;
};

static void order_came_home(struct message *message, struct loop *at)
{
    struct directory_order *order = container_of(message, struct directory_order, message);
    heap_put(at->heap, MEMORY_STATE, order, sizeof(*order));
}

static void order_arrived(struct message *message, struct loop *at)
{
    struct directory_order *order = container_of(message, struct directory_order, message);
    order->shard->is_owner_told = true;
    directory_shard_fail(order->shard, order->status);
    message->deliver = order_came_home;
    loop_post(at, 0, message);
}

void directory_owner_fail(struct directory_owner *owner, enum storage_status status)
{
    if (owner->is_failed)
        return;
    owner->is_failed = true;
    owner->generation++;
    log_error(owner->loop->diagnostics, "log directory %s is offline: %s", owner->path.text,
              storage_status_text(status));
    timer_clear(&owner->high_watermark_timer);
    timer_clear(&owner->offset_timer);
    for (unsigned i = 0; i < LOOP_COUNT_MAX; i++) {
        if (!owner->shards[i])
            continue;
        struct directory_order *order =
            heap_must_get(owner->loop->heap, MEMORY_STATE, sizeof(*order));
        order->message.deliver = order_arrived;
        order->shard = owner->shards[i];
        order->status = status;
        loop_post(owner->loop, i, &order->message);
    }
    if (owner->failed)
        owner->failed(owner, status, owner->context);
}

void directory_owner_hear_failure(struct message *message, struct loop *at)
{
    struct directory_shard *shard = container_of(message, struct directory_shard, failure_message);
    (void)at;
    directory_owner_fail(shard->owner, shard->failure);
}

/* ---- The clean stop ---------------------------------------------------------------------------
 */

static enum job_progress stop_step(struct job *job, const struct job_context *context)
{
    struct directory_stop *stop = container_of(job, struct directory_stop, job);
    struct directory_owner *owner = stop->owner;
    enum storage_status status = STORAGE_OK;
    if (stop->is_clean && stop->is_written)
        status = log_directory_write_clean_marker(context->storage, owner->path.text,
                                                  stop->broker_epoch);
    stop->is_written = stop->is_written && status == STORAGE_OK;
    if (owner->lock)
        storage_run_close(context->storage, owner->lock);
    owner->lock = NULL;
    return JOB_FINISHED;
}

static void stop_job_done(struct job *job)
{
    struct directory_stop *stop = container_of(job, struct directory_stop, job);
    stop->done(stop, stop->is_written || stop->had_failed);
}

static void stop_flushed(struct directory_flush_wait *wait, bool ok)
{
    struct directory_stop *stop = container_of(wait, struct directory_stop, wait);
    const struct directory_owner *owner = stop->owner;
    stop->is_written = ok || (!owner->is_loaded && !owner->is_failed);
    stop->is_clean = stop->is_clean && !owner->is_failed && (owner->is_loaded || owner->was_clean);
    stop->job.step = stop_step;
    stop->job.done = stop_job_done;
    stop->job.job_class = JOB_DEVICE;
    loop_start_job(stop->owner->loop, &stop->job);
}

void directory_owner_stop(struct directory_owner *owner, struct directory_stop *stop)
{
    klamm_assert(!owner->stop);
    owner->stop = stop;
    stop->owner = owner;
    stop->had_failed = owner->is_failed;
    timer_clear(&owner->high_watermark_timer);
    timer_clear(&owner->offset_timer);
    stop->wait.done = stop_flushed;
    directory_owner_flush(owner, &stop->wait);
}
