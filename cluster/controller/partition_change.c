/*
 * Order of computing: whether a reassignment is complete, eligible leaders from the target in-sync
 * set, the election, then the fields of the record. See the header for what must hold.
 */
#include "cluster/controller/partition_change.h"

#include "base/assert.h"
#include "cluster/controller/assignment.h"
#include "cluster/controller/eligible_leaders.h"
#include "cluster/controller/id_list.h"
#include "protocol/messages/partition_change_record.h"
#include "runtime/test_point.h"

/* Levels of metadata.version. */
enum { DIRECTORIES_SINCE = 17, NO_EPOCH_FOR_SHRINK_SINCE = 12 };

struct change {
    struct decision *decision;
    const struct partition_plan *plan;
    struct partition_state old;
    struct id_list replicas;
    struct id_list adding;
    struct id_list removing;
    struct id_list isr;
    struct id_list eligible;
    struct id_list last_known;
    bool has_eligible; /* the feature is finalized */
    int16_t version;   /* metadata.version */
    int32_t leader;
    bool is_unclean;
};

/* Reserved ids say that nobody knows, which is no failure, or that the directory is lost. */
enum { DIRECTORY_RESERVED_MAX = 100, DIRECTORY_LOST = 2 };

static bool is_among(struct uuid directory, const struct uuid *directories, size_t directory_count)
{
    if (uuid_most(directory) == 0 && uuid_least(directory) <= DIRECTORY_RESERVED_MAX)
        return uuid_least(directory) != DIRECTORY_LOST;
    for (size_t i = 0; i < directory_count; i++) {
        if (uuid_equal(directories[i], directory))
            return true;
    }
    return false;
}

bool partition_directory_is_among(const struct image_partition *partition, int32_t broker_id,
                                  const struct uuid *directories, size_t directory_count)
{
    int32_t place = node_list_find(image_partition_replicas(partition), broker_id);
    return place < 0 || is_among(image_partition_directory(partition, (uint32_t)place), directories,
                                 directory_count);
}

bool partition_directory_is_online(const struct image_node *broker, struct uuid directory)
{
    /* A registration from before directories were registered says nothing about them. */
    bool knows = broker->directory_count > 0;
    return is_among(directory, broker->directories, broker->directory_count) ||
           (!knows && uuid_most(directory) != 0);
}

static bool is_replica_online(const struct image_node *broker, const struct partition_plan *plan)
{
    int32_t place = node_list_find(image_partition_replicas(plan->partition), broker->id);
    if (place < 0)
        return true;
    return partition_directory_is_online(
        broker, plan->directories ? plan->directories[place]
                                  : image_partition_directory(plan->partition, (uint32_t)place));
}

/* When every replica that stays is in sync, the others are gone. */
static void complete_reassignment(struct change *change)
{
    if (change->adding.count == 0 && change->removing.count == 0)
        return;
    struct id_list replicas = id_list_of(change->decision, id_list_view(&change->replicas), 0);
    struct id_list isr = id_list_of(change->decision, id_list_view(&change->isr), 1);
    id_list_drop_all(&replicas, id_list_view(&change->removing));
    id_list_drop_all(&isr, id_list_view(&change->removing));
    if (isr.count == 0 || !node_list_contains_all(id_list_view(&isr), id_list_view(&replicas)))
        return;
    change->replicas = replicas;
    change->isr = isr;
    change->adding.count = 0;
    change->removing.count = 0;
}

/* Eligible leaders (KIP-966): who left the in-sync set while it was below its minimum. */
static void update_eligible(struct change *change)
{
    if (!change->has_eligible)
        return;
    id_list_keep(&change->last_known, id_list_view(&change->replicas));
    uint32_t minimum = (uint32_t)change->plan->min_isr;
    if (minimum > change->replicas.count)
        minimum = change->replicas.count;
    if (change->isr.count >= minimum) {
        change->eligible.count = 0;
        change->last_known.count = 0;
        return;
    }
    for (uint32_t i = 0; i < change->old.isr.count; i++) {
        int32_t id = change->old.isr.ids[i];
        if (!id_list_contains(&change->eligible, id))
            id_list_add(&change->eligible, id);
    }
    id_list_drop_all(&change->eligible, id_list_view(&change->isr));
    id_list_keep(&change->eligible, id_list_view(&change->replicas));
    if (change->plan->broker_unclean != BROKER_NONE)
        id_list_drop(&change->eligible, change->plan->broker_unclean);
}

