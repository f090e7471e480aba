/*
 * An item that waits (a lookup in a cold segment) keeps its part on the owner; the others of the
 * part wait with it, because the answer leaves only when all are home.
 */
#include "broker/handlers/partition_items.h"

#include "broker/shard.h"
#include "broker/topic_lookup.h"

enum kafka_error partition_items_place(struct request *request, struct partition_items *items,
                                       struct partition_item *item, struct view topic,
                                       int32_t partition, int32_t leader_epoch)
{
    const struct image_topic *found;
    item->partition = partition;
    item->leader_epoch = leader_epoch;
    item->error =
        topic_lookup(request->shard->image, false, (struct uuid){{0}}, topic, partition, &found);
    if (item->error != KAFKA_ERROR_NONE)
        return item->error;
    item->topic_id = found->id;
    unsigned target = shard_of_partition(request->shard->broker, found->id, partition);
    struct partition_part *part = items->parts[target];
    if (!part) {
        part = request_add_part(request, sizeof(*part));
        part->last = &part->first;
        items->parts[target] = part;
    }
    item->part = part;
    *part->last = item;
    part->last = &item->next;
    return KAFKA_ERROR_NONE;
}

void partition_items_post(struct request *request, struct partition_items *items)
{
    for (unsigned i = 1; i <= request->shard->broker->shard_count; i++)
        if (items->parts[i])
            request_post_part(request, &items->parts[i]->part, i);
    request_await_parts(request);
}

static void run(struct part *base, struct loop *at,
                enum kafka_error (*check)(const struct replica *replica, int32_t leader_epoch),
                void (*work)(struct partition_item *item, struct replica *replica))
{
    struct partition_part *part = container_of(base, struct partition_part, part);
    const struct shard *shard = shard_of(at);
    part->at = at;
    part->waiting = 1;
    for (const struct partition_item *item = part->first; item; item = item->next)
        part->waiting++;
    for (struct partition_item *item = part->first; item; item = item->next) {
        struct replica *replica =
            replica_table_find(&shard->replicas, item->topic_id, item->partition);
        item->error =
            replica ? check(replica, item->leader_epoch) : KAFKA_ERROR_NOT_LEADER_OR_FOLLOWER;
        if (item->error == KAFKA_ERROR_NONE)
            work(item, replica);
        else
            partition_item_done(item);
    }
    if (--part->waiting == 0)
        part_done(&part->part, at);
}

void partition_part_run(struct part *part, struct loop *at,
                        void (*work)(struct partition_item *item, struct replica *replica))
{
    run(part, at, replica_check, work);
}

void partition_part_run_any(struct part *part, struct loop *at,
                            void (*work)(struct partition_item *item, struct replica *replica))
{
    run(part, at, replica_check_any, work);
}

void partition_item_done(struct partition_item *item)
{
    struct partition_part *part = item->part;
    if (--part->waiting == 0)
        part_done(&part->part, part->at);
}

enum kafka_error partition_item_answer(const struct partition_item *item)
{
    return item->part && !item->part->part.is_home ? KAFKA_ERROR_REQUEST_TIMED_OUT : item->error;
}
