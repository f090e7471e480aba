/*
 * TxnOffsetCommit: offsets that take effect with a transaction (KIP-98, KIP-447, KIP-890).
 *
 * Partitions that do not exist are answered here. On the owner the transaction's coordinator is
 * asked whether the producer may write into this partition of __consumer_offsets (or, since version
 * 5, asked to add it), unless the transaction is open there already; then the group's coordinator
 * takes the offsets (consumer/txn_offset_commit.c).
 */
#include "protocol/messages/txn_offset_commit.h"

#include "broker/coordinator_part.h"
#include "broker/shard.h"
#include "broker/topic_lookup.h"
#include "broker/topic_split.h"
#include "broker/verifications.h"
#include "consumer/group_requests.h"

API_CODEC(txn_offset_commit);

enum {
    LOADING_SINCE_VERSION = 2, /* before, COORDINATOR_LOAD_IN_PROGRESS is not known */
    ABORTABLE_SINCE_VERSION = 4,
    ADDS_SINCE_VERSION = 5
};

struct commit_context {
    struct coordinator_items items;
    struct coordinator_item item;
    struct txn_offset_commit_request asked; /* the partitions that exist */
    struct txn_offset_commit_response answer;
    struct topic_split split; /* of the request */
    /* The owner's. */
    struct verification_wait verification;
    uint64_t guard;
    struct shard *shard;
};

/* ---- At home ---- */

static void ask_topic(struct request *request, struct txn_offset_commit_request *asked,
                      const struct txn_offset_commit_request_topic *topic, int16_t *errors)
{
    struct txn_offset_commit_request_topic *out = &asked->topics[asked->topics_count];
    *out = *topic;
    out->partitions = request_get(request, topic->partitions_count, sizeof(*out->partitions));
    out->partitions_count = 0;
    for (size_t i = 0; i < topic->partitions_count; i++) {
        const struct image_topic *found;
        errors[i] = (int16_t)topic_lookup(request->shard->image, false, UUID_ZERO, topic->name,
                                          topic->partitions[i].partition_index, &found);
        if (errors[i] == KAFKA_ERROR_NONE)
            out->partitions[out->partitions_count++] = topic->partitions[i];
    }
    if (out->partitions_count > 0)
        asked->topics_count++;
}

static void txn_offset_commit_join(struct request *request);

static void txn_offset_commit_split(struct request *request)
{
    const struct txn_offset_commit_request *message = REQUEST_MESSAGE(txn_offset_commit, request);
    struct commit_context *context = request_get(request, 1, sizeof(*context));
    request->context = context;
    context->asked = *message;
    context->asked.topics =
        request_get(request, message->topics_count, sizeof(*context->asked.topics));
    context->asked.topics_count = 0;
    topic_split_init(&context->split, &request->arena, message->topics_count);
    for (size_t i = 0; i < message->topics_count; i++)
        ask_topic(request, &context->asked, &message->topics[i],
                  topic_split_add(&context->split, message->topics[i].partitions_count));
    txn_offset_commit_response_init(&context->answer);
    if (context->asked.topics_count == 0) {
        txn_offset_commit_join(request);
        return;
    }
    coordinator_items_place(request, &context->items, &context->item, COORDINATOR_GROUPS,
                            message->group_id, &context->asked, &context->answer);
    coordinator_items_post(request, &context->items);
}

/* ---- On the owner ---- */

static struct commit_context *context_of(struct coordinator_call *call)
{
    struct coordinator_item *item = container_of(call, struct coordinator_item, call);
    return container_of(item, struct commit_context, item);
}

static enum verification_form form_of(int16_t version)
{
    if (version >= ADDS_SINCE_VERSION)
        return VERIFICATION_ADDS;
    return version >= ABORTABLE_SINCE_VERSION ? VERIFICATION_ABORTABLE : VERIFICATION_OLD;
}

static void commit(void *groups, struct coordinator_call *call);

/* The coordinator may have gone, or loaded anew, while the transaction's was asked. */
static void verified(struct verification_wait *wait, enum kafka_error error)
{
    struct commit_context *context = container_of(wait, struct commit_context, verification);
    struct coordinator_call *call = &context->item.call;
    struct coordinator *coordinator = NULL;
    /* A retriable error that all clients know and that needs no new look for the coordinator. */
    if (error == KAFKA_ERROR_NETWORK_EXCEPTION)
        error = KAFKA_ERROR_COORDINATOR_LOAD_IN_PROGRESS;
    if (error == KAFKA_ERROR_NONE)
        error = coordinators_find(&context->shard->coordinators, COORDINATOR_GROUPS,
                                  context->item.partition, &coordinator);
    if (error == KAFKA_ERROR_NONE)
        commit(coordinator_kind_state(coordinator), call);
    else
        coordinator_fail(call, error);
}

