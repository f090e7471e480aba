/*
 * Loading: the log from its start to its end, a piece per turn, through the kind's replay.
 *
 * A piece is read as a consumer would (partition_log_read), copied out of the page cache and
 * walked batch by batch. What is not in memory is warmed first, which ends in a later turn. All
 * loads of a loop share a budget of bytes per turn, so that fifty partitions that are loaded at
 * once leave room for requests.
 *
 * It fails for good when the device fails, when a batch is damaged, or when the kind cannot decode
 * a value: a state with holes would answer wrongly. Unknown record types are skipped (a newer
 * version wrote them, and will read them again).
 */
#include "coordinator/coordinator_internal.h"

#include "base/assert.h"
#include "protocol/batch_reader.h"
#include "protocol/control_record.h"
#include "runtime/test_point.h"

enum {
    PIECE_BYTES = 128 * 1024,
    TURN_BYTES = 256 * 1024,                /* of all loads of a loop */
    UNFOLDED_BYTES_MAX = 256 * 1024 * 1024, /* of one batch: an honest one stays far below */
    WARM_TRIES_MAX = 16                     /* without getting further */
};

#define RETRY_NS UINT64_C(10000000)   /* until what others have queued is written */
#define SLOW_NS  UINT64_C(1000000000) /* a load that is worth a log line */

struct coordinator_load {
    struct list link;                /* host->loads, while it wants to go on */
    struct coordinator *coordinator; /* NULL: given up, but a warm-up is under way */
    struct log_warm warm;
    bool is_warming;
    unsigned warm_tries;
    struct timer retry;
    int64_t offset; /* of the next record to replay */
    struct buffer bytes;
    struct batch_reader reader;
    uint64_t started_ns;
    uint64_t record_count;
    uint64_t byte_count;
    bool has_unknown;
};

enum load_step {
    LOAD_MORE,    /* got further */
    LOAD_WAITING, /* a warm-up or a timer goes on with it */
    LOAD_FINISHED,
    LOAD_FAILED
};

static void queue(struct coordinator_load *load)
{
    struct coordinator_host *host = load->coordinator->host;
    if (!list_is_linked(&load->link))
        list_push_back(&host->loads, &load->link);
    loop_defer(host->loop, &host->load_turn);
}

static void load_destroy(struct coordinator_load *load, struct heap *heap)
{
    list_remove(&load->link);
    timer_clear(&load->retry);
    buffer_deinit(&load->bytes);
    batch_reader_deinit(&load->reader);
    heap_put(heap, MEMORY_STATE, load, sizeof(*load));
}

/* ---- What a batch says ---- */

static void report_damage(const struct coordinator_load *load, int64_t offset, const char *text)
{
    const struct coordinator *coordinator = load->coordinator;
    log_error(coordinator->host->loop->diagnostics,
              "%s coordinator cannot be loaded: partition=%d offset=%lld reason=\"%s\"",
              coordinator->kind->name, (int)coordinator->replica->partition, (long long)offset,
              text);
}

static void skip_unknown(struct coordinator_load *load, const struct batch_reader_record *record)
{
    const struct coordinator *coordinator = load->coordinator;
    coordinator->host->counters.unknown_records++;
    if (load->has_unknown)
        return;
    load->has_unknown = true;
    log_warn(coordinator->host->loop->diagnostics,
             "%s coordinator skips records of an unknown type: partition=%d offset=%lld type=%d",
             coordinator->kind->name, (int)coordinator->replica->partition,
             (long long)record->offset,
             record->record.key.size >= sizeof(int16_t) ? load_i16(record->record.key.data) : -1);
}

static bool replay_record(struct coordinator_load *load, const uint8_t *batch,
                          const struct batch_reader_record *record)
{
    struct coordinator *coordinator = load->coordinator;
    bool is_transactional = batch_is_transactional(batch);
    struct view key = record->record.key;
    load->record_count++;
    if (key.size < sizeof(int16_t)) {
        skip_unknown(load, record);
        return true;
    }
    struct coordinator_record replayed = {
        .type = load_i16(key.data),
        .key = view_of(key.data + sizeof(int16_t), key.size - sizeof(int16_t)),
        .value = record->record.value,
        .offset = record->offset,
        .timestamp_ms = record->timestamp_ms,
        .producer_id = is_transactional ? batch_producer_id(batch) : BATCH_NO_PRODUCER_ID,
        .producer_epoch = is_transactional ? batch_producer_epoch(batch) : BATCH_NO_PRODUCER_EPOCH,
    };
    switch (coordinator->kind->replay(coordinator->kind_state, &replayed)) {
    case COORDINATOR_REPLAY_OK:
        return true;
    case COORDINATOR_REPLAY_UNKNOWN:
        skip_unknown(load, record);
        return true;
    case COORDINATOR_REPLAY_DAMAGED:
        report_damage(load, record->offset, "a record does not decode");
        return false;
    }
    klamm_unreachable("replay");
}

