/*
 * The tables of the transaction coordinator, cell by cell: (state, request, version) to (error, next
 * state, what the producer gets).
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "tests/unit/transaction/transaction_fixture.h"

#define NOBODY ((struct producer){-1, -1})

/* The producer of load_state. */
static struct producer loaded(int16_t epoch)
{
    return (struct producer){1000, epoch};
}

static enum transaction_status status_now(void)
{
    return transaction_named("t")->status;
}

/* ---- Moves ---- */

static void moves_are_those_of_the_diagram(void **state)
{
    (void)state;
    static const char *const allowed[] = {
        /* from: Empty Ongoing PrepareCommit PrepareAbort CompleteCommit CompleteAbort */
        [TRANSACTION_EMPTY] = "x...xx",          [TRANSACTION_ONGOING] = "xx..xx",
        [TRANSACTION_PREPARE_COMMIT] = ".x....", [TRANSACTION_PREPARE_ABORT] = "xx..xx",
        [TRANSACTION_COMPLETE_COMMIT] = "..x...", [TRANSACTION_COMPLETE_ABORT] = "...x..",
    };
    for (unsigned to = 0; to < TRANSACTION_STATUS_COUNT; to++)
        for (unsigned from = 0; from < TRANSACTION_STATUS_COUNT; from++)
            assert_int_equal(transaction_may_move(from, to), allowed[to][from] == 'x');
}

/* ---- InitProducerId ---- */

static void a_new_id_begins_at_epoch_zero(void **state)
{
    (void)state;
    transaction_fixture_begin();
    struct producer got = new_producer("t");
    assert_int_equal(got.id, 5000);
    assert_int_equal(got.epoch, 0);
    assert_int_equal(status_now(), TRANSACTION_EMPTY);
    /* Whoever it thinks it is: the coordinator has never heard of it. */
    assert_int_equal(init_producer("other", 5, (struct producer){77, 3}, &got), KAFKA_ERROR_NONE);
    assert_int_equal(got.id, 5001);
    assert_int_equal(got.epoch, 0);
    transaction_fixture_end();
}

struct init_row {
    enum transaction_status status;
    int16_t epoch;
    struct producer expected;
    int16_t version;
    enum kafka_error error;
    struct producer got;
    enum transaction_status next; /* when the call is over and markers are still in the air */
};

static const struct init_row init_rows[] = {
#define REST(status)                                                                               \
    {status, 3, {-1, -1}, 5, KAFKA_ERROR_NONE, {1000, 4}, TRANSACTION_EMPTY},                      \
        {status, 3, {1000, 3}, 5, KAFKA_ERROR_NONE, {1000, 4}, TRANSACTION_EMPTY},                 \
        {status, 3, {1000, 2}, 5, KAFKA_ERROR_PRODUCER_FENCED, {-1, -1}, status},                  \
        {status, 3, {1000, 4}, 4, KAFKA_ERROR_PRODUCER_FENCED, {-1, -1}, status},                  \
        {status, 3, {1000, 2}, 3, KAFKA_ERROR_INVALID_PRODUCER_EPOCH, {-1, -1}, status},           \
        {status, 3, {900, 3}, 5, KAFKA_ERROR_PRODUCER_FENCED, {-1, -1}, status},                   \
        {status, 3, {4711, 3}, 5, KAFKA_ERROR_PRODUCER_FENCED, {-1, -1}, status},                  \
        {status, 3, {900, 32766}, 5, KAFKA_ERROR_PRODUCER_FENCED, {-1, -1}, status},               \
        {status, 32765, {-1, -1}, 5, KAFKA_ERROR_NONE, {1000, 32766}, TRANSACTION_EMPTY},          \
        {status, 32766, {-1, -1}, 5, KAFKA_ERROR_NONE, {5000, 0}, TRANSACTION_EMPTY},              \
        {status, 32766, {1000, 32766}, 5, KAFKA_ERROR_NONE, {5000, 0}, TRANSACTION_EMPTY},         \
        {status, 32766, {1000, 5}, 5, KAFKA_ERROR_PRODUCER_FENCED, {-1, -1}, status},              \
        {status, 32767, {-1, -1}, 5, KAFKA_ERROR_NONE, {5000, 0}, TRANSACTION_EMPTY}
    REST(TRANSACTION_EMPTY),
    REST(TRANSACTION_COMPLETE_COMMIT),
    REST(TRANSACTION_COMPLETE_ABORT),
#define FENCE(epoch, expected_id, expected_epoch)                                                  \
    {TRANSACTION_ONGOING,       epoch,   {expected_id, expected_epoch}, 5,                         \
     KAFKA_ERROR_CONCURRENT_TRANSACTIONS, {-1, -1}, TRANSACTION_PREPARE_ABORT}
    FENCE(3, -1, -1),
    FENCE(3, 1000, 3),
    FENCE(3, 1000, 2),
    FENCE(32766, -1, -1),
    FENCE(32767, -1, -1),
    {TRANSACTION_ONGOING, 3, {4711, 3}, 5, KAFKA_ERROR_PRODUCER_FENCED, {-1, -1},
     TRANSACTION_ONGOING},
#define PREPARED(status)                                                                           \
    {status, 3, {-1, -1}, 5, KAFKA_ERROR_CONCURRENT_TRANSACTIONS, {-1, -1}, status},               \
        {status, 3, {1000, 3}, 5, KAFKA_ERROR_CONCURRENT_TRANSACTIONS, {-1, -1}, status},          \
        {status, 3, {4711, 3}, 5, KAFKA_ERROR_CONCURRENT_TRANSACTIONS, {-1, -1}, status}
    PREPARED(TRANSACTION_PREPARE_COMMIT),
    PREPARED(TRANSACTION_PREPARE_ABORT),
};

