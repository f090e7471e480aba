/*
 * The group and offset APIs through a whole broker of two shards: which coordinator is asked, what
 * is answered without one, and the shapes of old versions. What coordinators decide is tested in
 * tests/unit/consumer/.
 */
#include "tests/unit/broker/broker_fixture.h"

#include <stdio.h>

#include "protocol/messages/delete_groups.h"
#include "protocol/messages/describe_groups.h"
#include "protocol/messages/find_coordinator.h"
#include "protocol/messages/heartbeat.h"
#include "protocol/messages/join_group.h"
#include "protocol/messages/leave_group.h"
#include "protocol/messages/list_groups.h"
#include "protocol/messages/metadata.h"
#include "protocol/messages/offset_commit.h"
#include "protocol/messages/offset_delete.h"
#include "protocol/messages/offset_fetch.h"
#include "protocol/messages/sync_group.h"

BROKER_FIXTURE_CALL(delete_groups, API_KEY_DELETE_GROUPS)
BROKER_FIXTURE_CALL(describe_groups, API_KEY_DESCRIBE_GROUPS)
BROKER_FIXTURE_CALL(find_coordinator, API_KEY_FIND_COORDINATOR)
BROKER_FIXTURE_CALL(heartbeat, API_KEY_HEARTBEAT)
BROKER_FIXTURE_CALL(join_group, API_KEY_JOIN_GROUP)
BROKER_FIXTURE_CALL(leave_group, API_KEY_LEAVE_GROUP)
BROKER_FIXTURE_CALL(list_groups, API_KEY_LIST_GROUPS)
BROKER_FIXTURE_CALL(metadata, API_KEY_METADATA)
BROKER_FIXTURE_CALL(offset_commit, API_KEY_OFFSET_COMMIT)
BROKER_FIXTURE_CALL(offset_delete, API_KEY_OFFSET_DELETE)
BROKER_FIXTURE_CALL(offset_fetch, API_KEY_OFFSET_FETCH)
BROKER_FIXTURE_CALL(sync_group, API_KEY_SYNC_GROUP)

enum { GROUPS = 8 };

static struct broker_fixture test;
static const char *const settings[] = {"offsets.topic.num.partitions=5",
                                       "group.initial.rebalance.delay.ms=0"};

static void begin(void)
{
    broker_fixture_init(&test, settings, sizeof(settings) / sizeof(settings[0]));
    broker_fixture_create_topic(&test, "topic", 2, NULL, NULL);
    struct find_coordinator_request request;
    struct find_coordinator_response response;
    find_coordinator_request_init(&request);
    request.key = VIEW_LITERAL("g0");
    call_find_coordinator(&test, 3, &request, &response);
    assert_int_equal(response.error_code, KAFKA_ERROR_NONE);
    assert_int_equal(response.node_id, FIXTURE_NODE_ID);
}

static struct view name_of(int number)
{
    char *name = broker_fixture_get(&test, 8, 1);
    snprintf(name, 8, "g%d", number);
    return view_of_string(name);
}

static struct uuid topic_id(void)
{
    struct metadata_request request;
    struct metadata_response response;
    struct metadata_request_topic topic;
    metadata_request_init(&request);
    metadata_request_topic_init(&topic);
    topic.name = VIEW_LITERAL("topic");
    request.topics = &topic;
    request.topics_count = 1;
    call_metadata(&test, 12, &request, &response);
    return response.topics[0].topic_id;
}

/* Commits `offset` for two partitions of the topic and one that it does not have. */
static int16_t *commit(int16_t version, struct view group, struct uuid id, int64_t offset)
{
    struct offset_commit_request request;
    struct offset_commit_response response;
    struct offset_commit_request_topic topic;
    struct offset_commit_request_partition partitions[3];
    offset_commit_request_init(&request);
    offset_commit_request_topic_init(&topic);
    request.group_id = group;
    request.topics = &topic;
    request.topics_count = 1;
    if (version >= 10)
        topic.topic_id = id;
    else
        topic.name = VIEW_LITERAL("topic");
    topic.partitions = partitions;
    topic.partitions_count = 3;
    for (int32_t i = 0; i < 3; i++) {
        offset_commit_request_partition_init(&partitions[i]);
        partitions[i].partition_index = 2 - i;
        partitions[i].committed_offset = offset + 2 - i;
        partitions[i].committed_metadata = VIEW_LITERAL("m");
    }
    call_offset_commit(&test, version, &request, &response);
    assert_int_equal(response.topics_count, 1);
    assert_int_equal(response.topics[0].partitions_count, 3);
    int16_t *errors = broker_fixture_get(&test, 3, sizeof(*errors));
    for (size_t i = 0; i < 3; i++)
        errors[response.topics[0].partitions[i].partition_index] =
            response.topics[0].partitions[i].error_code;
    return errors;
}

