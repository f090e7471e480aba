/*
 * What the golden comparison with Kafka (tests/golden) does not reach: when the header alone
 * decides, sizes and checksums, bounds on counts, bombs, refused memory, and what is left behind on
 * an error.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "protocol/batch_builder.h"
#include "protocol/record_validation.h"

enum { NOW = 1000000, BATCH_SIZE_MAX = 4096 };

static struct record_rules rules_default(void)
{
    return (struct record_rules){
        .from_client = true,
        .now_ms = NOW,
        .before_max_ms = INT64_MAX,
        .after_max_ms = 1000,
        .batch_size_max = BATCH_SIZE_MAX,
        .segment_size_max = 1 << 20,
        .decompressed_size_max = 1 << 20,
    };
}

struct fixture {
    struct heap heap;
    struct batch_builder builder;
    struct buffer output;
    struct record_validation result;
    uint8_t bytes[BATCH_SIZE_MAX * 2];
    size_t size;
};

static void fixture_deinit(struct fixture *fixture)
{
    batch_builder_deinit(&fixture->builder);
    buffer_deinit(&fixture->output);
    assert_int_equal(fixture->heap.used[MEMORY_SCRATCH], 0);
}

/* Three records at NOW, NOW + 1, NOW + 2 with keys. */
static void fixture_init(struct fixture *fixture, enum compression_codec codec)
{
    struct batch_options options = BATCH_OPTIONS_DEFAULT;
    struct view batch = VIEW_NULL;
    options.codec = codec;
    options.level = compression_level_default(codec);
    heap_init_plain(&fixture->heap);
    buffer_init(&fixture->output, &fixture->heap, MEMORY_SCRATCH, 0);
    batch_builder_init(&fixture->builder, &fixture->heap, 0, &options);
    for (int i = 0; i < 3; i++) {
        struct batch_record record = {
            .timestamp_ms = NOW + i, .key = VIEW_LITERAL("key"), .value = VIEW_LITERAL("value")};
        assert_true(batch_builder_append(&fixture->builder, &record));
    }
    assert_int_equal(batch_builder_finish(&fixture->builder, &batch), COMPRESSION_OK);
    assert_true(batch.size <= sizeof(fixture->bytes));
    memcpy(fixture->bytes, batch.data, batch.size);
    fixture->size = batch.size;
}

static enum kafka_error validate(struct fixture *fixture, const struct record_rules *rules)
{
    enum kafka_error error = record_validate(view_of(fixture->bytes, fixture->size), rules,
                                             &fixture->heap, &fixture->output, &fixture->result);
    assert_int_equal(error, fixture->result.error);
    if (error != KAFKA_ERROR_NONE)
        assert_int_equal(fixture->output.size, 0);
    return error;
}

/* Replaces the records by bytes that no codec takes; the header stays honest. */
static void spoil_records(struct fixture *fixture)
{
    memset(fixture->bytes + BATCH_HEADER_SIZE, 0xff, fixture->size - BATCH_HEADER_SIZE);
    batch_crc_update(fixture->bytes, fixture->size);
}

