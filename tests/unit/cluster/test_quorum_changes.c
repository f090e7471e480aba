/*
 * Voters that come and go (KIP-853): a quorum that one node begins, additions, removals, the
 * leader's own, changes that are undone, and what a restart finds.
 */
#include "tests/unit/cluster/quorum_writes.h"
#include "tests/unit/cluster/voter_requests.h"

#include <stdio.h>
#include <string.h>

/* Node 1 begins, the others come one after the other until `count` vote. */
static void grow(struct quorum_net *net, int count, uint64_t seed)
{
    unsigned voters = 1u << 1;
    quorum_net_init_dynamic(net, count, seed);
    quorum_net_start(net, 1);
    assert_int_equal(quorum_net_await_leader(net, 0), 1);
    write_setting(net, 1, "one");
    for (int id = 2; id <= count; id++) {
        quorum_net_start(net, id);
        await_setting(net, id, "one");
        assert_false(quorum_is_voter(quorum_of(net, id)));
        assert_int_equal(change_ask(net, 1, change_add(id)), KAFKA_ERROR_NONE);
        voters |= 1u << id;
        assert_int_equal(voters_at(net, 1), voters);
        await_voters(net, id, voters);
    }
}

/* ---- Tests ----------------------------------------------------------------------------------- */

static void one_begins_and_others_join(void **state)
{
    (void)state;
    static struct quorum_net net;
    grow(&net, 3, 1);
    assert_int_equal(quorum_of(&net, 3)->persisted.version, 1);
    quorum_net_crash(&net, 1);
    int leader = quorum_net_await_leader(&net, 1);
    write_setting(&net, leader, "two");
    assert_int_equal(change_ask(&net, leader, change_remove(1)), KAFKA_ERROR_NONE);
    await_voters(&net, 2, 1u << 2 | 1u << 3);
    await_voters(&net, 3, 1u << 2 | 1u << 3);
    write_setting(&net, leader, "three");
    /* Who was removed looks on, and does not disturb. */
    int32_t epoch = quorum_of(&net, leader)->epoch;
    quorum_net_start(&net, 1);
    await_setting(&net, 1, "three");
    await_voters(&net, 1, 1u << 2 | 1u << 3);
    quorum_net_run(&net, 10000);
    assert_int_equal(quorum_of(&net, leader)->epoch, epoch);
    assert_int_equal(quorum_net_leader(&net), leader);
    quorum_net_deinit(&net);
}

static void what_cannot_be_is_refused(void **state)
{
    (void)state;
    static struct quorum_net net;
    grow(&net, 2, 2);
    assert_int_equal(change_ask(&net, 1, change_add(2)), KAFKA_ERROR_DUPLICATE_VOTER);
    assert_int_equal(change_ask(&net, 2, change_add(3)), KAFKA_ERROR_NOT_LEADER_OR_FOLLOWER);
    assert_int_equal(change_ask(&net, 1, change_remove(3)), KAFKA_ERROR_VOTER_NOT_FOUND);
    struct change *change = change_remove(2);
    change->request.remove.voter_directory_id = quorum_net_directory(5);
    assert_int_equal(change_ask(&net, 1, change), KAFKA_ERROR_VOTER_NOT_FOUND);
    change = change_add(4);
    change->request.add.cluster_id = VIEW_LITERAL("another");
    assert_int_equal(change_ask(&net, 1, change), KAFKA_ERROR_INCONSISTENT_CLUSTER_ID);
    change = change_add(4);
    change->request.add.voter_directory_id = UUID_ZERO;
    assert_int_equal(change_ask(&net, 1, change), KAFKA_ERROR_INVALID_REQUEST);
    change = change_add(4);
    change->add_listener.name = VIEW_LITERAL("OTHER");
    assert_int_equal(change_ask(&net, 1, change), KAFKA_ERROR_INVALID_REQUEST);
    assert_int_equal(change_ask(&net, 1, change_remove(2)), KAFKA_ERROR_NONE);
    assert_int_equal(change_ask(&net, 1, change_remove(1)),
                     KAFKA_ERROR_INVALID_REQUEST); /* the last */
    quorum_net_deinit(&net);
}

