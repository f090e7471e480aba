/* Entries are found by the numbers in a value; the checks at the end walk what was read last. */
#include "tests/sim/transaction_history.h"

#include <string.h>

#include "base/map.h"

void transaction_history_init(struct transaction_history *history, struct sim *sim)
{
    *history = (struct transaction_history){.sim = sim};
    heap_init_plain(&history->heap);
    for (unsigned i = 0; i < TRANSACTION_IDS; i++) {
        history->current[i].producer_id = -1;
        history->current[i].epoch = -1;
    }
}

void transaction_history_deinit(struct transaction_history *history)
{
    for (unsigned i = 0; i < TRANSACTION_CLIENTS; i++) {
        struct transaction_log_of_client *own = &history->clients[i];
        heap_put(&history->heap, MEMORY_STATE, own->entries, own->capacity * sizeof(*own->entries));
    }
    for (unsigned i = 0; i < TRANSACTION_PARTITIONS; i++) {
        const struct transaction_seen *seen = &history->seen[i];
        heap_put(&history->heap, MEMORY_STATE, history->reading[i].values,
                 history->reading[i].capacity * sizeof(uint64_t));
        heap_put(&history->heap, MEMORY_STATE, seen->values, seen->capacity * sizeof(uint64_t));
        heap_put(&history->heap, MEMORY_STATE, seen->is_noted, seen->capacity * sizeof(bool));
    }
}

/* Room for one more element. */
static void *grow(struct heap *heap, void *array, size_t size, size_t count, size_t *capacity)
{
    if (count < *capacity)
        return array;
    size_t larger = *capacity ? *capacity * 2 : 256;
    void *copy = heap_must_get(heap, MEMORY_STATE, larger * size);
    if (count > 0)
        memcpy(copy, array, count * size);
    heap_put(heap, MEMORY_STATE, array, *capacity * size);
    *capacity = larger;
    return copy;
}

uint32_t transaction_history_begin(struct transaction_history *history, unsigned client)
{
    struct transaction_log_of_client *own = &history->clients[client];
    size_t capacity = own->capacity;
    own->entries = grow(&history->heap, own->entries, sizeof(*own->entries), own->count, &capacity);
    own->capacity = (uint32_t)capacity;
    own->entries[own->count] = (struct transaction_entry){.outcome = TRANSACTION_OPEN};
    return own->count++;
}

struct transaction_entry *transaction_history_entry(struct transaction_history *history,
                                                    unsigned client, uint32_t transaction)
{
    sim_require(history->sim,
                client < TRANSACTION_CLIENTS && transaction < history->clients[client].count,
                "a value of client %u, transaction %u, that nobody wrote", client, transaction);
    return &history->clients[client].entries[transaction];
}

void transaction_history_set(struct transaction_history *history, unsigned client,
                             uint32_t transaction, enum transaction_outcome outcome)
{
    transaction_history_entry(history, client, transaction)->outcome = outcome;
    history->commits += outcome == TRANSACTION_COMMITTED;
    history->aborts += outcome == TRANSACTION_ABORTED;
    history->unknown += outcome == TRANSACTION_UNKNOWN;
}

/* ---- T6 ---- */

void transaction_history_identity(struct transaction_history *history, unsigned id,
                                  int64_t producer_id, int16_t epoch)
{
    if (transaction_history_is_replaced(history, id, producer_id, epoch))
        return; /* the answer of an older request came later */
    history->current[id].producer_id = producer_id;
    history->current[id].epoch = epoch;
}

bool transaction_history_is_replaced(const struct transaction_history *history, unsigned id,
                                     int64_t producer_id, int16_t epoch)
{
    /* Ids are given out in rising order. */
    return producer_id < history->current[id].producer_id ||
           (producer_id == history->current[id].producer_id && epoch < history->current[id].epoch);
}

/* ---- Reading ---- */

static struct transaction_entry *entry_of(struct transaction_history *history, uint64_t value)
{
    return transaction_history_entry(history, (unsigned)(value >> 40) - 1, (uint32_t)(value >> 8));
}

static void note(struct transaction_history *history, int32_t partition, uint64_t value)
{
    struct transaction_reading *reading = &history->reading[partition];
    reading->values =
        grow(&history->heap, reading->values, sizeof(uint64_t), reading->count, &reading->capacity);
    reading->values[reading->count++] = value;
}

/* The place of an offset; there is one from now on. */
static size_t seen_at(struct transaction_history *history, struct transaction_seen *seen,
                      int64_t offset)
{
    size_t place = (size_t)offset;
    size_t before = seen->capacity;
    if (place < before)
        return place;
    size_t after = before > 0 ? before : 256;
    while (after <= place)
        after *= 2;
    seen->values = heap_resize(&history->heap, MEMORY_STATE, seen->values,
                               before * sizeof(uint64_t), after * sizeof(uint64_t));
    seen->is_noted = heap_resize(&history->heap, MEMORY_STATE, seen->is_noted,
                                 before * sizeof(bool), after * sizeof(bool));
    memset(seen->values + before, 0, (after - before) * sizeof(uint64_t));
    memset(seen->is_noted + before, 0, (after - before) * sizeof(bool));
    seen->capacity = after;
    return place;
}

