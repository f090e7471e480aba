/* Each request lies in its `asked` until it is ended, since a parked call keeps pointing there. */
#include "tests/unit/consumer/group_bench.h"

#include <stdio.h>

static struct coordinator_fixture fixture;

struct coordinator_fixture *bench(void)
{
    return &fixture;
}

void group_bench_prepare(void)
{
    coordinator_fixture_init(&fixture, &groups_kind);
}

void group_bench_load(void)
{
    coordinator_fixture_start(&fixture);
}

void group_bench_start(void)
{
    group_bench_prepare();
    group_bench_load();
}

void group_bench_end(void)
{
    coordinator_fixture_deinit(&fixture);
}

struct groups *bench_groups(void)
{
    return coordinator_fixture_state(&fixture);
}

struct group *bench_group(const char *id)
{
    return groups_find(bench_groups(), view_of_string(id));
}

struct classic_group *bench_classic(const char *id)
{
    struct group *group = bench_group(id);
    assert_non_null(group);
    assert_int_equal(group->type, GROUP_CLASSIC);
    classic_group_check(group->classic);
    return group->classic;
}

void bench_run(void)
{
    coordinator_fixture_run(&fixture);
}

void bench_advance(int64_t ms)
{
    enum { STEP_MS = 10 };
    for (; ms > STEP_MS; ms -= STEP_MS)
        coordinator_fixture_advance(&fixture, STEP_MS);
    coordinator_fixture_advance(&fixture, ms);
}

void bench_stall(int64_t ms)
{
    coordinator_fixture_advance(&fixture, ms);
}

bool asked_is_told(const struct asked *asked)
{
    return asked->call.told > 0;
}

void assert_answered(struct asked *asked)
{
    assert_int_equal(asked->call.told, 1);
    assert_int_equal(asked->call.call.error, KAFKA_ERROR_NONE);
}

void asked_end(struct asked *asked)
{
    fixture_call_deinit(&asked->call);
}

static struct view text(const char *string)
{
    return view_of_string(string ? string : "");
}

static void begin(struct asked *asked, int16_t version, const void *request, void *response)
{
    fixture_call_init(&fixture, &asked->call, version, request, response);
}

/* ---- Requests ---- */

void ask_join(struct asked *asked, const struct joining *joining)
{
    struct join_group_request *request = &asked->join_request;
    join_group_request_init(request);
    join_group_response_init(&asked->join);
    request->group_id = text(joining->group);
    request->member_id = text(joining->member);
    request->group_instance_id = view_of_string(joining->instance);
    request->protocol_type = text(joining->type ? joining->type : "consumer");
    request->session_timeout_ms = joining->session_ms ? joining->session_ms : SESSION_MS;
    request->rebalance_timeout_ms = joining->rebalance_ms ? joining->rebalance_ms : REBALANCE_MS;
    request->protocols = asked->protocols;
    for (size_t i = 0; i < 3 && (i == 0 || joining->protocols[i]); i++) {
        asked->protocols[i].name = text(joining->protocols[i] ? joining->protocols[i] : "range");
        asked->protocols[i].metadata = text(joining->metadata[i]);
        request->protocols_count = i + 1;
    }
    if (joining->has_no_protocols)
        request->protocols_count = 0;
    begin(asked, joining->version ? joining->version : 9, request, &asked->join);
    join_group(bench_groups(), &asked->call.call);
    bench_run();
}

void ask_sync(struct asked *asked, const struct syncing *syncing)
{
    struct sync_group_request *request = &asked->sync_request;
    sync_group_request_init(request);
    sync_group_response_init(&asked->sync);
    request->group_id = text(syncing->group);
    request->member_id = text(syncing->member);
    request->group_instance_id = view_of_string(syncing->instance);
    request->generation_id = syncing->generation;
    request->protocol_type = view_of_string(syncing->type);
    request->protocol_name = view_of_string(syncing->protocol);
    request->assignments = asked->assignments;
    for (size_t i = 0; i < 3 && syncing->to[i]; i++) {
        asked->assignments[i].member_id = text(syncing->to[i]);
        asked->assignments[i].assignment = text(syncing->assignment[i]);
        request->assignments_count = i + 1;
    }
    begin(asked, syncing->version ? syncing->version : 3, request, &asked->sync);
    sync_group(bench_groups(), &asked->call.call);
    bench_run();
}

