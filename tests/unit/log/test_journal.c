/*
 * The journal: one sync for many partitions, and nothing lost or brought back by a crash.
 *
 * The crash test runs random appends, truncations and deletions with requests completing in random
 * order, cuts the power at a random point, replays and compares every file with what was written.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "base/crc32c.h"
#include "base/random.h"
#include "log/committer.h"
#include "log/journal.h"
#include "log/journal_replay.h"
#include "log/partition_metadata.h"
#include "protocol/batch.h"
#include "tests/unit/log/memory_node.h"

enum { PARTITIONS = 6, CONTENT_MAX = 1 << 20, OLD_MAX = 64 };

struct test_partition {
    struct commit_partition commit;
    struct commit_file file;
    char directory[32];
    char path[64];
    int held;
    int64_t durable;
    bool is_gone;
    /* The model: what the file should hold, and the end offset behind each batch. */
    uint8_t *content;
    size_t size;
    int64_t end;
    /* Before truncations; allowed to come back while nothing behind the cut was acknowledged. */
    struct {
        uint8_t *content;
        size_t size;
        int64_t cut;
    } old[OLD_MAX];
    int old_count;
};

struct fixture {
    struct memory_node node;
    struct committer committer;
    struct test_partition partitions[PARTITIONS];
    struct random_stream random;
    int failed;
    bool stopped;
};

static void forget_old(struct test_partition *p, int64_t durable_end)
{
    int kept = 0;
    for (int i = 0; i < p->old_count; i++) {
        if (p->old[i].cut < durable_end)
            free(p->old[i].content);
        else
            p->old[kept++] = p->old[i];
    }
    p->old_count = kept;
}

static void free_content(struct fixture *f)
{
    for (int i = 0; i < PARTITIONS; i++) {
        forget_old(&f->partitions[i], INT64_MAX);
        free(f->partitions[i].content);
    }
}

static void on_durable(struct commit_partition *commit, int64_t durable_end)
{
    struct test_partition *p = container_of(commit, struct test_partition, commit);
    assert_true(durable_end > p->durable);
    assert_true(durable_end <= p->end);
    p->durable = durable_end;
    forget_old(p, durable_end);
}

static void on_failed(struct commit_partition *commit, enum storage_status status)
{
    (void)commit;
    (void)status;
}

static void on_hold(struct commit_partition *commit, struct commit_file *file)
{
    (void)commit;
    container_of(file, struct test_partition, file)->held++;
}

static void on_release(struct commit_partition *commit, struct commit_file *file)
{
    (void)commit;
    container_of(file, struct test_partition, file)->held--;
}

static const struct commit_partition_events events = {on_durable, on_failed, on_hold, on_release};

static void on_directory_failed(struct committer *committer, enum storage_status status,
                                void *context)
{
    (void)committer;
    (void)status;
    ((struct fixture *)context)->failed++;
}

static struct uuid topic_id(int index)
{
    return uuid_of_halves(77, (uint64_t)index + 1);
}

static void open_partition(struct fixture *f, int index)
{
    struct test_partition *p = &f->partitions[index];
    struct storage storage = memory_node_storage(&f->node);
    snprintf(p->directory, sizeof(p->directory), "/d/t-%d", index);
    snprintf(p->path, sizeof(p->path), "/d/t-%d/00000000000000000000.log", index);
    memory_node_make_directory(&f->node, p->directory);
    assert_int_equal(partition_metadata_write(storage, p->directory, topic_id(index)), STORAGE_OK);
    p->commit = (struct commit_partition){.events = &events,
                                          .topic = VIEW_LITERAL("t"),
                                          .partition = index,
                                          .topic_id = topic_id(index),
                                          .directory = p->directory,
                                          .recovery_limit = INT64_MAX,
                                          .flush_messages = INT64_MAX,
                                          .flush_ms = INT64_MAX,
                                          .is_waited_for = true};
    list_link_init(&p->file.link);
    assert_int_equal(storage_run_open(storage, p->path, STORAGE_FLAG_WRITE | STORAGE_FLAG_CREATE,
                                      &p->file.file, NULL),
                     STORAGE_OK);
    storage_run_path(storage, STORAGE_SYNC_DIRECTORY, p->directory, NULL);
    p->content = malloc(CONTENT_MAX);
    committer_add_partition(&f->committer, &p->commit, 0);
}

