/*
 * Batches that Apache Kafka wrote, read by ours: headers, checksums, every record; markers and
 * plain batches also written again byte for byte. And Kafka's produce validation beside ours: the
 * same batches under the same topic settings give the same error, refused records and stored batch.
 *
 * The files come from tests/golden/record/RecordBatches.java, which describes their columns.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

#include "base/crc32c.h"
#include "base/text.h"
#include "protocol/batch_builder.h"
#include "protocol/control_record.h"
#include "protocol/record_validation.h"

enum { COLUMNS = 10, LINE_SIZE_MAX = 1 << 20, TEXT_SIZE_MAX = 1 << 20 };

static const char *directory;
static const int64_t now_ms = 1700000000000;

struct line {
    struct view columns[COLUMNS];
    char name[100];
    uint8_t *bytes; /* column 1, decoded; malloc */
    struct view batch;
};

static int64_t column_number(const struct line *line, int column)
{
    int64_t number;
    assert_true(text_parse_i64(line->columns[column], INT64_MIN, INT64_MAX, &number));
    return number;
}

static void line_split(struct line *line, const char *text)
{
    struct view rest = text_trim(view_of_string(text));
    for (int i = 0; i < COLUMNS; i++)
        line->columns[i] = VIEW_NULL;
    for (int i = 0; i < COLUMNS && text_split(&rest, '\t', &line->columns[i]); i++)
        ;
    assert_true(text_to_string(line->columns[0], line->name, sizeof(line->name)));
    size_t size = line->columns[1].size / 2;
    line->bytes = malloc(size + 1);
    assert_non_null(line->bytes);
    assert_true(text_parse_hex(line->columns[1], line->bytes, size));
    line->batch = view_of(line->bytes, size);
}

/* Runs over the lines of a file; returns how many there were. */
static int for_each_line(const char *name, void (*check)(const struct line *line))
{
    static char text[LINE_SIZE_MAX];
    char path[1000];
    (void)snprintf(path, sizeof(path), "%s/%s", directory, name);
    FILE *file = fopen(path, "r");
    assert_non_null(file);
    int count = 0;
    for (; fgets(text, sizeof(text), file); count++) {
        struct line line;
        line_split(&line, text);
        print_message("%s %.*s\n", line.name, (int)line.columns[2].size,
                      (const char *)line.columns[2].data);
        check(&line);
        free(line.bytes);
    }
    (void)fclose(file);
    return count;
}

static void append_hex_or_dash(struct text_builder *text, struct view bytes)
{
    if (view_is_null(bytes))
        text_append_char(text, '-');
    else
        text_append_hex(text, bytes);
}

/* The canonical text of one record, as the recorder writes it. */
static void append_record(struct text_builder *text, const uint8_t *batch,
                          const struct record *record)
{
    text_append_i64(text, batch_base_offset(batch) + record->offset_delta);
    text_append_char(text, ',');
    text_append_i64(text, batch_record_timestamp(batch, record->timestamp_delta));
    text_append_char(text, ',');
    append_hex_or_dash(text, record->key);
    text_append_char(text, ',');
    append_hex_or_dash(text, record->value);
    struct reader reader = reader_of(record->headers);
    struct record_header header;
    while (record_header_next(&reader, &header)) {
        text_append_char(text, ',');
        append_hex_or_dash(text, header.key);
        text_append_char(text, '=');
        append_hex_or_dash(text, header.value);
    }
    text_append_char(text, ';');
}

