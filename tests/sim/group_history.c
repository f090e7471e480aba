/* Registers are short lists; a read looks at all commits of its register. */
#include "tests/sim/group_history.h"

#include <string.h>

void group_history_init(struct group_history *history, struct sim *sim)
{
    *history = (struct group_history){.sim = sim};
    heap_init_plain(&history->heap);
    for (unsigned group = 0; group < GROUP_COUNT; group++)
        history->generation[group] = -1;
}

void group_history_deinit(struct group_history *history)
{
    for (unsigned group = 0; group < GROUP_COUNT; group++) {
        for (int32_t i = 0; i < GROUP_PARTITIONS; i++) {
            struct group_register *own = &history->registers[group][i];
            heap_put(&history->heap, MEMORY_STATE, own->commits,
                     own->capacity * sizeof(*own->commits));
        }
    }
}

/* ---- G2 ---- */

/* Whether somebody began to own the partition after this member did. */
static bool is_fenced(const struct group_history *history, unsigned group, unsigned member,
                      int32_t partition)
{
    const struct group_ownership *mine = &history->members[group][member];
    for (unsigned i = 0; i < GROUP_MEMBERS; i++) {
        const struct group_ownership *other = &history->members[group][i];
        if (other->owns[partition] && !other->is_doubtful[partition] &&
            other->since_ns[partition] > mine->since_ns[partition])
            return true;
    }
    return false;
}

int64_t group_history_commit(struct group_history *history, unsigned group, unsigned member,
                             int32_t partition)
{
    struct group_register *own = &history->registers[group][partition];
    if (own->count == own->capacity) {
        uint32_t capacity = own->capacity ? own->capacity * 2 : 64;
        struct group_commit *commits =
            heap_must_get(&history->heap, MEMORY_STATE, capacity * sizeof(*commits));
        if (own->count > 0)
            memcpy(commits, own->commits, own->count * sizeof(*commits));
        heap_put(&history->heap, MEMORY_STATE, own->commits, own->capacity * sizeof(*own->commits));
        own->commits = commits;
        own->capacity = capacity;
    }
    own->commits[own->count++] =
        (struct group_commit){.outcome = COMMIT_OPEN,
                              .is_fenced = is_fenced(history, group, member, partition),
                              .invoked_ns = sim_now_ns(history->sim),
                              .completed_ns = UINT64_MAX};
    return own->count;
}

void group_history_committed(struct group_history *history, unsigned group, int32_t partition,
                             int64_t offset, enum commit_outcome outcome)
{
    struct group_commit *commit = &history->registers[group][partition].commits[offset - 1];
    commit->outcome = outcome;
    if (outcome == COMMIT_DONE) {
        sim_require(history->sim, !commit->is_fenced,
                    "G2: group %u, partition %d: offset %lld of a fenced member is taken", group,
                    partition, (long long)offset);
        commit->completed_ns = sim_now_ns(history->sim);
        history->commits++;
    }
}

void group_history_read(struct group_history *history, unsigned group, int32_t partition,
                        int64_t offset, uint64_t invoked_ns, bool is_coordinators)
{
    struct sim *sim = history->sim;
    const struct group_register *own = &history->registers[group][partition];
    sim_note(sim, &offset, sizeof(offset));
    history->reads++;
    history->doubtful += !is_coordinators;
    sim_require(sim, offset == -1 || (offset >= 1 && offset <= own->count),
                "G2: group %u, partition %d: offset %lld was never committed", group, partition,
                (long long)offset);
    const struct group_commit *seen = offset > 0 ? &own->commits[offset - 1] : NULL;
    sim_require(sim, !seen || seen->outcome != COMMIT_REFUSED,
                "G2: group %u, partition %d: offset %lld was refused and is read", group, partition,
                (long long)offset);
    for (uint32_t i = 0; is_coordinators && i < own->count; i++) {
        const struct group_commit *other = &own->commits[i];
        bool was_done = other->outcome == COMMIT_DONE && other->completed_ns < invoked_ns;
        bool replaced_it = !seen || other->invoked_ns > seen->completed_ns;
        sim_require(sim, !was_done || !replaced_it,
                    "G2: group %u, partition %d: offset %lld is read after %u was acknowledged",
                    group, partition, (long long)offset, i + 1);
    }
}

