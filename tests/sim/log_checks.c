/*
 * The checks of the log scenario (simulation notes, section 7): L1 and L2 by comparing every byte,
 * L3 epochs, L4 in partition_log_check, L5 lookups, L6 producers, L7 the recovered end.
 *
 * A scan reads slice by slice and compares; what is not in memory is warmed first. Cuts and
 * deletions may overtake a scan, which then ends.
 */
#include <string.h>

#include "log/leader_epochs.h"
#include "protocol/batch.h"
#include "tests/sim/log_life.h"

/* ---- State after a start or a cut ------------------------------------------------------------ */

void log_check_producers(struct life *life)
{
    struct scenario *scenario = life->scenario;
    int64_t end = partition_log_end_offset(life->node.log);
    producer_state_assert(partition_log_producers(life->node.log));
    for (int64_t id = 1; id <= PRODUCERS; id++) {
        struct producer_info expected, found;
        bool known = log_model_producer(&scenario->lives.model, id, end, &expected);
        bool present = producer_state_find(partition_log_producers(life->node.log), id, &found);
        REQUIRE(life, known == present, "producer %lld is %s in the state of the log at %lld",
                (long long)id, present ? "unexpected" : "missing", (long long)end);
        if (!known)
            continue;
        REQUIRE(life,
                found.last_sequence == expected.last_sequence &&
                    found.producer_epoch == expected.producer_epoch &&
                    found.last_offset == expected.last_offset,
                "producer %lld: sequence %d at %lld in epoch %d instead of %d at %lld in %d",
                (long long)id, found.last_sequence, (long long)found.last_offset,
                found.producer_epoch, expected.last_sequence, (long long)expected.last_offset,
                expected.producer_epoch);
    }
}

void log_check_epochs(struct life *life, int64_t from)
{
    const struct log_model *model = &life->scenario->lives.model;
    const struct leader_epochs *epochs = partition_log_leader_epochs(life->node.log);
    int64_t end = partition_log_end_offset(life->node.log);
    for (size_t i = 0; i < model->count; i++) {
        const struct model_batch *batch = &model->batches[i];
        if (batch->base_offset < from || batch->base_offset >= end)
            continue;
        const struct leader_epoch *entry = leader_epochs_of_offset(epochs, batch->base_offset);
        int32_t expected = load_i32(BATCH_FIELD(batch->bytes, leader_epoch));
        REQUIRE(life, entry && entry->epoch == expected,
                "offset %lld is of epoch %d, the log says %d", (long long)batch->base_offset,
                expected, entry ? entry->epoch : -1);
    }
}

/*
 * Whether the log began again at its start, without batches, producers or epochs: records were
 * deleted up to there, and a power cut took the log's end below it. The start may lie inside of a
 * batch that was lost.
 */
static bool has_restarted(const struct life *life)
{
    const struct scenario *scenario = life->scenario;
    int64_t end = partition_log_end_offset(life->node.log);
    if (!scenario->lives.durable_only || scenario->lives.model.durable_end >= end ||
        partition_log_start_offset(life->node.log) != end)
        return false;
    struct producer_info info;
    for (int64_t id = 1; id <= PRODUCERS; id++) {
        if (producer_state_find(partition_log_producers(life->node.log), id, &info))
            return false;
    }
    return true;
}

void log_check_recovered(struct life *life)
{
    struct scenario *scenario = life->scenario;
    struct log_model *model = &scenario->lives.model;
    int64_t start = partition_log_start_offset(life->node.log);
    log_node_check_end(&life->node);
    if (has_restarted(life))
        log_model_restart(model, partition_log_end_offset(life->node.log));
    REQUIRE(life, start <= model->start_max,
            "the log starts at %lld, it was never moved above %lld", (long long)start,
            (long long)model->start_max);
    /* A read that fails while the log is opened makes it look again. */
    if (life->node.open.options.clean)
        REQUIRE(life,
                start == model->start_max &&
                    (life->node.open.scanned_bytes == 0 || scenario->lives.faults_allowed),
                "after a clean stop the log starts at %lld instead of %lld and scanned %llu bytes",
                (long long)start, (long long)model->start_max,
                (unsigned long long)life->node.open.scanned_bytes);
    log_node_follow(&life->node);
    log_check_producers(life);
    /* A log start that was not in a checkpoint yet may fall back, epochs below it do not return. */
    log_check_epochs(life, model->start_ever);
    model->start_max = start;
}

