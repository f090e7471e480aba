/*
 * Answers of a channel: reading, the order, decoding; and the negotiation of versions.
 *
 * Bytes are read behind those that are there, so an answer lies in one block from its size field
 * on; the block grows as its bytes arrive. A whole answer takes the block along (the caller may
 * keep it), and what was read behind it moves to a new one. That is rare: only where several
 * requests are in flight, and then it is at most as many answers.
 *
 * Negotiation (KIP-35, KIP-511): the highest version of ApiVersions that this node speaks; a peer
 * that does not know it answers in version 0, says UNSUPPORTED_VERSION and, if it is not too old,
 * with what to ask again.
 */
#include "base/assert.h"
#include "connection/channel_internal.h"
#include "protocol/api_info.h"
#include "protocol/errors.h"
#include "protocol/message_codec.h"
#include "protocol/messages/api_versions.h"

CHANNEL_CALL(api_versions, API_KEY_API_VERSIONS);

enum {
    FRAME_SIZE_BYTES = 4,
    CORRELATION_BYTES = 4,
    INPUT_SIZE = 4 * 1024,        /* first room of an answer */
    INPUT_SIZE_LARGE = 64 * 1024, /* where more than that came; no more is kept between answers */
    DECODED_SIZE_MIN = 16 * 1024 * 1024,
    DECODED_SIZE_FACTOR = 8 /* an answer may decode to this many times its size */
};

struct channel_version_range channel_versions_of(const struct channel *channel, int16_t api_key)
{
    if (api_key < 0 || (size_t)api_key >= channel->version_count)
        return (struct channel_version_range){1, 0};
    return channel->versions[api_key];
}

/* The peer sends what no Kafka node would. */
static void connection_broken(struct channel *channel, const char *why)
{
    char peer[ADDRESS_TEXT_SIZE];
    log_warn(channel->options.loop->diagnostics, "channel closed: peer=%s reason=\"%s\"",
             address_format(&channel->stream.peer, peer, sizeof(peer)), why);
    channel_connection_over(channel, why);
}

/* ---- Negotiation ---- */

void channel_negotiate(struct channel *channel, int16_t version)
{
    struct api_versions_request message;
    api_versions_request_init(&message);
    message.client_software_name = VIEW_LITERAL("klamm");
    message.client_software_version = VIEW_LITERAL(KLAMM_VERSION);
    channel->negotiation_version = version;
    channel->negotiation_id = channel_take_correlation_id(channel);
    bool written =
        channel_write(channel, &api_versions_call, &message, version, channel->negotiation_id);
    klamm_assert(written);
}

static void note_versions(struct channel *channel, const struct api_versions_response *response)
{
    for (size_t i = 0; i < channel->version_count; i++)
        channel->versions[i] = (struct channel_version_range){1, 0};
    for (size_t i = 0; i < response->api_keys_count; i++) {
        const struct api_versions_response_api_version *api = &response->api_keys[i];
        if (api->api_key >= 0 && (size_t)api->api_key < channel->version_count)
            channel->versions[api->api_key] =
                (struct channel_version_range){api->min_version, api->max_version};
    }
}

/* What to ask a peer with that does not know the version before. */
static int16_t version_to_ask_again(const struct channel *channel,
                                    const struct api_versions_response *response)
{
    for (size_t i = 0; i < response->api_keys_count; i++) {
        const struct api_versions_response_api_version *api = &response->api_keys[i];
        if (api->api_key == API_KEY_API_VERSIONS && api->max_version > 0 &&
            api->max_version < channel->negotiation_version)
            return api->max_version;
    }
    return 0;
}

static void negotiation_answered(struct channel *channel, struct reader in, struct arena *arena)
{
    struct reader ahead = in;
    int16_t error = read_i16(&ahead);
    int16_t asked = channel->negotiation_version;
    bool again = error == KAFKA_ERROR_UNSUPPORTED_VERSION && asked > 0;
    struct api_versions_response response;
    if (!api_versions_response_decode(&response, &in, again ? 0 : asked, arena))
        connection_broken(channel, "answer to ApiVersions cannot be decoded");
    else if (again)
        channel_negotiate(channel, version_to_ask_again(channel, &response));
    else if (error != KAFKA_ERROR_NONE)
        connection_broken(channel, "ApiVersions refused");
    else {
        note_versions(channel, &response);
        channel_ready(channel);
    }
}