/* Decompresses and reads a batch; its records must be the recorded ones. */
static void expect_records(struct view batch, const struct line *line, int first_column)
{
    static char buffer[TEXT_SIZE_MAX];
    struct heap heap;
    struct buffer plain;
    struct record_cursor cursor;
    struct record record;
    uint32_t crc = 0;
    int64_t count = 0;
    heap_init_plain(&heap);
    buffer_init(&plain, &heap, MEMORY_SCRATCH, 0);
    assert_int_equal(compression_decompress((enum compression_codec)batch_codec(batch.data),
                                            batch_records(batch), 1 << 24, &plain),
                     COMPRESSION_OK);
    record_cursor_init(&cursor, buffer_view(&plain), batch_record_count(batch.data));
    enum record_status status;
    while ((status = record_cursor_next(&cursor, &record)) == RECORD_OK) {
        struct text_builder text;
        text_builder_init(&text, buffer, sizeof(buffer));
        append_record(&text, batch.data, &record);
        assert_false(text.truncated);
        crc = crc32c(crc, text.data, text.size);
        count++;
    }
    assert_int_equal(status, RECORD_END);
    assert_int_equal(count, column_number(line, first_column));
    assert_int_equal(crc, column_number(line, first_column + 1));
    buffer_deinit(&plain);
    assert_int_equal(heap.used[MEMORY_SCRATCH], 0);
}

/* The same records through our builder; plain batches must come out byte for byte. */
static void expect_rebuilt(struct view batch)
{
    struct heap heap;
    struct buffer plain;
    struct batch_header header;
    struct batch_builder builder;
    struct record_cursor cursor;
    struct record record;
    struct view built;
    heap_init_plain(&heap);
    batch_header_read(batch.data, &header);
    struct batch_options options = {
        .base_offset = header.base_offset,
        .leader_epoch = header.leader_epoch,
        .codec = (enum compression_codec)batch_codec(batch.data),
        .append_time = batch_is_append_time(batch.data),
        .append_time_ms = header.max_timestamp,
        .transactional = batch_is_transactional(batch.data),
        .control = batch_is_control(batch.data),
        .delete_horizon = batch_has_delete_horizon(batch.data),
        .delete_horizon_ms = header.base_timestamp,
        .producer_id = header.producer_id,
        .producer_epoch = header.producer_epoch,
        .base_sequence = header.base_sequence,
    };
    options.level = compression_level_default(options.codec);
    buffer_init(&plain, &heap, MEMORY_SCRATCH, 0);
    assert_int_equal(compression_decompress(options.codec, batch_records(batch), 1 << 24, &plain),
                     COMPRESSION_OK);
    batch_builder_init(&builder, &heap, 0, &options);
    record_cursor_init(&cursor, buffer_view(&plain), header.record_count);
    while (record_cursor_next(&cursor, &record) == RECORD_OK)
        assert_true(batch_builder_append_raw(&builder, record.offset_delta,
                                             header.base_timestamp + record.timestamp_delta,
                                             &record));
    batch_builder_set_last_offset_delta(&builder, header.last_offset_delta);
    assert_int_equal(batch_builder_finish(&builder, &built), COMPRESSION_OK);
    if (options.codec == COMPRESSION_NONE) {
        assert_int_equal(built.size, batch.size);
        assert_memory_equal(built.data, batch.data, batch.size);
    } else {
        struct buffer again;
        buffer_init(&again, &heap, MEMORY_SCRATCH, 0);
        assert_int_equal(
            compression_decompress(options.codec, batch_records(built), 1 << 24, &again),
            COMPRESSION_OK);
        assert_true(view_equal(buffer_view(&plain), buffer_view(&again)));
        buffer_deinit(&again);
    }
    buffer_deinit(&plain);
    batch_builder_deinit(&builder);
    assert_int_equal(heap.used[MEMORY_SCRATCH], 0);
}

static void expect_marker(struct view batch)
{
    struct control_marker marker;
    uint8_t built[CONTROL_RECORD_MARKER_BATCH_SIZE];
    assert_true(control_record_parse_marker(batch, &marker));
    assert_int_equal(control_record_build_marker(built, &marker), batch.size);
    assert_memory_equal(built, batch.data, batch.size);
}

static void check_batch(const struct line *line)
{
    struct view rest = line->batch;
    struct view batch;
    assert_int_equal(batch_next(&rest, &batch), BATCH_OK);
    assert_int_equal(rest.size, 0);
    assert_true(batch_crc_is_valid(batch));
    expect_records(batch, line, 2);
    if (batch_record_count(batch.data) > 0)
        expect_rebuilt(batch);
    if (text_starts_with(line->columns[0], VIEW_LITERAL("marker")))
        expect_marker(batch);
}

