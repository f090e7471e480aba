/* kraft.version is no metadata record, so it has no initial level here. */
#include "cluster/controller/features.h"

#include "base/assert.h"

/* A compound literal is no constant initializer, so the views are spelled out. */
#define NAME(text)                                                                                 \
    {                                                                                              \
        (const uint8_t *)(text), sizeof(text) - 1                                                  \
    }

static const struct controller_feature features[CONTROLLER_FEATURE_COUNT] = {
    {NAME("eligible.leader.replicas.version"), 0, 0, 1, 0},
    {NAME("group.version"), 0, 1, 1, 1},
    {NAME("kraft.version"), 0, 1, 1, 0},
    {NAME("metadata.version"), METADATA_VERSION_MINIMUM, METADATA_VERSION_MAXIMUM,
     METADATA_VERSION_MAXIMUM, METADATA_VERSION_MAXIMUM},
    {NAME("share.version"), 0, 0, 1, 0},
    {NAME("streams.version"), 0, 0, 1, 0},
    {NAME("transaction.version"), 0, 2, 2, 2},
};

const struct controller_feature *controller_feature_at(size_t index)
{
    klamm_assert(index < CONTROLLER_FEATURE_COUNT);
    return &features[index];
}

int16_t controller_feature_declared_maximum(const struct controller_feature *feature, int16_t level)
{
    return level > feature->maximum && level <= feature->understood ? level : feature->maximum;
}

const struct controller_feature *controller_feature_find(struct view name)
{
    for (size_t i = 0; i < CONTROLLER_FEATURE_COUNT; i++) {
        if (view_equal(features[i].name, name))
            return &features[i];
    }
    return NULL;
}
