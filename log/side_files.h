/*
 * Writing the files beside a log that can be made again from it: indexes, transaction index,
 * producer snapshot, leader epochs. A job, for one segment at a time.
 *
 * Invariants:
 *  1. Entries leave memory only when they are in the file.
 *  2. The recovery point does not pass a segment whose side files are not complete and synced
 *     (segment.needs_side_files, partition_log_update_recovery_limit).
 */
#ifndef KLAMM_LOG_SIDE_FILES_H
#define KLAMM_LOG_SIDE_FILES_H

#include "log/partition_log_internal.h"

struct side_files_options {
    bool is_seal;       /* complete and synced, with the last time entry; else only the tails */
    bool with_snapshot; /* of the producers, which must be settled, at the written end */
    bool with_log_sync; /* sync the log files of the partition too (close) */
    void (*done)(struct partition_log *log, enum storage_status status); /* may be NULL */
};

/* Starts the job; the segment must not have one under way. */
void side_files_write(struct partition_log *log, struct segment *segment,
                      const struct side_files_options *options);

#endif
