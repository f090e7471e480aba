/*
 * How it works.
 *
 * Appends that somebody waits for are copied into the round that is being filled. At the end of a
 * turn, when no round is on its way, the round is written at the end of the journal file and
 * synced; its partitions are durable then. With few partitions in it the round is given back
 * instead, and their files are synced: one file sync costs no more than one journal sync, and the
 * data is not written twice.
 *
 * Per partition the journal has a chain of appends, each beginning where the one before ended. What
 * is durable of the chain counts as soon as everything before its start is durable.
 *
 * Files: the first is begun by the first round with enough partitions (that round is given back
 * meanwhile). A full file is replaced by the next, and goes when the partitions that have appends
 * in it are synced in their own files, which is asked for at once. Without space the file is given
 * up in the same way and the journal rests until it is gone.
 */
#include "log/journal.h"

#include "base/assert.h"

#define JOURNAL_RETRY_NS UINT64_C(10000000000)

#define JOURNAL_RECENT_NS UINT64_C(1000000)

#define NO_RECORD UINT32_MAX

enum { ROUND_SIZE_MAX = 4 * 1024 * 1024, RECORDS_FIRST = 64, ROUND_SIZE_FIRST = 64 * 1024 };

/* What a round has of one partition. */
struct journal_record {
    struct commit_partition *partition; /* NULL: it is gone */
    int64_t start;                      /* of its chain; -1: only a cut, no data */
    int64_t end;
    uint32_t generation;
};

struct journal_round {
    uint8_t *data;
    size_t size;
    size_t capacity;
    struct journal_record *records;
    uint32_t record_count;
    uint32_t record_capacity;
    bool is_forced; /* has a cut: it must be written */
    uint64_t number;
};

enum journal_file_step {
    FILE_NONE,
    FILE_OPENING,
    FILE_WRITING_HEAD,
    FILE_SYNCING_HEAD,
    FILE_SYNCING_NAME,
    FILE_READY,
    FILE_WAITING, /* on its way out, until its partitions are synced */
    FILE_CLOSING,
    FILE_UNLINKING,
    FILE_SYNCING_REMOVAL,
};

struct journal_file {
    struct journal *journal;
    enum journal_file_step step;
    struct storage_file *file;
    struct log_path path;
    uint64_t number;
    uint64_t size;
    uint8_t head[JOURNAL_HEAD_SIZE];
    struct storage_buffer head_buffer;
    struct storage_request request;
};

struct journal {
    struct committer *committer;
    struct journal_round rounds[2];
    unsigned filling; /* which of them; the other one is on its way or empty */
    bool is_writing;  /* the other round is on its way */
    uint64_t durable_round;
    struct storage_request round_request;
    struct storage_buffer round_buffer;
    struct journal_file files[2];
    unsigned current;       /* the file that rounds go to; the other one comes or goes */
    uint32_t closing_count; /* partitions that still need the file in FILE_WAITING */
    uint64_t last_number;
    bool is_resting;   /* the current file is given up; no rounds until it is gone */
    uint64_t retry_ns; /* no new file before */
    /* The last round, while it is recent: how busy it is. */
    uint32_t last_count;
    uint64_t last_ns;
    bool must_stay; /* a partition left without being synced: the files are needed at the start */
    bool is_stopping;
};

static struct journal_file *current_file(struct journal *journal)
{
    return &journal->files[journal->current];
}

static struct journal_file *other_file(struct journal *journal)
{
    return &journal->files[1 - journal->current];
}

static struct journal_round *filling_round(struct journal *journal)
{
    return &journal->rounds[journal->filling];
}

struct journal *journal_create(struct committer *committer)
{
    struct journal *journal = heap_must_get(committer->loop->heap, MEMORY_STATE, sizeof(*journal));
    journal->committer = committer;
    journal->rounds[0].number = 1;
    journal->files[0].journal = journal;
    journal->files[1].journal = journal;
    return journal;
}

