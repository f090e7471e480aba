/*
 * Random lives of a group: members join, heartbeat, leave and vanish, answers get lost, appends get
 * lost, the coordinator dies and loads, topics come, grow and go. At every moment no partition is
 * owned by two clients that have a right to believe it; and when the faults end, everything is
 * owned and everybody is where the target is.
 */
#include "base/random.h"
#include "tests/unit/consumer/consumer_bench.h"

enum { MEMBERS = 5, STEPS = 160, LIVES = 60, SESSION_MS = 45000, ACKNOWLEDGE_MS = 30000 };

struct client {
    struct bench_member member;
    bool joined;
    bool is_unsure;          /* an answer did not come: says everything next time */
    int64_t heard_ms;        /* last answer */
    int64_t acknowledged_ms; /* last time it said what it owns */
};

struct life {
    struct consumer_bench bench;
    struct random_stream random;
    struct client clients[MEMBERS];
    bool has_second_topic;
    int32_t partitions;
};

static int64_t now_ms(const struct life *life)
{
    return life->bench.fixture.log.node.wall_ms;
}

static uint32_t below(struct life *life, uint32_t bound)
{
    return (uint32_t)random_below(&life->random, bound);
}

static void life_init(struct life *life, uint64_t seed)
{
    static const char *const ids[] = {"e", "a", "d", "b", "c"};
    memset(life, 0, sizeof(*life));
    random_init(&life->random, seed, 7);
    consumer_bench_init(&life->bench);
    life->partitions = 3;
    consumer_bench_topic(&life->bench, "t", life->partitions);
    for (unsigned i = 0; i < MEMBERS; i++) {
        struct bench_member *member = &life->clients[i].member;
        *member = (struct bench_member){.id = ids[i], .topics = {"t", i % 2 ? "u" : NULL}};
        if (i == 4)
            member->regex = "[u]";
        if (i == 3)
            member->instance = "i";
    }
}

/* It gives up everything, and may join again. */
static void drop(struct client *client)
{
    client->joined = false;
    client->member.owned = 0;
    client->member.epoch = 0;
}

static void hear(struct life *life, struct client *client, enum kafka_error error)
{
    switch ((int)error) {
    case KAFKA_ERROR_NONE:
        client->joined = true;
        client->heard_ms = now_ms(life);
        return;
    case KAFKA_ERROR_UNKNOWN_MEMBER_ID:
    case KAFKA_ERROR_FENCED_MEMBER_EPOCH:
    case KAFKA_ERROR_FENCED_INSTANCE_ID:
    case KAFKA_ERROR_GROUP_ID_NOT_FOUND:
        drop(client);
        return;
    case KAFKA_ERROR_UNRELEASED_INSTANCE_ID: /* its join was lost: it has to wait for the session */
    case KAFKA_ERROR_NOT_COORDINATOR:
    case KAFKA_ERROR_COORDINATOR_NOT_AVAILABLE:
    case KAFKA_ERROR_COORDINATOR_LOAD_IN_PROGRESS:
        return; /* asks again */
    default:
        fail_msg("error %d", error);
    }
}

static void join(struct life *life, struct client *client, bool is_lost)
{
    struct bench_member before = client->member;
    struct bench_answer answer = bench_join(&life->bench, &client->member);
    if (is_lost) {
        client->member = before;
        return;
    }
    hear(life, client, answer.error);
    client->acknowledged_ms = now_ms(life);
}

static void heartbeat(struct life *life, struct client *client, bool is_lost)
{
    struct bench_member before = client->member;
    bool says_owned = below(life, 3) > 0 || now_ms(life) - client->acknowledged_ms > ACKNOWLEDGE_MS;
    struct bench_answer answer =
        client->is_unsure ? bench_beat_fully(&life->bench, &client->member)
        : says_owned      ? bench_beat_owning(&life->bench, &client->member, client->member.owned)
                          : bench_beat(&life->bench, &client->member);
    if (is_lost) {
        client->member = before;
        client->is_unsure = true;
        return;
    }
    client->is_unsure = answer.error != KAFKA_ERROR_NONE;
    hear(life, client, answer.error);
    if (says_owned && answer.error == KAFKA_ERROR_NONE)
        client->acknowledged_ms = now_ms(life);
}

