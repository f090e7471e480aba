#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "tests/unit/replication/follower_fixture.h"

/* ---- Channels ---- */

/* What a session's client knows of a partition; -1: nothing. */
struct told {
    int64_t high_watermark;
    int64_t log_start;
};

struct channel {
    struct list link;
    struct follower_fixture *fixture;
    struct list waiting;                  /* channel_request.link */
    struct fetch_session *session;        /* at the leader */
    struct told told[FIXTURE_PARTITIONS]; /* of the session */
    uint16_t port;
};

static struct follower_fixture *current; /* one at a time: channels are made without a context */

void model_leaders_stand_in(struct follower_fixture *fixture)
{
    current = fixture;
    list_init(&fixture->channels);
}

const struct fetch_session *model_leader_session(const struct channel *channel)
{
    return channel->session;
}

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

/* It goes with the connection, and with the request that it is busy with. */
static void end_session(struct channel *channel)
{
    struct fetch_session *session = channel->session;
    if (!session)
        return;
    bool is_busy = session->is_busy;
    fetch_session_close(session);
    if (is_busy)
        fetch_session_end(session);
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
    end_session(channel);
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

/* ---- Answers ---- */

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

/* Whether an answer has to say it; the client knows it then. */
static bool tell_news(struct told *told, const struct fetch_response_partition_data *data)
{
    bool is_news =
        told->high_watermark != data->high_watermark || told->log_start != data->log_start_offset;
    *told = (struct told){data->high_watermark, data->log_start_offset};
    return is_news;
}

/* `told`: of a session; NULL: there is none, and everything is said. */
static void answer_partition(struct model_leader *leader, struct told *told, struct answer *answer,
                             const struct fetch_ask *asked, size_t limit)
{
    unsigned partition = fixture_partition_of(asked->topic_id, asked->partition);
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
    bool must_tell = has_data || diverges || data.error_code != KAFKA_ERROR_NONE;
    bool is_news = told && tell_news(told, &data);
    answer->has_news |= must_tell || is_news;
    if (told && !must_tell && !is_news) {
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
                .topic = fixture_partition_of(request->topics[i].topic_id, asked->partition),
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

/* What is not in the session is not known to have been told when it comes back. */
static void forget_absent(struct channel *channel)
{
    bool is_there[FIXTURE_PARTITIONS] = {false};
    list_for_each(link, &channel->session->partitions)
    {
        const struct fetch_ask *ask = &container_of(link, struct fetch_partition, link)->ask;
        is_there[fixture_partition_of(ask->topic_id, ask->partition)] = true;
    }
    for (unsigned i = 0; i < FIXTURE_PARTITIONS; i++)
        if (!is_there[i])
            channel->told[i] = (struct told){-1, -1};
}

static void fill_answer(struct channel *channel, struct model_leader *leader,
                        const struct fetch_request *request, struct answer *answer)
{
    size_t limit = leader->max_bytes ? leader->max_bytes : (size_t)request->max_bytes;
    if (channel->session) {
        forget_absent(channel);
        list_for_each(link, &channel->session->partitions)
        {
            const struct fetch_ask *ask = &container_of(link, struct fetch_partition, link)->ask;
            unsigned partition = fixture_partition_of(ask->topic_id, ask->partition);
            answer_partition(leader, &channel->told[partition], answer, ask, limit);
        }
        return;
    }
    for (size_t i = 0; i < request->topics_count; i++) {
        for (size_t j = 0; j < request->topics[i].partitions_count; j++) {
            struct fetch_ask ask = {0};
            fetch_ask_fill(&ask, VIEW_LITERAL(""), request->topics[i].topic_id,
                           &request->topics[i].partitions[j]);
            answer_partition(leader, NULL, answer, &ask, limit);
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
            error = fetch_session_begin(&leader->sessions, &channel->session, fetch, true, 0x1234,
                                        &kind);
        if (kind == FETCH_SESSION_NEW)
            for (unsigned i = 0; i < FIXTURE_PARTITIONS; i++)
                channel->told[i] = (struct told){-1, -1};
        if (kind == FETCH_SESSION_NEW && leader->is_refusing_sessions) {
            fetch_session_end(channel->session);
            fetch_session_close(channel->session);
            kind = FETCH_SESSION_NONE;
        }
    }
    if (error == KAFKA_ERROR_NONE)
        fill_answer(channel, leader, fetch, answer);
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
        if (channel->session)
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
    return fixture_leader(fixture, (port - FIXTURE_PORT_BASE) % 10);
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

bool model_leaders_serve(struct follower_fixture *fixture, bool force)
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

unsigned fixture_waiting(const struct follower_fixture *fixture)
{
    unsigned count = 0;
    for (struct list *link = fixture->channels.next; link != &fixture->channels; link = link->next)
        count += !list_is_empty(&container_of(link, struct channel, link)->waiting);
    return count;
}

void fixture_break(struct follower_fixture *fixture, enum channel_status status)
{
    list_for_each_safe(link, after, &fixture->channels)
    {
        struct channel *channel = container_of(link, struct channel, link);
        end_session(channel);
        end_requests(channel, status);
    }
}