static void init_producer_id_in_every_state(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(init_rows) / sizeof(init_rows[0]); i++) {
        const struct init_row *row = &init_rows[i];
        transaction_fixture_begin();
        fixture.holds_markers = true;
        load_state(row->status, row->epoch);
        struct producer got;
        enum kafka_error error = init_producer("t", row->version, row->expected, &got);
        if (error != row->error || got.id != row->got.id || got.epoch != row->got.epoch ||
            status_now() != row->next)
            fail_msg("row %zu: error %d, producer %lld epoch %d, state %d", i, error,
                     (long long)got.id, got.epoch, status_now());
        if (row->next == TRANSACTION_PREPARE_ABORT && row->status == TRANSACTION_ONGOING)
            assert_int_equal(transaction_named("t")->producer_epoch,
                             row->epoch == 32767 ? 32767 : row->epoch + 1);
        transaction_fixture_end();
    }
}

static void a_fenced_predecessor_is_followed_by_a_higher_epoch(void **state)
{
    (void)state;
    /* Also where the epochs run out in the middle (KAFKA-19367, KAFKA-20090). */
    static const struct {
        int16_t epoch;
        struct producer got;
    } rows[] = {{3, {1000, 5}},
                {32764, {1000, 32766}},
                {32765, {5000, 0}},
                {32766, {5000, 0}},
                {32767, {5000, 0}}};
    for (int16_t level = 0; level <= 2; level++) {
        for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
            transaction_fixture_begin_version(level);
            load_state(TRANSACTION_ONGOING, rows[i].epoch);
            struct producer got;
            fixture.holds_markers = true;
            assert_int_equal(init_producer("t", 5, NOBODY, &got),
                             KAFKA_ERROR_CONCURRENT_TRANSACTIONS);
            transaction_fixture_answer_markers(KAFKA_ERROR_NONE);
            assert_int_equal(status_now(), TRANSACTION_COMPLETE_ABORT);
            got = new_producer("t");
            assert_int_equal(got.id, rows[i].got.id);
            assert_int_equal(got.epoch, rows[i].got.epoch);
            transaction_fixture_end();
        }
    }
}

