/*
 * EndTxn: the producer decides. The answer comes when the decision is committed; the markers and the
 * end of the transaction follow behind (completion.c).
 *
 * Under transaction version 2 (KIP-890, request version 5) every end raises the epoch, so that no
 * late request of this transaction can touch the next one, and the answer carries what to use next.
 * A request of the epoch before the current one is therefore the retry of an answer that was lost.
 */
#include "transaction/transactions.h"

#include "base/assert.h"
#include "protocol/messages/end_txn.h"

enum { FENCED_SINCE_VERSION = 2, VERSION_2_SINCE_VERSION = 5 };

/* What to do; anything else is an error to answer. KAFKA_ERROR_NONE: it is done already. */
enum { DECIDE = -100 };

#define SAYS(error) KAFKA_ERROR_##error

/* [commit][status] */
static const int16_t version_1_table[2][TRANSACTION_STATUS_COUNT] = {
    {
        [TRANSACTION_EMPTY] = SAYS(INVALID_TXN_STATE),
        [TRANSACTION_ONGOING] = DECIDE,
        [TRANSACTION_PREPARE_COMMIT] = SAYS(INVALID_TXN_STATE),
        [TRANSACTION_PREPARE_ABORT] = SAYS(CONCURRENT_TRANSACTIONS),
        [TRANSACTION_COMPLETE_COMMIT] = SAYS(INVALID_TXN_STATE),
        [TRANSACTION_COMPLETE_ABORT] = SAYS(NONE),
    },
    {
        [TRANSACTION_EMPTY] = SAYS(INVALID_TXN_STATE),
        [TRANSACTION_ONGOING] = DECIDE,
        [TRANSACTION_PREPARE_COMMIT] = SAYS(CONCURRENT_TRANSACTIONS),
        [TRANSACTION_PREPARE_ABORT] = SAYS(INVALID_TXN_STATE),
        [TRANSACTION_COMPLETE_COMMIT] = SAYS(NONE),
        [TRANSACTION_COMPLETE_ABORT] = SAYS(INVALID_TXN_STATE),
    },
};

/* [retry][commit][status]; an abort without a transaction raises the epoch all the same. */
static const int16_t version_2_table[2][2][TRANSACTION_STATUS_COUNT] = {
    {
        {
            [TRANSACTION_EMPTY] = DECIDE,
            [TRANSACTION_ONGOING] = DECIDE,
            [TRANSACTION_PREPARE_COMMIT] = SAYS(PRODUCER_FENCED),
            [TRANSACTION_PREPARE_ABORT] = SAYS(PRODUCER_FENCED),
            [TRANSACTION_COMPLETE_COMMIT] = DECIDE,
            [TRANSACTION_COMPLETE_ABORT] = DECIDE,
        },
        {
            [TRANSACTION_EMPTY] = SAYS(INVALID_TXN_STATE),
            [TRANSACTION_ONGOING] = DECIDE,
            [TRANSACTION_PREPARE_COMMIT] = SAYS(PRODUCER_FENCED),
            [TRANSACTION_PREPARE_ABORT] = SAYS(PRODUCER_FENCED),
            [TRANSACTION_COMPLETE_COMMIT] = SAYS(INVALID_TXN_STATE),
            [TRANSACTION_COMPLETE_ABORT] = SAYS(INVALID_TXN_STATE),
        },
    },
    {
        {
            [TRANSACTION_EMPTY] = SAYS(PRODUCER_FENCED),
            [TRANSACTION_ONGOING] = SAYS(PRODUCER_FENCED),
            [TRANSACTION_PREPARE_COMMIT] = SAYS(INVALID_TXN_STATE),
            [TRANSACTION_PREPARE_ABORT] = SAYS(CONCURRENT_TRANSACTIONS),
            [TRANSACTION_COMPLETE_COMMIT] = SAYS(INVALID_TXN_STATE),
            [TRANSACTION_COMPLETE_ABORT] = SAYS(NONE),
        },
        {
            [TRANSACTION_EMPTY] = SAYS(PRODUCER_FENCED),
            [TRANSACTION_ONGOING] = SAYS(PRODUCER_FENCED),
            [TRANSACTION_PREPARE_COMMIT] = SAYS(CONCURRENT_TRANSACTIONS),
            [TRANSACTION_PREPARE_ABORT] = SAYS(INVALID_TXN_STATE),
            [TRANSACTION_COMPLETE_COMMIT] = SAYS(NONE),
            [TRANSACTION_COMPLETE_ABORT] = SAYS(INVALID_TXN_STATE),
        },
    },
};

