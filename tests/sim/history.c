/* Arrays by offset; the checks at the end are one walk per partition. */
#include "tests/sim/history.h"

#include <string.h>

void history_init(struct history *history, struct sim *sim)
{
    *history = (struct history){.sim = sim};
    heap_init_plain(&history->heap);
}

void history_deinit(struct history *history)
{
    for (int i = 0; i < HISTORY_PARTITIONS; i++) {
        struct history_partition *partition = &history->partitions[i];
        if (partition->capacity == 0)
            continue;
        heap_put(&history->heap, MEMORY_STATE, partition->values,
                 partition->capacity * sizeof(uint64_t));
        heap_put(&history->heap, MEMORY_STATE, partition->acknowledged, partition->capacity);
    }
}

static void reserve(struct history *history, struct history_partition *partition, size_t count)
{
    if (count <= partition->capacity)
        return;
    size_t capacity = partition->capacity ? partition->capacity : 1024;
    while (capacity < count)
        capacity *= 2;
    uint64_t *values = heap_must_get(&history->heap, MEMORY_STATE, capacity * sizeof(uint64_t));
    uint8_t *acknowledged = heap_must_get(&history->heap, MEMORY_STATE, capacity);
    if (partition->capacity > 0) {
        memcpy(values, partition->values, partition->capacity * sizeof(uint64_t));
        memcpy(acknowledged, partition->acknowledged, partition->capacity);
        heap_put(&history->heap, MEMORY_STATE, partition->values,
                 partition->capacity * sizeof(uint64_t));
        heap_put(&history->heap, MEMORY_STATE, partition->acknowledged, partition->capacity);
    }
    partition->values = values;
    partition->acknowledged = acknowledged;
    partition->capacity = capacity;
}

void history_see(struct history *history, int32_t number, int64_t offset, uint64_t value,
                 bool acknowledged)
{
    sim_require(history->sim, number >= 0 && number < HISTORY_PARTITIONS && offset >= 0,
                "partition %d, offset %lld is not of the topic", number, (long long)offset);
    struct history_partition *partition = &history->partitions[number];
    reserve(history, partition, (size_t)offset + 1);
    uint64_t known = partition->values[offset];
    sim_require(history->sim, known == 0 || known == value,
                "partition %d, offset %lld held value %u of client %u, now %u of %u", number,
                (long long)offset, (unsigned)known, (unsigned)(known >> 32) - 1, (unsigned)value,
                (unsigned)(value >> 32) - 1);
    partition->values[offset] = value;
    if (partition->end <= offset)
        partition->end = offset + 1;
    if (!acknowledged)
        return;
    partition->acknowledged[offset] = 1;
    if (partition->acknowledged_end <= offset)
        partition->acknowledged_end = offset + 1;
}

void history_cut(struct history *history, int32_t number, const struct history_cut *cut)
{
    int64_t offset = cut->offset;
    struct history_partition *partition = &history->partitions[number];
    sim_require(history->sim, partition->cut_count < HISTORY_CUTS_MAX, "too many cuts");
    partition->cuts[partition->cut_count++] = *cut;
    for (int64_t i = offset; i < partition->end; i++) {
        partition->values[i] = 0;
        partition->acknowledged[i] = 0;
    }
    if (partition->end > offset)
        partition->end = offset;
    while (partition->acknowledged_end > 0 &&
           !(partition->acknowledged_end <= partition->end &&
             partition->acknowledged[partition->acknowledged_end - 1]))
        partition->acknowledged_end--;
}

static bool is_kept_by(const struct history_cut *cut, int32_t epoch, int64_t last_offset)
{
    for (unsigned i = 0; i < cut->kept_count; i++)
        if (cut->kept[i].epoch == epoch && last_offset < cut->kept[i].end)
            return true;
    return false;
}

/* The newest cut below it decides: what an earlier one took, its leader may bring back. */
bool history_is_lost(const struct history *history, int32_t number, int32_t epoch,
                     int64_t last_offset)
{
    const struct history_partition *partition = &history->partitions[number];
    for (unsigned i = partition->cut_count; i > 0; i--) {
        const struct history_cut *cut = &partition->cuts[i - 1];
        if (epoch < cut->epoch && last_offset >= cut->offset)
            return !is_kept_by(cut, epoch, last_offset);
    }
    return false;
}

int64_t history_resume(const struct history *history, int32_t number, unsigned cuts,
                       int64_t position)
{
    const struct history_partition *partition = &history->partitions[number];
    for (unsigned i = cuts; i < partition->cut_count; i++)
        if (position > partition->cuts[i].offset)
            position = partition->cuts[i].offset;
    return position;
}

void history_check(const struct history *history, const int64_t read_end[HISTORY_PARTITIONS])
{
    for (int i = 0; i < HISTORY_PARTITIONS; i++) {
        const struct history_partition *partition = &history->partitions[i];
        uint32_t last[HISTORY_CLIENTS] = {0};
        sim_require(history->sim, read_end[i] >= partition->end,
                    "partition %d ends at %lld, offset %lld was %s", i, (long long)read_end[i],
                    (long long)partition->end - 1,
                    partition->acknowledged_end == partition->end ? "acknowledged" : "read");
        for (int64_t offset = 0; offset < partition->end; offset++) {
            uint64_t value = partition->values[offset];
            unsigned client = (unsigned)(value >> 32) - 1;
            sim_require(history->sim, value != 0, "partition %d has a hole at %lld", i,
                        (long long)offset);
            if (!history->idempotent[client])
                continue;
            sim_require(history->sim, (uint32_t)value > last[client],
                        "partition %d, offset %lld: value %u of client %u stands behind %u", i,
                        (long long)offset, (unsigned)value, client, last[client]);
            last[client] = (uint32_t)value;
        }
    }
}
