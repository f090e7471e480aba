/*
 * From voters of the settings to voters in the log: kraft.version 0 to 1 in a running quorum
 * (KIP-853, KAFKA-16538).
 *
 * While the voters are those of controller.quorum.voters, each of them tells every new leader its
 * directory id, where it listens and which versions it knows (UpdateRaftVoter, own_vote.h). The
 * leader remembers that for its epoch, and writes nothing. When all have told it, the level can be
 * raised: one batch with KRAFT_VERSION and KRAFT_VOTERS, which holds as soon as it is in the log,
 * like any later set. From then on the settings say nothing about voters any more.
 *
 * Invariants:
 *  1. What is remembered is of voters of the settings, at most one entry each, told to this node in
 *     its present leadership. A later word of a voter takes the place of an earlier one.
 *  2. The first record names the ids of the settings and nobody else, so that majorities before and
 *     behind it are of the same voters.
 *  3. Nobody is named with a directory other than the one that it fetched with last.
 *  4. There is no way back to 0.
 */
#ifndef KLAMM_CLUSTER_QUORUM_KRAFT_UPGRADE_H
#define KLAMM_CLUSTER_QUORUM_KRAFT_UPGRADE_H

#include "base/arena.h"
#include "base/list.h"
#include "protocol/errors.h"
#include "protocol/messages/voters_record.h"

struct metadata_log;

struct kraft_upgrade {
    struct list told; /* one entry for each voter that was heard */
};

/* Why the level cannot be raised now. */
enum kraft_upgrade_fault {
    KRAFT_UPGRADE_POSSIBLE,
    KRAFT_UPGRADE_NOT_READY, /* no leader, nothing committed in its epoch, or raised already */
    KRAFT_UPGRADE_SILENT,    /* a voter has not told this leader who it is */
    KRAFT_UPGRADE_TOO_OLD,   /* a voter does not know kraft.version 1 */
    KRAFT_UPGRADE_MOVED,     /* a voter fetches with another directory than it told */
};

void kraft_upgrade_init(struct metadata_log *log);
/* Leadership has ended. */
void kraft_upgrade_forget(struct metadata_log *log);
/*
 * What another voter says of itself; VOTER_NOT_FOUND: the settings do not name it, INVALID_REQUEST:
 * it says more than is kept of one.
 */
enum kafka_error kraft_upgrade_remember(struct metadata_log *log,
                                        const struct voters_record_voter *voter,
                                        struct arena *arena);
/* `voter`: whose fault it is, where it is one's. */
enum kraft_upgrade_fault kraft_upgrade_check(const struct metadata_log *log, int32_t *voter);
/* Appends the records; false: there is a fault, or the log takes nothing now. */
bool kraft_upgrade_append(struct metadata_log *log);

#endif
