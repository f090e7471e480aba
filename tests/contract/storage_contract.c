/*
 * Promises of runtime/storage.h. Most cases are one job step, where the calls are in blocking form;
 * the last ones submit on a loop.
 */
#include <stdio.h>
#include <string.h>

#include "tests/contract/contract.h"

enum {
    READ_WRITE = STORAGE_FLAG_READ | STORAGE_FLAG_WRITE,
    CREATE = READ_WRITE | STORAGE_FLAG_CREATE
};

/* ---- Cases as jobs ---- */

static void path_in(const struct contract *contract, const char *name, char path[256])
{
    snprintf(path, 256, "%s/%s", contract->directory, name);
}

static void job_ended(struct job *job)
{
    contract_end(container_of(job, struct contract, job), job->loop);
}

static void start_job(struct contract *contract, enum job_class job_class,
                      enum job_progress (*step)(struct job *, const struct job_context *))
{
    contract->job = (struct job){.step = step, .done = job_ended, .job_class = job_class};
    loop_start_job(contract->loops[0], &contract->job);
}

#define JOB_CASE(name) JOB_CASE_OF(name, JOB_DEVICE)
#define JOB_CASE_OF(name, job_class)                                                               \
    static void name##_body(struct contract *contract, const struct job_context *context);         \
    static enum job_progress name##_step(struct job *job, const struct job_context *context)       \
    {                                                                                              \
        name##_body(container_of(job, struct contract, job), context);                             \
        return JOB_FINISHED;                                                                       \
    }                                                                                              \
    static void name(struct contract *contract)                                                    \
    {                                                                                              \
        start_job(contract, job_class, name##_step);                                               \
    }                                                                                              \
    static void name##_body(struct contract *contract, const struct job_context *context)

JOB_CASE(written_bytes_are_read_back)
{
    char path[256];
    path_in(contract, "file", path);
    struct storage storage = context->storage;
    struct storage_file *file;
    uint64_t size = 99;
    CHECK(contract, storage_run_open(storage, path, CREATE, &file, &size) == STORAGE_OK);
    CHECK(contract, size == 0);
    char first[] = "hello ", second[] = "world";
    struct storage_buffer buffers[] = {{first, 6}, {NULL, 0}, {second, 5}};
    CHECK(contract, storage_append(storage, file, buffers, 3, NULL) == STORAGE_OK);
    CHECK(contract, storage_size(storage, file) == 11);
    char data[32];
    size_t read_size;
    CHECK(contract,
          storage_run_read(storage, file, 0, data, sizeof(data), &read_size) == STORAGE_OK);
    CHECK(contract, read_size == 11 && memcmp(data, "hello world", 11) == 0);
    CHECK(contract, storage_run_read(storage, file, 11, data, 1, &read_size) == STORAGE_OK);
    CHECK(contract, read_size == 0);
    CHECK(contract, storage_run_read(storage, file, 500, data, 1, &read_size) == STORAGE_OK);
    CHECK(contract, read_size == 0);
    CHECK(contract, storage_run_write(storage, file, 6, "there", 5) == STORAGE_OK);
    CHECK(contract, storage_size(storage, file) == 11);
    CHECK(contract, storage_run_write(storage, file, 20, "x", 1) == STORAGE_OK);
    CHECK(contract, storage_size(storage, file) == 21);
    CHECK(contract, storage_run_read(storage, file, 6, data, 15, &read_size) == STORAGE_OK);
    CHECK(contract, read_size == 15 && memcmp(data, "there\0\0\0\0\0\0\0\0\0x", 15) == 0);
    CHECK(contract, storage_run_sync(storage, file) == STORAGE_OK);
    CHECK(contract, storage_run_close(storage, file) == STORAGE_OK);
    CHECK(contract, storage_run_open(storage, path, READ_WRITE, &file, &size) == STORAGE_OK);
    CHECK(contract, size == 21);
    CHECK(contract, storage_run_close(storage, file) == STORAGE_OK);
}

enum { LARGE = 1024 * 1024 + 5 };

/* runtime/job.h 4: what such a job moves may go in pieces, which it must not notice. */
JOB_CASE_OF(a_background_job_moves_large_buffers_whole, JOB_BACKGROUND)
{
    char path[256];
    path_in(contract, "file", path);
    struct storage storage = context->storage;
    struct storage_file *file;
    uint8_t *data = heap_must_get(context->heap, MEMORY_SCRATCH, LARGE);
    for (uint32_t i = 0; i < LARGE; i++) {
        data[i] = (uint8_t)(i * 7 + (i >> 12));
        if (i % 4096 == 0)
            job_give_way(context->pace);
    }
    CHECK(contract, storage_run_open(storage, path, CREATE, &file, NULL) == STORAGE_OK);
    CHECK(contract, storage_run_write(storage, file, 3, data, LARGE) == STORAGE_OK);
    CHECK(contract, storage_size(storage, file) == LARGE + 3);
    uint8_t *read = heap_must_get(context->heap, MEMORY_SCRATCH, LARGE);
    size_t size = 0;
    CHECK(contract, storage_run_read(storage, file, 3, read, LARGE, &size) == STORAGE_OK);
    CHECK(contract, size == LARGE && memcmp(read, data, LARGE) == 0);
    CHECK(contract, storage_run_read(storage, file, 1003, read, LARGE, &size) == STORAGE_OK);
    CHECK(contract, size == LARGE - 1000 && memcmp(read, data + 1000, size) == 0);
    CHECK(contract, storage_run_read(storage, file, LARGE + 3, read, LARGE, &size) == STORAGE_OK);
    CHECK(contract, size == 0);
    CHECK(contract, storage_run_sync(storage, file) == STORAGE_OK);
    CHECK(contract, storage_run_close(storage, file) == STORAGE_OK);
    heap_put(context->heap, MEMORY_SCRATCH, read, LARGE);
    heap_put(context->heap, MEMORY_SCRATCH, data, LARGE);
}

JOB_CASE(read_now_gives_all_or_says_why)
{
    char path[256];
    path_in(contract, "file", path);
    struct storage storage = context->storage;
    struct storage_file *file;
    CHECK(contract, storage_run_open(storage, path, CREATE, &file, NULL) == STORAGE_OK);
    CHECK(contract, storage_run_write(storage, file, 0, "0123456789", 10) == STORAGE_OK);
    char data[10];
    enum storage_status status = storage_read_now(storage, file, 2, data, 8);
    CHECK(contract, status == STORAGE_OK || status == STORAGE_NOT_RESIDENT);
    CHECK(contract, status != STORAGE_OK || memcmp(data, "23456789", 8) == 0);
    CHECK(contract, storage_read_now(storage, file, 3, data, 8) == STORAGE_IO);
    CHECK(contract, storage_read_now(storage, file, 11, data, 1) == STORAGE_IO);
    CHECK(contract, storage_run_close(storage, file) == STORAGE_OK);
}

JOB_CASE(truncate_cuts_and_extends_with_zeros)
{
    char path[256];
    path_in(contract, "file", path);
    struct storage storage = context->storage;
    struct storage_file *file;
    CHECK(contract, storage_run_open(storage, path, CREATE, &file, NULL) == STORAGE_OK);
    CHECK(contract, storage_run_write(storage, file, 0, "0123456789", 10) == STORAGE_OK);
    CHECK(contract, storage_run_truncate(storage, file, 4) == STORAGE_OK);
    CHECK(contract, storage_size(storage, file) == 4);
    CHECK(contract, storage_run_truncate(storage, file, 6) == STORAGE_OK);
    struct storage_buffer buffer = {(char[]){'x'}, 1};
    CHECK(contract, storage_append(storage, file, &buffer, 1, NULL) == STORAGE_OK);
    char data[16];
    size_t read_size;
    CHECK(contract,
          storage_run_read(storage, file, 0, data, sizeof(data), &read_size) == STORAGE_OK);
    CHECK(contract, read_size == 7 && memcmp(data, "0123\0\0x", 7) == 0);
    struct storage_request reserve = {
        .operation = STORAGE_PREALLOCATE, .file = file, .offset = 0, .size = 100000};
    CHECK(contract, storage_run(storage, &reserve) == STORAGE_OK);
    CHECK(contract, storage_size(storage, file) == 7);
    struct storage_request warm = {.operation = STORAGE_WARM, .file = file, .size = 7};
    CHECK(contract, storage_run(storage, &warm) == STORAGE_OK);
    CHECK(contract, storage_run_close(storage, file) == STORAGE_OK);
}

JOB_CASE(opening_answers_what_is_there)
{
    char path[256], below[256], directory[256];
    path_in(contract, "file", path);
    path_in(contract, "nowhere/file", below);
    path_in(contract, "directory", directory);
    struct storage storage = context->storage;
    struct storage_file *file;
    CHECK(contract, storage_run_open(storage, path, READ_WRITE, &file, NULL) == STORAGE_NOT_FOUND);
    CHECK(contract, file == NULL);
    CHECK(contract, storage_run_open(storage, below, CREATE, &file, NULL) == STORAGE_NOT_FOUND);
    CHECK(contract, storage_run_open(storage, path, CREATE | STORAGE_FLAG_EXCLUSIVE, &file, NULL) ==
                        STORAGE_OK);
    CHECK(contract, storage_run_close(storage, file) == STORAGE_OK);
    CHECK(contract, storage_run_open(storage, path, CREATE | STORAGE_FLAG_EXCLUSIVE, &file, NULL) ==
                        STORAGE_EXISTS);
    CHECK(contract,
          storage_run_path(storage, STORAGE_MAKE_DIRECTORY, directory, NULL) == STORAGE_OK);
    CHECK(contract,
          storage_run_path(storage, STORAGE_MAKE_DIRECTORY, directory, NULL) == STORAGE_EXISTS);
    CHECK(contract, storage_run_open(storage, directory, STORAGE_FLAG_READ, &file, NULL) ==
                        STORAGE_NOT_EMPTY);
    CHECK(contract, storage_run_path(storage, STORAGE_UNLINK, directory, NULL) != STORAGE_OK);
    CHECK(contract,
          storage_run_path(storage, STORAGE_MAKE_DIRECTORY, below, NULL) == STORAGE_NOT_FOUND);
}

JOB_CASE(names_move_and_open_files_stay)
{
    char old_path[256], new_path[256], directory[256];
    path_in(contract, "old", old_path);
    path_in(contract, "new", new_path);
    path_in(contract, "directory", directory);
    struct storage storage = context->storage;
    struct storage_file *file, *replaced;
    CHECK(contract, storage_run_open(storage, old_path, CREATE, &file, NULL) == STORAGE_OK);
    CHECK(contract, storage_run_write(storage, file, 0, "old", 3) == STORAGE_OK);
    CHECK(contract, storage_run_open(storage, new_path, CREATE, &replaced, NULL) == STORAGE_OK);
    CHECK(contract, storage_run_write(storage, replaced, 0, "replaced", 8) == STORAGE_OK);
    CHECK(contract, storage_run_path(storage, STORAGE_RENAME, old_path, new_path) == STORAGE_OK);
    CHECK(contract,
          storage_run_path(storage, STORAGE_RENAME, old_path, new_path) == STORAGE_NOT_FOUND);
    char data[16];
    size_t read_size;
    CHECK(contract,
          storage_run_read(storage, replaced, 0, data, sizeof(data), &read_size) == STORAGE_OK);
    CHECK(contract, read_size == 8 && memcmp(data, "replaced", 8) == 0);
    struct storage_request stat = {.operation = STORAGE_STAT, .path = new_path};
    CHECK(contract, storage_run(storage, &stat) == STORAGE_OK);
    CHECK(contract, stat.result_size == 3 && !stat.result_is_directory);
    CHECK(contract, storage_run_path(storage, STORAGE_UNLINK, new_path, NULL) == STORAGE_OK);
    CHECK(contract, storage_run_path(storage, STORAGE_UNLINK, new_path, NULL) == STORAGE_NOT_FOUND);
    CHECK(contract, storage_run_write(storage, file, 3, "er", 2) == STORAGE_OK);
    CHECK(contract,
          storage_run_read(storage, file, 0, data, sizeof(data), &read_size) == STORAGE_OK);
    CHECK(contract, read_size == 5 && memcmp(data, "older", 5) == 0);
    CHECK(contract,
          storage_run_path(storage, STORAGE_MAKE_DIRECTORY, directory, NULL) == STORAGE_OK);
    CHECK(contract, storage_run_open(storage, old_path, CREATE, &replaced, NULL) == STORAGE_OK);
    CHECK(contract,
          storage_run_path(storage, STORAGE_RENAME, old_path, directory) == STORAGE_EXISTS);
    CHECK(contract, storage_run_path(storage, STORAGE_SYNC_DIRECTORY, contract->directory, NULL) ==
                        STORAGE_OK);
    CHECK(contract, storage_run_close(storage, file) == STORAGE_OK);
    CHECK(contract, storage_run_close(storage, replaced) == STORAGE_OK);
}

JOB_CASE(listings_are_sorted_by_bytes)
{
    static const char *const names[] = {"b", "a-10", "a-9", "Z", "\xc3\xa4"};
    static const char *const sorted[] = {"Z", "a-10", "a-9", "b", "d", "\xc3\xa4"};
    struct storage storage = context->storage;
    char path[256];
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        struct storage_file *file;
        path_in(contract, names[i], path);
        CHECK(contract, storage_run_open(storage, path, CREATE, &file, NULL) == STORAGE_OK);
        CHECK(contract, storage_run_write(storage, file, 0, "12345", i) == STORAGE_OK);
        CHECK(contract, storage_run_close(storage, file) == STORAGE_OK);
    }
    path_in(contract, "d", path);
    CHECK(contract, storage_run_path(storage, STORAGE_MAKE_DIRECTORY, path, NULL) == STORAGE_OK);
    struct storage_listing *listing;
    CHECK(contract,
          storage_run_list(storage, contract->directory, context->heap, &listing) == STORAGE_OK);
    CHECK(contract, listing && listing->count == 6);
    for (size_t i = 0; listing && i < listing->count && i < 6; i++)
        CHECK(contract, strcmp(listing->entries[i].name, sorted[i]) == 0);
    CHECK(contract, listing && listing->entries[4].is_directory && listing->entries[4].size == 0);
    CHECK(contract, listing && listing->entries[2].size == 2);
    storage_listing_release(listing);
    CHECK(contract, context->heap->used[MEMORY_SCRATCH] == 0);
    CHECK(contract, storage_run_list(storage, path, context->heap, &listing) == STORAGE_OK);
    CHECK(contract, listing && listing->count == 0);
    storage_listing_release(listing);
    CHECK(contract, storage_run_path(storage, STORAGE_REMOVE_DIRECTORY, contract->directory,
                                     NULL) == STORAGE_NOT_EMPTY);
    CHECK(contract, storage_run_path(storage, STORAGE_REMOVE_DIRECTORY, path, NULL) == STORAGE_OK);
    CHECK(contract, storage_run_list(storage, path, context->heap, &listing) == STORAGE_NOT_FOUND);
}

