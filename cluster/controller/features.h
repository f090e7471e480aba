/*
 * The features of this build (KIP-584): what it serves whole, what it merely understands.
 *
 * Levels up to `maximum` may be finalized through this build. Levels up to `understood` may be
 * found finalized in a log that another build wrote; this node starts on such a log, replays and
 * keeps them, and does not serve what they stand for.
 */
#ifndef KLAMM_CLUSTER_CONTROLLER_FEATURES_H
#define KLAMM_CLUSTER_CONTROLLER_FEATURES_H

#include "cluster/metadata/image.h"

enum { CONTROLLER_FEATURE_COUNT = 7, METADATA_VERSION_MINIMUM = 7, METADATA_VERSION_MAXIMUM = 29 };

struct controller_feature {
    struct view name;
    int16_t minimum;
    int16_t maximum;
    int16_t understood;
    int16_t initial; /* level that a new cluster begins with; 0: not finalized */
    int16_t needs;   /* metadata.version without which there is no level but 0 */
};

/* Sorted by name; index < CONTROLLER_FEATURE_COUNT. */
const struct controller_feature *controller_feature_at(size_t index);
/* NULL when the name is unknown. */
const struct controller_feature *controller_feature_find(struct view name);
/* The levels that a new cluster begins with, in the order of the features. */
struct controller_initial_levels {
    int16_t levels[CONTROLLER_FEATURE_COUNT];
};

void controller_initial_levels_init(struct controller_initial_levels *levels);
/* Chooses another level; false: there is no such feature or level for a new cluster. */
bool controller_initial_levels_set(struct controller_initial_levels *levels, struct view name,
                                   int64_t level);
/* A feature whose level needs a higher metadata.version than the one chosen, or NULL. */
const struct controller_feature *
controller_initial_levels_fault(const struct controller_initial_levels *levels);

/*
 * The ranges that this node declares when it registers; their number, up to
 * CONTROLLER_FEATURE_COUNT. What the image has finalized is inside its range also where this build
 * merely understands it; what is not served at all is left out.
 */
size_t controller_features_declare(const struct image *image, struct image_feature_range *ranges);

/* Whether a node that declares these ranges can be at a level; every node can do without: 0. */
bool feature_ranges_support(const struct image_feature_range *ranges, size_t count,
                            struct view name, int16_t level);
/* A finalized feature at a level that such a node does not support, or NULL. */
const struct image_feature *feature_ranges_missing(const struct image_feature_range *ranges,
                                                   size_t count, const struct image *image);

#endif
