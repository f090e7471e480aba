/* FindCoordinator against a whole broker: what is refused, and the two forms of the answer. */
#include "tests/unit/broker/broker_fixture.h"

#include "protocol/messages/find_coordinator.h"

BROKER_FIXTURE_CALL(find_coordinator, API_KEY_FIND_COORDINATOR)

#define TOPIC_ID "AAAAAAAAAAAAAAAAAAAAAA"

static int16_t ask(struct broker_fixture *fixture, int16_t version, int8_t type, const char *key)
{
    struct view keys[] = {VIEW_LITERAL("first"), view_of_string(key)};
    struct find_coordinator_request request;
    struct find_coordinator_response response;
    find_coordinator_request_init(&request);
    request.key_type = type;
    if (version < 4) {
        request.key = keys[1];
        call_find_coordinator(fixture, version, &request, &response);
        assert_int_equal(response.node_id, -1);
        return response.error_code;
    }
    request.coordinator_keys = keys;
    request.coordinator_keys_count = 2;
    call_find_coordinator(fixture, version, &request, &response);
    assert_int_equal(response.coordinators_count, 2);
    assert_true(view_equal(response.coordinators[1].key, keys[1]));
    assert_int_equal(response.coordinators[1].node_id, -1);
    return response.coordinators[1].error_code;
}

static void types_and_keys_are_checked_each_for_itself(void **state)
{
    (void)state;
    static const struct {
        int16_t version;
        int8_t type;
        const char *key;
        int16_t error;
    } cases[] = {
        {0, 0, "group", KAFKA_ERROR_COORDINATOR_NOT_AVAILABLE},
        {3, 1, "transaction", KAFKA_ERROR_COORDINATOR_NOT_AVAILABLE},
        {4, 0, "", KAFKA_ERROR_COORDINATOR_NOT_AVAILABLE},
        {1, -1, "group", KAFKA_ERROR_INVALID_REQUEST},
        {6, 3, "group", KAFKA_ERROR_INVALID_REQUEST},
        {5, 2, "g:" TOPIC_ID ":0", KAFKA_ERROR_INVALID_REQUEST},
        {6, 2, "g:" TOPIC_ID ":0", KAFKA_ERROR_COORDINATOR_NOT_AVAILABLE},
        {6, 2, "g:" TOPIC_ID ":0:", KAFKA_ERROR_COORDINATOR_NOT_AVAILABLE},
        {6, 2, "g", KAFKA_ERROR_INVALID_REQUEST},
        {6, 2, "g:" TOPIC_ID, KAFKA_ERROR_INVALID_REQUEST},
        {6, 2, "g:" TOPIC_ID ":", KAFKA_ERROR_INVALID_REQUEST},
        {6, 2, "g:" TOPIC_ID ":x", KAFKA_ERROR_INVALID_REQUEST},
        {6, 2, "g:" TOPIC_ID ":99999999999", KAFKA_ERROR_INVALID_REQUEST},
        {6, 2, " :" TOPIC_ID ":0", KAFKA_ERROR_INVALID_REQUEST},
        {6, 2, "a:b:" TOPIC_ID ":0", KAFKA_ERROR_INVALID_REQUEST},
    };
    struct broker_fixture fixture;
    broker_fixture_init(&fixture, NULL, 0);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        assert_int_equal(ask(&fixture, cases[i].version, cases[i].type, cases[i].key),
                         cases[i].error);
    broker_fixture_deinit(&fixture);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(types_and_keys_are_checked_each_for_itself),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
