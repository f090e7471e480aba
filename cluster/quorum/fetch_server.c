/*
 * Serving the metadata log to followers (KIP-595): who leads, where the logs part, records.
 *
 * A Fetch of the present epoch whose offset fits this log is an acknowledgement: the follower holds
 * everything below. It is told to the quorum once; then records are read, or the Fetch is parked
 * until there are some, the high watermark passes what the follower knows, the epoch ends, or its
 * time is over.
 */
#include "cluster/quorum/metadata_log_internal.h"

#include "log/leader_epochs.h"
#include "protocol/messages/fetch.h"
#include "runtime/test_point.h"

enum { SERVED_BYTES_MAX = 1024 * 1024, WAIT_MS_MAX = 1000 };

/* ---- The response ---------------------------------------------------------------------------- */

void fetch_server_refuse(struct quorum_call *call, enum kafka_error error)
{
    struct fetch_response *response = call->response;
    fetch_response_init(response);
    response->error_code = (int16_t)error;
}

static void finish(struct quorum_call *call)
{
    timer_clear(&call->deadline);
    call->done(call);
}

/* The one partition of the response; NULL: out of memory. */
static struct fetch_response_partition_data *begin_response(struct metadata_log *log,
                                                            struct quorum_call *call)
{
    struct fetch_response *response = call->response;
    struct fetch_response_fetchable_topic_response *topic =
        arena_get_array(call->arena, 1, sizeof(*topic));
    struct fetch_response_partition_data *partition =
        arena_get_array(call->arena, 1, sizeof(*partition));
    struct fetch_response_node_endpoint *node = arena_get_array(call->arena, 1, sizeof(*node));
    fetch_response_init(response);
    if (!topic || !partition || !node)
        return NULL;
    fetch_response_fetchable_topic_response_init(topic);
    topic->topic = PEER_TOPIC;
    topic->topic_id = UUID_METADATA;
    topic->partitions = partition;
    topic->partitions_count = 1;
    response->responses = topic;
    response->responses_count = 1;
    fetch_response_partition_data_init(partition);
    partition->high_watermark = -1;
    partition->current_leader.leader_id = log->quorum.leader_id;
    partition->current_leader.leader_epoch = log->quorum.epoch;
    struct quorum_endpoint leader = metadata_log_leader_endpoint(log);
    if (leader.id == QUORUM_NODE_NONE)
        return partition;
    fetch_response_node_endpoint_init(node);
    node->node_id = leader.id;
    node->host = leader.host;
    node->port = leader.port;
    response->node_endpoints = node;
    response->node_endpoints_count = 1;
    return partition;
}

static void answer_error(struct metadata_log *log, struct quorum_call *call, enum kafka_error error)
{
    struct fetch_response_partition_data *partition = begin_response(log, call);
    if (partition)
        partition->error_code = (int16_t)error;
    else
        fetch_server_refuse(call, KAFKA_ERROR_UNKNOWN_SERVER_ERROR);
    finish(call);
}

/* ---- Checks ---------------------------------------------------------------------------------- */

static const struct fetch_request_fetch_partition *partition_of(const struct fetch_request *message,
                                                                int16_t version)
{
    if (message->topics_count != 1 || message->topics[0].partitions_count != 1 ||
        message->topics[0].partitions[0].partition != 0)
        return NULL;
    bool is_metadata = version >= 13 ? uuid_equal(message->topics[0].topic_id, UUID_METADATA)
                                     : view_equal(message->topics[0].topic, PEER_TOPIC);
    return is_metadata ? &message->topics[0].partitions[0] : NULL;
}

enum kafka_error fetch_server_check_epoch(const struct quorum *quorum, int32_t epoch)
{
    if (epoch < quorum->epoch)
        return KAFKA_ERROR_FENCED_LEADER_EPOCH;
    if (epoch > quorum->epoch)
        return KAFKA_ERROR_UNKNOWN_LEADER_EPOCH;
    return quorum->role == QUORUM_LEADER ? KAFKA_ERROR_NONE : KAFKA_ERROR_NOT_LEADER_OR_FOLLOWER;
}

/* How (offset, epoch) of a follower lies to this log. */
enum placement { PLACE_FITS, PLACE_PARTS, PLACE_NEEDS_SNAPSHOT };

