/*
 * Applying an image. Deletions come first, then creations and changes of leadership, then settings.
 * Opening a partition is a job; the update stays open until all its jobs have ended. Updates that
 * arrive meanwhile wait in shard->updates.
 *
 * Until an image shows the registration of this process, what earlier images say of its leadership
 * was said to a process that is gone, perhaps with the end of its logs: nothing is led by them. The
 * first image with the registration makes up for it, as a second step.
 */
#include "broker/shard_metadata.h"

#include "base/assert.h"
#include "broker/directory_notes.h"
#include "broker/live_settings.h"
#include "broker/partition_open.h"
#include "broker/partition_role.h"
#include "broker/shard.h"
#include "broker/shard_stop.h"
#include "broker/topic_settings.h"

struct shard_update {
    struct list link;
    struct shard *shard;
    struct image_update *update;
    unsigned pending; /* partitions being opened or changing roles, and one for the walk itself */
    struct directory_notes *notes; /* where replicas lie otherwise than the image says */
    bool begins_leading;           /* the second step is still to come */
};

static void begin_next(struct shard *shard);
static void lead_all(struct shard *shard, struct shard_update *current);

static void one_less(struct shard *shard, struct shard_update *current)
{
    if (--current->pending > 0)
        return;
    if (current->begins_leading) {
        lead_all(shard, current);
        return;
    }
    struct image_update *update = current->update;
    directory_notes_send(&current->notes, shard);
    list_remove(&current->link);
    heap_put(shard->loop->heap, MEMORY_STATE, current, sizeof(*current));
    shard->image = update->image;
    if (update->delta->broker_count > 0)
        peer_channels_show(&shard->peers, update->image);
    coordinators_show(&shard->coordinators, update->image, update->delta);
    image_update_shown(update);
    begin_next(shard);
}

static void role_taken(void *context)
{
    struct shard_update *current = context;
    one_less(current->shard, current);
}

/* Takes the role that the image gives this broker; without a state the partition is removed. */
static void take_role(struct shard *shard, struct shard_update *current, struct replica *replica,
                      const struct image_partition *state)
{
    current->pending++;
    if (partition_role_take(shard, replica, state, role_taken, current))
        one_less(shard, current);
}

/* What earlier images gave this broker to lead, and this one still does. */
static void lead_all(struct shard *shard, struct shard_update *current)
{
    current->begins_leading = false;
    current->pending = 1;
    list_for_each_safe(link, after, &shard->replicas.replicas)
    {
        struct replica *replica = container_of(link, struct replica, link);
        const struct image_topic *topic =
            image_topic_by_id(current->update->image, replica->topic_id);
        const struct image_partition *state =
            topic ? image_topic_partition(topic, replica->partition) : NULL;
        bool is_ours = state && state->leader == shard->broker->config->node_id;
        if (is_ours && replica->state == REPLICA_FOLLOWING)
            take_role(shard, current, replica, state);
    }
    one_less(shard, current);
}

static void partition_opened(struct partition_open *open)
{
    struct shard_update *current = open->context;
    if (open->replica) {
        directory_notes_take(&current->notes, open->shard, current->update->image, open->replica,
                             open->state);
        take_role(open->shard, current, open->replica, open->state);
    }
    one_less(open->shard, current);
}

static void add_partition(struct shard *shard, struct shard_update *current,
                          const struct image_topic *topic,
                          const struct image_partition_change *change)
{
    const struct image_partition *state = change->after;
    int32_t place = node_list_find(image_partition_replicas(state), shard->broker->config->node_id);
    klamm_assert(place >= 0);
    struct topic_config config;
    topic_settings_resolve(&config, shard->broker, current->update->image, topic->name,
                           shard->loop->heap);
    struct replica *replica =
        replica_create(&shard->replica_host, topic->name, topic->id, change->index, &config);
    replica_table_add(&shard->replicas, replica);
    current->pending++;
    partition_open_start(shard, replica, state, image_partition_directory(state, (uint32_t)place),
                         partition_opened, current);
}