static void begin(struct fixture *f, uint64_t seed, const struct committer_options *options)
{
    *f = (struct fixture){0};
    random_init(&f->random, seed, 0);
    memory_node_init(&f->node);
    memory_node_make_directory(&f->node, "/d");
    committer_init(&f->committer, memory_node_loop(&f->node, 1), "/d", options, on_directory_failed,
                   f);
    for (int i = 0; i < PARTITIONS; i++)
        open_partition(f, i);
}

static const struct committer_options journaled = {.is_journal_enabled = true};

static void on_stopped(struct committer *committer)
{
    container_of(committer, struct fixture, committer)->stopped = true;
}

static void end(struct fixture *f)
{
    committer_assert(&f->committer);
    f->node.hold = false;
    memory_node_run(&f->node);
    for (int i = 0; i < PARTITIONS; i++) {
        struct test_partition *p = &f->partitions[i];
        if (p->commit.committer) {
            committer_request(&p->commit, p->end);
            memory_node_run(&f->node);
            committer_remove_partition(&p->commit, &(struct commit_state){0});
        }
        assert_int_equal(p->held, 0);
    }
    free_content(f);
    committer_stop(&f->committer, on_stopped);
    memory_node_run(&f->node);
    assert_true(f->stopped);
    assert_int_equal(f->node.loops[1].heap.used[MEMORY_STATE], 0);
    memory_node_deinit(&f->node);
}

/* One batch of `count` records with random bytes, `size` bytes in all, at the model's end. */
static void append(struct fixture *f, int index, int32_t count, size_t size)
{
    struct test_partition *p = &f->partitions[index];
    uint8_t *batch = p->content + p->size;
    assert_true(p->size + size <= CONTENT_MAX && size >= BATCH_HEADER_SIZE);
    random_fill(&f->random, batch, size);
    struct batch_header header = {.base_offset = p->end,
                                  .batch_length = (int32_t)size - 12,
                                  .magic = 2,
                                  .last_offset_delta = count - 1,
                                  .producer_id = -1,
                                  .producer_epoch = -1,
                                  .base_sequence = -1,
                                  .record_count = count};
    batch_header_write(batch, &header);
    store_u32(batch + 17, crc32c(0, batch + BATCH_CRC_START, size - BATCH_CRC_START));
    struct storage_buffer buffers[2] = {{batch, 61}, {batch + 61, size - 61}};
    assert_int_equal(storage_append(memory_node_storage(&f->node), p->file.file, buffers, 2, NULL),
                     STORAGE_OK);
    int64_t start = p->end;
    uint64_t position = p->size;
    p->size += size;
    p->end += count;
    committer_written(&p->commit, &p->file, start, p->end, position, buffers, 2, size);
    committer_request(&p->commit, p->end);
}

/* Cuts as the log does: the file first, synced, then the committer is told. */
static void truncate(struct fixture *f, int index, int64_t offset)
{
    struct test_partition *p = &f->partitions[index];
    assert_true(p->old_count < OLD_MAX);
    p->old[p->old_count].content = malloc(p->size + 1);
    memcpy(p->old[p->old_count].content, p->content, p->size);
    p->old[p->old_count++].size = p->size;
    size_t size = 0;
    int64_t end = 0;
    while (size < p->size && batch_last_offset(p->content + size) < offset) {
        end = batch_last_offset(p->content + size) + 1;
        size += batch_size(p->content + size);
    }
    struct storage storage = memory_node_storage(&f->node);
    assert_int_equal(storage_run_truncate(storage, p->file.file, size), STORAGE_OK);
    assert_int_equal(storage_run_sync(storage, p->file.file), STORAGE_OK);
    p->old[p->old_count - 1].cut = end;
    p->size = size;
    p->end = end;
    if (p->durable > end)
        p->durable = end;
    committer_truncated(&p->commit, end);
}

/* Replays all journals of /d after a crash, as a start does. */
static struct journal_replay replay(struct fixture *f)
{
    struct log_directory_entry entries[PARTITIONS] = {0};
    struct log_directory_found found = {.entries = entries};
    struct job_context context = memory_node_context(&f->node);
    struct heap scratch;
    heap_init_plain(&scratch);
    context.heap = &scratch;
    log_path_set(&found.path, "/d");
    for (int i = 0; i < PARTITIONS; i++) {
        if (!memory_node_exists(&f->node, f->partitions[i].directory))
            continue;
        struct log_directory_entry *entry = &entries[found.entry_count++];
        entry->name = strrchr(f->partitions[i].directory, '/') + 1;
        entry->parsed.partition = i;
        entry->topic_id = topic_id(i);
    }
    struct journal_replay replay;
    bool is_finished = false;
    journal_replay_init(&replay, &found);
    for (int step = 0; step < 10000 && !is_finished; step++)
        assert_int_equal(journal_replay_step(&replay, &context, &is_finished), STORAGE_OK);
    assert_true(is_finished);
    journal_replay_release(&replay, &context);
    for (int i = 0; i < MEMORY_CLASSES; i++)
        assert_int_equal(scratch.used[i], 0);
    return replay;
}

