/*
 * An answer, in this order: who leads, in which epoch (the quorum may move); where the logs part
 * (cut, then ask again); records (append, flush, then ask again); the high watermark.
 *
 * Ways to fail: the leader does not answer (somebody else is asked next, who may know a newer one),
 * records are not what follows the own log (said once, and asked for again), the log cannot be cut
 * (the node ends).
 */
#include "cluster/quorum/fetch_client.h"

#include "base/assert.h"
#include "cluster/quorum/metadata_log_internal.h"
#include "protocol/api_info.h"
#include "runtime/test_point.h"

CHANNEL_CALL(fetch, API_KEY_FETCH);

enum {
    FETCH_WAIT_MS_MAX = 500,
    FETCH_BYTES_MAX = 8 * 1024 * 1024,
    FETCH_VERSION_MIN = 15, /* the replica's id where it is now (KIP-903) */
};

/* ---- Asking ---------------------------------------------------------------------------------- */

static void fetched(struct channel_request *request, enum channel_status status,
                    const void *response);

static void snapshot_fetched(struct channel_request *request, enum channel_status status,
                             const void *response);

static void backoff_over(struct timer *timer)
{
    fetch_client_run(container_of(timer, struct metadata_log, fetch.backoff));
}

void fetch_client_init(struct metadata_log *log)
{
    log->fetch = (struct fetch_client){.epoch = -1};
    timer_init(&log->fetch.backoff, backoff_over);
}

void fetch_client_back_off(struct metadata_log *log)
{
    uint64_t least_ns = 5 * NS_PER_MS;
    uint64_t delay_ns = log->options.retry_backoff_ns;
    loop_set_timer(log->loop, &log->fetch.backoff, delay_ns > least_ns ? delay_ns : least_ns);
}

/* Whom to ask; NULL: nobody now. */
static struct quorum_peer *choose(struct metadata_log *log)
{
    const struct quorum *quorum = &log->quorum;
    bool is_voter = quorum_is_voter(quorum);
    switch (quorum->role) {
    case QUORUM_LEADER:
    case QUORUM_CANDIDATE:
        return NULL;
    case QUORUM_PROSPECTIVE:
    case QUORUM_RESIGNED:
        if (is_voter)
            return NULL;
        break;
    case QUORUM_FOLLOWER: {
        struct quorum_peer *leader = quorum_peer_find(log, quorum->leader_id);
        if (leader && leader != log->fetch.failed)
            return leader;
        break;
    }
    case QUORUM_UNATTACHED:
        break;
    }
    return quorum_peer_any(log,
                           log->fetch.failed && log->peers.count > 1 ? log->fetch.failed : NULL);
}

/* How long the leader may wait for records: its answer must be here before patience ends. */
static int32_t wait_ms(const struct metadata_log *log)
{
    uint64_t patience_ns = log->options.request_timeout_ns < log->options.fetch_timeout_ns
                               ? log->options.request_timeout_ns
                               : log->options.fetch_timeout_ns;
    uint64_t half_ms = patience_ns / 2 / NS_PER_MS;
    return half_ms < FETCH_WAIT_MS_MAX ? (int32_t)half_ms : FETCH_WAIT_MS_MAX;
}

static void fill_message(struct metadata_log *log)
{
    struct fetch_client *fetch = &log->fetch;
    const struct quorum *quorum = &log->quorum;
    bool is_full = quorum->role == QUORUM_FOLLOWER;
    fetch_request_init(&fetch->message);
    fetch->message.cluster_id = log->options.cluster_id;
    fetch->message.replica_state.replica_id = log->options.voter.id;
    fetch->message.max_wait_ms = wait_ms(log);
    fetch->message.min_bytes = 1;
    fetch->message.max_bytes = FETCH_BYTES_MAX;
    fetch->message.session_epoch = -1;
    fetch->message.topics = &fetch->topic;
    fetch->message.topics_count = 1;
    fetch->topic = (struct fetch_request_fetch_topic){
        .topic = PEER_TOPIC, .topic_id = UUID_METADATA, .partitions = &fetch->partition};
    fetch->topic.partitions_count = 1;
    fetch_request_fetch_partition_init(&fetch->partition);
    fetch->partition.current_leader_epoch = quorum->epoch;
    fetch->partition.fetch_offset = quorum->log_end;
    fetch->partition.last_fetched_epoch = quorum->last_epoch;
    fetch->partition.partition_max_bytes = FETCH_BYTES_MAX;
    fetch->partition.replica_directory_id = log->options.voter.directory_id;
    fetch->partition.high_watermark = is_full ? quorum->high_watermark : INT64_MAX;
}

