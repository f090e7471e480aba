/*
 * A success answers the state after the change. The proposals of version 2 name brokers, later ones
 * brokers with epochs, of which -1 fits every incarnation.
 */
#include "cluster/controller/alter_partition.h"

#include "cluster/controller/partition_change.h"

typedef struct alter_partition_request_partition_data asked_partition;
typedef struct alter_partition_response_partition_data partition_result;

static struct node_list proposed(struct decision *decision, const asked_partition *asked,
                                 int16_t version)
{
    if (version <= 2)
        return (struct node_list){asked->new_isr, (uint32_t)asked->new_isr_count};
    int32_t *ids = decision_get(decision, asked->new_isr_with_epochs_count, sizeof(*ids));
    for (size_t i = 0; i < asked->new_isr_with_epochs_count; i++)
        ids[i] = asked->new_isr_with_epochs[i].broker_id;
    return (struct node_list){ids, (uint32_t)asked->new_isr_with_epochs_count};
}

static bool is_isr_legal(const struct image_partition *partition, struct node_list isr)
{
    for (uint32_t i = 0; i < isr.count; i++) {
        if (!node_list_contains(image_partition_replicas(partition), isr.ids[i]) ||
            node_list_find(isr, isr.ids[i]) != (int32_t)i)
            return false;
    }
    return node_list_contains(isr, partition->leader);
}

static bool is_eligible(const struct image *image, int32_t id, int64_t epoch)
{
    const struct image_node *broker = image_broker(image, id);
    return broker && !broker->fenced && !broker->in_controlled_shutdown &&
           (epoch == -1 || epoch == broker->epoch);
}

static bool are_eligible(const struct image *image, const asked_partition *asked,
                         struct node_list isr, int16_t version)
{
    for (uint32_t i = 0; i < isr.count; i++) {
        int64_t epoch = version <= 2 ? -1 : asked->new_isr_with_epochs[i].broker_epoch;
        if (!is_eligible(image, isr.ids[i], epoch))
            return false;
    }
    return true;
}

static enum kafka_error check(const struct decision *decision, int32_t broker_id,
                              const struct image_partition *partition, const asked_partition *asked,
                              struct node_list isr, int16_t version)
{
    if (!partition)
        return KAFKA_ERROR_UNKNOWN_TOPIC_OR_PARTITION;
    if (asked->leader_epoch > partition->leader_epoch ||
        asked->partition_epoch > partition->partition_epoch)
        return KAFKA_ERROR_NOT_CONTROLLER;
    if (asked->leader_epoch < partition->leader_epoch)
        return KAFKA_ERROR_FENCED_LEADER_EPOCH;
    if (broker_id != partition->leader)
        return KAFKA_ERROR_INVALID_REQUEST;
    if (asked->partition_epoch < partition->partition_epoch)
        return KAFKA_ERROR_INVALID_UPDATE_VERSION;
    if (!is_isr_legal(partition, isr))
        return KAFKA_ERROR_INVALID_REQUEST;
    bool is_recovering = asked->leader_recovery_state == IMAGE_RECOVERING;
    if (is_recovering && (isr.count > 1 || partition->recovery == IMAGE_RECOVERED))
        return KAFKA_ERROR_INVALID_REQUEST;
    if (!are_eligible(decision->image, asked, isr, version))
        return KAFKA_ERROR_INELIGIBLE_REPLICA;
    return KAFKA_ERROR_NONE;
}

static void alter(struct decision *decision, int32_t broker_id, const struct image_topic *topic,
                  const asked_partition *asked, int16_t version, partition_result *result)
{
    alter_partition_response_partition_data_init(result);
    result->partition_index = asked->partition_index;
    const struct image_partition *partition =
        topic ? image_topic_partition(topic, asked->partition_index) : NULL;
    struct node_list isr = proposed(decision, asked, version);
    enum kafka_error error = topic ? check(decision, broker_id, partition, asked, isr, version)
                                   : KAFKA_ERROR_UNKNOWN_TOPIC_ID;
    result->error_code = (int16_t)error;
    if (error != KAFKA_ERROR_NONE)
        return;
    struct partition_plan plan;
    partition_plan_init(&plan, decision, topic, asked->partition_index);
    plan.target_isr = isr;
    plan.is_recovery_given = true;
    plan.recovery =
        asked->leader_recovery_state == IMAGE_RECOVERING ? IMAGE_RECOVERING : IMAGE_RECOVERED;
    struct partition_outcome outcome;
    partition_plan_apply(decision, &plan, &outcome);
    result->leader_id = outcome.leader;
    result->leader_epoch = outcome.leader_epoch;
    result->partition_epoch = outcome.partition_epoch;
    result->leader_recovery_state = (int8_t)outcome.recovery;
    result->isr = decision_get(decision, outcome.isr.count, sizeof(*result->isr));
    result->isr_count = outcome.isr.count;
    for (uint32_t i = 0; i < outcome.isr.count; i++)
        result->isr[i] = outcome.isr.ids[i];
}

void decide_alter_partition(struct decision *decision,
                            const struct alter_partition_request *request, int16_t version,
                            struct alter_partition_response *response)
{
    alter_partition_response_init(response);
    const struct image_node *broker = image_broker(decision->image, request->broker_id);
    if (!broker || broker->epoch != request->broker_epoch) {
        response->error_code = KAFKA_ERROR_STALE_BROKER_EPOCH;
        return;
    }
    response->topics = decision_get(decision, request->topics_count, sizeof(*response->topics));
    response->topics_count = request->topics_count;
    for (size_t i = 0; i < request->topics_count; i++) {
        const struct alter_partition_request_topic_data *asked = &request->topics[i];
        struct alter_partition_response_topic_data *out = &response->topics[i];
        const struct image_topic *topic = image_topic_by_id(decision->image, asked->topic_id);
        out->topic_id = asked->topic_id;
        out->partitions = decision_get(decision, asked->partitions_count, sizeof(*out->partitions));
        out->partitions_count = asked->partitions_count;
        for (size_t k = 0; k < asked->partitions_count; k++)
            alter(decision, request->broker_id, topic, &asked->partitions[k], version,
                  &out->partitions[k]);
    }
}
