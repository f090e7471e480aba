/*
 * How it works, in phases, each in bounded steps:
 *
 *   find     list the journal files, ordered by loop and number
 *   scan     read each file up to its first torn entry; remember where every entry is
 *   judge    from the newest entry to the oldest: what a later cut, void or deletion takes away
 *   write    by partition and segment: put entries into the file, sync it, next
 *   remove   unlink the journals, sync the directory
 *
 * An entry goes to its position if the file reaches up to there. A gap means that what was before
 * it never became durable, so nothing from there on was acknowledged, and the rest of the
 * partition's entries is left out.
 *
 * Where another valid batch lies, the journal is right: no sync of the file can have followed the
 * append that the journal has, or its bytes would be there. The other batch is of an append that
 * failed and was taken back, or of a history whose cut did not become durable, so nothing behind it
 * was acknowledged outside the journal; it goes with all that follows it in the file, because two
 * histories must not be mixed.
 *
 * Everything else about the file is the work of the recovery that follows.
 */
#include "log/journal_replay.h"

#include "base/assert.h"
#include "base/crc32c.h"
#include "base/map.h"
#include "base/sort.h"
#include "log/journal.h"
#include "protocol/batch.h"

enum {
    SCAN_PIECE_SIZE = 2 * JOURNAL_ENTRY_SIZE_MAX,
    ITEMS_FIRST = 256,
    ITEMS_PER_STEP = 64,
    PARTITION_KEY_SIZE = UUID_SIZE + 4,
    EXISTING_BATCH_SIZE_MAX = 256 * 1024 * 1024
};

enum replay_phase { REPLAY_FIND, REPLAY_SCAN, REPLAY_JUDGE, REPLAY_WRITE, REPLAY_REMOVE };

struct journal_source {
    struct log_path path;
    unsigned loop_index;
    uint64_t number;
};

struct journal_item {
    size_t order;     /* among all entries of all files */
    size_t partition; /* index in found->entries */
    size_t source;
    uint64_t source_position; /* of the entry's bytes */
    int64_t limit;            /* batches at or behind are cut */
    struct journal_entry entry;
    bool is_void;
};

void journal_replay_init(struct journal_replay *replay, const struct log_directory_found *found)
{
    *replay = (struct journal_replay){.found = found, .phase = REPLAY_FIND};
}

/* ---- Find -------------------------------------------------------------------------------------
 */

static int compare_sources(const void *left, const void *right, void *context)
{
    const struct journal_source *a = left;
    const struct journal_source *b = right;
    (void)context;
    if (a->loop_index != b->loop_index)
        return a->loop_index < b->loop_index ? -1 : 1;
    return (a->number > b->number) - (a->number < b->number);
}

static enum storage_status find_sources(struct journal_replay *replay,
                                        const struct job_context *context)
{
    struct storage_listing *listing = NULL;
    struct journal_source source;
    const char *directory = replay->found->path.text;
    replay->heap = context->heap;
    enum storage_status status =
        storage_run_list(context->storage, directory, context->heap, &listing);
    if (status != STORAGE_OK)
        return status;
    size_t count = 0;
    for (size_t i = 0; i < listing->count; i++)
        count += journal_name_parse(listing->entries[i].name, &source.loop_index, &source.number);
    if (count > 0)
        replay->sources =
            heap_must_get(replay->heap, MEMORY_SCRATCH, count * sizeof(*replay->sources));
    replay->source_count = count;
    count = 0;
    for (size_t i = 0; i < listing->count; i++) {
        const char *name = listing->entries[i].name;
        if (journal_name_parse(name, &source.loop_index, &source.number) &&
            log_path_join(&source.path, directory, name))
            replay->sources[count++] = source;
    }
    storage_listing_release(listing);
    if (!sort_stable_on(replay->heap, replay->sources, count, sizeof(source), compare_sources,
                        NULL))
        return STORAGE_LIMIT;
    return STORAGE_OK;
}

/* ---- Scan -------------------------------------------------------------------------------------
 */