static bool is_journal_left(struct fixture *f)
{
    for (struct memory_name *name = f->node.names; name; name = name->next) {
        if (name->current && strncmp(name->path, "/d/klamm-journal-", 17) == 0)
            return true;
    }
    return false;
}

/* Lets the journal file come into being: its first round is given back to the files. */
static void warm_up(struct fixture *f)
{
    for (int i = 0; i < PARTITIONS; i++)
        append(f, i, 1, 100);
    memory_node_run(&f->node);
    for (int i = 0; i < PARTITIONS; i++)
        assert_int_equal(f->partitions[i].durable, 1);
}

/* Bytes of whole valid batches with offsets that follow each other, as recovery would keep them. */
static size_t valid_size(struct view content, int64_t *end)
{
    size_t at = 0;
    *end = 0;
    while (content.size - at >= BATCH_HEADER_SIZE) {
        const uint8_t *batch = content.data + at;
        if (batch_magic(batch) != 2 || batch_length(batch) < 49 ||
            batch_size(batch) > content.size - at || batch_base_offset(batch) != *end ||
            crc32c(0, batch + BATCH_CRC_START, batch_size(batch) - BATCH_CRC_START) !=
                batch_crc(batch))
            break;
        *end = batch_last_offset(batch) + 1;
        at += batch_size(batch);
    }
    return at;
}

static void check_partition(struct fixture *f, int index, uint64_t seed)
{
    struct test_partition *p = &f->partitions[index];
    struct view content = memory_node_durable_file(&f->node, p->path);
    int64_t end;
    size_t size = valid_size(content, &end);
    bool is_prefix = size <= p->size && memcmp(content.data, p->content, size) == 0;
    for (int i = 0; i < p->old_count && !is_prefix; i++)
        is_prefix = size <= p->old[i].size && memcmp(content.data, p->old[i].content, size) == 0;
    if (!is_prefix)
        fail_msg("seed %llu partition %d: something else came back", (unsigned long long)seed,
                 index);
    if (end < p->durable)
        fail_msg("seed %llu partition %d: %lld was durable, %lld is left", (unsigned long long)seed,
                 index, (long long)p->durable, (long long)end);
}

/* ---- Claims -----------------------------------------------------------------------------------
 */

static void many_partitions_share_one_write_and_one_sync(void **state)
{
    (void)state;
    struct fixture f;
    begin(&f, 1, &journaled);
    warm_up(&f);
    uint64_t syncs = f.node.calls[STORAGE_SYNC];
    uint64_t appends = f.node.append_calls;
    for (int i = 0; i < PARTITIONS; i++) {
        append(&f, i, 2, 200);
        append(&f, i, 1, 100);
    }
    memory_node_run(&f.node);
    for (int i = 0; i < PARTITIONS; i++)
        assert_int_equal(f.partitions[i].durable, 4);
    assert_int_equal(f.node.calls[STORAGE_SYNC], syncs + 1);
    assert_int_equal(f.node.append_calls, appends + 2 * PARTITIONS + 1);
    assert_int_equal(f.committer.counters.journal_rounds, 1);
    /* The recovery point does not count on the journal. */
    assert_int_equal(commit_partition_recovery_point(&f.partitions[0].commit), 1);
    end(&f);
}

static void few_partitions_sync_their_files(void **state)
{
    (void)state;
    struct fixture f;
    begin(&f, 1, &journaled);
    warm_up(&f);
    append(&f, 0, 1, 100);
    append(&f, 1, 1, 100);
    memory_node_run(&f.node);
    assert_int_equal(f.partitions[0].durable, 2);
    assert_int_equal(f.partitions[1].durable, 2);
    assert_int_equal(f.committer.counters.journal_rounds, 0);
    end(&f);
}

