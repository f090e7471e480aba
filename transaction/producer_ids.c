/* Who waits is served in the order of arrival; when a block is used up in between, the rest waits
   for the next one. */
#include "transaction/producer_ids.h"

#include "base/assert.h"

void producer_ids_init(struct producer_ids *ids, void (*ask)(struct producer_ids *ids))
{
    *ids = (struct producer_ids){.ask = ask};
    list_init(&ids->waiting);
}

bool producer_ids_take(struct producer_ids *ids, int64_t *id)
{
    if (ids->next == ids->end)
        return false;
    *id = ids->next++;
    return true;
}

static void ask(struct producer_ids *ids)
{
    if (ids->is_asking)
        return;
    ids->is_asking = true;
    ids->ask(ids);
}

void producer_ids_await(struct producer_ids *ids, struct producer_id_wait *wait)
{
    list_push_back(&ids->waiting, &wait->link);
    ask(ids);
}

void producer_ids_forget(struct producer_id_wait *wait)
{
    list_remove(&wait->link);
}

static struct producer_id_wait *pop(struct producer_ids *ids)
{
    struct list *link = list_pop_front(&ids->waiting);
    return link ? container_of(link, struct producer_id_wait, link) : NULL;
}

void producer_ids_given(struct producer_ids *ids, int64_t first, int32_t count)
{
    klamm_assert(ids->is_asking);
    klamm_assert(first >= ids->end);
    klamm_assert(count > 0);
    ids->is_asking = false;
    ids->next = first;
    ids->end = first + count;
    struct producer_id_wait *wait;
    while (ids->next < ids->end && (wait = pop(ids)))
        wait->ready(wait, true);
    if (!list_is_empty(&ids->waiting))
        ask(ids);
}

void producer_ids_refused(struct producer_ids *ids)
{
    klamm_assert(ids->is_asking);
    ids->is_asking = false;
    /* Those that come again at once wait for the next attempt. */
    struct list refused;
    list_init(&refused);
    list_splice_back(&refused, &ids->waiting);
    struct list *link;
    while ((link = list_pop_front(&refused))) {
        struct producer_id_wait *wait = container_of(link, struct producer_id_wait, link);
        wait->ready(wait, false);
    }
}
