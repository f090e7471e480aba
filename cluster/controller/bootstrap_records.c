/* Two passes over the features: metadata.version says how the records behind it are read. */
#include "cluster/controller/bootstrap_records.h"

#include "cluster/controller/features.h"
#include "protocol/messages/feature_level_record.h"

void add_bootstrap_records(struct metadata_records *records)
{
    for (int first = 1; first >= 0; first--) {
        for (size_t i = 0; i < CONTROLLER_FEATURE_COUNT; i++) {
            const struct controller_feature *feature = controller_feature_at(i);
            bool is_version = view_equal(feature->name, VIEW_LITERAL("metadata.version"));
            struct feature_level_record record = {feature->name, feature->initial};
            if (is_version == (first == 1) && feature->initial > 0)
                metadata_records_add(records, METADATA_RECORD_FEATURE_LEVEL, 0, &record);
        }
    }
}
