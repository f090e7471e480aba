/*
 * Metadata logs of several nodes under their controllers: elections, replication, loss of the
 * leader, rejoining with records that nobody else has, observers, orderly hand-over, and random
 * trouble after which nothing that was acknowledged may be missing anywhere.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

#include "cluster/quorum/followers.h"
#include "tests/unit/cluster/quorum_writes.h"

static void start_all(struct quorum_net *net)
{
    for (int id = 1; id <= net->count; id++)
        quorum_net_start(net, id);
}

static void three_voters_elect_one_and_replicate(void **state)
{
    (void)state;
    static struct quorum_net net;
    quorum_net_init(&net, 3, 0, 1);
    start_all(&net);
    int leader = quorum_net_await_leader(&net, 0);
    write_setting(&net, leader, "one");
    for (int id = 1; id <= 3; id++) {
        await_setting(&net, id, "one");
        assert_true(net.nodes[id].fixture.is_ready);
        assert_int_equal(net.nodes[id].fixture.publisher.current->controller_id, leader);
    }
    quorum_net_deinit(&net);
}

/* A leader that has nothing to send must answer before its followers take it for lost. */
static void followers_ask_for_less_patience_than_they_have(void **state)
{
    (void)state;
    static struct quorum_net net;
    quorum_net_init(&net, 3, 0, 1);
    for (int id = 1; id <= 3; id++)
        net.nodes[id].fixture.config.settings.controller_quorum_request_timeout_ms = 400;
    start_all(&net);
    int leader = quorum_net_await_leader(&net, 0);
    write_setting(&net, leader, "one");
    for (int id = 1; id <= 3; id++) {
        const struct metadata_log *log = &net.nodes[id].fixture.controller.log;
        await_setting(&net, id, "one");
        if (id != leader)
            assert_int_equal(log->fetch.message.max_wait_ms, 200);
    }
    quorum_net_deinit(&net);
}

/* Static voters are known by their ids; who asks is shown the directory that fetches. */
static void a_voter_with_another_directory_takes_the_place_of_the_old_one(void **state)
{
    (void)state;
    static struct quorum_net net;
    quorum_net_init(&net, 3, 0, 31);
    start_all(&net);
    int leader = quorum_net_await_leader(&net, 0);
    write_setting(&net, leader, "before");
    int other = leader == 3 ? 1 : leader + 1;
    await_setting(&net, other, "before");
    quorum_net_crash(&net, other);
    struct uuid fresh = uuid_of_halves(99, 99);
    net.nodes[other].fixture.directory_id = fresh;
    quorum_net_start(&net, other);
    write_setting(&net, leader, "after");
    await_setting(&net, other, "after");
    quorum_net_run(&net, 1000);
    const struct metadata_log *log = &net.nodes[leader].fixture.controller.log;
    struct quorum_node voter = {.id = other};
    const struct quorum_follower *shown = followers_find(log, voter);
    assert_non_null(shown);
    assert_true(uuid_equal(shown->node.directory_id, fresh));
    assert_int_equal(shown->offset, log->quorum.log_end);
    quorum_net_deinit(&net);
}

static void observers_follow(void **state)
{
    (void)state;
    static struct quorum_net net;
    quorum_net_init(&net, 1, 2, 2);
    start_all(&net);
    int leader = quorum_net_await_leader(&net, 0);
    assert_int_equal(leader, 1);
    write_setting(&net, leader, "one");
    await_setting(&net, 2, "one");
    await_setting(&net, 3, "one");
    quorum_net_crash(&net, 1);
    quorum_net_run(&net, 5000);
    quorum_net_start(&net, 1);
    quorum_net_await_leader(&net, 0);
    write_setting(&net, 1, "two");
    await_setting(&net, 2, "two");
    await_setting(&net, 3, "two");
    quorum_net_deinit(&net);
}

static void the_loss_of_the_leader_is_survived(void **state)
{
    (void)state;
    static struct quorum_net net;
    quorum_net_init(&net, 3, 1, 3);
    start_all(&net);
    int first = quorum_net_await_leader(&net, 0);
    write_setting(&net, first, "one");
    quorum_net_crash(&net, first);
    int second = quorum_net_await_leader(&net, first);
    write_setting(&net, second, "two");
    assert_true(shows_setting(&net, second, "one"));
    quorum_net_start(&net, first);
    for (int id = 1; id <= 4; id++) {
        await_setting(&net, id, "one");
        await_setting(&net, id, "two");
    }
    quorum_net_deinit(&net);
}

