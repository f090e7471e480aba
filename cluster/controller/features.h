/*
 * The features of this build (KIP-584): what it serves whole, what it merely understands.
 *
 * Levels up to `maximum` may be finalized through this build. Levels up to `understood` may be
 * found finalized in a log that another build wrote; this node starts on such a log, replays and
 * keeps them, and does not serve what they stand for.
 */
#ifndef KLAMM_CLUSTER_CONTROLLER_FEATURES_H
#define KLAMM_CLUSTER_CONTROLLER_FEATURES_H

#include "base/bytes.h"

enum { CONTROLLER_FEATURE_COUNT = 7, METADATA_VERSION_MINIMUM = 7, METADATA_VERSION_MAXIMUM = 29 };

struct controller_feature {
    struct view name;
    int16_t minimum;
    int16_t maximum;
    int16_t understood;
    int16_t initial; /* level that a new cluster begins with; 0: not finalized */
};

/* Sorted by name; index < CONTROLLER_FEATURE_COUNT. */
const struct controller_feature *controller_feature_at(size_t index);
/*
 * The highest level that a node of this build says it supports, where `level` is finalized (0: it
 * is not): what is finalized must be inside the declared range, also where it is merely understood.
 */
int16_t controller_feature_declared_maximum(const struct controller_feature *feature,
                                            int16_t level);
/* NULL when the name is unknown. */
const struct controller_feature *controller_feature_find(struct view name);

#endif
