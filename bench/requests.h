/*
 * The requests of the load generator as templates, and the little it must read from answers.
 * Versions are old enough for every broker since Kafka 2.4 and use topic names.
 */
#ifndef KLAMM_BENCH_REQUESTS_H
#define KLAMM_BENCH_REQUESTS_H

#include "base/arena.h"
#include "base/random.h"
#include "bench/client.h"
#include "bench/options.h"

enum { BENCH_PRODUCE_VERSION = 8, BENCH_FETCH_VERSION = 11 };

/* Opens the connections that the options ask for. */
void bench_open(struct bench_pool *pool, const struct bench_options *options);
/* Creates the topic when it is not there, and waits until every partition has a leader. */
void bench_create_topic(struct bench_pool *pool, const struct bench_options *options);

/* A Produce request of one batch to each of `count` partitions, the first one given. */
void bench_produce_template(struct arena *arena, const struct bench_options *options,
                            struct random_stream *random, int32_t first_partition, unsigned count,
                            struct request_template *template);

/* One batch of the options' size with random keys and values. Mutable memory of the arena. */
uint8_t *bench_batch_make(struct arena *arena, const struct bench_options *options,
                          struct random_stream *random, size_t *size);
/* Writes a producer into a batch and mends the checksum. */
struct bench_stamp {
    int64_t producer_id;
    int16_t producer_epoch;
    int32_t base_sequence;
    bool transactional;
};
void bench_batch_stamp(uint8_t *batch, size_t size, const struct bench_stamp *stamp);

/* One batch of one partition of a Produce request. */
struct bench_batch {
    int32_t partition;
    uint8_t *bytes;
    size_t size;
};
/* A Produce request in any version; `transactional_id` may be NULL. */
void bench_encode_produce(struct arena *arena, const char *topic, const char *transactional_id,
                          int16_t acks, int16_t version, const struct bench_batch *batches,
                          unsigned count, struct request_template *template);

/* Stops the program when any partition of a Produce answer has an error. */
void bench_check_produce(struct arena *arena, const uint8_t *body, size_t size);

/* What one connection reads: partitions first, first + step, ... with their next offsets. */
struct bench_assignment {
    int32_t *partitions;
    int64_t *offsets;
    unsigned count;
};

/* A Fetch request for the assignment as it stands; wait_ms 0 answers at once. */
void bench_fetch_template(struct arena *arena, const struct bench_options *options,
                          const struct bench_assignment *assignment, int32_t wait_ms,
                          struct request_template *template);

/*
 * Reads a Fetch answer: moves the assignment's offsets, calls `batch` for each whole batch (may be
 * NULL). Returns the bytes of all records fields.
 */
uint64_t bench_read_fetch(struct arena *arena, const uint8_t *body, size_t size,
                          struct bench_assignment *assignment,
                          void (*batch)(void *argument, const uint8_t *batch, size_t size),
                          void *argument);

/* The end offset of every partition. */
void bench_end_offsets(struct bench_pool *pool, const struct bench_options *options,
                       int64_t *offsets);

#endif
