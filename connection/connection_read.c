/*
 * Reading frames.
 *
 * Bytes arrive either in the loop's shared read buffer (small frames, many in one read) or right in
 * the block of the frame that they complete (large frames, no copy). connection_pump works through
 * what is there: collect the size field, collect the frame, start the request. Where it has to stop
 * (order, memory, unsent answers, turn budget) the rest of the read buffer is kept in a block of
 * its own and reading is switched off; whatever ends the reason calls connection_pump again.
 *
 * The block of a frame has the handler's request struct in front, so a request costs one
 * allocation. Frames up to FRAME_AT_ONCE get their block at once as long as half of the memory for
 * frames is free, because growing copies; otherwise blocks grow with the bytes that arrived, so an
 * announced size alone holds nothing.
 */
#include <stdio.h>

#include "base/assert.h"
#include "connection/connection_internal.h"

enum { FRAME_AT_ONCE = 1024 * 1024, FRAME_FIRST = 4096, API_KEY_PRODUCE = 0 };
/* Behind a frame of FRAME_LARGE only so much goes through the shared buffer and is copied. */
enum { FRAME_LARGE = 128 * 1024, READ_SIZE_BEFORE_LARGE = 4096 };

void connection_drop_input(struct connection *connection)
{
    struct connections *owner = connection->owner;
    struct heap *heap = owner->loop->heap;
    if (connection->input_held)
        heap_put(heap, MEMORY_FRAME, connection->input, connection->input_size);
    connection->input = NULL;
    connection->input_size = 0;
    connection->input_taken = 0;
    connection->input_held = false;
    heap_put(heap, MEMORY_FRAME, connection->block, connection->block_size);
    connection->block = NULL;
    connection->block_size = 0;
    if (connection->block_borrowed)
        owner->borrowed = false;
    connection->block_borrowed = false;
    connection->head_size = 0;
    connection->frame_filled = 0;
    connections_memory_freed(owner);
}

static void set_reading(struct connection *connection, bool on)
{
    if (connection->reading == on)
        return;
    connection->reading = on;
    stream_set_reading(connection->owner->loop->transport, &connection->stream, on);
}

/* Moves the frame's block to `frame_capacity` bytes of frame; false when refused. */
static bool resize_block(struct connection *connection, size_t frame_capacity)
{
    struct connections *owner = connection->owner;
    size_t size = owner->options.request_size + frame_capacity;
    void *block = connection->block ? heap_resize(owner->loop->heap, MEMORY_FRAME,
                                                  connection->block, connection->block_size, size)
                                    : heap_get(owner->loop->heap, MEMORY_FRAME, size);
    if (!block)
        return false;
    connection->block = block;
    connection->block_size = (uint32_t)size;
    return true;
}

/* Takes the whole frame's memory above the limit; one frame of a loop may. */
static bool borrow_block(struct connection *connection)
{
    struct connections *owner = connection->owner;
    struct heap *heap = owner->loop->heap;
    if (owner->borrowed)
        return false;
    uint64_t limit = heap->limit[MEMORY_FRAME];
    heap->limit[MEMORY_FRAME] = 0;
    bool done = resize_block(connection, connection->frame_size);
    heap->limit[MEMORY_FRAME] = limit;
    if (!done)
        return false;
    owner->borrowed = true;
    owner->counters.borrowed_frames++;
    connection->block_borrowed = true;
    return true;
}

static size_t frame_capacity(const struct connection *connection)
{
    return connection->block ? connection->block_size - connection->owner->options.request_size : 0;
}

/* Makes room for `needed` bytes of the frame; false: the connection waits for memory now. */
static bool reserve_frame(struct connection *connection, size_t needed)
{
    size_t capacity = frame_capacity(connection);
    if (capacity >= needed)
        return true;
    struct connections *owner = connection->owner;
    const struct heap *heap = owner->loop->heap;
    size_t whole = connection->frame_size;
    size_t wanted;
    if (heap->used[MEMORY_FRAME] < owner->options.frame_memory / 2 && needed <= FRAME_AT_ONCE) {
        wanted = whole < FRAME_AT_ONCE ? whole : FRAME_AT_ONCE;
    } else {
        wanted = 2 * capacity > FRAME_FIRST ? 2 * capacity : FRAME_FIRST;
        wanted = wanted > needed ? wanted : needed;
        wanted = wanted < whole ? wanted : whole;
    }
    if (resize_block(connection, wanted) || borrow_block(connection))
        return true;
    connection_wait(connection);
    return false;
}

