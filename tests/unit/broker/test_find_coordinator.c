/*
 * FindCoordinator against a whole broker: what is refused, the two forms of the answer, and the
 * topic that is made on first use. The coordinators are those of
 * tests/unit/coordinator/note_kind.h.
 */
#include "tests/unit/broker/broker_fixture.h"

#include "broker/shard.h"
#include "coordinator/placement.h"
#include "protocol/messages/create_partitions.h"
#include "protocol/messages/delete_topics.h"

#include "protocol/messages/describe_configs.h"
#include "protocol/messages/find_coordinator.h"
#include "protocol/messages/metadata.h"
#include "tests/unit/coordinator/note_kind.h"

BROKER_FIXTURE_CALL(create_partitions, API_KEY_CREATE_PARTITIONS)
BROKER_FIXTURE_CALL(delete_topics, API_KEY_DELETE_TOPICS)
BROKER_FIXTURE_CALL(describe_configs, API_KEY_DESCRIBE_CONFIGS)
BROKER_FIXTURE_CALL(find_coordinator, API_KEY_FIND_COORDINATOR)
BROKER_FIXTURE_CALL(metadata, API_KEY_METADATA)

static const struct coordinator_kind *const no_kinds[COORDINATOR_SLOTS];
static const struct coordinator_kind *const note_kinds[COORDINATOR_SLOTS] = {&note_kind};

#define OFFSETS_TOPIC "__consumer_offsets"

#define TOPIC_ID "AAAAAAAAAAAAAAAAAAAAAA"

static int16_t ask(struct broker_fixture *fixture, int16_t version, int8_t type, const char *key)
{
    struct view keys[] = {VIEW_LITERAL("first"), view_of_string(key)};
    struct find_coordinator_request request;
    struct find_coordinator_response response;
    find_coordinator_request_init(&request);
    request.key_type = type;
    if (version < 4) {
        request.key = keys[1];
        call_find_coordinator(fixture, version, &request, &response);
        assert_int_equal(response.node_id, -1);
        return response.error_code;
    }
    request.coordinator_keys = keys;
    request.coordinator_keys_count = 2;
    call_find_coordinator(fixture, version, &request, &response);
    assert_int_equal(response.coordinators_count, 2);
    assert_true(view_equal(response.coordinators[1].key, keys[1]));
    assert_int_equal(response.coordinators[1].node_id, -1);
    return response.coordinators[1].error_code;
}

static void types_and_keys_are_checked_each_for_itself(void **state)
{
    (void)state;
    static const struct {
        int16_t version;
        int8_t type;
        const char *key;
        int16_t error;
    } cases[] = {
        {0, 0, "group", KAFKA_ERROR_COORDINATOR_NOT_AVAILABLE},
        {3, 1, "transaction", KAFKA_ERROR_COORDINATOR_NOT_AVAILABLE},
        {4, 0, "", KAFKA_ERROR_COORDINATOR_NOT_AVAILABLE},
        {1, -1, "group", KAFKA_ERROR_INVALID_REQUEST},
        {6, 3, "group", KAFKA_ERROR_INVALID_REQUEST},
        {5, 2, "g:" TOPIC_ID ":0", KAFKA_ERROR_INVALID_REQUEST},
        {6, 2, "g:" TOPIC_ID ":0", KAFKA_ERROR_COORDINATOR_NOT_AVAILABLE},
        {6, 2, "g:" TOPIC_ID ":0:", KAFKA_ERROR_COORDINATOR_NOT_AVAILABLE},
        {6, 2, "g", KAFKA_ERROR_INVALID_REQUEST},
        {6, 2, "g:" TOPIC_ID, KAFKA_ERROR_INVALID_REQUEST},
        {6, 2, "g:" TOPIC_ID ":", KAFKA_ERROR_INVALID_REQUEST},
        {6, 2, "g:" TOPIC_ID ":x", KAFKA_ERROR_INVALID_REQUEST},
        {6, 2, "g:" TOPIC_ID ":99999999999", KAFKA_ERROR_INVALID_REQUEST},
        {6, 2, " :" TOPIC_ID ":0", KAFKA_ERROR_INVALID_REQUEST},
        {6, 2, "a:b:" TOPIC_ID ":0", KAFKA_ERROR_INVALID_REQUEST},
    };
    struct broker_fixture fixture;
    broker_fixture_init_kinds(&fixture, no_kinds, NULL, 0);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        assert_int_equal(ask(&fixture, cases[i].version, cases[i].type, cases[i].key),
                         cases[i].error);
    broker_fixture_deinit(&fixture);
}

