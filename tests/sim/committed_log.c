/*
 * A walk over the files of a log directory in the order of their names. Where a walk left off is
 * remembered, so that following a growing watermark costs what is new. Files that retention took
 * away are jumped over; what was truncated lay above the watermark.
 */
#include "tests/sim/committed_log.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/hash.h"
#include "protocol/batch.h"

void committed_log_init(struct committed_log *log, struct sim *sim, const char *directory)
{
    *log = (struct committed_log){.sim = sim};
    heap_init_plain(&log->heap);
    sim_require(sim, strlen(directory) < sizeof(log->directory) - 32, "%s is too long", directory);
    snprintf(log->directory, sizeof(log->directory), "%s", directory);
}

void committed_log_deinit(struct committed_log *log)
{
    if (log->capacity > 0)
        heap_put(&log->heap, MEMORY_STATE, log->batches, log->capacity * sizeof(*log->batches));
    *log = (struct committed_log){0};
}

int64_t committed_log_end(const struct committed_log *log)
{
    return log->count > 0 ? log->batches[log->count - 1].last_offset + 1 : 0;
}

void committed_copy_init(struct committed_copy *copy)
{
    *copy = (struct committed_copy){.checked = -1};
}

static void add(struct committed_log *log, const struct committed_batch *batch)
{
    if (log->count == log->capacity) {
        size_t capacity = log->capacity ? log->capacity * 2 : 256;
        log->batches =
            heap_resize(&log->heap, MEMORY_STATE, log->batches,
                        log->capacity * sizeof(*log->batches), capacity * sizeof(*log->batches));
        log->capacity = capacity;
    }
    log->batches[log->count++] = *batch;
}

/* ---- Files ---- */

/* The base offset that a segment's name says; false: it is no segment. */
static bool segment_base(const char *name, int64_t *base)
{
    if (strlen(name) != 24 || strcmp(name + 20, ".log") != 0 || strspn(name, "0123456789") != 20)
        return false;
    *base = (int64_t)strtoull(name, NULL, 10);
    return true;
}

/* The segment that holds `offset`: the last one that begins at it or before, else the first. */
static bool find_segment(const struct committed_log *log, unsigned node, int64_t offset,
                         int64_t *base)
{
    bool found = false;
    const char *name;
    for (size_t i = 0; (name = sim_file_name(log->sim, node, log->directory, i)) != NULL; i++) {
        int64_t at;
        if (!segment_base(name, &at) || (found && at > offset))
            continue;
        *base = at;
        found = true;
    }
    return found;
}

static const uint8_t *segment_bytes(const struct committed_log *log, unsigned node, int64_t base,
                                    uint64_t *size)
{
    char path[sizeof(log->directory) + 32];
    snprintf(path, sizeof(path), "%s/%020lld.log", log->directory, (long long)base);
    return sim_file(log->sim, node, path, size);
}

/*
 * The batch where the copy stands, if it is whole and ends at `limit` or before. At the end of a
 * file it goes on in the next one.
 */
static bool next_batch(const struct committed_log *log, unsigned node, struct committed_copy *copy,
                       int64_t limit, struct committed_batch *batch)
{
    for (;;) {
        uint64_t size = 0;
        const uint8_t *bytes = segment_bytes(log, node, copy->segment, &size);
        if (bytes && copy->position + BATCH_HEADER_SIZE <= size &&
            batch_length(bytes + copy->position) >= BATCH_LENGTH_MIN) {
            const uint8_t *at = bytes + copy->position;
            uint64_t length = (uint64_t)batch_length(at) + BATCH_PREFIX_SIZE;
            *batch = (struct committed_batch){.base_offset = batch_base_offset(at),
                                              .last_offset = batch_base_offset(at) +
                                                             batch_last_offset_delta(at),
                                              .leader_epoch = batch_leader_epoch(at),
                                              .node = node};
            if (batch->last_offset >= limit || length > size - copy->position)
                return false;
            batch->hash = hash_bytes(1, view_of(at, length));
            copy->position += length;
            if (batch->last_offset < copy->checked)
                continue; /* on the way to where it stood */
            copy->checked = batch->last_offset + 1;
            return true;
        }
        int64_t base;
        if (!find_segment(log, node, copy->checked, &base) || base == copy->segment)
            return false;
        if (base > copy->checked) {
            copy->checked = base; /* what was before is deleted */
            copy->next = SIZE_MAX;
        }
        copy->segment = base;
        copy->position = 0;
    }
}

