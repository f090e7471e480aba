/*
 * Uniform, where all members subscribe to the same topics.
 *
 * Every member's quota is total / members, and the remainder gives some of them one more: first
 * those that own more than the quota already, so that nothing moves without need. Members keep
 * their first partitions up to their quota; what is free then fills the others in order.
 */
#include "base/assert.h"
#include "consumer/assignor.h"

/* Quotas of all members; their sum is the number of partitions. */
static uint32_t *quotas(const struct assignor_work *work)
{
    uint32_t members = work->input->member_count;
    uint32_t total = work->base[work->input->topic_count];
    uint32_t *quota = arena_get(work->arena, members * sizeof(*quota));
    if (!quota)
        return NULL;
    uint32_t extra = total % members;
    for (uint32_t m = 0; m < members; m++) {
        quota[m] = total / members;
        if (extra > 0 && work->counts[m] > quota[m]) {
            quota[m]++;
            extra--;
        }
    }
    for (uint32_t m = 0; m < members && extra > 0; m++) {
        if (quota[m] == total / members) {
            quota[m]++;
            extra--;
        }
    }
    klamm_assert(extra == 0);
    return quota;
}

static void take_what_is_too_much(struct assignor_work *work, const uint32_t *quota)
{
    uint32_t total = work->base[work->input->topic_count];
    memset(work->counts, 0, work->input->member_count * sizeof(*work->counts));
    for (uint32_t p = 0; p < total; p++) {
        uint32_t owner = work->owners[p];
        if (owner == ASSIGNOR_NOBODY)
            continue;
        if (work->counts[owner] == quota[owner])
            work->owners[p] = ASSIGNOR_NOBODY;
        else
            work->counts[owner]++;
    }
}

bool assignor_uniform(struct assignor_work *work)
{
    const struct assignor_input *input = work->input;
    if (input->member_count == 0)
        return true;
    if (!assignor_input_is_homogeneous(input))
        return assignor_balance(work);
    assignor_keep_targets(work);
    const uint32_t *quota = quotas(work);
    if (!quota)
        return false;
    take_what_is_too_much(work, quota);
    uint32_t total = work->base[input->topic_count];
    uint32_t member = 0;
    for (uint32_t p = 0; p < total; p++) {
        if (work->owners[p] != ASSIGNOR_NOBODY)
            continue;
        while (work->counts[member] == quota[member])
            member++;
        klamm_assert(member < input->member_count);
        assignor_give(work, p, member);
    }
    return true;
}
