/* The small files of a log: encoding, refusing damage, atomic replacement. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "base/crc32c.h"
#include "log/checkpoint_file.h"
#include "log/directory_name.h"
#include "log/file_content.h"
#include "log/leader_epochs.h"
#include "log/log_path.h"
#include "log/meta_properties.h"
#include "log/partition_metadata.h"
#include "log/producer_snapshot.h"
#include "log/transaction_index.h"
#include "tests/unit/log/memory_node.h"

static struct heap heap;

static int set_up(void **state)
{
    (void)state;
    heap_init_plain(&heap);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    for (int i = 0; i < MEMORY_CLASSES; i++)
        assert_int_equal(heap.used[i], 0);
    return 0;
}

/* ---- Paths and names ------------------------------------------------------------------------ */

static void paths_are_whole_or_refused(void **state)
{
    (void)state;
    struct log_path path;
    char name[LOG_PATH_SIZE];
    assert_true(log_path_of_offset(&path, "/data/t-0", 1234, ".log"));
    assert_string_equal(path.text, "/data/t-0/00000000000000001234.log");
    assert_true(log_path_of_offset(&path, "d", INT64_MAX, ".snapshot"));
    assert_string_equal(path.text, "d/09223372036854775807.snapshot");
    assert_false(log_path_of_offset(&path, "d", -1, ".log"));
    memset(name, 'x', sizeof(name));
    name[LOG_PATH_SIZE - 2] = 0;
    assert_false(log_path_join(&path, "d", name));
    assert_string_equal(path.text, "");
    name[LOG_PATH_SIZE - 3] = 0;
    assert_true(log_path_join(&path, "d", name));
    assert_false(log_path_join(&path, "dd", name));
}

static void offsets_in_names_have_20_digits(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        int64_t offset; /* -1: refused */
    } cases[] = {
        {"00000000000000000000.log", 0},  {"09223372036854775807.log", INT64_MAX},
        {"09223372036854775808.log", -1}, {"99999999999999999999.log", -1},
        {"0000000000000000000.log", -1},  {"000000000000000000000.log", -1},
        {"0000000000000000000x.log", -1}, {"00000000000000000000.logx", -1},
        {"00000000000000000000", -1},     {"", -1},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        int64_t offset = -1;
        assert_int_equal(log_path_parse_offset(cases[i].name, ".log", &offset),
                         cases[i].offset >= 0);
        assert_true(offset == cases[i].offset);
    }
}

#define ID32 "0123456789abcdef0123456789abcdef"

static void directory_names_are_cut_at_the_last_dash(void **state)
{
    (void)state;
    static const struct {
        const char *name, *topic; /* NULL: refused */
        int32_t partition;
        enum directory_kind kind;
    } cases[] = {
        {"topic-0", "topic", 0, DIRECTORY_PLAIN},
        {"a-b.c-12", "a-b.c", 12, DIRECTORY_PLAIN},
        {"t-2147483647", "t", INT32_MAX, DIRECTORY_PLAIN},
        {"t-2147483648", NULL, 0, DIRECTORY_PLAIN},
        {"t-3." ID32 "-delete", "t", 3, DIRECTORY_DELETE},
        {"t.u-3." ID32 "-stray", "t.u", 3, DIRECTORY_STRAY},
        {"t-3." ID32 "-future", "t", 3, DIRECTORY_FUTURE},
        {"t-3.0123-delete", NULL, 0, DIRECTORY_PLAIN},
        {"t-3-delete", NULL, 0, DIRECTORY_PLAIN},
        {"-0", NULL, 0, DIRECTORY_PLAIN},
        {"t-", NULL, 0, DIRECTORY_PLAIN},
        {"t-x", NULL, 0, DIRECTORY_PLAIN},
        {"t--1", "t-", 1, DIRECTORY_PLAIN},
        {"lost+found", NULL, 0, DIRECTORY_PLAIN},
        {"-0." ID32 "-delete", NULL, 0, DIRECTORY_PLAIN},
        {"", NULL, 0, DIRECTORY_PLAIN},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct directory_name parsed;
        assert_int_equal(directory_name_parse(cases[i].name, &parsed), cases[i].topic != NULL);
        if (!cases[i].topic)
            continue;
        assert_true(view_equal(parsed.topic, view_of_string(cases[i].topic)));
        assert_int_equal(parsed.partition, cases[i].partition);
        assert_int_equal(parsed.kind, cases[i].kind);
    }
}

