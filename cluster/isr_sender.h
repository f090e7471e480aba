/*
 * In-sync sets that leaders on this node propose, on their way to the active controller
 * (AlterPartition, KIP-497, KIP-841, KIP-903).
 *
 * One request is in flight, with everything that was proposed when it left. A proposal is repeated
 * until the controller has said something definite about it: lost connections, refused requests (a
 * registration that is being renewed) and transient errors are this module's business. Control
 * loop only.
 *
 * Invariants:
 *  1. `done` of a change is called exactly once, never inside isr_sender_add; the change stays in
 *     place until then.
 *  2. At most one change per partition is here; a second one ends with OPERATION_NOT_ATTEMPTED.
 *  3. The answers that `done` may see: NONE with the state after the change, and the errors listed
 *     at isr_change.error.
 */
#ifndef KLAMM_CLUSTER_ISR_SENDER_H
#define KLAMM_CLUSTER_ISR_SENDER_H

#include "cluster/outbox.h"
#include "protocol/messages/alter_partition.h"

struct isr_member {
    int32_t broker_id;
    int64_t broker_epoch; /* -1: any incarnation */
};

/* Embedded by whoever proposes. */
struct isr_change {
    struct uuid topic_id;
    int32_t partition;
    int32_t leader_epoch;
    int32_t partition_epoch;
    int8_t recovery;                  /* 0 recovered, 1 recovering */
    const struct isr_member *members; /* until `done` */
    uint32_t member_count;
    /*
     * Out. NONE; OPERATION_NOT_ATTEMPTED and INELIGIBLE_REPLICA: not now; UNKNOWN_TOPIC_ID,
     * UNKNOWN_TOPIC_OR_PARTITION, FENCED_LEADER_EPOCH, INVALID_UPDATE_VERSION, INVALID_REQUEST,
     * NEW_LEADER_ELECTED: the metadata will tell.
     */
    enum kafka_error error;
    /* When NONE, valid inside `done`: the state after the change. */
    const struct alter_partition_response_partition_data *state;
    void (*done)(struct isr_change *change);
    /* Private. */
    struct outbox_item item;
};

struct isr_sender_options {
    struct loop *loop;
    struct controller_channel *channel; /* used for nothing else */
    int32_t broker_id;
    int64_t (*broker_epoch)(void *self); /* of the newest registration */
    void *self;
};

struct isr_sender {
    struct isr_sender_options options;
    struct outbox outbox; /* of changes */
    struct alter_partition_request request;
};

void isr_sender_init(struct isr_sender *sender, const struct isr_sender_options *options);
void isr_sender_add(struct isr_sender *sender, struct isr_change *change);
/*
 * Ends all changes with OPERATION_NOT_ATTEMPTED, and those that are added later too. The channel is
 * closed before. A request that runs on this node itself is still answered.
 */
void isr_sender_close(struct isr_sender *sender);

#endif
