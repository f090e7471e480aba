/*
 * First the header (validate_header), then, where it cannot decide, the records (validate_records),
 * which are decompressed once into scratch memory. From what was seen follows the action: nothing,
 * a stamp in the header, or another batch. A batch whose records can stay as they are is only
 * compressed anew behind a copy of its header; otherwise it is built record by record.
 */
#include "protocol/record_validation.h"

#include "base/assert.h"
#include "protocol/batch_builder.h"
#include "protocol/record.h"

enum { RECORD_SIZE_MIN = 7 }; /* length, attributes, two deltas, two nulls, no headers */

/* What reading all records shows. */
struct findings {
    int64_t max_timestamp;
    bool consecutive;      /* offset deltas 0, 1, 2, ... */
    bool first_delta_zero; /* the base timestamp is the first record's */
    bool timestamp_error;
};

static enum kafka_error refuse(struct record_validation *result, enum kafka_error error,
                               const char *message)
{
    result->error = error;
    result->message = message;
    return error;
}

/* How many times its size a codec can unfold to, as an upper bound. */
static uint64_t expansion_max(unsigned codec)
{
    static const uint64_t ratios[COMPRESSION_CODECS] = {1, 1032, 64, 255, 64 * 1024};
    return ratios[codec];
}

static enum kafka_error validate_client_header(const uint8_t *batch,
                                               struct record_validation *result)
{
    int32_t count = batch_record_count(batch);
    if (batch_last_offset_delta(batch) < 0 || count <= 0)
        return refuse(result, KAFKA_ERROR_INVALID_RECORD, "A batch needs at least one record.");
    if ((int64_t)batch_last_offset_delta(batch) + 1 != count)
        return refuse(result, KAFKA_ERROR_INVALID_RECORD,
                      "The record count does not match the offsets of the batch.");
    if (batch_is_control(batch))
        return refuse(result, KAFKA_ERROR_INVALID_RECORD,
                      "Clients must not write control records.");
    if (batch_has_producer_id(batch) && batch_base_sequence(batch) < 0)
        return refuse(result, KAFKA_ERROR_INVALID_RECORD,
                      "A batch with a producer id needs a sequence number.");
    return KAFKA_ERROR_NONE;
}

static enum kafka_error validate_header(struct view batch, const struct record_rules *rules,
                                        struct record_validation *result)
{
    const uint8_t *bytes = batch.data;
    if (rules->from_client && batch_base_offset(bytes) != 0)
        return refuse(result, KAFKA_ERROR_INVALID_RECORD,
                      "The base offset of a produced batch must be 0.");
    if (batch.size > rules->batch_size_max)
        return refuse(result, KAFKA_ERROR_MESSAGE_TOO_LARGE,
                      "The batch is larger than max.message.bytes allows.");
    if (!batch_crc_is_valid(batch))
        return refuse(result, KAFKA_ERROR_CORRUPT_MESSAGE, "The checksum of the batch is wrong.");
    if (rules->from_client && validate_client_header(bytes, result) != KAFKA_ERROR_NONE)
        return result->error;
    unsigned codec = batch_codec(bytes);
    if (codec >= COMPRESSION_CODECS)
        return refuse(result, KAFKA_ERROR_INVALID_RECORD,
                      "The batch is compressed with an unknown codec.");
    uint64_t records_size = (uint64_t)(batch.size - BATCH_HEADER_SIZE) * expansion_max(codec);
    if (batch_record_count(bytes) > 0 &&
        (uint64_t)batch_record_count(bytes) > records_size / RECORD_SIZE_MIN)
        return refuse(result, KAFKA_ERROR_INVALID_RECORD,
                      "The batch has fewer bytes than its record count needs.");
    return KAFKA_ERROR_NONE;
}

/* now - timestamp, clamped to what 64 bits hold. */
static int64_t age_ms(int64_t now_ms, int64_t timestamp_ms)
{
    int64_t age;
    if (__builtin_sub_overflow(now_ms, timestamp_ms, &age))
        return timestamp_ms < 0 ? INT64_MAX : INT64_MIN + 1;
    return age == INT64_MIN ? INT64_MIN + 1 : age;
}

static bool timestamp_is_within(int64_t timestamp_ms, const struct record_rules *rules)
{
    int64_t age = age_ms(rules->now_ms, timestamp_ms);
    return age <= rules->before_max_ms && -age <= rules->after_max_ms;
}