static void long_delete_names_cut_the_topic(void **state)
{
    (void)state;
    char text[LOG_FILE_NAME_MAX + 1];
    char topic[250];
    struct directory_name parsed;
    memset(topic, 'q', 249);
    topic[249] = 0;
    struct uuid id = uuid_of_random(1, 2);
    assert_true(directory_name_format(text, view_of_string(topic), 12345, DIRECTORY_DELETE, id));
    assert_int_equal(strlen(text), LOG_FILE_NAME_MAX);
    assert_true(directory_name_parse(text, &parsed));
    assert_int_equal(parsed.kind, DIRECTORY_DELETE);
    assert_int_equal(parsed.partition, 12345);
    assert_true(directory_name_format(text, view_of_string(topic), 1, DIRECTORY_STRAY, id));
    assert_false(directory_name_format(text, view_of_string(topic), 1, DIRECTORY_FUTURE, id));
    assert_true(directory_name_format(text, VIEW_LITERAL("t"), 7, DIRECTORY_FUTURE, id));
    assert_true(directory_name_parse(text, &parsed));
    assert_int_equal(parsed.kind, DIRECTORY_FUTURE);
    assert_true(directory_name_format(text, view_of_string(topic), 12345, DIRECTORY_PLAIN, id));
    assert_int_equal(strlen(text), 255);
    assert_false(directory_name_format(text, view_of_string(topic), 123456, DIRECTORY_PLAIN, id));
}

/* ---- Checkpoints ---------------------------------------------------------------------------- */

static bool decode(const char *text, struct arena *arena, struct checkpoint *checkpoint)
{
    return checkpoint_decode(view_of_string(text), arena, checkpoint);
}

static void checkpoints_read_what_kafka_writes(void **state)
{
    (void)state;
    struct arena arena;
    struct checkpoint checkpoint;
    arena_init(&arena, &heap, MEMORY_SCRATCH, 0);
    assert_true(decode("0\n3\nb 1 30\na 10 20\na 2 10\n", &arena, &checkpoint));
    assert_int_equal(checkpoint.count, 3);
    assert_int_equal(checkpoint_find(&checkpoint, VIEW_LITERAL("a"), 2, -7), 10);
    assert_int_equal(checkpoint_find(&checkpoint, VIEW_LITERAL("a"), 10, -7), 20);
    assert_int_equal(checkpoint_find(&checkpoint, VIEW_LITERAL("b"), 1, -7), 30);
    assert_int_equal(checkpoint_find(&checkpoint, VIEW_LITERAL("b"), 0, -7), -7);
    assert_true(decode("", &arena, &checkpoint));
    assert_int_equal(checkpoint.count, 0);
    assert_true(decode("0\n0\n", &arena, &checkpoint));
    arena_deinit(&arena);
}

static void damaged_checkpoints_are_refused_whole(void **state)
{
    (void)state;
    static const char *const cases[] = {
        "1\n0\n",
        "0\n",
        "x\n",
        "0\n-1\n",
        "0\n2\na 0 1\n",
        "0\n1\na 0 1\nb 0 1\n",
        "0\n1\na 0\n",
        "0\n1\na 0 1 2\n",
        "0\n1\na x 1\n",
        "0\n1\na 0 y\n",
        "0\n1\na -1 1\n",
        "0\n99999999999\n",
        "0\n2147483647\n",
        "0\n1\n\n",
    };
    struct arena arena;
    struct checkpoint checkpoint;
    arena_init(&arena, &heap, MEMORY_SCRATCH, 0);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        assert_false(decode(cases[i], &arena, &checkpoint));
        assert_int_equal(checkpoint.count, 0);
    }
    arena_deinit(&arena);
}

