/*
 * A success answers the state after the change. The proposals of version 2 name brokers, later ones
 * brokers with epochs, of which -1 fits every incarnation. Where the change completed a
 * reassignment that took the leadership from the sender, it is told so by an error, and the change
 * stands.
 */
#include "cluster/controller/alter_partition.h"

#include "cluster/controller/partition_change.h"
#include "cluster/controller/partition_marks.h"
#include "runtime/test_point.h"

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

static bool is_recovery_legal(const struct image_partition *partition, const asked_partition *asked,
                              struct node_list isr)
{
    if (asked->leader_recovery_state == IMAGE_RECOVERED)
        return true;
    return asked->leader_recovery_state == IMAGE_RECOVERING && isr.count <= 1 &&
           partition->recovery == IMAGE_RECOVERING;
}

static bool is_eligible(const struct image *image, int32_t id, int64_t epoch)
{
    const struct image_node *broker = image_broker(image, id);
    return broker && !broker->fenced && !broker->in_controlled_shutdown &&
           (epoch == -1 || epoch == broker->epoch);
}

static bool are_eligible(const struct decision *decision, const asked_partition *asked,
                         struct node_list isr, int16_t version)
{
    bool has_epochs =
        version > 2 && !test_point_in(decision->test_points, BUG_CONTROLLER_STALE_BROKER);
    for (uint32_t i = 0; i < isr.count; i++) {
        int64_t epoch = has_epochs ? asked->new_isr_with_epochs[i].broker_epoch : -1;
        if (!is_eligible(decision->image, isr.ids[i], epoch))
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
    if (!is_isr_legal(partition, isr) || !is_recovery_legal(partition, asked, isr))
        return KAFKA_ERROR_INVALID_REQUEST;
    if (!are_eligible(decision, asked, isr, version))
        return KAFKA_ERROR_INELIGIBLE_REPLICA;
    return KAFKA_ERROR_NONE;
}

/* The state after a change that is the sender's. */
static void show_outcome(struct decision *decision, const struct partition_outcome *outcome,
                         partition_result *result)
{
    result->leader_id = outcome->leader;
    result->leader_epoch = outcome->leader_epoch;
    result->partition_epoch = outcome->partition_epoch;
    result->leader_recovery_state = (int8_t)outcome->recovery;
    result->isr = decision_get(decision, outcome->isr.count, sizeof(*result->isr));
    result->isr_count = outcome->isr.count;
    for (uint32_t i = 0; i < outcome->isr.count; i++)
        result->isr[i] = outcome->isr.ids[i];
}

struct proposal_context {
    struct decision *decision;
    struct partition_marks marks;
    int32_t broker_id;
    int16_t version;
};

static void alter(struct proposal_context *context, const struct image_topic *topic,
                  const asked_partition *asked, partition_result *result)
{
    struct decision *decision = context->decision;
    alter_partition_response_partition_data_init(result);
    result->partition_index = asked->partition_index;
    const struct image_partition *partition =
        topic ? image_topic_partition(topic, asked->partition_index) : NULL;
    struct node_list isr = proposed(decision, asked, context->version);
    enum kafka_error error = KAFKA_ERROR_UNKNOWN_TOPIC_ID;
    if (topic)
        error = check(decision, context->broker_id, partition, asked, isr, context->version);
    if (error == KAFKA_ERROR_NONE &&
        !partition_marks_add(&context->marks, topic, asked->partition_index))
        error = KAFKA_ERROR_INVALID_REQUEST;
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
    if (outcome.leader != context->broker_id)
        result->error_code = KAFKA_ERROR_NEW_LEADER_ELECTED;
    else
        show_outcome(decision, &outcome, result);
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
    struct proposal_context context = {
        .decision = decision, .broker_id = request->broker_id, .version = version};
    partition_marks_init(&context.marks, decision);
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
            alter(&context, topic, &asked->partitions[k], &out->partitions[k]);
    }
    partition_marks_deinit(&context.marks);
}
