/* Two small sets by producer id: a producer has one transaction at a time. */
#include "log/compaction_transactions.h"

#include "base/assert.h"
#include "base/sort.h"
#include "protocol/batch.h"
#include "protocol/control_record.h"

static int compare_first(const void *left, const void *right, void *context)
{
    const struct aborted_transaction *a = left;
    const struct aborted_transaction *b = right;
    (void)context;
    return (a->first_offset > b->first_offset) - (a->first_offset < b->first_offset);
}

void compaction_transactions_init(struct compaction_transactions *transactions, struct heap *heap,
                                  struct aborted_transaction *aborted, size_t count)
{
    *transactions = (struct compaction_transactions){.aborted = aborted, .count = count};
    map_init(&transactions->open_aborted, heap, MEMORY_SCRATCH, 0);
    map_init(&transactions->open_kept, heap, MEMORY_SCRATCH, 0);
    bool sorted = sort_stable_on(heap, aborted, count, sizeof(*aborted), compare_first, NULL);
    klamm_assert(sorted);
}

void compaction_transactions_deinit(struct compaction_transactions *transactions)
{
    map_deinit(&transactions->open_aborted);
    map_deinit(&transactions->open_kept);
}

/* The value of an open aborted transaction: its place, and whether data of it was met. */
static uint64_t open_value(size_t place, bool was_seen)
{
    return (uint64_t)place << 1 | was_seen;
}

static void begin_up_to(struct compaction_transactions *transactions, int64_t offset)
{
    while (transactions->next < transactions->count &&
           transactions->aborted[transactions->next].first_offset <= offset) {
        uint64_t producer_id = (uint64_t)transactions->aborted[transactions->next].producer_id;
        struct map_entry *entry = map_add_number(&transactions->open_aborted, producer_id, NULL);
        klamm_assert(entry != NULL);
        entry->number = open_value(transactions->next++, false);
    }
}

bool compaction_transactions_data(struct compaction_transactions *transactions,
                                  const uint8_t *batch)
{
    begin_up_to(transactions, batch_last_offset(batch));
    if (!batch_is_transactional(batch))
        return false;
    uint64_t producer_id = (uint64_t)batch_producer_id(batch);
    struct map_entry *entry = map_find_number(&transactions->open_aborted, producer_id);
    if (entry) {
        entry->number |= 1;
        return true;
    }
    bool kept = map_add_number(&transactions->open_kept, producer_id, NULL) != NULL;
    klamm_assert(kept);
    return false;
}

static bool take_abort(struct compaction_transactions *transactions, uint64_t producer_id,
                       const struct aborted_transaction **aborted)
{
    struct map_entry *entry = map_find_number(&transactions->open_aborted, producer_id);
    if (!entry)
        return true;
    uint64_t value = entry->number;
    map_remove_entry(&transactions->open_aborted, entry);
    if (!(value & 1))
        return true;
    *aborted = &transactions->aborted[value >> 1];
    return false;
}

bool compaction_transactions_control(struct compaction_transactions *transactions,
                                     struct view batch, const struct aborted_transaction **aborted)
{
    struct control_marker marker;
    *aborted = NULL;
    begin_up_to(transactions, batch_last_offset(batch.data));
    if (batch_record_count(batch.data) == 0)
        return true; /* an emptied one, kept for its producer only */
    if (!control_record_parse_marker(batch, &marker))
        return false; /* not of a transaction: stays */
    uint64_t producer_id = (uint64_t)batch_producer_id(batch.data);
    if (!marker.commit)
        return take_abort(transactions, producer_id, aborted);
    struct map_entry *entry = map_find_number(&transactions->open_kept, producer_id);
    if (entry)
        map_remove_entry(&transactions->open_kept, entry);
    return entry == NULL;
}
