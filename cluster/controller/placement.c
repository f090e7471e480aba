/*
 * A ring is a list of brokers with a place to go on from; each rack has one of unfenced and one of
 * fenced brokers. Every new partition begins one place further; after as many partitions as there
 * are unfenced brokers everything is shuffled again.
 */
#include "cluster/controller/placement.h"

#include "base/assert.h"
#include "base/sort.h"

struct ring {
    int32_t *ids;
    uint32_t count;
    uint32_t epoch; /* moves when a new round begins */
    uint32_t offset;
    uint32_t index;
};

struct rack {
    struct view name;
    struct ring unfenced;
    struct ring fenced;
};

struct placer {
    struct random_stream *random;
    struct rack *racks;
    uint32_t rack_count;
    uint32_t unfenced_count;
    uint32_t broker_count;
    uint32_t offset; /* rack of the next partition */
    uint32_t epoch;  /* partitions placed since the last shuffle */
};

static void shuffle(struct random_stream *random, int32_t *ids, uint32_t count)
{
    for (uint32_t i = count; i > 1; i--) {
        uint32_t other = (uint32_t)random_below(random, i);
        int32_t kept = ids[i - 1];
        ids[i - 1] = ids[other];
        ids[other] = kept;
    }
}

/* The next broker of a ring in this partition's round; -1 when all were given. */
static int32_t ring_next(struct ring *ring, uint32_t epoch)
{
    if (ring->count == 0)
        return -1;
    if (ring->epoch != epoch) {
        ring->epoch = epoch;
        ring->index = 0;
        ring->offset = (ring->offset + 1) % ring->count;
    }
    if (ring->index >= ring->count)
        return -1;
    return ring->ids[(ring->index++ + ring->offset) % ring->count];
}

static void ring_start(struct ring *ring, struct random_stream *random)
{
    if (ring->count > 1)
        ring->offset = (uint32_t)random_below(random, ring->count);
}

static struct rack *find_rack(struct placer *placer, struct view name)
{
    for (uint32_t i = 0; i < placer->rack_count; i++) {
        if (view_equal(placer->racks[i].name, name))
            return &placer->racks[i];
    }
    struct rack *rack = &placer->racks[placer->rack_count++];
    *rack = (struct rack){.name = name};
    return rack;
}

static int compare_racks(const void *a, const void *b, void *context)
{
    (void)context;
    return view_compare(((const struct rack *)a)->name, ((const struct rack *)b)->name);
}

static bool collect(struct placer *placer, const struct image *image, struct arena *arena)
{
    placer->racks = arena_get_array(arena, image->brokers.count, sizeof(*placer->racks));
    if (!placer->racks)
        return false;
    struct image_walk walk;
    image_walk_start(&image->brokers, &walk);
    for (const struct image_node *node = image_walk_next_node(&walk); node;
         node = image_walk_next_node(&walk)) {
        if (node->in_controlled_shutdown && !node->fenced)
            continue; /* about to go; once it is fenced it may be expected back */
        placer->broker_count++;
        struct rack *rack = find_rack(placer, node->rack);
        struct ring *ring = node->fenced ? &rack->fenced : &rack->unfenced;
        if (!ring->ids)
            ring->ids = arena_get_array(arena, image->brokers.count, sizeof(int32_t));
        if (!ring->ids)
            return false;
        ring->ids[ring->count++] = node->id;
        placer->unfenced_count += !node->fenced;
    }
    struct rack *scratch = arena_get_array(arena, placer->rack_count, sizeof(*scratch));
    if (!scratch)
        return false;
    sort_stable(placer->racks, placer->rack_count, sizeof(*placer->racks), scratch, compare_racks,
                NULL);
    return true;
}

static void start(struct placer *placer)
{
    placer->offset =
        placer->rack_count > 1 ? (uint32_t)random_below(placer->random, placer->rack_count) : 0;
    for (uint32_t i = 0; i < placer->rack_count; i++) {
        ring_start(&placer->racks[i].unfenced, placer->random);
        ring_start(&placer->racks[i].fenced, placer->random);
    }
}

static void reshuffle(struct placer *placer)
{
    for (uint32_t i = placer->rack_count; i > 1; i--) {
        uint32_t other = (uint32_t)random_below(placer->random, i);
        struct rack kept = placer->racks[i - 1];
        placer->racks[i - 1] = placer->racks[other];
        placer->racks[other] = kept;
    }
    for (uint32_t i = 0; i < placer->rack_count; i++) {
        shuffle(placer->random, placer->racks[i].unfenced.ids, placer->racks[i].unfenced.count);
        shuffle(placer->random, placer->racks[i].fenced.ids, placer->racks[i].fenced.count);
    }
}

static void place_one(struct placer *placer, uint32_t epoch, int32_t replication_factor,
                      int32_t *replicas)
{
    uint32_t leader_rack = 0;
    int32_t leader = -1;
    for (uint32_t i = 0; leader < 0; i++) {
        klamm_assert(i < placer->rack_count);
        leader_rack = (placer->offset + i) % placer->rack_count;
        leader = ring_next(&placer->racks[leader_rack].unfenced, epoch);
    }
    replicas[0] = leader;
    int32_t filled = 1;
    bool has_skipped = false;
    for (uint32_t i = 0; filled < replication_factor; i++) {
        uint32_t place = (placer->offset + i) % placer->rack_count;
        if (place == leader_rack && !has_skipped) {
            has_skipped = true;
            continue;
        }
        int32_t id = ring_next(&placer->racks[place].unfenced, epoch);
        if (id < 0)
            id = ring_next(&placer->racks[place].fenced, epoch);
        if (id >= 0)
            replicas[filled++] = id;
    }
}

const char *placement_choose(const struct image *image, struct random_stream *random,
                             struct arena *arena, uint32_t count, int32_t replication_factor,
                             int32_t *replicas)
{
    struct placer placer = {.random = random};
    if (!collect(&placer, image, arena))
        return "memory is short";
    if (replication_factor <= 0)
        return "it has to be at least 1";
    if ((uint32_t)replication_factor > placer.broker_count)
        return "fewer brokers are registered";
    if (placer.unfenced_count == 0)
        return "every broker is fenced";
    start(&placer);
    for (uint32_t i = 0; i < count; i++) {
        if (placer.unfenced_count > 1 && placer.epoch == placer.unfenced_count) {
            reshuffle(&placer);
            placer.epoch = 0;
        }
        place_one(&placer, i + 1, replication_factor, replicas + i * (uint32_t)replication_factor);
        placer.epoch++;
        placer.offset = (placer.offset + 1) % placer.rack_count;
    }
    return NULL;
}