void ask_heartbeat(struct asked *asked, const char *group, const char *member, const char *instance,
                   int32_t generation)
{
    struct heartbeat_request *request = &asked->heartbeat_request;
    heartbeat_request_init(request);
    heartbeat_response_init(&asked->heartbeat);
    request->group_id = text(group);
    request->member_id = text(member);
    request->group_instance_id = view_of_string(instance);
    request->generation_id = generation;
    begin(asked, 4, request, &asked->heartbeat);
    heartbeat(bench_groups(), &asked->call.call);
    bench_run();
}

void ask_leave(struct asked *asked, const char *group, const char *member, const char *instance)
{
    struct leave_group_request *request = &asked->leave_request;
    leave_group_request_init(request);
    leave_group_response_init(&asked->leave);
    request->group_id = text(group);
    leave_group_request_member_identity_init(&asked->identities[0]);
    asked->identities[0].member_id = text(member);
    asked->identities[0].group_instance_id = view_of_string(instance);
    request->members = asked->identities;
    request->members_count = 1;
    begin(asked, 5, request, &asked->leave);
    leave_group(bench_groups(), &asked->call.call);
    bench_run();
}

void ask_commit(struct asked *asked, const struct committing *committing)
{
    struct offset_commit_request *request = &asked->commit_request;
    offset_commit_request_init(request);
    offset_commit_response_init(&asked->commit);
    request->group_id = text(committing->group);
    request->member_id = text(committing->member);
    request->group_instance_id = view_of_string(committing->instance);
    request->generation_id_or_member_epoch = committing->generation ? committing->generation : -1;
    request->retention_time_ms = committing->retention_ms ? committing->retention_ms : -1;
    offset_commit_request_topic_init(&asked->commit_topic);
    offset_commit_request_partition_init(&asked->commit_partition);
    asked->commit_topic.name = text(committing->topic ? committing->topic : "topic");
    asked->commit_topic.topic_id = committing->topic_id;
    asked->commit_topic.partitions = &asked->commit_partition;
    asked->commit_topic.partitions_count = 1;
    asked->commit_partition.partition_index = committing->partition;
    asked->commit_partition.committed_offset = committing->offset;
    asked->commit_partition.committed_metadata = text(committing->metadata);
    request->topics = &asked->commit_topic;
    request->topics_count = 1;
    begin(asked, committing->version ? committing->version : 8, request, &asked->commit);
    offset_commit(bench_groups(), &asked->call.call);
    bench_run();
}

void ask_txn_commit(struct asked *asked, const struct committing *committing, int64_t producer_id,
                    int16_t producer_epoch)
{
    struct txn_offset_commit_request *request = &asked->txn_request;
    txn_offset_commit_request_init(request);
    txn_offset_commit_response_init(&asked->txn);
    request->group_id = text(committing->group);
    request->member_id = text(committing->member);
    request->group_instance_id = view_of_string(committing->instance);
    request->generation_id = committing->generation ? committing->generation : -1;
    request->producer_id = producer_id;
    request->producer_epoch = producer_epoch;
    txn_offset_commit_request_topic_init(&asked->txn_topic);
    txn_offset_commit_request_partition_init(&asked->txn_partition);
    asked->txn_topic.name = text(committing->topic ? committing->topic : "topic");
    asked->txn_topic.partitions = &asked->txn_partition;
    asked->txn_topic.partitions_count = 1;
    asked->txn_partition.partition_index = committing->partition;
    asked->txn_partition.committed_offset = committing->offset;
    asked->txn_partition.committed_metadata = text(committing->metadata);
    request->topics = &asked->txn_topic;
    request->topics_count = 1;
    begin(asked, 3, request, &asked->txn);
    txn_offset_commit(bench_groups(), &asked->call.call, 0);
    bench_run();
}