static bool begin(const struct committed_log *log, unsigned node, struct committed_copy *copy)
{
    if (copy->checked >= 0)
        return true;
    int64_t base;
    if (!find_segment(log, node, 0, &base))
        return false;
    *copy = (struct committed_copy){.checked = base, .segment = base, .next = SIZE_MAX};
    return true;
}

/* ---- Comparing ---- */

/* The batch that begins at `offset`, or the place behind the last one. */
static size_t place_of(const struct committed_log *log, int64_t offset)
{
    size_t low = 0, high = log->count;
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (log->batches[middle].base_offset < offset)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static bool is_equal(const struct committed_batch *a, const struct committed_batch *b)
{
    return a->base_offset == b->base_offset && a->last_offset == b->last_offset &&
           a->leader_epoch == b->leader_epoch && a->hash == b->hash;
}

static void compare(const struct committed_log *log, const struct committed_batch *known,
                    const struct committed_batch *batch)
{
    sim_require(log->sim, is_equal(known, batch),
                "%s: node %u has [%lld, %lld] of epoch %d (%llx), committed was [%lld, %lld] of "
                "epoch %d (%llx), as node %u said first",
                log->directory, batch->node, (long long)batch->base_offset,
                (long long)batch->last_offset, batch->leader_epoch, (unsigned long long)batch->hash,
                (long long)known->base_offset, (long long)known->last_offset, known->leader_epoch,
                (unsigned long long)known->hash, known->node);
}

static void take(struct committed_log *log, struct committed_copy *copy,
                 const struct committed_batch *batch)
{
    if (copy->next == SIZE_MAX)
        copy->next = place_of(log, batch->base_offset);
    if (copy->next < log->count) {
        compare(log, &log->batches[copy->next], batch);
    } else {
        sim_require(log->sim, log->count == 0 || batch->base_offset == committed_log_end(log),
                    "%s: node %u says [%lld, %lld] is committed, the log ended at %lld",
                    log->directory, batch->node, (long long)batch->base_offset,
                    (long long)batch->last_offset, (long long)committed_log_end(log));
        add(log, batch);
    }
    copy->next++;
}

bool committed_log_agree(const struct committed_log *log, unsigned node,
                         struct committed_copy *copy, int64_t limit)
{
    int64_t committed = committed_log_end(log);
    if (limit > committed)
        limit = committed;
    if (limit <= copy->checked || !begin(log, node, copy))
        return true;
    struct committed_copy ahead = *copy;
    struct committed_batch batch;
    while (ahead.checked < limit && next_batch(log, node, &ahead, limit, &batch)) {
        if (ahead.next == SIZE_MAX)
            ahead.next = place_of(log, batch.base_offset);
        if (ahead.next >= log->count)
            return true;
        if (!is_equal(&log->batches[ahead.next], &batch))
            return false;
        ahead.next++;
        *copy = ahead;
    }
    return true;
}

void committed_log_cut(struct committed_log *log, int64_t offset)
{
    while (log->count > 0 && log->batches[log->count - 1].last_offset >= offset)
        log->count--;
}

int64_t committed_log_kept(const struct committed_log *log, unsigned node, int64_t written_end)
{
    struct committed_copy copy;
    committed_copy_init(&copy);
    committed_log_agree(log, node, &copy, written_end);
    return copy.checked > 0 ? copy.checked : 0;
}

void committed_log_expose(struct committed_log *log, unsigned node, struct committed_copy *copy,
                          int64_t watermark)
{
    if (watermark <= copy->checked || !begin(log, node, copy))
        return;
    struct committed_batch batch;
    while (copy->checked < watermark && next_batch(log, node, copy, watermark, &batch))
        take(log, copy, &batch);
}

void committed_log_require_whole(const struct committed_log *log, unsigned node,
                                 int64_t written_end, int64_t end, const char *what)
{
    int64_t committed = committed_log_end(log);
    sim_require(log->sim, end >= committed, "%s: node %u %s with a log that ends at %lld of %lld",
                log->directory, node, what, (long long)end, (long long)committed);
    int64_t limit = written_end < committed ? written_end : committed;
    struct committed_copy copy;
    committed_copy_init(&copy);
    if (limit == 0 || !begin(log, node, &copy))
        return;
    struct committed_batch batch;
    while (copy.checked < limit && next_batch(log, node, &copy, limit, &batch)) {
        if (copy.next == SIZE_MAX)
            copy.next = place_of(log, batch.base_offset);
        if (copy.next >= log->count)
            break;
        compare(log, &log->batches[copy.next++], &batch);
    }
    sim_require(log->sim, copy.checked >= limit,
                "%s: node %u %s and has only [.., %lld) of %lld on its disk", log->directory, node,
                what, (long long)copy.checked, (long long)limit);
}
