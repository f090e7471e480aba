/*
 * A row of states; what ends each is a callback. The list of compacted logs is walked by turning
 * it: a log that was looked at goes to its end, so nothing needs to be remembered between turns.
 */
#include "log/cleaner.h"

#include "base/assert.h"
#include "log/partition_log_internal.h"

enum { SURVEYED_PER_TURN = 64 };

#define SETTLE_POLL_NS UINT64_C(20000000)

static void timer_due(struct timer *timer);
static void permit_granted(struct cleaner_permit *permit);
static void permit_home(struct cleaner_permit *permit);

void cleaner_init(struct cleaner *cleaner, struct log_shard *shard, struct cleaner_permits *permits,
                  const struct cleaner_options *options)
{
    *cleaner = (struct cleaner){.shard = shard, .options = *options};
    cleaner->permit = (struct cleaner_permit){
        .permits = permits, .loop = shard->loop, .granted = permit_granted, .home = permit_home};
    timer_init(&cleaner->timer, timer_due);
    loop_set_timer(shard->loop, &cleaner->timer, options->backoff_ns);
    shard->cleaner = cleaner;
}

void cleaner_set_options(struct cleaner *cleaner, const struct cleaner_options *options)
{
    bool is_shorter = options->backoff_ns < cleaner->options.backoff_ns;
    cleaner->options = *options;
    if (is_shorter && cleaner->state == CLEANER_IDLE && !cleaner->is_stopped)
        loop_set_timer(cleaner->shard->loop, &cleaner->timer, options->backoff_ns);
}

void cleaner_wake(struct cleaner *cleaner)
{
    if (cleaner->state == CLEANER_IDLE && !cleaner->is_stopped)
        loop_set_timer(cleaner->shard->loop, &cleaner->timer, 0);
}

static void give_back(struct cleaner *cleaner)
{
    cleaner->state = CLEANER_RETURNING;
    cleaner_permit_return(&cleaner->permit);
}

void cleaner_stop(struct cleaner *cleaner)
{
    cleaner->is_stopped = true;
    cleaner->chosen = NULL;
    timer_clear(&cleaner->timer);
    if (cleaner->state == CLEANER_SURVEYING)
        cleaner->state = CLEANER_IDLE;
    else if (cleaner->state == CLEANER_SETTLING)
        give_back(cleaner);
}

void cleaner_forget(struct cleaner *cleaner, const struct partition_log *log)
{
    if (cleaner->chosen == log)
        cleaner->chosen = NULL;
}

/* ---- Surveying ------------------------------------------------------------------------------- */

static void pause(struct cleaner *cleaner)
{
    cleaner->state = CLEANER_IDLE;
    if (!cleaner->is_stopped)
        loop_set_timer(cleaner->shard->loop, &cleaner->timer,
                       cleaner->goes_on ? 0 : cleaner->options.backoff_ns);
    cleaner->goes_on = false;
}

static void survey_some(struct cleaner *cleaner)
{
    struct list *logs = &cleaner->shard->compacted;
    for (unsigned i = 0; i < SURVEYED_PER_TURN && cleaner->left > 0; i++, cleaner->left--) {
        struct list *link = list_pop_front(logs);
        if (!link) {
            cleaner->left = 0;
            return;
        }
        list_push_back(logs, link);
        struct partition_log *log = container_of(link, struct partition_log, compacted_link);
        struct compaction_need need;
        if (!compaction_survey(log, &need) || !need.is_due)
            continue;
        cleaner->due++;
        if (cleaner->chosen && !compaction_is_before(&need, &cleaner->need))
            continue;
        cleaner->chosen = log;
        cleaner->need = need;
    }
}

static uint32_t count_logs(const struct cleaner *cleaner)
{
    uint32_t count = 0;
    list_for_each(link, &cleaner->shard->compacted)
    {
        count++;
    }
    return count;
}

static void survey(struct cleaner *cleaner)
{
    if (!cleaner->options.is_enabled) {
        pause(cleaner);
        return;
    }
    if (cleaner->state == CLEANER_IDLE) {
        cleaner->state = CLEANER_SURVEYING;
        cleaner->chosen = NULL;
        cleaner->left = count_logs(cleaner);
        cleaner->due = 0;
    }
    survey_some(cleaner);
    if (cleaner->left > 0) {
        loop_set_timer(cleaner->shard->loop, &cleaner->timer, 0);
        return;
    }
    if (!cleaner->chosen) {
        pause(cleaner);
        return;
    }
    cleaner->state = CLEANER_ASKING;
    cleaner->permit.need = cleaner->need;
    cleaner->permit.due = cleaner->due;
    cleaner_permit_ask(&cleaner->permit);
}

/* ---- Compacting ------------------------------------------------------------------------------ */

static void permit_home(struct cleaner_permit *permit)
{
    pause(container_of(permit, struct cleaner, permit));
}

