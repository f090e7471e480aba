/*
 * Leader epochs of one partition: which epoch began at which offset.
 *
 * In memory an array of 16 bytes an entry; on disk the text file `leader-epoch-checkpoint`, written
 * lazily: it needs to be durable only before the recovery point passes an epoch's first batch,
 * because epochs above it are found again in the batches.
 *
 * Invariants:
 *  1. Epochs and start offsets are strictly increasing.
 *  2. is_dirty: the entries differ from what was last written.
 */
#ifndef KLAMM_LOG_LEADER_EPOCHS_H
#define KLAMM_LOG_LEADER_EPOCHS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/memory.h"
#include "runtime/storage.h"

#define LEADER_EPOCHS_FILE_NAME "leader-epoch-checkpoint"

struct leader_epoch {
    int32_t epoch;
    int64_t start_offset;
};

struct leader_epochs {
    struct leader_epoch *entries; /* capacity */
    uint32_t count;
    uint32_t capacity;
    bool is_dirty;
};

/* An epoch and the offset behind its last record; -1 for both: not known. */
struct leader_epoch_end {
    int32_t epoch;
    int64_t end_offset;
};

void leader_epochs_init(struct leader_epochs *epochs);
void leader_epochs_deinit(struct leader_epochs *epochs, struct heap *heap);
void leader_epochs_clear(struct leader_epochs *epochs);
/*
 * Records that `epoch` begins at start_offset; true when it is new. An epoch that is not above the
 * latest one, or negative, changes nothing. Entries at or above start_offset are replaced (they had
 * no records).
 */
bool leader_epochs_assign(struct leader_epochs *epochs, struct heap *heap, int32_t epoch,
                          int64_t start_offset);
/* The latest epoch, or -1. */
int32_t leader_epochs_latest(const struct leader_epochs *epochs);
/* The entry that holds `offset`, or NULL when it is below all of them. */
const struct leader_epoch *leader_epochs_of_offset(const struct leader_epochs *epochs,
                                                   int64_t offset);
/*
 * OffsetForLeaderEpoch (KIP-101, KIP-279): the largest epoch <= `epoch` with its end offset. The
 * latest epoch ends at log_end_offset; an epoch above the latest, or any on an empty list, is not
 * known; one below the first answers (itself, start of the first).
 */
struct leader_epoch_end leader_epochs_end_of(const struct leader_epochs *epochs, int32_t epoch,
                                             int64_t log_end_offset);
/* Drops entries that start at or above `offset`. */
void leader_epochs_truncate_end(struct leader_epochs *epochs, int64_t offset);
/* Collapses entries below `offset` into one that starts there (log start moved). */
void leader_epochs_truncate_start(struct leader_epochs *epochs, int64_t offset);
/* Copies into an initialised empty object on another heap. */
void leader_epochs_copy(struct leader_epochs *to, struct heap *heap,
                        const struct leader_epochs *from);

/* Bytes that encode will need at most. */
size_t leader_epochs_text_size_max(const struct leader_epochs *epochs);
/* The file's text; returns its size. Does not clear is_dirty: the caller does, once written. */
size_t leader_epochs_encode(const struct leader_epochs *epochs, char *text, size_t capacity);
/* Fills an empty object; false, and empty, when the text is invalid. An empty text has no entries.
 */
bool leader_epochs_decode(struct leader_epochs *epochs, struct heap *heap, struct view text);
/* Reads the file of a partition directory; missing: empty. *valid false: damaged, and empty. Only
 * inside a job. */
enum storage_status leader_epochs_load(struct storage storage, const char *directory,
                                       struct leader_epochs *epochs, struct heap *heap,
                                       bool *valid);

#endif
