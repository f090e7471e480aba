/* The committer on a disk that knows what is durable; requests are held to look between the steps.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "log/committer.h"
#include "tests/unit/log/memory_node.h"

enum { PARTITIONS = 4 };

struct test_partition {
    struct commit_partition commit;
    struct commit_file file;
    char directory[32];
    int64_t durable;
    int failed;
    int held, released;
    int64_t position;
};

struct fixture {
    struct memory_node node;
    struct committer committer;
    struct test_partition partitions[PARTITIONS];
    int directory_failed;
    bool stopped;
};

static void on_durable(struct commit_partition *commit, int64_t durable_end)
{
    struct test_partition *p = container_of(commit, struct test_partition, commit);
    assert_true(durable_end > p->durable);
    p->durable = durable_end;
}

static void on_failed(struct commit_partition *commit, enum storage_status status)
{
    (void)status;
    container_of(commit, struct test_partition, commit)->failed++;
}

static void on_hold(struct commit_partition *commit, struct commit_file *file)
{
    (void)commit;
    container_of(file, struct test_partition, file)->held++;
}

static void on_release(struct commit_partition *commit, struct commit_file *file)
{
    (void)commit;
    container_of(file, struct test_partition, file)->released++;
}

static const struct commit_partition_events events = {on_durable, on_failed, on_hold, on_release};

static void on_directory_failed(struct committer *committer, enum storage_status status,
                                void *context)
{
    (void)committer;
    (void)status;
    ((struct fixture *)context)->directory_failed++;
}

static struct storage_file *open_file(struct fixture *f, const char *path)
{
    struct storage_file *file;
    assert_int_equal(storage_run_open(memory_node_storage(&f->node), path,
                                      STORAGE_FLAG_WRITE | STORAGE_FLAG_CREATE, &file, NULL),
                     STORAGE_OK);
    return file;
}

static void begin(struct fixture *f, const struct committer_options *options)
{
    *f = (struct fixture){0};
    memory_node_init(&f->node);
    memory_node_make_directory(&f->node, "/d");
    committer_init(&f->committer, memory_node_loop(&f->node, 1), "/d", options, on_directory_failed,
                   f);
    for (int i = 0; i < PARTITIONS; i++) {
        struct test_partition *p = &f->partitions[i];
        snprintf(p->directory, sizeof(p->directory), "/d/t-%d", i);
        memory_node_make_directory(&f->node, p->directory);
        char path[64];
        snprintf(path, sizeof(path), "%s/00000000000000000000.log", p->directory);
        p->commit = (struct commit_partition){.events = &events,
                                              .topic = VIEW_LITERAL("t"),
                                              .partition = i,
                                              .directory = p->directory,
                                              .recovery_limit = INT64_MAX,
                                              .flush_messages = INT64_MAX,
                                              .flush_ms = INT64_MAX};
        list_link_init(&p->file.link);
        p->file.file = open_file(f, path);
        assert_int_equal(storage_run_path(memory_node_storage(&f->node), STORAGE_SYNC_DIRECTORY,
                                          p->directory, NULL),
                         STORAGE_OK);
        committer_add_partition(&f->committer, &p->commit, 0);
    }
}

static void on_stopped(struct committer *committer)
{
    container_of(committer, struct fixture, committer)->stopped = true;
}

static void end(struct fixture *f)
{
    committer_assert(&f->committer);
    f->node.hold = false;
    for (int i = 0; i < PARTITIONS; i++) {
        if (f->partitions[i].commit.committer)
            committer_remove_partition(&f->partitions[i].commit, NULL);
    }
    committer_stop(&f->committer, on_stopped);
    memory_node_run(&f->node);
    assert_true(f->stopped);
    for (int i = 0; i < PARTITIONS; i++)
        assert_int_equal(f->partitions[i].held, f->partitions[i].released);
    assert_int_equal(f->node.loops[1].heap.used[MEMORY_STATE], 0);
    memory_node_deinit(&f->node);
}

/* Appends `count` records of 10 bytes to the partition's file. */
static void append(struct fixture *f, int index, int count)
{
    struct test_partition *p = &f->partitions[index];
    char data[10] = "abcdefghi";
    struct storage_buffer buffer = {data, sizeof(data)};
    for (int i = 0; i < count; i++) {
        int64_t offset = p->commit.written_end;
        assert_int_equal(
            storage_append(memory_node_storage(&f->node), p->file.file, &buffer, 1, NULL),
            STORAGE_OK);
        committer_written(&p->commit, &p->file, offset, offset + 1, (uint64_t)p->position, &buffer,
                          1, sizeof(data));
        p->position += (int64_t)sizeof(data);
    }
}

static size_t durable_size(struct fixture *f, int index)
{
    char path[64];
    snprintf(path, sizeof(path), "/d/t-%d/00000000000000000000.log", index);
    return memory_node_durable_file(&f->node, path).size;
}