static void an_isolated_leader_renounces_and_its_tail_is_cut(void **state)
{
    (void)state;
    static struct quorum_net net;
    quorum_net_init(&net, 3, 0, 4);
    start_all(&net);
    int first = quorum_net_await_leader(&net, 0);
    write_setting(&net, first, "one");
    quorum_net_run(&net, 700);
    quorum_net_isolate(&net, first, true);
    /* Written where nobody else can see it. */
    struct write lost;
    assert_true(write_begin(&net, first, &lost, "lost"));
    int second = quorum_net_await_leader(&net, first);
    write_setting(&net, second, "two");
    for (int i = 0; i < 10000 && !lost.is_done; i++)
        quorum_net_run(&net, 1);
    assert_true(lost.is_done);
    assert_int_equal(lost.error, KAFKA_ERROR_NOT_CONTROLLER);
    assert_false(net.nodes[first].fixture.controller.is_active);
    assert_false(shows_setting(&net, first, "lost"));
    quorum_net_isolate(&net, first, false);
    await_setting(&net, first, "two");
    write_setting(&net, quorum_net_leader(&net), "three");
    for (int id = 1; id <= 3; id++) {
        await_setting(&net, id, "three");
        assert_false(shows_setting(&net, id, "lost"));
    }
    quorum_net_deinit(&net);
}

static void without_a_majority_nothing_is_committed(void **state)
{
    (void)state;
    static struct quorum_net net;
    quorum_net_init(&net, 3, 0, 5);
    start_all(&net);
    int leader = quorum_net_await_leader(&net, 0);
    for (int id = 1; id <= 3; id++)
        if (id != leader)
            quorum_net_crash(&net, id);
    struct write write;
    assert_true(write_begin(&net, leader, &write, "alone"));
    quorum_net_run(&net, 6000);
    assert_true(write.is_done);
    assert_int_equal(write.error, KAFKA_ERROR_NOT_CONTROLLER);
    assert_int_equal(quorum_net_leader(&net), 0);
    for (int id = 1; id <= 3; id++)
        if (id != leader)
            quorum_net_start(&net, id);
    leader = quorum_net_await_leader(&net, 0);
    write_setting(&net, leader, "together");
    quorum_net_deinit(&net);
}

static void a_leader_that_stops_hands_over_at_once(void **state)
{
    (void)state;
    static struct quorum_net net;
    quorum_net_init(&net, 3, 0, 6);
    start_all(&net);
    int first = quorum_net_await_leader(&net, 0);
    write_setting(&net, first, "one");
    quorum_net_stop(&net, first);
    assert_true(net.nodes[first].fixture.is_clean);
    uint64_t stopped_ms = net.now_ms;
    int second = quorum_net_await_leader(&net, first);
    /* Well below the fetch timeout of two seconds. */
    assert_in_range(net.now_ms - stopped_ms, 0, 500);
    write_setting(&net, second, "two");
    quorum_net_start(&net, first);
    await_setting(&net, first, "two");
    quorum_net_deinit(&net);
}

static void all_nodes_may_lose_power_at_once(void **state)
{
    (void)state;
    static struct quorum_net net;
    quorum_net_init(&net, 3, 1, 7);
    start_all(&net);
    char name[32];
    for (int round = 0; round < 5; round++) {
        int leader = quorum_net_await_leader(&net, 0);
        snprintf(name, sizeof(name), "round-%d", round);
        write_setting(&net, leader, name);
        for (int id = 1; id <= net.count; id++)
            quorum_net_crash(&net, id);
        start_all(&net);
    }
    for (int round = 0; round < 5; round++) {
        snprintf(name, sizeof(name), "round-%d", round);
        for (int id = 1; id <= net.count; id++)
            await_setting(&net, id, name);
    }
    quorum_net_deinit(&net);
}

