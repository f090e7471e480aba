/*
 * One change per replica: the directory, and what follows when it does not work, or when the one
 * that it lay in is gone: what is in the new one has been started anew.
 */
#include "cluster/controller/assign_replicas_to_dirs.h"

#include "cluster/controller/eligible_leaders.h"
#include "cluster/controller/id_list.h"
#include "cluster/controller/partition_change.h"
#include "cluster/controller/partition_marks.h"

enum { DIRECTORIES_SINCE = 17 }; /* metadata.version */

typedef struct assign_replicas_to_dirs_request_directory_data asked_directory;
typedef struct assign_replicas_to_dirs_response_directory_data directory_result;
typedef struct assign_replicas_to_dirs_request_topic_data asked_topic;
typedef struct assign_replicas_to_dirs_response_topic_data topic_result;

struct assigning {
    struct decision *decision;
    struct partition_marks marks;
    const struct image_node *broker;
    struct uuid directory;
    bool is_online;
};

static void change(struct assigning *assigning, const struct image_topic *topic, int32_t index,
                   uint32_t place)
{
    struct decision *decision = assigning->decision;
    struct partition_plan plan;
    partition_plan_init(&plan, decision, topic, index);
    struct uuid before = image_partition_directory(plan.partition, place);
    struct id_list isr = id_list_of(decision, plan.target_isr, 0);
    if (!uuid_equal(before, assigning->directory)) {
        struct uuid *directories =
            decision_get(decision, plan.partition->replica_count, sizeof(*directories));
        for (uint32_t i = 0; i < plan.partition->replica_count; i++)
            directories[i] = image_partition_directory(plan.partition, i);
        directories[place] = assigning->directory;
        plan.directories = directories;
        if (!partition_directory_is_online(assigning->broker, before)) {
            /* Without eligible leaders the last in sync has to do, whatever it has. */
            if (isr.count > 1 || eligible_leaders_are_kept(decision->image))
                id_list_drop(&isr, assigning->broker->id);
            plan.target_isr = id_list_view(&isr);
            plan.broker_unclean = assigning->broker->id;
        }
    }
    if (!assigning->is_online) {
        id_list_drop(&isr, assigning->broker->id);
        plan.target_isr = id_list_view(&isr);
        plan.broker_inactive = assigning->broker->id;
    }
    struct partition_outcome outcome;
    partition_plan_apply(decision, &plan, &outcome);
}

static enum kafka_error assign(struct assigning *assigning, const struct image_topic *topic,
                               int32_t index)
{
    if (!topic)
        return KAFKA_ERROR_UNKNOWN_TOPIC_ID;
    const struct image_partition *partition = image_topic_partition(topic, index);
    if (!partition)
        return KAFKA_ERROR_UNKNOWN_TOPIC_OR_PARTITION;
    int32_t place = node_list_find(image_partition_replicas(partition), assigning->broker->id);
    if (place < 0)
        return KAFKA_ERROR_NOT_LEADER_OR_FOLLOWER;
    if (!partition_marks_add(&assigning->marks, topic, index))
        return KAFKA_ERROR_INVALID_REQUEST;
    change(assigning, topic, index, (uint32_t)place);
    return KAFKA_ERROR_NONE;
}

static void assign_topic(struct assigning *assigning, const asked_topic *asked, topic_result *out)
{
    struct decision *decision = assigning->decision;
    const struct image_topic *topic = image_topic_by_id(decision->image, asked->topic_id);
    out->topic_id = asked->topic_id;
    out->partitions = decision_get(decision, asked->partitions_count, sizeof(*out->partitions));
    out->partitions_count = asked->partitions_count;
    for (size_t i = 0; i < asked->partitions_count; i++) {
        out->partitions[i].partition_index = asked->partitions[i].partition_index;
        out->partitions[i].error_code =
            (int16_t)assign(assigning, topic, asked->partitions[i].partition_index);
    }
}

static void assign_all(struct assigning *assigning,
                       const struct assign_replicas_to_dirs_request *request,
                       struct assign_replicas_to_dirs_response *response)
{
    struct decision *decision = assigning->decision;
    response->directories =
        decision_get(decision, request->directories_count, sizeof(*response->directories));
    response->directories_count = request->directories_count;
    for (size_t i = 0; i < request->directories_count; i++) {
        const asked_directory *asked = &request->directories[i];
        directory_result *out = &response->directories[i];
        assigning->directory = asked->id;
        assigning->is_online = partition_directory_is_online(assigning->broker, asked->id);
        out->id = asked->id;
        out->topics = decision_get(decision, asked->topics_count, sizeof(*out->topics));
        out->topics_count = asked->topics_count;
        for (size_t k = 0; k < asked->topics_count; k++)
            assign_topic(assigning, &asked->topics[k], &out->topics[k]);
    }
}

void decide_assign_replicas_to_dirs(struct decision *decision,
                                    const struct assign_replicas_to_dirs_request *request,
                                    struct assign_replicas_to_dirs_response *response)
{
    assign_replicas_to_dirs_response_init(response);
    const struct image_node *broker = image_broker(decision->image, request->broker_id);
    if (image_feature_level(decision->image, VIEW_LITERAL("metadata.version")) <
        DIRECTORIES_SINCE) {
        response->error_code = KAFKA_ERROR_UNSUPPORTED_VERSION;
        return;
    }
    if (!broker || broker->epoch != request->broker_epoch) {
        response->error_code = KAFKA_ERROR_STALE_BROKER_EPOCH;
        return;
    }
    struct assigning assigning = {.decision = decision, .broker = broker};
    partition_marks_init(&assigning.marks, decision);
    assign_all(&assigning, request, response);
    partition_marks_deinit(&assigning.marks);
}