static void a_replaced_file_survives_a_crash_at_any_step_old_or_new(void **state)
{
    (void)state;
    static const enum storage_operation steps[] = {STORAGE_OPEN,   STORAGE_TRUNCATE,
                                                   STORAGE_WRITE,  STORAGE_SYNC,
                                                   STORAGE_RENAME, STORAGE_SYNC_DIRECTORY};
    for (size_t i = 0; i <= sizeof(steps) / sizeof(steps[0]); i++) {
        struct memory_node node;
        memory_node_init(&node);
        memory_node_make_directory(&node, "/d");
        struct storage storage = memory_node_storage(&node);
        assert_int_equal(file_content_replace(storage, "/d", "c", VIEW_LITERAL("old")), STORAGE_OK);
        if (i < sizeof(steps) / sizeof(steps[0]))
            memory_node_fail(&node, steps[i], 0, STORAGE_NO_SPACE);
        enum storage_status status = file_content_replace(storage, "/d", "c", VIEW_LITERAL("new"));
        assert_int_equal(status == STORAGE_OK, i == sizeof(steps) / sizeof(steps[0]));
        memory_node_crash(&node);
        struct view content = memory_node_file(&node, "/d/c");
        bool is_old = view_equal(content, VIEW_LITERAL("old"));
        bool is_new = view_equal(content, VIEW_LITERAL("new"));
        assert_true(status == STORAGE_OK ? is_new : (is_old || is_new));
        memory_node_deinit(&node);
    }
}

static void a_missing_checkpoint_is_empty_and_a_damaged_one_is_told(void **state)
{
    (void)state;
    struct memory_node node;
    struct arena arena;
    struct checkpoint checkpoint;
    bool valid;
    memory_node_init(&node);
    memory_node_make_directory(&node, "/d");
    arena_init(&arena, &heap, MEMORY_SCRATCH, 0);
    assert_int_equal(
        checkpoint_read(memory_node_storage(&node), "/d", "c", &arena, &checkpoint, &valid),
        STORAGE_OK);
    assert_true(valid);
    memory_node_put_file(&node, "/d/c", VIEW_LITERAL("0\n1\n"));
    assert_int_equal(
        checkpoint_read(memory_node_storage(&node), "/d", "c", &arena, &checkpoint, &valid),
        STORAGE_OK);
    assert_false(valid);
    arena_deinit(&arena);
    memory_node_deinit(&node);
}

/* ---- Leader epochs -------------------------------------------------------------------------- */

static void epochs_only_grow(void **state)
{
    (void)state;
    struct leader_epochs epochs;
    leader_epochs_init(&epochs);
    assert_int_equal(leader_epochs_latest(&epochs), -1);
    assert_true(leader_epochs_assign(&epochs, &heap, 1, 10));
    assert_false(leader_epochs_assign(&epochs, &heap, 1, 12));
    assert_false(leader_epochs_assign(&epochs, &heap, 0, 20));
    assert_false(leader_epochs_assign(&epochs, &heap, -1, 20));
    assert_true(leader_epochs_assign(&epochs, &heap, 3, 20));
    /* Epoch 3 wrote nothing: 4 takes its place. */
    assert_true(leader_epochs_assign(&epochs, &heap, 4, 20));
    assert_int_equal(epochs.count, 2);
    assert_int_equal(leader_epochs_latest(&epochs), 4);
    assert_null(leader_epochs_of_offset(&epochs, 9));
    assert_int_equal(leader_epochs_of_offset(&epochs, 19)->epoch, 1);
    assert_int_equal(leader_epochs_of_offset(&epochs, 20)->epoch, 4);
    leader_epochs_deinit(&epochs, &heap);
}

