/*
 * Following, from the image to the log, against models of leaders. `hold` keeps device requests
 * back, so that what is written and what is durable differ for as long as a test wants.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "tests/unit/replication/follower_fixture.h"

#define SECOND UINT64_C(1000000000)

static struct follower_fixture test;

static int64_t watermark_of(unsigned partition)
{
    return partition_log_high_watermark(test.replica[partition]->log);
}

static void pass(uint64_t delay_ns)
{
    memory_node_advance(&test.node, delay_ns);
    fixture_run(&test);
}

/* ---- Copying ---- */

static void a_follower_copies_its_leader_and_its_high_watermark(void **state)
{
    (void)state;
    follower_fixture_init(&test, TOPIC_DURABILITY_CACHE, 6);
    for (unsigned i = 0; i < 6; i++)
        fixture_follow(&test, i, 2, 5);
    for (unsigned i = 0; i < 6; i++)
        model_append(&test, fixture_log_of(&test, 2, i), 3, 100);
    fixture_run(&test);
    for (unsigned i = 0; i < 6; i++) {
        fixture_assert_same(&test, i, fixture_log_of(&test, 2, i));
        assert_int_equal(watermark_of(i), 0);
        fixture_log_of(&test, 2, i)->high_watermark = 3;
    }
    fixture_run(&test);
    for (unsigned i = 0; i < 6; i++)
        assert_int_equal(watermark_of(i), 3);
    assert_int_equal(test.fetchers.counters.full_requests, 1);
    assert_int_equal(test.channel_count, 1);
    fixture_assert_sessions(&test);
    follower_fixture_deinit(&test);
}

static void a_request_names_only_what_changed(void **state)
{
    (void)state;
    follower_fixture_init(&test, TOPIC_DURABILITY_CACHE, 6);
    struct model_leader *leader = fixture_leader(&test, 2);
    for (unsigned i = 0; i < 6; i++)
        fixture_follow(&test, i, 2, 5);
    fixture_run(&test);
    fixture_answer_all(&test);
    model_append(&test, fixture_log_of(&test, 2, 4), 2, 10);
    fixture_run(&test);
    assert_int_equal(leader->asked_count, 1);
    assert_int_equal(leader->asked[0].topic, 4);
    assert_int_equal(leader->asked[0].fetch_offset, 2);
    assert_int_equal(leader->asked[0].last_fetched_epoch, 5);
    assert_int_equal(leader->asked[0].leader_epoch, 5);
    assert_int_equal(leader->forgotten_count, 0);
    fixture_assert_sessions(&test);
    follower_fixture_deinit(&test);
}

static void a_follower_is_fetched_for_by_its_node_and_epoch(void **state)
{
    (void)state;
    static const struct {
        int16_t metadata_version, fetch_version;
    } cases[] = {{7, 13}, {9, 13}, {10, 15}, {18, 15}, {19, 16}, {20, 16}, {21, 17}, {29, 17}};
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        follower_fixture_init(&test, TOPIC_DURABILITY_CACHE, 1);
        fixture_show(&test, 70, 0, cases[i].metadata_version);
        fixture_follow(&test, 0, 2, 5);
        fixture_run(&test);
        const struct model_leader *leader = fixture_leader(&test, 2);
        assert_int_equal(leader->asked_version, cases[i].fetch_version);
        assert_int_equal(leader->asked_replica, FIXTURE_NODE);
        if (cases[i].fetch_version >= 15)
            assert_int_equal(leader->asked_broker_epoch, 70);
        follower_fixture_deinit(&test);
    }
}

static void nothing_is_fetched_before_this_incarnation_is_registered(void **state)
{
    (void)state;
    follower_fixture_init(&test, TOPIC_DURABILITY_CACHE, 1);
    fixture_show(&test, -1, 0, 21);
    fixture_follow(&test, 0, 2, 5);
    fixture_run(&test);
    assert_int_equal(fixture_leader(&test, 2)->fetches, 0);
    fixture_show(&test, 71, 0, 21);
    fixture_run(&test);
    assert_int_equal(fixture_leader(&test, 2)->fetches, 2); /* the session, and then it waits */
    assert_int_equal(fixture_leader(&test, 2)->asked_broker_epoch, 71);
    follower_fixture_deinit(&test);
}

