/* Log directories: the start of a node, refusals, checkpoints, failure, the clean stop. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "log/directory_owner.h"
#include "log/file_content.h"
#include "log/log_directory.h"
#include "log/partition_metadata.h"
#include "tests/unit/log/memory_node.h"

static const char *const two_paths[] = {"/a/data", "/b"};
static struct uuid fresh_ids[2];

struct boot {
    struct log_boot_job job;
    bool done;
};

static void on_boot(struct job *job)
{
    struct log_boot_job *boot = container_of(job, struct log_boot_job, job);
    container_of(boot, struct boot, job)->done = true;
}

static void start_boot(struct memory_node *node, struct boot *boot)
{
    fresh_ids[0] = uuid_of_random(1, 1);
    fresh_ids[1] = uuid_of_random(2, 2);
    *boot = (struct boot){.job = {.paths = two_paths,
                                  .path_count = 2,
                                  .metadata_path = two_paths[0],
                                  .node_id = 1,
                                  .new_cluster_id = VIEW_LITERAL("cluster-x"),
                                  .may_format = true,
                                  .new_directory_ids = fresh_ids}};
    log_boot_init(&boot->job);
    boot->job.job.done = on_boot;
    loop_start_job(memory_node_loop(node, 0), &boot->job.job);
}

static void run_boot(struct memory_node *node, struct boot *boot)
{
    start_boot(node, boot);
    memory_node_run(node);
    assert_true(boot->done);
}

/* Gives locks and memory back, so that another start can follow. */
static void end_boot(struct memory_node *node, struct boot *boot)
{
    for (size_t i = 0; i < 2; i++) {
        if (boot->job.found[i].lock)
            storage_run_close(memory_node_storage(node), boot->job.found[i].lock);
    }
    log_boot_release(&boot->job);
    for (int i = 0; i < MEMORY_CLASSES; i++)
        assert_int_equal(boot->job.job.heap.used[i], 0);
}

static void begin(struct memory_node *node)
{
    memory_node_init(node);
    memory_node_make_directory(node, "/a");
}

static void put_partition(struct memory_node *node, const char *path, struct uuid topic_id)
{
    memory_node_make_directory(node, path);
    assert_int_equal(partition_metadata_write(memory_node_storage(node), path, topic_id),
                     STORAGE_OK);
}

static void empty_directories_are_made_and_formatted(void **state)
{
    (void)state;
    struct memory_node node;
    struct boot boot;
    begin(&node);
    run_boot(&node, &boot);
    assert_int_equal(boot.job.status, LOG_BOOT_OK);
    assert_string_equal(boot.job.cluster_id_found, "cluster-x");
    for (size_t i = 0; i < 2; i++) {
        assert_true(boot.job.found[i].is_formatted_now);
        assert_false(boot.job.found[i].is_clean);
        assert_true(uuid_equal(boot.job.found[i].meta.directory_id, fresh_ids[i]));
    }
    end_boot(&node, &boot);
    /* The second start finds the same identity. */
    run_boot(&node, &boot);
    assert_int_equal(boot.job.status, LOG_BOOT_OK);
    assert_false(boot.job.found[0].is_formatted_now);
    assert_string_equal(boot.job.found[1].meta.cluster_id, "cluster-x");
    end_boot(&node, &boot);
    memory_node_deinit(&node);
}

