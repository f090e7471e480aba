/*
 * Snapshot files of the metadata log: names, reading, writing. Everything here blocks: for jobs.
 *
 * `EEEEEEEEEEEEEEEEEEEE-NNNNNNNNNN.checkpoint`: 20 digits of the end offset (exclusive), 10 digits
 * of its epoch. Content: record batches with offsets from 0 and the snapshot's epoch; first a
 * control batch with SNAPSHOT_HEADER (and, with voters in the log, KRAFT_VERSION and KRAFT_VOTERS),
 * then records, last a control batch with SNAPSHOT_FOOTER.
 *
 * Invariants:
 *  1. A file with the final name is complete: it is written as `.checkpoint.part`, synced, renamed,
 *     and the directory is synced.
 *  2. A file without header or footer, or with a batch whose checksum is wrong, is refused.
 */
#ifndef KLAMM_CLUSTER_QUORUM_SNAPSHOT_FILE_H
#define KLAMM_CLUSTER_QUORUM_SNAPSHOT_FILE_H

#include "base/arena.h"
#include "base/buffer.h"
#include "log/log_path.h"
#include "protocol/batch_builder.h"
#include "runtime/storage.h"

#define SNAPSHOT_SUFFIX         ".checkpoint"
#define SNAPSHOT_PART_SUFFIX    ".checkpoint.part"
#define SNAPSHOT_DELETED_SUFFIX ".checkpoint.deleted"

enum { SNAPSHOT_NAME_SIZE = 64 };

struct snapshot_id {
    int64_t end_offset; /* exclusive */
    int32_t epoch;
};

/* The voters, as the control records carry them: encoded values, null where there are none. */
struct snapshot_voters {
    struct view kraft_version; /* value of KRAFT_VERSION */
    struct view voters;        /* value of KRAFT_VOTERS */
};

/* Writes the file name with the given suffix, NUL-terminated. */
void snapshot_name_format(struct snapshot_id id, const char *suffix, char name[SNAPSHOT_NAME_SIZE]);
/* Reads a name that ends in `.checkpoint`; false for any other. */
bool snapshot_name_parse(const char *name, struct snapshot_id *id);

/* A snapshot being written. */
struct snapshot_writer {
    struct storage storage;
    struct heap *heap;
    struct batch_builder builder;
    struct storage_file *file;
    struct log_path directory;
    struct log_path part_path;
    struct snapshot_id id;
    int64_t next_offset; /* inside the snapshot */
    int64_t timestamp_ms;
    uint64_t size; /* bytes written */
    enum storage_status status;
};

/* Opens the part file in `directory` and writes the header batch. */
bool snapshot_writer_begin(struct snapshot_writer *writer, struct storage storage,
                           struct heap *heap, const char *directory, struct snapshot_id id,
                           int64_t last_timestamp_ms, int64_t now_ms,
                           const struct snapshot_voters *voters);
/* Appends one batch of records (values with their frames). */
bool snapshot_writer_append(struct snapshot_writer *writer, const struct view *values,
                            size_t count);
/* Footer, sync, rename to `final_name` (NULL: the id's name), sync of the directory. */
bool snapshot_writer_finish(struct snapshot_writer *writer, const char *final_name);
/* Closes and removes the part file after a failure; harmless after finish. */
void snapshot_writer_abort(struct snapshot_writer *writer);

/* Removes the snapshots that end before `end_offset`, as far as that can be done. */
void snapshot_files_remove_before(struct storage storage, struct heap *heap, const char *directory,
                                  int64_t end_offset);

/*
 * Walks the batches of a whole snapshot in memory. `each` gets every batch, control batches too,
 * and may refuse. False with a text when the snapshot is damaged or was refused.
 */
bool snapshot_walk(struct view content,
                   bool (*each)(void *context, struct view batch, const char **problem),
                   void *context, const char **problem);
/* Finds the voters and the last contained timestamp in a snapshot's header batch; borrowed. */
bool snapshot_read_header(struct view content, struct snapshot_voters *voters,
                          int64_t *last_timestamp_ms);

#endif
