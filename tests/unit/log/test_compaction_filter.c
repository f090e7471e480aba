/*
 * What becomes of single batches, and of the batches of transactions, in one pass and in the next.
 * Records are written as text: "a=1" a value, "a" a tombstone, "=x" a value without key.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "log/compaction_filter.h"
#include "protocol/control_record.h"

enum { NOW = 1000000, RETENTION = 5000, BATCHES_MAX = 16 };

/* A little log: batches one after the other, and what a pass made of them. */
struct pass {
    struct heap heap;
    struct buffer batches[BATCHES_MAX];
    size_t count;
    int64_t next_offset;
    struct producer_state_options options;
    struct producer_state producers;
    struct aborted_transaction aborted[4];
    size_t aborted_count;
    int64_t map_end; /* INT64_MAX unless set */
    int64_t now_ms;
    size_t entries; /* of the transaction index that the pass asked to keep */
    const char *fault;
};

static void pass_init(struct pass *pass)
{
    *pass = (struct pass){.map_end = INT64_MAX, .now_ms = NOW};
    heap_init_plain(&pass->heap);
    pass->options.expiration_ms = INT64_MAX / 2;
    producer_state_init(&pass->producers, &pass->heap, &pass->options);
}

static void pass_deinit(struct pass *pass)
{
    for (size_t i = 0; i < pass->count; i++)
        buffer_deinit(&pass->batches[i]);
    producer_state_deinit(&pass->producers);
}

static void add_bytes(struct pass *pass, struct view batch)
{
    assert_true(pass->count < BATCHES_MAX);
    struct buffer *copy = &pass->batches[pass->count++];
    buffer_init(copy, &pass->heap, MEMORY_SCRATCH, 0);
    assert_true(buffer_append(copy, batch.data, batch.size));
    pass->next_offset = batch_last_offset(batch.data) + 1;
}

static void add(struct pass *pass, struct batch_options options, const char *const *records)
{
    struct batch_builder builder;
    struct view batch;
    options.base_offset = pass->next_offset;
    options.level = compression_level_default(options.codec);
    batch_builder_init(&builder, &pass->heap, 0, &options);
    for (int64_t i = 0; records[i]; i++) {
        const char *equals = strchr(records[i], '=');
        size_t size = equals ? (size_t)(equals - records[i]) : strlen(records[i]);
        struct record_header header = {VIEW_LITERAL("h"), VIEW_LITERAL("v")};
        struct batch_record record = {
            .timestamp_ms = 500 + i,
            .key = size > 0 ? view_of(records[i], size) : VIEW_NULL,
            .value = equals ? view_of_string(equals + 1) : VIEW_NULL,
            .headers = &header,
            .header_count = i % 2 == 0,
        };
        assert_true(batch_builder_append(&builder, &record));
    }
    assert_int_equal(batch_builder_finish(&builder, &batch), COMPRESSION_OK);
    add_bytes(pass, batch);
    batch_builder_deinit(&builder);
}

#define ADD(pass, options, ...) add(pass, options, (const char *const[]){__VA_ARGS__, NULL})

static void add_marker(struct pass *pass, int64_t producer_id, bool commit)
{
    uint8_t bytes[CONTROL_RECORD_MARKER_BATCH_SIZE];
    struct control_marker marker = {.commit = commit,
                                    .producer_id = producer_id,
                                    .producer_epoch = 0,
                                    .coordinator_epoch = 3,
                                    .timestamp_ms = 700};
    size_t size = control_record_build_marker(bytes, &marker);
    batch_set_base_offset(bytes, pass->next_offset);
    add_bytes(pass, view_of(bytes, size));
}

static struct batch_options transactional(int64_t producer_id, int32_t sequence)
{
    struct batch_options options = BATCH_OPTIONS_DEFAULT;
    options.transactional = true;
    options.producer_id = producer_id;
    options.producer_epoch = 0;
    options.base_sequence = sequence;
    return options;
}

