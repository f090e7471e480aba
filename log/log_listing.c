/*
 * The listing phase of a load: names become segments, half-finished replacements are finished or
 * undone, files without their log go.
 *
 *   .deleted          what was being removed: removed
 *   .swap             a finished replacement: completed, unless its base is at or behind the
 *                     smallest .cleaned base (an unfinished split): then removed
 *   .cleaned          a half-written replacement: removed
 */
#include "log/log_recovery.h"

#include <string.h>

#include "base/assert.h"
#include "log/producer_snapshot.h"
#include "protocol/batch.h"

static bool ends_with(const char *name, const char *suffix)
{
    size_t size = strlen(name);
    size_t suffix_size = strlen(suffix);
    return size >= suffix_size && memcmp(name + size - suffix_size, suffix, suffix_size) == 0;
}

/* The offset that a segment file's name begins with, whatever follows its dot. */
static bool base_of_name(const char *name, int64_t *base_offset)
{
    enum { DIGITS = 20 };
    size_t size = strlen(name);
    if (size <= DIGITS || name[DIGITS] != '.')
        return false;
    char digits[DIGITS + 1];
    memcpy(digits, name, DIGITS);
    digits[DIGITS] = '\0';
    return log_path_parse_offset(digits, "", base_offset);
}

static bool unlink_name(struct log_load *load, const char *name)
{
    if (!log_path_join(&load->path, load->directory, name))
        return log_load_fail(load, LOG_OPEN_IO, "the path of %s is too long", name);
    enum storage_status status =
        storage_run_path(load->storage, STORAGE_UNLINK, load->path.text, NULL);
    return status == STORAGE_NOT_FOUND || log_load_check(load, status, "removing a file");
}

/* The range of offsets that the .swap logs replace, from their own batches. */
struct swap_range {
    int64_t first;
    int64_t end;
};

static bool extend_range(struct log_load *load, const char *name, struct swap_range *range)
{
    int64_t base_offset;
    if (!base_of_name(name, &base_offset) || !log_path_join(&load->path, load->directory, name))
        return true;
    enum storage_status status =
        log_scan_open(&load->scan, load->storage, load->heap, load->path.text, 0, UINT64_MAX);
    if (!log_load_check(load, status, "opening a replacement"))
        return false;
    int64_t end = base_offset + 1; /* its own base is replaced even when nothing stayed */
    struct view batch;
    unsigned budget = UINT32_MAX;
    load->scan.skims = true;
    while (log_scan_next(&load->scan, load->storage, &budget, &batch) == LOG_SCAN_BATCH)
        end = batch_last_offset(batch.data) + 1;
    log_scan_close(&load->scan, load->storage);
    if (base_offset < range->first)
        range->first = base_offset;
    if (end > range->end)
        range->end = end;
    return true;
}

static bool finish_swap(struct log_load *load, const char *name)
{
    struct log_path final;
    if (!log_path_join(&load->path, load->directory, name) ||
        !log_path_join(&final, load->directory, name))
        return log_load_fail(load, LOG_OPEN_IO, "the path of %s is too long", name);
    final.text[strlen(final.text) - strlen(SEGMENT_STATE_SWAP)] = '\0';
    return log_load_check(
        load, storage_run_path(load->storage, STORAGE_RENAME, load->path.text, final.text),
        "finishing a replacement");
}

/* Removes what stands where a replacement will stand. */
static bool clear_swap_range(struct log_load *load, const struct storage_listing *listing,
                             const struct swap_range *range)
{
    for (size_t i = 0; i < listing->count; i++) {
        const char *name = listing->entries[i].name;
        int64_t base_offset;
        bool is_segment_file =
            ends_with(name, SEGMENT_LOG_SUFFIX) || ends_with(name, SEGMENT_INDEX_SUFFIX) ||
            ends_with(name, SEGMENT_TIME_INDEX_SUFFIX) || ends_with(name, TRANSACTION_INDEX_SUFFIX);
        if (is_segment_file && base_of_name(name, &base_offset) && base_offset >= range->first &&
            base_offset < range->end && !unlink_name(load, name))
            return false;
    }
    return true;
}

