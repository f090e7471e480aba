#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "tests/unit/replication/follower_fixture.h"

#include "cluster/metadata/draft.h"
#include "protocol/batch_builder.h"
#include "replication/replica_follower.h"

enum { PORT_BASE = 9000 };

static struct uuid topic_id_of(unsigned partition)
{
    return uuid_of_halves(1, partition / 2 + 1);
}

static unsigned partition_of(struct uuid topic_id, int32_t index)
{
    return (unsigned)(uuid_least(topic_id) - 1) * 2 + (unsigned)index;
}

/* ---- Channels ---- */

struct channel {
    struct list link;
    struct follower_fixture *fixture;
    struct list waiting;           /* channel_request.link */
    struct fetch_session *session; /* at the leader */
    uint16_t port;
};

static struct follower_fixture *current; /* one at a time: channels are made without a context */

struct channel *channel_create(const struct channel_options *options)
{
    struct channel *channel = calloc(1, sizeof(*channel));
    assert_non_null(channel);
    channel->fixture = current;
    channel->port = options->port;
    list_init(&channel->waiting);
    list_push_back(&current->channels, &channel->link);
    current->channel_count++;
    return channel;
}

void channel_send(struct channel *channel, struct channel_request *request)
{
    request->message_version = request->version_max;
    request->channel = channel;
    list_push_back(&channel->waiting, &request->link);
}

static void end_requests(struct channel *channel, enum channel_status status)
{
    for (struct list *link; (link = list_pop_front(&channel->waiting)) != NULL;) {
        struct channel_request *request = container_of(link, struct channel_request, link);
        request->done(request, status, NULL);
    }
}

void channel_close(struct channel *channel)
{
    end_requests(channel, CHANNEL_CLOSED);
    if (channel->session)
        fetch_session_close(channel->session);
    list_remove(&channel->link);
    free(channel);
}

const char *channel_status_text(enum channel_status status)
{
    return status == CHANNEL_TIMED_OUT ? "timed out" : "disconnected";
}

void channel_keep_frame(struct channel_request *request, struct channel_frame *frame)
{
    *frame = *request->frame;
    request->frame = NULL;
}

void channel_release_frame(struct channel_frame *frame)
{
    arena_deinit(&frame->arena);
    heap_put(frame->heap, MEMORY_SCRATCH, frame->bytes, frame->held_size);
}

/* ---- Models of logs ---- */

void model_clear(struct model_log *log)
{
    for (size_t i = 0; i < log->batch_count; i++)
        free(log->batches[i].bytes);
    *log = (struct model_log){.leader_epoch = log->leader_epoch};
}

static void add_epoch(struct model_log *log, int32_t epoch, int64_t start)
{
    if (log->epoch_count && log->epochs[log->epoch_count - 1].epoch == epoch)
        return;
    while (log->epoch_count && log->epochs[log->epoch_count - 1].start >= start)
        log->epoch_count--;
    assert_true(log->epoch_count < FIXTURE_EPOCHS);
    log->epochs[log->epoch_count++] = (struct model_epoch){epoch, start};
}

void model_take_batch(struct model_log *log, struct view batch)
{
    assert_true(log->batch_count < FIXTURE_BATCHES);
    struct model_batch *taken = &log->batches[log->batch_count++];
    *taken = (struct model_batch){.bytes = malloc(batch.size),
                                  .size = batch.size,
                                  .base_offset = batch_base_offset(batch.data),
                                  .last_offset = batch_last_offset(batch.data),
                                  .epoch = batch_leader_epoch(batch.data)};
    assert_non_null(taken->bytes);
    memcpy(taken->bytes, batch.data, batch.size);
    add_epoch(log, taken->epoch, taken->base_offset);
    log->log_end = taken->last_offset + 1;
}

void model_append(struct follower_fixture *fixture, struct model_log *log, int32_t count,
                  size_t value_size)
{
    static uint64_t serial; /* no two batches are the same */
    struct batch_options options = BATCH_OPTIONS_DEFAULT;
    struct batch_builder builder;
    struct view batch;
    uint8_t *value = calloc(1, value_size + 8);
    options.base_offset = log->log_end;
    options.leader_epoch = log->leader_epoch;
    batch_builder_init(&builder, &fixture->heap, 0, &options);
    for (int32_t i = 0; i < count; i++) {
        store_u64(value, ++serial);
        struct batch_record record = {.timestamp_ms = fixture->node.wall_ms,
                                      .value = view_of(value, value_size + 8)};
        assert_true(batch_builder_append(&builder, &record));
    }
    assert_int_equal(batch_builder_finish(&builder, &batch), COMPRESSION_OK);
    model_take_batch(log, batch);
    batch_builder_deinit(&builder);
    free(value);
}

