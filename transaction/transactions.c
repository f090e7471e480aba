/* Life, replay and the one way in which records are made. */
#include "transaction/transactions.h"

#include "base/assert.h"
#include "protocol/messages/transaction_log_key.h"
#include "runtime/test_point.h"

COORDINATOR_RECORD(transaction_log, TRANSACTION_LOG)

enum { VALUE_VERSION_PLAIN = 0, VALUE_VERSION_FLEXIBLE = 1, SCRATCH_LIMIT = 0 };

/* ---- Life ---- */

static void ids_ready(struct producer_id_wait *wait, bool are_given);

struct transactions *transactions_create(struct coordinator *coordinator,
                                         struct producer_ids *producer_ids,
                                         struct marker_writer *markers)
{
    struct heap *heap = coordinator_heap(coordinator);
    struct transactions *transactions = heap_must_get(heap, MEMORY_STATE, sizeof(*transactions));
    transactions->coordinator = coordinator;
    transactions->heap = heap;
    transactions->loop = coordinator_loop(coordinator);
    transactions->producer_ids = producer_ids;
    transactions->markers = markers;
    map_init(&transactions->by_id, heap, MEMORY_STATE,
             loop_random_seed(transactions->loop, TRANSACTION_LOG_KEY_TYPE));
    list_init(&transactions->ongoing);
    list_init(&transactions->prepared);
    list_init(&transactions->calls);
    list_link_init(&transactions->id_wait.link);
    transactions->id_wait.ready = ids_ready;
    timer_init(&transactions->timeout_sweep, transactions_sweep_timeouts);
    timer_init(&transactions->expiry_sweep, transactions_sweep_expired);
    timer_init(&transactions->retry, transactions_retry);
    return transactions;
}

void transactions_destroy(void *state)
{
    struct transactions *transactions = state;
    klamm_assert(list_is_empty(&transactions->calls));
    timer_clear(&transactions->timeout_sweep);
    timer_clear(&transactions->expiry_sweep);
    timer_clear(&transactions->retry);
    producer_ids_forget(&transactions->id_wait);
    map_for_each(entry, &transactions->by_id) transaction_destroy(entry->value, transactions->heap);
    map_deinit(&transactions->by_id);
    heap_put(transactions->heap, MEMORY_STATE, transactions, sizeof(*transactions));
}

void transactions_loaded(void *state)
{
    struct transactions *transactions = state;
    transactions->is_loaded = true;
    list_for_each_safe(link, after, &transactions->prepared)
    {
        if (!test_point(transactions->loop, BUG_TXN_NO_RESUME))
            transaction_go_on(container_of(link, struct transaction, link));
    }
    list_for_each(link, &transactions->ongoing)
        transaction_start_timeout(container_of(link, struct transaction, link));
    transactions_arm(transactions);
}

static void fail_parked(struct transactions *transactions, enum kafka_error error)
{
    struct list *link;
    while ((link = list_pop_front(&transactions->calls)))
        coordinator_fail(container_of(link, struct coordinator_call, link), error);
}

void transactions_unload(void *state, enum kafka_error error)
{
    struct transactions *transactions = state;
    producer_ids_forget(&transactions->id_wait);
    fail_parked(transactions, error);
    map_for_each(entry, &transactions->by_id) transaction_fail_waiting(entry->value, error);
}

struct transaction *transactions_find(const struct transactions *transactions, struct view id)
{
    return map_get(&transactions->by_id, id);
}

int16_t transactions_version(const struct transactions *transactions)
{
    return image_feature_level(coordinator_image(transactions->coordinator), TRANSACTION_FEATURE);
}

/* ---- Replay ---- */

static struct transaction *find_or_create(struct transactions *transactions, struct view id)
{
    struct transaction *transaction = transactions_find(transactions, id);
    if (transaction)
        return transaction;
    transaction = transaction_create(transactions, transactions->heap, id);
    bool added = map_put(&transactions->by_id, transaction->id, transaction);
    klamm_assert(added);
    return transaction;
}

static void remove_id(struct transactions *transactions, struct view id)
{
    struct transaction *transaction = map_remove(&transactions->by_id, id);
    if (transaction)
        transaction_destroy(transaction, transactions->heap);
}

