/*
 * What classic members of type "consumer" say in their JoinGroup metadata and get as assignment:
 * ConsumerProtocolSubscription and ConsumerProtocolAssignment, each behind its version.
 *
 * A version above the newest known one is read as the newest known; newer fields come behind.
 */
#ifndef KLAMM_CONSUMER_CONSUMER_PROTOCOL_H
#define KLAMM_CONSUMER_CONSUMER_PROTOCOL_H

#include "cluster/metadata/image.h"
#include "consumer/partition_set.h"
#include "protocol/messages/consumer_protocol_assignment.h"
#include "protocol/messages/consumer_protocol_subscription.h"

/* False when it does not decode. */
bool consumer_protocol_read_subscription(struct view bytes, struct arena *arena,
                                         struct consumer_protocol_subscription *subscription);
bool consumer_protocol_read_assignment(struct view bytes, struct arena *arena,
                                       struct consumer_protocol_assignment *assignment);
/* The version in front; false when there is none. */
bool consumer_protocol_version(struct view bytes, int16_t *version);
/* An assignment by names, in the version of a member's subscription; null when memory was refused.
 * Topics that do not exist are left out. */
struct view consumer_protocol_write_assignment(const struct image *image,
                                               const struct partition_set *assigned,
                                               int16_t version, struct arena *arena);
/* The same way back: topics by name to a set; NULL when memory was refused. */
const struct partition_set *
consumer_protocol_partitions(const struct image *image,
                             const struct consumer_protocol_assignment *assignment,
                             struct arena *arena);
const struct partition_set *
consumer_protocol_owned(const struct image *image,
                        const struct consumer_protocol_subscription *subscription,
                        struct arena *arena);

#endif
