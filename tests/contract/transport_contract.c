/*
 * Promises of runtime/transport.h. One node is both sides: loop 0 listens and hands what it accepts
 * to loop 1, which echoes, while loop 0 also plays the client.
 */
#include <stdio.h>
#include <string.h>

#include "tests/contract/contract.h"

enum { FILE_SIZE = 300 * 1024, BLOCK = 4096, HEADER = 13 };

/* The server answers each byte: a header, a file range, a small range, a trailer. */
struct service {
    struct contract *contract;
    struct listener listener;
    struct stream server; /* on loop 1 */
    struct stream client; /* on loop 0 */
    struct message handover;
    struct accepted_stream accepted;
    struct storage_request open, write;
    struct storage_buffer buffer;
    struct storage_file *file;
    struct stream_send question;
    struct slice question_slice;
    uint8_t *content; /* FILE_SIZE */
    uint8_t block[BLOCK];
    uint8_t request[16];
    char path[256];
    size_t requested; /* bytes that the server has */
    size_t received;  /* bytes that the client has */
    size_t expected;
    unsigned sends_done;
    unsigned closed_calls;
    bool client_closed, cut_short, evicts;
    enum transport_status why;
};

static const char header[] = "--- header ---";

/* The byte at a position of one answer. */
static uint8_t byte_at(const struct service *service, size_t position)
{
    if (position < HEADER)
        return (uint8_t)header[position];
    position -= HEADER;
    if (position < FILE_SIZE)
        return service->content[position];
    position -= FILE_SIZE;
    if (position < 100)
        return service->content[1000 + position];
    return (uint8_t)'.';
}

enum { ANSWER = HEADER + FILE_SIZE + 100 + 1 };

/* A send with the way back to its service. */
static void end_case(struct service *service)
{
    transport_unlisten(service->contract->loops[0]->transport, &service->listener);
    contract_end(service->contract, service->contract->loops[0]);
}

/* ---- The server, on loop 1 ---- */

struct answer {
    struct stream_send send;
    struct service *service;
    struct slice slices[4];
};

static void answer_done(struct stream_send *send, enum transport_status status)
{
    struct answer *answer = container_of(send, struct answer, send);
    struct service *service = answer->service;
    CHECK(service->contract, status == (service->cut_short ? TRANSPORT_CLOSED : TRANSPORT_OK));
    CHECK(service->contract, service->cut_short || send->sent_size == ANSWER);
    CHECK(service->contract, service->closed_calls == 0);
    service->sends_done++;
    struct heap *heap = service->contract->loops[1]->heap;
    heap_put(heap, MEMORY_STATE, answer, sizeof(*answer));
}

static void send_answer(struct service *service)
{
    struct loop *loop = service->contract->loops[1];
    struct answer *answer = heap_must_get(loop->heap, MEMORY_STATE, sizeof(*answer));
    uint64_t extra = service->cut_short ? FILE_SIZE : 0; /* more than the file has */
    *answer = (struct answer){
        .service = service,
        .slices = {{.kind = SLICE_MEMORY, .data = (const uint8_t *)header, .size = HEADER},
                   {.kind = SLICE_FILE, .file = service->file, .offset = extra, .size = FILE_SIZE},
                   {.kind = SLICE_FILE, .file = service->file, .offset = 1000, .size = 100},
                   {.kind = SLICE_MEMORY, .data = (const uint8_t *)".", .size = 1}}};
    answer->send =
        (struct stream_send){.slices = answer->slices, .slice_count = 4, .done = answer_done};
    stream_send(loop->transport, &service->server, &answer->send);
    CHECK(service->contract, service->sends_done < 3); /* not inside the call */
}

static size_t server_space(struct stream *stream, uint8_t **place)
{
    struct service *service = container_of(stream, struct service, server);
    *place = service->request + service->requested;
    return sizeof(service->request) - service->requested;
}

static void server_received(struct stream *stream, size_t size)
{
    struct service *service = container_of(stream, struct service, server);
    for (size_t i = 0; i < size; i++)
        CHECK(service->contract, service->request[service->requested + i] == 'q');
    service->requested += size;
    for (size_t i = 0; i < size; i++)
        send_answer(service);
}

static void server_closed(struct stream *stream, enum transport_status why)
{
    struct service *service = container_of(stream, struct service, server);
    service->closed_calls++;
    service->why = why;
    struct message *message = &service->handover;
    loop_post(service->contract->loops[1], 0, message);
}

static const struct stream_events server_events = {
    .space = server_space, .received = server_received, .closed = server_closed};

static void server_gone(struct message *message, struct loop *at)
{
    (void)at;
    struct service *service = container_of(message, struct service, handover);
    CHECK(service->contract, service->closed_calls == 1);
    if (service->cut_short)
        CHECK(service->contract, service->why == TRANSPORT_SHORT_FILE);
    else
        CHECK(service->contract,
              service->why == TRANSPORT_CLOSED || service->why == TRANSPORT_RESET);
    CHECK(service->contract, service->sends_done == (service->cut_short ? 1 : 3));
    if (!service->cut_short || service->client_closed)
        end_case(service);
    else
        service->client_closed = true;
}

