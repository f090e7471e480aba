/*
 * ConsumerGroupHeartbeat: join (epoch 0), leave (-1), pause of a static member (-2), and all
 * between.
 *
 * The order of the checks is Kafka's: the request itself, the group, its size, the member or the
 * instance, the epoch. A heartbeat that says nothing new from a member that is where its target is
 * touches no log and allocates nothing.
 *
 * Where a target was made in this turn of the loop already and a heartbeat would need another one,
 * it is parked, and all that are parked are answered at the end of the turn with one more target
 * (consumer_group_update.h).
 */
#include "consumer/consumer_group_heartbeat.h"

#include "consumer/call_memory.h"
#include "consumer/consumer_group_leave.h"
#include "consumer/consumer_group_migrate.h"
#include "consumer/consumer_group_timers.h"
#include "consumer/consumer_group_update.h"
#include "consumer/consumer_groups.h"

/* One heartbeat. */
struct heartbeat {
    struct groups *groups;
    struct coordinator_call *call;
    const struct consumer_group_heartbeat_request *request;
    struct arena arena; /* until the end of the handler */
    struct group *group;
    struct member_update update;
    const char *message;
};

static void answer_error(struct heartbeat *heartbeat, enum kafka_error error)
{
    struct consumer_group_heartbeat_response *response = heartbeat->call->response;
    response->error_code = (int16_t)error;
    if (heartbeat->message)
        response->error_message = view_of_string(heartbeat->message);
    coordinator_answer(heartbeat->groups->coordinator, heartbeat->call);
}

static enum kafka_error refuse(struct heartbeat *heartbeat, enum kafka_error error,
                               const char *message)
{
    heartbeat->message = message;
    return error;
}

/* ---- Who must be there already --------------------------------------------------------------- */

static enum kafka_error find_consumer(struct heartbeat *heartbeat,
                                      const struct consumer_group **consumer)
{
    const struct group *group = groups_find(heartbeat->groups, heartbeat->request->group_id);
    if (!group || group->type != GROUP_CONSUMER)
        return refuse(heartbeat, KAFKA_ERROR_GROUP_ID_NOT_FOUND, "There is no such group.");
    *consumer = group->consumer;
    return KAFKA_ERROR_NONE;
}

static enum kafka_error find_member(struct heartbeat *heartbeat, struct view member_id,
                                    struct consumer_member **member)
{
    const struct consumer_group *consumer;
    enum kafka_error error = find_consumer(heartbeat, &consumer);
    if (error != KAFKA_ERROR_NONE)
        return error;
    *member = consumer_group_find_member(consumer, member_id);
    if (!*member)
        return refuse(heartbeat, KAFKA_ERROR_UNKNOWN_MEMBER_ID, "The member is not in the group.");
    return KAFKA_ERROR_NONE;
}

/* ---- Leaving --------------------------------------------------------------------------------- */

/* The member that leaves or pauses. */
static enum kafka_error find_leaving(struct heartbeat *heartbeat, struct consumer_member **member)
{
    const struct consumer_group_heartbeat_request *request = heartbeat->request;
    if (view_is_null(request->instance_id))
        return find_member(heartbeat, request->member_id, member);
    const struct consumer_group *consumer;
    enum kafka_error error = find_consumer(heartbeat, &consumer);
    if (error != KAFKA_ERROR_NONE)
        return error;
    *member = consumer_group_find_instance(consumer, request->instance_id);
    if (!*member)
        return refuse(heartbeat, KAFKA_ERROR_UNKNOWN_MEMBER_ID, "The instance id is unknown.");
    if (!view_equal((*member)->id, request->member_id))
        return refuse(heartbeat, KAFKA_ERROR_FENCED_INSTANCE_ID,
                      "The instance id belongs to another member.");
    return KAFKA_ERROR_NONE;
}

static void leave(struct heartbeat *heartbeat)
{
    const struct consumer_group_heartbeat_request *request = heartbeat->request;
    struct consumer_member *member;
    enum kafka_error error = find_leaving(heartbeat, &member);
    if (error != KAFKA_ERROR_NONE) {
        answer_error(heartbeat, error);
        return;
    }
    bool pauses = request->member_epoch == MEMBER_EPOCH_LEAVE_STATIC;
    error = pauses ? consumer_group_pause_member(member)
                   : consumer_group_remove_members(member->group, &member, 1);
    if (error != KAFKA_ERROR_NONE) {
        coordinator_fail(heartbeat->call, error);
        return;
    }
    struct consumer_group_heartbeat_response *response = heartbeat->call->response;
    response->member_id = request->member_id;
    response->member_epoch = request->member_epoch;
    coordinator_answer(heartbeat->groups->coordinator, heartbeat->call);
}

/* ---- Joining and going on -------------------------------------------------------------------- */

