/*
 * Life of a connection: order of answers, sending, closing.
 *
 * Requests stand in one list in order of arrival. An answer that is not at the head waits in its
 * request; when the head is answered, all answers up to the next open request go to the transport.
 * Freed memory, sent bytes and ended mutes call connection_pump, so that reading goes on.
 *
 * Closing: requests that are not answered are told, those that are only wait for others are
 * dropped; the stream is closed; the struct goes when the transport has finished its sends.
 */
#include "connection/connection.h"

#include "base/assert.h"
#include "connection/connection_internal.h"

enum { API_KEY_PRODUCE = 0 };

const char *connection_close_text(enum connection_close_reason reason)
{
    switch (reason) {
    case CONNECTION_CLOSE_PEER:
        return "closed by peer";
    case CONNECTION_CLOSE_FRAME_SIZE:
        return "invalid frame size";
    case CONNECTION_CLOSE_MALFORMED:
        return "malformed request";
    case CONNECTION_CLOSE_UNKNOWN_API:
        return "unsupported api or version";
    case CONNECTION_CLOSE_ACKS_ZERO:
        return "produce without acknowledgement failed";
    case CONNECTION_CLOSE_IDLE:
        return "idle";
    case CONNECTION_CLOSE_STALLED:
        return "stalled while memory was short";
    case CONNECTION_CLOSE_SHORT_FILE:
        return "file ended inside an answer";
    case CONNECTION_CLOSE_ENCODING:
        return "answer cannot be encoded";
    case CONNECTION_CLOSE_STOPPING:
        return "node stops";
    case CONNECTION_CLOSE_REASONS:
        break;
    }
    klamm_unreachable("connection close reason");
}

/* Frees a request that is answered, out of the list and not held. */
static void request_end(struct connection_request *request)
{
    if (request->holds > 0)
        return;
    struct connections *owner = request->owner;
    owner->handler->ended(request);
    if (request->borrowed)
        owner->borrowed = false;
    heap_put(owner->loop->heap, MEMORY_FRAME, request, request->held_size);
    connections_memory_freed(owner);
}

void connection_request_hold(struct connection_request *request)
{
    request->holds++;
}

void connection_request_release(struct connection_request *request)
{
    klamm_assert(request->holds > 0);
    request->holds--;
    if (request->answered && !list_is_linked(&request->link))
        request_end(request);
}

/* Bytes left, or the stream is closed: the answer's memory and leases go home. */
static void answer_sent(struct stream_send *send, enum transport_status status)
{
    (void)status;
    struct answer *answer = container_of(send, struct answer, send);
    struct connection *connection = answer->connection;
    struct connections *owner = connection->owner;
    owner->counters.sent_size += send->sent_size;
    owner->counters.sent_file_size += send->sent_file_size;
    connection->unsent_size -= answer->size;
    connection->unsent_count--;
    connection->unsent_file_count -= answer->has_file;
    answer_destroy(answer);
    connections_memory_freed(owner);
    if (connection->closing) {
        if (connection->unsent_count == 0)
            loop_defer(owner->loop, &connection->pump);
        return;
    }
    connection_touch(connection);
    if (owner->stopping && connection->request_count == 0 && connection->unsent_count == 0) {
        connection_close(connection, CONNECTION_CLOSE_STOPPING, NULL);
        return;
    }
    if (!connection->reading)
        loop_defer(owner->loop, &connection->pump);
}

static void answer_send(struct connection *connection, struct answer *answer)
{
    struct connections *owner = connection->owner;
    store_u32(answer->bytes, (uint32_t)(answer->size - ANSWER_FRAME_SIZE_BYTES));
    answer->connection = connection;
    answer->send.slices = answer->slices;
    answer->send.slice_count = answer->slice_count;
    answer->send.done = answer_sent;
    connection->unsent_size += answer->size;
    connection->unsent_count++;
    connection->unsent_file_count += answer->has_file;
    owner->counters.answers++;
    stream_send(owner->loop->transport, &connection->stream, &answer->send);
}

/* Takes the answered head out of the list. */
static void pop_request(struct connection *connection, struct connection_request *request)
{
    list_remove(&request->link);
    connection->request_count--;
    if (request->api_key != API_KEY_PRODUCE)
        connection->other_count--;
}

