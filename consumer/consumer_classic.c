/*
 * Classic members in a consumer group (KIP-848, migration): their generation is the member epoch,
 * every one is answered for itself, nobody leads, nobody waits. What JoinGroup says becomes the
 * member's metadata; the step towards the target is the same as after a heartbeat of the consumer
 * protocol. Classic members cannot be told to give something up in a heartbeat: they are told that
 * a rebalance is in progress, and have their rebalance timeout to join again.
 */
#include "consumer/consumer_classic.h"

#include "base/text.h"
#include "consumer/call_memory.h"
#include "consumer/consumer_group_leave.h"
#include "consumer/consumer_group_migrate.h"
#include "consumer/consumer_group_records.h"
#include "consumer/consumer_group_timers.h"
#include "consumer/consumer_group_update.h"
#include "consumer/consumer_groups.h"
#include "consumer/consumer_protocol.h"
#include "protocol/messages/heartbeat.h"
#include "protocol/messages/join_group.h"
#include "protocol/messages/leave_group.h"
#include "protocol/messages/sync_group.h"

enum { MEMBER_ID_REQUIRED_SINCE = 4, REBALANCE_TIMEOUT_SINCE = 1, MEMBER_EPOCH_COMMITS_SINCE = 9 };

static struct coordinator *coordinator_of(const struct group *group)
{
    return group->groups->coordinator;
}

/* ---- JoinGroup ------------------------------------------------------------------------------- */

struct join {
    struct group *group;
    struct coordinator_call *call;
    const struct join_group_request *request;
    struct member_update update;
    struct arena arena;
};

static bool is_supported(const struct join *join)
{
    const struct consumer_group *consumer = join->group->consumer;
    if (!view_equal(join->request->protocol_type, VIEW_LITERAL("consumer")))
        return false;
    for (size_t i = 0; i < join->request->protocols_count; i++) {
        if (consumer_group_protocol_count(consumer, join->request->protocols[i].name) ==
            consumer->classic_count)
            return true;
    }
    return false;
}

static struct view make_member_id(struct join *join)
{
    uint8_t random[UUID_SIZE];
    loop_entropy(coordinator_loop(coordinator_of(join->group)), random, sizeof(random));
    char *text = call_get(join->call, UUID_TEXT_SIZE + 1, 1);
    uuid_format(uuid_of_random(load_u64(random), load_u64(random + 8)), text);
    return view_of(text, UUID_TEXT_SIZE);
}

/* Who joins: a new member, a known one, or one that takes the place of a static member. */
static enum kafka_error find_joining(struct join *join)
{
    const struct consumer_group *consumer = join->group->consumer;
    const struct join_group_request *request = join->request;
    struct member_update *update = &join->update;
    if (view_is_null(request->group_instance_id)) {
        update->member = consumer_group_find_member(consumer, update->member_id);
        return KAFKA_ERROR_NONE;
    }
    update->member = consumer_group_find_instance(consumer, request->group_instance_id);
    if (request->member_id.size == 0) {
        update->replaces = update->member != NULL;
        return KAFKA_ERROR_NONE;
    }
    if (!update->member)
        return KAFKA_ERROR_UNKNOWN_MEMBER_ID;
    return view_equal(update->member->id, request->member_id) ? KAFKA_ERROR_NONE
                                                              : KAFKA_ERROR_FENCED_INSTANCE_ID;
}

static bool set_protocols(struct join *join)
{
    const struct join_group_request *request = join->request;
    struct consumer_group_member_metadata_value_classic_member_metadata *classic =
        arena_get(&join->arena, sizeof(*classic));
    struct consumer_group_member_metadata_value_classic_protocol *protocols =
        arena_get_array(&join->arena, request->protocols_count, sizeof(*protocols));
    if (!classic || !protocols)
        return false;
    for (size_t i = 0; i < request->protocols_count; i++) {
        protocols[i].name = request->protocols[i].name;
        protocols[i].metadata = request->protocols[i].metadata;
    }
    classic->session_timeout_ms = request->session_timeout_ms;
    classic->supported_protocols = protocols;
    classic->supported_protocols_count = request->protocols_count;
    join->update.metadata.classic_member_metadata = classic;
    return true;
}

