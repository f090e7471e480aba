/*
 * The hash of what a group's assignment depends on: id, name, partitions and racks of its topics
 * (KIP-1101). It stands in the group's epoch record; when it changes, the group's epoch rises.
 *
 * The number is Kafka's (XXH3, 64 bits, over little-endian fields), so that a group which moves
 * between the two keeps its epoch.
 */
#ifndef KLAMM_CONSUMER_CONSUMER_GROUP_HASH_H
#define KLAMM_CONSUMER_CONSUMER_GROUP_HASH_H

#include "base/arena.h"
#include "cluster/metadata/image.h"

/* The hash of one topic; false when memory was refused. */
bool consumer_topic_hash(const struct image *image, const struct image_topic *topic,
                         struct arena *arena, int64_t *hash);
/* The hash of a group from those of its topics in rising order of name; 0 for none. */
bool consumer_group_hash(const int64_t *topic_hashes, size_t count, struct arena *arena,
                         int64_t *hash);

#endif