/* Fills the map as the first walk of a pass does. */
static void fill(struct pass *pass, struct compaction_map *map,
                 struct compaction_transactions *transactions)
{
    struct batch_reader reader;
    struct batch_reader_record record;
    const struct aborted_transaction *aborted;
    batch_reader_init(&reader, &pass->heap);
    for (size_t i = 0; i < pass->count; i++) {
        struct view batch = buffer_view(&pass->batches[i]);
        if (batch_is_control(batch.data))
            compaction_transactions_control(transactions, batch, &aborted);
        else if (!compaction_transactions_data(transactions, batch.data) &&
                 !compaction_open_batch(&reader, batch))
            while (batch_reader_next(&reader, &record) == RECORD_OK &&
                   record.offset < pass->map_end)
                if (!view_is_null(record.record.key))
                    assert_true(compaction_map_put(map, record.record.key, record.offset));
    }
    batch_reader_deinit(&reader);
}

/* Puts what stays in the place of what was. The last verdict is returned. */
static enum compaction_verdict run(struct pass *pass)
{
    struct compaction_map map;
    struct compaction_transactions transactions;
    struct compaction_filter filter;
    struct compaction_rules rules = {.map_end = pass->map_end,
                                     .upper_offset = -1,
                                     .now_ms = pass->now_ms,
                                     .delete_retention_ms = RETENTION};
    enum compaction_verdict verdict = COMPACTION_KEEP;
    size_t kept = 0;
    compaction_map_init(&map, &pass->heap, (struct siphash_key){7, 8}, 1 << 16, 0.9);
    compaction_transactions_init(&transactions, &pass->heap, pass->aborted, pass->aborted_count);
    fill(pass, &map, &transactions);
    compaction_transactions_deinit(&transactions);
    compaction_transactions_init(&transactions, &pass->heap, pass->aborted, pass->aborted_count);
    compaction_filter_init(&filter, &pass->heap, &rules, &map, &transactions, &pass->producers,
                           NULL);
    pass->entries = 0;
    for (size_t i = 0; i < pass->count; i++) {
        struct view output;
        const struct aborted_transaction *aborted;
        verdict =
            compaction_filter_batch(&filter, buffer_view(&pass->batches[i]), &output, &aborted);
        pass->entries += aborted != NULL;
        struct buffer batch = pass->batches[i];
        if (verdict == COMPACTION_REPLACE) {
            assert_true(batch_crc_is_valid(output));
            buffer_clear(&batch);
            assert_true(buffer_append(&batch, output.data, output.size));
        }
        if (verdict == COMPACTION_DROP)
            buffer_deinit(&batch);
        else
            pass->batches[kept++] = batch;
        pass->fault = filter.fault;
    }
    pass->count = kept;
    compaction_filter_deinit(&filter);
    compaction_transactions_deinit(&transactions);
    compaction_map_deinit(&map);
    return verdict;
}

/* The i-th batch has exactly these records, as offset and text: "3:a=1". */
static void expect(struct pass *pass, size_t i, const char *const *records)
{
    struct batch_reader reader;
    struct batch_reader_record record;
    assert_true(i < pass->count);
    struct view batch = buffer_view(&pass->batches[i]);
    batch_reader_init(&reader, &pass->heap);
    assert_null(compaction_open_batch(&reader, batch));
    size_t count = 0;
    for (; batch_reader_next(&reader, &record) == RECORD_OK; count++) {
        char text[64];
        assert_non_null(records[count]);
        snprintf(text, sizeof(text), "%lld:%.*s%s%.*s", (long long)record.offset,
                 (int)record.record.key.size, (const char *)record.record.key.data,
                 view_is_null(record.record.value) ? "" : "=", (int)record.record.value.size,
                 (const char *)record.record.value.data);
        assert_string_equal(text, records[count]);
        int64_t delta = record.record.offset_delta;
        assert_int_equal(record.timestamp_ms, 500 + delta);
        assert_int_equal(record.record.header_count, delta % 2 == 0);
    }
    assert_null(records[count]);
    batch_reader_deinit(&reader);
}

#define EXPECT(pass, i, ...) expect(pass, i, (const char *const[]){__VA_ARGS__, NULL})

static const uint8_t *header_of(const struct pass *pass, size_t i)
{
    assert_true(i < pass->count);
    return pass->batches[i].data;
}

/* ---- Data ------------------------------------------------------------------------------------ */