static void channel_connected(struct stream *stream)
{
    struct channel *channel = container_of(stream, struct channel, stream);
    channel->state = CHANNEL_NEGOTIATING;
    channel_negotiate(channel, api_info_find(API_KEY_API_VERSIONS)->version_max);
}

/* ---- Answers ---- */

/* The response struct, or NULL when the bytes are not one of this version. */
static void *decode(const struct channel_call *call, int16_t version, struct reader *in,
                    struct arena *arena)
{
    const struct api_info *info = api_info_find(call->api_key);
    void *response = arena_get_array(arena, 1, call->response_size);
    if (!response)
        return NULL;
    if (api_info_response_header_version(info, version) >= 1 && !message_skip_tags(in))
        return NULL;
    return call->decode(response, in, version, arena) ? response : NULL;
}

static void tell_answer(struct channel *channel, struct channel_request *request, struct reader *in,
                        struct channel_frame *frame)
{
    int16_t version = (int16_t)request->message_version;
    const void *response = decode(request->call, version, in, &frame->arena);
    if (!response) {
        channel_end_request(channel, request, CHANNEL_MALFORMED);
        connection_broken(channel, "answer cannot be decoded");
        return;
    }
    request->channel = NULL;
    request->is_sent = false;
    request->frame = frame;
    channel->in_done = true;
    request->done(request, CHANNEL_OK, response);
    channel->in_done = false;
}

static void answer_arrived(struct channel *channel, struct channel_frame *frame,
                           uint32_t frame_size)
{
    struct reader in = reader_of(view_of(frame->bytes + FRAME_SIZE_BYTES, frame_size));
    int32_t correlation_id = read_i32(&in);
    if (channel->state == CHANNEL_NEGOTIATING) {
        if (correlation_id == channel->negotiation_id)
            negotiation_answered(channel, in, &frame->arena);
        else
            connection_broken(channel, "answer out of order");
        return;
    }
    struct channel_flight *flight = &channel->flights[channel->flight_first];
    if (channel->flight_count == 0 || flight->correlation_id != correlation_id) {
        connection_broken(channel, "answer out of order");
        return;
    }
    struct channel_request *request = flight->request;
    channel->flight_first = (channel->flight_first + 1) % channel->options.in_flight_max;
    channel->flight_count--;
    if (request)
        tell_answer(channel, request, &in, frame);
}

/* ---- Bytes ---- */

void channel_drop_input(struct channel *channel)
{
    heap_put(channel->options.loop->heap, MEMORY_SCRATCH, channel->input, channel->input_capacity);
    channel->input = NULL;
    channel->input_capacity = 0;
    channel->input_filled = 0;
}

/* Moves the first answer with its block out; what lies behind it gets a block of its own. */
static struct channel_frame take_frame(struct channel *channel, uint32_t end)
{
    struct heap *heap = channel->options.loop->heap;
    struct channel_frame frame = {
        .heap = heap, .bytes = channel->input, .held_size = channel->input_capacity};
    size_t limit = DECODED_SIZE_MIN + (size_t)DECODED_SIZE_FACTOR * end;
    arena_init(&frame.arena, heap, MEMORY_SCRATCH, limit);
    uint32_t rest = channel->input_filled - end;
    channel->expects_large = end > INPUT_SIZE;
    channel->input = NULL;
    channel->input_capacity = 0;
    channel->input_filled = 0;
    if (rest > 0) {
        channel->input_capacity = rest > INPUT_SIZE ? rest : INPUT_SIZE;
        channel->input = heap_must_get(heap, MEMORY_SCRATCH, channel->input_capacity);
        memcpy(channel->input, frame.bytes + end, rest);
        channel->input_filled = rest;
    }
    return frame;
}

