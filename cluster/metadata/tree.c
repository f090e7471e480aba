/*
 * An AVL tree with copy on write. Insertion and removal go down by recursion (the depth is bounded
 * by the height, some 25 for 100,000 keys), make each node on the way writable, and restore the
 * balance on the way up. A node that is shared is copied: the copy takes references to the children
 * and the value, and the original loses the one reference that came from above.
 */
#include "cluster/metadata/tree.h"

#include <stdbool.h>
#include <stddef.h>

#include "base/assert.h"

struct image_tree_node {
    struct image_tree_node *left;
    struct image_tree_node *right;
    struct image_object *value;
    uint32_t references;
    uint32_t height; /* 1 for a leaf */
};

struct tree_edit {
    const struct image_tree_kind *kind;
    struct heap *heap;
    const void *key;
    struct image_object *value; /* put: moved into the tree */
    bool counted;               /* put: added; remove: removed */
};

static void value_release(const struct image_tree_kind *kind, struct heap *heap,
                          struct image_object *value)
{
    klamm_assert(value->references > 0);
    if (--value->references == 0)
        kind->release(heap, value);
}

static void node_release(const struct image_tree_kind *kind, struct heap *heap,
                         struct image_tree_node *node)
{
    while (node) {
        klamm_assert(node->references > 0);
        if (--node->references > 0)
            return;
        node_release(kind, heap, node->left);
        struct image_tree_node *right = node->right;
        value_release(kind, heap, node->value);
        heap_put(heap, MEMORY_STATE, node, sizeof(*node));
        node = right;
    }
}

static uint32_t node_height(const struct image_tree_node *node)
{
    return node ? node->height : 0;
}

static void node_update(struct image_tree_node *node)
{
    uint32_t left = node_height(node->left);
    uint32_t right = node_height(node->right);
    node->height = 1 + (left > right ? left : right);
}

/* The node itself when only we hold it, else a copy in its place. */
static struct image_tree_node *node_writable(struct heap *heap, struct image_tree_node *node)
{
    if (node->references == 1)
        return node;
    struct image_tree_node *copy = heap_must_get(heap, MEMORY_STATE, sizeof(*copy));
    *copy = *node;
    copy->references = 1;
    if (copy->left)
        copy->left->references++;
    if (copy->right)
        copy->right->references++;
    image_object_acquire(copy->value);
    node->references--;
    return copy;
}

/* Both rotations expect a writable node and make the risen child writable. */
static struct image_tree_node *rotate_right(struct heap *heap, struct image_tree_node *node)
{
    struct image_tree_node *risen = node_writable(heap, node->left);
    node->left = risen->right;
    risen->right = node;
    node_update(node);
    node_update(risen);
    return risen;
}

static struct image_tree_node *rotate_left(struct heap *heap, struct image_tree_node *node)
{
    struct image_tree_node *risen = node_writable(heap, node->right);
    node->right = risen->left;
    risen->left = node;
    node_update(node);
    node_update(risen);
    return risen;
}

static struct image_tree_node *node_balance(struct heap *heap, struct image_tree_node *node)
{
    uint32_t left = node_height(node->left);
    uint32_t right = node_height(node->right);
    if (left > right + 1) {
        node->left = node_writable(heap, node->left);
        if (node_height(node->left->left) < node_height(node->left->right))
            node->left = rotate_left(heap, node->left);
        return rotate_right(heap, node);
    }
    if (right > left + 1) {
        node->right = node_writable(heap, node->right);
        if (node_height(node->right->right) < node_height(node->right->left))
            node->right = rotate_right(heap, node->right);
        return rotate_left(heap, node);
    }
    node_update(node);
    return node;
}

static struct image_tree_node *node_put(struct tree_edit *edit, struct image_tree_node *node)
{
    if (!node) {
        struct image_tree_node *leaf = heap_must_get(edit->heap, MEMORY_STATE, sizeof(*leaf));
        *leaf = (struct image_tree_node){.value = edit->value, .references = 1, .height = 1};
        edit->counted = true;
        return leaf;
    }
    int order = edit->kind->compare(edit->key, node->value);
    node = node_writable(edit->heap, node);
    if (order == 0) {
        struct image_object *old = node->value;
        node->value = edit->value;
        value_release(edit->kind, edit->heap, old);
        return node;
    }
    if (order < 0)
        node->left = node_put(edit, node->left);
    else
        node->right = node_put(edit, node->right);
    return node_balance(edit->heap, node);
}

/* Takes the smallest node out of a subtree; its value comes back with a reference. */
static struct image_tree_node *node_take_first(struct tree_edit *edit, struct image_tree_node *node,
                                               struct image_object **first)
{
    node = node_writable(edit->heap, node);
    if (node->left) {
        node->left = node_take_first(edit, node->left, first);
        return node_balance(edit->heap, node);
    }
    struct image_tree_node *right = node->right;
    *first = node->value;
    heap_put(edit->heap, MEMORY_STATE, node, sizeof(*node));
    return right;
}