/* The Fetch under way is of no use any more. */
static bool is_stale(const struct metadata_log *log)
{
    const struct quorum *quorum = &log->quorum;
    return log->fetch.epoch != quorum->epoch || quorum->role == QUORUM_LEADER ||
           quorum->role == QUORUM_CANDIDATE ||
           (quorum->role == QUORUM_FOLLOWER && log->fetch.peer->id != quorum->leader_id &&
            log->fetch.failed == NULL);
}

void fetch_client_run(struct metadata_log *log)
{
    struct fetch_client *fetch = &log->fetch;
    if (log->is_closing || log->has_failed || metadata_log_is_busy(log))
        return;
    if (fetch->peer && is_stale(log))
        fetch_client_stop(log);
    if (log->fetched.is_active &&
        (log->fetched.epoch != log->quorum.epoch || log->quorum.role != QUORUM_FOLLOWER))
        snapshot_client_drop(log);
    if (log->fetched.is_writing)
        return;
    bool is_flushed = log->quorum.flushed_end == log->quorum.log_end ||
                      test_point(log->loop, BUG_QUORUM_FETCH_UNFLUSHED);
    if (fetch->peer || timer_is_set(&fetch->backoff) || !is_flushed)
        return;
    struct quorum_peer *peer = choose(log);
    if (!peer)
        return;
    fetch->peer = peer;
    fetch->epoch = log->quorum.epoch;
    if (log->fetched.is_active) {
        fetch->request = (struct channel_request){
            .call = snapshot_client_ask(log),
            .message = &log->fetched.message,
            .version_max = FETCH_SNAPSHOT_REQUEST_VERSION_MAX,
            .done = snapshot_fetched,
            .context = log,
        };
    } else {
        fill_message(log);
        fetch->request = (struct channel_request){
            .call = &fetch_call,
            .message = &fetch->message,
            .version_min = FETCH_VERSION_MIN,
            .version_max = FETCH_REQUEST_VERSION_MAX,
            .done = fetched,
            .context = log,
        };
    }
    channel_send(quorum_peer_fetches(peer), &fetch->request);
}

void fetch_client_stop(struct metadata_log *log)
{
    timer_clear(&log->fetch.backoff);
    log->fetch.failed = NULL;
    snapshot_client_drop(log);
    if (!log->fetch.peer)
        return;
    log->fetch.peer = NULL;
    channel_cancel(&log->fetch.request);
}

/* ---- Cutting --------------------------------------------------------------------------------- */

static void cut_done(struct log_change *change)
{
    struct metadata_log *log = change->context;
    log->is_cutting = false;
    if (log->is_closing) {
        metadata_log_close_next(log);
        return;
    }
    if (change->status == STORAGE_NO_SPACE) {
        fetch_client_back_off(log); /* the log is as it was */
        metadata_log_wake(log);
        return;
    }
    if (change->status != STORAGE_OK) {
        metadata_log_fail(log, "the metadata log cannot be cut to the leader's");
        return;
    }
    struct quorum_event event = {.kind = QUORUM_EVENT_CUT,
                                 .offset = partition_log_end_offset(log->log),
                                 .epoch = metadata_log_last_epoch(log)};
    metadata_log_step(log, &event, NULL);
    metadata_log_apply(log);
}

/* Removes what the leader does not have: its log ends `epoch`, or what comes before it, at `end`.
 */
