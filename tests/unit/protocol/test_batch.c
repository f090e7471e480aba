/* Headers at every cut, patches and their checksum, sequences around their wrap, records and
 * markers. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "protocol/batch_builder.h"
#include "protocol/batch_reader.h"
#include "protocol/control_record.h"

static const struct batch_header full_header = {
    .base_offset = 0x0102030405060708,
    .batch_length = 0x11121314,
    .leader_epoch = 0x21222324,
    .magic = 2,
    .crc = 0x31323334,
    .attributes = 0x4142,
    .last_offset_delta = 0x51525354,
    .base_timestamp = 0x6162636465666768,
    .max_timestamp = 0x7172737475767778,
    .producer_id = 0x0182838485868788,
    .producer_epoch = 0x1192,
    .base_sequence = 0x21a2a3a4,
    .record_count = 0x31b2b3b4,
};

static void a_header_reads_as_written(void **state)
{
    (void)state;
    uint8_t bytes[BATCH_HEADER_SIZE];
    struct batch_header again;
    batch_header_write(bytes, &full_header);
    assert_int_equal(bytes[0], 1);
    assert_int_equal(bytes[16], 2);
    assert_int_equal(bytes[17], 0x31);
    assert_int_equal(bytes[21], 0x41);
    assert_int_equal(bytes[60], 0xb4);
    batch_header_read(bytes, &again);
    assert_int_equal(again.base_offset, full_header.base_offset);
    assert_int_equal(again.batch_length, full_header.batch_length);
    assert_int_equal(again.leader_epoch, full_header.leader_epoch);
    assert_int_equal(again.magic, full_header.magic);
    assert_int_equal(again.crc, full_header.crc);
    assert_int_equal(again.attributes, full_header.attributes);
    assert_int_equal(again.last_offset_delta, full_header.last_offset_delta);
    assert_int_equal(again.base_timestamp, full_header.base_timestamp);
    assert_int_equal(again.max_timestamp, full_header.max_timestamp);
    assert_int_equal(again.producer_id, full_header.producer_id);
    assert_int_equal(again.producer_epoch, full_header.producer_epoch);
    assert_int_equal(again.base_sequence, full_header.base_sequence);
    assert_int_equal(again.record_count, full_header.record_count);
}

/* One plain batch of two records in a builder of its own. */
static struct view build_two(struct batch_builder *builder, struct heap *heap,
                             const struct batch_options *options)
{
    struct record_header header = {VIEW_LITERAL("h"), VIEW_NULL};
    struct batch_record records[2] = {
        {.timestamp_ms = 1000, .key = VIEW_LITERAL("k"), .value = VIEW_LITERAL("v")},
        {.timestamp_ms = 900, .value = VIEW_LITERAL("w"), .headers = &header, .header_count = 1},
    };
    struct view batch = VIEW_NULL;
    heap_init_plain(heap);
    batch_builder_init(builder, heap, 0, options);
    for (int i = 0; i < 2; i++)
        assert_true(batch_builder_append(builder, &records[i]));
    assert_int_equal(batch_builder_finish(builder, &batch), COMPRESSION_OK);
    return batch;
}

static void a_batch_is_complete_only_with_its_last_byte(void **state)
{
    (void)state;
    struct heap heap;
    struct batch_builder builder;
    struct view batch = build_two(&builder, &heap, &BATCH_OPTIONS_DEFAULT);
    size_t size;
    for (size_t cut = 0; cut < batch.size; cut++) {
        struct view part = view_of(batch.data, cut);
        assert_int_equal(batch_parse(part, &size), BATCH_NEED_MORE);
        assert_true(size > cut && size <= batch.size);
        assert_int_equal(batch_parse_header(part, &size),
                         cut < BATCH_HEADER_SIZE ? BATCH_NEED_MORE : BATCH_OK);
    }
    assert_int_equal(batch_parse(batch, &size), BATCH_OK);
    assert_int_equal(size, batch.size);
    batch_builder_deinit(&builder);
}

