/*
 * Eligible leader replicas (KIP-966): the feature on and off, how partitions gain and lose eligible
 * leaders, and who is elected when nobody is in sync.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>

#include "cluster/controller/alter_configs.h"
#include "tests/unit/cluster/decision_requests.h"

#define ELIGIBLE "eligible.leader.replicas.version"
#define MIN_ISR  "min.insync.replicas"

enum { UPGRADE = 1, SAFE_DOWNGRADE = 2 };

/* Brokers 1 to 3 active, the feature on, two replicas at least in sync. */
static void start(struct decision_bench *bench)
{
    bench_init(bench);
    bench_set_broker(bench, 3, false);
    bench_set_feature(bench, ELIGIBLE, 1);
    bench_set_config(bench, CONFIG_RESOURCE_BROKER, "", MIN_ISR, "2");
}

static void assert_list(struct node_list list, struct node_list wanted)
{
    assert_int_equal(list.count, wanted.count);
    for (uint32_t i = 0; i < list.count; i++)
        assert_true(node_list_contains(list, wanted.ids[i]));
}

static void assert_state(const struct decision_bench *bench, const char *topic, int32_t leader,
                         struct node_list isr, struct node_list eligible,
                         struct node_list last_known)
{
    struct partition_state state = bench_state(bench, topic);
    assert_int_equal(state.leader, leader);
    assert_list(state.isr, isr);
    assert_list(state.eligible, eligible);
    assert_list(state.last_known, last_known);
}

/* Gives a partition eligible and last known leaders by hand. */
static void set_eligible(struct decision_bench *bench, struct uuid topic, struct node_list eligible,
                         struct node_list last_known)
{
    struct image_draft draft;
    bench_edit(bench, &draft);
    struct partition_state state =
        image_partition_state(image_topic_partition(image_topic_by_id(bench->image, topic), 0));
    state.eligible = eligible;
    state.last_known = last_known;
    assert_true(draft_set_partition(&draft, topic, 0, &state));
    bench_adopt(bench, &draft);
}

static void set_directory(struct decision_bench *bench, struct uuid topic, uint32_t place,
                          struct uuid directory)
{
    struct image_draft draft;
    bench_edit(bench, &draft);
    struct partition_state state =
        image_partition_state(image_topic_partition(image_topic_by_id(bench->image, topic), 0));
    struct uuid directories[8] = {{{0}}};
    directories[place] = directory;
    state.directories = directories;
    assert_true(draft_set_partition(&draft, topic, 0, &state));
    bench_adopt(bench, &draft);
}

static void leave(struct decision_bench *bench, int32_t id, enum broker_removal removal)
{
    struct uuid directory = uuid_of_halves(50, (uint64_t)id);
    struct broker_departure departure = {
        .broker_id = id, .removal = removal, .directories = &directory, .directory_count = 1};
    bench_broker_leaves(bench, &departure);
    bench_set_broker(bench, id, true);
}

static void come(struct decision_bench *bench, int32_t id)
{
    bench_broker_comes(bench, id);
    bench_set_broker(bench, id, false);
}

/* ---- The feature ----------------------------------------------------------------------------- */

static enum kafka_error set_level(struct decision_bench *bench, const char *feature, int16_t level,
                                  int8_t type)
{
    return bench_update_features(bench, &(struct feature_level){feature, level}, 1, type, NULL);
}

static struct view min_isr_of(const struct decision_bench *bench, const char *broker)
{
    return image_config_value(
        image_config(bench->image, CONFIG_RESOURCE_BROKER, view_of_string(broker)),
        VIEW_LITERAL(MIN_ISR));
}