static enum placement place(const struct metadata_log *log, int64_t offset, int32_t epoch,
                            struct leader_epoch_end *parting)
{
    int64_t start = partition_log_start_offset(log->log);
    const struct snapshot_id *oldest = &log->boot.oldest;
    const struct leader_epochs *epochs = partition_log_leader_epochs(log->log);
    if (offset == 0) /* a snapshot is cheaper than the log */
        return start > 0 || log->snapshot_end > 0 ? PLACE_NEEDS_SNAPSHOT : PLACE_FITS;
    if (offset < start ||
        (start > 0 && (epoch < oldest->epoch || (offset == start && epoch != oldest->epoch))))
        return PLACE_NEEDS_SNAPSHOT;
    if (offset <= log->quorum.log_end && test_point(log->loop, BUG_QUORUM_NO_DIVERGENCE))
        return PLACE_FITS;
    if (epoch > log->quorum.last_epoch)
        *parting = (struct leader_epoch_end){log->quorum.last_epoch, log->quorum.log_end};
    else if (epochs->count > 0 && epoch < epochs->entries[0].epoch)
        *parting = (struct leader_epoch_end){oldest->epoch, start};
    else
        *parting = leader_epochs_end_of(epochs, epoch, log->quorum.log_end);
    return parting->epoch == epoch && offset <= parting->end_offset ? PLACE_FITS : PLACE_PARTS;
}

/* ---- Reading --------------------------------------------------------------------------------- */

static void warmed(struct log_warm *warm)
{
    struct quorum_call *call = warm->context;
    struct metadata_log *log = call->log;
    call->is_warming = false;
    if (warm->status != LOG_READ_OK)
        call->is_expired = true;
    if (log->is_closing)
        metadata_log_close_next(log);
    else
        metadata_log_wake(log);
}

/* Records into the response. False: they have to be brought into memory first. */
static bool read_records(struct metadata_log *log, struct quorum_call *call,
                         const struct fetch_request_fetch_partition *asked,
                         struct fetch_response_partition_data *partition)
{
    int32_t most = asked->partition_max_bytes;
    struct log_read read = {
        .offset = asked->fetch_offset,
        .max_bytes = most < 0                  ? 0
                     : most > SERVED_BYTES_MAX ? SERVED_BYTES_MAX
                                               : (uint32_t)most,
        .min_one = true,
        .bound = LOG_READ_LOG_END,
    };
    struct log_slice slice;
    partition->records.memory = view_of((const uint8_t *)"", 0);
    enum log_read_status status = partition_log_read(log->log, &read, &slice);
    if (status == LOG_READ_OK && slice.size > 0) {
        uint8_t *bytes = arena_get(call->arena, slice.size);
        if (bytes)
            status = log_slice_copy(&log->shard, &slice, 0, bytes, slice.size);
        if (bytes && status == LOG_READ_OK)
            partition->records.memory = view_of(bytes, slice.size);
        log_slice_release(&slice);
    }
    if (status == LOG_READ_NEEDS_IO && !call->is_expired) {
        call->is_warming = true;
        call->warm = (struct log_warm){.warmed = warmed, .context = call};
        partition_log_warm(log->log, &read, &call->warm);
        return false;
    }
    if (status != LOG_READ_OK && status != LOG_READ_NEEDS_IO)
        partition->error_code = KAFKA_ERROR_KAFKA_STORAGE_ERROR;
    return true;
}

/* The follower's acknowledgement; the quorum may move by it. */
static void count(struct metadata_log *log, struct quorum_call *call,
                  const struct fetch_request *message,
                  const struct fetch_request_fetch_partition *asked)
{
    int32_t id = call->version >= 15 ? message->replica_state.replica_id : message->replica_id;
    if (call->is_counted || id < 0)
        return;
    call->is_counted = true;
    followers_fetched(log, (struct quorum_node){id, asked->replica_directory_id},
                      asked->fetch_offset);
    struct quorum_event event = {.kind = QUORUM_EVENT_FETCHED,
                                 .offset = asked->fetch_offset,
                                 .node = {id, asked->replica_directory_id}};
    metadata_log_step(log, &event, NULL);
}

/* Whether a Fetch without records is worth an answer: its sender does not know the watermark. */
static bool has_news(const struct metadata_log *log, const struct quorum_call *call,
                     const struct fetch_request_fetch_partition *asked)
{
    return call->version >= 18 && log->quorum.is_active &&
           asked->high_watermark < log->quorum.high_watermark;
}

