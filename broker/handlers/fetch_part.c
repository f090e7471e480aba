/*
 * The owner's half of Fetch. A round reads every item; items whose bytes are not in memory are
 * warmed by jobs and the round is repeated. A complete round ends in one of two ways: the part goes
 * home, or it watches its replicas and the next round begins when one of them moves, at most once a
 * turn.
 */
#include "broker/handlers/fetch.h"

#include "base/assert.h"
#include "broker/read_replica.h"
#include "broker/shard.h"
#include "runtime/test_point.h"

enum { WARM_ROUNDS_MAX = 8, ZSTD_SINCE_VERSION = 10, FOLLOWERS_SINCE_VERSION = 11 };

static void begin_round(struct fetch_part *part);

/* Whether leader.replication.throttled.replicas lists the partition of a follower's fetch. */
static bool is_listed(const struct fetch_item *item, const struct shard *shard)
{
    if (item->part->replica_id < 0 || shard->throttle.rate == UINT64_MAX)
        return false;
    const struct image_topic *topic = image_topic_by_id(shard->image, item->topic_id);
    return topic && throttle_lists(shard->image, topic->name,
                                   VIEW_LITERAL("leader.replication.throttled.replicas"),
                                   item->partition, shard->broker->config->node_id);
}

/* A replica in sync is never throttled, but it counts. */
static bool is_throttled(const struct fetch_item *item, const struct replica *replica,
                         struct shard *shard)
{
    return is_listed(item, shard) && !replica_is_in_sync(replica, item->part->replica_id) &&
           throttle_wait_ms(&shard->throttle, shard->loop->now_ns) > 0;
}

static void count_sent(const struct fetch_part *part)
{
    struct shard *shard = shard_of(part->at);
    for (const struct fetch_item *item = part->first; item; item = item->next)
        if (item->slice.size > 0 && is_listed(item, shard))
            throttle_count(&shard->throttle, shard->loop->now_ns, item->slice.size);
}

static void go_home(struct fetch_part *part)
{
    count_sent(part);
    part->is_here = false;
    list_remove(&part->again.link);
    part_done(&part->part, part->at);
}

static void release_slices(struct fetch_part *part)
{
    for (struct fetch_item *item = part->first; item; item = item->next) {
        log_slice_release(&item->slice);
        item->slice = (struct log_slice){0};
    }
}

static void unwatch(struct fetch_part *part)
{
    if (!part->is_watching)
        return;
    part->is_watching = false;
    for (struct fetch_item *item = part->first; item; item = item->next)
        replica_unwatch(&item->watch);
}

/* KIP-595's divergence check, for fetchers that name the epoch of what they have. */
static bool diverges(struct fetch_item *item, const struct replica *replica)
{
    if (item->last_fetched_epoch < 0)
        return false;
    int32_t epoch;
    int64_t end;
    if (!partition_log_epoch_end(replica->log, item->last_fetched_epoch, &epoch, &end)) {
        item->error = KAFKA_ERROR_OFFSET_OUT_OF_RANGE;
        return true;
    }
    bool is_same = epoch == item->last_fetched_epoch ||
                   test_point(item->part->at, BUG_REPLICA_EPOCHS_UNCOMPARED);
    if (is_same && end >= item->fetch_offset)
        return false;
    item->diverging.epoch = epoch;
    item->diverging.end_offset = end;
    return true;
}

static enum kafka_error check_item(const struct fetch_item *item, struct replica *replica)
{
    if (!replica)
        return KAFKA_ERROR_NOT_LEADER_OR_FOLLOWER;
    const struct fetch_part *part = item->part;
    if (part->replica_id >= 0)
        return replica_check_fetch(replica, item->leader_epoch, part->replica_id,
                                   part->broker_epoch);
    enum kafka_error error = part->version >= FOLLOWERS_SINCE_VERSION
                                 ? replica_check_any(replica, item->leader_epoch)
                                 : replica_check(replica, item->leader_epoch);
    if (error != KAFKA_ERROR_NONE)
        return error;
    if (item->part->version < ZSTD_SINCE_VERSION &&
        replica_config(replica)->compression_type == TOPIC_COMPRESSION_ZSTD)
        return KAFKA_ERROR_UNSUPPORTED_COMPRESSION_TYPE;
    return KAFKA_ERROR_NONE;
}

