/*
 * Every update is checked before the first record is made, so there is one error for all. Up to
 * version 1 a success has a result for each feature.
 */
#include "cluster/controller/update_features.h"

#include "cluster/controller/eligible_leaders.h"
#include "cluster/controller/features.h"
#include "cluster/quorum/kraft_upgrade.h"
#include "protocol/messages/feature_level_record.h"
#include "protocol/messages/no_op_record.h"

enum { UPGRADE = 1, SAFE_DOWNGRADE = 2, UNSAFE_DOWNGRADE = 3 };

typedef struct update_features_request_feature_update_key update_key;

struct refused_update {
    enum kafka_error error;
    struct view message;
};

/* metadata.version levels that changed what records can say: going below one of them loses data. */
static bool loses_records(int16_t from, int16_t to)
{
    static const uint64_t changed = 1u << 3 | 1u << 5 | 1u << 6 | 1u << 7 | 1u << 8 | 1u << 11 |
                                    1u << 13 | 1u << 14 | 1u << 15 | 1u << 17 | 1u << 19;
    for (int16_t level = (int16_t)(to + 1); level <= from; level++) {
        if (level < 64 && (changed >> level & 1))
            return true;
    }
    return false;
}

static bool all_support(const struct image *image, struct view feature, int16_t level)
{
    const struct image_tree *trees[] = {&image->brokers, &image->controllers};
    for (size_t i = 0; i < 2; i++) {
        struct image_walk walk;
        image_walk_start(trees[i], &walk);
        for (const struct image_node *node = image_walk_next_node(&walk); node;
             node = image_walk_next_node(&walk)) {
            if (!feature_ranges_support(node->features, node->feature_count, feature, level))
                return false;
        }
    }
    return true;
}

/* Whether the quorum can go from the voters of the settings to voters in the log; null: it can. */
static struct view check_kraft(struct decision *decision, int8_t upgrade_type)
{
    int32_t voter = -1;
    if (upgrade_type != UPGRADE)
        return VIEW_LITERAL("kraft.version would be raised, and a downgrade was asked for");
    enum kraft_upgrade_fault fault =
        decision->log ? kraft_upgrade_check(decision->log, &voter) : KRAFT_UPGRADE_NOT_READY;
    switch (fault) {
    case KRAFT_UPGRADE_POSSIBLE:
        return VIEW_NULL;
    case KRAFT_UPGRADE_NOT_READY:
        return VIEW_LITERAL("the quorum is not ready for another kraft.version; try again");
    case KRAFT_UPGRADE_SILENT:
        return decision_text(decision,
                             "voter %d has not told this controller that it supports kraft.version "
                             "1: all of controller.quorum.voters must be up; try again",
                             voter);
    case KRAFT_UPGRADE_TOO_OLD:
        return decision_text(decision, "voter %d does not support kraft.version 1", voter);
    case KRAFT_UPGRADE_MOVED:
        return decision_text(decision,
                             "voter %d has come back with another directory, and has not told this "
                             "controller its id yet; try again",
                             voter);
    }
    return VIEW_NULL;
}

static struct refused_update check(struct decision *decision, const update_key *key,
                                   int8_t upgrade_type)
{
    const char *name = (const char *)key->feature.data;
    int size = (int)key->feature.size;
    const struct controller_feature *feature = controller_feature_find(key->feature);
    int16_t level = key->max_version_level;
    bool is_kraft = view_equal(key->feature, VIEW_LITERAL("kraft.version"));
    int16_t now = is_kraft ? decision->image->kraft_version
                           : image_feature_level(decision->image, key->feature);
    struct view message = VIEW_NULL;
    bool is_version = view_equal(key->feature, VIEW_LITERAL("metadata.version"));
    if (upgrade_type < UPGRADE || upgrade_type > UNSAFE_DOWNGRADE)
        return (struct refused_update){KAFKA_ERROR_INVALID_REQUEST,
                                       VIEW_LITERAL("there is no such kind of upgrade")};
    if (!feature)
        message = decision_text(decision, "this controller knows no feature %.*s", size, name);
    else if (level < 0)
        message = decision_text(decision, "a level of %.*s cannot be negative", size, name);
    else if (level != 0 && (level < feature->minimum || level > feature->maximum))
        message = decision_text(decision, "this controller supports %.*s from %d to %d", size, name,
                                feature->minimum, feature->maximum);
    else if (is_version && level == 0)
        message = VIEW_LITERAL("metadata.version cannot be removed");
    else if (is_kraft && level < now)
        message = decision_text(decision,
                                "kraft.version is %d and cannot be lowered: the voters are in the "
                                "metadata log, and stay there",
                                now);
    else if (!all_support(decision->image, key->feature, level))
        message = decision_text(decision, "a node of the cluster does not support %.*s %d", size,
                                name, level);
    else if (level < now && upgrade_type == UPGRADE)
        message = decision_text(decision, "%.*s is at %d; going back to %d has to be asked for",
                                size, name, now, level);
    else if (level < now && is_version && loses_records(now, level))
        message = decision_text(decision, "metadata written since %.*s %d would be lost", size,
                                name, level);
    else if (is_kraft && level > now)
        message = check_kraft(decision, upgrade_type);
    enum kafka_error error =
        view_is_null(message) ? KAFKA_ERROR_NONE : KAFKA_ERROR_INVALID_UPDATE_VERSION;
    return (struct refused_update){error, message};
}

