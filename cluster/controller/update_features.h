/* UpdateFeatures (57): other finalized feature levels (KIP-584, KIP-778). */
#ifndef KLAMM_CLUSTER_CONTROLLER_UPDATE_FEATURES_H
#define KLAMM_CLUSTER_CONTROLLER_UPDATE_FEATURES_H

#include "cluster/controller/decision.h"
#include "protocol/messages/update_features.h"

/*
 * All or nothing. Errors: INVALID_UPDATE_VERSION (unknown feature, level outside the range of this
 * build or of a registered node, a downgrade that was not asked for or would lose records),
 * INVALID_REQUEST (unknown kind of upgrade, a feature twice).
 */
void decide_update_features(struct decision *decision,
                            const struct update_features_request *request, int16_t version,
                            struct update_features_response *response);

#endif