static void partitions_are_found_with_their_offsets(void **state)
{
    (void)state;
    struct memory_node node;
    struct boot boot;
    begin(&node);
    run_boot(&node, &boot);
    end_boot(&node, &boot);
    put_partition(&node, "/b/t-1", UUID_ONE);
    put_partition(&node, "/b/t-0.0123456789abcdef0123456789abcdef-stray", UUID_ONE);
    memory_node_make_directory(&node, "/b/u-0.0123456789abcdef0123456789abcdef-delete");
    memory_node_make_directory(&node, "/b/v-0");
    memory_node_make_directory(&node, "/b/__cluster_metadata-0");
    memory_node_put_file(&node, "/b/klamm-state", VIEW_LITERAL("?"));
    memory_node_put_file(&node, "/b/recovery-point-offset-checkpoint",
                         VIEW_LITERAL("0\n1\nt 1 70\n"));
    memory_node_put_file(&node, "/b/log-start-offset-checkpoint", VIEW_LITERAL("0\n1\nt 1 5\n"));
    memory_node_put_file(&node, "/b/replication-offset-checkpoint", VIEW_LITERAL("0\n9\ndamaged"));
    run_boot(&node, &boot);
    assert_int_equal(boot.job.status, LOG_BOOT_OK);
    const struct log_directory_found *found = &boot.job.found[1];
    assert_int_equal(found->entry_count, 4);
    assert_int_equal(found->entries[0].parsed.kind, DIRECTORY_STRAY);
    assert_string_equal(found->entries[1].name, "t-1");
    assert_int_equal(found->entries[1].recovery_point, 70);
    assert_int_equal(found->entries[1].log_start_offset, 5);
    assert_int_equal(found->entries[1].high_watermark, 0);
    assert_true(uuid_equal(found->entries[1].topic_id, UUID_ONE));
    assert_int_equal(found->entries[2].parsed.kind, DIRECTORY_DELETE);
    assert_true(uuid_is_zero(found->entries[3].topic_id)); /* v-0 has no partition.metadata */
    end_boot(&node, &boot);
    memory_node_deinit(&node);
}

static void the_clean_marker_counts_once(void **state)
{
    (void)state;
    struct memory_node node;
    struct boot boot;
    begin(&node);
    run_boot(&node, &boot);
    end_boot(&node, &boot);
    assert_int_equal(log_directory_write_clean_marker(memory_node_storage(&node), "/b", 42),
                     STORAGE_OK);
    memory_node_make_directory(&node, "/b"); /* durable, as any directory of long standing */
    run_boot(&node, &boot);
    assert_true(boot.job.found[1].is_clean);
    assert_int_equal(boot.job.found[1].clean_broker_epoch, 42);
    assert_false(boot.job.found[0].is_clean);
    end_boot(&node, &boot);
    memory_node_crash(&node); /* the removal was durable */
    assert_false(memory_node_exists(&node, "/b/.kafka_cleanshutdown"));
    memory_node_deinit(&node);
}

static void markers_are_json_with_or_without_an_epoch(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int64_t epoch;
    } cases[] = {
        {"{\"version\":0,\"brokerEpoch\":17}", 17},
        {"{\"brokerEpoch\": -1,\"version\":0}", -1},
        {"{\"version\":0}", -1},
        {"", -1},
        {"{\"brokerEpoch\":x}", -1},
        {"{\"brokerEpoch\"", -1},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        assert_int_equal(log_directory_parse_clean_marker(view_of_string(cases[i].text)),
                         cases[i].epoch);
}

/* Starts over what `prepare` left and expects a refusal that says `word`. */
static void expect_refusal(struct memory_node *node, const char *word)
{
    struct boot boot;
    run_boot(node, &boot);
    assert_int_equal(boot.job.status, LOG_BOOT_REFUSED);
    assert_non_null(strstr(boot.job.message, word));
    assert_null(strchr(boot.job.message, '\n'));
    end_boot(node, &boot);
}

static void put_meta(struct memory_node *node, const char *path, const char *cluster,
                     int32_t node_id, struct uuid id)
{
    struct meta_properties meta = {.version = 1, .node_id = node_id, .directory_id = id};
    snprintf(meta.cluster_id, sizeof(meta.cluster_id), "%s", cluster);
    assert_int_equal(log_directory_write_meta(memory_node_storage(node), path, &meta), STORAGE_OK);
}