/* More than one answer holds, and batches larger than a partition may have of one. */
static void large_batches_pass_one_by_one(void **state)
{
    (void)state;
    follower_fixture_init(&test, TOPIC_DURABILITY_CACHE, 2);
    for (unsigned i = 0; i < 2; i++) {
        fixture_follow(&test, i, 2, 5);
        for (unsigned j = 0; j < 4; j++)
            model_append(&test, fixture_log_of(&test, 2, i), 1, 3 * 1024 * 1024);
    }
    fixture_leader(&test, 2)->max_bytes = 4 * 1024 * 1024;
    fixture_run(&test);
    for (unsigned i = 0; i < 2; i++)
        fixture_assert_same(&test, i, fixture_log_of(&test, 2, i));
    follower_fixture_deinit(&test);
}

/* ---- Asking is acknowledging ---- */

static void in_sync_mode_the_next_offset_is_asked_for_when_it_is_durable(void **state)
{
    (void)state;
    follower_fixture_init(&test, TOPIC_DURABILITY_SYNC, 2);
    struct model_leader *leader = fixture_leader(&test, 2);
    for (unsigned i = 0; i < 2; i++) {
        fixture_follow(&test, i, 2, 5);
        model_append(&test, fixture_log_of(&test, 2, i), 1, 10);
    }
    fixture_run(&test); /* the files are open now */
    for (unsigned i = 0; i < 2; i++)
        assert_int_equal(fixture_end_of(&test, i), 1);
    model_append(&test, fixture_log_of(&test, 2, 0), 3, 10);
    unsigned fetches = leader->fetches;
    test.node.hold = true;
    fixture_run(&test);
    assert_int_equal(partition_log_written_end(test.replica[0]->log), 4);
    assert_int_equal(partition_log_durable_end(test.replica[0]->log), 1);
    assert_int_equal(leader->fetches, fetches);
    assert_int_equal(fixture_waiting(&test), 0);
    fixture_complete_all(&test);
    assert_int_equal(partition_log_durable_end(test.replica[0]->log), 4);
    fixture_run(&test);
    assert_int_equal(leader->fetches, fetches + 1);
    assert_int_equal(leader->asked[0].fetch_offset, 4);
    follower_fixture_deinit(&test);
}

static void in_cache_mode_the_next_offset_is_asked_for_when_it_is_written(void **state)
{
    (void)state;
    follower_fixture_init(&test, TOPIC_DURABILITY_CACHE, 1);
    struct model_leader *leader = fixture_leader(&test, 2);
    fixture_follow(&test, 0, 2, 5);
    model_append(&test, fixture_log_of(&test, 2, 0), 1, 10);
    fixture_run(&test);
    test.node.hold = true;
    test.node.slow = true;
    model_append(&test, fixture_log_of(&test, 2, 0), 3, 10);
    unsigned fetches = leader->fetches;
    fixture_run(&test);
    assert_int_equal(fixture_end_of(&test, 0), 4);
    assert_int_equal(partition_log_written_end(test.replica[0]->log), 1);
    assert_int_equal(leader->fetches, fetches);
    fixture_complete_all(&test);
    fixture_run(&test);
    assert_int_equal(leader->fetches, fetches + 1);
    assert_int_equal(leader->asked[0].fetch_offset, 4);
    assert_true(partition_log_durable_end(test.replica[0]->log) <= 4);
    follower_fixture_deinit(&test);
}

/* A slow disk keeps its own partitions back, and after a while nobody else's. */
static void what_does_not_get_durable_is_left_out_after_a_while(void **state)
{
    (void)state;
    follower_fixture_init(&test, TOPIC_DURABILITY_SYNC, 2);
    struct model_leader *leader = fixture_leader(&test, 2);
    for (unsigned i = 0; i < 2; i++) {
        fixture_follow(&test, i, 2, 5);
        model_append(&test, fixture_log_of(&test, 2, i), 1, 10);
    }
    fixture_run(&test);
    model_append(&test, fixture_log_of(&test, 2, 0), 3, 10);
    test.node.hold = true;
    fixture_run(&test);
    unsigned fetches = leader->fetches;
    pass(FETCHER_SETTLE_MS_MAX * UINT64_C(1000000) + 2000000);
    assert_int_equal(leader->fetches, fetches + 1);
    assert_int_equal(leader->asked_count, 0);
    assert_int_equal(leader->forgotten_count, 1);
    fixture_assert_sessions(&test);
    fixture_complete_all(&test);
    fixture_answer_all(&test);
    fixture_run(&test);
    assert_true(fixture_follower_of(&test, 0)->told.in_session);
    assert_int_equal(fixture_follower_of(&test, 0)->told.fetch_offset, 4);
    fixture_assert_sessions(&test);
    follower_fixture_deinit(&test);
}

