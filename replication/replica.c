/*
 * The events of the log drive everything: `written` and `durable` move the local end, the local end
 * moves the high watermark (alone in the in-sync set they are equal), and each of both pops the
 * heads of a list of waits. An append that fails is taken out by its own `done`.
 */
#include "replication/replica.h"

#include "base/assert.h"
#include "replication/follower.h"
#include "replication/replica_internal.h"

static const struct partition_log_events replica_log_events;
static void end_waits(struct replica *replica, enum kafka_error error);

struct replica *replica_create(struct replica_host *host, struct view topic, struct uuid topic_id,
                               int32_t partition, const struct topic_config *config)
{
    size_t size = sizeof(struct replica) + topic.size;
    struct replica *replica = heap_must_get(host->heap, MEMORY_STATE, size);
    uint8_t *name = (uint8_t *)(replica + 1);
    memcpy(name, topic.data, topic.size);
    memcpy(replica->key, topic_id.bytes, UUID_SIZE);
    store_u32(replica->key + UUID_SIZE, (uint32_t)partition);
    list_link_init(&replica->link);
    replica->host = host;
    replica->topic_id = topic_id;
    replica->partition = partition;
    replica->state = REPLICA_OPENING;
    replica->settings = shared_configs_take(&host->configs, config);
    replica->leader_id = IMAGE_LEADER_NONE;
    replica->leader_epoch = -1;
    replica->partition_epoch = -1;
    list_init(&replica->local_waits);
    list_init(&replica->commit_waits);
    list_init(&replica->watches);
    list_init(&replica->turns);
    replica->topic = view_of(name, topic.size);
    replica->held_size = size;
    return replica;
}

void replica_destroy(struct replica *replica)
{
    klamm_assert(replica->log == NULL);
    klamm_assert(list_is_empty(&replica->local_waits));
    klamm_assert(list_is_empty(&replica->commit_waits));
    klamm_assert(list_is_empty(&replica->watches));
    klamm_assert(list_is_empty(&replica->turns));
    list_remove(&replica->link);
    shared_config_release(replica->settings);
    heap_put(replica->host->heap, MEMORY_STATE, replica, replica->held_size);
}

int64_t replica_high_watermark(const struct replica *replica)
{
    return partition_log_high_watermark(replica->log);
}

int64_t replica_local_end(const struct replica *replica)
{
    return replica_config(replica)->durability == TOPIC_DURABILITY_SYNC
               ? partition_log_durable_end(replica->log)
               : partition_log_written_end(replica->log);
}

int64_t replica_read_bound(const struct replica *replica, enum log_read_bound bound)
{
    switch (bound) {
    case LOG_READ_LOG_END:
        return partition_log_end_offset(replica->log);
    case LOG_READ_HIGH_WATERMARK:
        return partition_log_high_watermark(replica->log);
    case LOG_READ_LAST_STABLE:
        return partition_log_last_stable_offset(replica->log);
    }
    klamm_unreachable("read bound");
}

/* Tells the heads of a list that require at most `end`. */
static void pop_waits(struct list *waits, int64_t end)
{
    while (!list_is_empty(waits)) {
        struct replica_append *append = container_of(waits->next, struct replica_append, link);
        if (append->required_offset > end || !append->is_written)
            return;
        list_remove(&append->link);
        append->error = KAFKA_ERROR_NONE;
        append->done(append);
    }
}

void replica_fire_watches(struct list *watches)
{
    struct list firing;
    list_init(&firing);
    list_splice_back(&firing, watches);
    for (struct list *link; (link = list_pop_front(&firing)) != NULL;) {
        struct replica_watch *watch = container_of(link, struct replica_watch, link);
        watch->fired(watch);
    }
}

