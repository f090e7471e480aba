/* A reassignment under way is one that still adds or removes a replica. */
#include "cluster/controller/list_reassignments.h"

typedef struct list_partition_reassignments_response_ongoing_topic_reassignment topic_result;
typedef struct list_partition_reassignments_response_ongoing_partition_reassignment
    partition_result;

static int32_t *copy(struct decision *decision, struct node_list list, size_t *count)
{
    int32_t *ids = decision_get(decision, list.count, sizeof(*ids));
    for (uint32_t i = 0; i < list.count; i++)
        ids[i] = list.ids[i];
    *count = list.count;
    return ids;
}

/* Adds the partition when it moves; `room` is the most that may be added. */
static void list_partition(struct decision *decision, const struct image_topic *topic,
                           int32_t index, size_t room, topic_result *out)
{
    const struct image_partition *partition = image_topic_partition(topic, index);
    if (!partition || (partition->adding_count == 0 && partition->removing_count == 0))
        return;
    if (!out->partitions)
        out->partitions = decision_get(decision, room, sizeof(*out->partitions));
    struct partition_state state = image_partition_state(partition);
    partition_result *result = &out->partitions[out->partitions_count++];
    result->partition_index = index;
    result->replicas = copy(decision, state.replicas, &result->replicas_count);
    result->adding_replicas = copy(decision, state.adding, &result->adding_replicas_count);
    result->removing_replicas = copy(decision, state.removing, &result->removing_replicas_count);
}

static void list_asked(struct decision *decision,
                       const struct list_partition_reassignments_request *request,
                       struct list_partition_reassignments_response *response)
{
    response->topics = decision_get(decision, request->topics_count, sizeof(*response->topics));
    for (size_t i = 0; i < request->topics_count; i++) {
        const struct image_topic *topic =
            image_topic_by_name(decision->image, request->topics[i].name);
        topic_result *out = &response->topics[response->topics_count];
        *out = (topic_result){.name = request->topics[i].name};
        size_t count = topic ? request->topics[i].partition_indexes_count : 0;
        for (size_t k = 0; k < count; k++)
            list_partition(decision, topic, request->topics[i].partition_indexes[k], count, out);
        response->topics_count += out->partitions_count > 0;
    }
}

static void list_all(struct decision *decision,
                     struct list_partition_reassignments_response *response)
{
    response->topics =
        decision_get(decision, decision->image->topics_by_name.count, sizeof(*response->topics));
    struct image_topic_walk walk;
    image_topic_walk_start(decision->image, VIEW_NULL, &walk);
    for (const struct image_topic *topic = image_topic_walk_next(&walk); topic;
         topic = image_topic_walk_next(&walk)) {
        topic_result *out = &response->topics[response->topics_count];
        *out = (topic_result){.name = topic->name};
        for (uint32_t i = 0; i < topic->partition_count; i++)
            list_partition(decision, topic, (int32_t)i, topic->partition_count, out);
        response->topics_count += out->partitions_count > 0;
    }
}

void decide_list_partition_reassignments(struct decision *decision,
                                         const struct list_partition_reassignments_request *request,
                                         struct list_partition_reassignments_response *response)
{
    list_partition_reassignments_response_init(response);
    response->error_message = VIEW_NULL;
    if (request->topics)
        list_asked(decision, request, response);
    else
        list_all(decision, response);
}