/* Makes sure that the group is a consumer group, or is to become one. */
static enum kafka_error find_group(struct heartbeat *heartbeat)
{
    const struct consumer_group_heartbeat_request *request = heartbeat->request;
    struct group *group = groups_find(heartbeat->groups, request->group_id);
    heartbeat->group = group;
    if (group && group->type == GROUP_CONSUMER)
        return KAFKA_ERROR_NONE;
    if (request->member_epoch != MEMBER_EPOCH_JOIN)
        return refuse(heartbeat, KAFKA_ERROR_GROUP_ID_NOT_FOUND, "There is no such group.");
    if (!group)
        return KAFKA_ERROR_NONE;
    enum kafka_error error = consumer_group_upgrade(group, &heartbeat->message);
    /* Another one, or none, now. */
    heartbeat->group = groups_find(heartbeat->groups, request->group_id);
    return error;
}

static struct consumer_group *consumer_of(const struct heartbeat *heartbeat)
{
    return heartbeat->group ? heartbeat->group->consumer : NULL;
}

static enum kafka_error check_size(struct heartbeat *heartbeat)
{
    const struct consumer_group *consumer = consumer_of(heartbeat);
    struct view id = heartbeat->request->member_id;
    uint32_t limit = (uint32_t)groups_settings(heartbeat->groups)->group_consumer_max_size;
    if (!consumer || consumer->member_count < limit ||
        (id.size > 0 && consumer_group_find_member(consumer, id)))
        return KAFKA_ERROR_NONE;
    return refuse(heartbeat, KAFKA_ERROR_GROUP_MAX_SIZE_REACHED,
                  "The group has as many members as group.consumer.max.size allows.");
}

/* What the request says the member owns; NULL: nothing. False when memory was refused. */
static bool read_owned(struct heartbeat *heartbeat)
{
    const struct consumer_group_heartbeat_request *request = heartbeat->request;
    heartbeat->update.owned = NULL;
    if (!request->topic_partitions)
        return true;
    struct partition_set_builder builder;
    partition_set_builder_init(&builder, &heartbeat->arena);
    for (size_t t = 0; t < request->topic_partitions_count; t++) {
        for (size_t p = 0; p < request->topic_partitions[t].partitions_count; p++)
            partition_set_add(&builder, request->topic_partitions[t].topic_id,
                              request->topic_partitions[t].partitions[p]);
    }
    heartbeat->update.owned = partition_set_finish(&builder);
    return heartbeat->update.owned != NULL;
}

static enum kafka_error check_epoch(struct heartbeat *heartbeat,
                                    const struct consumer_member *member)
{
    int32_t epoch = heartbeat->request->member_epoch;
    const struct member_progress *known = &member->progress;
    if (epoch == MEMBER_EPOCH_JOIN || epoch == known->epoch)
        return KAFKA_ERROR_NONE;
    if (epoch > known->epoch)
        return refuse(heartbeat, KAFKA_ERROR_FENCED_MEMBER_EPOCH,
                      "The member epoch is larger than the known one; the member must give up its "
                      "partitions and join again.");
    /* The answer with the newer epoch may have been lost. */
    if (epoch == known->previous_epoch && heartbeat->update.owned &&
        partition_set_is_subset(heartbeat->update.owned, known->assigned))
        return KAFKA_ERROR_NONE;
    return refuse(heartbeat, KAFKA_ERROR_FENCED_MEMBER_EPOCH,
                  "The member epoch is smaller than the known one; the member must give up its "
                  "partitions and join again.");
}

static enum kafka_error find_dynamic(struct heartbeat *heartbeat)
{
    const struct consumer_group *consumer = consumer_of(heartbeat);
    struct consumer_member *member =
        consumer ? consumer_group_find_member(consumer, heartbeat->update.member_id) : NULL;
    heartbeat->update.member = member;
    if (!member)
        return heartbeat->request->member_epoch == MEMBER_EPOCH_JOIN
                   ? KAFKA_ERROR_NONE
                   : refuse(heartbeat, KAFKA_ERROR_UNKNOWN_MEMBER_ID,
                            "The member is not in the group.");
    return check_epoch(heartbeat, member);
}