static void apply_topic(struct shard *shard, struct shard_update *current,
                        const struct image_topic_change *topic)
{
    uint32_t cursor = 0;
    struct image_partition_change change;
    while (image_topic_change_next(topic, &cursor, &change)) {
        unsigned owner = shard_of_partition(shard->broker, topic->id, change.index);
        if (owner != shard->loop->index)
            continue;
        struct replica *replica = replica_table_find(&shard->replicas, topic->id, change.index);
        /* Assigned to others only is as good as deleted, for this broker. */
        int32_t self = shard->broker->config->node_id;
        bool is_here =
            change.after && node_list_contains(image_partition_replicas(change.after), self);
        if (replica && is_here)
            directory_notes_take(&current->notes, shard, current->update->image, replica,
                                 change.after);
        if (replica)
            take_role(shard, current, replica, is_here ? change.after : NULL);
        else if (is_here)
            add_partition(shard, current, topic->after, &change);
    }
}

static void reconfigure(struct shard *shard, const struct image *image, struct replica *replica)
{
    struct topic_config config;
    topic_settings_resolve(&config, shard->broker, image, replica->topic, shard->loop->heap);
    replica_set_config(replica, &config);
    fetchers_reconfigure(&shard->fetchers, replica);
}

static void reconfigure_all(struct shard *shard, const struct image *image)
{
    live_settings_apply_shard(shard, image);
    list_for_each(link, &shard->replicas.replicas)
    {
        reconfigure(shard, image, container_of(link, struct replica, link));
    }
}

static void reconfigure_topic(struct shard *shard, const struct image *image, struct view name)
{
    const struct image_topic *topic = image_topic_by_name(image, name);
    for (uint32_t i = 0; topic && i < topic->partition_count; i++) {
        struct replica *replica = replica_table_find(&shard->replicas, topic->id, (int32_t)i);
        if (replica)
            reconfigure(shard, image, replica);
    }
}

/* A broker resource changes the defaults of every topic, a topic resource its own partitions. */
static void apply_configs(struct shard *shard, const struct image_update *update)
{
    const struct image_delta *delta = update->delta;
    bool all = false;
    for (uint32_t i = 0; i < delta->config_count; i++)
        all |= delta->configs[i].type == CONFIG_RESOURCE_BROKER;
    if (all) {
        reconfigure_all(shard, update->image);
        return;
    }
    for (uint32_t i = 0; i < delta->config_count; i++) {
        if (delta->configs[i].type == CONFIG_RESOURCE_TOPIC)
            reconfigure_topic(shard, update->image, delta->configs[i].name);
    }
}

/* Whether this image is the first one that shows the registration of this process. */
static bool notice_registration(struct shard *shard, const struct image *image)
{
    const struct image_node *self = image_broker(image, shard->broker->config->node_id);
    bool was_registered = shard->was_registered;
    shard->was_registered |= self && uuid_equal(self->incarnation, shard->broker->incarnation);
    return shard->was_registered && !was_registered;
}

static void begin_next(struct shard *shard)
{
    if (list_is_empty(&shard->updates))
        return;
    struct shard_update *current = container_of(shard->updates.next, struct shard_update, link);
    if (current->pending > 0)
        return;
    current->pending = 1;
    /* A shard that has closed its logs shows what comes and opens none of it. */
    bool is_open = !shard->stop || shard->stop->step == SHARD_STOP_CONNECTIONS;
    const struct image_delta *delta = is_open ? current->update->delta : NULL;
    current->begins_leading = notice_registration(shard, current->update->image) && is_open;
    if (is_open)
        fetchers_show(&shard->fetchers, current->update->image, shard->broker->incarnation);
    for (uint32_t i = 0; delta && i < delta->topic_count; i++)
        apply_topic(shard, current, &delta->topics[i]);
    if (delta && shard->image)
        apply_configs(shard, current->update);
    else if (!shard->image)
        live_settings_apply_shard(shard, current->update->image);
    one_less(shard, current);
}

const struct image *shard_newest_image(const struct shard *shard)
{
    if (list_is_empty(&shard->updates))
        return shard->image;
    return container_of(shard->updates.previous, struct shard_update, link)->update->image;
}

void shard_apply_image(struct image_update *update, struct loop *loop)
{
    struct shard *shard = shard_of(loop);
    struct shard_update *queued = heap_must_get(loop->heap, MEMORY_STATE, sizeof(*queued));
    queued->notes = NULL;
    queued->shard = shard;
    queued->update = update;
    list_push_back(&shard->updates, &queued->link);
    if (shard->updates.next == &queued->link)
        begin_next(shard);
}
