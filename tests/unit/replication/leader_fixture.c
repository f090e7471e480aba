/* A proposal stays under way until the test answers it; brokers are what the test says they are. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "tests/unit/replication/leader_fixture.h"

static struct replica_broker find_broker(void *owner, int32_t broker_id)
{
    const struct leader_fixture *fixture = owner;
    return fixture->brokers[broker_id];
}

static void propose(void *owner, struct replica *replica, struct isr_proposal *proposal)
{
    struct leader_fixture *fixture = owner;
    assert_ptr_equal(replica, fixture->replica);
    if (fixture->proposal) /* replaced by newer metadata; its answer would be late */
        isr_proposal_destroy(&fixture->log.heap, fixture->proposal);
    fixture->proposal = proposal;
    fixture->proposals++;
}

static const struct replica_events fixture_events = {.broker = find_broker, .propose = propose};

void leader_fixture_run(struct leader_fixture *fixture)
{
    memory_node_run(&fixture->log.node);
    replica_assert(fixture->replica);
}

void leader_fixture_lead(struct leader_fixture *fixture, const int32_t *replicas,
                         uint32_t replica_count, const int32_t *isr, uint32_t isr_count)
{
    const struct replica_assignment assignment = {
        .leader = SELF,
        .leader_epoch = fixture->leader_epoch,
        .partition_epoch = fixture->partition_epoch,
        .replicas = {replicas, replica_count},
        .isr = {isr, isr_count},
    };
    replica_lead(fixture->replica, &assignment);
    leader_fixture_run(fixture);
}

void leader_fixture_init(struct leader_fixture *fixture, enum topic_durability durability,
                         int32_t min_insync_replicas)
{
    memset(fixture, 0, sizeof(*fixture));
    fixture_init(&fixture->log);
    fixture->log.topic.durability = durability;
    fixture->log.topic.cleanup_delete = true;
    fixture->log.topic.min_insync_replicas = min_insync_replicas;
    log_config_of_topic(&fixture->log.config, &fixture->log.topic);
    fixture_create(&fixture->log);
    const struct replica_host_options options = {
        .loop = memory_node_loop(&fixture->log.node, 1),
        .heap = &fixture->log.heap,
        .node_id = SELF,
        .lag_max_ms = LAG_MAX_MS,
        .fetch_wait_max_ms = FETCH_WAIT_MAX_MS,
        .events = &fixture_events,
        .owner = fixture,
    };
    replica_host_init(&fixture->host, &options, 1);
    fixture->replica =
        replica_create(&fixture->host, VIEW_LITERAL("topic"),
                       partition_log_topic_id(fixture->log.log), 0, &fixture->log.topic);
    replica_attach(fixture->replica, fixture->log.log);
    for (int32_t i = 0; i < BROKERS; i++)
        fixture->brokers[i] = (struct replica_broker){.epoch = 100 + i, .is_active = true};
    fixture->leader_epoch = 3;
    fixture->partition_epoch = 10;
}

void leader_fixture_deinit(struct leader_fixture *fixture)
{
    fixture->log.node.hold = false;
    while (memory_node_held(&fixture->log.node) > 0)
        memory_node_complete(&fixture->log.node, 0);
    memory_node_run(&fixture->log.node);
    replica_detach(fixture->replica, KAFKA_ERROR_NOT_LEADER_OR_FOLLOWER);
    replica_destroy(fixture->replica);
    if (fixture->proposal)
        isr_proposal_destroy(&fixture->log.heap, fixture->proposal);
    replica_host_deinit(&fixture->host);
    fixture_drop(&fixture->log);
    assert_int_equal(fixture->log.heap.used[MEMORY_STATE], 0);
    fixture_deinit(&fixture->log);
}

static void acknowledged(struct replica_append *append)
{
    container_of(append, struct waiter, append)->told++;
}

bool leader_fixture_append(struct leader_fixture *fixture, struct waiter *waiter, int16_t acks)
{
    struct batch_options options = fixture_options();
    memset(waiter, 0, sizeof(*waiter));
    fixture_batch(&fixture->log, &waiter->source, &options, 2, 10, fixture->log.node.wall_ms);
    waiter->append.append.data = waiter->source.append.data;
    waiter->append.append.size = waiter->source.append.size;
    waiter->append.append.origin = LOG_APPEND_CLIENT;
    waiter->append.acks = acks;
    waiter->append.done = acknowledged;
    return replica_append(fixture->replica, &waiter->append);
}

void leader_fixture_release(struct leader_fixture *fixture, struct waiter *waiter)
{
    fixture_append_free(&fixture->log, &waiter->source);
}

enum kafka_error leader_fixture_fetch_at(struct leader_fixture *fixture, int32_t leader_epoch,
                                         int32_t id, int64_t broker_epoch, int64_t offset)
{
    enum kafka_error error = replica_check_fetch(fixture->replica, leader_epoch, id, broker_epoch);
    if (error != KAFKA_ERROR_NONE)
        return error;
    const struct replica_fetch fetch = {
        .replica_id = id,
        .broker_epoch = broker_epoch,
        .fetch_offset = offset,
        .log_start_offset = 0,
    };
    replica_fetched(fixture->replica, &fetch);
    leader_fixture_run(fixture);
    return KAFKA_ERROR_NONE;
}

void leader_fixture_fetch(struct leader_fixture *fixture, int32_t id, int64_t offset)
{
    assert_int_equal(leader_fixture_fetch_at(fixture, fixture->leader_epoch, id,
                                             fixture->brokers[id].epoch, offset),
                     KAFKA_ERROR_NONE);
}

void leader_fixture_answer(struct leader_fixture *fixture, enum kafka_error error,
                           const int32_t *isr, uint32_t isr_count)
{
    struct isr_proposal *proposal = fixture->proposal;
    assert_non_null(proposal);
    fixture->proposal = NULL;
    proposal->error = error;
    proposal->answered_leader_epoch = fixture->leader_epoch;
    if (error == KAFKA_ERROR_NONE)
        proposal->answered_partition_epoch = ++fixture->partition_epoch;
    assert_true(isr_proposal_answer_isr(proposal, (struct node_list){isr, isr_count}));
    replica_isr_answered(fixture->replica, proposal);
    isr_proposal_destroy(&fixture->log.heap, proposal);
    leader_fixture_run(fixture);
}

bool leader_fixture_proposes(const struct leader_fixture *fixture, const int32_t *isr,
                             uint32_t count)
{
    const struct isr_proposal *proposal = fixture->proposal;
    if (!proposal || proposal->member_count != count)
        return false;
    for (uint32_t i = 0; i < count; i++)
        if (proposal->members[i].broker_id != isr[i])
            return false;
    return true;
}

void leader_fixture_pass(struct leader_fixture *fixture, uint64_t delay_ms)
{
    memory_node_advance(&fixture->log.node, delay_ms * UINT64_C(1000000));
    replica_host_check_lag(&fixture->host);
    leader_fixture_run(fixture);
}
