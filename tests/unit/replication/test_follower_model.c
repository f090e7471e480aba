/*
 * Random histories of a few partitions whose leadership wanders between two models and this node,
 * with unclean elections, tails that only one of them has, log starts that move, answers that are
 * held back, cut short, damaged or lost, full disks. After every step the leaders' sessions hold
 * what this node believes; when all comes to rest, every follower's log is its leader's, byte for
 * byte, and so is what it knows of the high watermark and the log start.
 *
 * One argument: the number of histories; two: the first seed as well.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/random.h"
#include "protocol/batch.h"
#include "tests/unit/replication/follower_fixture.h"

#define SECOND UINT64_C(1000000000)

enum { HISTORIES = 60, STEPS = 120, NOBODY = -1 };

static uint64_t first_seed = 1;
static uint64_t history_count = HISTORIES;

static struct {
    struct follower_fixture fixture;
    struct random_stream random;
    unsigned partition_count;
    int32_t leader[FIXTURE_PARTITIONS]; /* FIXTURE_NODE: this node leads */
    int32_t epoch[FIXTURE_PARTITIONS];
    uint64_t port_shift;
} test;

static uint64_t below(uint64_t bound)
{
    return random_below(&test.random, bound);
}

static struct model_log *log_of(int32_t id, unsigned partition)
{
    return &fixture_leader(&test.fixture, id)->logs[partition];
}

static struct replica *replica_of(unsigned partition)
{
    return test.fixture.replica[partition];
}

/* ---- What happens ---- */

static void append(unsigned partition)
{
    if (test.leader[partition] < 2)
        return;
    struct model_log *log = log_of(test.leader[partition], partition);
    if (log->batch_count < MODEL_BATCHES - 10)
        model_append(&test.fixture, log, (int32_t)below(5) + 1, below(3000));
}

/* Never above what this node has asked for, nor below what was. */
static void advance_watermark(unsigned partition)
{
    if (test.leader[partition] < 2)
        return;
    struct model_log *log = log_of(test.leader[partition], partition);
    int64_t end = partition_log_end_offset(replica_of(partition)->log);
    if (end > log->log_end)
        end = log->log_end;
    if (end > log->high_watermark)
        log->high_watermark += (int64_t)below((uint64_t)(end - log->high_watermark) + 1);
}

static void advance_start(unsigned partition)
{
    if (test.leader[partition] < 2)
        return;
    struct model_log *log = log_of(test.leader[partition], partition);
    if (log->high_watermark > log->log_start)
        model_advance_start(
            log,
            log->log_start + (int64_t)below((uint64_t)(log->high_watermark - log->log_start) + 1));
}

/* The other model fetches some of what the leader has. */
static void replicate(unsigned partition)
{
    int32_t leader = test.leader[partition];
    if (leader < 2)
        return;
    struct model_log *other = log_of(leader == 2 ? 3 : 2, partition);
    if (other->log_start == log_of(leader, partition)->log_start)
        model_replicate(other, log_of(leader, partition), below(6));
}

/* What this node has written while it led goes to a model, as far as that has fetched it. */
static void replicate_own(unsigned partition, struct model_log *log, size_t count)
{
    size_t size;
    uint8_t *bytes = fixture_read_log(&test.fixture, partition, &size);
    struct model_log *own = calloc(1, sizeof(*own));
    struct view rest = view_of(bytes, size);
    struct view batch;
    while (batch_next(&rest, &batch) == BATCH_OK)
        model_take_batch(own, batch);
    if (own->batch_count && log->batch_count &&
        own->batches[0].base_offset == log->batches[0].base_offset)
        model_replicate(log, own, count);
    model_clear(own);
    free(own);
    free(bytes);
}

static void append_done(struct log_append *append)
{
    (void)append;
}