static void the_newest_record_of_each_key_stays_with_its_offset(void **state)
{
    (void)state;
    for (unsigned codec = 0; codec < COMPRESSION_CODECS; codec++) {
        struct pass pass;
        struct batch_options options = BATCH_OPTIONS_DEFAULT;
        pass_init(&pass);
        options.codec = (enum compression_codec)codec;
        options.leader_epoch = 4;
        ADD(&pass, options, "a=1", "b=1", "c=1");
        ADD(&pass, options, "d=1", "e=1");
        ADD(&pass, options, "a=2", "c=2", "c=3");
        ADD(&pass, options, "b=2");
        run(&pass);
        assert_int_equal(pass.count, 3);
        EXPECT(&pass, 0, "3:d=1", "4:e=1");
        EXPECT(&pass, 1, "5:a=2", "7:c=3");
        EXPECT(&pass, 2, "8:b=2");
        assert_int_equal(batch_base_offset(header_of(&pass, 1)), 5);
        assert_int_equal(batch_last_offset(header_of(&pass, 1)), 7);
        assert_int_equal(batch_codec(header_of(&pass, 1)), codec);
        assert_int_equal(batch_leader_epoch(header_of(&pass, 1)), 4);
        pass_deinit(&pass);
    }
}

static void a_batch_of_which_everything_stays_is_copied_as_it_lies(void **state)
{
    struct pass pass;
    (void)state;
    pass_init(&pass);
    ADD(&pass, BATCH_OPTIONS_DEFAULT, "a=1", "b=1");
    assert_int_equal(run(&pass), COMPACTION_KEEP);
    pass_deinit(&pass);
}

static void append_time_and_the_last_offset_survive(void **state)
{
    struct pass pass;
    struct batch_options options = BATCH_OPTIONS_DEFAULT;
    (void)state;
    pass_init(&pass);
    options.append_time = true;
    options.append_time_ms = 12345;
    ADD(&pass, options, "a=1", "b=1");
    ADD(&pass, BATCH_OPTIONS_DEFAULT, "b=2");
    run(&pass);
    assert_int_equal(pass.count, 2);
    assert_true(batch_is_append_time(header_of(&pass, 0)));
    assert_int_equal(batch_max_timestamp(header_of(&pass, 0)), 12345);
    assert_int_equal(batch_last_offset(header_of(&pass, 0)), 1);
    assert_int_equal(batch_record_count(header_of(&pass, 0)), 1);
    pass_deinit(&pass);
}

static void records_behind_the_map_stay_and_those_without_key_go(void **state)
{
    struct pass pass;
    (void)state;
    pass_init(&pass);
    ADD(&pass, BATCH_OPTIONS_DEFAULT, "a=1", "=x", "b=1");
    ADD(&pass, BATCH_OPTIONS_DEFAULT, "a=2", "=y", "a=3");
    pass.map_end = 4;
    run(&pass);
    EXPECT(&pass, 0, "2:b=1");
    EXPECT(&pass, 1, "3:a=2", "4:=y", "5:a=3");
    pass_deinit(&pass);
}

static void a_tombstone_gets_its_time_first_and_goes_later(void **state)
{
    struct pass pass;
    (void)state;
    pass_init(&pass);
    ADD(&pass, BATCH_OPTIONS_DEFAULT, "a=1", "b=1");
    ADD(&pass, BATCH_OPTIONS_DEFAULT, "a");
    run(&pass);
    EXPECT(&pass, 0, "1:b=1");
    EXPECT(&pass, 1, "2:a");
    assert_true(batch_has_delete_horizon(header_of(&pass, 1)));
    assert_int_equal(batch_base_timestamp(header_of(&pass, 1)), NOW + RETENTION);
    pass.now_ms = NOW + RETENTION - 1;
    assert_int_equal(run(&pass), COMPACTION_KEEP); /* and its time is not set again */
    pass.now_ms++;
    assert_int_equal(run(&pass), COMPACTION_DROP);
    assert_int_equal(pass.count, 1);
    pass_deinit(&pass);
}

