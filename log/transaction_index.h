/*
 * The transaction index of one segment: its aborted transactions, `<base>.txnindex`.
 *
 *   offset size  (big-endian), 34 bytes an entry
 *   0      2     version 0
 *   2      8     producer id
 *   10     8     first offset
 *   18     8     last offset (of the abort marker)
 *   26     8     last stable offset at the abort
 *
 * Entries are held in memory (32 bytes each). The file is appended by the owner from
 * `written_count` on; it exists only from the first abort on. It can be rebuilt from the log and
 * the producer state, so it needs to be durable only before the recovery point passes.
 *
 * Invariants:
 *  1. Last offsets are strictly increasing.
 *  2. written_count <= count; the first written_count entries are in the file.
 */
#ifndef KLAMM_LOG_TRANSACTION_INDEX_H
#define KLAMM_LOG_TRANSACTION_INDEX_H

#include <stdbool.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/memory.h"
#include "runtime/storage.h"

enum { TRANSACTION_INDEX_ENTRY_SIZE = 34 };

#define TRANSACTION_INDEX_SUFFIX ".txnindex"

struct aborted_transaction {
    int64_t producer_id;
    int64_t first_offset;
    int64_t last_offset;
    int64_t last_stable_offset;
};

struct transaction_index {
    struct aborted_transaction *entries; /* [capacity]; NULL when there are none */
    uint32_t count;
    uint32_t capacity;
    uint32_t written_count;
    int64_t last_offset_max; /* -1 when empty */
};

void transaction_index_init(struct transaction_index *index);
/* Gives the entries back; empty again. */
void transaction_index_deinit(struct transaction_index *index, struct heap *heap);
/* Adds behind the others; false, nothing changed, when last_offset does not increase. */
bool transaction_index_append(struct transaction_index *index, struct heap *heap,
                              const struct aborted_transaction *entry);
/* Drops entries with last offset >= `offset`. */
void transaction_index_truncate(struct transaction_index *index, int64_t offset);

/*
 * Collects the aborted transactions that overlap [fetch_offset, upper_offset): calls `found` for
 * each with last_offset >= fetch_offset and first_offset < upper_offset. true: the search is
 * complete (an entry's last stable offset reached upper_offset) and later segments need not be
 * asked.
 */
bool transaction_index_collect(
    const struct transaction_index *index, int64_t fetch_offset, int64_t upper_offset,
    void (*found)(void *context, const struct aborted_transaction *entry), void *context);

/* Encodes entries [from, count) into `data` (34 bytes each). */
void transaction_index_encode(const struct transaction_index *index, uint32_t from, uint8_t *data);
/*
 * Fills an empty index from a whole file (written_count = count). false, and empty: torn size,
 * unknown version, offsets that go back, or a last offset below `base_offset`: the segment must be
 * recovered.
 */
bool transaction_index_decode(struct transaction_index *index, struct heap *heap, struct view bytes,
                              int64_t base_offset);
/* Reads and decodes the file; a missing file is an empty index. STORAGE_OK with *valid false when
 * the content is damaged. Only inside a job. */
enum storage_status transaction_index_load(struct storage storage, const char *path,
                                           int64_t base_offset, struct transaction_index *index,
                                           struct heap *heap, bool *valid);

#endif
