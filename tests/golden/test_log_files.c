/*
 * Replays what Kafka's storage classes decided (the tables in log) and compares decisions, state
 * and file bytes. Written by record/LogFiles.java.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "base/text.h"
#include "log/checkpoint_file.h"
#include "log/leader_epochs.h"
#include "log/log_directory.h"
#include "log/meta_properties.h"
#include "log/partition_metadata.h"
#include "log/producer_snapshot.h"
#include "log/transaction_index.h"
#include "protocol/batch.h"

static const char *directory;
static struct heap heap;

struct table {
    struct view text;
    struct view rest;
    int line;
};

static struct table open_table(const char *name)
{
    char path[512];
    snprintf(path, sizeof(path), "%s/%s", directory, name);
    FILE *file = fopen(path, "rb");
    assert_non_null(file);
    fseek(file, 0, SEEK_END);
    size_t size = (size_t)ftell(file);
    rewind(file);
    uint8_t *data = malloc(size + 1);
    assert_int_equal(fread(data, 1, size, file), size);
    fclose(file);
    struct view text = view_of(data, size);
    return (struct table){text, text, 0};
}

static bool next_line(struct table *table, struct view *line)
{
    table->line++;
    *line = checkpoint_next_line(&table->rest);
    return !view_is_null(*line);
}

static void close_table(struct table *table)
{
    assert_true(table->line > 1);
    free((void *)(uintptr_t)table->text.data);
}

static struct view field(struct view *line)
{
    struct view part = VIEW_NULL;
    text_split(line, '\t', &part);
    return part;
}

static int64_t number(struct view *line, char separator)
{
    struct view part = VIEW_NULL;
    int64_t value = 0;
    text_split(line, separator, &part);
    if (!text_parse_i64(part, INT64_MIN, INT64_MAX, &value))
        fail_msg("no number: %.*s", (int)part.size, (const char *)part.data);
    return value;
}

static bool is(struct view view, const char *text)
{
    return view_equal(view, view_of_string(text));
}

/* The bytes of a hex field; free them. */
static struct view unhex(struct view text)
{
    uint8_t *bytes = malloc(text.size / 2 + 1);
    assert_true(text_parse_hex(text, bytes, text.size / 2));
    return view_of(bytes, text.size / 2);
}

static void drop(struct view bytes)
{
    free((void *)(uintptr_t)bytes.data);
}

/* ---- Producer state -------------------------------------------------------------------------- */

static const struct producer_state_options options = {.expiration_ms = INT64_MAX};

struct replay {
    struct producer_state state;
    int64_t next;
    int line;
};

static void expect_error(const struct replay *replay, enum kafka_error error, struct view expected)
{
    const char *name =
        error == KAFKA_ERROR_DUPLICATE_SEQUENCE_NUMBER ? "DUPLICATE" : kafka_error_name(error);
    if (!is(expected, name))
        fail_msg("line %d: %s, Kafka says %.*s", replay->line, name, (int)expected.size,
                 (const char *)expected.data);
}

static void replay_data(struct replay *replay, struct view *line)
{
    struct producer_batch batch = {.coordinator_epoch = -1};
    struct producer_duplicate duplicate = {-1, -1, 0, false};
    struct producer_completed completed;
    batch.producer_id = number(line, '\t');
    batch.producer_epoch = (int16_t)number(line, '\t');
    batch.first_sequence = (int32_t)number(line, '\t');
    int32_t count = (int32_t)number(line, '\t');
    batch.last_sequence = batch_sequence_add(batch.first_sequence, count - 1);
    batch.is_transactional = is(field(line), "true");
    struct view origin = field(line);
    struct view expected = field(line);
    int64_t first = number(line, '\t');
    int64_t last = number(line, '\t');
    enum producer_origin from = is(origin, "CLIENT")        ? PRODUCER_ORIGIN_CLIENT
                                : is(origin, "COORDINATOR") ? PRODUCER_ORIGIN_COORDINATOR
                                                            : PRODUCER_ORIGIN_REPLICATION;
    enum kafka_error error = producer_state_check(&replay->state, &batch, from, 0, &duplicate);
    /* Kafka refuses this one on replication too; a follower of ours takes what its leader took. */
    if (from == PRODUCER_ORIGIN_REPLICATION && is(expected, "INVALID_TXN_STATE"))
        return;
    expect_error(replay, error, expected);
    if (error == KAFKA_ERROR_DUPLICATE_SEQUENCE_NUMBER) {
        assert_int_equal(duplicate.first_offset, first);
        assert_int_equal(duplicate.last_offset, last);
    } else if (error == KAFKA_ERROR_NONE) {
        batch.timestamp_ms = 1000 + replay->next;
        batch.first_offset = replay->next;
        batch.last_offset = replay->next + count - 1;
        replay->next += count;
        if (batch.first_offset != first)
            fail_msg("line %d: offset %lld, Kafka has %lld", replay->line,
                     (long long)batch.first_offset, (long long)first);
        producer_state_apply(&replay->state, &batch, &completed);
        producer_state_settle(&replay->state, replay->next);
    }
}

