/* Which replica a consumer is told to read from: Kafka's RackAwareReplicaSelector (KIP-392). */
#ifndef KLAMM_BROKER_READ_REPLICA_H
#define KLAMM_BROKER_READ_REPLICA_H

#include "replication/replica.h"

struct read_replica_question {
    struct view rack;     /* the consumer's */
    struct view listener; /* where it came in */
    int64_t fetch_offset;
};

/*
 * Of the replicas in sync that have the offset, whose brokers are alive in the consumer's rack and
 * have its listener, the one that is furthest. -1: stay with this broker, because it leads from
 * that rack itself, nobody is there, or it does not lead.
 */
int32_t read_replica_choose(const struct image *image, const struct replica *replica,
                            const struct read_replica_question *question);
/* Whether a value of replica.selector.class asks for this. */
bool read_replica_is_rack_aware(struct view selector);

#endif