static void commits_are_answered_partition_by_partition(void **state)
{
    (void)state;
    begin();
    struct uuid id = topic_id();
    for (int16_t version = 2; version <= 10; version++) {
        const int16_t *errors = commit(version, name_of(version), id, version);
        assert_int_equal(errors[0], KAFKA_ERROR_NONE);
        assert_int_equal(errors[1], KAFKA_ERROR_NONE);
        assert_int_equal(errors[2], KAFKA_ERROR_UNKNOWN_TOPIC_OR_PARTITION);
    }
    struct uuid nobody = {{7}};
    for (int i = 0; i < 3; i++)
        assert_int_equal(commit(10, name_of(1), nobody, 1)[i], KAFKA_ERROR_UNKNOWN_TOPIC_ID);
    broker_fixture_deinit(&test);
}

static void old_fetches_ask_one_group(void **state)
{
    (void)state;
    begin();
    commit(9, name_of(1), UUID_ZERO, 40);
    struct offset_fetch_request request;
    struct offset_fetch_response response;
    struct offset_fetch_request_topic topic;
    int32_t partitions[] = {1, 7};
    for (int16_t version = 1; version <= 7; version++) {
        for (int all = 0; all < (version >= 2 ? 2 : 1); all++) {
            offset_fetch_request_init(&request);
            offset_fetch_request_topic_init(&topic);
            request.group_id = name_of(1);
            topic.name = VIEW_LITERAL("topic");
            topic.partition_indexes = partitions;
            topic.partition_indexes_count = 2;
            request.topics = all ? NULL : &topic;
            request.topics_count = all ? 0 : 1;
            call_offset_fetch(&test, version, &request, &response);
            assert_int_equal(response.error_code, KAFKA_ERROR_NONE);
            assert_int_equal(response.topics_count, 1);
            assert_int_equal(response.topics[0].partitions_count, 2);
            const struct offset_fetch_response_partition *found =
                &response.topics[0].partitions[all ? 1 : 0];
            assert_int_equal(found->partition_index, 1);
            assert_int_equal(found->committed_offset, 41);
            assert_true(view_equal(found->metadata, VIEW_LITERAL("m")));
            if (!all)
                assert_int_equal(response.topics[0].partitions[1].committed_offset, -1);
        }
    }
    broker_fixture_deinit(&test);
}

/* Groups of several coordinators, on both shards, in one request; one that is not there. */
static void new_fetches_ask_many_groups(void **state)
{
    (void)state;
    begin();
    struct uuid id = topic_id(), nobody = {{7}};
    for (int i = 0; i < GROUPS; i++)
        commit(9, name_of(i), UUID_ZERO, i * 10);
    struct offset_fetch_request request;
    struct offset_fetch_response response;
    struct offset_fetch_request_group groups[GROUPS + 1];
    struct offset_fetch_request_topics topics[2];
    int32_t partition = 0;
    for (int16_t version = 8; version <= 10; version++) {
        offset_fetch_request_init(&request);
        request.groups = groups;
        request.groups_count = GROUPS + 1;
        for (int i = 0; i < 2; i++) {
            offset_fetch_request_topics_init(&topics[i]);
            topics[i].partition_indexes = &partition;
            topics[i].partition_indexes_count = 1;
            if (version >= 10)
                topics[i].topic_id = i == 0 ? nobody : id;
            else
                topics[i].name = i == 0 ? VIEW_LITERAL("missing") : VIEW_LITERAL("topic");
        }
        for (int i = 0; i <= GROUPS; i++) {
            offset_fetch_request_group_init(&groups[i]);
            groups[i].group_id = name_of(i);
            groups[i].topics = topics;
            groups[i].topics_count = 2;
        }
        call_offset_fetch(&test, version, &request, &response);
        assert_int_equal(response.groups_count, GROUPS + 1);
        for (int i = 0; i <= GROUPS; i++) {
            const struct offset_fetch_response_group *group = &response.groups[i];
            assert_true(view_equal(group->group_id, name_of(i)));
            assert_int_equal(group->error_code, KAFKA_ERROR_NONE);
            assert_int_equal(group->topics_count, 2);
            /* What is not known by id comes last. */
            const struct offset_fetch_response_topics *known =
                &group->topics[version >= 10 ? 0 : 1];
            const struct offset_fetch_response_topics *unknown =
                &group->topics[version >= 10 ? 1 : 0];
            assert_int_equal(known->partitions[0].committed_offset, i < GROUPS ? i * 10 : -1);
            assert_int_equal(unknown->partitions[0].committed_offset, -1);
            assert_int_equal(unknown->partitions[0].error_code,
                             version >= 10 ? KAFKA_ERROR_UNKNOWN_TOPIC_ID : KAFKA_ERROR_NONE);
        }
    }
    broker_fixture_deinit(&test);
}