static void a_topic_that_turns_to_sync_is_asked_for_when_all_of_it_is_durable(void **state)
{
    (void)state;
    follower_fixture_init(&test, TOPIC_DURABILITY_CACHE, 1);
    fixture_follow(&test, 0, 2, 5);
    model_append(&test, fixture_log_of(&test, 2, 0), 4, 10);
    fixture_run(&test);
    assert_int_equal(fixture_end_of(&test, 0), 4);
    assert_int_equal(partition_log_durable_end(test.replica[0]->log), 0);
    test.node.hold = true;
    struct topic_config config = test.topic;
    config.durability = TOPIC_DURABILITY_SYNC;
    replica_set_config(test.replica[0], &config);
    fetchers_reconfigure(&test.fetchers, test.replica[0]);
    fixture_run(&test);
    assert_int_equal(fixture_follower_of(&test, 0)->state, FOLLOWER_SETTLING);
    fixture_complete_all(&test);
    fixture_run(&test);
    assert_int_equal(fixture_follower_of(&test, 0)->state, FOLLOWER_READY);
    assert_int_equal(fixture_follower_of(&test, 0)->fetcher->durability, TOPIC_DURABILITY_SYNC);
    assert_int_equal(fixture_leader(&test, 2)->asked[0].fetch_offset, 4);
    follower_fixture_deinit(&test);
}

/* ---- Divergence ---- */

static void what_the_leader_does_not_have_is_cut(void **state)
{
    (void)state;
    follower_fixture_init(&test, TOPIC_DURABILITY_CACHE, 1);
    fixture_follow(&test, 0, 2, 5);
    model_append(&test, fixture_log_of(&test, 2, 0), 2, 10);
    fixture_run(&test);
    model_replicate(fixture_log_of(&test, 3, 0), fixture_log_of(&test, 2, 0), 10);
    model_append(&test, fixture_log_of(&test, 2, 0), 5, 10); /* only this node gets it */
    fixture_run(&test);
    assert_int_equal(fixture_end_of(&test, 0), 7);
    fixture_follow(&test, 0, 3, 6);
    model_append(&test, fixture_log_of(&test, 3, 0), 1, 10);
    fixture_run(&test);
    fixture_assert_same(&test, 0, fixture_log_of(&test, 3, 0));
    assert_int_equal(test.fetchers.counters.truncations, 1);
    follower_fixture_deinit(&test);
}

/* KIP-279: the leader's epoch before is none of ours, so one question is not enough. */
static void a_history_of_failovers_takes_several_cuts(void **state)
{
    (void)state;
    follower_fixture_init(&test, TOPIC_DURABILITY_CACHE, 1);
    struct model_log *two = fixture_log_of(&test, 2, 0);
    struct model_log *three = fixture_log_of(&test, 3, 0);
    fixture_follow(&test, 0, 2, 1);
    model_append(&test, two, 2, 10);
    model_replicate(three, two, 10);
    fixture_run(&test);
    for (int32_t epoch = 2; epoch < 10; epoch += 2) { /* each alone with this node or without it */
        fixture_follow(&test, 0, 2, epoch);
        model_append(&test, two, 1, 10);
        fixture_run(&test);
        model_begin_epoch(three, epoch + 1);
        model_append(&test, three, 1, 10);
    }
    fixture_assert_same(&test, 0, two);
    fixture_follow(&test, 0, 3, 11);
    fixture_run(&test);
    fixture_assert_same(&test, 0, three);
    assert_true(test.fetchers.counters.truncations > 1);
    follower_fixture_deinit(&test);
}

static void a_full_directory_delays_the_cut(void **state)
{
    (void)state;
    follower_fixture_init(&test, TOPIC_DURABILITY_CACHE, 1);
    fixture_follow(&test, 0, 2, 5);
    model_append(&test, fixture_log_of(&test, 2, 0), 2, 10);
    fixture_run(&test);
    model_replicate(fixture_log_of(&test, 3, 0), fixture_log_of(&test, 2, 0), 1);
    model_append(&test, fixture_log_of(&test, 2, 0), 2, 10);
    fixture_log_of(&test, 2, 0)->high_watermark = 4; /* cut below it, so that the file is copied */
    fixture_run(&test);
    memory_node_fail(&test.node, STORAGE_WRITE, 0, STORAGE_NO_SPACE);
    fixture_follow(&test, 0, 3, 6);
    fixture_run(&test);
    assert_int_equal(fixture_follower_of(&test, 0)->state, FOLLOWER_DELAYED);
    assert_int_equal(fixture_end_of(&test, 0), 4);
    pass(2 * SECOND);
    fixture_assert_same(&test, 0, fixture_log_of(&test, 3, 0));
    follower_fixture_deinit(&test);
}

/* ---- Out of range ---- */

