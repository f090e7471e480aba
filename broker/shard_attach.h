/*
 * Making the log directories known to a shard, once, before the first image: a message from the
 * control loop that carries the shard's half of every directory back to the directories' owners.
 * With them its cleaner begins.
 */
#ifndef KLAMM_BROKER_SHARD_ATTACH_H
#define KLAMM_BROKER_SHARD_ATTACH_H

#include "broker/shard.h"

struct shard_attach {
    struct message message;
    struct directory_owner *owners;                /* [count]: as addresses only */
    struct cleaner_permits *permits;               /* as an address only */
    struct directory_shard *directories;           /* out: [count] */
    void (*attached)(struct shard_attach *attach); /* on the control loop */
    void *context;                                 /* the caller's */
};

void shard_attach_post(struct shard_attach *attach, struct loop *control, unsigned shard_index);

#endif
