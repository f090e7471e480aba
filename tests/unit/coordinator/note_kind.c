/* Note n is the committed offset of partition n of one topic: its text is the offset. */
#include "tests/unit/coordinator/note_kind.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <cmocka.h>

#include "protocol/messages/offset_commit_key.h"
#include "protocol/messages/offset_commit_value.h"

COORDINATOR_RECORD(offset_commit, OFFSET_COMMIT)

static struct note_kind_counts counts;

struct note_kind_counts *note_counts(void)
{
    return &counts;
}

static void *notes_create(struct coordinator *coordinator)
{
    struct notes *notes =
        heap_must_get(coordinator_heap(coordinator), MEMORY_STATE, sizeof(*notes));
    notes->coordinator = coordinator;
    for (size_t i = 0; i < NOTES_MAX; i++)
        notes->texts[i] = -1;
    list_init(&notes->parked);
    counts.created++;
    return notes;
}

static void notes_destroy(void *state)
{
    struct notes *notes = state;
    assert_true(list_is_empty(&notes->parked));
    counts.destroyed++;
    heap_put(coordinator_heap(notes->coordinator), MEMORY_STATE, notes, sizeof(*notes));
}

static enum coordinator_replay notes_replay(void *state, const struct coordinator_record *record)
{
    struct notes *notes = state;
    struct offset_commit_key key;
    struct offset_commit_value value = {.offset = -1};
    if (record->type != OFFSET_COMMIT_KEY_TYPE)
        return COORDINATOR_REPLAY_UNKNOWN;
    if (!get_offset_commit_key(record, NULL, &key) ||
        (!view_is_null(record->value) && !get_offset_commit_value(record, NULL, &value)))
        return COORDINATOR_REPLAY_DAMAGED;
    notes->replayed++;
    notes->last_offset = record->offset;
    notes->last_timestamp_ms = record->timestamp_ms;
    if (record->producer_id != BATCH_NO_PRODUCER_ID)
        notes->pending[notes->pending_count++] =
            (struct note_pending){record->producer_id, key.partition, value.offset};
    else
        notes->texts[key.partition] = value.offset;
    return COORDINATOR_REPLAY_OK;
}

static void notes_replay_marker(void *state, const struct coordinator_marker *marker)
{
    struct notes *notes = state;
    uint32_t kept = 0;
    notes->markers++;
    notes->last_offset = marker->offset;
    notes->last_marker_epoch = marker->coordinator_epoch;
    for (uint32_t i = 0; i < notes->pending_count; i++) {
        struct note_pending pending = notes->pending[i];
        if (pending.producer_id != marker->producer_id)
            notes->pending[kept++] = pending;
        else if (marker->commit)
            notes->texts[pending.number] = pending.text;
    }
    notes->pending_count = kept;
}

static void notes_loaded(void *state)
{
    struct notes *notes = state;
    counts.loaded++;
    assert_non_null(coordinator_image(notes->coordinator));
    if (counts.write_when_loaded)
        assert_int_equal(note_write(notes, 0, 1, counts.write_when_loaded), KAFKA_ERROR_NONE);
}

static void notes_unload(void *state, enum kafka_error error)
{
    struct notes *notes = state;
    counts.unloaded++;
    counts.unload_error = error;
    for (struct list *link; (link = list_pop_front(&notes->parked)) != NULL;)
        coordinator_fail(container_of(link, struct coordinator_call, link), error);
    assert_int_not_equal(note_write(notes, 0, 1, 99), KAFKA_ERROR_NONE);
}

static void notes_metadata(void *state, const struct image_delta *delta)
{
    struct notes *notes = state;
    assert_ptr_equal(delta->after, coordinator_image(notes->coordinator));
    notes->images++;
}

const struct coordinator_kind note_kind = {
    .name = "note",
    .topic = {(const uint8_t *)"__consumer_offsets", 18},
    .create = notes_create,
    .destroy = notes_destroy,
    .replay = notes_replay,
    .replay_marker = notes_replay_marker,
    .loaded = notes_loaded,
    .unload = notes_unload,
    .metadata = notes_metadata,
};

static void add_note(struct coordinator_records *records, int32_t number, int64_t text)
{
    const struct offset_commit_key key = {
        .group = VIEW_LITERAL("notes"), .topic = VIEW_LITERAL("t"), .partition = number};
    struct offset_commit_value value;
    offset_commit_value_init(&value);
    value.offset = text;
    if (text == -1)
        put_offset_commit_tombstone(records, &key);
    else
        put_offset_commit(records, &key, &value, 3);
}

enum kafka_error note_write(struct notes *notes, int32_t first, int32_t count, int64_t text)
{
    struct coordinator_records records;
    coordinator_records_begin(&records, notes->coordinator);
    for (int32_t i = 0; i < count; i++)
        add_note(&records, first + i, text);
    return coordinator_append(&records);
}

enum kafka_error note_write_pending(struct notes *notes, int32_t number, int64_t text,
                                    int64_t producer_id, int16_t producer_epoch)
{
    struct coordinator_records records;
    coordinator_records_begin(&records, notes->coordinator);
    add_note(&records, number, text);
    return coordinator_append_transactional(&records, producer_id, producer_epoch, 0);
}

void note_handle(struct notes *notes, struct coordinator_call *call)
{
    const struct note_request *request = call->request;
    enum kafka_error error = KAFKA_ERROR_NONE;
    if (request->text != -1)
        error = note_write(notes, request->number, 1, request->text);
    if (error != KAFKA_ERROR_NONE) {
        coordinator_fail(call, error);
        return;
    }
    *(int64_t *)call->response = notes->texts[request->number];
    coordinator_answer(notes->coordinator, call);
}

void note_park(struct notes *notes, struct coordinator_call *call)
{
    list_push_back(&notes->parked, &call->link);
}

struct view note_key(struct arena *arena, int32_t number)
{
    const struct offset_commit_key key = {
        .group = VIEW_LITERAL("notes"), .topic = VIEW_LITERAL("t"), .partition = number};
    size_t size = 2 + offset_commit_key_size(&key, 0);
    struct message_writer writer = message_writer_of(arena_get(arena, size), size);
    write_i16(&writer.bytes, OFFSET_COMMIT_KEY_TYPE);
    offset_commit_key_encode(&key, &writer, 0);
    return view_of(writer.bytes.data, writer.bytes.size);
}

struct view note_value(struct arena *arena, int64_t text)
{
    struct offset_commit_value value;
    offset_commit_value_init(&value);
    value.offset = text;
    size_t size = 2 + offset_commit_value_size(&value, 3);
    struct message_writer writer = message_writer_of(arena_get(arena, size), size);
    write_i16(&writer.bytes, 3);
    offset_commit_value_encode(&value, &writer, 3);
    return view_of(writer.bytes.data, writer.bytes.size);
}
