/*
 * partition.metadata: the topic id of a partition directory. Must be durable before the first data
 * byte: a directory without topic id is treated as stray.
 */
#ifndef KLAMM_LOG_PARTITION_METADATA_H
#define KLAMM_LOG_PARTITION_METADATA_H

#include <stdbool.h>

#include "base/bytes.h"
#include "base/memory.h"
#include "base/uuid.h"
#include "runtime/storage.h"

#define PARTITION_METADATA_FILE_NAME "partition.metadata"

enum { PARTITION_METADATA_SIZE = 43 };

/* "version: 0\ntopic_id: <uuid>"; the id must not be zero. Returns the size (no NUL). */
size_t partition_metadata_encode(struct uuid topic_id, char text[PARTITION_METADATA_SIZE + 1]);
/* false when the text is not valid or the id is zero. */
bool partition_metadata_decode(struct view text, struct uuid *topic_id);
/* Reads the file of a partition directory; *valid false when damaged. STORAGE_NOT_FOUND when
 * missing. Only inside a job. */
enum storage_status partition_metadata_load(struct storage storage, const char *directory,
                                            struct heap *scratch, struct uuid *topic_id,
                                            bool *valid);
/* Writes the file durably. Only inside a job. */
enum storage_status partition_metadata_write(struct storage storage, const char *directory,
                                             struct uuid topic_id);

#endif