static void replay_marker(struct replay *replay, struct view *line)
{
    struct producer_batch batch = {.is_control = true, .is_transactional = true};
    struct producer_duplicate duplicate;
    struct producer_completed completed = {.first_offset = -1, .last_stable_offset = -1};
    batch.producer_id = number(line, '\t');
    batch.producer_epoch = (int16_t)number(line, '\t');
    batch.coordinator_epoch = (int32_t)number(line, '\t');
    batch.marker = is(field(line), "true") ? PRODUCER_MARKER_ABORT : PRODUCER_MARKER_COMMIT;
    batch.transaction_version = (int16_t)number(line, '\t');
    struct view expected = field(line);
    int64_t first = number(line, '\t');
    int64_t stable = number(line, '\t');
    enum kafka_error error =
        producer_state_check(&replay->state, &batch, PRODUCER_ORIGIN_COORDINATOR, 0, &duplicate);
    expect_error(replay, error, expected);
    if (error != KAFKA_ERROR_NONE)
        return;
    batch.timestamp_ms = 1000 + replay->next;
    batch.first_offset = batch.last_offset = replay->next++;
    producer_state_apply(&replay->state, &batch, &completed);
    producer_state_settle(&replay->state, replay->next);
    assert_int_equal(completed.first_offset, first);
    assert_int_equal(completed.last_stable_offset, stable);
}

static void compare_state(const struct replay *replay, struct view line)
{
    uint32_t count = 0;
    assert_true(line.size > 0 && line.data[0] == '=');
    line = view_of(line.data + 1, line.size - 1);
    int64_t unstable = number(&line, '\t');
    if (producer_state_first_unstable_offset(&replay->state) != unstable)
        fail_msg("line %d: first unstable offset %lld, Kafka says %lld", replay->line,
                 (long long)producer_state_first_unstable_offset(&replay->state),
                 (long long)unstable);
    struct view entry;
    while (text_split(&line, '\t', &entry)) {
        struct producer_info info;
        int64_t expected[7];
        for (int i = 0; i < 7; i++)
            expected[i] = number(&entry, ',');
        assert_true(producer_state_find(&replay->state, expected[0], &info));
        const int64_t ours[7] = {info.producer_id,
                                 info.producer_epoch,
                                 info.last_sequence,
                                 info.last_offset,
                                 info.offset_delta,
                                 info.coordinator_epoch,
                                 info.transaction_first_offset};
        for (int i = 0; i < 7; i++) {
            if (ours[i] != expected[i])
                fail_msg("line %d: producer %lld field %d is %lld, Kafka says %lld", replay->line,
                         (long long)expected[0], i, (long long)ours[i], (long long)expected[i]);
        }
        count++;
    }
    assert_int_equal(replay->state.producer_count, count);
}

/* Kafka's snapshot decodes to our state, and our bytes hold the same entries (in another order). */
static void compare_snapshot(struct replay *replay, struct view text)
{
    struct producer_state loaded;
    struct view bytes = unhex(text);
    producer_state_init(&loaded, &heap, &options);
    assert_true(producer_snapshot_file_decode(bytes, &loaded, 0));
    assert_int_equal(loaded.producer_count, replay->state.producer_count);
    size_t size = producer_snapshot_file_size(&replay->state);
    assert_int_equal(size, bytes.size);
    uint8_t *ours = malloc(size);
    producer_snapshot_file_encode(&replay->state, ours);
    for (size_t at = PRODUCER_SNAPSHOT_HEADER_SIZE; at < size; at += PRODUCER_SNAPSHOT_ENTRY_SIZE)
        assert_non_null(memmem(bytes.data, bytes.size, ours + at, PRODUCER_SNAPSHOT_ENTRY_SIZE));
    /* Loaded in Kafka's order, the file comes out byte for byte. */
    producer_snapshot_file_encode(&loaded, ours);
    assert_memory_equal(ours, bytes.data, size);
    free(ours);
    drop(bytes);
    producer_state_deinit(&loaded);
}

