/* Partitions that join a transaction: the checks and the record of AddPartitionsToTxn and
   AddOffsetsToTxn. */
#ifndef KLAMM_TRANSACTION_JOINING_H
#define KLAMM_TRANSACTION_JOINING_H

#include "transaction/transactions.h"

/* Who asks. */
struct joiner {
    struct view transactional_id;
    int64_t producer_id;
    int16_t producer_epoch;
};

/*
 * Whether this producer may act in its transaction now. NONE: `*transaction` is it.
 * CONCURRENT_TRANSACTIONS: the one before is still ending (`*transaction` too). Else
 * INVALID_REQUEST, INVALID_PRODUCER_ID_MAPPING, PRODUCER_FENCED.
 */
enum kafka_error joining_check(const struct transactions *transactions,
                               const struct joiner *joiner, struct transaction **transaction);

/* Partitions being added to the record; begin, add, end. */
struct joining {
    struct transaction *transaction;
    struct arena arena;
    struct transaction_log_value value;
    bool is_changed;
};

void joining_begin(struct joining *joining, struct transaction *transaction);
void joining_add(struct joining *joining, struct view topic, int32_t partition);
/* Appends, unless all were there already. */
enum kafka_error joining_end(struct joining *joining, int16_t client_version);

#endif
