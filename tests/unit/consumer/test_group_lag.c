/* How far a group is behind, in records and in time, and whether it still moves. */
#include "consumer/group_lag.h"
#include "tests/unit/consumer/group_bench.h"

static const char *const g = "g";

struct logs {
    struct group_lag_log logs[4];
    bool is_known[4];
};

static bool look(void *context, const struct group_lag_partition *partition,
                 struct group_lag_log *log)
{
    const struct logs *logs = context;
    *log = logs->logs[partition->partition];
    return logs->is_known[partition->partition];
}

struct query {
    struct fixture_call call;
    struct view id;
    struct group_lag lag;
};

static void ask(struct query *query, const char *group)
{
    query->id = view_of_string(group);
    fixture_call_init(bench(), &query->call, 0, &query->id, &query->lag);
    group_lag(bench_groups(), &query->call.call);
    bench_run();
    assert_int_equal(query->call.told, 1);
}

static void lag_is_what_can_be_read_and_is_not_committed(void **state)
{
    (void)state;
    group_bench_start();
    static const int64_t offsets[4] = {100, 5, 40, 7};
    for (int32_t i = 0; i < 4; i++)
        commit_error(&(struct committing){.group = g, .partition = i, .offset = offsets[i]});
    struct query query;
    ask(&query, g);
    assert_int_equal(query.lag.partition_count, 4);
    struct logs logs = {
        .logs = {{0, 100, -1}, {20, 60, 90000}, {0, 45, -1}, {0, 0, 0}},
        .is_known = {true, true, true, false},
    };
    group_lag_measure(&query.lag, 100000, look, &logs);
    static const int64_t lags[4] = {0, 40, 5, -1}, times[4] = {0, 10000, -1, -1};
    for (int i = 0; i < 4; i++) {
        assert_int_equal(query.lag.partitions[i].committed_offset, offsets[i]);
        assert_int_equal(query.lag.partitions[i].lag_records, lags[i]);
        assert_int_equal(query.lag.partitions[i].lag_ms, times[i]);
    }
    assert_int_equal(query.lag.lag_records, 45);
    assert_int_equal(query.lag.lag_ms, 10000);
    assert_int_equal(query.lag.unknown_count, 1);
    fixture_call_deinit(&query.call);
    group_bench_end();
}

static void only_a_commit_that_moves_is_progress(void **state)
{
    (void)state;
    group_bench_start();
    struct member member;
    one_stable_member(&member, "a");
    struct query query;
    ask(&query, g);
    assert_int_equal(query.lag.progress_ms, -1);
    assert_true(view_equal(query.lag.state, VIEW_LITERAL("Stable")));
    fixture_call_deinit(&query.call);
    struct committing committing = {.group = g, .member = member.id, .generation = 1, .offset = 5};
    commit_error(&committing);
    int64_t moved_ms = bench()->log.node.wall_ms;
    for (int i = 0; i < 5; i++) { /* it lives and commits the same */
        bench_advance(5000);
        commit_error(&committing);
    }
    struct logs logs = {.logs = {{0, 6, moved_ms}}, .is_known = {true}};
    for (int loads = 0; loads < 2; loads++) {
        ask(&query, g);
        group_lag_measure(&query.lag, moved_ms + 25000, look, &logs);
        assert_int_equal(query.lag.progress_ms, moved_ms);
        assert_int_equal(query.lag.idle_ms, 25000);
        assert_int_equal(query.lag.lag_ms, 25000);
        fixture_call_deinit(&query.call);
        coordinator_fixture_reload(bench());
    }
    logs.logs[0].end_offset = 5; /* nothing to read: not idle */
    ask(&query, g);
    group_lag_measure(&query.lag, moved_ms + 25000, look, &logs);
    assert_int_equal(query.lag.idle_ms, 0);
    fixture_call_deinit(&query.call);
    group_bench_end();
}

static void a_group_that_is_not_there_has_no_lag(void **state)
{
    (void)state;
    group_bench_start();
    struct query query;
    ask(&query, "nobody");
    assert_true(view_equal(query.lag.state, VIEW_LITERAL("Dead")));
    group_lag_measure(&query.lag, 1, look, NULL);
    assert_int_equal(query.lag.partition_count, 0);
    assert_int_equal(query.lag.lag_records, 0);
    assert_int_equal(query.lag.lag_ms, -1);
    fixture_call_deinit(&query.call);
    group_bench_end();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lag_is_what_can_be_read_and_is_not_committed),
        cmocka_unit_test(only_a_commit_that_moves_is_progress),
        cmocka_unit_test(a_group_that_is_not_there_has_no_lag),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