static void leave(struct life *life, struct client *client)
{
    bool pauses = client->member.instance && below(life, 2) == 0;
    struct bench_answer answer = bench_leave(&life->bench, &client->member, pauses ? -2 : -1);
    (void)answer; /* whatever it was: the client is gone */
    drop(client);
}

static void change_topics(struct life *life)
{
    if (below(life, 2) == 0 && life->partitions < 8) {
        consumer_bench_topic(&life->bench, "t", ++life->partitions);
    } else if (life->has_second_topic) {
        coordinator_fixture_delete_topic(&life->bench.fixture, "u");
        life->has_second_topic = false;
        /* Its partitions mean nothing any more; a topic of that name is another one. */
        for (unsigned i = 0; i < MEMBERS; i++)
            life->clients[i].member.owned &= 0xff;
    } else {
        consumer_bench_topic(&life->bench, "u", 2);
        life->has_second_topic = true;
    }
}

static void pass_time(struct life *life)
{
    coordinator_fixture_advance(&life->bench.fixture, below(life, 6000));
    for (unsigned i = 0; i < MEMBERS; i++) {
        struct client *client = &life->clients[i];
        if (client->joined && now_ms(life) - client->heard_ms >= SESSION_MS)
            drop(client); /* a client knows that its session is over */
    }
}

static void step(struct life *life)
{
    struct client *client = &life->clients[below(life, MEMBERS)];
    bool is_lost = below(life, 6) == 0;
    uint32_t what = below(life, 40);
    if (what == 0)
        coordinator_fixture_crash(&life->bench.fixture);
    else if (what == 1)
        change_topics(life);
    else if (what == 2)
        drop(client); /* vanishes */
    else if (what == 3 && client->joined)
        leave(life, client);
    else if (what < 14)
        pass_time(life);
    else {
        if (what == 14)
            coordinator_fixture_lose_next(&life->bench.fixture);
        if (client->joined)
            heartbeat(life, client, is_lost);
        else
            join(life, client, is_lost);
        coordinator_fixture_run(&life->bench.fixture);
    }
}

static void assert_exclusive(struct life *life)
{
    uint32_t owned = 0;
    for (unsigned i = 0; i < MEMBERS; i++) {
        assert_int_equal(owned & life->clients[i].member.owned, 0);
        owned |= life->clients[i].member.owned;
    }
    const struct consumer_group *consumer = bench_group(&life->bench);
    if (consumer)
        consumer_group_check(consumer);
}

/* No faults any more: everybody joins and heartbeats until nothing is left to do. */
static void calm_down(struct life *life)
{
    for (unsigned round = 0; round < 40; round++) {
        for (unsigned i = 0; i < MEMBERS; i++) {
            struct client *client = &life->clients[i];
            if (client->joined)
                heartbeat(life, client, false);
            else
                join(life, client, false);
            assert_exclusive(life);
        }
        coordinator_fixture_advance(&life->bench.fixture, 5000);
    }
    const struct consumer_group *consumer = bench_group(&life->bench);
    assert_int_equal(consumer_group_state(consumer), CONSUMER_GROUP_STABLE);
    assert_int_equal(consumer->member_count, MEMBERS);
    uint32_t owned = 0;
    for (unsigned i = 0; i < MEMBERS; i++)
        owned |= life->clients[i].member.owned;
    uint32_t expected = (1u << life->partitions) - 1;
    assert_int_equal(owned, expected | (life->has_second_topic ? 0x300u : 0));
}

static void a_group_survives_whatever_happens(void **state)
{
    (void)state;
    for (uint64_t seed = 0; seed < LIVES; seed++) {
        struct life life;
        life_init(&life, seed);
        for (unsigned i = 0; i < STEPS; i++) {
            step(&life);
            assert_exclusive(&life);
        }
        calm_down(&life);
        consumer_bench_deinit(&life.bench);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_group_survives_whatever_happens),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
