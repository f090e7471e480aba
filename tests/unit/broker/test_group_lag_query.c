/*
 * How far a group is behind, asked of a whole broker of two shards: on either of them, while the
 * group, its topic and the node go through what can happen to them.
 */
#include "tests/unit/broker/broker_fixture.h"

#include "broker/group_lag_query.h"
#include "broker/shard.h"
#include "protocol/messages/find_coordinator.h"
#include "protocol/messages/offset_commit.h"

BROKER_FIXTURE_CALL(find_coordinator, API_KEY_FIND_COORDINATOR)
BROKER_FIXTURE_CALL(offset_commit, API_KEY_OFFSET_COMMIT)

enum { PARTITIONS = 4 };

static struct broker_fixture test;
static const char *const settings[] = {"offsets.topic.num.partitions=3"};

/* A query on its way: it begins on the shard's loop, as everything of a shard does. */
struct asking {
    struct message message;
    struct group_lag_query query;
    struct shard *shard;
    struct view group;
    bool told;
    enum kafka_error error;
};

static void told(struct group_lag_query *query, enum kafka_error error)
{
    struct asking *asking = query->context;
    assert_false(asking->told);
    asking->told = true;
    asking->error = error;
}

static void start(struct message *message, struct loop *at)
{
    struct asking *asking = container_of(message, struct asking, message);
    assert_int_equal(at->index, asking->shard->loop->index);
    group_lag_query_start(&asking->query, asking->shard, asking->group);
}

static bool is_told(void *context)
{
    return ((struct asking *)context)->told;
}

static void await(struct asking *asking)
{
    uint64_t limit_ns = sim_now_ns(test.sim) + UINT64_C(30000000000);
    assert_true(sim_run_to(test.sim, is_told, asking, limit_ns));
}

static struct asking *begin_to_ask(unsigned shard, const char *group)
{
    struct asking *asking = broker_fixture_get(&test, 1, sizeof(*asking));
    asking->shard = broker_fixture_shard(&test, shard);
    asking->group = view_of_string(group);
    asking->query.done = told;
    asking->query.context = asking;
    asking->message.deliver = start;
    struct loop *loop = asking->shard->loop;
    loop_post(loop, loop->index, &asking->message);
    return asking;
}

/* The answer; the caller ends it. */
static struct asking *ask(unsigned shard, const char *group)
{
    struct asking *asking = begin_to_ask(shard, group);
    await(asking);
    return asking;
}

static void end(struct asking *asking)
{
    group_lag_query_end(&asking->query);
}

static void begin(void)
{
    broker_fixture_init(&test, settings, sizeof(settings) / sizeof(settings[0]));
    broker_fixture_create_topic(&test, "topic", PARTITIONS, NULL, NULL);
}

static void make_coordinator(void)
{
    struct find_coordinator_request request;
    struct find_coordinator_response response;
    find_coordinator_request_init(&request);
    request.key = VIEW_LITERAL("g");
    call_find_coordinator(&test, 3, &request, &response);
    assert_int_equal(response.error_code, KAFKA_ERROR_NONE);
}

static void commit(const char *topic_name, int32_t partition, int64_t offset)
{
    struct offset_commit_request request;
    struct offset_commit_response response;
    struct offset_commit_request_topic topic;
    struct offset_commit_request_partition item;
    offset_commit_request_init(&request);
    offset_commit_request_topic_init(&topic);
    offset_commit_request_partition_init(&item);
    request.group_id = VIEW_LITERAL("g");
    request.topics = &topic;
    request.topics_count = 1;
    topic.name = view_of_string(topic_name);
    topic.partitions = &item;
    topic.partitions_count = 1;
    item.partition_index = partition;
    item.committed_offset = offset;
    call_offset_commit(&test, 9, &request, &response);
    assert_int_equal(response.topics[0].partitions[0].error_code, KAFKA_ERROR_NONE);
}

static const struct group_lag_partition *find(const struct asking *asking, int32_t partition)
{
    const struct group_lag *lag = &asking->query.lag;
    for (size_t i = 0; i < lag->partition_count; i++) {
        if (lag->partitions[i].partition == partition)
            return &lag->partitions[i];
    }
    fail();
    return NULL;
}

