/*
 * The pieces go into the file by a job each; the last one's job also checks the whole and reads it
 * into memory. From there on the loop: empty the log, load, tell the quorum. No other event reaches
 * the quorum between the emptying and the end of loading, so this node cannot become a leader with
 * half of it.
 */
#include "cluster/quorum/snapshot_client.h"

#include "base/assert.h"
#include "cluster/quorum/metadata_log_internal.h"
#include "protocol/api_info.h"

CHANNEL_CALL(fetch_snapshot, API_KEY_FETCH_SNAPSHOT);

enum { PIECE_BYTES_MAX = 8 * 1024 * 1024, SNAPSHOT_BYTES_MAX = INT32_MAX };

/* ---- In the job ------------------------------------------------------------------------------ */

static bool part_path(const struct snapshot_client *client, struct log_path *path)
{
    char name[SNAPSHOT_NAME_SIZE];
    snapshot_name_format(client->id, SNAPSHOT_PART_SUFFIX, name);
    return log_path_join(path, client->directory.text, name);
}

static enum storage_status write_piece(const struct snapshot_client *client, struct storage storage,
                                       const char *path)
{
    struct storage_file *file;
    uint64_t size;
    unsigned flags = STORAGE_FLAG_READ | STORAGE_FLAG_WRITE;
    if (client->position == 0)
        flags |= STORAGE_FLAG_CREATE;
    enum storage_status status = storage_run_open(storage, path, flags, &file, &size);
    if (status != STORAGE_OK)
        return status;
    if (client->position == 0 && size > 0)
        status = storage_run_truncate(storage, file, 0);
    if (status == STORAGE_OK)
        status = storage_run_write(storage, file, (uint64_t)client->position, client->piece.data,
                                   client->piece.size);
    if (status == STORAGE_OK && client->is_last)
        status = storage_run_sync(storage, file);
    storage_run_close(storage, file);
    return status;
}

static bool accept_batch(void *context, struct view batch, const char **problem)
{
    (void)context;
    (void)batch;
    (void)problem;
    return true;
}

/* The file is whole: checks it, keeps its content, gives it its name. */
static enum storage_status freeze(struct snapshot_client *client, const struct job_context *context,
                                  const char *part)
{
    struct log_path final;
    char name[SNAPSHOT_NAME_SIZE];
    snapshot_name_format(client->id, SNAPSHOT_SUFFIX, name);
    if (!log_path_join(&final, client->directory.text, name))
        return STORAGE_LIMIT;
    enum storage_status status = file_content_read(context->storage, part, context->heap,
                                                   SNAPSHOT_BYTES_MAX, &client->content);
    if (status != STORAGE_OK)
        return status;
    if (!snapshot_walk(file_content_view(&client->content), accept_batch, NULL, &client->problem))
        return STORAGE_OK;
    client->problem = NULL;
    status = storage_run_path(context->storage, STORAGE_RENAME, part, final.text);
    if (status == STORAGE_OK)
        status = storage_run_path(context->storage, STORAGE_SYNC_DIRECTORY, client->directory.text,
                                  NULL);
    if (status == STORAGE_OK)
        snapshot_files_remove_before(context->storage, context->heap, client->directory.text,
                                     client->id.end_offset);
    return status;
}

static enum job_progress write_step(struct job *job, const struct job_context *context)
{
    struct snapshot_client *client = container_of(job, struct snapshot_client, job);
    struct log_path part;
    client->status = STORAGE_LIMIT;
    client->problem = NULL;
    if (part_path(client, &part))
        client->status = write_piece(client, context->storage, part.text);
    if (client->status == STORAGE_OK && client->is_last)
        client->status = freeze(client, context, part.text);
    return JOB_FINISHED;
}

/* ---- On the loop ----------------------------------------------------------------------------- */

void snapshot_client_begin(struct metadata_log *log, struct snapshot_id id)
{
    struct snapshot_client *client = &log->fetched;
    if (client->is_writing)
        return; /* of an earlier one: it ends first, and the leader names this one again */
    if (id.end_offset < log->quorum.high_watermark || id.epoch > log->quorum.epoch) {
        metadata_log_fail(log, "the leader of the quorum lacks committed metadata");
        return;
    }
    client->is_active = true;
    client->id = id;
    client->epoch = log->quorum.epoch;
    client->position = 0;
    log_info(log->loop->diagnostics, "metadata snapshot is fetched: end_offset=%lld epoch=%d",
             (long long)id.end_offset, id.epoch);
}

void snapshot_client_drop(struct metadata_log *log)
{
    log->fetched.is_active = false;
}