/* The local end may have moved: so does the high watermark, and then whoever waited is told. */
static void advance(struct replica *replica)
{
    if (replica->state != REPLICA_LEADING)
        return;
    int64_t local_end = replica_local_end(replica);
    bool moved = local_end > replica_high_watermark(replica);
    if (moved)
        partition_log_set_high_watermark(replica->log, local_end);
    pop_waits(&replica->local_waits, local_end);
    pop_waits(&replica->commit_waits, replica_high_watermark(replica));
    if (moved)
        replica_fire_watches(&replica->watches);
}

struct replica_assignment replica_assignment_of(const struct image_partition *partition)
{
    return (struct replica_assignment){
        .leader = partition->leader,
        .leader_epoch = partition->leader_epoch,
        .partition_epoch = partition->partition_epoch,
        .recovery = (enum image_recovery)partition->recovery,
        .replicas = image_partition_replicas(partition),
        .isr = image_partition_isr(partition),
    };
}

void replica_attach(struct replica *replica, struct partition_log *log)
{
    klamm_assert(replica->state == REPLICA_OPENING);
    replica->log = log;
    replica->state = REPLICA_FOLLOWING;
    partition_log_set_owner(log, &replica_log_events, replica);
}

/* Takes over what both roles keep; false: it is an old story, or there is no log to play it on. */
static bool take_assignment(struct replica *replica, const struct replica_assignment *assignment)
{
    if (replica->state != REPLICA_LEADING && replica->state != REPLICA_FOLLOWING)
        return false;
    if (assignment->partition_epoch < replica->partition_epoch ||
        assignment->leader_epoch < replica->leader_epoch)
        return false;
    replica->leader_id = assignment->leader;
    replica->leader_epoch = assignment->leader_epoch;
    replica->partition_epoch = assignment->partition_epoch;
    return true;
}

void replica_lead(struct replica *replica, const struct replica_assignment *assignment)
{
    klamm_assert(assignment->leader == replica->host->node_id);
    bool is_new =
        replica->state == REPLICA_FOLLOWING || assignment->leader_epoch > replica->leader_epoch;
    if (!take_assignment(replica, assignment))
        return;
    replica->state = REPLICA_LEADING;
    if (is_new) {
        replica->epoch_start_offset = partition_log_end_offset(replica->log);
        if (partition_log_latest_epoch(replica->log) < replica->leader_epoch)
            partition_log_begin_epoch(replica->log, replica->leader_epoch);
    }
    advance(replica);
}

void replica_follow(struct replica *replica, const struct replica_assignment *assignment)
{
    klamm_assert(assignment->leader != replica->host->node_id);
    bool is_new =
        replica->state == REPLICA_LEADING || assignment->leader_epoch > replica->leader_epoch;
    if (!take_assignment(replica, assignment))
        return;
    replica->state = REPLICA_FOLLOWING;
    if (is_new)
        end_waits(replica, KAFKA_ERROR_NOT_LEADER_OR_FOLLOWER);
}

void replica_set_config(struct replica *replica, const struct topic_config *config)
{
    const struct shared_config *before = replica->settings;
    replica->settings = shared_configs_take(before->home, config);
    shared_config_release(before);
    if (!replica->log)
        return;
    struct log_config log_config;
    log_config_of_topic(&log_config, config);
    partition_log_set_config(replica->log, &log_config);
    if (config->durability == TOPIC_DURABILITY_SYNC)
        partition_log_flush(replica->log); /* what was written in the other mode has to follow */
    advance(replica);
}

bool replica_is_turn_needed(const struct replica *replica)
{
    return !list_is_empty(&replica->turns);
}

void replica_turn_begin(struct replica *replica, struct replica_turn *turn)
{
    turn->replica = replica;
    turn->is_ready = false;
    list_push_back(&replica->turns, &turn->link);
}

void replica_turn_ready(struct replica_turn *turn)
{
    struct replica *replica = turn->replica;
    turn->is_ready = true;
    if (!replica) {
        turn->go(turn, NULL);
        return;
    }
    while (!list_is_empty(&replica->turns)) {
        struct replica_turn *first = container_of(replica->turns.next, struct replica_turn, link);
        if (!first->is_ready)
            return;
        list_remove(&first->link);
        first->go(first, replica);
    }
}