/* ---- Lookups --------------------------------------------------------------------------------- */

struct pending_lookup {
    struct log_lookup lookup;
    struct life *life;
    int64_t start;
    uint64_t version;
};

/* A lookup that nothing has overtaken equals a walk over all records. */
static void lookup_found(struct log_lookup *lookup)
{
    struct pending_lookup *pending = container_of(lookup, struct pending_lookup, lookup);
    struct life *life = pending->life;
    life->node.lookups--;
    bool comparable = pending->version == life->node.version &&
                      pending->start == partition_log_start_offset(life->node.log);
    if (lookup->status == LOG_READ_OK && comparable) {
        int64_t expected =
            log_model_lookup(&life->scenario->lives.model, pending->start, lookup->timestamp);
        if (expected >= partition_log_written_end(life->node.log))
            expected = -1;
        REQUIRE(life, lookup->offset == expected,
                "the first offset at %lld ms is %lld, the log says %lld",
                (long long)lookup->timestamp, (long long)expected, (long long)lookup->offset);
    } else if (lookup->status != LOG_READ_OK) {
        REQUIRE(life, life->scenario->lives.faults_allowed || !comparable,
                "a lookup failed on a device without faults");
    }
    heap_put(life->node.loop->heap, MEMORY_STATE, pending, sizeof(*pending));
}

void log_check_lookup(struct life *life, int64_t timestamp)
{
    struct pending_lookup *pending =
        heap_must_get(life->node.loop->heap, MEMORY_STATE, sizeof(*pending));
    pending->life = life;
    pending->version = life->node.version;
    pending->start = partition_log_start_offset(life->node.log);
    pending->lookup = (struct log_lookup){
        .kind = LOG_LOOKUP_TIMESTAMP, .timestamp = timestamp, .found = lookup_found};
    life->node.lookups++;
    partition_log_lookup(life->node.log, &pending->lookup);
}

/* ---- Reads ----------------------------------------------------------------------------------- */

static void scan_continue(struct scan *scan);

static void scan_warmed(struct log_warm *warm)
{
    struct scan *scan = container_of(warm, struct scan, warm);
    scan->life->node.warms--;
    if (warm->status != LOG_READ_OK) {
        if (partition_log_is_failed(scan->life->node.log) ||
            scan->life->scenario->lives.faults_allowed) {
            scan->busy = false;
            if (scan->whole)
                log_node_device_failed(&scan->life->node);
            return;
        }
        struct partition_log *log = scan->life->node.log;
        bool is_there = scan->read.offset >= partition_log_start_offset(log) &&
                        scan->read.offset < partition_log_written_end(log);
        REQUIRE(scan->life,
                !is_there || scan->life->node.is_cutting || scan->cuts != scan->life->node.cuts,
                "warming offset %lld failed", (long long)scan->read.offset);
        scan->busy = false;
        return;
    }
    REQUIRE(scan->life, ++scan->patience < 5000, "offset %lld never becomes readable",
            (long long)scan->read.offset);
    scan_continue(scan);
}

static void scan_end(struct scan *scan)
{
    struct life *life = scan->life;
    scan->busy = false;
    if (!scan->whole)
        return;
    scan->whole = false;
    life->scenario->lives.verified = true;
    log_node_start_operations(&life->node);
}

static void scan_warm(struct scan *scan)
{
    scan->warm = (struct log_warm){.warmed = scan_warmed};
    scan->life->node.warms++;
    partition_log_warm(scan->life->node.log, &scan->read, &scan->warm);
}