/* ---- A served slot ---- */

static void begin(struct broker_fixture *fixture)
{
    static const char *const settings[] = {"offsets.topic.num.partitions=4",
                                           "offsets.topic.segment.bytes=2000000"};
    *note_counts() = (struct note_kind_counts){0};
    broker_fixture_init_kinds(fixture, note_kinds, settings, 2);
}

static struct metadata_response_topic look(struct broker_fixture *fixture)
{
    struct metadata_request_topic topic;
    struct metadata_request request;
    struct metadata_response response;
    metadata_request_init(&request);
    metadata_request_topic_init(&topic);
    topic.name = VIEW_LITERAL(OFFSETS_TOPIC);
    request.topics = &topic;
    request.topics_count = 1;
    call_metadata(fixture, 12, &request, &response);
    assert_int_equal(response.topics_count, 1);
    return response.topics[0];
}

static struct view setting(struct broker_fixture *fixture, const char *name)
{
    struct view key = view_of_string(name);
    struct describe_configs_request_describe_configs_resource resource;
    struct describe_configs_request request;
    struct describe_configs_response response;
    describe_configs_request_init(&request);
    describe_configs_request_describe_configs_resource_init(&resource);
    resource.resource_type = CONFIG_RESOURCE_TOPIC;
    resource.resource_name = VIEW_LITERAL(OFFSETS_TOPIC);
    resource.configuration_keys = &key;
    resource.configuration_keys_count = 1;
    request.resources = &resource;
    request.resources_count = 1;
    call_describe_configs(fixture, 4, &request, &response);
    assert_int_equal(response.results_count, 1);
    assert_int_equal(response.results[0].configs_count, 1);
    return response.results[0].configs[0].value;
}

static struct find_coordinator_response find_group(struct broker_fixture *fixture, int16_t version,
                                                   const char *key)
{
    static struct view keys[1];
    struct find_coordinator_request request;
    struct find_coordinator_response response;
    find_coordinator_request_init(&request);
    request.key = keys[0] = view_of_string(key);
    request.coordinator_keys = keys;
    request.coordinator_keys_count = version < 4 ? 0 : 1;
    if (version >= 4)
        request.key = VIEW_LITERAL("");
    call_find_coordinator(fixture, version, &request, &response);
    return response;
}

/* How many coordinators of groups are ACTIVE. */
static uint32_t active_count(struct broker_fixture *fixture)
{
    uint32_t count = 0;
    for (unsigned i = 1; i <= FIXTURE_SHARDS; i++) {
        struct coordinator *found;
        for (int32_t partition = 0; partition < 8; partition++)
            count += coordinators_find(&broker_fixture_shard(fixture, i)->coordinators,
                                       COORDINATOR_GROUPS, partition, &found) == KAFKA_ERROR_NONE;
    }
    return count;
}

static void the_topic_is_made_on_first_use_and_its_leader_is_named(void **state)
{
    (void)state;
    struct broker_fixture fixture;
    begin(&fixture);
    assert_int_equal(look(&fixture).error_code, KAFKA_ERROR_UNKNOWN_TOPIC_OR_PARTITION);
    struct find_coordinator_response list = find_group(&fixture, 6, "my-group");
    assert_int_equal(list.coordinators_count, 1);
    assert_int_equal(list.coordinators[0].error_code, KAFKA_ERROR_NONE);
    assert_int_equal(list.coordinators[0].node_id, FIXTURE_NODE_ID);
    assert_int_equal(list.coordinators[0].port, 9092);
    assert_true(list.coordinators[0].host.size > 0);
    struct metadata_response_topic topic = look(&fixture);
    assert_int_equal(topic.error_code, KAFKA_ERROR_NONE);
    assert_true(topic.is_internal);
    assert_int_equal(topic.partitions_count, 4);
    assert_int_equal(topic.partitions[3].replica_nodes_count, 1);
    assert_true(view_equal(setting(&fixture, "cleanup.policy"), VIEW_LITERAL("compact")));
    assert_true(view_equal(setting(&fixture, "compression.type"), VIEW_LITERAL("producer")));
    assert_true(view_equal(setting(&fixture, "segment.bytes"), VIEW_LITERAL("2000000")));
    struct find_coordinator_response one = find_group(&fixture, 1, "my-group");
    assert_int_equal(one.error_code, KAFKA_ERROR_NONE);
    assert_true(view_equal(one.error_message, VIEW_LITERAL("NONE")));
    assert_int_equal(one.node_id, FIXTURE_NODE_ID);
    assert_int_equal(one.port, 9092);
    assert_int_equal(active_count(&fixture), 4);
    broker_fixture_deinit(&fixture);
}