void model_begin_epoch(struct model_log *log, int32_t leader_epoch)
{
    log->leader_epoch = leader_epoch;
    add_epoch(log, leader_epoch, log->log_end);
}

void model_truncate(struct model_log *log, int64_t offset)
{
    while (log->batch_count && log->batches[log->batch_count - 1].last_offset >= offset)
        free(log->batches[--log->batch_count].bytes);
    log->log_end =
        log->batch_count ? log->batches[log->batch_count - 1].last_offset + 1 : log->log_start;
    while (log->epoch_count && log->epochs[log->epoch_count - 1].start >= log->log_end)
        log->epoch_count--;
    if (log->high_watermark > log->log_end)
        log->high_watermark = log->log_end;
}

void model_replicate(struct model_log *log, const struct model_log *from, size_t count)
{
    size_t same = 0;
    while (same < log->batch_count && same < from->batch_count &&
           log->batches[same].size == from->batches[same].size &&
           memcmp(log->batches[same].bytes, from->batches[same].bytes, log->batches[same].size) ==
               0)
        same++;
    if (same < log->batch_count)
        model_truncate(log, log->batches[same].base_offset);
    for (size_t i = same; i < from->batch_count && i < same + count; i++)
        model_take_batch(log, view_of(from->batches[i].bytes, from->batches[i].size));
}

void model_advance_start(struct model_log *log, int64_t offset)
{
    size_t gone = 0;
    while (gone < log->batch_count && log->batches[gone].last_offset < offset)
        free(log->batches[gone++].bytes);
    log->batch_count -= gone;
    memmove(log->batches, log->batches + gone, log->batch_count * sizeof(*log->batches));
    log->log_start = offset;
    if (log->high_watermark < offset)
        log->high_watermark = offset;
    size_t dropped = 0;
    while (dropped + 1 < log->epoch_count && log->epochs[dropped + 1].start <= offset)
        dropped++;
    log->epoch_count -= dropped;
    memmove(log->epochs, log->epochs + dropped, log->epoch_count * sizeof(*log->epochs));
    if (log->epoch_count && log->epochs[0].start < offset)
        log->epochs[0].start = offset;
}

/* By the words of KIP-101 and KIP-279. */
bool model_epoch_end(const struct model_log *log, int32_t epoch, int32_t *found, int64_t *end)
{
    *found = -1;
    *end = -1;
    if (epoch < 0 || log->epoch_count == 0 || epoch > log->epochs[log->epoch_count - 1].epoch)
        return false;
    size_t above = 0;
    while (above < log->epoch_count && log->epochs[above].epoch <= epoch)
        above++;
    *found = above > 0 ? log->epochs[above - 1].epoch : epoch;
    *end = above < log->epoch_count ? log->epochs[above].start : log->log_end;
    return true;
}

/* ---- Leaders ---- */

struct model_leader *fixture_leader(struct follower_fixture *fixture, int32_t id)
{
    assert_in_range(id, 2, 2 + FIXTURE_LEADERS - 1);
    return &fixture->leaders[id - 2];
}

struct answer {
    struct fetch_response response;
    struct fetch_response_fetchable_topic_response topics[FIXTURE_PARTITIONS];
    struct fetch_response_partition_data partitions[FIXTURE_PARTITIONS];
    uint8_t *records[FIXTURE_PARTITIONS];
    size_t count;
    size_t bytes;
    bool has_news;
};

static enum kafka_error check_fetch(const struct model_log *log, int32_t leader_epoch,
                                    int64_t fetch_offset, int32_t last_epoch,
                                    struct fetch_response_epoch_end_offset *diverging)
{
    if (log->error != KAFKA_ERROR_NONE)
        return log->error;
    if (leader_epoch != log->leader_epoch)
        return leader_epoch < log->leader_epoch ? KAFKA_ERROR_FENCED_LEADER_EPOCH
                                                : KAFKA_ERROR_UNKNOWN_LEADER_EPOCH;
    if (last_epoch >= 0) {
        int32_t found;
        int64_t end;
        if (!model_epoch_end(log, last_epoch, &found, &end) || fetch_offset < log->log_start)
            return KAFKA_ERROR_OFFSET_OUT_OF_RANGE;
        if (found < last_epoch || end < fetch_offset) {
            diverging->epoch = found;
            diverging->end_offset = end;
            return KAFKA_ERROR_NONE;
        }
    }
    if (fetch_offset < log->log_start || fetch_offset > log->log_end)
        return KAFKA_ERROR_OFFSET_OUT_OF_RANGE;
    return KAFKA_ERROR_NONE;
}

