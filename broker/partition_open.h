/*
 * Opening the log of a partition on its shard: finds its directory or makes one, runs the job, and
 * attaches the log to the replica.
 *
 * A directory of the same name that belongs to an older topic must never become the new one's: one
 * that was found at start is renamed to a stray one, one whose topic is being deleted right now is
 * waited for.
 */
#ifndef KLAMM_BROKER_PARTITION_OPEN_H
#define KLAMM_BROKER_PARTITION_OPEN_H

#include "broker/shard.h"
#include "log/partition_log.h"

struct partition_open {
    struct log_open_job job;
    struct shard *shard;
    struct replica *replica;             /* NULL for `opened`: it was removed meanwhile */
    const struct image_partition *state; /* of the image that is being applied */
    size_t place;                        /* of the log directory */
    struct job clear;                    /* makes room for a new directory */
    enum storage_status clear_status;
    unsigned clear_attempts;
    bool is_start; /* nothing can be on its way out yet: what has the name is a leftover */
    struct timer clear_again;
    struct uuid stray_id;
    bool is_aside; /* what had the name was renamed */
    struct log_path path;
    void (*opened)(struct partition_open *open); /* the struct goes afterwards */
    void *context;
};

/*
 * Begins; `opened` follows in a later turn, or before the return when the log needs no job or no
 * log directory works. The replica has its log then and no role yet, is offline, or is NULL when it
 * was removed meanwhile.
 */
void partition_open_start(struct shard *shard, struct replica *replica,
                          const struct image_partition *state, struct uuid directory_id,
                          void (*opened)(struct partition_open *open), void *context);

#endif