static void the_header_decides_when_it_can(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        struct record_rules change; /* fields that are set replace the default */
        int64_t max_timestamp;
        bool looks_at_records;
    } cases[] = {
        {"default", {0}, NOW + 2, false},
        {"append time", {.append_time = true}, NOW + 2, false},
        {"at the latest time", {.after_max_ms = 2}, NOW + 2, false},
        {"no time", {0}, BATCH_NO_TIMESTAMP, false},
        {"same codec", {.convert = true, .codec = COMPRESSION_GZIP, .level = -1}, NOW, false},
        {"every record", {.every_record = true}, NOW, true},
        {"compacted", {.compacted = true}, NOW, true},
        {"too late", {.after_max_ms = 1}, NOW + 2, true},
        {"earliest time", {.before_max_ms = 5}, NOW, true},
        {"other codec", {.convert = true, .codec = COMPRESSION_LZ4, .level = 9}, NOW, true},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct fixture fixture;
        struct record_rules rules = rules_default();
        const struct record_rules *change = &cases[i].change;
        rules.every_record = change->every_record;
        rules.compacted = change->compacted;
        rules.append_time = change->append_time;
        rules.convert = change->convert;
        rules.codec = change->codec;
        rules.level = change->level;
        rules.before_max_ms = change->before_max_ms ? change->before_max_ms : rules.before_max_ms;
        rules.after_max_ms = change->after_max_ms ? change->after_max_ms : rules.after_max_ms;
        fixture_init(&fixture, COMPRESSION_GZIP);
        spoil_records(&fixture);
        batch_set_max_timestamp(fixture.bytes, fixture.size, cases[i].max_timestamp);
        struct view batch = view_of(fixture.bytes, fixture.size);
        assert_int_equal(record_validation_work_size(batch, &rules),
                         cases[i].looks_at_records ? fixture.size : 0);
        enum kafka_error error = validate(&fixture, &rules);
        if ((error == KAFKA_ERROR_INVALID_RECORD) != cases[i].looks_at_records)
            fail_msg("%s", cases[i].name);
        if (error == KAFKA_ERROR_NONE)
            assert_int_equal(fixture.result.action,
                             rules.append_time ? RECORD_ACTION_STAMP : RECORD_ACTION_KEEP);
        fixture_deinit(&fixture);
    }
}

static void sizes_come_before_the_checksum(void **state)
{
    (void)state;
    struct fixture fixture;
    struct record_rules rules = rules_default();
    fixture_init(&fixture, COMPRESSION_NONE);
    rules.batch_size_max = fixture.size;
    assert_int_equal(validate(&fixture, &rules), KAFKA_ERROR_NONE);
    rules.segment_size_max = fixture.size - 1;
    assert_int_equal(validate(&fixture, &rules), KAFKA_ERROR_RECORD_LIST_TOO_LARGE);
    rules.segment_size_max = fixture.size;
    fixture.bytes[fixture.size - 1] ^= 1;
    assert_int_equal(validate(&fixture, &rules), KAFKA_ERROR_CORRUPT_MESSAGE);
    rules.batch_size_max = fixture.size - 1;
    assert_int_equal(validate(&fixture, &rules), KAFKA_ERROR_MESSAGE_TOO_LARGE);
    batch_set_base_offset(fixture.bytes, 1);
    assert_int_equal(validate(&fixture, &rules), KAFKA_ERROR_INVALID_RECORD);
    fixture_deinit(&fixture);
}

static void exactly_one_whole_batch_is_taken(void **state)
{
    (void)state;
    struct fixture fixture;
    struct record_rules rules = rules_default();
    fixture_init(&fixture, COMPRESSION_NONE);
    size_t size = fixture.size;
    for (fixture.size = 0; fixture.size < size; fixture.size++)
        assert_int_equal(validate(&fixture, &rules), KAFKA_ERROR_INVALID_RECORD);
    fixture.size = size;
    assert_int_equal(validate(&fixture, &rules), KAFKA_ERROR_NONE);
    memcpy(fixture.bytes + size, fixture.bytes, size);
    fixture.size = 2 * size;
    assert_int_equal(validate(&fixture, &rules), KAFKA_ERROR_INVALID_RECORD);
    fixture.size = size;
    fixture.bytes[16] = 1;
    assert_int_equal(validate(&fixture, &rules), KAFKA_ERROR_INVALID_RECORD);
    fixture.bytes[16] = 2;
    store_u32(fixture.bytes + 8, 48);
    assert_int_equal(validate(&fixture, &rules), KAFKA_ERROR_CORRUPT_MESSAGE);
    fixture_deinit(&fixture);
}