static void adopt(struct message *message, struct loop *at)
{
    struct service *service = container_of(message, struct service, handover);
    service->server.events = &server_events;
    CHECK(service->contract,
          transport_adopt(at->transport, &service->server, &service->accepted) == TRANSPORT_OK);
    CHECK(service->contract, service->server.local.port == service->listener.local.port);
    CHECK(service->contract, service->server.peer.family != 0);
    message->deliver = server_gone;
}

/* ---- The client, on loop 0 ---- */

static void accepted(struct listener *listener, const struct accepted_stream *stream)
{
    struct service *service = container_of(listener, struct service, listener);
    service->accepted = *stream;
    service->handover = (struct message){.deliver = adopt};
    loop_post(service->contract->loops[0], 1, &service->handover);
}

static const struct listener_events listener_events = {accepted};

static size_t client_space(struct stream *stream, uint8_t **place)
{
    struct service *service = container_of(stream, struct service, client);
    *place = service->block;
    return BLOCK;
}

static void client_received(struct stream *stream, size_t size)
{
    struct service *service = container_of(stream, struct service, client);
    CHECK(service->contract, size > 0 && size <= BLOCK);
    for (size_t i = 0; i < size; i++) {
        uint8_t right = byte_at(service, (service->received + i) % ANSWER);
        CHECK(service->contract, service->block[i] == right);
    }
    service->received += size;
    CHECK(service->contract, service->received <= service->expected);
    if (service->received == service->expected)
        stream_close(service->contract->loops[0]->transport, stream, false);
}

static void client_closed(struct stream *stream, enum transport_status why)
{
    struct service *service = container_of(stream, struct service, client);
    CHECK(service->contract, service->cut_short);
    CHECK(service->contract, why == TRANSPORT_RESET || why == TRANSPORT_CLOSED);
    CHECK(service->contract, service->received <= HEADER);
    if (service->client_closed)
        end_case(service);
    service->client_closed = true;
}

static void question_done(struct stream_send *send, enum transport_status status)
{
    struct service *service = container_of(send, struct service, question);
    CHECK(service->contract, status == TRANSPORT_OK);
}

static void client_connected(struct stream *stream)
{
    struct service *service = container_of(stream, struct service, client);
    static const uint8_t questions[] = "qqq";
    service->question_slice =
        (struct slice){.kind = SLICE_MEMORY, .data = questions, .size = service->cut_short ? 1 : 3};
    service->question = (struct stream_send){
        .slices = &service->question_slice, .slice_count = 1, .done = question_done};
    stream_send(service->contract->loops[0]->transport, stream, &service->question);
}

static const struct stream_events client_events = {.space = client_space,
                                                   .received = client_received,
                                                   .connected = client_connected,
                                                   .closed = client_closed};

/* ---- Setting up: a file, then the listener ---- */

static void file_written(struct storage_request *request)
{
    struct service *service = container_of(request, struct service, write);
    struct transport transport = service->contract->loops[0]->transport;
    CHECK(service->contract, request->status == STORAGE_OK);
    if (service->evicts && service->contract->evict)
        service->contract->evict(service->contract, service->path);
    service->listener.events = &listener_events;
    CHECK(service->contract, transport_listen(transport, &service->listener,
                                              service->contract->host, 0, 16) == TRANSPORT_OK);
    service->client.events = &client_events;
    CHECK(service->contract, transport_connect(transport, &service->client, service->contract->host,
                                               service->listener.local.port) == TRANSPORT_OK);
}

static void file_opened(struct storage_request *request)
{
    struct service *service = container_of(request, struct service, open);
    struct loop *loop = service->contract->loops[0];
    CHECK(service->contract, request->status == STORAGE_OK);
    service->file = request->file;
    service->buffer = (struct storage_buffer){service->content, FILE_SIZE};
    service->write = (struct storage_request){.done = file_written,
                                              .operation = STORAGE_WRITE,
                                              .file = request->file,
                                              .buffers = &service->buffer,
                                              .buffer_count = 1};
    storage_submit(loop->storage, &service->write);
}

static struct service *start_service(struct contract *contract, bool cut_short)
{
    struct loop *loop = contract->loops[0];
    struct service *service = heap_must_get(loop->heap, MEMORY_STATE, sizeof(*service));
    service->contract = contract;
    service->cut_short = cut_short;
    service->expected = cut_short ? SIZE_MAX : (size_t)3 * ANSWER;
    service->content = heap_must_get(loop->heap, MEMORY_STATE, FILE_SIZE);
    for (size_t i = 0; i < FILE_SIZE; i++)
        service->content[i] = (uint8_t)(i * 7 + i / 251);
    snprintf(service->path, sizeof(service->path), "%s/file", contract->directory);
    service->open = (struct storage_request){.done = file_opened,
                                             .operation = STORAGE_OPEN,
                                             .path = service->path,
                                             .flags = STORAGE_FLAG_READ | STORAGE_FLAG_WRITE |
                                                      STORAGE_FLAG_CREATE};
    storage_submit(loop->storage, &service->open);
    return service;
}

