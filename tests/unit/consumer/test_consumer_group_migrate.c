/*
 * Groups between the protocols: classic members in a consumer group, upgrade, downgrade; and what
 * offset requests check in a consumer group.
 */
#include "consumer/consumer_classic.h"
#include "consumer/classic_group.h"
#include "consumer/consumer_protocol.h"
#include "consumer/group_requests.h"
#include "protocol/messages/heartbeat.h"
#include "protocol/messages/join_group.h"
#include "protocol/messages/leave_group.h"
#include "protocol/messages/sync_group.h"
#include "tests/unit/consumer/consumer_bench.h"

enum { JOIN_VERSION = 9, SYNC_VERSION = 5 };

/* A classic client. */
struct classic {
    char id[80];
    const char *instance;
    const char *topic;
    int32_t generation;
    uint8_t metadata[64];
    struct view assignment; /* as sent by SyncGroup, in the fixture's arena */
    char member_protocol[16];
};

static struct view metadata_of(struct classic *classic)
{
    struct view topic = view_of_string(classic->topic);
    struct consumer_protocol_subscription subscription;
    consumer_protocol_subscription_init(&subscription);
    subscription.topics = &topic;
    subscription.topics_count = 1;
    struct message_writer writer = message_writer_of(classic->metadata, sizeof(classic->metadata));
    write_i16(&writer.bytes, 1);
    consumer_protocol_subscription_encode(&subscription, &writer, 1);
    assert_false(message_writer_failed(&writer));
    return view_of(classic->metadata, writer.bytes.size);
}

static enum kafka_error join(struct consumer_bench *bench, struct classic *classic)
{
    struct join_group_request request;
    join_group_request_init(&request);
    struct join_group_request_protocol protocol = {VIEW_LITERAL("range"), metadata_of(classic)};
    request.group_id = view_of_string(bench->group);
    request.member_id = view_of_string(classic->id);
    request.group_instance_id = view_of_string(classic->instance);
    request.session_timeout_ms = 10000;
    request.rebalance_timeout_ms = 20000;
    request.protocol_type = VIEW_LITERAL("consumer");
    request.protocols = &protocol;
    request.protocols_count = 1;
    struct join_group_response response;
    join_group_response_init(&response);
    struct fixture_call call;
    fixture_call_init(&bench->fixture, &call, JOIN_VERSION, &request, &response);
    join_group(coordinator_fixture_state(&bench->fixture), &call.call);
    coordinator_fixture_run(&bench->fixture);
    if (call.told == 0)
        coordinator_fixture_advance(&bench->fixture, 3000); /* the first rebalance waits */
    assert_int_equal(call.told, 1);
    enum kafka_error error = call.call.error != KAFKA_ERROR_NONE
                                 ? call.call.error
                                 : (enum kafka_error)response.error_code;
    if (error == KAFKA_ERROR_NONE || error == KAFKA_ERROR_MEMBER_ID_REQUIRED) {
        assert_true(response.member_id.size < sizeof(classic->id));
        memcpy(classic->id, response.member_id.data, response.member_id.size);
        classic->id[response.member_id.size] = 0;
    }
    if (error == KAFKA_ERROR_NONE)
        classic->generation = response.generation_id;
    fixture_call_deinit(&call);
    return error == KAFKA_ERROR_MEMBER_ID_REQUIRED ? join(bench, classic) : error;
}