/* A count that the bytes cannot hold would burn offsets, if only the header is looked at. */
static void counts_are_bounded_by_bytes(void **state)
{
    (void)state;
    for (unsigned codec = 0; codec < COMPRESSION_CODECS; codec++) {
        struct fixture fixture;
        struct record_rules rules = rules_default();
        fixture_init(&fixture, (enum compression_codec)codec);
        struct batch_header header;
        batch_header_read(fixture.bytes, &header);
        header.record_count = INT32_MAX;
        header.last_offset_delta = INT32_MAX - 1;
        batch_header_write(fixture.bytes, &header);
        batch_crc_update(fixture.bytes, fixture.size);
        assert_int_equal(validate(&fixture, &rules), KAFKA_ERROR_INVALID_RECORD);
        fixture_deinit(&fixture);
    }
}

static void unknown_codecs_are_refused(void **state)
{
    (void)state;
    for (uint16_t codec = 5; codec < 8; codec++) {
        struct fixture fixture;
        struct record_rules rules = rules_default();
        fixture_init(&fixture, COMPRESSION_NONE);
        store_u16(fixture.bytes + 21, codec);
        batch_crc_update(fixture.bytes, fixture.size);
        assert_int_equal(validate(&fixture, &rules), KAFKA_ERROR_INVALID_RECORD);
        fixture_deinit(&fixture);
    }
}

static void coordinators_write_what_clients_must_not(void **state)
{
    (void)state;
    struct fixture fixture;
    struct record_rules rules = rules_default();
    fixture_init(&fixture, COMPRESSION_NONE);
    store_u16(fixture.bytes + 21, BATCH_ATTRIBUTE_CONTROL);
    batch_crc_update(fixture.bytes, fixture.size);
    assert_int_equal(validate(&fixture, &rules), KAFKA_ERROR_INVALID_RECORD);
    rules.from_client = false;
    rules.convert = true;
    rules.codec = COMPRESSION_LZ4;
    rules.level = 9;
    assert_int_equal(validate(&fixture, &rules), KAFKA_ERROR_NONE);
    assert_int_equal(fixture.result.action, RECORD_ACTION_KEEP);
    fixture_deinit(&fixture);
}

static void records_may_not_unfold_beyond_the_limit(void **state)
{
    (void)state;
    struct fixture fixture;
    struct record_rules rules = rules_default();
    fixture_init(&fixture, COMPRESSION_ZSTD);
    rules.every_record = true;
    size_t plain_size = batch_builder_size(&fixture.builder) - BATCH_HEADER_SIZE;
    rules.decompressed_size_max = plain_size;
    assert_int_equal(validate(&fixture, &rules), KAFKA_ERROR_NONE);
    rules.decompressed_size_max = plain_size - 1;
    assert_int_equal(validate(&fixture, &rules), KAFKA_ERROR_MESSAGE_TOO_LARGE);
    fixture_deinit(&fixture);
}

static void a_larger_recompressed_batch_is_refused(void **state)
{
    (void)state;
    struct fixture fixture;
    struct record_rules rules = rules_default();
    fixture_init(&fixture, COMPRESSION_NONE);
    rules.convert = true;
    rules.codec = COMPRESSION_SNAPPY;
    assert_int_equal(validate(&fixture, &rules), KAFKA_ERROR_NONE);
    assert_int_equal(fixture.result.action, RECORD_ACTION_REPLACE);
    size_t replaced = fixture.result.replacement.size;
    assert_true(replaced > fixture.size);
    buffer_clear(&fixture.output);
    rules.batch_size_max = replaced - 1;
    assert_int_equal(validate(&fixture, &rules), KAFKA_ERROR_MESSAGE_TOO_LARGE);
    rules.batch_size_max = replaced;
    rules.segment_size_max = replaced - 1;
    assert_int_equal(validate(&fixture, &rules), KAFKA_ERROR_RECORD_LIST_TOO_LARGE);
    fixture_deinit(&fixture);
}