/* The codec that the appended batch is to have. Control batches stay as they are. */
static unsigned target_codec(const uint8_t *batch, const struct record_rules *rules)
{
    return rules->convert && !batch_is_control(batch) ? rules->codec : batch_codec(batch);
}

/* The topic's level is for the topic's codec; a control batch that keeps its own has its default.
 */
static int target_level(unsigned codec, const struct record_rules *rules)
{
    return rules->convert && codec == rules->codec
               ? rules->level
               : compression_level_default((enum compression_codec)codec);
}

static bool header_decides(const uint8_t *batch, const struct record_rules *rules)
{
    if (rules->every_record || rules->compacted || target_codec(batch, rules) != batch_codec(batch))
        return false;
    if (batch_is_append_time(batch))
        return false;
    /* The header knows the latest time, but not the earliest. */
    return rules->append_time || (rules->before_max_ms == INT64_MAX &&
                                  (batch_max_timestamp(batch) == BATCH_NO_TIMESTAMP ||
                                   timestamp_is_within(batch_max_timestamp(batch), rules)));
}

size_t record_validation_work_size(struct view batch, const struct record_rules *rules)
{
    bool codec_work = batch_is_compressed(batch.data) || target_codec(batch.data, rules) != 0;
    return codec_work && !header_decides(batch.data, rules) ? batch.size : 0;
}

static void name_record(struct record_validation *result, int32_t index, const char *message)
{
    if (result->error_count < RECORD_ERRORS_MAX)
        result->errors[result->error_count++] = (struct record_error){index, message};
}

/* Key and timestamp of one record; false when it was named in the result. */
static bool validate_record(const uint8_t *batch, const struct record_rules *rules, int32_t index,
                            const struct record *record, int64_t timestamp_ms,
                            struct findings *findings, struct record_validation *result)
{
    if (rules->compacted && view_is_null(record->key)) {
        name_record(result, index, "A record of a compacted topic needs a key.");
        return false;
    }
    const char *message = NULL;
    if (!rules->append_time && timestamp_ms != BATCH_NO_TIMESTAMP) {
        if (!timestamp_is_within(timestamp_ms, rules))
            message = "The timestamp is outside the time that the topic accepts.";
    } else if (batch_is_append_time(batch)) {
        message = "Producers must not set the timestamp type to LogAppendTime.";
    }
    if (!message)
        return true;
    findings->timestamp_error = true;
    name_record(result, index, message);
    return false;
}

/* Reads all (decompressed) records; the error, if any, is in the result. */
static enum kafka_error validate_records(const uint8_t *batch, struct view plain,
                                         const struct record_rules *rules,
                                         struct findings *findings,
                                         struct record_validation *result)
{
    struct record_cursor cursor;
    struct record record;
    enum record_status status;
    record_cursor_init(&cursor, plain, batch_record_count(batch));
    *findings = (struct findings){
        .max_timestamp = BATCH_NO_TIMESTAMP, .consecutive = true, .first_delta_zero = true};
    int32_t index = 0;
    for (; (status = record_cursor_next(&cursor, &record)) == RECORD_OK; index++) {
        int64_t timestamp_ms = batch_record_timestamp(batch, record.timestamp_delta);
        if (index == 0)
            findings->first_delta_zero = record.timestamp_delta == 0;
        if (record.offset_delta != index)
            findings->consecutive = false;
        if (validate_record(batch, rules, index, &record, timestamp_ms, findings, result) &&
            timestamp_ms > findings->max_timestamp)
            findings->max_timestamp = timestamp_ms;
    }
    if (status == RECORD_MALFORMED) {
        result->error_count = 0;
        return refuse(result, KAFKA_ERROR_INVALID_RECORD,
                      "The records of the batch are malformed.");
    }
    if (result->error_count == 0)
        return KAFKA_ERROR_NONE;
    if (findings->timestamp_error)
        return refuse(result, KAFKA_ERROR_INVALID_TIMESTAMP,
                      "One or more records have a timestamp that is not accepted.");
    return refuse(result, KAFKA_ERROR_INVALID_RECORD, "One or more records are not accepted.");
}