static void a_follower_ahead_of_a_leader_without_epochs_is_cut_to_its_end(void **state)
{
    (void)state;
    follower_fixture_init(&test, TOPIC_DURABILITY_CACHE, 1);
    fixture_follow(&test, 0, 2, 5);
    model_append(&test, fixture_log_of(&test, 2, 0), 2, 10);
    model_append(&test, fixture_log_of(&test, 2, 0), 2, 10);
    fixture_run(&test);
    assert_int_equal(fixture_end_of(&test, 0), 4);
    struct model_log *three = fixture_log_of(&test, 3, 0);
    model_replicate(three, fixture_log_of(&test, 2, 0), 1);
    fixture_follow(&test, 0, 3, 6);
    three->epoch_count = 0; /* its checkpoint is lost */
    fixture_run(&test);
    assert_int_equal(fixture_end_of(&test, 0), 2);
    assert_int_equal(fixture_follower_of(&test, 0)->state,
                     FOLLOWER_DELAYED); /* nothing to compare with */
    model_append(&test, three, 1, 10);
    pass(SECOND + SECOND / 10);
    assert_int_equal(fixture_end_of(&test, 0), 3);
    follower_fixture_deinit(&test);
}

static void a_follower_behind_the_start_of_its_leader_begins_there(void **state)
{
    (void)state;
    follower_fixture_init(&test, TOPIC_DURABILITY_CACHE, 2);
    for (unsigned i = 0; i < 2; i++) {
        fixture_follow(&test, i, 2, 5);
        model_append(&test, fixture_log_of(&test, 2, i), 2, 10);
    }
    fixture_run(&test);
    fixture_unfollow(&test, 0);
    struct model_log *log = fixture_log_of(&test, 2, 0);
    for (unsigned i = 0; i < 4; i++)
        model_append(&test, log, 2, 10);
    log->high_watermark = 8;
    model_advance_start(log, 6);
    fixture_follow(&test, 0, 2, 6);
    fixture_run(&test);
    fixture_answer_all(&test);
    fixture_run(&test);
    assert_int_equal(fixture_leader(&test, 2)->list_offsets, 2);
    assert_int_equal(partition_log_start_offset(test.replica[0]->log), 6);
    assert_int_equal(watermark_of(0), 8);
    fixture_assert_same(&test, 0, log);
    follower_fixture_deinit(&test);
}

/* DeleteRecords may move a log start into a batch, which is still sent whole. */
static void the_first_batch_may_straddle_the_log_start(void **state)
{
    (void)state;
    follower_fixture_init(&test, TOPIC_DURABILITY_SYNC, 1);
    struct model_log *log = fixture_log_of(&test, 2, 0);
    model_begin_epoch(log, 5);
    model_append(&test, log, 4, 10);
    model_append(&test, log, 10, 10);
    model_append(&test, log, 4, 10);
    log->high_watermark = 18;
    model_advance_start(log, 9);
    fixture_follow(&test, 0, 2, 6);
    fixture_run(&test);
    assert_int_equal(partition_log_start_offset(test.replica[0]->log), 9);
    assert_int_equal(watermark_of(0), 18);
    fixture_assert_same(&test, 0, log);
    follower_fixture_deinit(&test);
}

static void the_log_start_follows_the_leader_and_is_told(void **state)
{
    (void)state;
    follower_fixture_init(&test, TOPIC_DURABILITY_CACHE, 1);
    struct model_log *log = fixture_log_of(&test, 2, 0);
    fixture_follow(&test, 0, 2, 5);
    for (unsigned i = 0; i < 4; i++)
        model_append(&test, log, 2, 10);
    log->high_watermark = 8;
    fixture_run(&test);
    model_advance_start(log, 4);
    fixture_run(&test);
    assert_int_equal(partition_log_start_offset(test.replica[0]->log), 4);
    assert_int_equal(fixture_leader(&test, 2)->asked_count, 1);
    assert_int_equal(fixture_leader(&test, 2)->asked[0].log_start_offset, 4);
    follower_fixture_deinit(&test);
}

/* ---- Errors ---- */

static void a_corrupt_batch_is_fetched_again_after_a_while(void **state)
{
    (void)state;
    follower_fixture_init(&test, TOPIC_DURABILITY_CACHE, 1);
    struct model_log *log = fixture_log_of(&test, 2, 0);
    fixture_follow(&test, 0, 2, 5);
    model_append(&test, log, 2, 10);
    log->is_corrupt = true;
    fixture_run(&test);
    assert_int_equal(fixture_end_of(&test, 0), 0);
    assert_int_equal(fixture_follower_of(&test, 0)->state, FOLLOWER_DELAYED);
    memory_node_advance(&test.node, SECOND / 2);
    fixture_run(&test);
    assert_int_equal(fixture_end_of(&test, 0), 0);
    pass(SECOND);
    fixture_assert_same(&test, 0, log);
    follower_fixture_deinit(&test);
}