static void nothing_is_synced_before_someone_waits(void **state)
{
    (void)state;
    struct fixture f;
    begin(&f, NULL);
    append(&f, 0, 3);
    memory_node_run(&f.node);
    assert_int_equal(f.committer.counters.syncs, 0);
    assert_int_equal(f.partitions[0].durable, 0);
    committer_request(&f.partitions[0].commit, 3);
    assert_int_equal(f.partitions[0].durable, 0); /* never inside the call */
    memory_node_run(&f.node);
    assert_int_equal(f.partitions[0].durable, 3);
    assert_int_equal(durable_size(&f, 0), 30);
    end(&f);
}

static void a_request_may_come_before_the_write(void **state)
{
    (void)state;
    struct fixture f;
    begin(&f, NULL);
    committer_request(&f.partitions[0].commit, 1);
    memory_node_run(&f.node);
    append(&f, 0, 1);
    memory_node_run(&f.node);
    assert_int_equal(f.partitions[0].durable, 1);
    end(&f);
}

static void what_is_written_during_a_sync_is_covered_by_the_next(void **state)
{
    (void)state;
    struct fixture f;
    begin(&f, NULL);
    f.node.hold = true;
    append(&f, 0, 1);
    committer_request(&f.partitions[0].commit, 1);
    memory_node_run(&f.node);
    assert_int_equal(memory_node_held(&f.node), 1);
    for (int64_t i = 2; i <= 4; i++) {
        append(&f, 0, 1);
        committer_request(&f.partitions[0].commit, i);
    }
    memory_node_run(&f.node);
    assert_int_equal(memory_node_held(&f.node), 1); /* one at a time per file */
    memory_node_complete(&f.node, 0);
    memory_node_run(&f.node);
    assert_int_equal(f.partitions[0].durable, 1); /* what the first sync was submitted for */
    assert_int_equal(memory_node_held(&f.node), 1);
    memory_node_complete(&f.node, 0);
    memory_node_run(&f.node);
    assert_int_equal(f.partitions[0].durable, 4);
    assert_int_equal(f.committer.counters.syncs, 2);
    end(&f);
}

static void syncs_run_in_parallel_up_to_the_bound(void **state)
{
    (void)state;
    struct fixture f;
    begin(&f, &(struct committer_options){.sync_count_max = 3});
    f.node.hold = true;
    for (int i = 0; i < PARTITIONS; i++) {
        append(&f, i, 1);
        committer_request(&f.partitions[i].commit, 1);
    }
    memory_node_run(&f.node);
    assert_int_equal(memory_node_held(&f.node), 3);
    memory_node_complete(&f.node, 2);
    memory_node_run(&f.node);
    assert_int_equal(f.partitions[2].durable, 1);
    assert_int_equal(memory_node_held(&f.node), 3);
    while (memory_node_held(&f.node))
        memory_node_complete(&f.node, 0);
    memory_node_run(&f.node);
    for (int i = 0; i < PARTITIONS; i++)
        assert_int_equal(f.partitions[i].durable, 1);
    end(&f);
}

static void a_new_file_is_durable_only_with_its_directory(void **state)
{
    (void)state;
    struct fixture f;
    begin(&f, NULL);
    f.node.hold = true;
    f.partitions[0].file.is_directory_unsynced = true;
    append(&f, 0, 1);
    committer_request(&f.partitions[0].commit, 1);
    memory_node_run(&f.node);
    assert_int_equal(memory_node_held(&f.node), 2);
    assert_int_equal(memory_node_held_request(&f.node, 0)->operation, STORAGE_SYNC_DIRECTORY);
    memory_node_complete(&f.node, 1);
    memory_node_run(&f.node);
    assert_int_equal(f.partitions[0].durable, 0);
    memory_node_complete(&f.node, 0);
    memory_node_run(&f.node);
    assert_int_equal(f.partitions[0].durable, 1);
    assert_false(f.partitions[0].file.is_directory_unsynced);
    end(&f);
}

static void the_oldest_unsynced_file_holds_the_durable_end(void **state)
{
    (void)state;
    struct fixture f;
    begin(&f, NULL);
    struct test_partition *p = &f.partitions[0];
    append(&f, 0, 2);
    /* A roll: the next two records go into a second file (borrowed from partition 1). */
    struct test_partition *other = &f.partitions[1];
    other->file.segment_base = 2;
    committer_written(&p->commit, &other->file, 2, 4, 0, NULL, 0, 20);
    f.node.hold = true;
    committer_request(&p->commit, 4);
    memory_node_run(&f.node);
    assert_int_equal(memory_node_held(&f.node), 2);
    memory_node_complete(&f.node, 1); /* the newer file first */
    memory_node_run(&f.node);
    assert_int_equal(p->durable, 0);
    assert_int_equal(commit_partition_recovery_point(&p->commit), 0);
    memory_node_complete(&f.node, 0);
    memory_node_run(&f.node);
    assert_int_equal(p->durable, 4);
    end(&f);
}

