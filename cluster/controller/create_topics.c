/*
 * Each topic is tried by itself: what it appended is cut off again when it turns out to be refused.
 * Topics of the same request see each other through the list of accepted names only.
 */
#include "cluster/controller/create_topics.h"

#include "base/map.h"
#include "cluster/controller/assignment.h"
#include "cluster/controller/placement.h"
#include "cluster/controller/topic_collision.h"
#include "cluster/metadata/topic_name.h"
#include "config/alter.h"
#include "config/describe.h"
#include "protocol/messages/config_record.h"
#include "protocol/messages/topic_record.h"

typedef struct create_topics_request_creatable_topic creatable_topic;
typedef struct create_topics_response_creatable_topic_result topic_result;

static bool refuse(topic_result *result, enum kafka_error error, struct view message)
{
    result->error_code = (int16_t)error;
    result->error_message = message;
    return false;
}

/* ---- Partitions ------------------------------------------------------------------------------ */

typedef struct create_topics_request_creatable_replica_assignment replica_assignment;

/* The assignments in order of partition; NULL when one is missing or named twice. */
static const replica_assignment **order_assignments(struct decision *decision,
                                                    const creatable_topic *topic)
{
    size_t count = topic->assignments_count;
    const replica_assignment **ordered =
        decision_get(decision, count, sizeof(replica_assignment *));
    for (size_t i = 0; i < count; i++) {
        int32_t index = topic->assignments[i].partition_index;
        if (index < 0 || (size_t)index >= count || ordered[index])
            return NULL;
        ordered[index] = &topic->assignments[i];
    }
    return ordered;
}

static bool add_assigned(struct decision *decision, const creatable_topic *topic, struct uuid id,
                         topic_result *result)
{
    if (topic->replication_factor != -1 || topic->num_partitions != -1)
        return refuse(result, KAFKA_ERROR_INVALID_REQUEST,
                      VIEW_LITERAL("with an explicit assignment the number of partitions and the "
                                   "replication factor have to be -1"));
    const replica_assignment **ordered = order_assignments(decision, topic);
    if (!ordered)
        return refuse(result, KAFKA_ERROR_INVALID_REPLICA_ASSIGNMENT,
                      VIEW_LITERAL("the assignment has to name each partition once, "
                                   "from 0 on and without a gap"));
    int32_t replication_factor = -1;
    for (size_t i = 0; i < topic->assignments_count; i++) {
        const replica_assignment *assignment = ordered[i];
        struct node_list replicas = {assignment->broker_ids,
                                     (uint32_t)assignment->broker_ids_count};
        struct refusal refusal = assignment_check(decision, replicas, replication_factor);
        if (refusal.error != KAFKA_ERROR_NONE)
            return refuse(result, refusal.error, refusal.message);
        replication_factor = (int32_t)replicas.count;
        if (!assignment_add_partition(decision, id, (int32_t)i, replicas))
            return refuse(result, KAFKA_ERROR_INVALID_REPLICA_ASSIGNMENT,
                          decision_text(decision, "no replica of partition %zu is alive", i));
    }
    result->num_partitions = (int32_t)topic->assignments_count;
    result->replication_factor = (int16_t)replication_factor;
    return true;
}

static bool add_placed(struct decision *decision, const creatable_topic *topic, struct uuid id,
                       topic_result *result)
{
    int32_t count = topic->num_partitions;
    int32_t factor = topic->replication_factor;
    if (factor < -1 || factor == 0)
        return refuse(result, KAFKA_ERROR_INVALID_REPLICATION_FACTOR,
                      VIEW_LITERAL("the replication factor has to be positive, or -1 for the "
                                   "default"));
    if (count < -1 || count == 0)
        return refuse(result, KAFKA_ERROR_INVALID_PARTITIONS,
                      VIEW_LITERAL("the number of partitions has to be positive, or -1 for the "
                                   "default"));
    if (count == -1)
        count = decision->config->settings.num_partitions;
    if (factor == -1)
        factor = decision->config->settings.default_replication_factor;
    int32_t *replicas = decision_get(decision, (size_t)count * (size_t)factor, sizeof(*replicas));
    const char *problem = placement_choose(decision->image, decision->random, decision->arena,
                                           (uint32_t)count, factor, replicas);
    if (problem)
        return refuse(
            result, KAFKA_ERROR_INVALID_REPLICATION_FACTOR,
            decision_text(decision, "replication factor %d is not possible: %s", factor, problem));
    for (int32_t i = 0; i < count; i++) {
        struct node_list list = {replicas + (size_t)i * (size_t)factor, (uint32_t)factor};
        if (!assignment_add_partition(decision, id, i, list))
            return refuse(result, KAFKA_ERROR_INVALID_REPLICATION_FACTOR,
                          decision_text(decision, "no replica of partition %d is alive", i));
    }
    result->num_partitions = count;
    result->replication_factor = (int16_t)factor;
    return true;
}

