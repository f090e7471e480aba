/* Fetch sessions (KIP-227) as a client sees them: epochs, what is told again and what is not. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "replication/fetch_session.h"

struct client {
    struct heap heap;
    struct fetch_sessions sessions;
    struct fetch_session *place;
    enum fetch_session_kind kind;
    uint64_t now_ns;
    uint64_t random;
};

static void client_init(struct client *client, uint32_t limit)
{
    memset(client, 0, sizeof(*client));
    heap_init_plain(&client->heap);
    fetch_sessions_init(&client->sessions, &client->heap, limit, 1);
    client->now_ns = 1;
    client->random = 77;
}

static void client_deinit(struct client *client)
{
    fetch_sessions_deinit(&client->sessions);
    assert_null(client->place);
    assert_int_equal(client->sessions.count, 0);
    assert_int_equal(client->heap.used[MEMORY_CONNECTION], 0);
}

/* Asks for partitions [0, count) of topic "t" from `offset` on, and forgets one (-1: none). */
static enum kafka_error ask(struct client *client, int32_t id, int32_t epoch, int32_t count,
                            int64_t offset, int32_t forgotten)
{
    struct fetch_request_fetch_partition partitions[8];
    for (int32_t i = 0; i < count; i++) {
        fetch_request_fetch_partition_init(&partitions[i]);
        partitions[i].partition = i;
        partitions[i].fetch_offset = offset;
        partitions[i].partition_max_bytes = 1000;
    }
    struct fetch_request_fetch_topic topic = {
        .topic = VIEW_LITERAL("t"), .partitions = partitions, .partitions_count = (size_t)count};
    struct fetch_request_forgotten_topic forget = {
        .topic = VIEW_LITERAL("t"), .partitions = &forgotten, .partitions_count = 1};
    struct fetch_request request;
    fetch_request_init(&request);
    request.session_id = id;
    request.session_epoch = epoch;
    request.topics = &topic;
    request.topics_count = count > 0;
    request.forgotten_topics_data = &forget;
    request.forgotten_topics_data_count = forgotten >= 0;
    enum kafka_error error = fetch_session_begin(&client->sessions, &client->place, &request, false,
                                                 client->now_ns, client->random, &client->kind);
    fetch_session_end(client->place);
    return error;
}

static struct fetch_partition *partition_of(const struct client *client, int32_t index)
{
    list_for_each(link, &client->place->partitions)
    {
        struct fetch_partition *partition = container_of(link, struct fetch_partition, link);
        if (partition->partition == index)
            return partition;
    }
    return NULL;
}

static void a_session_is_begun_and_continued_epoch_by_epoch(void **state)
{
    (void)state;
    struct client client;
    client_init(&client, 10);
    assert_int_equal(ask(&client, 0, 0, 3, 5, -1), KAFKA_ERROR_NONE);
    assert_int_equal(client.kind, FETCH_SESSION_NEW);
    int32_t id = client.place->id;
    assert_true(id > 0);
    assert_int_equal(ask(&client, id, 1, 0, 0, -1), KAFKA_ERROR_NONE);
    assert_int_equal(client.kind, FETCH_SESSION_INCREMENTAL);
    assert_int_equal(partition_of(&client, 2)->fetch_offset, 5);
    assert_int_equal(ask(&client, id, 2, 1, 9, -1), KAFKA_ERROR_NONE);
    assert_int_equal(partition_of(&client, 0)->fetch_offset, 9);
    assert_int_equal(partition_of(&client, 2)->fetch_offset, 5);
    assert_int_equal(ask(&client, id, 3, 0, 0, 1), KAFKA_ERROR_NONE);
    assert_null(partition_of(&client, 1));
    client_deinit(&client);
}

static void wrong_ids_and_epochs_are_refused_and_change_nothing(void **state)
{
    (void)state;
    struct client client;
    client_init(&client, 10);
    assert_int_equal(ask(&client, 5, 1, 1, 0, -1), KAFKA_ERROR_FETCH_SESSION_ID_NOT_FOUND);
    ask(&client, 0, 0, 1, 0, -1);
    int32_t id = client.place->id;
    assert_int_equal(ask(&client, id + 1, 1, 0, 0, -1), KAFKA_ERROR_FETCH_SESSION_ID_NOT_FOUND);
    assert_int_equal(ask(&client, id, 2, 1, 9, -1), KAFKA_ERROR_INVALID_FETCH_SESSION_EPOCH);
    assert_int_equal(partition_of(&client, 0)->fetch_offset, 0);
    assert_int_equal(ask(&client, id, 1, 0, 0, -1), KAFKA_ERROR_NONE);
    client_deinit(&client);
}

