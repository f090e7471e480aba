/*
 * How parts travel. Posting holds the request (connection_request_hold) until the part is home for
 * good, so that a closed connection or a passed deadline never frees memory that another loop uses.
 *
 * A part for the own loop is not posted but run at once; because it may be done at once too, the
 * split counts as one more part until request_await_parts.
 *
 * The way of a part: home -> arrive (target, row->part) -> come_home (home, row->join) and, when it
 * took memory of the target, -> give_back (target, row->release) -> settle (home).
 */
#include "broker/request.h"

#include "base/assert.h"
#include "broker/local_request.h"
#include "broker/shard.h"

/* ---- Holding the request open ---- */

static void hold(struct request *request)
{
    connection_request_hold(&request->base);
}

static void release(struct request *request)
{
    if (!request->is_local) {
        connection_request_release(&request->base);
        return;
    }
    klamm_assert(request->base.holds > 0);
    if (--request->base.holds > 0 || !request->answered)
        return;
    arena_deinit(&request->arena);
    struct local_request *local = local_request_of(request);
    local->ended(local);
}

/* ---- Answering ---- */

void *request_get(struct request *request, size_t count, size_t size)
{
    return arena_must_get(&request->arena, count, size);
}

struct answer *request_encode(struct request *request, const void *response, size_t slice_capacity,
                              struct splice *splices, size_t splice_capacity, size_t *splice_count,
                              size_t *size)
{
    int16_t version = request_version(request);
    bool tagged_header = api_info_response_header_version(request->info, version) > 0;
    size_t head = ANSWER_FRAME_SIZE_BYTES + 4u + tagged_header;
    size_t body = request->row->codec.size(response, version);
    struct answer *answer = answer_create(request_loop(request)->heap, head + body, slice_capacity);
    struct message_writer out =
        message_writer_with_splices(answer->bytes, head + body, splices, splice_capacity);
    write_i32(&out.bytes, 0);
    write_i32(&out.bytes, request->base.correlation_id);
    if (tagged_header)
        write_u8(&out.bytes, 0);
    request->row->codec.encode(response, &out, version);
    if (message_writer_failed(&out)) {
        answer_destroy(answer);
        return NULL;
    }
    *size = out.bytes.size;
    if (splice_count)
        *splice_count = out.splice_count;
    return answer;
}

/* Nothing of the parts that are home is needed any more. */
static void return_parts(struct request *request)
{
    if (!request->row || request->row->keeps_parts)
        return; /* an API that is not served has no row and no parts */
    list_for_each_safe(link, after, &request->parts)
    {
        struct part *part = container_of(link, struct part, link);
        if (part->is_home)
            part_return(part);
    }
}

static void finish_local(struct request *request, const void *response)
{
    struct local_request *local = local_request_of(request);
    hold(request);
    local->answered(local, response);
    return_parts(request);
    release(request);
}

static void finish(struct request *request, struct answer *answer)
{
    klamm_assert(!request->answered);
    request->answered = true;
    timer_clear(&request->deadline);
    if (request->is_local) {
        klamm_assert(!answer); /* answers with slices are for connections */
        finish_local(request, NULL);
        return;
    }
    hold(request);
    connection_answer(&request->base, answer);
    return_parts(request);
    release(request);
}

void request_respond_answer(struct request *request, struct answer *answer)
{
    finish(request, answer);
}

void request_respond(struct request *request, const void *response)
{
    if (request->is_local) {
        klamm_assert(!request->answered);
        request->answered = true;
        timer_clear(&request->deadline);
        finish_local(request, response);
        return;
    }
    size_t size;
    struct answer *answer = request_encode(request, response, 1, NULL, 0, NULL, &size);
    if (!answer) {
        request_refuse(request, CONNECTION_CLOSE_ENCODING, request->info->name);
        return;
    }
    answer_add_memory(answer, answer->bytes, size);
    finish(request, answer);
}

void request_end(struct request *request)
{
    finish(request, NULL);
}

