/*
 * Walks over the compacted log: read slice by slice, what is not in memory is warmed first. Cuts
 * and deletions may overtake a walk that is not the first of its life; it then ends.
 */
#include "log/partition_log_internal.h"
#include "tests/sim/compact_life.h"

static void walk_go_on(struct walk *walk);

static void check_producers(struct walk *walk)
{
    struct life *life = walk->life;
    for (int64_t id = 1; id <= COMPACT_PRODUCERS; id++) {
        struct producer_info info;
        if (!producer_state_find(partition_log_producers(life->node.log), id, &info) ||
            info.last_offset < partition_log_start_offset(life->node.log) ||
            info.last_offset >= walk->state.next)
            continue;
        REQUIRE(life, walk->state.last_of_producer[id] == info.last_offset,
                "the last batch of producer %lld, to offset %lld, is gone", (long long)id,
                (long long)info.last_offset);
    }
}

static void end_whole(struct walk *walk)
{
    struct life *life = walk->life;
    struct scenario *scenario = life->scenario;
    struct partition_log *log = life->node.log;
    if (!walk->state.is_view) {
        check_producers(walk);
        if (walk->is_first)
            compact_read_begin(life, true, true, true);
        return;
    }
    TRACE(&life->node, "view of [%lld, %lld), read to %lld", (long long)walk->state.start,
          (long long)partition_log_last_stable_offset(log), (long long)walk->state.next);
    bool judges_clean =
        walk->compactions == life->cleaner.counters.compactions && walk->cuts == life->node.cuts;
    compact_walk_end_view(&walk->state, partition_log_start_offset(log),
                          partition_log_last_stable_offset(log), life->node.loop->wall_ms,
                          scenario->delete_retention_min_ms, judges_clean);
    if (walk->is_first) {
        scenario->lives.verified = true;
        log_node_start_operations(&life->node);
    }
}

static void end_walk(struct walk *walk)
{
    walk->is_busy = false;
    arena_deinit(&walk->arena);
}

static void walk_warmed(struct log_warm *warm)
{
    struct walk *walk = container_of(warm, struct walk, warm);
    struct life *life = walk->life;
    life->node.warms--;
    if (warm->status != LOG_READ_OK) {
        bool excused = life->scenario->lives.faults_allowed || walk->cuts != life->node.cuts ||
                       life->node.is_cutting ||
                       walk->read.offset < partition_log_start_offset(life->node.log);
        REQUIRE(life, excused, "warming offset %lld failed", (long long)walk->read.offset);
        if (walk->is_first)
            log_node_device_failed(&life->node);
        end_walk(walk);
        return;
    }
    REQUIRE(life, ++walk->patience < 5000, "offset %lld never becomes readable",
            (long long)walk->read.offset);
    walk_go_on(walk);
}

/* Reads one slice into the walk's memory; false: nothing more for now. */
static bool walk_read(struct walk *walk)
{
    struct life *life = walk->life;
    enum log_read_status status = partition_log_read(life->node.log, &walk->read, &walk->slice);
    uint32_t size = walk->slice.size;
    if (status == LOG_READ_OK && size > 0) {
        REQUIRE(life, size <= READ_SIZE, "a read of at most %d bytes gave %u", READ_SIZE, size);
        status = log_slice_copy(&life->node.shard, &walk->slice, 0, walk->data, size);
        log_slice_release(&walk->slice);
    }
    if (status == LOG_READ_NEEDS_IO) {
        walk->warm = (struct log_warm){.warmed = walk_warmed};
        life->node.warms++;
        partition_log_warm(life->node.log, &walk->read, &walk->warm);
        return false;
    }
    if (status == LOG_READ_OUT_OF_RANGE && !walk->is_first) {
        end_walk(walk); /* cut or deleted meanwhile */
        return false;
    }
    if (status == LOG_READ_FAILED) {
        if (walk->cuts == life->node.cuts)
            log_node_device_failed(&life->node);
        end_walk(walk);
        return false;
    }
    REQUIRE(life, status == LOG_READ_OK, "offset %lld is out of range",
            (long long)walk->read.offset);
    return true;
}

static void walk_go_on(struct walk *walk)
{
    struct life *life = walk->life;
    while (walk_read(walk)) {
        int64_t end = partition_log_bound(life->node.log, walk->read.bound);
        if (walk->slice.size == 0) {
            REQUIRE(life, walk->read.offset >= end || end <= life->scenario->compacted_to,
                    "nothing is readable at %lld below %lld", (long long)walk->read.offset,
                    (long long)end);
            end_walk(walk);
            if (walk->is_whole && walk->cuts == life->node.cuts)
                end_whole(walk);
            return;
        }
        walk->state.compacted_to = life->scenario->compacted_to;
        compact_walk_take(&walk->state, view_of(walk->data, walk->slice.size), walk->slice.aborted,
                          walk->slice.aborted_count);
        /* A bound may lie inside a batch. */
        REQUIRE(life, walk->slice.next_offset >= walk->state.next || walk->slice.next_offset == end,
                "a slice says %lld, its last batch ends at %lld",
                (long long)walk->slice.next_offset, (long long)walk->state.next);
        arena_reset(&walk->arena);
        walk->patience = 0;
        walk->read.offset = walk->slice.next_offset;
        if (walk->read.offset < walk->state.next)
            walk->read.offset = walk->state.next;
        if (!walk->is_whole && random_chance(&life->scenario->lives.random, 1, 3)) {
            end_walk(walk);
            return;
        }
    }
}

void compact_read_begin(struct life *life, bool is_view, bool is_whole, bool is_first)
{
    struct scenario *scenario = life->scenario;
    struct walk *walk = NULL;
    for (unsigned i = 0; i < COMPACT_READERS && !walk; i++)
        walk = life->walks[i].is_busy ? NULL : &life->walks[i];
    if (!walk || life->node.is_cutting)
        return;
    uint8_t *data = walk->data;
    if (!data)
        data = heap_must_get(life->node.loop->heap, MEMORY_STATE, READ_SIZE);
    *walk = (struct walk){.life = life,
                          .data = data,
                          .is_busy = true,
                          .is_whole = is_whole,
                          .is_first = is_first,
                          .compactions = life->cleaner.counters.compactions,
                          .cuts = life->node.cuts};
    arena_init(&walk->arena, life->node.loop->heap, MEMORY_SCRATCH, 0);
    int64_t start = partition_log_start_offset(life->node.log);
    int64_t offset = is_whole ? start
                              : random_between(&scenario->lives.random, start,
                                               partition_log_written_end(life->node.log));
    walk->read = (struct log_read){
        .offset = offset,
        .max_bytes =
            is_first ? READ_SIZE : 1 + (uint32_t)random_below(&scenario->lives.random, READ_SIZE),
        .min_one = true,
        .bound = is_view ? LOG_READ_LAST_STABLE : LOG_READ_LOG_END,
        .arena = &walk->arena};
    int64_t clean_end = partition_log_first_dirty(life->node.log);
    compact_walk_begin(&walk->state, &scenario->lives.model, is_view, offset,
                       scenario->compacted_to, life->node.log->compaction ? offset : clean_end);
    walk_go_on(walk);
}