static void cut(struct metadata_log *log, int32_t epoch, int64_t end)
{
    int32_t own_epoch;
    int64_t own_end;
    int64_t target = log->snapshot_end;
    if (partition_log_epoch_end(log->log, epoch, &own_epoch, &own_end))
        target = own_epoch == epoch && end < own_end ? end : own_end;
    else if (epoch > metadata_log_last_epoch(log))
        target = end < log->quorum.log_end ? end : log->quorum.log_end;
    if (target < log->quorum.high_watermark) {
        metadata_log_fail(log, "the leader of the quorum lacks committed metadata");
        return;
    }
    log_info(log->loop->diagnostics, "metadata log cut: from=%lld to=%lld",
             (long long)log->quorum.log_end, (long long)target);
    log->is_cutting = true;
    log->change = (struct log_change){.done = cut_done, .context = log};
    partition_log_truncate(log->log, target, &log->change);
}

/* ---- Records --------------------------------------------------------------------------------- */

/* How many bytes of whole batches follow the own log; false: some do not. */
static bool check_batches(const struct metadata_log *log, struct view records, size_t *size)
{
    struct view rest = records;
    struct view batch;
    int64_t next_offset = log->quorum.log_end;
    int32_t epoch = log->quorum.last_epoch;
    enum batch_parse_result parsed;
    while ((parsed = batch_next(&rest, &batch)) == BATCH_OK) {
        if (!batch_crc_is_valid(batch) || batch_base_offset(batch.data) != next_offset ||
            batch_last_offset_delta(batch.data) < 0 || batch_leader_epoch(batch.data) < epoch ||
            batch_leader_epoch(batch.data) > log->quorum.epoch)
            return false;
        epoch = batch_leader_epoch(batch.data);
        next_offset = batch_last_offset(batch.data) + 1;
    }
    *size = records.size - rest.size;
    return parsed == BATCH_NEED_MORE;
}

/* Control records take effect when they are in the log, committed or not. */
static bool take_control(struct metadata_log *log, struct view records)
{
    struct view batch;
    while (batch_next(&records, &batch) == BATCH_OK)
        if (batch_is_control(batch.data) && !metadata_log_take_control(log, batch))
            return false;
    return true;
}

static void append(struct metadata_log *log, struct view records)
{
    size_t size;
    if (!check_batches(log, records, &size)) {
        log_error(log->loop->diagnostics,
                  "metadata records from node %d do not follow offset %lld: dropped",
                  log->quorum.leader_id, (long long)log->quorum.log_end);
        fetch_client_back_off(log);
        return;
    }
    struct view whole = view_of(records.data, size);
    if (size == 0 || !metadata_log_append_bytes(log, whole, false))
        fetch_client_back_off(log);
    else if (!take_control(log, whole))
        metadata_log_fail(log, "a control record of the metadata log is malformed");
    else
        metadata_log_tell_voters(log);
}

/* ---- Answers --------------------------------------------------------------------------------- */

static const struct fetch_response_partition_data *
partition_of(const struct fetch_response *response)
{
    if (response->responses_count != 1 || response->responses[0].partitions_count != 1 ||
        response->responses[0].partitions[0].partition_index != 0)
        return NULL;
    return &response->responses[0].partitions[0];
}

static void learn(struct metadata_log *log, const struct fetch_response *response)
{
    for (size_t i = 0; i < response->node_endpoints_count; i++) {
        const struct fetch_response_node_endpoint *node = &response->node_endpoints[i];
        if (node->node_id >= 0 && node->port > 0 && node->port <= UINT16_MAX)
            quorum_peer_learn(log, node->node_id, node->host, (uint16_t)node->port);
    }
}

static void hear(struct metadata_log *log, int32_t epoch, int32_t leader_id)
{
    if (epoch < log->quorum.epoch)
        return;
    struct quorum_event event = {
        .kind = QUORUM_EVENT_HEARD, .epoch = epoch, .node = {.id = leader_id}};
    metadata_log_step(log, &event, NULL);
}

/* What the leader of this epoch said about the offset that was asked for. */
static void take(struct metadata_log *log, const struct fetch_response_partition_data *partition)
{
    int64_t high_watermark = partition->high_watermark;
    bool parts = partition->diverging_epoch.epoch >= 0;
    bool lacks = partition->snapshot_id.end_offset >= 0;
    struct quorum_event event = {.kind = QUORUM_EVENT_CONTACT,
                                 .epoch = log->fetch.epoch,
                                 .offset = parts || lacks ? -1 : high_watermark};
    if (log->leader_end < 0)
        log->leader_end = high_watermark;
    if (parts) {
        metadata_log_step(log, &event, NULL);
        if (!metadata_log_is_busy(log))
            cut(log, partition->diverging_epoch.epoch, partition->diverging_epoch.end_offset);
        return;
    }
    if (lacks) {
        metadata_log_step(log, &event, NULL);
        snapshot_client_begin(log, (struct snapshot_id){partition->snapshot_id.end_offset,
                                                        partition->snapshot_id.epoch});
        return;
    }
    if (partition->records.memory.size > 0)
        append(log, partition->records.memory);
    if (!log->has_failed)
        metadata_log_step(log, &event, NULL);
    if (!log->has_failed && !log->has_shown)
        metadata_log_apply(log);
}

