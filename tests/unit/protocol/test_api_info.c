/* The API table and the error codes: a few rows that clients depend on, and what holds for all. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "protocol/api_info.h"
#include "protocol/errors.h"
#include "protocol/message_inspect.h"

static void every_key_finds_its_own_row(void **state)
{
    (void)state;
    assert_int_equal(api_info_count(), 89);
    for (size_t i = 0; i < api_info_count(); i++) {
        const struct api_info *info = api_info_at(i);
        assert_ptr_equal(api_info_find(info->key), info);
        assert_true(info->version_min <= info->version_max);
        assert_true(info->advertised_min <= info->version_min);
        assert_int_equal(info->advertised_max, info->version_max);
        assert_true(info->is_broker_listener || info->is_controller_listener);
    }
    assert_null(api_info_at(api_info_count()));
}

static void keys_that_kafka_dropped_or_never_had_have_no_row(void **state)
{
    (void)state;
    static const int16_t keys[] = {-1, 4, 5, 6, 7, 93, INT16_MAX, INT16_MIN};
    for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
        assert_null(api_info_find(keys[i]));
        assert_string_equal(api_info_name(keys[i]), "unknown");
    }
}

static void the_exceptions_among_the_ranges_are_kept(void **state)
{
    (void)state;
    const struct api_info *produce = api_info_find(API_KEY_PRODUCE);
    assert_int_equal(produce->advertised_min, 0);
    assert_false(api_info_is_served(produce, 2));
    assert_true(api_info_is_served(produce, 3));
    assert_true(api_info_is_served(produce, 13));
    assert_false(api_info_is_served(produce, 14));
    /* The newest version of InitProducerId is not stable yet. */
    assert_int_equal(api_info_find(API_KEY_INIT_PRODUCER_ID)->version_max, 5);
}

static void header_versions_follow_flexibility(void **state)
{
    (void)state;
    const struct api_info *metadata = api_info_find(API_KEY_METADATA);
    assert_int_equal(api_info_request_header_version(metadata, 8), 1);
    assert_int_equal(api_info_request_header_version(metadata, 9), 2);
    assert_int_equal(api_info_response_header_version(metadata, 8), 0);
    assert_int_equal(api_info_response_header_version(metadata, 9), 1);
    const struct api_info *versions = api_info_find(API_KEY_API_VERSIONS);
    assert_int_equal(api_info_request_header_version(versions, 4), 2);
    assert_int_equal(api_info_response_header_version(versions, 4), 0);
    const struct api_info *handshake = api_info_find(API_KEY_SASL_HANDSHAKE);
    assert_int_equal(api_info_request_header_version(handshake, 1), 1);
    assert_int_equal(api_info_response_header_version(handshake, 1), 0);
}

static void every_api_has_both_messages_in_every_served_version(void **state)
{
    (void)state;
    for (size_t i = 0; i < api_info_count(); i++) {
        const struct api_info *info = api_info_at(i);
        unsigned found = 0;
        for (size_t j = 0; j < message_type_count(); j++) {
            const struct message_type *type = message_type_at(j);
            if (type->key != info->key ||
                (type->kind != MESSAGE_REQUEST && type->kind != MESSAGE_RESPONSE))
                continue;
            found++;
            assert_int_equal(strncmp(type->name, info->name, strlen(info->name)), 0);
            assert_true(type->version_min <= info->version_min);
            assert_true(type->version_max >= info->version_max);
            assert_int_equal(type->flexible_since, info->flexible_since);
        }
        assert_int_equal(found, 2);
    }
}

static void errors_have_their_codes_and_names(void **state)
{
    (void)state;
    assert_string_equal(kafka_error_name(KAFKA_ERROR_NONE), "NONE");
    assert_string_equal(kafka_error_name(KAFKA_ERROR_UNKNOWN_SERVER_ERROR), "UNKNOWN_SERVER_ERROR");
    assert_int_equal(KAFKA_ERROR_SHARE_SESSION_LIMIT_REACHED, 133);
    assert_string_equal(kafka_error_name((enum kafka_error)133), "SHARE_SESSION_LIMIT_REACHED");
    assert_string_equal(kafka_error_name((enum kafka_error)134), "UNKNOWN_ERROR_CODE");
    assert_string_equal(kafka_error_name((enum kafka_error) - 2), "UNKNOWN_ERROR_CODE");
    for (int code = -1; code <= 133; code++) {
        assert_string_not_equal(kafka_error_name((enum kafka_error)code), "UNKNOWN_ERROR_CODE");
        assert_true(strlen(kafka_error_text((enum kafka_error)code)) > 0);
    }
    assert_true(kafka_error_is_retriable(KAFKA_ERROR_NOT_LEADER_OR_FOLLOWER));
    assert_false(kafka_error_is_retriable(KAFKA_ERROR_INVALID_REQUEST));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_key_finds_its_own_row),
        cmocka_unit_test(keys_that_kafka_dropped_or_never_had_have_no_row),
        cmocka_unit_test(the_exceptions_among_the_ranges_are_kept),
        cmocka_unit_test(header_versions_follow_flexibility),
        cmocka_unit_test(every_api_has_both_messages_in_every_served_version),
        cmocka_unit_test(errors_have_their_codes_and_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
