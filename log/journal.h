/*
 * The journal of one committer: small appends of many partitions in one file, one write and one
 * sync for all of them.
 *
 * Files are `klamm-journal-<loop>-<number>` at the top of the log directory. A file is begun when
 * several partitions wait in one turn, and is removed when every append in it is also synced in its
 * segment file; at most one file is written and one is on its way out. After a clean stop none is
 * left. What is in a file (big-endian):
 *
 *   file head   offset size
 *               0      4    "KLMJ"
 *               4      2    version 1
 *               6      2    loop index
 *               8      8    number of the file
 *               16     4    CRC-32C of bytes 0 to 15
 *   entry       0      4    size of what follows byte 8
 *               4      4    CRC-32C of what follows byte 8
 *               8      1    kind (enum journal_kind)
 *               9      3    0
 *               12     4    partition
 *               16     16   topic id
 *               32     8    base offset of the segment (data), else 0
 *               40     8    position in the segment file, bytes (data), else 0
 *               48     8    data: the log end before the append; else the offset of the cut
 *               56     8    data: the log end behind the append; else 0
 *               64     ...  data: the bytes as they are in the segment file
 *
 * A replay (log/journal_replay.h) stops at the first entry of a file that is torn.
 *
 * Invariants:
 *  1. Rounds are written and synced one after the other; a round is durable when all before it are.
 *  2. A data entry is only made for a segment file whose directory entry is durable.
 *  3. Before anything behind a cut is reported durable, the entry of the cut is durable
 *     (commit_partition.journal_barrier).
 *  4. A file is removed only when no partition needs an entry of it, and the next file is begun
 * only after the removal before the last one is durable: files vanish in the order of their
 * numbers.
 */
#ifndef KLAMM_LOG_JOURNAL_H
#define KLAMM_LOG_JOURNAL_H

#include <stdbool.h>
#include <stdint.h>

#include "base/bytes.h"
#include "log/committer.h"
#include "log/log_path.h"

#define JOURNAL_NAME_PREFIX "klamm-journal-"

enum {
    JOURNAL_VERSION = 1,
    JOURNAL_HEAD_SIZE = 20,
    JOURNAL_ENTRY_HEAD_SIZE = 64,
    JOURNAL_ENTRY_SIZE_MAX = 1024 * 1024 /* of a whole entry; larger ones are damage */
};

enum journal_kind {
    JOURNAL_DATA = 1,
    JOURNAL_CUT = 2,     /* what ends behind the offset is void: truncation */
    JOURNAL_VOID = 3,    /* what begins below the offset is void: segments deleted or replaced */
    JOURNAL_DELETED = 4, /* everything of the partition is void */
};

/* An entry without its bytes. */
struct journal_entry {
    enum journal_kind kind;
    int32_t partition;
    struct uuid topic_id;
    int64_t segment_base;
    uint64_t position;
    int64_t start; /* data: log end before; else the offset of the cut */
    int64_t end;
    uint32_t size; /* bytes of data */
};

/* "<prefix><loop>-<number>" into text of LOG_FILE_NAME_MAX + 1 bytes; and back. */
void journal_name_format(char *text, unsigned loop_index, uint64_t number);
bool journal_name_parse(const char *name, unsigned *loop_index, uint64_t *number);
void journal_head_encode(uint8_t data[JOURNAL_HEAD_SIZE], unsigned loop_index, uint64_t number);
bool journal_head_decode(struct view bytes, unsigned loop_index, uint64_t number);
/* Writes the head of an entry in front of its bytes, which must lie behind it already. */
void journal_entry_seal(const struct journal_entry *entry, uint8_t *data);
/*
 * Reads the entry at the start of `bytes`: 0 when it is torn, damaged or cut off, else its whole
 * size. *data borrows.
 */
size_t journal_entry_decode(struct view bytes, struct journal_entry *entry, struct view *data);

/* ---- For the committer ------------------------------------------------------------------------
 */

struct journal *journal_create(struct committer *committer);
/* Nothing may be in flight. */
void journal_destroy(struct journal *journal);
/*
 * An append was written to its file: takes a copy into the round that is being filled. false: it is
 * not for the journal and must be synced in its file.
 */
bool journal_take_append(struct journal *journal, struct commit_partition *partition,
                         const struct commit_file *file, int64_t start, int64_t end,
                         uint64_t position, const struct storage_buffer *buffers,
                         size_t buffer_count, size_t size);
/*
 * A cut, a void or a deletion; nothing when the journal holds nothing of the partition. What the
 * partition has in the journal's hands does not count any more, as far as the entry says.
 */
void journal_take_cut(struct journal *journal, struct commit_partition *partition,
                      enum journal_kind kind, int64_t offset);
/* The file syncs reached further: what the journal has durably may count now. */
int64_t journal_durable_end(const struct commit_partition *partition);
/* The partition waits for the journal, not for its file, to be durable up to its written end. */
bool journal_covers(const struct commit_partition *partition);
/* The partition's cut is durable (or there was none). */
bool journal_is_barrier_durable(const struct commit_partition *partition);
/* The synced end moved, or the partition goes: it may not need the closing file any more. */
void journal_release_synced(struct journal *journal, struct commit_partition *partition);
/* The partition goes away. */
void journal_remove_partition(struct journal *journal, struct commit_partition *partition,
                              bool is_deleted);
/*
 * Once a turn: decides whether the filled round is written or given back to file syncs, rotates,
 * removes. Partitions given back are enqueued by committer_want_sync.
 */
void journal_run(struct journal *journal);
/* Begins the end: removes the files when all is synced. true when nothing is in flight any more. */
bool journal_stop(struct journal *journal);

/* The committer's side, for the journal. */
void committer_want_sync(struct commit_partition *partition);
void committer_want_flush(struct commit_partition *partition);
void committer_update_ends(struct commit_partition *partition);
void committer_wake(struct committer *committer);
/* Partitions whose file is being synced for someone, and that are not in this round. */
uint32_t committer_waiting_syncs(const struct committer *committer, uint64_t round);

#endif
