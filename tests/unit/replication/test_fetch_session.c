/* Fetch sessions (KIP-227) as a client sees them: epochs, what is told again and what is not. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "replication/fetch_session.h"

struct client {
    struct heap heap;
    struct loop loop; /* its heap, count and clock */
    struct fetch_sessions sessions;
    struct fetch_session *place;
    enum fetch_session_kind kind;
    uint64_t random;
};

static void client_init(struct client *client, uint32_t limit)
{
    memset(client, 0, sizeof(*client));
    heap_init_plain(&client->heap);
    client->loop = (struct loop){.index = 1, .count = 2, .now_ns = 1, .heap = &client->heap};
    fetch_sessions_init(&client->sessions, &client->loop, limit);
    client->random = 77;
}

static void client_deinit(struct client *client)
{
    if (client->place)
        fetch_session_close(client->place);
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
                                                 client->random, &client->kind);
    if (error == KAFKA_ERROR_NONE && client->place)
        fetch_session_end(client->place);
    return error;
}

static struct fetch_partition *partition_of(const struct client *client, int32_t index)
{
    list_for_each(link, &client->place->partitions)
    {
        struct fetch_partition *partition = container_of(link, struct fetch_partition, link);
        if (partition->ask.partition == index)
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
    assert_int_equal(partition_of(&client, 2)->ask.fetch_offset, 5);
    assert_int_equal(ask(&client, id, 2, 1, 9, -1), KAFKA_ERROR_NONE);
    assert_int_equal(partition_of(&client, 0)->ask.fetch_offset, 9);
    assert_int_equal(partition_of(&client, 2)->ask.fetch_offset, 5);
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
    assert_int_equal(partition_of(&client, 0)->ask.fetch_offset, 0);
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
        fetch_session_begin(&client.sessions, &client.place, &request, true, 1, &client.kind),
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

/* The number of partitions that the next request takes to their owners. */
static size_t due_count(const struct client *client)
{
    size_t count = 0;
    list_for_each(link, &client->place->due) count++;
    return count;
}

static void take_due(const struct client *client)
{
    while (list_pop_front(&client->place->due))
        continue;
}

static void what_a_request_names_is_due(void **state)
{
    (void)state;
    struct client client;
    client_init(&client, 10);
    ask(&client, 0, 0, 3, 0, -1);
    int32_t id = client.place->id;
    assert_int_equal(due_count(&client), 3);
    take_due(&client);
    ask(&client, id, 1, 0, 0, -1);
    assert_int_equal(due_count(&client), 0);
    ask(&client, id, 2, 2, 7, -1);
    assert_int_equal(due_count(&client), 2);
    fetch_session_show(client.place, 5);
    assert_int_equal(due_count(&client), 3);
    take_due(&client);
    fetch_session_show(client.place, 5);
    assert_int_equal(due_count(&client), 0);
    client_deinit(&client);
}

static void what_is_forgotten_waits_to_be_dropped(void **state)
{
    (void)state;
    struct client client;
    client_init(&client, 10);
    ask(&client, 0, 0, 2, 0, -1);
    ask(&client, client.place->id, 1, 0, 0, 1);
    assert_int_equal(due_count(&client), 1);
    struct fetch_partition *dropped =
        container_of(client.place->dropped.next, struct fetch_partition, link);
    assert_int_equal(dropped->ask.partition, 1);
    fetch_session_free_dropped(client.place, dropped);
    assert_true(list_is_empty(&client.place->dropped));
    ask(&client, client.place->id, 2, 2, 0, -1);
    assert_non_null(partition_of(&client, 1)); /* a new one */
    client_deinit(&client);
}

static void a_session_ends_with_its_request_and_its_interests(void **state)
{
    (void)state;
    struct client client;
    client_init(&client, 10);
    ask(&client, 0, 0, 1, 0, -1);
    struct fetch_session *session = client.place;
    session->is_busy = true;
    session->seats[1].interests = fetch_interests_create(&client.loop);
    fetch_interest_create(session->seats[1].interests, &partition_of(&client, 0)->ask);
    fetch_session_close(session);
    assert_null(client.place);
    assert_int_equal(client.sessions.ending, 1);
    fetch_session_end(session);
    assert_int_equal(client.sessions.ending, 0);
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
    client.loop.now_ns += UINT64_C(121) * 1000000000;
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
        cmocka_unit_test(what_a_request_names_is_due),
        cmocka_unit_test(what_is_forgotten_waits_to_be_dropped),
        cmocka_unit_test(a_session_ends_with_its_request_and_its_interests),
        cmocka_unit_test(a_full_loop_refuses_until_a_session_is_long_unused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
