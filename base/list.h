/*
 * Intrusive lists: the link lives inside the element, so linking allocates nothing.
 *
 * `struct list` is a circular doubly linked list with a head. A link that is in no list points to
 * itself after list_link_init, and list_remove on such a link does nothing.
 */
#ifndef KLAMM_BASE_LIST_H
#define KLAMM_BASE_LIST_H

#include <stdbool.h>
#include <stddef.h>

struct list {
    struct list *next;
    struct list *previous;
};

/* The element that holds `link` as its member. */
#define container_of(link, type, member) ((type *)(void *)((char *)(link)-offsetof(type, member)))

static inline void list_init(struct list *list)
{
    list->next = list;
    list->previous = list;
}

static inline void list_link_init(struct list *link)
{
    list_init(link);
}

static inline bool list_is_empty(const struct list *list)
{
    return list->next == list;
}

static inline bool list_is_linked(const struct list *link)
{
    return link->next != link;
}

static inline void list_insert_before(struct list *place, struct list *link)
{
    link->next = place;
    link->previous = place->previous;
    place->previous->next = link;
    place->previous = link;
}

static inline void list_push_back(struct list *list, struct list *link)
{
    list_insert_before(list, link);
}

static inline void list_push_front(struct list *list, struct list *link)
{
    list_insert_before(list->next, link);
}

static inline void list_remove(struct list *link)
{
    link->previous->next = link->next;
    link->next->previous = link->previous;
    list_link_init(link);
}

/* The first link taken out, or NULL when the list is empty. */
static inline struct list *list_pop_front(struct list *list)
{
    if (list_is_empty(list))
        return NULL;
    struct list *link = list->next;
    list_remove(link);
    return link;
}

/* Moves all links of `from` behind those of `to`; `from` is empty afterwards. */
static inline void list_splice_back(struct list *to, struct list *from)
{
    if (list_is_empty(from))
        return;
    from->next->previous = to->previous;
    from->previous->next = to;
    to->previous->next = from->next;
    to->previous = from->previous;
    list_init(from);
}

#define list_for_each(link, head)                                                                  \
    for (struct list *link = (head)->next; link != (head); link = link->next)

/* The body may remove `link`. */
#define list_for_each_safe(link, after, head)                                                      \
    for (struct list *link = (head)->next, *after = link->next; link != (head);                    \
         link = after, after = link->next)

#endif
