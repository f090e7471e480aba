/*
 * A request of another node that the metadata log serves: decoded message in, response struct out.
 *
 * Embedded by whoever has the request (a part of broker/handlers, a test). It is answered at once,
 * or later: when quorum-state is on disk, when records come, when the time is over.
 *
 * Invariant: `done` is called exactly once, perhaps inside metadata_log_serve, and nothing here
 * touches the call afterwards.
 */
#ifndef KLAMM_CLUSTER_QUORUM_QUORUM_CALL_H
#define KLAMM_CLUSTER_QUORUM_QUORUM_CALL_H

#include "base/arena.h"
#include "log/partition_log.h"
#include "protocol/errors.h"
#include "runtime/timer.h"

enum quorum_call_kind {
    QUORUM_CALL_VOTE,
    QUORUM_CALL_BEGIN_EPOCH,
    QUORUM_CALL_END_EPOCH,
    QUORUM_CALL_FETCH,
    QUORUM_CALL_FETCH_SNAPSHOT,
    QUORUM_CALL_ADD_VOTER,
    QUORUM_CALL_REMOVE_VOTER,
    QUORUM_CALL_UPDATE_VOTER,
    QUORUM_CALL_KINDS
};

struct metadata_log;

struct quorum_call {
    enum quorum_call_kind kind;
    const void *message; /* the generated request struct; stays until done */
    void *response;      /* the generated response struct; filled before done */
    struct arena *arena; /* what the response points into; stays until it was sent */
    int16_t version;
    void (*done)(struct quorum_call *call);
    /* Private. */
    struct list link;
    struct metadata_log *log;
    struct timer deadline; /* of a parked fetch */
    struct log_warm warm;
    bool is_expired;
    bool is_counted; /* the leader knows of this fetch's offset */
    bool is_warming;
};

#endif
