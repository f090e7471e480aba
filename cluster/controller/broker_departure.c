/* The walk remembers what it found out about a topic, because many partitions ask for the same. */
#include "cluster/controller/broker_departure.h"

#include "cluster/controller/id_list.h"
#include "cluster/controller/partition_change.h"

/* A walk over all partitions; remembers what it found out about the present topic. */
struct departure_walk {
    const struct broker_departure *departure;
    const struct image_topic *synced_topic; /* of which `is_synced` is known */
    bool is_synced;
};

typedef void (*partition_visit)(struct decision *decision, const struct image_topic *topic,
                                int32_t index, const struct image_partition *partition,
                                struct departure_walk *about);

static void visit_all(struct decision *decision, partition_visit visit,
                      const struct broker_departure *departure)
{
    struct departure_walk about = {.departure = departure};
    struct image_topic_walk walk;
    image_topic_walk_start(decision->image, VIEW_NULL, &walk);
    for (const struct image_topic *topic = image_topic_walk_next(&walk); topic;
         topic = image_topic_walk_next(&walk)) {
        for (uint32_t i = 0; i < topic->partition_count; i++) {
            const struct image_partition *partition = image_topic_partition(topic, (int32_t)i);
            if (partition)
                visit(decision, topic, (int32_t)i, partition, &about);
        }
    }
}

/* klamm.durability of a topic, as its log has it. */
static bool is_synced(struct decision *decision, const struct image_topic *topic)
{
    struct decision_layers layers;
    decision_fill_layers(decision, &layers);
    struct config_set own = decision_config_set(decision, CONFIG_RESOURCE_TOPIC, topic->name);
    layers.layers.topic = &own;
    struct topic_config config;
    topic_config_resolve(&config, &layers.layers, decision->arena);
    return config.durability == TOPIC_DURABILITY_SYNC;
}

/* Whether a broker that is back has all that anybody saw of a partition that it leads alone. */
static bool has_kept_all(struct decision *decision, const struct image_topic *topic,
                         const struct image_partition *partition, struct departure_walk *about)
{
    if (about->departure->removal != BROKER_REMOVAL_UNCLEAN)
        return about->departure->removal == BROKER_REMOVAL_CLEAN;
    /* Followers may have what was not flushed: only a new leader epoch tells it from what comes. */
    if (partition->replica_count > 1)
        return false;
    if (about->synced_topic != topic)
        about->is_synced = is_synced(decision, topic);
    about->synced_topic = topic;
    return about->is_synced;
}

/* Whether what the broker had of a partition may be gone: also when it came back without it. */
static bool loses_eligibility(const struct broker_departure *departure,
                              const struct image_partition *partition)
{
    return departure->removal == BROKER_REMOVAL_UNCLEAN ||
           departure->removal == BROKER_REMOVAL_UNREGISTERED ||
           (departure->removal == BROKER_REMOVAL_CLEAN &&
            !partition_directory_is_among(partition, departure->broker_id, departure->directories,
                                          departure->directory_count));
}

/* Whether a departure concerns a partition at all. */
static bool is_concerned(struct decision *decision, const struct image_topic *topic,
                         const struct image_partition *partition, struct departure_walk *about)
{
    const struct broker_departure *departure = about->departure;
    struct partition_state old = image_partition_state(partition);
    int32_t id = departure->broker_id;
    bool is_in_sync = node_list_contains(old.isr, id);
    bool is_eligible =
        node_list_contains(old.eligible, id) && loses_eligibility(departure, partition);
    if (!is_in_sync && !is_eligible && old.leader != id)
        return false;
    bool has_directory = partition_directory_is_among(partition, id, departure->directories,
                                                      departure->directory_count);
    bool is_alone = old.isr.count == 1 && is_in_sync && old.leader == id;
    if (departure->removal == BROKER_REMOVAL_DIRECTORIES)
        return !has_directory;
    return !is_alone || !has_directory || !has_kept_all(decision, topic, partition, about);
}

static void visit_removed(struct decision *decision, const struct image_topic *topic, int32_t index,
                          const struct image_partition *partition, struct departure_walk *about)
{
    const struct broker_departure *departure = about->departure;
    if (!is_concerned(decision, topic, partition, about))
        return;
    struct node_list old = image_partition_isr(partition);
    struct partition_plan plan;
    partition_plan_init(&plan, decision, topic, index);
    struct id_list isr = id_list_of(decision, old, 0);
    id_list_drop(&isr, departure->broker_id);
    plan.target_isr = id_list_view(&isr);
    plan.broker_inactive = departure->broker_id;
    if (loses_eligibility(departure, partition))
        plan.broker_unclean = departure->broker_id;
    struct partition_outcome outcome;
    partition_plan_apply(decision, &plan, &outcome);
}

void partition_changes_for_removed(struct decision *decision,
                                   const struct broker_departure *departure)
{
    visit_all(decision, visit_removed, departure);
}

static void visit_added(struct decision *decision, const struct image_topic *topic, int32_t index,
                        const struct image_partition *partition, struct departure_walk *about)
{
    const struct broker_departure *departure = about->departure;
    if (partition->leader != IMAGE_LEADER_NONE ||
        !node_list_contains(image_partition_replicas(partition), departure->broker_id))
        return;
    struct partition_plan plan;
    partition_plan_init(&plan, decision, topic, index);
    plan.broker_active = departure->broker_id;
    struct partition_outcome outcome;
    partition_plan_apply(decision, &plan, &outcome);
}

void partition_changes_for_added(struct decision *decision, int32_t broker_id)
{
    struct broker_departure none = {.broker_id = broker_id};
    visit_all(decision, visit_added, &none);
}

uint32_t partition_count_led_by(const struct image *image, int32_t broker_id)
{
    uint32_t count = 0;
    struct image_topic_walk walk;
    image_topic_walk_start(image, VIEW_NULL, &walk);
    for (const struct image_topic *topic = image_topic_walk_next(&walk); topic;
         topic = image_topic_walk_next(&walk)) {
        for (uint32_t i = 0; i < topic->partition_count; i++) {
            const struct image_partition *partition = image_topic_partition(topic, (int32_t)i);
            count += partition && partition->leader == broker_id;
        }
    }
    return count;
}

bool broker_is_last_active(const struct image *image, int32_t broker_id)
{
    struct image_walk walk;
    image_walk_start(&image->brokers, &walk);
    for (const struct image_node *node = image_walk_next_node(&walk); node;
         node = image_walk_next_node(&walk)) {
        if (node->id != broker_id && image_broker_is_active(image, node->id))
            return false;
    }
    return true;
}
