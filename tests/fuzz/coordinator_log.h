/*
 * Inputs for the fuzz targets of coordinators: the log of one partition of an internal topic, as
 * records in a row. Each has flags, and unless it is a marker a key and a value behind their sizes
 * (uint16).
 */
#ifndef KLAMM_TESTS_FUZZ_COORDINATOR_LOG_H
#define KLAMM_TESTS_FUZZ_COORDINATOR_LOG_H

#include "tests/unit/coordinator/coordinator_fixture.h"

/* Appends what the input says to the fixture's log; before coordinator_fixture_start. */
void coordinator_log_write(struct coordinator_fixture *fixture, const uint8_t *data, size_t size);

/*
 * A seed of random records whose names, ids and epochs come from small pools, so that they meet.
 * `is_wanted` chooses among Kafka's names of record keys.
 */
size_t coordinator_log_seed(uint64_t number, uint8_t *data, size_t capacity,
                            bool (*is_wanted)(const char *name));

#endif
