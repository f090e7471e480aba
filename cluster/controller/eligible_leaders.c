/*
 * ClearElrRecord takes the eligible leaders of every partition of a topic, or of all. Where nobody
 * leads that would leave nobody who could, so their partitions get them back behind it.
 */
#include "cluster/controller/eligible_leaders.h"

#include "cluster/controller/id_list.h"
#include "protocol/messages/clear_elr_record.h"
#include "protocol/messages/config_record.h"
#include "protocol/messages/partition_change_record.h"

static const struct view min_isr_name = {(const uint8_t *)"min.insync.replicas", 19};

bool eligible_leaders_are_kept(const struct image *image)
{
    return image_feature_level(image, VIEW_LITERAL(ELIGIBLE_LEADERS_FEATURE)) > 0;
}

/* ---- Partitions ------------------------------------------------------------------------------ */

typedef void (*partition_change)(struct decision *decision, const struct partition_state *state,
                                 struct partition_change_record *record);

static void set_list(int32_t **field, size_t *field_count, const struct id_list *list)
{
    *field = list->ids;
    *field_count = list->count;
}

/* What the partition had, as it was. */
static void keep(struct decision *decision, const struct partition_state *state,
                 struct partition_change_record *record)
{
    struct id_list eligible = id_list_of(decision, state->eligible, 0);
    struct id_list last_known = id_list_of(decision, state->last_known, 0);
    set_list(&record->eligible_leader_replicas, &record->eligible_leader_replicas_count, &eligible);
    set_list(&record->last_known_elr, &record->last_known_elr_count, &last_known);
}

/* Without the feature whoever could lead stays in sync although it is away. */
static void bring_in_sync(struct decision *decision, const struct partition_state *state,
                          struct partition_change_record *record)
{
    struct id_list isr =
        id_list_of(decision, state->eligible.count ? state->eligible : state->last_known, 0);
    id_list_keep(&isr, state->replicas);
    set_list(&record->isr, &record->isr_count, &isr);
}

static void change_leaderless(struct decision *decision, const struct image_topic *topic,
                              partition_change change)
{
    for (uint32_t i = 0; i < topic->partition_count; i++) {
        const struct image_partition *partition = image_topic_partition(topic, (int32_t)i);
        if (!partition || partition->isr_count > 0 ||
            partition->eligible_count + partition->last_known_count == 0)
            continue;
        struct partition_state state = image_partition_state(partition);
        struct partition_change_record record;
        partition_change_record_init(&record);
        record.partition_id = (int32_t)i;
        record.topic_id = topic->id;
        change(decision, &state, &record);
        decision_add(decision, METADATA_RECORD_PARTITION_CHANGE, &record);
    }
}

static void clear(struct decision *decision, struct view name, partition_change change)
{
    struct clear_elr_record record = {name};
    decision_add(decision, METADATA_RECORD_CLEAR_ELR, &record);
    if (name.size > 0) {
        const struct image_topic *topic = image_topic_by_name(decision->image, name);
        if (topic)
            change_leaderless(decision, topic, change);
        return;
    }
    struct image_topic_walk walk;
    image_topic_walk_start(decision->image, VIEW_NULL, &walk);
    for (const struct image_topic *topic = image_topic_walk_next(&walk); topic;
         topic = image_topic_walk_next(&walk))
        change_leaderless(decision, topic, change);
}

void eligible_leaders_forget(struct decision *decision, struct view topic)
{
    clear(decision, topic, keep);
}

/* ---- On and off ------------------------------------------------------------------------------ */

static void set_min_isr(struct decision *decision, struct view broker, struct view value)
{
    struct config_record record = {CONFIG_RESOURCE_BROKER, broker, min_isr_name, value};
    decision_add(decision, METADATA_RECORD_CONFIG, &record);
}

static void drop_brokers_min_isr(struct decision *decision)
{
    struct image_walk walk;
    image_walk_start(&decision->image->configs, &walk);
    for (const struct image_config *config = image_walk_next_config(&walk); config;
         config = image_walk_next_config(&walk)) {
        if (config->type == CONFIG_RESOURCE_BROKER && config->name.size > 0 &&
            !view_is_null(image_config_value(config, min_isr_name)))
            set_min_isr(decision, arena_copy(decision->arena, config->name), VIEW_NULL);
    }
}

/* Another build may have left some from a time when the feature was on. */
static bool any_is_kept(const struct image *image)
{
    struct image_topic_walk walk;
    image_topic_walk_start(image, VIEW_NULL, &walk);
    for (const struct image_topic *topic = image_topic_walk_next(&walk); topic;
         topic = image_topic_walk_next(&walk)) {
        for (uint32_t i = 0; i < topic->partition_count; i++) {
            const struct image_partition *partition = image_topic_partition(topic, (int32_t)i);
            if (partition && partition->eligible_count + partition->last_known_count > 0)
                return true;
        }
    }
    return false;
}

void eligible_leaders_begin(struct decision *decision)
{
    const struct image_config *cluster =
        image_config(decision->image, CONFIG_RESOURCE_BROKER, VIEW_LITERAL(""));
    if (view_is_null(image_config_value(cluster, min_isr_name)))
        set_min_isr(
            decision, VIEW_LITERAL(""),
            decision_text(decision, "%d", decision->config->topic_defaults.min_insync_replicas));
    drop_brokers_min_isr(decision);
    if (any_is_kept(decision->image))
        eligible_leaders_forget(decision, VIEW_LITERAL(""));
}

void eligible_leaders_end(struct decision *decision)
{
    clear(decision, VIEW_LITERAL(""), bring_in_sync);
}

struct refusal eligible_leaders_check_setting(const struct decision *decision, int8_t type,
                                              struct view resource,
                                              const struct config_entry *entry)
{
    struct view message = VIEW_NULL;
    if (type == CONFIG_RESOURCE_BROKER && view_equal(entry->name, min_isr_name) &&
        eligible_leaders_are_kept(decision->image)) {
        if (resource.size > 0)
            message = VIEW_LITERAL("a broker has no min.insync.replicas of its own while eligible "
                                   "leader replicas are on: set it for the cluster or a topic");
        else if (view_is_null(entry->value))
            message = VIEW_LITERAL("the cluster's min.insync.replicas cannot be removed while "
                                   "eligible leader replicas are on");
    }
    return (struct refusal){view_is_null(message) ? KAFKA_ERROR_NONE : KAFKA_ERROR_INVALID_CONFIG,
                            message};
}
