/*
 * The part of AddRaftVoter and RemoveRaftVoter: the active controller's metadata log carries them
 * out (cluster/quorum/voter_change.h); elsewhere they are forwarded to it like a decision.
 *
 * A handler splits with controller_part_post, its row's `part` calls voter_part_run, `arrived` and
 * `release` are those of a controller's part.
 */
#ifndef KLAMM_BROKER_VOTER_PART_H
#define KLAMM_BROKER_VOTER_PART_H

#include "broker/controller_part.h"
#include "cluster/quorum/quorum_call.h"

void voter_part_run(struct part *part, struct loop *at, enum quorum_call_kind kind);
/*
 * In join: the response, or NULL and the error. Who asked a controller that does not lead is told
 * so in the words of the quorum.
 */
void *voter_part_response(struct request *request, enum kafka_error *error);

#endif
