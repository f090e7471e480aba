/*
 * A coordinator's life and those who wait.
 *
 * The replica tells everything: its watch fires when the high watermark or its own state moves, and
 * then the heads of `waits` leave. An append that was accepted and failed tells its batch
 * (coordinator_records.c), which breaks the coordinator: waits fail, the kind unloads, and the log
 * is loaded from its start.
 *
 * Ends: resign by the owner, or the watch that finds the replica no longer leading (FAILED, until
 * the owner resigns it). Both leave batches that the log still holds to themselves; they free
 * themselves when they are acknowledged.
 */
#include "coordinator/coordinator_internal.h"

#include "base/assert.h"
#include "runtime/test_point.h"

static void watch_fired(struct replica_watch *watch);
static void timed_out(struct timer *timer);
static void reload_deferred(struct deferred *deferred);
static void call_committed(struct coordinator_wait *wait, enum kafka_error error);

/* ---- What coordinators of one loop share ---- */

void coordinator_host_init(struct coordinator_host *host, struct loop *loop, struct heap *heap,
                           struct log_shard *logs, const struct server_config *config)
{
    *host = (struct coordinator_host){.loop = loop, .heap = heap, .logs = logs, .config = config};
    list_init(&host->loads);
    deferred_init(&host->load_turn, coordinator_load_turn);
}

void coordinator_host_deinit(struct coordinator_host *host)
{
    klamm_assert(list_is_empty(&host->loads));
    list_remove(&host->load_turn.link);
}

/* ---- Looking ---- */

enum coordinator_state coordinator_state(const struct coordinator *coordinator)
{
    return coordinator->state;
}

void *coordinator_kind_state(const struct coordinator *coordinator)
{
    return coordinator->kind_state;
}

struct loop *coordinator_loop(const struct coordinator *coordinator)
{
    return coordinator->host->loop;
}

struct heap *coordinator_heap(const struct coordinator *coordinator)
{
    return coordinator->host->heap;
}

const struct image *coordinator_image(const struct coordinator *coordinator)
{
    return coordinator->image;
}

const struct server_config *coordinator_config(const struct coordinator *coordinator)
{
    return coordinator->host->config;
}

int32_t coordinator_partition(const struct coordinator *coordinator)
{
    return coordinator->replica->partition;
}

int32_t coordinator_epoch(const struct coordinator *coordinator)
{
    return coordinator->epoch;
}

int64_t coordinator_end_offset(const struct coordinator *coordinator)
{
    return coordinator->end_offset;
}

enum kafka_error coordinator_refusal(const struct coordinator *coordinator)
{
    switch (coordinator->state) {
    case COORDINATOR_LOADING:
        return KAFKA_ERROR_COORDINATOR_LOAD_IN_PROGRESS;
    case COORDINATOR_ACTIVE:
        if (test_point(coordinator->host->loop, BUG_COORDINATOR_KEEP_STATE) &&
            coordinator->replica->state != REPLICA_LEADING)
            return KAFKA_ERROR_NOT_COORDINATOR;
        return coordinator->is_stale ? KAFKA_ERROR_COORDINATOR_LOAD_IN_PROGRESS : KAFKA_ERROR_NONE;
    case COORDINATOR_FAILED:
    case COORDINATOR_CLOSED:
        return KAFKA_ERROR_NOT_COORDINATOR;
    }
    klamm_unreachable("coordinator state");
}

enum kafka_error coordinator_map_error(enum kafka_error error)
{
    if (error == KAFKA_ERROR_UNKNOWN_TOPIC_OR_PARTITION ||
        error == KAFKA_ERROR_NOT_ENOUGH_REPLICAS ||
        error == KAFKA_ERROR_NOT_ENOUGH_REPLICAS_AFTER_APPEND ||
        error == KAFKA_ERROR_REQUEST_TIMED_OUT)
        return KAFKA_ERROR_COORDINATOR_NOT_AVAILABLE;
    if (error == KAFKA_ERROR_NOT_LEADER_OR_FOLLOWER || error == KAFKA_ERROR_KAFKA_STORAGE_ERROR)
        return KAFKA_ERROR_NOT_COORDINATOR;
    if (error == KAFKA_ERROR_MESSAGE_TOO_LARGE || error == KAFKA_ERROR_RECORD_LIST_TOO_LARGE ||
        error == KAFKA_ERROR_INVALID_FETCH_SIZE)
        return KAFKA_ERROR_UNKNOWN_SERVER_ERROR;
    return error;
}

