/*
 * Nodes of another cluster at the door of a quorum: whatever they ask is refused before it changes
 * anything, and what they answer counts for nothing, whichever side begins.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

#include "protocol/messages/begin_quorum_epoch.h"
#include "protocol/messages/end_quorum_epoch.h"
#include "protocol/messages/fetch.h"
#include "protocol/messages/fetch_snapshot.h"
#include "protocol/messages/update_raft_voter.h"
#include "protocol/messages/vote.h"
#include "tests/unit/cluster/quorum_network.h"

#define STRANGERS VIEW_LITERAL("another")
#define METADATA  VIEW_LITERAL("__cluster_metadata")

enum { FAR_EPOCH = 1000 };

/* ---- One request ----------------------------------------------------------------------------- */

struct question {
    struct quorum_call call;
    struct heap heap;
    struct arena arena;
    bool is_done;
};

static void question_done(struct quorum_call *call)
{
    container_of(call, struct question, call)->is_done = true;
}

/* Asks node `at`, which must answer at once. */
static void ask(struct quorum_net *net, int at, enum quorum_call_kind kind, int16_t version,
                const void *message, void *response)
{
    struct question question = {.call = {.kind = kind,
                                         .message = message,
                                         .response = response,
                                         .arena = &question.arena,
                                         .version = version,
                                         .done = question_done}};
    heap_init_plain(&question.heap);
    arena_init(&question.arena, &question.heap, MEMORY_SCRATCH, 0);
    metadata_log_serve(&net->nodes[at].fixture.controller.log, &question.call);
    assert_true(question.is_done);
    arena_deinit(&question.arena);
}

static int16_t ask_vote(struct quorum_net *net, int at, struct view cluster_id)
{
    struct vote_request_partition_data partition;
    struct vote_request_topic_data topic = {METADATA, &partition, 1};
    struct vote_request request;
    struct vote_response response;
    vote_request_partition_data_init(&partition);
    partition.replica_epoch = FAR_EPOCH;
    partition.replica_id = at == 1 ? 2 : 1;
    partition.last_offset = FAR_EPOCH;
    partition.last_offset_epoch = FAR_EPOCH - 1;
    vote_request_init(&request);
    request.cluster_id = cluster_id;
    request.voter_id = at;
    request.topics = &topic;
    request.topics_count = 1;
    ask(net, at, QUORUM_CALL_VOTE, VOTE_REQUEST_VERSION_MAX, &request, &response);
    return response.error_code;
}

static int16_t ask_begin(struct quorum_net *net, int at)
{
    struct begin_quorum_epoch_request_partition_data partition;
    struct begin_quorum_epoch_request_topic_data topic = {METADATA, &partition, 1};
    struct begin_quorum_epoch_request request;
    struct begin_quorum_epoch_response response;
    begin_quorum_epoch_request_partition_data_init(&partition);
    partition.leader_id = at == 1 ? 2 : 1;
    partition.leader_epoch = FAR_EPOCH;
    begin_quorum_epoch_request_init(&request);
    request.cluster_id = STRANGERS;
    request.voter_id = at;
    request.topics = &topic;
    request.topics_count = 1;
    ask(net, at, QUORUM_CALL_BEGIN_EPOCH, BEGIN_QUORUM_EPOCH_REQUEST_VERSION_MAX, &request,
        &response);
    return response.error_code;
}

static int16_t ask_end(struct quorum_net *net, int at)
{
    struct end_quorum_epoch_request_partition_data partition;
    struct end_quorum_epoch_request_topic_data topic = {METADATA, &partition, 1};
    struct end_quorum_epoch_request request;
    struct end_quorum_epoch_response response;
    end_quorum_epoch_request_partition_data_init(&partition);
    partition.leader_id = at == 1 ? 2 : 1;
    partition.leader_epoch = FAR_EPOCH;
    end_quorum_epoch_request_init(&request);
    request.cluster_id = STRANGERS;
    request.topics = &topic;
    request.topics_count = 1;
    ask(net, at, QUORUM_CALL_END_EPOCH, END_QUORUM_EPOCH_REQUEST_VERSION_MAX, &request, &response);
    return response.error_code;
}

/* In the present epoch, from the end of the log: of this cluster it would be an acknowledgement. */
static int16_t ask_fetch(struct quorum_net *net, int at)
{
    const struct quorum *quorum = &net->nodes[at].fixture.controller.log.quorum;
    struct fetch_request_fetch_partition partition;
    struct fetch_request_fetch_topic topic;
    struct fetch_request request;
    struct fetch_response response;
    fetch_request_fetch_partition_init(&partition);
    partition.current_leader_epoch = quorum->epoch;
    partition.last_fetched_epoch = quorum->last_epoch;
    partition.fetch_offset = quorum->log_end;
    fetch_request_fetch_topic_init(&topic);
    topic.topic = METADATA;
    topic.topic_id = UUID_METADATA;
    topic.partitions = &partition;
    topic.partitions_count = 1;
    fetch_request_init(&request);
    request.cluster_id = STRANGERS;
    request.replica_state.replica_id = at == 1 ? 2 : 1;
    request.max_wait_ms = 500;
    request.topics = &topic;
    request.topics_count = 1;
    ask(net, at, QUORUM_CALL_FETCH, FETCH_REQUEST_VERSION_MAX, &request, &response);
    return response.error_code;
}

