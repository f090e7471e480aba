/*
 * How requests reach coordinators, with the smallest kind of coordinator and an API table of the
 * test's own: Heartbeat asks one key, DescribeGroups several, ListGroups every coordinator, and
 * JoinGroup parks its call.
 */
#include "tests/unit/broker/broker_fixture.h"

#include "broker/api_table.h"
#include "broker/coordinator_part.h"
#include "broker/shard.h"
#include "coordinator/placement.h"
#include "protocol/messages/describe_groups.h"
#include "protocol/messages/find_coordinator.h"
#include "protocol/messages/heartbeat.h"
#include "protocol/messages/join_group.h"
#include "protocol/messages/list_groups.h"
#include "tests/unit/coordinator/note_kind.h"

enum { PARTITIONS = 6 };

static const struct coordinator_kind *const kinds[COORDINATOR_SLOTS] = {&note_kind};

static struct {
    unsigned abandoned;
    uint8_t host[64];
    size_t host_size;
} seen;

/* ---- One key: writes note `generation` ---- */

API_CODEC(heartbeat);

static void heartbeat_split(struct request *request)
{
    struct heartbeat_response *response = request_get(request, 1, sizeof(*response));
    heartbeat_response_init(response);
    coordinator_ask(request, COORDINATOR_GROUPS, REQUEST_MESSAGE(heartbeat, request)->group_id,
                    response);
}

static void heartbeat_at(void *state, struct coordinator_call *call)
{
    struct notes *notes = state;
    const struct heartbeat_request *message = call->request;
    struct heartbeat_response *response = call->response;
    assert_int_equal(call->version, 4);
    seen.host_size = call->client.host.size;
    memcpy(seen.host, call->client.host.data, seen.host_size);
    enum kafka_error error = note_write(notes, 1, 1, message->generation_id);
    if (error != KAFKA_ERROR_NONE) {
        coordinator_fail(call, error);
        return;
    }
    response->throttle_time_ms = (int32_t)notes->texts[1];
    coordinator_answer(notes->coordinator, call);
}

static void heartbeat_part(struct part *part, struct loop *at)
{
    coordinator_part_run(part, at, heartbeat_at);
}

static void heartbeat_join(struct request *request)
{
    struct heartbeat_response response;
    heartbeat_response_init(&response);
    response.error_code = (int16_t)coordinator_asked(request);
    if (response.error_code == KAFKA_ERROR_NONE)
        response.throttle_time_ms =
            ((const struct heartbeat_response *)coordinator_asked_response(request))
                ->throttle_time_ms;
    request_respond(request, &response);
}

static const struct api_row heartbeat_row = {
    API_ROW(heartbeat, API_KEY_HEARTBEAT),
    .split = heartbeat_split,
    .part = heartbeat_part,
    .join = heartbeat_join,
};

/* ---- A call that is parked ---- */

API_CODEC(join_group);

static void join_group_split(struct request *request)
{
    struct join_group_response *response = request_get(request, 1, sizeof(*response));
    join_group_response_init(response);
    coordinator_ask(request, COORDINATOR_GROUPS, REQUEST_MESSAGE(join_group, request)->group_id,
                    response);
}

/* Whoever hangs up is not waited for. */
static void join_abandoned(struct coordinator_call *call)
{
    seen.abandoned++;
    list_remove(&call->link);
    coordinator_fail(call, KAFKA_ERROR_UNKNOWN_MEMBER_ID);
}

static void join_group_at(void *state, struct coordinator_call *call)
{
    call->abandoned = join_abandoned;
    note_park(state, call);
}

static void join_group_part(struct part *part, struct loop *at)
{
    coordinator_part_run(part, at, join_group_at);
}

static void join_group_join(struct request *request)
{
    struct join_group_response response;
    join_group_response_init(&response);
    response.error_code = (int16_t)coordinator_asked(request);
    request_respond(request, &response);
}

static const struct api_row join_group_row = {
    API_ROW(join_group, API_KEY_JOIN_GROUP),
    .split = join_group_split,
    .part = join_group_part,
    .join = join_group_join,
    .abandon = coordinator_items_abandon,
};

/* ---- Several keys: the partition of each ---- */

API_CODEC(describe_groups);

struct described {
    struct coordinator_item item;
    struct describe_groups_response_described_group group;
};

static void describe_groups_split(struct request *request)
{
    const struct describe_groups_request *message = REQUEST_MESSAGE(describe_groups, request);
    struct coordinator_items *items = request_get(request, 1, sizeof(*items));
    struct described *list = request_get(request, message->groups_count, sizeof(*list));
    request->context = list;
    for (size_t i = 0; i < message->groups_count; i++) {
        describe_groups_response_described_group_init(&list[i].group);
        coordinator_items_place(request, items, &list[i].item, COORDINATOR_GROUPS,
                                message->groups[i], &message->groups[i], &list[i].group);
    }
    coordinator_items_post(request, items);
}

