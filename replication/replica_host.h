/*
 * What all replicas of one loop share, and what they ask of the loop's owner.
 *
 * Invariants:
 *  1. It outlives its replicas.
 *  2. `configs` holds one copy for all replicas whose settings are the same.
 *  3. `leaderships` holds every replica that leads and has other replicas, `moved` those of them
 *     whose high watermark is to be looked at in the deferred phase of this turn.
 */
#ifndef KLAMM_REPLICATION_REPLICA_HOST_H
#define KLAMM_REPLICATION_REPLICA_HOST_H

#include "replication/in_sync.h"
#include "replication/shared_config.h"
#include "runtime/loop.h"

struct replica;

/* What the owner of the loop provides; `owner` is replica_host.owner. */
struct replica_events {
    /* What the newest metadata says about a broker. */
    struct replica_broker (*broker)(void *owner, int32_t broker_id);
    /*
     * Takes the proposal to the controller and brings it back to replica_isr_answered, never inside
     * this call. NULL: there is no way to the controller, and in-sync sets stay as they are.
     */
    void (*propose)(void *owner, struct replica *replica, struct isr_proposal *proposal);
};

/* Plain values, summed on scrape. */
struct replica_counters {
    uint64_t isr_expands; /* committed by the controller */
    uint64_t isr_shrinks;
    uint64_t isr_refused; /* proposals that came back with an error */
};

struct replica_host_options {
    struct loop *loop; /* the clock */
    struct heap *heap;
    int32_t node_id;                     /* this broker's */
    int64_t lag_max_ms;                  /* replica.lag.time.max.ms */
    int64_t fetch_wait_max_ms;           /* replica.fetch.wait.max.ms: how long a follower waits */
    const struct replica_events *events; /* NULL: every partition has one replica */
    void *owner;
};

struct replica_host {
    struct loop *loop;
    struct heap *heap;
    int32_t node_id;
    int64_t lag_max_ns;
    int64_t silence_max_ns; /* a follower that was silent for longer may follow somebody else */
    const struct replica_events *events;
    void *owner;
    struct shared_configs configs;
    struct list leaderships; /* replica_leadership.link */
    struct list moved;       /* replica_leadership.moved */
    struct deferred look;
    uint64_t proposal_number;
    struct replica_counters counters;
};

void replica_host_init(struct replica_host *host, const struct replica_host_options *options,
                       uint64_t seed);
/* No replica is left. */
void replica_host_deinit(struct replica_host *host);
/*
 * Proposes to remove the replicas that have been behind for too long from their in-sync sets; to be
 * called every half of replica.lag.time.max.ms.
 */
void replica_host_check_lag(struct replica_host *host);

#endif
