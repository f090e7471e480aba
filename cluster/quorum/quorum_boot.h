/*
 * The job that looks at (and, when allowed, formats) the metadata directory before its log is
 * opened.
 *
 * Formatting: an empty directory gets `bootstrap.checkpoint` beside meta.properties and, with
 * dynamic voters, `__cluster_metadata-0/00000000000000000000-0000000000.checkpoint` with this node
 * as the only voter; as Kafka's storage tool does for a standalone node. An observer's directory
 * needs nothing: everything comes from the quorum.
 *
 * Invariant: a directory that has a log, a snapshot or a bootstrap file is never formatted.
 */
#ifndef KLAMM_CLUSTER_QUORUM_QUORUM_BOOT_H
#define KLAMM_CLUSTER_QUORUM_QUORUM_BOOT_H

#include "cluster/quorum/quorum_state.h"
#include "cluster/quorum/snapshot_file.h"
#include "cluster/quorum/voters.h"
#include "log/file_content.h"
#include "runtime/job.h"

#define QUORUM_BOOTSTRAP_NAME "bootstrap.checkpoint"
#define QUORUM_DIRECTORY_NAME "__cluster_metadata-0"

struct quorum_boot {
    struct job job; /* the owner sets `done` after quorum_boot_init */
    void *context;
    /* In; views must live until done. */
    struct log_path log_directory; /* holds meta.properties and the metadata directory */
    struct sole_voter voter;
    bool may_format;
    bool is_observer;   /* needs no bootstrap.checkpoint: never writes the first records */
    bool has_others;    /* nodes that may be told what quorum-state says, now or later */
    bool is_reachable;  /* there may be some when the log names the voters */
    bool static_voters; /* format without voters: they come from the settings, or the quorum */
    const struct view *bootstrap; /* record values for bootstrap.checkpoint */
    size_t bootstrap_count;
    /* Out. */
    bool is_refused;
    char message[256];         /* why */
    struct log_path directory; /* the metadata partition's */
    bool has_log;
    bool has_state;
    struct quorum_state state;
    bool has_snapshot;
    struct snapshot_id snapshot; /* the newest */
    struct snapshot_id oldest;   /* the log is not needed below its end */
    struct file_content snapshot_content;
    struct file_content bootstrap_content; /* data NULL: none */
};

void quorum_boot_init(struct quorum_boot *boot);
/* Gives back what was read. */
void quorum_boot_release(struct quorum_boot *boot);

#endif