static void the_retry_of_a_lost_answer_gets_the_same(void **state)
{
    (void)state;
    transaction_fixture_begin();
    struct producer first = new_producer("t"), bumped, again;
    assert_int_equal(init_producer("t", 5, first, &bumped), KAFKA_ERROR_NONE);
    assert_int_equal(bumped.epoch, 1);
    assert_int_equal(init_producer("t", 5, first, &again), KAFKA_ERROR_NONE);
    assert_int_equal(again.epoch, 1);
    assert_int_equal(again.id, first.id);
    /* Another producer has begun since: the one that asked is fenced. */
    struct producer other = new_producer("t");
    assert_int_equal(other.epoch, 2);
    assert_int_equal(init_producer("t", 5, bumped, &again), KAFKA_ERROR_PRODUCER_FENCED);
    /* A coordinator that loaded does not know of the epoch before. */
    assert_int_equal(init_producer("t", 5, other, &bumped), KAFKA_ERROR_NONE);
    transaction_fixture_reload();
    assert_int_equal(init_producer("t", 5, other, &again), KAFKA_ERROR_PRODUCER_FENCED);
    transaction_fixture_end();
}

static void the_retry_across_a_new_producer_id_gets_the_same(void **state)
{
    (void)state;
    transaction_fixture_begin();
    load_state(TRANSACTION_COMPLETE_COMMIT, 32766);
    struct producer got, again;
    assert_int_equal(init_producer("t", 5, loaded(32766), &got), KAFKA_ERROR_NONE);
    assert_int_equal(got.id, 5000);
    assert_int_equal(init_producer("t", 5, loaded(32766), &again), KAFKA_ERROR_NONE);
    assert_int_equal(again.id, 5000);
    assert_int_equal(again.epoch, 0);
    transaction_fixture_end();
}

static void init_producer_id_is_checked_first(void **state)
{
    (void)state;
    struct server_config config = {0};
    config.settings.transaction_max_timeout_ms = 900000;
    static const struct {
        const char *id;
        int32_t timeout_ms;
        int64_t producer_id;
        int16_t epoch;
        bool two_phase;
        bool keeps;
        enum kafka_error error;
    } rows[] = {
        {NULL, 0, -1, -1, false, false, KAFKA_ERROR_NONE},
        {NULL, -5, -1, -1, false, false, KAFKA_ERROR_NONE},
        {NULL, 0, 5, -1, false, false, KAFKA_ERROR_INVALID_REQUEST},
        {NULL, 0, -1, 5, false, false, KAFKA_ERROR_INVALID_REQUEST},
        {"", 1000, -1, -1, false, false, KAFKA_ERROR_INVALID_REQUEST},
        {"t", 1000, 5, -1, false, false, KAFKA_ERROR_INVALID_REQUEST},
        {"t", 0, -1, -1, false, false, KAFKA_ERROR_INVALID_TRANSACTION_TIMEOUT},
        {"t", -1, -1, -1, false, false, KAFKA_ERROR_INVALID_TRANSACTION_TIMEOUT},
        {"t", 900001, -1, -1, false, false, KAFKA_ERROR_INVALID_TRANSACTION_TIMEOUT},
        {"t", 900000, -1, -1, false, false, KAFKA_ERROR_NONE},
        {"t", 1, 5, 5, false, false, KAFKA_ERROR_NONE},
        {"t", 1000, -1, -1, true, false, KAFKA_ERROR_TRANSACTIONAL_ID_AUTHORIZATION_FAILED},
        {"t", 1000, -1, -1, false, true, KAFKA_ERROR_UNSUPPORTED_VERSION},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct init_producer_id_request request;
        init_producer_id_request_init(&request);
        request.transactional_id = view_of_string(rows[i].id);
        request.transaction_timeout_ms = rows[i].timeout_ms;
        request.producer_id = rows[i].producer_id;
        request.producer_epoch = rows[i].epoch;
        request.enable2_pc = rows[i].two_phase;
        request.keep_prepared_txn = rows[i].keeps;
        assert_int_equal(init_producer_id_check(&request, &config), rows[i].error);
    }
    config.settings.transaction_two_phase_commit_enable = true;
    struct init_producer_id_request request;
    init_producer_id_request_init(&request);
    request.transactional_id = VIEW_LITERAL("t");
    request.enable2_pc = true;
    assert_int_equal(init_producer_id_check(&request, &config), KAFKA_ERROR_NONE);
}

/* ---- AddPartitionsToTxn, AddOffsetsToTxn ---- */

