/*
 * The way of an answer: check the batches (follower_records.c), append them straight from the
 * frame, and go to SETTLING; when the log says that they are where the durability wants them, take
 * the leader's high watermark and log start over and be READY for what comes next.
 *
 * When it does not go that way: a divergence cuts the log and asks again, with the epoch that is
 * now the last one (KIP-279: as often as it takes); an offset that the leader does not have makes
 * it LOST; everything else waits a while. Waiting for metadata begins short, because the next image
 * is usually on its way, and doubles.
 *
 * The end: a follower without an append or a cut is destroyed at once; otherwise it stays, touches
 * nothing, and goes when the log has let go of it.
 */
#include "replication/follower.h"

#include "base/assert.h"
#include "replication/fetcher.h"
#include "replication/fetchers_internal.h"
#include "replication/follower_records.h"
#include "replication/replica_follower.h"
#include "runtime/test_point.h"

enum { METADATA_WAIT_MS_MIN = 10 };

#define NS_PER_MS UINT64_C(1000000)

/* ---- States ---- */

static void set_state(struct follower *follower, enum follower_state state)
{
    enum follower_state before = follower->state;
    if (before == FOLLOWER_DELAYED)
        timer_clear(&follower->timer);
    if (before == FOLLOWER_FAILED)
        follower->fetchers->counters.failed--;
    if (state == FOLLOWER_FAILED)
        follower->fetchers->counters.failed++;
    follower->state = state;
    if (follower->fetcher)
        fetcher_note(follower->fetcher, follower, before);
}

static void delay(struct follower *follower, uint64_t delay_ms)
{
    set_state(follower, FOLLOWER_DELAYED);
    loop_set_timer(follower->fetchers->options.loop, &follower->timer, delay_ms * NS_PER_MS);
}

/* After an error that passes by itself or does not: the full wait. */
static void back_off(struct follower *follower)
{
    follower->fetchers->counters.backoff++;
    delay(follower, (uint64_t)follower->fetchers->options.backoff_ms);
}

/* For metadata that is on its way, here or at the leader. */
static void wait_for_metadata(struct follower *follower)
{
    uint32_t limit = (uint32_t)follower->fetchers->options.backoff_ms;
    uint32_t wait = follower->backoff_ms ? follower->backoff_ms * 2 : METADATA_WAIT_MS_MIN;
    follower->backoff_ms = wait < limit ? wait : limit;
    follower->fetchers->counters.backoff++;
    delay(follower, follower->backoff_ms);
}

static void describe(const struct follower *follower, enum log_level level, const char *what,
                     int64_t offset)
{
    const struct replica *replica = follower->replica;
    diagnostics_log(follower->fetchers->options.loop->diagnostics, level,
                    "follower topic=%.*s partition=%d leader=%d leader_epoch=%d log_end=%lld: "
                    "%s %lld",
                    (int)replica->topic.size, (const char *)replica->topic.data,
                    (int)replica->partition, (int)follower->leader_id, (int)replica->leader_epoch,
                    (long long)partition_log_end_offset(replica->log), what, (long long)offset);
}

static void fail(struct follower *follower, const char *what, int64_t number)
{
    describe(follower, LOG_LEVEL_WARN, what, number);
    set_state(follower, FOLLOWER_FAILED);
}

/* Takes over what the leader says, as far as the own log goes. */
static void advance(struct follower *follower)
{
    replica_follower_advance(follower->replica, follower->leader_high_watermark,
                             follower->leader_log_start);
}

/* How long a throttled replica that is behind has to wait; in sync it is never throttled. */
static uint64_t throttle_ms(const struct follower *follower)
{
    if (!follower->is_throttled || follower->leader_high_watermark <= follower->fetch_offset)
        return 0;
    return fetchers_throttle_ms(follower->fetchers);
}

/* Nothing is under way: where the log stands decides what comes next. */
static void settle(struct follower *follower)
{
    struct replica *replica = follower->replica;
    klamm_assert(!follower->is_appending);
    klamm_assert(!follower->is_cutting);
    advance(follower);
    int64_t end = partition_log_end_offset(replica->log);
    if (replica_local_end(replica) < end &&
        !test_point(follower->fetchers->options.loop, BUG_REPLICA_FETCH_EARLY)) {
        set_state(follower, FOLLOWER_SETTLING);
        return;
    }
    follower->fetch_offset = end;
    follower->last_fetched_epoch = partition_log_latest_epoch(replica->log);
    uint64_t wait_ms = throttle_ms(follower);
    if (wait_ms)
        delay(follower, wait_ms);
    else
        set_state(follower, FOLLOWER_READY);
}

