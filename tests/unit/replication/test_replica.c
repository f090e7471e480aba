/*
 * A replica over a real log on a disk in memory. `hold` keeps device requests back, so a write is
 * done while its sync is not, and the difference between the acknowledgements shows.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "replication/replica_table.h"
#include "tests/unit/log/log_fixture.h"
#include "tests/unit/replication/replica_alone.h"

struct waiter {
    struct fixture_append source; /* owns the bytes */
    struct replica_append append;
    unsigned told;
    unsigned order; /* the how-many-th it was told; 0: not yet */
};

static struct {
    struct log_fixture log;
    struct replica_host host;
    struct replica *replica;
    unsigned told;
    unsigned fired;
} test; /* one test at a time */

static void acknowledged(struct replica_append *append)
{
    struct waiter *waiter = container_of(append, struct waiter, append);
    waiter->told++;
    waiter->order = ++test.told;
}

static void end(void)
{
    test.log.node.hold = false;
    while (memory_node_held(&test.log.node) > 0)
        memory_node_complete(&test.log.node, 0);
    memory_node_run(&test.log.node);
    if (test.replica->state != REPLICA_GONE)
        replica_detach(test.replica, KAFKA_ERROR_NOT_LEADER_OR_FOLLOWER);
    replica_destroy(test.replica);
    replica_host_deinit(&test.host);
    fixture_drop(&test.log);
    fixture_deinit(&test.log);
}

/* Appends one batch; true when it was finished at once. */
static bool append(struct waiter *waiter, int16_t acks)
{
    struct batch_options options = fixture_options();
    memset(waiter, 0, sizeof(*waiter));
    fixture_batch(&test.log, &waiter->source, &options, 2, 10, test.log.node.wall_ms);
    waiter->append.append.data = waiter->source.append.data;
    waiter->append.append.size = waiter->source.append.size;
    waiter->append.append.origin = LOG_APPEND_CLIENT;
    waiter->append.acks = acks;
    waiter->append.done = acknowledged;
    bool finished = replica_append(test.replica, &waiter->append);
    replica_assert(test.replica);
    return finished;
}

static void release(struct waiter *waiter)
{
    fixture_append_free(&test.log, &waiter->source);
}

static void begin(enum topic_durability durability)
{
    memset(&test, 0, sizeof(test));
    fixture_init(&test.log);
    test.log.topic.durability = durability;
    test.log.topic.cleanup_delete = true;
    log_config_of_topic(&test.log.config, &test.log.topic);
    fixture_create(&test.log);
    assert_non_null(test.log.log);
    struct uuid id = partition_log_topic_id(test.log.log);
    const struct replica_host_options host_options = {
        .loop = memory_node_loop(&test.log.node, 1), .heap = &test.log.heap, .node_id = 1};
    replica_host_init(&test.host, &host_options, 1);
    test.replica = replica_create(&test.host, VIEW_LITERAL("topic"), id, 0, &test.log.topic);
    replica_attach(test.replica, test.log.log);
    replica_lead_alone(test.replica, 3, 0);
    memory_node_run(&test.log.node);
    /* One batch, so that the segment file is open before a test holds requests back. */
    struct waiter first;
    append(&first, -1);
    memory_node_run(&test.log.node);
    assert_int_equal(first.append.error, KAFKA_ERROR_NONE);
    release(&first);
    test.told = 0;
}

static void run(void)
{
    memory_node_run(&test.log.node);
    if (test.replica->state == REPLICA_LEADING)
        replica_assert(test.replica);
}

static void sync_all(void)
{
    while (memory_node_held(&test.log.node) > 0) {
        memory_node_complete(&test.log.node, 0);
        memory_node_run(&test.log.node);
    }
    run();
}

/* ---- Claims ---- */

