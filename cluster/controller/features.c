/* kraft.version is no metadata record, so it has no initial level here. */
#include "cluster/controller/features.h"

#include "base/assert.h"

/* A compound literal is no constant initializer, so the views are spelled out. */
#define NAME(text)                                                                                 \
    {                                                                                              \
        (const uint8_t *)(text), sizeof(text) - 1                                                  \
    }

enum { ELIGIBLE_LEADERS_SINCE = 23, KRAFT_VOTERS_SINCE = 21 }; /* metadata.version */

static const struct controller_feature features[CONTROLLER_FEATURE_COUNT] = {
    {NAME("eligible.leader.replicas.version"), 0, 1, 1, 1, ELIGIBLE_LEADERS_SINCE},
    {NAME("group.version"), 0, 1, 1, 1, 0},
    {NAME("kraft.version"), 0, 1, 1, 0, KRAFT_VOTERS_SINCE},
    {NAME("metadata.version"), METADATA_VERSION_MINIMUM, METADATA_VERSION_MAXIMUM,
     METADATA_VERSION_MAXIMUM, METADATA_VERSION_MAXIMUM, 0},
    {NAME("share.version"), 0, 0, 1, 0, 0},
    {NAME("streams.version"), 0, 0, 1, 0, 0},
    {NAME("transaction.version"), 0, 2, 2, 2, 0},
};

const struct controller_feature *controller_feature_at(size_t index)
{
    klamm_assert(index < CONTROLLER_FEATURE_COUNT);
    return &features[index];
}

const struct controller_feature *controller_feature_find(struct view name)
{
    for (size_t i = 0; i < CONTROLLER_FEATURE_COUNT; i++) {
        if (view_equal(features[i].name, name))
            return &features[i];
    }
    return NULL;
}

void controller_initial_levels_init(struct controller_initial_levels *levels)
{
    for (size_t i = 0; i < CONTROLLER_FEATURE_COUNT; i++)
        levels->levels[i] = features[i].initial;
}

bool controller_initial_levels_set(struct controller_initial_levels *levels, struct view name,
                                   int64_t level)
{
    const struct controller_feature *feature = controller_feature_find(name);
    if (!feature || feature->maximum == 0 || view_equal(name, VIEW_LITERAL("kraft.version")))
        return false;
    bool is_version = view_equal(name, VIEW_LITERAL("metadata.version"));
    if (level < (is_version ? feature->minimum : 0) || level > feature->maximum)
        return false;
    levels->levels[feature - features] = (int16_t)level;
    return true;
}

const struct controller_feature *
controller_initial_levels_fault(const struct controller_initial_levels *levels)
{
    const struct controller_feature *version =
        controller_feature_find(VIEW_LITERAL("metadata.version"));
    for (size_t i = 0; i < CONTROLLER_FEATURE_COUNT; i++) {
        if (levels->levels[i] > 0 && levels->levels[version - features] < features[i].needs)
            return &features[i];
    }
    return NULL;
}

size_t controller_features_declare(const struct image *image, struct image_feature_range *ranges)
{
    size_t count = 0;
    for (size_t i = 0; i < CONTROLLER_FEATURE_COUNT; i++) {
        const struct controller_feature *feature = &features[i];
        int16_t level = image_feature_level(image, feature->name);
        int16_t maximum = feature->maximum;
        if (level > maximum && level <= feature->understood)
            maximum = level;
        if (maximum > 0)
            ranges[count++] =
                (struct image_feature_range){feature->name, feature->minimum, maximum};
    }
    return count;
}

bool feature_ranges_support(const struct image_feature_range *ranges, size_t count,
                            struct view name, int16_t level)
{
    for (size_t i = 0; level != 0 && i < count; i++) {
        if (view_equal(ranges[i].name, name))
            return level >= ranges[i].minimum && level <= ranges[i].maximum;
    }
    return level == 0;
}

const struct image_feature *feature_ranges_missing(const struct image_feature_range *ranges,
                                                   size_t count, const struct image *image)
{
    struct image_walk walk;
    image_walk_start(&image->features, &walk);
    for (const struct image_feature *feature = image_walk_next_feature(&walk); feature;
         feature = image_walk_next_feature(&walk)) {
        if (!feature_ranges_support(ranges, count, feature->name, feature->level))
            return feature;
    }
    return NULL;
}