struct add_row {
    enum transaction_status status;
    int64_t id;
    int16_t epoch; /* the transaction has 3 */
    int16_t version;
    enum kafka_error error;
    enum kafka_error verify_error; /* of partition 1, which the open states have */
};

static const struct add_row add_rows[] = {
#define ADD_REST(status, verified)                                                                 \
    {status, 1000, 3, 3, KAFKA_ERROR_NONE, verified},                                              \
        {status, 1000, 3, 5, KAFKA_ERROR_NONE, verified},                                          \
        {status, 1000, 2, 3, KAFKA_ERROR_PRODUCER_FENCED, KAFKA_ERROR_PRODUCER_FENCED},            \
        {status, 1000, 4, 2, KAFKA_ERROR_PRODUCER_FENCED, KAFKA_ERROR_PRODUCER_FENCED},            \
        {status, 1000, 2, 1, KAFKA_ERROR_INVALID_PRODUCER_EPOCH, KAFKA_ERROR_PRODUCER_FENCED},     \
        {status, 1000, 2, 0, KAFKA_ERROR_INVALID_PRODUCER_EPOCH, KAFKA_ERROR_PRODUCER_FENCED},     \
        {status, 999, 3, 3, KAFKA_ERROR_INVALID_PRODUCER_ID_MAPPING,                               \
         KAFKA_ERROR_INVALID_PRODUCER_ID_MAPPING}
    ADD_REST(TRANSACTION_EMPTY, KAFKA_ERROR_TRANSACTION_ABORTABLE),
    ADD_REST(TRANSACTION_COMPLETE_COMMIT, KAFKA_ERROR_TRANSACTION_ABORTABLE),
    ADD_REST(TRANSACTION_COMPLETE_ABORT, KAFKA_ERROR_TRANSACTION_ABORTABLE),
    ADD_REST(TRANSACTION_ONGOING, KAFKA_ERROR_NONE),
    /* Before everything else (KAFKA-18660). */
#define ADD_PREPARED(status)                                                                       \
    {status, 1000, 3, 3, KAFKA_ERROR_CONCURRENT_TRANSACTIONS,                                      \
     KAFKA_ERROR_CONCURRENT_TRANSACTIONS},                                                         \
        {status, 1000, 2, 1, KAFKA_ERROR_CONCURRENT_TRANSACTIONS,                                  \
         KAFKA_ERROR_CONCURRENT_TRANSACTIONS},                                                     \
        {status, 999, 0, 5, KAFKA_ERROR_CONCURRENT_TRANSACTIONS,                                   \
         KAFKA_ERROR_CONCURRENT_TRANSACTIONS}
    ADD_PREPARED(TRANSACTION_PREPARE_COMMIT),
    ADD_PREPARED(TRANSACTION_PREPARE_ABORT),
};

static void partitions_join_in_every_state(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(add_rows) / sizeof(add_rows[0]); i++) {
        const struct add_row *row = &add_rows[i];
        struct producer producer = {row->id, row->epoch};
        transaction_fixture_begin();
        fixture.holds_markers = true;
        load_state(row->status, 3);
        assert_int_equal(verify_partition("t", producer, "data", 1), row->verify_error);
        assert_int_equal(status_now(), row->status);
        enum kafka_error error = add_partition("t", row->version, producer, "data", 2);
        if (error != row->error)
            fail_msg("row %zu: error %d", i, error);
        bool is_added = row->error == KAFKA_ERROR_NONE;
        assert_int_equal(status_now(), is_added ? TRANSACTION_ONGOING : row->status);
        assert_int_equal(transaction_has_partition(transaction_named("t"), VIEW_LITERAL("data"), 2),
                         is_added);
        if (is_added)
            assert_int_equal(verify_partition("t", producer, "data", 2), KAFKA_ERROR_NONE);
        transaction_fixture_end();

        transaction_fixture_begin();
        fixture.holds_markers = true;
        load_state(row->status, 3);
        int16_t version = row->version > 4 ? 4 : row->version;
        assert_int_equal(add_offsets("t", version, producer, "my-group"), row->error);
        assert_int_equal(transaction_has_partition(transaction_named("t"),
                                                   VIEW_LITERAL("__consumer_offsets"), 12),
                         is_added);
        transaction_fixture_end();
    }
}

