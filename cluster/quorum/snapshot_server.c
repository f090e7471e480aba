/*
 * Serving snapshots (KIP-630): a piece of a file, as it lies. A job reads it, because nothing says
 * that the file is in memory; the call is parked meanwhile.
 */
#include "cluster/quorum/metadata_log_internal.h"
#include "cluster/quorum/snapshot_file.h"
#include "protocol/messages/fetch_snapshot.h"

enum { SERVED_BYTES_MAX = 1024 * 1024 };

/* One read; lies in the call's arena. */
struct snapshot_read {
    struct job job;
    struct quorum_call *call;
    struct log_path path;
    struct fetch_snapshot_response_partition_snapshot *partition;
    uint8_t *bytes;
    size_t capacity;
    uint64_t position;
    size_t size;        /* bytes that were read */
    uint64_t file_size; /* bytes of the whole snapshot */
    enum storage_status status;
};

/* ---- The response ---------------------------------------------------------------------------- */

void snapshot_server_refuse(struct quorum_call *call, enum kafka_error error)
{
    struct fetch_snapshot_response *response = call->response;
    fetch_snapshot_response_init(response);
    response->error_code = (int16_t)error;
}

static struct fetch_snapshot_response_partition_snapshot *begin_response(struct metadata_log *log,
                                                                         struct quorum_call *call)
{
    struct fetch_snapshot_response *response = call->response;
    struct fetch_snapshot_response_topic_snapshot *topic =
        arena_get_array(call->arena, 1, sizeof(*topic));
    struct fetch_snapshot_response_partition_snapshot *partition =
        arena_get_array(call->arena, 1, sizeof(*partition));
    struct fetch_snapshot_response_node_endpoint *node =
        arena_get_array(call->arena, 1, sizeof(*node));
    fetch_snapshot_response_init(response);
    if (!topic || !partition || !node)
        return NULL;
    *topic = (struct fetch_snapshot_response_topic_snapshot){PEER_TOPIC, partition, 1};
    response->topics = topic;
    response->topics_count = 1;
    fetch_snapshot_response_partition_snapshot_init(partition);
    partition->current_leader.leader_id = log->quorum.leader_id;
    partition->current_leader.leader_epoch = log->quorum.epoch;
    partition->unaligned_records.memory = view_of((const uint8_t *)"", 0);
    struct quorum_endpoint leader = metadata_log_leader_endpoint(log);
    if (leader.id == QUORUM_NODE_NONE || call->version < 1)
        return partition;
    *node = (struct fetch_snapshot_response_node_endpoint){leader.id, leader.host, leader.port};
    response->node_endpoints = node;
    response->node_endpoints_count = 1;
    return partition;
}

/* ---- Reading --------------------------------------------------------------------------------- */

static enum job_progress read_step(struct job *job, const struct job_context *context)
{
    struct snapshot_read *read = container_of(job, struct snapshot_read, job);
    struct storage_file *file;
    read->status = storage_run_open(context->storage, read->path.text, STORAGE_FLAG_READ, &file,
                                    &read->file_size);
    if (read->status != STORAGE_OK)
        return JOB_FINISHED;
    if (read->position < read->file_size) {
        uint64_t left = read->file_size - read->position;
        size_t wanted = left < read->capacity ? (size_t)left : read->capacity;
        read->status = storage_run_read(context->storage, file, read->position, read->bytes, wanted,
                                        &read->size);
    }
    storage_run_close(context->storage, file);
    return JOB_FINISHED;
}

static void read_done(struct job *job)
{
    struct snapshot_read *read = container_of(job, struct snapshot_read, job);
    struct quorum_call *call = read->call;
    struct metadata_log *log = call->log;
    struct fetch_snapshot_response_partition_snapshot *partition = read->partition;
    call->is_warming = false;
    list_remove(&call->link);
    partition->size = (int64_t)read->file_size;
    if (read->status == STORAGE_NOT_FOUND)
        partition->error_code = KAFKA_ERROR_SNAPSHOT_NOT_FOUND;
    else if (read->status != STORAGE_OK)
        partition->error_code = KAFKA_ERROR_KAFKA_STORAGE_ERROR;
    else if (read->position >= read->file_size)
        partition->error_code = KAFKA_ERROR_POSITION_OUT_OF_RANGE;
    else
        partition->unaligned_records.memory = view_of(read->bytes, read->size);
    call->done(call);
    if (log->is_closing)
        metadata_log_close_next(log);
}