/* Kafka stores such a batch; readers would then see offsets twice or in disorder. */
static void disordered_offsets_are_rebuilt(void **state)
{
    (void)state;
    struct fixture fixture;
    struct record_rules rules = rules_default();
    fixture_init(&fixture, COMPRESSION_NONE);
    rules.every_record = true;
    assert_int_equal(fixture.bytes[BATCH_HEADER_SIZE + 3], 0);
    fixture.bytes[BATCH_HEADER_SIZE + 3] = 4; /* offset delta 2 */
    batch_crc_update(fixture.bytes, fixture.size);
    assert_int_equal(validate(&fixture, &rules), KAFKA_ERROR_NONE);
    assert_int_equal(fixture.result.action, RECORD_ACTION_REPLACE);
    struct view batch = fixture.result.replacement;
    assert_true(batch_crc_is_valid(batch));
    struct record_cursor cursor;
    struct record record;
    record_cursor_init(&cursor, batch_records(batch), batch_record_count(batch.data));
    for (int32_t i = 0; i < 3; i++) {
        assert_int_equal(record_cursor_next(&cursor, &record), RECORD_OK);
        assert_int_equal(record.offset_delta, i);
        assert_int_equal(batch_record_timestamp(batch.data, record.timestamp_delta), NOW + i);
    }
    assert_int_equal(record_cursor_next(&cursor, &record), RECORD_END);
    fixture_deinit(&fixture);
}

static void timestamps_at_the_ends_of_time_do_not_overflow(void **state)
{
    (void)state;
    static const int64_t timestamps[] = {INT64_MIN, INT64_MIN + 1, -2, 0, INT64_MAX - 2, INT64_MAX};
    for (size_t i = 0; i < sizeof(timestamps) / sizeof(timestamps[0]); i++) {
        struct fixture fixture;
        struct record_rules rules = rules_default();
        fixture_init(&fixture, COMPRESSION_NONE);
        struct batch_header header;
        batch_header_read(fixture.bytes, &header);
        header.base_timestamp = timestamps[i];
        header.max_timestamp = timestamps[i];
        batch_header_write(fixture.bytes, &header);
        batch_crc_update(fixture.bytes, fixture.size);
        rules.before_max_ms = 1000;
        assert_int_equal(validate(&fixture, &rules), KAFKA_ERROR_INVALID_TIMESTAMP);
        assert_true(fixture.result.error_count >= 2);
        rules.append_time = true;
        rules.every_record = true;
        assert_int_equal(validate(&fixture, &rules), KAFKA_ERROR_NONE);
        fixture_deinit(&fixture);
    }
}

static void refused_memory_is_an_error_without_traces(void **state)
{
    (void)state;
    struct fixture fixture;
    struct record_rules rules = rules_default();
    rules.convert = true;
    rules.codec = COMPRESSION_ZSTD;
    rules.level = 3;
    fixture_init(&fixture, COMPRESSION_GZIP);
    uint64_t used = fixture.heap.used[MEMORY_SCRATCH];
    int refusals = 0;
    for (uint64_t room = 1;; room += room / 4 + 500) {
        assert_true(room < 100000000);
        fixture.heap.limit[MEMORY_SCRATCH] = used + room;
        enum kafka_error error = validate(&fixture, &rules);
        if (error == KAFKA_ERROR_NONE)
            break;
        assert_int_equal(error, KAFKA_ERROR_UNKNOWN_SERVER_ERROR);
        buffer_deinit(&fixture.output);
        assert_int_equal(fixture.heap.used[MEMORY_SCRATCH], used);
        refusals++;
    }
    assert_true(refusals > 3);
    fixture_deinit(&fixture);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_header_decides_when_it_can),
        cmocka_unit_test(sizes_come_before_the_checksum),
        cmocka_unit_test(exactly_one_whole_batch_is_taken),
        cmocka_unit_test(counts_are_bounded_by_bytes),
        cmocka_unit_test(unknown_codecs_are_refused),
        cmocka_unit_test(coordinators_write_what_clients_must_not),
        cmocka_unit_test(records_may_not_unfold_beyond_the_limit),
        cmocka_unit_test(a_larger_recompressed_batch_is_refused),
        cmocka_unit_test(disordered_offsets_are_rebuilt),
        cmocka_unit_test(timestamps_at_the_ends_of_time_do_not_overflow),
        cmocka_unit_test(refused_memory_is_an_error_without_traces),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
