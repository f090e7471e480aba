/* Where replicas lie, told to a controller that the test plays by hand. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <string.h>
#include <cmocka.h>

#include "cluster/directory_sender.h"
#include "cluster/metadata/draft.h"
#include "tests/unit/cluster/asked_controller.h"

enum { OWN = ASKED_NODE_ID, MS = 1000000, TOPICS = 3, PARTITIONS = 1000 };

static const struct uuid one = {.bytes = {[15] = 201}};
static const struct uuid two = {.bytes = {[15] = 202}};

static struct {
    struct asked_controller controller;
    struct directory_sender sender;
    struct publisher publisher; /* only its newest image */
} test;

static struct uuid topic_id(unsigned topic)
{
    return uuid_of_halves(9, topic);
}

static void adopt(struct image_draft *draft)
{
    const struct image *next = draft_finish(draft, NULL);
    image_release(test.publisher.current);
    test.publisher.current = next;
}

/* Topics 0 to TOPICS - 1, every partition on this broker, in a directory that nobody knows. */
static void make_topics(void)
{
    struct image_draft draft;
    draft_begin(&draft, test.publisher.current);
    for (unsigned i = 0; i < TOPICS; i++) {
        char name[] = "topic-0";
        name[6] = (char)('0' + i);
        assert_true(draft_add_topic(&draft, view_of_string(name), topic_id(i)));
        int32_t replicas[] = {2, OWN};
        for (int32_t k = 0; k < PARTITIONS; k++) {
            struct partition_state state = {
                .leader = OWN, .replicas = {replicas, 2}, .isr = {replicas, 2}};
            assert_true(draft_set_partition(&draft, topic_id(i), k, &state));
        }
    }
    adopt(&draft);
}

static int init(void **state)
{
    (void)state;
    memset(&test, 0, sizeof(test));
    asked_controller_init(&test.controller);
    struct loop *loop = test.controller.loop;
    test.publisher.current = image_create_empty(loop->heap, VIEW_LITERAL("cluster"));
    make_topics();
    struct directory_sender_options options = {.loop = loop,
                                               .channel = &test.controller.channel,
                                               .publisher = &test.publisher,
                                               .broker_id = OWN,
                                               .broker_epoch = asked_controller_broker_epoch,
                                               .self = &test.controller};
    directory_sender_init(&test.sender, &options);
    return 0;
}

static int deinit(void **state)
{
    (void)state;
    controller_channel_close(&test.controller.channel);
    directory_sender_close(&test.sender);
    memory_node_run(&test.controller.node);
    image_release(test.publisher.current);
    asked_controller_deinit(&test.controller);
    return 0;
}

static void tell(unsigned topic, int32_t partition, struct uuid directory)
{
    directory_sender_add(&test.sender, topic_id(topic), partition, directory);
    assert_null(test.controller.asked); /* never inside the call */
}

static const struct assign_replicas_to_dirs_request *asked(void)
{
    return asked_controller_message(&test.controller);
}

static size_t asked_count(void)
{
    size_t count = 0;
    for (size_t i = 0; i < asked()->directories_count; i++)
        for (size_t k = 0; k < asked()->directories[i].topics_count; k++)
            count += asked()->directories[i].topics[k].partitions_count;
    return count;
}

static void refuse(enum kafka_error error)
{
    struct assign_replicas_to_dirs_response response;
    assign_replicas_to_dirs_response_init(&response);
    response.error_code = (int16_t)error;
    asked_controller_answer(&test.controller, &response);
}