/* Whole batches from the one that holds the offset on; at least one, and then part of the next. */
static size_t copy_records(struct model_log *log, int64_t offset, size_t limit, uint8_t **records)
{
    size_t size = 0;
    *records = NULL;
    for (size_t i = 0; i < log->batch_count; i++) {
        const struct model_batch *batch = &log->batches[i];
        if (batch->last_offset < offset)
            continue;
        size_t part = batch->size;
        if (size > 0 && size + part > limit)
            part = limit > size ? limit - size : 0;
        *records = realloc(*records, size + part + 1);
        memcpy(*records + size, batch->bytes, part);
        size += part;
        if (part < batch->size)
            break;
    }
    if (size > 0 && log->is_corrupt) {
        (*records)[BATCH_HEADER_SIZE + 2] ^= 1;
        log->is_corrupt = false;
    }
    return size;
}

static void answer_partition(struct model_leader *leader, struct fetch_session *session,
                             struct answer *answer, const struct fetch_partition *asked,
                             size_t limit)
{
    unsigned partition = partition_of(asked->topic_id, asked->partition);
    struct model_log *log = &leader->logs[partition];
    struct fetch_response_partition_data data;
    fetch_response_partition_data_init(&data);
    data.partition_index = asked->partition;
    data.high_watermark = -1;
    data.log_start_offset = -1;
    data.records.memory = VIEW_LITERAL("");
    data.error_code = (int16_t)check_fetch(log, asked->leader_epoch, asked->fetch_offset,
                                           asked->last_fetched_epoch, &data.diverging_epoch);
    uint8_t *records = NULL;
    bool diverges = data.diverging_epoch.end_offset >= 0;
    if (data.error_code == KAFKA_ERROR_NONE) {
        data.high_watermark = log->high_watermark;
        data.log_start_offset = log->log_start;
    }
    if (data.error_code == KAFKA_ERROR_NONE && !diverges && answer->bytes < limit) {
        size_t left = limit - answer->bytes;
        size_t most = (size_t)asked->max_bytes < left ? (size_t)asked->max_bytes : left;
        size_t size = copy_records(log, asked->fetch_offset, most, &records);
        data.records.memory = view_of(records ? records : (const uint8_t *)"", size);
        answer->bytes += size;
    }
    bool has_data = data.records.memory.size > 0;
    bool tell = true;
    if (session)
        tell = fetch_partition_tell(session, (struct fetch_partition *)(uintptr_t)asked,
                                    (enum kafka_error)data.error_code, data.high_watermark,
                                    data.log_start_offset, has_data) ||
               diverges;
    if (has_data || diverges || data.error_code != KAFKA_ERROR_NONE || (session && tell))
        answer->has_news = true;
    if (!tell) {
        free(records);
        return;
    }
    size_t place = answer->count++;
    answer->records[place] = records;
    answer->partitions[place] = data;
    fetch_response_fetchable_topic_response_init(&answer->topics[place]);
    answer->topics[place].topic_id = asked->topic_id;
    answer->topics[place].partitions = &answer->partitions[place];
    answer->topics[place].partitions_count = 1;
}

static void note_request(struct model_leader *leader, const struct fetch_request *request)
{
    leader->fetches++;
    leader->asked_count = 0;
    leader->forgotten_count = 0;
    leader->asked_epoch = request->session_epoch;
    for (size_t i = 0; i < request->topics_count; i++) {
        for (size_t j = 0; j < request->topics[i].partitions_count; j++) {
            const struct fetch_request_fetch_partition *asked = &request->topics[i].partitions[j];
            assert_true(leader->asked_count < FIXTURE_PARTITIONS);
            leader->asked[leader->asked_count++] = (struct asked_partition){
                .topic = partition_of(request->topics[i].topic_id, asked->partition),
                .fetch_offset = asked->fetch_offset,
                .leader_epoch = asked->current_leader_epoch,
                .last_fetched_epoch = asked->last_fetched_epoch,
                .log_start_offset = asked->log_start_offset,
            };
        }
    }
    for (size_t i = 0; i < request->forgotten_topics_data_count; i++)
        leader->forgotten_count += (unsigned)request->forgotten_topics_data[i].partitions_count;
    leader->asked_broker_epoch = request->replica_state.replica_epoch;
    leader->asked_replica =
        leader->asked_version >= 15 ? request->replica_state.replica_id : request->replica_id;
}