static void what_a_person_must_repair_is_refused_in_one_line(void **state)
{
    (void)state;
    struct memory_node node;
    struct boot boot, second;

    begin(&node);
    run_boot(&node, &boot);
    start_boot(&node, &second); /* while the first holds the locks */
    memory_node_run(&node);
    assert_int_equal(second.job.status, LOG_BOOT_REFUSED);
    assert_non_null(strstr(second.job.message, "in use by another process"));
    log_boot_release(&second.job);
    end_boot(&node, &boot);

    put_meta(&node, "/b", "other", 1, fresh_ids[1]);
    expect_refusal(&node, "cluster other");
    put_meta(&node, "/b", "cluster-x", 2, fresh_ids[1]);
    expect_refusal(&node, "belongs to node 2, but node.id is 1");
    put_meta(&node, "/b", "cluster-x", 1, fresh_ids[0]);
    expect_refusal(&node, "same directory.id");
    put_meta(&node, "/b", "cluster-x", 1, fresh_ids[1]);
    memory_node_put_file(&node, "/a/data/meta.properties", VIEW_LITERAL("version=7\n"));
    expect_refusal(&node, "/a/data/meta.properties cannot be used");
    put_meta(&node, "/a/data", "cluster-x", 1, fresh_ids[0]);
    log_directory_write_clean_marker(memory_node_storage(&node), "/a/data", 1);
    memory_node_make_directory(&node, "/b/lost+found");
    expect_refusal(&node, "lost+found");
    /* A refused start has not used the marker up. */
    assert_true(memory_node_exists(&node, "/a/data/.kafka_cleanshutdown"));
    storage_run_path(memory_node_storage(&node), STORAGE_REMOVE_DIRECTORY, "/b/lost+found", NULL);
    memory_node_make_directory(&node, "/b/t-1");
    memory_node_make_directory(&node, "/a/data/t-1");
    expect_refusal(&node, "partition t-1 is in both");
    memory_node_deinit(&node);
}

static void an_unformatted_directory_is_refused_when_formatting_is_not_allowed(void **state)
{
    (void)state;
    struct memory_node node;
    struct boot boot;
    begin(&node);
    start_boot(&node, &boot);
    boot.job.may_format = false;
    memory_node_run(&node);
    assert_int_equal(boot.job.status, LOG_BOOT_REFUSED);
    assert_non_null(strstr(boot.job.message, "not formatted"));
    end_boot(&node, &boot);
    memory_node_deinit(&node);
}

static void a_voters_metadata_is_never_formatted_by_a_start(void **state)
{
    (void)state;
    struct memory_node node;
    struct boot boot;
    begin(&node);
    start_boot(&node, &boot);
    boot.job.metadata_must_be_formatted = true;
    memory_node_run(&node);
    assert_int_equal(boot.job.status, LOG_BOOT_REFUSED);
    assert_true(boot.job.is_unformatted);
    assert_non_null(strstr(boot.job.message, boot.job.metadata_path));
    end_boot(&node, &boot);
    memory_node_deinit(&node);
}

static void a_device_error_takes_one_directory_offline(void **state)
{
    (void)state;
    struct memory_node node;
    struct boot boot;
    begin(&node);
    run_boot(&node, &boot);
    end_boot(&node, &boot);
    memory_node_fail(&node, STORAGE_LIST, 1, STORAGE_IO); /* of the second directory */
    run_boot(&node, &boot);
    assert_int_equal(boot.job.status, LOG_BOOT_OK);
    assert_false(boot.job.found[0].is_failed);
    assert_true(boot.job.found[1].is_failed);
    end_boot(&node, &boot);
    memory_node_fail(&node, STORAGE_LIST, 0, STORAGE_IO); /* of the one with the metadata */
    run_boot(&node, &boot);
    assert_int_equal(boot.job.status, LOG_BOOT_IO);
    assert_non_null(strstr(boot.job.message, "/a/data"));
    end_boot(&node, &boot);
    memory_node_deinit(&node);
}