static void a_full_disk_delays_and_loses_nothing(void **state)
{
    (void)state;
    follower_fixture_init(&test, TOPIC_DURABILITY_SYNC, 2);
    for (unsigned i = 0; i < 2; i++) {
        fixture_follow(&test, i, 2, 5);
        model_append(&test, fixture_log_of(&test, 2, i), 1, 10);
    }
    fixture_run(&test);
    memory_node_fail(&test.node, STORAGE_WRITE, 0, STORAGE_NO_SPACE);
    model_append(&test, fixture_log_of(&test, 2, 0), 2, 10);
    fixture_run(&test);
    assert_int_equal(fixture_end_of(&test, 0), 1);
    assert_int_equal(fixture_follower_of(&test, 0)->state, FOLLOWER_DELAYED);
    assert_int_equal(fixture_follower_of(&test, 1)->state, FOLLOWER_READY);
    for (unsigned i = 0; i < 4 && fixture_end_of(&test, 0) < 3; i++) {
        pass(SECOND + SECOND / 10);
        fixture_answer_all(&test);
        fixture_run(&test);
    }
    fixture_assert_same(&test, 0, fixture_log_of(&test, 2, 0));
    follower_fixture_deinit(&test);
}

static void a_failed_log_is_not_fetched_for_any_more(void **state)
{
    (void)state;
    follower_fixture_init(&test, TOPIC_DURABILITY_SYNC, 2);
    for (unsigned i = 0; i < 2; i++) {
        fixture_follow(&test, i, 2, 5);
        model_append(&test, fixture_log_of(&test, 2, i), 1, 10);
    }
    fixture_run(&test);
    model_append(&test, fixture_log_of(&test, 2, 0), 2, 10);
    memory_node_fail(&test.node, STORAGE_WRITE, 0, STORAGE_IO);
    fixture_run(&test);
    assert_int_equal(test.replica[0]->state, REPLICA_OFFLINE);
    assert_int_equal(fixture_follower_of(&test, 0)->state, FOLLOWER_FAILED);
    assert_int_equal(test.fetchers.counters.failed,
                     fixture_follower_of(&test, 1)->state == FOLLOWER_FAILED ? 2 : 1);
    fixture_assert_sessions(&test);
    fixture_unfollow(&test, 0);
    fixture_run(&test);
    follower_fixture_deinit(&test);
}

static void a_leader_that_does_not_know_its_role_yet_is_asked_soon_again(void **state)
{
    (void)state;
    follower_fixture_init(&test, TOPIC_DURABILITY_CACHE, 1);
    struct model_log *log = fixture_log_of(&test, 2, 0);
    fixture_follow(&test, 0, 2, 5);
    model_append(&test, log, 2, 10);
    log->leader_epoch = 4;
    fixture_run(&test);
    assert_int_equal(fixture_follower_of(&test, 0)->state, FOLLOWER_DELAYED);
    log->leader_epoch = 5;
    pass(SECOND / 50);
    fixture_assert_same(&test, 0, log);
    follower_fixture_deinit(&test);
}

static void errors_wait_longer_and_longer_but_not_for_ever(void **state)
{
    (void)state;
    follower_fixture_init(&test, TOPIC_DURABILITY_CACHE, 1);
    struct model_log *log = fixture_log_of(&test, 2, 0);
    log->error = KAFKA_ERROR_NOT_LEADER_OR_FOLLOWER;
    fixture_follow(&test, 0, 2, 5);
    for (unsigned i = 0; i < 1000; i++)
        pass(SECOND / 100);
    unsigned fetches = fixture_leader(&test, 2)->fetches;
    assert_in_range(fetches, 10, 25); /* of 10 s: seven of them in the first */
    log->error = KAFKA_ERROR_NONE;
    model_append(&test, log, 1, 10);
    pass(SECOND + SECOND / 100);
    fixture_assert_same(&test, 0, log);
    follower_fixture_deinit(&test);
}

/* ---- Sessions ---- */

static void a_leader_without_room_for_sessions_is_asked_in_full(void **state)
{
    (void)state;
    follower_fixture_init(&test, TOPIC_DURABILITY_CACHE, 3);
    struct model_leader *leader = fixture_leader(&test, 2);
    leader->is_refusing_sessions = true;
    for (unsigned i = 0; i < 3; i++)
        fixture_follow(&test, i, 2, 5);
    for (unsigned i = 0; i < 3; i++)
        model_append(&test, fixture_log_of(&test, 2, i), 2, 10);
    fixture_run(&test);
    for (unsigned i = 0; i < 3; i++)
        fixture_assert_same(&test, i, fixture_log_of(&test, 2, i));
    assert_int_equal(leader->asked_epoch, 0);
    assert_int_equal(leader->asked_count, 3);
    leader->is_refusing_sessions = false;
    fixture_answer_all(&test);
    fixture_run(&test);
    assert_int_equal(leader->asked_epoch, 1);
    assert_int_equal(leader->asked_count, 0);
    follower_fixture_deinit(&test);
}