/* The member's metadata, and what it owns, from the first protocol that it lists. */
static enum kafka_error read_metadata(struct join *join)
{
    const struct join_group_request *request = join->request;
    struct member_update *update = &join->update;
    struct consumer_protocol_subscription subscription;
    if (!consumer_protocol_read_subscription(request->protocols[0].metadata, &join->arena,
                                             &subscription))
        return KAFKA_ERROR_UNKNOWN_SERVER_ERROR;
    if (update->member)
        update->metadata = *update->member->metadata;
    else
        member_metadata_default(&update->metadata);
    member_metadata *metadata = &update->metadata;
    if (!view_is_null(request->group_instance_id))
        metadata->instance_id = request->group_instance_id;
    if (!view_is_null(subscription.rack_id))
        metadata->rack_id = subscription.rack_id;
    metadata->rebalance_timeout_ms = join->call->version >= REBALANCE_TIMEOUT_SINCE
                                         ? request->rebalance_timeout_ms
                                         : request->session_timeout_ms;
    metadata->subscribed_topic_regex = VIEW_LITERAL("");
    struct view client_id = join->call->client.id;
    metadata->client_id = view_is_null(client_id) ? VIEW_LITERAL("") : client_id;
    metadata->client_host = join->call->client.host;
    update->owned = consumer_protocol_owned(coordinator_image(coordinator_of(join->group)),
                                            &subscription, &join->arena);
    if (!update->owned || !set_protocols(join) ||
        !member_metadata_set_names(metadata, subscription.topics, subscription.topics_count,
                                   &join->arena))
        return KAFKA_ERROR_UNKNOWN_SERVER_ERROR;
    return KAFKA_ERROR_NONE;
}

static enum kafka_error check_join(struct join *join)
{
    const struct consumer_group *consumer = join->group->consumer;
    const struct join_group_request *request = join->request;
    bool is_unknown = request->member_id.size == 0;
    join->update.member_id = is_unknown ? make_member_id(join) : request->member_id;
    uint32_t limit = (uint32_t)groups_settings(join->group->groups)->group_consumer_max_size;
    if (consumer->member_count >= limit &&
        !consumer_group_find_member(consumer, join->update.member_id))
        return KAFKA_ERROR_GROUP_MAX_SIZE_REACHED;
    if (!is_supported(join))
        return KAFKA_ERROR_INCONSISTENT_GROUP_PROTOCOL;
    if (is_unknown && view_is_null(request->group_instance_id) &&
        join->call->version >= MEMBER_ID_REQUIRED_SINCE)
        return KAFKA_ERROR_MEMBER_ID_REQUIRED;
    enum kafka_error error = find_joining(join);
    return error == KAFKA_ERROR_NONE ? read_metadata(join) : error;
}

static enum kafka_error carry_out_join(struct join *join)
{
    struct groups *groups = join->group->groups;
    struct join_group_response *response = join->call->response;
    enum kafka_error error = consumer_group_update_member(groups, join->group->id, join->group,
                                                          &join->update, &join->arena);
    if (error != KAFKA_ERROR_NONE)
        return error;
    struct consumer_member *member = join->update.updated;
    response->member_id = join->update.member_id;
    response->generation_id = member->progress.epoch;
    response->protocol_type = VIEW_LITERAL("consumer");
    response->protocol_name = join->request->protocols[0].name;
    consumer_member_touch(member);
    consumer_member_joined(member);
    /* It may have taken the place of the last member of the consumer protocol. A downgrade that the
     * log refuses is left for the next member that goes. */
    if (join->update.replaces && consumer_group_can_downgrade_without(member->group, NULL, 0))
        consumer_group_downgrade(member->group, NULL, 0);
    return KAFKA_ERROR_NONE;
}

void consumer_classic_join(struct group *group, struct coordinator_call *call)
{
    struct join join = {.group = group, .call = call, .request = call->request};
    struct join_group_response *response = call->response;
    struct coordinator *coordinator = coordinator_of(group);
    arena_init(&join.arena, group->groups->heap, MEMORY_SCRATCH, 0);
    enum kafka_error error = check_join(&join);
    if (error == KAFKA_ERROR_NONE)
        error = carry_out_join(&join);
    arena_deinit(&join.arena);
    if (error != KAFKA_ERROR_NONE) {
        response->error_code = (int16_t)error;
        response->member_id = error == KAFKA_ERROR_MEMBER_ID_REQUIRED ? join.update.member_id
                                                                      : join.request->member_id;
    }
    coordinator_answer(coordinator, call);
}

/* ---- SyncGroup, Heartbeat -------------------------------------------------------------------- */

/* The classic member that a request speaks for. */
static enum kafka_error find_classic(const struct group *group, struct view id,
                                     struct view instance_id, int32_t generation,
                                     struct consumer_member **member)
{
    if (view_is_null(instance_id)) {
        *member = consumer_group_find_member(group->consumer, id);
    } else {
        *member = consumer_group_find_instance(group->consumer, instance_id);
        if (*member && !view_equal((*member)->id, id))
            return KAFKA_ERROR_FENCED_INSTANCE_ID;
    }
    if (!*member || !consumer_member_is_classic(*member))
        return KAFKA_ERROR_UNKNOWN_MEMBER_ID;
    return (*member)->progress.epoch == generation ? KAFKA_ERROR_NONE
                                                   : KAFKA_ERROR_ILLEGAL_GENERATION;
}