/* ---- G1, G4, G5 ---- */

/* Whether the broker may have fenced the member by now. */
static bool is_overdue(const struct group_ownership *member, uint64_t now_ns)
{
    return member->contact_ns + member->silence_allowed_ns <= now_ns ||
           (member->asked_ns > 0 && member->asked_ns + member->rebalance_allowed_ns <= now_ns);
}

static void check_single_owner(struct group_history *history, unsigned group, unsigned member,
                               int32_t partition)
{
    struct sim *sim = history->sim;
    const struct group_ownership *mine = &history->members[group][member];
    for (unsigned i = 0; i < GROUP_MEMBERS; i++) {
        const struct group_ownership *other = &history->members[group][i];
        if (i == member || !other->owns[partition] || other->is_doubtful[partition])
            continue;
        sim_require(sim, mine->generation < 0 || mine->generation != other->generation,
                    "G1: members %u and %u of group %u own partition %d in generation %d", member,
                    i, group, partition, mine->generation);
        sim_require(sim, is_overdue(other, sim_now_ns(sim)),
                    "G1: member %u of group %u owns partition %d, member %u was heard %.3f s ago",
                    member, group, partition, i,
                    (double)(sim_now_ns(sim) - other->contact_ns) / 1e9);
    }
}

static void begin_to_own(struct group_history *history, unsigned group, unsigned member,
                         int32_t partition, bool is_coordinators)
{
    struct group_ownership *mine = &history->members[group][member];
    mine->since_ns[partition] = sim_now_ns(history->sim);
    mine->is_doubtful[partition] = !is_coordinators;
    if (is_coordinators)
        check_single_owner(history, group, member, partition);
}

void group_history_own(struct group_history *history, unsigned group, unsigned member,
                       const bool owns[GROUP_PARTITIONS], int32_t generation, bool is_coordinators)
{
    struct group_ownership *mine = &history->members[group][member];
    sim_require(history->sim,
                generation < 0 || !is_coordinators || generation >= history->generation[group],
                "G4: generation %d of group %u after %d", generation, group,
                history->generation[group]);
    if (generation > history->generation[group])
        history->generation[group] = generation;
    mine->generation = generation;
    history->assignments++;
    history->doubtful += !is_coordinators;
    for (int32_t i = 0; i < GROUP_PARTITIONS; i++) {
        bool was_owned = mine->owns[i];
        mine->owns[i] = owns[i];
        if (owns[i] && (!was_owned || (mine->is_doubtful[i] && is_coordinators)))
            begin_to_own(history, group, member, i, is_coordinators);
    }
}

void group_history_release(struct group_history *history, unsigned group, unsigned member)
{
    struct group_ownership *mine = &history->members[group][member];
    memset(mine->owns, 0, sizeof(mine->owns));
    mine->asked_ns = 0;
    mine->generation = -1;
}

void group_history_contact(struct group_history *history, unsigned group, unsigned member,
                           uint64_t sent_ns)
{
    struct group_ownership *mine = &history->members[group][member];
    if (mine->generation >= 0 && mine->generation < history->generation[group])
        return;
    mine->contact_ns = sent_ns;
    for (int32_t i = 0; i < GROUP_PARTITIONS; i++)
        if (mine->owns[i] && mine->is_doubtful[i])
            begin_to_own(history, group, member, i, true);
}

bool group_history_is_covered(const struct group_history *history, unsigned group)
{
    for (int32_t partition = 0; partition < GROUP_PARTITIONS; partition++) {
        unsigned owners = 0;
        for (unsigned i = 0; i < GROUP_MEMBERS; i++)
            owners += history->members[group][i].owns[partition];
        if (owners != 1)
            return false;
    }
    return true;
}