void coordinator_assert(const struct coordinator *coordinator)
{
    if (coordinator->state != COORDINATOR_ACTIVE) {
        klamm_assert(list_is_empty(&coordinator->waits));
        return;
    }
    int64_t before = replica_high_watermark(coordinator->replica);
    list_for_each(link, &((struct coordinator *)(uintptr_t)coordinator)->waits)
    {
        const struct coordinator_wait *wait = container_of(link, struct coordinator_wait, link);
        klamm_assert(wait->required_offset > replica_high_watermark(coordinator->replica));
        klamm_assert(wait->required_offset >= before);
        before = wait->required_offset;
    }
}

/* ---- Waiting ---- */

/* Sets the timer for the first call; plain waits have no limit. */
static void set_timeout(struct coordinator *coordinator)
{
    timer_clear(&coordinator->timeout);
    list_for_each(link, &coordinator->waits)
    {
        const struct coordinator_wait *wait = container_of(link, struct coordinator_wait, link);
        if (wait->done != call_committed)
            continue;
        uint64_t due_ns =
            wait->since_ns +
            (uint64_t)coordinator->host->config->settings.offsets_commit_timeout_ms * 1000000;
        struct loop *loop = coordinator->host->loop;
        loop_set_timer(loop, &coordinator->timeout,
                       due_ns > loop->now_ns ? due_ns - loop->now_ns : 0);
        return;
    }
}

static void timed_out(struct timer *timer)
{
    struct coordinator *coordinator = container_of(timer, struct coordinator, timeout);
    struct coordinator_host *host = coordinator->host;
    uint64_t limit_ns = (uint64_t)host->config->settings.offsets_commit_timeout_ms * 1000000;
    struct list late;
    list_init(&late);
    list_for_each_safe(link, after, &coordinator->waits)
    {
        struct coordinator_wait *wait = container_of(link, struct coordinator_wait, link);
        if (wait->done != call_committed)
            continue;
        if (host->loop->now_ns - wait->since_ns < limit_ns)
            break;
        list_remove(link);
        list_push_back(&late, link);
    }
    set_timeout(coordinator);
    for (struct list *link; (link = list_pop_front(&late)) != NULL;) {
        host->counters.timed_out_answers++;
        struct coordinator_wait *wait = container_of(link, struct coordinator_wait, link);
        wait->done(wait, coordinator_map_error(KAFKA_ERROR_REQUEST_TIMED_OUT));
    }
}

/* Tells the heads of the list that require at most the high watermark. */
static void pop_waits(struct coordinator *coordinator)
{
    int64_t committed = replica_high_watermark(coordinator->replica);
    while (!list_is_empty(&coordinator->waits)) {
        struct coordinator_wait *wait =
            container_of(coordinator->waits.next, struct coordinator_wait, link);
        if (wait->required_offset > committed)
            break;
        list_remove(&wait->link);
        wait->done(wait, KAFKA_ERROR_NONE);
    }
    if (list_is_empty(&coordinator->waits))
        timer_clear(&coordinator->timeout);
}

static void fail_waits(struct coordinator *coordinator, enum kafka_error error)
{
    struct list failing;
    list_init(&failing);
    list_splice_back(&failing, &coordinator->waits);
    timer_clear(&coordinator->timeout);
    if (test_point(coordinator->host->loop, BUG_COORDINATOR_LEAVE_WELL))
        error = KAFKA_ERROR_NONE;
    for (struct list *link; (link = list_pop_front(&failing)) != NULL;) {
        struct coordinator_wait *wait = container_of(link, struct coordinator_wait, link);
        wait->done(wait, error);
    }
}