static struct view first_protocol(const struct consumer_member *member)
{
    const struct consumer_group_member_metadata_value_classic_member_metadata *classic =
        member->metadata->classic_member_metadata;
    return classic->supported_protocols_count ? classic->supported_protocols[0].name : VIEW_NULL;
}

static enum kafka_error sync_member(const struct group *group, struct coordinator_call *call)
{
    const struct sync_group_request *request = call->request;
    struct sync_group_response *response = call->response;
    struct consumer_member *member;
    enum kafka_error error = find_classic(group, request->member_id, request->group_instance_id,
                                          request->generation_id, &member);
    if (error != KAFKA_ERROR_NONE)
        return error;
    if ((!view_is_null(request->protocol_type) &&
         !view_equal(request->protocol_type, VIEW_LITERAL("consumer"))) ||
        (!view_is_null(request->protocol_name) &&
         !view_equal(request->protocol_name, first_protocol(member))))
        return KAFKA_ERROR_INCONSISTENT_GROUP_PROTOCOL;
    if (group->consumer->epoch > member->progress.epoch &&
        member->progress.state != MEMBER_UNREVOKED_PARTITIONS) {
        consumer_member_await_join(member);
        return KAFKA_ERROR_REBALANCE_IN_PROGRESS;
    }
    int16_t version;
    const struct consumer_group_member_metadata_value_classic_member_metadata *classic =
        member->metadata->classic_member_metadata;
    if (classic->supported_protocols_count == 0 ||
        !consumer_protocol_version(classic->supported_protocols[0].metadata, &version))
        return KAFKA_ERROR_UNKNOWN_SERVER_ERROR;
    response->assignment = consumer_protocol_write_assignment(
        coordinator_image(coordinator_of(group)), member->progress.assigned, version, call->arena);
    if (view_is_null(response->assignment))
        return KAFKA_ERROR_UNKNOWN_SERVER_ERROR;
    response->protocol_type = request->protocol_type;
    response->protocol_name = request->protocol_name;
    consumer_member_synced(member);
    consumer_member_touch(member);
    return KAFKA_ERROR_NONE;
}

void consumer_classic_sync(struct group *group, struct coordinator_call *call)
{
    struct sync_group_response *response = call->response;
    response->error_code = (int16_t)sync_member(group, call);
    coordinator_answer(coordinator_of(group), call);
}

/* Whether something that the member waits for is still owned by others. */
static bool waits_for_others(const struct consumer_member *member)
{
    const struct partition_set *target = member->target;
    for (uint32_t t = 0; t < target->topic_count; t++) {
        const struct partition_set_topic *topic = &target->topics[t];
        for (uint32_t i = 0; i < topic->count; i++) {
            int32_t partition = partition_set_of(target, topic)[i];
            if (!partition_set_contains(member->progress.assigned, topic->id, partition) &&
                consumer_group_partition_epoch(member->group, topic->id, partition) !=
                    PARTITION_EPOCH_FREE)
                return true;
        }
    }
    return false;
}

static bool must_rejoin(const struct consumer_member *member)
{
    if (member->progress.epoch < member->group->epoch ||
        member->progress.state == MEMBER_UNREVOKED_PARTITIONS)
        return true;
    return member->progress.state == MEMBER_UNRELEASED_PARTITIONS && !waits_for_others(member);
}

void consumer_classic_heartbeat(struct group *group, struct coordinator_call *call)
{
    const struct heartbeat_request *request = call->request;
    struct heartbeat_response *response = call->response;
    struct consumer_member *member;
    enum kafka_error error = find_classic(group, request->member_id, request->group_instance_id,
                                          request->generation_id, &member);
    if (error == KAFKA_ERROR_NONE) {
        consumer_member_touch(member);
        if (must_rejoin(member)) {
            consumer_member_await_join(member);
            error = KAFKA_ERROR_REBALANCE_IN_PROGRESS;
        }
    }
    response->error_code = (int16_t)error;
    coordinator_answer(coordinator_of(group), call);
}

/* ---- LeaveGroup ------------------------------------------------------------------------------ */

