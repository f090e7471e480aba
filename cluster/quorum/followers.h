/*
 * What a leader knows of those who fetch from it, beyond what the quorum counts: for descriptions,
 * and for the question whether an observer has caught up.
 *
 * Invariants:
 *  1. Entries are of this node's present leadership; they go when it ends.
 *  2. A follower that was silent for five minutes is forgotten by the next look, which comes every
 *     minute; voters excepted.
 */
#ifndef KLAMM_CLUSTER_QUORUM_FOLLOWERS_H
#define KLAMM_CLUSTER_QUORUM_FOLLOWERS_H

#include "base/list.h"
#include "cluster/quorum/quorum.h"

struct metadata_log;

struct quorum_follower {
    struct list link;
    struct quorum_node node;
    int64_t offset;   /* it holds everything below */
    int64_t fetch_ms; /* wall clock of its last Fetch */
    int64_t
        caught_up_ms;  /* when it last held all that there was at one of its fetches; -1: never */
    uint64_t fetch_ns; /* of the last Fetch, monotonic */
    int64_t seen_end;  /* log end at its last Fetch */
};

enum { QUORUM_FOLLOWERS_MAX = 1024 };

void followers_fetched(struct metadata_log *log, struct quorum_node node, int64_t offset);
void followers_forget_silent(struct metadata_log *log);
void followers_clear(struct metadata_log *log);
/* The entry of a node; NULL: it has not fetched. */
const struct quorum_follower *followers_find(const struct metadata_log *log,
                                             struct quorum_node node);

#endif