static void bytes_and_ranges_arrive_in_order(struct contract *contract)
{
    start_service(contract, false);
}

static void ranges_that_are_not_in_memory_arrive_in_order(struct contract *contract)
{
    start_service(contract, false)->evicts = true;
}

static void a_range_behind_the_end_of_its_file_resets(struct contract *contract)
{
    start_service(contract, true);
}

/* ---- Connecting to nobody; closing before anything happened ---- */

struct lonely {
    struct contract *contract;
    struct stream stream;
    struct stream_send send;
    struct slice slice;
    bool inside, send_done, closed;
};

static void lonely_send_done(struct stream_send *send, enum transport_status status)
{
    struct lonely *lonely = container_of(send, struct lonely, send);
    CHECK(lonely->contract, status == TRANSPORT_CLOSED);
    CHECK(lonely->contract, !lonely->closed); /* the send ends first */
    lonely->send_done = true;
}

static void lonely_closed(struct stream *stream, enum transport_status why)
{
    struct lonely *lonely = container_of(stream, struct lonely, stream);
    CHECK(lonely->contract, why == TRANSPORT_REFUSED);
    CHECK(lonely->contract, !lonely->inside);
    CHECK(lonely->contract, lonely->send_done);
    lonely->closed = true;
    contract_end(lonely->contract, lonely->contract->loops[0]);
}

static const struct stream_events lonely_events = {.closed = lonely_closed};
static const struct listener_events no_listener_events = {NULL};

static struct lonely *connect_to_nobody(struct contract *contract)
{
    struct loop *loop = contract->loops[0];
    struct lonely *lonely = heap_must_get(loop->heap, MEMORY_STATE, sizeof(*lonely));
    struct listener listener = {.events = &no_listener_events};
    lonely->contract = contract;
    lonely->stream.events = &lonely_events;
    lonely->inside = true;
    CHECK(contract,
          transport_listen(loop->transport, &listener, contract->host, 0, 1) == TRANSPORT_OK);
    transport_unlisten(loop->transport, &listener);
    CHECK(contract, transport_connect(loop->transport, &lonely->stream, contract->host,
                                      listener.local.port) == TRANSPORT_OK);
    lonely->slice = (struct slice){.kind = SLICE_MEMORY, .data = (const uint8_t *)"x", .size = 1};
    lonely->send =
        (struct stream_send){.slices = &lonely->slice, .slice_count = 1, .done = lonely_send_done};
    stream_send(loop->transport, &lonely->stream, &lonely->send);
    lonely->inside = false;
    return lonely;
}

static void a_refused_stream_is_closed_once_behind_its_sends(struct contract *contract)
{
    connect_to_nobody(contract);
}

static void a_reset_finishes_sends_before_it_returns(struct contract *contract)
{
    struct lonely *lonely = connect_to_nobody(contract);
    stream_close(contract->loops[0]->transport, &lonely->stream, true);
    CHECK(contract, lonely->send_done);
    contract_end(contract, contract->loops[0]);
}

static void a_port_is_given_once(struct contract *contract)
{
    struct transport transport = contract->loops[0]->transport;
    struct listener first = {.events = &no_listener_events};
    struct listener second = {.events = &no_listener_events};
    CHECK(contract, transport_listen(transport, &first, contract->host, 0, 1) == TRANSPORT_OK);
    uint16_t port = first.local.port;
    CHECK(contract, port != 0);
    CHECK(contract,
          transport_listen(transport, &second, contract->host, port, 1) == TRANSPORT_IN_USE);
    transport_unlisten(transport, &first);
    CHECK(contract, transport_listen(transport, &second, contract->host, port, 1) == TRANSPORT_OK);
    transport_unlisten(transport, &second);
    contract_end(contract, contract->loops[0]);
}

#define CASE(function)                                                                             \
    {                                                                                              \
#function, function                                                                        \
    }

const struct contract_case transport_cases[] = {
    CASE(bytes_and_ranges_arrive_in_order),
    CASE(ranges_that_are_not_in_memory_arrive_in_order),
    CASE(a_range_behind_the_end_of_its_file_resets),
    CASE(a_refused_stream_is_closed_once_behind_its_sends),
    CASE(a_reset_finishes_sends_before_it_returns),
    CASE(a_port_is_given_once),
};

const unsigned transport_case_count = sizeof(transport_cases) / sizeof(transport_cases[0]);