/* ---- Settings -------------------------------------------------------------------------------- */

static bool check_config(struct decision *decision, const creatable_topic *topic,
                         struct config_altered *altered, topic_result *result)
{
    struct config_entry *entries = decision_get(decision, topic->configs_count, sizeof(*entries));
    for (size_t i = 0; i < topic->configs_count; i++) {
        if (view_is_null(topic->configs[i].value))
            return refuse(result, KAFKA_ERROR_INVALID_CONFIG,
                          decision_text(decision, "the setting %.*s has no value",
                                        (int)topic->configs[i].name.size,
                                        (const char *)topic->configs[i].name.data));
        entries[i] = (struct config_entry){topic->configs[i].name, topic->configs[i].value};
    }
    struct config_set set;
    if (!config_set_build(&set, entries, topic->configs_count, decision->arena))
        return refuse(result, KAFKA_ERROR_UNKNOWN_SERVER_ERROR, VIEW_NULL);
    struct decision_layers layers;
    decision_fill_layers(decision, &layers);
    struct config_alter_request request = {
        .scope = CONFIG_SCOPE_TOPIC, .existing = CONFIG_SET_EMPTY, .layers = layers.layers};
    config_check(&request, &set, altered, decision->arena);
    if (altered->refusal != CONFIG_ACCEPTED)
        return refuse(result, (enum kafka_error)altered->refusal, altered->message);
    altered->result = set;
    return true;
}

static void add_config(struct decision *decision, struct view topic, const struct config_set *set)
{
    for (size_t i = 0; i < set->count; i++) {
        struct config_record record = {CONFIG_RESOURCE_TOPIC, topic, set->entries[i].name,
                                       set->entries[i].value};
        decision_add(decision, METADATA_RECORD_CONFIG, &record);
    }
}

/* What DescribeConfigs would say about the new topic. */
static void echo_config(struct decision *decision, const struct config_set *set,
                        topic_result *result)
{
    struct decision_layers layers;
    decision_fill_layers(decision, &layers);
    struct config_describe_request request = {.scope = CONFIG_SCOPE_TOPIC, .layers = layers.layers};
    request.layers.topic = set;
    struct config_described_list list;
    if (!config_describe(&request, &list, decision->arena))
        return;
    result->configs = decision_get(decision, list.count, sizeof(*result->configs));
    result->configs_count = list.count;
    for (size_t i = 0; i < list.count; i++)
        result->configs[i] = (struct create_topics_response_creatable_topic_configs){
            .name = list.items[i].name,
            .value = list.items[i].value,
            .read_only = list.items[i].is_read_only,
            .config_source = (int8_t)list.items[i].source,
            .is_sensitive = list.items[i].is_sensitive,
        };
}

/* ---- One topic ------------------------------------------------------------------------------- */

struct batch_of_topics {
    struct map names;  /* every name of the request; number: how often */
    struct map folded; /* names of topics made so far, with '_' for '.' */
    const creatable_topic *topics;
    size_t index;
};

static bool check_name(struct decision *decision, const struct batch_of_topics *batch,
                       topic_result *result)
{
    struct view name = batch->topics[batch->index].name;
    if (map_find(&batch->names, name)->number > 1)
        return refuse(result, KAFKA_ERROR_INVALID_REQUEST,
                      VIEW_LITERAL("the request names this topic twice"));
    if (view_equal(name, VIEW_LITERAL("__cluster_metadata")))
        return refuse(result, KAFKA_ERROR_INVALID_REQUEST,
                      VIEW_LITERAL("the metadata topic belongs to the quorum"));
    const char *problem = topic_name_fault(name);
    if (problem)
        return refuse(result, KAFKA_ERROR_INVALID_TOPIC_EXCEPTION, view_of_string(problem));
    if (image_topic_by_name(decision->image, name))
        return refuse(result, KAFKA_ERROR_TOPIC_ALREADY_EXISTS,
                      decision_text(decision, "there is a topic %.*s already", (int)name.size,
                                    (const char *)name.data));
    const struct image_topic *other = topic_name_collision(decision->image, name);
    if (other)
        return refuse(result, KAFKA_ERROR_INVALID_TOPIC_EXCEPTION,
                      decision_text(decision, "%.*s differs from topic %.*s in '.' and '_' only",
                                    (int)name.size, (const char *)name.data, (int)other->name.size,
                                    (const char *)other->name.data));
    return true;
}

static struct view folded_name(struct decision *decision, struct view name)
{
    uint8_t *folded = decision_get(decision, name.size, 1);
    for (size_t i = 0; i < name.size; i++)
        folded[i] = name.data[i] == '.' ? '_' : name.data[i];
    return view_of(folded, name.size);
}