/* Gone for good before anything takes their names: else they could come back beside it. */
static bool end_swap_range(struct log_load *load, const struct storage_listing *listing,
                           const struct swap_range *range)
{
    return clear_swap_range(load, listing, range) &&
           log_load_check(
               load, storage_run_path(load->storage, STORAGE_SYNC_DIRECTORY, load->directory, NULL),
               "replacing segments");
}

/* Resolves every suffix; *changed: the listing is out of date. */
static bool resolve_replacements(struct log_load *load, const struct storage_listing *listing,
                                 bool *changed)
{
    int64_t cleaned_first = INT64_MAX;
    struct swap_range range = {INT64_MAX, INT64_MIN};
    int64_t base_offset;
    for (size_t i = 0; i < listing->count; i++) {
        if (ends_with(listing->entries[i].name, SEGMENT_STATE_CLEANED) &&
            base_of_name(listing->entries[i].name, &base_offset) && base_offset < cleaned_first)
            cleaned_first = base_offset;
    }
    for (size_t i = 0; i < listing->count; i++) {
        const char *name = listing->entries[i].name;
        if (ends_with(name, ".log.swap") && base_of_name(name, &base_offset) &&
            base_offset < cleaned_first && !extend_range(load, name, &range))
            return false;
    }
    if (range.first < range.end && !end_swap_range(load, listing, &range))
        return false;
    for (size_t i = 0; i < listing->count; i++) {
        const char *name = listing->entries[i].name;
        bool is_swap = ends_with(name, SEGMENT_STATE_SWAP);
        if (!is_swap && !ends_with(name, SEGMENT_STATE_CLEANED) &&
            !ends_with(name, SEGMENT_STATE_DELETED) && !ends_with(name, ".tmp"))
            continue;
        *changed = true;
        bool finish = is_swap && base_of_name(name, &base_offset) && base_offset < cleaned_first;
        if (!(finish ? finish_swap(load, name) : unlink_name(load, name)))
            return false;
    }
    return true;
}

/* The segment at work in the sorted listing: the one of this base, added when it is new. */
static uint32_t segment_of(struct log_load *load, int64_t base_offset)
{
    uint32_t count = load->segment_count;
    if (count > 0 && load->segments[count - 1].base_offset == base_offset)
        return count - 1;
    klamm_assert(count < load->segment_capacity);
    segment_init(&load->segments[count], base_offset);
    load->sizes[count] = (struct log_load_sizes){-1, -1, -1, false};
    load->segment_count++;
    return count;
}

static bool take_entry(struct log_load *load, const struct storage_entry *entry)
{
    int64_t base_offset;
    if (entry->is_directory)
        return true;
    if (log_path_parse_offset(entry->name, SEGMENT_LOG_SUFFIX, &base_offset)) {
        uint32_t place = segment_of(load, base_offset);
        load->sizes[place].has_log = true;
        if (entry->size > SEGMENT_SIZE_MAX)
            return log_load_fail(load, LOG_OPEN_CORRUPT, "%s/%s is larger than 2^31 - 1 bytes",
                                 load->directory, entry->name);
        load->segments[place].size = (uint32_t)entry->size;
        load->segments[place].last_append_ms = entry->modified_ms;
    } else if (log_path_parse_offset(entry->name, SEGMENT_INDEX_SUFFIX, &base_offset)) {
        load->sizes[segment_of(load, base_offset)].index = (int64_t)entry->size;
    } else if (log_path_parse_offset(entry->name, SEGMENT_TIME_INDEX_SUFFIX, &base_offset)) {
        load->sizes[segment_of(load, base_offset)].times = (int64_t)entry->size;
    } else if (log_path_parse_offset(entry->name, TRANSACTION_INDEX_SUFFIX, &base_offset)) {
        load->sizes[segment_of(load, base_offset)].aborted = (int64_t)entry->size;
    } else if (log_path_parse_offset(entry->name, PRODUCER_SNAPSHOT_SUFFIX, &base_offset)) {
        if (load->first_snapshot_offset < 0)
            load->first_snapshot_offset = base_offset;
        load->last_snapshot_offset = base_offset; /* names are sorted: the last is the newest */
        load->last_snapshot_size = entry->size;
        if (load->segment_count > 0 &&
            load->segments[load->segment_count - 1].base_offset == base_offset)
            load->segments[load->segment_count - 1].has_snapshot = true;
    }
    return true;
}