static void put_into_list(struct transactions *transactions, struct transaction *transaction)
{
    list_remove(&transaction->link);
    if (transaction->status == TRANSACTION_ONGOING)
        list_push_back(&transactions->ongoing, &transaction->link);
    else if (transaction_is_prepared(transaction))
        list_push_back(&transactions->prepared, &transaction->link);
}

static enum coordinator_replay apply(struct transactions *transactions, struct view id,
                                     const struct transaction_log_value *value)
{
    struct transaction *transaction = find_or_create(transactions, id);
    if (transactions->is_loaded)
        transaction_assert_follows(transaction, value);
    if (!transaction_from_record(transaction, transactions->heap, value)) {
        remove_id(transactions, id);
        return COORDINATOR_REPLAY_DAMAGED;
    }
    transaction_assert(transaction);
    put_into_list(transactions, transaction);
    return COORDINATOR_REPLAY_OK;
}

enum coordinator_replay transactions_replay(void *state, const struct coordinator_record *record)
{
    struct transactions *transactions = state;
    if (record->type != TRANSACTION_LOG_KEY_TYPE)
        return COORDINATOR_REPLAY_UNKNOWN;
    struct arena arena;
    arena_init(&arena, transactions->heap, MEMORY_SCRATCH, SCRATCH_LIMIT);
    enum coordinator_replay result = COORDINATOR_REPLAY_OK;
    struct transaction_log_key key;
    struct transaction_log_value value;
    if (!get_transaction_log_key(record, &arena, &key))
        result = COORDINATOR_REPLAY_DAMAGED;
    else if (view_is_null(record->value))
        remove_id(transactions, key.transactional_id);
    else if (!get_transaction_log_value(record, &arena, &value))
        result = COORDINATOR_REPLAY_DAMAGED;
    else
        result = apply(transactions, key.transactional_id, &value);
    arena_deinit(&arena);
    return result;
}

/* ---- Appending ---- */

/* As Kafka: the flexible form since transaction.version 1; an empty transaction has no list. */
enum kafka_error transactions_append(struct transactions *transactions, struct view id,
                                     struct transaction_log_value *value)
{
    bool is_flexible = transactions_version(transactions) >= 1;
    value->transaction_last_update_timestamp_ms = transactions->loop->wall_ms;
    if (value->transaction_status == TRANSACTION_EMPTY) {
        value->transaction_partitions = NULL;
        value->transaction_partitions_count = 0;
    }
    if (!is_flexible) {
        value->previous_producer_id = TRANSACTION_NO_PRODUCER_ID;
        value->next_producer_id = TRANSACTION_NO_PRODUCER_ID;
        value->client_transaction_version = 0;
    }
    const struct transaction_log_key key = {.transactional_id = id};
    struct coordinator_records records;
    coordinator_records_begin(&records, transactions->coordinator);
    put_transaction_log(&records, &key, value,
                        is_flexible ? VALUE_VERSION_FLEXIBLE : VALUE_VERSION_PLAIN);
    return coordinator_append(&records);
}

/* ---- Waiting for producer ids ---- */

/* What a parked call goes on with; in the call's arena. */
struct parked_for_id {
    void (*again)(struct transactions *transactions, struct coordinator_call *call);
};

void transactions_park_for_id(struct transactions *transactions, struct coordinator_call *call,
                              void (*again)(struct transactions *transactions,
                                            struct coordinator_call *call))
{
    struct parked_for_id *parked = arena_must_get(call->arena, 1, sizeof(*parked));
    parked->again = again;
    call->parked = parked;
    list_push_back(&transactions->calls, &call->link);
    if (!list_is_linked(&transactions->id_wait.link))
        producer_ids_await(transactions->producer_ids, &transactions->id_wait);
}

static void ids_ready(struct producer_id_wait *wait, bool are_given)
{
    struct transactions *transactions = container_of(wait, struct transactions, id_wait);
    if (!are_given) {
        fail_parked(transactions, KAFKA_ERROR_COORDINATOR_LOAD_IN_PROGRESS);
        return;
    }
    struct list ready;
    list_init(&ready);
    list_splice_back(&ready, &transactions->calls);
    struct list *link;
    while ((link = list_pop_front(&ready))) {
        struct coordinator_call *call = container_of(link, struct coordinator_call, link);
        const struct parked_for_id *parked = call->parked;
        parked->again(transactions, call);
    }
}
