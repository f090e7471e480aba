/* How politely a cleaner compacts, by who else waits: on its own loop, and on others. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "log/cleaner.h"
#include "tests/unit/log/compaction_bench.h"

#define SECOND_NS UINT64_C(1000000000)

/* A log for the cleaner of loop 1, whose jobs take a second each, and a cleaner of another loop. */
struct cleaning {
    struct log_fixture *fixture;
    struct cleaner_permits permits;
    struct cleaner cleaner;
    struct cleaner_permit other;
    struct partition_log *second; /* NULL: there is none */
};

static const struct cleaner_options options = {
    .is_enabled = true,
    .backoff_ns = 1000 * SECOND_NS, /* a test wakes it */
    .map_size_max = 1 << 20,
    .map_load_factor = 0.9,
    .time_percent = 10,
};

/* ---- A second log -----------------------------------------------------------------------------
 */

static void told(void *owner, int64_t end)
{
    (void)owner;
    (void)end;
}

static void told_failed(void *owner, enum storage_status status, int64_t written_end)
{
    (void)owner;
    (void)status;
    (void)written_end;
}

static void opened(struct log_open_job *job)
{
    *(struct partition_log **)job->context = job->log;
}

static struct partition_log *make_log(struct log_fixture *fixture)
{
    static const struct partition_log_events events = {told, told, told_failed};
    struct partition_log *log = NULL;
    struct log_open_job job = {
        .create = true,
        .opened = opened,
        .context = &log,
        .options = {.shard = &fixture->shard,
                    .directory = "/logs/second-0",
                    .topic = VIEW_LITERAL("second"),
                    .topic_id = uuid_of_random(1, 2),
                    .config = fixture->config,
                    .producers = &fixture->producers,
                    .committer = &fixture->directory.committer,
                    .events = &events,
                    .cleaner_offset = -1},
    };
    partition_log_open(&job);
    memory_node_run(&fixture->node);
    assert_non_null(log);
    return log;
}

static void dropped(struct log_close *close, bool clean)
{
    (void)clean;
    *(bool *)close->context = true;
}

static void drop_log(struct log_fixture *fixture, struct partition_log *log)
{
    bool is_done = false;
    struct log_close close = {.closed = dropped, .context = &is_done};
    partition_log_drop(log, &close);
    memory_node_run(&fixture->node);
    assert_true(is_done);
}

/* ---- The cleaner ------------------------------------------------------------------------------
 */

static void ignore_permit(struct cleaner_permit *permit)
{
    (void)permit;
}

static int set_up(void **state)
{
    void *fixture;
    bench_setup(&fixture);
    struct cleaning *cleaning = calloc(1, sizeof(*cleaning));
    cleaning->fixture = fixture;
    struct memory_node *node = &cleaning->fixture->node;
    cleaner_permits_init(&cleaning->permits, memory_node_loop(node, 0), 0);
    cleaner_init(&cleaning->cleaner, &cleaning->fixture->shard, &cleaning->permits, &options);
    cleaning->other = (struct cleaner_permit){.permits = &cleaning->permits,
                                              .loop = memory_node_loop(node, 2),
                                              .granted = ignore_permit,
                                              .home = ignore_permit};
    bench_fill(cleaning->fixture, 100);
    bench_allow_large_segments(cleaning->fixture); /* they become one: few jobs */
    memory_node_advance(node, 2 * SECOND_NS);      /* all of it is durable */
    node->job_ns = SECOND_NS;
    *state = cleaning;
    return 0;
}

static int tear_down(void **state)
{
    struct cleaning *cleaning = *state;
    void *fixture = cleaning->fixture;
    cleaner_stop(&cleaning->cleaner);
    if (cleaning->second)
        drop_log(cleaning->fixture, cleaning->second);
    bench_teardown(&fixture);
    free(cleaning);
    return 0;
}

/* The cleaner looks for work and asks; one compaction may run in the node then. */
static void begin(struct cleaning *cleaning)
{
    struct memory_node *node = &cleaning->fixture->node;
    cleaner_wake(&cleaning->cleaner);
    memory_node_advance(node, 1000000);
    assert_int_equal(cleaning->cleaner.state, CLEANER_ASKING);
    cleaner_permits_set_limit(&cleaning->permits, 1);
    memory_node_run(node);
}

static void it_rests_while_nobody_waits(void **state)
{
    struct cleaning *cleaning = *state;
    struct memory_node *node = &cleaning->fixture->node;
    begin(cleaning);
    assert_int_equal(cleaning->cleaner.state, CLEANER_COMPACTING);
    memory_node_advance(node, 8 * SECOND_NS);
    assert_int_equal(cleaning->cleaner.counters.compactions, 0); /* a second is a tenth of ten */
    for (int i = 0; i < 100 && cleaning->cleaner.counters.compactions == 0; i++)
        memory_node_advance(node, SECOND_NS);
    assert_int_equal(cleaning->cleaner.counters.compactions, 1);
    assert_int_equal(bench_count_records(cleaning->fixture, 3), 1);
}

static void it_does_not_rest_while_another_cleaner_waits(void **state)
{
    struct cleaning *cleaning = *state;
    cleaner_permit_ask(&cleaning->other); /* for a log that is less urgent */
    begin(cleaning);
    assert_int_equal(cleaning->cleaner.counters.compactions, 1);
    assert_int_equal(bench_count_records(cleaning->fixture, 3), 1);
}

static void it_does_not_rest_while_another_log_is_due(void **state)
{
    struct cleaning *cleaning = *state;
    struct log_fixture *fixture = cleaning->fixture;
    struct partition_log *first = fixture->log;
    fixture->node.job_ns = 0;
    cleaning->second = make_log(fixture);
    fixture->log = cleaning->second;
    bench_fill(fixture, 30);
    fixture->log = first;
    memory_node_advance(&fixture->node, 2 * SECOND_NS);
    fixture->node.job_ns = SECOND_NS;
    begin(cleaning);
    assert_int_equal(cleaning->cleaner.counters.compactions, 1);
    /* The last one that is due is compacted in peace. */
    assert_int_equal(cleaning->cleaner.state, CLEANER_COMPACTING);
    for (int i = 0; i < 100 && cleaning->cleaner.counters.compactions == 1; i++)
        memory_node_advance(&fixture->node, SECOND_NS);
    assert_int_equal(cleaning->cleaner.counters.compactions, 2);
    assert_int_equal(bench_count_records(fixture, 3), 1);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(it_rests_while_nobody_waits),
        TEST(it_does_not_rest_while_another_cleaner_waits),
        TEST(it_does_not_rest_while_another_log_is_due),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