/* Written by a process that was killed before its sync: a power cut could still take it back. */
static void a_vote_that_was_found_is_on_disk_before_it_counts(void **state)
{
    (void)state;
    static const char path[] = "/data/__cluster_metadata-0/" QUORUM_STATE_FILE_NAME;
    static struct quorum_net net;
    quorum_net_init(&net, 3, 0, 9);
    start_all(&net);
    int follower = quorum_net_await_leader(&net, 0) % 3 + 1;
    struct memory_node *node = &net.nodes[follower].fixture.node;
    quorum_net_stop(&net, follower);
    struct quorum_state vote;
    assert_true(quorum_state_decode(memory_node_file(node, path), &vote));
    vote.leader_epoch += 7;
    vote.leader_id = QUORUM_NODE_NONE;
    vote.voted_id = follower % 3 + 1;
    char text[QUORUM_STATE_SIZE_MAX];
    size_t size = quorum_state_encode(&vote, text, sizeof(text));
    memory_node_put_file(node, path, view_of(text, size));
    quorum_net_start(&net, follower);
    quorum_net_isolate(&net, follower, true);
    quorum_net_run(&net, 100);
    struct quorum_state durable;
    assert_true(quorum_state_decode(memory_node_durable_file(node, path), &durable));
    assert_int_equal(durable.leader_epoch, vote.leader_epoch);
    assert_int_equal(durable.voted_id, vote.voted_id);
    quorum_net_isolate(&net, follower, false);
    quorum_net_await_leader(&net, 0);
    quorum_net_deinit(&net);
}

static void use_small_snapshots(struct quorum_net *net, int32_t bytes)
{
    for (int id = 1; id <= net->count; id++)
        net->nodes[id].fixture.config.settings.metadata_log_max_record_bytes_between_snapshots =
            bytes;
}

static void who_lacks_the_log_gets_a_snapshot(void **state)
{
    (void)state;
    static struct quorum_net net;
    quorum_net_init(&net, 3, 1, 8);
    use_small_snapshots(&net, 3000);
    quorum_net_start(&net, 1);
    quorum_net_start(&net, 2);
    int leader = quorum_net_await_leader(&net, 0);
    char name[32];
    for (int i = 0; i < 100; i++) {
        snprintf(name, sizeof(name), "w-%d", i);
        write_setting(&net, leader, name);
    }
    const struct metadata_log *log = &net.nodes[leader].fixture.controller.log;
    assert_true(partition_log_start_offset(log->log) > 0);
    quorum_net_start(&net, 3);
    quorum_net_start(&net, 4);
    for (int id = 3; id <= 4; id++) {
        await_setting(&net, id, "w-0");
        await_setting(&net, id, "w-99");
        const struct metadata_log *got = &net.nodes[id].fixture.controller.log;
        assert_true(partition_log_start_offset(got->log) > 0);
    }
    quorum_net_crash(&net, 3);
    quorum_net_crash(&net, 4);
    quorum_net_crash(&net, leader);
    quorum_net_start(&net, 3);
    quorum_net_start(&net, 4);
    int second = quorum_net_await_leader(&net, leader);
    write_setting(&net, second, "after");
    quorum_net_start(&net, leader);
    for (int id = 1; id <= 4; id++) {
        await_setting(&net, id, "w-0");
        await_setting(&net, id, "w-99");
        await_setting(&net, id, "after");
    }
    quorum_net_deinit(&net);
}

/* A follower that was away while its part of the log went into a snapshot: images go on. */
static void who_fell_behind_the_log_goes_on_from_a_snapshot(void **state)
{
    (void)state;
    static struct quorum_net net;
    quorum_net_init(&net, 3, 0, 9);
    use_small_snapshots(&net, 3000);
    start_all(&net);
    int leader = quorum_net_await_leader(&net, 0);
    write_setting(&net, leader, "first");
    int away = leader == 1 ? 2 : 1;
    await_setting(&net, away, "first");
    quorum_net_isolate(&net, away, true);
    char name[32];
    for (int i = 0; i < 100; i++) {
        snprintf(name, sizeof(name), "w-%d", i);
        write_setting(&net, leader, name);
    }
    uint64_t version = net.nodes[away].fixture.publisher.current->version;
    quorum_net_isolate(&net, away, false);
    await_setting(&net, away, "w-99");
    await_setting(&net, away, "w-0");
    await_setting(&net, away, "first");
    assert_true(net.nodes[away].fixture.publisher.current->version > version);
    quorum_net_deinit(&net);
}

