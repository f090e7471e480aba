/*
 * Voters of the settings become voters in the log: kraft.version 0 to 1 in a running quorum
 * (KIP-853, KAFKA-16538), what holds it up, what undoes it, and what a restart finds.
 */
#include "tests/unit/cluster/voter_requests.h"

#include "cluster/controller/update_features.h"
#include "tests/unit/cluster/quorum_writes.h"

enum { UPGRADE = 1, UNSAFE_DOWNGRADE = 3 };

/* Asks the controller for a level of kraft.version; what it decides is on its way then. */
static enum kafka_error begin_raise(struct quorum_net *net, int at, int16_t level, int8_t type,
                                    struct write *write)
{
    struct fixture *fixture = &net->nodes[at].fixture;
    struct update_features_request_feature_update_key key;
    struct update_features_request request;
    struct update_features_response response;
    struct decision decision;
    struct arena arena;
    update_features_request_feature_update_key_init(&key);
    update_features_request_init(&request);
    key.feature = VIEW_LITERAL("kraft.version");
    key.max_version_level = level;
    key.upgrade_type = type;
    request.feature_updates = &key;
    request.feature_updates_count = 1;
    *write = (struct write){.wait.done = write_done};
    arena_init(&arena, &fixture->heap, MEMORY_SCRATCH, 0);
    assert_true(controller_decide(&fixture->controller, &decision, &arena));
    decide_update_features(&decision, &request, 2, &response);
    if (response.error_code == KAFKA_ERROR_NONE)
        controller_commit(&fixture->controller, &decision, &write->wait);
    arena_deinit(&arena);
    return (enum kafka_error)response.error_code;
}

static enum kafka_error raise_to(struct quorum_net *net, int at, int16_t level, int8_t type)
{
    struct write write;
    enum kafka_error error = begin_raise(net, at, level, type, &write);
    if (error != KAFKA_ERROR_NONE)
        return error;
    return write_await(net, &write);
}

/* Until every voter has told the leader who it is. */
static void raise_when_possible(struct quorum_net *net, int at)
{
    enum kafka_error error = KAFKA_ERROR_UNKNOWN_SERVER_ERROR;
    for (int i = 0; i < 10000 && error != KAFKA_ERROR_NONE; i++) {
        error = raise_to(net, at, 1, UPGRADE);
        assert_true(error == KAFKA_ERROR_NONE || error == KAFKA_ERROR_INVALID_UPDATE_VERSION);
        quorum_net_run(net, 1);
    }
    assert_int_equal(error, KAFKA_ERROR_NONE);
}

/* `voters` of the settings, all of which run; the leader. */
static int start_static(struct quorum_net *net, int voters, int observers, uint64_t seed)
{
    quorum_net_init(net, voters, observers, seed);
    for (int id = 1; id <= net->count; id++)
        quorum_net_start(net, id);
    return quorum_net_await_leader(net, 0);
}

static int16_t level_at(const struct quorum_net *net, int id)
{
    return metadata_log_kraft_version(&net->nodes[id].fixture.controller.log);
}

static void require_dynamic(const struct quorum_net *net, int id, int voters)
{
    const struct quorum *quorum = quorum_of(net, id);
    assert_int_equal(level_at(net, id), 1);
    assert_int_equal(net->nodes[id].fixture.publisher.current->kraft_version, 1);
    assert_int_equal(quorum->voter_count, voters);
    assert_true(quorum->voters_offset >= 0);
    for (uint32_t i = 0; i < quorum->voter_count; i++)
        assert_true(uuid_equal(quorum->voters[i].node.directory_id,
                               quorum_net_directory(quorum->voters[i].node.id)));
}

