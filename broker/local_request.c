/* It has no connection and no frame; request.c asks is_local where that makes a difference. */
#include "broker/local_request.h"

#include "base/assert.h"
#include "broker/shard.h"

void local_request_start(struct local_request *local, struct front *front,
                         const struct api_row *row, int16_t version, const void *message)
{
    struct request *request = &local->request;
    struct loop *loop = front->connections.loop;
    *request = (struct request){
        .row = row,
        .info = api_info_find(row->key),
        .front = front,
        .shard = front->shard,
        .message = (void *)(uintptr_t)message,
        .parts_out = 1, /* the split itself */
        .started = true,
        .is_local = true,
    };
    list_link_init(&request->base.link);
    request->base.owner = &front->connections;
    request->base.api_key = row->key;
    request->base.api_version = version;
    request->base.client_id = VIEW_NULL;
    request->base.received_ns = loop->now_ns;
    list_init(&request->parts);
    timer_init(&request->deadline, NULL);
    arena_init(&request->arena, loop->heap, MEMORY_SCRATCH, 0);
    front->counters.local_requests++;
    row->split(request);
}
