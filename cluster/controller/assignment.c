/* A replica's directory is known when its broker has only one; else it decides by itself. */
#include "cluster/controller/assignment.h"

#include "protocol/messages/partition_record.h"

#define DIRECTORY_UNASSIGNED UUID_ONE

struct refusal assignment_check(struct decision *decision, struct node_list replicas,
                                int32_t replication_factor)
{
    struct refusal refusal = {KAFKA_ERROR_INVALID_REPLICA_ASSIGNMENT, VIEW_NULL};
    if (replicas.count == 0) {
        refusal.message = VIEW_LITERAL("a partition is given no replica at all");
        return refusal;
    }
    for (uint32_t i = 0; i < replicas.count; i++) {
        if (!image_broker(decision->image, replicas.ids[i])) {
            refusal.message = decision_text(decision,
                                            "broker %d is named as a replica and is not "
                                            "registered",
                                            replicas.ids[i]);
            return refusal;
        }
        if (node_list_find(replicas, replicas.ids[i]) != (int32_t)i) {
            refusal.message = decision_text(decision, "broker %d is named twice for one partition",
                                            replicas.ids[i]);
            return refusal;
        }
    }
    if (replication_factor >= 0 && replicas.count != (uint32_t)replication_factor) {
        refusal.message =
            decision_text(decision, "one partition is given %u replicas, the others %d",
                          replicas.count, replication_factor);
        return refusal;
    }
    return (struct refusal){KAFKA_ERROR_NONE, VIEW_NULL};
}

struct uuid assignment_directory(const struct image *image, int32_t broker_id)
{
    const struct image_node *broker = image_broker(image, broker_id);
    if (!broker || broker->directory_count != 1)
        return DIRECTORY_UNASSIGNED;
    return broker->directories[0];
}

bool assignment_add_partition(struct decision *decision, struct uuid topic_id, int32_t index,
                              struct node_list replicas)
{
    struct partition_record record;
    partition_record_init(&record);
    record.partition_id = index;
    record.topic_id = topic_id;
    record.leader_epoch = 0;
    record.partition_epoch = 0;
    record.replicas = decision_get(decision, replicas.count, sizeof(int32_t));
    record.isr = decision_get(decision, replicas.count, sizeof(int32_t));
    record.directories = decision_get(decision, replicas.count, sizeof(struct uuid));
    record.replicas_count = replicas.count;
    record.directories_count = replicas.count;
    for (uint32_t i = 0; i < replicas.count; i++) {
        record.replicas[i] = replicas.ids[i];
        record.directories[i] = assignment_directory(decision->image, replicas.ids[i]);
        if (image_broker_is_active(decision->image, replicas.ids[i]))
            record.isr[record.isr_count++] = replicas.ids[i];
    }
    if (record.isr_count == 0)
        return false;
    record.leader = record.isr[0];
    decision_add(decision, METADATA_RECORD_PARTITION, &record);
    return true;
}
