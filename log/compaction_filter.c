/*
 * Two walks over the records of a batch that may change: the first only decides, so that a batch of
 * which everything stays is copied as it lies; the second builds what is left. Decompressed records
 * serve both.
 */
#include "log/compaction_filter.h"

#include "base/assert.h"
#include "runtime/test_point.h"

enum { RECORDS_SIZE_MAX = 256 * 1024 * 1024, RECORDS_AT_A_TIME = 64 };

void compaction_filter_init(struct compaction_filter *filter, struct heap *heap,
                            const struct compaction_rules *rules, const struct compaction_map *map,
                            struct compaction_transactions *transactions,
                            const struct producer_state *producers, const struct loop *loop)
{
    *filter = (struct compaction_filter){.rules = *rules,
                                         .map = map,
                                         .transactions = transactions,
                                         .producers = producers,
                                         .loop = loop};
    batch_reader_init(&filter->reader, heap);
    batch_builder_init(&filter->builder, heap, 0, &BATCH_OPTIONS_DEFAULT);
}

void compaction_filter_deinit(struct compaction_filter *filter)
{
    batch_reader_deinit(&filter->reader);
    batch_builder_deinit(&filter->builder);
}

const char *compaction_open_batch(struct batch_reader *reader, struct view batch)
{
    if (!batch_crc_is_valid(batch))
        return "checksum";
    switch (batch_reader_open(reader, batch, RECORDS_SIZE_MAX)) {
    case COMPRESSION_OK:
        return NULL;
    case COMPRESSION_CORRUPT:
    case COMPRESSION_UNKNOWN_CODEC:
        return "compressed records";
    case COMPRESSION_TOO_LARGE:
        return "size of the decompressed records";
    case COMPRESSION_OUT_OF_MEMORY:
        return "amount of memory for the decompressed records";
    }
    klamm_unreachable("compression result");
}

static bool is_on(const struct compaction_filter *filter, enum test_point point)
{
    return filter->loop && test_point(filter->loop, point);
}

/* What was decided about the batch as a whole. */
struct judgement {
    bool drops_records; /* whatever they are */
    bool keeps_empty;   /* as an empty batch when no record stays */
    bool is_spent;      /* a marker of which nothing else is left */
};

/* Whether the producer's sequence or epoch is known from this batch alone. */
static bool is_last_of_producer(const struct compaction_filter *filter, const uint8_t *batch)
{
    struct producer_info info;
    if (!batch_has_producer_id(batch) || is_on(filter, BUG_COMPACT_FORGET_PRODUCER) ||
        !producer_state_find(filter->producers, batch_producer_id(batch), &info))
        return false;
    if (info.last_offset >= 0)
        return batch_last_offset(batch) == info.last_offset;
    return batch_is_control(batch) && batch_producer_epoch(batch) == info.producer_epoch;
}

/* Whether the time of its tombstones and markers has come. */
static bool is_past_horizon(const struct compaction_filter *filter, const uint8_t *batch)
{
    return batch_has_delete_horizon(batch) && batch_base_timestamp(batch) <= filter->rules.now_ms;
}

static struct judgement judge(struct compaction_filter *filter, struct view batch,
                              const struct aborted_transaction **aborted)
{
    struct judgement judgement = {0};
    if (batch_is_control(batch.data)) {
        judgement.is_spent = compaction_transactions_control(filter->transactions, batch, aborted);
        judgement.drops_records = judgement.is_spent && is_past_horizon(filter, batch.data);
        if (is_on(filter, BUG_COMPACT_DROP_MARKERS_EARLY) &&
            (judgement.is_spent || batch_has_producer_id(batch.data)))
            judgement.drops_records = true;
    } else {
        judgement.drops_records = compaction_transactions_data(filter->transactions, batch.data);
    }
    judgement.keeps_empty = is_last_of_producer(filter, batch.data) ||
                            batch_last_offset(batch.data) + 1 == filter->rules.upper_offset;
    return judgement;
}

static bool keeps_record(const struct compaction_filter *filter, const uint8_t *batch,
                         const struct batch_reader_record *record)
{
    if (batch_is_control(batch) || record->offset >= filter->rules.map_end)
        return true;
    if (view_is_null(record->record.key))
        return false;
    int64_t newest = compaction_map_find(filter->map, record->record.key);
    if (is_on(filter, BUG_COMPACT_KEEP_OLDEST) && newest >= 0)
        return record->offset < newest;
    if (record->offset < newest)
        return false;
    return !view_is_null(record->record.value) || !is_past_horizon(filter, batch);
}

/* What the first walk found. */
struct survey {
    int32_t kept;
    bool has_tombstone; /* among those that stay */
};

static bool survey_records(struct compaction_filter *filter, const uint8_t *batch,
                           struct survey *survey)
{
    struct batch_reader_record record;
    enum record_status status;
    *survey = (struct survey){0};
    while ((status = batch_reader_next(&filter->reader, &record)) == RECORD_OK) {
        if (++filter->counts.read_records % RECORDS_AT_A_TIME == 0)
            job_give_way(filter->pace);
        if (!keeps_record(filter, batch, &record)) {
            filter->counts.keyless_records += view_is_null(record.record.key);
            continue;
        }
        survey->kept++;
        survey->has_tombstone |= view_is_null(record.record.value);
    }
    return status == RECORD_END;
}