void journal_destroy(struct journal *journal)
{
    struct heap *heap = journal->committer->loop->heap;
    for (int i = 0; i < 2; i++) {
        struct journal_round *round = &journal->rounds[i];
        heap_put(heap, MEMORY_STATE, round->data, round->capacity);
        heap_put(heap, MEMORY_STATE, round->records,
                 round->record_capacity * sizeof(*round->records));
    }
    heap_put(heap, MEMORY_STATE, journal, sizeof(*journal));
}

/* ---- Filling ----------------------------------------------------------------------------------
 */

/* Room for `size` more bytes; doubles, so that filling costs a copy per byte at most. */
static uint8_t *reserve_bytes(struct journal *journal, struct journal_round *round, size_t size)
{
    struct heap *heap = journal->committer->loop->heap;
    if (round->size + size > round->capacity) {
        size_t capacity = round->capacity ? round->capacity : ROUND_SIZE_FIRST;
        while (capacity < round->size + size)
            capacity *= 2;
        uint8_t *data = heap_must_get(heap, MEMORY_STATE, capacity);
        if (round->size > 0)
            memcpy(data, round->data, round->size);
        heap_put(heap, MEMORY_STATE, round->data, round->capacity);
        round->data = data;
        round->capacity = capacity;
    }
    uint8_t *place = round->data + round->size;
    round->size += size;
    return place;
}

static struct journal_record *add_record(struct journal *journal, struct journal_round *round)
{
    struct heap *heap = journal->committer->loop->heap;
    if (round->record_count == round->record_capacity) {
        uint32_t capacity = round->record_capacity ? round->record_capacity * 2 : RECORDS_FIRST;
        struct journal_record *records =
            heap_must_get(heap, MEMORY_STATE, capacity * sizeof(*records));
        if (round->record_count > 0)
            memcpy(records, round->records, round->record_count * sizeof(*records));
        heap_put(heap, MEMORY_STATE, round->records,
                 round->record_capacity * sizeof(*round->records));
        round->records = records;
        round->record_capacity = capacity;
    }
    return &round->records[round->record_count++];
}

/* Continues the partition's record of this round, or adds one. */
static void note_append(struct journal *journal, struct commit_partition *partition)
{
    struct journal_round *round = filling_round(journal);
    if (partition->journal_round == round->number && partition->journal_record != NO_RECORD) {
        struct journal_record *last = &round->records[partition->journal_record];
        if (last->start == partition->journal_start) {
            last->end = partition->journal_written;
            return;
        }
    }
    partition->journal_round = round->number;
    partition->journal_record = round->record_count;
    *add_record(journal, round) = (struct journal_record){
        .partition = partition,
        .start = partition->journal_start,
        .end = partition->journal_written,
        .generation = partition->generation,
    };
}

bool journal_take_append(struct journal *journal, struct commit_partition *partition,
                         const struct commit_file *file, int64_t start, int64_t end,
                         uint64_t position, const struct storage_buffer *buffers,
                         size_t buffer_count, size_t size)
{
    struct committer *committer = journal->committer;
    struct journal_round *round = filling_round(journal);
    if (!partition->is_waited_for || size == 0 || size >= committer->options.journal_append_max ||
        round->size + JOURNAL_ENTRY_HEAD_SIZE + size > ROUND_SIZE_MAX ||
        file->is_directory_unsynced || journal->is_resting || committer->failure != STORAGE_OK)
        return false;
    if (partition->journal_written != start || partition->journal_written == 0) {
        partition->journal_start = start;
        partition->journal_end = start;
    }
    partition->journal_written = end;
    struct journal_entry entry = {
        .kind = JOURNAL_DATA,
        .partition = partition->partition,
        .topic_id = partition->topic_id,
        .segment_base = file->segment_base,
        .position = position,
        .start = start,
        .end = end,
        .size = (uint32_t)size,
    };
    uint8_t *place = reserve_bytes(journal, round, JOURNAL_ENTRY_HEAD_SIZE + size);
    uint8_t *to = place + JOURNAL_ENTRY_HEAD_SIZE;
    for (size_t i = 0; i < buffer_count; i++) {
        if (buffers[i].size > 0)
            memcpy(to, buffers[i].data, buffers[i].size);
        to += buffers[i].size;
    }
    klamm_assert(to == place + JOURNAL_ENTRY_HEAD_SIZE + size);
    journal_entry_seal(&entry, place);
    note_append(journal, partition);
    committer->counters.journal_entries++;
    committer_wake(committer);
    return true;
}

