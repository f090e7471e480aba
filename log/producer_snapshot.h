/*
 * Producer snapshots: `<offset>.snapshot`, the producer state before that offset, in Kafka's bytes.
 *
 *   offset size  (big-endian)
 *   0      2     version 1
 *   2      4     CRC-32C of everything from byte 6
 *   6      4     count
 *   10     46*n  producer id 8, epoch 2, last sequence 4, last offset 8, offset delta 4,
 *                timestamp 8, coordinator epoch 4, first offset of the open transaction 8
 *
 * Only the newest batch of a producer is kept. Invariant: a file that is short, long, of another
 * version or with a wrong checksum is refused as a whole and leaves the state empty.
 */
#ifndef KLAMM_LOG_PRODUCER_SNAPSHOT_H
#define KLAMM_LOG_PRODUCER_SNAPSHOT_H

#include "log/producer_state.h"
#include "runtime/storage.h"

enum {
    PRODUCER_SNAPSHOT_VERSION = 1,
    PRODUCER_SNAPSHOT_HEADER_SIZE = 10,
    PRODUCER_SNAPSHOT_ENTRY_SIZE = 46
};

#define PRODUCER_SNAPSHOT_SUFFIX ".snapshot"

/* Bytes of the file that producer_snapshot_file_encode makes. */
size_t producer_snapshot_file_size(const struct producer_state *state);
/* Writes exactly producer_snapshot_file_size bytes into `data`. The state must be settled. */
void producer_snapshot_file_encode(const struct producer_state *state, uint8_t *data);
/*
 * Fills an empty state; producers expired at now_ms are left out (never those with an open
 * transaction). false, and an empty state, when the bytes are not a valid snapshot.
 */
bool producer_snapshot_file_decode(struct view bytes, struct producer_state *state, int64_t now_ms);

/*
 * Writes `bytes` as `<offset>.snapshot` of the partition directory and syncs the file; the caller
 * syncs the directory. A failure leaves no file. Only inside a job.
 */
enum storage_status producer_snapshot_write(struct storage storage, const char *directory,
                                            int64_t offset, struct view bytes);
/*
 * Loads the newest valid snapshot with an offset <= offset_max; invalid ones on the way are
 * unlinked. *offset is that of the loaded one, or -1 (state empty) when there is none. Only inside
 * a job; `scratch` for the listing and the file.
 */
enum storage_status producer_snapshot_load(struct storage storage, const char *directory,
                                           int64_t offset_max, int64_t now_ms, struct heap *scratch,
                                           struct producer_state *state, int64_t *offset);

#endif