/* The session of a request that is looked at again was moved on already. */
static void fill_answer(struct model_leader *leader, struct fetch_session *session,
                        const struct fetch_request *request, struct answer *answer)
{
    size_t limit = leader->max_bytes ? leader->max_bytes : (size_t)request->max_bytes;
    if (session) {
        struct list *order[FIXTURE_PARTITIONS]; /* answering moves them */
        size_t count = 0;
        list_for_each(link, &session->partitions) order[count++] = link;
        for (size_t i = 0; i < count; i++)
            answer_partition(leader, session, answer,
                             container_of(order[i], struct fetch_partition, link), limit);
        return;
    }
    for (size_t i = 0; i < request->topics_count; i++) {
        for (size_t j = 0; j < request->topics[i].partitions_count; j++) {
            const struct fetch_request_fetch_partition *asked = &request->topics[i].partitions[j];
            const struct fetch_partition partition = {
                .topic_id = request->topics[i].topic_id,
                .partition = asked->partition,
                .max_bytes = asked->partition_max_bytes,
                .leader_epoch = asked->current_leader_epoch,
                .last_fetched_epoch = asked->last_fetched_epoch,
                .fetch_offset = asked->fetch_offset,
            };
            answer_partition(leader, session, answer, &partition, limit);
        }
    }
}

/* Hands the encoded answer to the request as a channel does. */
static void deliver(struct follower_fixture *fixture, struct channel_request *request,
                    const uint8_t *bytes, uint32_t size)
{
    struct channel_frame frame = {.heap = fixture->loop->heap, .held_size = size + 1};
    frame.bytes = heap_must_get(frame.heap, MEMORY_SCRATCH, frame.held_size);
    memcpy(frame.bytes, bytes, size);
    arena_init(&frame.arena, frame.heap, MEMORY_SCRATCH, 0);
    struct reader in = reader_of(view_of(frame.bytes, size));
    void *response = arena_get_array(&frame.arena, 1, request->call->response_size);
    assert_true(
        request->call->decode(response, &in, (int16_t)request->message_version, &frame.arena));
    request->frame = &frame;
    request->done(request, CHANNEL_OK, response);
    if (request->frame == &frame)
        channel_release_frame(&frame);
}

static bool answer_fetch(struct channel *channel, struct model_leader *leader,
                         struct channel_request *request, const struct fetch_request *fetch,
                         bool is_first, bool force)
{
    struct follower_fixture *fixture = channel->fixture;
    struct answer *answer = calloc(1, sizeof(*answer));
    enum fetch_session_kind kind = FETCH_SESSION_INCREMENTAL;
    enum kafka_error error = leader->error;
    leader->error = KAFKA_ERROR_NONE;
    fetch_response_init(&answer->response);
    if (is_first) {
        leader->asked_version = (int16_t)request->message_version;
        note_request(leader, fetch);
        if (error == KAFKA_ERROR_NONE)
            error = fetch_session_begin(&leader->sessions, &channel->session, fetch, true,
                                        fixture->loop->now_ns, 0x1234, &kind);
        if (kind == FETCH_SESSION_NEW && leader->is_refusing_sessions) {
            fetch_session_end(channel->session);
            fetch_session_close(channel->session);
            kind = FETCH_SESSION_NONE;
        }
    }
    if (error == KAFKA_ERROR_NONE)
        fill_answer(leader, channel->session, fetch, answer);
    answer->response.error_code = (int16_t)error;
    answer->response.session_id =
        channel->session && error == KAFKA_ERROR_NONE ? channel->session->id : 0;
    answer->response.responses = answer->topics;
    answer->response.responses_count = answer->count;
    bool is_due = force || answer->has_news || error != KAFKA_ERROR_NONE ||
                  (is_first && kind == FETCH_SESSION_NEW);
    if (is_due) {
        int16_t version = (int16_t)request->message_version;
        size_t size = fetch_response_size(&answer->response, version);
        uint8_t *bytes = malloc(size + 1);
        struct message_writer out = message_writer_of(bytes, size);
        fetch_response_encode(&answer->response, &out, version);
        assert_false(message_writer_failed(&out));
        list_remove(&request->link);
        fetch_session_end(channel->session);
        deliver(fixture, request, bytes, (uint32_t)out.bytes.size);
        free(bytes);
    }
    for (size_t i = 0; i < answer->count; i++)
        free(answer->records[i]);
    free(answer);
    return is_due;
}

