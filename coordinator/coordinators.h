/*
 * The coordinators of one loop: one for every partition of an internal topic that is led here and
 * whose kind is served.
 *
 * The owner of the loop tells what happens to its replicas and which image it shows; requests find
 * their coordinator by slot and partition.
 *
 * Invariants:
 *  1. While not stopped: a replica of a served topic that was reported to lead, and not to end, has
 *     exactly one coordinator; no other replica has one.
 *  2. Coordinators are walked in the order in which their replicas came.
 */
#ifndef KLAMM_COORDINATOR_COORDINATORS_H
#define KLAMM_COORDINATOR_COORDINATORS_H

#include "base/map.h"
#include "coordinator/lifecycle.h"

/* What a key of a coordinator may be; the numbers are FindCoordinator's key types. */
enum coordinator_slot {
    COORDINATOR_GROUPS = 0,
    COORDINATOR_TRANSACTIONS = 1,
    COORDINATOR_SHARES = 2,
    COORDINATOR_SLOTS
};

struct coordinators_slot {
    const struct coordinator_kind *kind; /* NULL: not served */
    enum compression_codec codec;
    struct map by_partition; /* partition index to struct coordinator */
};

struct coordinators {
    struct coordinator_host host;
    const struct image *image; /* that the loop shows; NULL before the first */
    struct coordinators_slot slots[COORDINATOR_SLOTS];
    bool is_stopped;
};

/* The topic whose partitions the keys of a slot are placed in. */
struct view coordinator_slot_topic(enum coordinator_slot slot);

void coordinators_init(struct coordinators *coordinators, struct loop *loop, struct heap *heap,
                       struct log_shard *logs, const struct server_config *config);
/* Stopped, or never used. */
void coordinators_deinit(struct coordinators *coordinators);
/* Before the first replica: the kind of a slot, and the codec of what it appends. */
void coordinators_serve(struct coordinators *coordinators, enum coordinator_slot slot,
                        const struct coordinator_kind *kind, enum compression_codec codec);

/* The replica leads now, or with another epoch. Any replica of the loop may be told. */
void coordinators_lead(struct coordinators *coordinators, struct replica *replica);
/* The replica is about to be detached: its coordinator resigns. Any replica, too. */
void coordinators_leave(struct coordinators *coordinators, const struct replica *replica);
/* The loop shows another image; the one before may go afterwards. `delta` may be NULL. */
void coordinators_show(struct coordinators *coordinators, const struct image *image,
                       const struct image_delta *delta);
/* All resign, and none comes any more: whoever waits is told NOT_COORDINATOR. */
void coordinators_stop(struct coordinators *coordinators);

/*
 * The coordinator of a partition. NONE: it is ACTIVE. COORDINATOR_LOAD_IN_PROGRESS, or
 * NOT_COORDINATOR when there is none or it has failed; *coordinator is NULL then.
 */
enum kafka_error coordinators_find(const struct coordinators *coordinators,
                                   enum coordinator_slot slot, int32_t partition,
                                   struct coordinator **coordinator);
static inline uint32_t coordinators_count(const struct coordinators *coordinators,
                                          enum coordinator_slot slot)
{
    return map_count(&coordinators->slots[slot].by_partition);
}

#endif
