/* See the header. */
#include "channel_fixture.h"

#include <stdlib.h>

CHANNEL_CALL(heartbeat, API_KEY_HEARTBEAT);

static void ask_done(struct channel_request *request, enum channel_status status,
                     const void *response)
{
    struct ask *ask = request->context;
    struct fixture *fixture = ask->fixture;
    assert_false(fixture->in_call);
    assert_true((status == CHANNEL_OK) == (response != NULL));
    assert_true(fixture->told_count < TOLD_MAX);
    fixture->told[fixture->told_count++] = ask;
    ask->times++;
    ask->last = status;
    ask->error = -1;
    if (response && request->call->api_key == API_KEY_HEARTBEAT) {
        ask->response = response;
        ask->error = ask->response->error_code;
    }
    if (ask->keeps && status == CHANNEL_OK)
        channel_keep_frame(request, &ask->kept);
    if (ask->cancels)
        channel_cancel(&ask->cancels->request);
    if (ask->moves_to)
        channel_set_address(fixture->channel, VIEW_LITERAL("elsewhere"), ask->moves_to);
    if (ask->again) {
        ask->again = false;
        channel_send(fixture->channel, request);
    }
}

struct channel_options standard(void)
{
    return (struct channel_options){
        .host = VIEW_LITERAL("other"),
        .port = 9093,
        .client_id = VIEW_LITERAL("node-1"),
        .request_timeout_ns = UINT64_C(2000) * 1000000,
        .connect_timeout_ns = UINT64_C(1000) * 1000000,
        .backoff_ns = UINT64_C(100) * 1000000,
        .backoff_max_ns = UINT64_C(400) * 1000000,
    };
}

struct fixture *fixture_create(struct channel_options options)
{
    struct fixture *fixture = calloc(1, sizeof(*fixture));
    memory_transport_init(&fixture->transport);
    options.loop = &fixture->transport.loop;
    fixture->channel = channel_create(&options);
    fixture->scratch = malloc(SCRATCH_SIZE);
    for (unsigned i = 0; i < ASKS_MAX; i++) {
        struct ask *ask = &fixture->asks[i];
        ask->fixture = fixture;
        heartbeat_request_init(&ask->heartbeat);
        ask->heartbeat.group_id = VIEW_LITERAL("group");
        ask->heartbeat.member_id = VIEW_LITERAL("member");
        ask->heartbeat.generation_id = (int32_t)i;
        metadata_request_init(&ask->metadata);
        ask->request = (struct channel_request){
            .call = &heartbeat_call,
            .message = &ask->heartbeat,
            .version_max = 4,
            .done = ask_done,
            .context = ask,
        };
    }
    return fixture;
}

void fixture_destroy(struct fixture *fixture)
{
    if (fixture->channel)
        channel_close(fixture->channel);
    for (unsigned i = 0; i < ASKS_MAX; i++)
        channel_release_frame(&fixture->asks[i].kept);
    for (unsigned i = 0; i < PIPES_MAX; i++)
        if (fixture->transport.pipes[i].first)
            release_sends(&fixture->transport, i);
    assert_int_equal(timer_wheel_next_ns(&fixture->transport.loop.timers), UINT64_MAX);
    assert_true(list_is_empty(&fixture->transport.loop.deferred));
    for (int i = 0; i < MEMORY_CLASSES; i++)
        assert_int_equal(fixture->transport.heap.used[i], 0);
    memory_transport_deinit(&fixture->transport);
    free(fixture->scratch);
    free(fixture);
}

void send_ask(struct fixture *fixture, unsigned number)
{
    fixture->in_call = true;
    channel_send(fixture->channel, &fixture->asks[number].request);
    fixture->in_call = false;
}

void turn(struct fixture *fixture, uint64_t milliseconds)
{
    memory_turn(&fixture->transport, milliseconds);
}