static void deleting_renames_first_and_is_resumed(void **state)
{
    (void)state;
    struct memory_node node;
    struct log_path renamed;
    bool is_finished;
    memory_node_init(&node);
    memory_node_make_directory(&node, "/b");
    put_partition(&node, "/b/t-1", UUID_ONE);
    memory_node_put_file(&node, "/b/t-1/00000000000000000000.log", VIEW_LITERAL("x"));
    struct storage storage = memory_node_storage(&node);
    assert_int_equal(log_directory_mark(storage, "/b", VIEW_LITERAL("t"), 1, DIRECTORY_DELETE,
                                        uuid_of_random(5, 6), &renamed),
                     STORAGE_OK);
    assert_false(memory_node_exists(&node, "/b/t-1"));
    assert_int_equal(
        log_directory_remove(storage, renamed.text, &node.loops[0].heap, 1, &is_finished),
        STORAGE_OK);
    assert_false(is_finished);
    assert_int_equal(
        log_directory_remove(storage, renamed.text, &node.loops[0].heap, 10, &is_finished),
        STORAGE_OK);
    assert_true(is_finished);
    assert_false(memory_node_exists(&node, renamed.text));
    log_directory_remove(storage, renamed.text, &node.loops[0].heap, 10, &is_finished);
    assert_true(is_finished);
    memory_node_deinit(&node);
}

/* ---- The owner ------------------------------------------------------------------------------ */

struct owner_fixture {
    struct memory_node node;
    struct directory_owner owner;
    struct directory_shard shards[2]; /* on loops 1 and 2 */
    struct commit_partition partitions[2];
    int owner_failed, shard_failed, partition_failed;
    int shards_stopped;
};

static struct owner_fixture *fixture;

static void ignore_durable(struct commit_partition *partition, int64_t durable_end)
{
    (void)partition;
    (void)durable_end;
}

static void count_failed(struct commit_partition *partition, enum storage_status status)
{
    (void)partition;
    (void)status;
    fixture->partition_failed++;
}

static const struct commit_partition_events partition_events = {
    .durable = ignore_durable,
    .failed = count_failed,
};

static void count_shard(struct directory_shard *shard, void *context)
{
    (void)context;
    assert_true(shard->is_failed);
    fixture->shard_failed++;
}

static void count_owner(struct directory_owner *owner, enum storage_status status, void *context)
{
    (void)status;
    (void)context;
    assert_int_equal(owner->generation, 1);
    fixture->owner_failed++;
}

static void begin_owner(struct owner_fixture *f)
{
    fixture = f;
    *f = (struct owner_fixture){0};
    memory_node_init(&f->node);
    memory_node_make_directory(&f->node, "/b");
    struct log_directory_found found = {0};
    log_path_set(&found.path, "/b");
    struct storage_request lock = {.operation = STORAGE_LOCK, .path = "/b/.lock"};
    assert_int_equal(storage_run(memory_node_storage(&f->node), &lock), STORAGE_OK);
    found.lock = lock.file;
    directory_owner_init(&f->owner, memory_node_loop(&f->node, 0), 3, &found, NULL, count_owner,
                         NULL);
    directory_owner_loaded(&f->owner);
    for (unsigned i = 0; i < 2; i++) {
        directory_shard_init(&f->shards[i], memory_node_loop(&f->node, i + 1), 3, "/b", &f->owner,
                             NULL, count_shard, NULL);
        directory_owner_attach(&f->owner, &f->shards[i]);
        f->partitions[i] = (struct commit_partition){.events = &partition_events,
                                                     .topic = VIEW_LITERAL("t"),
                                                     .partition = (int32_t)i,
                                                     .directory = "/b/t-0",
                                                     .recovery_limit = INT64_MAX,
                                                     .log_start_offset = 10 * i,
                                                     .high_watermark = 20 + i};
        committer_add_partition(&f->shards[i].committer, &f->partitions[i], 30 + i);
    }
}

static void count_stopped(struct directory_shard *shard)
{
    (void)shard;
    fixture->shards_stopped++;
}