static void a_lost_session_begins_anew(void **state)
{
    (void)state;
    static const enum kafka_error errors[] = {KAFKA_ERROR_FETCH_SESSION_ID_NOT_FOUND,
                                              KAFKA_ERROR_INVALID_FETCH_SESSION_EPOCH,
                                              KAFKA_ERROR_FETCH_SESSION_TOPIC_ID_ERROR};
    for (unsigned i = 0; i < 3; i++) {
        follower_fixture_init(&test, TOPIC_DURABILITY_CACHE, 2);
        struct model_leader *leader = fixture_leader(&test, 2);
        for (unsigned j = 0; j < 2; j++)
            fixture_follow(&test, j, 2, 5);
        fixture_run(&test);
        fixture_answer_all(&test);
        leader->error = errors[i];
        model_append(&test, fixture_log_of(&test, 2, 0), 2, 10);
        fixture_answer_all(&test);
        fixture_run(&test);
        fixture_assert_same(&test, 0, fixture_log_of(&test, 2, 0));
        assert_int_equal(test.fetchers.counters.full_requests, 2);
        fixture_assert_sessions(&test);
        follower_fixture_deinit(&test);
    }
}

static void a_broken_connection_is_tried_again_soon_and_then_less_often(void **state)
{
    (void)state;
    follower_fixture_init(&test, TOPIC_DURABILITY_CACHE, 1);
    fixture_follow(&test, 0, 2, 5);
    fixture_run(&test);
    fixture_break(&test, CHANNEL_DISCONNECTED);
    model_append(&test, fixture_log_of(&test, 2, 0), 2, 10);
    unsigned requests = 0;
    uint64_t before = test.fetchers.counters.requests;
    for (unsigned i = 0; i < 500; i++) { /* 5 s */
        memory_node_advance(&test.node, SECOND / 100);
        requests += fixture_waiting(&test);
        fixture_break(&test, CHANNEL_DISCONNECTED);
    }
    assert_int_equal(test.fetchers.counters.requests - before, requests);
    assert_in_range(requests, 7, 14);
    pass(2 * SECOND);
    fixture_assert_same(&test, 0, fixture_log_of(&test, 2, 0));
    fixture_assert_sessions(&test);
    follower_fixture_deinit(&test);
}

static void who_comes_and_goes_is_told_to_the_session(void **state)
{
    (void)state;
    follower_fixture_init(&test, TOPIC_DURABILITY_CACHE, 4);
    for (unsigned i = 0; i < 3; i++)
        fixture_follow(&test, i, 2, 5);
    fixture_run(&test);
    fixture_unfollow(&test, 1);
    fixture_follow(&test, 3, 2, 7);
    fixture_unfollow(&test, 2);
    fixture_follow(&test, 2, 2, 8); /* gone and back before the next request */
    for (unsigned i = 0; i < 4; i++)
        model_append(&test, fixture_log_of(&test, 2, i), 1, 10);
    fixture_answer_all(&test);
    fixture_run(&test);
    fixture_assert_sessions(&test);
    assert_int_equal(fixture_follower_of(&test, 0)->fetcher->session_count, 3);
    assert_int_equal(fixture_end_of(&test, 1), 0);
    for (unsigned i = 0; i < 4; i++) {
        if (i != 1)
            fixture_assert_same(&test, i, fixture_log_of(&test, 2, i));
    }
    follower_fixture_deinit(&test);
}

/* What was told about an epoch before is not repeated by the session, so it has to be asked for. */
static void news_for_the_epoch_before_are_not_lost(void **state)
{
    (void)state;
    follower_fixture_init(&test, TOPIC_DURABILITY_CACHE, 1);
    struct model_log *log = fixture_log_of(&test, 2, 0);
    fixture_follow(&test, 0, 2, 5);
    model_append(&test, log, 2, 10);
    fixture_run(&test);
    assert_int_equal(watermark_of(0), 0);
    fixture_follow(&test, 0, 2, 6);
    log->leader_epoch = 5;
    log->high_watermark = 2;
    fixture_step(&test); /* the answer to what was asked in epoch 5 */
    log->leader_epoch = 6;
    fixture_run(&test);
    assert_int_equal(watermark_of(0), 2);
    fixture_assert_sessions(&test);
    follower_fixture_deinit(&test);
}