static enum kafka_error find_static(struct heartbeat *heartbeat)
{
    const struct consumer_group_heartbeat_request *request = heartbeat->request;
    const struct consumer_group *consumer = consumer_of(heartbeat);
    struct consumer_member *held =
        consumer ? consumer_group_find_instance(consumer, request->instance_id) : NULL;
    if (request->member_epoch == MEMBER_EPOCH_JOIN) {
        if (!held) {
            heartbeat->update.member =
                consumer ? consumer_group_find_member(consumer, heartbeat->update.member_id) : NULL;
            return KAFKA_ERROR_NONE;
        }
        if (!consumer_member_is_classic(held) && held->progress.epoch != MEMBER_EPOCH_LEAVE_STATIC)
            return refuse(heartbeat, KAFKA_ERROR_UNRELEASED_INSTANCE_ID,
                          "The instance id belongs to a member that has not left.");
        heartbeat->update.member = held;
        heartbeat->update.replaces = true;
        return KAFKA_ERROR_NONE;
    }
    if (!held)
        return refuse(heartbeat, KAFKA_ERROR_UNKNOWN_MEMBER_ID, "The instance id is unknown.");
    if (!view_equal(held->id, request->member_id))
        return refuse(heartbeat, KAFKA_ERROR_FENCED_INSTANCE_ID,
                      "The instance id belongs to another member.");
    heartbeat->update.member = held;
    return check_epoch(heartbeat, held);
}

/* The member's metadata with what the request says. */
static bool merge_metadata(struct heartbeat *heartbeat)
{
    const struct consumer_group_heartbeat_request *request = heartbeat->request;
    member_metadata *metadata = &heartbeat->update.metadata;
    if (heartbeat->update.member)
        *metadata = *heartbeat->update.member->metadata;
    else
        member_metadata_default(metadata);
    if (!view_is_null(request->instance_id))
        metadata->instance_id = request->instance_id;
    if (!view_is_null(request->rack_id))
        metadata->rack_id = request->rack_id;
    if (request->rebalance_timeout_ms != -1)
        metadata->rebalance_timeout_ms = request->rebalance_timeout_ms;
    if (!view_is_null(request->server_assignor))
        metadata->server_assignor = request->server_assignor;
    if (!view_is_null(request->subscribed_topic_regex))
        metadata->subscribed_topic_regex = request->subscribed_topic_regex;
    struct view client_id = heartbeat->call->client.id;
    metadata->client_id = view_is_null(client_id) ? VIEW_LITERAL("") : client_id;
    metadata->client_host = heartbeat->call->client.host;
    metadata->classic_member_metadata = NULL;
    return !request->subscribed_topic_names ||
           member_metadata_set_names(metadata, request->subscribed_topic_names,
                                     request->subscribed_topic_names_count, &heartbeat->arena);
}

/* A new member id, as Kafka's clients make them. */
static struct view make_member_id(struct heartbeat *heartbeat)
{
    struct loop *loop = coordinator_loop(heartbeat->groups->coordinator);
    struct uuid id;
    do {
        uint8_t random[UUID_SIZE];
        loop_entropy(loop, random, sizeof(random));
        id = uuid_of_random(load_u64(random), load_u64(random + 8));
    } while (uuid_text_begins_with_dash(id));
    char *text = call_get(heartbeat->call, UUID_TEXT_SIZE + 1, 1);
    uuid_format(id, text);
    return view_of(text, UUID_TEXT_SIZE);
}

static void add_assignment(struct heartbeat *heartbeat, const struct partition_set *assigned)
{
    struct consumer_group_heartbeat_response *response = heartbeat->call->response;
    response->assignment = call_get(heartbeat->call, 1, sizeof(*response->assignment));
    struct consumer_group_heartbeat_response_topic_partitions *topics =
        call_get(heartbeat->call, assigned->topic_count, sizeof(*topics));
    for (uint32_t t = 0; t < assigned->topic_count; t++) {
        const struct partition_set_topic *topic = &assigned->topics[t];
        topics[t].topic_id = topic->id;
        topics[t].partitions = call_get(heartbeat->call, topic->count, sizeof(int32_t));
        topics[t].partitions_count = topic->count;
        memcpy(topics[t].partitions, partition_set_of(assigned, topic),
               topic->count * sizeof(int32_t));
    }
    response->assignment->topic_partitions = topics;
    response->assignment->topic_partitions_count = assigned->topic_count;
}

/* The assignment is told to who joins, who says everything anew, and when it has changed. */
static void respond(struct heartbeat *heartbeat)
{
    const struct consumer_group_heartbeat_request *request = heartbeat->request;
    struct consumer_group_heartbeat_response *response = heartbeat->call->response;
    const struct consumer_member *member = heartbeat->update.updated;
    response->member_id = heartbeat->update.member_id;
    response->member_epoch = member->progress.epoch;
    response->heartbeat_interval_ms =
        consumer_group_heartbeat_interval_ms(heartbeat->groups, request->group_id);
    bool is_full =
        request->rebalance_timeout_ms != -1 &&
        (request->subscribed_topic_names || !view_is_null(request->subscribed_topic_regex)) &&
        request->topic_partitions;
    if (request->member_epoch == MEMBER_EPOCH_JOIN || is_full ||
        heartbeat->update.assignment_changed)
        add_assignment(heartbeat, member->progress.assigned);
    coordinator_answer(heartbeat->groups->coordinator, heartbeat->call);
}

/* ---- Waiting for the target of the turn ------------------------------------------------------ */