static void in_sync_mode_every_acknowledgement_waits_for_the_disk(void **state)
{
    (void)state;
    begin(TOPIC_DURABILITY_SYNC);
    struct waiter all, one, none;
    test.log.node.hold = true;
    assert_false(append(&all, -1));
    assert_false(append(&one, 1));
    assert_false(append(&none, 0));
    run();
    assert_int_equal(all.told, 0);
    assert_int_equal(one.told, 0);
    assert_int_equal(none.told, 1);
    assert_int_equal(replica_high_watermark(test.replica), 2);
    sync_all();
    assert_int_equal(all.told, 1);
    assert_int_equal(one.told, 1);
    assert_int_equal(all.append.error, KAFKA_ERROR_NONE);
    assert_int_equal(replica_high_watermark(test.replica), 8);
    release(&all), release(&one), release(&none);
    end();
}

static void in_cache_mode_no_acknowledgement_waits_for_the_disk(void **state)
{
    (void)state;
    begin(TOPIC_DURABILITY_CACHE);
    struct waiter all, one;
    test.log.node.hold = true;
    assert_false(append(&all, -1));
    assert_false(append(&one, 1));
    run();
    assert_int_equal(all.told, 1);
    assert_int_equal(one.told, 1);
    assert_int_equal(replica_high_watermark(test.replica), 6);
    assert_true(partition_log_durable_end(test.log.log) < 6);
    release(&all), release(&one);
    end();
}

static void acknowledgements_come_in_the_order_of_offsets(void **state)
{
    (void)state;
    begin(TOPIC_DURABILITY_SYNC);
    struct waiter waiters[8];
    for (unsigned i = 0; i < 8; i++)
        assert_false(append(&waiters[i], -1));
    run();
    for (unsigned i = 0; i < 8; i++) {
        assert_int_equal(waiters[i].order, i + 1);
        assert_int_equal(waiters[i].append.append.base_offset, 2 * i + 2);
        release(&waiters[i]);
    }
    end();
}

static void nothing_is_told_inside_the_append(void **state)
{
    (void)state;
    begin(TOPIC_DURABILITY_CACHE);
    struct waiter waiter;
    assert_false(append(&waiter, 0));
    assert_int_equal(waiter.told, 0);
    run();
    assert_int_equal(waiter.told, 1);
    release(&waiter);
    end();
}

static void a_failed_sync_fails_the_replica_and_tells_who_waits(void **state)
{
    (void)state;
    begin(TOPIC_DURABILITY_SYNC);
    struct waiter waiter;
    memory_node_fail(&test.log.node, STORAGE_SYNC, 0, STORAGE_IO);
    assert_false(append(&waiter, -1));
    run();
    assert_int_equal(waiter.told, 1);
    assert_int_equal(waiter.append.error, KAFKA_ERROR_KAFKA_STORAGE_ERROR);
    assert_int_equal(test.replica->state, REPLICA_OFFLINE);
    assert_int_equal(replica_check(test.replica, -1), KAFKA_ERROR_KAFKA_STORAGE_ERROR);
    release(&waiter);
    end();
}