static void the_end_of_an_epoch_is_the_start_of_the_next(void **state)
{
    (void)state;
    static const struct {
        int32_t asked, epoch;
        int64_t end;
    } cases[] = {
        {-2, -2, 10}, {-1, -1, -1}, {0, 0, 10}, {1, 1, 20},  {2, 1, 20},
        {3, 3, 30},   {4, 3, 30},   {5, 5, 77}, {6, -1, -1},
    };
    struct leader_epochs epochs;
    leader_epochs_init(&epochs);
    assert_int_equal(leader_epochs_end_of(&epochs, 0, 77).end_offset, -1);
    leader_epochs_assign(&epochs, &heap, 1, 10);
    leader_epochs_assign(&epochs, &heap, 3, 20);
    leader_epochs_assign(&epochs, &heap, 5, 30);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct leader_epoch_end end = leader_epochs_end_of(&epochs, cases[i].asked, 77);
        assert_int_equal(end.epoch, cases[i].epoch);
        assert_int_equal(end.end_offset, cases[i].end);
    }
    leader_epochs_deinit(&epochs, &heap);
}

static void epochs_are_cut_at_both_ends(void **state)
{
    (void)state;
    static const struct {
        int64_t start, end; /* arguments */
        uint32_t count;
        int64_t first; /* -1: none */
    } cases[] = {
        {0, 100, 3, 10},  {10, 100, 3, 10}, {15, 100, 3, 15}, {20, 100, 2, 20},
        {25, 100, 2, 25}, {30, 100, 1, 30}, {90, 100, 1, 90}, {0, 31, 3, 10},
        {0, 30, 2, 10},   {0, 11, 1, 10},   {0, 10, 0, -1},   {25, 22, 0, -1},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct leader_epochs epochs;
        leader_epochs_init(&epochs);
        leader_epochs_assign(&epochs, &heap, 1, 10);
        leader_epochs_assign(&epochs, &heap, 3, 20);
        leader_epochs_assign(&epochs, &heap, 5, 30);
        leader_epochs_truncate_start(&epochs, cases[i].start);
        leader_epochs_truncate_end(&epochs, cases[i].end);
        assert_int_equal(epochs.count, cases[i].count);
        if (epochs.count)
            assert_int_equal(epochs.entries[0].start_offset, cases[i].first);
        leader_epochs_deinit(&epochs, &heap);
    }
}

static void epochs_come_back_from_their_text(void **state)
{
    (void)state;
    static const char *const damaged[] = {
        "0\n2\n1 10\n",       "0\n2\n1 10\n1 20\n", "0\n2\n1 10\n2 10\n", "0\n1\n-1 10\n",
        "0\n1\n1 -10\n",      "0\n1\n1\n",          "0\n1\n1 2 3\n",      "2\n0\n",
        "0\n1\n1 10\n2 20\n",
    };
    struct leader_epochs epochs, back;
    char text[256];
    leader_epochs_init(&epochs);
    leader_epochs_init(&back);
    leader_epochs_assign(&epochs, &heap, 0, 0);
    leader_epochs_assign(&epochs, &heap, INT32_MAX, INT64_MAX);
    assert_true(leader_epochs_text_size_max(&epochs) <= sizeof(text));
    size_t size = leader_epochs_encode(&epochs, text, sizeof(text));
    assert_true(view_equal(view_of(text, size),
                           VIEW_LITERAL("0\n2\n0 0\n2147483647 9223372036854775807\n")));
    assert_true(leader_epochs_decode(&back, &heap, view_of(text, size)));
    assert_int_equal(back.count, 2);
    assert_false(back.is_dirty);
    leader_epochs_deinit(&back, &heap);
    for (size_t i = 0; i < sizeof(damaged) / sizeof(damaged[0]); i++) {
        assert_false(leader_epochs_decode(&back, &heap, view_of_string(damaged[i])));
        assert_int_equal(back.count, 0);
    }
    assert_true(leader_epochs_decode(&back, &heap, VIEW_LITERAL("")));
    leader_epochs_deinit(&back, &heap);
    leader_epochs_deinit(&epochs, &heap);
}

