/*
 * The log directories of the node: found at start by the control loop, afterwards only read.
 *
 * Invariant: nothing here changes after the first image was published.
 */
#ifndef KLAMM_BROKER_DIRECTORIES_H
#define KLAMM_BROKER_DIRECTORIES_H

#include "log/directory_owner.h"
#include "log/log_directory.h"

struct directories {
    size_t count;
    const struct log_directory_found *found; /* [count] */
};

/* The place of the directory with this id, or -1. */
int directories_find(const struct directories *directories, struct uuid id);
/*
 * The partition directory of a partition, in any log directory that works; *place gets which. NULL
 * when there is none: then it is to be made.
 */
const struct log_directory_entry *directories_find_entry(const struct directories *directories,
                                                         struct view topic, struct uuid topic_id,
                                                         int32_t partition, size_t *place);
/*
 * Where a new partition goes: the directory that the metadata names, else one that works, spread by
 * topic id and partition. -1 when none works.
 */
int directories_choose(const struct directories *directories, struct uuid named,
                       struct uuid topic_id, int32_t partition);

#endif
