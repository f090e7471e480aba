/*
 * How it works: the bytes are checked as a whole (size, version, checksum) before anything is taken
 * from them. Loading goes from the newest file down; what is not valid is removed, because replay
 * from an older snapshot gives the same state.
 */
#include "log/producer_snapshot.h"

#include <assert.h>

#include "base/assert.h"
#include "base/crc32c.h"
#include "log/file_content.h"
#include "log/log_path.h"

enum { CRC_START = 6, SNAPSHOT_FILE_SIZE_MAX = 1024 * 1024 * 1024 };

static_assert(PRODUCER_SNAPSHOT_HEADER_SIZE == 2 + 4 + 4, "the layout of the head");
static_assert(PRODUCER_SNAPSHOT_ENTRY_SIZE == 8 + 2 + 4 + 8 + 4 + 8 + 4 + 8,
              "the layout of an entry");

size_t producer_snapshot_file_size(const struct producer_state *state)
{
    return PRODUCER_SNAPSHOT_HEADER_SIZE +
           (size_t)state->producer_count * PRODUCER_SNAPSHOT_ENTRY_SIZE;
}

void producer_snapshot_file_encode(const struct producer_state *state, uint8_t *data)
{
    size_t size = producer_snapshot_file_size(state);
    struct writer writer = writer_of(data, size);
    klamm_assert(state->undo_first == state->undo_end);
    write_i16(&writer, PRODUCER_SNAPSHOT_VERSION);
    write_u32(&writer, 0);
    write_i32(&writer, (int32_t)state->producer_count);
    const struct producer *producer = NULL;
    while ((producer = producer_state_next(state, producer)) != NULL) {
        struct producer_info info = producer_describe(producer);
        write_i64(&writer, info.producer_id);
        write_i16(&writer, info.producer_epoch);
        write_i32(&writer, info.last_sequence);
        write_i64(&writer, info.last_offset);
        write_i32(&writer, info.offset_delta);
        write_i64(&writer, info.timestamp_ms);
        write_i32(&writer, info.coordinator_epoch);
        write_i64(&writer, info.transaction_first_offset);
    }
    klamm_assert(!writer.failed && writer.size == size);
    store_u32(data + 2, crc32c(0, data + CRC_START, size - CRC_START));
}

static struct producer_info read_entry(struct reader *reader)
{
    struct producer_info info;
    info.producer_id = read_i64(reader);
    info.producer_epoch = read_i16(reader);
    info.last_sequence = read_i32(reader);
    info.last_offset = read_i64(reader);
    info.offset_delta = read_i32(reader);
    info.timestamp_ms = read_i64(reader);
    info.coordinator_epoch = read_i32(reader);
    info.transaction_first_offset = read_i64(reader);
    return info;
}

bool producer_snapshot_file_decode(struct view bytes, struct producer_state *state, int64_t now_ms)
{
    struct reader reader = reader_of(bytes);
    int16_t version = read_i16(&reader);
    uint32_t checksum = read_u32(&reader);
    int32_t count = read_i32(&reader);
    if (reader.failed || version != PRODUCER_SNAPSHOT_VERSION || count < 0 ||
        reader_left(&reader) != (uint64_t)count * PRODUCER_SNAPSHOT_ENTRY_SIZE ||
        crc32c(0, bytes.data + CRC_START, bytes.size - CRC_START) != checksum)
        return false;
    for (int32_t i = 0; i < count; i++) {
        struct producer_info info = read_entry(&reader);
        /* Producers choose timestamps: the difference to one might not fit. */
        bool is_expired = info.transaction_first_offset < 0 &&
                          info.timestamp_ms <= now_ms - state->options->expiration_ms;
        if (!is_expired && !producer_state_restore(state, &info)) {
            producer_state_clear(state);
            return false;
        }
    }
    return true;
}

enum storage_status producer_snapshot_write(struct storage storage, const char *directory,
                                            int64_t offset, struct view bytes)
{
    struct log_path path;
    struct storage_file *file = NULL;
    if (!log_path_of_offset(&path, directory, offset, PRODUCER_SNAPSHOT_SUFFIX))
        return STORAGE_LIMIT;
    enum storage_status status =
        storage_run_open(storage, path.text, STORAGE_FLAG_WRITE | STORAGE_FLAG_CREATE, &file, NULL);
    if (status != STORAGE_OK)
        return status;
    /* No temporary file: a torn snapshot is found by its checksum and an older one serves. */
    status = storage_run_truncate(storage, file, 0);
    if (status == STORAGE_OK)
        status = storage_run_write(storage, file, 0, bytes.data, bytes.size);
    if (status == STORAGE_OK)
        status = storage_run_sync(storage, file);
    enum storage_status closed = storage_run_close(storage, file);
    if (status == STORAGE_OK)
        status = closed;
    if (status != STORAGE_OK)
        storage_run_path(storage, STORAGE_UNLINK, path.text, NULL);
    return status;
}

/* Loads one file; *valid tells whether the state was filled. */
static enum storage_status load_one(struct storage storage, const char *path, int64_t now_ms,
                                    struct heap *scratch, struct producer_state *state, bool *valid)
{
    struct file_content content;
    *valid = false;
    enum storage_status status =
        file_content_read(storage, path, scratch, SNAPSHOT_FILE_SIZE_MAX, &content);
    if (status != STORAGE_OK)
        return status;
    *valid = producer_snapshot_file_decode(file_content_view(&content), state, now_ms);
    file_content_release(&content);
    return STORAGE_OK;
}

enum storage_status producer_snapshot_load(struct storage storage, const char *directory,
                                           int64_t offset_max, int64_t now_ms, struct heap *scratch,
                                           struct producer_state *state, int64_t *offset)
{
    struct storage_listing *listing = NULL;
    *offset = -1;
    enum storage_status status = storage_run_list(storage, directory, scratch, &listing);
    if (status != STORAGE_OK)
        return status;
    /* Names sort like offsets, so the newest is found from the back. */
    for (size_t i = listing->count; i > 0 && status == STORAGE_OK && *offset < 0; i--) {
        const struct storage_entry *entry = &listing->entries[i - 1];
        struct log_path path;
        int64_t at;
        bool valid;
        if (entry->is_directory ||
            !log_path_parse_offset(entry->name, PRODUCER_SNAPSHOT_SUFFIX, &at) || at > offset_max ||
            !log_path_join(&path, directory, entry->name))
            continue;
        status = load_one(storage, path.text, now_ms, scratch, state, &valid);
        if (status == STORAGE_OK && valid)
            *offset = at;
        else if (status == STORAGE_OK)
            status = storage_run_path(storage, STORAGE_UNLINK, path.text, NULL);
    }
    storage_listing_release(listing);
    return status;
}