static void large_and_unawaited_appends_are_not_journaled(void **state)
{
    (void)state;
    struct fixture f;
    begin(&f, 1, &journaled);
    warm_up(&f);
    for (int i = 0; i < PARTITIONS; i++)
        append(&f, i, 1, 64 * 1024);
    memory_node_run(&f.node);
    assert_int_equal(f.committer.counters.journal_rounds, 0);
    assert_int_equal(f.partitions[5].durable, 2);
    for (int i = 0; i < PARTITIONS; i++)
        f.partitions[i].commit.is_waited_for = false;
    for (int i = 0; i < PARTITIONS; i++)
        append(&f, i, 1, 100);
    memory_node_run(&f.node);
    assert_int_equal(f.committer.counters.journal_rounds, 0);
    end(&f);
}

static void journaled_appends_survive_a_crash(void **state)
{
    (void)state;
    struct fixture f;
    begin(&f, 1, &journaled);
    warm_up(&f);
    for (int round = 0; round < 3; round++) {
        for (int i = 0; i < PARTITIONS; i++)
            append(&f, i, 1, 100);
        memory_node_run(&f.node);
    }
    assert_int_equal(f.partitions[3].durable, 4);
    memory_node_crash(&f.node);
    assert_int_equal(memory_node_file(&f.node, f.partitions[3].path).size, 100);
    struct journal_replay result = replay(&f);
    assert_int_equal(result.written_count, 3 * PARTITIONS);
    assert_int_equal(result.conflict_count, 0);
    for (int i = 0; i < PARTITIONS; i++)
        assert_true(view_equal(memory_node_durable_file(&f.node, f.partitions[i].path),
                               view_of(f.partitions[i].content, 400)));
    assert_false(is_journal_left(&f));
    free_content(&f);
    memory_node_deinit(&f.node);
}

static void what_a_killed_process_left_in_memory_is_synced_before_the_journal_goes(void **state)
{
    (void)state;
    struct fixture f;
    begin(&f, 1, &journaled);
    warm_up(&f);
    for (int i = 0; i < PARTITIONS; i++)
        append(&f, i, 1, 100);
    memory_node_run(&f.node);
    /* The process ends, not the machine: every append is still to be read. */
    assert_int_equal(replay(&f).present_count, PARTITIONS);
    memory_node_crash(&f.node);
    for (int i = 0; i < PARTITIONS; i++)
        check_partition(&f, i, 0);
    free_content(&f);
    memory_node_deinit(&f.node);
}

static void no_journal_is_left_after_a_clean_stop(void **state)
{
    (void)state;
    struct fixture f;
    begin(&f, 1, &journaled);
    warm_up(&f);
    for (int i = 0; i < PARTITIONS; i++)
        append(&f, i, 1, 100);
    memory_node_run(&f.node);
    assert_true(is_journal_left(&f));
    for (int i = 0; i < PARTITIONS; i++)
        committer_request(&f.partitions[i].commit, 2);
    memory_node_advance(&f.node, UINT64_C(12000000000)); /* the flusher syncs the files */
    for (int i = 0; i < PARTITIONS; i++) {
        assert_int_equal(commit_partition_recovery_point(&f.partitions[i].commit), 2);
        committer_remove_partition(&f.partitions[i].commit, &(struct commit_state){0});
    }
    committer_stop(&f.committer, on_stopped);
    memory_node_run(&f.node);
    assert_true(f.stopped);
    assert_false(is_journal_left(&f));
    free_content(&f);
    memory_node_deinit(&f.node);
}

static void a_full_file_is_replaced_and_removed_when_synced(void **state)
{
    (void)state;
    struct fixture f;
    struct committer_options options = {.is_journal_enabled = true, .journal_file_size = 2000};
    begin(&f, 1, &options);
    warm_up(&f);
    for (int round = 0; round < 20; round++) {
        for (int i = 0; i < PARTITIONS; i++)
            append(&f, i, 1, 100);
        memory_node_run(&f.node);
    }
    int files = 0;
    for (struct memory_name *name = f.node.names; name; name = name->next)
        files += strncmp(name->path, "/d/klamm-journal-", 17) == 0;
    assert_true(files > 3);
    assert_true(f.node.calls[STORAGE_UNLINK] > 2);
    assert_int_equal(f.partitions[0].durable, 21);
    end(&f);
}