/* Whether any file that still exists may hold entries of the partition. */
static bool is_in_files(const struct journal *journal, const struct commit_partition *partition)
{
    for (int i = 0; i < 2; i++) {
        const struct journal_file *file = &journal->files[i];
        if (file->step >= FILE_READY && partition->journal_file >= file->number &&
            partition->journal_file != 0)
            return true;
    }
    return false;
}

/* The partition has data in a round that is not durable yet. */
static bool is_in_rounds(const struct journal *journal, const struct commit_partition *partition)
{
    return partition->journal_round > journal->durable_round;
}

static void drop_closing(struct journal *journal, struct commit_partition *partition)
{
    if (partition->journal_closing_end == 0)
        return;
    partition->journal_closing_end = 0;
    klamm_assert(journal->closing_count > 0);
    journal->closing_count--;
    committer_wake(journal->committer);
}

void journal_take_cut(struct journal *journal, struct commit_partition *partition,
                      enum journal_kind kind, int64_t offset)
{
    if (kind == JOURNAL_CUT || kind == JOURNAL_DELETED) {
        /* Nothing of the old chain may count; the next append begins a new one. */
        partition->journal_start = 0;
        partition->journal_end = 0;
        partition->journal_written = 0;
        /* Only what lies below the cut still needs to be synced before an old file goes. */
        if (offset == 0)
            drop_closing(journal, partition);
        else if (partition->journal_closing_end > offset)
            partition->journal_closing_end = offset;
    }
    if (!is_in_files(journal, partition) && !is_in_rounds(journal, partition))
        return;
    struct journal_round *round = filling_round(journal);
    struct journal_entry entry = {
        .kind = kind,
        .partition = partition->partition,
        .topic_id = partition->topic_id,
        .start = offset,
    };
    journal_entry_seal(&entry, reserve_bytes(journal, round, JOURNAL_ENTRY_HEAD_SIZE));
    *add_record(journal, round) = (struct journal_record){
        .partition = partition,
        .start = -1,
        .end = -1,
        .generation = partition->generation,
    };
    round->is_forced = true;
    partition->journal_round = round->number; /* the next cut has to be noted too */
    partition->journal_record = NO_RECORD;    /* the next append gets a record of its own */
    partition->journal_barrier = round->number;
    committer_wake(journal->committer);
}

/* ---- What counts ------------------------------------------------------------------------------
 */

int64_t journal_durable_end(const struct commit_partition *partition)
{
    int64_t base = partition->durable_end > partition->synced_end ? partition->durable_end
                                                                  : partition->synced_end;
    if (partition->journal_end > base && partition->journal_start <= base)
        return partition->journal_end;
    return base;
}

bool journal_covers(const struct commit_partition *partition)
{
    return partition->journal_written > partition->journal_start &&
           partition->journal_written == partition->written_end;
}

bool journal_is_barrier_durable(const struct commit_partition *partition)
{
    const struct journal *journal = partition->committer->journal;
    return !journal || partition->journal_barrier <= journal->durable_round;
}

void journal_release_synced(struct journal *journal, struct commit_partition *partition)
{
    if (partition->journal_closing_end > 0 &&
        partition->synced_end >= partition->journal_closing_end)
        drop_closing(journal, partition);
}

void journal_remove_partition(struct journal *journal, struct commit_partition *partition,
                              bool is_deleted)
{
    if (is_deleted)
        journal_take_cut(journal, partition, JOURNAL_DELETED, 0);
    else if (partition->synced_end < partition->written_end)
        journal->must_stay = true;
    for (int r = 0; r < 2; r++) {
        for (uint32_t i = 0; i < journal->rounds[r].record_count; i++) {
            if (journal->rounds[r].records[i].partition == partition)
                journal->rounds[r].records[i].partition = NULL;
        }
    }
    drop_closing(journal, partition);
}

/* ---- Rounds -----------------------------------------------------------------------------------
 */