static void delay_over(struct timer *timer)
{
    struct follower *follower = container_of(timer, struct follower, timer);
    settle(follower);
}

/* ---- The end ---- */

static void tell_stopped(struct deferred *deferred)
{
    struct follower *follower = container_of(deferred, struct follower, deferred);
    struct fetchers *fetchers = follower->fetchers;
    struct follower_stop *stop = follower->stop;
    follower_destroy(follower);
    if (stop)
        stop->stopped(stop);
    fetchers_follower_gone(fetchers);
}

/* The log has let go of an append or a cut. False: the follower is ending. */
static bool goes_on(struct follower *follower)
{
    if (follower->state != FOLLOWER_ENDING)
        return true;
    if (!follower_is_busy(follower))
        loop_defer(follower->fetchers->options.loop, &follower->deferred);
    return false;
}

bool follower_is_busy(const struct follower *follower)
{
    return follower->is_appending || follower->is_cutting;
}

void follower_end(struct follower *follower, struct follower_stop *stop)
{
    klamm_assert(follower_is_busy(follower));
    klamm_assert(follower->fetcher == NULL);
    follower->stop = stop;
    set_state(follower, FOLLOWER_ENDING);
}

/* ---- Cutting ---- */

static void cut_done(struct log_change *change);

static void begin_cut(struct follower *follower)
{
    follower->is_cutting = true;
    follower->change.done = cut_done;
    follower->fetchers->counters.truncations++;
    set_state(follower, FOLLOWER_CUTTING);
}

static void cut(struct follower *follower, int64_t offset)
{
    struct partition_log *log = follower->replica->log;
    bool is_committed = offset < partition_log_high_watermark(log);
    describe(follower, is_committed ? LOG_LEVEL_ERROR : LOG_LEVEL_INFO,
             is_committed ? "truncates below its high watermark (unclean election or lost data), to"
                          : "truncates to",
             offset);
    begin_cut(follower);
    partition_log_truncate(log, offset, &follower->change);
}

static void restart_log(struct follower *follower, int64_t offset)
{
    describe(follower, LOG_LEVEL_WARN, "drops its log, which starts again at", offset);
    begin_cut(follower);
    partition_log_truncate_fully(follower->replica->log, offset, &follower->change);
}

static void append(struct follower *follower, struct view records);

static void drop_records(struct follower *follower)
{
    follower->records = VIEW_NULL;
    if (follower->frame)
        fetch_frame_release(follower->frame);
    follower->frame = NULL;
}

static void cut_done(struct log_change *change)
{
    struct follower *follower = container_of(change, struct follower, change);
    follower->is_cutting = false;
    struct view records = follower->records;
    if (change->status != STORAGE_OK || follower->state == FOLLOWER_ENDING)
        drop_records(follower);
    if (!goes_on(follower) || follower->has_failed_log)
        return;
    /* Without space the log is as it was; it will be found divergent again. Other errors have
     * failed the log, and it says so itself. */
    if (change->status != STORAGE_OK)
        back_off(follower);
    else if (view_is_null(records))
        settle(follower);
    else
        append(follower, records);
}

/*
 * The leader's newest epoch that is not above ours ends at `end` there (reference: KIP-101,
 * KIP-279). Where both know the same epoch, the shorter one holds; where we do not know it, what we
 * have behind the epoch before it goes, and we ask again.
 */
static void diverge(struct follower *follower, int32_t epoch, int64_t end)
{
    struct partition_log *log = follower->replica->log;
    int32_t found_epoch;
    int64_t local_end;
    int64_t target = end < 0 ? partition_log_high_watermark(log) : end;
    if (partition_log_epoch_end(log, epoch, &found_epoch, &local_end)) {
        if (found_epoch != epoch || local_end < target)
            target = local_end;
    }
    int64_t log_end = partition_log_end_offset(log);
    cut(follower, target < log_end ? target : log_end);
}

/* ---- Records ---- */

