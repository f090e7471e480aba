/*
 * An in-sync set that a leader proposes to the controller (AlterPartition): one block that travels
 * from the leader's loop to the control loop and back as itself, with the answer.
 *
 * Owns nothing but itself. The leader makes it (replication/in_sync.h), the carrier takes it
 * (replica_events.propose), fills in the answer, and brings it home to replica_isr_answered and
 * isr_proposal_destroy.
 */
#ifndef KLAMM_REPLICATION_ISR_PROPOSAL_H
#define KLAMM_REPLICATION_ISR_PROPOSAL_H

#include "base/uuid.h"
#include "cluster/metadata/image.h"
#include "protocol/errors.h"
#include "runtime/loop.h"

struct in_sync_member {
    int32_t broker_id;
    int64_t broker_epoch; /* of its newest fetch; -1: it did not fetch in this term (KIP-903) */
};

struct isr_proposal {
    struct message message; /* the carrier's */
    struct uuid topic_id;
    int32_t partition;
    int32_t leader_epoch;
    int32_t partition_epoch;      /* of the state that is to be changed */
    enum image_recovery recovery; /* a leader is done with recovering as soon as it leads */
    uint64_t number;              /* of all proposals of this loop */
    uint32_t member_count;
    uint32_t capacity; /* of the block */
    /* The answer; without an error the state after the change. */
    enum kafka_error error;
    int32_t answered_leader_epoch;
    int32_t answered_partition_epoch;
    uint32_t answered_count;
    int32_t *answered_isr; /* in this block, room for `capacity` */
    struct in_sync_member members[];
};

/* With room for so many members, at least 1; the caller fills in the rest. */
struct isr_proposal *isr_proposal_create(struct heap *heap, uint32_t member_count);
/* On the loop that made it. */
void isr_proposal_destroy(struct heap *heap, struct isr_proposal *proposal);
/* Keeps the in-sync set of the answer; false: more members than there are replicas, which is no
 * answer. */
bool isr_proposal_answer_isr(struct isr_proposal *proposal, struct node_list isr);

#endif
