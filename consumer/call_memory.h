/*
 * Memory of a call's response: zeroed, as long as the answer lives. Never refused: what an answer
 * holds is bounded by its request and by the group, and state without memory cannot be continued.
 */
#ifndef KLAMM_CONSUMER_CALL_MEMORY_H
#define KLAMM_CONSUMER_CALL_MEMORY_H

#include "base/assert.h"
#include "coordinator/coordinator.h"

static inline void *call_get(struct coordinator_call *call, size_t count, size_t size)
{
    return arena_must_get(call->arena, count, size);
}

/* A copy; null stays null. */
static inline struct view call_copy(struct coordinator_call *call, struct view view)
{
    struct view copy = arena_copy(call->arena, view);
    klamm_assert(view_is_null(view) || !view_is_null(copy));
    return copy;
}

#endif