void coordinator_await(struct coordinator *coordinator, struct coordinator_wait *wait)
{
    list_link_init(&wait->link);
    if (coordinator->state != COORDINATOR_ACTIVE) {
        wait->done(wait, coordinator_refusal(coordinator));
        return;
    }
    wait->required_offset = coordinator->end_offset;
    wait->since_ns = coordinator->host->loop->now_ns;
    if (wait->required_offset <= replica_high_watermark(coordinator->replica) ||
        test_point(coordinator->host->loop, BUG_COORDINATOR_ANSWER_EARLY)) {
        wait->done(wait, KAFKA_ERROR_NONE);
        return;
    }
    list_push_back(&coordinator->waits, &wait->link);
    if (wait->done == call_committed && !timer_is_set(&coordinator->timeout))
        set_timeout(coordinator);
}

static void call_committed(struct coordinator_wait *wait, enum kafka_error error)
{
    struct coordinator_call *call = container_of(wait, struct coordinator_call, wait);
    call->error = error;
    call->done(call);
}

void coordinator_answer(struct coordinator *coordinator, struct coordinator_call *call)
{
    klamm_assert(!list_is_linked(&call->link));
    call->parked = NULL;
    call->abandoned = NULL;
    call->wait.done = call_committed;
    coordinator->host->counters.answers++;
    coordinator_await(coordinator, &call->wait);
}

void coordinator_fail(struct coordinator_call *call, enum kafka_error error)
{
    klamm_assert(!list_is_linked(&call->link));
    klamm_assert(!list_is_linked(&call->wait.link));
    klamm_assert(error != KAFKA_ERROR_NONE);
    call->parked = NULL;
    call->abandoned = NULL;
    call->error = error;
    call->done(call);
}

/* ---- Life ---- */

static void begin_load(struct coordinator *coordinator)
{
    coordinator->state = COORDINATOR_LOADING;
    coordinator->is_loaded = false;
    coordinator->is_stale = false;
    coordinator->epoch = coordinator->replica->leader_epoch;
    coordinator->kind_state = coordinator->kind->create(coordinator);
    klamm_assert(coordinator->kind_state != NULL);
    coordinator_load_start(coordinator);
}

struct coordinator *coordinator_create(const struct coordinator_options *options)
{
    klamm_assert(options->replica->state == REPLICA_LEADING);
    struct coordinator *coordinator =
        heap_must_get(options->host->heap, MEMORY_STATE, sizeof(*coordinator));
    coordinator->host = options->host;
    coordinator->kind = options->kind;
    coordinator->replica = options->replica;
    coordinator->image = options->image;
    coordinator->codec = options->codec;
    list_init(&coordinator->waits);
    list_init(&coordinator->batches);
    list_link_init(&coordinator->watch.link);
    coordinator->watch.fired = watch_fired;
    timer_init(&coordinator->timeout, timed_out);
    deferred_init(&coordinator->reload, reload_deferred);
    replica_watch(coordinator->replica, &coordinator->watch);
    begin_load(coordinator);
    return coordinator;
}

static void become_active(struct coordinator *coordinator)
{
    coordinator->state = COORDINATOR_ACTIVE;
    coordinator->is_loaded = false;
    if (coordinator->kind->loaded)
        coordinator->kind->loaded(coordinator->kind_state);
}

void coordinator_load_done(struct coordinator *coordinator, int64_t end_offset)
{
    coordinator->end_offset = end_offset;
    coordinator->is_loaded = true;
    if (coordinator->image)
        become_active(coordinator);
}

