/*
 * The time index of one segment: the largest timestamp seen up to some batches.
 *
 * On disk (`<base>.timeindex`), entries of 12 bytes, big-endian; the timestamp increases strictly,
 * the relative offset never decreases:
 *
 *   offset size field
 *   0      8    timestamp, ms: the largest of all batches up to and with this one
 *   8      4    relative offset: last offset of the batch that carries it, minus the base offset
 *
 * Every record with a larger timestamp than an entry's lies behind that entry's offset.
 *
 * Invariants:
 *  1. Stored entries come before the tail, in the order above.
 *  2. `last` is the newest entry when the index has any and it is known (last_known).
 */
#ifndef KLAMM_LOG_TIME_INDEX_H
#define KLAMM_LOG_TIME_INDEX_H

#include <stdbool.h>
#include <stdint.h>

#include "base/memory.h"
#include "log/file_reader.h"

enum { TIME_INDEX_ENTRY_SIZE = 12 };

struct time_entry {
    int64_t timestamp;
    uint32_t relative_offset;
};

struct time_index {
    uint32_t stored_count;
    uint32_t tail_count;
    uint32_t tail_capacity;
    bool last_known;
    struct time_entry *tail;
    struct time_entry last;
};

void time_index_deinit(struct time_index *index, struct heap *heap);

static inline uint32_t time_index_count(const struct time_index *index)
{
    return index->stored_count + index->tail_count;
}

/* Adds an entry unless its timestamp is not larger than the last one's. */
void time_index_append(struct time_index *index, struct heap *heap, struct time_entry entry);
/* The newest tail entry whose timestamp is <= the given one. */
bool time_index_floor_in_tail(const struct time_index *index, int64_t timestamp,
                              struct time_entry *entry);
/* The same in the first `count` entries of the file; *found false: none. */
enum storage_status time_index_floor_in_file(const struct file_reader *reader, uint32_t count,
                                             int64_t timestamp, bool *found,
                                             struct time_entry *entry);

void time_index_encode(const struct time_entry *entries, uint32_t count, uint8_t *data);
struct time_entry time_index_decode(const uint8_t data[TIME_INDEX_ENTRY_SIZE]);
/* The first `count` tail entries are in the file now. */
void time_index_stored(struct time_index *index, struct heap *heap, uint32_t count);

/*
 * As offset_index_inspect: strips zero padding, checks the order of the last two entries and that
 * the last offset is at most `last_relative_offset` of the segment. In a job.
 */
enum storage_status time_index_inspect(const struct file_reader *reader, uint64_t file_size,
                                       uint32_t last_relative_offset, uint32_t *count,
                                       struct time_entry *last, bool *valid);

#endif
