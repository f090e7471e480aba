/*
 * Order of computing: eligible leaders from the target in-sync set, then the election, then the
 * fields of the record. See the header for what must hold.
 */
#include "cluster/controller/partition_change.h"

#include "base/assert.h"
#include "protocol/messages/partition_change_record.h"

/* A list that is being made; room for all replicas and former members. */
struct id_list {
    int32_t *ids;
    uint32_t count;
};

struct change {
    struct decision *decision;
    const struct partition_plan *plan;
    struct partition_state old;
    struct id_list isr;
    struct id_list eligible;
    struct id_list last_known;
    bool has_eligible; /* the feature is finalized */
    int32_t leader;
    bool is_unclean;
};

static struct node_list view_list(const struct id_list *list)
{
    return (struct node_list){list->ids, list->count};
}

static bool contains(const struct id_list *list, int32_t id)
{
    return node_list_contains(view_list(list), id);
}

static bool same(const struct id_list *list, struct node_list other)
{
    return list->count == other.count &&
           (other.count == 0 || memcmp(list->ids, other.ids, other.count * sizeof(int32_t)) == 0);
}

static void copy(struct id_list *to, struct node_list from)
{
    if (from.count)
        memcpy(to->ids, from.ids, from.count * sizeof(int32_t));
    to->count = from.count;
}

static void drop(struct id_list *list, int32_t id)
{
    uint32_t kept = 0;
    for (uint32_t i = 0; i < list->count; i++) {
        if (list->ids[i] != id)
            list->ids[kept++] = list->ids[i];
    }
    list->count = kept;
}

/* Whether the directory of a broker's replica is among those that work, or not known. */
static bool is_directory_among(const struct image_partition *partition, int32_t broker_id,
                               const struct uuid *directories, size_t directory_count)
{
    int32_t place = node_list_find(image_partition_replicas(partition), broker_id);
    struct uuid directory =
        place < 0 ? UUID_ZERO : image_partition_directory(partition, (uint32_t)place);
    /* Ids up to 100 are reserved: unassigned and the like say nothing about a failure. */
    if (uuid_most(directory) == 0 && uuid_least(directory) <= 100)
        return true;
    for (size_t i = 0; i < directory_count; i++) {
        if (uuid_equal(directories[i], directory))
            return true;
    }
    return false;
}

static bool is_directory_online(const struct image_node *broker,
                                const struct image_partition *partition)
{
    return broker->directory_count == 0 ||
           is_directory_among(partition, broker->id, broker->directories, broker->directory_count);
}

bool partition_plan_accepts(const struct decision *decision, const struct partition_plan *plan,
                            int32_t broker_id)
{
    if (broker_id == plan->broker_inactive)
        return false;
    const struct image_node *broker = image_broker(decision->image, broker_id);
    if (!broker)
        return false;
    bool is_active =
        broker_id == plan->broker_active || (!broker->fenced && !broker->in_controlled_shutdown);
    return is_active && is_directory_online(broker, plan->partition);
}

/* Eligible leaders (KIP-966): who left the in-sync set while it was below its minimum. */
static void update_eligible(struct change *change)
{
    if (!change->has_eligible)
        return;
    uint32_t minimum = (uint32_t)change->plan->min_isr;
    if (minimum > change->old.replicas.count)
        minimum = change->old.replicas.count;
    if (change->isr.count >= minimum) {
        change->eligible.count = 0;
        change->last_known.count = 0;
        return;
    }
    for (uint32_t i = 0; i < change->old.isr.count; i++) {
        int32_t id = change->old.isr.ids[i];
        if (!contains(&change->eligible, id))
            change->eligible.ids[change->eligible.count++] = id;
    }
    for (uint32_t i = 0; i < change->isr.count; i++)
        drop(&change->eligible, change->isr.ids[i]);
    if (change->plan->broker_unclean != BROKER_NONE)
        drop(&change->eligible, change->plan->broker_unclean);
}

static bool accepts(const struct change *change, int32_t id)
{
    return partition_plan_accepts(change->decision, change->plan, id);
}

static bool is_valid(const struct change *change, int32_t id)
{
    bool may_lead =
        contains(&change->isr, id) || (change->isr.count == 0 && contains(&change->eligible, id));
    return may_lead && accepts(change, id);
}

static int32_t first_replica(const struct change *change,
                             bool (*fits)(const struct change *change, int32_t id))
{
    for (uint32_t i = 0; i < change->old.replicas.count; i++) {
        if (fits(change, change->old.replicas.ids[i]))
            return change->old.replicas.ids[i];
    }
    return IMAGE_LEADER_NONE;
}

static int32_t elect(struct change *change)
{
    enum election_mode mode = change->plan->election;
    int32_t preferred =
        change->old.replicas.count ? change->old.replicas.ids[0] : IMAGE_LEADER_NONE;
    if (mode == ELECTION_PREFERRED && is_valid(change, preferred))
        return preferred;
    if (change->old.leader != IMAGE_LEADER_NONE && is_valid(change, change->old.leader))
        return change->old.leader;
    int32_t leader = first_replica(change, is_valid);
    if (leader != IMAGE_LEADER_NONE || mode == ELECTION_PREFERRED)
        return leader;
    if (change->has_eligible && change->isr.count == 0 && change->eligible.count == 0 &&
        change->last_known.count == 1 && accepts(change, change->last_known.ids[0]))
        leader = change->last_known.ids[0];
    else if (mode == ELECTION_UNCLEAN)
        leader = first_replica(change, accepts);
    change->is_unclean = leader != IMAGE_LEADER_NONE;
    return leader;
}