static struct journal_item *add_item(struct journal_replay *replay)
{
    if (replay->item_count == replay->item_capacity) {
        size_t capacity = replay->item_capacity ? replay->item_capacity * 2 : ITEMS_FIRST;
        struct journal_item *items =
            heap_must_get(replay->heap, MEMORY_SCRATCH, capacity * sizeof(*items));
        if (replay->item_count > 0)
            memcpy(items, replay->items, replay->item_count * sizeof(*items));
        heap_put(replay->heap, MEMORY_SCRATCH, replay->items,
                 replay->item_capacity * sizeof(*items));
        replay->items = items;
        replay->item_capacity = capacity;
    }
    return &replay->items[replay->item_count++];
}

static void make_key(uint8_t key[PARTITION_KEY_SIZE], struct uuid topic_id, int32_t partition)
{
    memcpy(key, topic_id.bytes, UUID_SIZE);
    store_u32(key + UUID_SIZE, (uint32_t)partition);
}

/* The live partitions of the directory by topic id and number; `keys` holds the map's keys. */
static void map_partitions(const struct journal_replay *replay, struct map *map, uint8_t *keys)
{
    for (size_t i = 0; i < replay->found->entry_count; i++) {
        const struct log_directory_entry *entry = &replay->found->entries[i];
        uint8_t *key = keys + i * PARTITION_KEY_SIZE;
        if (entry->parsed.kind != DIRECTORY_PLAIN || uuid_is_zero(entry->topic_id))
            continue;
        make_key(key, entry->topic_id, entry->parsed.partition);
        struct map_entry *place = map_add(map, view_of(key, PARTITION_KEY_SIZE), NULL);
        klamm_assert(place != NULL);
        place->number = i;
    }
}

/* Remembers an entry when its partition is still there. */
static void take_entry(struct journal_replay *replay, const struct map *map,
                       const struct journal_entry *entry, uint64_t position)
{
    uint8_t key[PARTITION_KEY_SIZE];
    make_key(key, entry->topic_id, entry->partition);
    const struct map_entry *found = map_find(map, view_of(key, sizeof(key)));
    if (!found) {
        replay->void_count++;
        return;
    }
    struct journal_item *item = add_item(replay);
    *item = (struct journal_item){
        .order = replay->item_count,
        .partition = (size_t)found->number,
        .source = replay->next_source,
        .source_position = position,
        .limit = INT64_MAX,
        .entry = *entry,
    };
}

/* Reads one journal from its start to its end or its first torn entry. */
static enum storage_status scan_file(struct journal_replay *replay, struct storage storage,
                                     struct storage_file *file, const struct map *map,
                                     uint8_t *buffer)
{
    const struct journal_source *source = &replay->sources[replay->next_source];
    uint64_t position = 0;
    for (bool is_first = true;; is_first = false) {
        size_t size;
        enum storage_status status =
            storage_run_read(storage, file, position, buffer, SCAN_PIECE_SIZE, &size);
        if (status != STORAGE_OK)
            return status;
        size_t at = 0;
        if (is_first) {
            if (!journal_head_decode(view_of(buffer, size), source->loop_index, source->number))
                return STORAGE_OK; /* never finished: nothing was acknowledged by it */
            at = JOURNAL_HEAD_SIZE;
        }
        while (true) {
            struct journal_entry entry;
            struct view data;
            size_t used = journal_entry_decode(view_of(buffer + at, size - at), &entry, &data);
            if (used == 0)
                break;
            take_entry(replay, map, &entry, position + at + JOURNAL_ENTRY_HEAD_SIZE);
            at += used;
        }
        /* A piece holds at least one whole entry, unless the file ends or is torn there. */
        if (at == 0 || size < SCAN_PIECE_SIZE)
            return STORAGE_OK;
        position += at;
    }
}

static enum storage_status scan_source(struct journal_replay *replay,
                                       const struct job_context *context)
{
    struct storage_file *file = NULL;
    struct map map;
    size_t keys_size = (replay->found->entry_count + 1) * PARTITION_KEY_SIZE;
    enum storage_status status =
        storage_run_open(context->storage, replay->sources[replay->next_source].path.text,
                         STORAGE_FLAG_READ, &file, NULL);
    if (status != STORAGE_OK)
        return status;
    uint8_t *keys = heap_must_get(replay->heap, MEMORY_SCRATCH, keys_size);
    uint8_t *buffer = heap_must_get(replay->heap, MEMORY_SCRATCH, SCAN_PIECE_SIZE);
    map_init(&map, replay->heap, MEMORY_SCRATCH, 0);
    map_partitions(replay, &map, keys);
    status = scan_file(replay, context->storage, file, &map, buffer);
    map_deinit(&map);
    heap_put(replay->heap, MEMORY_SCRATCH, buffer, SCAN_PIECE_SIZE);
    heap_put(replay->heap, MEMORY_SCRATCH, keys, keys_size);
    storage_run_close(context->storage, file);
    return status;
}