static void replay_line(struct replay *replay, struct view line)
{
    struct view kind = field(&line);
    if (is(kind, "begin")) {
        producer_state_clear(&replay->state);
        replay->next = number(&line, '\t');
        return;
    }
    if (is(kind, "snapshot")) {
        compare_snapshot(replay, field(&line));
        return;
    }
    if (is(kind, "data")) {
        replay_data(replay, &line);
    } else if (is(kind, "marker")) {
        replay_marker(replay, &line);
    } else if (is(kind, "watermark")) {
        producer_state_advance_high_watermark(&replay->state, number(&line, '\t'));
    } else {
        assert_true(is(kind, "verify"));
        int64_t id = number(&line, '\t');
        int16_t epoch = (int16_t)number(&line, '\t');
        int32_t first = (int32_t)number(&line, '\t');
        producer_state_begin_verification(&replay->state, id, epoch, first,
                                          is(field(&line), "true"), 0);
    }
    compare_state(replay, line);
}

static void producers_are_judged_as_by_kafka(void **state)
{
    (void)state;
    struct replay replay = {.line = 0};
    struct view line;
    struct table table = open_table("producer_state.tsv");
    producer_state_init(&replay.state, &heap, &options);
    while (next_line(&table, &line)) {
        replay.line = table.line;
        replay_line(&replay, line);
    }
    producer_state_deinit(&replay.state);
    close_table(&table);
}

/* ---- Leader epochs --------------------------------------------------------------------------- */

static void compare_epochs(const struct leader_epochs *epochs, struct view line, int number_of_line)
{
    uint32_t i = 0;
    struct view entry;
    assert_true(line.size > 0 && line.data[0] == '=');
    line = view_of(line.data + 1, line.size - 1);
    while (text_split(&line, ';', &entry) && entry.size > 0) {
        int64_t epoch = number(&entry, ',');
        int64_t start = number(&entry, ',');
        if (i >= epochs->count || epochs->entries[i].epoch != epoch ||
            epochs->entries[i].start_offset != start)
            fail_msg("line %d: entry %u differs from Kafka's", number_of_line, i);
        i++;
    }
    if (i != epochs->count)
        fail_msg("line %d: %u entries, Kafka has %u", number_of_line, epochs->count, i);
}

static void compare_epoch_file(const struct leader_epochs *epochs, struct view text)
{
    struct leader_epochs back;
    struct view bytes = unhex(text);
    char ours[1024];
    leader_epochs_init(&back);
    assert_true(leader_epochs_decode(&back, &heap, bytes));
    assert_int_equal(back.count, epochs->count);
    size_t size = leader_epochs_encode(epochs, ours, sizeof(ours));
    assert_true(view_equal(view_of(ours, size), bytes));
    leader_epochs_deinit(&back, &heap);
    drop(bytes);
}

static void epochs_move_as_in_kafka(void **state)
{
    (void)state;
    struct leader_epochs epochs;
    struct view line;
    struct table table = open_table("leader_epochs.tsv");
    leader_epochs_init(&epochs);
    while (next_line(&table, &line)) {
        struct view kind = field(&line);
        if (is(kind, "begin")) {
            leader_epochs_clear(&epochs);
            continue;
        }
        if (is(kind, "file")) {
            compare_epoch_file(&epochs, field(&line));
            continue;
        }
        int64_t a = number(&line, '\t');
        int64_t b = number(&line, '\t');
        if (is(kind, "assign")) {
            leader_epochs_assign(&epochs, &heap, (int32_t)a, b);
        } else if (is(kind, "truncate_end")) {
            leader_epochs_truncate_end(&epochs, a);
        } else if (is(kind, "truncate_start")) {
            leader_epochs_truncate_start(&epochs, a);
        } else {
            struct leader_epoch_end end = leader_epochs_end_of(&epochs, (int32_t)a, b);
            int64_t epoch = number(&line, '\t');
            int64_t offset = number(&line, '\t');
            if (end.epoch != epoch || end.end_offset != offset)
                fail_msg("line %d: end of epoch %lld is (%d, %lld), Kafka says (%lld, %lld)",
                         table.line, (long long)a, end.epoch, (long long)end.end_offset,
                         (long long)epoch, (long long)offset);
        }
        compare_epochs(&epochs, line, table.line);
    }
    leader_epochs_deinit(&epochs, &heap);
    close_table(&table);
}

/* ---- Transaction index ----------------------------------------------------------------------- */

struct found {
    char text[512];
    size_t size;
};

static void note(void *context, const struct aborted_transaction *entry)
{
    struct found *found = context;
    found->size += (size_t)snprintf(found->text + found->size, sizeof(found->text) - found->size,
                                    "%lld;", (long long)entry->producer_id);
}

