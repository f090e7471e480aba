/* A map of its own blocks, so that an entry stays where it is while others come and go. */
#include "log/producer_verifications.h"

#include "base/assert.h"

void producer_verifications_init(struct producer_verifications *verifications, struct heap *heap)
{
    *verifications = (struct producer_verifications){.heap = heap};
}

static struct map_entry *entry_of(const struct producer_verifications *verifications,
                                  int64_t producer_id)
{
    if (!verifications->entries)
        return NULL;
    return map_find_number(verifications->entries, (uint64_t)producer_id);
}

static void destroy(struct producer_verifications *verifications, struct map_entry *entry)
{
    heap_put(verifications->heap, MEMORY_STATE, entry->value, sizeof(struct producer_verification));
    map_remove_entry(verifications->entries, entry);
}

void producer_verifications_deinit(struct producer_verifications *verifications)
{
    producer_verifications_expire(verifications, INT64_MAX);
    if (verifications->entries)
        map_deinit(verifications->entries);
    heap_put(verifications->heap, MEMORY_STATE, verifications->entries,
             sizeof(*verifications->entries));
    verifications->entries = NULL;
}

const struct producer_verification *
producer_verifications_find(const struct producer_verifications *verifications, int64_t producer_id)
{
    const struct map_entry *entry = entry_of(verifications, producer_id);
    return entry ? entry->value : NULL;
}

static struct producer_verification *add(struct producer_verifications *verifications,
                                         int64_t producer_id,
                                         const struct producer_verification *wish)
{
    struct heap *heap = verifications->heap;
    if (!verifications->entries) {
        verifications->entries = heap_must_get(heap, MEMORY_STATE, sizeof(*verifications->entries));
        map_init(verifications->entries, heap, MEMORY_STATE, 0);
    }
    struct producer_verification *verification =
        heap_must_get(heap, MEMORY_STATE, sizeof(*verification));
    *verification = *wish;
    verification->guard = ++verifications->last_guard;
    if (!map_put_number(verifications->entries, (uint64_t)producer_id, verification))
        klamm_unreachable("no memory for a verification");
    return verification;
}

uint64_t producer_verifications_begin(struct producer_verifications *verifications,
                                      int64_t producer_id, const struct producer_verification *wish)
{
    struct map_entry *entry = entry_of(verifications, producer_id);
    if (!entry)
        return add(verifications, producer_id, wish)->guard;
    struct producer_verification *verification = entry->value;
    bool is_newer = wish->producer_epoch > verification->producer_epoch;
    if (is_newer || (wish->producer_epoch == verification->producer_epoch &&
                     wish->lowest_sequence < verification->lowest_sequence)) {
        verification->producer_epoch = wish->producer_epoch;
        verification->lowest_sequence = wish->lowest_sequence;
    }
    return verification->guard;
}

void producer_verifications_end(struct producer_verifications *verifications, int64_t producer_id)
{
    struct map_entry *entry = entry_of(verifications, producer_id);
    if (entry)
        destroy(verifications, entry);
}

uint32_t producer_verifications_expire(struct producer_verifications *verifications,
                                       int64_t created_ms)
{
    uint32_t count = 0;
    if (!verifications->entries)
        return 0;
    map_for_each(entry, verifications->entries)
    {
        const struct producer_verification *verification = entry->value;
        if (verification->created_ms > created_ms)
            continue;
        destroy(verifications, entry);
        count++;
    }
    return count;
}
