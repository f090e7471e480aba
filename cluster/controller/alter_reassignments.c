/*
 * While partition moves from R to T its replicas are T and, behind them, those of R that are not in
 * T; the change that finds T in sync ends it (partition_change.c). A second T is taken against the
 * replicas as they are, leftovers of the first included, as Kafka does it.
 */
#include "cluster/controller/alter_reassignments.h"

#include "cluster/controller/assignment.h"
#include "cluster/controller/id_list.h"
#include "cluster/controller/partition_change.h"
#include "cluster/controller/partition_marks.h"

typedef struct alter_partition_reassignments_request_reassignable_partition asked_partition;
typedef struct alter_partition_reassignments_response_reassignable_partition_response
    partition_result;

static const struct refusal accepted = {KAFKA_ERROR_NONE, {NULL, 0}};

/* The ids of one list that the other lacks, in ascending order. */
static struct id_list difference(struct decision *decision, struct node_list list,
                                 struct node_list without)
{
    struct id_list left = id_list_of(decision, list, 0);
    id_list_drop_all(&left, without);
    id_list_sort(&left);
    return left;
}

/* How many replicas the partition will have when its reassignment, if any, has ended. */
static uint32_t final_count(const struct partition_state *state)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < state->replicas.count; i++)
        count += !node_list_contains(state->removing, state->replicas.ids[i]);
    return count;
}

static struct refusal begin(struct decision *decision, struct partition_plan *plan,
                            struct node_list target, bool may_change_factor)
{
    struct refusal refusal = assignment_check(decision, target, -1);
    if (refusal.error != KAFKA_ERROR_NONE)
        return refusal;
    struct partition_state state = image_partition_state(plan->partition);
    if (!may_change_factor && final_count(&state) != target.count)
        return (struct refusal){KAFKA_ERROR_INVALID_REPLICATION_FACTOR,
                                decision_text(decision,
                                              "the partition has %u replicas, the request gives %u "
                                              "and does not allow that to change",
                                              final_count(&state), target.count)};
    struct id_list removing = difference(decision, state.replicas, target);
    struct id_list adding = difference(decision, target, state.replicas);
    struct id_list replicas = id_list_of(decision, target, removing.count);
    for (uint32_t i = 0; i < removing.count; i++)
        id_list_add(&replicas, removing.ids[i]);
    plan->target_replicas = id_list_view(&replicas);
    if (removing.count > 0)
        plan->target_removing = id_list_view(&removing);
    if (adding.count > 0)
        plan->target_adding = id_list_view(&adding);
    return accepted;
}

/* Back to the replicas before, without those that were being added. */
static struct refusal cancel(struct decision *decision, struct partition_plan *plan)
{
    struct partition_state state = image_partition_state(plan->partition);
    if (state.adding.count == 0 && state.removing.count == 0)
        return (struct refusal){KAFKA_ERROR_NO_REASSIGNMENT_IN_PROGRESS,
                                VIEW_LITERAL("the partition is not being reassigned")};
    struct id_list replicas = id_list_of(decision, state.replicas, 0);
    struct id_list isr = id_list_of(decision, state.isr, 1);
    id_list_drop_all(&replicas, state.adding);
    id_list_drop_all(&isr, state.adding);
    if (replicas.count == 0)
        return (struct refusal){KAFKA_ERROR_INVALID_REPLICA_ASSIGNMENT,
                                VIEW_LITERAL("every replica of the partition is being added")};
    if (isr.count == 0 && !decision_is_unclean_allowed(decision, plan->topic->name))
        return (struct refusal){KAFKA_ERROR_INVALID_REPLICA_ASSIGNMENT,
                                VIEW_LITERAL("none of the replicas before is in sync, and unclean "
                                             "elections are not allowed")};
    if (isr.count == 0)
        id_list_add(&isr, replicas.ids[0]);
    plan->target_replicas = id_list_view(&replicas);
    plan->target_isr = id_list_view(&isr);
    plan->target_adding = (struct node_list){NULL, 0};
    plan->target_removing = (struct node_list){NULL, 0};
    return accepted;
}

struct reassignment_context {
    struct decision *decision;
    struct partition_marks marks;
    bool may_change_factor;
};

static struct refusal reassign(struct reassignment_context *context,
                               const struct image_topic *topic, const asked_partition *asked)
{
    struct decision *decision = context->decision;
    if (!topic || !image_topic_partition(topic, asked->partition_index))
        return (struct refusal){KAFKA_ERROR_UNKNOWN_TOPIC_OR_PARTITION,
                                topic ? VIEW_LITERAL("the topic has no such partition")
                                      : VIEW_LITERAL("there is no such topic")};
    if (!partition_marks_add(&context->marks, topic, asked->partition_index))
        return (struct refusal){KAFKA_ERROR_INVALID_REQUEST,
                                VIEW_LITERAL("the request names this partition twice")};
    struct partition_plan plan;
    partition_plan_init(&plan, decision, topic, asked->partition_index);
    struct node_list target = {asked->replicas, (uint32_t)asked->replicas_count};
    struct refusal refusal = asked->replicas
                                 ? begin(decision, &plan, target, context->may_change_factor)
                                 : cancel(decision, &plan);
    struct partition_outcome outcome;
    if (refusal.error == KAFKA_ERROR_NONE)
        partition_plan_apply(decision, &plan, &outcome);
    return refusal;
}

void decide_alter_partition_reassignments(
    struct decision *decision, const struct alter_partition_reassignments_request *request,
    struct alter_partition_reassignments_response *response)
{
    alter_partition_reassignments_response_init(response);
    if (request->topics_count == 0)
        return;
    response->error_message = VIEW_NULL;
    response->allow_replication_factor_change = request->allow_replication_factor_change;
    response->responses =
        decision_get(decision, request->topics_count, sizeof(*response->responses));
    response->responses_count = request->topics_count;
    struct reassignment_context context = {
        .decision = decision, .may_change_factor = request->allow_replication_factor_change};
    partition_marks_init(&context.marks, decision);
    for (size_t i = 0; i < request->topics_count; i++) {
        const struct alter_partition_reassignments_request_reassignable_topic *asked =
            &request->topics[i];
        struct alter_partition_reassignments_response_reassignable_topic_response *out =
            &response->responses[i];
        const struct image_topic *topic = image_topic_by_name(decision->image, asked->name);
        out->name = asked->name;
        out->partitions = decision_get(decision, asked->partitions_count, sizeof(*out->partitions));
        out->partitions_count = asked->partitions_count;
        for (size_t k = 0; k < asked->partitions_count; k++) {
            struct refusal refusal = reassign(&context, topic, &asked->partitions[k]);
            out->partitions[k] = (partition_result){asked->partitions[k].partition_index,
                                                    (int16_t)refusal.error, refusal.message};
        }
    }
    partition_marks_deinit(&context.marks);
}
