/*
 * The loader: committed batches in, images out. It keeps the line between what may be shown and a
 * metadata transaction that is still open.
 *
 * Invariants:
 *  1. loader_image never contains a record of a transaction that has not ended.
 *  2. After an abort the image is what it was before the transaction began.
 *  3. Control batches count as offsets and change nothing here: they belong to the quorum.
 *  4. With `settled`, every image that becomes the stable one is handed out once, in order, with
 *     what changed since the one before.
 */
#ifndef KLAMM_CLUSTER_METADATA_LOADER_H
#define KLAMM_CLUSTER_METADATA_LOADER_H

#include "cluster/metadata/replay.h"
#include "runtime/test_points.h"

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
    /* What the quorum says, for the next image. */
    struct {
        int32_t id;
        int32_t epoch;
        int16_t kraft_version;
    } leadership;
    bool has_leadership;
    struct test_points test_points; /* of the loop (runtime/test_point.h) */
    /* NULL: nobody is told. The image is borrowed; the delta is the receiver's to destroy. */
    void (*settled)(void *context, const struct image *image, struct image_delta *delta);
    void *context;
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
/* Who leads, as the next image says it; nothing when the present one says so already. */
void loader_set_leadership(struct metadata_loader *loader, int32_t controller_id,
                           int32_t controller_epoch, int16_t kraft_version);
/* Makes what came an image, as far as it may be shown (`settled` tells). */
void loader_settle(struct metadata_loader *loader);
/* An open transaction will not end: what it wrote is dropped. True when there was one. */
bool loader_abandon_transaction(struct metadata_loader *loader);
/* The newest image that may be shown, with a reference for the caller. */
const struct image *loader_image(struct metadata_loader *loader);

/*
 * The difference of any two images of one process, found by walking both; for the first publication
 * and after a snapshot. `before` and `after` must outlive it.
 */
struct image_delta *image_delta_between(struct heap *heap, const struct image *before,
                                        const struct image *after);

#endif
