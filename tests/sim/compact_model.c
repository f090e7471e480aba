/* Everything is found by walking the model; it has to be right, not fast. */
#include "tests/sim/compact_model.h"

#include <string.h>

#include "base/sort.h"
#include "protocol/batch.h"
#include "protocol/batch_reader.h"
#include "protocol/control_record.h"

enum { RECORDS_SIZE_MAX = 1024 * 1024 };

int compact_key_index(struct view key)
{
    if (key.size != 3 || key.data[0] != 'k')
        return -1;
    int index = (key.data[1] - '0') * 10 + (key.data[2] - '0');
    return index >= 0 && index < COMPACT_KEYS ? index : -1;
}

/* ---- The model ------------------------------------------------------------------------------- */

static struct view bytes_of(const struct model_batch *batch)
{
    return view_of(batch->bytes, batch->size);
}

static bool is_marker_of(const struct model_batch *batch, int64_t producer_id, bool *commit)
{
    struct control_marker marker;
    if (batch_producer_id(batch->bytes) != producer_id ||
        !control_record_parse_marker(bytes_of(batch), &marker))
        return false;
    *commit = marker.commit;
    return true;
}

enum compact_fate compact_fate_of(const struct log_model *model, size_t place)
{
    const struct model_batch *batch = &model->batches[place];
    bool commit;
    if (!batch_is_transactional(batch->bytes))
        return COMPACT_PLAIN;
    for (size_t i = place + 1; i < model->count; i++) {
        if (is_marker_of(&model->batches[i], batch_producer_id(batch->bytes), &commit))
            return commit ? COMPACT_COMMITTED : COMPACT_ABORTED;
    }
    return COMPACT_OPEN;
}

bool compact_is_open(const struct log_model *model, int64_t producer_id)
{
    bool commit;
    for (size_t i = model->count; i > 0; i--) {
        const struct model_batch *batch = &model->batches[i - 1];
        if (batch_producer_id(batch->bytes) != producer_id)
            continue;
        return batch_is_transactional(batch->bytes) && !is_marker_of(batch, producer_id, &commit);
    }
    return false;
}

int64_t compact_unstable_offset(const struct log_model *model, int64_t high_watermark)
{
    bool is_open[COMPACT_PRODUCERS + 1] = {false};
    int64_t first[COMPACT_PRODUCERS + 1] = {0};
    int64_t unstable = -1;
    bool commit;
    for (size_t i = 0; i < model->count; i++) {
        const struct model_batch *batch = &model->batches[i];
        int64_t id = batch_producer_id(batch->bytes);
        if (id < 0 || !batch_is_transactional(batch->bytes))
            continue;
        if (is_marker_of(batch, id, &commit)) {
            if (is_open[id] && batch->last_offset >= high_watermark &&
                (unstable < 0 || first[id] < unstable))
                unstable = first[id];
            is_open[id] = false;
        } else if (!is_open[id]) {
            is_open[id] = true;
            first[id] = batch->base_offset;
        }
    }
    for (int64_t id = 1; id <= COMPACT_PRODUCERS; id++) {
        if (is_open[id] && (unstable < 0 || first[id] < unstable))
            unstable = first[id];
    }
    return unstable;
}

/* ---- Records --------------------------------------------------------------------------------- */

/* Opens a batch of which the run knows that it is good. */
static void open_batch(const struct log_model *model, struct batch_reader *reader,
                       struct view batch)
{
    sim_require(model->sim, batch_reader_open(reader, batch, RECORDS_SIZE_MAX) == COMPRESSION_OK,
                "the batch at %lld cannot be read", (long long)batch_base_offset(batch.data));
}

/* The record of this offset in a batch of the model. */
static bool find_record(const struct log_model *model, struct batch_reader *reader,
                        const struct model_batch *batch, int64_t offset,
                        struct batch_reader_record *found)
{
    open_batch(model, reader, bytes_of(batch));
    while (batch_reader_next(reader, found) == RECORD_OK) {
        if (found->offset == offset)
            return true;
    }
    return false;
}

static bool is_same_record(const struct batch_reader_record *a, const struct batch_reader_record *b)
{
    return a->timestamp_ms == b->timestamp_ms && view_equal(a->record.key, b->record.key) &&
           view_is_null(a->record.value) == view_is_null(b->record.value) &&
           view_equal(a->record.value, b->record.value) &&
           a->record.header_count == b->record.header_count &&
           view_equal(a->record.headers, b->record.headers);
}