static void voters_of_the_settings_go_into_the_log(void **state)
{
    (void)state;
    static struct quorum_net net;
    int leader = start_static(&net, 3, 1, 20);
    assert_int_equal(level_at(&net, leader), 0);
    raise_when_possible(&net, leader);
    write_setting(&net, leader, "one");
    for (int id = 1; id <= 4; id++) {
        await_setting(&net, id, "one");
        require_dynamic(&net, id, 3);
    }
    /* Once more is nothing; back is not possible. */
    int64_t end = quorum_of(&net, leader)->log_end;
    assert_int_equal(raise_to(&net, leader, 1, UPGRADE), KAFKA_ERROR_NONE);
    assert_int_equal(quorum_of(&net, leader)->log_end, end);
    for (int8_t type = UPGRADE; type <= UNSAFE_DOWNGRADE; type++)
        assert_int_equal(raise_to(&net, leader, 0, type), KAFKA_ERROR_INVALID_UPDATE_VERSION);
    /* What the settings go on saying does not count any more. */
    int other = leader == 1 ? 2 : 1;
    assert_int_equal(change_ask(&net, leader, change_remove(other)), KAFKA_ERROR_NONE);
    unsigned left = voters_at(&net, leader);
    assert_int_equal(left, (1u << 1 | 1u << 2 | 1u << 3) & ~(1u << other));
    for (int id = 1; id <= 4; id++)
        await_voters(&net, id, left);
    for (int id = 1; id <= 4; id++)
        quorum_net_crash(&net, id);
    for (int id = 1; id <= 4; id++)
        quorum_net_start(&net, id);
    leader = quorum_net_await_leader(&net, 0);
    write_setting(&net, leader, "two");
    for (int id = 1; id <= 4; id++) {
        await_setting(&net, id, "two");
        assert_int_equal(voters_at(&net, id), left);
    }
    assert_int_equal(quorum_of(&net, leader)->persisted.version, 1);
    assert_int_equal(change_ask(&net, leader, change_add(other)), KAFKA_ERROR_NONE);
    quorum_net_deinit(&net);
}

/* All must have told the present leader who they are; who is down then catches up. */
static void every_voter_is_heard_before_the_level_is_raised(void **state)
{
    (void)state;
    static struct quorum_net net;
    quorum_net_init(&net, 3, 0, 21);
    quorum_net_start(&net, 1);
    quorum_net_start(&net, 2);
    int leader = quorum_net_await_leader(&net, 0);
    quorum_net_run(&net, 10000);
    assert_int_equal(raise_to(&net, leader, 1, UPGRADE), KAFKA_ERROR_INVALID_UPDATE_VERSION);
    quorum_net_start(&net, 3);
    quorum_net_run(&net, 10000);
    quorum_net_crash(&net, 3);
    assert_int_equal(level_at(&net, leader), 0);
    assert_int_equal(raise_to(&net, leader, 1, UPGRADE), KAFKA_ERROR_NONE);
    write_setting(&net, leader, "one");
    quorum_net_start(&net, 3);
    await_setting(&net, 3, "one");
    require_dynamic(&net, 3, 3);
    assert_true(quorum_is_voter(quorum_of(&net, 3)));
    /* It votes: without it there is no majority. */
    quorum_net_crash(&net, leader);
    leader = quorum_net_await_leader(&net, leader);
    write_setting(&net, leader, "two");
    quorum_net_deinit(&net);
}

static void what_one_leader_was_told_another_does_not_know(void **state)
{
    (void)state;
    static struct quorum_net net;
    int first = start_static(&net, 3, 0, 22);
    quorum_net_run(&net, 10000);
    quorum_net_crash(&net, first);
    int leader = quorum_net_await_leader(&net, first);
    quorum_net_run(&net, 5000);
    assert_int_equal(raise_to(&net, leader, 1, UPGRADE), KAFKA_ERROR_INVALID_UPDATE_VERSION);
    quorum_net_start(&net, first);
    raise_when_possible(&net, leader);
    write_setting(&net, leader, "one");
    await_setting(&net, first, "one");
    require_dynamic(&net, first, 3);
    quorum_net_deinit(&net);
}

/* A voter that is back with another directory is not named with the old one. */
static void another_directory_is_told_anew(void **state)
{
    (void)state;
    static struct quorum_net net;
    int leader = start_static(&net, 3, 0, 23);
    int other = leader == 3 ? 2 : 3;
    quorum_net_run(&net, 10000);
    quorum_net_crash(&net, other);
    struct uuid fresh = uuid_of_halves(99, 99);
    net.nodes[other].fixture.directory_id = fresh;
    quorum_net_start(&net, other);
    const struct metadata_log *log = &net.nodes[leader].fixture.controller.log;
    const struct quorum_node any = {.id = other};
    for (int i = 0; i < 10000; i++) {
        if (uuid_equal(followers_find(log, any)->node.directory_id, fresh))
            break;
        quorum_net_run(&net, 1);
    }
    raise_when_possible(&net, leader);
    bool is_named = false;
    for (uint32_t i = 0; i < 3; i++)
        is_named |= uuid_equal(quorum_of(&net, leader)->voters[i].node.directory_id, fresh);
    assert_true(is_named);
    write_setting(&net, leader, "one");
    await_setting(&net, other, "one");
    assert_true(quorum_is_voter(quorum_of(&net, other)));
    quorum_net_deinit(&net);
}

