/* The order of the checks is Kafka's: a transaction that is ending comes first, because the client
   may already use the producer id or epoch that it will have afterwards. */
#include "transaction/joining.h"

enum kafka_error joining_check(const struct transactions *transactions,
                               const struct joiner *joiner, struct transaction **transaction)
{
    if (joiner->transactional_id.size == 0)
        return KAFKA_ERROR_INVALID_REQUEST;
    *transaction = transactions_find(transactions, joiner->transactional_id);
    if (!*transaction)
        return KAFKA_ERROR_INVALID_PRODUCER_ID_MAPPING;
    if (transaction_is_prepared(*transaction))
        return KAFKA_ERROR_CONCURRENT_TRANSACTIONS;
    if ((*transaction)->producer_id != joiner->producer_id)
        return KAFKA_ERROR_INVALID_PRODUCER_ID_MAPPING;
    if ((*transaction)->producer_epoch != joiner->producer_epoch)
        return KAFKA_ERROR_PRODUCER_FENCED;
    return KAFKA_ERROR_NONE;
}

void joining_begin(struct joining *joining, struct transaction *transaction)
{
    joining->transaction = transaction;
    arena_init(&joining->arena, transaction->owner->heap, MEMORY_SCRATCH, 0);
    transaction_to_record(transaction, &joining->arena, &joining->value);
    joining->is_changed = transaction->status != TRANSACTION_ONGOING;
}

void joining_add(struct joining *joining, struct view topic, int32_t partition)
{
    if (transaction_record_add(&joining->value, &joining->arena, topic, partition))
        joining->is_changed = true;
}

enum kafka_error joining_end(struct joining *joining, int16_t client_version)
{
    struct transaction *transaction = joining->transaction;
    struct transactions *transactions = transaction->owner;
    enum kafka_error error = KAFKA_ERROR_NONE;
    bool is_new = transaction->status != TRANSACTION_ONGOING;
    if (joining->is_changed) {
        joining->value.transaction_status = TRANSACTION_ONGOING;
        joining->value.client_transaction_version = client_version;
        if (is_new)
            joining->value.transaction_start_timestamp_ms = transactions->loop->wall_ms;
        error = transactions_append(transactions, transaction->id, &joining->value);
        if (error == KAFKA_ERROR_NONE && is_new)
            transaction_start_timeout(transaction);
    }
    arena_deinit(&joining->arena);
    return error;
}
