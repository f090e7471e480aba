/*
 * A partition directory that was not stopped cleanly, with any bytes as its files. The first byte
 * says what is there beside the log (offset index, time index, transaction index, producer
 * snapshot, leader epochs, second segment), the second how much of the log is said to be durable;
 * the rest is cut into the files.
 *
 * Opening ends with a log or a refusal. A log reads from its start to its end, takes an append, and
 * opens again with the same end.
 */
#include <stdarg.h>
#include <setjmp.h>
#include <stdlib.h>

#include "tests/fuzz/fuzz.h"
#include "tests/fuzz/seed_batch.h"

#include "base/assert.h"
#include "base/random.h"
#include "tests/unit/log/log_fixture.h"

enum { PREFIX_SIZE = 2, SIDE_FILES = 6, SIDE_SIZE_MAX = 128 };

static const char *const side_names[SIDE_FILES] = {
    FIXTURE_DIRECTORY "/00000000000000000000.index",
    FIXTURE_DIRECTORY "/00000000000000000000.timeindex",
    FIXTURE_DIRECTORY "/00000000000000000000.txnindex",
    FIXTURE_DIRECTORY "/00000000000000000004.snapshot",
    FIXTURE_DIRECTORY "/leader-epoch-checkpoint",
    FIXTURE_DIRECTORY "/00000000000000000004.log",
};

static void put_files(struct log_fixture *fixture, uint8_t chosen, struct view bytes)
{
    memory_node_make_directory(&fixture->node, FIXTURE_DIRECTORY);
    memory_node_put_file(&fixture->node, FIXTURE_DIRECTORY "/partition.metadata",
                         VIEW_LITERAL("version: 0\ntopic_id: AAAAAAAAAAAAAAAAAAAAAQ"));
    for (unsigned i = 0; i < SIDE_FILES; i++) {
        if (!(chosen & 1u << i))
            continue;
        size_t size = bytes.size < SIDE_SIZE_MAX ? bytes.size : SIDE_SIZE_MAX;
        memory_node_put_file(&fixture->node, side_names[i], view_of(bytes.data, size));
        bytes = view_of(bytes.data + size, bytes.size - size);
    }
    memory_node_put_file(&fixture->node, FIXTURE_DIRECTORY "/00000000000000000000.log", bytes);
}

/*
 * Reads from the start. What lies below the recovery point is trusted without being looked at, so
 * its batches may be damaged; but they are read without harm, and offsets never go back.
 */
static void check_reading(struct log_fixture *fixture, uint32_t max_bytes)
{
    int64_t offset = partition_log_start_offset(fixture->log);
    for (;;) {
        struct log_read read = {
            .offset = offset, .max_bytes = max_bytes, .min_one = true, .bound = LOG_READ_LOG_END};
        struct log_slice slice;
        enum log_read_status status = fixture_read(fixture, &read, &slice);
        klamm_assert(status == LOG_READ_OK || fixture->recovery_point > 0);
        if (status != LOG_READ_OK || slice.size == 0)
            return;
        uint8_t *data = malloc(slice.size);
        klamm_assert(log_slice_copy(&fixture->shard, &slice, 0, data, slice.size) == LOG_READ_OK);
        struct view rest = view_of(data, slice.size);
        struct view batch;
        while (fixture->recovery_point == 0 && rest.size > 0) {
            klamm_assert(batch_next(&rest, &batch) == BATCH_OK);
            klamm_assert(batch_crc_is_valid(batch));
        }
        free(data);
        log_slice_release(&slice);
        klamm_assert(slice.next_offset > offset);
        offset = slice.next_offset;
    }
}

static void check_opened(struct log_fixture *fixture)
{
    int64_t end = partition_log_end_offset(fixture->log);
    check_reading(fixture, 1000);
    check_reading(fixture, 1);
    int64_t written = fixture_write(fixture, 2, 10);
    klamm_assert(written == end || written < 0);
    end = partition_log_end_offset(fixture->log);
    fixture_close(fixture);
    fixture_open(fixture);
    klamm_assert(fixture->open_status == LOG_OPEN_OK);
    klamm_assert(partition_log_end_offset(fixture->log) == end);
}

void fuzz_one(const uint8_t *data, size_t size)
{
    static struct log_fixture fixture;
    if (size < PREFIX_SIZE)
        return;
    uint8_t *bytes = malloc(size);
    memcpy(bytes, data, size);
    size_t sides = PREFIX_SIZE;
    for (unsigned i = 0; i < SIDE_FILES; i++)
        sides += data[0] & 1u << i ? SIDE_SIZE_MAX : 0;
    if (data[0] & 128 && sides < size)
        seed_batch_mend(bytes + sides, size - sides);
    fixture_init(&fixture);
    put_files(&fixture, data[0], view_of(bytes + PREFIX_SIZE, size - PREFIX_SIZE));
    fixture.recovery_point = data[1] & 15;
    fixture_open(&fixture);
    if (fixture.open_status == LOG_OPEN_OK)
        check_opened(&fixture);
    else
        klamm_assert(fixture.message[0] != '\0');
    fixture_deinit(&fixture);
    free(bytes);
}

size_t fuzz_seed(uint64_t number, uint8_t *data, size_t capacity)
{
    struct random_stream random;
    random_init(&random, 71, number);
    data[0] = (uint8_t)(128 | (number % 3 == 0 ? random_below(&random, 64) : 0));
    data[1] = (uint8_t)random_below(&random, 8);
    size_t size = PREFIX_SIZE;
    for (unsigned i = 0; i < SIDE_FILES; i++) {
        if (!(data[0] & 1u << i))
            continue;
        memset(data + size, 0, SIDE_SIZE_MAX);
        size += SIDE_SIZE_MAX;
    }
    int64_t offset = 0;
    for (uint64_t i = random_below(&random, 5); i > 0; i--) {
        size_t batch = seed_batch_write(number * 5 + i, data + size, capacity - size);
        if (batch < BATCH_HEADER_SIZE)
            break;
        batch_set_base_offset(data + size, offset);
        batch_set_leader_epoch(data + size, 1);
        offset = batch_last_offset(data + size) + 1;
        size += batch;
    }
    return size;
}
