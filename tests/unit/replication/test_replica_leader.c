/*
 * A leader with followers, over a real log on a disk in memory. First the single rules; then random
 * histories with a model of everything around the leader: a controller, brokers that stop, restart
 * and lose what they had, fetches and metadata that come late.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/random.h"
#include "replication/replica_internal.h"
#include "tests/unit/log/log_fixture.h"

#define MS UINT64_C(1000000)

enum { SELF = 1, BROKERS = 5, LAG_MAX_MS = 1000 };

struct waiter {
    struct fixture_append source; /* owns the bytes */
    struct replica_append append;
    unsigned told;
};

static struct {
    struct log_fixture log;
    struct replica_host host;
    struct replica *replica;
    struct replica_broker brokers[BROKERS]; /* as the leader's metadata has them */
    struct isr_proposal *proposal;          /* under way; NULL: none */
    unsigned proposals;
    unsigned fired;
    int32_t leader_epoch;
    int32_t partition_epoch;
} test; /* one test at a time */

static struct replica_broker find_broker(void *owner, int32_t broker_id)
{
    (void)owner;
    return test.brokers[broker_id];
}

static void propose(void *owner, struct replica *replica, struct isr_proposal *proposal)
{
    (void)owner;
    assert_ptr_equal(replica, test.replica);
    if (test.proposal) /* replaced by newer metadata; its answer would be late */
        isr_proposal_destroy(&test.log.heap, test.proposal);
    test.proposal = proposal;
    test.proposals++;
}

static const struct replica_events test_events = {.broker = find_broker, .propose = propose};

static void run(void)
{
    memory_node_run(&test.log.node);
    replica_assert(test.replica);
}

static void lead(const int32_t *replicas, uint32_t replica_count, const int32_t *isr,
                 uint32_t isr_count)
{
    const struct replica_assignment assignment = {
        .leader = SELF,
        .leader_epoch = test.leader_epoch,
        .partition_epoch = test.partition_epoch,
        .replicas = {replicas, replica_count},
        .isr = {isr, isr_count},
    };
    replica_lead(test.replica, &assignment);
    run();
}

#define LEAD(replicas, isr)                                                                        \
    lead(replicas, sizeof(replicas) / sizeof(int32_t), isr, sizeof(isr) / sizeof(int32_t))

static const int32_t all[] = {1, 2, 3};
static const int32_t two[] = {1, 2};
static const int32_t alone[] = {1};

static void begin(enum topic_durability durability, int32_t min_insync_replicas)
{
    memset(&test, 0, sizeof(test));
    fixture_init(&test.log);
    test.log.topic.durability = durability;
    test.log.topic.cleanup_delete = true;
    test.log.topic.min_insync_replicas = min_insync_replicas;
    log_config_of_topic(&test.log.config, &test.log.topic);
    fixture_create(&test.log);
    const struct replica_host_options options = {
        .loop = memory_node_loop(&test.log.node, 1),
        .heap = &test.log.heap,
        .node_id = SELF,
        .lag_max_ms = LAG_MAX_MS,
        .events = &test_events,
    };
    replica_host_init(&test.host, &options, 1);
    test.replica = replica_create(&test.host, VIEW_LITERAL("topic"),
                                  partition_log_topic_id(test.log.log), 0, &test.log.topic);
    replica_attach(test.replica, test.log.log);
    for (int32_t i = 0; i < BROKERS; i++)
        test.brokers[i] = (struct replica_broker){.epoch = 100 + i, .is_active = true};
    test.leader_epoch = 3;
    test.partition_epoch = 10;
}

static void end(void)
{
    test.log.node.hold = false;
    while (memory_node_held(&test.log.node) > 0)
        memory_node_complete(&test.log.node, 0);
    memory_node_run(&test.log.node);
    replica_detach(test.replica, KAFKA_ERROR_NOT_LEADER_OR_FOLLOWER);
    replica_destroy(test.replica);
    if (test.proposal)
        isr_proposal_destroy(&test.log.heap, test.proposal);
    replica_host_deinit(&test.host);
    fixture_drop(&test.log);
    assert_int_equal(test.log.heap.used[MEMORY_STATE], 0);
    fixture_deinit(&test.log);
}

