/* Levels above what is served whole are not listed, so nobody can finalize them. */
#include "broker/features.h"

#include "base/assert.h"

#define NAME(text)                                                                                 \
    {                                                                                              \
        (const uint8_t *)(text), sizeof(text) - 1                                                  \
    }

static const struct feature features[FEATURE_COUNT] = {
    {NAME("kraft.version"), 0, 0},
    {NAME("metadata.version"), 7, 29},
};

const struct feature *feature_at(size_t index)
{
    klamm_assert(index < FEATURE_COUNT);
    return &features[index];
}