static void a_cut_is_durable_before_anything_behind_it(void **state)
{
    (void)state;
    struct fixture f;
    begin(&f, 1, &journaled);
    warm_up(&f);
    for (int i = 0; i < PARTITIONS; i++)
        append(&f, i, 5, 100);
    memory_node_run(&f.node);
    f.node.hold = true;
    truncate(&f, 0, 1);
    append(&f, 0, 1, 70000); /* goes to the file, not to the journal */
    memory_node_run(&f.node);
    /* A file sync and the sync of the round with the cut; the file's comes home first. */
    assert_int_equal(memory_node_held(&f.node), 2);
    size_t file_sync =
        memory_node_held_request(&f.node, 0)->file == f.partitions[0].file.file ? 0 : 1;
    memory_node_complete(&f.node, file_sync);
    memory_node_run(&f.node);
    assert_int_equal(f.partitions[0].durable, 1);
    memory_node_complete(&f.node, 0);
    memory_node_run(&f.node);
    assert_int_equal(f.partitions[0].durable, 2);
    end(&f);
}

static void a_partition_made_again_gets_nothing_of_the_deleted_one(void **state)
{
    (void)state;
    struct fixture f;
    begin(&f, 1, &journaled);
    warm_up(&f);
    for (int i = 0; i < PARTITIONS; i++)
        append(&f, i, 1, 100);
    memory_node_run(&f.node);
    struct test_partition *p = &f.partitions[0];
    committer_remove_partition(&p->commit, NULL);
    memory_node_run(&f.node);
    /* The same topic id and number again, with an empty file. */
    struct storage storage = memory_node_storage(&f.node);
    storage_run_path(storage, STORAGE_UNLINK, p->path, NULL);
    free(p->content);
    *p = (struct test_partition){.held = p->held};
    open_partition(&f, 0);
    for (int i = 0; i < PARTITIONS; i++)
        append(&f, i, 1, 90);
    memory_node_run(&f.node);
    assert_int_equal(p->durable, 1);
    memory_node_crash(&f.node);
    replay(&f);
    for (int i = 0; i < PARTITIONS; i++)
        check_partition(&f, i, 0);
    free_content(&f);
    memory_node_deinit(&f.node);
}

static void a_full_disk_ends_the_journal_but_not_the_directory(void **state)
{
    (void)state;
    struct fixture f;
    begin(&f, 1, &journaled);
    warm_up(&f);
    for (int i = 0; i < PARTITIONS; i++)
        append(&f, i, 1, 100);
    memory_node_fail(&f.node, STORAGE_WRITE, 0, STORAGE_NO_SPACE); /* the round */
    memory_node_run(&f.node);
    assert_int_equal(f.failed, 0);
    for (int i = 0; i < PARTITIONS; i++)
        assert_int_equal(f.partitions[i].durable, 2);
    assert_false(is_journal_left(&f));
    memory_node_advance(&f.node, UINT64_C(11000000000));
    for (int round = 0; round < 2; round++) {
        for (int i = 0; i < PARTITIONS; i++)
            append(&f, i, 1, 100);
        memory_node_run(&f.node);
    }
    assert_true(f.committer.counters.journal_rounds >= 2); /* it is used again */
    end(&f);
}

static void a_failed_journal_sync_fails_the_directory(void **state)
{
    (void)state;
    struct fixture f;
    begin(&f, 1, &journaled);
    warm_up(&f);
    for (int i = 0; i < PARTITIONS; i++)
        append(&f, i, 1, 100);
    memory_node_fail(&f.node, STORAGE_SYNC, 0, STORAGE_IO);
    memory_node_run(&f.node);
    assert_int_equal(f.failed, 1);
    for (int i = 0; i < PARTITIONS; i++)
        assert_int_equal(f.partitions[i].durable, 1);
    end(&f);
    /* The journal file stays: the next start may need it. */
}

