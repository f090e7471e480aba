/*
 * What the partition logs of one loop share: the loop, the open files, the cache of known places.
 *
 * Invariants:
 *  1. At most `open_files_limit` log files stay open that have no lease and no queued or unsynced
 *     bytes; the one whose last use is longest ago is closed first. Files in use come on top, so
 *     that a file that was just opened for a reader is not the first to go.
 *  2. A remembered place is true for the log generation that it was remembered under; a truncation
 *     or a replaced segment begins a new generation, so a stale place is never found.
 */
#ifndef KLAMM_LOG_LOG_SHARD_H
#define KLAMM_LOG_LOG_SHARD_H

#include <stdint.h>

#include "base/list.h"
#include "runtime/loop.h"

struct cleaner;
struct log_place;
struct partition_log;
struct segment_file;

enum { LOG_WRITE_BUFFERS_MAX = 256 }; /* appends of one vectored write */

/* A write that is being made; a log holds one from gathering to the end of a pending write. */
struct log_write {
    struct partition_log *log;
    struct storage_request request;
    struct storage_buffer buffers[LOG_WRITE_BUFFERS_MAX];
};

/* Counters of the logs of a loop; plain values, summed on scrape. */
struct log_counters {
    uint64_t appended_bytes;
    uint64_t appended_batches;
    uint64_t writes;         /* vectored writes, successful */
    uint64_t pending_writes; /* of these, not completed at once */
    uint64_t failed_writes;
    uint64_t rolls;
    uint64_t deleted_segments;
    uint64_t reads;
    uint64_t cold_reads; /* that needed a job */
    uint64_t file_opens;
    uint64_t file_closes;
};

struct log_shard {
    struct loop *loop;
    struct heap *heap;
    size_t open_files_limit;
    size_t idle_count;
    struct list idle_files;   /* struct segment_file.idle_link, longest unused first */
    struct log_place *places; /* direct-mapped by generation and offset; NULL until used */
    size_t place_count;       /* a power of two */
    uint64_t next_generation;
    struct log_write *spare_write; /* while no log holds it; or NULL */
    uint64_t retention_interval_ns;
    struct list compacted;   /* struct partition_log.compacted_link */
    struct cleaner *cleaner; /* who compacts them; NULL: nobody */
    bool is_device_full;     /* a write found no space, and none succeeded since; said once */
    struct log_counters counters;
};

struct log_shard_options {
    size_t open_files_limit;        /* 0: 256 */
    size_t place_count;             /* a power of two; 0: 4096 */
    uint64_t retention_interval_ns; /* log.retention.check.interval.ms; 0: 5 minutes */
};

/* Takes its memory from the loop's heap. */
void log_shard_init(struct log_shard *shard, struct loop *loop,
                    const struct log_shard_options *options);
/* All logs must be closed. Closes what is still open. */
void log_shard_deinit(struct log_shard *shard);

/* A fresh generation number, never 0. */
uint64_t log_shard_new_generation(struct log_shard *shard);
/* Remembers that the first batch at or behind `offset` begins at `position` of the segment. */
void log_shard_remember(struct log_shard *shard, uint64_t generation, int64_t offset,
                        int64_t segment_base, uint32_t position);
/* False when nothing is remembered. */
bool log_shard_recall(const struct log_shard *shard, uint64_t generation, int64_t offset,
                      int64_t *segment_base, uint32_t *position);

#endif
