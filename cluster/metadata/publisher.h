/*
 * Handing images to the shards, and knowing when all of them show a version.
 *
 * The control loop publishes (image, delta); each shard gets one message, applies the change in the
 * order that broker/README.md names, swaps its image pointer and sends the message back. When the
 * last message of a version is back, waiters for that version are told and the version before it
 * is released. A shard that does longer work first keeps the message (struct image_update) and
 * calls image_update_shown later.
 *
 * Invariants:
 *  1. A shard gets the versions in order and shows them in order.
 *  2. The images `before` and `after` of an update live until its message is back.
 *  3. Waiters are told in order of version, on the control loop, never inside publisher_publish or
 *     publisher_wait.
 */
#ifndef KLAMM_CLUSTER_METADATA_PUBLISHER_H
#define KLAMM_CLUSTER_METADATA_PUBLISHER_H

#include "cluster/metadata/image.h"
#include "runtime/loop.h"

struct publisher;

/* The message to one shard. */
struct image_update {
    struct message message;
    struct publisher *publisher;
    struct image_publication *publication;
    const struct image *image;
    const struct image_delta *delta;
    struct loop *at; /* set on delivery: the shard's loop */
};

/*
 * Runs on the shard, once per version. Applies the delta to what the shard owns, and when the
 * version is shown calls image_update_shown (inside or later).
 */
typedef void (*image_apply)(struct image_update *update, struct loop *shard);

struct publisher_waiter {
    struct list link;
    uint64_t version;
    void (*shown)(struct publisher_waiter *waiter);
};

struct publisher {
    struct loop *loop; /* the control loop */
    image_apply apply;
    const struct image *current; /* the newest published; referenced */
    uint64_t shown_version;      /* every loop shows it */
    struct list publications;    /* in flight, oldest first */
    struct list waiters;         /* by version, then by arrival */
    struct deferred tell;
};

/* `empty` is the image before anything was published; taken over with the caller's reference. */
void publisher_init(struct publisher *publisher, struct loop *control, const struct image *empty,
                    image_apply apply);
void publisher_deinit(struct publisher *publisher);
/* Takes one reference to `image` and owns `delta` (whose `after` is `image`). */
void publisher_publish(struct publisher *publisher, const struct image *image,
                       struct image_delta *delta);
/* Calls waiter->shown when every shard shows waiter->version, at the earliest later in this turn.
 */
void publisher_wait(struct publisher *publisher, struct publisher_waiter *waiter);
/* On the shard: this version is now shown here. */
void image_update_shown(struct image_update *update);

#endif