static void kafka_batches_are_read_and_written(void **state)
{
    (void)state;
    assert_true(for_each_line("batches.tsv", check_batch) >= 30);
}

static struct record_rules parse_rules(struct view text)
{
    struct record_rules rules = {
        .from_client = true,
        .every_record = true,
        .now_ms = now_ms,
        .batch_size_max = 1 << 20,
        .segment_size_max = 1 << 20,
        .decompressed_size_max = 1 << 24,
    };
    struct view part;
    assert_true(text_split(&text, ',', &part));
    rules.compacted = view_equal(part, VIEW_LITERAL("compacted"));
    assert_true(text_split(&text, ',', &part));
    rules.append_time = view_equal(part, VIEW_LITERAL("append"));
    assert_true(text_split(&text, ',', &part));
    assert_true(text_parse_i64(part, 0, INT64_MAX, &rules.before_max_ms));
    assert_true(text_split(&text, ',', &part));
    assert_true(text_parse_i64(part, 0, INT64_MAX, &rules.after_max_ms));
    rules.convert = !view_equal(text, VIEW_LITERAL("producer"));
    if (rules.convert) {
        assert_true(compression_codec_parse(text, &rules.codec));
        rules.level = compression_level_default(rules.codec);
    }
    return rules;
}

static void expect_refused(const struct record_validation *result, struct view indexes)
{
    struct view part;
    int32_t count = 0;
    if (view_equal(indexes, VIEW_LITERAL("-")))
        indexes = VIEW_NULL;
    for (; text_split(&indexes, ',', &part); count++) {
        int64_t index;
        assert_true(text_parse_i64(part, 0, INT32_MAX, &index));
        assert_true(count < result->error_count);
        assert_int_equal(result->errors[count].index, index);
    }
    assert_int_equal(result->error_count, count);
}

static void check_validation(const struct line *line)
{
    struct heap heap;
    struct buffer output;
    struct record_validation result;
    struct record_rules rules = parse_rules(line->columns[2]);
    heap_init_plain(&heap);
    buffer_init(&output, &heap, MEMORY_SCRATCH, 0);
    int64_t expected = column_number(line, 3);
    enum kafka_error error = record_validate(line->batch, &rules, &heap, &output, &result);
    assert_int_equal(error, result.error);
    /* Where a codec fails Kafka has no better answer than -1. */
    assert_int_equal(error, expected == -1 ? KAFKA_ERROR_INVALID_RECORD : expected);
    expect_refused(&result, line->columns[4]);
    if (error != KAFKA_ERROR_NONE) {
        assert_non_null(result.message);
        assert_int_equal(output.size, 0);
    } else {
        struct view stored = line->batch;
        if (result.action == RECORD_ACTION_STAMP)
            record_validation_stamp(&result, line->bytes, line->batch.size);
        if (result.action == RECORD_ACTION_REPLACE)
            stored = result.replacement;
        assert_int_equal(batch_attributes(stored.data), column_number(line, 5));
        assert_int_equal(batch_base_timestamp(stored.data), column_number(line, 6));
        assert_int_equal(batch_max_timestamp(stored.data), column_number(line, 7));
        assert_int_equal(result.max_timestamp_ms, column_number(line, 7));
        assert_true(batch_crc_is_valid(stored));
        assert_int_equal(batch_size(stored.data), stored.size);
        expect_records(stored, line, 8);
    }
    buffer_deinit(&output);
    assert_int_equal(heap.used[MEMORY_SCRATCH], 0);
}

static void validation_agrees_with_kafka(void **state)
{
    (void)state;
    assert_true(for_each_line("validation.tsv", check_validation) >= 140);
}

int main(int argument_count, char **arguments)
{
    if (argument_count != 2)
        return 2;
    directory = arguments[1];
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(kafka_batches_are_read_and_written),
        cmocka_unit_test(validation_agrees_with_kafka),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