static enum kafka_error find_leaving(const struct group *group,
                                     const struct leave_group_request_member_identity *identity,
                                     struct consumer_member **member)
{
    if (view_is_null(identity->group_instance_id)) {
        *member = consumer_group_find_member(group->consumer, identity->member_id);
        return *member ? KAFKA_ERROR_NONE : KAFKA_ERROR_UNKNOWN_MEMBER_ID;
    }
    *member = consumer_group_find_instance(group->consumer, identity->group_instance_id);
    if (!*member)
        return KAFKA_ERROR_UNKNOWN_MEMBER_ID;
    /* An administrator names the instance only. */
    bool fits = identity->member_id.size == 0 || view_equal((*member)->id, identity->member_id);
    return fits ? KAFKA_ERROR_NONE : KAFKA_ERROR_FENCED_INSTANCE_ID;
}

void consumer_classic_leave(struct group *group, struct coordinator_call *call)
{
    const struct leave_group_request *request = call->request;
    struct leave_group_response *response = call->response;
    struct coordinator *coordinator = coordinator_of(group);
    struct consumer_member **leaving =
        call_get(call, request->members_count, sizeof(struct consumer_member *));
    size_t count = 0;
    response->members = call_get(call, request->members_count, sizeof(*response->members));
    response->members_count = request->members_count;
    for (size_t i = 0; i < request->members_count; i++) {
        struct leave_group_response_member_response *out = &response->members[i];
        leave_group_response_member_response_init(out);
        out->member_id = request->members[i].member_id;
        out->group_instance_id = request->members[i].group_instance_id;
        struct consumer_member *member;
        out->error_code = (int16_t)find_leaving(group, &request->members[i], &member);
        bool known = out->error_code != KAFKA_ERROR_NONE;
        for (size_t k = 0; !known && k < count; k++)
            known = leaving[k] == member;
        if (!known)
            leaving[count++] = member;
    }
    enum kafka_error error = consumer_group_remove_members(group->consumer, leaving, count);
    if (error != KAFKA_ERROR_NONE)
        coordinator_fail(call, error);
    else
        coordinator_answer(coordinator, call);
}

/* ---- Offsets --------------------------------------------------------------------------------- */

static enum kafka_error check_epoch(const struct consumer_member *member, int32_t epoch)
{
    if (member->progress.epoch == epoch)
        return KAFKA_ERROR_NONE;
    return consumer_member_is_classic(member) ? KAFKA_ERROR_ILLEGAL_GENERATION
                                              : KAFKA_ERROR_STALE_MEMBER_EPOCH;
}

enum kafka_error consumer_classic_validate_commit(struct group *group,
                                                  const struct commit_claim *claim)
{
    if (claim->generation < 0 && group->consumer->member_count == 0)
        return KAFKA_ERROR_NONE; /* an administrator */
    if (claim->is_transactional && claim->generation == -1 && claim->member_id.size == 0 &&
        view_is_null(claim->instance_id))
        return KAFKA_ERROR_NONE;
    const struct consumer_member *member =
        consumer_group_find_member(group->consumer, claim->member_id);
    if (!member)
        return KAFKA_ERROR_UNKNOWN_MEMBER_ID;
    if (!claim->is_transactional && !consumer_member_is_classic(member) &&
        claim->version < MEMBER_EPOCH_COMMITS_SINCE)
        return KAFKA_ERROR_UNSUPPORTED_VERSION;
    enum kafka_error error = check_epoch(member, claim->generation);
    if (error == KAFKA_ERROR_STALE_MEMBER_EPOCH && claim->is_transactional)
        return KAFKA_ERROR_ILLEGAL_GENERATION;
    return error;
}

enum kafka_error consumer_classic_validate_fetch(const struct group *group, struct view member_id,
                                                 int32_t member_epoch)
{
    if (view_is_null(member_id) && member_epoch < 0)
        return KAFKA_ERROR_NONE;
    const struct consumer_member *member = consumer_group_find_member(
        group->consumer, view_is_null(member_id) ? VIEW_LITERAL("") : member_id);
    return member ? check_epoch(member, member_epoch) : KAFKA_ERROR_UNKNOWN_MEMBER_ID;
}

/* ---- The group ------------------------------------------------------------------------------- */

bool consumer_classic_is_empty(const struct group *group)
{
    return group->consumer->member_count == 0;
}

bool consumer_classic_subscribes(const struct group *group, struct view topic)
{
    return map_find(&group->consumer->subscribed, topic) != NULL;
}

struct view consumer_classic_state_name(const struct group *group)
{
    return consumer_group_state_name(consumer_group_state(group->consumer));
}

void consumer_classic_put_tombstones(struct coordinator_records *records, const struct group *group)
{
    struct consumer_records batch = {.records = *records, .group_id = group->id};
    put_removed_group(&batch, group->consumer);
    *records = batch.records;
}

enum coordinator_replay consumer_classic_replay(struct groups *groups,
                                                const struct coordinator_record *record)
{
    return consumer_groups_replay(groups, record);
}

void consumer_classic_displace(struct group *group)
{
    consumer_group_destroy(group);
}