/* This node leads for a while, alone. */
static void lead(unsigned partition)
{
    struct replica *replica = replica_of(partition);
    fixture_unfollow(&test.fixture, partition);
    test.leader[partition] = FIXTURE_NODE;
    fixture_lead(&test.fixture, partition, ++test.epoch[partition]);
    for (uint64_t left = below(4); left > 0; left--) {
        struct model_log *made = calloc(1, sizeof(*made));
        made->leader_epoch = test.epoch[partition];
        model_append(&test.fixture, made, (int32_t)below(4) + 1, below(2000));
        struct log_append append = {.data = made->batches[0].bytes,
                                    .size = made->batches[0].size,
                                    .origin = LOG_APPEND_CLIENT,
                                    .leader_epoch = test.epoch[partition],
                                    .done = append_done};
        partition_log_append(replica->log, &append);
        memory_node_run(&test.fixture.node);
        model_clear(made);
        free(made);
    }
    if (below(2))
        replicate_own(partition, log_of(2 + (int32_t)below(2), partition), below(4));
}

static void elect(unsigned partition)
{
    if (below(5) == 0) {
        lead(partition);
        return;
    }
    if (test.leader[partition] == FIXTURE_NODE && below(2))
        return;
    int32_t id = below(8) == 0 ? NOBODY : 2 + (int32_t)below(FIXTURE_LEADERS);
    test.leader[partition] = id;
    fixture_follow(&test.fixture, partition, id, ++test.epoch[partition]);
}

static void come_or_go(unsigned partition)
{
    if (replica_of(partition)->follower)
        fixture_unfollow(&test.fixture, partition);
    else if (test.leader[partition] != FIXTURE_NODE)
        fetchers_follow(&test.fixture.fetchers, replica_of(partition), test.leader[partition]);
}

static void reconfigure(unsigned partition)
{
    struct topic_config config = test.fixture.topic;
    config.durability = below(2) ? TOPIC_DURABILITY_SYNC : TOPIC_DURABILITY_CACHE;
    replica_set_config(replica_of(partition), &config);
    fetchers_reconfigure(&test.fixture.fetchers, replica_of(partition));
}

static void disturb(void)
{
    struct follower_fixture *fixture = &test.fixture;
    struct model_leader *leader = &fixture->leaders[below(FIXTURE_LEADERS)];
    unsigned partition = (unsigned)below(test.partition_count);
    switch (below(8)) {
    case 0:
        fixture_break(fixture, below(2) ? CHANNEL_DISCONNECTED : CHANNEL_TIMED_OUT);
        break;
    case 1:
        leader->error = below(2) ? KAFKA_ERROR_FETCH_SESSION_ID_NOT_FOUND
                                 : KAFKA_ERROR_INVALID_FETCH_SESSION_EPOCH;
        break;
    case 2:
        leader->is_refusing_sessions = below(2);
        break;
    case 3:
        leader->max_bytes = below(2) ? 0 : 1 + (uint32_t)below(5000);
        break;
    case 4:
        leader->logs[partition].is_corrupt = true;
        break;
    case 5:
        leader->logs[partition].error = below(2) ? KAFKA_ERROR_NONE : KAFKA_ERROR_UNKNOWN_TOPIC_ID;
        break;
    case 6:
        memory_node_fail(&fixture->node, STORAGE_WRITE, (int)below(3),
                         below(20) ? STORAGE_NO_SPACE : STORAGE_IO);
        break;
    default:
        fixture_show(fixture, 70, (unsigned)below(2) * 10, 21);
        break;
    }
}

static void check(void)
{
    fixture_assert_sessions(&test.fixture);
    for (unsigned i = 0; i < test.partition_count; i++) {
        const struct follower *follower = replica_of(i)->follower;
        if (follower && follower->state == FOLLOWER_READY)
            assert_true(follower->fetch_offset <= replica_local_end(replica_of(i)));
    }
}

