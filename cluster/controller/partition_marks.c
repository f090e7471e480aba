/* A bit set per topic that was named. */
#include "cluster/controller/partition_marks.h"

#include "base/assert.h"

void partition_marks_init(struct partition_marks *marks, struct decision *decision)
{
    marks->decision = decision;
    map_init(&marks->topics, decision->arena->heap, MEMORY_SCRATCH, 0);
}

bool partition_marks_add(struct partition_marks *marks, const struct image_topic *topic,
                         int32_t index)
{
    klamm_assert(index >= 0);
    klamm_assert((uint32_t)index < topic->partition_count);
    struct map_entry *entry = map_add(&marks->topics, view_of(topic->id.bytes, UUID_SIZE), NULL);
    if (!entry)
        klamm_halt(__FILE__, __LINE__, "out of memory for an admitted request");
    if (!entry->value)
        entry->value = decision_get(marks->decision, topic->partition_count / 8 + 1, 1);
    uint8_t *bits = entry->value;
    uint8_t bit = (uint8_t)(1u << ((uint32_t)index % 8));
    bool is_new = !(bits[index / 8] & bit);
    bits[index / 8] |= bit;
    return is_new;
}

void partition_marks_deinit(struct partition_marks *marks)
{
    map_deinit(&marks->topics);
}