/* Reads and compares; true when the scan goes on at a later offset. */
static bool scan_take(struct scan *scan)
{
    struct life *life = scan->life;
    const struct log_model *model = &life->scenario->lives.model;
    int64_t offset = log_model_boundary(model, scan->read.offset);
    int64_t next = log_model_compare(model, offset, scan->data, scan->slice.size);
    REQUIRE(life, next > scan->read.offset, "a read of offset %lld ends at %lld",
            (long long)scan->read.offset, (long long)next);
    REQUIRE(life, next <= scan->limit, "a read went to %lld, the bound was %lld", (long long)next,
            (long long)scan->limit);
    /* A watermark of before a truncation may lie inside of a batch: a slice goes on right there. */
    if (scan->slice.next_offset >= 0)
        REQUIRE(life, log_model_boundary(model, scan->slice.next_offset) == next,
                "a slice says %lld instead of %lld", (long long)scan->slice.next_offset,
                (long long)next);
    scan->read.offset = next;
    scan->patience = 0;
    return scan->whole;
}

static void scan_continue(struct scan *scan)
{
    struct life *life = scan->life;
    for (;;) {
        if (!partition_log_is_failed(life->node.log) && scan->whole &&
            scan->read.offset >= partition_log_end_offset(life->node.log)) {
            scan_end(scan);
            return;
        }
        TRACE(&life->node, "read %lld, at most %u bytes up to the %s", (long long)scan->read.offset,
              scan->read.max_bytes, scan->read.bound == LOG_READ_LOG_END ? "end" : "watermark");
        scan->limit = scan->read.bound == LOG_READ_LOG_END
                          ? partition_log_written_end(life->node.log)
                          : partition_log_high_watermark(life->node.log);
        enum log_read_status status = partition_log_read(life->node.log, &scan->read, &scan->slice);
        if (status == LOG_READ_OK && scan->slice.size > 0) {
            uint32_t size = scan->slice.size;
            REQUIRE(life, size <= SCAN_SIZE, "a read of at most %d bytes gave %u", SCAN_SIZE, size);
            status = log_slice_copy(&life->node.shard, &scan->slice, 0, scan->data, size);
            log_slice_release(&scan->slice);
        } else if (status == LOG_READ_OK) {
            REQUIRE(life, !scan->whole, "nothing is readable at %lld below the log end",
                    (long long)scan->read.offset);
            scan_end(scan);
            return;
        }
        if (status == LOG_READ_NEEDS_IO) {
            scan_warm(scan);
            return;
        }
        if (status == LOG_READ_OUT_OF_RANGE && !scan->whole) {
            scan_end(scan); /* cut or deleted meanwhile */
            return;
        }
        if (status == LOG_READ_FAILED) {
            log_node_device_failed(&life->node);
            scan->busy = false;
            return;
        }
        REQUIRE(life, status == LOG_READ_OK, "offset %lld is out of range",
                (long long)scan->read.offset);
        if (!scan_take(scan)) {
            scan_end(scan);
            return;
        }
    }
}

static struct scan *free_scan(struct life *life)
{
    for (unsigned i = 0; i < READS_MAX; i++) {
        if (!life->scans[i].busy)
            return &life->scans[i];
    }
    return NULL;
}

static void scan_start(struct life *life, struct scan *scan, int64_t offset, bool whole,
                       enum log_read_bound bound)
{
    if (!scan->data)
        scan->data = heap_must_get(life->node.loop->heap, MEMORY_STATE, SCAN_SIZE);
    scan->life = life;
    scan->busy = true;
    scan->whole = whole;
    scan->patience = 0;
    scan->cuts = life->node.cuts;
    scan->read = (struct log_read){
        .offset = offset,
        .max_bytes = whole ? SCAN_SIZE
                           : 1 + (uint32_t)random_below(&life->scenario->lives.random, SCAN_SIZE),
        .min_one = true,
        .bound = bound};
    scan_continue(scan);
}

void log_check_whole(struct life *life)
{
    scan_start(life, &life->scans[0], partition_log_start_offset(life->node.log), true,
               LOG_READ_LOG_END);
}

void log_check_read(struct life *life, int64_t offset, enum log_read_bound bound)
{
    struct scan *scan = free_scan(life);
    if (scan)
        scan_start(life, scan, offset, false, bound);
}

bool log_checks_are_busy(const struct life *life)
{
    bool busy = life->node.lookups > 0 || life->node.warms > 0;
    for (unsigned i = 0; i < READS_MAX; i++)
        busy = busy || life->scans[i].busy;
    return busy;
}
