/* Two passes over the features: metadata.version says how the records behind it are read. */
#include "cluster/controller/bootstrap_records.h"

#include "protocol/messages/feature_level_record.h"

void add_bootstrap_records(struct metadata_records *records,
                           const struct controller_initial_levels *levels)
{
    for (int first = 1; first >= 0; first--) {
        for (size_t i = 0; i < CONTROLLER_FEATURE_COUNT; i++) {
            const struct controller_feature *feature = controller_feature_at(i);
            bool is_version = view_equal(feature->name, VIEW_LITERAL("metadata.version"));
            struct feature_level_record record = {feature->name, levels->levels[i]};
            if (is_version == (first == 1) && levels->levels[i] > 0)
                metadata_records_add(records, METADATA_RECORD_FEATURE_LEVEL, 0, &record);
        }
    }
}