/* Every record of a read batch is one of the batch that was appended, in order. */
static void compare_records(struct log_model *model, const struct model_batch *original,
                            struct view batch)
{
    struct batch_reader reader, other;
    struct batch_reader_record record, expected;
    int64_t last = batch_base_offset(batch.data) - 1;
    enum record_status status;
    batch_reader_init(&reader, &model->heap);
    batch_reader_init(&other, &model->heap);
    open_batch(model, &reader, batch);
    while ((status = batch_reader_next(&reader, &record)) == RECORD_OK) {
        sim_require(model->sim, record.offset > last, "offset %lld stands behind %lld",
                    (long long)record.offset, (long long)last);
        last = record.offset;
        sim_require(model->sim,
                    find_record(model, &other, original, record.offset, &expected) &&
                        is_same_record(&record, &expected),
                    "the record at %lld is not what was appended", (long long)record.offset);
    }
    sim_require(model->sim, status == RECORD_END, "a record of the batch at %lld is malformed",
                (long long)original->base_offset);
    batch_reader_deinit(&reader);
    batch_reader_deinit(&other);
}

/* The header says what it said when it was appended. */
static void compare_header(const struct log_model *model, const struct model_batch *original,
                           const uint8_t *batch)
{
    const uint8_t *from = original->bytes;
    unsigned kept =
        BATCH_ATTRIBUTE_APPEND_TIME | BATCH_ATTRIBUTE_TRANSACTIONAL | BATCH_ATTRIBUTE_CONTROL;
    bool same = batch_last_offset(batch) == original->last_offset &&
                batch_leader_epoch(batch) == batch_leader_epoch(from) &&
                batch_producer_id(batch) == batch_producer_id(from) &&
                batch_producer_epoch(batch) == batch_producer_epoch(from) &&
                batch_base_sequence(batch) == batch_base_sequence(from) &&
                (batch_attributes(batch) & kept) == (batch_attributes(from) & kept) &&
                (batch_record_count(batch) == 0 || batch_codec(batch) == batch_codec(from));
    sim_require(model->sim, same, "the header of the batch at %lld changed",
                (long long)original->base_offset);
}

/* ---- Walks ----------------------------------------------------------------------------------- */

void compact_walk_begin(struct compact_walk *walk, struct log_model *model, bool is_view,
                        int64_t start, int64_t compacted_to, int64_t clean_end)
{
    *walk = (struct compact_walk){.model = model,
                                  .is_view = is_view,
                                  .start = start,
                                  .next = start,
                                  .compacted_to = compacted_to,
                                  .clean_end = clean_end};
    for (int i = 0; i < COMPACT_KEYS; i++)
        walk->last_offset[i] = -1;
    for (int i = 0; i <= COMPACT_PRODUCERS; i++)
        walk->last_of_producer[i] = -1;
}

/* Nothing between what was read before and this batch is missing that had to be there. */
static void check_gap(const struct compact_walk *walk, int64_t base_offset)
{
    int64_t at = walk->next > walk->compacted_to ? walk->next : walk->compacted_to;
    sim_require(walk->model->sim, at >= base_offset, "nothing is there from %lld to %lld",
                (long long)at, (long long)base_offset);
}

static int compare_aborted(const void *left, const void *right, void *context)
{
    const struct log_aborted_transaction *a = left;
    const struct log_aborted_transaction *b = right;
    (void)context;
    return (a->first_offset > b->first_offset) - (a->first_offset < b->first_offset);
}

/* What a consumer keeps while it goes through one answer. */
struct aborted_filter {
    struct log_aborted_transaction *aborted; /* by first offset */
    uint32_t count;
    uint32_t next;
    bool is_skipped[COMPACT_PRODUCERS + 1];
};

/* Whether the records of a batch are shown to a consumer of committed data. */
static bool is_shown(struct aborted_filter *filter, struct view batch)
{
    int64_t id = batch_producer_id(batch.data);
    struct control_marker marker;
    while (filter->next < filter->count &&
           filter->aborted[filter->next].first_offset <= batch_last_offset(batch.data))
        filter->is_skipped[filter->aborted[filter->next++].producer_id] = true;
    if (batch_is_control(batch.data)) {
        if (control_record_parse_marker(batch, &marker) && !marker.commit)
            filter->is_skipped[id] = false;
        return false;
    }
    return !batch_is_transactional(batch.data) || !filter->is_skipped[id];
}

static void take_records(struct compact_walk *walk, struct view batch)
{
    struct batch_reader reader;
    struct batch_reader_record record;
    batch_reader_init(&reader, &walk->model->heap);
    open_batch(walk->model, &reader, batch);
    while (batch_reader_next(&reader, &record) == RECORD_OK) {
        int key = compact_key_index(record.record.key);
        if (key < 0 || record.offset < walk->start)
            continue;
        walk->last_offset[key] = record.offset;
        walk->clean_count[key] += record.offset < walk->clean_end;
    }
    batch_reader_deinit(&reader);
}

