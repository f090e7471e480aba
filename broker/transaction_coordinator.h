/*
 * What a shard's transaction coordinators have from their broker: producer ids (producer_id_source.h)
 * and the way of markers to the leaders of partitions.
 */
#ifndef KLAMM_BROKER_TRANSACTION_COORDINATOR_H
#define KLAMM_BROKER_TRANSACTION_COORDINATOR_H

#include "coordinator/coordinator.h"

struct shard;

/* The kind of COORDINATOR_TRANSACTIONS. */
extern const struct coordinator_kind transactions_kind;

/* Fills shard->markers. */
void transaction_coordinator_init(struct shard *shard);

#endif
