/*
 * The producers of one partition that are about to begin a transaction in it, and have asked the
 * transaction coordinator whether they may (KIP-890). Each has a guard, by which an append shows
 * that it was asked for; the first transactional batch or marker ends the entry.
 *
 * Memory is taken with the first entry, because most partitions never have one.
 */
#ifndef KLAMM_LOG_PRODUCER_VERIFICATIONS_H
#define KLAMM_LOG_PRODUCER_VERIFICATIONS_H

#include "base/map.h"

struct producer_verification {
    uint64_t guard; /* never 0 */
    int64_t created_ms;
    int32_t lowest_sequence;
    int16_t producer_epoch;
    bool supports_epoch_bump;
};

struct producer_verifications {
    struct heap *heap;
    struct map *entries; /* producer id to its entry; NULL before the first */
    uint64_t last_guard;
};

void producer_verifications_init(struct producer_verifications *verifications, struct heap *heap);
void producer_verifications_deinit(struct producer_verifications *verifications);
/* The entry of a producer, or NULL. */
const struct producer_verification *
producer_verifications_find(const struct producer_verifications *verifications,
                            int64_t producer_id);
/*
 * Begins a verification, or goes on with the one that there is: a newer epoch takes its place, of
 * one epoch the lowest sequence counts. `wish` without its guard; returns the guard.
 */
uint64_t producer_verifications_begin(struct producer_verifications *verifications,
                                      int64_t producer_id,
                                      const struct producer_verification *wish);
/* Ends that of a producer, if there is one. */
void producer_verifications_end(struct producer_verifications *verifications, int64_t producer_id);
/* Ends those that began at this time or before; returns how many. */
uint32_t producer_verifications_expire(struct producer_verifications *verifications,
                                       int64_t created_ms);

#endif
