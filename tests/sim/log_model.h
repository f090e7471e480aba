/*
 * What a partition log must hold: the batches that were accepted, in order, with their bytes. Lives
 * outside of the simulated node, so it survives crashes.
 *
 * Invariants:
 *  1. Batches are sorted by offset without gaps, from `base_end` on.
 *  2. Every batch below `durable_end` survives a power cut, every batch below `written_end` the end
 *     of the process. A truncation lowers both when it is asked for.
 *  3. A batch at or behind both ends may be found again after a crash or not, but if it is, then
 *     all before it are too.
 */
#ifndef KLAMM_TESTS_SIM_LOG_MODEL_H
#define KLAMM_TESTS_SIM_LOG_MODEL_H

#include "log/producer_state.h"
#include "tests/sim/sim.h"

struct model_batch {
    int64_t base_offset;
    int64_t last_offset;
    uint32_t size;
    uint8_t *bytes;
};

struct log_model {
    struct sim *sim;
    struct heap heap;
    struct model_batch *batches;
    size_t count, capacity;
    int64_t base_end; /* where the first batch begins, or will */
    int64_t written_end;
    int64_t durable_end;
    int64_t start_max;  /* the log start was not seen above this in this life */
    int64_t start_ever; /* nor above this in any */
};

void log_model_init(struct log_model *model, struct sim *sim);
void log_model_deinit(struct log_model *model);
/* A batch was accepted; `bytes` are as patched by the log. */
void log_model_add(struct log_model *model, const uint8_t *bytes, size_t size);
/* Offset behind the last accepted batch. */
int64_t log_model_end(const struct log_model *model);
/* The batch that holds the offset, or NULL. */
const struct model_batch *log_model_find(const struct log_model *model, int64_t offset);
/* Forgets every batch with a last offset at or behind `offset`. */
void log_model_cut(struct log_model *model, int64_t offset);
/* Forgets everything: the log is empty and goes on at `offset`. */
void log_model_restart(struct log_model *model, int64_t offset);
/* The base offset of the batch that holds `offset`, else `offset`: where a cut there ends. */
int64_t log_model_boundary(const struct log_model *model, int64_t offset);
/* Compares whole batches that were read from `offset` on; returns the offset behind them. */
int64_t log_model_compare(const struct log_model *model, int64_t offset, const uint8_t *bytes,
                          size_t size);
/* The state that all batches below `end` leave of one producer; false: it never appeared. */
bool log_model_producer(const struct log_model *model, int64_t producer_id, int64_t end,
                        struct producer_info *info);
/* The first record at or behind `start` with a timestamp >= `timestamp`; -1 when there is none. */
int64_t log_model_lookup(const struct log_model *model, int64_t start, int64_t timestamp);

#endif