/* ---- Judge ------------------------------------------------------------------------------------
 */

/* What later entries of a partition take away. */
struct verdict {
    int64_t cut;
    int64_t void_below;
    bool is_deleted;
};

static void judge_item(const struct journal_replay *replay, struct journal_item *item,
                       struct verdict *verdict)
{
    const struct journal_entry *entry = &item->entry;
    switch (entry->kind) {
    case JOURNAL_CUT:
        if (entry->start < verdict->cut)
            verdict->cut = entry->start;
        break;
    case JOURNAL_VOID:
        if (entry->start > verdict->void_below)
            verdict->void_below = entry->start;
        break;
    case JOURNAL_DELETED:
        verdict->is_deleted = true;
        break;
    case JOURNAL_DATA:
        item->limit = verdict->cut;
        item->is_void = verdict->is_deleted || entry->start >= verdict->cut ||
                        entry->start < verdict->void_below ||
                        entry->end <= replay->found->entries[item->partition].recovery_point;
        return;
    }
    item->is_void = true;
}

static int compare_items(const void *left, const void *right, void *context)
{
    const struct journal_item *a = left;
    const struct journal_item *b = right;
    (void)context;
    if (a->partition != b->partition)
        return a->partition < b->partition ? -1 : 1;
    if (a->entry.segment_base != b->entry.segment_base)
        return a->entry.segment_base < b->entry.segment_base ? -1 : 1;
    return (a->order > b->order) - (a->order < b->order);
}

static enum storage_status judge(struct journal_replay *replay)
{
    size_t size = (replay->found->entry_count + 1) * sizeof(struct verdict);
    struct verdict *verdicts = heap_must_get(replay->heap, MEMORY_SCRATCH, size);
    for (size_t i = 0; i < replay->found->entry_count; i++)
        verdicts[i].cut = INT64_MAX;
    for (size_t i = replay->item_count; i > 0; i--) {
        struct journal_item *item = &replay->items[i - 1];
        judge_item(replay, item, &verdicts[item->partition]);
        replay->void_count += item->is_void && item->entry.kind == JOURNAL_DATA;
    }
    heap_put(replay->heap, MEMORY_SCRATCH, verdicts, size);
    if (!sort_stable_on(replay->heap, replay->items, replay->item_count, sizeof(*replay->items),
                        compare_items, NULL))
        return STORAGE_LIMIT;
    return STORAGE_OK;
}

/* ---- Write ------------------------------------------------------------------------------------
 */

/* Bytes of the leading batches that end below `limit`. */
static size_t size_below(struct view data, int64_t limit)
{
    size_t size = 0;
    while (data.size - size >= BATCH_HEADER_SIZE) {
        const uint8_t *batch = data.data + size;
        if (batch_length(batch) < 0 || batch_size(batch) > data.size - size ||
            batch_last_offset(batch) >= limit)
            break;
        size += batch_size(batch);
    }
    return size;
}

/* Whether a whole batch with a right checksum begins at `position`; *first gets a copy of its head.
 */
static enum storage_status has_valid_batch(const struct journal_replay *replay,
                                           struct storage storage, uint64_t position,
                                           uint8_t head[BATCH_HEADER_SIZE], bool *is_valid)
{
    size_t read_size;
    *is_valid = false;
    enum storage_status status =
        storage_run_read(storage, replay->file, position, head, BATCH_HEADER_SIZE, &read_size);
    if (status != STORAGE_OK || read_size < BATCH_HEADER_SIZE || batch_magic(head) != 2 ||
        batch_length(head) < BATCH_HEADER_SIZE - 12)
        return status;
    size_t size = batch_size(head);
    if (size > EXISTING_BATCH_SIZE_MAX || position + size > replay->file_size)
        return STORAGE_OK;
    uint8_t *batch = heap_must_get(replay->heap, MEMORY_SCRATCH, size);
    status = storage_run_read(storage, replay->file, position, batch, size, &read_size);
    if (status == STORAGE_OK && read_size == size)
        *is_valid = crc32c(0, batch + BATCH_CRC_START, size - BATCH_CRC_START) == batch_crc(batch);
    heap_put(replay->heap, MEMORY_SCRATCH, batch, size);
    return status;
}