static void impossible_lengths_and_formats_are_refused(void **state)
{
    (void)state;
    static const struct {
        int32_t length;
        int8_t magic;
        enum batch_parse_result result;
    } cases[] = {
        {INT32_MIN, 2, BATCH_BAD_LENGTH},
        {-1, 2, BATCH_BAD_LENGTH},
        {0, 2, BATCH_BAD_LENGTH},
        {13, 2, BATCH_BAD_LENGTH},
        {14, 2, BATCH_BAD_LENGTH},
        {48, 2, BATCH_BAD_LENGTH},
        {14, 0, BATCH_BAD_MAGIC},
        {14, 1, BATCH_BAD_MAGIC},
        {49, 3, BATCH_BAD_MAGIC},
        {49, -1, BATCH_BAD_MAGIC},
        {49, 2, BATCH_OK},
        {50, 2, BATCH_NEED_MORE},
        {INT32_MAX, 2, BATCH_BAD_LENGTH},
        {INT32_MAX - 12, 2, BATCH_NEED_MORE},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        uint8_t bytes[BATCH_HEADER_SIZE];
        struct batch_header header = full_header;
        size_t size;
        header.batch_length = cases[i].length;
        header.magic = cases[i].magic;
        batch_header_write(bytes, &header);
        assert_int_equal(batch_parse(view_of(bytes, sizeof(bytes)), &size), cases[i].result);
    }
}

static void batches_in_a_row_are_walked(void **state)
{
    (void)state;
    struct heap heap;
    struct batch_builder builder;
    uint8_t bytes[400];
    size_t size = 0;
    struct view one = build_two(&builder, &heap, &BATCH_OPTIONS_DEFAULT);
    for (int i = 0; i < 3; i++) {
        memcpy(bytes + size, one.data, one.size);
        batch_set_base_offset(bytes + size, i * 2);
        size += one.size;
    }
    struct view rest = view_of(bytes, size);
    struct view batch;
    for (int i = 0; i < 3; i++) {
        assert_int_equal(batch_next(&rest, &batch), BATCH_OK);
        assert_int_equal(batch_base_offset(batch.data), i * 2);
        assert_int_equal(batch_last_offset(batch.data), i * 2 + 1);
    }
    assert_int_equal(batch_next(&rest, &batch), BATCH_NEED_MORE);
    assert_int_equal(rest.size, 0);
    rest = view_of(bytes, size - 1);
    while (batch_next(&rest, &batch) == BATCH_OK)
        ;
    assert_int_equal(rest.size, one.size - 1);
    batch_builder_deinit(&builder);
}

static void patches_keep_the_checksum_right(void **state)
{
    (void)state;
    struct heap heap;
    struct batch_builder builder;
    struct view batch = build_two(&builder, &heap, &BATCH_OPTIONS_DEFAULT);
    uint8_t bytes[200];
    memcpy(bytes, batch.data, batch.size);
    struct view patched = view_of(bytes, batch.size);
    batch_set_base_offset(bytes, INT64_MAX - 1);
    batch_set_leader_epoch(bytes, 77);
    assert_true(batch_crc_is_valid(patched));
    assert_int_equal(batch_last_offset(bytes), INT64_MAX);
    assert_int_equal(batch_leader_epoch(bytes), 77);
    batch_set_append_time(bytes, batch.size, 5555);
    assert_true(batch_crc_is_valid(patched));
    assert_true(batch_is_append_time(bytes));
    assert_int_equal(batch_record_timestamp(bytes, -100), 5555);
    batch_set_max_timestamp(bytes, batch.size, 4444);
    assert_true(batch_crc_is_valid(patched));
    assert_false(batch_is_append_time(bytes));
    assert_int_equal(batch_record_timestamp(bytes, -100), 900);
    for (size_t i = BATCH_CRC_START; i < batch.size; i++) {
        bytes[i] ^= 0x10;
        assert_false(batch_crc_is_valid(patched));
        bytes[i] ^= 0x10;
    }
    assert_false(batch_crc_is_valid(view_of(bytes, BATCH_HEADER_SIZE - 1)));
    batch_builder_deinit(&builder);
}

