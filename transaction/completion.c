/*
 * From a decision to the end of a transaction:
 *
 *   transaction_decide: PREPARE appended --committed--> markers written --> COMPLETE appended
 *
 * The client is answered after the first step. A node that stops anywhere on the way begins again
 * at `transaction_go_on` when it has loaded the PREPARE record; markers that are written twice do
 * no harm. Where a newer coordinator has taken over, nothing more is done: this one is about to
 * end.
 */
#include "transaction/transactions.h"

#include "base/assert.h"
#include "runtime/diagnostics.h"
#include "runtime/test_point.h"

#define RETRY_DELAY_NS UINT64_C(100000000)

/* ---- The end ---- */

static void go_on_with_waiting(struct transaction *transaction);

/* With a next producer id the old one is used up: the id changes and its epochs begin anew. */
static void append_complete(struct transaction *transaction)
{
    struct transactions *transactions = transaction->owner;
    struct arena arena;
    arena_init(&arena, transactions->heap, MEMORY_SCRATCH, 0);
    struct transaction_log_value value;
    transaction_to_record(transaction, &arena, &value);
    bool commit = transaction->status == TRANSACTION_PREPARE_COMMIT;
    value.transaction_status = commit ? TRANSACTION_COMPLETE_COMMIT : TRANSACTION_COMPLETE_ABORT;
    value.transaction_partitions_count = 0;
    value.next_producer_id = TRANSACTION_NO_PRODUCER_ID;
    if (transaction->next_producer_id != TRANSACTION_NO_PRODUCER_ID) {
        value.previous_producer_id = transaction->producer_id;
        value.producer_id = transaction->next_producer_id;
        value.producer_epoch = 0;
    }
    enum kafka_error error = transactions_append(transactions, transaction->id, &value);
    arena_deinit(&arena);
    if (error == KAFKA_ERROR_NONE)
        go_on_with_waiting(transaction);
    else if (!timer_is_set(&transactions->retry))
        loop_set_timer(transactions->loop, &transactions->retry, RETRY_DELAY_NS);
}

/* PREPARE is committed and every marker written, but COMPLETE could not be appended yet. */
static bool is_complete_due(const struct transaction *transaction)
{
    return !transaction->is_awaiting && !transaction->markers.writer &&
           !transaction->markers.is_fenced && transaction->markers.left == 0;
}

void transactions_retry(struct timer *timer)
{
    struct transactions *transactions = container_of(timer, struct transactions, retry);
    list_for_each_safe(link, after, &transactions->prepared)
    {
        struct transaction *transaction = container_of(link, struct transaction, link);
        if (is_complete_due(transaction))
            append_complete(transaction);
    }
}

/* ---- Markers ---- */

static void markers_done(struct marker_work *work)
{
    struct transaction *transaction = container_of(work, struct transaction, markers);
    klamm_assert(transaction_is_prepared(transaction));
    if (work->is_fenced)
        log_warn(transaction->owner->loop->diagnostics,
                 "a newer coordinator ends a transaction: transactional_id=%.*s",
                 (int)transaction->id.size, (const char *)transaction->id.data);
    else
        append_complete(transaction);
}

static void write_markers(struct transaction *transaction)
{
    struct transactions *transactions = transaction->owner;
    struct marker_work *work = &transaction->markers;
    marker_work_init(work);
    work->producer_id = transaction->producer_id;
    work->producer_epoch = transaction->producer_epoch;
    work->commit = transaction->status == TRANSACTION_PREPARE_COMMIT ||
                   test_point(transactions->loop, BUG_TXN_ABORT_COMMITS);
    work->coordinator_epoch = coordinator_epoch(transactions->coordinator);
    /* Nobody writes under the last epoch; a fence from it could not raise it any more. */
    bool is_raised = transaction->producer_epoch < INT16_MAX ||
                     transaction->next_producer_id != TRANSACTION_NO_PRODUCER_ID;
    work->transaction_version = is_raised ? (int8_t)transaction->client_version : 0;
    work->done = markers_done;
    uint32_t topic_count = transaction->topic_count;
    if (topic_count > 0 && test_point(transactions->loop, BUG_TXN_FORGET_MARKER))
        topic_count--;
    for (uint32_t i = 0; i < topic_count; i++) {
        const struct transaction_topic *topic = &transaction->topics[i];
        marker_work_add(transactions->markers, work, topic->name, topic->partitions, topic->count);
    }
    marker_writer_start(transactions->markers, work);
}

static void prepared(struct coordinator_wait *wait, enum kafka_error error)
{
    struct transaction *transaction = container_of(wait, struct transaction, prepared);
    transaction->is_awaiting = false;
    if (error == KAFKA_ERROR_NONE)
        write_markers(transaction);
}