static enum kafka_error sync_with(struct consumer_bench *bench, struct classic *classic,
                                  const struct sync_group_request_assignment *assignments,
                                  size_t count)
{
    struct sync_group_request request;
    sync_group_request_init(&request);
    request.group_id = view_of_string(bench->group);
    request.member_id = view_of_string(classic->id);
    request.group_instance_id = view_of_string(classic->instance);
    request.generation_id = classic->generation;
    request.protocol_type = VIEW_LITERAL("consumer");
    request.protocol_name = VIEW_LITERAL("range");
    struct sync_group_request_assignment copy[4];
    for (size_t i = 0; i < count; i++)
        copy[i] = assignments[i];
    request.assignments = copy;
    request.assignments_count = count;
    struct sync_group_response response;
    sync_group_response_init(&response);
    struct fixture_call call;
    fixture_call_init(&bench->fixture, &call, SYNC_VERSION, &request, &response);
    sync_group(coordinator_fixture_state(&bench->fixture), &call.call);
    coordinator_fixture_run(&bench->fixture);
    assert_int_equal(call.told, 1);
    classic->assignment = arena_copy(&bench->fixture.arena, response.assignment);
    enum kafka_error error = call.call.error != KAFKA_ERROR_NONE
                                 ? call.call.error
                                 : (enum kafka_error)response.error_code;
    fixture_call_deinit(&call);
    return error;
}

static enum kafka_error beat(struct consumer_bench *bench, const struct classic *classic)
{
    struct heartbeat_request request;
    heartbeat_request_init(&request);
    request.group_id = view_of_string(bench->group);
    request.member_id = view_of_string(classic->id);
    request.group_instance_id = view_of_string(classic->instance);
    request.generation_id = classic->generation;
    struct heartbeat_response response;
    heartbeat_response_init(&response);
    struct fixture_call call;
    fixture_call_init(&bench->fixture, &call, 4, &request, &response);
    heartbeat(coordinator_fixture_state(&bench->fixture), &call.call);
    coordinator_fixture_run(&bench->fixture);
    assert_int_equal(call.told, 1);
    fixture_call_deinit(&call);
    return (enum kafka_error)response.error_code;
}

static enum kafka_error leave(struct consumer_bench *bench, const char *member_id,
                              const char *instance)
{
    struct leave_group_request request;
    leave_group_request_init(&request);
    struct leave_group_request_member_identity member;
    leave_group_request_member_identity_init(&member);
    member.member_id = view_of_string(member_id);
    member.group_instance_id = view_of_string(instance);
    request.group_id = view_of_string(bench->group);
    request.members = &member;
    request.members_count = 1;
    struct leave_group_response response;
    leave_group_response_init(&response);
    struct fixture_call call;
    fixture_call_init(&bench->fixture, &call, 5, &request, &response);
    leave_group(coordinator_fixture_state(&bench->fixture), &call.call);
    coordinator_fixture_run(&bench->fixture);
    assert_int_equal(call.told, 1);
    enum kafka_error error = (enum kafka_error)response.members[0].error_code;
    fixture_call_deinit(&call);
    return error;
}

/* Bits of the partitions of topic "t" in an assignment. */
static unsigned bits_of(struct consumer_bench *bench, struct view assignment)
{
    struct consumer_protocol_assignment decoded;
    assert_true(consumer_protocol_read_assignment(assignment, &bench->fixture.arena, &decoded));
    unsigned bits = 0;
    for (size_t t = 0; t < decoded.assigned_partitions_count; t++) {
        assert_true(view_equal(decoded.assigned_partitions[t].topic, VIEW_LITERAL("t")));
        for (size_t p = 0; p < decoded.assigned_partitions[t].partitions_count; p++)
            bits |= 1u << decoded.assigned_partitions[t].partitions[p];
    }
    return bits;
}

static enum group_type type_of(struct consumer_bench *bench)
{
    struct groups *groups = coordinator_fixture_state(&bench->fixture);
    const struct group *group = groups_find(groups, view_of_string(bench->group));
    assert_non_null(group);
    return group->type;
}