/* Answers, when there is something to say; false: it goes on waiting. */
static bool look(struct metadata_log *log, struct quorum_call *call)
{
    const struct fetch_request *message = call->message;
    const struct fetch_request_fetch_partition *asked = partition_of(message, call->version);
    enum kafka_error error = fetch_server_check_epoch(&log->quorum, asked->current_leader_epoch);
    if (error == KAFKA_ERROR_NONE &&
        (asked->fetch_offset < 0 || message->max_wait_ms < 0 || asked->last_fetched_epoch < 0 ||
         asked->last_fetched_epoch > asked->current_leader_epoch))
        error = KAFKA_ERROR_INVALID_REQUEST;
    if (error != KAFKA_ERROR_NONE) {
        answer_error(log, call, error);
        return true;
    }
    struct leader_epoch_end parting = {0, 0};
    enum placement placed = place(log, asked->fetch_offset, asked->last_fetched_epoch, &parting);
    if (placed == PLACE_FITS) {
        count(log, call, message, asked);
        bool has_records = asked->fetch_offset < partition_log_written_end(log->log);
        if (!has_records && !call->is_expired && message->max_wait_ms > 0 &&
            !has_news(log, call, asked))
            return false;
    }
    struct fetch_response_partition_data *partition = begin_response(log, call);
    if (!partition) {
        fetch_server_refuse(call, KAFKA_ERROR_UNKNOWN_SERVER_ERROR);
        finish(call);
        return true;
    }
    partition->high_watermark = log->quorum.is_active ? log->quorum.high_watermark : -1;
    partition->log_start_offset = partition_log_start_offset(log->log);
    if (placed == PLACE_FITS) {
        if (!read_records(log, call, asked, partition))
            return false;
    } else if (placed == PLACE_PARTS) {
        partition->diverging_epoch.epoch = parting.epoch;
        partition->diverging_epoch.end_offset = parting.end_offset;
    } else {
        partition->snapshot_id.end_offset = log->snapshot_end;
        partition->snapshot_id.epoch = log->snapshot_epoch;
    }
    finish(call);
    return true;
}

/* ---- Parking --------------------------------------------------------------------------------- */

static void expired(struct timer *timer)
{
    struct quorum_call *call = container_of(timer, struct quorum_call, deadline);
    call->is_expired = true;
    metadata_log_wake(call->log);
}

static void park(struct metadata_log *log, struct quorum_call *call)
{
    const struct fetch_request *message = call->message;
    int32_t wait_ms = message->max_wait_ms < WAIT_MS_MAX ? message->max_wait_ms : WAIT_MS_MAX;
    list_push_back(&log->parked, &call->link);
    timer_init(&call->deadline, expired);
    loop_set_timer(log->loop, &call->deadline, (uint64_t)wait_ms * NS_PER_MS);
}

void fetch_server_serve(struct metadata_log *log, struct quorum_call *call)
{
    const struct fetch_request *message = call->message;
    enum kafka_error error = peer_cluster_check(log, message->cluster_id);
    if (error == KAFKA_ERROR_NONE && !partition_of(message, call->version))
        error = KAFKA_ERROR_INVALID_REQUEST;
    if (error != KAFKA_ERROR_NONE) {
        fetch_server_refuse(call, error);
        call->done(call);
    } else if (!look(log, call)) {
        park(log, call);
    }
}

void fetch_server_run(struct metadata_log *log)
{
    struct list looked;
    list_init(&looked);
    list_splice_back(&looked, &log->parked);
    struct list *link;
    while ((link = list_pop_front(&looked)) != NULL) {
        struct quorum_call *call = container_of(link, struct quorum_call, link);
        if (call->is_warming || metadata_log_is_busy(log) || !look(log, call))
            list_push_back(&log->parked, &call->link);
    }
}

void fetch_server_stop(struct metadata_log *log)
{
    list_for_each_safe(link, after, &log->parked)
    {
        struct quorum_call *call = container_of(link, struct quorum_call, link);
        if (call->is_warming)
            continue;
        list_remove(link);
        fetch_server_refuse(call, KAFKA_ERROR_BROKER_NOT_AVAILABLE);
        finish(call);
    }
}
