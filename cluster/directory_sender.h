/*
 * In which log directories this broker's replicas lie, on the way to the active controller
 * (AssignReplicasToDirs, KIP-858), which takes leaderships off a directory that fails.
 *
 * Whoever knows where a replica lies says so when the metadata says otherwise. It is repeated, with
 * pauses that grow, until the controller has taken it, or the metadata of this node shows that
 * there is nothing to say any more: the directory is as it was told, the partition is gone, or it
 * has no replica here. One request is in flight, with at most 2250 replicas. Control loop only.
 *
 * Invariants:
 *  1. There is one entry per partition, with the directory that was told last.
 *  2. Nothing is sent before this broker has an epoch.
 */
#ifndef KLAMM_CLUSTER_DIRECTORY_SENDER_H
#define KLAMM_CLUSTER_DIRECTORY_SENDER_H

#include "cluster/metadata/publisher.h"
#include "cluster/outbox.h"
#include "protocol/messages/assign_replicas_to_dirs.h"

enum { DIRECTORY_SENDER_BATCH = 2250 };

struct directory_sender_options {
    struct loop *loop;
    struct controller_channel *channel; /* used for nothing else */
    const struct publisher *publisher;
    int32_t broker_id;
    int64_t (*broker_epoch)(void *self); /* of the newest registration; -1: none yet */
    void *self;
};

struct directory_sender {
    struct directory_sender_options options;
    struct outbox outbox; /* of entries, one for each partition */
    struct assign_replicas_to_dirs_request request;
    uint64_t retry_ns; /* the pause after the last failure; 0: it was none */
    uint64_t told;     /* counter: replicas that the controller has taken */
};

void directory_sender_init(struct directory_sender *sender,
                           const struct directory_sender_options *options);
/* Replaces what was told of this partition before. */
void directory_sender_add(struct directory_sender *sender, struct uuid topic_id, int32_t partition,
                          struct uuid directory);
/*
 * Forgets everything, also what is added later. The channel is closed before. A request that runs
 * on this node itself is still answered.
 */
void directory_sender_close(struct directory_sender *sender);

#endif