static void acknowledged(struct replica_append *append)
{
    container_of(append, struct waiter, append)->told++;
}

/* Appends two records; true when it was finished at once. */
static bool append(struct waiter *waiter, int16_t acks)
{
    struct batch_options options = fixture_options();
    memset(waiter, 0, sizeof(*waiter));
    fixture_batch(&test.log, &waiter->source, &options, 2, 10, test.log.node.wall_ms);
    waiter->append.append.data = waiter->source.append.data;
    waiter->append.append.size = waiter->source.append.size;
    waiter->append.append.origin = LOG_APPEND_CLIENT;
    waiter->append.acks = acks;
    waiter->append.done = acknowledged;
    return replica_append(test.replica, &waiter->append);
}

static void release(struct waiter *waiter)
{
    fixture_append_free(&test.log, &waiter->source);
}

/* A fetch as the handler passes it on. */
static enum kafka_error fetch_at(int32_t leader_epoch, int32_t id, int64_t broker_epoch,
                                 int64_t offset)
{
    enum kafka_error error = replica_check_fetch(test.replica, leader_epoch, id, broker_epoch);
    if (error != KAFKA_ERROR_NONE)
        return error;
    const struct replica_fetch fetch = {
        .replica_id = id,
        .broker_epoch = broker_epoch,
        .fetch_offset = offset,
        .log_start_offset = 0,
    };
    replica_fetched(test.replica, &fetch);
    run();
    return KAFKA_ERROR_NONE;
}

static void fetch(int32_t id, int64_t offset)
{
    assert_int_equal(fetch_at(test.leader_epoch, id, test.brokers[id].epoch, offset),
                     KAFKA_ERROR_NONE);
}

/* The proposal that is under way ends. */
static void answer(enum kafka_error error, const int32_t *isr, uint32_t isr_count)
{
    struct isr_proposal *proposal = test.proposal;
    assert_non_null(proposal);
    test.proposal = NULL;
    proposal->error = error;
    proposal->answered_leader_epoch = test.leader_epoch;
    if (error == KAFKA_ERROR_NONE)
        proposal->answered_partition_epoch = ++test.partition_epoch;
    assert_true(isr_proposal_answer_isr(proposal, (struct node_list){isr, isr_count}));
    replica_isr_answered(test.replica, proposal);
    isr_proposal_destroy(&test.log.heap, proposal);
    run();
}

static bool proposes(const int32_t *isr, uint32_t count)
{
    const struct isr_proposal *proposal = test.proposal;
    if (!proposal || proposal->member_count != count)
        return false;
    for (uint32_t i = 0; i < count; i++)
        if (proposal->members[i].broker_id != isr[i])
            return false;
    return true;
}

static void pass(uint64_t delay_ms)
{
    memory_node_advance(&test.log.node, delay_ms * MS);
    replica_host_check_lag(&test.host);
    run();
}

/* ---- Claims ---- */

static void all_of_the_set_have_what_is_committed(void **state)
{
    (void)state;
    begin(TOPIC_DURABILITY_CACHE, 1);
    LEAD(all, all);
    struct waiter waiter, one;
    assert_false(append(&waiter, -1));
    assert_false(append(&one, 1));
    run();
    assert_int_equal(one.told, 1);
    fetch(2, 4);
    assert_int_equal(replica_high_watermark(test.replica), 0);
    fetch(3, 1);
    assert_int_equal(replica_high_watermark(test.replica), 1);
    assert_int_equal(waiter.told, 0);
    fetch(3, 2);
    assert_int_equal(replica_high_watermark(test.replica), 2);
    assert_int_equal(waiter.told, 1);
    assert_int_equal(waiter.append.error, KAFKA_ERROR_NONE);
    release(&waiter), release(&one);
    end();
}

static void in_sync_mode_the_leader_counts_what_is_durable(void **state)
{
    (void)state;
    begin(TOPIC_DURABILITY_SYNC, 1);
    LEAD(two, two);
    struct waiter first, second;
    assert_false(append(&first, -1));
    run();
    fetch(2, 2);
    assert_int_equal(replica_high_watermark(test.replica), 2);
    test.log.node.hold = true;
    assert_false(append(&second, -1));
    run();
    fetch(2, 4); /* the follower was faster than the leader's disk */
    assert_int_equal(replica_high_watermark(test.replica), 2);
    test.log.node.hold = false;
    while (memory_node_held(&test.log.node) > 0) {
        memory_node_complete(&test.log.node, 0);
        memory_node_run(&test.log.node);
    }
    run();
    assert_int_equal(replica_high_watermark(test.replica), 4);
    assert_int_equal(second.told, 1);
    release(&first), release(&second);
    end();
}