/* Asks again while coordinators load, as clients do: after a start they do so for a while. */
static size_t count_groups(void)
{
    struct list_groups_request request;
    struct list_groups_response response = {.error_code = KAFKA_ERROR_COORDINATOR_LOAD_IN_PROGRESS};
    list_groups_request_init(&request);
    for (int i = 0; i < 1000 && response.error_code == KAFKA_ERROR_COORDINATOR_LOAD_IN_PROGRESS;
         i++)
        call_list_groups(&test, 5, &request, &response);
    assert_int_equal(response.error_code, KAFKA_ERROR_NONE);
    return response.groups_count;
}

static void lists_and_deletions_reach_every_coordinator(void **state)
{
    (void)state;
    begin();
    for (int i = 0; i < GROUPS; i++)
        commit(9, name_of(i), UUID_ZERO, i);
    assert_int_equal(count_groups(), GROUPS);
    struct delete_groups_request request;
    struct delete_groups_response response;
    struct view names[GROUPS + 2];
    for (int i = 0; i <= GROUPS; i++)
        names[i] = name_of(i);
    names[GROUPS + 1] = name_of(0); /* twice: answered once */
    delete_groups_request_init(&request);
    request.groups_names = names;
    request.groups_names_count = GROUPS + 2;
    call_delete_groups(&test, 2, &request, &response);
    assert_int_equal(response.results_count, GROUPS + 1);
    for (int i = 0; i <= GROUPS; i++)
        assert_int_equal(response.results[i].error_code,
                         i < GROUPS ? KAFKA_ERROR_NONE : KAFKA_ERROR_GROUP_ID_NOT_FOUND);
    assert_int_equal(count_groups(), 0);
    broker_fixture_restart(&test);
    assert_int_equal(count_groups(), 0);
    broker_fixture_deinit(&test);
}

static void offsets_of_partitions_that_are_not_there_cannot_be_deleted(void **state)
{
    (void)state;
    begin();
    commit(9, name_of(1), UUID_ZERO, 5);
    struct offset_delete_request request;
    struct offset_delete_response response;
    struct offset_delete_request_topic topics[2];
    struct offset_delete_request_partition partitions[2] = {{0}, {9}};
    offset_delete_request_init(&request);
    for (int i = 0; i < 2; i++) {
        offset_delete_request_topic_init(&topics[i]);
        topics[i].name = i == 0 ? VIEW_LITERAL("missing") : VIEW_LITERAL("topic");
        topics[i].partitions = partitions;
        topics[i].partitions_count = 2;
    }
    request.group_id = name_of(1);
    request.topics = topics;
    request.topics_count = 2;
    call_offset_delete(&test, 0, &request, &response);
    assert_int_equal(response.error_code, KAFKA_ERROR_NONE);
    assert_int_equal(response.topics_count, 2);
    for (int i = 0; i < 2; i++)
        assert_int_equal(response.topics[0].partitions[i].error_code,
                         KAFKA_ERROR_UNKNOWN_TOPIC_OR_PARTITION);
    assert_int_equal(response.topics[1].partitions[0].partition_index, 9);
    assert_int_equal(response.topics[1].partitions[0].error_code,
                     KAFKA_ERROR_UNKNOWN_TOPIC_OR_PARTITION);
    assert_int_equal(response.topics[1].partitions[1].error_code, KAFKA_ERROR_NONE);
    request.group_id = name_of(2);
    call_offset_delete(&test, 0, &request, &response);
    assert_int_equal(response.error_code, KAFKA_ERROR_GROUP_ID_NOT_FOUND);
    assert_int_equal(response.topics_count, 0);
    broker_fixture_deinit(&test);
}