static void coordinators_come_back_after_a_power_cut(void **state)
{
    (void)state;
    struct broker_fixture fixture;
    begin(&fixture);
    find_group(&fixture, 6, "my-group");
    assert_int_equal(active_count(&fixture), 4);
    unsigned loaded = note_counts()->loaded;
    broker_fixture_restart(&fixture);
    assert_int_equal(find_group(&fixture, 6, "my-group").coordinators[0].error_code,
                     KAFKA_ERROR_NONE);
    assert_int_equal(active_count(&fixture), 4);
    assert_int_equal(note_counts()->loaded, loaded + 4);
    broker_fixture_deinit(&fixture);
}

static void the_topic_keeps_its_partitions(void **state)
{
    (void)state;
    struct broker_fixture fixture;
    begin(&fixture);
    find_group(&fixture, 6, "my-group");
    struct create_partitions_request_create_partitions_topic more;
    struct create_partitions_request create;
    struct create_partitions_response created;
    create_partitions_request_init(&create);
    create_partitions_request_create_partitions_topic_init(&more);
    more.name = VIEW_LITERAL(OFFSETS_TOPIC);
    more.count = 8;
    more.assignments = NULL;
    create.topics = &more;
    create.topics_count = 1;
    create.timeout_ms = 5000;
    call_create_partitions(&fixture, 3, &create, &created);
    assert_int_equal(created.results[0].error_code, KAFKA_ERROR_INVALID_TOPIC_EXCEPTION);
    struct delete_topics_request_delete_topic_state doomed;
    struct delete_topics_request delete;
    struct delete_topics_response deleted;
    delete_topics_request_init(&delete);
    delete_topics_request_delete_topic_state_init(&doomed);
    doomed.name = VIEW_LITERAL(OFFSETS_TOPIC);
    delete.topics = &doomed;
    delete.topics_count = 1;
    delete.timeout_ms = 5000;
    call_delete_topics(&fixture, 6, &delete, &deleted);
    assert_int_equal(deleted.responses[0].error_code, KAFKA_ERROR_INVALID_TOPIC_EXCEPTION);
    assert_int_equal(look(&fixture).partitions_count, 4);
    assert_int_equal(active_count(&fixture), 4);
    broker_fixture_deinit(&fixture);
}

static void a_configured_number_of_replicas_is_not_lowered(void **state)
{
    (void)state;
    static const char *const settings[] = {"offsets.topic.replication.factor=3"};
    struct broker_fixture fixture;
    broker_fixture_init_kinds(&fixture, note_kinds, settings, 1);
    struct find_coordinator_response list = find_group(&fixture, 6, "my-group");
    assert_int_equal(list.coordinators[0].error_code, KAFKA_ERROR_COORDINATOR_NOT_AVAILABLE);
    assert_int_equal(list.coordinators[0].node_id, -1);
    assert_int_equal(look(&fixture).error_code, KAFKA_ERROR_UNKNOWN_TOPIC_OR_PARTITION);
    broker_fixture_deinit(&fixture);
}

static void a_segment_size_that_no_topic_may_have_is_raised(void **state)
{
    (void)state;
    static const char *const settings[] = {"offsets.topic.segment.bytes=1000",
                                           "offsets.topic.num.partitions=1"};
    struct broker_fixture fixture;
    broker_fixture_init_kinds(&fixture, note_kinds, settings, 2);
    assert_int_equal(find_group(&fixture, 6, "my-group").coordinators[0].error_code,
                     KAFKA_ERROR_NONE);
    assert_true(view_equal(setting(&fixture, "segment.bytes"), VIEW_LITERAL("1048576")));
    broker_fixture_deinit(&fixture);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(types_and_keys_are_checked_each_for_itself),
        cmocka_unit_test(the_topic_is_made_on_first_use_and_its_leader_is_named),
        cmocka_unit_test(coordinators_come_back_after_a_power_cut),
        cmocka_unit_test(the_topic_keeps_its_partitions),
        cmocka_unit_test(a_configured_number_of_replicas_is_not_lowered),
        cmocka_unit_test(a_segment_size_that_no_topic_may_have_is_raised),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