void transaction_history_saw(struct transaction_history *history, int32_t partition, int64_t offset,
                             uint64_t value, bool notes)
{
    struct transaction_seen *seen = &history->seen[partition];
    size_t place = seen_at(history, seen, offset);
    sim_require(history->sim, seen->values[place] == 0 || seen->values[place] == value,
                "R8: partition %d, offset %lld: value %llx was read, now %llx", partition,
                (long long)offset, (unsigned long long)seen->values[place],
                (unsigned long long)value);
    seen->values[place] = value;
    if (notes) {
        seen->is_noted[place] = true;
        note(history, partition, value);
    }
    const struct transaction_entry *entry = entry_of(history, value);
    sim_note(history->sim, &value, sizeof(value));
    sim_require(history->sim,
                entry->outcome == TRANSACTION_COMMITTED || entry->outcome == TRANSACTION_UNKNOWN,
                "T3: partition %d, offset %lld: value %llx of a transaction that is %s", partition,
                (long long)offset, (unsigned long long)value,
                entry->outcome == TRANSACTION_OPEN ? "not committed" : "aborted");
}

void transaction_history_stable(struct transaction_history *history, int32_t partition,
                                int64_t last_stable, int64_t watermark, int64_t *known)
{
    sim_require(history->sim, last_stable <= watermark,
                "T7: partition %d is stable up to %lld above the watermark %lld", partition,
                (long long)last_stable, (long long)watermark);
    sim_require(history->sim, last_stable >= *known,
                "T7: partition %d was stable up to %lld, now up to %lld", partition,
                (long long)*known, (long long)last_stable);
    *known = last_stable;
}

/* ---- The end ---- */

static void check_once(struct transaction_history *history)
{
    struct map seen;
    map_init(&seen, &history->heap, MEMORY_STATE, 1);
    for (int32_t p = 0; p < TRANSACTION_SOURCE_PARTITIONS; p++) {
        for (size_t i = 0; i < history->reading[p].count; i++) {
            uint64_t value = history->reading[p].values[i];
            bool is_new;
            map_add_number(&seen, value, &is_new);
            sim_require(history->sim, is_new, "T1: value %llx is read twice",
                        (unsigned long long)value);
            entry_of(history, value)->seen++;
        }
    }
    map_deinit(&seen);
}

static void check_whole(const struct transaction_history *history)
{
    for (unsigned c = 0; c < TRANSACTION_CLIENTS; c++) {
        for (uint32_t i = 0; i < history->clients[c].count; i++) {
            const struct transaction_entry *entry = &history->clients[c].entries[i];
            bool none = entry->seen == 0, all = entry->seen == entry->values;
            bool is_right = entry->outcome == TRANSACTION_COMMITTED ? all
                            : entry->outcome == TRANSACTION_UNKNOWN ? all || none
                                                                    : none;
            sim_require(history->sim, is_right,
                        "T2: transaction %u of client %u (outcome %d): %u of %u values are read", i,
                        c, (int)entry->outcome, entry->seen, entry->values);
        }
    }
}

static void check_copy(const struct transaction_history *history)
{
    const struct transaction_reading *source = &history->reading[0];
    const struct transaction_reading *copy = &history->reading[TRANSACTION_COPY];
    for (size_t i = 0; i < copy->count; i++)
        sim_require(history->sim, i < source->count && copy->values[i] == source->values[i],
                    "T8: the copy has %llx at place %zu, the source %llx",
                    (unsigned long long)copy->values[i], i,
                    i < source->count ? (unsigned long long)source->values[i] : 0);
    sim_require(history->sim, copy->count == source->count, "T8: the copy has %zu of %zu values",
                copy->count, source->count);
}

/* What anybody has read is still there. */
static void check_kept(const struct transaction_history *history)
{
    for (int32_t p = 0; p < TRANSACTION_PARTITIONS; p++) {
        const struct transaction_seen *seen = &history->seen[p];
        for (size_t i = 0; i < seen->capacity; i++)
            sim_require(history->sim, seen->values[i] == 0 || seen->is_noted[i],
                        "R8: partition %d, offset %zu: value %llx was read and is not there any "
                        "more",
                        p, i, (unsigned long long)seen->values[i]);
    }
}

void transaction_history_check(struct transaction_history *history)
{
    check_kept(history);
    check_once(history);
    check_whole(history);
    check_copy(history);
}
