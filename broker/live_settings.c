/*
 * The control loop waits for the version after the newest each time, and compares the config
 * objects of both: images share what is equal, and the older one is held, so that pointers tell.
 */
#include "broker/live_settings.h"

#include "base/text.h"
#include "broker/cleaning.h"
#include "broker/listeners.h"
#include "broker/shard.h"
#include "broker/topic_settings.h"

static void resolve(struct broker_settings *settings, const struct broker *broker,
                    const struct image *image, struct arena *arena)
{
    struct config_layers layers = settings_layers(broker, image, VIEW_LITERAL(""), arena);
    broker_settings_resolve(settings, &layers, arena);
}

/* One shard's part of a rate. */
static uint64_t share_of(int64_t rate, const struct broker *broker)
{
    return rate == INT64_MAX ? UINT64_MAX : (uint64_t)rate / broker->shard_count;
}

void live_settings_apply_shard(struct shard *shard, const struct image *image)
{
    struct arena arena;
    struct broker_settings settings;
    const struct broker *broker = shard->broker;
    arena_init(&arena, shard->loop->heap, MEMORY_SCRATCH, 0);
    resolve(&settings, broker, image, &arena);
    shard->producers.expiration_ms = settings.producer_id_expiration_ms;
    shard->producers.is_verification_enabled = settings.transaction_partition_verification_enable;
    for (size_t i = 0; shard->directories && i < broker->directories->count; i++) {
        struct committer_options *options = &shard->directories[i].committer.options;
        if (shard->directories[i].is_failed)
            continue;
        options->flush_interval_ns = (uint64_t)settings.klamm_flush_interval_ms * 1000000;
        options->flush_bytes = (uint64_t)settings.klamm_flush_bytes;
        options->unsynced_bytes_max =
            (uint64_t)settings.klamm_unflushed_max_bytes / broker->shard_count;
    }
    if (shard->directories) {
        struct cleaner_options cleaning = cleaning_options(&settings);
        cleaner_set_options(&shard->cleaner, &cleaning);
    }
    fetchers_set_throttle(&shard->fetchers,
                          share_of(settings.follower_replication_throttled_rate, broker));
    shard->throttle.rate = share_of(settings.leader_replication_throttled_rate, broker);
    arena_deinit(&arena);
}

static const struct image_config *own_entries(const struct live_settings *live,
                                              const struct image *image)
{
    char text[16];
    struct text_builder id;
    text_builder_init(&id, text, sizeof(text));
    text_append_i64(&id, live->broker->config->node_id);
    return image_config(image, CONFIG_RESOURCE_BROKER, text_builder_view(&id));
}

static bool has_changed(const struct live_settings *live, const struct image *image)
{
    struct view cluster = VIEW_LITERAL("");
    return !live->seen || own_entries(live, live->seen) != own_entries(live, image) ||
           image_config(live->seen, CONFIG_RESOURCE_BROKER, cluster) !=
               image_config(image, CONFIG_RESOURCE_BROKER, cluster);
}

static void apply_control(struct live_settings *live, const struct image *image)
{
    struct arena arena;
    struct broker_settings settings;
    arena_init(&arena, live->listeners->loop->heap, MEMORY_SCRATCH, 0);
    resolve(&settings, live->broker, image, &arena);
    listeners_set_limits(live->listeners, &settings);
    cleaner_permits_set_limit(live->cleaning, cleaning_permit_count(&settings));
    arena_deinit(&arena);
}

static void look(struct live_settings *live);

static void shown(struct publisher_waiter *waiter)
{
    look(container_of(waiter, struct live_settings, next));
}

static void look(struct live_settings *live)
{
    const struct image *image = live->publisher->current;
    if (has_changed(live, image))
        apply_control(live, image);
    image_acquire(image);
    if (live->seen)
        image_release(live->seen);
    live->seen = image;
    live->next = (struct publisher_waiter){.version = image->version + 1, .shown = shown};
    publisher_wait(live->publisher, &live->next);
}

void live_settings_start(struct live_settings *live, struct publisher *publisher,
                         struct listeners *listeners, struct cleaner_permits *cleaning,
                         const struct broker *broker)
{
    *live = (struct live_settings){
        .publisher = publisher, .listeners = listeners, .cleaning = cleaning, .broker = broker};
    look(live);
}

void live_settings_stop(struct live_settings *live)
{
    if (!live->seen)
        return;
    list_remove(&live->next.link);
    image_release(live->seen);
    live->seen = NULL;
}
