/* A walk over all partitions; most need nothing, which is seen before a plan is made. */
#include "cluster/controller/leader_sweep.h"

#include "cluster/controller/partition_change.h"

/* Whether a partition needs the election, as cheaply as it can be told. */
typedef bool (*sweep_needs)(struct decision *decision, const struct image_topic *topic,
                            const struct image_partition *partition);

static bool sweep(struct decision *decision, sweep_needs needs, enum election_mode election)
{
    struct image_topic_walk walk;
    image_topic_walk_start(decision->image, VIEW_NULL, &walk);
    for (const struct image_topic *topic = image_topic_walk_next(&walk); topic;
         topic = image_topic_walk_next(&walk)) {
        for (uint32_t i = 0; i < topic->partition_count; i++) {
            const struct image_partition *partition = image_topic_partition(topic, (int32_t)i);
            if (!partition || !needs(decision, topic, partition))
                continue;
            struct partition_plan plan;
            partition_plan_init(&plan, decision, topic, (int32_t)i);
            plan.election = election;
            struct partition_outcome outcome;
            partition_plan_apply(decision, &plan, &outcome);
            if (decision->records.count >= LEADER_SWEEP_MAX)
                return true;
        }
    }
    return false;
}

static bool is_led_by_another(struct decision *decision, const struct image_topic *topic,
                              const struct image_partition *partition)
{
    (void)topic;
    struct node_list replicas = image_partition_replicas(partition);
    return partition->leader != IMAGE_LEADER_NONE && replicas.count > 0 &&
           partition->leader != replicas.ids[0] &&
           node_list_contains(image_partition_isr(partition), replicas.ids[0]) &&
           image_broker_is_active(decision->image, replicas.ids[0]);
}

static bool may_be_led_unclean(struct decision *decision, const struct image_topic *topic,
                               const struct image_partition *partition)
{
    return partition->leader == IMAGE_LEADER_NONE &&
           decision_is_unclean_allowed(decision, topic->name);
}

bool decide_preferred_leaders(struct decision *decision)
{
    return sweep(decision, is_led_by_another, ELECTION_PREFERRED);
}

bool decide_unclean_leaders(struct decision *decision)
{
    return sweep(decision, may_be_led_unclean, ELECTION_UNCLEAN);
}
