/*
 * The part of a request that the metadata log serves (cluster/quorum/quorum_call.h): messages of
 * the quorum's other members.
 *
 * A handler splits with quorum_part_post, its row's `part` calls quorum_part_run, and its `join` is
 * quorum_part_join: the response is filled by the log, errors included.
 */
#ifndef KLAMM_BROKER_QUORUM_PART_H
#define KLAMM_BROKER_QUORUM_PART_H

#include "broker/request.h"
#include "cluster/quorum/quorum_call.h"

struct quorum_part {
    struct part part;
    struct quorum_call call;
    struct loop *at; /* the control loop */
};

/* From split: posts the part with room for a response, and awaits it. */
void quorum_part_post(struct request *request, enum quorum_call_kind kind, size_t response_size);
/* The row's `part`. */
void quorum_part_run(struct part *part, struct loop *at);
/* The row's `join`. */
void quorum_part_join(struct request *request);

#endif