/* Partition p has 3 batches of 10 records, and p + 8 records of it are committed. */
static void fill(void)
{
    int64_t now_ms = broker_fixture_shard(&test, 1)->loop->wall_ms;
    for (int32_t p = 0; p < PARTITIONS; p++) {
        for (int32_t batch = 0; batch < 3; batch++)
            broker_fixture_produce(&test, "topic", p, 10, now_ms - 60000 + 10000 * batch);
        commit("topic", p, p + 8);
    }
}

static void assert_lag(const struct asking *asking)
{
    const struct group_lag *lag = &asking->query.lag;
    assert_int_equal(asking->error, KAFKA_ERROR_NONE);
    assert_true(view_equal(lag->group_id, VIEW_LITERAL("g")));
    assert_true(view_equal(lag->state, VIEW_LITERAL("Empty")));
    assert_int_equal(lag->partition_count, PARTITIONS);
    assert_int_equal(lag->unknown_count, 0);
    assert_int_equal(lag->lag_records, 22 + 21 + 20 + 19);
    int64_t oldest_ms = -1;
    for (int32_t p = 0; p < PARTITIONS; p++) {
        const struct group_lag_partition *partition = find(asking, p);
        assert_true(view_equal(partition->topic, VIEW_LITERAL("topic")));
        assert_int_equal(partition->committed_offset, p + 8);
        assert_int_equal(partition->log_end_offset, 30);
        assert_int_equal(partition->lag_records, 22 - p);
        assert_false(partition->is_pending);
        /* The first unread record is in the first batch, or in the second, ten seconds younger. */
        assert_in_range(partition->lag_ms, p < 2 ? 60000 : 50000, p < 2 ? 100000 : 90000);
        if (partition->lag_ms > oldest_ms)
            oldest_ms = partition->lag_ms;
    }
    assert_int_equal(lag->lag_ms, oldest_ms);
    assert_true(find(asking, 0)->lag_ms - find(asking, 3)->lag_ms == 10000);
    assert_true(lag->progress_ms > 0);
    assert_in_range(lag->idle_ms, 0, 60000);
}

static void any_shard_tells_the_lag_of_all_partitions(void **state)
{
    (void)state;
    begin();
    make_coordinator();
    fill();
    for (unsigned shard = 1; shard <= FIXTURE_SHARDS; shard++) {
        struct asking *asking = ask(shard, "g");
        assert_lag(asking);
        end(asking);
    }
    broker_fixture_deinit(&test);
}

static void a_restart_changes_nothing(void **state)
{
    (void)state;
    begin();
    make_coordinator();
    fill();
    broker_fixture_restart(&test);
    make_coordinator();
    commit("topic", 0, 8); /* the coordinator has loaded */
    struct asking *asking = ask(1, "g");
    assert_lag(asking);
    end(asking);
    broker_fixture_deinit(&test);
}

static void who_has_read_everything_has_no_lag(void **state)
{
    (void)state;
    begin();
    make_coordinator();
    fill();
    for (int32_t p = 0; p < PARTITIONS; p++)
        commit("topic", p, 30);
    struct asking *asking = ask(2, "g");
    assert_int_equal(asking->error, KAFKA_ERROR_NONE);
    assert_int_equal(asking->query.lag.lag_records, 0);
    assert_int_equal(asking->query.lag.lag_ms, 0);
    assert_int_equal(asking->query.lag.idle_ms, 0);
    end(asking);
    broker_fixture_deinit(&test);
}

static void what_is_not_there_is_said(void **state)
{
    (void)state;
    begin();
    struct asking *asking = ask(1, "g"); /* no coordinator yet */
    assert_int_equal(asking->error, KAFKA_ERROR_NOT_COORDINATOR);
    end(asking);
    make_coordinator();
    commit("topic", 0, 1);
    broker_fixture_create_topic(&test, "other", 1, NULL, NULL);
    commit("other", 0, 0);
    asking = ask(1, "nobody");
    assert_int_equal(asking->error, KAFKA_ERROR_NONE);
    assert_true(view_equal(asking->query.lag.state, VIEW_LITERAL("Dead")));
    assert_int_equal(asking->query.lag.partition_count, 0);
    end(asking);
    /* An empty log has no first unread record, and a commit may be ahead of it. */
    asking = ask(2, "g");
    assert_int_equal(asking->query.lag.partition_count, 2);
    assert_int_equal(asking->query.lag.unknown_count, 0);
    assert_int_equal(asking->query.lag.lag_records, 0);
    end(asking);
    broker_fixture_deinit(&test);
}