static void answer_list_offsets(struct follower_fixture *fixture, struct model_leader *leader,
                                struct channel_request *request,
                                const struct list_offsets_request *asked)
{
    struct list_offsets_response response;
    struct list_offsets_response_list_offsets_topic_response topics[FIXTURE_PARTITIONS];
    struct list_offsets_response_list_offsets_partition_response partitions[FIXTURE_PARTITIONS];
    size_t count = 0;
    leader->list_offsets++;
    list_offsets_response_init(&response);
    response.topics = topics;
    for (size_t i = 0; i < asked->topics_count; i++) {
        for (size_t j = 0; j < asked->topics[i].partitions_count; j++) {
            const struct list_offsets_request_list_offsets_partition *one =
                &asked->topics[i].partitions[j];
            unsigned topic = (unsigned)(asked->topics[i].name.data[6] - '0');
            const struct model_log *log = &leader->logs[topic * 2 + (unsigned)one->partition_index];
            list_offsets_response_list_offsets_partition_response_init(&partitions[count]);
            partitions[count].partition_index = one->partition_index;
            partitions[count].offset = one->timestamp == -1 ? log->log_end : log->log_start;
            if (one->current_leader_epoch != log->leader_epoch)
                partitions[count].error_code = KAFKA_ERROR_FENCED_LEADER_EPOCH;
            list_offsets_response_list_offsets_topic_response_init(&topics[count]);
            topics[count].name = asked->topics[i].name;
            topics[count].partitions = &partitions[count];
            topics[count].partitions_count = 1;
            count++;
        }
    }
    response.topics_count = count;
    int16_t version = (int16_t)request->message_version;
    size_t size = list_offsets_response_size(&response, version);
    uint8_t *bytes = malloc(size + 1);
    struct message_writer out = message_writer_of(bytes, size);
    list_offsets_response_encode(&response, &out, version);
    assert_false(message_writer_failed(&out));
    list_remove(&request->link);
    deliver(fixture, request, bytes, (uint32_t)out.bytes.size);
    free(bytes);
}

/* ---- Serving ---- */

static struct model_leader *leader_of(struct follower_fixture *fixture, uint16_t port)
{
    return fixture_leader(fixture, (port - PORT_BASE) % 10);
}

/* Through the codec and back, as the leader sees it. True: it was answered. */
static bool serve(struct channel *channel, struct channel_request *request, bool force)
{
    struct follower_fixture *fixture = channel->fixture;
    struct model_leader *leader = leader_of(fixture, channel->port);
    int16_t version = (int16_t)request->message_version;
    size_t size = request->call->size(request->message, version);
    uint8_t *bytes = malloc(size + 1);
    struct message_writer out = message_writer_of(bytes, size);
    request->call->encode(request->message, &out, version);
    assert_false(message_writer_failed(&out));
    assert_int_equal(out.bytes.size, size);
    struct reader in = reader_of(view_of(bytes, size));
    struct arena arena;
    arena_init(&arena, &fixture->heap, MEMORY_SCRATCH, 0);
    bool answered = true;
    bool is_first = !request->is_sent;
    request->is_sent = true;
    if (request->call->api_key == 1) {
        struct fetch_request fetch;
        assert_true(fetch_request_decode(&fetch, &in, version, &arena));
        answered = answer_fetch(channel, leader, request, &fetch, is_first, force);
    } else {
        struct list_offsets_request asked;
        assert_true(list_offsets_request_decode(&asked, &in, version, &arena));
        answer_list_offsets(fixture, leader, request, &asked);
    }
    arena_deinit(&arena);
    free(bytes);
    return answered;
}

static bool serve_all(struct follower_fixture *fixture, bool force)
{
    bool any = false;
    list_for_each_safe(link, after, &fixture->channels)
    {
        struct channel *channel = container_of(link, struct channel, link);
        if (list_is_empty(&channel->waiting))
            continue;
        any |= serve(channel, container_of(channel->waiting.next, struct channel_request, link),
                     force);
    }
    return any;
}

bool fixture_step(struct follower_fixture *fixture)
{
    memory_node_run(&fixture->node);
    bool any = serve_all(fixture, false);
    memory_node_run(&fixture->node);
    for (unsigned i = 0; i < FIXTURE_PARTITIONS; i++) {
        if (fixture->replica[i] && fixture->replica[i]->log &&
            !partition_log_is_failed(fixture->replica[i]->log))
            partition_log_check(fixture->replica[i]->log);
    }
    return any;
}

void fixture_run(struct follower_fixture *fixture)
{
    for (unsigned i = 0; i < 10000; i++) {
        if (!fixture_step(fixture))
            return;
    }
    fail_msg("followers and leaders never come to rest");
}

unsigned fixture_waiting(const struct follower_fixture *fixture)
{
    unsigned count = 0;
    for (struct list *link = fixture->channels.next; link != &fixture->channels; link = link->next)
        count += !list_is_empty(&container_of(link, struct channel, link)->waiting);
    return count;
}

void fixture_answer_all(struct follower_fixture *fixture)
{
    memory_node_run(&fixture->node);
    serve_all(fixture, true);
    memory_node_run(&fixture->node);
}

void fixture_break(struct follower_fixture *fixture, enum channel_status status)
{
    list_for_each_safe(link, after, &fixture->channels)
    {
        struct channel *channel = container_of(link, struct channel, link);
        if (channel->session) /* it goes with the connection */
            fetch_session_close(channel->session);
        end_requests(channel, status);
    }
}

/* ---- The node ---- */

static void opened(struct log_open_job *job)
{
    *(bool *)job->context = true;
}