static void turned_on_the_cluster_has_one_minimum(void **state)
{
    (void)state;
    struct decision_bench bench;
    bench_init(&bench);
    bench.config.topic_defaults.min_insync_replicas = 3;
    bench_set_config(&bench, CONFIG_RESOURCE_BROKER, "1", MIN_ISR, "2");
    bench_set_config(&bench, CONFIG_RESOURCE_BROKER, "9", MIN_ISR, "1"); /* not registered now */
    assert_int_equal(set_level(&bench, ELIGIBLE, 1, UPGRADE), KAFKA_ERROR_NONE);
    assert_int_equal(image_feature_level(bench.image, VIEW_LITERAL(ELIGIBLE)), 1);
    assert_true(view_equal(min_isr_of(&bench, ""), VIEW_LITERAL("3")));
    assert_true(view_is_null(min_isr_of(&bench, "1")));
    assert_true(view_is_null(min_isr_of(&bench, "9")));
    bench_deinit(&bench);
}

static void turned_on_a_minimum_of_the_cluster_stays(void **state)
{
    (void)state;
    struct decision_bench bench;
    bench_init(&bench);
    bench_set_config(&bench, CONFIG_RESOURCE_BROKER, "", MIN_ISR, "2");
    bench_add_topic(&bench, "t", IDS(1, 2), IDS(1, 2), 1);
    size_t record_count;
    struct feature_level wanted = {ELIGIBLE, 1};
    assert_int_equal(bench_update_features(&bench, &wanted, 1, UPGRADE, &record_count),
                     KAFKA_ERROR_NONE);
    assert_int_equal(record_count, 1);
    assert_true(view_equal(min_isr_of(&bench, ""), VIEW_LITERAL("2")));
    bench_deinit(&bench);
}

static void the_feature_needs_a_metadata_version(void **state)
{
    (void)state;
    struct decision_bench bench;
    bench_init(&bench);
    bench_set_feature(&bench, "metadata.version", 22);
    assert_int_equal(set_level(&bench, ELIGIBLE, 1, UPGRADE), KAFKA_ERROR_INVALID_UPDATE_VERSION);
    assert_int_equal(set_level(&bench, ELIGIBLE, 2, UPGRADE), KAFKA_ERROR_INVALID_UPDATE_VERSION);
    struct feature_level both[] = {{ELIGIBLE, 1}, {"metadata.version", 23}};
    assert_int_equal(bench_update_features(&bench, both, 2, UPGRADE, NULL), KAFKA_ERROR_NONE);
    assert_int_equal(set_level(&bench, "metadata.version", 22, SAFE_DOWNGRADE),
                     KAFKA_ERROR_INVALID_UPDATE_VERSION);
    struct feature_level back[] = {{ELIGIBLE, 0}, {"metadata.version", 22}};
    assert_int_equal(bench_update_features(&bench, back, 2, SAFE_DOWNGRADE, NULL),
                     KAFKA_ERROR_NONE);
    assert_int_equal(image_feature_level(bench.image, VIEW_LITERAL(ELIGIBLE)), 0);
    bench_deinit(&bench);
}

static void turned_off_whoever_could_lead_is_in_sync_again(void **state)
{
    (void)state;
    struct decision_bench bench;
    start(&bench);
    struct uuid led = bench_add_topic(&bench, "led", IDS(1, 2, 3), IDS(1), 1);
    set_eligible(&bench, led, IDS(2), NOBODY);
    bench_add_topic(&bench, "away", IDS(3, 2), IDS(3, 2), 3);
    struct uuid last = bench_add_topic(&bench, "last", IDS(3, 1), NOBODY, -1);
    set_eligible(&bench, last, NOBODY, IDS(3));
    leave(&bench, 3, BROKER_REMOVAL_GONE);
    leave(&bench, 2, BROKER_REMOVAL_GONE);
    assert_state(&bench, "away", -1, NOBODY, IDS(2, 3), IDS(2));
    assert_int_equal(set_level(&bench, ELIGIBLE, 0, UPGRADE), KAFKA_ERROR_INVALID_UPDATE_VERSION);
    assert_int_equal(set_level(&bench, ELIGIBLE, 0, SAFE_DOWNGRADE), KAFKA_ERROR_NONE);
    assert_state(&bench, "led", 1, IDS(1), NOBODY, NOBODY);
    assert_state(&bench, "away", -1, IDS(2, 3), NOBODY, NOBODY);
    assert_state(&bench, "last", -1, IDS(3), NOBODY, NOBODY);
    come(&bench, 3);
    assert_state(&bench, "away", 3, IDS(2, 3), NOBODY, NOBODY);
    assert_int_equal(bench_state(&bench, "away").recovery, IMAGE_RECOVERED);
    bench_deinit(&bench);
}