/* Collision with a topic that this request made before. */
static bool check_siblings(struct decision *decision, const struct batch_of_topics *batch,
                           topic_result *result)
{
    struct view name = batch->topics[batch->index].name;
    if (!map_find(&batch->folded, folded_name(decision, name)))
        return true;
    return refuse(result, KAFKA_ERROR_INVALID_TOPIC_EXCEPTION,
                  VIEW_LITERAL("the name differs from another one of the request in '.' and '_' "
                               "only"));
}

static bool create_topic(struct decision *decision, const creatable_topic *topic,
                         topic_result *result)
{
    struct config_altered altered;
    if (!check_config(decision, topic, &altered, result))
        return false;
    struct topic_record record = {topic->name, decision_new_id(decision)};
    decision_add(decision, METADATA_RECORD_TOPIC, &record);
    add_config(decision, topic->name, &altered.result);
    bool ok = topic->assignments_count ? add_assigned(decision, topic, record.topic_id, result)
                                       : add_placed(decision, topic, record.topic_id, result);
    if (!ok)
        return false;
    result->topic_id = record.topic_id;
    echo_config(decision, &altered.result, result);
    return true;
}

static void create_or_refuse(struct decision *decision, struct batch_of_topics *batch,
                             topic_result *results)
{
    topic_result *result = &results[batch->index];
    const creatable_topic *topic = &batch->topics[batch->index];
    size_t records = decision->records.count;
    bool ok = check_name(decision, batch, result) && check_siblings(decision, batch, result) &&
              create_topic(decision, topic, result);
    if (ok) {
        decision->failed |= !map_add(&batch->folded, folded_name(decision, topic->name), NULL);
        return;
    }
    metadata_records_cut(&decision->records, records);
    result->num_partitions = -1;
    result->replication_factor = -1;
}

/* ---- The request ----------------------------------------------------------------------------- */

static bool is_too_large(const struct decision *decision,
                         const struct create_topics_request *request)
{
    uint64_t total = 0;
    for (size_t i = 0; i < request->topics_count; i++) {
        const creatable_topic *topic = &request->topics[i];
        int32_t count = topic->num_partitions == -1 ? decision->config->settings.num_partitions
                                                    : topic->num_partitions;
        if (topic->assignments_count)
            total += topic->assignments_count;
        else if (count > 0)
            total += (uint64_t)count;
    }
    return total > CREATE_PARTITIONS_MAX;
}

static void refuse_all(const struct create_topics_request *request, topic_result *results)
{
    for (size_t i = 0; i < request->topics_count; i++)
        refuse(&results[i], KAFKA_ERROR_POLICY_VIOLATION,
               VIEW_LITERAL("one request creates at most 10,000 partitions"));
}

static bool count_names(const struct create_topics_request *request, struct map *names)
{
    for (size_t i = 0; i < request->topics_count; i++) {
        struct map_entry *entry = map_add(names, request->topics[i].name, NULL);
        if (!entry)
            return false;
        entry->number++;
    }
    return true;
}

/* A name that the request repeats is answered once. */
static void drop_repeated(const struct map *names, struct create_topics_response *response)
{
    size_t kept = 0;
    for (size_t i = 0; i < response->topics_count; i++) {
        struct map_entry *entry = map_find(names, response->topics[i].name);
        if (entry->number == 0)
            continue;
        entry->number = 0;
        response->topics[kept++] = response->topics[i];
    }
    response->topics_count = kept;
}

void decide_create_topics(struct decision *decision, const struct create_topics_request *request,
                          struct create_topics_response *response)
{
    create_topics_response_init(response);
    response->topics = decision_get(decision, request->topics_count, sizeof(*response->topics));
    response->topics_count = request->topics_count;
    for (size_t i = 0; i < request->topics_count; i++) {
        create_topics_response_creatable_topic_result_init(&response->topics[i]);
        response->topics[i].name = request->topics[i].name;
        response->topics[i].error_message = VIEW_NULL;
    }
    if (is_too_large(decision, request)) {
        refuse_all(request, response->topics);
        return;
    }
    struct batch_of_topics batch = {.topics = request->topics};
    map_init(&batch.names, decision->arena->heap, MEMORY_SCRATCH, 0);
    map_init(&batch.folded, decision->arena->heap, MEMORY_SCRATCH, 0);
    if (!count_names(request, &batch.names))
        decision->failed = true;
    for (; !decision->failed && batch.index < request->topics_count; batch.index++)
        create_or_refuse(decision, &batch, response->topics);
    if (!decision->failed)
        drop_repeated(&batch.names, response);
    map_deinit(&batch.names);
    map_deinit(&batch.folded);
    if (request->validate_only)
        metadata_records_cut(&decision->records, 0);
}
