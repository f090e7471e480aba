/*
 * The owner's half of Fetch. A round looks at every interest that is due and makes an item of each;
 * items whose bytes are not in memory are warmed by jobs and the round is repeated. A complete
 * round ends in one of two ways: the part goes home, or it waits and the next round begins when one
 * of the replicas moves, at most once a turn.
 */
#include "broker/handlers/fetch.h"

#include "base/assert.h"
#include "broker/read_replica.h"
#include "broker/shard.h"
#include "runtime/test_point.h"

enum { WARM_ROUNDS_MAX = 8, ZSTD_SINCE_VERSION = 10, FOLLOWERS_SINCE_VERSION = 11 };

static void begin_round(struct fetch_part *part);

static bool is_follower(const struct fetch_part *part)
{
    return part->asker.replica_id >= 0;
}

/* Whether leader.replication.throttled.replicas lists the partition of a follower's fetch. */
static bool is_listed(const struct fetch_item *item, const struct shard *shard)
{
    if (!is_follower(item->part) || shard->throttle.rate == UINT64_MAX)
        return false;
    const struct image_topic *topic = image_topic_by_id(shard->image, item->ask->placed_id);
    return topic && throttle_lists(shard->image, topic->name,
                                   VIEW_LITERAL("leader.replication.throttled.replicas"),
                                   item->ask->partition, shard->broker->config->node_id);
}

/* A replica in sync is never throttled, but it counts. */
static bool is_throttled(const struct fetch_item *item, const struct replica *replica,
                         struct shard *shard)
{
    return is_listed(item, shard) && !replica_is_in_sync(replica, item->part->asker.replica_id) &&
           throttle_wait_ms(&shard->throttle, shard->loop->now_ns) > 0;
}

static void count_sent(const struct fetch_part *part)
{
    struct shard *shard = shard_of(part->at);
    for (const struct fetch_item *item = part->items; item; item = item->next)
        if (item->slice.size > 0 && is_listed(item, shard))
            throttle_count(&shard->throttle, shard->loop->now_ns, item->slice.size);
}

/* Interests without a session end here: their memory is the request's. */
static void end_singles(struct fetch_part *part)
{
    list_for_each_safe(link, after, &part->single.all)
        fetch_interest_end(container_of(link, struct fetch_interest, link));
}

static void go_home(struct fetch_part *part)
{
    count_sent(part);
    part->is_here = false;
    part->interests->waker = NULL;
    list_remove(&part->again.link);
    if (!part->seat)
        end_singles(part);
    part_done(&part->part, part->at);
}

static void release_slices(struct fetch_part *part)
{
    for (struct fetch_item *item = part->items; item; item = item->next)
        log_slice_release(&item->slice);
    part->items = NULL;
    part->last_item = &part->items;
}

/* ---- One look ---- */

/* KIP-595's divergence check, for fetchers that name the epoch of what they have. */
static bool diverges(struct fetch_item *item, const struct fetch_interest *interest,
                     const struct replica *replica)
{
    if (interest->last_fetched_epoch < 0)
        return false;
    int32_t epoch;
    int64_t end;
    if (!partition_log_epoch_end(replica->log, interest->last_fetched_epoch, &epoch, &end)) {
        item->error = KAFKA_ERROR_OFFSET_OUT_OF_RANGE;
        return true;
    }
    bool is_same = epoch == interest->last_fetched_epoch ||
                   test_point(item->part->at, BUG_REPLICA_EPOCHS_UNCOMPARED);
    if (is_same && end >= interest->fetch_offset)
        return false;
    item->diverging.epoch = epoch;
    item->diverging.end_offset = end;
    return true;
}

