/*
 * A log whose policy is compaction, on a disk in memory: short segments, and records "k0" to "k9"
 * of about 100 bytes, one a batch.
 */
#ifndef KLAMM_TESTS_UNIT_LOG_COMPACTION_BENCH_H
#define KLAMM_TESTS_UNIT_LOG_COMPACTION_BENCH_H

#include "log/compaction.h"
#include "tests/unit/log/log_fixture.h"

enum { BENCH_KEYS = 10 };

struct bench_outcome {
    bool is_done;
    struct compaction_report report;
};

/* As often as it likes, with all the memory it wants. */
extern const struct compaction_options bench_generous;

/* For cmocka; the state is a struct log_fixture. */
int bench_setup(void **state);
int bench_teardown(void **state);

/* One record; a negative number writes a tombstone. It is below the high watermark then. */
void bench_put_from(struct log_fixture *fixture, struct batch_options options, int number,
                    enum log_append_origin origin);
void bench_put_with(struct log_fixture *fixture, struct batch_options options, int number);
void bench_put(struct log_fixture *fixture, int number);
/* `count` records over all keys; the last segment is left behind. */
void bench_fill(struct log_fixture *fixture, int count);
/* The end of a transaction. */
void bench_put_marker(struct log_fixture *fixture, int64_t producer_id, bool commit);

/* From now on all segments fit into one. */
void bench_allow_large_segments(struct log_fixture *fixture);
/* Begins and does not run; false: there is nothing to compact. `outcome` lies still. */
bool bench_start(struct log_fixture *fixture, const struct compaction_options *options,
                 struct bench_outcome *outcome);
/* To its end. */
struct compaction_report bench_compact(struct log_fixture *fixture);
/* Records of one key that a scan of the whole log finds; and checks offsets on the way. */
int bench_count_records(struct log_fixture *fixture, int number);

#endif
