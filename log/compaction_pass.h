/*
 * The job of a compaction: reads, decides, writes, in slices. Owns everything that it needs until
 * its last run, on a heap of its own that moves with the job; the loop only reads results between
 * the runs.
 *
 * A run ends for the reasons of enum compaction_stop; the loop then starts the next one.
 *
 *   producers   the last batch of each producer below the upper offset: newest snapshot, and the
 *               headers behind it
 *   mapping     the newest offset of each key from the first dirty offset on, as far as the map
 *               goes
 *   copying     one group of segments after the other into new files   -> COMPACTION_STOP_SWAP
 *   naming      the new files take the old ones' names                 -> COMPACTION_STOP_NAMED
 *   ending      closes and removes what is left                        -> COMPACTION_STOP_ENDED
 */
#ifndef KLAMM_LOG_COMPACTION_PASS_H
#define KLAMM_LOG_COMPACTION_PASS_H

#include "log/compaction.h"
#include "log/compaction_filter.h"
#include "log/compaction_output.h"
#include "log/log_scan.h"

/* A segment to be read. */
struct compaction_source {
    int64_t base_offset;
    int64_t end_offset; /* the next segment's base */
    int64_t first_append_ms;
    int64_t last_append_ms;
    uint32_t size;
    uint32_t offset_count; /* index entries */
    uint32_t time_count;
};

/* What the loop hands in; stays unchanged. */
struct compaction_plan {
    const char *directory;
    struct compaction_source *sources; /* from the first segment on to upper_offset */
    uint32_t source_count;
    struct aborted_transaction *aborted; /* all that overlap the sources */
    size_t aborted_count;
    int64_t first_dirty;
    int64_t upper_offset;
    int64_t delete_retention_ms;
    int32_t segment_bytes;
    int32_t segment_index_bytes;
    int32_t index_interval_bytes;
    struct producer_state_options producers;
    struct siphash_key hash_key;
    struct compaction_options options;
    uint64_t slice_bytes; /* of one run, about */
};

enum compaction_phase {
    COMPACTION_PRODUCERS,
    COMPACTION_MAPPING,
    COMPACTION_COPYING,
    COMPACTION_OLD_NAMES,
    COMPACTION_NEW_NAMES,
    COMPACTION_ENDING,
};

enum compaction_stop {
    COMPACTION_STOP_SLICE, /* the slice is used up */
    COMPACTION_STOP_SWAP,  /* the new segments of a group are committed: `outputs`, `group` */
    COMPACTION_STOP_NAMED, /* they have their names, or not yet: `naming` */
    COMPACTION_STOP_ENDED,
};

enum { COMPACTION_GROUP_SEGMENTS_MAX = 64 };

/* Consecutive sources that become one segment, or few. */
struct compaction_group {
    uint32_t first;
    uint32_t count;
};

struct compaction_pass {
    struct job job;
    struct compaction_plan plan;
    struct heap heap;
    bool has_heap;
    enum compaction_phase phase;
    enum compaction_stop stop;
    uint64_t moved;       /* bytes read and written in all */
    uint64_t slice_start; /* of these, before this run */
    struct log_scan scan;
    uint32_t place; /* the source at work */
    struct producer_state producers;
    bool has_producers;
    struct compaction_map map;
    bool has_map;
    struct compaction_transactions transactions;
    bool has_transactions;
    struct aborted_transaction *aborted; /* of the phase at work, plan.aborted_count */
    struct compaction_filter filter;
    bool has_filter;
    int64_t map_end;
    struct compaction_group group;
    uint64_t group_size_max; /* bytes of one output of the group */
    struct compaction_outputs outputs;
    bool changes_group;         /* something of the group does not stay as it is */
    enum storage_status naming; /* of the last run of a naming phase */
    enum compaction_status status;
    char fault[256]; /* UNCLEANABLE: what and where */
};

/* The plan is set, the rest zero. Sets the job's step; `done` is the caller's. */
void compaction_pass_init(struct compaction_pass *pass);
/* Between two runs: the next one ends the pass, with this status unless it has another. */
void compaction_pass_end(struct compaction_pass *pass, enum compaction_status status);
/* The next group from source `first` on: as many as fit into one segment. */
struct compaction_group compaction_next_group(const struct compaction_plan *plan, uint32_t first,
                                              int64_t map_end);

#endif