static void clear_round(struct journal *journal, struct journal_round *round)
{
    /* A burst's memory is not kept for ever. */
    if (round->capacity > ROUND_SIZE_MAX / 4) {
        heap_put(journal->committer->loop->heap, MEMORY_STATE, round->data, round->capacity);
        round->data = NULL;
        round->capacity = 0;
    }
    round->size = 0;
    round->record_count = 0;
    round->is_forced = false;
}

static bool is_current(const struct journal_record *record)
{
    return record->partition && record->generation == record->partition->generation;
}

/* The round's partitions sync their files instead; cuts in it count as written. */
static void give_back(struct journal *journal, struct journal_round *round)
{
    for (uint32_t i = 0; i < round->record_count; i++) {
        struct journal_record *record = &round->records[i];
        if (!is_current(record))
            continue;
        record->partition->journal_written = 0;
        record->partition->journal_round = 0;
        committer_want_sync(record->partition);
    }
    clear_round(journal, round);
}

static void finish_round(struct journal *journal)
{
    struct journal_round *round = &journal->rounds[1 - journal->filling];
    journal->is_writing = false;
    journal->durable_round = round->number;
    journal->last_count = round->record_count;
    journal->last_ns = journal->committer->loop->now_ns;
    for (uint32_t i = 0; i < round->record_count; i++) {
        struct journal_record *record = &round->records[i];
        struct commit_partition *partition = record->partition;
        if (!is_current(record))
            continue;
        if (record->start >= 0 && partition->journal_start == record->start)
            partition->journal_end = record->end;
        committer_update_ends(partition);
    }
    clear_round(journal, round);
    committer_wake(journal->committer);
}

/* The device is full: the file is given up; what it holds goes to the partitions' own files. */
static void rest(struct journal *journal)
{
    struct journal_round *round = &journal->rounds[1 - journal->filling];
    journal->is_writing = false;
    journal->is_resting = true;
    /* A cut that could not be written holds its partition back until the files are gone. */
    give_back(journal, round);
    give_back(journal, filling_round(journal));
    committer_wake(journal->committer);
}

static void round_synced(struct storage_request *request)
{
    struct journal *journal = container_of(request, struct journal, round_request);
    if (request->status != STORAGE_OK) {
        journal->is_writing = false;
        committer_fail(journal->committer, request->status);
        return;
    }
    finish_round(journal);
}

static void round_written(struct storage_request *request)
{
    struct journal *journal = container_of(request, struct journal, round_request);
    struct journal_file *file = current_file(journal);
    if (request->status == STORAGE_NO_SPACE) {
        rest(journal);
        return;
    }
    if (request->status != STORAGE_OK) {
        journal->is_writing = false;
        committer_fail(journal->committer, request->status);
        return;
    }
    file->size += journal->round_buffer.size;
    journal->round_request = (struct storage_request){
        .operation = STORAGE_SYNC, .file = file->file, .done = round_synced};
    storage_submit(journal->committer->loop->storage, &journal->round_request);
}

/* From here on the partitions of the round are in the current file. */
static void mark_files(struct journal *journal, const struct journal_round *round)
{
    uint64_t number = current_file(journal)->number;
    for (uint32_t i = 0; i < round->record_count; i++) {
        if (round->records[i].partition && round->records[i].start >= 0)
            round->records[i].partition->journal_file = number;
    }
}

static void write_round(struct journal *journal)
{
    struct committer *committer = journal->committer;
    struct journal_round *round = filling_round(journal);
    mark_files(journal, round);
    journal->filling = 1 - journal->filling;
    filling_round(journal)->number = round->number + 1;
    journal->is_writing = true;
    journal->round_buffer = (struct storage_buffer){round->data, round->size};
    journal->round_request = (struct storage_request){.done = round_written};
    committer->counters.journal_rounds++;
    committer->counters.journal_bytes += round->size;
    enum storage_status status =
        storage_append(committer->loop->storage, current_file(journal)->file,
                       &journal->round_buffer, 1, &journal->round_request);
    if (status == STORAGE_PENDING)
        return;
    journal->round_request.status = status;
    round_written(&journal->round_request);
}

/* ---- Files ------------------------------------------------------------------------------------
 */