JOB_CASE(modification_times_are_kept)
{
    char path[256];
    path_in(contract, "file", path);
    struct storage storage = context->storage;
    struct storage_file *file;
    CHECK(contract, storage_run_open(storage, path, CREATE, &file, NULL) == STORAGE_OK);
    CHECK(contract, storage_run_close(storage, file) == STORAGE_OK);
    struct storage_request set = {
        .operation = STORAGE_SET_MODIFIED, .path = path, .modified_ms = 1234567890123};
    CHECK(contract, storage_run(storage, &set) == STORAGE_OK);
    struct storage_request stat = {.operation = STORAGE_STAT, .path = path};
    CHECK(contract, storage_run(storage, &stat) == STORAGE_OK);
    CHECK(contract, stat.result_modified_ms == 1234567890123);
}

JOB_CASE(a_lock_is_held_until_closed)
{
    char path[256];
    path_in(contract, ".lock", path);
    struct storage storage = context->storage;
    struct storage_request first = {.operation = STORAGE_LOCK, .path = path};
    struct storage_request second = first;
    CHECK(contract, storage_run(storage, &first) == STORAGE_OK);
    CHECK(contract, storage_run(storage, &second) == STORAGE_LOCKED);
    CHECK(contract, storage_run_close(storage, first.file) == STORAGE_OK);
    CHECK(contract, storage_run(storage, &second) == STORAGE_OK);
    CHECK(contract, storage_run_close(storage, second.file) == STORAGE_OK);
}