static void a_horizon_stays_when_the_batch_loses_other_records(void **state)
{
    struct pass pass;
    (void)state;
    pass_init(&pass);
    ADD(&pass, BATCH_OPTIONS_DEFAULT, "a", "b=1");
    run(&pass);
    ADD(&pass, BATCH_OPTIONS_DEFAULT, "b=2");
    pass.now_ms += 10;
    run(&pass);
    EXPECT(&pass, 0, "0:a");
    assert_int_equal(batch_base_timestamp(header_of(&pass, 0)), NOW + RETENTION);
    pass_deinit(&pass);
}

static void damage_is_told_and_not_copied(void **state)
{
    struct pass pass;
    (void)state;
    pass_init(&pass);
    ADD(&pass, BATCH_OPTIONS_DEFAULT, "a=1");
    pass.batches[0].data[BATCH_HEADER_SIZE + 3] ^= 1;
    assert_int_equal(run(&pass), COMPACTION_DAMAGED);
    assert_string_equal(pass.fault, "checksum");
    batch_crc_update(pass.batches[0].data, pass.batches[0].size);
    pass.batches[0].data[BATCH_HEADER_SIZE] = 0x7f; /* a record longer than the batch */
    batch_crc_update(pass.batches[0].data, pass.batches[0].size);
    assert_int_equal(run(&pass), COMPACTION_DAMAGED);
    assert_string_equal(pass.fault, "record");
    pass_deinit(&pass);
}

/* ---- Producers ------------------------------------------------------------------------------- */

static void know_producer(struct pass *pass, int64_t producer_id, int64_t last_offset)
{
    struct producer_info info = {.producer_id = producer_id,
                                 .last_offset = last_offset,
                                 .transaction_first_offset = -1,
                                 .last_sequence = 5,
                                 .timestamp_ms = NOW,
                                 .coordinator_epoch = -1};
    assert_true(producer_state_restore(&pass->producers, &info));
}

static void the_last_batch_of_a_producer_stays_empty(void **state)
{
    struct pass pass;
    struct batch_options options = BATCH_OPTIONS_DEFAULT;
    (void)state;
    pass_init(&pass);
    options.producer_id = 9;
    options.producer_epoch = 2;
    options.base_sequence = 4;
    options.codec = COMPRESSION_LZ4;
    ADD(&pass, options, "a=1");
    options.base_sequence = 5;
    ADD(&pass, options, "a=2", "b=2");
    ADD(&pass, BATCH_OPTIONS_DEFAULT, "a=3", "b=3");
    know_producer(&pass, 9, 2);
    run(&pass);
    assert_int_equal(pass.count, 2);
    const uint8_t *empty = header_of(&pass, 0);
    assert_int_equal(pass.batches[0].size, BATCH_HEADER_SIZE);
    assert_int_equal(batch_record_count(empty), 0);
    assert_int_equal(batch_base_offset(empty), 1);
    assert_int_equal(batch_last_offset(empty), 2);
    assert_int_equal(batch_last_sequence(empty), 6);
    assert_int_equal(batch_codec(empty), 0);
    assert_int_equal(batch_base_timestamp(empty), BATCH_NO_TIMESTAMP);
    assert_int_equal(batch_max_timestamp(empty), 501);
    assert_int_equal(run(&pass), COMPACTION_KEEP);
    assert_int_equal(pass.count, 2);
    pass_deinit(&pass);
}

/* ---- Transactions ---------------------------------------------------------------------------- */

static void aborted_data_goes_at_once_and_supersedes_nothing(void **state)
{
    struct pass pass;
    (void)state;
    pass_init(&pass);
    ADD(&pass, BATCH_OPTIONS_DEFAULT, "a=1");
    ADD(&pass, transactional(5, 0), "a=2", "b=2");
    add_marker(&pass, 5, false);
    pass.aborted[0] = (struct aborted_transaction){5, 1, 3, 1};
    pass.aborted_count = 1;
    run(&pass);
    assert_int_equal(pass.count, 2);
    EXPECT(&pass, 0, "0:a=1");
    assert_int_equal(pass.entries, 1); /* some of its data was met */
    assert_false(batch_has_delete_horizon(header_of(&pass, 1)));
    run(&pass); /* now nothing is met any more: the marker gets its time, the entry goes */
    assert_int_equal(pass.entries, 0);
    assert_true(batch_has_delete_horizon(header_of(&pass, 1)));
    pass.aborted_count = 0;
    pass.now_ms += RETENTION;
    assert_int_equal(run(&pass), COMPACTION_DROP);
    assert_int_equal(pass.count, 1);
    pass_deinit(&pass);
}