static void end_owner(struct owner_fixture *f)
{
    for (unsigned i = 0; i < 2; i++) {
        if (f->partitions[i].committer)
            committer_remove_partition(&f->partitions[i], NULL);
        directory_shard_stop(&f->shards[i], count_stopped);
    }
    memory_node_run(&f->node);
    assert_int_equal(f->shards_stopped, 2);
    for (unsigned i = 0; i < MEMORY_NODE_LOOPS; i++)
        assert_int_equal(f->node.loops[i].heap.used[MEMORY_STATE], 0);
    memory_node_deinit(&f->node);
}

static bool file_is(struct owner_fixture *f, const char *path, const char *text)
{
    return view_equal(memory_node_durable_file(&f->node, path), view_of_string(text));
}

#define SECONDS(n) (UINT64_C(n) * 1000000000)

static void checkpoints_are_written_when_something_changed(void **state)
{
    (void)state;
    struct owner_fixture f;
    begin_owner(&f);
    memory_node_advance(&f.node, SECONDS(6));
    /* Loop 2's report comes first: reports are put in front of each other. */
    assert_true(file_is(&f, "/b/replication-offset-checkpoint", "0\n2\nt 1 21\nt 0 20\n"));
    assert_false(memory_node_exists(&f.node, "/b/recovery-point-offset-checkpoint"));
    uint64_t renames = f.node.calls[STORAGE_RENAME];
    memory_node_advance(&f.node, SECONDS(6));
    assert_int_equal(f.node.calls[STORAGE_RENAME], renames); /* nothing changed */
    f.partitions[0].high_watermark = 25; /* on one loop only: the other is asked again */
    memory_node_advance(&f.node, SECONDS(6));
    assert_true(file_is(&f, "/b/replication-offset-checkpoint", "0\n2\nt 1 21\nt 0 25\n") ||
                file_is(&f, "/b/replication-offset-checkpoint", "0\n2\nt 0 25\nt 1 21\n"));
    memory_node_advance(&f.node, SECONDS(60));
    assert_true(file_is(&f, "/b/recovery-point-offset-checkpoint", "0\n2\nt 1 31\nt 0 30\n"));
    assert_true(file_is(&f, "/b/log-start-offset-checkpoint", "0\n1\nt 1 10\n"));
    end_owner(&f);
}

static void checkpoints_that_failed_are_written_again_and_it_is_said_once(void **state)
{
    (void)state;
    struct owner_fixture f;
    begin_owner(&f);
    memory_node_advance(&f.node, SECONDS(1));
    for (int i = 0; i < 4; i++) {
        f.node.last_line[0] = 0;
        memory_node_fail(&f.node, STORAGE_WRITE, 0, STORAGE_NO_SPACE);
        memory_node_advance(&f.node, SECONDS(5));
        assert_false(memory_node_exists(&f.node, "/b/replication-offset-checkpoint"));
        assert_int_equal(strstr(f.node.last_line, "checkpoints of /b are not written") != NULL,
                         i == 0);
    }
    assert_int_equal(f.owner_failed, 0);
    memory_node_advance(&f.node, SECONDS(5));
    assert_true(memory_node_exists(&f.node, "/b/replication-offset-checkpoint"));
    assert_non_null(strstr(f.node.last_line, "checkpoints of /b are written again: 4 attempts had "
                                             "failed, for 20 s"));
    f.node.last_line[0] = 0;
    f.partitions[0].high_watermark = 25;
    memory_node_advance(&f.node, SECONDS(5));
    assert_string_equal(f.node.last_line, "");
    end_owner(&f);
}

struct flush {
    struct directory_flush_wait wait;
    int done;
    bool ok;
};

static void on_flush(struct directory_flush_wait *wait, bool ok)
{
    struct flush *flush = container_of(wait, struct flush, wait);
    flush->done++;
    flush->ok = ok;
}