static void submit(struct journal_file *file, enum journal_file_step step,
                   struct storage_request request);

static void begin_removal(struct journal_file *file)
{
    submit(file, FILE_CLOSING,
           (struct storage_request){.operation = STORAGE_CLOSE, .file = file->file});
}

/* A new file could not be made: no harm, files are synced one by one for a while. */
static void give_up_file(struct journal_file *file)
{
    struct journal *journal = file->journal;
    struct loop *loop = journal->committer->loop;
    log_warn(loop->diagnostics, "journal %s cannot be made: %s; files are synced one by one",
             file->path.text, storage_status_text(file->request.status));
    journal->retry_ns = loop->now_ns + JOURNAL_RETRY_NS;
    if (file->file)
        begin_removal(file);
    else
        file->step = FILE_NONE;
}

/* The new file takes over; the old one goes when its partitions are synced. */
static void take_over(struct journal *journal)
{
    struct journal_file *old = current_file(journal);
    if (old->step != FILE_READY) {
        journal->current = 1 - journal->current;
        return;
    }
    old->step = FILE_WAITING;
    list_for_each(link, &journal->committer->partitions)
    {
        struct commit_partition *partition = container_of(link, struct commit_partition, link);
        if (partition->journal_file != old->number ||
            partition->synced_end >= partition->written_end)
            continue;
        partition->journal_closing_end = partition->written_end;
        journal->closing_count++;
        committer_want_flush(partition);
    }
    journal->current = 1 - journal->current;
}

static void step_failed(struct journal_file *file)
{
    struct committer *committer = file->journal->committer;
    enum storage_status status = file->request.status;
    if (file->step >= FILE_CLOSING) {
        file->step = FILE_NONE;
        committer_fail(committer, status);
        return;
    }
    if (status == STORAGE_IO || status == STORAGE_POISONED)
        committer_fail(committer, status);
    give_up_file(file);
}

static void file_step_done(struct storage_request *request)
{
    struct journal_file *file = container_of(request, struct journal_file, request);
    struct journal *journal = file->journal;
    if (request->status == STORAGE_NOT_FOUND && file->step == FILE_UNLINKING)
        request->status = STORAGE_OK;
    if (request->status != STORAGE_OK) {
        step_failed(file);
        committer_wake(journal->committer);
        return;
    }
    switch (file->step) {
    case FILE_OPENING:
        file->file = request->file;
        journal_head_encode(file->head, journal->committer->loop->index, file->number);
        file->head_buffer = (struct storage_buffer){file->head, sizeof(file->head)};
        file->size = sizeof(file->head);
        submit(file, FILE_WRITING_HEAD,
               (struct storage_request){.operation = STORAGE_WRITE,
                                        .file = file->file,
                                        .buffers = &file->head_buffer,
                                        .buffer_count = 1});
        return;
    case FILE_WRITING_HEAD:
        submit(file, FILE_SYNCING_HEAD,
               (struct storage_request){.operation = STORAGE_SYNC, .file = file->file});
        return;
    case FILE_SYNCING_HEAD:
        submit(file, FILE_SYNCING_NAME,
               (struct storage_request){.operation = STORAGE_SYNC_DIRECTORY,
                                        .path = journal->committer->directory});
        return;
    case FILE_SYNCING_NAME:
        file->step = FILE_READY;
        break;
    case FILE_CLOSING:
        file->file = NULL;
        if (journal->must_stay) {
            file->step = FILE_NONE;
            break;
        }
        submit(file, FILE_UNLINKING,
               (struct storage_request){.operation = STORAGE_UNLINK, .path = file->path.text});
        return;
    case FILE_UNLINKING:
        submit(file, FILE_SYNCING_REMOVAL,
               (struct storage_request){.operation = STORAGE_SYNC_DIRECTORY,
                                        .path = journal->committer->directory});
        return;
    case FILE_SYNCING_REMOVAL:
        file->step = FILE_NONE;
        break;
    case FILE_NONE:
    case FILE_READY:
    case FILE_WAITING:
        klamm_unreachable("a journal file without request");
    }
    committer_wake(journal->committer);
}