static void run_election(struct change *change)
{
    change->leader = elect(change);
    if (change->leader == IMAGE_LEADER_NONE || contains(&change->isr, change->leader))
        return;
    /* From the eligible ones, or unclean: the winner is the in-sync set now. */
    change->isr.ids[0] = change->leader;
    change->isr.count = 1;
    drop(&change->eligible, change->leader);
}

static void set_list(int32_t **field, size_t *field_count, const struct id_list *list)
{
    *field = list->ids;
    *field_count = list->count;
}

/* Fills the record with what differs; false when nothing does. */
static bool fill_record(struct change *change, struct partition_change_record *record,
                        struct partition_outcome *outcome)
{
    const struct partition_state *old = &change->old;
    bool differs = false;
    if (change->leader != old->leader) {
        record->leader = change->leader;
        outcome->leader_epoch++;
        differs = true;
    }
    if (change->has_eligible) {
        if (change->isr.count == 0 && old->leader != IMAGE_LEADER_NONE &&
            change->last_known.count == 0) {
            change->last_known.ids[0] = old->leader;
            change->last_known.count = 1;
        }
        if (!same(&change->eligible, old->eligible)) {
            set_list(&record->eligible_leader_replicas, &record->eligible_leader_replicas_count,
                     &change->eligible);
            differs = true;
        }
        if (change->leader != IMAGE_LEADER_NONE)
            change->last_known.count = 0;
        if (!same(&change->last_known, old->last_known)) {
            set_list(&record->last_known_elr, &record->last_known_elr_count, &change->last_known);
            differs = true;
        }
    }
    if ((change->isr.count > 0 || change->has_eligible) && !same(&change->isr, old->isr)) {
        set_list(&record->isr, &record->isr_count, &change->isr);
        outcome->isr = view_list(&change->isr);
        differs = true;
    }
    enum image_recovery recovery = old->recovery;
    if (change->plan->is_recovery_given)
        recovery = change->plan->recovery;
    if (change->is_unclean)
        recovery = IMAGE_RECOVERING;
    if (recovery != old->recovery) {
        record->leader_recovery_state = (int8_t)recovery;
        outcome->recovery = recovery;
        differs = true;
    }
    return differs;
}

void partition_plan_init(struct partition_plan *plan, struct decision *decision,
                         const struct image_topic *topic, int32_t index)
{
    const struct image_partition *partition = image_topic_partition(topic, index);
    klamm_assert(partition);
    *plan = (struct partition_plan){
        .topic = topic,
        .index = index,
        .partition = partition,
        .target_isr = image_partition_isr(partition),
        .broker_active = BROKER_NONE,
        .broker_inactive = BROKER_NONE,
        .broker_unclean = BROKER_NONE,
        .min_isr = decision_min_isr(decision, topic->name),
    };
}

void partition_plan_apply(struct decision *decision, const struct partition_plan *plan,
                          struct partition_outcome *outcome)
{
    struct change change = {
        .decision = decision, .plan = plan, .old = image_partition_state(plan->partition)};
    const struct partition_state *old = &change.old;
    size_t room = old->replicas.count + old->isr.count + old->eligible.count +
                  plan->target_isr.count + old->last_known.count + 1;
    change.isr.ids = decision_get(decision, room, sizeof(int32_t));
    change.eligible.ids = decision_get(decision, room, sizeof(int32_t));
    change.last_known.ids = decision_get(decision, room, sizeof(int32_t));
    change.has_eligible =
        image_feature_level(decision->image, VIEW_LITERAL("eligible.leader.replicas.version")) > 0;
    copy(&change.isr, plan->target_isr);
    copy(&change.eligible, old->eligible);
    copy(&change.last_known, old->last_known);
    *outcome = (struct partition_outcome){
        .leader_epoch = old->leader_epoch,
        .partition_epoch = old->partition_epoch,
        .recovery = old->recovery,
        .isr = old->isr,
    };
    update_eligible(&change);
    run_election(&change);
    outcome->leader = change.leader;
    struct partition_change_record record;
    partition_change_record_init(&record);
    record.partition_id = plan->index;
    record.topic_id = plan->topic->id;
    if (!fill_record(&change, &record, outcome))
        return;
    outcome->is_changed = true;
    outcome->partition_epoch++;
    decision_add(decision, METADATA_RECORD_PARTITION_CHANGE, &record);
}

/* All partitions. */

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
                         struct departure_walk *about)
{
    if (about->departure->removal != BROKER_REMOVAL_UNCLEAN)
        return about->departure->removal == BROKER_REMOVAL_CLEAN;
    if (about->synced_topic != topic)
        about->is_synced = is_synced(decision, topic);
    about->synced_topic = topic;
    return about->is_synced;
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
        departure->removal == BROKER_REMOVAL_UNCLEAN && node_list_contains(old.eligible, id);
    if (!is_in_sync && !is_eligible && old.leader != id)
        return false;
    bool has_directory =
        is_directory_among(partition, id, departure->directories, departure->directory_count);
    bool is_alone = old.isr.count == 1 && is_in_sync && old.leader == id;
    if (departure->removal == BROKER_REMOVAL_DIRECTORIES)
        return !has_directory;
    return !is_alone || !has_directory || !has_kept_all(decision, topic, about);
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
    struct id_list isr = {decision_get(decision, old.count + 1, sizeof(int32_t)), 0};
    copy(&isr, old);
    drop(&isr, departure->broker_id);
    plan.target_isr = view_list(&isr);
    plan.broker_inactive = departure->broker_id;
    if (departure->removal == BROKER_REMOVAL_UNCLEAN)
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