static void make_replica(struct follower_fixture *fixture, unsigned partition)
{
    bool is_done = false;
    char name[] = "topic-0";
    char directory[64];
    name[6] = (char)('0' + partition / 2);
    snprintf(directory, sizeof(directory), "/logs/%s-%u", name, partition % 2);
    struct log_open_job job = {
        .create = true,
        .opened = opened,
        .context = &is_done,
        .options = {.shard = &fixture->shard,
                    .directory = directory,
                    .topic = view_of(name, sizeof(name) - 1),
                    .partition = (int32_t)partition % 2,
                    .topic_id = topic_id_of(partition),
                    .producers = &fixture->producers,
                    .committer = &fixture->committer,
                    .cleaner_offset = -1},
    };
    log_config_of_topic(&job.options.config, &fixture->topic);
    partition_log_open(&job);
    memory_node_run(&fixture->node);
    assert_true(is_done);
    assert_int_equal(job.status, LOG_OPEN_OK);
    struct replica *replica =
        replica_create(&fixture->host, view_of(name, sizeof(name) - 1), topic_id_of(partition),
                       (int32_t)partition % 2, &fixture->topic);
    replica_table_add(&fixture->replicas, replica);
    fixture->replica[partition] = replica;
    replica_attach(replica, job.log);
}

static void closed(struct fetchers *fetchers)
{
    container_of(fetchers, struct follower_fixture, fetchers)->is_closed = true;
}

static void committer_stopped(struct committer *committer)
{
    (void)committer;
}

/* The other brokers never fetch from this node. */
static struct replica_broker no_broker(void *owner, int32_t broker_id)
{
    (void)owner, (void)broker_id;
    return (struct replica_broker){.epoch = -1, .is_active = false};
}

static const struct replica_events host_events = {.broker = no_broker};

void follower_fixture_init(struct follower_fixture *fixture, enum topic_durability durability,
                           unsigned partition_count)
{
    memset(fixture, 0, sizeof(*fixture));
    current = fixture;
    memory_node_init(&fixture->node);
    heap_init_plain(&fixture->heap);
    list_init(&fixture->channels);
    memory_node_make_directory(&fixture->node, "/logs");
    fixture->node.wall_ms = 1700000000000;
    fixture->loop = memory_node_loop(&fixture->node, 1);
    fixture->producers = (struct producer_state_options){.expiration_ms = 86400000};
    arena_init(&fixture->topic_arena, &fixture->heap, MEMORY_SCRATCH, 0);
    topic_config_default(&fixture->topic, &fixture->topic_arena);
    fixture->topic.durability = durability;
    log_shard_init(&fixture->shard, fixture->loop,
                   &(struct log_shard_options){.open_files_limit = 20});
    committer_init(&fixture->committer, fixture->loop, "/logs", NULL, NULL, NULL);
    const struct replica_host_options host_options = {.loop = fixture->loop,
                                                      .heap = fixture->loop->heap,
                                                      .node_id = FIXTURE_NODE,
                                                      .events = &host_events};
    replica_host_init(&fixture->host, &host_options, 1);
    replica_table_init(&fixture->replicas, fixture->loop->heap, 1);
    const struct fetchers_options options = {
        .loop = fixture->loop,
        .replicas = &fixture->replicas,
        .node_id = FIXTURE_NODE,
        .listener = VIEW_LITERAL("INTERNAL"),
        .wait_max_ms = 500,
        .min_bytes = 1,
        .max_bytes = 1024 * 1024,
        .response_max_bytes = 10 * 1024 * 1024,
        .backoff_ms = 1000,
        .socket_timeout_ms = 30000,
    };
    fetchers_init(&fixture->fetchers, &options);
    for (unsigned i = 0; i < FIXTURE_LEADERS; i++) {
        fixture->leaders[i].id = (int32_t)i + 2;
        fetch_sessions_init(&fixture->leaders[i].sessions, &fixture->heap, 10, i);
    }
    fixture->image = image_create_empty(&fixture->heap, VIEW_LITERAL("c"));
    fixture_show(fixture, 70, 0, 21);
    for (unsigned i = 0; i < partition_count; i++)
        make_replica(fixture, i);
}

static void log_closed(struct log_close *close, bool clean)
{
    (void)clean;
    *(bool *)close->context = true;
}

