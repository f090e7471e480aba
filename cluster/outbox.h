/*
 * Items, each of one partition, on their way to the active controller: what the senders of this
 * folder share (isr_sender.h, directory_sender.h).
 *
 * One request is in flight, with what its owner took into it. An item that is not removed while its
 * answer is read is sent again, before those that came since. The owner says what goes into a
 * request, which answers end an item, and how long the pause is before the others are sent again.
 * Control loop only.
 *
 * Invariants:
 *  1. There is one item per partition in `queued` and `sent` together, the one in `by_partition`.
 *  2. Nothing of the owner is called inside outbox_add, outbox_refuse or outbox_send.
 *  3. A refused item, and after outbox_close every item, ends with a call of `drop`; those of a
 *     request that runs on this node itself after its answer.
 */
#ifndef KLAMM_CLUSTER_OUTBOX_H
#define KLAMM_CLUSTER_OUTBOX_H

#include "base/arena.h"
#include "base/map.h"
#include "base/uuid.h"
#include "cluster/controller_channel.h"

enum { OUTBOX_KEY_SIZE = UUID_SIZE + 4 };

/* Embedded by whoever waits. */
struct outbox_item {
    struct list link;
    uint8_t key[OUTBOX_KEY_SIZE];
    bool is_sent; /* in the request under way */
};

struct outbox;

/* What the owner is asked; the same for all outboxes of one request. */
struct outbox_kind {
    const struct channel_call *api;
    int16_t version_min;
    int16_t version_max;
    const char *not_yet; /* what the log says while requests fail */
    enum kafka_error (*error_of)(const void *response);
    /* Something is queued and may leave: outbox_take, then outbox_send; or outbox_pause. */
    void (*ask)(struct outbox *outbox);
    /*
     * The answer without an error of its own, which ends items with outbox_remove; or NULL, when
     * there was none or the request was refused (`is_hopeless`: nobody there understands it).
     * Returns the pause before anything else is sent, 0: none. It counts if items are left.
     */
    uint64_t (*answered)(struct outbox *outbox, const void *response, bool is_hopeless);
    /* Takes the item out with outbox_remove. */
    void (*drop)(struct outbox *outbox, struct outbox_item *item);
};

struct outbox {
    const struct outbox_kind *kind;
    struct loop *loop;
    struct controller_channel *channel;
    struct list queued;  /* items to be sent, oldest first */
    struct list sent;    /* in the request under way */
    struct list refused; /* to be dropped in the deferred phase */
    struct map by_partition;
    struct controller_call call;
    bool is_asking;
    bool is_closed;
    struct arena arena; /* of the request; the owner resets it when it builds one */
    struct timer retry; /* nothing is sent while it is set */
    struct deferred pump;
    int16_t last_error; /* of whole requests; each kind is logged once */
};

/* `channel` is used for nothing else; both stay where they are. */
void outbox_init(struct outbox *outbox, const struct outbox_kind *kind, struct loop *loop,
                 struct controller_channel *channel);
/* NULL: none. */
struct outbox_item *outbox_find(const struct outbox *outbox, struct uuid topic_id,
                                int32_t partition);
/* False, and nothing happens: the partition has an item already, or the outbox is closed. */
bool outbox_add(struct outbox *outbox, struct outbox_item *item, struct uuid topic_id,
                int32_t partition);
/* Drops, in the deferred phase, an item that outbox_add did not take. */
void outbox_refuse(struct outbox *outbox, struct outbox_item *item);
/* The item leaves, wherever it is; its memory is the owner's again. */
void outbox_remove(struct outbox *outbox, struct outbox_item *item);

/* Inside `ask`: moves the oldest queued item to the end of `sent`. */
struct outbox_item *outbox_take(struct outbox *outbox);
/* Inside `ask`: sends the request; `message` stays in place until the answer. */
void outbox_send(struct outbox *outbox, const void *message);
/* Nothing is sent for so long, unless a pause runs already. */
void outbox_pause(struct outbox *outbox, uint64_t delay_ns);

/* Drops everything, also what is refused later. The channel is closed before. */
void outbox_close(struct outbox *outbox);

#endif
