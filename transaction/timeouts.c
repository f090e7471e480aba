/*
 * What happens to transactions whose producers are silent: those that run longer than their timeout
 * are aborted under a higher epoch, ids that nobody has used for long are forgotten (KIP-98,
 * KIP-360).
 *
 * A timeout runs on the monotonic clock, so a jump of the wall clock aborts nothing; after a load it
 * goes on with what the record's start time leaves of it. Timers are set only while there is
 * something that they could find.
 */
#include "transaction/transactions.h"

#include "base/assert.h"
#include "protocol/messages/transaction_log_key.h"
#include "protocol/messages/transaction_log_value.h"
#include "runtime/diagnostics.h"

COORDINATOR_RECORD(transaction_log, TRANSACTION_LOG)

#define NS_PER_MS UINT64_C(1000000)

enum { TOMBSTONE_SIZE = 64, EXPIRED_AT_ONCE = 1000 };

static const struct broker_settings *settings_of(const struct transactions *transactions)
{
    return &coordinator_config(transactions->coordinator)->settings;
}

/* ---- Timers ---- */

static void arm(struct transactions *transactions, struct timer *timer, bool has_work,
                int32_t interval_ms)
{
    if (has_work && !timer_is_set(timer))
        loop_set_timer(transactions->loop, timer, (uint64_t)interval_ms * NS_PER_MS);
}

void transactions_arm(struct transactions *transactions)
{
    const struct broker_settings *settings = settings_of(transactions);
    arm(transactions, &transactions->timeout_sweep, !list_is_empty(&transactions->ongoing),
        settings->transaction_abort_timed_out_transaction_cleanup_interval_ms);
    arm(transactions, &transactions->expiry_sweep, map_count(&transactions->by_id) > 0,
        settings->transaction_remove_expired_transaction_cleanup_interval_ms);
}

/* ---- Timeouts ---- */

void transaction_start_timeout(struct transaction *transaction)
{
    const struct loop *loop = transaction->owner->loop;
    int64_t timeout_ms = transaction->timeout_ms;
    int64_t left_ms = timeout_ms;
    if (loop->wall_ms > transaction->started_ms)
        left_ms = timeout_ms - (loop->wall_ms - transaction->started_ms);
    if (left_ms < 0)
        left_ms = 0;
    transaction->deadline_ns = loop->now_ns + (uint64_t)left_ms * NS_PER_MS;
    transactions_arm(transaction->owner);
}

enum kafka_error transaction_fence(struct transaction *transaction)
{
    klamm_assert(transaction->status == TRANSACTION_ONGOING);
    const struct transaction_decision decision = {
        .client_version = transactions_version(transaction->owner),
        .is_fence = true,
        .next_producer_id = TRANSACTION_NO_PRODUCER_ID,
    };
    return transaction_decide(transaction, &decision);
}

void transactions_sweep_timeouts(struct timer *timer)
{
    struct transactions *transactions = container_of(timer, struct transactions, timeout_sweep);
    list_for_each_safe(link, after, &transactions->ongoing)
    {
        struct transaction *transaction = container_of(link, struct transaction, link);
        bool never = transaction->timeout_ms == INT32_MAX; /* two-phase commits (KIP-939) */
        if (never || transaction->deadline_ns >= transactions->loop->now_ns)
            continue;
        log_info(transactions->loop->diagnostics,
                 "a transaction is aborted after its timeout: transactional_id=%.*s timeout_ms=%d",
                 (int)transaction->id.size, (const char *)transaction->id.data,
                 transaction->timeout_ms);
        /* An append that is refused is tried again by the next sweep. */
        if (transaction_fence(transaction) != KAFKA_ERROR_NONE)
            break;
    }
    transactions_arm(transactions);
}

/* ---- Expiry ---- */

static bool is_expired(const struct transactions *transactions,
                       const struct transaction *transaction)
{
    if (transaction->status == TRANSACTION_ONGOING || transaction_is_prepared(transaction))
        return false;
    const struct broker_settings *settings = settings_of(transactions);
    int64_t latest_ms = transactions->loop->wall_ms - settings->transactional_id_expiration_ms;
    return transaction->updated_ms <= latest_ms;
}

/* Tombstones of one batch; true: there may be more. */
static bool expire_some(struct transactions *transactions)
{
    struct coordinator_records records;
    coordinator_records_begin(&records, transactions->coordinator);
    bool is_full = false;
    map_for_each(entry, &transactions->by_id)
    {
        const struct transaction *transaction = entry->value;
        if (!is_expired(transactions, transaction))
            continue;
        is_full = records.count >= EXPIRED_AT_ONCE ||
                  coordinator_records_room(&records) < transaction->id.size + TOMBSTONE_SIZE;
        if (is_full)
            break;
        const struct transaction_log_key key = {.transactional_id = transaction->id};
        put_transaction_log_tombstone(&records, &key);
    }
    /* Refused: the next sweep tries again. */
    return coordinator_append(&records) == KAFKA_ERROR_NONE && is_full;
}

void transactions_sweep_expired(struct timer *timer)
{
    struct transactions *transactions = container_of(timer, struct transactions, expiry_sweep);
    while (expire_some(transactions))
        continue;
    transactions_arm(transactions);
}