/* A classic group of one member that owns all four partitions of "t". */
static void begin_classic(struct consumer_bench *bench, struct classic *classic)
{
    consumer_bench_topic(bench, "t", 4);
    *classic = (struct classic){.topic = "t"};
    assert_int_equal(join(bench, classic), KAFKA_ERROR_NONE);
    struct partition_set_builder builder;
    partition_set_builder_init(&builder, &bench->fixture.arena);
    for (int32_t p = 0; p < 4; p++)
        partition_set_add(&builder, bench->topics[0].id, p);
    struct sync_group_request_assignment assignment = {
        view_of_string(classic->id),
        consumer_protocol_write_assignment(bench->fixture.image, partition_set_finish(&builder), 1,
                                           &bench->fixture.arena)};
    assert_int_equal(sync_with(bench, classic, &assignment, 1), KAFKA_ERROR_NONE);
    assert_int_equal(type_of(bench), GROUP_CLASSIC);
}

static struct bench_member member_of(const char *id)
{
    return (struct bench_member){.id = id, .topics = {"t"}};
}

static void a_group_goes_to_the_consumer_protocol_and_back(void **state)
{
    (void)state;
    struct consumer_bench bench;
    consumer_bench_init(&bench);
    struct classic old;
    begin_classic(&bench, &old);
    int32_t generation = old.generation;
    struct bench_member a = member_of("a");
    struct bench_answer answer = bench_join(&bench, &a);
    assert_int_equal(answer.error, KAFKA_ERROR_NONE);
    assert_int_equal(type_of(&bench), GROUP_CONSUMER);
    assert_int_equal(answer.epoch, generation + 1);
    assert_int_equal(answer.assigned, 0); /* the classic member has all */
    consumer_group_check(bench_group(&bench));
    /* The classic member learns of it, joins again, gives up, and joins again. */
    assert_int_equal(beat(&bench, &old), KAFKA_ERROR_REBALANCE_IN_PROGRESS);
    assert_int_equal(join(&bench, &old), KAFKA_ERROR_NONE);
    assert_int_equal(old.generation, generation + 1);
    assert_int_equal(sync_with(&bench, &old, NULL, 0), KAFKA_ERROR_NONE);
    unsigned kept = bits_of(&bench, old.assignment);
    assert_int_equal(__builtin_popcount(kept), 2);
    assert_int_equal(beat(&bench, &old), KAFKA_ERROR_NONE);
    answer = bench_beat(&bench, &a);
    assert_int_equal(answer.assigned, 15 & ~kept);
    /* The consumer member leaves: a classic group again, which rebalances. */
    int32_t epoch = bench_group(&bench)->epoch;
    assert_int_equal(bench_leave(&bench, &a, -1).error, KAFKA_ERROR_NONE);
    assert_int_equal(type_of(&bench), GROUP_CLASSIC);
    old.generation = epoch;
    assert_int_equal(beat(&bench, &old), KAFKA_ERROR_REBALANCE_IN_PROGRESS);
    assert_int_equal(join(&bench, &old), KAFKA_ERROR_NONE);
    assert_int_equal(old.generation, epoch + 1);
    consumer_bench_deinit(&bench);
}

static void the_policy_decides_whether_a_group_may_change(void **state)
{
    (void)state;
    static const struct {
        const char *policy;
        bool up;
        bool down;
    } rows[] = {{"bidirectional", true, true},
                {"UPGRADE", true, false},
                {"downgrade", false, true},
                {"disabled", false, false}};
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct consumer_bench bench;
        consumer_bench_init(&bench);
        struct view *policy = &bench.fixture.config.settings.group_consumer_migration_policy;
        struct classic old;
        begin_classic(&bench, &old);
        *policy = view_of_string(rows[i].policy);
        struct bench_member a = member_of("a");
        assert_int_equal(bench_join(&bench, &a).error,
                         rows[i].up ? KAFKA_ERROR_NONE : KAFKA_ERROR_GROUP_ID_NOT_FOUND);
        assert_int_equal(type_of(&bench), rows[i].up ? GROUP_CONSUMER : GROUP_CLASSIC);
        if (!rows[i].up) {
            *policy = VIEW_LITERAL("upgrade");
            assert_int_equal(bench_join(&bench, &a).error, KAFKA_ERROR_NONE);
            *policy = view_of_string(rows[i].policy);
        }
        assert_int_equal(bench_leave(&bench, &a, -1).error, KAFKA_ERROR_NONE);
        assert_int_equal(type_of(&bench), rows[i].down ? GROUP_CLASSIC : GROUP_CONSUMER);
        consumer_bench_deinit(&bench);
    }
}