static void append_done(struct log_append *log_append)
{
    struct follower *follower = container_of(log_append, struct follower, append);
    follower->is_appending = false;
    drop_records(follower);
    if (!goes_on(follower) || follower->has_failed_log)
        return;
    if (log_append->error != KAFKA_ERROR_NONE) {
        back_off(follower); /* no space, or the log says itself that it has failed */
        return;
    }
    fetchers_count_bytes(follower->fetchers, log_append->valid_size, follower->is_throttled);
    settle(follower);
}

/* The frame is held for it already. */
static void append(struct follower *follower, struct view records)
{
    struct log_append *log_append = &follower->append;
    *log_append = (struct log_append){
        .data = follower->frame->frame.bytes + (records.data - follower->frame->frame.bytes),
        .size = records.size,
        .origin = LOG_APPEND_REPLICATION,
        .leader_epoch = follower->replica->leader_epoch,
        .done = append_done,
    };
    follower->records = VIEW_NULL;
    if (partition_log_append(follower->replica->log, log_append) == LOG_APPEND_QUEUED) {
        follower->is_appending = true;
        set_state(follower, FOLLOWER_SETTLING);
        return;
    }
    drop_records(follower);
    if (log_append->error != KAFKA_ERROR_KAFKA_STORAGE_ERROR)
        describe(follower, LOG_LEVEL_WARN, "cannot append what it fetched, error",
                 log_append->error);
    back_off(follower);
}

static void take_records(struct follower *follower, struct view field, struct fetch_frame *frame)
{
    const struct follower_records_bounds bounds = {
        .next_offset = follower->fetch_offset,
        .last_epoch = follower->last_fetched_epoch,
        .leader_epoch = follower->replica->leader_epoch,
        .may_begin_earlier = partition_log_start_offset(follower->replica->log) ==
                             partition_log_end_offset(follower->replica->log),
    };
    struct follower_records found;
    enum follower_records_result result = follower_records_check(field, &bounds, &found);
    if (result != FOLLOWER_RECORDS_OK) {
        describe(follower, LOG_LEVEL_WARN, follower_records_text(result), found.offset);
        follower->fetchers->counters.refused++;
        back_off(follower);
        return;
    }
    fetch_frame_hold(frame);
    follower->frame = frame;
    if (found.first_offset >= follower->fetch_offset) {
        append(follower, found.batches);
    } else { /* the first batch of a log that starts inside of it */
        follower->records = found.batches;
        restart_log(follower, found.first_offset);
    }
}

/* ---- Answers ---- */

void follower_refuse(struct follower *follower, enum kafka_error error)
{
    switch ((int)error) {
    case KAFKA_ERROR_OFFSET_OUT_OF_RANGE:
        follower->asks_start = false;
        set_state(follower, FOLLOWER_LOST);
        return;
    case KAFKA_ERROR_FENCED_LEADER_EPOCH:  /* we are behind */
    case KAFKA_ERROR_UNKNOWN_LEADER_EPOCH: /* the leader is */
    case KAFKA_ERROR_NOT_LEADER_OR_FOLLOWER:
    case KAFKA_ERROR_UNKNOWN_TOPIC_ID:
    case KAFKA_ERROR_INCONSISTENT_TOPIC_ID:
    case KAFKA_ERROR_UNKNOWN_TOPIC_OR_PARTITION:
    case KAFKA_ERROR_LEADER_NOT_AVAILABLE:
    case KAFKA_ERROR_OFFSET_NOT_AVAILABLE:
        wait_for_metadata(follower);
        return;
    case KAFKA_ERROR_OFFSET_MOVED_TO_TIERED_STORAGE:
        fail(follower, "the leader has moved to tiered storage, which is not served here, offset",
             follower->fetch_offset);
        return;
    default:
        describe(follower, LOG_LEVEL_WARN, "the leader answers error", error);
        back_off(follower);
        return;
    }
}

void follower_take(struct follower *follower, const struct fetch_response_partition_data *answer,
                   struct fetch_frame *frame)
{
    klamm_assert(follower->state == FOLLOWER_READY);
    if (answer->error_code != KAFKA_ERROR_NONE) {
        follower_refuse(follower, (enum kafka_error)answer->error_code);
        return;
    }
    follower->backoff_ms = 0;
    if (answer->diverging_epoch.epoch >= 0 || answer->diverging_epoch.end_offset >= 0) {
        follower->told.is_stale = true; /* nothing else in it counts before the logs agree */
        diverge(follower, answer->diverging_epoch.epoch, answer->diverging_epoch.end_offset);
        return;
    }
    follower->leader_high_watermark = answer->high_watermark;
    follower->leader_log_start = answer->log_start_offset;
    if (answer->records.memory.size > 0)
        take_records(follower, answer->records.memory, frame);
    else
        settle(follower);
}