/* A log that became smaller is said; one that could not is said where it is found out. */
static void tell(struct cleaner *cleaner, const struct compaction_report *report)
{
    const struct partition_log *log = cleaner->chosen;
    if (!log)
        return;
    log_info(cleaner->shard->loop->diagnostics,
             "compacted %.*s-%d from offset %lld to %lld: %u segments with %llu bytes are now %u "
             "with %llu, %llu of %llu records stay",
             (int)log->commit.topic.size, (const char *)log->commit.topic.data, log->partition,
             (long long)report->first_dirty, (long long)report->end_offset, report->old_segments,
             (unsigned long long)report->bytes_before, report->new_segments,
             (unsigned long long)report->bytes_after, (unsigned long long)report->kept_records,
             (unsigned long long)report->read_records);
    if (report->keyless_records > 0)
        log_warn(cleaner->shard->loop->diagnostics,
                 "compaction of %.*s-%d dropped %llu records without key",
                 (int)log->commit.topic.size, (const char *)log->commit.topic.data, log->partition,
                 (unsigned long long)report->keyless_records);
}

static void checkpoints_told(struct directory_shard_flush *flush)
{
    struct cleaner *cleaner = container_of(flush, struct cleaner, flush);
    give_back(cleaner);
}

static void compacted(void *context, const struct compaction_report *report)
{
    struct cleaner *cleaner = context;
    cleaner->counters.bytes_moved += report->bytes_moved;
    if (report->bytes_before > report->bytes_after)
        cleaner->counters.bytes_freed += report->bytes_before - report->bytes_after;
    switch (report->status) {
    case COMPACTION_OK:
        cleaner->counters.compactions++;
        cleaner->goes_on = report->end_offset > report->first_dirty;
        tell(cleaner, report);
        break;
    case COMPACTION_STOPPED:
        break;
    case COMPACTION_UNCLEANABLE:
        cleaner->counters.uncleanable++;
        cleaner->counters.failures++;
        cleaner->goes_on = true;
        break;
    case COMPACTION_NO_SPACE:
        cleaner->counters.failures++;
        if (cleaner->chosen)
            log_warn(cleaner->shard->loop->diagnostics,
                     "compaction of %.*s-%d waits: no space, memory or file handle for its output",
                     (int)cleaner->chosen->commit.topic.size,
                     (const char *)cleaner->chosen->commit.topic.data, cleaner->chosen->partition);
        break;
    case COMPACTION_FAILED:
        cleaner->counters.failures++;
        break;
    }
    /* Where it came to is worth remembering soon, but nothing depends on it. */
    bool is_over = report->status != COMPACTION_OK || cleaner->is_stopped || !cleaner->chosen;
    cleaner->chosen = NULL;
    if (is_over) {
        give_back(cleaner);
        return;
    }
    cleaner->flush.done = checkpoints_told;
    directory_shard_flush(cleaner->flush.shard, &cleaner->flush);
}

static void checkpoints_written(struct directory_shard_flush *flush)
{
    struct cleaner *cleaner = container_of(flush, struct cleaner, flush);
    struct compaction_options options = {
        .upper_offset = cleaner->need.upper_offset,
        .map_size_max = cleaner->options.map_size_max,
        .map_load_factor = cleaner->options.map_load_factor,
        .bytes_per_second = cleaner->options.bytes_per_second,
        /* Who waits would wait five times as long. */
        .time_percent = cleaner->permit.others_wait ? 100 : cleaner->options.time_percent,
    };
    /* A cut in between would have written a smaller recovery point than the survey relied on. */
    if (flush->ok && cleaner->chosen && !cleaner->is_stopped &&
        cleaner->chosen->generation == cleaner->generation &&
        partition_log_compact(cleaner->chosen, &options, compacted, cleaner))
        cleaner->state = CLEANER_COMPACTING;
    else
        give_back(cleaner);
}

static void settle(struct cleaner *cleaner)
{
    struct partition_log *log = cleaner->chosen;
    if (!log || cleaner->is_stopped || partition_log_is_failed(log)) {
        give_back(cleaner);
        return;
    }
    if (partition_log_durable_end(log) < cleaner->settled_end &&
        log->generation == cleaner->generation) {
        loop_set_timer(cleaner->shard->loop, &cleaner->timer, SETTLE_POLL_NS);
        return;
    }
    cleaner->state = CLEANER_FLUSHING;
    cleaner->flush.done = checkpoints_written;
    directory_shard_flush(container_of(log->commit.committer, struct directory_shard, committer),
                          &cleaner->flush);
}

static void permit_granted(struct cleaner_permit *permit)
{
    struct cleaner *cleaner = container_of(permit, struct cleaner, permit);
    /* It may have waited long: how things are now counts. */
    if (cleaner->is_stopped || !cleaner->chosen ||
        !compaction_survey(cleaner->chosen, &cleaner->need) || !cleaner->need.is_due) {
        give_back(cleaner);
        return;
    }
    cleaner->generation = cleaner->chosen->generation;
    cleaner->settled_end = partition_log_high_watermark(cleaner->chosen);
    cleaner->state = CLEANER_SETTLING;
    partition_log_flush(cleaner->chosen);
    settle(cleaner);
}

static void timer_due(struct timer *timer)
{
    struct cleaner *cleaner = container_of(timer, struct cleaner, timer);
    if (cleaner->state == CLEANER_SETTLING)
        settle(cleaner);
    else
        survey(cleaner);
}