void transaction_go_on(struct transaction *transaction)
{
    klamm_assert(transaction_is_prepared(transaction));
    klamm_assert(!transaction->is_awaiting);
    transaction->is_awaiting = true;
    transaction->prepared.done = prepared;
    if (test_point(transaction->owner->loop, BUG_TXN_MARKERS_EARLY)) {
        prepared(&transaction->prepared, KAFKA_ERROR_NONE);
        return;
    }
    coordinator_await(transaction->owner->coordinator, &transaction->prepared);
}

/* ---- The decision ---- */

static void raise_epoch(const struct transaction *transaction,
                        const struct transaction_decision *decision,
                        struct transaction_log_value *value)
{
    bool raises = decision->is_fence || decision->client_version >= TRANSACTION_VERSION_2;
    if (raises && transaction->producer_epoch < INT16_MAX)
        value->producer_epoch++;
    value->next_producer_id = decision->next_producer_id;
}

static int16_t last_epoch_after(const struct transaction *transaction,
                                const struct transaction_decision *decision)
{
    if (decision->is_fence)
        return TRANSACTION_NO_EPOCH;
    return decision->client_version >= TRANSACTION_VERSION_2 ? transaction->producer_epoch
                                                             : transaction->last_epoch;
}

enum kafka_error transaction_decide(struct transaction *transaction,
                                    const struct transaction_decision *decision)
{
    struct transactions *transactions = transaction->owner;
    struct arena arena;
    arena_init(&arena, transactions->heap, MEMORY_SCRATCH, 0);
    struct transaction_log_value value;
    transaction_to_record(transaction, &arena, &value);
    value.transaction_status =
        decision->commit ? TRANSACTION_PREPARE_COMMIT : TRANSACTION_PREPARE_ABORT;
    value.client_transaction_version = decision->client_version;
    if (transaction->status != TRANSACTION_ONGOING)
        value.transaction_start_timestamp_ms = transactions->loop->wall_ms;
    raise_epoch(transaction, decision, &value);
    int16_t last_epoch = last_epoch_after(transaction, decision);
    enum kafka_error error = transactions_append(transactions, transaction->id, &value);
    arena_deinit(&arena);
    if (error != KAFKA_ERROR_NONE)
        return error;
    transaction->last_epoch = last_epoch;
    transaction_go_on(transaction);
    return KAFKA_ERROR_NONE;
}

/* ---- Calls that wait for the end ---- */

/* In the call's arena. */
struct waiting_call {
    struct timer timer;
    struct transactions *transactions;
    struct coordinator_call *call;
    void (*again)(struct transactions *transactions, struct coordinator_call *call);
};

static void give_up(struct timer *timer)
{
    struct waiting_call *waiting = container_of(timer, struct waiting_call, timer);
    list_remove(&waiting->call->link);
    waiting->again(waiting->transactions, waiting->call);
}

bool transaction_wait(struct transaction *transaction, struct coordinator_call *call,
                      void (*again)(struct transactions *transactions,
                                    struct coordinator_call *call))
{
    struct transactions *transactions = transaction->owner;
    int32_t delay_ms = coordinator_config(transactions->coordinator)
                           ->settings.add_partitions_to_txn_retry_backoff_max_ms;
    if (call->parked || delay_ms == 0)
        return false;
    struct waiting_call *waiting = arena_must_get(call->arena, 1, sizeof(*waiting));
    waiting->call = call;
    waiting->transactions = transactions;
    waiting->again = again;
    call->parked = waiting;
    list_push_back(&transaction->waiting, &call->link);
    timer_init(&waiting->timer, give_up);
    loop_set_timer(transactions->loop, &waiting->timer, (uint64_t)delay_ms * UINT64_C(1000000));
    return true;
}

static struct coordinator_call *pop_waiting(struct transaction *transaction)
{
    struct list *link = list_pop_front(&transaction->waiting);
    if (!link)
        return NULL;
    struct coordinator_call *call = container_of(link, struct coordinator_call, link);
    timer_clear(&((struct waiting_call *)call->parked)->timer);
    return call;
}

static void go_on_with_waiting(struct transaction *transaction)
{
    struct coordinator_call *call;
    while (!transaction_is_prepared(transaction) && (call = pop_waiting(transaction))) {
        const struct waiting_call *waiting = call->parked;
        waiting->again(transaction->owner, call);
    }
}

void transaction_fail_waiting(struct transaction *transaction, enum kafka_error error)
{
    struct coordinator_call *call;
    while ((call = pop_waiting(transaction)))
        coordinator_fail(call, error);
}
