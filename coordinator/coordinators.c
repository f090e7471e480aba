/* Few coordinators, and they come and go rarely: a map per slot. */
#include "coordinator/coordinators.h"

#include "base/assert.h"
#include "coordinator/coordinator_internal.h"
#include "runtime/test_point.h"

struct view coordinator_slot_topic(enum coordinator_slot slot)
{
    switch (slot) {
    case COORDINATOR_GROUPS:
        return VIEW_LITERAL("__consumer_offsets");
    case COORDINATOR_TRANSACTIONS:
        return VIEW_LITERAL("__transaction_state");
    case COORDINATOR_SHARES:
        return VIEW_LITERAL("__share_group_state");
    case COORDINATOR_SLOTS:
        break;
    }
    klamm_unreachable("coordinator slot");
}

void coordinators_init(struct coordinators *coordinators, struct loop *loop, struct heap *heap,
                       struct log_shard *logs, const struct server_config *config)
{
    *coordinators = (struct coordinators){0};
    coordinator_host_init(&coordinators->host, loop, heap, logs, config);
    for (size_t i = 0; i < COORDINATOR_SLOTS; i++)
        map_init(&coordinators->slots[i].by_partition, heap, MEMORY_STATE, loop->seed);
}

void coordinators_deinit(struct coordinators *coordinators)
{
    for (size_t i = 0; i < COORDINATOR_SLOTS; i++) {
        klamm_assert(map_count(&coordinators->slots[i].by_partition) == 0);
        map_deinit(&coordinators->slots[i].by_partition);
    }
    coordinator_host_deinit(&coordinators->host);
}

void coordinators_serve(struct coordinators *coordinators, enum coordinator_slot slot,
                        const struct coordinator_kind *kind, enum compression_codec codec)
{
    klamm_assert(!kind || view_equal(kind->topic, coordinator_slot_topic(slot)));
    coordinators->slots[slot].kind = kind;
    coordinators->slots[slot].codec = codec;
}

/* The slot that serves a replica's topic, or NULL. */
static struct coordinators_slot *slot_of(struct coordinators *coordinators,
                                         const struct replica *replica)
{
    for (size_t i = 0; i < COORDINATOR_SLOTS; i++) {
        const struct coordinator_kind *kind = coordinators->slots[i].kind;
        if (kind && view_equal(kind->topic, replica->topic))
            return &coordinators->slots[i];
    }
    return NULL;
}

void coordinators_lead(struct coordinators *coordinators, struct replica *replica)
{
    struct coordinators_slot *slot = slot_of(coordinators, replica);
    if (!slot || coordinators->is_stopped || replica->state != REPLICA_LEADING)
        return;
    struct map_entry *entry =
        map_add_number(&slot->by_partition, (uint64_t)replica->partition, NULL);
    klamm_assert(entry != NULL);
    struct coordinator *found = entry->value;
    bool is_lost = test_point(coordinators->host.loop, BUG_COORDINATOR_KEEP_ANSWERING);
    if (found && found->replica == replica && !is_lost) {
        coordinator_lead(found);
        return;
    }
    if (found) /* of a topic of this name that is on its way out */
        coordinator_resign(found);
    entry->value = coordinator_create(&(struct coordinator_options){.host = &coordinators->host,
                                                                    .kind = slot->kind,
                                                                    .replica = replica,
                                                                    .image = coordinators->image,
                                                                    .codec = slot->codec});
}

void coordinators_leave(struct coordinators *coordinators, const struct replica *replica)
{
    struct coordinators_slot *slot = slot_of(coordinators, replica);
    if (!slot)
        return;
    struct coordinator *found = map_get_number(&slot->by_partition, (uint64_t)replica->partition);
    if (!found || found->replica != replica)
        return;
    map_remove_number(&slot->by_partition, (uint64_t)replica->partition);
    coordinator_resign(found);
}

void coordinators_show(struct coordinators *coordinators, const struct image *image,
                       const struct image_delta *delta)
{
    coordinators->image = image;
    for (size_t i = 0; i < COORDINATOR_SLOTS; i++) {
        map_for_each(entry, &coordinators->slots[i].by_partition)
        {
            coordinator_set_image(entry->value, image, delta);
        }
    }
}

void coordinators_stop(struct coordinators *coordinators)
{
    coordinators->is_stopped = true;
    for (size_t i = 0; i < COORDINATOR_SLOTS; i++) {
        struct map *map = &coordinators->slots[i].by_partition;
        map_for_each(entry, map)
        {
            struct coordinator *coordinator = entry->value;
            map_remove_entry(map, entry);
            coordinator_resign(coordinator);
        }
    }
}

enum kafka_error coordinators_find(const struct coordinators *coordinators,
                                   enum coordinator_slot slot, int32_t partition,
                                   struct coordinator **coordinator)
{
    *coordinator = NULL;
    struct coordinator *found =
        map_get_number(&coordinators->slots[slot].by_partition, (uint64_t)partition);
    enum kafka_error error = found ? coordinator_refusal(found) : KAFKA_ERROR_NOT_COORDINATOR;
    if (error == KAFKA_ERROR_NONE)
        *coordinator = found;
    return error;
}