/* The key is known to be there. */
static struct image_tree_node *node_remove(struct tree_edit *edit, struct image_tree_node *node)
{
    int order = edit->kind->compare(edit->key, node->value);
    node = node_writable(edit->heap, node);
    if (order < 0) {
        node->left = node_remove(edit, node->left);
    } else if (order > 0) {
        node->right = node_remove(edit, node->right);
    } else if (node->left && node->right) {
        struct image_object *old = node->value;
        node->right = node_take_first(edit, node->right, &node->value);
        value_release(edit->kind, edit->heap, old);
    } else {
        struct image_tree_node *child = node->left ? node->left : node->right;
        value_release(edit->kind, edit->heap, node->value);
        heap_put(edit->heap, MEMORY_STATE, node, sizeof(*node));
        return child;
    }
    return node_balance(edit->heap, node);
}

struct image_object *image_tree_find(const struct image_tree_kind *kind,
                                     const struct image_tree *tree, const void *key)
{
    const struct image_tree_node *node = tree->root;
    while (node) {
        int order = kind->compare(key, node->value);
        if (order == 0)
            return node->value;
        node = order < 0 ? node->left : node->right;
    }
    return NULL;
}

void image_tree_put(const struct image_tree_kind *kind, struct heap *heap, struct image_tree *tree,
                    const void *key, struct image_object *value)
{
    struct tree_edit edit = {.kind = kind, .heap = heap, .key = key, .value = value};
    tree->root = node_put(&edit, tree->root);
    tree->count += edit.counted;
}

void image_tree_remove(const struct image_tree_kind *kind, struct heap *heap,
                       struct image_tree *tree, const void *key)
{
    if (!image_tree_find(kind, tree, key))
        return;
    struct tree_edit edit = {.kind = kind, .heap = heap, .key = key};
    tree->root = node_remove(&edit, tree->root);
    tree->count--;
}

struct image_tree image_tree_acquire(const struct image_tree *tree)
{
    if (tree->root)
        tree->root->references++;
    return *tree;
}

void image_tree_release(const struct image_tree_kind *kind, struct heap *heap,
                        struct image_tree *tree)
{
    node_release(kind, heap, tree->root);
    *tree = (struct image_tree){NULL, 0};
}

static void cursor_push_left(struct image_tree_cursor *cursor, const struct image_tree_node *node)
{
    for (; node; node = node->left) {
        klamm_assert(cursor->depth < IMAGE_TREE_DEPTH_MAX);
        cursor->path[cursor->depth++] = node;
    }
}

void image_tree_start(const struct image_tree *tree, struct image_tree_cursor *cursor)
{
    cursor->depth = 0;
    cursor_push_left(cursor, tree->root);
}

void image_tree_seek(const struct image_tree_kind *kind, const struct image_tree *tree,
                     const void *key, struct image_tree_cursor *cursor)
{
    cursor->depth = 0;
    const struct image_tree_node *node = tree->root;
    while (node) {
        if (kind->compare(key, node->value) > 0) {
            node = node->right;
            continue;
        }
        klamm_assert(cursor->depth < IMAGE_TREE_DEPTH_MAX);
        cursor->path[cursor->depth++] = node;
        node = node->left;
    }
}

struct image_object *image_tree_next(struct image_tree_cursor *cursor)
{
    if (cursor->depth == 0)
        return NULL;
    const struct image_tree_node *node = cursor->path[--cursor->depth];
    cursor_push_left(cursor, node->right);
    return node->value;
}

static uint32_t node_check(const struct image_tree_node *node)
{
    if (!node)
        return 0;
    klamm_assert(node->references > 0);
    klamm_assert(node->value->references > 0);
    uint32_t left = node_check(node->left);
    uint32_t right = node_check(node->right);
    klamm_assert(left <= right + 1);
    klamm_assert(right <= left + 1);
    klamm_assert(node->height == 1 + (left > right ? left : right));
    return node->height;
}

void image_tree_check(const struct image_tree_kind *kind, const struct image_tree *tree,
                      const void *(*key_of)(const struct image_object *value))
{
    node_check(tree->root);
    struct image_tree_cursor cursor;
    image_tree_start(tree, &cursor);
    const struct image_object *previous = NULL;
    uint32_t count = 0;
    for (const struct image_object *value = image_tree_next(&cursor); value;
         value = image_tree_next(&cursor)) {
        if (previous)
            klamm_assert(kind->compare(key_of(previous), value) < 0);
        previous = value;
        count++;
    }
    klamm_assert(count == tree->count);
}
