/*
 * Kafka's checkpoint text: line 1 the version "0", line 2 the entry count, then one entry a line.
 *
 * Offset checkpoints of a log directory hold "<topic> <partition> <offset>". An empty file has no
 * entries. A wrong count, a wrong field, another version make the file invalid; a reader then goes
 * on without it (recovery point 0, log start at the first segment), that is never fatal.
 */
#ifndef KLAMM_LOG_CHECKPOINT_FILE_H
#define KLAMM_LOG_CHECKPOINT_FILE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/bytes.h"
#include "runtime/storage.h"

#define CHECKPOINT_RECOVERY_POINT   "recovery-point-offset-checkpoint"
#define CHECKPOINT_LOG_START_OFFSET "log-start-offset-checkpoint"
#define CHECKPOINT_HIGH_WATERMARK   "replication-offset-checkpoint"
#define CHECKPOINT_CLEANER          "cleaner-offset-checkpoint"

struct checkpoint_entry {
    struct view topic;
    int32_t partition;
    int64_t offset;
};

/* Sorted by topic (byte order) and partition, so that checkpoint_find is a binary search. */
struct checkpoint {
    struct checkpoint_entry *entries;
    size_t count;
};

/* The whole text; entries live in the arena, topics borrow from `text`. false: invalid, and empty.
 */
bool checkpoint_decode(struct view text, struct arena *arena, struct checkpoint *checkpoint);
/* Bytes of the text. */
size_t checkpoint_size(const struct checkpoint_entry *entries, size_t count);
/* Writes exactly checkpoint_size bytes, entries in the given order. */
void checkpoint_encode(const struct checkpoint_entry *entries, size_t count, uint8_t *data);
/* The offset of a partition, or `otherwise`. */
int64_t checkpoint_find(const struct checkpoint *checkpoint, struct view topic, int32_t partition,
                        int64_t otherwise);

/*
 * Reads "<directory>/<name>" into the arena (text too). A missing file is empty and valid. Only
 * inside a job.
 */
enum storage_status checkpoint_read(struct storage storage, const char *directory, const char *name,
                                    struct arena *arena, struct checkpoint *checkpoint,
                                    bool *valid);

/* For the readers of checkpoint text in this folder: the next line without its end, or null. */
struct view checkpoint_next_line(struct view *text);
/* The next field of a line (separated by blanks or tabs), or null. */
struct view checkpoint_next_field(struct view *line);
/* Reads version and count lines; false when invalid. *count 0 for an empty text. */
bool checkpoint_read_head(struct view *text, uint64_t *count);

#endif