/* Puts the newest snapshot of one node into the directory of another that does not run. */
static struct snapshot_id copy_snapshot(struct quorum_net *net, int from, int to)
{
    char name[SNAPSHOT_NAME_SIZE];
    char path[128];
    struct snapshot_id id = net->nodes[from].fixture.controller.log.boot.snapshot;
    snapshot_name_format(id, SNAPSHOT_SUFFIX, name);
    snprintf(path, sizeof(path), "/data/__cluster_metadata-0/%s", name);
    struct view content = memory_node_file(&net->nodes[from].fixture.node, path);
    assert_false(view_is_null(content));
    memory_node_put_file(&net->nodes[to].fixture.node, path, content);
    return id;
}

/* The power went between the snapshot's name and the emptying of a log with another history. */
static void a_log_that_is_no_part_of_its_snapshot_is_emptied(void **state)
{
    (void)state;
    static struct quorum_net net;
    quorum_net_init(&net, 3, 0, 10);
    use_small_snapshots(&net, 2000);
    start_all(&net);
    int first = quorum_net_await_leader(&net, 0);
    write_setting(&net, first, "one");
    quorum_net_isolate(&net, first, true);
    static struct write lost[200];
    char name[32];
    for (int i = 0; i < 200; i++) {
        snprintf(name, sizeof(name), "lost-%d", i);
        assert_true(write_begin(&net, first, &lost[i], name));
    }
    quorum_net_run(&net, 100);
    int64_t lost_end = net.nodes[first].fixture.controller.log.quorum.flushed_end;
    int second = quorum_net_await_leader(&net, first);
    for (int i = 0; i < 50; i++) {
        snprintf(name, sizeof(name), "w-%d", i);
        write_setting(&net, second, name);
    }
    quorum_net_crash(&net, first);
    struct snapshot_id id = copy_snapshot(&net, second, first);
    assert_int_equal(id.epoch, net.nodes[second].fixture.controller.log.quorum.epoch);
    assert_in_range(id.end_offset, 1, lost_end - 1);
    quorum_net_start(&net, first);
    quorum_net_run(&net, 10);
    assert_int_equal(partition_log_start_offset(net.nodes[first].fixture.controller.log.log),
                     id.end_offset);
    quorum_net_isolate(&net, first, false);
    await_setting(&net, first, "w-49");
    for (int i = 0; i < 200; i++) {
        snprintf(name, sizeof(name), "lost-%d", i);
        assert_false(shows_setting(&net, first, name));
    }
    quorum_net_deinit(&net);
}

/* ---- Random trouble -------------------------------------------------------------------------- */

enum { WRITES = 400 };

struct trial {
    struct write write;
    char name[32];
    int node;
    unsigned life; /* of the node when it was made */
};

static struct trial trials[WRITES];

static void trouble(struct quorum_net *net, unsigned *lives)
{
    int id = 1 + (int)random_below(&net->random, (uint64_t)net->count);
    int other = 1 + (int)random_below(&net->random, (uint64_t)net->count);
    if (random_chance(&net->random, 1, 600)) {
        if (net->nodes[id].runs) {
            quorum_net_crash(net, id);
            lives[id]++;
        } else {
            quorum_net_start(net, id);
        }
    }
    if (random_chance(&net->random, 1, 700))
        net->cut[id][other] = !net->cut[id][other];
    if (random_chance(&net->random, 1, 2500))
        quorum_net_isolate(net, id, random_chance(&net->random, 1, 2));
}

static void check_same(const struct quorum_net *net, int a, int b)
{
    const struct image *one = net->nodes[a].fixture.publisher.current;
    const struct image *two = net->nodes[b].fixture.publisher.current;
    struct heap heap;
    heap_init_plain(&heap);
    struct image_delta *delta = image_delta_between(&heap, one, two);
    for (uint32_t i = 0; i < delta->config_count; i++) {
        const struct image_config_change *change = &delta->configs[i];
        assert_non_null(change->before);
        assert_non_null(change->after);
        assert_int_equal(change->before->setting_count, change->after->setting_count);
        for (uint32_t k = 0; k < change->before->setting_count; k++)
            assert_true(
                view_equal(change->before->settings[k].name, change->after->settings[k].name));
    }
    image_delta_destroy(&heap, delta);
}