static void who_has_not_caught_up_does_not_become_a_voter(void **state)
{
    (void)state;
    static struct quorum_net net;
    quorum_net_init_dynamic(&net, 2, 3);
    quorum_net_start(&net, 1);
    quorum_net_await_leader(&net, 0);
    /* It does not run: nobody answers at its address. */
    assert_int_equal(change_ask(&net, 1, change_add(2)), KAFKA_ERROR_REQUEST_TIMED_OUT);
    quorum_net_start(&net, 2);
    write_setting(&net, 1, "one");
    await_setting(&net, 2, "one");
    /* Another directory than the one that fetches. */
    struct change *change = change_add(2);
    change->request.add.voter_directory_id = quorum_net_directory(9);
    assert_int_equal(change_ask(&net, 1, change), KAFKA_ERROR_REQUEST_TIMED_OUT);
    assert_int_equal(voters_at(&net, 1), 1u << 1);
    assert_int_equal(change_ask(&net, 1, change_add(2)), KAFKA_ERROR_NONE);
    quorum_net_deinit(&net);
}

/* Whether it has caught up is a matter of durations; the wall clock may be set meanwhile. */
static void a_clock_that_is_set_holds_no_voter_up(void **state)
{
    (void)state;
    static struct quorum_net net;
    quorum_net_init_dynamic(&net, 2, 3);
    quorum_net_start(&net, 1);
    quorum_net_await_leader(&net, 0);
    quorum_net_start(&net, 2);
    write_setting(&net, 1, "one");
    await_setting(&net, 2, "one");
    struct change *change = change_add(2);
    change_serve(&net, 1, change);
    for (int i = 0; i < 2000 && !change->is_done; i++) {
        net.nodes[1].fixture.node.wall_ms += INT64_C(2) * 3600 * 1000;
        quorum_net_run(&net, 1);
    }
    assert_int_equal(change_end(&net, change), KAFKA_ERROR_NONE);
    assert_int_equal(voters_at(&net, 1), 1u << 1 | 1u << 2);
    quorum_net_deinit(&net);
}

static void voters_of_the_settings_do_not_change(void **state)
{
    (void)state;
    static struct quorum_net net;
    quorum_net_init(&net, 2, 1, 4);
    for (int id = 1; id <= 3; id++)
        quorum_net_start(&net, id);
    int leader = quorum_net_await_leader(&net, 0);
    assert_int_equal(change_ask(&net, leader, change_add(3)), KAFKA_ERROR_UNSUPPORTED_VERSION);
    assert_int_equal(change_ask(&net, leader, change_remove(1)), KAFKA_ERROR_UNSUPPORTED_VERSION);
    assert_int_equal(quorum_of(&net, leader)->persisted.version, 0);
    quorum_net_deinit(&net);
}

static void one_change_at_a_time(void **state)
{
    (void)state;
    static struct quorum_net net;
    grow(&net, 3, 5);
    struct change *first = change_remove(3);
    struct change *second = change_remove(2);
    change_serve(&net, 1, first);
    change_serve(&net, 1, second);
    assert_true(second->is_done);
    assert_int_equal(change_end(&net, second), KAFKA_ERROR_REQUEST_TIMED_OUT);
    assert_int_equal(change_end(&net, first), KAFKA_ERROR_NONE);
    assert_int_equal(voters_at(&net, 1), 1u << 1 | 1u << 2);
    quorum_net_deinit(&net);
}

static void a_leader_removes_itself_and_hands_over(void **state)
{
    (void)state;
    static struct quorum_net net;
    grow(&net, 3, 6);
    struct write write;
    struct change *change = change_remove(1);
    change_serve(&net, 1, change);
    assert_true(write_begin(&net, 1, &write, "last"));
    assert_int_equal(change_end(&net, change), KAFKA_ERROR_NONE);
    int leader = quorum_net_await_leader(&net, 1);
    write_setting(&net, leader, "after");
    await_setting(&net, 1, "after");
    assert_true(write.is_done);
    assert_false(quorum_is_voter(quorum_of(&net, 1)));
    assert_int_equal(voters_at(&net, leader), 1u << 2 | 1u << 3);
    /* And may come back. */
    assert_int_equal(change_ask(&net, leader, change_add(1)), KAFKA_ERROR_NONE);
    await_voters(&net, 1, 1u << 1 | 1u << 2 | 1u << 3);
    quorum_net_deinit(&net);
}