static void commit(void *groups, struct coordinator_call *call)
{
    struct commit_context *context = context_of(call);
    struct shard *shard = shard_of(context->item.part->at);
    const struct txn_offset_commit_request *message = call->request;
    const struct image_topic *topic =
        image_topic_by_name(shard->image, coordinator_slot_topic(COORDINATOR_GROUPS));
    struct replica *replica =
        topic ? replica_table_find(&shard->replicas, topic->id, context->item.partition) : NULL;
    if (!replica || replica_check(replica, -1) != KAFKA_ERROR_NONE) {
        coordinator_fail(call, KAFKA_ERROR_NOT_COORDINATOR);
        return;
    }
    if (message->group_id.size == 0) {
        coordinator_fail(call, KAFKA_ERROR_INVALID_GROUP_ID);
        return;
    }
    context->shard = shard;
    enum verification_form form = form_of(call->version);
    uint64_t guard = 0;
    if (shard->producers.is_verification_enabled)
        guard = partition_log_begin_verification(replica->log, message->producer_id,
                                                 message->producer_epoch, BATCH_NO_SEQUENCE,
                                                 form == VERIFICATION_ADDS);
    /* Asked already, unless a marker of the last transaction took the guard meanwhile. */
    if (guard == 0 || guard == context->guard) {
        txn_offset_commit(groups, call, guard);
        return;
    }
    context->guard = guard;
    const struct verification_question question = {
        .transactional_id = message->transactional_id,
        .topic = topic->name,
        .topic_id = topic->id,
        .partition = context->item.partition,
        .producer_id = message->producer_id,
        .producer_epoch = message->producer_epoch,
        .form = form,
    };
    context->verification.done = verified;
    verifications_ask(&shard->verifications, &question, &context->verification);
}

static void txn_offset_commit_part(struct part *part, struct loop *at)
{
    coordinator_part_run(part, at, commit);
}

/* ---- The answer ---- */

static void add_partition(struct txn_offset_commit_response_topic *topic, int32_t partition,
                          int16_t error)
{
    struct txn_offset_commit_response_partition *out =
        &topic->partitions[topic->partitions_count++];
    txn_offset_commit_response_partition_init(out);
    out->partition_index = partition;
    out->error_code = error;
}

/* The coordinator's error for the whole request, as this version knows it. */
static int16_t whole_error(const struct request *request)
{
    const struct commit_context *context = request->context;
    enum kafka_error error = coordinator_item_answer(&context->item);
    if (error == KAFKA_ERROR_COORDINATOR_LOAD_IN_PROGRESS &&
        request_version(request) < LOADING_SINCE_VERSION)
        error = KAFKA_ERROR_COORDINATOR_NOT_AVAILABLE;
    return (int16_t)error;
}

static void fill(struct request *request, struct txn_offset_commit_response *response)
{
    const struct txn_offset_commit_request *message = REQUEST_MESSAGE(txn_offset_commit, request);
    const struct commit_context *context = request->context;
    int16_t whole = context->asked.topics_count == 0 ? 0 : whole_error(request);
    response->topics_count = message->topics_count;
    response->topics = request_get(request, message->topics_count, sizeof(*response->topics));
    for (size_t i = 0; i < message->topics_count; i++) {
        const struct txn_offset_commit_request_topic *topic = &message->topics[i];
        response->topics[i].name = topic->name;
        response->topics[i].partitions =
            request_get(request, topic->partitions_count, sizeof(*response->topics[i].partitions));
    }
    struct topic_walk at = topic_walk_of(&context->split, TOPIC_WALK_IN_ORDER);
    while (topic_walk_next(&at)) {
        int16_t error = at.error != KAFKA_ERROR_NONE ? (int16_t)at.error : whole;
        if (error == KAFKA_ERROR_NONE)
            error =
                context->answer.topics[at.asked_topic].partitions[at.asked_partition].error_code;
        add_partition(&response->topics[at.topic],
                      message->topics[at.topic].partitions[at.partition].partition_index, error);
    }
}

static void txn_offset_commit_join(struct request *request)
{
    struct txn_offset_commit_response response;
    txn_offset_commit_response_init(&response);
    fill(request, &response);
    request_respond(request, &response);
}

const struct api_row api_row_txn_offset_commit = {
    API_ROW(txn_offset_commit, API_KEY_TXN_OFFSET_COMMIT),
    .route = API_ROUTE_PARTITION,
    .split = txn_offset_commit_split,
    .part = txn_offset_commit_part,
    .join = txn_offset_commit_join,
};