JOB_CASE(space_is_told)
{
    struct storage_request space = {.operation = STORAGE_SPACE, .path = contract->directory};
    CHECK(contract, storage_run(context->storage, &space) == STORAGE_OK);
    CHECK(contract, space.result_total >= space.result_size && space.result_total > 0);
    space.path = "/no/such/place";
    CHECK(contract, storage_run(context->storage, &space) == STORAGE_NOT_FOUND);
}

/* ---- Cases on a loop ---- */

enum { WRITES = 8 };

struct submitted;

struct one_write {
    struct storage_request request;
    struct submitted *state;
};

struct submitted {
    struct contract *contract;
    struct storage_request open, sync, list;
    struct one_write writes[WRITES];
    struct storage_buffer buffers[WRITES];
    char path[256];
    char bytes[WRITES];
    unsigned pending;
    bool inside_submit;
};

static void closed(struct storage_request *request)
{
    struct submitted *state = container_of(request, struct submitted, open);
    CHECK(state->contract, request->status == STORAGE_OK);
    contract_end(state->contract, state->contract->loops[0]);
}

static void listed(struct storage_request *request)
{
    struct submitted *state = container_of(request, struct submitted, list);
    struct loop *loop = state->contract->loops[0];
    CHECK(state->contract, request->status == STORAGE_OK);
    CHECK(state->contract, loop->heap->used[MEMORY_SCRATCH] == request->listing->held_size);
    CHECK(state->contract, request->listing->count == 1);
    CHECK(state->contract, request->listing->entries[0].size == WRITES);
    storage_listing_release(request->listing);
    CHECK(state->contract, loop->heap->used[MEMORY_SCRATCH] == 0);
    state->open.operation = STORAGE_CLOSE;
    state->open.done = closed;
    storage_submit(loop->storage, &state->open);
}