/* A control batch that compaction emptied, or of another type, says nothing. */
static void replay_control(struct coordinator_load *load, struct view batch)
{
    const struct coordinator *coordinator = load->coordinator;
    struct control_marker control;
    load->record_count++;
    if (!coordinator->kind->replay_marker || !control_record_parse_marker(batch, &control))
        return;
    const struct coordinator_marker marker = {
        .producer_id = control.producer_id,
        .producer_epoch = control.producer_epoch,
        .coordinator_epoch = control.coordinator_epoch,
        .commit = control.commit,
        .offset = batch_base_offset(batch.data),
    };
    coordinator->kind->replay_marker(coordinator->kind_state, &marker);
}

static bool replay_batch(struct coordinator_load *load, struct view batch)
{
    int64_t base_offset = batch_base_offset(batch.data);
    if (!batch_crc_is_valid(batch)) {
        report_damage(load, base_offset, "a batch has a wrong checksum");
        return false;
    }
    if (batch_is_control(batch.data)) {
        replay_control(load, batch);
        return true;
    }
    if (batch_reader_open(&load->reader, batch, UNFOLDED_BYTES_MAX) != COMPRESSION_OK) {
        report_damage(load, base_offset, "a batch cannot be decompressed");
        return false;
    }
    struct batch_reader_record record;
    enum record_status status;
    while ((status = batch_reader_next(&load->reader, &record)) == RECORD_OK) {
        if (record.offset >= load->offset && !replay_record(load, batch.data, &record))
            return false;
    }
    if (status == RECORD_END)
        return true;
    report_damage(load, base_offset, "a batch has malformed records");
    return false;
}

static bool replay_bytes(struct coordinator_load *load)
{
    struct view rest = buffer_view(&load->bytes);
    struct view batch;
    enum batch_parse_result parsed;
    while ((parsed = batch_next(&rest, &batch)) == BATCH_OK) {
        int64_t last_offset = batch_last_offset(batch.data);
        if (last_offset < load->offset)
            continue;
        bool is_left_out =
            last_offset + 1 == partition_log_end_offset(load->coordinator->replica->log) &&
            test_point(load->coordinator->host->loop, BUG_COORDINATOR_LOAD_SHORT);
        if (!is_left_out && !replay_batch(load, batch))
            return false;
        load->offset = last_offset + 1;
    }
    if (parsed == BATCH_NEED_MORE && rest.size == 0)
        return true;
    report_damage(load, load->offset, "a batch has a wrong length");
    return false;
}

/* ---- Steps ---- */

static void warmed(struct log_warm *warm);
static void retry(struct timer *timer);

static enum load_step warm_up(struct coordinator_load *load, const struct log_read *read)
{
    if (load->warm_tries++ == WARM_TRIES_MAX) {
        report_damage(load, load->offset, "the log does not stay in memory");
        return LOAD_FAILED;
    }
    load->is_warming = true;
    load->warm = (struct log_warm){.warmed = warmed};
    partition_log_warm(load->coordinator->replica->log, read, &load->warm);
    return LOAD_WAITING;
}

static enum load_step take_slice(struct coordinator_load *load, const struct log_read *read,
                                 struct log_slice *slice)
{
    struct coordinator_host *host = load->coordinator->host;
    buffer_clear(&load->bytes);
    enum log_read_status status = LOG_READ_FAILED;
    if (buffer_reserve(&load->bytes, slice->size))
        status = log_slice_copy(host->logs, slice, 0, load->bytes.data, slice->size);
    int64_t next_offset = slice->next_offset;
    uint32_t size = slice->size;
    log_slice_release(slice);
    if (status == LOG_READ_NEEDS_IO) {
        struct log_read whole = *read;
        if (whole.max_bytes < size)
            whole.max_bytes = size;
        return warm_up(load, &whole);
    }
    if (status != LOG_READ_OK) {
        report_damage(load, load->offset, "the log cannot be read");
        return LOAD_FAILED;
    }
    load->bytes.size = size;
    load->byte_count += size;
    load->warm_tries = 0;
    if (!replay_bytes(load))
        return LOAD_FAILED;
    if (next_offset > load->offset) /* the last batch of the range may be gone */
        load->offset = next_offset;
    return LOAD_MORE;
}

/* Nothing to read here: the end, a gap that compaction left, or appends that are not written. */
static enum load_step take_nothing(struct coordinator_load *load)
{
    const struct partition_log *log = load->coordinator->replica->log;
    if (load->offset < partition_log_written_end(log))
        load->offset = partition_log_written_end(log);
    if (load->offset >= partition_log_end_offset(log))
        return LOAD_FINISHED;
    loop_set_timer(load->coordinator->host->loop, &load->retry, RETRY_NS);
    return LOAD_WAITING;
}

