/*
 * What a shard finds out about where its replicas lie, while it applies an image, on its way to the
 * control loop and on to the active controller (cluster/directory_sender.h): one message for an
 * image.
 *
 * Invariant: notes that were sent come home once, to be given back where they were made.
 */
#ifndef KLAMM_BROKER_DIRECTORY_NOTES_H
#define KLAMM_BROKER_DIRECTORY_NOTES_H

#include "broker/shard.h"

struct directory_notes;

/*
 * Notes the directory of a replica where `state` of `image` says otherwise; *notes is NULL before
 * the first. Nothing is noted of a replica without a log, and before metadata.version knows
 * directories.
 */
void directory_notes_take(struct directory_notes **notes, struct shard *shard,
                          const struct image *image, const struct replica *replica,
                          const struct image_partition *state);
/* Sends them, if there are any, and sets *notes to NULL. */
void directory_notes_send(struct directory_notes **notes, struct shard *shard);

#endif