/* ---- Transaction index ---------------------------------------------------------------------- */

struct found {
    int64_t producers[16];
    size_t count;
};

static void note(void *context, const struct aborted_transaction *entry)
{
    struct found *found = context;
    found->producers[found->count++] = entry->producer_id;
}

static void fill_index(struct transaction_index *index)
{
    static const struct aborted_transaction entries[] = {
        {1, 10, 20, 15},
        {2, 15, 30, 25},
        {3, 25, 40, 41},
        {4, 50, 60, 61},
    };
    transaction_index_init(index);
    for (size_t i = 0; i < 4; i++)
        assert_true(transaction_index_append(index, &heap, &entries[i]));
}

static void collecting_stops_at_the_first_stable_entry(void **state)
{
    (void)state;
    static const struct {
        int64_t from, upper;
        size_t count;
        int64_t first;
        bool is_complete;
    } cases[] = {
        {0, 100, 4, 1, false}, {0, 12, 1, 1, true},    {0, 16, 2, 1, true},
        {21, 30, 2, 2, true},  {31, 45, 1, 3, true},   {41, 50, 0, 0, true},
        {0, 10, 0, 0, true},   {61, 100, 0, 0, false}, {20, 24, 2, 1, true},
    };
    struct transaction_index index;
    fill_index(&index);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct found found = {{0}, 0};
        bool is_complete =
            transaction_index_collect(&index, cases[i].from, cases[i].upper, note, &found);
        assert_int_equal(is_complete, cases[i].is_complete);
        assert_int_equal(found.count, cases[i].count);
        if (found.count)
            assert_int_equal(found.producers[0], cases[i].first);
    }
    transaction_index_deinit(&index, &heap);
}

static void entries_keep_their_order_and_are_cut(void **state)
{
    (void)state;
    struct transaction_index index;
    fill_index(&index);
    struct aborted_transaction late = {5, 0, 60, 61};
    assert_false(transaction_index_append(&index, &heap, &late));
    index.written_count = 4;
    transaction_index_truncate(&index, 40);
    assert_int_equal(index.count, 2);
    assert_int_equal(index.written_count, 2);
    assert_int_equal(index.last_offset_max, 30);
    assert_true(transaction_index_append(&index, &heap, &late));
    transaction_index_truncate(&index, 0);
    assert_int_equal(index.count, 0);
    transaction_index_deinit(&index, &heap);
}

static void index_files_come_back_and_damage_is_refused(void **state)
{
    (void)state;
    struct transaction_index index, back;
    uint8_t bytes[4 * TRANSACTION_INDEX_ENTRY_SIZE];
    fill_index(&index);
    transaction_index_encode(&index, 0, bytes);
    transaction_index_init(&back);
    assert_true(transaction_index_decode(&back, &heap, view_of(bytes, sizeof(bytes)), 20));
    assert_int_equal(back.count, 4);
    assert_int_equal(back.written_count, 4);
    assert_int_equal(back.entries[3].last_stable_offset, 61);
    assert_int_equal(back.last_offset_max, 60);
    transaction_index_deinit(&back, &heap);
    assert_false(transaction_index_decode(&back, &heap, view_of(bytes, sizeof(bytes)), 21));
    for (size_t size = 0; size < sizeof(bytes); size++) {
        bool valid = transaction_index_decode(&back, &heap, view_of(bytes, size), 0);
        assert_int_equal(valid, size % TRANSACTION_INDEX_ENTRY_SIZE == 0);
        transaction_index_deinit(&back, &heap);
    }
    bytes[TRANSACTION_INDEX_ENTRY_SIZE] = 1; /* version of the second entry */
    assert_false(transaction_index_decode(&back, &heap, view_of(bytes, sizeof(bytes)), 0));
    assert_int_equal(back.count, 0);
    transaction_index_deinit(&index, &heap);
}