void follower_found_end(struct follower *follower, int64_t leader_end)
{
    klamm_assert(follower->state == FOLLOWER_LOST);
    if (leader_end < partition_log_end_offset(follower->replica->log)) {
        cut(follower, leader_end);
        return;
    }
    follower->asks_start = true;
    set_state(follower, FOLLOWER_LOST);
}

void follower_found_start(struct follower *follower, int64_t leader_start)
{
    klamm_assert(follower->state == FOLLOWER_LOST);
    if (leader_start > partition_log_end_offset(follower->replica->log))
        restart_log(follower, leader_start);
    else
        back_off(follower); /* it is in range now, or the leader has no epochs: ask again later */
}

/* ---- Beginning ---- */

struct follower *follower_create(struct fetchers *fetchers, struct replica *replica)
{
    struct heap *heap = fetchers->options.loop->heap;
    struct follower *follower = heap_must_get(heap, MEMORY_STATE, sizeof(*follower));
    list_link_init(&follower->link);
    list_link_init(&follower->queue_link);
    list_link_init(&follower->lost_link);
    follower->replica = replica;
    follower->fetchers = fetchers;
    follower->leader_id = -1;
    follower->leader_epoch = -1;
    follower->state = FOLLOWER_SETTLING;
    follower->leader_high_watermark = -1;
    follower->leader_log_start = -1;
    timer_init(&follower->timer, delay_over);
    deferred_init(&follower->deferred, tell_stopped);
    replica->follower = follower;
    return follower;
}

void follower_destroy(struct follower *follower)
{
    klamm_assert(!follower_is_busy(follower));
    klamm_assert(follower->fetcher == NULL);
    klamm_assert(follower->frame == NULL);
    timer_clear(&follower->timer);
    if (follower->state == FOLLOWER_FAILED)
        follower->fetchers->counters.failed--;
    list_remove(&follower->link);
    if (follower->replica->follower == follower)
        follower->replica->follower = NULL;
    heap_put(follower->fetchers->options.loop->heap, MEMORY_STATE, follower, sizeof(*follower));
}

void follower_begin(struct follower *follower)
{
    struct partition_log *log = follower->replica->log;
    follower->leader_epoch = follower->replica->leader_epoch;
    follower->backoff_ms = 0;
    follower->is_throttled = fetchers_is_throttled(follower->fetchers, follower->replica);
    if (follower->has_failed_log || follower_is_busy(follower))
        return; /* it looks at the log when that is through */
    /* Without epochs nothing but the high watermark says how far the log is the leader's. */
    int64_t high_watermark = partition_log_high_watermark(log);
    bool has_no_epochs = partition_log_latest_epoch(log) < 0 ||
                         test_point(follower->fetchers->options.loop, BUG_REPLICA_CUT_AT_WATERMARK);
    if (has_no_epochs && partition_log_end_offset(log) > high_watermark) {
        cut(follower, high_watermark);
        return;
    }
    if (replica_config(follower->replica)->durability == TOPIC_DURABILITY_SYNC)
        partition_log_flush(log);
    settle(follower);
}

void follower_reconfigure(struct follower *follower)
{
    follower->is_throttled = fetchers_is_throttled(follower->fetchers, follower->replica);
    if (follower->state == FOLLOWER_READY || follower->state == FOLLOWER_SETTLING) {
        if (!follower_is_busy(follower))
            settle(follower);
    }
}

void follower_log_moved(struct follower *follower)
{
    if (follower->has_failed_log || follower->state == FOLLOWER_ENDING)
        return;
    bool may_settle = follower->state == FOLLOWER_SETTLING || follower->state == FOLLOWER_READY;
    if (may_settle && !follower_is_busy(follower))
        settle(follower);
    else
        advance(follower);
}

void follower_log_failed(struct follower *follower)
{
    follower->has_failed_log = true;
    if (follower->state != FOLLOWER_FAILED && follower->state != FOLLOWER_ENDING)
        set_state(follower, FOLLOWER_FAILED);
}
