/*
 * The election itself is partition_change.c's. A partition that is named twice is elected once; the
 * answer stands at both places.
 */
#include "cluster/controller/elect_leaders.h"

#include "cluster/controller/partition_change.h"
#include "cluster/controller/partition_marks.h"

enum { ELECT_PREFERRED = 0, ELECT_UNCLEAN = 1 };

typedef struct elect_leaders_response_partition_result partition_result;

static enum kafka_error elect(struct decision *decision, const struct image_topic *topic,
                              int32_t index, int8_t type)
{
    const struct image_partition *partition = topic ? image_topic_partition(topic, index) : NULL;
    if (!partition)
        return KAFKA_ERROR_UNKNOWN_TOPIC_OR_PARTITION;
    struct node_list replicas = image_partition_replicas(partition);
    bool is_fine = type == ELECT_PREFERRED
                       ? replicas.count > 0 && partition->leader == replicas.ids[0]
                       : partition->leader != IMAGE_LEADER_NONE;
    if (is_fine)
        return KAFKA_ERROR_ELECTION_NOT_NEEDED;
    struct partition_plan plan;
    partition_plan_init(&plan, decision, topic, index);
    plan.election = type == ELECT_PREFERRED ? ELECTION_PREFERRED : ELECTION_UNCLEAN;
    struct partition_outcome outcome;
    size_t records = decision->records.count;
    partition_plan_apply(decision, &plan, &outcome);
    bool is_elected = outcome.is_changed && outcome.leader != IMAGE_LEADER_NONE &&
                      outcome.leader != partition->leader;
    if (type == ELECT_PREFERRED && outcome.leader != replicas.ids[0])
        is_elected = false;
    if (is_elected)
        return KAFKA_ERROR_NONE;
    metadata_records_cut(&decision->records, records);
    return type == ELECT_PREFERRED ? KAFKA_ERROR_PREFERRED_LEADER_NOT_AVAILABLE
                                   : KAFKA_ERROR_ELIGIBLE_LEADERS_NOT_AVAILABLE;
}

/* Both elections would be computed from the same image: the second has no records of its own. */
static enum kafka_error elect_once(struct decision *decision, struct partition_marks *marks,
                                   const struct image_topic *topic, int32_t index, int8_t type)
{
    size_t records = decision->records.count;
    enum kafka_error error = elect(decision, topic, index, type);
    if (decision->records.count > records && !partition_marks_add(marks, topic, index))
        metadata_records_cut(&decision->records, records);
    return error;
}

static void set_error(partition_result *result, enum kafka_error error)
{
    result->error_code = (int16_t)error;
    if (error != KAFKA_ERROR_NONE)
        result->error_message = view_of_string(kafka_error_text(error));
}

static void elect_listed(struct decision *decision, const struct elect_leaders_request *request,
                         struct elect_leaders_response *response)
{
    size_t count = request->topic_partitions_count;
    struct partition_marks marks;
    partition_marks_init(&marks, decision);
    response->replica_election_results =
        decision_get(decision, count, sizeof(*response->replica_election_results));
    response->replica_election_results_count = count;
    for (size_t i = 0; i < count; i++) {
        const struct elect_leaders_request_topic_partitions *asked = &request->topic_partitions[i];
        struct elect_leaders_response_replica_election_result *out =
            &response->replica_election_results[i];
        elect_leaders_response_replica_election_result_init(out);
        out->topic = asked->topic;
        out->partition_result =
            decision_get(decision, asked->partitions_count, sizeof(*out->partition_result));
        out->partition_result_count = asked->partitions_count;
        const struct image_topic *topic = image_topic_by_name(decision->image, asked->topic);
        for (size_t k = 0; k < asked->partitions_count; k++) {
            out->partition_result[k].partition_id = asked->partitions[k];
            set_error(
                &out->partition_result[k],
                elect_once(decision, &marks, topic, asked->partitions[k], request->election_type));
        }
    }
    partition_marks_deinit(&marks);
}

/* All partitions of one topic; what needs no election is not reported. */
static void elect_topic(struct decision *decision, const struct image_topic *topic, int8_t type,
                        struct elect_leaders_response_replica_election_result *out)
{
    elect_leaders_response_replica_election_result_init(out);
    out->topic = arena_copy(decision->arena, topic->name);
    for (uint32_t i = 0; i < topic->partition_count; i++) {
        enum kafka_error error = elect(decision, topic, (int32_t)i, type);
        if (error == KAFKA_ERROR_ELECTION_NOT_NEEDED)
            continue;
        if (out->partition_result_count == 0)
            out->partition_result =
                decision_get(decision, topic->partition_count, sizeof(*out->partition_result));
        partition_result *result = &out->partition_result[out->partition_result_count++];
        result->partition_id = (int32_t)i;
        set_error(result, error);
    }
}

static void elect_all(struct decision *decision, const struct elect_leaders_request *request,
                      struct elect_leaders_response *response)
{
    response->replica_election_results =
        decision_get(decision, decision->image->topics_by_name.count,
                     sizeof(*response->replica_election_results));
    struct image_topic_walk walk;
    image_topic_walk_start(decision->image, VIEW_NULL, &walk);
    for (const struct image_topic *topic = image_topic_walk_next(&walk); topic;
         topic = image_topic_walk_next(&walk)) {
        struct elect_leaders_response_replica_election_result *out =
            &response->replica_election_results[response->replica_election_results_count];
        elect_topic(decision, topic, request->election_type, out);
        response->replica_election_results_count += out->partition_result_count > 0;
    }
}

void decide_elect_leaders(struct decision *decision, const struct elect_leaders_request *request,
                          struct elect_leaders_response *response)
{
    elect_leaders_response_init(response);
    if (request->election_type != ELECT_PREFERRED && request->election_type != ELECT_UNCLEAN)
        response->error_code = KAFKA_ERROR_INVALID_REQUEST;
    else if (request->topic_partitions)
        elect_listed(decision, request, response);
    else
        elect_all(decision, request, response);
}
