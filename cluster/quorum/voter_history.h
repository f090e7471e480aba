/*
 * The sets of voters that the metadata log has named, by the offset of the record (KIP-853).
 *
 * The newest one holds as soon as it is in the log, committed or not; when the log is cut the one
 * before it holds again. What a snapshot says belongs to the last offset in it: -1 for the snapshot
 * that a quorum begins with.
 *
 * Invariants:
 *  1. There is always a set, and offsets rise from one to the next.
 *  2. A set without a value names nobody: the voters are those of the settings (kraft.version 0),
 *     or not known yet.
 */
#ifndef KLAMM_CLUSTER_QUORUM_VOTER_HISTORY_H
#define KLAMM_CLUSTER_QUORUM_VOTER_HISTORY_H

#include "base/list.h"
#include "base/memory.h"
#include "cluster/quorum/quorum.h"

struct voter_set {
    struct list link;
    int64_t offset; /* of the record that made it what it is */
    int16_t kraft_version;
    uint32_t count;
    struct quorum_node nodes[QUORUM_VOTERS_MAX];
    size_t size;       /* of this block */
    struct view value; /* of KRAFT_VOTERS; null: none */
    uint8_t bytes[];
};

struct voter_history {
    struct heap *heap;
    struct list sets; /* voter_set.link, oldest first */
};

/* Begins with a set that names nobody, at offset -1. */
void voter_history_init(struct voter_history *history, struct heap *heap);
void voter_history_deinit(struct voter_history *history);
/* As after init, but with what a snapshot's header says (values of control records, or null). */
bool voter_history_restart(struct voter_history *history, int64_t offset, struct view kraft_version,
                           struct view voters);
/* A record at `offset`; false: malformed, nothing is changed. */
bool voter_history_add_version(struct voter_history *history, int64_t offset, struct view value);
bool voter_history_add_voters(struct voter_history *history, int64_t offset, struct view value);
/* The log ends at `end_offset` now. */
void voter_history_cut(struct voter_history *history, int64_t end_offset);
/* Nobody will ask for what was before `end_offset` any more. */
void voter_history_forget_before(struct voter_history *history, int64_t end_offset);
const struct voter_set *voter_history_last(const struct voter_history *history);
/* The set that the records before `end_offset` make. */
const struct voter_set *voter_history_at(const struct voter_history *history, int64_t end_offset);
/* Whether a node is in the set directly before the last one. */
bool voter_history_was_voter(const struct voter_history *history, struct quorum_node node);

#endif
