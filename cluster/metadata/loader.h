/*
 * The loader: committed batches in, images out. It keeps the line between what may be shown and a
 * metadata transaction that is still open.
 *
 * Invariants:
 *  1. loader_image never contains a record of a transaction that has not ended.
 *  2. After an abort the image is what it was before the transaction began.
 *  3. Control batches count as offsets and change nothing here: they belong to the quorum.
 */
#ifndef KLAMM_CLUSTER_METADATA_LOADER_H
#define KLAMM_CLUSTER_METADATA_LOADER_H

#include "cluster/metadata/replay.h"

struct metadata_loader {
    struct heap *heap;
    const struct image *stable; /* may be shown; referenced */
    struct image_draft draft;   /* what came since */
    bool is_drafting;
    bool is_in_transaction;
    struct arena arena;
    int64_t next_offset; /* of the next record to come */
    uint64_t record_count;
    char problem[256]; /* why a batch was refused */
};

/* Starts behind `image`, whose reference is taken over. */
void loader_init(struct metadata_loader *loader, const struct image *image);
void loader_deinit(struct metadata_loader *loader);
/*
 * Applies one batch. False when a record was refused or the batch does not fit the offset; see
 * `problem`; the loader must not be used further then. `is_snapshot`: offsets inside are not those
 * of the log.
 */
bool loader_apply(struct metadata_loader *loader, struct view batch, bool is_snapshot);
/* The position that a finished snapshot stands for. */
void loader_set_position(struct metadata_loader *loader, int64_t end_offset, int32_t epoch,
                         int64_t timestamp_ms);
/* The newest image that may be shown, with a reference for the caller. */
const struct image *loader_image(struct metadata_loader *loader);

/*
 * The difference of any two images of one process, found by walking both; for the first publication
 * and after a snapshot. `before` and `after` must outlive it.
 */
struct image_delta *image_delta_between(struct heap *heap, const struct image *before,
                                        const struct image *after);

#endif