static void entries_are_refused_when_any_byte_is_wrong(void **state)
{
    (void)state;
    uint8_t bytes[JOURNAL_ENTRY_HEAD_SIZE + 10];
    struct journal_entry entry = {.kind = JOURNAL_DATA,
                                  .partition = 3,
                                  .topic_id = topic_id(1),
                                  .segment_base = 5,
                                  .position = 9,
                                  .start = 7,
                                  .end = 8,
                                  .size = 10},
                         back;
    struct view data;
    memset(bytes, 'x', sizeof(bytes));
    journal_entry_seal(&entry, bytes);
    assert_int_equal(journal_entry_decode(view_of(bytes, sizeof(bytes)), &back, &data),
                     sizeof(bytes));
    assert_int_equal(back.position, 9);
    assert_int_equal(data.size, 10);
    for (size_t i = 0; i < sizeof(bytes); i++) {
        bytes[i] ^= 1;
        assert_int_equal(journal_entry_decode(view_of(bytes, sizeof(bytes)), &back, &data), 0);
        bytes[i] ^= 1;
        assert_int_equal(journal_entry_decode(view_of(bytes, i), &back, &data), 0);
    }
    static const struct journal_entry unsound[] = {
        {.kind = 9, .end = 1, .size = 10},
        {.kind = JOURNAL_CUT, .size = 10},
        {.kind = JOURNAL_DATA, .partition = -1, .end = 1, .size = 10},
        {.kind = JOURNAL_DATA, .start = 1, .end = 1, .size = 10},
        {.kind = JOURNAL_DATA, .start = -1, .end = 1, .size = 10},
        {.kind = JOURNAL_DATA, .end = 1, .position = UINT64_MAX, .size = 10},
    };
    for (size_t i = 0; i < sizeof(unsound) / sizeof(unsound[0]); i++) {
        journal_entry_seal(&unsound[i], bytes);
        assert_int_equal(journal_entry_decode(view_of(bytes, sizeof(bytes)), &back, &data), 0);
    }
    unsigned loop;
    uint64_t number;
    char name[LOG_FILE_NAME_MAX + 1];
    journal_name_format(name, 3, UINT64_MAX);
    assert_true(journal_name_parse(name, &loop, &number));
    assert_true(loop == 3 && number == UINT64_MAX);
    assert_false(journal_name_parse("klamm-journal-3", &loop, &number));
    assert_false(journal_name_parse("klamm-journal-3-x", &loop, &number));
    assert_false(journal_name_parse("klamm-state", &loop, &number));
}

/* ---- The crash test ---------------------------------------------------------------------------
 */

static void act(struct fixture *f)
{
    int index = (int)random_below(&f->random, PARTITIONS);
    struct test_partition *p = &f->partitions[index];
    unsigned what = (unsigned)random_below(&f->random, 100);
    if (what < 60 && !p->is_gone) {
        append(f, index, (int32_t)random_between(&f->random, 1, 5),
               (size_t)random_between(&f->random, 61, 300));
    } else if (what < 62 && !p->is_gone) {
        append(f, index, 3, 66000);
    } else if (what < 67 && !p->is_gone && p->held == 0) {
        truncate(f, index, (int64_t)random_below(&f->random, (uint64_t)p->end + 2));
    } else if (what < 90) {
        if (memory_node_held(&f->node))
            memory_node_complete(&f->node,
                                 (size_t)random_below(&f->random, memory_node_held(&f->node)));
    } else if (what < 97) {
        memory_node_run(&f->node);
    } else {
        memory_node_advance(&f->node, random_below(&f->random, 600000000));
    }
}

static void crash_run(uint64_t seed)
{
    struct fixture f;
    struct committer_options options = {.is_journal_enabled = true,
                                        .journal_partitions_min = 1 + (uint32_t)(seed % 3),
                                        .journal_file_size = seed % 2 ? 3000 : 100000,
                                        .sync_count_max = 1 + (uint32_t)(seed % 5)};
    begin(&f, seed, &options);
    f.node.hold = true;
    uint64_t steps = random_below(&f.random, 600);
    for (uint64_t i = 0; i < steps; i++)
        act(&f);
    assert_int_equal(f.failed, 0);
    committer_assert(&f.committer);
    memory_node_crash(&f.node);
    f.node.hold = false;
    replay(&f);
    for (int i = 0; i < PARTITIONS; i++)
        check_partition(&f, i, seed);
    free_content(&f);
    memory_node_deinit(&f.node);
}

static void crashes_lose_nothing_durable_and_bring_nothing_back(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 600; seed++)
        crash_run(seed);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(many_partitions_share_one_write_and_one_sync),
        cmocka_unit_test(few_partitions_sync_their_files),
        cmocka_unit_test(large_and_unawaited_appends_are_not_journaled),
        cmocka_unit_test(journaled_appends_survive_a_crash),
        cmocka_unit_test(what_a_killed_process_left_in_memory_is_synced_before_the_journal_goes),
        cmocka_unit_test(no_journal_is_left_after_a_clean_stop),
        cmocka_unit_test(a_full_file_is_replaced_and_removed_when_synced),
        cmocka_unit_test(a_cut_is_durable_before_anything_behind_it),
        cmocka_unit_test(a_partition_made_again_gets_nothing_of_the_deleted_one),
        cmocka_unit_test(a_full_disk_ends_the_journal_but_not_the_directory),
        cmocka_unit_test(a_failed_journal_sync_fails_the_directory),
        cmocka_unit_test(entries_are_refused_when_any_byte_is_wrong),
        cmocka_unit_test(crashes_lose_nothing_durable_and_bring_nothing_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
