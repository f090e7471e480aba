/*
 * Writing: each append is one batch, written at the end of the part file. Reading: the content is
 * in memory, batch after batch; the first and the last batch must be the control batches that a
 * snapshot has.
 */
#include "cluster/quorum/snapshot_file.h"

#include "base/assert.h"
#include "base/text.h"
#include "protocol/control_record.h"
#include "protocol/messages/snapshot_footer_record.h"
#include "protocol/messages/snapshot_header_record.h"

enum { SNAPSHOT_BATCH_SIZE_MAX = 8 * 1024 * 1024, END_DIGITS = 20, EPOCH_DIGITS = 10 };

void snapshot_name_format(struct snapshot_id id, const char *suffix, char name[SNAPSHOT_NAME_SIZE])
{
    struct text_builder out;
    text_builder_init(&out, name, SNAPSHOT_NAME_SIZE);
    text_append_padded(&out, (uint64_t)id.end_offset, END_DIGITS);
    text_append_char(&out, '-');
    text_append_padded(&out, (uint64_t)id.epoch, EPOCH_DIGITS);
    text_append_string(&out, suffix);
    klamm_assert(!out.truncated);
}

bool snapshot_name_parse(const char *name, struct snapshot_id *id)
{
    struct view text = view_of_string(name);
    struct view suffix = VIEW_LITERAL(SNAPSHOT_SUFFIX);
    uint64_t end_offset;
    uint64_t epoch;
    if (text.size != END_DIGITS + 1 + EPOCH_DIGITS + suffix.size || !text_ends_with(text, suffix) ||
        name[END_DIGITS] != '-' ||
        !text_parse_u64(view_of(name, END_DIGITS), INT64_MAX, &end_offset) ||
        !text_parse_u64(view_of(name + END_DIGITS + 1, EPOCH_DIGITS), INT32_MAX, &epoch))
        return false;
    *id = (struct snapshot_id){(int64_t)end_offset, (int32_t)epoch};
    return true;
}

/* Writing. */

static bool write_batch(struct snapshot_writer *writer, size_t count)
{
    struct view batch;
    if (batch_builder_finish(&writer->builder, &batch) != COMPRESSION_OK) {
        writer->status = STORAGE_LIMIT;
        return false;
    }
    writer->status =
        storage_run_write(writer->storage, writer->file, writer->size, batch.data, batch.size);
    writer->size += batch.size;
    writer->next_offset += (int64_t)count;
    return writer->status == STORAGE_OK;
}

static void start_batch(struct snapshot_writer *writer, bool control)
{
    struct batch_options options = BATCH_OPTIONS_DEFAULT;
    options.base_offset = writer->next_offset;
    options.leader_epoch = writer->id.epoch;
    options.control = control;
    batch_builder_reset(&writer->builder, &options);
}

static bool write_header(struct snapshot_writer *writer, int64_t last_timestamp_ms,
                         const struct snapshot_voters *voters)
{
    struct snapshot_header_record header = {.last_contained_log_timestamp = last_timestamp_ms};
    uint8_t bytes[64];
    struct message_writer out = message_writer_of(bytes, sizeof(bytes));
    snapshot_header_record_encode(&header, &out, 0);
    struct view value = view_of(bytes, out.bytes.size);
    int64_t now_ms = writer->timestamp_ms;
    start_batch(writer, true);
    size_t count = 1;
    bool fits =
        control_record_append(&writer->builder, CONTROL_RECORD_SNAPSHOT_HEADER, now_ms, value);
    if (fits && voters && !view_is_null(voters->kraft_version)) {
        fits = control_record_append(&writer->builder, CONTROL_RECORD_KRAFT_VERSION, now_ms,
                                     voters->kraft_version);
        count++;
    }
    if (fits && voters && !view_is_null(voters->voters)) {
        fits = control_record_append(&writer->builder, CONTROL_RECORD_KRAFT_VOTERS, now_ms,
                                     voters->voters);
        count++;
    }
    return fits && write_batch(writer, count);
}

bool snapshot_writer_begin(struct snapshot_writer *writer, struct storage storage,
                           struct heap *heap, const char *directory, struct snapshot_id id,
                           int64_t last_timestamp_ms, int64_t now_ms,
                           const struct snapshot_voters *voters)
{
    *writer = (struct snapshot_writer){
        .storage = storage, .heap = heap, .id = id, .timestamp_ms = now_ms};
    struct batch_options options = BATCH_OPTIONS_DEFAULT;
    batch_builder_init(&writer->builder, heap, SNAPSHOT_BATCH_SIZE_MAX, &options);
    char name[SNAPSHOT_NAME_SIZE];
    snapshot_name_format(id, SNAPSHOT_PART_SUFFIX, name);
    if (!log_path_set(&writer->directory, directory) ||
        !log_path_join(&writer->part_path, directory, name)) {
        writer->status = STORAGE_LIMIT;
        return false;
    }
    uint64_t size;
    writer->status = storage_run_open(storage, writer->part_path.text,
                                      STORAGE_FLAG_READ | STORAGE_FLAG_WRITE | STORAGE_FLAG_CREATE,
                                      &writer->file, &size);
    if (writer->status == STORAGE_OK && size > 0)
        writer->status = storage_run_truncate(storage, writer->file, 0);
    return writer->status == STORAGE_OK && write_header(writer, last_timestamp_ms, voters);
}

bool snapshot_writer_append(struct snapshot_writer *writer, const struct view *values, size_t count)
{
    if (count == 0)
        return true;
    start_batch(writer, false);
    for (size_t i = 0; i < count; i++) {
        struct batch_record record = {.timestamp_ms = writer->timestamp_ms, .value = values[i]};
        if (!batch_builder_append(&writer->builder, &record)) {
            writer->status = STORAGE_LIMIT;
            return false;
        }
    }
    return write_batch(writer, count);
}