static void a_level_that_was_not_committed_is_undone(void **state)
{
    (void)state;
    static struct quorum_net net;
    struct write write;
    int first = start_static(&net, 3, 0, 24);
    quorum_net_run(&net, 10000);
    quorum_net_isolate(&net, first, true);
    assert_int_equal(begin_raise(&net, first, 1, UPGRADE, &write), KAFKA_ERROR_NONE);
    assert_int_equal(level_at(&net, first), 1); /* at once */
    assert_int_equal(quorum_of(&net, first)->voter_count, 3);
    int leader = quorum_net_await_leader(&net, first);
    write_setting(&net, leader, "one");
    quorum_net_isolate(&net, first, false);
    await_setting(&net, first, "one");
    assert_true(write.is_done);
    assert_int_equal(write.error, KAFKA_ERROR_NOT_CONTROLLER);
    assert_int_equal(level_at(&net, first), 0);
    assert_int_equal(net.nodes[first].fixture.publisher.current->kraft_version, 0);
    assert_int_equal(quorum_of(&net, first)->voters_offset, -1);
    assert_int_equal(voters_at(&net, first), 1u << 1 | 1u << 2 | 1u << 3);
    raise_when_possible(&net, leader);
    write_setting(&net, leader, "two");
    await_setting(&net, first, "two");
    require_dynamic(&net, first, 3);
    quorum_net_deinit(&net);
}

/* Snapshots from before name nobody, those from behind do; who is far behind gets one of them. */
static void snapshots_carry_the_level(void **state)
{
    (void)state;
    static struct quorum_net net;
    int leader = start_static(&net, 3, 0, 25);
    int late = leader == 3 ? 2 : 3;
    for (int id = 1; id <= 3; id++)
        net.nodes[id].fixture.controller.log.options.snapshot_bytes = 200;
    for (int i = 0; i < 10; i++)
        write_setting(&net, leader, "before");
    quorum_net_run(&net, 5000);
    quorum_net_crash(&net, late);
    assert_int_equal(raise_to(&net, leader, 1, UPGRADE), KAFKA_ERROR_NONE);
    for (int i = 0; i < 40; i++)
        write_setting(&net, leader, "after");
    assert_true(net.nodes[leader].fixture.controller.log.boot.oldest.end_offset >
                quorum_of(&net, leader)->voters_offset);
    quorum_net_start(&net, late);
    write_setting(&net, leader, "last");
    await_setting(&net, late, "last");
    require_dynamic(&net, late, 3);
    for (int id = 1; id <= 3; id++)
        quorum_net_crash(&net, id);
    for (int id = 1; id <= 3; id++)
        quorum_net_start(&net, id);
    leader = quorum_net_await_leader(&net, 0);
    write_setting(&net, leader, "again");
    require_dynamic(&net, leader, 3);
    quorum_net_deinit(&net);
}

/* From one voter of the settings to three: nobody needs to be told of another first. */
static void one_of_the_settings_gets_company(void **state)
{
    (void)state;
    static struct quorum_net net;
    quorum_net_init_growing(&net, 1, 2, 26);
    quorum_net_start(&net, 1);
    assert_int_equal(quorum_net_await_leader(&net, 0), 1);
    for (int id = 2; id <= 3; id++)
        quorum_net_start(&net, id);
    write_setting(&net, 1, "one");
    await_setting(&net, 2, "one");
    await_setting(&net, 3, "one");
    assert_int_equal(change_ask(&net, 1, change_add(2)), KAFKA_ERROR_UNSUPPORTED_VERSION);
    assert_int_equal(raise_to(&net, 1, 1, UPGRADE), KAFKA_ERROR_NONE);
    assert_int_equal(change_ask(&net, 1, change_add(2)), KAFKA_ERROR_NONE);
    assert_int_equal(change_ask(&net, 1, change_add(3)), KAFKA_ERROR_NONE);
    quorum_net_crash(&net, 1);
    int leader = quorum_net_await_leader(&net, 1);
    write_setting(&net, leader, "two");
    quorum_net_start(&net, 1); /* its settings still say that it is alone */
    await_setting(&net, 1, "two");
    require_dynamic(&net, 1, 3);
    quorum_net_deinit(&net);
}