/* Whether a replica may lead under the plan. */
static bool accepts(const struct change *change, int32_t id)
{
    const struct partition_plan *plan = change->plan;
    if (id == plan->broker_inactive)
        return false;
    const struct image_node *broker = image_broker(change->decision->image, id);
    if (!broker)
        return false;
    bool is_active =
        id == plan->broker_active || (!broker->fenced && !broker->in_controlled_shutdown);
    return is_active && is_replica_online(broker, plan);
}

static bool is_valid(const struct change *change, int32_t id)
{
    bool may_lead = id_list_contains(&change->isr, id) ||
                    (change->isr.count == 0 && id_list_contains(&change->eligible, id));
    return may_lead && accepts(change, id);
}

static int32_t first_replica(const struct change *change,
                             bool (*fits)(const struct change *change, int32_t id))
{
    for (uint32_t i = 0; i < change->replicas.count; i++) {
        if (fits(change, change->replicas.ids[i]))
            return change->replicas.ids[i];
    }
    return IMAGE_LEADER_NONE;
}

static int32_t elect(struct change *change)
{
    enum election_mode mode = change->plan->election;
    int32_t preferred = change->replicas.count ? change->replicas.ids[0] : IMAGE_LEADER_NONE;
    if (mode == ELECTION_PREFERRED && is_valid(change, preferred))
        return preferred;
    if (change->old.leader != IMAGE_LEADER_NONE && is_valid(change, change->old.leader))
        return change->old.leader;
    int32_t leader = first_replica(change, is_valid);
    if (leader != IMAGE_LEADER_NONE)
        return leader;
    if (change->has_eligible && change->isr.count == 0 && change->eligible.count == 0 &&
        change->last_known.count == 1 && accepts(change, change->last_known.ids[0]))
        leader = change->last_known.ids[0];
    else if (mode == ELECTION_UNCLEAN ||
             test_point_in(change->decision->test_points, BUG_CONTROLLER_ELECT_ANYBODY))
        leader = first_replica(change, accepts);
    change->is_unclean = leader != IMAGE_LEADER_NONE;
    return leader;
}

/* Who led last, when nobody is in sync any more. */
static void remember_leader(struct change *change)
{
    const struct partition_state *old = &change->old;
    if (!change->has_eligible || change->isr.count > 0 || change->last_known.count > 0)
        return;
    /* From before the feature was on: who was kept in sync alone, because it led last. */
    int32_t last =
        old->leader == IMAGE_LEADER_NONE && old->isr.count == 1 ? old->isr.ids[0] : old->leader;
    if (last != IMAGE_LEADER_NONE)
        change->last_known.ids[change->last_known.count++] = last;
}

static void run_election(struct change *change)
{
    remember_leader(change);
    change->leader = elect(change);
    if (change->leader == IMAGE_LEADER_NONE || id_list_contains(&change->isr, change->leader))
        return;
    /* From the eligible ones, or unclean: the winner is the in-sync set now. */
    change->isr.ids[0] = change->leader;
    change->isr.count = 1;
    id_list_drop(&change->eligible, change->leader);
    /* What an unclean leader lacks, the eligible ones have: they are no part of its history. */
    if (change->is_unclean)
        change->eligible.count = 0;
}

static void set_list(int32_t **field, size_t *field_count, const struct id_list *list)
{
    *field = list->ids;
    *field_count = list->count;
}

/* Eligible and last known leaders. Without the feature they are only lost, never made. */
static bool fill_eligible(struct change *change, struct partition_change_record *record)
{
    const struct partition_state *old = &change->old;
    bool differs = false;
    if (!change->has_eligible && change->isr.count > 0)
        change->eligible.count = 0;
    if (!node_list_equal(id_list_view(&change->eligible), old->eligible)) {
        set_list(&record->eligible_leader_replicas, &record->eligible_leader_replicas_count,
                 &change->eligible);
        differs = true;
    }
    if (change->leader != IMAGE_LEADER_NONE || (!change->has_eligible && change->isr.count > 0))
        change->last_known.count = 0;
    if (!node_list_equal(id_list_view(&change->last_known), old->last_known)) {
        set_list(&record->last_known_elr, &record->last_known_elr_count, &change->last_known);
        differs = true;
    }
    return differs;
}

/* The leader, also where only its epoch has to rise: a replica that left must not follow on. */
static bool fill_leader(struct change *change, bool is_isr_written,
                        struct partition_change_record *record)
{
    const struct partition_state *old = &change->old;
    bool rises = change->leader != old->leader ||
                 !node_list_contains_all(id_list_view(&change->replicas), old->replicas) ||
                 (change->version < NO_EPOCH_FOR_SHRINK_SINCE && is_isr_written &&
                  !node_list_contains_all(id_list_view(&change->isr), old->isr));
    if (rises)
        record->leader = change->leader;
    return rises;
}