/* Tells everybody and drops the state; `state` is what the coordinator is from now on. */
static void drop_state(struct coordinator *coordinator, enum coordinator_state state,
                       enum kafka_error error)
{
    bool was_active = coordinator->state == COORDINATOR_ACTIVE;
    coordinator->state = state; /* first: who is told may ask again at once */
    coordinator->is_stale = false;
    coordinator_load_stop(coordinator);
    list_remove(&coordinator->reload.link);
    for (struct list *link; (link = list_pop_front(&coordinator->batches)) != NULL;)
        container_of(link, struct coordinator_batch, link)->coordinator = NULL;
    fail_waits(coordinator, error);
    void *kind_state = coordinator->kind_state;
    coordinator->kind_state = NULL;
    if (kind_state && was_active)
        coordinator->kind->unload(kind_state, error);
    if (kind_state)
        coordinator->kind->destroy(kind_state);
}

void coordinator_load_failed(struct coordinator *coordinator)
{
    coordinator->host->counters.failed_loads++;
    drop_state(coordinator, COORDINATOR_FAILED, KAFKA_ERROR_NOT_COORDINATOR);
}

void coordinator_break(struct coordinator *coordinator, enum kafka_error error, const char *reason)
{
    struct coordinator_host *host = coordinator->host;
    bool is_leading = coordinator->replica->state == REPLICA_LEADING;
    log_warn(host->loop->diagnostics, "%s coordinator %s: partition=%d reason=\"%s\" error=%s",
             coordinator->kind->name, is_leading ? "loads anew" : "ends",
             (int)coordinator->replica->partition, reason, kafka_error_name(error));
    drop_state(coordinator, is_leading ? COORDINATOR_LOADING : COORDINATOR_FAILED,
               coordinator_map_error(error));
    if (!is_leading)
        return;
    host->counters.reloads++;
    begin_load(coordinator);
}

static void reload_deferred(struct deferred *deferred)
{
    struct coordinator *coordinator = container_of(deferred, struct coordinator, reload);
    coordinator_break(coordinator, KAFKA_ERROR_NOT_LEADER_OR_FOLLOWER,
                      "somebody else wrote into its log");
}

static void watch_fired(struct replica_watch *watch)
{
    struct coordinator *coordinator = container_of(watch, struct coordinator, watch);
    if (coordinator->replica->state == REPLICA_LEADING) {
        replica_watch(coordinator->replica, watch);
        coordinator->failures = 0;
        pop_waits(coordinator);
    } else if (coordinator->state != COORDINATOR_FAILED &&
               !test_point(coordinator->host->loop, BUG_COORDINATOR_KEEP_ANSWERING)) {
        drop_state(coordinator, COORDINATOR_FAILED, KAFKA_ERROR_NOT_COORDINATOR);
    }
}

void coordinator_set_image(struct coordinator *coordinator, const struct image *image,
                           const struct image_delta *delta)
{
    coordinator->image = image;
    if (coordinator->state == COORDINATOR_LOADING && coordinator->is_loaded)
        become_active(coordinator);
    else if (coordinator->state == COORDINATOR_ACTIVE && coordinator->kind->metadata)
        coordinator->kind->metadata(coordinator->kind_state, delta);
}

void coordinator_lead(struct coordinator *coordinator)
{
    if (test_point(coordinator->host->loop, BUG_COORDINATOR_KEEP_STATE) &&
        coordinator->state == COORDINATOR_ACTIVE) {
        coordinator->epoch = coordinator->replica->leader_epoch;
        coordinator->end_offset = partition_log_end_offset(coordinator->replica->log);
        replica_unwatch(&coordinator->watch);
        replica_watch(coordinator->replica, &coordinator->watch);
        return;
    }
    if (coordinator->replica->state == REPLICA_LEADING &&
        coordinator->replica->leader_epoch > coordinator->epoch)
        coordinator_break(coordinator, KAFKA_ERROR_NOT_LEADER_OR_FOLLOWER, "a new leader epoch");
}

void coordinator_resign(struct coordinator *coordinator)
{
    drop_state(coordinator, COORDINATOR_CLOSED, KAFKA_ERROR_NOT_COORDINATOR);
    replica_unwatch(&coordinator->watch);
    heap_put(coordinator->host->heap, MEMORY_STATE, coordinator, sizeof(*coordinator));
}