void request_refuse(struct request *request, enum connection_close_reason reason,
                    const char *detail)
{
    /* Marked as answered first, so that `abandoned` leaves the request to us. */
    klamm_assert(!request->answered);
    request->answered = true;
    timer_clear(&request->deadline);
    if (request->is_local) {
        finish_local(request, NULL);
        return;
    }
    hold(request);
    if (request->base.connection)
        connection_close(request->base.connection, reason, detail);
    connection_answer(&request->base, NULL);
    return_parts(request);
    release(request);
}

void *request_add_part(struct request *request, size_t size)
{
    klamm_assert(size >= sizeof(struct part));
    struct part *part = request_get(request, 1, size);
    part->request = request;
    part->row = request->row;
    part->home_loop = request_loop(request)->index;
    part->is_home = true;
    list_push_back(&request->parts, &part->link);
    return part;
}

static void join_when_complete(struct request *request)
{
    if (request->parts_out == 0 && !request->answered)
        request->row->join(request);
}

static void come_home(struct message *message, struct loop *at)
{
    (void)at;
    struct part *part = container_of(message, struct part, message);
    struct request *request = part->request;
    part->is_home = true;
    request->parts_out--;
    if (request->answered) {
        part_return(part);
    } else {
        if (request->row->arrived)
            request->row->arrived(part);
        join_when_complete(request);
    }
    release(request);
}

void part_done(struct part *part, struct loop *at)
{
    part->message.deliver = come_home;
    if (part->home_loop == at->index)
        come_home(&part->message, at);
    else
        loop_post(at, part->home_loop, &part->message);
}

static void arrive(struct message *message, struct loop *at)
{
    struct part *part = container_of(message, struct part, message);
    if (!part->arena.heap)
        arena_init(&part->arena, at->heap, MEMORY_SCRATCH, 0);
    part->row->part(part, at);
}

void request_post_part(struct request *request, struct part *part, unsigned loop_index)
{
    struct loop *loop = request_loop(request);
    klamm_assert(part->is_home);
    part->is_home = false;
    part->target = loop_index;
    part->message.deliver = arrive;
    klamm_assert(request->started);
    request->parts_out++;
    hold(request);
    if (loop_index == loop->index)
        arrive(&part->message, loop);
    else
        loop_post(loop, loop_index, &part->message);
}

void request_await_parts(struct request *request)
{
    request->parts_out--;
    join_when_complete(request);
}

static void settle(struct message *message, struct loop *at)
{
    (void)at;
    struct part *part = container_of(message, struct part, message);
    release(part->request);
}

static void give_back(struct message *message, struct loop *at)
{
    struct part *part = container_of(message, struct part, message);
    if (part->row->release)
        part->row->release(part, at);
    arena_deinit(&part->arena);
    message->deliver = settle;
    if (part->home_loop == at->index)
        settle(message, at);
    else
        loop_post(at, part->home_loop, message);
}

void part_return(struct part *part)
{
    struct request *request = part->request;
    klamm_assert(part->is_home);
    list_remove(&part->link);
    if (part->arena.held == 0 && !request->row->release)
        return;
    struct loop *loop = request_loop(request);
    hold(request);
    part->message.deliver = give_back;
    if (part->target == loop->index)
        give_back(&part->message, loop);
    else
        loop_post(loop, part->target, &part->message);
}

static void deadline_passed(struct timer *timer)
{
    struct request *request = container_of(timer, struct request, deadline);
    request->expired = true;
    if (!request->answered)
        request->row->join(request);
}

void request_set_deadline(struct request *request, int32_t timeout_ms)
{
    timer_init(&request->deadline, deadline_passed);
    uint64_t delay_ms = timeout_ms > 0 ? (uint64_t)timeout_ms : 0;
    loop_set_timer(request_loop(request), &request->deadline, delay_ms * UINT64_C(1000000));
}

void request_end_early(struct connection_request *base)
{
    struct request *request = request_of(base);
    if (request->answered || !request->row || !request->row->abandon)
        return;
    request->row->abandon(request);
}

void request_ended(struct connection_request *base)
{
    arena_deinit(&request_of(base)->arena);
}