static bool write_footer(struct snapshot_writer *writer)
{
    struct snapshot_footer_record footer = {0};
    uint8_t bytes[16];
    struct message_writer out = message_writer_of(bytes, sizeof(bytes));
    snapshot_footer_record_encode(&footer, &out, 0);
    start_batch(writer, true);
    return control_record_append(&writer->builder, CONTROL_RECORD_SNAPSHOT_FOOTER,
                                 writer->timestamp_ms, view_of(bytes, out.bytes.size)) &&
           write_batch(writer, 1);
}

static bool publish(struct snapshot_writer *writer, const char *final_name)
{
    char name[SNAPSHOT_NAME_SIZE];
    snapshot_name_format(writer->id, SNAPSHOT_SUFFIX, name);
    struct log_path path;
    if (!log_path_join(&path, writer->directory.text, final_name ? final_name : name)) {
        writer->status = STORAGE_LIMIT;
        return false;
    }
    writer->status =
        storage_run_path(writer->storage, STORAGE_RENAME, writer->part_path.text, path.text);
    if (writer->status == STORAGE_OK)
        writer->status =
            storage_run_path(writer->storage, STORAGE_SYNC_DIRECTORY, writer->directory.text, NULL);
    return writer->status == STORAGE_OK;
}

bool snapshot_writer_finish(struct snapshot_writer *writer, const char *final_name)
{
    if (!write_footer(writer))
        return false;
    writer->status = storage_run_sync(writer->storage, writer->file);
    if (writer->status != STORAGE_OK)
        return false;
    storage_run_close(writer->storage, writer->file);
    writer->file = NULL;
    if (!publish(writer, final_name))
        return false;
    batch_builder_deinit(&writer->builder);
    return true;
}

void snapshot_writer_abort(struct snapshot_writer *writer)
{
    if (writer->file) {
        storage_run_close(writer->storage, writer->file);
        storage_run_path(writer->storage, STORAGE_UNLINK, writer->part_path.text, NULL);
        writer->file = NULL;
    }
    batch_builder_deinit(&writer->builder);
}

/* Reading. */

/* The type of the first record of a control batch; UNKNOWN when it has none. */
static enum control_record_type control_type(struct view batch, struct record *record)
{
    struct batch_header header;
    batch_header_read(batch.data, &header);
    struct record_cursor cursor;
    record_cursor_init(&cursor, batch_records(batch), header.record_count);
    enum control_record_type type = CONTROL_RECORD_UNKNOWN;
    if (record_cursor_next(&cursor, record) != RECORD_OK ||
        !control_record_read_key(record->key, &type))
        return CONTROL_RECORD_UNKNOWN;
    return type;
}

bool snapshot_walk(struct view content,
                   bool (*each)(void *context, struct view batch, const char **problem),
                   void *context, const char **problem)
{
    struct view rest = content;
    struct view batch;
    bool has_footer = false;
    bool is_first = true;
    *problem = "the snapshot is cut short";
    while (batch_next(&rest, &batch) == BATCH_OK) {
        if (!batch_crc_is_valid(batch)) {
            *problem = "a batch of the snapshot has a wrong checksum";
            return false;
        }
        struct record record;
        enum control_record_type type =
            batch_is_control(batch.data) ? control_type(batch, &record) : CONTROL_RECORD_UNKNOWN;
        if ((is_first && type != CONTROL_RECORD_SNAPSHOT_HEADER) || has_footer) {
            *problem = "the snapshot has no header, or something behind its footer";
            return false;
        }
        has_footer = type == CONTROL_RECORD_SNAPSHOT_FOOTER;
        is_first = false;
        if (!each(context, batch, problem))
            return false;
    }
    return rest.size == 0 && has_footer;
}

bool snapshot_read_header(struct view content, struct snapshot_voters *voters,
                          int64_t *last_timestamp_ms)
{
    *voters = (struct snapshot_voters){VIEW_NULL, VIEW_NULL};
    struct view rest = content;
    struct view batch;
    if (batch_next(&rest, &batch) != BATCH_OK || !batch_is_control(batch.data))
        return false;
    struct batch_header header;
    batch_header_read(batch.data, &header);
    struct record_cursor cursor;
    record_cursor_init(&cursor, batch_records(batch), header.record_count);
    struct record record;
    bool has_header = false;
    while (record_cursor_next(&cursor, &record) == RECORD_OK) {
        enum control_record_type type;
        if (!control_record_read_key(record.key, &type))
            return false;
        if (type == CONTROL_RECORD_SNAPSHOT_HEADER) {
            struct snapshot_header_record message;
            struct reader in = reader_of(record.value);
            has_header = snapshot_header_record_decode(&message, &in, 0, NULL);
            *last_timestamp_ms = message.last_contained_log_timestamp;
        } else if (type == CONTROL_RECORD_KRAFT_VERSION) {
            voters->kraft_version = record.value;
        } else if (type == CONTROL_RECORD_KRAFT_VOTERS) {
            voters->voters = record.value;
        }
    }
    return has_header;
}

void snapshot_files_remove_before(struct storage storage, struct heap *heap, const char *directory,
                                  int64_t end_offset)
{
    struct storage_listing *listing;
    if (storage_run_list(storage, directory, heap, &listing) != STORAGE_OK)
        return;
    for (size_t i = 0; i < listing->count; i++) {
        struct snapshot_id id;
        struct log_path path;
        if (snapshot_name_parse(listing->entries[i].name, &id) && id.end_offset < end_offset &&
            log_path_join(&path, directory, listing->entries[i].name))
            storage_run_path(storage, STORAGE_UNLINK, path.text, NULL);
    }
    storage_listing_release(listing);
}