static void what_another_build_left_of_it_goes(void **state)
{
    (void)state;
    struct decision_bench bench;
    start(&bench);
    bench_set_feature(&bench, ELIGIBLE, 0);
    struct uuid changed = bench_add_topic(&bench, "changed", IDS(1, 2, 3), IDS(1, 2), 1);
    set_eligible(&bench, changed, IDS(3), NOBODY);
    struct uuid still = bench_add_topic(&bench, "still", IDS(1, 3), IDS(1), 1);
    set_eligible(&bench, still, IDS(3), NOBODY);
    leave(&bench, 2, BROKER_REMOVAL_GONE);
    assert_state(&bench, "changed", 1, IDS(1), NOBODY, NOBODY);
    assert_state(&bench, "still", 1, IDS(1), IDS(3), NOBODY);
    assert_int_equal(set_level(&bench, ELIGIBLE, 1, UPGRADE), KAFKA_ERROR_NONE);
    assert_state(&bench, "still", 1, IDS(1), NOBODY, NOBODY);
    bench_deinit(&bench);
}

/* ---- Settings -------------------------------------------------------------------------------- */

static enum kafka_error alter(struct decision_bench *bench, enum config_resource_type type,
                              const char *resource, int8_t operation, const char *value)
{
    return bench_alter_config(bench, type, resource, MIN_ISR, operation, value);
}

static void brokers_have_no_minimum_of_their_own(void **state)
{
    (void)state;
    struct decision_bench bench;
    start(&bench);
    bench_add_topic(&bench, "t", IDS(1, 2), IDS(1, 2), 1);
    assert_int_equal(alter(&bench, CONFIG_RESOURCE_BROKER, "1", 0, "1"),
                     KAFKA_ERROR_INVALID_CONFIG);
    assert_int_equal(alter(&bench, CONFIG_RESOURCE_BROKER, "1", 1, NULL),
                     KAFKA_ERROR_INVALID_CONFIG);
    assert_int_equal(alter(&bench, CONFIG_RESOURCE_BROKER, "", 1, NULL),
                     KAFKA_ERROR_INVALID_CONFIG);
    assert_int_equal(alter(&bench, CONFIG_RESOURCE_BROKER, "", 0, "1"), KAFKA_ERROR_NONE);
    assert_int_equal(alter(&bench, CONFIG_RESOURCE_TOPIC, "t", 0, "1"), KAFKA_ERROR_NONE);
    assert_int_equal(alter(&bench, CONFIG_RESOURCE_TOPIC, "t", 1, NULL), KAFKA_ERROR_NONE);
    /* The whole set of the cluster's settings, without it. */
    struct alter_configs_request_alterable_config config = {VIEW_LITERAL("log.retention.ms"),
                                                            VIEW_LITERAL("1000")};
    struct alter_configs_request_alter_configs_resource all = {CONFIG_RESOURCE_BROKER,
                                                               VIEW_LITERAL(""), &config, 1};
    struct alter_configs_request request;
    alter_configs_request_init(&request);
    request.resources = &all;
    request.resources_count = 1;
    struct alter_configs_response response;
    struct decision decision;
    bench_decide(&bench, &decision);
    decide_alter_configs(&decision, &request, &response);
    assert_int_equal(response.responses[0].error_code, KAFKA_ERROR_INVALID_CONFIG);
    assert_int_equal(decision.records.count, 0);
    bench_set_feature(&bench, ELIGIBLE, 0);
    assert_int_equal(alter(&bench, CONFIG_RESOURCE_BROKER, "1", 0, "1"), KAFKA_ERROR_NONE);
    assert_int_equal(alter(&bench, CONFIG_RESOURCE_BROKER, "", 1, NULL), KAFKA_ERROR_NONE);
    bench_deinit(&bench);
}

