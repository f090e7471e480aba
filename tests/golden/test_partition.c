/*
 * A partition directory as Apache Kafka 4.2 left it at a clean stop (index.interval.bytes=400, five
 * codecs, three transactions of which two were aborted, one roll by time):
 *
 *  - opened as clean, nothing is scanned and everything is found;
 *  - opened as after a crash, the indexes made again are Kafka's bytes;
 *  - appended batch by batch to an empty log, all side files are Kafka's bytes.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "log/producer_snapshot.h"
#include "tests/unit/log/log_fixture.h"

static const char *golden_directory;

static const char *const names[] = {
    "00000000000000000000.index",
    "00000000000000000000.log",
    "00000000000000000000.timeindex",
    "00000000000000000112.index",
    "00000000000000000112.log",
    "00000000000000000112.snapshot",
    "00000000000000000112.timeindex",
    "00000000000000000112.txnindex",
    "00000000000000000117.snapshot",
    "leader-epoch-checkpoint",
    "partition.metadata",
};

enum { NAMES = sizeof(names) / sizeof(names[0]), END_OFFSET = 117, SECOND_BASE = 112 };

struct golden_file {
    uint8_t data[16384];
    size_t size;
};

static void read_golden(const char *name, struct golden_file *file)
{
    char path[1024];
    snprintf(path, sizeof(path), "%s/%s", golden_directory, name);
    FILE *stream = fopen(path, "rb");
    assert_non_null(stream);
    file->size = fread(file->data, 1, sizeof(file->data), stream);
    fclose(stream);
}

static int setup(void **state)
{
    struct log_fixture *fixture = calloc(1, sizeof(*fixture));
    fixture_init(fixture);
    fixture->config.index_interval_bytes = 400;
    *state = fixture;
    return 0;
}

static int teardown(void **state)
{
    fixture_deinit(*state);
    free(*state);
    return 0;
}

static void put_partition(struct log_fixture *fixture)
{
    memory_node_make_directory(&fixture->node, FIXTURE_DIRECTORY);
    for (size_t i = 0; i < NAMES; i++) {
        static struct golden_file file;
        char path[256];
        read_golden(names[i], &file);
        snprintf(path, sizeof(path), FIXTURE_DIRECTORY "/%s", names[i]);
        memory_node_put_file(&fixture->node, path, view_of(file.data, file.size));
    }
}

static int compare_entries(const void *a, const void *b)
{
    return memcmp(a, b, PRODUCER_SNAPSHOT_ENTRY_SIZE);
}

/* Kafka lists producers in the order of a hash table. */
static void assert_same_snapshot(struct view ours, struct golden_file *theirs)
{
    struct golden_file copy;
    assert_int_equal(ours.size, theirs->size);
    memcpy(copy.data, ours.data, ours.size);
    size_t count = (theirs->size - PRODUCER_SNAPSHOT_HEADER_SIZE) / PRODUCER_SNAPSHOT_ENTRY_SIZE;
    qsort(copy.data + PRODUCER_SNAPSHOT_HEADER_SIZE, count, PRODUCER_SNAPSHOT_ENTRY_SIZE,
          compare_entries);
    qsort(theirs->data + PRODUCER_SNAPSHOT_HEADER_SIZE, count, PRODUCER_SNAPSHOT_ENTRY_SIZE,
          compare_entries);
    /* The checksum depends on the order. */
    assert_memory_equal(copy.data, theirs->data, 2);
    assert_memory_equal(copy.data + 6, theirs->data + 6, theirs->size - 6);
}

static bool ends_with(const char *name, const char *suffix)
{
    size_t size = strlen(name);
    size_t suffix_size = strlen(suffix);
    return size >= suffix_size && strcmp(name + size - suffix_size, suffix) == 0;
}