static void empty_groups_change_whatever_the_policy_says(void **state)
{
    (void)state;
    struct consumer_bench bench;
    consumer_bench_init(&bench);
    struct classic old;
    begin_classic(&bench, &old);
    bench.fixture.config.settings.group_consumer_migration_policy = VIEW_LITERAL("disabled");
    assert_int_equal(leave(&bench, old.id, NULL), KAFKA_ERROR_NONE);
    struct bench_member a = member_of("a");
    assert_int_equal(bench_join(&bench, &a).error, KAFKA_ERROR_NONE);
    assert_int_equal(type_of(&bench), GROUP_CONSUMER);
    assert_int_equal(bench_leave(&bench, &a, -1).error, KAFKA_ERROR_NONE);
    old.id[0] = 0;
    assert_int_equal(join(&bench, &old), KAFKA_ERROR_NONE);
    assert_int_equal(type_of(&bench), GROUP_CLASSIC);
    consumer_bench_deinit(&bench);
}

static void a_classic_member_is_refused_what_does_not_fit(void **state)
{
    (void)state;
    struct consumer_bench bench;
    consumer_bench_init(&bench);
    struct classic old;
    begin_classic(&bench, &old);
    struct bench_member a = member_of("a");
    bench_join(&bench, &a);
    assert_int_equal(join(&bench, &old), KAFKA_ERROR_NONE);
    struct classic wrong = old;
    wrong.generation++;
    assert_int_equal(beat(&bench, &wrong), KAFKA_ERROR_ILLEGAL_GENERATION);
    assert_int_equal(sync_with(&bench, &wrong, NULL, 0), KAFKA_ERROR_ILLEGAL_GENERATION);
    wrong = old;
    wrong.id[0] = '!';
    assert_int_equal(beat(&bench, &wrong), KAFKA_ERROR_UNKNOWN_MEMBER_ID);
    assert_int_equal(leave(&bench, wrong.id, NULL), KAFKA_ERROR_UNKNOWN_MEMBER_ID);
    assert_int_equal(leave(&bench, "", "no instance"), KAFKA_ERROR_UNKNOWN_MEMBER_ID);
    struct classic consumer = {.id = "a", .topic = "t", .generation = a.epoch};
    assert_int_equal(beat(&bench, &consumer), KAFKA_ERROR_UNKNOWN_MEMBER_ID);
    assert_int_equal(sync_with(&bench, &consumer, NULL, 0), KAFKA_ERROR_UNKNOWN_MEMBER_ID);
    consumer_bench_deinit(&bench);
}

static void a_classic_member_that_does_not_come_back_is_fenced(void **state)
{
    (void)state;
    struct consumer_bench bench;
    consumer_bench_init(&bench);
    bench.fixture.config.settings.group_consumer_migration_policy = VIEW_LITERAL("upgrade");
    struct classic old;
    begin_classic(&bench, &old);
    struct bench_member a = member_of("a");
    bench_join(&bench, &a);
    /* It heartbeats, but does not join: its rebalance timeout is 20 s. */
    for (unsigned i = 0; i < 4; i++) {
        assert_int_equal(beat(&bench, &old), KAFKA_ERROR_REBALANCE_IN_PROGRESS);
        coordinator_fixture_advance(&bench.fixture, 5000);
    }
    assert_int_equal(beat(&bench, &old), KAFKA_ERROR_UNKNOWN_MEMBER_ID);
    assert_int_equal(bench_beat(&bench, &a).assigned, 15);
    /* One that joins and does not sync, too. */
    old.id[0] = 0;
    assert_int_equal(join(&bench, &old), KAFKA_ERROR_NONE);
    for (unsigned i = 0; i < 4; i++) {
        beat(&bench, &old);
        coordinator_fixture_advance(&bench.fixture, 5000);
    }
    assert_int_equal(beat(&bench, &old), KAFKA_ERROR_UNKNOWN_MEMBER_ID);
    /* And one that is silent, after its own session timeout of 10 s. */
    old.id[0] = 0;
    assert_int_equal(join(&bench, &old), KAFKA_ERROR_NONE);
    coordinator_fixture_advance(&bench.fixture, 10000);
    assert_int_equal(bench_group(&bench)->member_count, 1);
    consumer_bench_deinit(&bench);
}