static struct batch_options options_of(const struct compaction_filter *filter, const uint8_t *batch,
                                       bool sets_horizon)
{
    enum compression_codec codec = (enum compression_codec)batch_codec(batch);
    return (struct batch_options){
        .base_offset = batch_base_offset(batch),
        .leader_epoch = batch_leader_epoch(batch),
        .codec = codec,
        .level = compression_level_default(codec),
        .append_time = batch_is_append_time(batch),
        .append_time_ms = batch_max_timestamp(batch),
        .transactional = batch_is_transactional(batch),
        .control = batch_is_control(batch),
        .delete_horizon = sets_horizon || batch_has_delete_horizon(batch),
        .delete_horizon_ms = sets_horizon ? filter->rules.now_ms + filter->rules.delete_retention_ms
                                          : batch_base_timestamp(batch),
        .producer_id = batch_producer_id(batch),
        .producer_epoch = batch_producer_epoch(batch),
        .base_sequence = batch_base_sequence(batch),
    };
}

/* The second walk. */
static enum compaction_verdict rebuild(struct compaction_filter *filter, const uint8_t *batch,
                                       bool sets_horizon, struct view *output)
{
    struct batch_options options = options_of(filter, batch, sets_horizon);
    struct batch_reader_record record;
    batch_builder_reset(&filter->builder, &options);
    for (unsigned i = 1; batch_reader_next(&filter->reader, &record) == RECORD_OK; i++) {
        if (i % RECORDS_AT_A_TIME == 0)
            job_give_way(filter->pace);
        if (!keeps_record(filter, batch, &record))
            continue;
        if (record.record.offset_delta <= filter->builder.last_offset_delta ||
            record.record.offset_delta > batch_last_offset_delta(batch)) {
            filter->fault = "order of offsets";
            return COMPACTION_DAMAGED;
        }
        if (!batch_builder_append_raw(&filter->builder, record.record.offset_delta,
                                      record.timestamp_ms, &record.record))
            return COMPACTION_OUT_OF_MEMORY;
    }
    batch_builder_set_last_offset_delta(&filter->builder, batch_last_offset_delta(batch));
    if (batch_builder_finish(&filter->builder, output) != COMPRESSION_OK)
        return COMPACTION_OUT_OF_MEMORY;
    return COMPACTION_REPLACE;
}

/* Only the header stays: offsets, producer, the largest timestamp. */
static enum compaction_verdict empty_batch(struct compaction_filter *filter, const uint8_t *batch,
                                           struct view *output)
{
    struct batch_header header;
    batch_header_read(batch, &header);
    if (header.record_count == 0 && header.batch_length == BATCH_LENGTH_MIN)
        return COMPACTION_KEEP;
    header.batch_length = BATCH_LENGTH_MIN;
    header.attributes &=
        BATCH_ATTRIBUTE_APPEND_TIME | BATCH_ATTRIBUTE_TRANSACTIONAL | BATCH_ATTRIBUTE_CONTROL;
    header.base_timestamp = BATCH_NO_TIMESTAMP;
    header.record_count = 0;
    batch_header_write(filter->empty, &header);
    batch_crc_update(filter->empty, sizeof(filter->empty));
    *output = view_of(filter->empty, sizeof(filter->empty));
    return COMPACTION_REPLACE;
}

static enum compaction_verdict leave_nothing(struct compaction_filter *filter,
                                             const struct judgement *judgement,
                                             const uint8_t *batch, struct view *output)
{
    return judgement->keeps_empty ? empty_batch(filter, batch, output) : COMPACTION_DROP;
}

/* What surely stays as it is needs no look at its records. */
static bool is_out_of_reach(const struct compaction_filter *filter, const uint8_t *batch)
{
    return !batch_is_control(batch) && batch_base_offset(batch) >= filter->rules.map_end;
}

enum compaction_verdict compaction_filter_batch(struct compaction_filter *filter, struct view batch,
                                                struct view *output,
                                                const struct aborted_transaction **aborted)
{
    *aborted = NULL;
    filter->fault = compaction_open_batch(&filter->reader, batch);
    if (filter->fault)
        return COMPACTION_DAMAGED;
    struct record_cursor start = filter->reader.cursor;
    struct judgement judgement = judge(filter, batch, aborted);
    if (judgement.drops_records)
        return leave_nothing(filter, &judgement, batch.data, output);
    if (is_out_of_reach(filter, batch.data))
        return COMPACTION_KEEP;
    struct survey survey;
    if (!survey_records(filter, batch.data, &survey)) {
        filter->fault = "record";
        return COMPACTION_DAMAGED;
    }
    filter->counts.kept_records += (uint64_t)survey.kept;
    if (survey.kept == 0)
        return leave_nothing(filter, &judgement, batch.data, output);
    bool sets_horizon =
        (survey.has_tombstone || judgement.is_spent) && !batch_has_delete_horizon(batch.data);
    if (survey.kept == batch_record_count(batch.data) && !sets_horizon)
        return COMPACTION_KEEP;
    filter->reader.cursor = start;
    return rebuild(filter, batch.data, sets_horizon, output);
}
