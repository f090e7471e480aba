/*
 * A persistent ordered map: the shape in which an image holds its topics, brokers and settings.
 *
 * A tree is a root and a count. Copying a tree is one reference; putting or removing copies only
 * the path from the root to the place and shares everything else, so that an older version stays
 * readable, by other threads too, while the next one is made. Nodes that nobody else holds are
 * changed in place, which makes filling a tree as cheap as filling an ordinary one.
 *
 * Relies on: reference counts being touched on one loop only (the control loop). Readers on other
 * loops take no references; whoever handed them the image keeps it.
 *
 * Invariants:
 *  1. In order, each key is smaller than the next one.
 *  2. The heights of two siblings differ by at most one (AVL), so a path is at most
 *     IMAGE_TREE_DEPTH_MAX nodes long.
 *  3. A node holds one reference to its value and one to each child; a value with count zero is
 *     released through its kind.
 *  4. A node is written to only while its count is one and each node above it was writable too.
 */
#ifndef KLAMM_CLUSTER_METADATA_TREE_H
#define KLAMM_CLUSTER_METADATA_TREE_H

#include <stdint.h>

#include "base/memory.h"

/* The head of every value that a tree holds. */
struct image_object {
    uint32_t references;
    uint32_t size; /* bytes of the block */
};

/* What a tree needs to know about its values. */
struct image_tree_kind {
    /* Below, equal, above zero: the key stands before, at, behind the value. */
    int (*compare)(const void *key, const struct image_object *value);
    /* Gives back a value that nobody references any more. */
    void (*release)(struct heap *heap, struct image_object *value);
};

struct image_tree_node;

struct image_tree {
    struct image_tree_node *root;
    uint32_t count;
};

enum { IMAGE_TREE_DEPTH_MAX = 48 }; /* 1.44 * log2(2^32) + 2 */

/* The value of a key, or NULL. */
struct image_object *image_tree_find(const struct image_tree_kind *kind,
                                     const struct image_tree *tree, const void *key);
/* Adds or replaces; takes the caller's reference to `value`. */
void image_tree_put(const struct image_tree_kind *kind, struct heap *heap, struct image_tree *tree,
                    const void *key, struct image_object *value);
/* Removes the key when it is there. */
void image_tree_remove(const struct image_tree_kind *kind, struct heap *heap,
                       struct image_tree *tree, const void *key);
/* A second tree with the same content. */
struct image_tree image_tree_acquire(const struct image_tree *tree);
/* Gives a tree up; what nobody else holds is freed. */
void image_tree_release(const struct image_tree_kind *kind, struct heap *heap,
                        struct image_tree *tree);
/* Asserts invariants 1 and 2; for tests. */
void image_tree_check(const struct image_tree_kind *kind, const struct image_tree *tree,
                      const void *(*key_of)(const struct image_object *value));

/* A walk in key order. The tree must not change meanwhile. */
struct image_tree_cursor {
    const struct image_tree_node *path[IMAGE_TREE_DEPTH_MAX];
    unsigned depth;
};

/* Starts at the smallest key, or (seek) at the first key that is not before `key`. */
void image_tree_start(const struct image_tree *tree, struct image_tree_cursor *cursor);
void image_tree_seek(const struct image_tree_kind *kind, const struct image_tree *tree,
                     const void *key, struct image_tree_cursor *cursor);
/* The next value, or NULL at the end. */
struct image_object *image_tree_next(struct image_tree_cursor *cursor);

static inline void image_object_acquire(struct image_object *object)
{
    object->references++;
}

#endif
