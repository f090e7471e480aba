/*
 * What a fuzz target provides. Each target is one file with these two functions; the drivers are
 * fuzz_smoke.c (a fixed number of mutations, every build) and fuzz_libfuzzer.c (guided by coverage,
 * clang with -Dfuzzers=true).
 */
#ifndef KLAMM_TESTS_FUZZ_H
#define KLAMM_TESTS_FUZZ_H

#include <stddef.h>
#include <stdint.h>

/* Takes any input. A broken property halts (klamm_assert), memory errors are the sanitizer's. */
void fuzz_one(const uint8_t *data, size_t size);
/*
 * Writes a well-formed input to start mutations from and returns its size (0: none). Equal numbers
 * give equal inputs.
 */
size_t fuzz_seed(uint64_t number, uint8_t *data, size_t capacity);

#endif
