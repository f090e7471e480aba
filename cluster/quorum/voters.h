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

enum {
    KRAFT_VERSION_STATIC = 0,
    KRAFT_VERSION_DYNAMIC = 1,
    VOTERS_VALUE_SIZE_MAX = 2048,
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
/* Whether the record names exactly this one voter; a zero directory id matches any. */
bool voters_is_sole(struct view value, int32_t id, struct uuid directory_id, struct arena *arena);

#endif
