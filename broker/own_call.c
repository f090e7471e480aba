/* See the header. The block outlives the call: parts may be out when the answer is there. */
#include "broker/own_call.h"

#include "base/assert.h"
#include "broker/api_table.h"
#include "broker/front.h"
#include "broker/local_request.h"

struct own_call {
    struct local_request local;
    struct controller_call *call; /* not touched after its answer */
};

static void answered(struct local_request *local, const void *response)
{
    struct own_call *own = container_of(local, struct own_call, local);
    controller_call_answered(own->call, response);
}

static void ended(struct local_request *local)
{
    struct own_call *own = container_of(local, struct own_call, local);
    struct heap *heap = local->context;
    heap_put(heap, MEMORY_SCRATCH, own, sizeof(*own));
}

void own_call_start(struct front *front, struct controller_call *call)
{
    const struct api_row *row = api_row_find(call->api->api_key);
    klamm_assert(row != NULL);
    struct heap *heap = front->connections.loop->heap;
    struct own_call *own = heap_must_get(heap, MEMORY_SCRATCH, sizeof(*own));
    own->call = call;
    own->local.answered = answered;
    own->local.ended = ended;
    own->local.context = heap;
    local_request_start(&own->local, front, row, call->version_max, call->message);
}
