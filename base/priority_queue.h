/*
 * A priority queue of intrusive nodes: smallest key first, equal keys in the order they were
 * pushed.
 *
 * Invariants:
 *  1. No node's (key, order) is smaller than its parent's; order grows with every push, so the
 * order of taking out is fully determined by the pushes.
 *  2. node->place is the node's index in the array + 1, and 0 when it is in no queue.
 */
#ifndef KLAMM_BASE_PRIORITY_QUEUE_H
#define KLAMM_BASE_PRIORITY_QUEUE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/memory.h"

struct priority_node {
    int64_t key; /* set by push */
    uint64_t order;
    uint32_t place;
};

struct priority_queue {
    struct heap *heap;
    enum memory_class memory_class;
    struct priority_node **nodes;
    uint32_t count;
    uint32_t capacity;
    uint64_t next_order;
};

/* An empty queue; takes no memory yet. */
void priority_queue_init(struct priority_queue *queue, struct heap *heap,
                         enum memory_class memory_class);
/* Gives the array back; nodes still queued are forgotten, not touched. */
void priority_queue_deinit(struct priority_queue *queue);
/* Adds a node that is in no queue; false (unchanged) when memory is refused. */
bool priority_queue_push(struct priority_queue *queue, struct priority_node *node, int64_t key);
/* Takes a queued node out. */
void priority_queue_remove(struct priority_queue *queue, struct priority_node *node);

/* The first node, still queued; NULL when empty. */
static inline struct priority_node *priority_queue_peek(const struct priority_queue *queue)
{
    return queue->count ? queue->nodes[0] : NULL;
}

/* The first node, taken out; NULL when empty. */
static inline struct priority_node *priority_queue_pop(struct priority_queue *queue)
{
    struct priority_node *node = priority_queue_peek(queue);
    if (node)
        priority_queue_remove(queue, node);
    return node;
}

static inline bool priority_node_is_queued(const struct priority_node *node)
{
    return node->place != 0;
}

#endif
