/*
 * Random histories of a leader with a model of everything around it: a controller, brokers that
 * stop, restart and lose what they had, fetches and metadata that come late.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/random.h"
#include "tests/unit/replication/leader_fixture.h"

static struct leader_fixture test;

/* What the controller has decided about the partition. */
struct model_state {
    int32_t leader_epoch;
    int32_t partition_epoch;
    bool is_replica[BROKERS];
    bool is_in_sync[BROKERS];
    struct replica_broker brokers[BROKERS];
};

struct model_follower {
    int64_t end;          /* the truth */
    int64_t broker_epoch; /* of its incarnation */
    int32_t leader_epoch; /* that it knows */
    bool is_fetching;     /* a fetch is on its way: */
    int64_t fetch_offset; /* what it says */
    int64_t fetch_epoch;  /* of which incarnation */
    int32_t fetch_leader_epoch;
};

enum { HISTORY = 4096 };

static struct {
    struct random_stream random;
    struct model_state states[HISTORY]; /* every state that the controller made */
    unsigned newest;
    unsigned seen; /* by the leader */
    struct model_follower followers[BROKERS];
    int64_t next_epoch;
    bool is_decided; /* the proposal under way has an answer */
    struct waiter waiters[512];
    unsigned waiter_count;
    int64_t high_watermark;
} model;

static struct model_state *next_state(void)
{
    assert_true(model.newest + 1 < HISTORY);
    model.states[model.newest + 1] = model.states[model.newest];
    struct model_state *state = &model.states[++model.newest];
    return state;
}

static void leave_isr(struct model_state *state, int32_t id)
{
    if (!state->is_in_sync[id])
        return;
    state->is_in_sync[id] = false;
    state->partition_epoch++;
}

static void show_to_leader(void)
{
    if (model.seen == model.newest)
        return;
    /* Some states may be coalesced. */
    model.seen += 1 + (unsigned)random_below(&model.random, model.newest - model.seen);
    const struct model_state *state = &model.states[model.seen];
    memcpy(test.brokers, state->brokers, sizeof(test.brokers));
    int32_t replicas[BROKERS], isr[BROKERS];
    uint32_t replica_count = 0, isr_count = 0;
    for (int32_t i = 1; i < BROKERS; i++) {
        if (state->is_replica[i])
            replicas[replica_count++] = i;
        if (state->is_in_sync[i])
            isr[isr_count++] = i;
    }
    test.leader_epoch = state->leader_epoch;
    test.partition_epoch = state->partition_epoch;
    leader_fixture_lead(&test, replicas, replica_count, isr, isr_count);
}

static enum kafka_error decide(const struct isr_proposal *proposal)
{
    const struct model_state *now = &model.states[model.newest];
    if (proposal->leader_epoch < now->leader_epoch)
        return KAFKA_ERROR_FENCED_LEADER_EPOCH;
    if (proposal->partition_epoch < now->partition_epoch)
        return KAFKA_ERROR_INVALID_UPDATE_VERSION;
    assert_int_equal(proposal->leader_epoch, now->leader_epoch);
    assert_int_equal(proposal->partition_epoch, now->partition_epoch);
    assert_int_equal(proposal->members[0].broker_id, SELF);
    for (uint32_t i = 0; i < proposal->member_count; i++) {
        const struct in_sync_member *member = &proposal->members[i];
        if (!now->is_replica[member->broker_id])
            return KAFKA_ERROR_INVALID_REQUEST;
        if (!now->brokers[member->broker_id].is_active ||
            (member->broker_epoch != -1 &&
             member->broker_epoch != now->brokers[member->broker_id].epoch))
            return KAFKA_ERROR_INELIGIBLE_REPLICA;
    }
    struct model_state *state = next_state();
    memset(state->is_in_sync, 0, sizeof(state->is_in_sync));
    for (uint32_t i = 0; i < proposal->member_count; i++)
        state->is_in_sync[proposal->members[i].broker_id] = true;
    state->partition_epoch++;
    return KAFKA_ERROR_NONE;
}

/* The controller looks at the proposal; the answer is on its way, or lost and asked for again. */
static void carry_proposal(void)
{
    struct isr_proposal *proposal = test.proposal;
    if (!proposal)
        return;
    if (random_chance(&model.random, 1, 10)) {
        leader_fixture_answer(&test,
                              random_chance(&model.random, 1, 2)
                                  ? KAFKA_ERROR_OPERATION_NOT_ATTEMPTED
                                  : KAFKA_ERROR_UNKNOWN_SERVER_ERROR,
                              NULL, 0);
        return;
    }
    enum kafka_error error = decide(proposal);
    if (error == KAFKA_ERROR_NONE && random_chance(&model.random, 1, 3))
        return; /* lost */
    const struct model_state *now = &model.states[model.newest];
    int32_t isr[BROKERS];
    uint32_t count = 0;
    for (int32_t i = 1; i < BROKERS; i++)
        if (now->is_in_sync[i])
            isr[count++] = i;
    proposal->error = error;
    proposal->answered_leader_epoch = now->leader_epoch;
    proposal->answered_partition_epoch = now->partition_epoch;
    if (error == KAFKA_ERROR_NONE)
        assert_true(isr_proposal_answer_isr(proposal, (struct node_list){isr, count}));
    test.proposal = NULL;
    replica_isr_answered(test.replica, proposal);
    isr_proposal_destroy(&test.log.heap, proposal);
    leader_fixture_run(&test);
}

static int32_t any_follower(void)
{
    return (int32_t)random_between(&model.random, 2, BROKERS - 1);
}

