/* Where a shard's producer ids come from: blocks of the controller (KIP-730). */
#ifndef KLAMM_BROKER_PRODUCER_ID_SOURCE_H
#define KLAMM_BROKER_PRODUCER_ID_SOURCE_H

#include "transaction/producer_ids.h"

struct shard;

/* Fills shard->producer_ids; asks for nothing yet. */
void producer_id_source_init(struct shard *shard);

#endif