/* Whether the file has exactly these bytes there already. */
static enum storage_status is_present(const struct journal_replay *replay, struct storage storage,
                                      uint64_t position, struct view data, bool *present)
{
    size_t read_size = 0;
    *present = false;
    if (position + data.size > replay->file_size)
        return STORAGE_OK;
    uint8_t *there = heap_must_get(replay->heap, MEMORY_SCRATCH, data.size);
    enum storage_status status =
        storage_run_read(storage, replay->file, position, there, data.size, &read_size);
    *present = status == STORAGE_OK && view_equal(view_of(there, read_size), data);
    heap_put(replay->heap, MEMORY_SCRATCH, there, data.size);
    return status;
}

static enum storage_status put_data(struct journal_replay *replay, struct storage storage,
                                    uint64_t position, struct view data)
{
    uint8_t head[BATCH_HEADER_SIZE];
    bool present, is_valid;
    if (position > replay->file_size) {
        replay->gap_count++;
        replay->is_blocked = true;
        return STORAGE_OK;
    }
    enum storage_status status = is_present(replay, storage, position, data, &present);
    if (status != STORAGE_OK)
        return status;
    /* What is there may be in memory only, after the end of a process: it is synced, too. */
    replay->must_sync = true;
    if (present) {
        replay->present_count++;
        return STORAGE_OK;
    }
    status = has_valid_batch(replay, storage, position, head, &is_valid);
    if (status != STORAGE_OK)
        return status;
    if (is_valid && memcmp(head, data.data, BATCH_HEADER_SIZE) != 0) {
        replay->conflict_count++;
        status = storage_run_truncate(storage, replay->file, position);
        replay->file_size = position;
    }
    if (status != STORAGE_OK)
        return status;
    status = storage_run_write(storage, replay->file, position, data.data, data.size);
    if (status != STORAGE_OK)
        return status;
    if (position + data.size > replay->file_size)
        replay->file_size = position + data.size;
    replay->written_count++;
    replay->written_bytes += data.size;
    return STORAGE_OK;
}

/* Reads the bytes of an entry back from its journal and puts them into the open segment file. */
static enum storage_status put_item(struct journal_replay *replay, struct storage storage,
                                    const struct journal_item *item)
{
    struct storage_file *source = NULL;
    size_t read_size = 0;
    size_t size = item->entry.size;
    enum storage_status status = storage_run_open(storage, replay->sources[item->source].path.text,
                                                  STORAGE_FLAG_READ, &source, NULL);
    if (status != STORAGE_OK)
        return status;
    uint8_t *bytes = heap_must_get(replay->heap, MEMORY_SCRATCH, size);
    status = storage_run_read(storage, source, item->source_position, bytes, size, &read_size);
    storage_run_close(storage, source);
    if (status == STORAGE_OK && read_size != size)
        status = STORAGE_IO;
    if (status == STORAGE_OK) {
        struct view data = view_of(bytes, size);
        if (item->limit != INT64_MAX)
            data.size = size_below(data, item->limit);
        if (data.size >= BATCH_HEADER_SIZE)
            status = put_data(replay, storage, item->entry.position, data);
    }
    heap_put(replay->heap, MEMORY_SCRATCH, bytes, size);
    return status;
}

/* Opens the segment file of an item; a missing one was deleted and is left alone. */
static enum storage_status open_segment(struct journal_replay *replay, struct storage storage,
                                        const struct journal_item *item)
{
    struct log_path directory, path;
    const char *name = replay->found->entries[item->partition].name;
    if (!log_path_join(&directory, replay->found->path.text, name) ||
        !log_path_of_offset(&path, directory.text, item->entry.segment_base, ".log"))
        return STORAGE_LIMIT;
    replay->must_sync = false;
    enum storage_status status =
        storage_run_open(storage, path.text, STORAGE_FLAG_READ | STORAGE_FLAG_WRITE, &replay->file,
                         &replay->file_size);
    return status == STORAGE_NOT_FOUND ? STORAGE_OK : status;
}