static int16_t ask_snapshot(struct quorum_net *net, int at)
{
    struct fetch_snapshot_request request;
    struct fetch_snapshot_response response;
    fetch_snapshot_request_init(&request);
    request.cluster_id = STRANGERS;
    ask(net, at, QUORUM_CALL_FETCH_SNAPSHOT, FETCH_SNAPSHOT_REQUEST_VERSION_MAX, &request,
        &response);
    return response.error_code;
}

static int16_t ask_update(struct quorum_net *net, int at)
{
    struct update_raft_voter_request request;
    struct update_raft_voter_response response;
    update_raft_voter_request_init(&request);
    request.cluster_id = STRANGERS;
    request.current_leader_epoch = net->nodes[at].fixture.controller.log.quorum.epoch;
    request.voter_id = 2;
    ask(net, at, QUORUM_CALL_UPDATE_VOTER, UPDATE_RAFT_VOTER_REQUEST_VERSION_MAX, &request,
        &response);
    return response.error_code;
}

static void requests_of_another_cluster_change_nothing(void **state)
{
    (void)state;
    static struct quorum_net net;
    quorum_net_init(&net, 3, 0, 1);
    for (int id = 1; id <= 3; id++)
        quorum_net_start(&net, id);
    int leader = quorum_net_await_leader(&net, 0);
    quorum_net_run(&net, 1000);
    for (int at = 1; at <= 3; at++) {
        const struct quorum *quorum = &net.nodes[at].fixture.controller.log.quorum;
        int32_t epoch = quorum->epoch;
        enum quorum_role role = quorum->role;
        assert_int_equal(ask_vote(&net, at, STRANGERS), KAFKA_ERROR_INCONSISTENT_CLUSTER_ID);
        assert_int_equal(ask_begin(&net, at), KAFKA_ERROR_INCONSISTENT_CLUSTER_ID);
        assert_int_equal(ask_end(&net, at), KAFKA_ERROR_INCONSISTENT_CLUSTER_ID);
        assert_int_equal(ask_fetch(&net, at), KAFKA_ERROR_INCONSISTENT_CLUSTER_ID);
        assert_int_equal(ask_snapshot(&net, at), KAFKA_ERROR_INCONSISTENT_CLUSTER_ID);
        assert_int_equal(ask_update(&net, at), KAFKA_ERROR_INCONSISTENT_CLUSTER_ID);
        quorum_net_run(&net, 1);
        assert_int_equal(quorum->epoch, epoch);
        assert_int_equal(quorum->role, role);
    }
    quorum_net_run(&net, 5000);
    assert_int_equal(quorum_net_leader(&net), leader);
    quorum_net_deinit(&net);
}

/* ---- A whole node ---------------------------------------------------------------------------- */

static int leader_of_first_two(const struct quorum_net *net)
{
    for (int id = 1; id <= 2; id++)
        if (net->nodes[id].runs && net->nodes[id].fixture.controller.is_active)
            return id;
    return 0;
}

static void await_leader_of_first_two(struct quorum_net *net)
{
    for (int i = 0; i < 20000 && leader_of_first_two(net) == 0; i++)
        quorum_net_run(net, 1);
    assert_int_not_equal(leader_of_first_two(net), 0);
}

/* Its disk says another cluster, its settings name this one: two of three are all there are. */
static void a_voter_of_another_cluster_counts_for_nothing(void **state)
{
    (void)state;
    static struct quorum_net net;
    quorum_net_init(&net, 3, 0, 2);
    net.nodes[3].fixture.cluster_id = STRANGERS;
    for (int id = 1; id <= 3; id++)
        quorum_net_start(&net, id);
    await_leader_of_first_two(&net);
    const struct fixture *stranger = &net.nodes[3].fixture;
    quorum_net_run(&net, 10000);
    assert_false(stranger->controller.is_active);
    assert_int_equal(stranger->controller.log.quorum.log_end, 0);
    assert_false(stranger->is_ready);
    assert_string_equal(stranger->failure, "");

    int gone = 3 - leader_of_first_two(&net);
    quorum_net_crash(&net, gone);
    quorum_net_run(&net, 10000);
    assert_int_equal(leader_of_first_two(&net), 0);
    assert_false(stranger->controller.is_active);
    quorum_net_start(&net, gone);
    await_leader_of_first_two(&net);
    assert_int_equal(stranger->controller.log.quorum.log_end, 0);
    quorum_net_deinit(&net);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(requests_of_another_cluster_change_nothing),
        cmocka_unit_test(a_voter_of_another_cluster_counts_for_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
