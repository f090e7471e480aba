/* Lists of broker ids while they are being made; short (a replica list), so searched in order. */
#ifndef KLAMM_CLUSTER_CONTROLLER_ID_LIST_H
#define KLAMM_CLUSTER_CONTROLLER_ID_LIST_H

#include "cluster/controller/decision.h"

struct id_list {
    int32_t *ids; /* in the decision's arena */
    uint32_t count;
};

/* A copy with room for `more` ids. */
struct id_list id_list_of(struct decision *decision, struct node_list from, size_t more);
void id_list_drop(struct id_list *list, int32_t id);
void id_list_drop_all(struct id_list *list, struct node_list ids);
/* Drops what is not among `ids`. */
void id_list_keep(struct id_list *list, struct node_list ids);
void id_list_sort(struct id_list *list);
bool node_list_contains_all(struct node_list list, struct node_list ids);
/* Whether both have the same ids in the same order. */
bool node_list_equal(struct node_list a, struct node_list b);

static inline struct node_list id_list_view(const struct id_list *list)
{
    return (struct node_list){list->ids, list->count};
}

static inline bool id_list_contains(const struct id_list *list, int32_t id)
{
    return node_list_contains(id_list_view(list), id);
}

/* There must be room. */
static inline void id_list_add(struct id_list *list, int32_t id)
{
    list->ids[list->count++] = id;
}

#endif