static void a_commit_marker_stays_while_data_of_it_does(void **state)
{
    struct pass pass;
    (void)state;
    pass_init(&pass);
    ADD(&pass, transactional(5, 0), "a=1");
    add_marker(&pass, 5, true);
    assert_int_equal(run(&pass), COMPACTION_KEEP);
    ADD(&pass, BATCH_OPTIONS_DEFAULT, "a=2");
    run(&pass); /* its data goes in this pass, so it was met */
    assert_int_equal(pass.count, 2);
    assert_false(batch_has_delete_horizon(header_of(&pass, 0)));
    run(&pass);
    assert_true(batch_has_delete_horizon(header_of(&pass, 0)));
    pass.now_ms += RETENTION;
    run(&pass);
    assert_int_equal(pass.count, 1);
    EXPECT(&pass, 0, "2:a=2");
    pass_deinit(&pass);
}

static void transactions_of_one_producer_do_not_mix(void **state)
{
    struct pass pass;
    (void)state;
    pass_init(&pass);
    ADD(&pass, transactional(5, 0), "a=1");
    add_marker(&pass, 5, false);
    ADD(&pass, transactional(5, 1), "b=1");
    ADD(&pass, transactional(6, 0), "c=1");
    add_marker(&pass, 5, true);
    add_marker(&pass, 6, false);
    pass.aborted[0] = (struct aborted_transaction){6, 3, 5, 3};
    pass.aborted[1] = (struct aborted_transaction){5, 0, 1, 2};
    pass.aborted_count = 2;
    run(&pass);
    assert_int_equal(pass.count, 4);
    EXPECT(&pass, 1, "2:b=1");
    assert_int_equal(pass.entries, 2);
    pass_deinit(&pass);
}

static void a_marker_with_the_key_of_a_record_is_no_record(void **state)
{
    struct pass pass;
    struct batch_options options = BATCH_OPTIONS_DEFAULT;
    uint8_t key[CONTROL_RECORD_KEY_SIZE];
    (void)state;
    pass_init(&pass);
    control_record_write_key(key, CONTROL_RECORD_COMMIT);
    struct batch_builder builder;
    struct view batch;
    batch_builder_init(&builder, &pass.heap, 0, &options);
    struct batch_record record = {
        .timestamp_ms = 1, .key = view_of(key, sizeof(key)), .value = VIEW_LITERAL("v")};
    assert_true(batch_builder_append(&builder, &record));
    assert_int_equal(batch_builder_finish(&builder, &batch), COMPRESSION_OK);
    add_bytes(&pass, batch);
    batch_builder_deinit(&builder);
    ADD(&pass, transactional(5, 0), "x=1");
    add_marker(&pass, 5, true);
    run(&pass);
    assert_int_equal(pass.count, 3);
    pass_deinit(&pass);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_newest_record_of_each_key_stays_with_its_offset),
        cmocka_unit_test(a_batch_of_which_everything_stays_is_copied_as_it_lies),
        cmocka_unit_test(append_time_and_the_last_offset_survive),
        cmocka_unit_test(records_behind_the_map_stay_and_those_without_key_go),
        cmocka_unit_test(a_tombstone_gets_its_time_first_and_goes_later),
        cmocka_unit_test(a_horizon_stays_when_the_batch_loses_other_records),
        cmocka_unit_test(damage_is_told_and_not_copied),
        cmocka_unit_test(the_last_batch_of_a_producer_stays_empty),
        cmocka_unit_test(aborted_data_goes_at_once_and_supersedes_nothing),
        cmocka_unit_test(a_commit_marker_stays_while_data_of_it_does),
        cmocka_unit_test(transactions_of_one_producer_do_not_mix),
        cmocka_unit_test(a_marker_with_the_key_of_a_record_is_no_record),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
