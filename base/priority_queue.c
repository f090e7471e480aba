/* A binary heap in an array that doubles; each node knows its place, so any node can leave. */
#include "base/priority_queue.h"

#include "base/assert.h"

enum { CAPACITY_MIN = 16, CAPACITY_MAX = 1 << 30 };

void priority_queue_init(struct priority_queue *queue, struct heap *heap,
                         enum memory_class memory_class)
{
    *queue = (struct priority_queue){.heap = heap, .memory_class = memory_class};
}

void priority_queue_deinit(struct priority_queue *queue)
{
    if (queue->nodes)
        heap_put(queue->heap, queue->memory_class, queue->nodes,
                 queue->capacity * sizeof(struct priority_node *));
    priority_queue_init(queue, queue->heap, queue->memory_class);
}

static bool stands_before(const struct priority_node *a, const struct priority_node *b)
{
    return a->key < b->key || (a->key == b->key && a->order < b->order);
}

static void put_at(struct priority_queue *queue, uint32_t place, struct priority_node *node)
{
    queue->nodes[place] = node;
    node->place = place + 1;
}

static void sift_up(struct priority_queue *queue, uint32_t place, struct priority_node *node)
{
    while (place > 0) {
        uint32_t parent = (place - 1) / 2;
        if (!stands_before(node, queue->nodes[parent]))
            break;
        put_at(queue, place, queue->nodes[parent]);
        place = parent;
    }
    put_at(queue, place, node);
}

static void sift_down(struct priority_queue *queue, uint32_t place, struct priority_node *node)
{
    for (;;) {
        uint32_t child = 2 * place + 1;
        if (child >= queue->count)
            break;
        if (child + 1 < queue->count && stands_before(queue->nodes[child + 1], queue->nodes[child]))
            child++;
        if (!stands_before(queue->nodes[child], node))
            break;
        put_at(queue, place, queue->nodes[child]);
        place = child;
    }
    put_at(queue, place, node);
}

/* Puts a node where it belongs, starting from a place where it may stand too high or too low. */
static void settle(struct priority_queue *queue, uint32_t place, struct priority_node *node)
{
    if (place > 0 && stands_before(node, queue->nodes[(place - 1) / 2]))
        sift_up(queue, place, node);
    else
        sift_down(queue, place, node);
}

bool priority_queue_push(struct priority_queue *queue, struct priority_node *node, int64_t key)
{
    klamm_assert(node->place == 0);
    if (queue->count == queue->capacity) {
        if (queue->capacity >= CAPACITY_MAX)
            return false;
        uint32_t capacity = queue->capacity ? queue->capacity * 2 : CAPACITY_MIN;
        void *moved = heap_resize(queue->heap, queue->memory_class, queue->nodes,
                                  queue->capacity * sizeof(struct priority_node *),
                                  capacity * sizeof(struct priority_node *));
        if (!moved)
            return false;
        queue->nodes = moved;
        queue->capacity = capacity;
    }
    node->key = key;
    node->order = queue->next_order++;
    sift_up(queue, queue->count++, node);
    return true;
}

void priority_queue_remove(struct priority_queue *queue, struct priority_node *node)
{
    klamm_assert(node->place != 0);
    klamm_assert(node->place <= queue->count);
    uint32_t place = node->place - 1;
    klamm_assert(queue->nodes[place] == node);
    node->place = 0;
    struct priority_node *last = queue->nodes[--queue->count];
    if (last != node)
        settle(queue, place, last);
}