static enum load_step step(struct coordinator_load *load)
{
    struct partition_log *log = load->coordinator->replica->log;
    if (load->offset < partition_log_start_offset(log))
        load->offset = partition_log_start_offset(log);
    bool is_short = test_point(load->coordinator->host->loop, BUG_COORDINATOR_LOAD_COMMITTED);
    const struct log_read read = {.offset = load->offset,
                                  .max_bytes = PIECE_BYTES,
                                  .min_one = true,
                                  .bound = is_short ? LOG_READ_HIGH_WATERMARK : LOG_READ_LOG_END};
    struct log_slice slice;
    switch (partition_log_read(log, &read, &slice)) {
    case LOG_READ_OK:
        return slice.size == 0 ? take_nothing(load) : take_slice(load, &read, &slice);
    case LOG_READ_NEEDS_IO:
        return warm_up(load, &read);
    case LOG_READ_OUT_OF_RANGE:
    case LOG_READ_FAILED:
        report_damage(load, load->offset, "the log cannot be read");
        return LOAD_FAILED;
    }
    klamm_unreachable("log read status");
}

static void finish(struct coordinator_load *load, bool is_good)
{
    struct coordinator *coordinator = load->coordinator;
    struct coordinator_host *host = coordinator->host;
    int64_t end_offset = load->offset;
    uint64_t spent_ns = host->loop->now_ns - load->started_ns;
    if (is_good) {
        host->counters.loads++;
        host->counters.loaded_records += load->record_count;
        host->counters.loaded_bytes += load->byte_count;
        host->counters.load_ms += spent_ns / 1000000;
        if (spent_ns / 1000000 > host->counters.load_ms_max)
            host->counters.load_ms_max = spent_ns / 1000000;
    }
    if (is_good && spent_ns > SLOW_NS)
        log_info(host->loop->diagnostics,
                 "%s coordinator loaded: partition=%d records=%llu bytes=%llu ms=%llu",
                 coordinator->kind->name, (int)coordinator->replica->partition,
                 (unsigned long long)load->record_count, (unsigned long long)load->byte_count,
                 (unsigned long long)(spent_ns / 1000000));
    coordinator->load = NULL;
    load_destroy(load, host->heap);
    if (is_good)
        coordinator_load_done(coordinator, end_offset);
    else
        coordinator_load_failed(coordinator);
}

void coordinator_load_turn(struct deferred *deferred)
{
    struct coordinator_host *host = container_of(deferred, struct coordinator_host, load_turn);
    size_t used = 0;
    for (struct list *link; used < TURN_BYTES && (link = list_pop_front(&host->loads)) != NULL;) {
        struct coordinator_load *load = container_of(link, struct coordinator_load, link);
        uint64_t before = load->byte_count;
        enum load_step result = step(load);
        used += load->byte_count - before + 1024; /* an empty one costs something, too */
        if (result == LOAD_MORE)
            list_push_back(&host->loads, &load->link);
        else if (result != LOAD_WAITING)
            finish(load, result == LOAD_FINISHED);
    }
    if (!list_is_empty(&host->loads))
        loop_defer(host->loop, &host->load_turn);
}

static void warmed(struct log_warm *warm)
{
    struct coordinator_load *load = container_of(warm, struct coordinator_load, warm);
    load->is_warming = false;
    if (!load->coordinator) {
        load_destroy(load, load->bytes.heap);
    } else if (warm->status == LOG_READ_OK) {
        queue(load);
    } else {
        report_damage(load, load->offset, "the log cannot be read");
        finish(load, false);
    }
}

static void retry(struct timer *timer)
{
    queue(container_of(timer, struct coordinator_load, retry));
}

void coordinator_load_start(struct coordinator *coordinator)
{
    struct coordinator_host *host = coordinator->host;
    struct coordinator_load *load = heap_must_get(host->heap, MEMORY_STATE, sizeof(*load));
    list_link_init(&load->link);
    timer_init(&load->retry, retry);
    load->coordinator = coordinator;
    load->offset = partition_log_start_offset(coordinator->replica->log);
    load->started_ns = host->loop->now_ns;
    buffer_init(&load->bytes, host->heap, MEMORY_SCRATCH, 0);
    batch_reader_init(&load->reader, host->heap);
    coordinator->load = load;
    queue(load);
}

void coordinator_load_stop(struct coordinator *coordinator)
{
    struct coordinator_load *load = coordinator->load;
    coordinator->load = NULL;
    if (!load)
        return;
    list_remove(&load->link);
    timer_clear(&load->retry);
    load->coordinator = NULL;
    if (!load->is_warming)
        load_destroy(load, coordinator->host->heap);
}