/* Takes all that was asked for, but one partition of a topic that gets the error. */
static void answer_but(unsigned topic, int32_t partition, enum kafka_error error)
{
    static struct assign_replicas_to_dirs_response_directory_data directories[2];
    static struct assign_replicas_to_dirs_response_topic_data topics[2][TOPICS];
    static struct assign_replicas_to_dirs_response_partition_data partitions[2][TOPICS][PARTITIONS];
    const struct assign_replicas_to_dirs_request *request = asked();
    struct assign_replicas_to_dirs_response response;
    assign_replicas_to_dirs_response_init(&response);
    response.directories = directories;
    response.directories_count = request->directories_count;
    for (size_t i = 0; i < request->directories_count; i++) {
        const struct assign_replicas_to_dirs_request_directory_data *from =
            &request->directories[i];
        directories[i] = (struct assign_replicas_to_dirs_response_directory_data){
            from->id, topics[i], from->topics_count};
        for (size_t k = 0; k < from->topics_count; k++) {
            struct uuid id = from->topics[k].topic_id;
            topics[i][k] = (struct assign_replicas_to_dirs_response_topic_data){
                id, partitions[i][k], from->topics[k].partitions_count};
            for (size_t n = 0; n < from->topics[k].partitions_count; n++) {
                int32_t index = from->topics[k].partitions[n].partition_index;
                bool is_it = uuid_equal(id, topic_id(topic)) && index == partition;
                partitions[i][k][n] = (struct assign_replicas_to_dirs_response_partition_data){
                    index, is_it ? (int16_t)error : 0};
            }
        }
    }
    asked_controller_answer(&test.controller, &response);
}

static void answer(void)
{
    answer_but(0, -1, KAFKA_ERROR_NONE);
}

static void a_request_names_directories_topics_and_partitions(void **state)
{
    (void)state;
    tell(1, 5, two);
    tell(0, 7, one);
    tell(1, 2, two);
    tell(0, 3, two);
    memory_node_run(&test.controller.node);
    assert_int_equal(asked()->broker_id, OWN);
    assert_int_equal(asked()->broker_epoch, 40);
    assert_int_equal(asked()->directories_count, 2);
    const struct assign_replicas_to_dirs_request_directory_data *first = &asked()->directories[0];
    const struct assign_replicas_to_dirs_request_directory_data *last = &asked()->directories[1];
    assert_true(uuid_equal(first->id, one));
    assert_int_equal(first->topics_count, 1);
    assert_int_equal(first->topics[0].partitions_count, 1);
    assert_int_equal(first->topics[0].partitions[0].partition_index, 7);
    assert_true(uuid_equal(last->id, two));
    assert_int_equal(last->topics_count, 2);
    assert_int_equal(last->topics[0].partitions_count, 1);
    assert_int_equal(last->topics[1].partitions_count, 2);
    assert_int_equal(last->topics[1].partitions[0].partition_index, 2);
    assert_int_equal(last->topics[1].partitions[1].partition_index, 5);
    answer();
    assert_null(test.controller.asked);
    assert_int_equal(test.sender.told, 4);
}

static void many_replicas_go_in_batches_one_at_a_time(void **state)
{
    (void)state;
    for (unsigned topic = 0; topic < TOPICS; topic++)
        for (int32_t i = 0; i < PARTITIONS; i++)
            tell(topic, i, one);
    memory_node_run(&test.controller.node);
    assert_int_equal(asked_count(), DIRECTORY_SENDER_BATCH);
    answer();
    assert_int_equal(asked_count(), TOPICS * PARTITIONS - DIRECTORY_SENDER_BATCH);
    answer();
    assert_null(test.controller.asked);
    assert_int_equal(test.sender.told, TOPICS * PARTITIONS);
}

static void nothing_is_told_before_the_registration(void **state)
{
    (void)state;
    test.controller.broker_epoch = -1;
    tell(0, 0, one);
    memory_node_run(&test.controller.node);
    memory_node_advance(&test.controller.node, 150 * MS);
    assert_null(test.controller.asked);
    test.controller.broker_epoch = 41;
    memory_node_advance(&test.controller.node, 400 * MS);
    assert_int_equal(asked()->broker_epoch, 41);
    answer();
}

static void a_refused_request_is_repeated_after_pauses_that_grow(void **state)
{
    (void)state;
    tell(0, 0, one);
    memory_node_run(&test.controller.node);
    uint64_t pause_ms = 100;
    for (int i = 0; i < 10; i++) {
        refuse(KAFKA_ERROR_STALE_BROKER_EPOCH);
        memory_node_advance(&test.controller.node, (pause_ms - 1) * MS);
        assert_null(test.controller.asked);
        test.controller.broker_epoch++;
        memory_node_advance(&test.controller.node, 2 * MS);
        assert_int_equal(asked()->broker_epoch, test.controller.broker_epoch);
        pause_ms = pause_ms < 5000 ? 2 * pause_ms : 10000;
    }
    answer();
    tell(0, 1, one);
    memory_node_run(&test.controller.node);
    refuse(KAFKA_ERROR_STALE_BROKER_EPOCH);
    memory_node_advance(&test.controller.node, 101 * MS);
    assert_int_equal(asked_count(), 1); /* the first pause again */
    answer();
}

