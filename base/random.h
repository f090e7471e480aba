/*
 * Seeded random streams (xoshiro256**): fast and reproducible, not for secrets.
 *
 * Each purpose takes its own stream, so that a new draw in one place does not move the others.
 */
#ifndef KLAMM_BASE_RANDOM_H
#define KLAMM_BASE_RANDOM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct random_stream {
    uint64_t state[4]; /* never all zero */
};

/* Starts a stream; different `stream` numbers of one seed are independent. */
void random_init(struct random_stream *random, uint64_t seed, uint64_t stream);
/* 64 fresh bits. */
uint64_t random_u64(struct random_stream *random);
/* A number below `bound` (> 0), each equally likely. */
uint64_t random_below(struct random_stream *random, uint64_t bound);
/* A number in [low, high], both included; low <= high. */
int64_t random_between(struct random_stream *random, int64_t low, int64_t high);
/* True in `count` of `total` cases; total > 0. */
bool random_chance(struct random_stream *random, uint64_t count, uint64_t total);
/* Fills a range. */
void random_fill(struct random_stream *random, void *data, size_t size);

#endif