static void a_static_member_changes_protocol_with_all_it_has(void **state)
{
    (void)state;
    struct consumer_bench bench;
    consumer_bench_init(&bench);
    consumer_bench_topic(&bench, "t", 4);
    struct bench_member a = {.id = "a", .instance = "i", .topics = {"t"}};
    struct bench_member b = member_of("b");
    bench_join(&bench, &a);
    bench_join(&bench, &b);
    struct bench_member *both[] = {&a, &b};
    bench_settle(&bench, both, 2);
    struct classic old = {.topic = "t", .instance = "i"};
    assert_int_equal(join(&bench, &old), KAFKA_ERROR_NONE);
    assert_int_equal(bench_group(&bench)->classic_count, 1);
    assert_int_equal(sync_with(&bench, &old, NULL, 0), KAFKA_ERROR_NONE);
    assert_int_equal(bits_of(&bench, old.assignment), a.owned);
    /* Back to the consumer protocol, without having left. */
    struct bench_member again = {.id = "a2", .instance = "i", .topics = {"t"}};
    assert_int_equal(bench_join(&bench, &again).assigned, a.owned);
    assert_int_equal(bench_group(&bench)->classic_count, 0);
    /* The last one of the protocol gives its place to a classic one: downgrade. */
    bench_leave(&bench, &b, -1);
    struct classic last = {.topic = "t", .instance = "i"};
    struct bench_member other = member_of("c");
    bench_join(&bench, &other);
    assert_int_equal(bench_leave(&bench, &other, -1).error, KAFKA_ERROR_NONE);
    struct classic stays = {.topic = "t"};
    assert_int_equal(join(&bench, &stays), KAFKA_ERROR_NONE);
    assert_int_equal(type_of(&bench), GROUP_CONSUMER);
    assert_int_equal(join(&bench, &last), KAFKA_ERROR_NONE);
    assert_int_equal(type_of(&bench), GROUP_CLASSIC);
    consumer_bench_deinit(&bench);
}

/* ---- Offsets ---- */

static enum kafka_error may_commit(struct consumer_bench *bench, const char *member_id,
                                   int32_t epoch, int16_t version, bool is_transactional)
{
    struct groups *groups = coordinator_fixture_state(&bench->fixture);
    struct group *group = groups_find(groups, view_of_string(bench->group));
    struct commit_claim claim = {.group_id = group->id,
                                 .member_id = view_of_string(member_id),
                                 .generation = epoch,
                                 .version = version,
                                 .is_transactional = is_transactional};
    return consumer_classic_validate_commit(group, &claim);
}

static enum kafka_error may_fetch(struct consumer_bench *bench, const char *member_id,
                                  int32_t epoch)
{
    struct groups *groups = coordinator_fixture_state(&bench->fixture);
    const struct group *group = groups_find(groups, view_of_string(bench->group));
    return consumer_classic_validate_fetch(group, view_of_string(member_id), epoch);
}