static void synced(struct storage_request *request)
{
    struct submitted *state = container_of(request, struct submitted, sync);
    struct loop *loop = state->contract->loops[0];
    CHECK(state->contract, request->status == STORAGE_OK);
    state->list = (struct storage_request){.done = listed,
                                           .operation = STORAGE_LIST,
                                           .path = state->contract->directory,
                                           .heap = loop->heap};
    storage_submit(loop->storage, &state->list);
}

static void written(struct storage_request *request)
{
    struct submitted *state = container_of(request, struct one_write, request)->state;
    struct loop *loop = state->contract->loops[0];
    CHECK(state->contract, !state->inside_submit);
    CHECK(state->contract, request->status == STORAGE_OK);
    if (--state->pending > 0)
        return;
    CHECK(state->contract, storage_size(loop->storage, state->open.file) == WRITES);
    state->sync = (struct storage_request){
        .done = synced, .operation = STORAGE_SYNC, .file = state->open.file};
    storage_submit(loop->storage, &state->sync);
}

static void opened(struct storage_request *request)
{
    struct submitted *state = container_of(request, struct submitted, open);
    struct loop *loop = state->contract->loops[0];
    CHECK(state->contract, request->status == STORAGE_OK);
    state->pending = WRITES;
    state->inside_submit = true;
    for (unsigned i = 0; i < WRITES; i++) {
        state->bytes[i] = (char)('a' + i);
        state->buffers[i] = (struct storage_buffer){&state->bytes[i], 1};
        struct one_write *one = &state->writes[i];
        one->state = state;
        one->request = (struct storage_request){.done = written,
                                                .operation = STORAGE_WRITE,
                                                .file = request->file,
                                                .offset = i,
                                                .buffers = &state->buffers[i],
                                                .buffer_count = 1};
        storage_submit(loop->storage, &one->request);
    }
    state->inside_submit = false;
}