/* Another minimum: who was out of sync lacks what is committed under it from now on. */
static void another_minimum_forgets_where_somebody_leads(void **state)
{
    (void)state;
    struct decision_bench bench;
    start(&bench);
    const char *const names[] = {"a", "b"};
    for (int i = 0; i < 2; i++) {
        struct uuid id = bench_add_topic(&bench, names[i], IDS(1, 2, 3), IDS(1), 1);
        set_eligible(&bench, id, IDS(2), NOBODY);
    }
    struct uuid dark = bench_add_topic(&bench, "dark", IDS(3, 2), NOBODY, -1);
    set_eligible(&bench, dark, IDS(3), IDS(2));
    assert_int_equal(alter(&bench, CONFIG_RESOURCE_TOPIC, "a", 0, "1"), KAFKA_ERROR_NONE);
    assert_state(&bench, "a", 1, IDS(1), NOBODY, NOBODY);
    assert_state(&bench, "b", 1, IDS(1), IDS(2), NOBODY);
    assert_int_equal(alter(&bench, CONFIG_RESOURCE_TOPIC, "dark", 0, "1"), KAFKA_ERROR_NONE);
    assert_state(&bench, "dark", -1, NOBODY, IDS(3), IDS(2));
    assert_int_equal(alter(&bench, CONFIG_RESOURCE_BROKER, "", 0, "3"), KAFKA_ERROR_NONE);
    assert_state(&bench, "b", 1, IDS(1), NOBODY, NOBODY);
    assert_state(&bench, "dark", -1, NOBODY, IDS(3), IDS(2));
    bench_deinit(&bench);
}

/* ---- In-sync sets ---------------------------------------------------------------------------- */

static void who_leaves_below_the_minimum_stays_eligible(void **state)
{
    (void)state;
    struct decision_bench bench;
    start(&bench);
    bench_add_topic(&bench, "t", IDS(1, 2, 3), IDS(1, 2, 3), 1);
    assert_int_equal(bench_propose(&bench, "t", IDS(1, 2)), KAFKA_ERROR_NONE);
    assert_state(&bench, "t", 1, IDS(1, 2), NOBODY, NOBODY);
    assert_int_equal(bench_propose(&bench, "t", IDS(1)), KAFKA_ERROR_NONE);
    assert_state(&bench, "t", 1, IDS(1), IDS(2), NOBODY);
    assert_int_equal(bench_propose(&bench, "t", IDS(1, 3)), KAFKA_ERROR_NONE);
    assert_state(&bench, "t", 1, IDS(1, 3), NOBODY, NOBODY);
    /* Two replicas can never be three in sync. */
    bench_set_config(&bench, CONFIG_RESOURCE_TOPIC, "pair", MIN_ISR, "3");
    struct uuid topic = bench_add_topic(&bench, "pair", IDS(1, 2), IDS(1), 1);
    set_eligible(&bench, topic, IDS(2), NOBODY);
    assert_int_equal(bench_propose(&bench, "pair", IDS(1, 2)), KAFKA_ERROR_NONE);
    assert_state(&bench, "pair", 1, IDS(1, 2), NOBODY, NOBODY);
    bench_deinit(&bench);
}

/* ---- Elections ------------------------------------------------------------------------------- */

