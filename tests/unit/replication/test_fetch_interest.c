/* What requests of sessions look at, and what followers that are not named count as. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "replication/fetch_interest.h"
#include "tests/unit/replication/leader_fixture.h"

enum { FOLLOWER = 2 };

static struct leader_fixture test;
static struct fetch_interests *interests;
static struct fetch_ask ask;
static struct fetch_asker asker;
static struct deferred waker;
static unsigned woken;

static const int32_t both[] = {SELF, FOLLOWER};
static const int32_t alone[] = {SELF};

static void wake(struct deferred *deferred)
{
    (void)deferred;
    woken++;
}

static void start(int32_t replica_id)
{
    leader_fixture_init(&test, TOPIC_DURABILITY_CACHE, 1);
    leader_fixture_lead(&test, both, 2, both, 2);
    interests = fetch_interests_create(test.host.loop);
    asker = (struct fetch_asker){.replica_id = replica_id,
                                 .broker_epoch = replica_id < 0 ? -1 : test.brokers[FOLLOWER].epoch,
                                 .image_version = 1};
    deferred_init(&waker, wake);
    woken = 0;
    fetch_interests_begin(interests, &asker);
    ask = (struct fetch_ask){.leader_epoch = -1, .last_fetched_epoch = -1};
    ask.interest = fetch_interest_create(interests, &ask);
    fetch_interest_ask(ask.interest);
}

static void stop(void)
{
    list_remove(&waker.link);
    fetch_interests_destroy(interests);
    leader_fixture_deinit(&test);
}

static bool is_due(void)
{
    return list_is_linked(&ask.interest->due_link);
}

/* Looks as the handler does; true: the answer has to say something. */
static bool look(void)
{
    struct replica *replica = test.replica;
    bool follows = asker.replica_id >= 0;
    const struct replica_fetch fetch = {.replica_id = asker.replica_id,
                                        .broker_epoch = asker.broker_epoch,
                                        .fetch_offset = ask.fetch_offset};
    if (follows)
        replica_fetched(replica, &fetch);
    int64_t end = replica_high_watermark(replica);
    struct fetch_found found = {
        .replica = replica,
        .high_watermark = end,
        .log_start = partition_log_start_offset(replica->log),
        .has_nothing = follows ? replica_may_rest(replica, &fetch) : ask.fetch_offset >= end,
    };
    found.has_records = !found.has_nothing;
    bool is_news = fetch_interest_found(ask.interest, &found, true);
    leader_fixture_run(&test);
    return is_news;
}

static void request(void)
{
    fetch_interests_begin(interests, &asker);
}

static void ask_from(int64_t offset)
{
    request();
    ask.fetch_offset = offset;
    fetch_interest_ask(ask.interest);
}

static void append(void)
{
    struct waiter waiter;
    assert_false(leader_fixture_append(&test, &waiter, 1));
    leader_fixture_run(&test);
    assert_int_equal(waiter.told, 1);
    leader_fixture_release(&test, &waiter);
}

static void append_committed(void)
{
    append();
    leader_fixture_fetch(&test, FOLLOWER, partition_log_end_offset(test.log.log));
}

static void one_that_was_told_everything_is_not_looked_at(void **state)
{
    (void)state;
    start(-1);
    assert_true(is_due());
    assert_true(look()); /* the high watermark is news */
    assert_true(is_due());
    request();
    assert_false(is_due());
    request();
    assert_false(is_due());
    stop();
}

static void news_that_were_found_stay_until_they_are_answered(void **state)
{
    (void)state;
    start(-1);
    assert_true(look());
    assert_true(look()); /* the request waits, and looks again */
    request();
    assert_false(is_due());
    stop();
}

static void records_make_it_due_and_wake(void **state)
{
    (void)state;
    start(-1);
    look();
    request();
    interests->waker = &waker;
    append_committed();
    assert_true(is_due());
    assert_int_equal(woken, 1);
    look();
    interests->waker = NULL;
    request();
    assert_true(is_due()); /* they were given, and may be asked for again */
    ask_from(2);
    assert_false(look()); /* the high watermark came with the records */
    assert_false(is_due());
    append_committed();
    assert_true(is_due());
    assert_int_equal(woken, 1); /* nobody waited */
    stop();
}

static void who_was_given_records_goes_behind_the_others(void **state)
{
    (void)state;
    start(-1);
    append_committed();
    struct fetch_ask other = ask;
    other.interest = fetch_interest_create(interests, &other);
    fetch_interest_ask(other.interest);
    assert_ptr_equal(interests->due.next, &ask.interest->due_link);
    look();
    request();
    assert_ptr_equal(interests->due.next, &other.interest->due_link);
    assert_ptr_equal(interests->due.previous, &ask.interest->due_link);
    stop();
}

static void a_follower_is_told_the_high_watermark_and_not_woken_for_it(void **state)
{
    (void)state;
    start(FOLLOWER);
    append();
    ask_from(2);
    look(); /* which commits what it has */
    interests->waker = &waker;
    assert_int_equal(replica_high_watermark(test.replica), 2);
    request();
    assert_true(is_due());
    assert_true(look());
    request();
    assert_false(is_due());
    append();
    assert_int_equal(woken, 1);
    stop();
}

static void deleted_records_are_news(void **state)
{
    (void)state;
    start(FOLLOWER);
    append();
    ask_from(2);
    look();
    request();
    look();
    request();
    assert_false(is_due());
    int64_t offset = 1;
    assert_int_equal(replica_delete_records(test.replica, &offset), KAFKA_ERROR_NONE);
    assert_true(is_due());
    assert_true(look());
    stop();
}