/* The controller may be behind: the metadata decides. */
static void what_the_controller_does_not_know_is_told_again(void **state)
{
    (void)state;
    tell(0, 0, one);
    tell(0, 1, one);
    memory_node_run(&test.controller.node);
    answer_but(0, 1, KAFKA_ERROR_UNKNOWN_TOPIC_OR_PARTITION);
    assert_null(test.controller.asked);
    memory_node_advance(&test.controller.node, 101 * MS);
    assert_int_equal(asked_count(), 1);
    assert_int_equal(asked()->directories[0].topics[0].partitions[0].partition_index, 1);
    answer();
}

static void what_the_metadata_shows_or_has_no_more_is_not_told(void **state)
{
    (void)state;
    struct image_draft draft;
    draft_begin(&draft, test.publisher.current);
    struct partition_state state_of_shown = image_partition_state(
        image_topic_partition(image_topic_by_id(test.publisher.current, topic_id(0)), 0));
    struct uuid directories[] = {two, one};
    state_of_shown.directories = directories;
    assert_true(draft_set_partition(&draft, topic_id(0), 0, &state_of_shown));
    int32_t others[] = {2, 3};
    struct partition_state moved = {.leader = 2, .replicas = {others, 2}, .isr = {others, 2}};
    assert_true(draft_set_partition(&draft, topic_id(0), 1, &moved));
    adopt(&draft);
    tell(0, 0, one);          /* as it is */
    tell(0, 1, one);          /* of others */
    tell(0, PARTITIONS, one); /* no such partition */
    tell(TOPICS, 0, one);     /* no such topic */
    tell(1, 4, two);          /* the only news */
    memory_node_run(&test.controller.node);
    assert_int_equal(asked_count(), 1);
    assert_int_equal(asked()->directories[0].topics[0].partitions[0].partition_index, 4);
    answer();
    assert_int_equal(map_count(&test.sender.outbox.by_partition), 0);
}

static void what_is_told_last_counts(void **state)
{
    (void)state;
    tell(0, 0, one);
    tell(0, 0, two);
    memory_node_run(&test.controller.node);
    assert_int_equal(asked_count(), 1);
    assert_true(uuid_equal(asked()->directories[0].id, two));
    /* While that is under way: */
    directory_sender_add(&test.sender, topic_id(0), 0, one);
    memory_node_run(&test.controller.node);
    answer();
    assert_int_equal(asked_count(), 1);
    assert_true(uuid_equal(asked()->directories[0].id, one));
    answer();
    assert_null(test.controller.asked);
}

static void the_end_forgets_what_was_not_told(void **state)
{
    (void)state;
    tell(0, 0, one);
    memory_node_run(&test.controller.node);
    directory_sender_add(&test.sender, topic_id(0), 1, one);
    controller_channel_close(&test.controller.channel);
    directory_sender_close(&test.sender);
    directory_sender_add(&test.sender, topic_id(0), 2, one);
    memory_node_run(&test.controller.node);
    refuse(KAFKA_ERROR_NOT_CONTROLLER); /* it runs on this node */
    assert_null(test.controller.asked);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, init, deinit)
    const struct CMUnitTest tests[] = {
        TEST(a_request_names_directories_topics_and_partitions),
        TEST(many_replicas_go_in_batches_one_at_a_time),
        TEST(nothing_is_told_before_the_registration),
        TEST(a_refused_request_is_repeated_after_pauses_that_grow),
        TEST(what_the_controller_does_not_know_is_told_again),
        TEST(what_the_metadata_shows_or_has_no_more_is_not_told),
        TEST(what_is_told_last_counts),
        TEST(the_end_forgets_what_was_not_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
