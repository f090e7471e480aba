/*
 * Questions about transactions of one partition: in which order those who ask get their answers.
 * There is no transaction coordinator, so every answer is an error; the order is the same.
 */
#include "tests/unit/broker/broker_fixture.h"

#include "broker/shard.h"
#include "broker/verifications.h"

enum { PRODUCER = 77, TOLD_MAX = 8 };

static struct {
    struct broker_fixture broker;
    struct shard *shard;
    struct message start;
    void (*begin)(void);        /* on the shard's loop */
    char told[TOLD_MAX + 1];    /* names, in the order of the answers */
    unsigned told_count, await; /* ends when so many are told */
} test;                         /* one test at a time */

/* Who asks, under a name of one letter. */
struct asker {
    struct verification_wait wait;
    char name;
    bool asks_again; /* when it is answered first */
};

static struct verification_question question(void)
{
    return (struct verification_question){
        .transactional_id = VIEW_LITERAL("id"),
        .topic = VIEW_LITERAL("topic"),
        .producer_id = PRODUCER,
        .form = VERIFICATION_ADDS,
    };
}

static void ask(struct asker *asker)
{
    struct verification_question asked = question();
    verifications_ask(&test.shard->verifications, &asked, &asker->wait);
}

static bool join(struct asker *asker)
{
    struct verification_question asked = question();
    return verifications_join(&test.shard->verifications, &asked, &asker->wait);
}

static void told(struct verification_wait *wait, enum kafka_error error)
{
    struct asker *asker = container_of(wait, struct asker, wait);
    assert_int_not_equal(error, KAFKA_ERROR_NONE);
    assert_true(test.told_count < TOLD_MAX);
    test.told[test.told_count++] = asker->name;
    if (asker->asks_again) {
        asker->asks_again = false;
        ask(asker);
    }
}

static struct asker *make(char name)
{
    struct asker *asker = broker_fixture_get(&test.broker, 1, sizeof(*asker));
    asker->name = name;
    asker->wait.done = told;
    return asker;
}

static void start(struct message *message, struct loop *at)
{
    (void)message;
    (void)at;
    test.begin();
}

static bool all_are_told(void *context)
{
    (void)context;
    return test.told_count >= test.await;
}

/* Runs `begin` on a shard until so many answers are there, and for a while; who was told, in order.
 */
static const char *run(void (*begin)(void), unsigned answers)
{
    memset(&test, 0, sizeof(test));
    broker_fixture_init(&test.broker, NULL, 0);
    test.shard = broker_fixture_shard(&test.broker, 1);
    test.begin = begin;
    test.await = answers;
    test.start.deliver = start;
    loop_post(test.shard->loop, test.shard->loop->index, &test.start);
    struct sim *sim = test.broker.sim;
    assert_true(sim_run_to(sim, all_are_told, NULL, sim_now_ns(sim) + UINT64_C(60000000000)));
    sim_run_until(sim, sim_now_ns(sim) + UINT64_C(1000000000));
    broker_fixture_deinit(&test.broker);
    return test.told;
}

static void three_ask(void)
{
    for (char name = 'a'; name <= 'c'; name++)
        ask(make(name));
}

static void answers_come_in_the_order_of_the_questions(void **state)
{
    (void)state;
    assert_string_equal(run(three_ask, 3), "abc");
}

static void the_first_of_three_asks_twice(void)
{
    struct asker *first = make('a');
    first->asks_again = true;
    ask(first);
    ask(make('b'));
    ask(make('c'));
}

/* A later batch would be written before an earlier one, or refused after it is acknowledged. */
static void who_has_to_ask_again_is_not_overtaken(void **state)
{
    (void)state;
    assert_string_equal(run(the_first_of_three_asks_twice, 4), "aabc");
}

static void the_second_need_not_ask(void)
{
    struct asker *second = make('b');
    assert_false(join(second)); /* nobody asks: it may go on */
    ask(make('a'));
    assert_true(join(second));
    ask(make('c'));
}

static void who_need_not_ask_does_not_overtake_who_does(void **state)
{
    (void)state;
    assert_string_equal(run(the_second_need_not_ask, 3), "abc");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(answers_come_in_the_order_of_the_questions),
        cmocka_unit_test(who_has_to_ask_again_is_not_overtaken),
        cmocka_unit_test(who_need_not_ask_does_not_overtake_who_does),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