static void item_warmed(struct log_warm *warm)
{
    struct fetch_item *item = container_of(warm, struct fetch_item, warm);
    struct fetch_part *part = item->part;
    klamm_assert(part->warming > 0);
    if (--part->warming == 0)
        begin_round(part);
}

static enum log_read_bound bound_of(const struct fetch_part *part)
{
    if (part->replica_id >= 0)
        return LOG_READ_LOG_END;
    return part->read_committed ? LOG_READ_LAST_STABLE : LOG_READ_HIGH_WATERMARK;
}

/* What a follower asks for says what it has; only its first read counts. */
static void note_position(struct fetch_item *item, struct replica *replica)
{
    if (item->part->replica_id < 0 || item->is_noted)
        return;
    item->is_noted = true;
    const struct replica_fetch fetch = {
        .replica_id = item->part->replica_id,
        .broker_epoch = item->part->broker_epoch,
        .fetch_offset = item->fetch_offset,
        .log_start_offset = item->follower_log_start,
    };
    replica_fetched(replica, &fetch);
}

static void read_slice(struct fetch_item *item, struct replica *replica, uint32_t budget,
                       bool min_one)
{
    struct fetch_part *part = item->part;
    uint32_t limit = item->max_bytes > 0 ? (uint32_t)item->max_bytes : 0;
    struct log_read read = {
        .offset = item->fetch_offset,
        .max_bytes = limit < budget ? limit : budget,
        .min_one = min_one,
        .bound = bound_of(part),
        .arena = &part->part.arena,
    };
    switch (partition_log_read(replica->log, &read, &item->slice)) {
    case LOG_READ_OK:
        return;
    case LOG_READ_OUT_OF_RANGE:
        item->error = KAFKA_ERROR_OFFSET_OUT_OF_RANGE;
        return;
    case LOG_READ_FAILED:
        item->error = KAFKA_ERROR_KAFKA_STORAGE_ERROR;
        return;
    case LOG_READ_NEEDS_IO:
        if (part->warm_rounds >= WARM_ROUNDS_MAX)
            return; /* memory is short: the client asks again */
        part->warming++;
        item->warm = (struct log_warm){.warmed = item_warmed};
        partition_log_warm(replica->log, &read, &item->warm);
        return;
    }
}

static int32_t read_replica_of(const struct fetch_item *item, const struct replica *replica,
                               const struct shard *shard)
{
    const struct fetch_part *part = item->part;
    if (part->rack.size == 0)
        return -1;
    const struct read_replica_question question = {part->rack, part->listener, item->fetch_offset};
    return read_replica_choose(shard->image, replica, &question);
}

static void read_item(struct fetch_item *item, struct shard *shard, uint32_t budget, bool min_one)
{
    struct replica *replica = replica_table_find(&shard->replicas, item->topic_id, item->partition);
    item->high_watermark = -1;
    item->last_stable_offset = -1;
    item->log_start_offset = -1;
    item->read_replica = -1;
    fetch_response_epoch_end_offset_init(&item->diverging);
    item->error = check_item(item, replica);
    if (item->error != KAFKA_ERROR_NONE)
        return;
    item->high_watermark = replica_high_watermark(replica);
    item->last_stable_offset = replica_read_bound(replica, LOG_READ_LAST_STABLE);
    item->log_start_offset = partition_log_start_offset(replica->log);
    item->read_replica = read_replica_of(item, replica, shard);
    if (item->read_replica >= 0)
        return;
    if (!diverges(item, replica)) {
        bool throttled = is_throttled(item, replica, shard);
        read_slice(item, replica, throttled ? 0 : budget, min_one && !throttled);
        if (item->error == KAFKA_ERROR_NONE)
            note_position(item, replica);
    } else if (test_point(shard->loop, BUG_REPLICA_COUNT_DIVERGED) && item->diverging.epoch >= 0) {
        note_position(item, replica);
    }
    if (item->error != KAFKA_ERROR_NONE)
        item->high_watermark = item->last_stable_offset = item->log_start_offset = -1;
}