static void fill_directories(struct change *change, struct partition_change_record *record)
{
    record->directories =
        decision_get(change->decision, change->replicas.count, sizeof(struct uuid));
    record->directories_count = change->replicas.count;
    for (uint32_t i = 0; i < change->replicas.count; i++) {
        int32_t place = node_list_find(change->old.replicas, change->replicas.ids[i]);
        if (place < 0)
            record->directories[i] =
                assignment_directory(change->decision->image, change->replicas.ids[i]);
        else
            record->directories[i] =
                change->plan->directories
                    ? change->plan->directories[place]
                    : image_partition_directory(change->plan->partition, (uint32_t)place);
    }
}

/* Replicas, the state of their reassignment, and directories. */
static bool fill_assignment(struct change *change, struct partition_change_record *record)
{
    const struct partition_state *old = &change->old;
    bool is_replica_changed = !node_list_equal(id_list_view(&change->replicas), old->replicas);
    bool differs = is_replica_changed;
    if (is_replica_changed)
        set_list(&record->replicas, &record->replicas_count, &change->replicas);
    if (!node_list_equal(id_list_view(&change->removing), old->removing)) {
        set_list(&record->removing_replicas, &record->removing_replicas_count, &change->removing);
        differs = true;
    }
    if (!node_list_equal(id_list_view(&change->adding), old->adding)) {
        set_list(&record->adding_replicas, &record->adding_replicas_count, &change->adding);
        differs = true;
    }
    if (change->version >= DIRECTORIES_SINCE && (is_replica_changed || change->plan->directories)) {
        fill_directories(change, record);
        differs = true;
    }
    return differs;
}

/* Fills the record with what differs; false when nothing does. */
static bool fill_record(struct change *change, struct partition_change_record *record,
                        struct partition_outcome *outcome)
{
    const struct partition_state *old = &change->old;
    bool is_isr_written = (change->isr.count > 0 || change->has_eligible) &&
                          !node_list_equal(id_list_view(&change->isr), old->isr);
    bool differs = fill_eligible(change, record);
    if (is_isr_written) {
        set_list(&record->isr, &record->isr_count, &change->isr);
        outcome->isr = id_list_view(&change->isr);
        differs = true;
    }
    if (fill_leader(change, is_isr_written, record)) {
        outcome->leader_epoch++;
        differs = true;
    }
    differs |= fill_assignment(change, record);
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
    struct partition_state state = image_partition_state(partition);
    *plan = (struct partition_plan){
        .topic = topic,
        .index = index,
        .partition = partition,
        .target_isr = state.isr,
        .target_replicas = state.replicas,
        .target_adding = state.adding,
        .target_removing = state.removing,
        .election =
            decision_is_unclean_allowed(decision, topic->name) ? ELECTION_UNCLEAN : ELECTION_ONLINE,
        .broker_active = BROKER_NONE,
        .broker_inactive = BROKER_NONE,
        .broker_unclean = BROKER_NONE,
        .min_isr = decision_min_isr(decision, topic->name),
    };
}

static void begin(struct change *change, struct decision *decision,
                  const struct partition_plan *plan)
{
    *change = (struct change){
        .decision = decision, .plan = plan, .old = image_partition_state(plan->partition)};
    const struct partition_state *old = &change->old;
    change->version = image_feature_level(decision->image, VIEW_LITERAL("metadata.version"));
    change->has_eligible = eligible_leaders_are_kept(decision->image);
    change->replicas = id_list_of(decision, plan->target_replicas, 0);
    change->adding = id_list_of(decision, plan->target_adding, 0);
    change->removing = id_list_of(decision, plan->target_removing, 0);
    change->isr = id_list_of(decision, plan->target_isr, 1);
    change->eligible = id_list_of(decision, old->eligible, old->isr.count);
    change->last_known = id_list_of(decision, old->last_known, 1);
}

void partition_plan_apply(struct decision *decision, const struct partition_plan *plan,
                          struct partition_outcome *outcome)
{
    struct change change;
    begin(&change, decision, plan);
    *outcome = (struct partition_outcome){
        .leader_epoch = change.old.leader_epoch,
        .partition_epoch = change.old.partition_epoch,
        .recovery = change.old.recovery,
        .isr = change.old.isr,
    };
    complete_reassignment(&change);
    update_eligible(&change);
    run_election(&change);
    outcome->leader = change.leader;
    outcome->replicas = id_list_view(&change.replicas);
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
