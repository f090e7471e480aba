/* InitProducerId against a whole broker: ids are never given twice, requests are checked. */
#include "tests/unit/broker/broker_fixture.h"

#include "protocol/messages/init_producer_id.h"

BROKER_FIXTURE_CALL(init_producer_id, API_KEY_INIT_PRODUCER_ID)

static struct init_producer_id_response ask(struct broker_fixture *fixture, int16_t version)
{
    struct init_producer_id_request request;
    struct init_producer_id_response response;
    init_producer_id_request_init(&request);
    request.transactional_id = VIEW_NULL;
    request.transaction_timeout_ms = 60000;
    call_init_producer_id(fixture, version, &request, &response);
    return response;
}

static void ids_rise_over_blocks_and_restarts(void **state)
{
    (void)state;
    struct broker_fixture fixture;
    broker_fixture_init(&fixture, NULL, 0);
    int64_t before = -1;
    for (int i = 0; i < 2500; i++) {
        if (i == 1500)
            broker_fixture_restart(&fixture);
        struct init_producer_id_response given = ask(&fixture, (int16_t)(i % 6));
        assert_int_equal(given.error_code, KAFKA_ERROR_NONE);
        assert_int_equal(given.producer_epoch, 0);
        assert_true(given.producer_id > before);
        before = given.producer_id;
    }
    assert_true(before < 4000);
    broker_fixture_deinit(&fixture);
}

static void requests_are_checked_before_an_id_is_given(void **state)
{
    (void)state;
    static const struct {
        const char *transactional_id;
        int32_t timeout_ms;
        int64_t producer_id;
        int16_t producer_epoch;
        int16_t error;
    } cases[] = {
        {NULL, 60000, 3, 3, KAFKA_ERROR_NONE},
        {NULL, -1, -1, -1, KAFKA_ERROR_NONE},
        {NULL, 60000, 3, -1, KAFKA_ERROR_INVALID_REQUEST},
        {NULL, 60000, -1, 3, KAFKA_ERROR_INVALID_REQUEST},
        {"", 60000, -1, -1, KAFKA_ERROR_INVALID_REQUEST},
        {"t", 0, -1, -1, KAFKA_ERROR_INVALID_TRANSACTION_TIMEOUT},
        {"t", 900001, -1, -1, KAFKA_ERROR_INVALID_TRANSACTION_TIMEOUT},
        {"t", 900000, -1, -1, KAFKA_ERROR_NOT_COORDINATOR},
    };
    struct broker_fixture fixture;
    broker_fixture_init(&fixture, NULL, 0);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct init_producer_id_request request;
        struct init_producer_id_response response;
        init_producer_id_request_init(&request);
        request.transactional_id =
            cases[i].transactional_id ? view_of_string(cases[i].transactional_id) : VIEW_NULL;
        request.transaction_timeout_ms = cases[i].timeout_ms;
        request.producer_id = cases[i].producer_id;
        request.producer_epoch = cases[i].producer_epoch;
        call_init_producer_id(&fixture, 5, &request, &response);
        assert_int_equal(response.error_code, cases[i].error);
        bool given = cases[i].error == KAFKA_ERROR_NONE;
        assert_int_equal(response.producer_epoch, given ? 0 : -1);
        assert_int_equal(response.producer_id >= 0, given);
    }
    broker_fixture_deinit(&fixture);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ids_rise_over_blocks_and_restarts),
        cmocka_unit_test(requests_are_checked_before_an_id_is_given),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