static void ids_and_names_do_not_mix_in_a_session(void **state)
{
    (void)state;
    struct client client;
    client_init(&client, 10);
    ask(&client, 0, 0, 1, 0, -1);
    struct fetch_request request;
    fetch_request_init(&request);
    request.session_id = client.place->id;
    request.session_epoch = 1;
    assert_int_equal(
        fetch_session_begin(&client.sessions, &client.place, &request, true, 1, 1, &client.kind),
        KAFKA_ERROR_FETCH_SESSION_TOPIC_ID_ERROR);
    client_deinit(&client);
}

static void the_final_epoch_and_an_empty_session_end_it(void **state)
{
    (void)state;
    struct client client;
    client_init(&client, 10);
    ask(&client, 0, 0, 1, 0, -1);
    assert_int_equal(ask(&client, client.place->id, -1, 1, 0, -1), KAFKA_ERROR_NONE);
    assert_int_equal(client.kind, FETCH_SESSION_NONE);
    assert_null(client.place);
    ask(&client, 0, 0, 1, 0, -1);
    assert_int_equal(ask(&client, client.place->id, 1, 0, 0, 0), KAFKA_ERROR_NONE);
    assert_int_equal(client.kind, FETCH_SESSION_NONE);
    assert_null(client.place);
    client_deinit(&client);
}

static void only_news_is_told_again(void **state)
{
    (void)state;
    struct client client;
    client_init(&client, 10);
    ask(&client, 0, 0, 2, 0, -1);
    struct fetch_session *session = client.place;
    struct fetch_partition *partition = partition_of(&client, 0);
    assert_true(fetch_partition_tell(session, partition, KAFKA_ERROR_NONE, 0, 0, false));
    assert_false(fetch_partition_tell(session, partition, KAFKA_ERROR_NONE, 0, 0, false));
    assert_true(fetch_partition_tell(session, partition, KAFKA_ERROR_NONE, 4, 0, false));
    assert_true(fetch_partition_tell(session, partition, KAFKA_ERROR_NONE, 4, 2, false));
    assert_false(fetch_partition_tell(session, partition, KAFKA_ERROR_NONE, 4, 2, false));
    enum kafka_error error = KAFKA_ERROR_KAFKA_STORAGE_ERROR;
    assert_true(fetch_partition_tell(session, partition, error, -1, -1, false));
    assert_true(fetch_partition_tell(session, partition, error, -1, -1, false));
    assert_true(fetch_partition_tell(session, partition, KAFKA_ERROR_NONE, 4, 2, false));
    client_deinit(&client);
}

static void who_was_given_data_goes_to_the_end(void **state)
{
    (void)state;
    struct client client;
    client_init(&client, 10);
    ask(&client, 0, 0, 3, 0, -1);
    fetch_partition_tell(client.place, partition_of(&client, 0), KAFKA_ERROR_NONE, 1, 0, true);
    const struct fetch_partition *first =
        container_of(client.place->partitions.next, struct fetch_partition, link);
    const struct fetch_partition *last =
        container_of(client.place->partitions.previous, struct fetch_partition, link);
    assert_int_equal(first->partition, 1);
    assert_int_equal(last->partition, 0);
    client_deinit(&client);
}

static void a_full_loop_refuses_until_a_session_is_long_unused(void **state)
{
    (void)state;
    struct client client;
    client_init(&client, 1);
    ask(&client, 0, 0, 1, 0, -1);
    struct fetch_session *held = client.place;
    held->place = &held; /* it belongs to another connection now */
    client.place = NULL;
    assert_int_equal(ask(&client, 0, 0, 1, 0, -1), KAFKA_ERROR_NONE);
    assert_int_equal(client.kind, FETCH_SESSION_NONE);
    assert_null(client.place);
    client.now_ns += UINT64_C(121) * 1000000000;
    held->is_busy = true;
    ask(&client, 0, 0, 1, 0, -1);
    assert_int_equal(client.kind, FETCH_SESSION_NONE);
    held->is_busy = false;
    ask(&client, 0, 0, 1, 0, -1);
    assert_int_equal(client.kind, FETCH_SESSION_NEW);
    assert_null(held);
    assert_int_equal(client.sessions.evicted, 1);
    client_deinit(&client);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_session_is_begun_and_continued_epoch_by_epoch),
        cmocka_unit_test(wrong_ids_and_epochs_are_refused_and_change_nothing),
        cmocka_unit_test(ids_and_names_do_not_mix_in_a_session),
        cmocka_unit_test(the_final_epoch_and_an_empty_session_end_it),
        cmocka_unit_test(only_news_is_told_again),
        cmocka_unit_test(who_was_given_data_goes_to_the_end),
        cmocka_unit_test(a_full_loop_refuses_until_a_session_is_long_unused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
