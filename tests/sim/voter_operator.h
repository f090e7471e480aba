/*
 * Somebody who adds voters to a dynamic quorum and removes some, any of them, at any time, through
 * controllers drawn anew until one leads (KIP-853). Where the voters are those of the settings he
 * raises kraft.version first, at a moment that suits nobody. A voter whose disk is replaced comes
 * before all else, and is removed and added until both have been answered well. What he is answered
 * must be one of the answers that there are; whether the quorum is right is the matter of the
 * checks.
 */
#ifndef KLAMM_TESTS_SIM_VOTER_OPERATOR_H
#define KLAMM_TESTS_SIM_VOTER_OPERATOR_H

#include "base/uuid.h"
#include "tests/sim/cluster.h"

/* Outlives his node. */
struct voter_operator_role {
    unsigned count; /* controllers: nodes 0 to count - 1 */
    uint64_t pace_ns;
    bool pauses;                      /* sends nothing new, but what must be */
    bool raises;                      /* the quorum begins with the voters of the settings */
    bool must_raise;                  /* goes on with it while he pauses */
    const struct uuid *directory_ids; /* of each controller; zero: it is not formatted yet */
    struct voter_replacement *replacement;
    const bool *is_held;     /* begins nothing new */
    unsigned added, removed; /* told: so many were answered without error */
    bool is_raised;          /* told: so was raising kraft.version */
};

void voter_operator_boot(struct loop *loop, void *role);

#endif
