/*
 * Entries of one size, sorted by a key: what the offset index and the time index of a segment have
 * in common. The older entries lie in the index file, the newest in memory (the tail). Each index
 * keeps its own typed tail and decodes its own entries; a kind says where the key is.
 *
 * Invariants:
 *  1. Keys never decrease from one entry to the next.
 *  2. A tail's capacity is 0 exactly when its memory is NULL.
 */
#ifndef KLAMM_LOG_SORTED_ENTRIES_H
#define KLAMM_LOG_SORTED_ENTRIES_H

#include <stdbool.h>
#include <stdint.h>

#include "base/memory.h"
#include "log/file_reader.h"

enum { SORTED_ENTRY_FILE_SIZE_MAX = 12 };

/* How entries look; constant, one for each key that is searched for. */
struct sorted_entry_kind {
    uint32_t size;      /* bytes of an entry in memory */
    uint32_t file_size; /* bytes of an entry in the file, at most SORTED_ENTRY_FILE_SIZE_MAX */
    int64_t (*key)(const void *entry);
    int64_t (*key_in_file)(const uint8_t *data);
    /* Whether an entry of the file is zero padding, which a crash of a writer that reserves space
     * leaves behind. */
    bool (*is_padding)(const uint8_t *data, uint32_t place);
};

/* Makes room for one more entry: returns the tail, which may have moved, and updates *capacity. */
void *sorted_entries_reserve(const struct sorted_entry_kind *kind, struct heap *heap, void *tail,
                             uint32_t count, uint32_t *capacity);
/*
 * The first `stored` of *count entries leave the tail: they are in the file now. Returns the tail;
 * NULL, with *capacity 0, when it is empty.
 */
void *sorted_entries_drop(const struct sorted_entry_kind *kind, struct heap *heap, void *tail,
                          uint32_t stored, uint32_t *count, uint32_t *capacity);

/* How many of `count` entries have a key <= `key`: the last of them is the floor. */
uint32_t sorted_entries_up_to(const struct sorted_entry_kind *kind, const void *entries,
                              uint32_t count, int64_t key);
/* The last of the first `count` entries of the file with a key <= `key`, as it is in the file. */
enum storage_status sorted_entries_floor_in_file(const struct sorted_entry_kind *kind,
                                                 const struct file_reader *reader, uint32_t count,
                                                 int64_t key, bool *found, uint8_t *data);

/*
 * How many entries of a file of `file_size` bytes are real, without the padding at its end, and the
 * last two of them as they are in the file: `last` when *count > 0, `before` when *count > 1.
 * *valid false: the file is too large for an index, and *count is 0. In a job.
 */
enum storage_status sorted_entries_end(const struct sorted_entry_kind *kind,
                                       const struct file_reader *reader, uint64_t file_size,
                                       uint32_t *count, uint8_t *last, uint8_t *before,
                                       bool *valid);

#endif