/* Sends every answer that no open request stands before. */
static void send_answers(struct connection *connection)
{
    while (!list_is_empty(&connection->requests)) {
        struct connection_request *request =
            container_of(connection->requests.next, struct connection_request, link);
        if (!request->answered)
            return;
        pop_request(connection, request);
        if (request->answer)
            answer_send(connection, request->answer);
        request->answer = NULL;
        request_end(request);
    }
}

void connection_answer(struct connection_request *request, struct answer *answer)
{
    klamm_assert(!request->answered);
    request->answered = true;
    struct connection *connection = request->connection;
    if (!connection) {
        if (answer)
            answer_destroy(answer);
        request_end(request);
        return;
    }
    request->answer = answer;
    send_answers(connection);
    struct connections *owner = connection->owner;
    if (owner->stopping && connection->request_count == 0 && connection->unsent_count == 0)
        connection_close(connection, CONNECTION_CLOSE_STOPPING, NULL);
    else if (!connection->reading)
        loop_defer(owner->loop, &connection->pump);
}

static void mute_over(struct timer *timer)
{
    struct connection *connection = container_of(timer, struct connection, mute);
    connection->muted = false;
    connection_pump(connection);
}

void connection_mute(struct connection *connection, uint32_t milliseconds)
{
    if (connection->closing || milliseconds == 0)
        return;
    if (connection->mute.fire == NULL)
        timer_init(&connection->mute, mute_over);
    connection->muted = true;
    loop_set_timer(connection->owner->loop, &connection->mute, milliseconds * UINT64_C(1000000));
}

static void log_close(const struct connection *connection, const char *detail)
{
    char peer[ADDRESS_TEXT_SIZE];
    enum connection_close_reason reason = connection->reason;
    bool expected = reason == CONNECTION_CLOSE_PEER || reason == CONNECTION_CLOSE_IDLE ||
                    reason == CONNECTION_CLOSE_STOPPING;
    if (expected && !detail)
        return;
    log_warn(connection->owner->loop->diagnostics, "connection closed: peer=%s reason=\"%s\"%s%s%s",
             address_format(&connection->stream.peer, peer, sizeof(peer)),
             connection_close_text(reason), detail ? " detail=\"" : "", detail ? detail : "",
             detail ? "\"" : "");
}

/* Cuts all requests off: answers that wait are dropped, open requests are told. */
static void abandon_requests(struct connection *connection)
{
    const struct connection_handler *handler = connection->owner->handler;
    while (!list_is_empty(&connection->requests)) {
        struct connection_request *request =
            container_of(connection->requests.next, struct connection_request, link);
        pop_request(connection, request);
        request->connection = NULL;
        if (!request->answered) {
            handler->abandoned(request);
            continue;
        }
        if (request->answer)
            answer_destroy(request->answer);
        request->answer = NULL;
        request_end(request);
    }
}

/* Whether what was answered before should still arrive: where this side ends the connection. */
static bool delivers_answers(enum connection_close_reason reason)
{
    return reason != CONNECTION_CLOSE_PEER && reason != CONNECTION_CLOSE_STALLED &&
           reason != CONNECTION_CLOSE_SHORT_FILE;
}

void connection_close(struct connection *connection, enum connection_close_reason reason,
                      const char *detail)
{
    struct connections *owner = connection->owner;
    if (connection->closing)
        return;
    connection->closing = true;
    connection->reason = (uint8_t)reason;
    owner->counters.closed[reason]++;
    log_close(connection, detail);
    if (connection->muted)
        timer_clear(&connection->mute);
    connections_forget(owner, connection);
    connection_drop_input(connection);
    abandon_requests(connection);
    owner->handler->closed(connection);
    if (connection->stream_open) {
        stream_close(owner->loop->transport, &connection->stream, !delivers_answers(reason));
        connection->stream_open = false;
    }
    /* Callers may still look at the struct in this phase of the turn. */
    if (connection->unsent_count == 0)
        loop_defer(owner->loop, &connection->pump);
}

void connection_finish(struct connection *connection)
{
    struct connections *owner = connection->owner;
    klamm_assert(connection->closing);
    klamm_assert(connection->unsent_count == 0);
    heap_put(owner->loop->heap, MEMORY_CONNECTION, connection, sizeof(*connection));
    connections_one_gone(owner);
}