static void a_new_address_is_a_new_connection(void **state)
{
    (void)state;
    follower_fixture_init(&test, TOPIC_DURABILITY_CACHE, 2);
    for (unsigned i = 0; i < 2; i++)
        fixture_follow(&test, i, 2, 5);
    fixture_run(&test);
    assert_int_equal(test.channel_count, 1);
    fixture_show(&test, 70, 0, 21);
    fixture_run(&test);
    assert_int_equal(test.channel_count, 1);
    fixture_show(&test, 70, 10, 21);
    model_append(&test, fixture_log_of(&test, 2, 1), 2, 10);
    fixture_run(&test);
    assert_int_equal(test.channel_count, 2);
    fixture_assert_same(&test, 1, fixture_log_of(&test, 2, 1));
    fixture_assert_sessions(&test);
    follower_fixture_deinit(&test);
}

/* What comes while the leader holds a request does not wait until it has news or had enough. */
static void newcomers_take_the_express(void **state)
{
    (void)state;
    follower_fixture_init(&test, TOPIC_DURABILITY_CACHE, 4);
    for (unsigned i = 0; i < 2; i++)
        fixture_follow(&test, i, 2, 5);
    fixture_run(&test);
    assert_int_equal(fixture_waiting(&test), 1);
    for (unsigned i = 2; i < 4; i++) {
        fixture_follow(&test, i, 2, 5);
        model_append(&test, fixture_log_of(&test, 2, i), 3, 10);
    }
    fixture_run(&test);
    assert_int_equal(fixture_end_of(&test, 2), 0);
    pass(FETCHER_EXPRESS_AFTER_MS * UINT64_C(1000000) + 2000000);
    assert_int_equal(test.channel_count, 2);
    assert_int_equal(fixture_waiting(&test), 2);
    for (unsigned i = 2; i < 4; i++)
        fixture_assert_same(&test, i, fixture_log_of(&test, 2, i));
    fixture_assert_sessions(&test);
    const struct fetcher *main = fixture_follower_of(&test, 0)->fetcher;
    assert_ptr_equal(fixture_follower_of(&test, 2)->fetcher, main->express);
    /* Its requests are held for a short time only. */
    assert_int_equal(main->express->fetch.max_wait_ms, FETCHER_EXPRESS_WAIT_MS);
    assert_int_equal(main->fetch.max_wait_ms, 500);
    /* With the answers to both everybody is in one session again. */
    model_append(&test, fixture_log_of(&test, 2, 0), 1, 10);
    fixture_run(&test);
    fixture_answer_all(&test);
    fixture_run(&test);
    assert_ptr_equal(fixture_follower_of(&test, 2)->fetcher,
                     fixture_follower_of(&test, 0)->fetcher);
    assert_null(fixture_follower_of(&test, 0)->fetcher->express);
    assert_int_equal(fixture_waiting(&test), 1);
    for (unsigned i = 0; i < 4; i++) {
        if (i != 1)
            fixture_assert_same(&test, i, fixture_log_of(&test, 2, i));
    }
    fixture_assert_sessions(&test);
    follower_fixture_deinit(&test);
}

static void a_partition_without_leader_waits(void **state)
{
    (void)state;
    follower_fixture_init(&test, TOPIC_DURABILITY_CACHE, 1);
    fixture_follow(&test, 0, 2, 5);
    model_append(&test, fixture_log_of(&test, 2, 0), 2, 10);
    fixture_run(&test);
    fixture_follow(&test, 0, -1, 6);
    fixture_run(&test);
    assert_null(fixture_follower_of(&test, 0)->fetcher);
    assert_true(list_is_empty(&test.channels));
    assert_int_equal(fixture_waiting(&test), 0);
    fixture_follow(&test, 0, 2, 7);
    model_append(&test, fixture_log_of(&test, 2, 0), 2, 10);
    fixture_run(&test);
    fixture_assert_same(&test, 0, fixture_log_of(&test, 2, 0));
    follower_fixture_deinit(&test);
}

/* ---- Throttling ---- */