static void item_moved(struct replica_watch *watch)
{
    struct fetch_item *item = container_of(watch, struct fetch_item, watch);
    loop_defer(item->part->at, &item->part->again);
}

static void start_watching(struct fetch_part *part)
{
    struct shard *shard = shard_of(part->at);
    part->is_watching = true;
    for (struct fetch_item *item = part->first; item; item = item->next) {
        struct replica *replica =
            replica_table_find(&shard->replicas, item->topic_id, item->partition);
        klamm_assert(replica != NULL);
        item->watch.fired = item_moved;
        if (part->replica_id >= 0)
            replica_watch_end(replica, &item->watch);
        else
            replica_watch(replica, &item->watch);
    }
}

/* The round is complete: nothing of it is cold. */
static void end_round(struct fetch_part *part)
{
    bool enough = part->found_bytes >= part->wanted_bytes;
    if (enough || part->has_news || !part->may_wait)
        go_home(part);
    else
        start_watching(part);
}

static void begin_round(struct fetch_part *part)
{
    struct shard *shard = shard_of(part->at);
    release_slices(part);
    arena_reset(&part->part.arena);
    part->found_bytes = 0;
    part->has_news = false;
    part->warm_rounds++;
    uint32_t budget = part->max_bytes;
    /* Held above zero so that a warming that ends early cannot begin another round inside this. */
    part->warming = 1;
    for (struct fetch_item *item = part->first; item; item = item->next) {
        read_item(item, shard, budget, part->found_bytes == 0);
        part->found_bytes += item->slice.size;
        budget -= item->slice.size < budget ? item->slice.size : budget;
        part->has_news |= item->error != KAFKA_ERROR_NONE || item->diverging.epoch >= 0 ||
                          item->read_replica >= 0;
    }
    if (--part->warming == 0)
        end_round(part);
}

static void round_again(struct deferred *deferred)
{
    struct fetch_part *part = container_of(deferred, struct fetch_part, again);
    if (!part->is_here || !part->is_watching)
        return;
    unwatch(part);
    part->warm_rounds = 0;
    begin_round(part);
}

void fetch_part_run(struct part *base, struct loop *at)
{
    struct fetch_part *part = container_of(base, struct fetch_part, part);
    if (!part->at) {
        deferred_init(&part->again, round_again);
        for (struct fetch_item *item = part->first; item; item = item->next)
            list_link_init(&item->watch.link);
    }
    part->at = at;
    part->is_here = true;
    part->is_watching = false;
    part->warm_rounds = 0;
    begin_round(part);
}

void fetch_part_release(struct part *base, struct loop *at)
{
    (void)at;
    release_slices(container_of(base, struct fetch_part, part));
}

/* ---- Recall ---- */

static void recall_home(struct message *message, struct loop *at)
{
    (void)at;
    struct fetch_part *part = container_of(message, struct fetch_part, recall);
    part->recall_is_out = false;
    connection_request_release(&part->part.request->base);
}

static void recall_arrived(struct message *message, struct loop *at)
{
    struct fetch_part *part = container_of(message, struct fetch_part, recall);
    part->recall.deliver = recall_home;
    loop_post(at, part->part.home_loop, &part->recall);
    if (!part->is_here)
        return;
    part->may_wait = false;
    if (part->is_watching) {
        unwatch(part);
        begin_round(part);
    }
}

void fetch_part_recall(struct fetch_part *part)
{
    if (part->recall_is_out || part->part.is_home)
        return;
    struct request *request = part->part.request;
    part->recall_is_out = true;
    connection_request_hold(&request->base);
    part->recall.deliver = recall_arrived;
    loop_post(request_loop(request), part->part.target, &part->recall);
}

bool fetch_part_holds(const struct fetch_part *part)
{
    if (part->part.arena.held > 0)
        return true;
    for (const struct fetch_item *item = part->first; item; item = item->next)
        if (item->slice.lease)
            return true;
    return false;
}