void follower_fixture_deinit(struct follower_fixture *fixture)
{
    fixture->node.hold = false;
    while (memory_node_held(&fixture->node) > 0)
        memory_node_complete(&fixture->node, 0);
    fetchers_close(&fixture->fetchers, closed);
    assert_false(fixture->is_closed);
    memory_node_run(&fixture->node);
    assert_true(fixture->is_closed);
    assert_true(list_is_empty(&fixture->channels));
    for (unsigned i = 0; i < FIXTURE_PARTITIONS; i++) {
        struct replica *replica = fixture->replica[i];
        if (!replica)
            continue;
        bool is_done = false;
        struct log_close close = {.closed = log_closed, .context = &is_done};
        partition_log_drop(replica_detach(replica, KAFKA_ERROR_NOT_LEADER_OR_FOLLOWER), &close);
        memory_node_run(&fixture->node);
        assert_true(is_done);
        replica_table_remove(&fixture->replicas, replica);
        replica_destroy(replica);
    }
    replica_table_deinit(&fixture->replicas);
    replica_host_deinit(&fixture->host);
    committer_stop(&fixture->committer, committer_stopped);
    memory_node_run(&fixture->node);
    fixture->shard.open_files_limit = 0;
    log_shard_deinit(&fixture->shard);
    for (unsigned i = 0; i < FIXTURE_LEADERS; i++) {
        fetch_sessions_deinit(&fixture->leaders[i].sessions);
        for (unsigned j = 0; j < FIXTURE_PARTITIONS; j++)
            model_clear(&fixture->leaders[i].logs[j]);
    }
    image_release(fixture->image);
    arena_deinit(&fixture->topic_arena);
    for (size_t i = 0; i < MEMORY_CLASSES; i++)
        assert_int_equal(fixture->loop->heap->used[i], 0);
    memory_node_deinit(&fixture->node);
}

void fixture_show(struct follower_fixture *fixture, int64_t broker_epoch, unsigned shift,
                  int16_t metadata_version)
{
    const struct image *before = fixture->image;
    struct image_draft draft;
    draft_begin(&draft, before);
    for (int32_t id = FIXTURE_NODE; id < 2 + FIXTURE_LEADERS; id++) {
        const struct image_endpoint endpoints[] = {
            {.name = VIEW_LITERAL("CLIENT"), .host = VIEW_LITERAL("wrong"), .port = 1},
            {.name = VIEW_LITERAL("INTERNAL"),
             .host = VIEW_LITERAL("broker"),
             .port = (uint16_t)(PORT_BASE + (unsigned)id + shift)},
        };
        struct image_node node = {
            .id = id,
            .epoch = broker_epoch,
            .incarnation = uuid_of_halves(9, id == FIXTURE_NODE ? 9 : (uint64_t)id),
            .endpoints = endpoints,
            .endpoint_count = 2,
        };
        if (id == FIXTURE_NODE && broker_epoch < 0) /* of an incarnation before */
            node.incarnation = uuid_of_halves(9, 8);
        draft_set_broker(&draft, &node);
    }
    draft_set_feature(&draft, VIEW_LITERAL("metadata.version"), metadata_version);
    fixture->image = draft_finish(&draft, NULL);
    fetchers_show(&fixture->fetchers, fixture->image, uuid_of_halves(9, 9));
    image_release(before);
}

void fixture_set_throttled(struct follower_fixture *fixture, unsigned partition, struct view list)
{
    const struct image *before = fixture->image;
    struct replica *replica = fixture->replica[partition];
    struct image_draft draft;
    draft_begin(&draft, before);
    draft_set_config(&draft, CONFIG_RESOURCE_TOPIC, replica->topic,
                     VIEW_LITERAL("follower.replication.throttled.replicas"), list);
    fixture->image = draft_finish(&draft, NULL);
    fetchers_show(&fixture->fetchers, fixture->image, uuid_of_halves(9, 9));
    fetchers_reconfigure(&fixture->fetchers, replica);
    image_release(before);
}

static struct replica_assignment assign(int32_t leader, int32_t leader_epoch)
{
    static const int32_t all[] = {1, 2, 3};
    return (struct replica_assignment){
        .leader = leader,
        .leader_epoch = leader_epoch,
        .partition_epoch = leader_epoch,
        .replicas = {all, 3},
        .isr = {leader > 0 ? &all[leader - 1] : all, 1}, /* alone in sync */
    };
}

void fixture_follow(struct follower_fixture *fixture, unsigned partition, int32_t id,
                    int32_t leader_epoch)
{
    struct replica *replica = fixture->replica[partition];
    if (id >= 0)
        model_begin_epoch(&fixture_leader(fixture, id)->logs[partition], leader_epoch);
    const struct replica_assignment assignment = assign(id, leader_epoch);
    replica_follow(replica, &assignment);
    fetchers_follow(&fixture->fetchers, replica, id);
}

void fixture_lead(struct follower_fixture *fixture, unsigned partition, int32_t leader_epoch)
{
    const struct replica_assignment assignment = assign(FIXTURE_NODE, leader_epoch);
    replica_lead(fixture->replica[partition], &assignment);
}

static void stopped(struct follower_stop *stop)
{
    *(bool *)stop->context = true;
}

