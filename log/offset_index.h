/*
 * The offset index of one segment: which batch lies where, one entry about every 4 KiB.
 *
 * On disk (`<base>.index`), entries of 8 bytes, big-endian, both fields strictly increasing:
 *
 *   offset size field
 *   0      4    relative offset: last offset of a batch minus the segment's base offset
 *   4      4    position of that batch in the log file, bytes
 *
 * Owns the entries that are not in the file yet (the tail); those in the file are only counted and
 * searched there, so that an idle or sealed segment costs nothing in memory.
 *
 * Invariants:
 *  1. Stored entries come before the tail; relative offset and position increase strictly.
 *  2. `last` is the newest entry when the index has any and it is known (last_known).
 */
#ifndef KLAMM_LOG_OFFSET_INDEX_H
#define KLAMM_LOG_OFFSET_INDEX_H

#include <stdbool.h>
#include <stdint.h>

#include "base/memory.h"
#include "log/file_reader.h"

enum { OFFSET_INDEX_ENTRY_SIZE = 8 };

struct offset_entry {
    uint32_t relative_offset;
    uint32_t position;
};

struct offset_index {
    uint32_t stored_count; /* entries at the start of the file */
    uint32_t tail_count;
    uint32_t tail_capacity;
    bool last_known;
    struct offset_entry *tail;
    struct offset_entry last;
};

/* Gives the tail's memory back; the index is empty afterwards. */
void offset_index_deinit(struct offset_index *index, struct heap *heap);

static inline uint32_t offset_index_count(const struct offset_index *index)
{
    return index->stored_count + index->tail_count;
}

/* Adds an entry behind all others. */
void offset_index_append(struct offset_index *index, struct heap *heap, struct offset_entry entry);
/* The newest tail entry whose relative offset is <= the given one. */
bool offset_index_floor_in_tail(const struct offset_index *index, uint32_t relative_offset,
                                struct offset_entry *entry);
/* The newest tail entry whose position is <= the given one. */
bool offset_index_floor_position_in_tail(const struct offset_index *index, uint32_t position,
                                         struct offset_entry *entry);
/* The same two in the first `count` entries of the file; *found false: none. */
enum storage_status offset_index_floor_in_file(const struct file_reader *reader, uint32_t count,
                                               uint32_t relative_offset, bool *found,
                                               struct offset_entry *entry);
enum storage_status offset_index_floor_position_in_file(const struct file_reader *reader,
                                                        uint32_t count, uint32_t position,
                                                        bool *found, struct offset_entry *entry);

/* Writes the first `count` tail entries in file form; `data` has room for 8 bytes each. */
void offset_index_encode(const struct offset_entry *entries, uint32_t count, uint8_t *data);
struct offset_entry offset_index_decode(const uint8_t data[OFFSET_INDEX_ENTRY_SIZE]);
/* The first `count` tail entries are in the file now. */
void offset_index_stored(struct offset_index *index, struct heap *heap, uint32_t count);

/* Whether a file entry is zero padding: relative offset 0 anywhere but in the first place. */
static inline bool offset_index_is_padding(struct offset_entry entry, uint32_t place)
{
    return entry.relative_offset == 0 && (place > 0 || entry.position == 0);
}

/*
 * Finds how many entries of a file of `file_size` bytes are real: strips zero padding, then checks
 * that the last entry lies inside a log of `log_size` bytes and stands behind the one before.
 * *count and *last (when *count > 0) are filled; *valid false: the index must be rebuilt. In a job.
 */
enum storage_status offset_index_inspect(const struct file_reader *reader, uint64_t file_size,
                                         uint64_t log_size, uint32_t *count,
                                         struct offset_entry *last, bool *valid);

#endif
