/*
 * One segment of a partition log: a file of whole batches, its indexes, and what is known of them.
 *
 * Files in the partition directory, `<base>` in 20 digits: `<base>.log` holds batches and nothing
 * else; `<base>.index`, `<base>.timeindex`, `<base>.txnindex` can be made again from it.
 *
 * Invariants:
 *  1. base offset <= offset of the first batch; batches lie in increasing offset order.
 *  2. `size` counts written bytes and is at most 2^31 - 1.
 *  3. An index entry points at the start of a batch below `size`.
 */
#ifndef KLAMM_LOG_SEGMENT_H
#define KLAMM_LOG_SEGMENT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/memory.h"
#include "log/file_reader.h"
#include "log/offset_index.h"
#include "log/partition_log.h"
#include "log/time_index.h"
#include "log/transaction_index.h"

#define SEGMENT_LOG_SUFFIX        ".log"
#define SEGMENT_INDEX_SUFFIX      ".index"
#define SEGMENT_TIME_INDEX_SUFFIX ".timeindex"

/* Behind these while files change places; what a start makes of them: log_listing.c. */
#define SEGMENT_STATE_CLEANED ".cleaned"
#define SEGMENT_STATE_SWAP    ".swap"
#define SEGMENT_STATE_DELETED ".deleted"

enum { SEGMENT_SIZE_MAX = INT32_MAX };

#define SEGMENT_TIMESTAMP_NONE ((int64_t)-1)
#define SEGMENT_TIMESTAMP_UNKNOWN                                                                  \
    ((int64_t)-2) /* it is the time index's last entry: not read yet */

struct segment {
    int64_t base_offset;
    uint32_t size;                /* bytes written */
    uint32_t bytes_since_index;   /* since the last offset index entry */
    int64_t max_timestamp;        /* of all batches; NONE: empty or no timestamps; or UNKNOWN */
    int64_t max_timestamp_offset; /* last offset of the batch that has it */
    int64_t first_append_ms;      /* broker time of the first batch, for rolling; -1 when empty */
    int64_t last_append_ms;       /* broker time of the last write; the file's mtime when loaded */
    int64_t roll_jitter_ms;
    struct offset_index index;
    struct time_index times;
    struct transaction_index aborted;
    struct segment_file *file;  /* NULL: nothing open */
    bool is_directory_unsynced; /* the log file is new and its directory entry not durable */
    bool is_sealed;             /* not the active segment any more */
    bool needs_side_files;      /* sealed, but indexes are not complete and synced in their files */
    bool is_index_writing;      /* a job writes entries of the tails */
    bool has_snapshot;          /* of the producers at its base, in a file */
};

void segment_init(struct segment *segment, int64_t base_offset);
/* Gives the indexes' memory back and dooms the file. */
void segment_deinit(struct segment *segment, struct heap *heap);

/* Whether an offset can be told relative to this segment's base. */
static inline bool segment_holds_offset(const struct segment *segment, int64_t offset)
{
    return offset >= segment->base_offset && offset - segment->base_offset <= INT32_MAX;
}

/* Entries that fit: floor(segment.index.bytes / entry); one time entry is kept for the seal. */
static inline bool segment_is_index_full(const struct segment *segment, int32_t index_bytes)
{
    return offset_index_count(&segment->index) >= (uint32_t)index_bytes / OFFSET_INDEX_ENTRY_SIZE ||
           time_index_count(&segment->times) + 1 >= (uint32_t)index_bytes / TIME_INDEX_ENTRY_SIZE;
}

/*
 * Accounts a batch that was written at the segment's end: index entries when one is
 * due, largest timestamp, size. `batch` is its header.
 */
void segment_add_batch(struct segment *segment, struct heap *heap, const uint8_t *batch,
                       int32_t index_interval_bytes);
/* The last time index entry, which carries the segment's largest timestamp (at the seal). */
void segment_seal_entries(struct segment *segment, struct heap *heap);

/* A place between batches. */
struct segment_place {
    uint32_t position;   /* bytes, where the batch begins */
    uint32_t size;       /* bytes of that batch */
    int64_t base_offset; /* of that batch */
    int64_t last_offset; /* of that batch */
    int64_t max_timestamp;
};

/*
 * Walks batch headers from `position` to the first batch whose last offset is >= `offset`, below
 * `end`. *found false: there is none. NEEDS_IO: not in memory; FAILED: damaged or device error.
 */
enum log_read_status segment_walk_to_offset(const struct file_reader *reader, uint32_t position,
                                            uint32_t end, int64_t offset, bool *found,
                                            struct segment_place *place);
/*
 * Walks from `position` over whole batches while they end at or below `limit` (<= end). *reached is
 * where the last of them ends (`position` when the first is too large) and *next_offset the offset
 * behind it (-1 in that case).
 */
enum log_read_status segment_walk_to_limit(const struct file_reader *reader, uint32_t position,
                                           uint32_t limit, uint32_t *reached, int64_t *next_offset);
/*
 * Walks from `position` to `end`; *last is the last batch, and *largest the first one with the
 * largest timestamp. Neither is touched when nothing lies there.
 */
enum log_read_status segment_walk_to_end(const struct file_reader *reader, uint32_t position,
                                         uint32_t end, struct segment_place *last,
                                         struct segment_place *largest);
/* The header of the batch at `position`, checked to lie below `end`. */
enum log_read_status segment_batch_at(const struct file_reader *reader, uint32_t position,
                                      uint32_t end, struct segment_place *place);

#endif
