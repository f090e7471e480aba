/*
 * A request's struct lies in front of its frame (connection/connections.h) and is filled here. The
 * body is decoded into the request's arena; decoded views point into the frame.
 */
#include "broker/dispatch.h"

#include <stdio.h>

#include "broker/api_table.h"
#include "broker/client.h"
#include "broker/request.h"
#include "broker/shard.h"
#include "protocol/message_codec.h"

static void refuse(struct request *request, enum connection_close_reason reason)
{
    char detail[96];
    snprintf(detail, sizeof(detail), "%s (key %d) version %d, %u bytes",
             api_info_name(request->base.api_key), request->base.api_key, request->base.api_version,
             request->base.frame_size);
    request->front->counters.refused_requests++;
    request_refuse(request, reason, detail);
}

/* Whether the request's version can be decoded; ApiVersions answers versions that nobody serves. */
static bool version_is_served(const struct request *request)
{
    return request->info->key == API_KEY_API_VERSIONS ||
           api_info_is_served(request->info, request_version(request));
}

/* Decodes the body; true also for an ApiVersions body of a version that nobody here knows. */
static bool decode(struct request *request)
{
    int16_t version = request_version(request);
    const struct api_codec *codec = &request->row->codec;
    request->message = arena_get_array(&request->arena, 1, codec->request_size);
    if (!request->message)
        return false;
    if (!api_info_is_served(request->info, version))
        return true;
    struct reader reader = reader_of(request->base.body);
    if (api_info_request_header_version(request->info, version) >= 2 && !message_skip_tags(&reader))
        return false;
    if (!codec->decode(request->message, &reader, version, &request->arena))
        return false;
    request->front->counters.trailing_requests += reader_left(&reader) > 0;
    return true;
}

static void dispatch_request(struct connection_request *base)
{
    struct request *request = request_of(base);
    struct front *front = base->owner->context;
    request->row = api_row_find(base->api_key);
    request->info = api_info_find(base->api_key);
    request->front = front;
    request->shard = front->shard;
    request->message = NULL;
    request->context = NULL;
    request->parts_out = 1; /* the split itself */
    request->started = false;
    request->expired = false;
    request->answered = false;
    request->is_local = false;
    list_init(&request->parts);
    timer_init(&request->deadline, NULL);
    arena_init(&request->arena, base->owner->loop->heap, MEMORY_SCRATCH, REQUEST_DECODED_SIZE_MAX);
    if (!request->row || !request->info || !front_serves(front, request->info) ||
        !version_is_served(request)) {
        refuse(request, CONNECTION_CLOSE_UNKNOWN_API);
        return;
    }
    if (!decode(request)) {
        refuse(request, CONNECTION_CLOSE_MALFORMED);
        return;
    }
    request->arena.limit = 0; /* what handlers need follows from what was decoded */
    front->counters.requests[base->api_key]++;
    request->started = true;
    request->row->split(request);
}

static void client_gone(struct connection *connection)
{
    struct client *client = connection->context;
    if (client->session)
        fetch_session_close(client->session);
    loop_post(connection->owner->loop, 0, &client->message);
}

const struct connection_handler dispatch_handler = {
    .request = dispatch_request,
    .abandoned = request_end_early,
    .hurry = request_end_early,
    .ended = request_ended,
    .closed = client_gone,
};