/* What a parked heartbeat is to remember; the rest is in its request. */
struct parked_heartbeat {
    struct view member_id;
    bool subscription_changed;
};

static void park(struct heartbeat *heartbeat)
{
    struct coordinator_call *call = heartbeat->call;
    struct parked_heartbeat *parked = call_get(call, 1, sizeof(*parked));
    parked->member_id = heartbeat->update.member_id;
    parked->subscription_changed = heartbeat->update.subscription_changed;
    call->parked = parked;
    struct consumer_groups *shared = &heartbeat->groups->consumer;
    list_push_back(&shared->parked, &call->link);
    loop_defer(coordinator_loop(heartbeat->groups->coordinator), &shared->assign);
}

/* The member may have left since, by another connection, and its group with it. */
static enum kafka_error find_parked(struct heartbeat *heartbeat)
{
    enum kafka_error error =
        find_member(heartbeat, heartbeat->update.member_id, &heartbeat->update.member);
    if (error == KAFKA_ERROR_NONE && !read_owned(heartbeat))
        error = KAFKA_ERROR_UNKNOWN_SERVER_ERROR;
    return error;
}

static void unpark(struct groups *groups, struct coordinator_call *call)
{
    const struct parked_heartbeat *parked = call->parked;
    struct heartbeat heartbeat = {.groups = groups, .call = call, .request = call->request};
    heartbeat.update.member_id = parked->member_id;
    heartbeat.update.subscription_changed = parked->subscription_changed;
    arena_init(&heartbeat.arena, groups->heap, MEMORY_SCRATCH, 0);
    enum kafka_error error = find_parked(&heartbeat);
    if (error == KAFKA_ERROR_NONE) {
        error = consumer_group_finish_update(&heartbeat.update, &heartbeat.arena);
        heartbeat.message = heartbeat.update.message;
    }
    if (error != KAFKA_ERROR_NONE)
        answer_error(&heartbeat, error);
    else
        respond(&heartbeat);
    arena_deinit(&heartbeat.arena);
}

void consumer_group_heartbeats_assign(struct deferred *deferred)
{
    struct groups *groups = container_of(deferred, struct groups, consumer.assign);
    for (struct list *link; (link = list_pop_front(&groups->consumer.parked)) != NULL;)
        unpark(groups, container_of(link, struct coordinator_call, link));
}

/* ---- The whole ------------------------------------------------------------------------------- */

static enum kafka_error check(struct heartbeat *heartbeat)
{
    enum kafka_error error = check_size(heartbeat);
    if (error != KAFKA_ERROR_NONE)
        return error;
    heartbeat->update.member_id = heartbeat->request->member_id.size ? heartbeat->request->member_id
                                                                     : make_member_id(heartbeat);
    if (!read_owned(heartbeat))
        return KAFKA_ERROR_UNKNOWN_SERVER_ERROR;
    error = view_is_null(heartbeat->request->instance_id) ? find_dynamic(heartbeat)
                                                          : find_static(heartbeat);
    if (error == KAFKA_ERROR_NONE && !merge_metadata(heartbeat))
        error = KAFKA_ERROR_UNKNOWN_SERVER_ERROR;
    return error;
}

static void go_on(struct heartbeat *heartbeat)
{
    enum kafka_error error = find_group(heartbeat);
    if (error == KAFKA_ERROR_NONE)
        error = check(heartbeat);
    if (error == KAFKA_ERROR_NONE) {
        heartbeat->update.may_wait = true;
        error =
            consumer_group_update_member(heartbeat->groups, heartbeat->request->group_id,
                                         heartbeat->group, &heartbeat->update, &heartbeat->arena);
        heartbeat->message = heartbeat->update.message;
    }
    if (error != KAFKA_ERROR_NONE) {
        answer_error(heartbeat, error);
        return;
    }
    consumer_member_touch(heartbeat->update.updated);
    if (heartbeat->update.waits)
        park(heartbeat);
    else
        respond(heartbeat);
}

void consumer_group_heartbeat(struct groups *groups, struct coordinator_call *call)
{
    struct heartbeat heartbeat = {.groups = groups, .call = call, .request = call->request};
    arena_init(&heartbeat.arena, groups->heap, MEMORY_SCRATCH, 0);
    enum kafka_error error = consumer_heartbeat_validate(
        heartbeat.request, call->version, groups_settings(groups), &heartbeat.message);
    int32_t epoch = heartbeat.request->member_epoch;
    if (error != KAFKA_ERROR_NONE)
        answer_error(&heartbeat, error);
    else if (epoch == MEMBER_EPOCH_LEAVE || epoch == MEMBER_EPOCH_LEAVE_STATIC)
        leave(&heartbeat);
    else
        go_on(&heartbeat);
    arena_deinit(&heartbeat.arena);
}