static void unknown_ids_have_no_transaction(void **state)
{
    (void)state;
    transaction_fixture_begin();
    struct producer producer = {1000, 0};
    assert_int_equal(add_partition("x", 3, producer, "data", 0),
                     KAFKA_ERROR_INVALID_PRODUCER_ID_MAPPING);
    assert_int_equal(add_partition("x", 5, producer, "data", 0),
                     KAFKA_ERROR_INVALID_PRODUCER_ID_MAPPING);
    assert_int_equal(verify_partition("x", producer, "data", 0),
                     KAFKA_ERROR_INVALID_PRODUCER_ID_MAPPING);
    assert_int_equal(add_offsets("x", 3, producer, "g"), KAFKA_ERROR_INVALID_PRODUCER_ID_MAPPING);
    assert_int_equal(end_transaction("x", 3, producer, true, NULL),
                     KAFKA_ERROR_INVALID_PRODUCER_ID_MAPPING);
    assert_int_equal(end_transaction("x", 5, producer, true, NULL),
                     KAFKA_ERROR_INVALID_PRODUCER_ID_MAPPING);
    assert_int_equal(add_partition("", 3, producer, "data", 0), KAFKA_ERROR_INVALID_REQUEST);
    assert_int_equal(add_offsets("", 3, producer, "g"), KAFKA_ERROR_INVALID_REQUEST);
    assert_int_equal(end_transaction("", 3, producer, true, NULL), KAFKA_ERROR_INVALID_REQUEST);
    transaction_fixture_end();
}

static void a_partition_that_is_in_already_is_not_written_again(void **state)
{
    (void)state;
    transaction_fixture_begin();
    struct producer producer = new_producer("t");
    assert_int_equal(add_partition("t", 3, producer, "data", 1), KAFKA_ERROR_NONE);
    int64_t end = coordinator_end_offset(fixture.base.coordinator);
    assert_int_equal(add_partition("t", 3, producer, "data", 1), KAFKA_ERROR_NONE);
    assert_int_equal(coordinator_end_offset(fixture.base.coordinator), end);
    assert_int_equal(add_partition("t", 3, producer, "data", 0), KAFKA_ERROR_NONE);
    assert_int_equal(coordinator_end_offset(fixture.base.coordinator), end + 1);
    assert_int_equal(transaction_named("t")->topic_count, 1);
    assert_int_equal(transaction_named("t")->topics[0].count, 2);
    transaction_fixture_end();
}

static void the_next_transaction_of_a_quick_producer_waits(void **state)
{
    (void)state;
    transaction_fixture_begin();
    struct producer producer = new_producer("t"), next;
    assert_int_equal(add_partition("t", 5, producer, "data", 1), KAFKA_ERROR_NONE);
    fixture.holds_markers = true;
    assert_int_equal(end_transaction("t", 5, producer, true, &next), KAFKA_ERROR_NONE);
    assert_int_equal(next.epoch, 1);
    assert_int_equal(status_now(), TRANSACTION_PREPARE_COMMIT);
    /* Markers that take too long: the partition's leader hears of it. */
    assert_int_equal(add_partition("t", 5, next, "data", 1), KAFKA_ERROR_CONCURRENT_TRANSACTIONS);
    assert_int_equal(add_partition("t", 3, next, "data", 1), KAFKA_ERROR_CONCURRENT_TRANSACTIONS);
    assert_int_equal(add_offsets("t", 3, next, "g"), KAFKA_ERROR_CONCURRENT_TRANSACTIONS);
    /* The question whether a partition is in the transaction never waits. */
    assert_int_equal(verify_partition("t", next, "data", 1), KAFKA_ERROR_CONCURRENT_TRANSACTIONS);
    fixture.holds_markers = false;
    assert_int_equal(add_partition("t", 5, next, "data", 1), KAFKA_ERROR_NONE);
    assert_int_equal(status_now(), TRANSACTION_ONGOING);
    transaction_fixture_end();
}