static void a_sync_that_overlapped_a_truncation_proves_nothing(void **state)
{
    (void)state;
    struct fixture f;
    begin(&f, NULL);
    struct test_partition *p = &f.partitions[0];
    f.node.hold = true;
    append(&f, 0, 4);
    committer_request(&p->commit, 4);
    memory_node_run(&f.node);
    committer_truncated(&p->commit, 2);
    assert_int_equal(p->commit.written_end, 2);
    append(&f, 0, 1);
    committer_request(&p->commit, 3);
    memory_node_run(&f.node);
    assert_int_equal(memory_node_held(&f.node), 1);
    memory_node_complete(&f.node, 0);
    memory_node_run(&f.node);
    assert_int_equal(p->durable, 0); /* the old result is void; a new sync is on its way */
    assert_int_equal(memory_node_held(&f.node), 1);
    memory_node_complete(&f.node, 0);
    memory_node_run(&f.node);
    assert_int_equal(p->durable, 3);
    end(&f);
}

static void a_reset_above_the_end_is_durable_at_once(void **state)
{
    (void)state;
    struct fixture f;
    begin(&f, NULL);
    struct test_partition *p = &f.partitions[0];
    append(&f, 0, 4);
    committer_truncated(&p->commit, 1000);
    memory_node_run(&f.node);
    assert_int_equal(p->durable, 1000);
    assert_int_equal(commit_partition_recovery_point(&p->commit), 1000);
    assert_int_equal(f.committer.unsynced_bytes, 0);
    append(&f, 0, 1);
    committer_request(&p->commit, 1001);
    memory_node_run(&f.node);
    assert_int_equal(p->durable, 1001);
    end(&f);
}

static void a_failed_sync_fails_the_directory_once_and_for_good(void **state)
{
    (void)state;
    struct fixture f;
    begin(&f, NULL);
    for (int i = 0; i < 2; i++) {
        append(&f, i, 1);
        committer_request(&f.partitions[i].commit, 1);
    }
    memory_node_fail(&f.node, STORAGE_SYNC, 0, STORAGE_IO);
    memory_node_run(&f.node);
    assert_int_equal(f.directory_failed, 1);
    for (int i = 0; i < PARTITIONS; i++)
        assert_int_equal(f.partitions[i].failed, 1);
    assert_int_equal(f.partitions[0].durable, 0);
    uint64_t syncs = f.committer.counters.syncs;
    append(&f, 2, 1);
    committer_request(&f.partitions[2].commit, 1);
    committer_fail(&f.committer, STORAGE_IO);
    memory_node_advance(&f.node, UINT64_C(5000000000));
    assert_int_equal(f.committer.counters.syncs, syncs);
    assert_int_equal(f.directory_failed, 1);
    assert_int_equal(f.partitions[2].durable, 0);
    end(&f);
}

static void a_discarded_file_needs_no_sync(void **state)
{
    (void)state;
    struct fixture f;
    begin(&f, NULL);
    struct test_partition *p = &f.partitions[0];
    f.node.hold = true;
    append(&f, 0, 2);
    committer_request(&p->commit, 2);
    memory_node_run(&f.node);
    assert_true(commit_file_is_busy(&p->file));
    committer_discard_file(&p->commit, &p->file);
    assert_true(commit_file_is_busy(&p->file)); /* still held */
    memory_node_complete(&f.node, 0);
    memory_node_run(&f.node);
    assert_false(commit_file_is_busy(&p->file));
    assert_int_equal(p->durable, 2);
    assert_int_equal(f.committer.unsynced_bytes, 0);
    end(&f);
}

static void a_removed_partition_only_gets_its_file_back(void **state)
{
    (void)state;
    struct fixture f;
    begin(&f, NULL);
    struct test_partition *p = &f.partitions[0];
    f.node.hold = true;
    append(&f, 0, 1);
    committer_request(&p->commit, 1);
    memory_node_run(&f.node);
    committer_remove_partition(&p->commit, NULL);
    memory_node_run(&f.node);
    assert_int_equal(p->released, 0);
    memory_node_complete(&f.node, 0);
    memory_node_run(&f.node);
    assert_int_equal(p->released, 1);
    assert_int_equal(p->durable, 0);
    end(&f);
}