static void who_is_no_voter_of_the_settings_is_not_remembered(void **state)
{
    (void)state;
    static struct quorum_net net;
    int leader = start_static(&net, 2, 0, 27);
    for (int i = 0; i < 4; i++) {
        struct change *change = change_begin(QUORUM_CALL_UPDATE_VOTER, 0);
        struct update_raft_voter_request *request = &change->request.update;
        update_raft_voter_request_init(request);
        request->cluster_id = VIEW_NULL;
        request->current_leader_epoch = quorum_of(&net, leader)->epoch - (i == 1);
        request->voter_id = i == 0 ? 5 : leader == 1 ? 2 : 1;
        request->voter_directory_id = quorum_net_directory(5);
        request->kraft_version_feature.min_supported_version = i == 2;
        request->kraft_version_feature.max_supported_version = 1;
        change->update_listener = (struct update_raft_voter_request_listener){
            i == 3 ? VIEW_LITERAL("OTHER") : VIEW_LITERAL("CONTROLLER"), VIEW_LITERAL("localhost"),
            QUORUM_PORT + 2};
        request->listeners = &change->update_listener;
        request->listeners_count = 1;
        assert_int_equal(change_ask(&net, leader, change), i == 0 ? KAFKA_ERROR_VOTER_NOT_FOUND
                                                           : i == 1
                                                               ? KAFKA_ERROR_FENCED_LEADER_EPOCH
                                                               : KAFKA_ERROR_INVALID_REQUEST);
    }
    quorum_net_deinit(&net);
}

/* The other voter was told of, but knows no kraft.version 1; or fetches with another directory. */
static void a_voter_that_cannot_holds_it_up(void **state)
{
    (void)state;
    static struct quorum_net net;
    int leader = start_static(&net, 2, 0, 28);
    int other = leader == 1 ? 2 : 1;
    quorum_net_run(&net, 10000);
    for (int i = 0; i < 2; i++) {
        struct metadata_log *log = &net.nodes[leader].fixture.controller.log;
        struct voters_record_endpoint endpoint = {VIEW_LITERAL("CONTROLLER"),
                                                  VIEW_LITERAL("localhost"), QUORUM_PORT + 2};
        struct voters_record_voter voter = {
            other, quorum_net_directory(i == 0 ? other : 9), &endpoint, 1, {0, (int16_t)i}};
        struct arena arena;
        int32_t whose;
        arena_init(&arena, log->loop->heap, MEMORY_SCRATCH, 0);
        assert_int_equal(kraft_upgrade_remember(log, &voter, &arena), KAFKA_ERROR_NONE);
        arena_deinit(&arena);
        assert_int_equal(kraft_upgrade_check(log, &whose),
                         i == 0 ? KRAFT_UPGRADE_TOO_OLD : KRAFT_UPGRADE_MOVED);
        assert_int_equal(whose, other);
        assert_int_equal(raise_to(&net, leader, 1, UPGRADE), KAFKA_ERROR_INVALID_UPDATE_VERSION);
        assert_false(kraft_upgrade_append(log));
    }
    quorum_net_deinit(&net);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(voters_of_the_settings_go_into_the_log),
        cmocka_unit_test(every_voter_is_heard_before_the_level_is_raised),
        cmocka_unit_test(what_one_leader_was_told_another_does_not_know),
        cmocka_unit_test(another_directory_is_told_anew),
        cmocka_unit_test(a_level_that_was_not_committed_is_undone),
        cmocka_unit_test(snapshots_carry_the_level),
        cmocka_unit_test(one_of_the_settings_gets_company),
        cmocka_unit_test(who_is_no_voter_of_the_settings_is_not_remembered),
        cmocka_unit_test(a_voter_that_cannot_holds_it_up),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