/* The plain records behind a copy of the header, with the codec that the topic asks for. */
static enum compression_result convert_batch(struct view batch, struct view plain,
                                             const struct record_rules *rules,
                                             int64_t max_timestamp, struct buffer *output)
{
    size_t start = output->size;
    unsigned codec = target_codec(batch.data, rules);
    if (!buffer_append(output, batch.data, BATCH_HEADER_SIZE))
        return COMPRESSION_OUT_OF_MEMORY;
    enum compression_result result = compression_compress(
        (enum compression_codec)codec, target_level(codec, rules), plain, output);
    if (result != COMPRESSION_OK)
        return result;
    uint8_t *bytes = output->data + start;
    size_t size = output->size - start;
    struct batch_header header;
    batch_header_read(bytes, &header);
    header.batch_length = (int32_t)(size - BATCH_PREFIX_SIZE);
    header.attributes &= BATCH_ATTRIBUTE_TRANSACTIONAL | BATCH_ATTRIBUTE_CONTROL;
    header.attributes |= (uint16_t)codec;
    if (rules->append_time)
        header.attributes |= BATCH_ATTRIBUTE_APPEND_TIME;
    header.max_timestamp = max_timestamp;
    batch_header_write(bytes, &header);
    batch_crc_update(bytes, size);
    return COMPRESSION_OK;
}

/* A batch of the same records at offsets 0, 1, 2, ... */
static enum compression_result rebuild_batch(struct view batch, struct view plain,
                                             const struct record_rules *rules, struct heap *scratch,
                                             struct buffer *output)
{
    unsigned codec = target_codec(batch.data, rules);
    struct batch_options options = {
        .leader_epoch = batch_leader_epoch(batch.data),
        .codec = (enum compression_codec)codec,
        .level = target_level(codec, rules),
        .append_time = rules->append_time,
        .append_time_ms = rules->now_ms,
        .transactional = batch_is_transactional(batch.data),
        .control = batch_is_control(batch.data),
        .producer_id = batch_producer_id(batch.data),
        .producer_epoch = batch_producer_epoch(batch.data),
        .base_sequence = batch_base_sequence(batch.data),
    };
    struct batch_builder builder;
    struct record_cursor cursor;
    struct record record;
    struct view built = VIEW_NULL;
    enum compression_result result = COMPRESSION_OK;
    batch_builder_init(&builder, scratch, 0, &options);
    record_cursor_init(&cursor, plain, batch_record_count(batch.data));
    for (int32_t i = 0;
         result == COMPRESSION_OK && record_cursor_next(&cursor, &record) == RECORD_OK; i++) {
        int64_t timestamp_ms = batch_record_timestamp(batch.data, record.timestamp_delta);
        if (!batch_builder_append_raw(&builder, i, timestamp_ms, &record))
            result = COMPRESSION_OUT_OF_MEMORY;
    }
    if (result == COMPRESSION_OK)
        result = batch_builder_finish(&builder, &built);
    if (result == COMPRESSION_OK && !buffer_append(output, built.data, built.size))
        result = COMPRESSION_OUT_OF_MEMORY;
    batch_builder_deinit(&builder);
    return result;
}

static enum kafka_error codec_error(struct record_validation *result, enum compression_result codec)
{
    switch (codec) {
    case COMPRESSION_OK:
        return KAFKA_ERROR_NONE;
    case COMPRESSION_TOO_LARGE:
        return refuse(result, KAFKA_ERROR_MESSAGE_TOO_LARGE,
                      "The records of the batch unfold to more than this broker takes.");
    case COMPRESSION_OUT_OF_MEMORY:
        return refuse(result, KAFKA_ERROR_UNKNOWN_SERVER_ERROR,
                      "The broker has no memory left to decode the batch.");
    case COMPRESSION_CORRUPT:
    case COMPRESSION_UNKNOWN_CODEC:
        break;
    }
    return refuse(result, KAFKA_ERROR_INVALID_RECORD, "The batch cannot be decompressed.");
}

/* Chooses and prepares the action after all checks of the records went well. */
static enum kafka_error decide(struct view batch, struct view plain,
                               const struct record_rules *rules, const struct findings *findings,
                               struct heap *scratch, struct buffer *output,
                               struct record_validation *result)
{
    bool same_codec = target_codec(batch.data, rules) == batch_codec(batch.data);
    result->max_timestamp_ms = rules->append_time ? rules->now_ms : findings->max_timestamp;
    if (same_codec && findings->consecutive) {
        bool stamped = batch_is_append_time(batch.data) == rules->append_time &&
                       batch_max_timestamp(batch.data) == result->max_timestamp_ms;
        result->action = stamped ? RECORD_ACTION_KEEP : RECORD_ACTION_STAMP;
        result->append_time = rules->append_time;
        return KAFKA_ERROR_NONE;
    }
    size_t start = output->size;
    bool as_is =
        findings->consecutive && findings->first_delta_zero && !batch_is_append_time(batch.data);
    enum compression_result done =
        as_is ? convert_batch(batch, plain, rules, result->max_timestamp_ms, output)
              : rebuild_batch(batch, plain, rules, scratch, output);
    if (done != COMPRESSION_OK) {
        output->size = start;
        return codec_error(result, done);
    }
    result->action = RECORD_ACTION_REPLACE;
    result->replacement = view_of(output->data + start, output->size - start);
    if (result->replacement.size <= rules->batch_size_max)
        return KAFKA_ERROR_NONE;
    output->size = start;
    return refuse(result, KAFKA_ERROR_MESSAGE_TOO_LARGE,
                  "The recompressed batch is larger than max.message.bytes allows.");
}