static void leader_epochs_are_compared_with_what_the_requester_knows(void **state)
{
    (void)state;
    begin(TOPIC_DURABILITY_SYNC);
    static const struct {
        int32_t epoch;
        enum kafka_error error;
    } cases[] = {
        {-1, KAFKA_ERROR_NONE},
        {3, KAFKA_ERROR_NONE},
        {2, KAFKA_ERROR_FENCED_LEADER_EPOCH},
        {4, KAFKA_ERROR_UNKNOWN_LEADER_EPOCH},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        assert_int_equal(replica_check(test.replica, cases[i].epoch), cases[i].error);
    replica_lead_alone(test.replica, 4, 1);
    assert_int_equal(replica_check(test.replica, 3), KAFKA_ERROR_FENCED_LEADER_EPOCH);
    assert_int_equal(replica_check(test.replica, 4), KAFKA_ERROR_NONE);
    run();
    assert_int_equal(partition_log_latest_epoch(test.log.log), 4);
    end();
}

static void fired(struct replica_watch *watch)
{
    (void)watch;
    test.fired++;
}

static void a_watch_fires_once_when_the_high_watermark_moves(void **state)
{
    (void)state;
    begin(TOPIC_DURABILITY_SYNC);
    struct replica_watch watch = {.fired = fired}, other = {.fired = fired};
    replica_watch(test.replica, &watch);
    replica_watch(test.replica, &other);
    replica_unwatch(&other);
    struct waiter first, second;
    test.log.node.hold = true;
    append(&first, -1);
    run();
    assert_int_equal(test.fired, 0);
    test.log.node.hold = false;
    sync_all();
    assert_int_equal(test.fired, 1);
    append(&second, -1);
    run();
    assert_int_equal(test.fired, 1);
    release(&first), release(&second);
    end();
}

static void detaching_tells_everybody_who_waits(void **state)
{
    (void)state;
    begin(TOPIC_DURABILITY_SYNC);
    struct waiter all, one;
    struct replica_watch watch = {.fired = fired};
    test.log.node.hold = true;
    append(&all, -1);
    append(&one, 1);
    run();
    replica_watch(test.replica, &watch);
    assert_ptr_equal(replica_detach(test.replica, KAFKA_ERROR_UNKNOWN_TOPIC_OR_PARTITION),
                     test.log.log);
    assert_int_equal(all.append.error, KAFKA_ERROR_UNKNOWN_TOPIC_OR_PARTITION);
    assert_int_equal(one.append.error, KAFKA_ERROR_UNKNOWN_TOPIC_OR_PARTITION);
    assert_int_equal(test.told, 2);
    assert_int_equal(test.fired, 1);
    end();
    assert_int_equal(test.told, 2);
    release(&all), release(&one);
}

static void changing_to_sync_makes_what_was_written_before_durable(void **state)
{
    (void)state;
    begin(TOPIC_DURABILITY_CACHE);
    struct waiter before, after;
    append(&before, -1);
    run();
    assert_int_equal(replica_high_watermark(test.replica), 4);
    struct topic_config config = test.log.topic;
    config.durability = TOPIC_DURABILITY_SYNC;
    replica_set_config(test.replica, &config);
    run();
    assert_int_equal(partition_log_durable_end(test.log.log), 4);
    assert_false(append(&after, -1));
    run();
    assert_int_equal(after.told, 1);
    assert_int_equal(partition_log_durable_end(test.log.log), 6);
    release(&before), release(&after);
    end();
}

struct turn {
    struct replica_turn turn;
    unsigned order; /* the how-many-th to go; 0: not yet */
    bool was_alive;
};

static void gone(struct replica_turn *turn, struct replica *replica)
{
    struct turn *one = container_of(turn, struct turn, turn);
    one->order = ++test.told;
    one->was_alive = replica != NULL;
}

static void turns_go_in_the_order_in_which_they_were_taken(void **state)
{
    (void)state;
    begin(TOPIC_DURABILITY_SYNC);
    struct turn turns[3] = {0};
    assert_false(replica_is_turn_needed(test.replica));
    for (unsigned i = 0; i < 3; i++) {
        turns[i].turn.go = gone;
        replica_turn_begin(test.replica, &turns[i].turn);
    }
    replica_turn_ready(&turns[2].turn);
    replica_turn_ready(&turns[1].turn);
    assert_int_equal(test.told, 0);
    assert_true(replica_is_turn_needed(test.replica));
    replica_turn_ready(&turns[0].turn);
    for (unsigned i = 0; i < 3; i++) {
        assert_int_equal(turns[i].order, i + 1);
        assert_true(turns[i].was_alive);
    }
    assert_false(replica_is_turn_needed(test.replica));
    end();
}

static void a_turn_outlives_its_replica(void **state)
{
    (void)state;
    begin(TOPIC_DURABILITY_SYNC);
    struct turn first = {.turn.go = gone}, second = {.turn.go = gone};
    replica_turn_begin(test.replica, &first.turn);
    replica_turn_begin(test.replica, &second.turn);
    replica_turn_ready(&second.turn);
    replica_detach(test.replica, KAFKA_ERROR_NOT_LEADER_OR_FOLLOWER);
    assert_int_equal(second.order, 1);
    assert_false(second.was_alive);
    assert_int_equal(first.order, 0);
    end();
    replica_turn_ready(&first.turn);
    assert_int_equal(first.order, 2);
    assert_false(first.was_alive);
}

static enum kafka_error delete_below(int64_t offset)
{
    return replica_delete_records(test.replica, &offset);
}

static void records_are_deleted_up_to_the_high_watermark_only(void **state)
{
    (void)state;
    begin(TOPIC_DURABILITY_SYNC);
    struct waiter waiters[3];
    for (unsigned i = 0; i < 3; i++)
        append(&waiters[i], -1);
    run();
    assert_int_equal(delete_below(9), KAFKA_ERROR_OFFSET_OUT_OF_RANGE);
    assert_int_equal(delete_below(-2), KAFKA_ERROR_OFFSET_OUT_OF_RANGE);
    assert_int_equal(delete_below(3), KAFKA_ERROR_NONE);
    assert_int_equal(partition_log_start_offset(test.log.log), 3);
    assert_int_equal(delete_below(1), KAFKA_ERROR_NONE);
    assert_int_equal(partition_log_start_offset(test.log.log), 3);
    int64_t offset = -1;
    assert_int_equal(replica_delete_records(test.replica, &offset), KAFKA_ERROR_NONE);
    assert_int_equal(offset, 8);
    assert_int_equal(partition_log_start_offset(test.log.log), 8);
    struct topic_config config = test.log.topic;
    config.cleanup_delete = false;
    replica_set_config(test.replica, &config);
    assert_int_equal(delete_below(-1), KAFKA_ERROR_POLICY_VIOLATION);
    run();
    for (unsigned i = 0; i < 3; i++)
        release(&waiters[i]);
    end();
}

/* Follows broker 2, in an assignment of both. */
static void follow(int32_t leader, int32_t leader_epoch, int32_t partition_epoch)
{
    static const int32_t both[] = {1, 2};
    const struct replica_assignment assignment = {
        .leader = leader,
        .leader_epoch = leader_epoch,
        .partition_epoch = partition_epoch,
        .replicas = {both, 2},
        .isr = {both + 1, 1},
    };
    replica_follow(test.replica, &assignment);
}

static void who_waits_is_told_when_another_broker_leads(void **state)
{
    (void)state;
    begin(TOPIC_DURABILITY_SYNC);
    struct replica_watch watch = {.fired = fired};
    replica_watch(test.replica, &watch);
    struct waiter all, one;
    test.log.node.hold = true;
    append(&all, -1);
    append(&one, 1);
    memory_node_run(&test.log.node);
    follow(2, 4, 1);
    assert_int_equal(test.replica->state, REPLICA_FOLLOWING);
    assert_int_equal(test.replica->leader_id, 2);
    assert_int_equal(all.told, 1);
    assert_int_equal(all.append.error, KAFKA_ERROR_NOT_LEADER_OR_FOLLOWER);
    assert_int_equal(one.append.error, KAFKA_ERROR_NOT_LEADER_OR_FOLLOWER);
    assert_int_equal(test.fired, 1);
    sync_all();
    assert_int_equal(replica_high_watermark(test.replica), 2); /* the leader's to move */
    assert_int_equal(replica_check(test.replica, -1), KAFKA_ERROR_NOT_LEADER_OR_FOLLOWER);
    assert_int_equal(replica_check(test.replica, 5), KAFKA_ERROR_UNKNOWN_LEADER_EPOCH);
    assert_int_equal(replica_check_any(test.replica, 4), KAFKA_ERROR_NONE);
    assert_int_equal(replica_check_any(test.replica, 3), KAFKA_ERROR_FENCED_LEADER_EPOCH);
    release(&all), release(&one);
    end();
}

static void leading_again_begins_an_epoch_at_the_log_end(void **state)
{
    (void)state;
    begin(TOPIC_DURABILITY_SYNC);
    struct waiter waiter;
    append(&waiter, -1);
    run();
    follow(2, 4, 1);
    follow(IMAGE_LEADER_NONE, 5, 2);
    assert_int_equal(test.replica->leader_id, IMAGE_LEADER_NONE);
    assert_int_equal(partition_log_latest_epoch(test.log.log), 3); /* a follower begins none */
    replica_lead_alone(test.replica, 6, 3);
    assert_int_equal(test.replica->epoch_start_offset, 4);
    assert_int_equal(partition_log_latest_epoch(test.log.log), 6);
    assert_int_equal(replica_check(test.replica, 6), KAFKA_ERROR_NONE);
    release(&waiter);
    end();
}

static void old_metadata_changes_nothing(void **state)
{
    (void)state;
    begin(TOPIC_DURABILITY_SYNC);
    replica_lead_alone(test.replica, 4, 7);
    follow(2, 3, 6);
    assert_int_equal(test.replica->state, REPLICA_LEADING);
    assert_int_equal(test.replica->partition_epoch, 7);
    run();
    end();
}

static void the_table_finds_replicas_by_topic_id_and_partition(void **state)
{
    (void)state;
    struct heap heap;
    heap_init_plain(&heap);
    struct topic_config config;
    struct arena arena;
    arena_init(&arena, &heap, MEMORY_SCRATCH, 0);
    topic_config_default(&config, &arena);
    arena_deinit(&arena);
    struct replica_table table;
    struct replica_host host;
    const struct replica_host_options host_options = {.heap = &heap, .node_id = 1};
    replica_host_init(&host, &host_options, 2);
    replica_table_init(&table, &heap, 1);
    struct uuid a = uuid_of_halves(1, 2), b = uuid_of_halves(1, 3);
    struct replica *first = replica_create(&host, VIEW_LITERAL("a"), a, 0, &config);
    struct replica *second = replica_create(&host, VIEW_LITERAL("b"), b, 0, &config);
    replica_table_add(&table, first);
    replica_table_add(&table, second);
    /* Equal settings are one copy, until one of the two gets others. */
    assert_ptr_equal(first->settings, second->settings);
    config.retention_ms = 12345;
    replica_set_config(second, &config);
    assert_ptr_not_equal(first->settings, second->settings);
    assert_int_equal(replica_config(second)->retention_ms, 12345);
    assert_int_not_equal(replica_config(first)->retention_ms, 12345);
    assert_ptr_equal(replica_table_find(&table, a, 0), first);
    assert_ptr_equal(replica_table_find(&table, b, 0), second);
    assert_null(replica_table_find(&table, a, 1));
    assert_null(replica_table_find(&table, UUID_ZERO, 0));
    assert_int_equal(replica_check(first, -1), KAFKA_ERROR_NOT_LEADER_OR_FOLLOWER);
    replica_table_remove(&table, first);
    assert_null(replica_table_find(&table, a, 0));
    replica_destroy(first);
    replica_table_remove(&table, second);
    replica_destroy(second);
    replica_table_deinit(&table);
    replica_host_deinit(&host);
    assert_int_equal(heap.used[MEMORY_STATE], 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(in_sync_mode_every_acknowledgement_waits_for_the_disk),
        cmocka_unit_test(in_cache_mode_no_acknowledgement_waits_for_the_disk),
        cmocka_unit_test(acknowledgements_come_in_the_order_of_offsets),
        cmocka_unit_test(nothing_is_told_inside_the_append),
        cmocka_unit_test(a_failed_sync_fails_the_replica_and_tells_who_waits),
        cmocka_unit_test(leader_epochs_are_compared_with_what_the_requester_knows),
        cmocka_unit_test(a_watch_fires_once_when_the_high_watermark_moves),
        cmocka_unit_test(detaching_tells_everybody_who_waits),
        cmocka_unit_test(changing_to_sync_makes_what_was_written_before_durable),
        cmocka_unit_test(turns_go_in_the_order_in_which_they_were_taken),
        cmocka_unit_test(a_turn_outlives_its_replica),
        cmocka_unit_test(records_are_deleted_up_to_the_high_watermark_only),
        cmocka_unit_test(who_waits_is_told_when_another_broker_leads),
        cmocka_unit_test(leading_again_begins_an_epoch_at_the_log_end),
        cmocka_unit_test(old_metadata_changes_nothing),
        cmocka_unit_test(the_table_finds_replicas_by_topic_id_and_partition),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