static int8_t upgrade_type(const update_key *key, int16_t version)
{
    if (version >= 1)
        return key->upgrade_type;
    return key->allow_downgrade ? SAFE_DOWNGRADE : UPGRADE;
}

static bool is_double(const struct update_features_request *request, size_t index)
{
    for (size_t i = 0; i < index; i++) {
        if (view_equal(request->feature_updates[i].feature,
                       request->feature_updates[index].feature))
            return true;
    }
    return false;
}

/* The level that a feature has when the request is through. */
static int16_t level_after(const struct decision *decision,
                           const struct update_features_request *request, struct view name)
{
    for (size_t i = 0; i < request->feature_updates_count; i++) {
        if (view_equal(request->feature_updates[i].feature, name))
            return request->feature_updates[i].max_version_level;
    }
    return image_feature_level(decision->image, name);
}

/*
 * kraft.version is no metadata record: it needs a metadata.version when it is raised, and holds
 * none afterwards, as in Apache Kafka (4.2 lowers metadata.version to 20 below kraft.version 1).
 */
static struct refused_update check_needs(struct decision *decision,
                                         const struct update_features_request *request)
{
    int16_t version = level_after(decision, request, VIEW_LITERAL("metadata.version"));
    for (size_t i = 0; i < CONTROLLER_FEATURE_COUNT; i++) {
        const struct controller_feature *feature = controller_feature_at(i);
        if (level_after(decision, request, feature->name) > 0 && version < feature->needs)
            return (struct refused_update){
                KAFKA_ERROR_INVALID_UPDATE_VERSION,
                decision_text(decision, "%.*s needs metadata.version %d", (int)feature->name.size,
                              (const char *)feature->name.data, feature->needs)};
    }
    return (struct refused_update){KAFKA_ERROR_NONE, VIEW_NULL};
}

static struct refused_update
check_all(struct decision *decision, const struct update_features_request *request, int16_t version)
{
    for (size_t i = 0; i < request->feature_updates_count; i++) {
        const update_key *key = &request->feature_updates[i];
        if (is_double(request, i))
            return (struct refused_update){KAFKA_ERROR_INVALID_REQUEST,
                                           VIEW_LITERAL("a feature is named twice")};
        struct refused_update refused = check(decision, key, upgrade_type(key, version));
        if (refused.error != KAFKA_ERROR_NONE)
            return refused;
    }
    return check_needs(decision, request);
}

/* What has to change with the level of a feature, before it changes. */
static void prepare(struct decision *decision, const update_key *key)
{
    if (!view_equal(key->feature, VIEW_LITERAL(ELIGIBLE_LEADERS_FEATURE)))
        return;
    if (key->max_version_level > 0)
        eligible_leaders_begin(decision);
    else
        eligible_leaders_end(decision);
}

/* A control record of the quorum, appended before these; one record is left to wait for. */
static void raise_kraft_version(struct decision *decision)
{
    struct no_op_record record;
    no_op_record_init(&record);
    decision->raises_kraft_version = true;
    decision_add(decision, METADATA_RECORD_NO_OP, &record);
}

static void add_records(struct decision *decision, const struct update_features_request *request)
{
    for (size_t i = 0; i < request->feature_updates_count; i++) {
        const update_key *key = &request->feature_updates[i];
        if (view_equal(key->feature, VIEW_LITERAL("kraft.version"))) {
            if (key->max_version_level > decision->image->kraft_version)
                raise_kraft_version(decision);
            continue;
        }
        if (image_feature_level(decision->image, key->feature) == key->max_version_level)
            continue;
        prepare(decision, key);
        struct feature_level_record record = {key->feature, key->max_version_level};
        decision_add(decision, METADATA_RECORD_FEATURE_LEVEL, &record);
    }
}

void decide_update_features(struct decision *decision,
                            const struct update_features_request *request, int16_t version,
                            struct update_features_response *response)
{
    update_features_response_init(response);
    struct refused_update refused = check_all(decision, request, version);
    response->error_code = (int16_t)refused.error;
    response->error_message = refused.message;
    if (version <= 1 && refused.error == KAFKA_ERROR_NONE) {
        response->results =
            decision_get(decision, request->feature_updates_count, sizeof(*response->results));
        response->results_count = request->feature_updates_count;
        for (size_t i = 0; i < request->feature_updates_count; i++)
            response->results[i] = (struct update_features_response_updatable_feature_result){
                request->feature_updates[i].feature, KAFKA_ERROR_NONE, VIEW_NULL};
    }
    if (refused.error == KAFKA_ERROR_NONE && !request->validate_only)
        add_records(decision, request);
}