static enum storage_status close_segment(struct journal_replay *replay, struct storage storage)
{
    enum storage_status status = STORAGE_OK;
    if (!replay->file)
        return STORAGE_OK;
    if (replay->must_sync)
        status = storage_run_sync(storage, replay->file);
    enum storage_status closed = storage_run_close(storage, replay->file);
    replay->file = NULL;
    return status == STORAGE_OK ? closed : status;
}

static enum storage_status write_items(struct journal_replay *replay, struct storage storage)
{
    enum storage_status status = STORAGE_OK;
    for (int i = 0; i < ITEMS_PER_STEP && replay->next_item < replay->item_count; i++) {
        const struct journal_item *item = &replay->items[replay->next_item];
        const struct journal_item *before = replay->next_item > 0 ? item - 1 : NULL;
        if (!before || before->partition != item->partition ||
            before->entry.segment_base != item->entry.segment_base) {
            status = close_segment(replay, storage);
            if (status == STORAGE_OK)
                status = open_segment(replay, storage, item);
        }
        if (!before || before->partition != item->partition)
            replay->is_blocked = false;
        if (status == STORAGE_OK && !item->is_void && !replay->is_blocked && replay->file)
            status = put_item(replay, storage, item);
        if (status != STORAGE_OK)
            return status;
        replay->next_item++;
    }
    if (replay->next_item == replay->item_count)
        status = close_segment(replay, storage);
    return status;
}

/* ---- Remove -----------------------------------------------------------------------------------
 */

static enum storage_status remove_sources(struct journal_replay *replay, struct storage storage)
{
    for (size_t i = 0; i < replay->source_count; i++) {
        enum storage_status status =
            storage_run_path(storage, STORAGE_UNLINK, replay->sources[i].path.text, NULL);
        if (status == STORAGE_OK)
            status =
                storage_run_path(storage, STORAGE_SYNC_DIRECTORY, replay->found->path.text, NULL);
        if (status != STORAGE_OK && status != STORAGE_NOT_FOUND)
            return status;
    }
    return STORAGE_OK;
}

/* ---- The steps --------------------------------------------------------------------------------
 */

static enum storage_status step_find(struct journal_replay *replay,
                                     const struct job_context *context)
{
    enum storage_status status = find_sources(replay, context);
    /* After a clean stop everything is in the files; a leftover only needs to go. */
    replay->phase = replay->found->is_clean ? REPLAY_REMOVE : REPLAY_SCAN;
    return status;
}

enum storage_status journal_replay_step(struct journal_replay *replay,
                                        const struct job_context *context, bool *is_finished)
{
    enum storage_status status = STORAGE_OK;
    *is_finished = false;
    switch ((enum replay_phase)replay->phase) {
    case REPLAY_FIND:
        status = step_find(replay, context);
        *is_finished = status == STORAGE_OK && replay->source_count == 0;
        break;
    case REPLAY_SCAN:
        status = scan_source(replay, context);
        if (++replay->next_source == replay->source_count)
            replay->phase = REPLAY_JUDGE;
        break;
    case REPLAY_JUDGE:
        status = judge(replay);
        replay->phase = REPLAY_WRITE;
        break;
    case REPLAY_WRITE:
        status = write_items(replay, context->storage);
        if (replay->next_item == replay->item_count)
            replay->phase = REPLAY_REMOVE;
        break;
    case REPLAY_REMOVE:
        status = remove_sources(replay, context->storage);
        *is_finished = status == STORAGE_OK;
        break;
    }
    return status;
}

void journal_replay_release(struct journal_replay *replay, const struct job_context *context)
{
    if (replay->file)
        storage_run_close(context->storage, replay->file);
    replay->file = NULL;
    heap_put(replay->heap, MEMORY_SCRATCH, replay->items,
             replay->item_capacity * sizeof(*replay->items));
    heap_put(replay->heap, MEMORY_SCRATCH, replay->sources,
             replay->source_count * sizeof(*replay->sources));
    replay->items = NULL;
    replay->sources = NULL;
    replay->item_count = 0;
    replay->source_count = 0;
}