/* ---- Producer snapshots ---------------------------------------------------------------------- */

static const struct producer_state_options options = {.expiration_ms = 1000};

static void fill_producers(struct producer_state *producers)
{
    static const struct producer_info infos[] = {
        {.producer_id = 7,
         .producer_epoch = 3,
         .last_sequence = 41,
         .last_offset = 900,
         .offset_delta = 4,
         .timestamp_ms = 5000,
         .coordinator_epoch = -1,
         .transaction_first_offset = -1},
        {.producer_id = INT64_MAX,
         .producer_epoch = 0,
         .last_sequence = 0,
         .last_offset = 0,
         .offset_delta = 0,
         .timestamp_ms = 4500,
         .coordinator_epoch = 12,
         .transaction_first_offset = 100},
        {.producer_id = 9,
         .producer_epoch = 5,
         .last_sequence = -1,
         .last_offset = -1,
         .offset_delta = 0,
         .timestamp_ms = 5000,
         .coordinator_epoch = 2,
         .transaction_first_offset = -1},
    };
    producer_state_init(producers, &heap, &options);
    for (size_t i = 0; i < 3; i++)
        assert_true(producer_state_restore(producers, &infos[i]));
    assert_false(producer_state_restore(producers, &infos[0]));
}

static void snapshots_come_back_without_the_expired(void **state)
{
    (void)state;
    struct producer_state producers, back;
    struct producer_info info;
    uint8_t bytes[256];
    fill_producers(&producers);
    size_t size = producer_snapshot_file_size(&producers);
    assert_int_equal(size, 10 + 3 * 46);
    producer_snapshot_file_encode(&producers, bytes);
    producer_state_init(&back, &heap, &options);
    assert_true(producer_snapshot_file_decode(view_of(bytes, size), &back, 5000));
    assert_int_equal(back.producer_count, 3);
    assert_int_equal(producer_state_first_unstable_offset(&back), 100);
    assert_true(producer_state_find(&back, 7, &info));
    assert_int_equal(info.last_offset, 900);
    assert_int_equal(info.offset_delta, 4);
    uint8_t again[256];
    producer_snapshot_file_encode(&back, again);
    assert_memory_equal(bytes, again, size);
    producer_state_clear(&back);
    assert_true(producer_snapshot_file_decode(view_of(bytes, size), &back, 6000));
    assert_int_equal(back.producer_count, 1); /* the open transaction stays */
    producer_state_deinit(&back);
    producer_state_deinit(&producers);
}

static void a_snapshot_with_any_byte_changed_or_missing_is_refused(void **state)
{
    (void)state;
    struct producer_state producers, back;
    uint8_t bytes[256];
    fill_producers(&producers);
    size_t size = producer_snapshot_file_size(&producers);
    producer_snapshot_file_encode(&producers, bytes);
    producer_state_init(&back, &heap, &options);
    for (size_t i = 0; i < size; i++) {
        bytes[i] ^= 0x40;
        assert_false(producer_snapshot_file_decode(view_of(bytes, size), &back, 0));
        assert_true(producer_state_is_empty(&back));
        bytes[i] ^= 0x40;
        assert_false(producer_snapshot_file_decode(view_of(bytes, i), &back, 0));
    }
    assert_false(producer_snapshot_file_decode(view_of(bytes, size + 1), &back, 0));
    /* A right checksum over wrong content: the same producer twice. */
    memcpy(bytes + 10 + 46, bytes + 10, 46);
    store_u32(bytes + 2, crc32c(0, bytes + 6, size - 6));
    assert_false(producer_snapshot_file_decode(view_of(bytes, size), &back, 0));
    assert_true(producer_state_is_empty(&back));
    producer_state_deinit(&back);
    producer_state_deinit(&producers);
}