void bench_end_transaction(int64_t producer_id, int16_t producer_epoch, bool commit)
{
    struct coordinator_marker marker = {
        .producer_id = producer_id, .producer_epoch = producer_epoch, .commit = commit};
    assert_int_equal(coordinator_append_marker(fixture.coordinator, &marker), KAFKA_ERROR_NONE);
    bench_run();
}

static void ask_question(struct asked *asked, const char *group, bool stable)
{
    offset_fetch_response_group_init(&asked->fetch);
    asked->question.group_id = text(group);
    asked->question.member_id = VIEW_NULL;
    asked->question.member_epoch = -1;
    asked->question.require_stable = stable;
    begin(asked, 9, &asked->question, &asked->fetch);
    offset_fetch(bench_groups(), &asked->call.call);
    bench_run();
}

void ask_fetch(struct asked *asked, const char *group, const char *topic, int32_t partition,
               bool stable, struct uuid topic_id)
{
    asked->partition = partition;
    asked->question_topic = (struct offset_question_topic){
        .name = text(topic), .id = topic_id, .partitions = &asked->partition, .partition_count = 1};
    asked->question = (struct offset_question){.topics = &asked->question_topic, .topic_count = 1};
    ask_question(asked, group, stable);
}

void ask_fetch_all(struct asked *asked, const char *group, bool stable)
{
    asked->question = (struct offset_question){.all_topics = true};
    ask_question(asked, group, stable);
}

void ask_offset_delete(struct asked *asked, const char *group, const char *topic, int32_t partition)
{
    struct offset_delete_request *request = &asked->delete_request;
    offset_delete_request_init(request);
    offset_delete_response_init(&asked->offset_delete);
    request->group_id = text(group);
    offset_delete_request_topic_init(&asked->delete_topic);
    asked->delete_topic.name = text(topic);
    asked->delete_topic.partitions = &asked->delete_partition;
    asked->delete_topic.partitions_count = 1;
    asked->delete_partition.partition_index = partition;
    request->topics = &asked->delete_topic;
    request->topics_count = 1;
    begin(asked, 0, request, &asked->offset_delete);
    offset_delete(bench_groups(), &asked->call.call);
    bench_run();
}

void ask_describe(struct asked *asked, const char *group, int16_t version)
{
    describe_groups_response_described_group_init(&asked->describe);
    asked->id = text(group);
    begin(asked, version, &asked->id, &asked->describe);
    describe_group(bench_groups(), &asked->call.call);
    bench_run();
}

void ask_delete(struct asked *asked, const char *group)
{
    delete_groups_response_deletable_group_result_init(&asked->deleted);
    asked->id = text(group);
    begin(asked, 2, &asked->id, &asked->deleted);
    delete_group(bench_groups(), &asked->call.call);
    bench_run();
}

void ask_list(struct asked *asked, const char *state, const char *type)
{
    list_groups_request_init(&asked->list_request);
    list_groups_response_init(&asked->list);
    asked->filters[0] = text(state);
    asked->filters[1] = text(type);
    asked->list_request.states_filter = &asked->filters[0];
    asked->list_request.states_filter_count = state ? 1 : 0;
    asked->list_request.types_filter = &asked->filters[1];
    asked->list_request.types_filter_count = type ? 1 : 0;
    begin(asked, 5, &asked->list_request, &asked->list);
    list_groups(bench_groups(), &asked->call.call);
    bench_run();
}

/* ---- In one line ---- */

int join_error(const struct joining *joining)
{
    struct asked asked;
    ask_join(&asked, joining);
    assert_answered(&asked);
    int error = asked.join.error_code;
    asked_end(&asked);
    return error;
}

int sync_error(const struct syncing *syncing)
{
    struct asked asked;
    ask_sync(&asked, syncing);
    assert_answered(&asked);
    int error = asked.sync.error_code;
    asked_end(&asked);
    return error;
}