static void nobody_is_told_inside_a_fetch(void **state)
{
    (void)state;
    begin(TOPIC_DURABILITY_CACHE, 1);
    LEAD(two, two);
    struct waiter waiter;
    assert_false(append(&waiter, -1));
    run();
    const struct replica_fetch fetch = {.replica_id = 2, .broker_epoch = -1, .fetch_offset = 2};
    replica_fetched(test.replica, &fetch);
    assert_int_equal(waiter.told, 0);
    run();
    assert_int_equal(waiter.told, 1);
    release(&waiter);
    end();
}

static void too_few_in_sync_refuse_before_and_stop_the_high_watermark(void **state)
{
    (void)state;
    begin(TOPIC_DURABILITY_CACHE, 2);
    LEAD(all, alone);
    struct waiter waiter;
    assert_true(append(&waiter, -1));
    assert_int_equal(waiter.append.error, KAFKA_ERROR_NOT_ENOUGH_REPLICAS);
    assert_int_equal(partition_log_end_offset(test.log.log), 0);
    release(&waiter);
    assert_false(append(&waiter, 1));
    run();
    assert_int_equal(waiter.told, 1);
    assert_int_equal(replica_high_watermark(test.replica), 0); /* nobody may read it (KIP-966) */
    fetch(2, 2);
    assert_true(proposes(two, 2));
    assert_int_equal(replica_high_watermark(test.replica), 0); /* only proposed */
    answer(KAFKA_ERROR_NONE, two, 2);
    assert_int_equal(replica_high_watermark(test.replica), 2);
    release(&waiter);
    end();
}

static void the_minimum_asks_for_no_more_than_there_are(void **state)
{
    (void)state;
    begin(TOPIC_DURABILITY_CACHE, 3);
    LEAD(two, two);
    struct waiter waiter;
    assert_false(append(&waiter, -1));
    run();
    fetch(2, 2);
    assert_int_equal(waiter.told, 1);
    release(&waiter);
    end();
}

static void a_replica_that_reaches_the_end_enters_the_set(void **state)
{
    (void)state;
    begin(TOPIC_DURABILITY_CACHE, 1);
    LEAD(all, two);
    struct waiter first, second;
    append(&first, -1);
    run();
    fetch(2, 2);
    fetch(3, 1);
    assert_null(test.proposal); /* below the high watermark */
    fetch(3, 2);
    const int32_t grown[] = {1, 2, 3};
    assert_true(proposes(grown, 3));
    assert_int_equal(test.proposal->members[0].broker_epoch, 101);
    assert_int_equal(test.proposal->members[2].broker_epoch, 103);
    assert_int_equal(test.proposal->partition_epoch, 10);
    /* From the proposal on the newcomer counts, whatever the controller says in the end. */
    append(&second, -1);
    run();
    fetch(2, 4);
    assert_int_equal(replica_high_watermark(test.replica), 2);
    fetch(3, 4);
    assert_int_equal(test.proposals, 1);
    assert_int_equal(replica_high_watermark(test.replica), 4);
    answer(KAFKA_ERROR_NONE, all, 3);
    assert_int_equal(test.replica->partition_epoch, 11);
    assert_int_equal(test.replica->leadership->in_sync.committed_count, 3);
    assert_int_equal(test.host.counters.isr_expands, 1);
    release(&first), release(&second);
    end();
}

static void who_may_not_be_in_the_set_is_not_proposed(void **state)
{
    (void)state;
    begin(TOPIC_DURABILITY_CACHE, 1);
    LEAD(all, two);
    test.brokers[3].is_active = false; /* fenced, or leaving */
    fetch(3, 0);
    assert_null(test.proposal);
    test.brokers[3].is_active = true;
    /* The metadata has not heard of its restart yet. */
    assert_int_equal(fetch_at(3, 3, 200, 0), KAFKA_ERROR_NONE);
    assert_null(test.proposal);
    test.brokers[3].epoch = 200;
    fetch(3, 0);
    assert_true(proposes(all, 3));
    end();
}

