/* Dropping keeps the order of the rest. */
#include "cluster/controller/id_list.h"

#include <string.h>

struct id_list id_list_of(struct decision *decision, struct node_list from, size_t more)
{
    struct id_list list = {decision_get(decision, from.count + more, sizeof(int32_t)), from.count};
    if (from.count)
        memcpy(list.ids, from.ids, from.count * sizeof(int32_t));
    return list;
}

void id_list_drop(struct id_list *list, int32_t id)
{
    uint32_t kept = 0;
    for (uint32_t i = 0; i < list->count; i++) {
        if (list->ids[i] != id)
            list->ids[kept++] = list->ids[i];
    }
    list->count = kept;
}

void id_list_drop_all(struct id_list *list, struct node_list ids)
{
    for (uint32_t i = 0; i < ids.count; i++)
        id_list_drop(list, ids.ids[i]);
}

void id_list_keep(struct id_list *list, struct node_list ids)
{
    uint32_t kept = 0;
    for (uint32_t i = 0; i < list->count; i++) {
        if (node_list_contains(ids, list->ids[i]))
            list->ids[kept++] = list->ids[i];
    }
    list->count = kept;
}

void id_list_sort(struct id_list *list)
{
    for (uint32_t i = 1; i < list->count; i++) {
        int32_t id = list->ids[i];
        uint32_t place = i;
        for (; place > 0 && list->ids[place - 1] > id; place--)
            list->ids[place] = list->ids[place - 1];
        list->ids[place] = id;
    }
}

bool node_list_contains_all(struct node_list list, struct node_list ids)
{
    for (uint32_t i = 0; i < ids.count; i++) {
        if (!node_list_contains(list, ids.ids[i]))
            return false;
    }
    return true;
}

bool node_list_equal(struct node_list a, struct node_list b)
{
    return a.count == b.count &&
           (a.count == 0 || memcmp(a.ids, b.ids, a.count * sizeof(int32_t)) == 0);
}