static void an_eligible_one_leads_when_nobody_is_in_sync(void **state)
{
    (void)state;
    struct decision_bench bench;
    start(&bench);
    struct uuid topic = bench_add_topic(&bench, "t", IDS(1, 2, 3), IDS(1), 1);
    set_eligible(&bench, topic, IDS(3), NOBODY);
    leave(&bench, 1, BROKER_REMOVAL_UNCLEAN);
    assert_state(&bench, "t", 3, IDS(3), NOBODY, NOBODY);
    assert_int_equal(bench_state(&bench, "t").recovery, IMAGE_RECOVERED);
    bench_deinit(&bench);
}

static void the_last_leader_waits_until_it_lives(void **state)
{
    (void)state;
    struct decision_bench bench;
    start(&bench);
    struct uuid topic = bench_add_topic(&bench, "t", IDS(1, 2), IDS(1), 1);
    set_eligible(&bench, topic, IDS(2), NOBODY);
    leave(&bench, 2, BROKER_REMOVAL_UNCLEAN);
    assert_state(&bench, "t", 1, IDS(1), NOBODY, NOBODY);
    leave(&bench, 1, BROKER_REMOVAL_UNCLEAN);
    assert_state(&bench, "t", -1, NOBODY, NOBODY, IDS(1));
    come(&bench, 2);
    assert_state(&bench, "t", -1, NOBODY, NOBODY, IDS(1));
    come(&bench, 1);
    assert_state(&bench, "t", 1, IDS(1), NOBODY, NOBODY);
    assert_int_equal(bench_state(&bench, "t").recovery, IMAGE_RECOVERING);
    bench_deinit(&bench);
}

/* Kept in sync alone from the time before the feature, it counts as the last leader. */
static void who_was_alone_in_sync_counts_as_the_last_leader(void **state)
{
    (void)state;
    struct decision_bench bench;
    start(&bench);
    bench_set_broker(&bench, 1, true);
    bench_add_topic(&bench, "t", IDS(1, 2), IDS(1), -1);
    leave(&bench, 1, BROKER_REMOVAL_UNCLEAN);
    assert_state(&bench, "t", -1, NOBODY, NOBODY, IDS(1));
    come(&bench, 1);
    assert_state(&bench, "t", 1, IDS(1), NOBODY, NOBODY);
    bench_deinit(&bench);
}

static void an_unclean_leader_has_no_eligible_others(void **state)
{
    (void)state;
    struct decision_bench bench;
    start(&bench);
    bench_set_config(&bench, CONFIG_RESOURCE_TOPIC, "t", "unclean.leader.election.enable", "true");
    struct uuid topic = bench_add_topic(&bench, "t", IDS(1, 2, 3), IDS(1), 1);
    set_eligible(&bench, topic, IDS(2), NOBODY);
    bench_set_broker(&bench, 2, true);
    leave(&bench, 1, BROKER_REMOVAL_GONE);
    assert_state(&bench, "t", 3, IDS(3), NOBODY, NOBODY);
    assert_int_equal(bench_state(&bench, "t").recovery, IMAGE_RECOVERING);
    bench_deinit(&bench);
}

static void an_election_that_is_asked_for_prefers_the_eligible(void **state)
{
    (void)state;
    struct decision_bench bench;
    start(&bench);
    struct uuid topic = bench_add_topic(&bench, "fine", IDS(1, 2), NOBODY, -1);
    set_eligible(&bench, topic, IDS(2), IDS(1));
    assert_int_equal(bench_elect(&bench, "fine", 0, 1), KAFKA_ERROR_NONE);
    assert_state(&bench, "fine", 2, IDS(2), NOBODY, NOBODY);
    topic = bench_add_topic(&bench, "lost", IDS(1, 2), NOBODY, -1);
    set_eligible(&bench, topic, NOBODY, IDS(2));
    assert_int_equal(bench_elect(&bench, "lost", 0, 0), KAFKA_ERROR_PREFERRED_LEADER_NOT_AVAILABLE);
    bench_set_broker(&bench, 2, true);
    assert_int_equal(bench_elect(&bench, "lost", 0, 1), KAFKA_ERROR_NONE);
    assert_state(&bench, "lost", 1, IDS(1), NOBODY, NOBODY);
    bench_deinit(&bench);
}

