/* The job that writes a snapshot of an image and removes snapshots that are not needed any more. */
#ifndef KLAMM_CLUSTER_QUORUM_SNAPSHOT_JOB_H
#define KLAMM_CLUSTER_QUORUM_SNAPSHOT_JOB_H

#include "cluster/metadata/image_records.h"
#include "cluster/quorum/snapshot_file.h"
#include "cluster/quorum/voters.h"
#include "runtime/job.h"

enum { SNAPSHOT_STEP_RECORDS = 2000 };

/*
 * The image must be kept until `done`; it cannot change, so that worker threads may read it while
 * the control loop makes the next ones.
 */
struct snapshot_job {
    struct job job; /* the owner sets `done` after snapshot_job_init */
    void *context;
    const struct image *image;
    struct log_path directory;
    uint8_t kraft_version[16];
    size_t kraft_version_size;
    uint8_t *voters; /* value of KRAFT_VOTERS, in memory of the owner's; NULL: none */
    size_t voters_size;
    int64_t previous_end; /* snapshots that end before this one are removed */
    bool is_written;      /* out */
    uint64_t written_size;
    struct snapshot_writer writer;
    struct image_records_walk walk;
    bool is_started;
};

void snapshot_job_init(struct snapshot_job *job, const struct image *image, const char *directory);

#endif