static void describe_group_at(void *state, struct coordinator_call *call)
{
    const struct notes *notes = state;
    const struct view *name = call->request;
    struct describe_groups_response_described_group *group = call->response;
    int32_t partition = coordinator_partition(notes->coordinator);
    assert_int_equal(partition, placement_partition(*name, PARTITIONS));
    group->authorized_operations = partition;
    group->group_state = arena_copy(call->arena, VIEW_LITERAL("here"));
    coordinator_answer(notes->coordinator, call);
}

static void describe_groups_part(struct part *part, struct loop *at)
{
    coordinator_part_run(part, at, describe_group_at);
}

static void describe_groups_join(struct request *request)
{
    const struct describe_groups_request *message = REQUEST_MESSAGE(describe_groups, request);
    const struct described *list = request->context;
    struct describe_groups_response response;
    describe_groups_response_init(&response);
    response.groups = request_get(request, message->groups_count, sizeof(*response.groups));
    response.groups_count = message->groups_count;
    for (size_t i = 0; i < message->groups_count; i++) {
        response.groups[i] = list[i].group;
        response.groups[i].group_id = message->groups[i];
        response.groups[i].error_code = (int16_t)coordinator_item_answer(&list[i].item);
    }
    request_respond(request, &response);
}

static const struct api_row describe_groups_row = {
    API_ROW(describe_groups, API_KEY_DESCRIBE_GROUPS),
    .split = describe_groups_split,
    .part = describe_groups_part,
    .join = describe_groups_join,
};

/* ---- Everybody: one group per coordinator ---- */

API_CODEC(list_groups);

static void list_groups_split(struct request *request)
{
    coordinator_ask_every(request, COORDINATOR_GROUPS, sizeof(struct list_groups_response));
}

static void list_groups_at(void *state, struct coordinator_call *call)
{
    const struct notes *notes = state;
    struct list_groups_response *response = call->response;
    list_groups_response_init(response);
    response->throttle_time_ms = 1 << coordinator_partition(notes->coordinator);
    coordinator_answer(notes->coordinator, call);
}

static void list_groups_part(struct part *part, struct loop *at)
{
    coordinator_part_run(part, at, list_groups_at);
}

static void list_groups_join(struct request *request)
{
    struct list_groups_response response;
    list_groups_response_init(&response);
    const struct coordinator_item *item = NULL;
    while ((item = coordinator_every_next(request, item)) != NULL) {
        assert_int_equal(item->call.error, KAFKA_ERROR_NONE);
        response.throttle_time_ms +=
            ((const struct list_groups_response *)item->call.response)->throttle_time_ms;
    }
    request_respond(request, &response);
}

static const struct api_row list_groups_row = {
    API_ROW(list_groups, API_KEY_LIST_GROUPS),
    .split = list_groups_split,
    .part = list_groups_part,
    .join = list_groups_join,
};

/* ---- The table, in place of the broker's ---- */

extern const struct api_row api_row_find_coordinator;

const struct api_row *api_row_find(int16_t key)
{
    static const struct api_row *const rows[] = {&api_row_find_coordinator, &heartbeat_row,
                                                 &join_group_row, &describe_groups_row,
                                                 &list_groups_row};
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        if (rows[i]->key == key)
            return rows[i];
    return NULL;
}

BROKER_FIXTURE_CALL(find_coordinator, API_KEY_FIND_COORDINATOR)
BROKER_FIXTURE_CALL(heartbeat, API_KEY_HEARTBEAT)
BROKER_FIXTURE_CALL(describe_groups, API_KEY_DESCRIBE_GROUPS)
BROKER_FIXTURE_CALL(list_groups, API_KEY_LIST_GROUPS)

static void begin_without_topic(struct broker_fixture *fixture)
{
    static const char *const settings[] = {"offsets.topic.num.partitions=6"};
    *note_counts() = (struct note_kind_counts){0};
    memset(&seen, 0, sizeof(seen));
    broker_fixture_init_kinds(fixture, kinds, settings, 1);
}

static void begin(struct broker_fixture *fixture)
{
    begin_without_topic(fixture);
    struct find_coordinator_request request;
    struct find_coordinator_response response;
    find_coordinator_request_init(&request);
    request.key = VIEW_LITERAL("g");
    call_find_coordinator(fixture, 1, &request, &response);
    assert_int_equal(response.error_code, KAFKA_ERROR_NONE);
}

static struct heartbeat_response beat(struct broker_fixture *fixture, const char *group,
                                      int32_t text)
{
    struct heartbeat_request request;
    struct heartbeat_response response;
    heartbeat_request_init(&request);
    request.group_id = view_of_string(group);
    request.generation_id = text;
    call_heartbeat(fixture, 4, &request, &response);
    return response;
}