static void listed_partitions_that_are_behind_are_throttled(void **state)
{
    (void)state;
    follower_fixture_init(&test, TOPIC_DURABILITY_CACHE, 2);
    /* Partition 0 of the topic is listed on node 1, partition 1 is not. */
    fixture_set_throttled(&test, 0, VIEW_LITERAL("7:3,0:1,0:4"));
    for (unsigned i = 0; i < 2; i++) {
        fixture_follow(&test, i, 2, 5);
        for (unsigned j = 0; j < 30; j++)
            model_append(&test, fixture_log_of(&test, 2, i), 1, 100 * 1024);
        fixture_log_of(&test, 2, i)->high_watermark = 30;
    }
    fetchers_set_throttle(&test.fetchers, 100 * 1024);
    fixture_leader(&test, 2)->max_bytes = 300 * 1024;
    uint64_t start = test.node.now_ns;
    fixture_run(&test);
    fixture_assert_same(&test, 1, fixture_log_of(&test, 2, 1));
    assert_true(fixture_end_of(&test, 0) < 30);
    for (unsigned i = 0; i < 1000 && fixture_end_of(&test, 0) < 30; i++) {
        memory_node_advance(&test.node, SECOND / 10);
        fixture_run(&test);
        fixture_answer_all(&test);
        fixture_run(&test);
    }
    fixture_assert_same(&test, 0, fixture_log_of(&test, 2, 0));
    uint64_t seconds = (test.node.now_ns - start) / SECOND;
    assert_in_range(seconds, 15, 45); /* 3 MB at 100 KB a second, the first windows in advance */
    follower_fixture_deinit(&test);
}

static void every_replica_is_throttled_by_a_star_and_none_in_sync(void **state)
{
    (void)state;
    follower_fixture_init(&test, TOPIC_DURABILITY_CACHE, 1);
    fixture_set_throttled(&test, 0, VIEW_LITERAL("*"));
    fetchers_set_throttle(&test.fetchers, 1);
    fixture_follow(&test, 0, 2, 5);
    for (unsigned i = 0; i < 20; i++) { /* the high watermark does not get ahead of it */
        model_append(&test, fixture_log_of(&test, 2, 0), 1, 1000);
        fixture_run(&test);
        fixture_log_of(&test, 2, 0)->high_watermark = i + 1;
        fixture_run(&test);
        assert_int_equal(fixture_end_of(&test, 0), i + 1);
    }
    assert_true(fixture_follower_of(&test, 0)->is_throttled);
    follower_fixture_deinit(&test);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_follower_copies_its_leader_and_its_high_watermark),
        cmocka_unit_test(a_request_names_only_what_changed),
        cmocka_unit_test(a_follower_is_fetched_for_by_its_node_and_epoch),
        cmocka_unit_test(nothing_is_fetched_before_this_incarnation_is_registered),
        cmocka_unit_test(large_batches_pass_one_by_one),
        cmocka_unit_test(in_sync_mode_the_next_offset_is_asked_for_when_it_is_durable),
        cmocka_unit_test(in_cache_mode_the_next_offset_is_asked_for_when_it_is_written),
        cmocka_unit_test(what_does_not_get_durable_is_left_out_after_a_while),
        cmocka_unit_test(a_topic_that_turns_to_sync_is_asked_for_when_all_of_it_is_durable),
        cmocka_unit_test(what_the_leader_does_not_have_is_cut),
        cmocka_unit_test(a_history_of_failovers_takes_several_cuts),
        cmocka_unit_test(a_full_directory_delays_the_cut),
        cmocka_unit_test(a_follower_ahead_of_a_leader_without_epochs_is_cut_to_its_end),
        cmocka_unit_test(a_follower_behind_the_start_of_its_leader_begins_there),
        cmocka_unit_test(the_first_batch_may_straddle_the_log_start),
        cmocka_unit_test(the_log_start_follows_the_leader_and_is_told),
        cmocka_unit_test(a_corrupt_batch_is_fetched_again_after_a_while),
        cmocka_unit_test(a_full_disk_delays_and_loses_nothing),
        cmocka_unit_test(a_failed_log_is_not_fetched_for_any_more),
        cmocka_unit_test(a_leader_that_does_not_know_its_role_yet_is_asked_soon_again),
        cmocka_unit_test(errors_wait_longer_and_longer_but_not_for_ever),
        cmocka_unit_test(a_leader_without_room_for_sessions_is_asked_in_full),
        cmocka_unit_test(a_lost_session_begins_anew),
        cmocka_unit_test(a_broken_connection_is_tried_again_soon_and_then_less_often),
        cmocka_unit_test(who_comes_and_goes_is_told_to_the_session),
        cmocka_unit_test(news_for_the_epoch_before_are_not_lost),
        cmocka_unit_test(a_new_address_is_a_new_connection),
        cmocka_unit_test(newcomers_take_the_express),
        cmocka_unit_test(a_partition_without_leader_waits),
        cmocka_unit_test(listed_partitions_that_are_behind_are_throttled),
        cmocka_unit_test(every_replica_is_throttled_by_a_star_and_none_in_sync),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
