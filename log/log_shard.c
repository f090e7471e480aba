/*
 * The remembered places are a direct-mapped table: a write overwrites whatever was there. Readers
 * in sequence and the high watermark ask for offsets that were a range's end moments ago.
 */
#include "log/log_shard.h"

#include "base/assert.h"
#include "base/hash.h"
#include "log/segment_file.h"

enum { DEFAULT_IDLE_FILES = 256, DEFAULT_PLACES = 4096 };

#define DEFAULT_RETENTION_NS (UINT64_C(300) * 1000000000)

struct log_place {
    uint64_t generation; /* 0: empty */
    int64_t offset;
    int64_t segment_base;
    uint32_t position;
};

void log_shard_init(struct log_shard *shard, struct loop *loop,
                    const struct log_shard_options *options)
{
    *shard = (struct log_shard){.loop = loop, .heap = loop->heap, .next_generation = 1};
    shard->open_files_limit =
        options && options->open_files_limit ? options->open_files_limit : DEFAULT_IDLE_FILES;
    shard->place_count = options && options->place_count ? options->place_count : DEFAULT_PLACES;
    shard->retention_interval_ns = options && options->retention_interval_ns
                                       ? options->retention_interval_ns
                                       : DEFAULT_RETENTION_NS;
    klamm_assert((shard->place_count & (shard->place_count - 1)) == 0);
    list_init(&shard->idle_files);
    list_init(&shard->compacted);
}

void log_shard_deinit(struct log_shard *shard)
{
    klamm_assert(list_is_empty(&shard->idle_files));
    heap_put(shard->heap, MEMORY_STATE, shard->places, shard->place_count * sizeof(*shard->places));
    shard->places = NULL;
    heap_put(shard->heap, MEMORY_STATE, shard->spare_write, sizeof(*shard->spare_write));
    shard->spare_write = NULL;
}

uint64_t log_shard_new_generation(struct log_shard *shard)
{
    return shard->next_generation++;
}

static size_t place_index(const struct log_shard *shard, uint64_t generation, int64_t offset)
{
    return hash_u64(generation, (uint64_t)offset) & (shard->place_count - 1);
}

void log_shard_remember(struct log_shard *shard, uint64_t generation, int64_t offset,
                        int64_t segment_base, uint32_t position)
{
    if (!shard->places)
        shard->places =
            heap_must_get(shard->heap, MEMORY_STATE, shard->place_count * sizeof(*shard->places));
    shard->places[place_index(shard, generation, offset)] =
        (struct log_place){.generation = generation,
                           .offset = offset,
                           .segment_base = segment_base,
                           .position = position};
}

bool log_shard_recall(const struct log_shard *shard, uint64_t generation, int64_t offset,
                      int64_t *segment_base, uint32_t *position)
{
    if (!shard->places)
        return false;
    const struct log_place *place = &shard->places[place_index(shard, generation, offset)];
    if (place->generation != generation || place->offset != offset)
        return false;
    *segment_base = place->segment_base;
    *position = place->position;
    return true;
}