static void send_join(struct broker_fixture *fixture, const char *group)
{
    struct join_group_request request;
    join_group_request_init(&request);
    request.group_id = view_of_string(group);
    size_t size = join_group_request_size(&request, 5);
    struct message_writer out = message_writer_of(broker_fixture_get(fixture, size, 1), size);
    join_group_request_encode(&request, &out, 5);
    broker_fixture_send(fixture, API_KEY_JOIN_GROUP, 5, view_of(out.bytes.data, out.bytes.size));
}

/* ---- Claims ---- */

static void one_key_is_asked_at_its_coordinator(void **state)
{
    (void)state;
    struct broker_fixture fixture;
    begin(&fixture);
    struct heartbeat_response response = beat(&fixture, "g", 42);
    assert_int_equal(response.error_code, KAFKA_ERROR_NONE);
    assert_int_equal(response.throttle_time_ms, 42);
    assert_true(seen.host_size > 1);
    assert_int_equal(seen.host[0], '/');
    assert_int_equal(beat(&fixture, "another", 43).throttle_time_ms, 43);
    broker_fixture_deinit(&fixture);
}

static void without_its_topic_nobody_coordinates(void **state)
{
    (void)state;
    struct broker_fixture fixture;
    begin_without_topic(&fixture);
    assert_int_equal(beat(&fixture, "g", 42).error_code, KAFKA_ERROR_NOT_COORDINATOR);
    broker_fixture_deinit(&fixture);
}

static void several_keys_are_answered_in_their_order(void **state)
{
    (void)state;
    struct broker_fixture fixture;
    begin(&fixture);
    struct view groups[26];
    static const char letters[] = "abcdefghijklmnopqrstuvwxyz";
    struct describe_groups_request request;
    struct describe_groups_response response;
    describe_groups_request_init(&request);
    for (size_t i = 0; i < 26; i++)
        groups[i] = view_of(&letters[i], 1);
    request.groups = groups;
    request.groups_count = 26;
    call_describe_groups(&fixture, 5, &request, &response);
    assert_int_equal(response.groups_count, 26);
    for (size_t i = 0; i < 26; i++) {
        assert_int_equal(response.groups[i].error_code, KAFKA_ERROR_NONE);
        assert_true(view_equal(response.groups[i].group_id, groups[i]));
        assert_true(view_equal(response.groups[i].group_state, VIEW_LITERAL("here")));
        assert_int_equal(response.groups[i].authorized_operations,
                         placement_partition(groups[i], PARTITIONS));
    }
    broker_fixture_deinit(&fixture);
}

static void every_coordinator_of_every_shard_is_asked_once(void **state)
{
    (void)state;
    struct broker_fixture fixture;
    struct list_groups_request request;
    struct list_groups_response response;
    list_groups_request_init(&request);
    begin_without_topic(&fixture);
    call_list_groups(&fixture, 4, &request, &response);
    assert_int_equal(response.throttle_time_ms, 0);
    broker_fixture_deinit(&fixture);
    begin(&fixture);
    call_list_groups(&fixture, 4, &request, &response);
    assert_int_equal(response.throttle_time_ms, (1 << PARTITIONS) - 1);
    broker_fixture_deinit(&fixture);
}

static void a_kind_hears_that_the_client_hung_up(void **state)
{
    (void)state;
    struct broker_fixture fixture;
    begin(&fixture);
    for (unsigned i = 0; i < 4; i++) {
        static const char *const groups[] = {"a", "b", "c", "d"}; /* on both shards */
        send_join(&fixture, groups[i]);
        assert_int_equal(fixture.state, FIXTURE_SENT);
        broker_fixture_hang_up(&fixture);
        assert_int_equal(seen.abandoned, i + 1);
    }
    assert_int_equal(beat(&fixture, "a", 1).error_code, KAFKA_ERROR_NONE);
    broker_fixture_deinit(&fixture);
}

static void a_stop_answers_who_is_parked(void **state)
{
    (void)state;
    struct broker_fixture fixture;
    begin(&fixture);
    send_join(&fixture, "a");
    assert_int_equal(fixture.state, FIXTURE_SENT);
    broker_fixture_begin_stop(&fixture);
    struct view answer = broker_fixture_await(&fixture);
    assert_false(view_is_null(answer));
    struct join_group_response response;
    struct reader reader = reader_of(answer);
    assert_true(join_group_response_decode(&response, &reader, 5, &fixture.arena));
    assert_int_equal(response.error_code, KAFKA_ERROR_NOT_COORDINATOR);
    assert_int_equal(broker_fixture_await_stop(&fixture), 0);
    assert_int_equal(note_counts()->destroyed, note_counts()->created);
    broker_fixture_deinit(&fixture);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_key_is_asked_at_its_coordinator),
        cmocka_unit_test(without_its_topic_nobody_coordinates),
        cmocka_unit_test(several_keys_are_answered_in_their_order),
        cmocka_unit_test(every_coordinator_of_every_shard_is_asked_once),
        cmocka_unit_test(a_kind_hears_that_the_client_hung_up),
        cmocka_unit_test(a_stop_answers_who_is_parked),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