static void submit(struct journal_file *file, enum journal_file_step step,
                   struct storage_request request)
{
    file->step = step;
    file->request = request;
    file->request.done = file_step_done;
    storage_submit(file->journal->committer->loop->storage, &file->request);
}

static void begin_file(struct journal *journal, struct journal_file *file)
{
    char name[LOG_FILE_NAME_MAX + 1];
    struct committer *committer = journal->committer;
    file->number = ++journal->last_number;
    journal_name_format(name, committer->loop->index, file->number);
    if (!log_path_join(&file->path, committer->directory, name)) {
        journal->is_resting = true;
        return;
    }
    submit(file, FILE_OPENING,
           (struct storage_request){.operation = STORAGE_OPEN,
                                    .path = file->path.text,
                                    .flags = STORAGE_FLAG_READ | STORAGE_FLAG_WRITE |
                                             STORAGE_FLAG_CREATE | STORAGE_FLAG_EXCLUSIVE});
}

static bool may_begin(const struct journal *journal)
{
    return !journal->is_resting && !journal->is_stopping &&
           journal->committer->loop->now_ns >= journal->retry_ns;
}

/* Both files are gone after a full disk: what was held back by a cut is free. */
static void end_rest(struct journal *journal)
{
    journal->is_resting = false;
    journal->retry_ns = journal->committer->loop->now_ns + JOURNAL_RETRY_NS;
    journal->durable_round = filling_round(journal)->number - 1;
    list_for_each(link, &journal->committer->partitions)
        committer_update_ends(container_of(link, struct commit_partition, link));
}

/* Begins, takes over and removes files, as far as that is due. */
static void run_files(struct journal *journal)
{
    if (!journal->is_writing &&
        (other_file(journal)->step == FILE_READY ||
         (journal->is_resting && current_file(journal)->step == FILE_READY &&
          other_file(journal)->step == FILE_NONE)))
        take_over(journal);
    struct journal_file *now = current_file(journal);
    struct journal_file *other = other_file(journal);
    if (other->step == FILE_WAITING && journal->closing_count == 0)
        begin_removal(other);
    if (journal->is_resting && now->step == FILE_NONE && other->step == FILE_NONE)
        end_rest(journal);
    if (now->step == FILE_READY && other->step == FILE_NONE &&
        now->size >= journal->committer->options.journal_file_size && may_begin(journal))
        begin_file(journal, other);
}

/*
 * Whether enough partitions wait at about the same time: in this round, in file syncs that are on
 * their way, in the round that has just ended.
 */
static bool is_busy(const struct journal *journal, const struct journal_round *round)
{
    const struct committer *committer = journal->committer;
    uint32_t count = round->record_count + committer_waiting_syncs(committer, round->number);
    if (committer->loop->now_ns - journal->last_ns <= JOURNAL_RECENT_NS)
        count += journal->last_count;
    return count >= committer->options.journal_partitions_min;
}

void journal_run(struct journal *journal)
{
    struct journal_round *round = filling_round(journal);
    run_files(journal);
    if (journal->is_writing || round->record_count == 0)
        return;
    struct journal_file *file = current_file(journal);
    bool is_worth = is_busy(journal, round);
    if (file->step == FILE_READY && !journal->is_resting && (is_worth || round->is_forced)) {
        write_round(journal);
        return;
    }
    if (file->step == FILE_NONE && is_worth && may_begin(journal))
        begin_file(journal, file);
    give_back(journal, round);
    /* While a file is given up, a cut that it does not know holds its partition back. */
    if (!journal->is_resting)
        journal->durable_round = round->number;
    round->number++;
}

bool journal_stop(struct journal *journal)
{
    journal->is_stopping = true;
    if (journal->committer->failure != STORAGE_OK)
        journal->must_stay = true;
    if (journal->is_writing)
        return false;
    /* The older file first; each is gone before the next one goes. */
    struct journal_file *files[2] = {other_file(journal), current_file(journal)};
    for (int i = 0; i < 2; i++) {
        if (files[i]->step == FILE_READY || files[i]->step == FILE_WAITING)
            begin_removal(files[i]);
        if (files[i]->step != FILE_NONE)
            return false;
    }
    return true;
}
