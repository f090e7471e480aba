/*
 * How image objects are laid out and given back; for image.c and draft.c only.
 *
 * An object is one block: the struct, then the arrays and texts that it points to. A layout
 * function runs twice with the same input: once with no memory, to count, and once to fill.
 */
#ifndef KLAMM_CLUSTER_METADATA_OBJECT_H
#define KLAMM_CLUSTER_METADATA_OBJECT_H

#include "cluster/metadata/image.h"

/* The kinds of an image's trees. */
extern const struct image_tree_kind image_topics_by_name_kind; /* key: const struct view * */
extern const struct image_tree_kind image_topics_by_id_kind;   /* key: const struct uuid * */
extern const struct image_tree_kind image_nodes_kind;          /* key: const int32_t * */
extern const struct image_tree_kind image_configs_kind;  /* key: const struct image_config_key * */
extern const struct image_tree_kind image_quotas_kind;   /* key: const struct view * */
extern const struct image_tree_kind image_acls_kind;     /* key: const struct uuid * */
extern const struct image_tree_kind image_scrams_kind;   /* key: const struct image_scram_key * */
extern const struct image_tree_kind image_tokens_kind;   /* key: const struct view * */
extern const struct image_tree_kind image_features_kind; /* key: const struct view * */

struct image_config_key {
    int8_t type;
    struct view name;
};

struct image_scram_key {
    int8_t mechanism;
    struct view user;
};

/* A block being counted (data NULL) or filled. */
struct block {
    uint8_t *data;
    size_t used;
};

/* Room for an array or struct, aligned to 8; NULL while counting. */
void *block_room(struct block *block, size_t size);
/* A copy of a text; the null view stays null. While counting the result is the input. */
struct view block_view(struct block *block, struct view view);

void image_partition_release(struct heap *heap, const struct image_partition *partition);
void image_chunk_release(struct heap *heap, struct image_chunk *chunk);
/* Gives up the reference of one tree or draft. */
void image_topic_release(struct heap *heap, struct image_topic *topic);
const struct image_partition *image_partition_create(struct heap *heap,
                                                     const struct partition_state *state);

#endif
