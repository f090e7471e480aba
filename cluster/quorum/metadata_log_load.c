/*
 * From the log to images.
 *
 * At the start the newest snapshot goes into the loader. Then the log is scanned to its end:
 * control records tell the voters (the newest ones hold, committed or not), and a sole voter
 * applies what it reads on the way, because nobody but itself decides what is committed.
 *
 * Everybody else applies up to the high watermark, and again whenever it moves. While this node
 * leads there is no loader: its owner makes the images. metadata_log_resume brings one back.
 */
#include "cluster/quorum/metadata_log_internal.h"

#include "base/assert.h"
#include "cluster/quorum/quorum_internal.h"
#include "protocol/control_record.h"
#include "runtime/test_point.h"

enum { LOAD_PIECE_SIZE = 1024 * 1024 };

/* ---- Control records ------------------------------------------------------------------------- */

bool metadata_log_take_control(struct metadata_log *log, struct view batch)
{
    struct batch_header header;
    batch_header_read(batch.data, &header);
    struct record_cursor cursor;
    record_cursor_init(&cursor, batch_records(batch), header.record_count);
    struct record record;
    while (record_cursor_next(&cursor, &record) == RECORD_OK) {
        enum control_record_type type;
        int64_t offset = header.base_offset + record.offset_delta;
        if (!control_record_read_key(record.key, &type))
            return false;
        if (type == CONTROL_RECORD_KRAFT_VERSION &&
            !voter_history_add_version(&log->voters, offset, record.value))
            return false;
        if (type == CONTROL_RECORD_KRAFT_VOTERS &&
            !voter_history_add_voters(&log->voters, offset, record.value))
            return false;
    }
    return true;
}

/* ---- The snapshot ---------------------------------------------------------------------------- */

static bool load_snapshot_batch(void *context, struct view batch, const char **problem)
{
    struct metadata_log *log = context;
    if (loader_apply(&log->loader, batch, true))
        return true;
    *problem = log->loader.problem;
    return false;
}

static void new_loader(struct metadata_log *log, const struct image *image)
{
    klamm_assert(!log->has_loader);
    loader_init(&log->loader, image);
    log->loader.test_points = log->loop->test_points;
    log->has_loader = true;
}

static void drop_loader(struct metadata_log *log)
{
    if (log->has_loader)
        loader_deinit(&log->loader);
    log->has_loader = false;
}

bool metadata_log_load_snapshot(struct metadata_log *log)
{
    const struct quorum_boot *boot = &log->boot;
    drop_loader(log);
    struct image *empty = image_create_empty(log->loop->heap, log->options.cluster_id);
    empty->version = log->shown_version;
    new_loader(log, empty);
    if (!boot->has_snapshot)
        return voter_history_restart(&log->voters, -1, VIEW_NULL, VIEW_NULL);
    struct view content = file_content_view(&boot->snapshot_content);
    struct snapshot_voters voters;
    int64_t timestamp_ms = -1;
    const char *problem = "the snapshot has no header";
    if (!snapshot_read_header(content, &voters, &timestamp_ms) ||
        !snapshot_walk(content, load_snapshot_batch, log, &problem)) {
        metadata_log_fail(log, problem);
        return false;
    }
    if (!voter_history_restart(&log->voters, boot->snapshot.end_offset - 1, voters.kraft_version,
                               voters.voters)) {
        metadata_log_fail(log, "the snapshot's kraft.version or voters are malformed");
        return false;
    }
    loader_set_position(&log->loader, boot->snapshot.end_offset, boot->snapshot.epoch,
                        timestamp_ms);
    log->has_records |= log->loader.record_count > 0;
    log->snapshot_end = boot->snapshot.end_offset;
    log->snapshot_epoch = boot->snapshot.epoch;
    return true;
}

/* ---- Reading --------------------------------------------------------------------------------- */

static int64_t read_offset(const struct metadata_log *log)
{
    return log->is_scanning ? log->scan_offset : log->loader.next_offset;
}

/* Up to where this node may read now. */
static int64_t read_end(const struct metadata_log *log)
{
    int64_t written = partition_log_written_end(log->log);
    if (log->is_scanning || log->quorum.high_watermark > written ||
        test_point(log->loop, BUG_QUORUM_APPLY_UNCOMMITTED))
        return written;
    return log->quorum.high_watermark;
}

