/*
 * The voters as control records carry them, and the records that a new leader appends.
 *
 * Owns encoding only. kraft.version 0: voters come from the settings and are in no record.
 * kraft.version 1: KRAFT_VERSION and KRAFT_VOTERS records in the log or in a snapshot's header, the
 * newest ones hold (KIP-853).
 */
#ifndef KLAMM_CLUSTER_QUORUM_VOTERS_H
#define KLAMM_CLUSTER_QUORUM_VOTERS_H

#include "base/arena.h"
#include "base/uuid.h"
#include "cluster/quorum/quorum.h"
#include "protocol/batch_builder.h"
#include "protocol/messages/voters_record.h"

enum {
    KRAFT_VERSION_STATIC = 0,
    KRAFT_VERSION_DYNAMIC = 1,
    VOTERS_SOLE_SIZE_MAX = 2048,
    VOTERS_CHANGE_SIZE_MAX = 16 + QUORUM_VOTERS_MAX * 2 * 24, /* of a leader change */
};

/* The only voter of a new quorum. */
struct sole_voter {
    int32_t id;
    struct uuid directory_id;
    struct view listener; /* name of the first controller listener */
    struct view host;
    uint16_t port;
};

/* Values of the control records; the written bytes, 0 when they do not fit. */
size_t voters_encode_kraft_version(int16_t kraft_version, uint8_t *bytes, size_t capacity);
size_t voters_encode_sole(const struct sole_voter *voter, uint8_t *bytes, size_t capacity);
/* Of this node's election: the voters, and those of them that voted for it. */
size_t voters_encode_leader_change(const struct quorum *quorum, uint8_t *bytes, size_t capacity);

bool voters_decode_kraft_version(struct view value, int16_t *kraft_version);
/*
 * A whole KRAFT_VOTERS record, which borrows from the value and the arena. False: malformed, or not
 * 1 to QUORUM_VOTERS_MAX voters with ids of their own and an address each.
 */
bool voters_decode(struct view value, struct voters_record *record, struct arena *arena);
/* Only who they are; `nodes` has room for QUORUM_VOTERS_MAX. */
bool voters_decode_nodes(struct view value, struct heap *heap, struct quorum_node *nodes,
                         uint32_t *count);
/* The record's bytes, in the arena; null: out of memory. */
struct view voters_encode(const struct voters_record *record, struct arena *arena);
/* Where a voter is reached at a listener; the first address where it does not have that one. */
const struct voters_record_endpoint *voters_endpoint(const struct voters_record_voter *voter,
                                                     struct view listener);

#endif