const struct channel_call *snapshot_client_ask(struct metadata_log *log)
{
    struct snapshot_client *client = &log->fetched;
    fetch_snapshot_request_init(&client->message);
    client->message.cluster_id = log->options.cluster_id;
    client->message.replica_id = log->options.voter.id;
    client->message.max_bytes = PIECE_BYTES_MAX;
    client->message.topics = &client->topic;
    client->message.topics_count = 1;
    client->topic =
        (struct fetch_snapshot_request_topic_snapshot){PEER_TOPIC, &client->partition, 1};
    fetch_snapshot_request_partition_snapshot_init(&client->partition);
    client->partition.current_leader_epoch = log->quorum.epoch;
    client->partition.snapshot_id.end_offset = client->id.end_offset;
    client->partition.snapshot_id.epoch = client->id.epoch;
    client->partition.position = client->position;
    client->partition.replica_directory_id = log->options.voter.directory_id;
    return &fetch_snapshot_call;
}

static void drop_content(struct snapshot_client *client)
{
    if (client->content.data)
        file_content_release(&client->content);
}

/* The log begins at the snapshot; its content becomes the state. */
static void emptied(struct log_change *change)
{
    struct metadata_log *log = change->context;
    struct snapshot_client *client = &log->fetched;
    log->is_cutting = false;
    client->is_active = false;
    if (log->is_closing || change->status != STORAGE_OK) {
        drop_content(client);
        if (log->is_closing)
            metadata_log_close_next(log);
        else
            metadata_log_fail(log, "the metadata log cannot be emptied for a snapshot");
        return;
    }
    file_content_release(&log->boot.snapshot_content);
    log->boot.snapshot_content = client->content;
    client->content = (struct file_content){.data = NULL};
    log->boot.has_snapshot = true;
    log->boot.snapshot = client->id;
    log->boot.oldest = client->id;
    log->bytes_since_snapshot = 0;
    log->has_shown = false;
    if (!metadata_log_load_snapshot(log))
        return;
    file_content_release(&log->boot.snapshot_content);
    struct quorum_event event = {.kind = QUORUM_EVENT_REPLACED,
                                 .offset = client->id.end_offset,
                                 .epoch = metadata_log_last_epoch(log)};
    metadata_log_step(log, &event, NULL);
}

static void install(struct metadata_log *log)
{
    struct snapshot_client *client = &log->fetched;
    bool is_wanted = client->is_active && !metadata_log_is_busy(log) &&
                     log->quorum.role == QUORUM_FOLLOWER && log->quorum.epoch == client->epoch &&
                     client->id.end_offset >= log->quorum.high_watermark;
    if (!is_wanted) {
        drop_content(client);
        client->is_active = false;
        return;
    }
    log->is_cutting = true;
    log->change = (struct log_change){.done = emptied, .context = log};
    partition_log_truncate_fully(log->log, client->id.end_offset, &log->change);
}

static void written(struct job *job)
{
    struct snapshot_client *client = container_of(job, struct snapshot_client, job);
    struct metadata_log *log = container_of(client, struct metadata_log, fetched);
    client->is_writing = false;
    channel_release_frame(&client->frame);
    client->position += (int64_t)client->piece.size;
    if (log->is_closing) {
        drop_content(client);
        metadata_log_close_next(log);
        return;
    }
    if (client->status != STORAGE_OK || client->problem) {
        const char *why = client->problem ? client->problem : storage_status_text(client->status);
        log_error(log->loop->diagnostics, "metadata snapshot could not be fetched: %s", why);
        drop_content(client);
        client->is_active = false;
        if (client->status != STORAGE_OK && client->status != STORAGE_NO_SPACE)
            metadata_log_fail(log, storage_status_text(client->status));
        else
            fetch_client_back_off(log);
    } else if (client->is_last) {
        install(log);
    }
    metadata_log_wake(log);
}

bool snapshot_client_take(struct metadata_log *log, const struct fetch_snapshot_response *response)
{
    struct snapshot_client *client = &log->fetched;
    const struct fetch_snapshot_response_partition_snapshot *partition =
        &response->topics[0].partitions[0];
    struct view piece = partition->unaligned_records.memory;
    bool is_ours = partition->snapshot_id.end_offset == client->id.end_offset &&
                   partition->snapshot_id.epoch == client->id.epoch &&
                   partition->position == client->position && piece.size > 0 &&
                   partition->size >= client->position + (int64_t)piece.size;
    if (partition->error_code == KAFKA_ERROR_SNAPSHOT_NOT_FOUND ||
        partition->error_code == KAFKA_ERROR_POSITION_OUT_OF_RANGE || !is_ours) {
        client->is_active = false; /* the next Fetch tells what there is */
        return false;
    }
    client->directory = log->boot.directory;
    client->piece = piece;
    client->is_last = partition->size == client->position + (int64_t)piece.size;
    client->job = (struct job){.step = write_step, .done = written, .job_class = JOB_DEVICE};
    client->is_writing = true;
    channel_keep_frame(&log->fetch.request, &client->frame);
    loop_start_job(log->loop, &client->job);
    return true;
}