static void run_seed(uint64_t seed, int *acknowledged)
{
    static struct quorum_net net;
    unsigned lives[QUORUM_NODES_MAX + 1] = {0};
    quorum_net_init(&net, 3, 1, seed);
    if (seed % 2)
        use_small_snapshots(&net, 1500);
    start_all(&net);
    int count = 0;
    net.delay_ms = 1 + (unsigned)random_below(&net.random, 30);
    for (int ms = 0; ms < 40000; ms++) {
        quorum_net_run(&net, 1);
        trouble(&net, lives);
        int id = 1 + (int)random_below(&net.random, 3);
        if (!random_chance(&net.random, 1, 50) || !net.nodes[id].runs || count == WRITES)
            continue;
        struct trial *trial = &trials[count];
        *trial = (struct trial){.node = id, .life = lives[id]};
        snprintf(trial->name, sizeof(trial->name), "w-%d", count);
        count += write_begin(&net, id, &trial->write, trial->name);
    }
    memset(net.cut, 0, sizeof(net.cut));
    for (int id = 1; id <= net.count; id++) {
        assert_string_equal(net.nodes[id].fixture.failure, "");
        if (!net.nodes[id].runs)
            quorum_net_start(&net, id);
    }
    quorum_net_run(&net, 8000);
    int leader = quorum_net_await_leader(&net, 0);
    write_setting(&net, leader, "last");
    for (int id = 1; id <= net.count; id++)
        await_setting(&net, id, "last");
    for (int i = 0; i < count; i++) {
        const struct trial *trial = &trials[i];
        bool was_told = trial->write.is_done && trial->write.error == KAFKA_ERROR_NONE;
        *acknowledged += was_told;
        /* A wait ends unless its node lost power. */
        assert_true(trial->write.is_done || trial->life != lives[trial->node]);
        if (was_told)
            assert_true(shows_setting(&net, 1, trial->name));
    }
    for (int id = 2; id <= net.count; id++)
        check_same(&net, 1, id);
    quorum_net_deinit(&net);
}

static void trouble_loses_nothing_that_was_acknowledged(void **state)
{
    (void)state;
    const char *only = getenv("QUORUM_SEED");
    const char *more = getenv("QUORUM_SEEDS");
    uint64_t first = only ? strtoull(only, NULL, 10) : 1;
    int acknowledged = 0;
    uint64_t count = only ? 1 : more ? strtoull(more, NULL, 10) : 6;
    for (uint64_t seed = first; seed < first + count; seed++) {
        print_message("seed %llu\n", (unsigned long long)seed);
        run_seed(seed, &acknowledged);
    }
    /* Some worlds are too rough to write anything; not all. */
    assert_true(acknowledged > (int)count * 10);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(three_voters_elect_one_and_replicate),
        cmocka_unit_test(followers_ask_for_less_patience_than_they_have),
        cmocka_unit_test(a_voter_with_another_directory_takes_the_place_of_the_old_one),
        cmocka_unit_test(observers_follow),
        cmocka_unit_test(the_loss_of_the_leader_is_survived),
        cmocka_unit_test(an_isolated_leader_renounces_and_its_tail_is_cut),
        cmocka_unit_test(without_a_majority_nothing_is_committed),
        cmocka_unit_test(a_leader_that_stops_hands_over_at_once),
        cmocka_unit_test(all_nodes_may_lose_power_at_once),
        cmocka_unit_test(a_vote_that_was_found_is_on_disk_before_it_counts),
        cmocka_unit_test(who_lacks_the_log_gets_a_snapshot),
        cmocka_unit_test(who_fell_behind_the_log_goes_on_from_a_snapshot),
        cmocka_unit_test(a_log_that_is_no_part_of_its_snapshot_is_emptied),
        cmocka_unit_test(trouble_loses_nothing_that_was_acknowledged),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
