/*
 * The features that this build knows, with the levels that it supports (KIP-584). What is finalized
 * in the cluster is in the metadata image.
 */
#ifndef KLAMM_BROKER_FEATURES_H
#define KLAMM_BROKER_FEATURES_H

#include "base/bytes.h"

enum { FEATURE_COUNT = 2 };

struct feature {
    struct view name;
    int16_t minimum;
    int16_t maximum;
};

/* index < FEATURE_COUNT. */
const struct feature *feature_at(size_t index);

#endif