int heartbeat_error(const char *group, const char *member, int32_t generation)
{
    struct asked asked;
    ask_heartbeat(&asked, group, member, NULL, generation);
    assert_answered(&asked);
    int error = asked.heartbeat.error_code;
    asked_end(&asked);
    return error;
}

int leave_error(const char *group, const char *member)
{
    struct asked asked;
    ask_leave(&asked, group, member, NULL);
    assert_answered(&asked);
    int error = asked.leave.error_code ? asked.leave.error_code : asked.leave.members[0].error_code;
    asked_end(&asked);
    return error;
}

int commit_error(const struct committing *committing)
{
    struct asked asked;
    ask_commit(&asked, committing);
    assert_int_equal(asked.call.told, 1);
    int error = asked.call.call.error;
    if (error == KAFKA_ERROR_NONE)
        error = asked.commit.topics[0].partitions[0].error_code;
    asked_end(&asked);
    return error;
}

static int64_t fetched(const char *group, const char *topic, int32_t partition, bool stable)
{
    struct asked asked;
    ask_fetch(&asked, group, topic, partition, stable, UUID_ZERO);
    assert_answered(&asked);
    const struct offset_fetch_response_partitions *out = &asked.fetch.topics[0].partitions[0];
    int64_t offset = out->error_code ? -out->error_code : out->committed_offset;
    asked_end(&asked);
    return offset;
}

int64_t committed(const char *group, const char *topic, int32_t partition)
{
    return fetched(group, topic, partition, false);
}

int64_t committed_stable(const char *group, const char *topic, int32_t partition)
{
    return fetched(group, topic, partition, true);
}

int offset_delete_error(const char *group, const char *topic, int32_t partition)
{
    struct asked asked;
    ask_offset_delete(&asked, group, topic, partition);
    assert_answered(&asked);
    int error = asked.offset_delete.error_code;
    if (error == KAFKA_ERROR_NONE)
        error = asked.offset_delete.topics[0].partitions[0].error_code;
    asked_end(&asked);
    return error;
}

int delete_error(const char *group)
{
    struct asked asked;
    ask_delete(&asked, group);
    assert_answered(&asked);
    int error = asked.deleted.error_code;
    asked_end(&asked);
    return error;
}

void assert_state(const char *group, const char *state)
{
    struct asked asked;
    ask_describe(&asked, group, 5);
    assert_answered(&asked);
    assert_int_equal(asked.describe.group_state.size, strlen(state));
    assert_memory_equal(asked.describe.group_state.data, state, strlen(state));
    asked_end(&asked);
}

/* ---- Members ---- */

static void take_id(struct member *member)
{
    struct view id = member->join.join.member_id;
    snprintf(member->id, sizeof(member->id), "%.*s", (int)id.size, (const char *)id.data);
}

void member_join(struct member *member, const struct joining *joining)
{
    ask_join(&member->join, joining);
    if (!asked_is_told(&member->join) ||
        member->join.join.error_code != KAFKA_ERROR_MEMBER_ID_REQUIRED)
        return;
    take_id(member);
    asked_end(&member->join);
    member_rejoin(member, joining);
}

void member_rejoin(struct member *member, const struct joining *joining)
{
    struct joining again = *joining;
    again.member = member->id;
    ask_join(&member->join, &again);
}

void member_joined(struct member *member)
{
    assert_answered(&member->join);
    assert_int_equal(member->join.join.error_code, KAFKA_ERROR_NONE);
    take_id(member);
    member->generation = member->join.join.generation_id;
    asked_end(&member->join);
}

void one_stable_member(struct member *member, const char *assignment)
{
    member_join(member, &(struct joining){.group = "g"});
    bench_advance(INITIAL_DELAY_MS);
    member_joined(member);
    assert_int_equal(sync_error(&(struct syncing){.group = "g",
                                                  .member = member->id,
                                                  .generation = member->generation,
                                                  .to = {member->id},
                                                  .assignment = {assignment}}),
                     KAFKA_ERROR_NONE);
    assert_state("g", "Stable");
}