static void a_successor_waits_for_the_end_of_its_predecessor(void **state)
{
    (void)state;
    transaction_fixture_begin();
    load_state(TRANSACTION_ONGOING, 3);
    struct producer got = new_producer("t");
    assert_int_equal(got.epoch, 5);
    assert_int_equal(status_now(), TRANSACTION_EMPTY);
    transaction_fixture_end();
}

static void who_waits_for_an_end_is_told_of_a_failover(void **state)
{
    (void)state;
    transaction_fixture_begin();
    fixture.holds_markers = true;
    load_state(TRANSACTION_ONGOING, 3);
    struct init_producer_id_request request;
    init_producer_id_request_init(&request);
    request.transactional_id = VIEW_LITERAL("t");
    request.transaction_timeout_ms = 1000;
    struct init_producer_id_response response;
    init_producer_id_response_init(&response);
    struct fixture_call call;
    fixture_call_init(&fixture.base, &call, 5, &request, &response);
    transactions_init_producer_id(transactions(), &call.call);
    transaction_fixture_run();
    assert_int_equal(call.told, 0);
    transaction_fixture_reload();
    assert_int_equal(call.told, 1);
    assert_int_equal(call.call.error, KAFKA_ERROR_NOT_COORDINATOR);
    fixture_call_deinit(&call);
    transaction_fixture_end();
}

/* ---- EndTxn ---- */

enum { X = -1 }; /* decides */

struct end_row {
    const char *name;
    bool commit;
    bool is_version_2;
    int16_t behind; /* epochs behind the stored one, which is 7 */
    int16_t errors[TRANSACTION_STATUS_COUNT]; /* Empty Ongoing PrepC PrepA ComplC ComplA */
};

static const struct end_row end_rows[] = {
    {"commit", true, false, 0, {48, X, 51, 48, 0, 48}},
    {"abort", false, false, 0, {48, X, 48, 51, 48, 0}},
    {"fenced commit", true, false, 1, {90, 90, 90, 90, 90, 90}},
    {"fenced abort", false, false, -1, {90, 90, 90, 90, 90, 90}},
    {"2 commit same", true, true, 0, {48, X, 90, 90, 48, 48}},
    {"2 commit retry", true, true, 1, {90, 90, 51, 48, 0, 48}},
    {"2 abort same", false, true, 0, {X, X, 90, 90, X, X}},
    {"2 abort retry", false, true, 1, {90, 90, 48, 51, 48, 0}},
    {"2 commit older", true, true, 2, {90, 90, 90, 90, 90, 90}},
    {"2 abort newer", false, true, -1, {90, 90, 90, 90, 90, 90}},
};

static void end_in_every_state(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(end_rows) / sizeof(end_rows[0]); i++) {
        const struct end_row *row = &end_rows[i];
        for (unsigned status = 0; status < TRANSACTION_STATUS_COUNT; status++) {
            transaction_fixture_begin();
            fixture.holds_markers = true;
            load_state(status, 7);
            struct producer got;
            bool decides = row->errors[status] == X;
            int16_t version = row->is_version_2 ? 5 : 4;
            enum kafka_error error = end_transaction(
                "t", version, loaded((int16_t)(7 - row->behind)), row->commit, &got);
            if (error != (decides ? 0 : (enum kafka_error)row->errors[status]))
                fail_msg("%s in state %u: error %d", row->name, status, error);
            enum transaction_status next =
                row->commit ? TRANSACTION_PREPARE_COMMIT : TRANSACTION_PREPARE_ABORT;
            /* An abort without partitions has no markers to wait for. */
            if (decides && status != TRANSACTION_ONGOING)
                next = TRANSACTION_COMPLETE_ABORT;
            assert_int_equal(status_now(), decides ? next : status);
            bool is_told = error == 0 && row->is_version_2;
            assert_int_equal(got.id, is_told ? 1000 : -1);
            assert_int_equal(got.epoch, !is_told ? -1 : decides ? 8 : 7);
            assert_int_equal(transaction_named("t")->producer_epoch,
                             decides && row->is_version_2 ? 8 : 7);
            transaction_fixture_end();
        }
    }
}

