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
    replica->leadership = NULL;
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

struct replica_assignment replica_assignment_of(const struct image_partition *partition)
{
    return (struct replica_assignment){
        .leader = partition->leader,
        .leader_epoch = partition->leader_epoch,
        .partition_epoch = partition->partition_epoch,
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

/* What this state of the metadata begins for a leader. */
static enum in_sync_begin begin_of(const struct replica *replica,
                                   const struct replica_assignment *assignment)
{
    if (replica->state != REPLICA_LEADING)
        return IN_SYNC_NEW_LEADER;
    if (assignment->leader_epoch > replica->leader_epoch)
        return IN_SYNC_NEW_EPOCH;
    return assignment->partition_epoch > replica->partition_epoch ? IN_SYNC_NEW_STATE
                                                                  : IN_SYNC_SAME_STATE;
}

void replica_lead(struct replica *replica, const struct replica_assignment *assignment)
{
    klamm_assert(assignment->leader == replica->host->node_id);
    enum in_sync_begin begin = begin_of(replica, assignment);
    if (!take_assignment(replica, assignment))
        return;
    replica->state = REPLICA_LEADING;
    bool is_new = begin == IN_SYNC_NEW_LEADER || begin == IN_SYNC_NEW_EPOCH;
    if (is_new) {
        replica->epoch_start_offset = partition_log_end_offset(replica->log);
        if (partition_log_latest_epoch(replica->log) < replica->leader_epoch)
            partition_log_begin_epoch(replica->log, replica->leader_epoch);
    }
    replica_leadership_begin(replica, assignment, begin);
    replica_advance(replica);
    if (is_new)
        replica_fire_watches(&replica->watches); /* who named the old epoch has to know */
}

void replica_follow(struct replica *replica, const struct replica_assignment *assignment)
{
    klamm_assert(assignment->leader != replica->host->node_id);
    bool is_new =
        replica->state == REPLICA_LEADING || assignment->leader_epoch > replica->leader_epoch;
    if (!take_assignment(replica, assignment))
        return;
    replica->state = REPLICA_FOLLOWING;
    replica_leadership_end(replica);
    if (is_new)
        replica_end_waits(replica, KAFKA_ERROR_NOT_LEADER_OR_FOLLOWER);
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
    replica_advance(replica);
}

void replica_fail(struct replica *replica)
{
    if (replica->state == REPLICA_OFFLINE || replica->state == REPLICA_GONE)
        return;
    replica->state = REPLICA_OFFLINE;
    replica_leadership_end(replica);
    if (replica->follower)
        follower_log_failed(replica->follower);
    replica_end_waits(replica, KAFKA_ERROR_KAFKA_STORAGE_ERROR);
}

struct partition_log *replica_detach(struct replica *replica, enum kafka_error error)
{
    struct partition_log *log = replica->log;
    replica->state = REPLICA_GONE;
    replica_leadership_end(replica);
    replica_end_waits(replica, error);
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

void replica_watch(struct replica *replica, struct replica_watch *watch)
{
    list_push_back(&replica->watches, &watch->link);
}

void replica_unwatch(struct replica_watch *watch)
{
    list_remove(&watch->link);
}

enum kafka_error replica_delete_records(struct replica *replica, int64_t *offset)
{
    if (!replica_config(replica)->cleanup_delete)
        return KAFKA_ERROR_POLICY_VIOLATION;
    if (*offset < -1)
        return KAFKA_ERROR_OFFSET_OUT_OF_RANGE;
    if (*offset == -1)
        *offset = replica_high_watermark(replica);
    return partition_log_advance_start(replica->log, *offset) ? KAFKA_ERROR_NONE
                                                              : KAFKA_ERROR_OFFSET_OUT_OF_RANGE;
}

void replica_assert(const struct replica *replica)
{
    if (replica->state != REPLICA_LEADING)
        return;
    int64_t high_watermark = replica_high_watermark(replica);
    int64_t local_end = replica_local_end(replica);
    klamm_assert(partition_log_start_offset(replica->log) <= high_watermark);
    klamm_assert(high_watermark <= partition_log_end_offset(replica->log));
    replica_assert_waits(&replica->commit_waits, high_watermark);
    replica_assert_waits(&replica->local_waits, local_end);
    if (replica->leadership)
        in_sync_assert(&replica->leadership->in_sync);
}

/* ---- Events of the log ---- */

static void end_moved(struct replica *replica)
{
    if (replica->follower)
        follower_log_moved(replica->follower);
    else
        replica_advance(replica);
}

static void log_written(void *owner, int64_t written_end)
{
    (void)written_end;
    struct replica *replica = owner;
    end_moved(replica);
    if (replica->leadership)
        replica_leadership_written(replica->leadership);
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

static void log_started(void *owner, int64_t log_start)
{
    (void)log_start;
    struct replica *replica = owner;
    replica_fire_watches(&replica->watches);
}

static const struct partition_log_events replica_log_events = {
    .written = log_written,
    .durable = log_durable,
    .failed = log_failed,
    .started = log_started,
};
