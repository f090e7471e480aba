/*
 * A log as a leader has it: a list of batches with the leader epochs that it knows, kept in the
 * plainest way, so that it can be compared with.
 */
#ifndef KLAMM_TESTS_UNIT_REPLICATION_MODEL_LOG_H
#define KLAMM_TESTS_UNIT_REPLICATION_MODEL_LOG_H

#include "base/memory.h"
#include "protocol/batch.h"
#include "protocol/errors.h"

enum { MODEL_BATCHES = 400, MODEL_EPOCHS = 200 };

struct model_batch {
    uint8_t *bytes; /* from malloc */
    size_t size;
    int64_t base_offset;
    int64_t last_offset;
    int32_t epoch;
};

struct model_epoch {
    int32_t epoch;
    int64_t start;
};

struct model_log {
    struct model_batch batches[MODEL_BATCHES];
    size_t batch_count;
    struct model_epoch epochs[MODEL_EPOCHS];
    size_t epoch_count;
    int64_t log_start;
    int64_t log_end;
    int64_t high_watermark;
    int32_t leader_epoch;   /* as this leader knows it */
    enum kafka_error error; /* answered instead of anything else */
    bool is_corrupt;        /* the next records are sent with a flipped bit */
};

/* Appends a batch of so many records; no two batches of a program are the same. */
void model_log_append(struct model_log *log, struct heap *heap, int64_t wall_ms, int32_t count,
                      size_t value_size);
void model_begin_epoch(struct model_log *log, int32_t leader_epoch);
void model_truncate(struct model_log *log, int64_t offset);
/* Cuts behind what both have in common and takes up to `count` batches from the other. */
void model_replicate(struct model_log *log, const struct model_log *from, size_t count);
void model_take_batch(struct model_log *log, struct view batch);
/* Removes whole batches below the offset and moves the log start. */
void model_advance_start(struct model_log *log, int64_t offset);
void model_clear(struct model_log *log);
bool model_epoch_end(const struct model_log *log, int32_t epoch, int32_t *found, int64_t *end);

#endif