/* Nothing is appended here any more; turns that are being prepared find out when they are ready. */
static void end_turns(struct replica *replica)
{
    struct list ending;
    list_init(&ending);
    list_splice_back(&ending, &replica->turns);
    for (struct list *link; (link = list_pop_front(&ending)) != NULL;) {
        struct replica_turn *turn = container_of(link, struct replica_turn, link);
        turn->replica = NULL;
        if (turn->is_ready)
            turn->go(turn, NULL);
    }
}

/* Tells everybody who waits, and those who watch to look again. */
static void end_waits(struct replica *replica, enum kafka_error error)
{
    struct list *lists[] = {&replica->local_waits, &replica->commit_waits};
    for (size_t i = 0; i < 2; i++) {
        list_for_each_safe(link, after, lists[i])
        {
            struct replica_append *append = container_of(link, struct replica_append, link);
            /* One that is not written yet still has its bytes in the log's queue. */
            append->error = error;
            append->acks = 0;
            list_remove(&append->link);
            if (append->is_written)
                append->done(append);
        }
    }
    end_turns(replica);
    replica_fire_watches(&replica->watches);
}

void replica_fail(struct replica *replica)
{
    if (replica->state == REPLICA_OFFLINE || replica->state == REPLICA_GONE)
        return;
    replica->state = REPLICA_OFFLINE;
    if (replica->follower)
        follower_log_failed(replica->follower);
    end_waits(replica, KAFKA_ERROR_KAFKA_STORAGE_ERROR);
}

struct partition_log *replica_detach(struct replica *replica, enum kafka_error error)
{
    struct partition_log *log = replica->log;
    replica->state = REPLICA_GONE;
    end_waits(replica, error);
    if (log)
        partition_log_set_owner(log, NULL, NULL);
    replica->log = NULL;
    return log;
}

enum kafka_error replica_check_any(const struct replica *replica, int32_t leader_epoch)
{
    switch (replica->state) {
    case REPLICA_OPENING:
        return KAFKA_ERROR_NOT_LEADER_OR_FOLLOWER;
    case REPLICA_OFFLINE:
        return KAFKA_ERROR_KAFKA_STORAGE_ERROR;
    case REPLICA_GONE:
        return KAFKA_ERROR_UNKNOWN_TOPIC_OR_PARTITION;
    case REPLICA_LEADING:
    case REPLICA_FOLLOWING:
        break;
    }
    if (leader_epoch == -1 || leader_epoch == replica->leader_epoch)
        return KAFKA_ERROR_NONE;
    return leader_epoch < replica->leader_epoch ? KAFKA_ERROR_FENCED_LEADER_EPOCH
                                                : KAFKA_ERROR_UNKNOWN_LEADER_EPOCH;
}

enum kafka_error replica_check(const struct replica *replica, int32_t leader_epoch)
{
    enum kafka_error error = replica_check_any(replica, leader_epoch);
    if (error == KAFKA_ERROR_NONE && replica->state != REPLICA_LEADING)
        return KAFKA_ERROR_NOT_LEADER_OR_FOLLOWER;
    return error;
}

/* The log has written the bytes, or failed to. */
static void append_written(struct log_append *log_append)
{
    struct replica_append *append = container_of(log_append, struct replica_append, append);
    append->is_written = true;
    bool waits = list_is_linked(&append->link);
    if (log_append->error != KAFKA_ERROR_NONE) {
        list_remove(&append->link);
        append->error = log_append->error;
        append->done(append);
    } else if (!waits) { /* acks=0, or the replica ended meanwhile: error is set */
        append->done(append);
    }
}