/* A member's life over the wire, with a power cut in the middle of it. */
static void a_member_lives_through_a_power_cut(void **state)
{
    (void)state;
    begin();
    struct join_group_request join;
    struct join_group_response joined;
    struct join_group_request_protocol protocol = {VIEW_LITERAL("range"), VIEW_LITERAL("s")};
    join_group_request_init(&join);
    join.group_id = name_of(1);
    join.session_timeout_ms = 10000;
    join.rebalance_timeout_ms = 10000;
    join.protocol_type = VIEW_LITERAL("consumer");
    join.protocols = &protocol;
    join.protocols_count = 1;
    call_join_group(&test, 9, &join, &joined);
    assert_int_equal(joined.error_code, KAFKA_ERROR_MEMBER_ID_REQUIRED);
    char *id = broker_fixture_get(&test, 1, joined.member_id.size);
    memcpy(id, joined.member_id.data, joined.member_id.size);
    struct view member_id = join.member_id = view_of(id, joined.member_id.size);
    call_join_group(&test, 9, &join, &joined);
    assert_int_equal(joined.error_code, KAFKA_ERROR_NONE);
    assert_int_equal(joined.generation_id, 1);
    struct sync_group_request sync;
    struct sync_group_response synced;
    struct sync_group_request_assignment assignment = {member_id, VIEW_LITERAL("everything")};
    sync_group_request_init(&sync);
    sync.group_id = name_of(1);
    sync.member_id = member_id;
    sync.generation_id = 1;
    sync.protocol_type = VIEW_LITERAL("consumer");
    sync.protocol_name = VIEW_LITERAL("range");
    sync.assignments = &assignment;
    sync.assignments_count = 1;
    call_sync_group(&test, 5, &sync, &synced);
    assert_int_equal(synced.error_code, KAFKA_ERROR_NONE);
    assert_true(view_equal(synced.assignment, VIEW_LITERAL("everything")));

    broker_fixture_restart(&test);
    struct heartbeat_request beat;
    struct heartbeat_response beaten;
    heartbeat_request_init(&beat);
    beat.group_id = name_of(1);
    beat.member_id = member_id;
    beat.generation_id = 1;
    call_heartbeat(&test, 4, &beat, &beaten);
    assert_int_equal(beaten.error_code, KAFKA_ERROR_NONE);
    struct describe_groups_request describe;
    struct describe_groups_response described;
    struct view name = name_of(1);
    describe_groups_request_init(&describe);
    describe.groups = &name;
    describe.groups_count = 1;
    describe.include_authorized_operations = true;
    call_describe_groups(&test, 6, &describe, &described);
    assert_true(view_equal(described.groups[0].group_state, VIEW_LITERAL("Stable")));
    assert_int_equal(described.groups[0].members_count, 1);
    assert_true(described.groups[0].authorized_operations > 0);

    /* Before version 3 the error of the one member is that of the request. */
    struct leave_group_request leave;
    struct leave_group_response left;
    leave_group_request_init(&leave);
    leave.group_id = name_of(1);
    leave.member_id = member_id;
    call_leave_group(&test, 2, &leave, &left);
    assert_int_equal(left.error_code, KAFKA_ERROR_NONE);
    call_leave_group(&test, 2, &leave, &left);
    assert_int_equal(left.error_code, KAFKA_ERROR_UNKNOWN_MEMBER_ID);
    broker_fixture_deinit(&test);
}

/* A client that goes while its join waits leaves nothing behind but a member, which expires. */
static void a_joiner_that_hangs_up_is_forgotten(void **state)
{
    (void)state;
    begin();
    struct join_group_request join;
    struct join_group_response joined;
    struct join_group_request_protocol protocol = {VIEW_LITERAL("range"), VIEW_LITERAL("s")};
    join_group_request_init(&join);
    join.group_id = name_of(1);
    join.session_timeout_ms = 10000;
    join.rebalance_timeout_ms = 10000;
    join.protocol_type = VIEW_LITERAL("consumer");
    join.protocols = &protocol;
    join.protocols_count = 1;
    call_join_group(&test, 3, &join, &joined); /* a first member, that does not come back */
    assert_int_equal(joined.error_code, KAFKA_ERROR_NONE);
    size_t size = join_group_request_size(&join, 3);
    uint8_t *bytes = broker_fixture_get(&test, 1, size);
    struct message_writer writer = message_writer_of(bytes, size);
    join_group_request_encode(&join, &writer, 3);
    broker_fixture_send(&test, API_KEY_JOIN_GROUP, 3, view_of(bytes, size));
    broker_fixture_hang_up(&test);
    assert_int_equal(count_groups(), 1);
    broker_fixture_begin_stop(&test);
    assert_int_equal(broker_fixture_await_stop(&test), 0);
    broker_fixture_deinit(&test);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(commits_are_answered_partition_by_partition),
        cmocka_unit_test(old_fetches_ask_one_group),
        cmocka_unit_test(new_fetches_ask_many_groups),
        cmocka_unit_test(lists_and_deletions_reach_every_coordinator),
        cmocka_unit_test(offsets_of_partitions_that_are_not_there_cannot_be_deleted),
        cmocka_unit_test(a_member_lives_through_a_power_cut),
        cmocka_unit_test(a_joiner_that_hangs_up_is_forgotten),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