/* ---- Directories that are gone --------------------------------------------------------------- */

/* A clean stop says nothing for a directory that did not come back with the others. */
static void who_comes_back_without_its_directory_is_not_eligible(void **state)
{
    (void)state;
    struct decision_bench bench;
    start(&bench);
    const char *const names[] = {"kept", "gone"};
    for (uint64_t i = 0; i < 2; i++) {
        struct uuid topic = bench_add_topic(&bench, names[i], IDS(1, 2), IDS(1), 1);
        set_eligible(&bench, topic, IDS(2), NOBODY);
        set_directory(&bench, topic, 1, uuid_of_halves(50 + i, 2));
    }
    leave(&bench, 2, BROKER_REMOVAL_CLEAN);
    assert_list(bench_state(&bench, "kept").eligible, IDS(2));
    assert_list(bench_state(&bench, "gone").eligible, NOBODY);
    bench_deinit(&bench);
}

static void a_replica_started_anew_is_not_eligible(void **state)
{
    (void)state;
    struct decision_bench bench;
    start(&bench);
    struct uuid lost = uuid_of_halves(77, 7), works = uuid_of_halves(50, 2);
    struct uuid topic = bench_add_topic(&bench, "t", IDS(1, 2), IDS(1), 1);
    set_eligible(&bench, topic, IDS(2), NOBODY);
    assert_int_equal(bench_assign(&bench, 2, 0, topic, 0, works),
                     KAFKA_ERROR_NONE); /* from nowhere: it is where it always was */
    assert_list(bench_state(&bench, "t").eligible, IDS(2));
    set_directory(&bench, topic, 1, lost);
    assert_int_equal(bench_assign(&bench, 2, 0, topic, 0, works), KAFKA_ERROR_NONE);
    assert_state(&bench, "t", 1, IDS(1), NOBODY, NOBODY);
    /* Nobody else was ever in sync: it begins again, and the partition says so. */
    struct uuid only = bench_add_topic(&bench, "only", IDS(2), NOBODY, -1);
    set_eligible(&bench, only, IDS(2), IDS(2));
    set_directory(&bench, only, 0, lost);
    assert_int_equal(bench_assign(&bench, 2, 0, only, 0, works), KAFKA_ERROR_NONE);
    assert_state(&bench, "only", 2, IDS(2), NOBODY, NOBODY);
    assert_int_equal(bench_state(&bench, "only").recovery, IMAGE_RECOVERING);
    bench_deinit(&bench);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(turned_on_the_cluster_has_one_minimum),
        cmocka_unit_test(turned_on_a_minimum_of_the_cluster_stays),
        cmocka_unit_test(the_feature_needs_a_metadata_version),
        cmocka_unit_test(turned_off_whoever_could_lead_is_in_sync_again),
        cmocka_unit_test(what_another_build_left_of_it_goes),
        cmocka_unit_test(brokers_have_no_minimum_of_their_own),
        cmocka_unit_test(another_minimum_forgets_where_somebody_leads),
        cmocka_unit_test(who_leaves_below_the_minimum_stays_eligible),
        cmocka_unit_test(an_eligible_one_leads_when_nobody_is_in_sync),
        cmocka_unit_test(the_last_leader_waits_until_it_lives),
        cmocka_unit_test(who_was_alone_in_sync_counts_as_the_last_leader),
        cmocka_unit_test(an_unclean_leader_has_no_eligible_others),
        cmocka_unit_test(an_election_that_is_asked_for_prefers_the_eligible),
        cmocka_unit_test(who_comes_back_without_its_directory_is_not_eligible),
        cmocka_unit_test(a_replica_started_anew_is_not_eligible),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
