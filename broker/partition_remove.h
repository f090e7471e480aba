/*
 * Removing a partition from its shard: whoever waits is told, the log is dropped, its directory is
 * renamed at once and deleted after file.delete.delay.ms.
 */
#ifndef KLAMM_BROKER_PARTITION_REMOVE_H
#define KLAMM_BROKER_PARTITION_REMOVE_H

#include "broker/shard.h"

/* The replica is out of the table and gone soon. */
void partition_remove(struct shard *shard, struct replica *replica);
/* The same for a replica that was removed while its log was being opened. */
void partition_remove_log(struct shard *shard, struct replica *replica, struct partition_log *log);

#endif