static void step(void)
{
    unsigned partition = (unsigned)below(test.partition_count);
    switch (below(16)) {
    case 0:
    case 1:
    case 2:
    case 3:
        append(partition);
        break;
    case 4:
    case 5:
        advance_watermark(partition);
        break;
    case 6:
        replicate(partition);
        break;
    case 7:
        elect(partition);
        break;
    case 8:
        if (below(3) == 0)
            advance_start(partition);
        break;
    case 9:
        if (below(3) == 0)
            come_or_go(partition);
        break;
    case 10:
        if (below(3) == 0)
            reconfigure(partition);
        break;
    case 11:
        if (below(2))
            disturb();
        break;
    case 12:
        memory_node_advance(&test.fixture.node, below(SECOND));
        break;
    case 13:
        fixture_answer_all(&test.fixture);
        break;
    default:
        fixture_step(&test.fixture);
        break;
    }
    check();
}

/* Nothing disturbs any more, and everybody has a leader. */
static void come_to_rest(void)
{
    struct follower_fixture *fixture = &test.fixture;
    memset(fixture->node.failure, 0, sizeof(fixture->node.failure));
    for (unsigned i = 0; i < FIXTURE_LEADERS; i++) {
        fixture->leaders[i].error = KAFKA_ERROR_NONE;
        fixture->leaders[i].max_bytes = 0;
        fixture->leaders[i].is_refusing_sessions = false;
        for (unsigned j = 0; j < test.partition_count; j++) {
            fixture->leaders[i].logs[j].error = KAFKA_ERROR_NONE;
            fixture->leaders[i].logs[j].is_corrupt = false;
        }
    }
    for (unsigned i = 0; i < test.partition_count; i++) {
        if (test.leader[i] < 2) {
            test.leader[i] = 2 + (int32_t)below(FIXTURE_LEADERS);
            fixture_follow(fixture, i, test.leader[i], ++test.epoch[i]);
        } else if (!replica_of(i)->follower) {
            fetchers_follow(&fixture->fetchers, replica_of(i), test.leader[i]);
        }
    }
    for (unsigned i = 0; i < 40; i++) {
        fixture_run(fixture);
        memory_node_advance(&fixture->node, SECOND / 2);
        fixture_answer_all(fixture);
    }
    fixture_run(fixture);
}

static void check_rest(void)
{
    for (unsigned i = 0; i < test.partition_count; i++) {
        const struct model_log *log = log_of(test.leader[i], i);
        if (replica_of(i)->state == REPLICA_OFFLINE)
            continue;
        const struct follower *follower = replica_of(i)->follower;
        assert_non_null(follower);
        assert_int_equal(follower->state, FOLLOWER_READY);
        fixture_assert_same(&test.fixture, i, log);
        assert_int_equal(follower->leader_high_watermark, log->high_watermark);
        assert_int_equal(follower->leader_log_start, log->log_start);
        assert_true(partition_log_high_watermark(replica_of(i)->log) >= log->high_watermark);
        assert_true(partition_log_start_offset(replica_of(i)->log) >= log->log_start);
    }
}

static void run_history(uint64_t seed)
{
    memset(&test, 0, sizeof(test));
    random_init(&test.random, seed, 0);
    test.partition_count = 1 + (unsigned)below(FIXTURE_PARTITIONS);
    follower_fixture_init(&test.fixture, below(2) ? TOPIC_DURABILITY_SYNC : TOPIC_DURABILITY_CACHE,
                          test.partition_count);
    for (unsigned i = 0; i < test.partition_count; i++) {
        test.leader[i] = 2 + (int32_t)below(FIXTURE_LEADERS);
        fixture_follow(&test.fixture, i, test.leader[i], ++test.epoch[i]);
    }
    for (unsigned i = 0; i < STEPS; i++)
        step();
    come_to_rest();
    check_rest();
    follower_fixture_deinit(&test.fixture);
}

static void followers_end_up_with_their_leaders_logs(void **state)
{
    (void)state;
    for (uint64_t i = 0; i < history_count; i++) {
        fprintf(stderr, "\rseed %llu ", (unsigned long long)(first_seed + i));
        run_history(first_seed + i);
    }
    fprintf(stderr, "\n");
}

int main(int argc, char **argv)
{
    if (argc > 1)
        history_count = strtoull(argv[1], NULL, 10);
    if (argc > 2)
        first_seed = strtoull(argv[2], NULL, 10);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(followers_end_up_with_their_leaders_logs),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