static void a_change_that_was_not_committed_is_undone(void **state)
{
    (void)state;
    static struct quorum_net net;
    grow(&net, 3, 7);
    quorum_net_isolate(&net, 1, true);
    struct change *change = change_remove(3);
    change_serve(&net, 1, change);
    assert_int_equal(voters_at(&net, 1), 1u << 1 | 1u << 2); /* at once */
    int leader = quorum_net_await_leader(&net, 1);
    write_setting(&net, leader, "two");
    enum kafka_error error = change_end(&net, change);
    assert_true(error == KAFKA_ERROR_NOT_LEADER_OR_FOLLOWER ||
                error == KAFKA_ERROR_REQUEST_TIMED_OUT);
    quorum_net_isolate(&net, 1, false);
    await_setting(&net, 1, "two");
    assert_int_equal(voters_at(&net, 1), 1u << 1 | 1u << 2 | 1u << 3);
    assert_int_equal(change_ask(&net, leader, change_remove(1)), KAFKA_ERROR_NONE);
    quorum_net_deinit(&net);
}

/* Log and snapshots alike know the voters; bootstrap servers are only for who does not. */
static void voters_survive_restarts(void **state)
{
    (void)state;
    for (int with_snapshots = 0; with_snapshots <= 1; with_snapshots++) {
        static struct quorum_net net;
        grow(&net, 3, 8);
        int leader = 1;
        if (with_snapshots)
            for (int id = 1; id <= 3; id++)
                net.nodes[id].fixture.controller.log.options.snapshot_bytes = 200;
        for (int i = 0; i < 20; i++) {
            char name[32];
            snprintf(name, sizeof(name), "setting-%d", i);
            write_setting(&net, leader, name);
        }
        for (int id = 1; id <= 3; id++) {
            await_setting(&net, id, "setting-19");
            assert_true((net.nodes[id].fixture.controller.log.snapshot_end > 0) == with_snapshots);
            quorum_net_crash(&net, id);
        }
        quorum_net_start(&net, 2);
        quorum_net_start(&net, 3);
        leader = quorum_net_await_leader(&net, 0);
        assert_int_equal(voters_at(&net, leader), 1u << 1 | 1u << 2 | 1u << 3);
        write_setting(&net, leader, "again");
        quorum_net_start(&net, 1);
        await_setting(&net, 1, "again");
        quorum_net_deinit(&net);
    }
}

static void a_voter_says_where_it_listens_now(void **state)
{
    (void)state;
    static struct quorum_net net;
    grow(&net, 2, 9);
    struct change *change = change_begin(QUORUM_CALL_UPDATE_VOTER, 0);
    struct update_raft_voter_request *request = &change->request.update;
    update_raft_voter_request_init(request);
    request->cluster_id = VIEW_NULL;
    request->current_leader_epoch = quorum_of(&net, 1)->epoch;
    request->voter_id = 2;
    request->voter_directory_id = quorum_net_directory(2);
    request->kraft_version_feature.max_supported_version = 1;
    change->update_listener = (struct update_raft_voter_request_listener){
        VIEW_LITERAL("CONTROLLER"), VIEW_LITERAL("127.0.0.1"), QUORUM_PORT + 2};
    request->listeners = &change->update_listener;
    request->listeners_count = 1;
    assert_int_equal(change_ask(&net, 1, change), KAFKA_ERROR_NONE);
    const struct quorum_peer *peer = quorum_peer_find(&net.nodes[1].fixture.controller.log, 2);
    assert_string_equal(peer->host, "127.0.0.1");
    assert_int_equal(voters_at(&net, 1), 1u << 1 | 1u << 2);
    write_setting(&net, 1, "two");
    await_setting(&net, 2, "two");
    quorum_net_deinit(&net);
}