static void take_batch(struct compact_walk *walk, struct aborted_filter *filter, struct view batch)
{
    struct log_model *model = walk->model;
    int64_t base_offset = batch_base_offset(batch.data);
    const struct model_batch *original = log_model_find(model, base_offset);
    sim_require(model->sim, batch_crc_is_valid(batch), "the batch at %lld has a bad checksum",
                (long long)base_offset);
    sim_require(model->sim, original && original->base_offset == base_offset,
                "no batch was appended at %lld", (long long)base_offset);
    sim_require(model->sim, batch_last_offset(batch.data) >= walk->next,
                "the batch at %lld was read before", (long long)base_offset);
    check_gap(walk, base_offset);
    compare_header(model, original, batch.data);
    if (base_offset >= walk->compacted_to)
        sim_require(model->sim, view_equal(batch, bytes_of(original)),
                    "the batch at %lld changed before it could be compacted",
                    (long long)base_offset);
    compare_records(model, original, batch);
    if (!walk->is_view && batch_producer_id(batch.data) >= 0 && !batch_is_control(batch.data))
        walk->last_of_producer[batch_producer_id(batch.data)] = batch_last_offset(batch.data);
    if (walk->is_view && is_shown(filter, batch))
        take_records(walk, batch);
    walk->next = batch_last_offset(batch.data) + 1;
}

void compact_walk_take(struct compact_walk *walk, struct view bytes,
                       struct log_aborted_transaction *aborted, uint32_t aborted_count)
{
    struct heap *heap = &walk->model->heap;
    struct aborted_filter filter = {.aborted = aborted, .count = aborted_count};
    struct view batch;
    sort_stable_on(heap, aborted, aborted_count, sizeof(*aborted), compare_aborted, NULL);
    while (batch_next(&bytes, &batch) == BATCH_OK)
        take_batch(walk, &filter, batch);
    sim_require(walk->model->sim, bytes.size == 0, "a read ends inside a batch at %lld",
                (long long)walk->next);
}

/* ---- The view -------------------------------------------------------------------------------- */

/* The last committed record of each key in [log_start, end). */
struct latest {
    int64_t offset; /* -1: none */
    int64_t written_ms;
    bool is_tombstone;
};

static void find_latest(struct log_model *model, int64_t log_start, int64_t end,
                        struct latest latest[COMPACT_KEYS])
{
    struct batch_reader reader;
    batch_reader_init(&reader, &model->heap);
    for (int i = 0; i < COMPACT_KEYS; i++)
        latest[i].offset = -1;
    for (size_t i = 0; i < model->count && model->batches[i].last_offset < end; i++) {
        const struct model_batch *batch = &model->batches[i];
        enum compact_fate fate = compact_fate_of(model, i);
        if (batch_is_control(batch->bytes) || (fate != COMPACT_PLAIN && fate != COMPACT_COMMITTED))
            continue;
        struct batch_reader_record record;
        open_batch(model, &reader, bytes_of(batch));
        while (batch_reader_next(&reader, &record) == RECORD_OK) {
            int key = compact_key_index(record.record.key);
            if (key >= 0 && record.offset >= log_start)
                latest[key] = (struct latest){record.offset, record.timestamp_ms,
                                              view_is_null(record.record.value)};
        }
    }
    batch_reader_deinit(&reader);
}

void compact_walk_end_view(const struct compact_walk *walk, int64_t log_start, int64_t end,
                           int64_t now_ms, int64_t delete_retention_ms, bool judges_clean)
{
    struct log_model *model = walk->model;
    struct latest latest[COMPACT_KEYS];
    find_latest(model, log_start, end, latest);
    for (int key = 0; key < COMPACT_KEYS; key++) {
        int64_t seen = walk->last_offset[key] >= log_start ? walk->last_offset[key] : -1;
        int64_t expected = latest[key].offset;
        /* Its time counts from a compaction, and that is never before it was written. */
        bool may_be_gone =
            latest[key].is_tombstone && now_ms >= latest[key].written_ms + delete_retention_ms;
        sim_require(model->sim, seen == expected || (seen < 0 && may_be_gone),
                    "the last record of key %d is at %lld, read was %lld", key, (long long)expected,
                    (long long)seen);
        if (judges_clean)
            sim_require(model->sim, walk->clean_count[key] <= 1,
                        "key %d has %u records in what was compacted up to %lld", key,
                        walk->clean_count[key], (long long)walk->clean_end);
    }
}