static void sequences_wrap_to_zero(void **state)
{
    (void)state;
    static const struct {
        int32_t sequence, count, sum;
    } cases[] = {
        {0, 0, 0},         {0, 5, 5},         {INT32_MAX - 1, 1, INT32_MAX},
        {INT32_MAX, 1, 0}, {INT32_MAX, 3, 2}, {INT32_MAX, INT32_MAX, INT32_MAX - 1},
        {1, INT32_MAX, 0},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        assert_int_equal(batch_sequence_add(cases[i].sequence, cases[i].count), cases[i].sum);
        assert_int_equal(batch_sequence_subtract(cases[i].sum, cases[i].count), cases[i].sequence);
    }
    uint8_t bytes[BATCH_HEADER_SIZE];
    struct batch_header header = full_header;
    header.base_sequence = INT32_MAX - 1;
    header.last_offset_delta = 3;
    batch_header_write(bytes, &header);
    assert_int_equal(batch_last_sequence(bytes), 1);
    header.base_sequence = -1;
    batch_header_write(bytes, &header);
    assert_int_equal(batch_last_sequence(bytes), -1);
}

static void the_builder_fills_the_header(void **state)
{
    (void)state;
    struct heap heap;
    struct batch_builder builder;
    struct batch_options options = {
        .base_offset = 10,
        .leader_epoch = 4,
        .transactional = true,
        .producer_id = 9,
        .producer_epoch = 8,
        .base_sequence = 7,
    };
    struct view batch = build_two(&builder, &heap, &options);
    assert_true(batch_crc_is_valid(batch));
    assert_int_equal(batch_size(batch.data), batch.size);
    assert_int_equal(batch_size(batch.data), batch_builder_size(&builder));
    assert_int_equal(batch_attributes(batch.data), BATCH_ATTRIBUTE_TRANSACTIONAL);
    assert_int_equal(batch_base_timestamp(batch.data), 1000);
    assert_int_equal(batch_max_timestamp(batch.data), 1000);
    assert_int_equal(batch_last_offset(batch.data), 11);
    assert_int_equal(batch_record_count(batch.data), 2);
    assert_int_equal(batch_producer_id(batch.data), 9);
    assert_int_equal(batch_producer_epoch(batch.data), 8);
    assert_int_equal(batch_last_sequence(batch.data), 8);
    assert_true(batch_has_producer_id(batch.data));
    batch_builder_deinit(&builder);
    assert_int_equal(heap.used[MEMORY_SCRATCH], 0);
}

static void an_empty_builder_gives_an_empty_batch(void **state)
{
    (void)state;
    struct heap heap;
    struct batch_builder builder;
    struct view batch;
    heap_init_plain(&heap);
    batch_builder_init(&builder, &heap, 0, &BATCH_OPTIONS_DEFAULT);
    batch_builder_set_last_offset_delta(&builder, 9);
    assert_int_equal(batch_builder_finish(&builder, &batch), COMPRESSION_OK);
    assert_int_equal(batch.size, BATCH_HEADER_SIZE);
    assert_true(batch_crc_is_valid(batch));
    assert_int_equal(batch_last_offset_delta(batch.data), 9);
    assert_int_equal(batch_record_count(batch.data), 0);
    assert_int_equal(batch_max_timestamp(batch.data), -1);
    batch_builder_deinit(&builder);
}

static void a_builder_refuses_beyond_its_limit_and_stays_usable(void **state)
{
    (void)state;
    struct heap heap;
    struct batch_builder builder;
    struct batch_record record = {.timestamp_ms = 1, .value = VIEW_LITERAL("0123456789")};
    struct view batch;
    heap_init_plain(&heap);
    batch_builder_init(&builder, &heap, 100, &BATCH_OPTIONS_DEFAULT);
    int count = 0;
    while (batch_builder_append(&builder, &record))
        count++;
    assert_int_equal(count, 2); /* 61 + 2 * 17 */
    assert_int_equal(batch_builder_finish(&builder, &batch), COMPRESSION_OK);
    assert_int_equal(batch_record_count(batch.data), 2);
    batch_builder_reset(&builder, &BATCH_OPTIONS_DEFAULT);
    assert_true(batch_builder_append(&builder, &record));
    assert_int_equal(batch_builder_finish(&builder, &batch), COMPRESSION_OK);
    assert_int_equal(batch_record_count(batch.data), 1);
    batch_builder_deinit(&builder);
}