static void a_flush_waits_for_a_gathering_that_began_after_it(void **state)
{
    (void)state;
    struct owner_fixture f;
    struct flush first = {.wait = {.done = on_flush}}, second = {.wait = {.done = on_flush}};
    begin_owner(&f);
    directory_owner_flush(&f.owner, &first.wait);
    f.partitions[1].high_watermark = 99;
    directory_owner_flush(&f.owner, &second.wait);
    memory_node_run(&f.node);
    assert_true(first.done == 1 && first.ok && second.done == 1 && second.ok);
    struct view text = memory_node_durable_file(&f.node, "/b/replication-offset-checkpoint");
    assert_non_null(memmem(text.data, text.size, "t 1 99\n", 7));
    end_owner(&f);
}

struct checkpoint_wish {
    struct commit_checkpoint_wait wait;
    int done;
    bool ok;
};

static void on_checkpoint(struct commit_checkpoint_wait *wait, bool ok)
{
    struct checkpoint_wish *wish = container_of(wait, struct checkpoint_wish, wait);
    wish->done++;
    wish->ok = ok;
}

static void a_loop_gets_its_offsets_written_when_it_asks(void **state)
{
    (void)state;
    struct owner_fixture f;
    begin_owner(&f);
    struct committer *committer = &f.shards[1].committer;
    struct checkpoint_wish wish = {.wait = {.written = on_checkpoint}};
    f.partitions[1].recovery_limit = 17;
    committer->write_checkpoints(committer, &wish.wait, committer->failed_context);
    assert_int_equal(wish.done, 0);
    memory_node_run(&f.node);
    assert_true(wish.done == 1 && wish.ok);
    struct view text = memory_node_durable_file(&f.node, "/b/recovery-point-offset-checkpoint");
    assert_non_null(memmem(text.data, text.size, "t 1 17\n", 7));
    directory_owner_fail(&f.owner, STORAGE_IO);
    committer->write_checkpoints(committer, &wish.wait, committer->failed_context);
    memory_node_run(&f.node);
    assert_true(wish.done == 2 && !wish.ok);
    end_owner(&f);
}

static void a_device_error_on_one_loop_reaches_all(void **state)
{
    (void)state;
    struct owner_fixture f;
    begin_owner(&f);
    directory_shard_fail(&f.shards[0], STORAGE_IO);
    memory_node_run(&f.node);
    assert_int_equal(f.owner_failed, 1);
    assert_int_equal(f.shard_failed, 2);
    assert_int_equal(f.partition_failed, 2);
    assert_true(f.owner.is_failed && f.shards[1].is_failed);
    struct flush flush = {.wait = {.done = on_flush}};
    directory_owner_flush(&f.owner, &flush.wait);
    memory_node_advance(&f.node, SECONDS(100));
    assert_true(flush.done == 1 && !flush.ok);
    assert_int_equal(f.node.calls[STORAGE_RENAME], 0);
    end_owner(&f);
}

static void a_failed_checkpoint_write_fails_the_directory(void **state)
{
    (void)state;
    struct owner_fixture f;
    begin_owner(&f);
    memory_node_fail(&f.node, STORAGE_SYNC, 0, STORAGE_IO);
    memory_node_advance(&f.node, SECONDS(6));
    assert_int_equal(f.owner_failed, 1);
    assert_int_equal(f.shard_failed, 2);
    end_owner(&f);
}

struct stop {
    struct directory_stop stop;
    int done;
    bool ok;
};

static void on_stop(struct directory_stop *stop, bool ok)
{
    struct stop *outer = container_of(stop, struct stop, stop);
    outer->done++;
    outer->ok = ok;
}

static void a_clean_stop_writes_all_offsets_and_the_marker_last(void **state)
{
    (void)state;
    struct owner_fixture f;
    struct stop stop = {.stop = {.done = on_stop, .is_clean = true, .broker_epoch = 9}};
    begin_owner(&f);
    /* Partitions are closed before the directory stops; their offsets must not be lost. */
    for (unsigned i = 0; i < 2; i++)
        committer_remove_partition(&f.partitions[i], &(struct commit_state){0});
    directory_owner_stop(&f.owner, &stop.stop);
    memory_node_run(&f.node);
    assert_true(stop.done == 1 && stop.ok);
    assert_true(file_is(&f, "/b/.kafka_cleanshutdown", "{\"version\":0,\"brokerEpoch\":9}"));
    assert_true(file_is(&f, "/b/recovery-point-offset-checkpoint", "0\n2\nt 1 31\nt 0 30\n"));
    struct storage_request lock = {.operation = STORAGE_LOCK, .path = "/b/.lock"};
    assert_int_equal(storage_run(memory_node_storage(&f.node), &lock), STORAGE_OK);
    end_owner(&f);
}