/* Side files without a log are leftovers. */
static bool drop_orphans(struct log_load *load)
{
    static const char *const suffixes[] = {SEGMENT_INDEX_SUFFIX, SEGMENT_TIME_INDEX_SUFFIX,
                                           TRANSACTION_INDEX_SUFFIX};
    uint32_t kept = 0;
    for (uint32_t i = 0; i < load->segment_count; i++) {
        if (load->sizes[i].has_log) {
            load->segments[kept] = load->segments[i];
            load->sizes[kept++] = load->sizes[i];
            continue;
        }
        for (size_t s = 0; s < sizeof(suffixes) / sizeof(suffixes[0]); s++) {
            enum storage_status status = storage_run_path(
                load->storage, STORAGE_UNLINK,
                log_load_path(load, load->segments[i].base_offset, suffixes[s]), NULL);
            if (status != STORAGE_NOT_FOUND &&
                !log_load_check(load, status, "removing an index without its log"))
                return false;
        }
    }
    load->segment_count = kept;
    return true;
}

static bool is_segment_base(const struct log_load *load, int64_t offset)
{
    uint32_t low = 0;
    uint32_t high = load->segment_count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (load->segments[middle].base_offset < offset)
            low = middle + 1;
        else
            high = middle;
    }
    return low < load->segment_count && load->segments[low].base_offset == offset;
}

/* Snapshots of earlier stops and of segments that are gone; the newest stays. */
static bool drop_stray_snapshots(struct log_load *load, const struct storage_listing *listing)
{
    for (size_t i = 0; i < listing->count; i++) {
        int64_t offset;
        const char *name = listing->entries[i].name;
        if (log_path_parse_offset(name, PRODUCER_SNAPSHOT_SUFFIX, &offset) &&
            offset != load->last_snapshot_offset && !is_segment_base(load, offset) &&
            !unlink_name(load, name))
            return false;
    }
    return true;
}

bool log_load_list(struct log_load *load)
{
    struct storage_listing *listing = NULL;
    bool changed = false;
    bool ok = log_load_check(
        load, storage_run_list(load->storage, load->directory, load->heap, &listing), "listing");
    if (ok)
        ok = resolve_replacements(load, listing, &changed);
    load->is_directory_changed |= changed;
    if (ok && changed) {
        storage_listing_release(listing);
        listing = NULL;
        ok = log_load_check(load,
                            storage_run_list(load->storage, load->directory, load->heap, &listing),
                            "listing");
    }
    if (ok) {
        load->first_snapshot_offset = load->last_snapshot_offset = -1;
        load->segment_capacity = (uint32_t)listing->count + 1;
        load->segments = heap_must_get(load->heap, MEMORY_SCRATCH,
                                       load->segment_capacity * sizeof(*load->segments));
        load->sizes = heap_must_get(load->heap, MEMORY_SCRATCH,
                                    load->segment_capacity * sizeof(*load->sizes));
        for (size_t i = 0; i < listing->count && ok; i++)
            ok = take_entry(load, &listing->entries[i]);
    }
    ok = ok && drop_orphans(load) && drop_stray_snapshots(load, listing);
    if (listing)
        storage_listing_release(listing);
    return ok;
}