static bool check_frame_size(struct connection *connection)
{
    int32_t size = load_i32(connection->head);
    if (size > 0 && (uint32_t)size <= connection->owner->options.frame_size_limit) {
        connection->frame_size = (uint32_t)size;
        connection->frame_filled = 0;
        return true;
    }
    char text[64];
    snprintf(text, sizeof(text), "size field %d, allowed is 1 to %u", size,
             connection->owner->options.frame_size_limit);
    connection_close(connection, CONNECTION_CLOSE_FRAME_SIZE, text);
    return false;
}

static bool frame_is_begun(const struct connection *connection)
{
    return connection->head_size == sizeof(connection->head);
}

static bool frame_is_whole(const struct connection *connection)
{
    return frame_is_begun(connection) && connection->frame_filled == connection->frame_size;
}

/* Parses input up to the end of one frame; false: closed, or waiting for memory. */
static bool take_input(struct connection *connection)
{
    while (connection->head_size < sizeof(connection->head)) {
        if (connection->input_taken == connection->input_size)
            return true;
        connection->head[connection->head_size++] = connection->input[connection->input_taken++];
        if (frame_is_begun(connection) && !check_frame_size(connection))
            return false;
    }
    size_t left = connection->input_size - connection->input_taken;
    size_t missing = connection->frame_size - connection->frame_filled;
    size_t take = left < missing ? left : missing;
    if (take == 0)
        return true;
    if (!reserve_frame(connection, connection->frame_filled + take))
        return false;
    memcpy(connection->block + connection->owner->options.request_size + connection->frame_filled,
           connection->input + connection->input_taken, take);
    connection->frame_filled += (uint32_t)take;
    connection->input_taken += (uint32_t)take;
    return true;
}

/* Key, version, correlation id and client id; the client id has the same form in every version. */
static bool parse_header(struct connection_request *request)
{
    struct reader reader = reader_of(view_of(request->frame, request->frame_size));
    request->api_key = read_i16(&reader);
    request->api_version = read_i16(&reader);
    request->correlation_id = read_i32(&reader);
    int16_t client_id_size = read_i16(&reader);
    if (client_id_size >= 0) {
        const uint8_t *text = reader_take(&reader, (size_t)client_id_size);
        request->client_id = view_of(text, text ? (size_t)client_id_size : 0);
    } else {
        request->client_id = VIEW_NULL;
    }
    if (reader.failed || client_id_size < -1)
        return false;
    request->body = view_of(reader.next, reader_left(&reader));
    return true;
}

/* Turns the whole frame into a request and hands it over. */
static void start_request(struct connection *connection)
{
    struct connections *owner = connection->owner;
    struct connection_request *request = (struct connection_request *)(void *)connection->block;
    *request = (struct connection_request){
        .connection = connection,
        .owner = owner,
        .frame = connection->block + owner->options.request_size,
        .frame_size = connection->frame_size,
        .held_size = connection->block_size,
        .received_ns = owner->loop->now_ns,
        .borrowed = connection->block_borrowed,
    };
    connection->turn_frames++;
    connection->expects_large = connection->frame_size >= FRAME_LARGE;
    owner->counters.frames++;
    if (!parse_header(request)) {
        char text[64];
        snprintf(text, sizeof(text), "request header in a frame of %u bytes",
                 connection->frame_size);
        connection_close(connection, CONNECTION_CLOSE_MALFORMED, text);
        return;
    }
    connection->block = NULL;
    connection->block_size = 0;
    connection->block_borrowed = false;
    connection->head_size = 0;
    connection->frame_filled = 0;
    list_push_back(&connection->requests, &request->link);
    connection->request_count++;
    connection->other_count += request->api_key != API_KEY_PRODUCE;
    owner->handler->request(request);
}

/* Invariants 2 and 3. Where the answer is no, whatever changes it calls connection_pump. */
static bool may_start(struct connection *connection)
{
    struct connections *owner = connection->owner;
    struct loop *loop = owner->loop;
    if (connection->muted || connection->unsent_size >= CONNECTION_UNSENT_LIMIT ||
        connection->unsent_file_count > 0 || owner->stopping)
        return false;
    if (connection->request_count > 0) {
        const uint8_t *frame = connection->block + owner->options.request_size;
        bool produce = connection->frame_size >= 2 && load_i16(frame) == API_KEY_PRODUCE;
        if (!produce || connection->other_count > 0 ||
            connection->request_count >= CONNECTION_PRODUCE_OVERLAP)
            return false;
    }
    if (connections_answers_full(owner)) {
        connection_wait(connection);
        return false;
    }
    if (connection->turn != loop->counters.turns) {
        connection->turn = loop->counters.turns;
        connection->turn_frames = 0;
    }
    if (connection->turn_frames >= CONNECTION_TURN_FRAMES) {
        loop_defer(loop, &connection->pump);
        return false;
    }
    return true;
}