static void nobody_enters_before_the_epoch_of_the_leader_begins(void **state)
{
    (void)state;
    begin(TOPIC_DURABILITY_CACHE, 2);
    LEAD(all, alone);
    struct waiter waiter;
    append(&waiter, 1);
    run();
    test.leader_epoch++, test.partition_epoch++;
    LEAD(all, alone); /* its high watermark is 0, and the epoch begins at 2 */
    fetch(3, 1);
    assert_null(test.proposal);
    fetch(3, 2);
    assert_non_null(test.proposal);
    release(&waiter);
    end();
}

static void who_is_late_for_too_long_leaves_the_set(void **state)
{
    (void)state;
    begin(TOPIC_DURABILITY_CACHE, 1);
    LEAD(all, all);
    struct waiter waiter;
    append(&waiter, -1);
    run();
    fetch(2, 2);
    pass(LAG_MAX_MS); /* members got a full limit when the leader began */
    assert_null(test.proposal);
    pass(1);
    assert_true(proposes(two, 2));
    assert_int_equal(replica_high_watermark(test.replica), 0); /* not before it is committed */
    answer(KAFKA_ERROR_NONE, two, 2);
    assert_int_equal(replica_high_watermark(test.replica), 2);
    assert_int_equal(waiter.told, 1);
    assert_int_equal(test.host.counters.isr_shrinks, 1);
    release(&waiter);
    end();
}

/* Behind all the time, but each fetch has what was the end at the one before. */
static void who_keeps_up_with_a_busy_leader_stays(void **state)
{
    (void)state;
    begin(TOPIC_DURABILITY_CACHE, 1);
    LEAD(two, two);
    struct waiter waiters[20];
    for (unsigned i = 0; i < 20; i++) {
        append(&waiters[i], 1);
        run();
        fetch(2, 2 * (int64_t)i);
        pass(LAG_MAX_MS / 2);
        assert_null(test.proposal);
    }
    pass(LAG_MAX_MS);
    assert_true(proposes(alone, 1));
    for (unsigned i = 0; i < 20; i++)
        release(&waiters[i]);
    end();
}

/* It has what was the end at its fetch before: so it was caught up then, and not now. */
static void who_reaches_an_old_end_was_caught_up_at_that_time(void **state)
{
    (void)state;
    enum { BETWEEN_MS = 600 };
    begin(TOPIC_DURABILITY_CACHE, 1);
    LEAD(two, two);
    struct waiter first, second;
    append(&first, 1);
    run();
    fetch(2, 0);
    pass(BETWEEN_MS);
    append(&second, 1);
    run();
    fetch(2, 2);
    pass(LAG_MAX_MS - BETWEEN_MS);
    assert_null(test.proposal);
    pass(1);
    assert_true(proposes(alone, 1));
    release(&first), release(&second);
    end();
}

/* Who may enter the set with its next fetch must not find the high watermark above its end. */
static void who_is_about_to_enter_the_set_holds_the_high_watermark(void **state)
{
    (void)state;
    begin(TOPIC_DURABILITY_CACHE, 1);
    LEAD(all, two);
    struct waiter first, second, third;
    fetch(3, 0);
    answer(KAFKA_ERROR_INELIGIBLE_REPLICA, NULL, 0);
    append(&first, -1);
    run();
    fetch(2, 2);
    assert_int_equal(replica_high_watermark(test.replica), 0);
    test.brokers[3].is_active = false; /* it cannot enter now */
    append(&second, -1);
    run();
    fetch(2, 4);
    assert_int_equal(replica_high_watermark(test.replica), 4);
    test.brokers[3].is_active = true;
    append(&third, -1);
    run();
    fetch(2, 6);
    assert_int_equal(replica_high_watermark(test.replica), 4);
    pass(LAG_MAX_MS + 1); /* it does not come any more */
    assert_int_equal(replica_high_watermark(test.replica), 6);
    assert_null(test.proposal);
    release(&first), release(&second), release(&third);
    end();
}