static void no_marker_is_written_when_anything_went_wrong(void **state)
{
    (void)state;
    for (int what = 0; what < 3; what++) {
        struct owner_fixture f;
        struct stop stop = {.stop = {.done = on_stop, .is_clean = what != 0}};
        begin_owner(&f);
        if (what == 1)
            directory_owner_fail(&f.owner, STORAGE_IO);
        if (what == 2)
            memory_node_fail(&f.node, STORAGE_WRITE, 1, STORAGE_NO_SPACE);
        directory_owner_stop(&f.owner, &stop.stop);
        memory_node_run(&f.node);
        assert_int_equal(stop.done, 1);
        /* A directory that had failed was reported then; what cannot be written now is news. */
        assert_int_equal(stop.ok, what != 2);
        assert_false(memory_node_exists(&f.node, "/b/.kafka_cleanshutdown"));
        end_owner(&f);
    }
}

static void a_stop_before_everything_is_loaded_leaves_the_directory_as_it_was(void **state)
{
    (void)state;
    for (int was_clean = 0; was_clean < 2; was_clean++) {
        struct owner_fixture f;
        struct stop stop = {.stop = {.done = on_stop, .is_clean = true}};
        begin_owner(&f);
        f.owner.is_loaded = false;
        f.owner.was_clean = was_clean;
        memory_node_put_file(&f.node, "/b/recovery-point-offset-checkpoint",
                             VIEW_LITERAL("0\n1\nu 7 70\n"));
        memory_node_advance(&f.node, SECONDS(100));
        directory_owner_stop(&f.owner, &stop.stop);
        memory_node_run(&f.node);
        assert_true(stop.done == 1 && stop.ok);
        assert_int_equal(memory_node_exists(&f.node, "/b/.kafka_cleanshutdown"), was_clean);
        assert_true(view_equal(memory_node_file(&f.node, "/b/recovery-point-offset-checkpoint"),
                               VIEW_LITERAL("0\n1\nu 7 70\n")));
        end_owner(&f);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(empty_directories_are_made_and_formatted),
        cmocka_unit_test(partitions_are_found_with_their_offsets),
        cmocka_unit_test(the_clean_marker_counts_once),
        cmocka_unit_test(markers_are_json_with_or_without_an_epoch),
        cmocka_unit_test(what_a_person_must_repair_is_refused_in_one_line),
        cmocka_unit_test(an_unformatted_directory_is_refused_when_formatting_is_not_allowed),
        cmocka_unit_test(a_voters_metadata_is_never_formatted_by_a_start),
        cmocka_unit_test(a_device_error_takes_one_directory_offline),
        cmocka_unit_test(deleting_renames_first_and_is_resumed),
        cmocka_unit_test(checkpoints_are_written_when_something_changed),
        cmocka_unit_test(checkpoints_that_failed_are_written_again_and_it_is_said_once),
        cmocka_unit_test(a_flush_waits_for_a_gathering_that_began_after_it),
        cmocka_unit_test(a_loop_gets_its_offsets_written_when_it_asks),
        cmocka_unit_test(a_device_error_on_one_loop_reaches_all),
        cmocka_unit_test(a_failed_checkpoint_write_fails_the_directory),
        cmocka_unit_test(a_clean_stop_writes_all_offsets_and_the_marker_last),
        cmocka_unit_test(no_marker_is_written_when_anything_went_wrong),
        cmocka_unit_test(a_stop_before_everything_is_loaded_leaves_the_directory_as_it_was),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
