/*
 * A publication is one version on its way: a message per shard (loops 1 to n), the image, the
 * delta, and a count of messages that are still out. A message's `deliver` is set to the shard side
 * before it leaves and to the control side before it comes home. Publications are retired from the
 * front of the list, so that the version before is released only when no shard can still show it.
 */
#include "cluster/metadata/publisher.h"

#include "base/assert.h"

struct image_publication {
    struct list link;
    const struct image *image;
    struct image_delta *delta;
    unsigned outstanding; /* messages that are not back */
    unsigned update_count;
    struct image_update updates[];
};

static size_t publication_size(unsigned update_count)
{
    return sizeof(struct image_publication) + update_count * sizeof(struct image_update);
}

static void tell_waiters(struct deferred *deferred)
{
    struct publisher *publisher = container_of(deferred, struct publisher, tell);
    while (!list_is_empty(&publisher->waiters)) {
        struct publisher_waiter *waiter =
            container_of(publisher->waiters.next, struct publisher_waiter, link);
        if (waiter->version > publisher->shown_version)
            return;
        list_remove(&waiter->link);
        waiter->shown(waiter);
    }
}

/* Retires finished publications from the front. */
static void retire(struct publisher *publisher)
{
    while (!list_is_empty(&publisher->publications)) {
        struct image_publication *publication =
            container_of(publisher->publications.next, struct image_publication, link);
        if (publication->outstanding > 0)
            break;
        list_remove(&publication->link);
        publisher->shown_version = publication->image->version;
        struct heap *heap = publisher->loop->heap;
        if (publication->delta) {
            image_release(publication->delta->before);
            image_delta_destroy(heap, publication->delta);
        }
        image_release(publication->image);
        heap_put(heap, MEMORY_STATE, publication, publication_size(publication->update_count));
    }
    loop_defer(publisher->loop, &publisher->tell);
}

static void update_home(struct message *message, struct loop *at)
{
    (void)at;
    struct image_update *update = container_of(message, struct image_update, message);
    struct publisher *publisher = update->publisher;
    klamm_assert(update->publication->outstanding > 0);
    update->publication->outstanding--;
    retire(publisher);
}

static void update_arrived(struct message *message, struct loop *at)
{
    struct image_update *update = container_of(message, struct image_update, message);
    update->at = at;
    update->publisher->apply(update, at);
}

void image_update_shown(struct image_update *update)
{
    update->message.deliver = update_home;
    loop_post(update->at, 0, &update->message);
}

void publisher_init(struct publisher *publisher, struct loop *control, const struct image *empty,
                    image_apply apply)
{
    *publisher = (struct publisher){
        .loop = control, .apply = apply, .current = empty, .shown_version = empty->version};
    list_init(&publisher->publications);
    list_init(&publisher->waiters);
    deferred_init(&publisher->tell, tell_waiters);
}

void publisher_deinit(struct publisher *publisher)
{
    klamm_assert(list_is_empty(&publisher->publications));
    image_release(publisher->current);
    publisher->current = NULL;
}

void publisher_publish(struct publisher *publisher, const struct image *image,
                       struct image_delta *delta)
{
    klamm_assert(image->version > publisher->current->version);
    struct heap *heap = publisher->loop->heap;
    unsigned shards = publisher->loop->count - 1;
    struct image_publication *publication =
        heap_must_get(heap, MEMORY_STATE, publication_size(shards));
    publication->image = image;
    publication->delta = delta;
    publication->outstanding = shards;
    publication->update_count = shards;
    image_acquire(image);
    image_acquire(delta->before);
    image_release(publisher->current);
    publisher->current = image;
    list_push_back(&publisher->publications, &publication->link);
    for (unsigned i = 0; i < shards; i++) {
        struct image_update *update = &publication->updates[i];
        update->publisher = publisher;
        update->publication = publication;
        update->image = image;
        update->delta = delta;
        update->message.deliver = update_arrived;
        loop_post(publisher->loop, i + 1, &update->message);
    }
    if (shards == 0)
        retire(publisher);
}

void publisher_wait(struct publisher *publisher, struct publisher_waiter *waiter)
{
    struct list *place = &publisher->waiters;
    while (place->previous != &publisher->waiters &&
           container_of(place->previous, struct publisher_waiter, link)->version > waiter->version)
        place = place->previous;
    list_insert_before(place, &waiter->link);
    loop_defer(publisher->loop, &publisher->tell);
}