static void controller_acts(void)
{
    int32_t id = any_follower();
    struct model_state *state = next_state();
    switch (random_below(&model.random, 5)) {
    case 0: /* fenced */
        state->brokers[id].is_active = false;
        leave_isr(state, id);
        break;
    case 1:
        state->brokers[id].is_active = true;
        break;
    case 2: { /* restarted, and some of what it had is lost */
        struct model_follower *follower = &model.followers[id];
        state->brokers[id].epoch = ++model.next_epoch;
        leave_isr(state, id);
        follower->broker_epoch = model.next_epoch;
        follower->end = random_between(&model.random, 0, follower->end);
        break;
    }
    case 3: /* elected again */
        state->leader_epoch++;
        state->partition_epoch++;
        break;
    default: /* reassigned away, or back */
        leave_isr(state, id);
        state->is_replica[id] = !state->is_replica[id];
        state->leader_epoch += !state->is_replica[id];
        state->partition_epoch++;
        break;
    }
}

static void follower_acts(int32_t id)
{
    struct model_follower *follower = &model.followers[id];
    if (!follower->is_fetching) {
        follower->is_fetching = true;
        follower->fetch_offset = follower->end;
        follower->fetch_epoch = follower->broker_epoch;
        follower->fetch_leader_epoch = follower->leader_epoch;
        return;
    }
    follower->is_fetching = false;
    enum kafka_error error = leader_fixture_fetch_at(&test, follower->fetch_leader_epoch, id,
                                                     follower->fetch_epoch, follower->fetch_offset);
    if (error != KAFKA_ERROR_NONE) {
        follower->leader_epoch = model.states[model.newest].leader_epoch;
        return;
    }
    if (follower->fetch_epoch == follower->broker_epoch)
        follower->end = random_between(&model.random, follower->fetch_offset,
                                       partition_log_written_end(test.log.log));
}

static void produce(void)
{
    if (model.waiter_count == sizeof(model.waiters) / sizeof(model.waiters[0]))
        return;
    struct waiter *waiter = &model.waiters[model.waiter_count++];
    leader_fixture_append(&test, waiter, random_chance(&model.random, 2, 3) ? -1 : 1);
    if (random_chance(&model.random, 2, 3))
        leader_fixture_run(&test);
}

/* What is committed is where the next leader may come from. */
static void check_model(void)
{
    const struct model_state *now = &model.states[model.newest];
    int64_t high_watermark = replica_high_watermark(test.replica);
    assert_true(high_watermark >= model.high_watermark);
    model.high_watermark = high_watermark;
    for (int32_t i = 2; i < BROKERS; i++)
        if (now->is_in_sync[i])
            assert_true(model.followers[i].end >= high_watermark);
    replica_assert(test.replica);
    test.host.counters.isr_refused = 0;
}

/* Everything is healthy: everybody gets into the set, and everything is committed. */
static void settle(void)
{
    struct model_state *state = next_state();
    for (int32_t i = 2; i < BROKERS; i++)
        state->brokers[i].is_active = true;
    for (unsigned round = 0; round < 2000; round++) {
        show_to_leader();
        carry_proposal();
        for (int32_t i = 2; i < BROKERS; i++)
            follower_acts(i);
        leader_fixture_pass(&test, 1);
        check_model();
    }
    state = &model.states[model.newest];
    for (int32_t i = 2; i < BROKERS; i++)
        assert_int_equal(state->is_in_sync[i], state->is_replica[i]);
    assert_int_equal(replica_high_watermark(test.replica), partition_log_end_offset(test.log.log));
    for (unsigned i = 0; i < model.waiter_count; i++) {
        const struct waiter *waiter = &model.waiters[i];
        if (waiter->append.error == KAFKA_ERROR_NONE)
            assert_int_equal(waiter->told, 1);
    }
}

static void history(uint64_t seed)
{
    memset(&model, 0, sizeof(model));
    random_init(&model.random, seed, 1);
    leader_fixture_init(
        &test, random_chance(&model.random, 1, 2) ? TOPIC_DURABILITY_SYNC : TOPIC_DURABILITY_CACHE,
        (int32_t)random_between(&model.random, 1, 3));
    struct model_state *first = &model.states[0];
    *first = (struct model_state){.leader_epoch = 3, .partition_epoch = 10};
    model.next_epoch = 1000;
    for (int32_t i = 1; i < BROKERS; i++) {
        first->is_replica[i] = first->is_in_sync[i] = i < 4;
        first->brokers[i] = (struct replica_broker){.epoch = 100 + i, .is_active = true};
        model.followers[i].broker_epoch = 100 + i;
    }
    next_state();
    show_to_leader();
    for (unsigned step = 0; step < 400; step++) {
        switch (random_below(&model.random, 10)) {
        case 0:
            controller_acts();
            break;
        case 1:
            show_to_leader();
            break;
        case 2:
            carry_proposal();
            break;
        case 3:
            leader_fixture_pass(&test, (uint64_t)random_between(&model.random, 1, LAG_MAX_MS));
            break;
        case 4:
        case 5:
            produce();
            break;
        default:
            follower_acts(any_follower());
            break;
        }
        check_model();
    }
    settle();
    for (unsigned i = 0; i < model.waiter_count; i++)
        leader_fixture_release(&test, &model.waiters[i]);
    leader_fixture_deinit(&test);
}

static void what_is_committed_is_with_every_member_of_the_set(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 60; seed++)
        history(seed);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_committed_is_with_every_member_of_the_set),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
