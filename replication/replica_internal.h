/* For the neighbours of replica.c in this folder. */
#ifndef KLAMM_REPLICATION_REPLICA_INTERNAL_H
#define KLAMM_REPLICATION_REPLICA_INTERNAL_H

#include "replication/replica.h"

/* Tells those who watch to look again. */
void replica_fire_watches(struct list *watches);

#endif
