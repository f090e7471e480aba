/*
 * The file `quorum-state`: epoch, leader and vote of this node, as one line of JSON.
 *
 * Version 0 goes with static voters (kraft.version 0) and repeats them; version 1 goes with voters
 * in the log (kraft.version 1) and knows the voter's directory. The file is replaced as a whole
 * (write, sync, rename, sync of the directory) before anything that it says is acted upon.
 *
 * Invariant: what decode accepts, encode reproduces.
 */
#ifndef KLAMM_CLUSTER_QUORUM_QUORUM_STATE_H
#define KLAMM_CLUSTER_QUORUM_QUORUM_STATE_H

#include "base/bytes.h"
#include "base/uuid.h"

#define QUORUM_STATE_FILE_NAME "quorum-state"

enum { QUORUM_STATE_VOTERS_MAX = 64, QUORUM_STATE_SIZE_MAX = 4096, QUORUM_NODE_NONE = -1 };

struct quorum_state {
    int16_t version; /* data_version: 0 or 1 */
    int32_t leader_id;
    int32_t leader_epoch; /* the node's epoch, whether or not the leader is known */
    int32_t voted_id;
    struct uuid voted_directory_id;          /* version 1 */
    int32_t voters[QUORUM_STATE_VOTERS_MAX]; /* version 0 */
    uint32_t voter_count;
};

/* The state of a node that has no file: epoch 0, no leader, no vote. */
void quorum_state_init(struct quorum_state *state, int16_t version);
/* Writes the line; the size, at most QUORUM_STATE_SIZE_MAX. */
size_t quorum_state_encode(const struct quorum_state *state, char *text, size_t capacity);
/* Reads the line; false when it is not such a line. */
bool quorum_state_decode(struct view text, struct quorum_state *state);

#endif