static void a_refusal_for_now_is_tried_again(void **state)
{
    (void)state;
    begin(TOPIC_DURABILITY_CACHE, 1);
    LEAD(all, two);
    fetch(3, 0);
    answer(KAFKA_ERROR_INELIGIBLE_REPLICA, NULL, 0);
    assert_null(test.proposal);
    fetch(3, 0);
    assert_non_null(test.proposal);
    answer(KAFKA_ERROR_UNKNOWN_SERVER_ERROR, NULL, 0);
    assert_true(proposes(all, 3)); /* who knows whether it was carried out: the same again */
    end();
}

static void an_overtaken_proposal_waits_for_the_metadata(void **state)
{
    (void)state;
    begin(TOPIC_DURABILITY_CACHE, 1);
    LEAD(all, two);
    struct waiter waiter;
    fetch(3, 0);
    answer(KAFKA_ERROR_INVALID_UPDATE_VERSION, NULL, 0);
    append(&waiter, -1);
    run();
    fetch(2, 2);
    fetch(3, 1);
    assert_null(test.proposal);
    assert_int_equal(replica_high_watermark(test.replica), 1); /* it may be a member by now */
    test.partition_epoch++;
    LEAD(all, two);
    assert_int_equal(test.replica->leadership->in_sync.state, IN_SYNC_COMMITTED);
    fetch(3, 2);
    assert_true(proposes(all, 3));
    release(&waiter);
    end();
}

/* The metadata of a change arrives after its answer; a newer proposal is not lost by that. */
static void late_metadata_of_a_known_state_keeps_the_proposal(void **state)
{
    (void)state;
    begin(TOPIC_DURABILITY_CACHE, 1);
    LEAD(all, alone);
    fetch(2, 0);
    answer(KAFKA_ERROR_NONE, two, 2);
    fetch(3, 0);
    assert_true(proposes(all, 3));
    LEAD(all, two);
    assert_int_equal(test.replica->leadership->in_sync.state, IN_SYNC_EXPANDING);
    answer(KAFKA_ERROR_NONE, all, 3);
    assert_int_equal(test.replica->leadership->in_sync.committed_count, 3);
    end();
}

static void a_late_answer_does_nothing(void **state)
{
    (void)state;
    begin(TOPIC_DURABILITY_CACHE, 1);
    LEAD(all, two);
    fetch(3, 0);
    struct isr_proposal *late = test.proposal;
    test.proposal = NULL;
    test.partition_epoch++;
    LEAD(all, two);
    fetch(3, 0);
    late->error = KAFKA_ERROR_INELIGIBLE_REPLICA;
    replica_isr_answered(test.replica, late);
    isr_proposal_destroy(&test.log.heap, late);
    assert_int_equal(test.replica->leadership->in_sync.state, IN_SYNC_EXPANDING);
    end();
}

static void fetches_of_strangers_are_told_why(void **state)
{
    (void)state;
    begin(TOPIC_DURABILITY_CACHE, 1);
    LEAD(two, two);
    assert_int_equal(fetch_at(3, 3, 103, 0), KAFKA_ERROR_UNKNOWN_LEADER_EPOCH);
    assert_int_equal(fetch_at(-1, 3, 103, 0), KAFKA_ERROR_NOT_LEADER_OR_FOLLOWER);
    assert_int_equal(fetch_at(2, 2, 102, 0), KAFKA_ERROR_FENCED_LEADER_EPOCH);
    assert_int_equal(fetch_at(4, 2, 102, 0), KAFKA_ERROR_UNKNOWN_LEADER_EPOCH);
    assert_int_equal(fetch_at(3, 2, 101, 0), KAFKA_ERROR_NOT_LEADER_OR_FOLLOWER); /* a ghost */
    assert_int_equal(fetch_at(3, 2, -1, 0), KAFKA_ERROR_NONE);
    test.partition_epoch++;
    LEAD(alone, alone);
    assert_null(test.replica->leadership);
    assert_int_equal(fetch_at(3, 2, 102, 0), KAFKA_ERROR_UNKNOWN_LEADER_EPOCH);
    end();
}

static void fired(struct replica_watch *watch)
{
    (void)watch;
    test.fired++;
}