static void requests_complete_later_exactly_once(struct contract *contract)
{
    struct loop *loop = contract->loops[0];
    struct submitted *state = heap_must_get(loop->heap, MEMORY_STATE, sizeof(*state));
    state->contract = contract;
    path_in(contract, "file", state->path);
    state->open = (struct storage_request){
        .done = opened, .operation = STORAGE_OPEN, .path = state->path, .flags = CREATE};
    storage_submit(loop->storage, &state->open);
}

/* Appends that may be pending, one after the other, and a size that follows. */
struct appending {
    struct contract *contract;
    struct storage_request open, append, read;
    struct storage_buffer buffers[2];
    char path[256];
    char data[10];
    unsigned count;
};

static void append_next(struct appending *state);

static void appended(struct appending *state)
{
    struct loop *loop = state->contract->loops[0];
    state->count++;
    CHECK(state->contract, storage_size(loop->storage, state->open.file) == 10 * state->count);
    append_next(state);
}

static void append_completed(struct storage_request *request)
{
    struct appending *state = container_of(request, struct appending, append);
    CHECK(state->contract, request->status == STORAGE_OK);
    appended(state);
}

static void read_back(struct storage_request *request)
{
    struct appending *state = container_of(request, struct appending, read);
    CHECK(state->contract, request->status == STORAGE_OK);
    CHECK(state->contract, request->result_size == 10);
    CHECK(state->contract, memcmp(state->data, "0123456789", 10) == 0);
    contract_end(state->contract, state->contract->loops[0]);
}

