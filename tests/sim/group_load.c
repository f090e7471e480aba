/* Roles live here, outside of all nodes. */
#include "tests/sim/group_load.h"

#include <stdio.h>

static const uint64_t second_ns = UINT64_C(1000000000);

static void add_member(struct group_load *load, const struct group_load_options *options,
                       unsigned group, bool is_consumer_protocol)
{
    unsigned number = load->member_count[group]++;
    struct group_role *role = &load->roles[group][number];
    *role =
        (struct group_role){.history = &load->history,
                            .client = options->client,
                            .clocks_differ = options->clocks_differ,
                            .group = group,
                            .member = number,
                            .is_consumer_protocol = is_consumer_protocol,
                            .session_ns = 2 * second_ns,
                            .rebalance_ns = second_ns + random_below(load->random, 2 * second_ns)};
    unsigned node = sim_add_node(
        load->sim,
        &(struct sim_node_spec){.loops = 1, .boot = group_member_boot, .argument = role});
    role->node = node;
    sim_start(load->sim, node);
}

void group_load_init(struct group_load *load, struct sim *sim, struct random_stream *random,
                     const struct group_load_options *options)
{
    *load = (struct group_load){.sim = sim, .random = random};
    group_history_init(&load->history, sim);
    load->group_count = 1 + (unsigned)random_below(random, options->groups_max);
    for (unsigned group = 0; group < load->group_count; group++) {
        bool is_consumer_protocol = random_chance(random, 1, 2);
        uint64_t count = 1 + random_below(random, options->members_max);
        for (uint64_t i = 0; i < count; i++)
            add_member(load, options, group, is_consumer_protocol);
    }
}

void group_load_deinit(struct group_load *load)
{
    group_history_deinit(&load->history);
}

void group_load_behave(struct group_load *load)
{
    for (unsigned group = 0; group < load->group_count; group++)
        for (unsigned i = 0; i < load->member_count[group]; i++)
            load->roles[group][i].behaves = true;
}

void group_load_heal(struct group_load *load)
{
    load->healed_ns = sim_now_ns(load->sim);
}

static bool is_group_settled(const struct group_load *load, unsigned group)
{
    uint64_t last_commit_ns = 0;
    for (unsigned i = 0; i < load->member_count[group]; i++) {
        const struct group_role *role = &load->roles[group][i];
        if (!role->is_stable && !role->is_gone)
            return false;
        if (role->last_commit_ns > last_commit_ns)
            last_commit_ns = role->last_commit_ns;
    }
    return last_commit_ns > load->healed_ns && group_history_is_covered(&load->history, group);
}

bool group_load_is_settled(const struct group_load *load)
{
    for (unsigned group = 0; group < load->group_count; group++)
        if (!is_group_settled(load, group))
            return false;
    return true;
}

static void lose_a_member(struct group_load *load, unsigned group)
{
    unsigned count = load->member_count[group];
    if (count == 1 || random_chance(load->random, 1, 2))
        return;
    struct group_role *role = &load->roles[group][random_below(load->random, count)];
    role->is_gone = true;
    sim_crash(load->sim, role->node);
    group_history_release(&load->history, group, role->member);
}

void group_load_lose_members(struct group_load *load)
{
    for (unsigned group = 0; group < load->group_count; group++)
        lose_a_member(load, group);
}

void group_load_print(const struct group_load *load)
{
    for (unsigned group = 0; group < load->group_count; group++) {
        for (unsigned i = 0; i < load->member_count[group]; i++) {
            const struct group_role *role = &load->roles[group][i];
            fprintf(stderr,
                    "group %u, member %u (%s): %llu joins, %llu silences, %llu crashes, %llu "
                    "refused commits\n",
                    group, i, role->is_consumer_protocol ? "consumer" : "classic",
                    (unsigned long long)role->rebalances, (unsigned long long)role->silences,
                    (unsigned long long)role->crashes, (unsigned long long)role->refused);
        }
    }
    fprintf(stderr, "%llu commits, %llu offsets read, %llu assignments, %llu of these doubtful\n",
            (unsigned long long)load->history.commits, (unsigned long long)load->history.reads,
            (unsigned long long)load->history.assignments,
            (unsigned long long)load->history.doubtful);
}