/* Compares the files whose names end in one of the suffixes. */
static void assert_same_files(struct log_fixture *fixture, const char *const *suffixes)
{
    for (; *suffixes; suffixes++) {
        for (size_t i = 0; i < NAMES; i++) {
            static struct golden_file file;
            char path[256];
            if (!ends_with(names[i], *suffixes))
                continue;
            read_golden(names[i], &file);
            snprintf(path, sizeof(path), FIXTURE_DIRECTORY "/%s", names[i]);
            struct view ours = memory_node_file(&fixture->node, path);
            assert_false(view_is_null(ours));
            if (ends_with(names[i], ".snapshot")) {
                assert_same_snapshot(ours, &file);
                continue;
            }
            assert_int_equal(ours.size, file.size);
            assert_memory_equal(ours.data, file.data, file.size);
        }
    }
}

static void kafka_s_clean_partition_opens_without_a_scan(void **state)
{
    struct log_fixture *fixture = *state;
    put_partition(fixture);
    fixture->clean = true;
    fixture->recovery_point = END_OFFSET;
    fixture->high_watermark = END_OFFSET;
    fixture_open(fixture);
    assert_int_equal(fixture->open_status, LOG_OPEN_OK);
    assert_int_equal(fixture->scanned_bytes, 0);
    assert_int_equal(partition_log_end_offset(fixture->log), END_OFFSET);
    assert_int_equal(partition_log_segment_count(fixture->log), 2);
    assert_int_equal(fixture_scan(fixture, 1000), END_OFFSET);
    assert_int_equal(partition_log_last_stable_offset(fixture->log), END_OFFSET);
    struct producer_info info;
    assert_true(producer_state_find(partition_log_producers(fixture->log), 5, &info));
    fixture_close(fixture);
    assert_true(fixture->closed_clean);
    static const char *const all[] = {"", NULL};
    assert_same_files(fixture, all);
}

static void indexes_made_again_are_kafka_s(void **state)
{
    struct log_fixture *fixture = *state;
    put_partition(fixture);
    fixture->clean = false;
    fixture_open(fixture);
    assert_int_equal(fixture->open_status, LOG_OPEN_OK);
    assert_int_equal(partition_log_end_offset(fixture->log), END_OFFSET);
    static const char *const indexes[] = {"index", ".log", NULL};
    assert_same_files(fixture, indexes);
    fixture_close(fixture);
    static const char *const all[] = {"", NULL};
    assert_same_files(fixture, all);
}

static void append_file(struct log_fixture *fixture, const char *name)
{
    static struct golden_file file;
    read_golden(name, &file);
    struct view rest = view_of(file.data, file.size);
    struct view batch;
    while (batch_next(&rest, &batch) == BATCH_OK) {
        struct log_append append = {.data = file.data + (batch.data - file.data),
                                    .size = batch.size,
                                    .origin = LOG_APPEND_REPLICATION};
        assert_int_equal(partition_log_append(fixture->log, &append), LOG_APPEND_QUEUED);
        memory_node_run(&fixture->node);
        assert_int_equal(append.error, KAFKA_ERROR_NONE);
    }
}

static void appending_makes_kafka_s_files(void **state)
{
    struct log_fixture *fixture = *state;
    fixture_create(fixture);
    append_file(fixture, "00000000000000000000.log");
    assert_int_equal(partition_log_end_offset(fixture->log), SECOND_BASE);
    partition_log_roll(fixture->log);
    append_file(fixture, "00000000000000000112.log");
    assert_int_equal(partition_log_end_offset(fixture->log), END_OFFSET);
    fixture_close(fixture);
    assert_true(fixture->closed_clean);
    static const char *const most[] = {"index", ".log", ".snapshot", "checkpoint", NULL};
    assert_same_files(fixture, most);
}

#define CLAIM(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(int count, char **arguments)
{
    const struct CMUnitTest tests[] = {
        CLAIM(kafka_s_clean_partition_opens_without_a_scan),
        CLAIM(indexes_made_again_are_kafka_s),
        CLAIM(appending_makes_kafka_s_files),
    };
    golden_directory = count > 1 ? arguments[1] : ".";
    return cmocka_run_group_tests(tests, NULL, NULL);
}
