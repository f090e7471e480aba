/*
 * A window of the file is held in one buffer that grows to the largest batch met. A length field
 * that reaches past the end is found before any memory is taken for it.
 *
 * Skimming reads small windows while batches are large, so that the cost follows their number and
 * not their bytes; many small windows count as one piece.
 */
#include "log/log_scan.h"

#include "protocol/batch.h"

enum {
    SKIM_WINDOW = 4096,
    SKIM_PIECE = 256 * 1024,
    SKIM_BATCH_LARGE = 16 * 1024,
    SKIM_READS = 128
};

enum storage_status log_scan_open(struct log_scan *scan, struct storage storage, struct heap *heap,
                                  const char *path, uint64_t position, uint64_t size)
{
    uint64_t file_size = 0;
    enum storage_status status = storage_run_open(
        storage, path, STORAGE_FLAG_READ | STORAGE_FLAG_WRITE, &scan->file, &file_size);
    if (status != STORAGE_OK) {
        scan->file = NULL;
        return status;
    }
    scan->heap = heap;
    scan->size = file_size < size ? file_size : size;
    scan->position = position < scan->size ? position : scan->size;
    scan->used = 0;
    scan->passed = 0;
    scan->skim_reads_left = 0;
    scan->last_size = 0;
    return STORAGE_OK;
}

static size_t read_size_for(const struct log_scan *scan)
{
    if (!scan->skims)
        return LOG_SCAN_PIECE;
    return scan->last_size >= SKIM_BATCH_LARGE ? SKIM_WINDOW : SKIM_PIECE;
}

/* Takes one read out of the budget; false: it is used up. */
static bool spend(struct log_scan *scan, unsigned *budget)
{
    if (scan->skims && scan->skim_reads_left > 0) {
        scan->skim_reads_left--;
        return true;
    }
    if (*budget == 0)
        return false;
    --*budget;
    scan->skim_reads_left = SKIM_READS - 1;
    return true;
}

/* Whether what is left of the buffer holds the header of a batch that may be stepped over. */
static bool can_skim(const struct log_scan *scan, struct view rest)
{
    return scan->skims && rest.size >= BATCH_HEADER_SIZE && !batch_is_control(rest.data);
}

/* Reads a piece at `position`, with room for at least `needed` bytes. */
static enum storage_status fill(struct log_scan *scan, struct storage storage, size_t needed)
{
    size_t wanted = read_size_for(scan);
    size_t capacity = needed > wanted ? needed : wanted;
    uint64_t left = scan->size - scan->position;
    if (capacity > left)
        capacity = (size_t)left;
    if (capacity > scan->capacity) {
        heap_put(scan->heap, MEMORY_SCRATCH, scan->buffer, scan->capacity);
        scan->capacity = 0;
        scan->buffer = heap_get(scan->heap, MEMORY_SCRATCH, capacity);
        if (!scan->buffer)
            return STORAGE_LIMIT;
        scan->capacity = capacity;
    }
    scan->passed = 0;
    scan->used = 0;
    size_t read_size = 0;
    enum storage_status status =
        storage_run_read(storage, scan->file, scan->position, scan->buffer, capacity, &read_size);
    if (status != STORAGE_OK)
        return status;
    scan->used = read_size;
    return read_size == capacity ? STORAGE_OK : STORAGE_IO;
}

enum log_scan_result log_scan_next(struct log_scan *scan, struct storage storage, unsigned *budget,
                                   struct view *batch)
{
    for (;;) {
        uint64_t left = scan->size - scan->position;
        if (left == 0)
            return LOG_SCAN_END;
        size_t size = 0;
        struct view rest = VIEW_NULL;
        if (scan->used > scan->passed)
            rest = view_of(scan->buffer + scan->passed, scan->used - scan->passed);
        enum batch_parse_result parsed = rest.size ? batch_parse(rest, &size) : BATCH_NEED_MORE;
        if (parsed == BATCH_OK) {
            *batch = view_of(rest.data, size);
            scan->passed += size;
            scan->position += size;
            scan->last_size = size;
            return LOG_SCAN_BATCH;
        }
        if (parsed != BATCH_NEED_MORE || size > left || left < BATCH_HEADER_SIZE)
            return LOG_SCAN_BAD;
        if (can_skim(scan, rest)) {
            *batch = view_of(rest.data, BATCH_HEADER_SIZE);
            scan->position += size;
            scan->used = 0;
            scan->passed = 0;
            scan->last_size = size;
            return LOG_SCAN_BATCH;
        }
        if (!spend(scan, budget))
            return LOG_SCAN_PAUSE;
        if (fill(scan, storage, size) != STORAGE_OK)
            return LOG_SCAN_FAILED;
    }
}

void log_scan_close(struct log_scan *scan, struct storage storage)
{
    if (scan->file)
        storage_run_close(storage, scan->file);
    scan->file = NULL;
}

void log_scan_deinit(struct log_scan *scan)
{
    if (scan->capacity)
        heap_put(scan->heap, MEMORY_SCRATCH, scan->buffer, scan->capacity);
    scan->buffer = NULL;
    scan->capacity = 0;
}
