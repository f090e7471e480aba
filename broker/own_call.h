/*
 * A call of this node to its own controller: the row of its API on the control loop's front, with
 * the structs as they are.
 */
#ifndef KLAMM_BROKER_OWN_CALL_H
#define KLAMM_BROKER_OWN_CALL_H

#include "cluster/controller_channel.h"

struct front;

/* Ends with controller_call_answered, perhaps inside. The API must have a row. */
void own_call_start(struct front *front, struct controller_call *call);

#endif