static bool scan_batch(struct metadata_log *log, struct view batch)
{
    log->scan_offset = batch_last_offset(batch.data) + 1;
    if (!batch_is_control(batch.data))
        return true;
    if (batch_crc_is_valid(batch) && metadata_log_take_control(log, batch))
        return true;
    metadata_log_fail(log, "a control record of the metadata log is malformed");
    return false;
}

static bool apply_batch(struct metadata_log *log, struct view batch)
{
    if (batch_base_offset(batch.data) < log->loader.next_offset)
        return true; /* in the snapshot */
    if (loader_apply(&log->loader, batch, false)) {
        log->has_records |= log->loader.record_count > 0;
        return true;
    }
    metadata_log_fail(log, log->loader.problem);
    return false;
}

/* Takes the whole batches of a piece; false when one was refused. */
static bool take_piece(struct metadata_log *log, struct view piece, int64_t end)
{
    struct view batch;
    while (batch_next(&piece, &batch) == BATCH_OK && batch_last_offset(batch.data) < end) {
        if (log->is_scanning && !scan_batch(log, batch))
            return false;
        if ((!log->is_scanning || log->loads_along) && !apply_batch(log, batch))
            return false;
    }
    return true;
}

/* A single batch may be larger than a piece (up to 8 MiB). */
static enum log_read_status take_slice(struct metadata_log *log, const struct log_slice *slice,
                                       int64_t end, bool *refused)
{
    if (!log->piece)
        log->piece = heap_must_get(log->loop->heap, MEMORY_SCRATCH, LOAD_PIECE_SIZE);
    uint8_t *to = log->piece;
    if (slice->size > LOAD_PIECE_SIZE)
        to = heap_must_get(log->loop->heap, MEMORY_SCRATCH, slice->size);
    enum log_read_status status = log_slice_copy(&log->shard, slice, 0, to, slice->size);
    if (status == LOG_READ_OK) {
        if (log->is_scanning)
            log->bytes_since_snapshot += slice->size;
        *refused = !take_piece(log, view_of(to, slice->size), end);
    }
    if (to != log->piece)
        heap_put(log->loop->heap, MEMORY_SCRATCH, to, slice->size);
    return status;
}

static void warmed(struct log_warm *warm)
{
    struct metadata_log *log = warm->context;
    log->is_warming = false;
    if (log->is_closing)
        metadata_log_close_next(log);
    else if (warm->status == LOG_READ_FAILED)
        metadata_log_fail(log, "the metadata log cannot be read");
    else
        loop_defer(log->loop, &log->load_step);
}

/* One piece from the log; false when there is nothing more to do in this turn. */
static bool read_piece(struct metadata_log *log, int64_t end)
{
    struct log_read read = {
        .offset = read_offset(log),
        .max_bytes = LOAD_PIECE_SIZE,
        .min_one = true,
        .bound = LOG_READ_LOG_END,
    };
    struct log_slice slice;
    bool refused = false;
    enum log_read_status status = partition_log_read(log->log, &read, &slice);
    if (status == LOG_READ_OK && slice.size > 0) {
        status = take_slice(log, &slice, end, &refused);
        log_slice_release(&slice);
    }
    if (refused)
        return false;
    if (status == LOG_READ_NEEDS_IO) {
        log->is_warming = true;
        log->warm = (struct log_warm){.warmed = warmed, .context = log};
        partition_log_warm(log->log, &read, &log->warm);
        return false;
    }
    if (status != LOG_READ_OK || read_offset(log) == read.offset) {
        metadata_log_fail(log, "the metadata log cannot be read");
        return false;
    }
    return true;
}

static void drop_piece(struct metadata_log *log)
{
    heap_put(log->loop->heap, MEMORY_SCRATCH, log->piece, LOAD_PIECE_SIZE);
    log->piece = NULL;
}

/* ---- Showing --------------------------------------------------------------------------------- */

static void settled(void *context, const struct image *image, struct image_delta *delta)
{
    struct metadata_log *log = context;
    image_acquire(image);
    log->shown_version = image->version;
    log->options.events->applied(log->options.owner, image, delta);
    metadata_log_offer(log, image);
}