/* Keeps the list in order; only a duplicate of an earlier batch goes before the last. */
static void insert_wait(struct list *waits, struct replica_append *append)
{
    struct list *place = waits;
    while (place->previous != waits) {
        const struct replica_append *before =
            container_of(place->previous, struct replica_append, link);
        if (before->required_offset <= append->required_offset)
            break;
        place = place->previous;
    }
    list_insert_before(place, &append->link);
}

bool replica_append(struct replica *replica, struct replica_append *append)
{
    append->replica = replica;
    append->error = KAFKA_ERROR_NONE;
    append->append.leader_epoch = replica->leader_epoch;
    append->append.done = append_written;
    append->is_written = false;
    list_link_init(&append->link);
    enum log_append_result result = partition_log_append(replica->log, &append->append);
    if (result == LOG_APPEND_REFUSED) {
        append->error = append->append.error;
        return true;
    }
    append->is_written = result == LOG_APPEND_DUPLICATE;
    append->required_offset = append->append.last_offset + 1;
    if (append->acks == 0)
        return append->is_written;
    bool local = append->acks == 1;
    int64_t end = local ? replica_local_end(replica) : replica_high_watermark(replica);
    if (append->is_written && append->required_offset <= end)
        return true;
    insert_wait(local ? &replica->local_waits : &replica->commit_waits, append);
    return false;
}

void replica_watch(struct replica *replica, struct replica_watch *watch)
{
    list_push_back(&replica->watches, &watch->link);
}

void replica_unwatch(struct replica_watch *watch)
{
    list_remove(&watch->link);
}

enum kafka_error replica_delete_records(struct replica *replica, int64_t offset,
                                        int64_t *log_start_offset)
{
    if (!replica_config(replica)->cleanup_delete)
        return KAFKA_ERROR_POLICY_VIOLATION;
    if (offset < -1)
        return KAFKA_ERROR_OFFSET_OUT_OF_RANGE;
    int64_t target = offset == -1 ? replica_high_watermark(replica) : offset;
    if (!partition_log_advance_start(replica->log, target))
        return KAFKA_ERROR_OFFSET_OUT_OF_RANGE;
    *log_start_offset = partition_log_start_offset(replica->log);
    return KAFKA_ERROR_NONE;
}

static void assert_waits(const struct list *waits, int64_t end)
{
    int64_t before = end;
    for (const struct list *link = waits->next; link != waits; link = link->next) {
        const struct replica_append *append =
            container_of((struct list *)(uintptr_t)link, struct replica_append, link);
        klamm_assert(append->required_offset > end || !append->is_written);
        klamm_assert(append->required_offset >= before || before == end);
        before = append->required_offset;
    }
}

void replica_assert(const struct replica *replica)
{
    if (replica->state != REPLICA_LEADING)
        return;
    int64_t high_watermark = replica_high_watermark(replica);
    int64_t local_end = replica_local_end(replica);
    klamm_assert(partition_log_start_offset(replica->log) <= high_watermark);
    klamm_assert(high_watermark <= partition_log_end_offset(replica->log));
    assert_waits(&replica->commit_waits, high_watermark);
    assert_waits(&replica->local_waits, local_end);
}

/* ---- Events of the log ---- */

static void end_moved(struct replica *replica)
{
    if (replica->follower)
        follower_log_moved(replica->follower);
    else
        advance(replica);
}

static void log_written(void *owner, int64_t written_end)
{
    (void)written_end;
    end_moved(owner);
}

static void log_durable(void *owner, int64_t durable_end)
{
    (void)durable_end;
    end_moved(owner);
}

/* Without space the log lives on and only the appends failed; everything else is for good. */
static void log_failed(void *owner, enum storage_status status, int64_t written_end)
{
    (void)written_end;
    if (status != STORAGE_NO_SPACE)
        replica_fail(owner);
}

static const struct partition_log_events replica_log_events = {
    .written = log_written,
    .durable = log_durable,
    .failed = log_failed,
};
