/* Well-formed batches to start fuzzing from, and mending of damaged ones. */
#ifndef KLAMM_TESTS_FUZZ_SEED_BATCH_H
#define KLAMM_TESTS_FUZZ_SEED_BATCH_H

#include "protocol/batch_builder.h"

/*
 * Writes a batch of random shape: codec, flags, records with keys, nulls and headers; now and then
 * a transaction marker. Returns its size; 0 when it does not fit. Equal numbers give equal batches.
 */
size_t seed_batch_write(uint64_t number, uint8_t *data, size_t capacity);
/* Gives what looks like batches a length that fits and a checksum that is right. */
void seed_batch_mend(uint8_t *data, size_t size);

#endif
