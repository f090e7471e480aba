/*
 * Who is in which fetcher. A fetcher is made when the first replica follows its leader in its mode,
 * and goes in the deferred phase after the last one has left.
 */
#include "replication/fetchers.h"

#include "base/assert.h"
#include "replication/fetcher.h"
#include "replication/fetchers_internal.h"

/* ---- What an image says ---- */

/* The version of Fetch by metadata.version, as Kafka's replicas choose it. */
static int16_t fetch_version_of(int16_t metadata_version)
{
    if (metadata_version >= 21)
        return 17;
    if (metadata_version >= 19)
        return 16;
    return metadata_version >= 10 ? 15 : 13;
}

static void show_address(struct fetcher *fetcher, const struct image *image)
{
    const struct image_node *leader = image_broker(image, fetcher->leader_id);
    const struct image_endpoint *endpoint =
        leader ? image_node_endpoint(leader, fetcher->fetchers->options.listener) : NULL;
    if (endpoint)
        fetcher_set_address(fetcher, endpoint->host, endpoint->port);
    else
        fetcher_set_address(fetcher, VIEW_NULL, 0);
}

void fetchers_show(struct fetchers *fetchers, const struct image *image, struct uuid incarnation)
{
    const struct image_node *self = image_broker(image, fetchers->options.node_id);
    bool is_registered = self && uuid_equal(self->incarnation, incarnation);
    fetchers->broker_epoch = is_registered ? self->epoch : -1;
    fetchers->fetch_version =
        fetch_version_of(image_feature_level(image, VIEW_LITERAL("metadata.version")));
    fetchers->image = image;
    list_for_each(link, &fetchers->fetchers)
    {
        struct fetcher *fetcher = container_of(link, struct fetcher, link);
        show_address(fetcher, image);
        fetcher_wake(fetcher);
    }
}

/* ---- Throttling ---- */

void fetchers_set_throttle(struct fetchers *fetchers, uint64_t rate)
{
    fetchers->throttle.rate = rate;
}

bool fetchers_is_throttled(const struct fetchers *fetchers, const struct replica *replica)
{
    return throttle_lists(fetchers->image, replica->topic,
                          VIEW_LITERAL("follower.replication.throttled.replicas"),
                          replica->partition, fetchers->options.node_id);
}

uint64_t fetchers_throttle_ms(struct fetchers *fetchers)
{
    return throttle_wait_ms(&fetchers->throttle, fetchers->options.loop->now_ns);
}

void fetchers_count_bytes(struct fetchers *fetchers, size_t size, bool is_throttled)
{
    fetchers->counters.bytes += size;
    if (is_throttled)
        throttle_count(&fetchers->throttle, fetchers->options.loop->now_ns, size);
}

/* ---- Followers ---- */

void fetchers_init(struct fetchers *fetchers, const struct fetchers_options *options)
{
    *fetchers = (struct fetchers){
        .options = *options,
        .broker_epoch = -1,
        .fetch_version = fetch_version_of(0),
    };
    list_init(&fetchers->fetchers);
    list_init(&fetchers->followers);
    throttle_init(&fetchers->throttle);
}

static struct fetcher *find_fetcher(struct fetchers *fetchers, int32_t leader_id,
                                    enum topic_durability durability)
{
    list_for_each(link, &fetchers->fetchers)
    {
        struct fetcher *fetcher = container_of(link, struct fetcher, link);
        if (fetcher->leader_id == leader_id && fetcher->durability == durability && !fetcher->main)
            return fetcher;
    }
    struct fetcher *fetcher = fetcher_create(fetchers, leader_id, durability);
    if (fetchers->image)
        show_address(fetcher, fetchers->image);
    return fetcher;
}

static void leave_fetcher(struct follower *follower)
{
    if (!follower->fetcher)
        return;
    fetcher_remove(follower->fetcher, follower);
    list_push_back(&follower->fetchers->followers, &follower->link);
}

/* Into the fetcher of its leader and of what its topic's durability is now. */
static void place(struct fetchers *fetchers, struct follower *follower, int32_t leader_id)
{
    enum topic_durability durability = replica_config(follower->replica)->durability;
    if (follower->leader_id != leader_id) {
        follower->leader_high_watermark = -1;
        follower->leader_log_start = -1;
    }
    follower->leader_id = leader_id;
    struct fetcher *fetcher = leader_id >= 0 ? find_fetcher(fetchers, leader_id, durability) : NULL;
    bool stays = fetcher && follower->fetcher &&
                 (follower->fetcher == fetcher || follower->fetcher->main == fetcher);
    if (stays)
        return;
    leave_fetcher(follower);
    if (fetcher)
        fetcher_add(fetcher, follower);
}

void fetchers_follow(struct fetchers *fetchers, struct replica *replica, int32_t leader_id)
{
    if (fetchers->is_closing)
        return;
    klamm_assert(replica->log != NULL);
    struct follower *follower = replica->follower;
    if (!follower) {
        follower = follower_create(fetchers, replica);
        list_push_back(&fetchers->followers, &follower->link);
    } else if (follower->leader_id == leader_id &&
               follower->leader_epoch == replica->leader_epoch) {
        return;
    }
    klamm_assert(follower->state != FOLLOWER_ENDING);
    place(fetchers, follower, leader_id);
    follower_begin(follower);
}

void fetchers_reconfigure(struct fetchers *fetchers, struct replica *replica)
{
    struct follower *follower = replica->follower;
    if (!follower || follower->state == FOLLOWER_ENDING)
        return;
    place(fetchers, follower, follower->leader_id);
    follower_reconfigure(follower);
}

bool fetchers_unfollow(struct fetchers *fetchers, struct replica *replica,
                       struct follower_stop *stop)
{
    struct follower *follower = replica->follower;
    (void)fetchers;
    if (!follower)
        return true;
    klamm_assert(follower->state != FOLLOWER_ENDING);
    leave_fetcher(follower);
    if (follower_is_busy(follower)) {
        follower_end(follower, stop);
        return false;
    }
    follower_destroy(follower);
    return true;
}

/* ---- Closing ---- */

static void tell_closed(struct deferred *deferred)
{
    struct fetchers *fetchers = container_of(deferred, struct fetchers, deferred);
    fetchers->closed(fetchers);
}

/* The last busy follower has gone. */
void fetchers_follower_gone(struct fetchers *fetchers)
{
    if (fetchers->is_closing && list_is_empty(&fetchers->followers))
        loop_defer(fetchers->options.loop, &fetchers->deferred);
}

void fetchers_close(struct fetchers *fetchers, void (*closed)(struct fetchers *fetchers))
{
    klamm_assert(!fetchers->is_closing);
    fetchers->is_closing = true;
    fetchers->closed = closed;
    deferred_init(&fetchers->deferred, tell_closed);
    list_for_each(link, &fetchers->fetchers)
    {
        struct fetcher *fetcher = container_of(link, struct fetcher, link);
        while (!list_is_empty(&fetcher->followers))
            leave_fetcher(container_of(fetcher->followers.next, struct follower, link));
    }
    while (!list_is_empty(&fetchers->fetchers))
        fetcher_destroy(container_of(fetchers->fetchers.next, struct fetcher, link));
    list_for_each_safe(link, after, &fetchers->followers)
    {
        struct follower *follower = container_of(link, struct follower, link);
        if (!follower_is_busy(follower))
            follower_destroy(follower);
        else if (follower->state != FOLLOWER_ENDING)
            follower_end(follower, NULL);
    }
    fetchers_follower_gone(fetchers);
}