static void offsets_are_fenced_by_member_epoch(void **state)
{
    (void)state;
    struct consumer_bench bench;
    consumer_bench_init(&bench);
    struct classic old;
    begin_classic(&bench, &old);
    struct bench_member a = member_of("a");
    bench_join(&bench, &a);
    assert_int_equal(may_commit(&bench, "a", a.epoch, 9, false), KAFKA_ERROR_NONE);
    assert_int_equal(may_commit(&bench, "a", a.epoch, 8, false), KAFKA_ERROR_UNSUPPORTED_VERSION);
    assert_int_equal(may_commit(&bench, "a", a.epoch - 1, 9, false),
                     KAFKA_ERROR_STALE_MEMBER_EPOCH);
    assert_int_equal(may_commit(&bench, "a", a.epoch + 1, 9, false),
                     KAFKA_ERROR_STALE_MEMBER_EPOCH);
    assert_int_equal(may_commit(&bench, "a", -1, 9, false), KAFKA_ERROR_STALE_MEMBER_EPOCH);
    assert_int_equal(may_commit(&bench, "x", 1, 9, false), KAFKA_ERROR_UNKNOWN_MEMBER_ID);
    assert_int_equal(may_commit(&bench, "", -1, 9, false), KAFKA_ERROR_UNKNOWN_MEMBER_ID);
    assert_int_equal(may_commit(&bench, old.id, old.generation, 2, false), KAFKA_ERROR_NONE);
    assert_int_equal(may_commit(&bench, old.id, old.generation + 1, 9, false),
                     KAFKA_ERROR_ILLEGAL_GENERATION);
    assert_int_equal(may_commit(&bench, "", -1, 3, true), KAFKA_ERROR_NONE);
    assert_int_equal(may_commit(&bench, "a", a.epoch, 3, true), KAFKA_ERROR_NONE);
    assert_int_equal(may_commit(&bench, "a", 99, 3, true), KAFKA_ERROR_ILLEGAL_GENERATION);
    assert_int_equal(may_fetch(&bench, NULL, -1), KAFKA_ERROR_NONE);
    assert_int_equal(may_fetch(&bench, "a", a.epoch), KAFKA_ERROR_NONE);
    assert_int_equal(may_fetch(&bench, "a", a.epoch + 1), KAFKA_ERROR_STALE_MEMBER_EPOCH);
    assert_int_equal(may_fetch(&bench, "x", 1), KAFKA_ERROR_UNKNOWN_MEMBER_ID);
    assert_int_equal(may_fetch(&bench, NULL, 1), KAFKA_ERROR_UNKNOWN_MEMBER_ID);
    assert_int_equal(may_fetch(&bench, old.id, old.generation + 1), KAFKA_ERROR_ILLEGAL_GENERATION);
    consumer_bench_deinit(&bench);
}

static void an_empty_group_takes_commits_of_administrators(void **state)
{
    (void)state;
    struct consumer_bench bench;
    consumer_bench_init(&bench);
    struct bench_member a = member_of("a");
    bench_join(&bench, &a);
    bench_leave(&bench, &a, -1);
    assert_int_equal(may_commit(&bench, "", -1, 9, false), KAFKA_ERROR_NONE);
    assert_int_equal(may_commit(&bench, "", 0, 9, false), KAFKA_ERROR_UNKNOWN_MEMBER_ID);
    consumer_bench_deinit(&bench);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_group_goes_to_the_consumer_protocol_and_back),
        cmocka_unit_test(the_policy_decides_whether_a_group_may_change),
        cmocka_unit_test(empty_groups_change_whatever_the_policy_says),
        cmocka_unit_test(a_classic_member_is_refused_what_does_not_fit),
        cmocka_unit_test(a_classic_member_that_does_not_come_back_is_fenced),
        cmocka_unit_test(a_static_member_changes_protocol_with_all_it_has),
        cmocka_unit_test(offsets_are_fenced_by_member_epoch),
        cmocka_unit_test(an_empty_group_takes_commits_of_administrators),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