struct request_header take_request(struct fixture *fixture, unsigned index, struct reader *body)
{
    release_sends(&fixture->transport, index);
    const struct pipe *pipe = &fixture->transport.pipes[index];
    size_t left = pipe->sent_size - fixture->taken[index];
    assert_true(left >= 4);
    const uint8_t *bytes = pipe->sent + fixture->taken[index];
    uint32_t size = load_u32(bytes);
    assert_true(left - 4 >= size);
    fixture->taken[index] += 4 + size;
    struct reader in = reader_of(view_of(bytes + 4, size));
    int16_t key = load_i16(bytes + 4);
    int16_t version = load_i16(bytes + 6);
    struct request_header header;
    assert_true(request_header_decode(
        &header, &in, api_info_request_header_version(api_info_find(key), version), NULL));
    if (body)
        *body = in;
    return header;
}

bool nothing_sent(struct fixture *fixture, unsigned index)
{
    release_sends(&fixture->transport, index);
    return fixture->transport.pipes[index].sent_size == fixture->taken[index];
}

size_t put_answer(struct fixture *fixture, int16_t api_key, int16_t version, int32_t correlation_id,
                  const void *response, size_t offset)
{
    uint8_t *bytes = fixture->scratch + offset;
    struct message_writer out = message_writer_of(bytes + 4, SCRATCH_SIZE - offset - 4);
    write_i32(&out.bytes, correlation_id);
    if (api_info_response_header_version(api_info_find(api_key), version) >= 1)
        write_u8(&out.bytes, 0);
    if (api_key == API_KEY_HEARTBEAT)
        heartbeat_response_encode(response, &out, version);
    else if (api_key == API_KEY_METADATA)
        metadata_response_encode(response, &out, version);
    else
        api_versions_response_encode(response, &out, version);
    assert_false(message_writer_failed(&out));
    store_u32(bytes, (uint32_t)out.bytes.size);
    return 4 + out.bytes.size;
}

size_t put_heartbeat(struct fixture *fixture, int16_t version, int32_t correlation_id,
                     int16_t error, size_t offset)
{
    struct heartbeat_response response;
    heartbeat_response_init(&response);
    response.error_code = error;
    return put_answer(fixture, API_KEY_HEARTBEAT, version, correlation_id, &response, offset);
}

void answer_versions(struct fixture *fixture, unsigned index, int16_t version,
                     int32_t correlation_id, int16_t error,
                     const struct api_versions_response_api_version *list, size_t count)
{
    struct api_versions_response_api_version copy[ALL_VERSIONS];
    memcpy(copy, list, count * sizeof(*list));
    struct api_versions_response response;
    api_versions_response_init(&response);
    response.error_code = error;
    response.api_keys = copy;
    response.api_keys_count = count;
    size_t size = put_answer(fixture, API_KEY_API_VERSIONS, version, correlation_id, &response, 0);
    peer_send(&fixture->transport, index, fixture->scratch, size);
}

const struct api_versions_response_api_version all_versions[ALL_VERSIONS] = {
    {API_KEY_METADATA, 0, 13}, {API_KEY_HEARTBEAT, 0, 4}, {API_KEY_API_VERSIONS, 0, 4}};

void accept_with(struct fixture *fixture, unsigned index,
                 const struct api_versions_response_api_version *list, size_t count)
{
    peer_accept(&fixture->transport, index);
    struct request_header header = take_request(fixture, index, NULL);
    assert_int_equal(header.request_api_key, API_KEY_API_VERSIONS);
    answer_versions(fixture, index, header.request_api_version, header.correlation_id, 0, list,
                    count);
}

void accept_whole(struct fixture *fixture, unsigned index)
{
    accept_with(fixture, index, all_versions, ALL_VERSIONS);
    assert_true(channel_is_connected(fixture->channel));
}

void serve(struct fixture *fixture, unsigned index, int16_t error)
{
    struct request_header header = take_request(fixture, index, NULL);
    assert_int_equal(header.request_api_key, API_KEY_HEARTBEAT);
    size_t size =
        put_heartbeat(fixture, header.request_api_version, header.correlation_id, error, 0);
    peer_send(&fixture->transport, index, fixture->scratch, size);
}

void expect(const struct fixture *fixture, unsigned number, unsigned times,
            enum channel_status status)
{
    const struct ask *ask = &fixture->asks[number];
    assert_int_equal(ask->times, times);
    if (times > 0)
        assert_int_equal(ask->last, status);
}
