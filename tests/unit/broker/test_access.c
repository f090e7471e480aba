/* ACLs without an authorizer, and users without credentials, against a whole broker. */
#include "tests/unit/broker/broker_fixture.h"

#include "protocol/messages/create_acls.h"
#include "protocol/messages/delete_acls.h"
#include "protocol/messages/describe_acls.h"
#include "protocol/messages/describe_user_scram_credentials.h"

BROKER_FIXTURE_CALL(create_acls, API_KEY_CREATE_ACLS)
BROKER_FIXTURE_CALL(delete_acls, API_KEY_DELETE_ACLS)
BROKER_FIXTURE_CALL(describe_acls, API_KEY_DESCRIBE_ACLS)
BROKER_FIXTURE_CALL(describe_user_scram_credentials, API_KEY_DESCRIBE_USER_SCRAM_CREDENTIALS)

enum { ANY = 1, TOPIC = 2, READ = 3, ALLOW = 3, LITERAL = 3, ENTRIES = 2 };

static void acls_are_refused_without_an_authorizer(void **state)
{
    (void)state;
    struct broker_fixture fixture;
    broker_fixture_init(&fixture, NULL, 0);
    for (int16_t version = CREATE_ACLS_REQUEST_VERSION_MIN;
         version <= CREATE_ACLS_REQUEST_VERSION_MAX; version++) {
        struct create_acls_request_acl_creation creations[ENTRIES];
        struct delete_acls_request_delete_acls_filter filters[ENTRIES];
        for (size_t i = 0; i < ENTRIES; i++) {
            creations[i] = (struct create_acls_request_acl_creation){
                TOPIC, VIEW_LITERAL("t"), LITERAL, VIEW_LITERAL("User:a"), VIEW_LITERAL("*"), READ,
                ALLOW};
            filters[i] = (struct delete_acls_request_delete_acls_filter){
                TOPIC, VIEW_LITERAL("t"), LITERAL, VIEW_NULL, VIEW_NULL, ANY, ANY};
        }
        struct create_acls_request create;
        struct create_acls_response created;
        create_acls_request_init(&create);
        create.creations = creations;
        create.creations_count = ENTRIES;
        call_create_acls(&fixture, version, &create, &created);
        struct delete_acls_request delete;
        struct delete_acls_response deleted;
        delete_acls_request_init(&delete);
        delete.filters = filters;
        delete.filters_count = ENTRIES;
        call_delete_acls(&fixture, version, &delete, &deleted);
        assert_int_equal(created.results_count, ENTRIES);
        assert_int_equal(deleted.filter_results_count, ENTRIES);
        for (size_t i = 0; i < ENTRIES; i++) {
            assert_int_equal(created.results[i].error_code, KAFKA_ERROR_SECURITY_DISABLED);
            assert_int_equal(deleted.filter_results[i].error_code, KAFKA_ERROR_SECURITY_DISABLED);
            assert_int_equal(deleted.filter_results[i].matching_acls_count, 0);
        }
        struct describe_acls_request look;
        struct describe_acls_response found;
        describe_acls_request_init(&look);
        look.resource_type_filter = ANY;
        look.operation = ANY;
        look.permission_type = ANY;
        call_describe_acls(&fixture, version, &look, &found);
        assert_int_equal(found.error_code, KAFKA_ERROR_SECURITY_DISABLED);
        assert_int_equal(found.resources_count, 0);
    }
    broker_fixture_deinit(&fixture);
}

static void users_without_credentials_are_told_apart(void **state)
{
    (void)state;
    struct broker_fixture fixture;
    broker_fixture_init(&fixture, NULL, 0);
    struct describe_user_scram_credentials_request_user_name users[] = {
        {VIEW_LITERAL("alice")}, {VIEW_LITERAL("bob")}, {VIEW_LITERAL("alice")}};
    struct describe_user_scram_credentials_request request;
    struct describe_user_scram_credentials_response response;
    describe_user_scram_credentials_request_init(&request);
    request.users = users;
    request.users_count = 3;
    call_describe_user_scram_credentials(&fixture, 0, &request, &response);
    assert_int_equal(response.error_code, KAFKA_ERROR_NONE);
    assert_int_equal(response.results_count, 2);
    assert_true(view_equal(response.results[0].user, VIEW_LITERAL("alice")));
    assert_int_equal(response.results[0].error_code, KAFKA_ERROR_DUPLICATE_RESOURCE);
    assert_true(view_equal(response.results[1].user, VIEW_LITERAL("bob")));
    assert_int_equal(response.results[1].error_code, KAFKA_ERROR_RESOURCE_NOT_FOUND);
    assert_int_equal(response.results[1].credential_infos_count, 0);

    request.users = NULL;
    request.users_count = 0;
    call_describe_user_scram_credentials(&fixture, 0, &request, &response);
    assert_int_equal(response.error_code, KAFKA_ERROR_NONE);
    assert_int_equal(response.results_count, 0);
    broker_fixture_deinit(&fixture);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(acls_are_refused_without_an_authorizer),
        cmocka_unit_test(users_without_credentials_are_told_apart),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