static void fetched(struct channel_request *request, enum channel_status status,
                    const void *message)
{
    struct metadata_log *log = request->context;
    struct quorum_peer *peer = log->fetch.peer;
    const struct fetch_response *response = message;
    log->fetch.peer = NULL;
    if (status == CHANNEL_CLOSED)
        return;
    if (status != CHANNEL_OK) {
        log->fetch.failed = peer;
        fetch_client_back_off(log);
        return;
    }
    log->fetch.failed = NULL;
    metadata_log_wake(log);
    const struct fetch_response_partition_data *partition = partition_of(response);
    if (metadata_log_is_busy(log))
        return;
    if (!partition || response->error_code != KAFKA_ERROR_NONE) {
        /* A node that starts or stops says so; anything else is worth a line, once. */
        if (response->error_code != log->fetch.refused &&
            response->error_code != KAFKA_ERROR_BROKER_NOT_AVAILABLE)
            log_warn(log->loop->diagnostics, "quorum: node %d refuses a fetch: %s", peer->id,
                     kafka_error_text((enum kafka_error)response->error_code));
        log->fetch.refused = response->error_code;
        log->fetch.failed = peer;
        fetch_client_back_off(log);
        return;
    }
    log->fetch.refused = KAFKA_ERROR_NONE;
    int32_t known_epoch = log->quorum.epoch;
    int32_t known_leader = log->quorum.leader_id;
    learn(log, response);
    hear(log, partition->current_leader.leader_epoch, partition->current_leader.leader_id);
    bool is_news = known_epoch != log->quorum.epoch || known_leader != log->quorum.leader_id;
    bool is_leaders = log->quorum.role == QUORUM_FOLLOWER && peer->id == log->quorum.leader_id &&
                      log->fetch.epoch == log->quorum.epoch;
    if (partition->error_code == KAFKA_ERROR_NONE && is_leaders && !is_news &&
        log->fetch.partition.fetch_offset == log->quorum.log_end)
        take(log, partition);
    else if (!is_news)
        fetch_client_back_off(log);
}

/* A piece of a snapshot; whatever is odd about it is left to the next Fetch. */
static void snapshot_fetched(struct channel_request *request, enum channel_status status,
                             const void *message)
{
    struct metadata_log *log = request->context;
    const struct fetch_snapshot_response *response = message;
    struct quorum_peer *peer = log->fetch.peer;
    log->fetch.peer = NULL;
    if (status == CHANNEL_CLOSED)
        return;
    metadata_log_wake(log);
    bool is_answer = status == CHANNEL_OK && response->error_code == KAFKA_ERROR_NONE &&
                     response->topics_count == 1 && response->topics[0].partitions_count == 1;
    if (!is_answer || metadata_log_is_busy(log)) {
        if (status != CHANNEL_OK)
            log->fetch.failed = peer;
        snapshot_client_drop(log);
        fetch_client_back_off(log);
        return;
    }
    const struct fetch_snapshot_response_partition_snapshot *partition =
        &response->topics[0].partitions[0];
    hear(log, partition->current_leader.leader_epoch, partition->current_leader.leader_id);
    if (metadata_log_is_busy(log) || log->quorum.role != QUORUM_FOLLOWER ||
        log->quorum.epoch != log->fetched.epoch || !log->fetched.is_active)
        return;
    struct quorum_event event = {
        .kind = QUORUM_EVENT_CONTACT, .epoch = log->fetched.epoch, .offset = -1};
    metadata_log_step(log, &event, NULL);
    if (!snapshot_client_take(log, response))
        fetch_client_back_off(log);
}
