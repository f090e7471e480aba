/* Which kinds of coordinators this broker serves. */
#ifndef KLAMM_BROKER_COORDINATOR_KINDS_H
#define KLAMM_BROKER_COORDINATOR_KINDS_H

#include "coordinator/coordinators.h"

struct broker;

/* The kind of a slot, or NULL when this broker does not serve it. */
const struct coordinator_kind *coordinator_kind_of(const struct broker *broker,
                                                   enum coordinator_slot slot);
/* On a shard at boot: tells its coordinators what they serve. */
void coordinator_kinds_serve(const struct broker *broker, struct coordinators *coordinators);

#endif