static void old_versions_hear_of_the_epoch(void **state)
{
    (void)state;
    transaction_fixture_begin();
    load_state(TRANSACTION_ONGOING, 7);
    for (int16_t version = 0; version <= 5; version++)
        assert_int_equal(end_transaction("t", version, loaded(5), true, NULL),
                         version < 2 ? KAFKA_ERROR_INVALID_PRODUCER_EPOCH
                                     : KAFKA_ERROR_PRODUCER_FENCED);
    assert_int_equal(end_transaction("t", 4, (struct producer){999, 7}, true, NULL),
                     KAFKA_ERROR_INVALID_PRODUCER_ID_MAPPING);
    assert_int_equal(end_transaction("t", 5, (struct producer){999, 7}, true, NULL),
                     KAFKA_ERROR_INVALID_PRODUCER_ID_MAPPING);
    transaction_fixture_end();
}

static void the_last_epoch_gives_way_to_a_new_producer_id(void **state)
{
    (void)state;
    for (int commit = 0; commit <= 1; commit++) {
        transaction_fixture_begin();
        fixture.holds_markers = true;
        load_state(TRANSACTION_ONGOING, 32766);
        struct producer got, again;
        assert_int_equal(end_transaction("t", 5, loaded(32766), commit, &got), KAFKA_ERROR_NONE);
        assert_int_equal(got.id, 5000);
        assert_int_equal(got.epoch, 0);
        /* The markers end what the old id wrote. */
        const struct transaction *transaction = transaction_named("t");
        assert_int_equal(transaction->producer_id, 1000);
        assert_int_equal(transaction->producer_epoch, 32767);
        assert_int_equal(transaction->next_producer_id, 5000);
        assert_int_equal(fixture.sends[0]->request.markers[0].producer_id, 1000);
        assert_int_equal(fixture.sends[0]->request.markers[0].producer_epoch, 32767);
        assert_int_equal(fixture.sends[0]->request.markers[0].transaction_version, 2);
        /* A retry meanwhile, and the next transaction of a quick client. */
        assert_int_equal(end_transaction("t", 5, loaded(32766), commit, NULL),
                         KAFKA_ERROR_CONCURRENT_TRANSACTIONS);
        assert_int_equal(end_transaction("t", 5, loaded(32766), !commit, NULL),
                         KAFKA_ERROR_INVALID_TXN_STATE);
        assert_int_equal(end_transaction("t", 5, got, false, NULL),
                         KAFKA_ERROR_CONCURRENT_TRANSACTIONS);
        assert_int_equal(add_partition("t", 3, got, "data", 1),
                         KAFKA_ERROR_CONCURRENT_TRANSACTIONS);
        transaction_fixture_answer_markers(KAFKA_ERROR_NONE);
        assert_int_equal(transaction->producer_id, 5000);
        assert_int_equal(transaction->producer_epoch, 0);
        assert_int_equal(transaction->previous_producer_id, 1000);
        /* A retry afterwards, also at a coordinator that loaded. */
        for (int loads = 0; loads <= 1; loads++) {
            assert_int_equal(end_transaction("t", 5, loaded(32766), commit, &again),
                             KAFKA_ERROR_NONE);
            assert_int_equal(again.id, 5000);
            assert_int_equal(again.epoch, 0);
            assert_int_equal(end_transaction("t", 5, loaded(32766), !commit, NULL),
                             KAFKA_ERROR_INVALID_TXN_STATE);
            transaction_fixture_reload();
        }
        assert_int_equal(add_partition("t", 3, got, "data", 1), KAFKA_ERROR_NONE);
        assert_int_equal(end_transaction("t", 5, loaded(32766), commit, NULL),
                         KAFKA_ERROR_PRODUCER_FENCED);
        transaction_fixture_end();
    }
}

static void the_next_producer_id_survives_a_failover(void **state)
{
    (void)state;
    transaction_fixture_begin();
    fixture.holds_markers = true;
    load_state(TRANSACTION_ONGOING, 32766);
    struct producer got;
    assert_int_equal(end_transaction("t", 5, loaded(32766), true, &got), KAFKA_ERROR_NONE);
    transaction_fixture_answer_markers(-1);
    transaction_fixture_reload();
    assert_int_equal(status_now(), TRANSACTION_PREPARE_COMMIT);
    fixture.holds_markers = false;
    transaction_fixture_run();
    assert_int_equal(status_now(), TRANSACTION_COMPLETE_COMMIT);
    assert_int_equal(transaction_named("t")->producer_id, 5000);
    assert_int_equal(add_partition("t", 5, got, "data", 1), KAFKA_ERROR_NONE);
    transaction_fixture_end();
}

