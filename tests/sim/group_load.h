/*
 * Groups as a load: which there are, their members of both protocols, and when all is well with
 * them. What the scenarios with groups share; they differ in the brokers.
 */
#ifndef KLAMM_TESTS_SIM_GROUP_LOAD_H
#define KLAMM_TESTS_SIM_GROUP_LOAD_H

#include "tests/sim/group_member.h"

struct group_load {
    struct sim *sim;
    struct random_stream *random; /* of the scenario */
    struct group_history history;
    unsigned group_count;
    unsigned member_count[GROUP_COUNT];
    struct group_role roles[GROUP_COUNT][GROUP_MEMBERS];
    uint64_t healed_ns;
};

struct group_load_options {
    struct cluster_client_options client;
    unsigned groups_max;  /* up to GROUP_COUNT */
    unsigned members_max; /* of each */
    bool clocks_differ;
};

/* Draws the groups and starts their members. */
void group_load_init(struct group_load *load, struct sim *sim, struct random_stream *random,
                     const struct group_load_options *options);
void group_load_deinit(struct group_load *load);
/* No more leaving, crashing or silence. */
void group_load_behave(struct group_load *load);
/* From now on is looked for: `is_settled` wants commits behind it. */
void group_load_heal(struct group_load *load);
/* Each partition has one owner, all members are stable and each group has committed. */
bool group_load_is_settled(const struct group_load *load);
/* Of some groups of several members one dies without a word: the others must get what it had. */
void group_load_lose_members(struct group_load *load);
void group_load_print(const struct group_load *load);

#endif