static void compare_index_file(const struct transaction_index *index, struct view text)
{
    struct view bytes = unhex(text);
    assert_int_equal(bytes.size, index->count * TRANSACTION_INDEX_ENTRY_SIZE);
    uint8_t *ours = malloc(bytes.size);
    transaction_index_encode(index, 0, ours);
    assert_memory_equal(ours, bytes.data, bytes.size);
    free(ours);
    drop(bytes);
}

static void aborted_transactions_are_found_as_by_kafka(void **state)
{
    (void)state;
    struct transaction_index index;
    struct view line;
    struct table table = open_table("transaction_index.tsv");
    transaction_index_init(&index);
    while (next_line(&table, &line)) {
        struct view kind = field(&line);
        if (is(kind, "begin")) {
            transaction_index_deinit(&index, &heap);
        } else if (is(kind, "append")) {
            struct aborted_transaction entry;
            entry.producer_id = number(&line, '\t');
            entry.first_offset = number(&line, '\t');
            entry.last_offset = number(&line, '\t');
            entry.last_stable_offset = number(&line, '\t');
            assert_true(transaction_index_append(&index, &heap, &entry));
        } else if (is(kind, "collect")) {
            struct found found = {"", 0};
            int64_t from = number(&line, '\t');
            int64_t to = number(&line, '\t');
            bool is_complete = is(field(&line), "true");
            assert_int_equal(transaction_index_collect(&index, from, to, note, &found),
                             is_complete);
            assert_true(view_equal(field(&line), view_of(found.text, found.size)));
        } else {
            compare_index_file(&index, field(&line));
        }
    }
    transaction_index_deinit(&index, &heap);
    close_table(&table);
}

/* ---- Single files ---------------------------------------------------------------------------- */

static void check_checkpoint(struct view bytes)
{
    struct arena arena;
    struct checkpoint checkpoint;
    uint8_t ours[256];
    arena_init(&arena, &heap, MEMORY_SCRATCH, 0);
    assert_true(checkpoint_decode(bytes, &arena, &checkpoint));
    assert_int_equal(checkpoint_find(&checkpoint, VIEW_LITERAL("a.b-c"), 7, -1), 1234567890123);
    assert_int_equal(checkpoint_find(&checkpoint, VIEW_LITERAL("t"), 0, -1), 0);
    assert_int_equal(checkpoint_size(checkpoint.entries, checkpoint.count), bytes.size);
    checkpoint_encode(checkpoint.entries, checkpoint.count, ours);
    assert_memory_equal(ours, bytes.data, bytes.size);
    arena_deinit(&arena);
}

static void check_metadata(struct view bytes)
{
    struct uuid id;
    char ours[PARTITION_METADATA_SIZE + 1];
    assert_true(partition_metadata_decode(bytes, &id));
    size_t size = partition_metadata_encode(id, ours);
    assert_memory_equal(ours, bytes.data, size);
    assert_true(size == bytes.size || (size + 1 == bytes.size && bytes.data[size] == '\n'));
}

static void check_meta(struct view bytes)
{
    struct arena arena;
    struct meta_properties meta;
    const char *problem;
    arena_init(&arena, &heap, MEMORY_SCRATCH, 0);
    assert_true(meta_properties_decode(bytes, &arena, &meta, &problem));
    assert_string_equal(meta.cluster_id, "MkU3OEVBNTcwNTJENDM2Qg");
    assert_int_equal(meta.node_id, 17);
    assert_false(uuid_is_zero(meta.directory_id));
    arena_deinit(&arena);
}

static void single_files_are_read_and_written_like_kafkas(void **state)
{
    (void)state;
    struct view line;
    struct table table = open_table("files.tsv");
    int seen = 0;
    while (next_line(&table, &line)) {
        struct view kind = field(&line);
        struct view bytes = unhex(field(&line));
        if (is(kind, "checkpoint"))
            check_checkpoint(bytes);
        else if (is(kind, "partition.metadata"))
            check_metadata(bytes);
        else if (is(kind, "meta.properties"))
            check_meta(bytes);
        else
            assert_int_equal(log_directory_parse_clean_marker(bytes), 4711);
        drop(bytes);
        seen++;
    }
    assert_int_equal(seen, 4);
    close_table(&table);
}

int main(int argument_count, char **arguments)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(producers_are_judged_as_by_kafka),
        cmocka_unit_test(epochs_move_as_in_kafka),
        cmocka_unit_test(aborted_transactions_are_found_as_by_kafka),
        cmocka_unit_test(single_files_are_read_and_written_like_kafkas),
    };
    if (argument_count != 2)
        return 2;
    directory = arguments[1];
    heap_init_plain(&heap);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
