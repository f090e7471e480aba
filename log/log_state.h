/*
 * What a cleanly closed partition log was, in a few dozen bytes: enough to make the log object
 * again without listing its directory or reading one of its files.
 *
 * The bytes lie in `klamm-state` (log/state_file.h), which says when they may be believed. They are
 * made of a log that is complete in its files, and are not made of one whose state is long (many
 * producers, aborted transactions) or whose removed files wait for their deletion: such a log is
 * opened in the usual way, which lists and removes them.
 *
 * Bytes: version u8, log end, leader epochs, segments, producer snapshot; numbers as varints, the
 * snapshot as its file would be. Offsets of an entry are told relative to the segment's base.
 */
#ifndef KLAMM_LOG_LOG_STATE_H
#define KLAMM_LOG_LOG_STATE_H

#include "log/log_recovery.h"
#include "log/partition_log_internal.h"

enum {
    LOG_STATE_VERSION = 1,
    LOG_STATE_PRODUCERS_MAX = 16, /* more: the snapshot file is read */
    LOG_STATE_SEGMENTS_MAX = 4096,
    LOG_STATE_EPOCHS_MAX = 1024,
};

/* Bytes that log_state_encode needs at most; 0: the log is not one to be told in short. */
size_t log_state_size_max(const struct partition_log *log);
/* Writes the state of a log that is complete in its files; returns its size. */
size_t log_state_encode(const struct partition_log *log, uint8_t *data, size_t capacity);
/*
 * Fills a fresh load (log_load_init) as if it had ended. False: the bytes are damaged, or do not go
 * with the log start of the load; the load is then fit for log_load_deinit only.
 */
bool log_state_decode(struct log_load *load, struct view bytes, int64_t now_ms);

#endif
