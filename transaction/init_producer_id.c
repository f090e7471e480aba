/*
 * InitProducerId with a transactional id: the producer gets the id's producer id under a higher
 * epoch, so that whoever had it before is fenced (KIP-98, KIP-360).
 *
 * A running transaction of the predecessor is aborted first, under an epoch that nobody is ever
 * given; the producer gets the epoch behind that one, when the abort is complete. When the epochs of a
 * producer id are used up the transactional id gets a fresh producer id.
 */
#include "transaction/transactions.h"

#include "base/assert.h"

enum { FENCED_SINCE_VERSION = 4 };

static bool names_producer(const struct init_producer_id_request *request)
{
    return request->producer_id != TRANSACTION_NO_PRODUCER_ID;
}

enum kafka_error init_producer_id_check(const struct init_producer_id_request *request,
                                        const struct server_config *config)
{
    if (names_producer(request) != (request->producer_epoch != TRANSACTION_NO_EPOCH))
        return KAFKA_ERROR_INVALID_REQUEST;
    if (view_is_null(request->transactional_id))
        return KAFKA_ERROR_NONE;
    if (request->transactional_id.size == 0)
        return KAFKA_ERROR_INVALID_REQUEST;
    if (request->enable2_pc && !config->settings.transaction_two_phase_commit_enable)
        return KAFKA_ERROR_TRANSACTIONAL_ID_AUTHORIZATION_FAILED;
    if (request->keep_prepared_txn)
        return KAFKA_ERROR_UNSUPPORTED_VERSION;
    int32_t timeout_ms = request->transaction_timeout_ms;
    if (!request->enable2_pc &&
        (timeout_ms <= 0 || timeout_ms > config->settings.transaction_max_timeout_ms))
        return KAFKA_ERROR_INVALID_TRANSACTION_TIMEOUT;
    return KAFKA_ERROR_NONE;
}

static void fail(struct coordinator_call *call, enum kafka_error error)
{
    if (error == KAFKA_ERROR_PRODUCER_FENCED && call->version < FENCED_SINCE_VERSION)
        error = KAFKA_ERROR_INVALID_PRODUCER_EPOCH;
    coordinator_fail(call, error);
}

/* The record of a producer that begins, without its producer id and epoch. */
static void begin_record(const struct init_producer_id_request *request,
                         struct transaction_log_value *value)
{
    value->transaction_status = TRANSACTION_EMPTY;
    value->transaction_timeout_ms =
        request->enable2_pc ? INT32_MAX : request->transaction_timeout_ms;
    value->transaction_start_timestamp_ms = TRANSACTION_NO_TIME;
    value->transaction_partitions_count = 0;
    value->next_producer_id = TRANSACTION_NO_PRODUCER_ID;
}

/* Appends the record; what it says is the answer, once it is committed. */
static void begin(struct transactions *transactions, struct coordinator_call *call,
                  struct transaction_log_value *value, int16_t last_epoch)
{
    const struct init_producer_id_request *request = call->request;
    enum kafka_error error =
        transactions_append(transactions, request->transactional_id, value);
    if (error != KAFKA_ERROR_NONE) {
        fail(call, error);
        return;
    }
    transactions_find(transactions, request->transactional_id)->last_epoch = last_epoch;
    transactions_arm(transactions);
    struct init_producer_id_response *response = call->response;
    response->producer_id = value->producer_id;
    response->producer_epoch = value->producer_epoch;
    coordinator_answer(transactions->coordinator, call);
}

/* A producer id that this transactional id never had. */
static void begin_anew(struct transactions *transactions, struct coordinator_call *call,
                       const struct transaction *transaction)
{
    const struct init_producer_id_request *request = call->request;
    struct transaction_log_value value;
    transaction_log_value_init(&value);
    int64_t producer_id;
    if (!producer_ids_take(transactions->producer_ids, &producer_id)) {
        transactions_park_for_id(transactions, call, transactions_init_producer_id);
        return;
    }
    value.producer_id = producer_id;
    if (transaction) {
        value.previous_producer_id = transaction->producer_id;
        value.client_transaction_version = transaction->client_version;
    }
    begin_record(request, &value);
    bool remembers = transaction && names_producer(request);
    begin(transactions, call, &value,
          remembers ? transaction->producer_epoch : TRANSACTION_NO_EPOCH);
}

/* The next epoch; the same one for a producer that did not hear of it. */
static void begin_epoch(struct transactions *transactions, struct coordinator_call *call,
                        const struct transaction *transaction)
{
    const struct init_producer_id_request *request = call->request;
    int16_t epoch = transaction->producer_epoch;
    int16_t last_epoch = TRANSACTION_NO_EPOCH;
    if (!names_producer(request)) {
        epoch++;
    } else if (request->producer_epoch == epoch) {
        last_epoch = epoch;
        epoch++;
    } else if (request->producer_epoch == transaction->last_epoch) {
        last_epoch = transaction->last_epoch;
    } else {
        fail(call, KAFKA_ERROR_PRODUCER_FENCED);
        return;
    }
    struct arena arena;
    arena_init(&arena, transactions->heap, MEMORY_SCRATCH, 0);
    struct transaction_log_value value;
    transaction_to_record(transaction, &arena, &value);
    value.producer_epoch = epoch;
    begin_record(request, &value);
    begin(transactions, call, &value, last_epoch);
    arena_deinit(&arena);
}

/* Whether the producer that the request names may be the current one (KIP-360). */
static bool may_continue(const struct transaction *transaction,
                         const struct init_producer_id_request *request)
{
    return !names_producer(request) || request->producer_id == transaction->producer_id ||
           (request->producer_id == transaction->previous_producer_id &&
            request->producer_epoch >= TRANSACTION_EPOCH_LAST);
}

static bool needs_new_producer_id(const struct transaction *transaction,
                                  const struct init_producer_id_request *request)
{
    return transaction_epoch_is_exhausted(transaction) &&
           (!names_producer(request) || request->producer_epoch == transaction->producer_epoch);
}

/* A transaction is ending: its end, or the client's next attempt, brings the next epoch. */
static void await_end(struct transaction *transaction, struct coordinator_call *call)
{
    if (!transaction_wait(transaction, call, transactions_init_producer_id))
        fail(call, KAFKA_ERROR_CONCURRENT_TRANSACTIONS);
}

static void fence(struct transaction *transaction, struct coordinator_call *call)
{
    enum kafka_error error = transaction_fence(transaction);
    if (error == KAFKA_ERROR_NONE)
        await_end(transaction, call);
    else
        fail(call, error);
}

void transactions_init_producer_id(struct transactions *transactions,
                                   struct coordinator_call *call)
{
    const struct init_producer_id_request *request = call->request;
    struct transaction *transaction = transactions_find(transactions, request->transactional_id);
    if (!transaction)
        begin_anew(transactions, call, NULL);
    else if (transaction_is_prepared(transaction))
        await_end(transaction, call);
    else if (!may_continue(transaction, request))
        fail(call, KAFKA_ERROR_PRODUCER_FENCED);
    else if (transaction->status == TRANSACTION_ONGOING)
        fence(transaction, call);
    else if (needs_new_producer_id(transaction, request))
        begin_anew(transactions, call, transaction);
    else
        begin_epoch(transactions, call, transaction);
}
