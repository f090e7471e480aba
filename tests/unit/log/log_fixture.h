/*
 * A partition log on a node in memory, for tests: opening, appending and reading in one line each.
 * Every append is one batch of `count` records with values of `value_size` bytes.
 */
#ifndef KLAMM_TESTS_UNIT_LOG_LOG_FIXTURE_H
#define KLAMM_TESTS_UNIT_LOG_LOG_FIXTURE_H

#include "log/directory_shard.h"
#include "log/log_recovery.h"
#include "log/partition_log_internal.h"
#include "protocol/batch_builder.h"
#include "protocol/control_record.h"
#include "tests/unit/log/memory_node.h"

#define FIXTURE_DIRECTORY "/logs/topic-0"

struct fixture_append {
    struct log_append append;
    uint8_t *data;
    size_t size;
    bool is_done;
};

struct log_fixture {
    struct memory_node node;
    struct log_shard shard;
    struct directory_shard directory;
    struct producer_state_options producers;
    struct topic_config topic;
    struct log_config config;
    struct partition_log *log;
    struct heap heap; /* of the test itself */
    int64_t recovery_point;
    int64_t log_start;
    int64_t high_watermark;
    int64_t cleaner_offset;
    bool is_checkpointed; /* there is an entry for the recovery point */
    bool clean;
    bool forgets_checkpoints; /* a crash finds checkpoints without this partition */
    /* What the log told. */
    int64_t written_end;
    int64_t durable_end;
    enum storage_status failure;
    unsigned failure_count;
    /* The last open. */
    enum log_open_status open_status;
    char message[256];
    uint64_t scanned_bytes;
    uint64_t cut_bytes;
    bool closed_clean;
};

/* A copy of a file's bytes; `data` is the caller's, to free. */
struct fixture_bytes {
    uint8_t *data;
    size_t size;
};

struct fixture_bytes fixture_copy(struct log_fixture *fixture, const char *path);
struct batch_options fixture_options(void);
/* A batch into heap memory of the fixture; give back with fixture_append_free. */
void fixture_batch(struct log_fixture *fixture, struct fixture_append *append,
                   const struct batch_options *options, int32_t count, size_t value_size,
                   int64_t timestamp_ms);
void fixture_append_free(struct log_fixture *fixture, struct fixture_append *append);

void fixture_init(struct log_fixture *fixture);
void fixture_deinit(struct log_fixture *fixture);
/* For cmocka: a new fixture with a partition that was made, in *state. */
int fixture_setup(void **state);
int fixture_teardown(void **state);
/* Makes the partition, or opens it; fixture->log is NULL when that fails. */
void fixture_create(struct log_fixture *fixture);
void fixture_open(struct log_fixture *fixture);
/* Closes; the next fixture_open is clean when the closing was. */
void fixture_close(struct log_fixture *fixture);
/* Drops without writing anything. */
void fixture_drop(struct log_fixture *fixture);
/* A power cut and a start: only what is durable is left, the recovery point is what it was. */
void fixture_crash(struct log_fixture *fixture);

/* Appends one batch as a client and runs; returns its base offset, or -1 and the error. */
int64_t fixture_write(struct log_fixture *fixture, int32_t count, size_t value_size);
int64_t fixture_write_at(struct log_fixture *fixture, int32_t count, size_t value_size,
                         int64_t timestamp_ms);
/* One record of producer `id`, epoch 1; and the end of its transaction, whose offset is returned.
 */
void fixture_write_producer(struct log_fixture *fixture, int64_t id, int32_t sequence,
                            bool transactional);
int64_t fixture_write_marker(struct log_fixture *fixture, int64_t id, bool commit);
/* The regular maintenance, 2 s later. */
void fixture_maintain(struct log_fixture *fixture);
/* Reads up to the log end; warms when needed. Returns the status. */
enum log_read_status fixture_read(struct log_fixture *fixture, const struct log_read *read,
                                  struct log_slice *slice);
/* Walks the whole log by reads of `max_bytes` and checks offsets; returns the offset reached. */
int64_t fixture_scan(struct log_fixture *fixture, uint32_t max_bytes);
/* Truncates and runs. */
enum storage_status fixture_truncate(struct log_fixture *fixture, int64_t offset);

#endif
