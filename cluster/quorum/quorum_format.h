/*
 * Formatting a log directory for the quorum, in the way of Kafka's storage tool:
 * bootstrap.checkpoint with the records that a new cluster begins with, and for a dynamic quorum
 * `__cluster_metadata-0/00000000000000000000-0000000000.checkpoint` with its first voters. Blocks:
 * for jobs and tools.
 *
 * meta.properties is not written here. Whoever formats writes it last: a directory without it is
 * not formatted, so a run that was cut short may be repeated.
 */
#ifndef KLAMM_CLUSTER_QUORUM_QUORUM_FORMAT_H
#define KLAMM_CLUSTER_QUORUM_QUORUM_FORMAT_H

#include "cluster/quorum/voters.h"
#include "runtime/storage.h"

struct quorum_format {
    const char *log_directory;
    const struct view *bootstrap; /* record values */
    size_t bootstrap_count;
    const struct sole_voter *voters; /* first voters of a dynamic quorum; NULL: none are written */
    size_t voter_count;
    int64_t wall_ms;
};

enum storage_status quorum_format(const struct quorum_format *format, struct storage storage,
                                  struct heap *heap);
/* Whether a metadata log or a snapshot of one lies in the log directory: it must not be formatted.
 */
enum storage_status quorum_format_is_used(struct storage storage, struct heap *heap,
                                          const char *log_directory, bool *is_used);

#endif