/* Reads all records; true when they end well. */
static bool records_are_well_formed(struct view records, int32_t count)
{
    struct record_cursor cursor;
    struct record record;
    enum record_status status;
    record_cursor_init(&cursor, records, count);
    while ((status = record_cursor_next(&cursor, &record)) == RECORD_OK) {
        struct reader reader = reader_of(record.headers);
        struct record_header header;
        int32_t headers = 0;
        while (record_header_next(&reader, &header))
            headers++;
        assert_int_equal(headers, record.header_count);
        assert_int_equal(reader_left(&reader), 0);
    }
    assert_int_equal(record_cursor_next(&cursor, &record), status);
    return status == RECORD_END;
}

static void records_are_refused_at_every_cut_and_wrong_count(void **state)
{
    (void)state;
    struct heap heap;
    struct batch_builder builder;
    struct view records = batch_records(build_two(&builder, &heap, &BATCH_OPTIONS_DEFAULT));
    assert_true(records_are_well_formed(records, 2));
    static const int32_t wrong_counts[] = {-1, 0, 1, 3, INT32_MAX, INT32_MIN};
    for (size_t i = 0; i < sizeof(wrong_counts) / sizeof(wrong_counts[0]); i++)
        assert_false(records_are_well_formed(records, wrong_counts[i]));
    for (size_t cut = 0; cut < records.size; cut++)
        assert_false(records_are_well_formed(view_of(records.data, cut), 2));
    assert_true(records_are_well_formed(view_of(records.data, 0), 0));
    batch_builder_deinit(&builder);
}

static void lying_lengths_are_refused(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        const char *bytes;
        size_t size;
        bool well_formed;
    } cases[] = {
        {"smallest", "\x0c\0\0\0\x01\x01\0", 7, true},
        {"length one too long", "\x0e\0\0\0\x01\x01\0", 7, false},
        {"length one too short", "\x0a\0\0\0\x01\x01\0", 7, false},
        {"byte left inside", "\x0e\0\0\0\x01\x01\0\0", 8, false},
        {"negative length", "\x01\0\0\0\x01\x01\0", 7, false},
        {"key of -2", "\x0c\0\0\0\x03\x01\0", 7, false},
        {"value of -2", "\x0c\0\0\0\x01\x03\0", 7, false},
        {"key beyond the record", "\x0c\0\0\0\x40\x01\0", 7, false},
        {"-1 headers", "\x0c\0\0\0\x01\x01\x01", 7, false},
        {"one header, none there", "\x0c\0\0\0\x01\x01\x02", 7, false},
        {"header", "\x10\0\0\0\x01\x01\x02\0\x01", 9, true},
        {"header with null key", "\x10\0\0\0\x01\x01\x02\x01\x01", 9, false},
        {"header value of -2", "\x10\0\0\0\x01\x01\x02\0\x03", 9, false},
        {"length varint without end", "\xff\xff\xff\xff\xff\xff\xff", 7, false},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        bool got = records_are_well_formed(view_of(cases[i].bytes, cases[i].size), 1);
        if (got != cases[i].well_formed)
            fail_msg("%s", cases[i].name);
    }
}

static void a_reader_takes_any_codec(void **state)
{
    (void)state;
    struct heap heap;
    struct batch_reader reader;
    heap_init_plain(&heap);
    batch_reader_init(&reader, &heap);
    for (unsigned codec = 0; codec < COMPRESSION_CODECS; codec++) {
        struct heap builder_heap;
        struct batch_builder builder;
        struct batch_reader_record record;
        struct batch_options options = BATCH_OPTIONS_DEFAULT;
        options.base_offset = 70;
        options.codec = (enum compression_codec)codec;
        options.level = compression_level_default(options.codec);
        struct view batch = build_two(&builder, &builder_heap, &options);
        assert_int_equal(batch_reader_open(&reader, batch, 1000), COMPRESSION_OK);
        assert_int_equal(batch_reader_next(&reader, &record), RECORD_OK);
        assert_int_equal(record.offset, 70);
        assert_int_equal(record.timestamp_ms, 1000);
        assert_true(view_equal(record.record.key, VIEW_LITERAL("k")));
        assert_int_equal(batch_reader_next(&reader, &record), RECORD_OK);
        assert_int_equal(record.offset, 71);
        assert_int_equal(record.timestamp_ms, 900);
        assert_true(view_equal(record.record.value, VIEW_LITERAL("w")));
        assert_int_equal(batch_reader_next(&reader, &record), RECORD_END);
        if (codec != COMPRESSION_NONE) {
            assert_int_equal(batch_reader_open(&reader, batch, 5), COMPRESSION_TOO_LARGE);
            assert_int_equal(batch_reader_next(&reader, &record), RECORD_END);
        }
        batch_builder_deinit(&builder);
    }
    batch_reader_deinit(&reader);
    assert_int_equal(heap.used[MEMORY_SCRATCH], 0);
}