static void another_asker_makes_all_due(void **state)
{
    (void)state;
    start(FOLLOWER);
    look();
    request();
    assert_false(is_due());
    asker.image_version++;
    request();
    assert_true(is_due());
    look();
    request();
    assert_false(is_due());
    stop();
}

static void the_end_of_a_leadership_makes_it_due(void **state)
{
    (void)state;
    start(FOLLOWER);
    look();
    request();
    interests->waker = &waker;
    replica_fail(test.replica);
    assert_true(is_due());
    memory_node_run(&test.log.node);
    assert_int_equal(woken, 1);
    const struct fetch_found refused = {.high_watermark = -1, .log_start = -1};
    assert_true(fetch_interest_found(ask.interest, &refused, true));
    request();
    assert_true(is_due()); /* errors are said with every answer */
    stop();
}

/* ---- Rest ---- */

static const struct remote_replica *remote(void)
{
    return &replica_in_sync(test.replica)->remotes[0];
}

static void requests_that_do_not_name_a_follower_count_for_it(void **state)
{
    (void)state;
    start(FOLLOWER);
    look();
    for (unsigned i = 0; i < 20; i++) {
        leader_fixture_pass(&test, LAG_MAX_MS / 4);
        request();
        assert_true(replica_is_followed(test.replica));
        assert_int_equal(in_sync_last_fetch_ns(remote()), test.host.loop->now_ns);
    }
    /* Where it was until the last request counts from then. */
    append();
    leader_fixture_pass(&test, LAG_MAX_MS - 1);
    assert_int_equal(test.proposals, 0);
    leader_fixture_pass(&test, 2);
    assert_true(leader_fixture_proposes(&test, alone, 1));
    stop();
}

static void a_session_that_is_silent_counts_no_more(void **state)
{
    (void)state;
    start(FOLLOWER);
    look();
    leader_fixture_pass(&test, 2 * FETCH_WAIT_MAX_MS + 1);
    assert_false(replica_is_followed(test.replica));
    request();
    assert_true(replica_is_followed(test.replica));
    int64_t last_ns = in_sync_last_fetch_ns(remote());
    fetch_interest_destroy(ask.interest); /* the session has forgotten it */
    leader_fixture_pass(&test, 1);
    request();
    assert_int_equal(in_sync_last_fetch_ns(remote()), last_ns);
    stop();
}

/* A follower takes a partition to another session before the first one has forgotten it. */
static void the_end_of_one_session_leaves_the_rest_of_another(void **state)
{
    (void)state;
    start(FOLLOWER);
    look();
    struct fetch_interests *first = interests;
    struct fetch_interest *forgotten = ask.interest;
    interests = fetch_interests_create(test.host.loop);
    fetch_interests_begin(interests, &asker);
    ask.interest = fetch_interest_create(interests, &ask);
    fetch_interest_ask(ask.interest);
    look();
    fetch_interest_destroy(forgotten);
    fetch_interests_destroy(first);
    leader_fixture_pass(&test, 1);
    request();
    assert_int_equal(in_sync_last_fetch_ns(remote()), test.host.loop->now_ns);
    stop();
}

static void who_is_not_in_sync_does_not_rest(void **state)
{
    (void)state;
    start(FOLLOWER);
    test.partition_epoch++;
    leader_fixture_lead(&test, both, 2, alone, 1);
    look(); /* it has everything and is proposed */
    assert_true(leader_fixture_proposes(&test, both, 2));
    leader_fixture_answer(&test, KAFKA_ERROR_INELIGIBLE_REPLICA, alone, 1);
    assert_null(test.proposal);
    request();
    assert_true(is_due()); /* so it is proposed again */
    look();
    assert_true(leader_fixture_proposes(&test, both, 2));
    leader_fixture_answer(&test, KAFKA_ERROR_NONE, both, 2);
    request();
    look();
    request();
    assert_false(is_due());
    assert_ptr_equal(remote()->rest_clock_ns, &interests->asked_ns);
    stop();
}

static void another_state_of_the_partition_ends_the_rest(void **state)
{
    (void)state;
    start(FOLLOWER);
    look();
    request();
    assert_non_null(remote()->rest_clock_ns);
    test.partition_epoch++;
    leader_fixture_lead(&test, both, 2, both, 2);
    assert_null(remote()->rest_clock_ns);
    assert_true(is_due());
    look();
    assert_non_null(remote()->rest_clock_ns);
    stop();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_that_was_told_everything_is_not_looked_at),
        cmocka_unit_test(news_that_were_found_stay_until_they_are_answered),
        cmocka_unit_test(records_make_it_due_and_wake),
        cmocka_unit_test(who_was_given_records_goes_behind_the_others),
        cmocka_unit_test(a_follower_is_told_the_high_watermark_and_not_woken_for_it),
        cmocka_unit_test(deleted_records_are_news),
        cmocka_unit_test(another_asker_makes_all_due),
        cmocka_unit_test(the_end_of_a_leadership_makes_it_due),
        cmocka_unit_test(requests_that_do_not_name_a_follower_count_for_it),
        cmocka_unit_test(a_session_that_is_silent_counts_no_more),
        cmocka_unit_test(the_end_of_one_session_leaves_the_rest_of_another),
        cmocka_unit_test(who_is_not_in_sync_does_not_rest),
        cmocka_unit_test(another_state_of_the_partition_ends_the_rest),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
