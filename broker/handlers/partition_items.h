/*
 * Requests about single partitions: every partition is an item, the items of one shard are one
 * part. The handler embeds struct partition_item in its own items, places them at home, and gets
 * them one by one on the owner, with the replica.
 *
 * Invariants:
 *  1. An item is touched at home until its part is posted, on the owner until its part is done.
 *  2. Every item that was handed to the handler's function ends with partition_item_done once; the
 *     part goes home with its last item.
 */
#ifndef KLAMM_BROKER_HANDLERS_PARTITION_ITEMS_H
#define KLAMM_BROKER_HANDLERS_PARTITION_ITEMS_H

#include "broker/request.h"
#include "replication/replica.h"

struct partition_part;

struct partition_item {
    struct partition_part *part; /* NULL: refused at home */
    struct partition_item *next; /* of the same part */
    struct uuid topic_id;
    int32_t partition;
    int32_t leader_epoch; /* that the requester knows; -1: it does not say */
    enum kafka_error error;
};

struct partition_part {
    struct part part;
    struct partition_item *first;
    struct partition_item **last;
    unsigned waiting; /* items that are not done, and one while the part begins */
    struct loop *at;
};

/* The parts of one request; zeroed at first. */
struct partition_items {
    struct partition_part *parts[LOOP_COUNT_MAX]; /* by loop index */
};

/*
 * Gives the item to the shard that owns the partition. UNKNOWN_TOPIC_OR_PARTITION when there is
 * none: the item then stays at home with this error, which is returned.
 */
enum kafka_error partition_items_place(struct request *request, struct partition_items *items,
                                       struct partition_item *item, struct view topic,
                                       int32_t partition, int32_t leader_epoch);
/* Posts the parts and awaits them: the end of split. */
void partition_items_post(struct request *request, struct partition_items *items);
/*
 * The body of a row's `part`: hands every item to `work` with its replica, which leads and whose
 * epoch is the item's. Items without such a replica are done with the error (KIP-320).
 */
void partition_part_run(struct part *part, struct loop *at,
                        void (*work)(struct partition_item *item, struct replica *replica));
/* The same for what a follower knows as well: the replica leads or follows. */
void partition_part_run_any(struct part *part, struct loop *at,
                            void (*work)(struct partition_item *item, struct replica *replica));
/* On the owner: the item is finished. */
void partition_item_done(struct partition_item *item);
/* In join: what to answer; REQUEST_TIMED_OUT, and nothing else to be read, while it is out. */
enum kafka_error partition_item_answer(const struct partition_item *item);

#endif