static void controllers_join_by_themselves_where_they_may(void **state)
{
    (void)state;
    static struct quorum_net net;
    quorum_net_init_dynamic(&net, 3, 10);
    for (int id = 1; id <= 3; id++) {
        net.nodes[id].fixture.config.settings.controller_quorum_auto_join_enable = true;
        quorum_net_start(&net, id);
    }
    await_voters(&net, 1, 1u << 1 | 1u << 2 | 1u << 3);
    /* Another directory takes the place of the one that is gone. */
    quorum_net_crash(&net, 3);
    struct uuid fresh = uuid_of_halves(99, 99);
    net.nodes[3].fixture.directory_id = fresh;
    quorum_net_start(&net, 3);
    for (int i = 0; i < 30000 && !quorum_is_voter(quorum_of(&net, 3)); i++)
        quorum_net_run(&net, 1);
    int leader = quorum_net_leader(&net);
    await_voters(&net, leader, 1u << 1 | 1u << 2 | 1u << 3);
    for (uint32_t i = 0; i < 3; i++) {
        struct quorum_node node = quorum_of(&net, leader)->voters[i].node;
        assert_true(node.id != 3 || uuid_equal(node.directory_id, fresh));
    }
    write_setting(&net, leader, "after");
    await_setting(&net, 3, "after");
    quorum_net_deinit(&net);
}

static void listen_elsewhere(struct quorum_net *net, int id)
{
    struct server_config *config = &net->nodes[id].fixture.config;
    for (size_t i = 0; i < config->listener_count; i++)
        config->listeners[i].host = VIEW_LITERAL("127.0.0.1");
}

static void await_host(struct quorum_net *net, int at, int of, const char *host)
{
    const struct metadata_log *log = &net->nodes[at].fixture.controller.log;
    for (int i = 0; i < 30000; i++) {
        const struct quorum_peer *peer = quorum_peer_find(log, of);
        if (peer && strcmp(peer->host, host) == 0)
            return;
        quorum_net_run(net, 1);
    }
    fail();
}

/* The address of the leader goes round with its messages too: the record is looked at. */
static void the_record_says_where_voters_listen(void **state)
{
    (void)state;
    static struct quorum_net net;
    grow(&net, 3, 11);
    for (int id = 1; id <= 3; id++) {
        quorum_net_crash(&net, id);
        listen_elsewhere(&net, id);
        quorum_net_start(&net, id);
    }
    int leader = quorum_net_await_leader(&net, 0);
    for (int id = 1; id <= 3; id++)
        if (id != leader)
            await_host(&net, leader, id, "127.0.0.1");
    quorum_net_run(&net, 3000);
    for (int id = 1; id <= 3; id++) {
        const struct voter_set *set =
            voter_history_last(&net.nodes[id].fixture.controller.log.voters);
        struct voters_record record;
        struct arena arena;
        arena_init(&arena, &net.nodes[id].fixture.heap, MEMORY_SCRATCH, 0);
        assert_true(voters_decode(set->value, &record, &arena));
        assert_int_equal(record.voters_count, 3);
        for (size_t i = 0; i < 3; i++)
            assert_true(view_equal(record.voters[i].endpoints[0].host, VIEW_LITERAL("127.0.0.1")));
        arena_deinit(&arena);
    }
    quorum_net_deinit(&net);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_begins_and_others_join),
        cmocka_unit_test(what_cannot_be_is_refused),
        cmocka_unit_test(who_has_not_caught_up_does_not_become_a_voter),
        cmocka_unit_test(a_clock_that_is_set_holds_no_voter_up),
        cmocka_unit_test(voters_of_the_settings_do_not_change),
        cmocka_unit_test(one_change_at_a_time),
        cmocka_unit_test(a_leader_removes_itself_and_hands_over),
        cmocka_unit_test(a_change_that_was_not_committed_is_undone),
        cmocka_unit_test(voters_survive_restarts),
        cmocka_unit_test(a_voter_says_where_it_listens_now),
        cmocka_unit_test(controllers_join_by_themselves_where_they_may),
        cmocka_unit_test(the_record_says_where_voters_listen),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