static void append_next(struct appending *state)
{
    struct loop *loop = state->contract->loops[0];
    if (state->count == 20) {
        memset(state->data, 0, sizeof(state->data));
        state->read = (struct storage_request){.done = read_back,
                                               .operation = STORAGE_READ,
                                               .file = state->open.file,
                                               .offset = 190,
                                               .buffers = state->buffers,
                                               .buffer_count = 2};
        storage_submit(loop->storage, &state->read);
        return;
    }
    state->append = (struct storage_request){.done = append_completed};
    enum storage_status status =
        storage_append(loop->storage, state->open.file, state->buffers, 2, &state->append);
    CHECK(state->contract, status == STORAGE_OK || status == STORAGE_PENDING);
    if (status == STORAGE_OK)
        appended(state);
}

static void append_opened(struct storage_request *request)
{
    struct appending *state = container_of(request, struct appending, open);
    CHECK(state->contract, request->status == STORAGE_OK);
    memcpy(state->data, "0123456789", 10);
    state->buffers[0] = (struct storage_buffer){state->data, 4};
    state->buffers[1] = (struct storage_buffer){state->data + 4, 6};
    append_next(state);
}

static void appends_go_to_the_end_at_once_or_pending(struct contract *contract)
{
    struct loop *loop = contract->loops[0];
    struct appending *state = heap_must_get(loop->heap, MEMORY_STATE, sizeof(*state));
    state->contract = contract;
    path_in(contract, "file", state->path);
    state->open = (struct storage_request){
        .done = append_opened, .operation = STORAGE_OPEN, .path = state->path, .flags = CREATE};
    storage_submit(loop->storage, &state->open);
}

#define CASE(function)                                                                             \
    {                                                                                              \
#function, function                                                                        \
    }

const struct contract_case storage_cases[] = {
    CASE(written_bytes_are_read_back),          CASE(a_background_job_moves_large_buffers_whole),
    CASE(read_now_gives_all_or_says_why),       CASE(truncate_cuts_and_extends_with_zeros),
    CASE(opening_answers_what_is_there),        CASE(names_move_and_open_files_stay),
    CASE(listings_are_sorted_by_bytes),         CASE(modification_times_are_kept),
    CASE(a_lock_is_held_until_closed),          CASE(space_is_told),
    CASE(requests_complete_later_exactly_once), CASE(appends_go_to_the_end_at_once_or_pending),
};

const unsigned storage_case_count = sizeof(storage_cases) / sizeof(storage_cases[0]);
