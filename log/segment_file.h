/*
 * The open files of one segment: opened on demand, shared by counted references, closed when they
 * were unused for longest.
 *
 * Owned by a struct segment while it lives; a segment that is deleted or replaced dooms its file,
 * which then lives on until the last reference comes home, so that a range that is being sent stays
 * readable.
 *
 * Invariants:
 *  1. A file with a reference, or with bytes that the committer has not synced, is never closed.
 *  2. `idle_link` is in the shard's list exactly while the file is open, unreferenced, not busy and
 *     not doomed.
 *  3. A doomed file has no segment; without reference it does not exist.
 */
#ifndef KLAMM_LOG_SEGMENT_FILE_H
#define KLAMM_LOG_SEGMENT_FILE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/list.h"
#include "log/committer.h"
#include "log/log_shard.h"
#include "runtime/storage.h"

struct file_close;
struct segment;

struct segment_file {
    struct log_shard *shard;
    struct segment *segment;    /* NULL when doomed */
    struct storage_file *log;   /* NULL: not open */
    struct storage_file *index; /* NULL: not open; for searching stored entries */
    struct commit_file commit;
    struct file_close *retired; /* index handles to be closed with the last reference */
    uint32_t references;
    bool is_opening;
    struct list idle_link; /* log_shard.idle_files */
    struct list waits;     /* struct segment_file_wait */
};

/* Someone who waits for the files to be open; embedded. Holds a reference until `ready`. */
struct segment_file_wait {
    struct list link;
    void (*ready)(struct segment_file_wait *wait, enum storage_status status);
    struct segment_file *file;
};

/* The file object of a segment, made when it has none; nothing is opened. */
struct segment_file *segment_file_of(struct log_shard *shard, struct segment *segment);
/*
 * Opens what is missing: the log and, when `with_index`, the offset index. `ready` runs on a later
 * completion, also when nothing was missing. `create`: a new segment's log.
 */
void segment_file_open(struct segment_file *file, const char *directory, bool with_index,
                       bool create, struct segment_file_wait *wait);
void segment_file_acquire(struct segment_file *file);
void segment_file_release(struct segment_file *file);
/* The committer released it or the last bytes are synced: it may be idle now. */
void segment_file_settle(struct segment_file *file);
/*
 * Gives the index handle up: entries were added behind its end, so it must be opened again. Jobs
 * that search in it keep it open by their reference.
 */
void segment_file_forget_index(struct segment_file *file);
/* Gives the index handle up when it was opened before the last of these entries were in the file.
 */
void segment_file_check_index(struct segment_file *file, uint32_t stored_count);
/* The segment is going: closes now or with the last reference. NULL is fine. */
void segment_file_doom(struct segment_file *file);

#endif
