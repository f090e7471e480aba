/*
 * Uniform, where subscriptions differ.
 *
 * Members keep what they own of topics that they still subscribe to. What is free is given topic
 * by topic, those with the most partitions for a subscriber first, always to the subscriber with
 * the least. Then the topics are gone through in the same order, and partitions move from the
 * subscriber with the most to the one with the least while they differ by more than one; until a
 * round changes nothing, or 16 rounds.
 */
#include "base/assert.h"
#include "base/list.h"
#include "base/priority_queue.h"
#include "base/sort.h"
#include "consumer/assignor.h"

enum { ROUNDS_MAX = 16 };

/* One subscriber of the topic at hand. */
struct subscriber {
    struct priority_node least; /* by partitions of all topics, fewest first */
    struct priority_node most;  /* the same, most first; while it owns some of this topic */
    uint32_t member;
    uint32_t top; /* its last partition of this topic, ASSIGNOR_NOBODY: none */
};

struct balancing {
    struct assignor_work *work;
    uint32_t *order;      /* topics in the order in which they are gone through */
    uint32_t *first;      /* [topic_count + 1]: subscribers of a topic in list[first[t] ...] */
    uint32_t *list;       /* members, rising */
    uint32_t *below;      /* [partitions]: the owner's partition before this one */
    uint32_t *subscriber; /* [member_count]: place among the subscribers of the topic at hand */
    struct subscriber *subscribers;
    struct priority_queue least;
    struct priority_queue most;
};

static uint32_t subscriber_count(const struct balancing *balancing, uint32_t topic)
{
    return balancing->first[topic + 1] - balancing->first[topic];
}

static int compare_topics(const void *a, const void *b, void *context)
{
    const struct balancing *balancing = context;
    uint32_t left = *(const uint32_t *)a;
    uint32_t right = *(const uint32_t *)b;
    const struct assignor_topic *topics = balancing->work->input->topics;
    uint64_t left_subscribers = subscriber_count(balancing, left);
    uint64_t right_subscribers = subscriber_count(balancing, right);
    /* partitions / subscribers, most first, without division. */
    uint64_t left_load = topics[left].partition_count * right_subscribers;
    uint64_t right_load = topics[right].partition_count * left_subscribers;
    if (left_load != right_load)
        return left_load > right_load ? -1 : 1;
    if (left_subscribers != right_subscribers)
        return left_subscribers < right_subscribers ? -1 : 1;
    return (left > right) - (left < right);
}

static bool list_subscribers(struct balancing *balancing)
{
    struct arena *arena = balancing->work->arena;
    const struct assignor_input *input = balancing->work->input;
    uint32_t *first = arena_get_array(arena, input->topic_count + 2, sizeof(*first));
    if (!first)
        return false;
    for (uint32_t m = 0; m < input->member_count; m++) {
        for (uint32_t s = 0; s < input->members[m].topic_count; s++)
            first[input->members[m].topics[s] + 2]++;
    }
    for (uint32_t t = 0; t < input->topic_count; t++)
        first[t + 2] += first[t + 1];
    uint32_t *list = arena_get(arena, first[input->topic_count + 1] * sizeof(*list));
    if (!list)
        return false;
    for (uint32_t m = 0; m < input->member_count; m++) {
        for (uint32_t s = 0; s < input->members[m].topic_count; s++)
            list[first[input->members[m].topics[s] + 1]++] = m;
    }
    balancing->first = first;
    balancing->list = list;
    return true;
}

static bool order_topics(struct balancing *balancing)
{
    struct arena *arena = balancing->work->arena;
    uint32_t count = balancing->work->input->topic_count;
    balancing->order = arena_get(arena, count * sizeof(*balancing->order));
    void *scratch = arena_get(arena, count * sizeof(*balancing->order));
    if (!balancing->order || !scratch)
        return false;
    for (uint32_t t = 0; t < count; t++)
        balancing->order[t] = t;
    sort_stable(balancing->order, count, sizeof(*balancing->order), scratch, compare_topics,
                balancing);
    return true;
}

static bool balancing_init(struct balancing *balancing, struct assignor_work *work)
{
    *balancing = (struct balancing){.work = work};
    priority_queue_init(&balancing->least, work->arena->heap, MEMORY_SCRATCH);
    priority_queue_init(&balancing->most, work->arena->heap, MEMORY_SCRATCH);
    const struct assignor_input *input = work->input;
    uint32_t total = work->base[input->topic_count];
    balancing->below = arena_get(work->arena, total * sizeof(*balancing->below));
    balancing->subscriber =
        arena_get(work->arena, input->member_count * sizeof(*balancing->subscriber));
    balancing->subscribers =
        arena_get(work->arena, input->member_count * sizeof(*balancing->subscribers));
    return balancing->below && balancing->subscriber && balancing->subscribers &&
           list_subscribers(balancing) && order_topics(balancing);
}

