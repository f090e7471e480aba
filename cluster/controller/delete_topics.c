/* Versions before 6 list names, later ones entries with a name or an id. */
#include "cluster/controller/delete_topics.h"

#include "base/map.h"
#include "protocol/messages/remove_topic_record.h"

typedef struct delete_topics_response_deletable_topic_result topic_result;

static void list_entries(struct decision *decision, const struct delete_topics_request *request,
                         int16_t version, struct delete_topics_response *response)
{
    size_t count = version >= 6 ? request->topics_count : request->topic_names_count;
    response->responses = decision_get(decision, count, sizeof(*response->responses));
    response->responses_count = count;
    for (size_t i = 0; i < count; i++) {
        topic_result *result = &response->responses[i];
        delete_topics_response_deletable_topic_result_init(result);
        result->error_message = VIEW_NULL;
        result->name = version >= 6 ? request->topics[i].name : request->topic_names[i];
        if (version >= 6)
            result->topic_id = request->topics[i].topic_id;
    }
}

static void refuse(topic_result *result, enum kafka_error error, const char *message)
{
    result->error_code = (int16_t)error;
    result->error_message = view_of_string(message);
}

/* The topic that an entry names, or NULL with the error set. */
static const struct image_topic *find(const struct image *image, topic_result *result)
{
    bool has_name = !view_is_null(result->name);
    bool has_id = !uuid_is_zero(result->topic_id);
    const struct image_topic *topic = NULL;
    if (has_name && has_id)
        refuse(result, KAFKA_ERROR_INVALID_REQUEST,
               "a topic is named by its name or by its id, not by both");
    else if (!has_name && !has_id)
        refuse(result, KAFKA_ERROR_INVALID_REQUEST, "neither a name nor an id is given");
    else if (has_name && !(topic = image_topic_by_name(image, result->name)))
        refuse(result, KAFKA_ERROR_UNKNOWN_TOPIC_OR_PARTITION, "there is no such topic");
    else if (has_id && !(topic = image_topic_by_id(image, result->topic_id)))
        refuse(result, KAFKA_ERROR_UNKNOWN_TOPIC_ID, "there is no topic with this id");
    if (topic && image_topic_name_is_internal(topic->name)) {
        refuse(result, KAFKA_ERROR_INVALID_TOPIC_EXCEPTION,
               "the topic is the cluster's own and cannot be deleted");
        return NULL;
    }
    return topic;
}

static void disable_all(int16_t version, struct delete_topics_response *response)
{
    for (size_t i = 0; i < response->responses_count; i++)
        refuse(&response->responses[i],
               version < 3 ? KAFKA_ERROR_INVALID_REQUEST : KAFKA_ERROR_TOPIC_DELETION_DISABLED,
               "delete.topic.enable is false");
}

/* Refuses topics that several entries name; the first of these answers for all. */
static void refuse_doubles(struct decision *decision, const struct image_topic **topics,
                           struct delete_topics_response *response)
{
    struct map seen;
    size_t kept = 0;
    map_init(&seen, decision->arena->heap, MEMORY_SCRATCH, 0);
    for (size_t i = 0; i < response->responses_count; i++) {
        topics[kept] = topics[i];
        response->responses[kept] = response->responses[i];
        if (!topics[i]) {
            kept++;
            continue;
        }
        bool is_new;
        struct map_entry *entry = map_add(&seen, view_of(topics[i]->id.bytes, UUID_SIZE), &is_new);
        if (!entry) {
            decision->failed = true;
            break;
        }
        if (is_new) {
            entry->number = kept++;
            continue;
        }
        refuse(&response->responses[entry->number], KAFKA_ERROR_INVALID_REQUEST,
               "the request names this topic twice");
    }
    response->responses_count = kept;
    map_deinit(&seen);
}

void decide_delete_topics(struct decision *decision, const struct delete_topics_request *request,
                          int16_t version, struct delete_topics_response *response)
{
    delete_topics_response_init(response);
    list_entries(decision, request, version, response);
    if (!decision->config->settings.delete_topic_enable) {
        disable_all(version, response);
        return;
    }
    const struct image_topic **topics =
        decision_get(decision, response->responses_count, sizeof(struct image_topic *));
    for (size_t i = 0; i < response->responses_count; i++)
        topics[i] = find(decision->image, &response->responses[i]);
    refuse_doubles(decision, topics, response);
    for (size_t i = 0; i < response->responses_count; i++) {
        topic_result *result = &response->responses[i];
        if (!topics[i] || result->error_code != KAFKA_ERROR_NONE)
            continue;
        struct remove_topic_record record = {topics[i]->id};
        decision_add(decision, METADATA_RECORD_REMOVE_TOPIC, &record);
        result->topic_id = topics[i]->id;
        result->name = arena_copy(decision->arena, topics[i]->name);
    }
}
