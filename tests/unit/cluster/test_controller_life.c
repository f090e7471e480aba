/*
 * The life of a cluster at random: brokers come, fall silent, lose directories, leave and are
 * forgotten; leaders propose in-sync sets; partitions are created, moved and elected. After each
 * decision the next image is compared with the one before. The rules are those of a partition's
 * state, not of any one decision.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdio.h>
#include <cmocka.h>

#include "cluster/controller/allocate_producer_ids.h"
#include "cluster/controller/alter_configs.h"
#include "cluster/controller/alter_partition.h"
#include "cluster/controller/alter_reassignments.h"
#include "cluster/controller/assign_replicas_to_dirs.h"
#include "cluster/controller/broker_sessions.h"
#include "cluster/controller/create_topics.h"
#include "cluster/controller/elect_leaders.h"
#include "cluster/controller/eligible_leaders.h"
#include "cluster/controller/leader_sweep.h"
#include "cluster/controller/partition_change.h"
#include "cluster/controller/unregister_broker.h"
#include "cluster/controller/update_features.h"
#include "tests/unit/cluster/decision_bench.h"

enum { BROKERS = 6, TOPICS = 5, SEEDS = 60, STEPS = 1200, SESSION_NS = 1000 };

struct life {
    struct decision_bench bench;
    struct broker_sessions sessions;
    uint64_t now;
    uint64_t seed;
    unsigned step;
    const char *what;
    bool may_clear;       /* eligible leaders may go without a change of their partition */
    bool may_be_unclean;  /* unclean elections were asked for or allowed since the last image */
    int32_t proposed[16]; /* in-sync set that a leader just proposed */
    uint32_t proposed_count;
    uint32_t incarnations;
    int64_t last_broker_epoch;
    int64_t producer_ids;
    unsigned changes; /* of partitions, to see that the life is not empty */
};

static uint32_t below(struct life *life, uint32_t bound)
{
    return (uint32_t)random_below(&life->bench.random, bound);
}

static bool chance(struct life *life, uint32_t percent)
{
    return below(life, 100) < percent;
}