static void markers_read_as_written(void **state)
{
    (void)state;
    uint8_t bytes[CONTROL_RECORD_MARKER_BATCH_SIZE];
    struct control_marker marker = {
        .commit = true,
        .producer_id = 1234567890123,
        .producer_epoch = INT16_MAX,
        .coordinator_epoch = 3,
        .timestamp_ms = 99,
    };
    struct control_marker again;
    assert_int_equal(control_record_build_marker(bytes, &marker), sizeof(bytes));
    struct view batch = view_of(bytes, sizeof(bytes));
    assert_true(batch_crc_is_valid(batch));
    assert_int_equal(batch_attributes(bytes), 0x30);
    assert_true(control_record_parse_marker(batch, &again));
    assert_true(again.commit);
    assert_int_equal(again.producer_id, marker.producer_id);
    assert_int_equal(again.producer_epoch, marker.producer_epoch);
    assert_int_equal(again.coordinator_epoch, 3);
    assert_int_equal(again.timestamp_ms, 99);
    for (size_t cut = 0; cut < sizeof(bytes); cut++)
        assert_false(control_record_parse_marker(view_of(bytes, cut), &again));
    store_u16(bytes + 21, BATCH_ATTRIBUTE_TRANSACTIONAL);
    assert_false(control_record_parse_marker(batch, &again));
}

static void control_keys_take_newer_versions_and_unknown_types(void **state)
{
    (void)state;
    static const struct {
        const char *bytes;
        size_t size;
        bool read;
        enum control_record_type type;
    } cases[] = {
        {"\0\0\0\1", 4, true, CONTROL_RECORD_COMMIT},
        {"\0\0\0\0", 4, true, CONTROL_RECORD_ABORT},
        {"\0\0\0\6", 4, true, CONTROL_RECORD_KRAFT_VOTERS},
        {"\0\0\0\7", 4, true, CONTROL_RECORD_UNKNOWN},
        {"\0\0\xff\xff", 4, true, CONTROL_RECORD_UNKNOWN},
        {"\0\1\0\1\0", 5, true, CONTROL_RECORD_COMMIT},
        {"\xff\xff\0\1", 4, false, 0},
        {"\0\0\0", 3, false, 0},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        enum control_record_type type = 0;
        assert_int_equal(control_record_read_key(view_of(cases[i].bytes, cases[i].size), &type),
                         cases[i].read);
        assert_int_equal(type, cases[i].type);
    }
    int32_t epoch;
    assert_false(control_record_read_key(VIEW_NULL, &(enum control_record_type){0}));
    assert_false(control_record_read_marker(VIEW_NULL, &epoch));
    assert_false(control_record_read_marker(VIEW_LITERAL("\0\0\0\0\1"), &epoch));
    assert_true(control_record_read_marker(VIEW_LITERAL("\0\1\0\0\0\5more"), &epoch));
    assert_int_equal(epoch, 5);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_header_reads_as_written),
        cmocka_unit_test(a_batch_is_complete_only_with_its_last_byte),
        cmocka_unit_test(impossible_lengths_and_formats_are_refused),
        cmocka_unit_test(batches_in_a_row_are_walked),
        cmocka_unit_test(patches_keep_the_checksum_right),
        cmocka_unit_test(sequences_wrap_to_zero),
        cmocka_unit_test(the_builder_fills_the_header),
        cmocka_unit_test(an_empty_builder_gives_an_empty_batch),
        cmocka_unit_test(a_builder_refuses_beyond_its_limit_and_stays_usable),
        cmocka_unit_test(records_are_refused_at_every_cut_and_wrong_count),
        cmocka_unit_test(lying_lengths_are_refused),
        cmocka_unit_test(a_reader_takes_any_codec),
        cmocka_unit_test(markers_read_as_written),
        cmocka_unit_test(control_keys_take_newer_versions_and_unknown_types),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
