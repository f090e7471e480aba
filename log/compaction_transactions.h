/*
 * What a pass over a log knows of transactions while it goes from batch to batch: which data was
 * aborted, and whether anything of a marker's transaction is still there.
 *
 * The pass begins at the first segment of the log and gives every batch in order, those of all
 * segments that it goes through, also where nothing is removed (KAFKA-8351, KAFKA-13727): a marker
 * may stand segments behind its data.
 *
 * Invariants:
 *  1. An aborted transaction is open here from its first offset to its abort marker.
 *  2. `aborted` is sorted by first offset; those before `next` have begun.
 */
#ifndef KLAMM_LOG_COMPACTION_TRANSACTIONS_H
#define KLAMM_LOG_COMPACTION_TRANSACTIONS_H

#include "base/map.h"
#include "log/transaction_index.h"

struct compaction_transactions {
    const struct aborted_transaction *aborted; /* borrowed; count */
    size_t count;
    size_t next;
    struct map open_aborted; /* producer id to the place in `aborted`, and whether data was met */
    struct map open_kept;    /* producer ids of which committed data was seen since their marker */
};

/* `aborted` (count) are all aborted transactions that overlap the pass; sorted in place. */
void compaction_transactions_init(struct compaction_transactions *transactions, struct heap *heap,
                                  struct aborted_transaction *aborted, size_t count);
void compaction_transactions_deinit(struct compaction_transactions *transactions);
/* A batch of data: whether its transaction was aborted, so that nothing of it is wanted. */
bool compaction_transactions_data(struct compaction_transactions *transactions,
                                  const uint8_t *batch);
/*
 * A control batch: whether it may be removed once its delete horizon has passed, because this pass
 * has met nothing of its transaction. *aborted is the entry that the transaction index of its
 * segment still needs, or NULL.
 */
bool compaction_transactions_control(struct compaction_transactions *transactions,
                                     struct view batch, const struct aborted_transaction **aborted);

#endif