/* After `done`: the block serves the next answer, unless it was kept or is too large to keep. */
static void put_frame(struct channel *channel, struct channel_frame *frame)
{
    if (frame->bytes && !channel->input && frame->held_size <= INPUT_SIZE_LARGE &&
        channel->stream_open) {
        channel->input = frame->bytes;
        channel->input_capacity = frame->held_size;
        frame->bytes = NULL;
    }
    channel_release_frame(frame);
}

/* True when an answer was worked on. */
static bool take_answer(struct channel *channel)
{
    if (channel->input_filled < FRAME_SIZE_BYTES)
        return false;
    uint32_t frame_size = load_u32(channel->input);
    if (frame_size < CORRELATION_BYTES || frame_size > channel->options.frame_size_limit) {
        connection_broken(channel, "invalid frame size");
        return false;
    }
    if (channel->input_filled - FRAME_SIZE_BYTES < frame_size)
        return false;
    struct channel_frame frame = take_frame(channel, FRAME_SIZE_BYTES + frame_size);
    answer_arrived(channel, &frame, frame_size);
    put_frame(channel, &frame);
    return true;
}

/* How large the block must be for the answer that is being read; the next step, not the whole. */
static uint32_t wanted_capacity(const struct channel *channel)
{
    if (!channel->input)
        return channel->expects_large ? INPUT_SIZE_LARGE : INPUT_SIZE;
    if (channel->input_filled < channel->input_capacity)
        return channel->input_capacity;
    uint64_t end = FRAME_SIZE_BYTES + (uint64_t)load_u32(channel->input);
    uint64_t next = 2 * (uint64_t)channel->input_capacity;
    if (next < INPUT_SIZE_LARGE)
        next = INPUT_SIZE_LARGE;
    return (uint32_t)(next < end ? next : end);
}

static bool reserve_input(struct channel *channel)
{
    struct heap *heap = channel->options.loop->heap;
    uint32_t capacity = wanted_capacity(channel);
    if (capacity == channel->input_capacity)
        return true;
    uint8_t *block = channel->input ? heap_resize(heap, MEMORY_SCRATCH, channel->input,
                                                  channel->input_capacity, capacity)
                                    : heap_get(heap, MEMORY_SCRATCH, capacity);
    if (!block)
        return false;
    channel->input = block;
    channel->input_capacity = capacity;
    return true;
}

static size_t channel_space(struct stream *stream, uint8_t **place)
{
    struct channel *channel = container_of(stream, struct channel, stream);
    if (!reserve_input(channel)) {
        channel->out_of_memory = true;
        loop_defer(channel->options.loop, &channel->settle);
        return 0;
    }
    *place = channel->input + channel->input_filled;
    return channel->input_capacity - channel->input_filled;
}

static void channel_received(struct stream *stream, size_t size)
{
    struct channel *channel = container_of(stream, struct channel, stream);
    uint32_t connection = channel->connection_count;
    channel->input_filled += (uint32_t)size;
    while (channel->connection_count == connection && take_answer(channel))
        continue;
    channel_settle(channel);
}

static void channel_closed(struct stream *stream, enum transport_status why)
{
    struct channel *channel = container_of(stream, struct channel, stream);
    channel->stream_open = false;
    channel_connection_over(channel, transport_status_text(why));
    channel_settle(channel);
}

const struct stream_events channel_stream_events = {
    .space = channel_space,
    .received = channel_received,
    .connected = channel_connected,
    .closed = channel_closed,
};

void channel_keep_frame(struct channel_request *request, struct channel_frame *frame)
{
    klamm_assert(request->frame != NULL);
    *frame = *request->frame;
    *request->frame = (struct channel_frame){0};
    request->frame = NULL;
}

void channel_release_frame(struct channel_frame *frame)
{
    if (frame->arena.heap)
        arena_deinit(&frame->arena);
    if (frame->bytes)
        heap_put(frame->heap, MEMORY_SCRATCH, frame->bytes, frame->held_size);
    *frame = (struct channel_frame){0};
}