/* Keeps the rest of the shared read buffer, which the next connection of this turn overwrites. */
static void hold_input(struct connection *connection)
{
    uint32_t left = connection->input_size - connection->input_taken;
    if (connection->input_held || !connection->input)
        return;
    const uint8_t *rest = connection->input + connection->input_taken;
    connection->input = NULL;
    connection->input_size = 0;
    connection->input_taken = 0;
    if (left == 0)
        return;
    struct heap *heap = connection->owner->loop->heap;
    uint64_t limit = heap->limit[MEMORY_FRAME];
    heap->limit[MEMORY_FRAME] = 0; /* connection_space left room for one read buffer */
    uint8_t *held = heap_get(heap, MEMORY_FRAME, left);
    heap->limit[MEMORY_FRAME] = limit;
    klamm_assert(held != NULL);
    memcpy(held, rest, left);
    connection->input = held;
    connection->input_size = left;
    connection->input_held = true;
}

/* Forgets input that is parsed to its end. */
static void drop_parsed_input(struct connection *connection)
{
    if (!connection->input || connection->input_taken < connection->input_size)
        return;
    if (connection->input_held) {
        heap_put(connection->owner->loop->heap, MEMORY_FRAME, connection->input,
                 connection->input_size);
        connections_memory_freed(connection->owner);
    }
    connection->input = NULL;
    connection->input_size = 0;
    connection->input_taken = 0;
    connection->input_held = false;
}

/* True when everything that was read is parsed and started: more may be read. */
static bool work_through(struct connection *connection)
{
    while (!connection->closing) {
        if (frame_is_whole(connection)) {
            if (!may_start(connection))
                return false;
            start_request(connection);
            continue;
        }
        drop_parsed_input(connection);
        if (!connection->input)
            return true;
        if (!take_input(connection))
            return false;
    }
    return false;
}

void connection_pump(struct connection *connection)
{
    if (connection->closing || list_is_linked(&connection->wait_link))
        return;
    bool read_more = work_through(connection);
    if (connection->closing)
        return;
    hold_input(connection);
    set_reading(connection, read_more);
}

static size_t connection_space(struct stream *stream, uint8_t **place)
{
    struct connection *connection = container_of(stream, struct connection, stream);
    struct connections *owner = connection->owner;
    if (connection->closing || connection->input) {
        connection->reading = false;
        return 0;
    }
    if (frame_is_begun(connection) && connection->frame_filled > 0) {
        if (!reserve_frame(connection, connection->frame_filled + 1u)) {
            connection->reading = false;
            return 0;
        }
        *place = connection->block + owner->options.request_size + connection->frame_filled;
        size_t capacity = frame_capacity(connection);
        size_t end = capacity < connection->frame_size ? capacity : connection->frame_size;
        return end - connection->frame_filled;
    }
    if (owner->options.frame_memory &&
        owner->loop->heap->used[MEMORY_FRAME] >= owner->options.frame_memory) {
        connection_wait(connection);
        connection->reading = false;
        return 0;
    }
    *place = owner->read_buffer;
    return connection->expects_large ? READ_SIZE_BEFORE_LARGE : CONNECTION_READ_SIZE;
}

static void connection_received(struct stream *stream, size_t size)
{
    struct connection *connection = container_of(stream, struct connection, stream);
    if (connection->closing)
        return;
    connection->owner->counters.received_size += size;
    connection_touch(connection);
    if (frame_is_begun(connection) && connection->frame_filled > 0) {
        connection->frame_filled += (uint32_t)size;
    } else {
        connection->input = connection->owner->read_buffer;
        connection->input_size = (uint32_t)size;
        connection->input_taken = 0;
        connection->input_held = false;
    }
    connection_pump(connection);
}

static void connection_closed(struct stream *stream, enum transport_status why)
{
    struct connection *connection = container_of(stream, struct connection, stream);
    connection->stream_open = false;
    connection_close(
        connection,
        why == TRANSPORT_SHORT_FILE ? CONNECTION_CLOSE_SHORT_FILE : CONNECTION_CLOSE_PEER,
        why == TRANSPORT_CLOSED || why == TRANSPORT_RESET ? NULL : transport_status_text(why));
}

const struct stream_events connection_stream_events = {
    .space = connection_space,
    .received = connection_received,
    .closed = connection_closed,
};