#define HOLDS(life, condition)                                                                     \
    do {                                                                                           \
        if (!(condition))                                                                          \
            fail_msg("seed %llu step %u (%s): %s", (unsigned long long)(life)->seed, (life)->step, \
                     (life)->what, #condition);                                                    \
    } while (0)

/* ---- The rules ------------------------------------------------------------------------------- */

static bool is_within(struct node_list part, struct node_list whole)
{
    for (uint32_t i = 0; i < part.count; i++) {
        if (!node_list_contains(whole, part.ids[i]) ||
            node_list_find(part, part.ids[i]) != (int32_t)i)
            return false;
    }
    return true;
}

static void check_state(struct life *life, const struct partition_state *state)
{
    HOLDS(life, state->replicas.count > 0);
    HOLDS(life, is_within(state->replicas, state->replicas));
    HOLDS(life, is_within(state->isr, state->replicas));
    HOLDS(life, is_within(state->adding, state->replicas));
    HOLDS(life, is_within(state->removing, state->replicas));
    HOLDS(life, is_within(state->eligible, state->replicas));
    HOLDS(life, state->last_known.count <= 1);
    for (uint32_t i = 0; i < state->eligible.count; i++)
        HOLDS(life, !node_list_contains(state->isr, state->eligible.ids[i]));
    HOLDS(life, state->leader == -1 || node_list_contains(state->isr, state->leader));
    HOLDS(life, state->isr.count > 0 || state->leader == -1);
    HOLDS(life, state->leader == -1 || state->last_known.count == 0);
    HOLDS(life, is_within(state->last_known, state->replicas));
    bool has_feature = eligible_leaders_are_kept(life->bench.image);
    HOLDS(life, has_feature || state->isr.count > 0);
    HOLDS(life, has_feature || state->eligible.count + state->last_known.count == 0);
    HOLDS(life, state->isr.count + state->eligible.count + state->last_known.count > 0);
    /*
     * A reassignment whose replicas are all in sync has ended. One that an election left with its
     * leader alone ends with the next change.
     */
    bool is_done = state->isr.count > 1;
    for (uint32_t i = 0; i < state->replicas.count; i++)
        is_done &= node_list_contains(state->removing, state->replicas.ids[i]) ||
                   node_list_contains(state->isr, state->replicas.ids[i]);
    bool has_staying = !is_within(state->isr, state->removing);
    HOLDS(life,
          !is_done || !has_staying || (state->adding.count == 0 && state->removing.count == 0));
}

static void check_change(struct life *life, const struct image_partition *before,
                         const struct image_partition *after)
{
    struct partition_state old = image_partition_state(before);
    struct partition_state now = image_partition_state(after);
    life->changes++;
    if (life->may_clear && now.partition_epoch == old.partition_epoch) {
        HOLDS(life, now.eligible.count + now.last_known.count == 0);
        HOLDS(life, now.leader_epoch == old.leader_epoch && now.isr.count == old.isr.count);
        return;
    }
    HOLDS(life, now.partition_epoch == old.partition_epoch + 1);
    HOLDS(life, now.leader_epoch == old.leader_epoch || now.leader_epoch == old.leader_epoch + 1);
    HOLDS(life, now.leader == old.leader || now.leader_epoch > old.leader_epoch);
    bool has_left = false;
    for (uint32_t i = 0; i < old.replicas.count; i++)
        has_left |= !node_list_contains(now.replicas, old.replicas.ids[i]);
    HOLDS(life, !has_left || now.leader_epoch > old.leader_epoch);
    if (now.leader == old.leader || now.leader == -1)
        return;
    const struct image_node *broker = image_broker(life->bench.image, now.leader);
    HOLDS(life, image_broker_is_active(life->bench.image, now.leader));
    int32_t place = node_list_find(now.replicas, now.leader);
    HOLDS(life,
          partition_directory_is_online(broker, image_partition_directory(after, (uint32_t)place)));
    struct node_list proposed = {life->proposed, life->proposed_count};
    bool is_clean = node_list_contains(old.isr, now.leader) ||
                    node_list_contains(proposed, now.leader) ||
                    node_list_contains(old.eligible, now.leader);
    HOLDS(life, is_clean || now.recovery == IMAGE_RECOVERING || life->may_be_unclean);
    HOLDS(life, is_clean || node_list_contains(old.last_known, now.leader) || life->may_be_unclean);
}

static void check_brokers(struct life *life, const struct image *before)
{
    struct image_walk walk;
    image_walk_start(&life->bench.image->brokers, &walk);
    for (const struct image_node *node = image_walk_next_node(&walk); node;
         node = image_walk_next_node(&walk)) {
        const struct image_node *old = image_broker(before, node->id);
        if (old && old->epoch == node->epoch)
            continue;
        HOLDS(life, node->epoch > life->last_broker_epoch);
        HOLDS(life, node->fenced);
        life->last_broker_epoch = node->epoch;
    }
    broker_sessions_check(&life->sessions, life->bench.image);
}

static void check_all(struct life *life, const struct image *before)
{
    struct image_topic_walk walk;
    image_topic_walk_start(life->bench.image, VIEW_NULL, &walk);
    for (const struct image_topic *topic = image_topic_walk_next(&walk); topic;
         topic = image_topic_walk_next(&walk)) {
        const struct image_topic *old = image_topic_by_id(before, topic->id);
        for (uint32_t i = 0; i < topic->partition_count; i++) {
            const struct image_partition *partition = image_topic_partition(topic, (int32_t)i);
            const struct image_partition *was = old ? image_topic_partition(old, (int32_t)i) : NULL;
            struct partition_state state = image_partition_state(partition);
            check_state(life, &state);
            if (was && was != partition)
                check_change(life, was, partition);
        }
    }
    check_brokers(life, before);
}

/* Replays a decision, lets the sessions follow, and checks. */
static void commit(struct life *life, const struct decision *decision)
{
    const struct image *before = life->bench.image;
    image_acquire(before);
    bench_commit(&life->bench, decision);
    for (int32_t id = 1; id <= BROKERS; id++)
        broker_sessions_follow(&life->sessions, life->bench.image, id, life->now);
    check_all(life, before);
    image_release(before);
    life->may_be_unclean = false;
    life->may_clear = false;
    life->proposed_count = 0;
}

/* ---- What happens ---------------------------------------------------------------------------- */

static int32_t any_broker(struct life *life)
{
    return 1 + (int32_t)below(life, BROKERS);
}

/* Some partition, or NULL. */
static const struct image_topic *any_topic(struct life *life, int32_t *index)
{
    struct image_topic_walk walk;
    uint32_t count = life->bench.image->topics_by_name.count;
    uint32_t skip = count ? below(life, count) : 0;
    image_topic_walk_start(life->bench.image, VIEW_NULL, &walk);
    const struct image_topic *topic = image_topic_walk_next(&walk);
    while (topic && skip-- > 0)
        topic = image_topic_walk_next(&walk);
    if (topic)
        *index = (int32_t)below(life, topic->partition_count);
    return topic;
}

static void create_topic(struct life *life)
{
    life->what = "create";
    char name[] = "topic-0";
    name[6] = (char)('0' + below(life, TOPICS));
    struct create_topics_request_creatable_topic topic;
    struct create_topics_request request;
    struct create_topics_response response;
    create_topics_request_creatable_topic_init(&topic);
    create_topics_request_init(&request);
    topic.name = view_of_string(name);
    topic.num_partitions = 1 + (int32_t)below(life, 3);
    topic.replication_factor = (int16_t)(1 + below(life, 4));
    request.topics = &topic;
    request.topics_count = 1;
    struct decision decision;
    bench_decide(&life->bench, &decision);
    decide_create_topics(&decision, &request, &response);
    commit(life, &decision);
}

static void register_broker(struct life *life)
{
    life->what = "register";
    int32_t id = any_broker(life);
    const struct image_node *old = image_broker(life->bench.image, id);
    struct broker_registration_request_feature features[] = {
        {VIEW_LITERAL("metadata.version"), 7, 29},
        {VIEW_LITERAL("eligible.leader.replicas.version"), 0, 1}};
    struct uuid directories[] = {uuid_of_halves(500, (uint64_t)id),
                                 uuid_of_halves(501, (uint64_t)id)};
    struct broker_registration_request request;
    struct broker_registration_response response;
    broker_registration_request_init(&request);
    request.broker_id = id;
    request.cluster_id = VIEW_LITERAL("cluster");
    bool is_same = old && chance(life, 20);
    request.incarnation_id = is_same ? old->incarnation : uuid_of_halves(600, ++life->incarnations);
    request.features = features;
    request.features_count = 2;
    request.log_dirs = directories;
    request.log_dirs_count = 1 + below(life, 2);
    request.previous_broker_epoch = old && chance(life, 50) ? old->epoch : -1;
    struct decision decision;
    bench_decide(&life->bench, &decision);
    decision.version = 4;
    broker_sessions_register(&life->sessions, &decision, &request, false, life->now, &response);
    bool is_refused = response.error_code != KAFKA_ERROR_NONE;
    HOLDS(life, !is_refused || decision.records.count == 0);
    commit(life, &decision);
}

static void heartbeat(struct life *life)
{
    life->what = "heartbeat";
    int32_t id = any_broker(life);
    const struct image_node *broker = image_broker(life->bench.image, id);
    struct uuid failed = uuid_of_halves(500 + below(life, 2), (uint64_t)id);
    struct broker_heartbeat_request request;
    struct broker_heartbeat_response response;
    broker_heartbeat_request_init(&request);
    request.broker_id = id;
    request.broker_epoch = broker && chance(life, 95) ? broker->epoch : 3;
    request.current_metadata_offset = life->bench.next_offset - (int64_t)below(life, 20);
    request.want_fence = chance(life, 5);
    request.want_shut_down = chance(life, 10);
    request.offline_log_dirs = &failed;
    request.offline_log_dirs_count = chance(life, 5);
    struct decision decision;
    bench_decide(&life->bench, &decision);
    broker_sessions_heartbeat(&life->sessions, &decision, &request, life->now, &response);
    commit(life, &decision);
    if (response.error_code != KAFKA_ERROR_NONE)
        return;
    const struct image_node *now = image_broker(life->bench.image, id);
    HOLDS(life, response.is_fenced == now->fenced || response.should_shut_down);
}

static void fall_silent(struct life *life)
{
    life->what = "expire";
    life->now += below(life, SESSION_NS);
    const struct broker_session *session = broker_sessions_expired(&life->sessions, life->now);
    if (!session)
        return;
    int32_t id = session->id;
    struct decision decision;
    bench_decide(&life->bench, &decision);
    decide_fence_broker(&decision, image_broker(life->bench.image, id));
    commit(life, &decision);
    HOLDS(life, image_broker(life->bench.image, id)->fenced);
}

/* A leader adds or drops members, as it finds them; sometimes with an old epoch. */
static void propose(struct life *life)
{
    life->what = "propose";
    int32_t index;
    const struct image_topic *topic = any_topic(life, &index);
    const struct image_partition *found = topic ? image_topic_partition(topic, index) : NULL;
    const struct image_node *leader = found ? image_broker(life->bench.image, found->leader) : NULL;
    if (!leader)
        return;
    struct partition_state state = image_partition_state(found);
    struct alter_partition_request_broker_state members[16];
    size_t count = 0;
    for (uint32_t i = 0; i < state.replicas.count; i++) {
        int32_t id = state.replicas.ids[i];
        const struct image_node *node = image_broker(life->bench.image, id);
        if (id == state.leader || chance(life, 60))
            members[count++] = (struct alter_partition_request_broker_state){
                id, node && chance(life, 50) ? node->epoch : -1};
    }
    for (size_t i = 0; i < count; i++)
        life->proposed[life->proposed_count++] = members[i].broker_id;
    struct alter_partition_request_partition_data partition = {
        .partition_index = index,
        .leader_epoch = state.leader_epoch - (int32_t)chance(life, 5),
        .new_isr_with_epochs = members,
        .new_isr_with_epochs_count = count,
        .partition_epoch = state.partition_epoch - (int32_t)chance(life, 5),
    };
    struct alter_partition_request_topic_data data = {topic->id, &partition, 1};
    struct alter_partition_request request = {
        .broker_id = leader->id, .broker_epoch = leader->epoch, .topics = &data, .topics_count = 1};
    struct alter_partition_response response;
    struct decision decision;
    bench_decide(&life->bench, &decision);
    decide_alter_partition(&decision, &request, 3, &response);
    struct uuid topic_id = topic->id;
    commit(life, &decision);
    if (response.topics[0].partitions[0].error_code != KAFKA_ERROR_NONE)
        return;
    /* The answer is the state after the change. */
    const struct image_partition *now =
        image_topic_partition(image_topic_by_id(life->bench.image, topic_id), index);
    HOLDS(life, response.topics[0].partitions[0].leader_id == now->leader);
    HOLDS(life, response.topics[0].partitions[0].leader_epoch == now->leader_epoch);
    HOLDS(life, response.topics[0].partitions[0].partition_epoch == now->partition_epoch);
    HOLDS(life, response.topics[0].partitions[0].isr_count == now->isr_count);
}

static void reassign(struct life *life)
{
    life->what = "reassign";
    int32_t index;
    const struct image_topic *topic = any_topic(life, &index);
    if (!topic)
        return;
    int32_t target[4];
    size_t count = below(life, 5);
    for (size_t i = 0; i < count; i++)
        target[i] = any_broker(life);
    struct alter_partition_reassignments_request_reassignable_partition partition = {
        index, chance(life, 25) ? NULL : target, count};
    struct alter_partition_reassignments_request_reassignable_topic asked = {topic->name,
                                                                             &partition, 1};
    struct alter_partition_reassignments_request request;
    struct alter_partition_reassignments_response response;
    alter_partition_reassignments_request_init(&request);
    request.topics = &asked;
    request.topics_count = 1;
    struct decision decision;
    bench_decide(&life->bench, &decision);
    life->may_be_unclean |= decision_is_unclean_allowed(&decision, topic->name);
    decide_alter_partition_reassignments(&decision, &request, &response);
    commit(life, &decision);
}

static void elect(struct life *life)
{
    life->what = "elect";
    struct elect_leaders_request request;
    struct elect_leaders_response response;
    elect_leaders_request_init(&request);
    request.election_type = (int8_t)(chance(life, 20) ? 1 : 0);
    request.topic_partitions = NULL;
    struct decision decision;
    bench_decide(&life->bench, &decision);
    life->may_be_unclean = request.election_type == 1;
    decide_elect_leaders(&decision, &request, &response);
    commit(life, &decision);
}

static void sweep(struct life *life)
{
    life->what = "sweep";
    struct decision decision;
    bench_decide(&life->bench, &decision);
    bool is_unclean = chance(life, 50);
    life->may_be_unclean = is_unclean;
    bool is_full =
        is_unclean ? decide_unclean_leaders(&decision) : decide_preferred_leaders(&decision);
    HOLDS(life, !is_full);
    commit(life, &decision);
}

static void forget(struct life *life)
{
    life->what = "unregister";
    struct unregister_broker_request request = {any_broker(life)};
    struct unregister_broker_response response;
    struct decision decision;
    bench_decide(&life->bench, &decision);
    decide_unregister_broker(&decision, &request, &response);
    commit(life, &decision);
}

static void assign(struct life *life)
{
    life->what = "directories";
    int32_t index;
    const struct image_topic *topic = any_topic(life, &index);
    const struct image_node *broker = image_broker(life->bench.image, any_broker(life));
    if (!topic || !broker)
        return;
    struct assign_replicas_to_dirs_request_partition_data partition = {index};
    struct assign_replicas_to_dirs_request_topic_data data = {topic->id, &partition, 1};
    struct assign_replicas_to_dirs_request_directory_data asked = {
        uuid_of_halves(500 + below(life, 2), (uint64_t)broker->id), &data, 1};
    struct assign_replicas_to_dirs_request request = {broker->id, broker->epoch, &asked, 1};
    struct assign_replicas_to_dirs_response response;
    struct decision decision;
    bench_decide(&life->bench, &decision);
    decide_assign_replicas_to_dirs(&decision, &request, &response);
    commit(life, &decision);
}

static void allocate(struct life *life)
{
    life->what = "producer ids";
    const struct image_node *broker = image_broker(life->bench.image, any_broker(life));
    if (!broker)
        return;
    struct allocate_producer_ids_request request = {broker->id, broker->epoch};
    struct allocate_producer_ids_response response;
    struct decision decision;
    bench_decide(&life->bench, &decision);
    decide_allocate_producer_ids(&decision, &request, &response);
    commit(life, &decision);
    HOLDS(life, response.producer_id_start >= life->producer_ids);
    life->producer_ids = response.producer_id_start + response.producer_id_len;
}

static void turn_feature(struct life *life)
{
    life->what = "feature";
    struct update_features_request_feature_update_key key;
    update_features_request_feature_update_key_init(&key);
    key.feature = VIEW_LITERAL(ELIGIBLE_LEADERS_FEATURE);
    key.max_version_level = !eligible_leaders_are_kept(life->bench.image);
    key.upgrade_type = key.max_version_level ? 1 : 2;
    struct update_features_request request;
    struct update_features_response response;
    update_features_request_init(&request);
    request.feature_updates = &key;
    request.feature_updates_count = 1;
    struct decision decision;
    bench_decide(&life->bench, &decision);
    decide_update_features(&decision, &request, 2, &response);
    HOLDS(life, response.error_code == KAFKA_ERROR_NONE);
    life->may_clear = true;
    commit(life, &decision);
}

static void set_min_isr(struct life *life)
{
    life->what = "min.insync.replicas";
    int32_t index;
    const struct image_topic *topic = chance(life, 80) ? any_topic(life, &index) : NULL;
    char value[] = "1";
    value[0] = (char)('1' + below(life, 3));
    struct incremental_alter_configs_request_alterable_config config = {
        VIEW_LITERAL("min.insync.replicas"), 0, view_of_string(value)};
    struct incremental_alter_configs_request_alter_configs_resource resource = {
        topic ? CONFIG_RESOURCE_TOPIC : CONFIG_RESOURCE_BROKER,
        topic ? topic->name : VIEW_LITERAL(""), &config, 1};
    struct incremental_alter_configs_request request;
    struct incremental_alter_configs_response response;
    incremental_alter_configs_request_init(&request);
    request.resources = &resource;
    request.resources_count = 1;
    struct decision decision;
    bench_decide(&life->bench, &decision);
    decide_incremental_alter_configs(&decision, &request, &response);
    HOLDS(life, response.responses[0].error_code == KAFKA_ERROR_NONE);
    life->may_clear = true;
    commit(life, &decision);
}

/* A new active controller knows nothing but the image. */
static void fail_over(struct life *life)
{
    life->what = "fail over";
    broker_sessions_claim(&life->sessions, life->bench.image, life->now);
    broker_sessions_check(&life->sessions, life->bench.image);
}

static const struct {
    void (*run)(struct life *life);
    uint32_t weight;
} happenings[] = {
    {create_topic, 4}, {register_broker, 10}, {heartbeat, 40}, {fall_silent, 5},
    {propose, 30},     {reassign, 8},         {elect, 3},      {sweep, 3},
    {forget, 1},       {assign, 4},           {allocate, 1},   {fail_over, 1},
    {turn_feature, 1}, {set_min_isr, 3},
};

static void live(uint64_t seed)
{
    struct life life = {.seed = seed, .last_broker_epoch = 200};
    uint32_t weights = 0;
    for (size_t i = 0; i < sizeof(happenings) / sizeof(happenings[0]); i++)
        weights += happenings[i].weight;
    bench_init(&life.bench);
    random_init(&life.bench.random, seed, 1);
    bench_set_feature(&life.bench, "eligible.leader.replicas.version", (int16_t)(seed % 2));
    if (seed % 3 == 0)
        bench_set_cache(&life.bench);
    broker_sessions_init(&life.sessions, &life.bench.heap, SESSION_NS, -1);
    broker_sessions_claim(&life.sessions, life.bench.image, 0);
    for (life.step = 0; life.step < STEPS; life.step++) {
        uint32_t drawn = below(&life, weights);
        size_t i = 0;
        while (drawn >= happenings[i].weight)
            drawn -= happenings[i++].weight;
        life.now += below(&life, 20);
        happenings[i].run(&life);
    }
    assert_true(life.changes > STEPS / 20);
    broker_sessions_renounce(&life.sessions);
    bench_deinit(&life.bench);
}

static void every_image_keeps_the_rules(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= SEEDS; seed++)
        live(seed);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(every_image_keeps_the_rules)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
