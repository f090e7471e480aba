/* AlterClientQuotas and DescribeClientQuotas against a whole broker. */
#include "tests/unit/broker/broker_fixture.h"

#include "protocol/messages/alter_client_quotas.h"
#include "protocol/messages/describe_client_quotas.h"

BROKER_FIXTURE_CALL(alter_client_quotas, API_KEY_ALTER_CLIENT_QUOTAS)
BROKER_FIXTURE_CALL(describe_client_quotas, API_KEY_DESCRIBE_CLIENT_QUOTAS)

typedef struct describe_client_quotas_request_component_data component;

enum { MATCH_EXACT = 0, MATCH_DEFAULT = 1, MATCH_ANY = 2 };

static int16_t set_rate(struct broker_fixture *fixture, int16_t version, const char *user,
                        const char *client, double rate)
{
    struct alter_client_quotas_request_entity_data entity[2];
    size_t count = 0;
    if (user)
        entity[count++] = (struct alter_client_quotas_request_entity_data){VIEW_LITERAL("user"),
                                                                           view_of_string(user)};
    if (client)
        entity[count++] = (struct alter_client_quotas_request_entity_data){
            VIEW_LITERAL("client-id"), *client ? view_of_string(client) : VIEW_NULL};
    struct alter_client_quotas_request_op_data op = {VIEW_LITERAL("producer_byte_rate"), rate,
                                                     false};
    struct alter_client_quotas_request_entry_data entry = {entity, count, &op, 1};
    struct alter_client_quotas_request request;
    struct alter_client_quotas_response response;
    alter_client_quotas_request_init(&request);
    request.entries = &entry;
    request.entries_count = 1;
    call_alter_client_quotas(fixture, version, &request, &response);
    assert_int_equal(response.entries_count, 1);
    assert_int_equal(response.entries[0].entity_count, count);
    return response.entries[0].error_code;
}

static struct describe_client_quotas_response describe(struct broker_fixture *fixture,
                                                       int16_t version, component *parts,
                                                       size_t count, bool strict)
{
    struct describe_client_quotas_request request;
    struct describe_client_quotas_response response;
    describe_client_quotas_request_init(&request);
    request.components = parts;
    request.components_count = count;
    request.strict = strict;
    call_describe_client_quotas(fixture, version, &request, &response);
    assert_int_equal(response.error_message.size == 0, response.error_code == 0);
    return response;
}

static void quotas_are_kept_and_shown_to_those_who_ask_for_them(void **state)
{
    (void)state;
    struct broker_fixture fixture;
    broker_fixture_init(&fixture, NULL, 0);
    assert_int_equal(set_rate(&fixture, 0, "alice", NULL, 100), KAFKA_ERROR_NONE);
    assert_int_equal(set_rate(&fixture, 1, "alice", "c", 200), KAFKA_ERROR_NONE);
    assert_int_equal(set_rate(&fixture, 1, NULL, "", 300), KAFKA_ERROR_NONE);
    assert_int_equal(set_rate(&fixture, 1, "", NULL, 400), KAFKA_ERROR_INVALID_REQUEST);
    broker_fixture_restart(&fixture);

    component alice = {VIEW_LITERAL("user"), MATCH_EXACT, VIEW_LITERAL("alice")};
    component bob = {VIEW_LITERAL("user"), MATCH_EXACT, VIEW_LITERAL("bob")};
    component default_client = {VIEW_LITERAL("client-id"), MATCH_DEFAULT, VIEW_NULL};
    component any_client = {VIEW_LITERAL("client-id"), MATCH_ANY, VIEW_NULL};
    component both[] = {alice, any_client};
    for (int16_t version = 0; version <= 1; version++) {
        assert_int_equal(describe(&fixture, version, NULL, 0, false).entries_count, 3);
        assert_int_equal(describe(&fixture, version, NULL, 0, true).entries_count, 0);
        assert_int_equal(describe(&fixture, version, &alice, 1, false).entries_count, 2);
        assert_int_equal(describe(&fixture, version, &bob, 1, false).entries_count, 0);
        assert_int_equal(describe(&fixture, version, &any_client, 1, false).entries_count, 2);
        assert_int_equal(describe(&fixture, version, both, 2, true).entries_count, 1);
        struct describe_client_quotas_response found =
            describe(&fixture, version, &default_client, 1, false);
        assert_int_equal(found.entries_count, 1);
        assert_true(view_is_null(found.entries[0].entity[0].entity_name));
        found = describe(&fixture, version, &alice, 1, true);
        assert_int_equal(found.entries_count, 1);
        assert_int_equal(found.entries[0].entity_count, 1);
        assert_true(view_equal(found.entries[0].entity[0].entity_name, VIEW_LITERAL("alice")));
        assert_int_equal(found.entries[0].values_count, 1);
        assert_true(view_equal(found.entries[0].values[0].key, VIEW_LITERAL("producer_byte_rate")));
        assert_true(found.entries[0].values[0].value > 99 &&
                    found.entries[0].values[0].value < 101);
    }
    broker_fixture_deinit(&fixture);
}

static void filters_are_checked(void **state)
{
    (void)state;
    static const struct {
        const char *types[2];
        size_t count;
        int8_t match_type;
        const char *match;
        int16_t error;
    } cases[] = {
        {{""}, 1, MATCH_ANY, NULL, KAFKA_ERROR_INVALID_REQUEST},
        {{"group"}, 1, MATCH_ANY, NULL, KAFKA_ERROR_UNSUPPORTED_VERSION},
        {{"user", "user"}, 2, MATCH_ANY, NULL, KAFKA_ERROR_INVALID_REQUEST},
        {{"user", "ip"}, 2, MATCH_ANY, NULL, KAFKA_ERROR_INVALID_REQUEST},
        {{"user"}, 1, 9, NULL, KAFKA_ERROR_INVALID_REQUEST},
        {{"user"}, 1, MATCH_EXACT, NULL, KAFKA_ERROR_INVALID_REQUEST},
        {{"user"}, 1, MATCH_ANY, "x", KAFKA_ERROR_INVALID_REQUEST},
        {{"user", "client-id"}, 2, MATCH_ANY, NULL, KAFKA_ERROR_NONE},
    };
    struct broker_fixture fixture;
    broker_fixture_init(&fixture, NULL, 0);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        component parts[2];
        for (size_t k = 0; k < cases[i].count; k++)
            parts[k] = (component){view_of_string(cases[i].types[k]), cases[i].match_type,
                                   cases[i].match ? view_of_string(cases[i].match) : VIEW_NULL};
        struct describe_client_quotas_response found =
            describe(&fixture, 1, parts, cases[i].count, false);
        assert_int_equal(found.error_code, cases[i].error);
        assert_int_equal(found.entries_count, 0);
    }
    broker_fixture_deinit(&fixture);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(quotas_are_kept_and_shown_to_those_who_ask_for_them),
        cmocka_unit_test(filters_are_checked),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