static void nobody_gets_the_epoch_that_is_for_fences_only(void **state)
{
    (void)state;
    transaction_fixture_begin();
    load_state(TRANSACTION_ONGOING, 32766);
    struct producer got;
    fixture.holds_markers = true;
    assert_int_equal(init_producer("t", 5, NOBODY, &got), KAFKA_ERROR_CONCURRENT_TRANSACTIONS);
    transaction_fixture_answer_markers(KAFKA_ERROR_NONE);
    assert_int_equal(transaction_named("t")->producer_epoch, 32767);
    assert_int_equal(end_transaction("t", 5, loaded(32766), false, &got),
                     KAFKA_ERROR_PRODUCER_FENCED);
    assert_int_equal(got.epoch, -1);
    transaction_fixture_end();
}

static void an_end_without_ids_waits_for_some(void **state)
{
    (void)state;
    transaction_fixture_begin();
    fixture.gives_ids = false;
    load_state(TRANSACTION_ONGOING, 32766);
    struct end_txn_request request;
    end_txn_request_init(&request);
    request.transactional_id = VIEW_LITERAL("t");
    request.producer_id = 1000;
    request.producer_epoch = 32766;
    struct end_txn_response response;
    end_txn_response_init(&response);
    struct fixture_call call;
    fixture_call_init(&fixture.base, &call, 5, &request, &response);
    transactions_end(transactions(), &call.call);
    transaction_fixture_run();
    assert_int_equal(call.told, 0);
    assert_int_equal(status_now(), TRANSACTION_ONGOING);
    producer_ids_refused(&fixture.ids);
    assert_int_equal(call.told, 1);
    assert_int_equal(call.call.error, KAFKA_ERROR_COORDINATOR_LOAD_IN_PROGRESS);
    fixture_call_deinit(&call);
    /* The next one is given its id. */
    fixture_call_init(&fixture.base, &call, 5, &request, &response);
    transactions_end(transactions(), &call.call);
    producer_ids_given(&fixture.ids, 6000, 1);
    transaction_fixture_run();
    assert_int_equal(call.told, 1);
    assert_int_equal(response.error_code, KAFKA_ERROR_NONE);
    assert_int_equal(response.producer_id, 6000);
    fixture_call_deinit(&call);
    transaction_fixture_end();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(moves_are_those_of_the_diagram),
        cmocka_unit_test(a_new_id_begins_at_epoch_zero),
        cmocka_unit_test(init_producer_id_in_every_state),
        cmocka_unit_test(a_fenced_predecessor_is_followed_by_a_higher_epoch),
        cmocka_unit_test(the_retry_of_a_lost_answer_gets_the_same),
        cmocka_unit_test(the_retry_across_a_new_producer_id_gets_the_same),
        cmocka_unit_test(init_producer_id_is_checked_first),
        cmocka_unit_test(partitions_join_in_every_state),
        cmocka_unit_test(unknown_ids_have_no_transaction),
        cmocka_unit_test(a_partition_that_is_in_already_is_not_written_again),
        cmocka_unit_test(the_next_transaction_of_a_quick_producer_waits),
        cmocka_unit_test(a_successor_waits_for_the_end_of_its_predecessor),
        cmocka_unit_test(who_waits_for_an_end_is_told_of_a_failover),
        cmocka_unit_test(end_in_every_state),
        cmocka_unit_test(old_versions_hear_of_the_epoch),
        cmocka_unit_test(the_last_epoch_gives_way_to_a_new_producer_id),
        cmocka_unit_test(the_next_producer_id_survives_a_failover),
        cmocka_unit_test(nobody_gets_the_epoch_that_is_for_fences_only),
        cmocka_unit_test(an_end_without_ids_waits_for_some),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
