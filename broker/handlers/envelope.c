/*
 * Envelope (KIP-590): a client's request as another broker received it, for the active controller.
 *
 * What is inside is decoded and run through its row like a request of this node to itself; the
 * answer goes back as bytes, with the client's own correlation id. NOT_CONTROLLER, here or inside,
 * becomes the envelope's error, so that the broker looks for the next controller.
 */
#include "protocol/messages/envelope.h"

#include "broker/api_table.h"
#include "broker/control.h"
#include "broker/controller_part.h"
#include "broker/local_request.h"
#include "protocol/messages/request_header.h"

API_CODEC(envelope);

struct envelope_context {
    struct local_request inner;
    struct request *request;
    const struct api_row *row;
    const struct api_info *info;
    struct request_header header;
    void *message; /* decoded */
};

static void refuse(struct request *request, enum kafka_error error)
{
    struct envelope_response response;
    envelope_response_init(&response);
    response.error_code = (int16_t)error;
    request_respond(request, &response);
}

/* ---- The inner request ---- */

static enum kafka_error find_row(struct envelope_context *context, struct view data)
{
    struct reader reader = reader_of(data);
    int16_t key = read_i16(&reader);
    int16_t version = read_i16(&reader);
    context->row = reader.failed ? NULL : api_row_find(key);
    context->info = context->row ? api_info_find(key) : NULL;
    bool is_of_clients =
        context->info && context->info->is_broker_listener && context->info->is_controller_listener;
    if (!is_of_clients || context->row->route != API_ROUTE_CONTROLLER)
        return KAFKA_ERROR_INVALID_REQUEST;
    return api_info_is_served(context->info, version) ? KAFKA_ERROR_NONE
                                                      : KAFKA_ERROR_UNSUPPORTED_VERSION;
}

static bool decode(struct request *request, struct envelope_context *context, struct view data)
{
    struct reader reader = reader_of(data);
    int16_t version = load_i16(data.data + 2);
    int16_t header_version = api_info_request_header_version(context->info, version);
    struct arena *arena = &request->arena;
    arena->limit = arena->held + REQUEST_DECODED_SIZE_MAX;
    context->message = arena_get_array(arena, 1, context->row->codec.request_size);
    bool ok = context->message &&
              request_header_decode(&context->header, &reader, header_version, arena) &&
              context->row->codec.decode(context->message, &reader, version, arena);
    arena->limit = 0;
    return ok;
}

/* ---- Its answer ---- */

/* This node was the active controller when it began, and is not any more. */
static bool has_resigned(struct envelope_context *context)
{
    list_for_each(link, &context->inner.request.parts)
    {
        struct part *part = container_of(link, struct part, link);
        if (part->row->release == controller_part_release && part->is_home &&
            container_of(part, struct controller_part, part)->error == KAFKA_ERROR_NOT_CONTROLLER)
            return true;
    }
    return false;
}

static struct view encode(struct envelope_context *context, const void *response)
{
    int16_t version = context->header.request_api_version;
    bool has_tags = api_info_response_header_version(context->info, version) > 0;
    size_t size = 4u + has_tags + context->row->codec.size(response, version);
    struct message_writer out = message_writer_of(request_get(context->request, size, 1), size);
    write_i32(&out.bytes, context->header.correlation_id);
    if (has_tags)
        write_u8(&out.bytes, 0);
    context->row->codec.encode(response, &out, version);
    return message_writer_failed(&out) ? VIEW_NULL : view_of(out.bytes.data, out.bytes.size);
}

static void answered(struct local_request *inner, const void *response)
{
    struct envelope_context *context = container_of(inner, struct envelope_context, inner);
    if (has_resigned(context)) {
        refuse(context->request, KAFKA_ERROR_NOT_CONTROLLER);
        return;
    }
    struct envelope_response envelope;
    envelope_response_init(&envelope);
    if (response)
        envelope.response_data = encode(context, response);
    if (view_is_null(envelope.response_data))
        envelope.error_code = KAFKA_ERROR_UNKNOWN_SERVER_ERROR;
    request_respond(context->request, &envelope);
}

static void ended(struct local_request *inner)
{
    struct envelope_context *context = container_of(inner, struct envelope_context, inner);
    connection_request_release(&context->request->base);
}

static void envelope_split(struct request *request)
{
    const struct envelope_request *message = REQUEST_MESSAGE(envelope, request);
    const struct control *control = request_loop(request)->owner;
    if (!control->has_controller || !control->controller.is_active) {
        refuse(request, KAFKA_ERROR_NOT_CONTROLLER);
        return;
    }
    struct envelope_context *context = request_get(request, 1, sizeof(*context));
    context->request = request;
    enum kafka_error error = find_row(context, message->request_data);
    if (error == KAFKA_ERROR_NONE && !decode(request, context, message->request_data))
        error = KAFKA_ERROR_INVALID_REQUEST;
    if (error != KAFKA_ERROR_NONE) {
        refuse(request, error);
        return;
    }
    context->inner.answered = answered;
    context->inner.ended = ended;
    connection_request_hold(&request->base); /* what it needs lies in this request's arena */
    local_request_start(&context->inner, request->front, context->row,
                        context->header.request_api_version, context->message);
}

const struct api_row api_row_envelope = {
    API_ROW(envelope, API_KEY_ENVELOPE),
    .route = API_ROUTE_CONTROLLER,
    .split = envelope_split,
};
