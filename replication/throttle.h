/*
 * A replication throttle of one loop: bytes a second that may go to, or come from, the replicas
 * that a topic lists (leader. and follower.replication.throttled.replicas). What passes is counted
 * after it has passed, so one answer may exceed the rate; the next ones then wait.
 */
#ifndef KLAMM_REPLICATION_THROTTLE_H
#define KLAMM_REPLICATION_THROTTLE_H

#include "base/rate.h"
#include "cluster/metadata/image.h"

struct throttle {
    uint64_t rate; /* this loop's share in bytes a second; UINT64_MAX: no limit */
    struct rate_meter passed;
};

/* Without a limit. */
void throttle_init(struct throttle *throttle);
/* How long what is listed waits now, to be asked again then; 0: the rate is not exceeded. */
uint64_t throttle_wait_ms(struct throttle *throttle, uint64_t now_ns);
void throttle_count(struct throttle *throttle, uint64_t now_ns, size_t size);
/*
 * Whether the setting `key` of the topic lists the partition for this broker: by
 * "partition:broker,partition:broker", or all by "*".
 */
bool throttle_lists(const struct image *image, struct view topic, struct view key,
                    int32_t partition, int32_t broker_id);

#endif
