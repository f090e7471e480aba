/*
 * An image as records: what a snapshot holds. The walk can stop anywhere and go on, so that a job
 * writes a large image in bounded steps.
 *
 * Order: features (metadata.version first), controllers, brokers, topics with their partitions,
 * settings, quotas, producer ids, access control entries, SCRAM credentials, delegation tokens.
 * Replaying the records on the empty image gives an equal image.
 */
#ifndef KLAMM_CLUSTER_METADATA_IMAGE_RECORDS_H
#define KLAMM_CLUSTER_METADATA_IMAGE_RECORDS_H

#include "cluster/metadata/image.h"
#include "cluster/metadata/records.h"

struct image_records_walk {
    const struct image *image; /* must be kept by the caller */
    unsigned stage;
    bool is_stage_started;
    struct image_tree_cursor cursor;
    const struct image_topic *topic; /* whose partitions are being written */
    uint32_t partition;
};

void image_records_start(const struct image *image, struct image_records_walk *walk);
/*
 * Appends at most about `count` records. False at the end (the list may still have got some), or
 * when the arena refuses (*failed).
 */
bool image_records_next(struct image_records_walk *walk, struct metadata_records *records,
                        size_t count, bool *failed);

#endif