void fixture_unfollow(struct follower_fixture *fixture, unsigned partition)
{
    bool is_stopped = false;
    struct follower_stop stop = {.stopped = stopped, .context = &is_stopped};
    if (fetchers_unfollow(&fixture->fetchers, fixture->replica[partition], &stop))
        return;
    assert_false(is_stopped);
    memory_node_run(&fixture->node);
    assert_true(is_stopped);
}

/* ---- Looking ---- */

static void warmed(struct log_warm *warm)
{
    *(bool *)warm->context = true;
}

static enum log_read_status read_log(struct follower_fixture *fixture, struct partition_log *log,
                                     const struct log_read *read, struct log_slice *slice)
{
    enum log_read_status status = partition_log_read(log, read, slice);
    for (unsigned i = 0; i < 4 && status == LOG_READ_NEEDS_IO; i++) {
        bool is_warm = false;
        struct log_warm warm = {.warmed = warmed, .context = &is_warm};
        partition_log_warm(log, read, &warm);
        memory_node_run(&fixture->node);
        assert_true(is_warm);
        status = partition_log_read(log, read, slice);
    }
    return status;
}

uint8_t *fixture_read_log(struct follower_fixture *fixture, unsigned partition, size_t *size)
{
    struct partition_log *log = fixture->replica[partition]->log;
    uint8_t *bytes = malloc(1);
    struct log_read read = {.offset = partition_log_start_offset(log),
                            .max_bytes = 1024 * 1024,
                            .min_one = true,
                            .bound = LOG_READ_LOG_END};
    *size = 0;
    for (;;) {
        struct log_slice slice;
        assert_int_equal(read_log(fixture, log, &read, &slice), LOG_READ_OK);
        if (slice.size == 0)
            return bytes;
        bytes = realloc(bytes, *size + slice.size);
        assert_int_equal(log_slice_copy(&fixture->shard, &slice, 0, bytes + *size, slice.size),
                         LOG_READ_OK);
        *size += slice.size;
        read.offset = slice.next_offset;
        log_slice_release(&slice);
    }
}

void fixture_assert_same(struct follower_fixture *fixture, unsigned partition,
                         const struct model_log *log)
{
    const struct partition_log *own = fixture->replica[partition]->log;
    assert_int_equal(partition_log_end_offset(own), log->log_end);
    size_t size;
    uint8_t *bytes = fixture_read_log(fixture, partition, &size);
    size_t place = 0;
    for (size_t i = 0; i < log->batch_count; i++) {
        const struct model_batch *batch = &log->batches[i];
        if (batch->last_offset < partition_log_start_offset(own))
            continue;
        assert_true(place + batch->size <= size);
        assert_memory_equal(bytes + place, batch->bytes, batch->size);
        place += batch->size;
    }
    assert_int_equal(place, size);
    free(bytes);
}

/* What this node believes of a follower is what the session holds. */
static void assert_told(const struct fetch_session *session, unsigned partition,
                        const struct follower *follower)
{
    list_for_each(link, &session->partitions)
    {
        const struct fetch_partition *one = container_of(link, struct fetch_partition, link);
        if (partition_of(one->topic_id, one->partition) != partition)
            continue;
        if (follower->told.leader_epoch < 0)
            return; /* of a follower before */
        assert_int_equal(one->fetch_offset, follower->told.fetch_offset);
        assert_int_equal(one->leader_epoch, follower->told.leader_epoch);
        assert_int_equal(one->last_fetched_epoch, follower->told.last_fetched_epoch);
        return;
    }
    fail_msg("a follower is not in the session");
}

static void assert_session(const struct follower_fixture *fixture, const struct fetcher *fetcher)
{
    const struct fetch_session *session = fetcher->channel->session;
    if (!session) /* its connection broke while nothing was asked */
        return;
    unsigned count = map_count(&fetcher->forgotten);
    for (unsigned i = 0; i < FIXTURE_PARTITIONS; i++) {
        const struct replica *replica = fixture->replica[i];
        const struct follower *follower = replica ? replica->follower : NULL;
        if (!follower || follower->fetcher != fetcher || !follower->told.in_session)
            continue;
        count++;
        assert_told(session, i, follower);
    }
    assert_int_equal(count, map_count(&session->by_key));
}

void fixture_assert_sessions(const struct follower_fixture *fixture)
{
    list_for_each(link, &fixture->fetchers.fetchers)
    {
        const struct fetcher *fetcher = container_of(link, struct fetcher, link);
        bool is_on_its_way = fetcher->activity == FETCHER_FETCHING && !fetcher->request.is_sent;
        if (fetcher->session_epoch != 0 && !is_on_its_way)
            assert_session(fixture, fetcher);
    }
}