static enum kafka_error check(const struct fetch_part *part, const struct fetch_interest *interest,
                              struct replica *replica)
{
    const struct fetch_asker *asker = &part->asker;
    if (!replica)
        return KAFKA_ERROR_NOT_LEADER_OR_FOLLOWER;
    if (is_follower(part))
        return replica_check_fetch(replica, interest->leader_epoch, asker->replica_id,
                                   asker->broker_epoch);
    enum kafka_error error = asker->version >= FOLLOWERS_SINCE_VERSION
                                 ? replica_check_any(replica, interest->leader_epoch)
                                 : replica_check(replica, interest->leader_epoch);
    if (error != KAFKA_ERROR_NONE)
        return error;
    if (asker->version < ZSTD_SINCE_VERSION &&
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
    if (is_follower(part))
        return LOG_READ_LOG_END;
    return part->asker.read_committed ? LOG_READ_LAST_STABLE : LOG_READ_HIGH_WATERMARK;
}

static struct replica_fetch position_of(const struct fetch_part *part,
                                        const struct fetch_interest *interest)
{
    return (struct replica_fetch){
        .replica_id = part->asker.replica_id,
        .broker_epoch = part->asker.broker_epoch,
        .fetch_offset = interest->fetch_offset,
        .log_start_offset = interest->log_start_offset,
    };
}

/* What a follower asks for says what it has; only its first read counts. */
static void note_position(const struct fetch_part *part, const struct fetch_interest *interest,
                          struct replica *replica)
{
    if (!is_follower(part) || part->is_noted)
        return;
    const struct replica_fetch fetch = position_of(part, interest);
    replica_fetched(replica, &fetch);
}

static void read_slice(struct fetch_item *item, const struct fetch_interest *interest,
                       struct replica *replica, uint32_t budget, bool min_one)
{
    struct fetch_part *part = item->part;
    uint32_t limit = interest->max_bytes > 0 ? (uint32_t)interest->max_bytes : 0;
    struct log_read read = {
        .offset = interest->fetch_offset,
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

static int32_t read_replica_of(const struct fetch_part *part, const struct fetch_interest *interest,
                               const struct replica *replica, const struct shard *shard)
{
    if (part->rack.size == 0)
        return -1;
    const struct read_replica_question question = {part->rack, part->listener,
                                                   interest->fetch_offset};
    return read_replica_choose(shard->image, replica, &question);
}

static void read_item(struct fetch_item *item, const struct fetch_interest *interest,
                      struct replica *replica, struct shard *shard, uint32_t budget, bool min_one)
{
    struct fetch_part *part = item->part;
    item->error = check(part, interest, replica);
    if (item->error != KAFKA_ERROR_NONE)
        return;
    item->high_watermark = replica_high_watermark(replica);
    item->last_stable_offset = replica_read_bound(replica, LOG_READ_LAST_STABLE);
    item->log_start_offset = partition_log_start_offset(replica->log);
    item->read_replica = read_replica_of(part, interest, replica, shard);
    if (item->read_replica >= 0)
        return;
    if (!diverges(item, interest, replica)) {
        bool throttled = is_throttled(item, replica, shard);
        read_slice(item, interest, replica, throttled ? 0 : budget, min_one && !throttled);
        if (item->error == KAFKA_ERROR_NONE)
            note_position(part, interest, replica);
    } else if (test_point(shard->loop, BUG_REPLICA_COUNT_DIVERGED) && item->diverging.epoch >= 0) {
        note_position(part, interest, replica);
    }
    if (item->error != KAFKA_ERROR_NONE)
        item->high_watermark = item->last_stable_offset = item->log_start_offset = -1;
}

static bool is_answer_due(const struct fetch_item *item)
{
    return item->error != KAFKA_ERROR_NONE || item->diverging.epoch >= 0 || item->read_replica >= 0;
}

/* Whether a look finds nothing before the replica moves. */
static bool has_nothing(const struct fetch_item *item, const struct fetch_interest *interest,
                        const struct replica *replica)
{
    const struct fetch_part *part = item->part;
    /* Which replica is the nearest changes with what others have. */
    if (is_answer_due(item) || item->slice.size > 0 || part->rack.size > 0)
        return false;
    if (!is_follower(part))
        return interest->fetch_offset >= replica_read_bound(replica, bound_of(part));
    const struct replica_fetch fetch = position_of(part, interest);
    return replica_may_rest(replica, &fetch);
}

/* Returns the bytes that were found. */
static size_t look(struct fetch_part *part, struct fetch_interest *interest, uint32_t budget)
{
    struct shard *shard = shard_of(part->at);
    struct replica *replica =
        replica_table_find(&shard->replicas, interest->topic_id, interest->partition);
    struct fetch_item *item = arena_must_get(&part->part.arena, 1, sizeof(*item));
    item->part = part;
    item->ask = interest->ask;
    item->max_bytes = interest->max_bytes;
    item->high_watermark = item->last_stable_offset = item->log_start_offset = -1;
    item->read_replica = -1;
    fetch_response_epoch_end_offset_init(&item->diverging);
    *part->last_item = item;
    part->last_item = &item->next;
    read_item(item, interest, replica, shard, budget, part->found_bytes == 0);
    part->has_news |= is_answer_due(item);
    bool is_refused = item->error != KAFKA_ERROR_NONE;
    const struct fetch_found found = {
        .replica = is_refused ? NULL : replica,
        .high_watermark = item->high_watermark,
        .log_start = item->log_start_offset,
        .has_records = item->slice.size > 0,
        .has_nothing = !is_refused && has_nothing(item, interest, replica),
    };
    item->is_news = fetch_interest_found(interest, &found, !part->is_full);
    return item->slice.size;
}

/* ---- Rounds ---- */

/* The round is complete: nothing of it is cold. */
static void end_round(struct fetch_part *part)
{
    if (part->found_bytes >= part->wanted_bytes || part->has_news || !part->may_wait)
        go_home(part);
    else
        part->interests->waker = &part->again;
}

static void begin_round(struct fetch_part *part)
{
    release_slices(part);
    arena_reset(&part->part.arena);
    part->found_bytes = 0;
    part->has_news = false;
    part->warm_rounds++;
    part->interests->waker = NULL;
    uint32_t budget = part->max_bytes;
    /* Held above zero so that a warming that ends early cannot begin another round inside this. */
    part->warming = 1;
    list_for_each_safe(link, after, &part->interests->due)
    {
        size_t size = look(part, container_of(link, struct fetch_interest, due_link), budget);
        part->found_bytes += size;
        budget -= size < budget ? (uint32_t)size : budget;
    }
    part->is_noted = true;
    if (--part->warming == 0)
        end_round(part);
}

static void round_again(struct deferred *deferred)
{
    struct fetch_part *part = container_of(deferred, struct fetch_part, again);
    if (!part->is_here || !part->interests->waker)
        return;
    part->warm_rounds = 0;
    begin_round(part);
}

/* ---- Coming and going ---- */

static void take_asks(struct fetch_part *part)
{
    for (struct fetch_ask *ask = part->asks; ask; ask = ask->next) {
        if (!part->seat)
            fetch_interest_begin(part->interests, ask->interest, ask);
        else if (!ask->interest)
            ask->interest = fetch_interest_create(part->interests, ask);
        fetch_interest_ask(ask->interest);
    }
}

/* The first time that the part is here. */
static void begin_part(struct fetch_part *part, struct loop *at)
{
    deferred_init(&part->again, round_again);
    part->at = at;
    if (!part->seat) {
        part->interests = &part->single;
        fetch_interests_init(&part->single, at);
    } else {
        if (!part->seat->interests)
            part->seat->interests = fetch_interests_create(at);
        part->interests = part->seat->interests;
    }
    for (const struct fetch_drop *drop = part->drops; drop; drop = drop->next)
        fetch_interest_destroy(drop->interest);
    part->asker.image_version = shard_of(at)->image->version;
    fetch_interests_begin(part->interests, &part->asker);
    take_asks(part);
    part->items = NULL;
    part->last_item = &part->items;
}

void fetch_part_run(struct part *base, struct loop *at)
{
    struct fetch_part *part = container_of(base, struct fetch_part, part);
    if (!part->at)
        begin_part(part, at);
    else if (!part->seat)
        take_asks(part); /* they ended when the part went home */
    part->is_here = true;
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
    if (part->interests->waker)
        begin_round(part);
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