static enum kafka_error validate_by_records(struct view batch, const struct record_rules *rules,
                                            struct heap *scratch, struct buffer *output,
                                            struct record_validation *result)
{
    struct buffer decompressed;
    struct view plain = batch_records(batch);
    struct findings findings;
    buffer_init(&decompressed, scratch, MEMORY_SCRATCH, 0);
    if (batch_is_compressed(batch.data)) {
        enum compression_result done =
            compression_decompress((enum compression_codec)batch_codec(batch.data), plain,
                                   rules->decompressed_size_max, &decompressed);
        if (codec_error(result, done) != KAFKA_ERROR_NONE) {
            buffer_deinit(&decompressed);
            return result->error;
        }
        plain = buffer_view(&decompressed);
    }
    if (validate_records(batch.data, plain, rules, &findings, result) == KAFKA_ERROR_NONE)
        (void)decide(batch, plain, rules, &findings, scratch, output, result);
    buffer_deinit(&decompressed);
    return result->error;
}

static void decide_by_header(const uint8_t *batch, const struct record_rules *rules,
                             struct record_validation *result)
{
    result->append_time = rules->append_time;
    result->max_timestamp_ms = rules->append_time ? rules->now_ms : batch_max_timestamp(batch);
    result->action = rules->append_time ? RECORD_ACTION_STAMP : RECORD_ACTION_KEEP;
}

/* All but the list of errors, which would cost more than the rest of a small batch's validation. */
static void result_clear(struct record_validation *result)
{
    result->error = KAFKA_ERROR_NONE;
    result->message = NULL;
    result->action = RECORD_ACTION_KEEP;
    result->append_time = false;
    result->max_timestamp_ms = BATCH_NO_TIMESTAMP;
    result->replacement = VIEW_NULL;
    result->error_count = 0;
}

enum kafka_error record_validate(struct view records, const struct record_rules *rules,
                                 struct heap *scratch, struct buffer *output,
                                 struct record_validation *result)
{
    result_clear(result);
    size_t size;
    size_t output_start = output->size;
    enum batch_parse_result parsed = batch_parse(records, &size);
    if (parsed == BATCH_BAD_MAGIC && batch_magic(records.data) > BATCH_MAGIC)
        return refuse(result, KAFKA_ERROR_CORRUPT_MESSAGE, "The batch has an unknown format.");
    if (parsed == BATCH_BAD_MAGIC)
        return refuse(result, KAFKA_ERROR_INVALID_RECORD,
                      "Batches of an older format are not accepted.");
    if (parsed == BATCH_BAD_LENGTH)
        return refuse(result, KAFKA_ERROR_CORRUPT_MESSAGE, "The batch length is impossible.");
    if (parsed != BATCH_OK || size != records.size)
        return refuse(result, KAFKA_ERROR_INVALID_RECORD,
                      "A partition takes exactly one batch in a request.");
    if (validate_header(records, rules, result) != KAFKA_ERROR_NONE)
        return result->error;
    if (header_decides(records.data, rules))
        decide_by_header(records.data, rules, result);
    else if (validate_by_records(records, rules, scratch, output, result) != KAFKA_ERROR_NONE)
        return result->error;
    size_t appended =
        result->action == RECORD_ACTION_REPLACE ? result->replacement.size : records.size;
    if (appended > rules->segment_size_max) {
        output->size = output_start;
        return refuse(result, KAFKA_ERROR_RECORD_LIST_TOO_LARGE,
                      "The batch is larger than segment.bytes allows.");
    }
    return KAFKA_ERROR_NONE;
}

void record_validation_stamp(const struct record_validation *result, uint8_t *batch, size_t size)
{
    klamm_assert(result->action == RECORD_ACTION_STAMP);
    if (result->append_time)
        batch_set_append_time(batch, size, result->max_timestamp_ms);
    else
        batch_set_max_timestamp(batch, size, result->max_timestamp_ms);
}
