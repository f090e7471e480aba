/*
 * The log directories of the node: found at start by the control loop, afterwards only read.
 *
 * Invariant: nothing here changes after the first image was published.
 */
#ifndef KLAMM_BROKER_DIRECTORIES_H
#define KLAMM_BROKER_DIRECTORIES_H

#include <assert.h>

#include "log/directory_owner.h"
#include "log/directory_shard.h"
#include "log/log_directory.h"

static_assert(LOG_DIRECTORY_COUNT_MAX <= 64, "sets of directories are kept as bits of a uint64_t");

struct directories {
    size_t count;
    const struct log_directory_found *found; /* [count] */
};

/* The place of the directory that a partition directory's path lies in, or -1. */
int directories_find_path(const struct directories *directories, const char *path);
/*
 * The partition directory of a partition, in any log directory that works; *place gets which. NULL
 * when there is none: then it is to be made.
 */
const struct log_directory_entry *directories_find_entry(const struct directories *directories,
                                                         struct view topic, struct uuid topic_id,
                                                         int32_t partition, size_t *place);
/*
 * Where the log of a partition is made: in the directory that the metadata names, else, spread by
 * topic id and partition, in one that works on this shard (`shards` has one for each). -1 when none
 * does, and when the metadata names a directory that is not here while some directory has failed:
 * the log may lie in that one, and must not be begun again elsewhere (KIP-858).
 */
int directories_choose(const struct directories *directories, const struct directory_shard *shards,
                       struct uuid named, struct uuid topic_id, int32_t partition);

#endif