static void balancing_deinit(struct balancing *balancing)
{
    priority_queue_deinit(&balancing->least);
    priority_queue_deinit(&balancing->most);
}

/* Puts a subscriber where its count belongs; it owns some of the topic if `top` says so. */
static bool place(struct balancing *balancing, struct subscriber *subscriber)
{
    int64_t count = balancing->work->counts[subscriber->member];
    if (priority_node_is_queued(&subscriber->least))
        priority_queue_remove(&balancing->least, &subscriber->least);
    if (priority_node_is_queued(&subscriber->most))
        priority_queue_remove(&balancing->most, &subscriber->most);
    if (!priority_queue_push(&balancing->least, &subscriber->least, count))
        return false;
    return subscriber->top == ASSIGNOR_NOBODY ||
           priority_queue_push(&balancing->most, &subscriber->most, -count);
}

/* Both queues for one topic. */
static bool begin_topic(struct balancing *balancing, uint32_t topic)
{
    struct assignor_work *work = balancing->work;
    const uint32_t *list = balancing->list + balancing->first[topic];
    uint32_t count = subscriber_count(balancing, topic);
    for (uint32_t i = 0; i < count; i++) {
        balancing->subscribers[i] = (struct subscriber){.member = list[i], .top = ASSIGNOR_NOBODY};
        balancing->subscriber[list[i]] = i;
    }
    for (uint32_t p = work->base[topic]; p < work->base[topic + 1]; p++) {
        if (work->owners[p] == ASSIGNOR_NOBODY)
            continue;
        struct subscriber *owner = &balancing->subscribers[balancing->subscriber[work->owners[p]]];
        balancing->below[p] = owner->top;
        owner->top = p;
    }
    for (uint32_t i = 0; i < count; i++) {
        if (!place(balancing, &balancing->subscribers[i]))
            return false;
    }
    return true;
}

static void end_topic(struct balancing *balancing)
{
    while (priority_queue_pop(&balancing->least))
        ;
    while (priority_queue_pop(&balancing->most))
        ;
}

static bool give(struct balancing *balancing, uint32_t partition, struct subscriber *to)
{
    assignor_give(balancing->work, partition, to->member);
    balancing->below[partition] = to->top;
    to->top = partition;
    return place(balancing, to);
}

static bool assign_free(struct balancing *balancing, uint32_t topic)
{
    struct assignor_work *work = balancing->work;
    bool done = true;
    for (uint32_t p = work->base[topic]; done && p < work->base[topic + 1]; p++) {
        if (work->owners[p] != ASSIGNOR_NOBODY)
            continue;
        struct priority_node *first = priority_queue_peek(&balancing->least);
        done = give(balancing, p, container_of(first, struct subscriber, least));
    }
    return done;
}

/* Evens one topic; *moved tells whether anything changed. */
static bool even_out(struct balancing *balancing, bool *moved)
{
    struct assignor_work *work = balancing->work;
    for (;;) {
        struct priority_node *most = priority_queue_peek(&balancing->most);
        struct priority_node *least = priority_queue_peek(&balancing->least);
        if (!most || !least || -most->key - least->key <= 1)
            return true;
        struct subscriber *from = container_of(most, struct subscriber, most);
        struct subscriber *to = container_of(least, struct subscriber, least);
        uint32_t partition = from->top;
        from->top = balancing->below[partition];
        work->counts[from->member]--;
        if (!place(balancing, from) || !give(balancing, partition, to))
            return false;
        *moved = true;
    }
}

static bool run(struct balancing *balancing)
{
    uint32_t topics = balancing->work->input->topic_count;
    bool done = true;
    for (uint32_t i = 0; done && i < topics; i++) {
        uint32_t topic = balancing->order[i];
        if (subscriber_count(balancing, topic) == 0)
            continue;
        done = begin_topic(balancing, topic) && assign_free(balancing, topic);
        end_topic(balancing);
    }
    bool moved = true;
    for (unsigned round = 0; done && moved && round < ROUNDS_MAX; round++) {
        moved = false;
        for (uint32_t i = 0; done && i < topics; i++) {
            uint32_t topic = balancing->order[i];
            if (subscriber_count(balancing, topic) < 2)
                continue;
            done = begin_topic(balancing, topic) && even_out(balancing, &moved);
            end_topic(balancing);
        }
    }
    return done;
}

bool assignor_balance(struct assignor_work *work)
{
    assignor_keep_targets(work);
    struct balancing balancing;
    bool done = balancing_init(&balancing, work) && run(&balancing);
    balancing_deinit(&balancing);
    return done;
}