static void loading_falls_back_to_the_next_older_snapshot(void **state)
{
    (void)state;
    struct memory_node node;
    struct producer_state producers, back;
    uint8_t bytes[256];
    int64_t offset;
    memory_node_init(&node);
    memory_node_make_directory(&node, "/p");
    struct storage storage = memory_node_storage(&node);
    fill_producers(&producers);
    producer_snapshot_file_encode(&producers, bytes);
    struct view content = view_of(bytes, producer_snapshot_file_size(&producers));
    assert_int_equal(producer_snapshot_write(storage, "/p", 10, content), STORAGE_OK);
    assert_int_equal(producer_snapshot_write(storage, "/p", 30, content), STORAGE_OK);
    memory_node_put_file(&node, "/p/00000000000000000020.snapshot", VIEW_LITERAL("torn"));
    producer_state_init(&back, &heap, &options);
    assert_int_equal(producer_snapshot_load(storage, "/p", 29, 0, &heap, &back, &offset),
                     STORAGE_OK);
    assert_int_equal(offset, 10);
    assert_int_equal(back.producer_count, 3);
    assert_false(memory_node_exists(&node, "/p/00000000000000000020.snapshot"));
    producer_state_clear(&back);
    assert_int_equal(producer_snapshot_load(storage, "/p", 9, 0, &heap, &back, &offset),
                     STORAGE_OK);
    assert_int_equal(offset, -1);
    assert_int_equal(storage_run_path(storage, STORAGE_SYNC_DIRECTORY, "/p", NULL), STORAGE_OK);
    memory_node_crash(&node);
    assert_true(memory_node_exists(&node, "/p/00000000000000000030.snapshot"));
    producer_state_deinit(&back);
    producer_state_deinit(&producers);
    memory_node_deinit(&node);
}

/* ---- Identity -------------------------------------------------------------------------------- */

static void partition_metadata_round_trips(void **state)
{
    (void)state;
    static const char *const damaged[] = {
        "",
        "version: 0\n",
        "version: 0\ntopic_id: AAAAAAAAAAAAAAAAAAAAAA",
        "version: 1\ntopic_id: AAAAAAAAAAAAAAAAAAAAAQ",
        "topic_id: AAAAAAAAAAAAAAAAAAAAAQ\nversion: 0",
        "version: 0\ntopic_id: AAAAAAAAAAAAAAAAAAAAAQx",
        "version: 0\ntopic_id: AAAAAAAAAAAAAAAAAAAAAQ\nmore",
    };
    struct uuid id = uuid_of_random(3, 4), back;
    char text[PARTITION_METADATA_SIZE + 1];
    size_t size = partition_metadata_encode(id, text);
    assert_int_equal(size, PARTITION_METADATA_SIZE);
    assert_true(partition_metadata_decode(view_of(text, size), &back));
    assert_true(uuid_equal(id, back));
    assert_true(partition_metadata_decode(
        VIEW_LITERAL("version: 0\ntopic_id: AAAAAAAAAAAAAAAAAAAAAQ\n"), &back));
    for (size_t i = 0; i < sizeof(damaged) / sizeof(damaged[0]); i++)
        assert_false(partition_metadata_decode(view_of_string(damaged[i]), &back));
    for (size_t cut = 0; cut < size; cut++)
        assert_false(partition_metadata_decode(view_of(text, cut), &back));
}

static void a_file_that_cannot_be_opened_is_not_taken_for_a_damaged_one(void **state)
{
    (void)state;
    struct memory_node node;
    struct uuid id;
    bool valid;
    static const char long_text[2000] = "version: 0";
    memory_node_init(&node);
    memory_node_make_directory(&node, "/p");
    struct storage storage = memory_node_storage(&node);
    assert_int_equal(partition_metadata_write(storage, "/p", UUID_ONE), STORAGE_OK);
    memory_node_fail(&node, STORAGE_OPEN, 0, STORAGE_LIMIT);
    assert_int_equal(partition_metadata_load(storage, "/p", &heap, &id, &valid), STORAGE_LIMIT);
    assert_int_equal(partition_metadata_load(storage, "/p", &heap, &id, &valid), STORAGE_OK);
    assert_true(valid);
    memory_node_put_file(&node, "/p/partition.metadata", view_of(long_text, sizeof(long_text)));
    assert_int_equal(partition_metadata_load(storage, "/p", &heap, &id, &valid), STORAGE_OK);
    assert_false(valid);
    memory_node_deinit(&node);
}

