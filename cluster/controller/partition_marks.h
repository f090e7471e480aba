/*
 * Which partitions a request has named so far. Two changes of one partition in one decision would
 * both be computed from the same image, and the second would undo half of the first; so a partition
 * that is named again is refused, or left alone.
 */
#ifndef KLAMM_CLUSTER_CONTROLLER_PARTITION_MARKS_H
#define KLAMM_CLUSTER_CONTROLLER_PARTITION_MARKS_H

#include "base/map.h"
#include "cluster/controller/decision.h"

struct partition_marks {
    struct decision *decision;
    struct map topics; /* id -> a bit per partition, in the decision's arena */
};

void partition_marks_init(struct partition_marks *marks, struct decision *decision);
/* False when the partition, which must exist, was marked before. */
bool partition_marks_add(struct partition_marks *marks, const struct image_topic *topic,
                         int32_t index);
void partition_marks_deinit(struct partition_marks *marks);

#endif
