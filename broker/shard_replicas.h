/*
 * What the replicas of a shard need from outside: what the metadata says about other brokers, a way
 * to the controller for in-sync sets, and the regular look for followers that fell behind.
 */
#ifndef KLAMM_BROKER_SHARD_REPLICAS_H
#define KLAMM_BROKER_SHARD_REPLICAS_H

struct shard;

/* On the shard's loop, at boot; its fetchers too. */
void shard_replicas_init(struct shard *shard);

#endif
