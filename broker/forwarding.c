/* See the header. The memory of the way back is the part's arena, as for any part. */
#include "broker/forwarding.h"

#include "base/assert.h"
#include "broker/control.h"
#include "broker/controller_part.h"
#include "protocol/api_keys.h"
#include "protocol/messages/default_principal_data.h"

CHANNEL_CALL(envelope, API_KEY_ENVELOPE);

/* After this long without a controller a client is told so. */
static const uint64_t FORWARD_TIMEOUT_NS = UINT64_C(60000000000);

static enum kafka_error envelope_error(const void *response)
{
    return (enum kafka_error)((const struct envelope_response *)response)->error_code;
}

static struct controller_part *part_of(struct controller_call *call)
{
    return container_of(call, struct controller_part, forward.call);
}

/* ---- The way back ---- */

static void take_envelope(struct controller_part *part, const struct envelope_response *envelope)
{
    if (envelope->error_code == KAFKA_ERROR_NONE && envelope->response_data.size >= 4) {
        part->answer = arena_copy(&part->part.arena, envelope->response_data);
        klamm_assert(!view_is_null(part->answer));
        return;
    }
    /* A controller of another version: clients find out by connecting anew. */
    part->hangs_up = envelope->error_code == KAFKA_ERROR_UNSUPPORTED_VERSION;
    part->error = KAFKA_ERROR_UNKNOWN_SERVER_ERROR;
    log_warn(part->at->diagnostics, "a forwarded request was refused: %s",
             kafka_error_text((enum kafka_error)envelope->error_code));
}

static enum kafka_error error_of_status(enum channel_status status)
{
    switch (status) {
    case CHANNEL_OK:
        return KAFKA_ERROR_NONE;
    case CHANNEL_DISCONNECTED:
    case CHANNEL_TIMED_OUT:
        return KAFKA_ERROR_REQUEST_TIMED_OUT;
    case CHANNEL_CLOSED:
        return KAFKA_ERROR_NOT_CONTROLLER; /* this node stops */
    case CHANNEL_UNSUPPORTED:
    case CHANNEL_MALFORMED:
        return KAFKA_ERROR_UNKNOWN_SERVER_ERROR;
    }
    klamm_unreachable("channel status");
}

static void answered(struct controller_call *call, enum channel_status status, const void *response)
{
    struct controller_part *part = part_of(call);
    struct loop *at = part->at;
    part->error = error_of_status(status);
    if (part->error != KAFKA_ERROR_NONE)
        log_warn(at->diagnostics, "a request could not be forwarded: %s",
                 channel_status_text(status));
    else if (part->own)
        memcpy(part->response, response, part->response_size);
    else
        take_envelope(part, response);
    part_done(&part->part, at);
}

/* This node is the controller now. */
static void run_here(struct controller_call *call)
{
    struct controller_part *part = part_of(call);
    part->part.row->part(&part->part, part->at);
}

/* ---- The way there ---- */

/* A version, then the record; there is no authentication yet, so everybody is ANONYMOUS. */
static struct view write_principal(struct forward *forward)
{
    struct default_principal_data principal = {
        .type = VIEW_LITERAL("User"),
        .name = VIEW_LITERAL("ANONYMOUS"),
    };
    struct message_writer out = message_writer_of(forward->principal, sizeof(forward->principal));
    write_i16(&out.bytes, 0);
    default_principal_data_encode(&principal, &out, 0);
    klamm_assert(!message_writer_failed(&out));
    return view_of(forward->principal, out.bytes.size);
}

static struct view write_address(struct forward *forward, const struct address *peer)
{
    size_t size = peer->family == 6 ? 16 : 4;
    memcpy(forward->address, peer->bytes, size);
    return view_of(forward->address, size);
}

static void wrap(struct controller_part *part)
{
    struct forward *forward = &part->forward;
    envelope_request_init(&forward->envelope);
    forward->envelope.request_data = part->frame;
    forward->envelope.request_principal = write_principal(forward);
    forward->envelope.client_host_address = write_address(forward, &part->peer);
    forward->call = (struct controller_call){
        .api = &envelope_call, .message = &forward->envelope, .error_of = envelope_error};
}

bool forwarding_send(struct controller_part *part, struct loop *at)
{
    struct control *control = at->owner;
    /* What came in on the controller listener was meant for this node. */
    bool is_from_shard = part->part.home_loop != at->index;
    if (!control->membership.is_open || !is_from_shard || (!part->own && view_is_null(part->frame)))
        return false;
    if (part->own)
        part->forward.call = (struct controller_call){.api = part->own->call,
                                                      .message = part->message,
                                                      .version_min = part->version,
                                                      .version_max = part->version,
                                                      .error_of = part->own->error_of};
    else
        wrap(part);
    part->forward.call.timeout_ns = FORWARD_TIMEOUT_NS;
    part->forward.call.done = answered;
    part->forward.call.here = run_here;
    controller_channel_send(&control->membership.forwarding, &part->forward.call);
    return true;
}

/* ---- At home again ---- */

void forwarding_answer(struct controller_part *part)
{
    struct request *request = part->part.request;
    if (part->hangs_up) {
        request_refuse(request, CONNECTION_CLOSE_UNKNOWN_API,
                       "the active controller does not serve this version");
        return;
    }
    if (view_is_null(part->answer))
        return;
    size_t size = ANSWER_FRAME_SIZE_BYTES + part->answer.size;
    struct answer *answer = answer_create(request_loop(request)->heap, size, 1);
    memcpy(answer->bytes + ANSWER_FRAME_SIZE_BYTES, part->answer.data, part->answer.size);
    store_u32(answer->bytes + ANSWER_FRAME_SIZE_BYTES, (uint32_t)request->base.correlation_id);
    answer_add_memory(answer, answer->bytes, size);
    request_respond_answer(request, answer);
}
