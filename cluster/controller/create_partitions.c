/* The replication factor is that of partition 0. */
#include "cluster/controller/create_partitions.h"

#include "base/map.h"
#include "cluster/controller/assignment.h"
#include "cluster/controller/create_topics.h"
#include "cluster/controller/placement.h"

typedef struct create_partitions_request_create_partitions_topic wanted_topic;
typedef struct create_partitions_response_create_partitions_topic_result topic_result;

static bool refuse(topic_result *result, enum kafka_error error, struct view message)
{
    result->error_code = (int16_t)error;
    result->error_message = message;
    return false;
}

static bool add_assigned(struct decision *decision, const wanted_topic *wanted,
                         const struct image_topic *topic, int32_t factor, topic_result *result)
{
    uint32_t added = (uint32_t)wanted->count - topic->partition_count;
    if (wanted->assignments_count != added)
        return refuse(result, KAFKA_ERROR_INVALID_REPLICA_ASSIGNMENT,
                      decision_text(decision, "%u partitions are added and %zu are assigned", added,
                                    wanted->assignments_count));
    for (uint32_t i = 0; i < added; i++) {
        struct node_list replicas = {wanted->assignments[i].broker_ids,
                                     (uint32_t)wanted->assignments[i].broker_ids_count};
        struct refusal refusal = assignment_check(decision, replicas, factor);
        if (refusal.error != KAFKA_ERROR_NONE)
            return refuse(result, refusal.error, refusal.message);
        int32_t index = (int32_t)(topic->partition_count + i);
        if (!assignment_add_partition(decision, topic->id, index, replicas))
            return refuse(result, KAFKA_ERROR_INVALID_REPLICA_ASSIGNMENT,
                          decision_text(decision, "no replica of partition %d is alive", index));
    }
    return true;
}

static bool add_placed(struct decision *decision, const wanted_topic *wanted,
                       const struct image_topic *topic, int32_t factor, topic_result *result)
{
    uint32_t added = (uint32_t)wanted->count - topic->partition_count;
    int32_t *replicas = decision_get(decision, (size_t)added * (size_t)factor, sizeof(*replicas));
    const char *problem = placement_choose(decision->image, decision->random, decision->arena,
                                           added, factor, replicas);
    if (problem)
        return refuse(
            result, KAFKA_ERROR_INVALID_REPLICATION_FACTOR,
            decision_text(decision, "replication factor %d is not possible: %s", factor, problem));
    for (uint32_t i = 0; i < added; i++) {
        struct node_list list = {replicas + (size_t)i * (size_t)factor, (uint32_t)factor};
        int32_t index = (int32_t)(topic->partition_count + i);
        if (!assignment_add_partition(decision, topic->id, index, list))
            return refuse(result, KAFKA_ERROR_INVALID_REPLICATION_FACTOR,
                          decision_text(decision, "no replica of partition %d is alive", index));
    }
    return true;
}

static bool add_partitions(struct decision *decision, const wanted_topic *wanted,
                           topic_result *result)
{
    const struct image_topic *topic = image_topic_by_name(decision->image, wanted->name);
    if (!topic)
        return refuse(result, KAFKA_ERROR_UNKNOWN_TOPIC_OR_PARTITION,
                      VIEW_LITERAL("there is no such topic"));
    if (image_topic_name_is_internal(wanted->name))
        return refuse(result, KAFKA_ERROR_INVALID_TOPIC_EXCEPTION,
                      VIEW_LITERAL("groups and transactions are placed by the number of partitions "
                                   "of this topic, so it cannot change"));
    if (wanted->count < 0 || (uint32_t)wanted->count <= topic->partition_count)
        return refuse(result, KAFKA_ERROR_INVALID_PARTITIONS,
                      decision_text(decision, "the topic has %u partitions, %d are not more",
                                    topic->partition_count, wanted->count));
    const struct image_partition *first = image_topic_partition(topic, 0);
    int32_t factor = first ? first->replica_count : 1;
    if (wanted->assignments)
        return add_assigned(decision, wanted, topic, factor, result);
    return add_placed(decision, wanted, topic, factor, result);
}

static bool is_too_large(const struct decision *decision,
                         const struct create_partitions_request *request)
{
    uint64_t total = 0;
    for (size_t i = 0; i < request->topics_count; i++) {
        const struct image_topic *topic =
            image_topic_by_name(decision->image, request->topics[i].name);
        if (topic && request->topics[i].count > (int64_t)topic->partition_count)
            total += (uint32_t)request->topics[i].count - topic->partition_count;
    }
    return total > CREATE_PARTITIONS_MAX;
}

static void add_or_refuse(struct decision *decision, const wanted_topic *wanted,
                          const struct map *names, bool is_large, topic_result *result)
{
    size_t records = decision->records.count;
    bool ok = true;
    if (map_find(names, wanted->name)->number > 1)
        ok = refuse(result, KAFKA_ERROR_INVALID_REQUEST,
                    VIEW_LITERAL("the request names this topic twice"));
    else if (is_large)
        ok = refuse(result, KAFKA_ERROR_POLICY_VIOLATION,
                    VIEW_LITERAL("one request adds at most 10,000 partitions"));
    else
        ok = add_partitions(decision, wanted, result);
    if (!ok)
        metadata_records_cut(&decision->records, records);
}

/* A name that the request repeats is answered once. */
static void drop_repeated(const struct map *names, struct create_partitions_response *response)
{
    size_t kept = 0;
    for (size_t i = 0; i < response->results_count; i++) {
        struct map_entry *entry = map_find(names, response->results[i].name);
        if (entry->number == 0)
            continue;
        entry->number = 0;
        response->results[kept++] = response->results[i];
    }
    response->results_count = kept;
}

void decide_create_partitions(struct decision *decision,
                              const struct create_partitions_request *request,
                              struct create_partitions_response *response)
{
    create_partitions_response_init(response);
    response->results = decision_get(decision, request->topics_count, sizeof(*response->results));
    response->results_count = request->topics_count;
    bool is_large = is_too_large(decision, request);
    struct map names;
    map_init(&names, decision->arena->heap, MEMORY_SCRATCH, 0);
    for (size_t i = 0; i < request->topics_count && !decision->failed; i++) {
        struct map_entry *entry = map_add(&names, request->topics[i].name, NULL);
        if (entry)
            entry->number++;
        decision->failed = !entry;
    }
    for (size_t i = 0; i < request->topics_count && !decision->failed; i++) {
        create_partitions_response_create_partitions_topic_result_init(&response->results[i]);
        response->results[i].name = request->topics[i].name;
        response->results[i].error_message = VIEW_NULL;
        add_or_refuse(decision, &request->topics[i], &names, is_large, &response->results[i]);
    }
    if (!decision->failed)
        drop_repeated(&names, response);
    map_deinit(&names);
    if (request->validate_only)
        metadata_records_cut(&decision->records, 0);
}