static void say_leadership(struct metadata_log *log)
{
    const struct quorum *quorum = &log->quorum;
    loader_set_leadership(&log->loader, quorum->leader_id, quorum->epoch,
                          metadata_log_kraft_version(log));
}

/* The first image: the difference to what is shown now is for the owner to find. */
static void show_first(struct metadata_log *log)
{
    say_leadership(log);
    const struct image *image = loader_image(&log->loader);
    log->loader.settled = settled;
    log->loader.context = log;
    log->has_shown = true;
    log->shown_version = image->version;
    log->options.events->applied(log->options.owner, image, NULL);
}

/* What was committed when the leader was found is applied. */
static bool is_caught_up(const struct metadata_log *log)
{
    return log->leader_end >= 0 && log->loader.next_offset >= log->leader_end && log->has_records;
}

static void show(struct metadata_log *log)
{
    if (!log->has_shown) {
        if (is_caught_up(log))
            show_first(log);
        return;
    }
    say_leadership(log);
    loader_settle(&log->loader);
}

void metadata_log_try_activate(struct metadata_log *log)
{
    if (!log->quorum.is_active || log->is_active || log->has_resigned || log->is_closing ||
        !log->has_loader || log->is_scanning ||
        log->loader.next_offset < log->quorum.epoch_start_offset)
        return;
    if (loader_abandon_transaction(&log->loader))
        log->has_open_transaction = true;
    if (!log->has_shown)
        show_first(log);
    else
        show(log);
    drop_loader(log);
    drop_piece(log);
    log->is_active = true;
    log->options.events->activated(log->options.owner);
}

void metadata_log_resume(struct metadata_log *log, const struct image *image)
{
    klamm_assert(!log->is_active);
    log->shown_version = image->version;
    new_loader(log, image);
    log->loader.settled = settled;
    log->loader.context = log;
    metadata_log_apply(log);
}

/* ---- Steps ----------------------------------------------------------------------------------- */

/* Whether the newest voters that were found are this node alone. */
static bool is_alone(const struct metadata_log *log)
{
    const struct metadata_log_options *options = &log->options;
    const struct voter_set *set = voter_history_last(&log->voters);
    struct quorum_node self = {options->voter.id, options->voter.directory_id};
    if (!options->may_vote)
        return false;
    if (set->count > 0)
        return set->count == 1 && quorum_same_node(set->nodes[0], self);
    return options->voter_count == 1 && options->voters[0].id == self.id;
}

static void begin_scan(struct metadata_log *log)
{
    log->is_scanning = true;
    log->scan_offset = log->loader.next_offset;
    loop_defer(log->loop, &log->load_step);
}

static void scanned(struct metadata_log *log)
{
    bool alone = is_alone(log);
    if (log->loads_along != alone) {
        /* Voters came or went on the way: what was applied may not be committed, or is not there.
         */
        if (!metadata_log_load_snapshot(log))
            return;
        log->bytes_since_snapshot = 0;
        log->loads_along = alone;
        begin_scan(log);
        return;
    }
    log->is_scanning = false;
    drop_piece(log);
    metadata_log_begin(log);
}

static void load_step(struct deferred *deferred)
{
    struct metadata_log *log = container_of(deferred, struct metadata_log, load_step);
    if (log->is_closing || log->has_failed || log->is_warming || !log->has_loader ||
        log->is_cutting)
        return;
    int64_t end = read_end(log);
    if (read_offset(log) < end) {
        if (read_piece(log, end))
            loop_defer(log->loop, deferred);
        return;
    }
    if (log->is_scanning) {
        scanned(log);
        return;
    }
    drop_piece(log);
    show(log);
    metadata_log_try_activate(log);
}

void metadata_log_load(struct metadata_log *log)
{
    if (partition_log_start_offset(log->log) > log->loader.next_offset) {
        metadata_log_fail(log, "the metadata log begins behind its newest snapshot");
        return;
    }
    log->loads_along = is_alone(log);
    begin_scan(log);
}

void metadata_log_apply(struct metadata_log *log)
{
    if (log->has_loader && !log->is_scanning)
        loop_defer(log->loop, &log->load_step);
}

void metadata_log_load_init(struct metadata_log *log)
{
    log->leader_end = -1;
    deferred_init(&log->load_step, load_step);
}

void metadata_log_load_deinit(struct metadata_log *log)
{
    drop_loader(log);
    drop_piece(log);
}
