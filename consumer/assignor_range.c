/* Ranges: static members first, then by member id; of a topic every subscriber gets its quota of
 * neighbouring partitions, and the first of them one more while there is a remainder. */
#include "base/assert.h"
#include "base/sort.h"
#include "consumer/assignor.h"

static int compare_members(const void *a, const void *b, void *context)
{
    const struct assignor_input *input = context;
    const struct assignor_member *left = &input->members[*(const uint32_t *)a];
    const struct assignor_member *right = &input->members[*(const uint32_t *)b];
    bool left_static = !view_is_null(left->instance_id);
    bool right_static = !view_is_null(right->instance_id);
    if (left_static != right_static)
        return left_static ? -1 : 1;
    int order = left_static ? view_compare(left->instance_id, right->instance_id) : 0;
    return order != 0 ? order : view_compare(left->id, right->id);
}

/* Subscribers of every topic in member order: those of topic t stand in list[first[t], first[t+1]).
 */
struct subscribers {
    uint32_t *first;
    uint32_t *list;
};

static bool list_subscribers(struct assignor_work *work, struct subscribers *subscribers)
{
    struct assignor_input input = *work->input;
    uint32_t *order = arena_get(work->arena, input.member_count * sizeof(*order));
    void *scratch = arena_get(work->arena, input.member_count * sizeof(*order));
    uint32_t *first = arena_get_array(work->arena, input.topic_count + 2, sizeof(*first));
    if (!order || !scratch || !first)
        return false;
    for (uint32_t m = 0; m < input.member_count; m++) {
        order[m] = m;
        for (uint32_t s = 0; s < input.members[m].topic_count; s++)
            first[input.members[m].topics[s] + 2]++;
    }
    sort_stable(order, input.member_count, sizeof(*order), scratch, compare_members, &input);
    for (uint32_t t = 0; t < input.topic_count; t++)
        first[t + 2] += first[t + 1];
    uint32_t *list = arena_get(work->arena, first[input.topic_count + 1] * sizeof(*list));
    if (!list)
        return false;
    /* first[t + 1] runs from the start of topic t to its end. */
    for (uint32_t i = 0; i < input.member_count; i++) {
        const struct assignor_member *member = &input.members[order[i]];
        for (uint32_t s = 0; s < member->topic_count; s++)
            list[first[member->topics[s] + 1]++] = order[i];
    }
    *subscribers = (struct subscribers){first, list};
    return true;
}

bool assignor_range(struct assignor_work *work)
{
    struct subscribers subscribers;
    if (!list_subscribers(work, &subscribers))
        return false;
    for (uint32_t t = 0; t < work->input->topic_count; t++) {
        const uint32_t *list = subscribers.list + subscribers.first[t];
        uint32_t count = subscribers.first[t + 1] - subscribers.first[t];
        if (count == 0)
            continue;
        uint32_t quota = work->input->topics[t].partition_count / count;
        uint32_t extra = work->input->topics[t].partition_count % count;
        uint32_t partition = work->base[t];
        for (uint32_t i = 0; i < count; i++) {
            uint32_t share = quota + (i < extra ? 1 : 0);
            while (share-- > 0)
                assignor_give(work, partition++, list[i]);
        }
        klamm_assert(partition == work->base[t + 1]);
    }
    return true;
}