/* What the client uses after this end. */
static void fill(const struct transaction *transaction, struct end_txn_response *response)
{
    bool is_used_up = transaction->next_producer_id != TRANSACTION_NO_PRODUCER_ID;
    response->producer_id = is_used_up ? transaction->next_producer_id : transaction->producer_id;
    response->producer_epoch = is_used_up ? 0 : transaction->producer_epoch;
}

static void answer_error(struct transactions *transactions, struct coordinator_call *call,
                         int16_t error)
{
    struct end_txn_response *response = call->response;
    if (error == KAFKA_ERROR_PRODUCER_FENCED && call->version < FENCED_SINCE_VERSION)
        error = KAFKA_ERROR_INVALID_PRODUCER_EPOCH;
    response->error_code = error;
    coordinator_answer(transactions->coordinator, call);
}

static int16_t look_up_version_1(const struct transaction *transaction,
                                 const struct end_txn_request *request)
{
    if (request->producer_id != transaction->producer_id)
        return KAFKA_ERROR_INVALID_PRODUCER_ID_MAPPING;
    if (request->producer_epoch != transaction->producer_epoch)
        return KAFKA_ERROR_PRODUCER_FENCED;
    return version_1_table[request->committed][transaction->status];
}

/* The retry of an end that used up the producer id: the current one has begun since. */
static bool is_retry_of_last_epoch(const struct transaction *transaction,
                                   const struct end_txn_request *request)
{
    return request->producer_id == transaction->previous_producer_id &&
           request->producer_epoch == TRANSACTION_EPOCH_LAST && transaction->producer_epoch == 0;
}

static int16_t look_up_version_2(const struct transaction *transaction,
                                 const struct end_txn_request *request)
{
    bool is_retry = is_retry_of_last_epoch(transaction, request);
    if (!is_retry && request->producer_id != transaction->producer_id) {
        /* The next transaction, ended before this one is: the client has the next id already. */
        bool is_early = request->producer_id >= 0 &&
                        request->producer_id == transaction->next_producer_id;
        return is_early ? KAFKA_ERROR_CONCURRENT_TRANSACTIONS
                        : KAFKA_ERROR_INVALID_PRODUCER_ID_MAPPING;
    }
    if (!is_retry && request->producer_epoch == transaction->producer_epoch)
        return version_2_table[false][request->committed][transaction->status];
    if (!is_retry && request->producer_epoch != transaction->producer_epoch - 1)
        return KAFKA_ERROR_PRODUCER_FENCED;
    int16_t says = version_2_table[true][request->committed][transaction->status];
    /* After a fence from the last epoch there is none that could be given out. */
    bool is_used_up = transaction->producer_epoch > TRANSACTION_EPOCH_LAST;
    return says == KAFKA_ERROR_NONE && is_used_up ? KAFKA_ERROR_PRODUCER_FENCED : says;
}

static void decide(struct transactions *transactions, struct coordinator_call *call,
                   struct transaction *transaction)
{
    const struct end_txn_request *request = call->request;
    bool is_version_2 = call->version >= VERSION_2_SINCE_VERSION;
    struct transaction_decision decision = {
        .commit = request->committed,
        .client_version = is_version_2 ? TRANSACTION_VERSION_2 : 0,
        .next_producer_id = TRANSACTION_NO_PRODUCER_ID,
    };
    if (is_version_2 && transaction_epoch_is_exhausted(transaction) &&
        !producer_ids_take(transactions->producer_ids, &decision.next_producer_id)) {
        transactions_park_for_id(transactions, call, transactions_end);
        return;
    }
    enum kafka_error error = transaction_decide(transaction, &decision);
    if (error == KAFKA_ERROR_NONE && is_version_2)
        fill(transaction, call->response);
    answer_error(transactions, call, (int16_t)error);
}

void transactions_end(struct transactions *transactions, struct coordinator_call *call)
{
    const struct end_txn_request *request = call->request;
    bool is_version_2 = call->version >= VERSION_2_SINCE_VERSION;
    struct transaction *transaction = transactions_find(transactions, request->transactional_id);
    if (request->transactional_id.size == 0) {
        answer_error(transactions, call, KAFKA_ERROR_INVALID_REQUEST);
        return;
    }
    if (!transaction) {
        answer_error(transactions, call, KAFKA_ERROR_INVALID_PRODUCER_ID_MAPPING);
        return;
    }
    int16_t says = is_version_2 ? look_up_version_2(transaction, request)
                                : look_up_version_1(transaction, request);
    if (says == DECIDE) {
        decide(transactions, call, transaction);
        return;
    }
    if (says == KAFKA_ERROR_NONE && is_version_2)
        fill(transaction, call->response);
    answer_error(transactions, call, says);
}