static void fetches_of_followers_wait_for_what_is_written(void **state)
{
    (void)state;
    begin(TOPIC_DURABILITY_SYNC, 1);
    LEAD(two, two);
    struct waiter first, second;
    append(&first, -1); /* so that the file is open */
    run();
    struct replica_watch of_consumer = {.fired = fired}, of_follower = {.fired = fired};
    replica_watch(test.replica, &of_consumer);
    replica_watch_end(test.replica, &of_follower);
    test.log.node.hold = true;
    append(&second, -1);
    run();
    assert_int_equal(test.fired, 1);
    replica_watch_end(test.replica, &of_follower);
    test.leader_epoch++, test.partition_epoch++;
    LEAD(two, two);
    assert_int_equal(test.fired, 3); /* both named an epoch that is over */
    replica_watch_end(test.replica, &of_follower);
    test.partition_epoch++;
    LEAD(alone, alone);
    assert_int_equal(test.fired, 4);
    release(&first);
    end();
    release(&second);
}

static void a_restarted_follower_starts_from_nothing(void **state)
{
    (void)state;
    begin(TOPIC_DURABILITY_CACHE, 1);
    LEAD(two, two);
    struct waiter waiter;
    append(&waiter, -1);
    run();
    fetch(2, 2);
    assert_int_equal(replica_high_watermark(test.replica), 2);
    test.brokers[2].epoch = 300;
    fetch(2, 0); /* it has lost what it had: the high watermark stays, nothing new is committed */
    assert_int_equal(replica_high_watermark(test.replica), 2);
    struct waiter more;
    append(&more, -1);
    run();
    assert_int_equal(more.told, 0);
    fetch(2, 4);
    assert_int_equal(more.told, 1);
    release(&waiter), release(&more);
    end();
}

/* ---- Random histories ---- */

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
    lead(replicas, replica_count, isr, isr_count);
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
        answer(random_chance(&model.random, 1, 2) ? KAFKA_ERROR_OPERATION_NOT_ATTEMPTED
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
    run();
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
    enum kafka_error error =
        fetch_at(follower->fetch_leader_epoch, id, follower->fetch_epoch, follower->fetch_offset);
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
    append(waiter, random_chance(&model.random, 2, 3) ? -1 : 1);
    if (random_chance(&model.random, 2, 3))
        run();
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
        pass(1);
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
    begin(random_chance(&model.random, 1, 2) ? TOPIC_DURABILITY_SYNC : TOPIC_DURABILITY_CACHE,
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
            pass((uint64_t)random_between(&model.random, 1, LAG_MAX_MS));
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
        release(&model.waiters[i]);
    end();
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
        cmocka_unit_test(all_of_the_set_have_what_is_committed),
        cmocka_unit_test(in_sync_mode_the_leader_counts_what_is_durable),
        cmocka_unit_test(nobody_is_told_inside_a_fetch),
        cmocka_unit_test(too_few_in_sync_refuse_before_and_stop_the_high_watermark),
        cmocka_unit_test(the_minimum_asks_for_no_more_than_there_are),
        cmocka_unit_test(a_replica_that_reaches_the_end_enters_the_set),
        cmocka_unit_test(who_may_not_be_in_the_set_is_not_proposed),
        cmocka_unit_test(nobody_enters_before_the_epoch_of_the_leader_begins),
        cmocka_unit_test(who_is_late_for_too_long_leaves_the_set),
        cmocka_unit_test(who_keeps_up_with_a_busy_leader_stays),
        cmocka_unit_test(who_reaches_an_old_end_was_caught_up_at_that_time),
        cmocka_unit_test(who_is_about_to_enter_the_set_holds_the_high_watermark),
        cmocka_unit_test(a_refusal_for_now_is_tried_again),
        cmocka_unit_test(an_overtaken_proposal_waits_for_the_metadata),
        cmocka_unit_test(late_metadata_of_a_known_state_keeps_the_proposal),
        cmocka_unit_test(a_late_answer_does_nothing),
        cmocka_unit_test(fetches_of_strangers_are_told_why),
        cmocka_unit_test(fetches_of_followers_wait_for_what_is_written),
        cmocka_unit_test(a_restarted_follower_starts_from_nothing),
        cmocka_unit_test(what_is_committed_is_with_every_member_of_the_set),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