static void the_flusher_syncs_after_a_second_without_anyone_waiting(void **state)
{
    (void)state;
    struct fixture f;
    begin(&f, NULL);
    append(&f, 0, 1);
    memory_node_advance(&f.node, 500000000);
    append(&f, 1, 1);
    memory_node_advance(&f.node, 400000000);
    assert_int_equal(f.committer.counters.syncs, 0);
    memory_node_advance(&f.node, 200000000);
    assert_int_equal(f.partitions[0].durable, 1);
    assert_int_equal(f.partitions[1].durable, 0);
    memory_node_advance(&f.node, 500000000);
    assert_int_equal(f.partitions[1].durable, 1);
    memory_node_advance(&f.node, UINT64_C(10000000000));
    assert_int_equal(f.committer.counters.syncs, 2);
    assert_false(timer_is_set(&f.committer.flush_timer)); /* idle: no wake-ups */
    end(&f);
}

static void flush_ms_and_flush_messages_are_upper_bounds(void **state)
{
    (void)state;
    struct fixture f;
    begin(&f, NULL);
    f.partitions[0].commit.flush_ms = 100;
    f.partitions[1].commit.flush_messages = 3;
    append(&f, 0, 1);
    append(&f, 1, 2);
    memory_node_advance(&f.node, 150000000);
    assert_int_equal(f.partitions[0].durable, 1);
    assert_int_equal(f.partitions[1].durable, 0);
    append(&f, 1, 1);
    memory_node_run(&f.node);
    assert_int_equal(f.partitions[1].durable, 3);
    end(&f);
}

static void many_unsynced_bytes_start_the_flusher_early(void **state)
{
    (void)state;
    struct fixture f;
    begin(&f, &(struct committer_options){.flush_bytes = 50});
    append(&f, 0, 4);
    memory_node_run(&f.node);
    assert_int_equal(f.committer.counters.syncs, 0);
    append(&f, 1, 1);
    memory_node_run(&f.node);
    assert_int_equal(f.partitions[0].durable, 4);
    assert_int_equal(f.partitions[1].durable, 1);
    end(&f);
}

struct room {
    struct commit_room_wait wait;
    int ready;
};

static void on_room(struct commit_room_wait *wait)
{
    container_of(wait, struct room, wait)->ready++;
}

static void appends_wait_while_too_much_is_unsynced(void **state)
{
    (void)state;
    struct fixture f;
    struct room room = {.wait = {.ready = on_room}}, cancelled = {.wait = {.ready = on_room}};
    begin(&f, &(struct committer_options){.flush_bytes = 40, .unsynced_bytes_max = 50});
    f.node.hold = true;
    append(&f, 0, 5);
    assert_false(committer_has_room(&f.committer));
    committer_wait_for_room(&f.committer, &room.wait);
    committer_wait_for_room(&f.committer, &cancelled.wait);
    committer_cancel_wait(&cancelled.wait);
    memory_node_run(&f.node);
    assert_int_equal(room.ready, 0);
    memory_node_complete(&f.node, 0);
    memory_node_run(&f.node);
    assert_true(committer_has_room(&f.committer));
    assert_int_equal(room.ready, 1);
    assert_int_equal(cancelled.ready, 0);
    end(&f);
}

static void the_recovery_point_stays_behind_unsynced_side_files(void **state)
{
    (void)state;
    struct fixture f;
    begin(&f, NULL);
    struct test_partition *p = &f.partitions[0];
    append(&f, 0, 5);
    committer_request(&p->commit, 5);
    p->commit.recovery_limit = 3;
    memory_node_run(&f.node);
    assert_int_equal(p->durable, 5);
    assert_int_equal(commit_partition_recovery_point(&p->commit), 3);
    p->commit.recovery_limit = INT64_MAX;
    assert_int_equal(commit_partition_recovery_point(&p->commit), 5);
    end(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_is_synced_before_someone_waits),
        cmocka_unit_test(a_request_may_come_before_the_write),
        cmocka_unit_test(what_is_written_during_a_sync_is_covered_by_the_next),
        cmocka_unit_test(syncs_run_in_parallel_up_to_the_bound),
        cmocka_unit_test(a_new_file_is_durable_only_with_its_directory),
        cmocka_unit_test(the_oldest_unsynced_file_holds_the_durable_end),
        cmocka_unit_test(a_sync_that_overlapped_a_truncation_proves_nothing),
        cmocka_unit_test(a_reset_above_the_end_is_durable_at_once),
        cmocka_unit_test(a_failed_sync_fails_the_directory_once_and_for_good),
        cmocka_unit_test(a_discarded_file_needs_no_sync),
        cmocka_unit_test(a_removed_partition_only_gets_its_file_back),
        cmocka_unit_test(the_flusher_syncs_after_a_second_without_anyone_waiting),
        cmocka_unit_test(flush_ms_and_flush_messages_are_upper_bounds),
        cmocka_unit_test(many_unsynced_bytes_start_the_flusher_early),
        cmocka_unit_test(appends_wait_while_too_much_is_unsynced),
        cmocka_unit_test(the_recovery_point_stays_behind_unsynced_side_files),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