static bool decode_meta(const char *text, struct meta_properties *meta)
{
    struct arena arena;
    const char *problem = NULL;
    arena_init(&arena, &heap, MEMORY_SCRATCH, 0);
    bool valid = meta_properties_decode(view_of_string(text), &arena, meta, &problem);
    assert_true(valid == (problem == NULL));
    arena_deinit(&arena);
    return valid;
}

static void meta_properties_of_both_versions_are_read(void **state)
{
    (void)state;
    struct meta_properties meta, back;
    char text[META_PROPERTIES_SIZE_MAX + 1];
    assert_true(decode_meta("#\n#Fri Nov 20 17:00:00 UTC 2026\ncluster.id=abc\nversion=1\n"
                            "directory.id=AAAAAAAAAAAAAAAAAAAAAQ\nnode.id=3\n",
                            &meta));
    assert_int_equal(meta.version, 1);
    assert_int_equal(meta.node_id, 3);
    assert_string_equal(meta.cluster_id, "abc");
    assert_true(uuid_equal(meta.directory_id, UUID_ONE));
    size_t size = meta_properties_encode(&meta, text, META_PROPERTIES_SIZE_MAX);
    text[size] = 0;
    assert_true(decode_meta(text, &back));
    assert_string_equal(back.cluster_id, meta.cluster_id);
    assert_true(decode_meta("version=0\nbroker.id=5\n", &meta));
    assert_int_equal(meta.node_id, 5);
    assert_string_equal(meta.cluster_id, "");
    assert_false(decode_meta("", &meta));
    assert_false(decode_meta("version=2\n", &meta));
    assert_false(decode_meta("version=1\nnode.id=1\n", &meta));
    assert_false(decode_meta("version=1\ncluster.id=a\n", &meta));
    assert_false(decode_meta("version=1\ncluster.id=a\nnode.id=-1\n", &meta));
    assert_false(decode_meta("version=1\ncluster.id=a\nnode.id=1\ndirectory.id=zz\n", &meta));
}

#define CLAIM(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CLAIM(paths_are_whole_or_refused),
        CLAIM(offsets_in_names_have_20_digits),
        CLAIM(directory_names_are_cut_at_the_last_dash),
        CLAIM(long_delete_names_cut_the_topic),
        CLAIM(checkpoints_read_what_kafka_writes),
        CLAIM(damaged_checkpoints_are_refused_whole),
        CLAIM(a_replaced_file_survives_a_crash_at_any_step_old_or_new),
        CLAIM(a_missing_checkpoint_is_empty_and_a_damaged_one_is_told),
        CLAIM(epochs_only_grow),
        CLAIM(the_end_of_an_epoch_is_the_start_of_the_next),
        CLAIM(epochs_are_cut_at_both_ends),
        CLAIM(epochs_come_back_from_their_text),
        CLAIM(collecting_stops_at_the_first_stable_entry),
        CLAIM(entries_keep_their_order_and_are_cut),
        CLAIM(index_files_come_back_and_damage_is_refused),
        CLAIM(snapshots_come_back_without_the_expired),
        CLAIM(a_snapshot_with_any_byte_changed_or_missing_is_refused),
        CLAIM(loading_falls_back_to_the_next_older_snapshot),
        CLAIM(partition_metadata_round_trips),
        CLAIM(a_file_that_cannot_be_opened_is_not_taken_for_a_damaged_one),
        CLAIM(meta_properties_of_both_versions_are_read),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
