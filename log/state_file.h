/*
 * `klamm-state`: what a log directory was when it was cleanly stopped, so that the next start need
 * not look into each partition directory. A plain file at the top of the directory, Klamm's
 * own; deleting it costs time and nothing else.
 *
 * It is believed only together with the clean-stop marker of the same stop: both name the broker
 * epoch, which no two lives of a node share, so a marker that another program (or a later life of
 * this one) left does not go with it. Beyond that each entry is believed only while the partition
 * directory has the modification time, and its last log file the size, that the entry says: a
 * person may have repaired something by hand meanwhile.
 *
 *   offset  bytes  what (big endian)
 *   0       4      "KLST"
 *   4       2      version, 1
 *   6       8      broker epoch of the stop, not negative
 *   14      4      count of entries
 *   18      4      CRC-32C of all bytes but these four
 *   22             entries in rising order of their names: name (uvarint size and bytes), topic id
 *                  (16), then varints: modification time of the directory in ms, base offset and
 *                  size of the last log file; state (uvarint size and bytes, log/log_state.h; no
 *                  bytes: to be opened in the usual way)
 */
#ifndef KLAMM_LOG_STATE_FILE_H
#define KLAMM_LOG_STATE_FILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/uuid.h"

#define STATE_FILE_NAME "klamm-state"

enum {
    STATE_FILE_VERSION = 1,
    STATE_FILE_HEAD_SIZE = 22,
    STATE_FILE_SIZE_MAX = 1024 * 1024 * 1024,
};

struct state_file_entry {
    struct view name; /* of the partition directory */
    struct uuid topic_id;
    int64_t directory_modified_ms;
    int64_t active_base_offset;
    uint32_t active_size; /* bytes */
    struct view state;
};

/* Bytes that state_file_encode writes at most. */
size_t state_file_size_max(const struct state_file_entry *entries, size_t count);
/* Entries in rising order of their names (memcmp, the shorter first). Returns the size. */
size_t state_file_encode(int64_t broker_epoch, const struct state_file_entry *entries, size_t count,
                         uint8_t *data, size_t capacity);
/* The order of the entries: below, equal to or above 0. */
int state_file_compare_names(struct view a, struct view b);

/* A walk over the entries of a file; views borrow from its bytes. */
struct state_file_walk {
    struct reader reader;
    uint32_t left;
    struct view previous;
};

/* Checks head and checksum; false: not a file of this version, damaged, or of another stop. */
bool state_file_open(struct state_file_walk *walk, struct view bytes, int64_t broker_epoch);
/* The next entry; false at the end, and when what follows makes no sense (then there is no more).
 */
bool state_file_next(struct state_file_walk *walk, struct state_file_entry *entry);

#endif