/* ---- What ends meanwhile --------------------------------------------------------------------- */

/* All coordinators of groups lose their office, or get it back, between two events of the world. */
static void change_offices(bool is_given)
{
    for (unsigned i = 1; i <= FIXTURE_SHARDS; i++) {
        struct shard *shard = broker_fixture_shard(&test, i);
        list_for_each(link, &shard->replicas.replicas)
        {
            struct replica *replica = container_of(link, struct replica, link);
            if (!view_equal(replica->topic, VIEW_LITERAL("__consumer_offsets")))
                continue;
            if (is_given)
                coordinators_lead(&shard->coordinators, replica);
            else
                coordinators_leave(&shard->coordinators, replica);
        }
    }
}

static void await_loaded(void)
{
    enum kafka_error error = KAFKA_ERROR_COORDINATOR_LOAD_IN_PROGRESS;
    for (int i = 0; i < 1000 && error == KAFKA_ERROR_COORDINATOR_LOAD_IN_PROGRESS; i++) {
        assert_true(sim_step(test.sim));
        struct asking *asking = ask(1, "g");
        error = asking->error;
        end(asking);
    }
    assert_int_equal(error, KAFKA_ERROR_NONE);
}

/* At any moment of the query: it is told once, the whole or that there is no coordinator. */
static void a_coordinator_may_end_meanwhile(void **state)
{
    (void)state;
    unsigned told_all = 0, told_nothing = 0;
    begin();
    make_coordinator();
    fill();
    for (unsigned steps = 0; told_all < 10; steps++) {
        struct asking *asking = begin_to_ask(1 + steps % FIXTURE_SHARDS, "g");
        for (unsigned i = 0; i < steps / FIXTURE_SHARDS; i++)
            assert_true(sim_step(test.sim));
        change_offices(false);
        await(asking);
        if (asking->error == KAFKA_ERROR_NONE)
            assert_lag(asking);
        else
            assert_int_equal(asking->error, KAFKA_ERROR_NOT_COORDINATOR);
        told_all += asking->error == KAFKA_ERROR_NONE;
        told_nothing += asking->error != KAFKA_ERROR_NONE;
        end(asking);
        change_offices(true);
        await_loaded();
    }
    assert_true(told_nothing > 0);
    broker_fixture_deinit(&test);
}

static void a_stop_waits_for_who_asks(void **state)
{
    (void)state;
    begin();
    make_coordinator();
    fill();
    struct asking *asking = begin_to_ask(1, "g");
    broker_fixture_begin_stop(&test);
    assert_int_equal(broker_fixture_await_stop(&test), 0);
    assert_true(asking->told);
    broker_fixture_deinit(&test);
}

static void a_shard_without_metadata_says_so(void **state)
{
    (void)state;
    begin();
    struct shard early = {.loop = broker_fixture_shard(&test, 1)->loop};
    struct asking asking = {.query.done = told, .query.context = &asking};
    group_lag_query_start(&asking.query, &early, VIEW_LITERAL("g"));
    assert_true(asking.told);
    assert_int_equal(asking.error, KAFKA_ERROR_COORDINATOR_NOT_AVAILABLE);
    end(&asking);
    broker_fixture_deinit(&test);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(any_shard_tells_the_lag_of_all_partitions),
        cmocka_unit_test(a_restart_changes_nothing),
        cmocka_unit_test(who_has_read_everything_has_no_lag),
        cmocka_unit_test(what_is_not_there_is_said),
        cmocka_unit_test(a_coordinator_may_end_meanwhile),
        cmocka_unit_test(a_stop_waits_for_who_asks),
        cmocka_unit_test(a_shard_without_metadata_says_so),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