static bool start_read(struct metadata_log *log, struct quorum_call *call,
                       const struct fetch_snapshot_request *message,
                       struct fetch_snapshot_response_partition_snapshot *partition)
{
    const struct fetch_snapshot_request_partition_snapshot *asked =
        &message->topics[0].partitions[0];
    struct snapshot_id id = {asked->snapshot_id.end_offset, asked->snapshot_id.epoch};
    struct snapshot_read *read = arena_get_array(call->arena, 1, sizeof(*read));
    size_t capacity =
        message->max_bytes < SERVED_BYTES_MAX ? (size_t)message->max_bytes : SERVED_BYTES_MAX;
    uint8_t *bytes = arena_get(call->arena, capacity);
    char name[SNAPSHOT_NAME_SIZE];
    snapshot_name_format(id, SNAPSHOT_SUFFIX, name);
    if (!read || !bytes || !log_path_join(&read->path, log->boot.directory.text, name))
        return false;
    read->job = (struct job){.step = read_step, .done = read_done, .job_class = JOB_DEVICE};
    read->call = call;
    read->partition = partition;
    read->bytes = bytes;
    read->capacity = capacity;
    read->position = (uint64_t)asked->position;
    call->is_warming = true;
    list_push_back(&log->parked, &call->link);
    loop_start_job(log->loop, &read->job);
    return true;
}

/* ---- Serving --------------------------------------------------------------------------------- */

static enum kafka_error check_request(const struct metadata_log *log,
                                      const struct fetch_snapshot_request *message)
{
    enum kafka_error error = peer_cluster_check(log, message->cluster_id);
    if (error != KAFKA_ERROR_NONE)
        return error;
    bool is_ours = message->topics_count == 1 && message->topics[0].partitions_count == 1 &&
                   view_equal(message->topics[0].name, PEER_TOPIC) &&
                   message->topics[0].partitions[0].partition == 0 && message->max_bytes > 0;
    return is_ours ? KAFKA_ERROR_NONE : KAFKA_ERROR_INVALID_REQUEST;
}

static enum kafka_error
check_partition(const struct metadata_log *log,
                const struct fetch_snapshot_request_partition_snapshot *asked)
{
    enum kafka_error error = fetch_server_check_epoch(&log->quorum, asked->current_leader_epoch);
    if (error != KAFKA_ERROR_NONE)
        return error;
    if (asked->snapshot_id.end_offset <= 0 || asked->snapshot_id.epoch < 0)
        return KAFKA_ERROR_SNAPSHOT_NOT_FOUND;
    return asked->position < 0 ? KAFKA_ERROR_POSITION_OUT_OF_RANGE : KAFKA_ERROR_NONE;
}

void snapshot_server_serve(struct metadata_log *log, struct quorum_call *call)
{
    const struct fetch_snapshot_request *message = call->message;
    enum kafka_error error = check_request(log, message);
    struct fetch_snapshot_response_partition_snapshot *partition =
        error == KAFKA_ERROR_NONE ? begin_response(log, call) : NULL;
    if (!partition) {
        snapshot_server_refuse(call, error ? error : KAFKA_ERROR_UNKNOWN_SERVER_ERROR);
        call->done(call);
        return;
    }
    const struct fetch_snapshot_request_partition_snapshot *asked =
        &message->topics[0].partitions[0];
    partition->index = 0;
    partition->snapshot_id.end_offset = asked->snapshot_id.end_offset;
    partition->snapshot_id.epoch = asked->snapshot_id.epoch;
    partition->position = asked->position;
    error = check_partition(log, asked);
    if (error == KAFKA_ERROR_NONE) {
        /* Whoever fetches a snapshot hears this leader; it holds nothing new by that. */
        struct quorum_event event = {.kind = QUORUM_EVENT_FETCHED,
                                     .offset = -1,
                                     .node = {message->replica_id, asked->replica_directory_id}};
        metadata_log_step(log, &event, NULL);
        if (start_read(log, call, message, partition))
            return;
        error = KAFKA_ERROR_UNKNOWN_SERVER_ERROR;
    }
    partition->error_code = (int16_t)error;
    call->done(call);
}
