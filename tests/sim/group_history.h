/*
 * What the members of groups have seen: who owned which partition when, and which offsets were
 * committed and read. Lives outside of all nodes.
 *
 * Invariants (simulation notes section 7):
 *  G1. Two members never own one partition at once, unless the earlier one could have been fenced
 *      before the later one began.
 *  G2. The committed offset of a partition is one register: a read gives a value that was written,
 *      not one that was refused for good (a fenced member's), nor one that a finished write had
 *      already replaced when the read began.
 *  G4. A generation that was acknowledged (SyncGroup) stays the highest but for newer ones; a
 *      member epoch never falls below what the member was told.
 *  G5. The owners that a settled group has cover each partition exactly once.
 */
#ifndef KLAMM_TESTS_SIM_GROUP_HISTORY_H
#define KLAMM_TESTS_SIM_GROUP_HISTORY_H

#include "tests/sim/sim.h"

enum { GROUP_COUNT = 3, GROUP_PARTITIONS = 3, GROUP_MEMBERS = 12 };

enum commit_outcome { COMMIT_OPEN, COMMIT_DONE, COMMIT_REFUSED, COMMIT_UNKNOWN };

/* A commit; its value is its number in the register, from 1. */
struct group_commit {
    enum commit_outcome outcome;
    bool is_fenced; /* somebody else had begun to own the partition, so it must be refused */
    uint64_t invoked_ns;
    uint64_t completed_ns; /* UINT64_MAX: it may still take effect */
};

struct group_register {
    struct group_commit *commits; /* [capacity] */
    uint32_t count;
    uint32_t capacity;
};

/* What one member believes; it is silent when it has no contact. */
struct group_ownership {
    bool owns[GROUP_PARTITIONS];
    uint64_t since_ns[GROUP_PARTITIONS];
    /*
     * Who said so may not have been the coordinator any more: nothing follows from it until the
     * coordinator itself takes the member for one.
     */
    bool is_doubtful[GROUP_PARTITIONS];
    int32_t generation;          /* of a classic member; -1 else */
    uint64_t contact_ns;         /* when the last request was sent that was answered well */
    uint64_t silence_allowed_ns; /* it cannot have been fenced before this has passed */
    /*
     * KIP-848: when it sent the first heartbeat whose answer may have told it to give something up,
     * as long as it has not reported that; 0: none. From then on the broker waits for its rebalance
     * timeout, also when the answer was lost and later ones repeat it.
     */
    uint64_t asked_ns;
    uint64_t rebalance_allowed_ns;
};

struct group_history {
    struct sim *sim;
    struct heap heap;
    struct group_register registers[GROUP_COUNT][GROUP_PARTITIONS];
    struct group_ownership members[GROUP_COUNT][GROUP_MEMBERS];
    int32_t generation[GROUP_COUNT]; /* the highest that was acknowledged */
    uint64_t commits, reads, assignments;
    uint64_t doubtful; /* of these: told by who was not the coordinator any more, perhaps */
};

void group_history_init(struct group_history *history, struct sim *sim);
void group_history_deinit(struct group_history *history);

/* A commit is sent by an owner: the offset to commit. */
int64_t group_history_commit(struct group_history *history, unsigned group, unsigned member,
                             int32_t partition);
void group_history_committed(struct group_history *history, unsigned group, int32_t partition,
                             int64_t offset, enum commit_outcome outcome);
/*
 * An offset was read (-1: none), by a request sent at `invoked_ns`; not from the coordinator
 * perhaps, but from its predecessor: then it may be an old one.
 */
void group_history_read(struct group_history *history, unsigned group, int32_t partition,
                        int64_t offset, uint64_t invoked_ns, bool is_coordinators);

/*
 * The member owns these partitions from now on, as the coordinator says, or perhaps its
 * predecessor; `generation` -1 for members with epochs.
 */
void group_history_own(struct group_history *history, unsigned group, unsigned member,
                       const bool owns[GROUP_PARTITIONS], int32_t generation, bool is_coordinators);
/* The member has stopped: it left, crashed, or rejoins. */
void group_history_release(struct group_history *history, unsigned group, unsigned member);
/*
 * A request of the member that was sent then was answered well by the coordinator. It proves
 * nothing for a member of an older generation than the newest one: while a coordinator loads,
 * Heartbeat is answered well to anybody, as Kafka does.
 */
void group_history_contact(struct group_history *history, unsigned group, unsigned member,
                           uint64_t sent_ns);
/* Whether each partition has exactly one owner. */
bool group_history_is_covered(const struct group_history *history, unsigned group);

#endif
