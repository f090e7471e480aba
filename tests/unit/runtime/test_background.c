/*
 * Slices of background jobs on the real host: when the core is offered, and to whom the rule
 * applies.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include "runtime/posix/background.h"
#include "runtime/posix/host.h"
#include "runtime/posix/node.h"

enum { SLICES = 8, SIZE = 4 * BACKGROUND_PIECE + 1 };

static void the_core_is_offered_first_and_after_each_slice(void **state)
{
    (void)state;
    struct background background = {0};
    struct job_pace pace = background_pace(&background);
    uint64_t start = host_monotonic_ns();
    job_give_way(pace);
    assert_int_equal(background.offers, 1);
    assert_true(background.slice_end_ns >= start + BACKGROUND_SLICE_NS);
    while (background.offers < SLICES)
        job_give_way(pace);
    uint64_t passed = host_monotonic_ns() - start;
    assert_true(passed >= (SLICES - 1) * BACKGROUND_SLICE_NS);
    background.slice_end_ns = UINT64_MAX; /* however long the test is kept from its core */
    job_give_way(pace);
    assert_int_equal(background.offers, SLICES);
}

/* With the slice used up before the call. */
static uint64_t offers_of(struct background *background, struct storage storage,
                          struct storage_file *file, uint8_t *data, bool writes)
{
    uint64_t before = background->offers;
    background->slice_end_ns = 0;
    if (writes)
        assert_int_equal(storage_run_write(storage, file, 0, data, SIZE), STORAGE_OK);
    else
        assert_int_equal(storage_run_read(storage, file, 0, data, SIZE, NULL), STORAGE_OK);
    return background->offers - before;
}

static void a_long_call_offers_the_core(void **state)
{
    (void)state;
    char path[] = "background-XXXXXX";
    int descriptor = mkstemp(path);
    assert_true(descriptor >= 0);
    close(descriptor);
    struct background background = {0};
    struct storage storage = storage_background(&background);
    struct storage_file *file;
    assert_int_equal(
        storage_run_open(storage, path, STORAGE_FLAG_READ | STORAGE_FLAG_WRITE, &file, NULL),
        STORAGE_OK);
    uint8_t *data = calloc(1, SIZE);
    assert_non_null(data);
    assert_true(offers_of(&background, storage, file, data, true) >= 1);
    assert_true(offers_of(&background, storage, file, data, false) >= 1);
    assert_int_equal(storage_run_close(storage, file), STORAGE_OK);
    free(data);
    unlink(path);
}

/* What is unlinked leaves the memory first; a reader must not notice. */
static void an_open_file_outlives_its_name(void **state)
{
    (void)state;
    char path[] = "background-XXXXXX";
    int descriptor = mkstemp(path);
    assert_true(descriptor >= 0);
    close(descriptor);
    struct background background = {0};
    struct storage storage = storage_background(&background);
    struct storage_file *file;
    assert_int_equal(
        storage_run_open(storage, path, STORAGE_FLAG_READ | STORAGE_FLAG_WRITE, &file, NULL),
        STORAGE_OK);
    enum { LARGE = 2 * BACKGROUND_DROP + 77 };
    uint8_t *data = malloc(LARGE), *read = malloc(LARGE);
    assert_non_null(data);
    assert_non_null(read);
    for (uint32_t i = 0; i < LARGE; i++)
        data[i] = (uint8_t)(i * 3 + (i >> 11));
    assert_int_equal(storage_run_write(storage, file, 0, data, LARGE), STORAGE_OK);
    assert_int_equal(storage_run_path(storage, STORAGE_UNLINK, path, NULL), STORAGE_OK);
    assert_int_equal(access(path, F_OK), -1);
    size_t size = 0;
    assert_int_equal(storage_run_read(storage, file, 0, read, LARGE, &size), STORAGE_OK);
    assert_int_equal(size, LARGE);
    assert_memory_equal(read, data, LARGE);
    assert_int_equal(storage_run_close(storage, file), STORAGE_OK);
    assert_int_equal(storage_run_path(storage, STORAGE_UNLINK, path, NULL), STORAGE_NOT_FOUND);
    free(read);
    free(data);
}

/* ---- Who gets a pace ---- */

static struct pace_job {
    struct job job;
    bool has_pace;
} jobs[2];

static enum job_progress look_at_pace(struct job *job, const struct job_context *context)
{
    container_of(job, struct pace_job, job)->has_pace = context->pace.give_way != NULL;
    return JOB_FINISHED;
}

static void second_done(struct job *job)
{
    node_stop(job->loop, 0);
}

static void first_done(struct job *job)
{
    loop_start_job(job->loop, &jobs[1].job);
}

static void boot(struct loop *loop, void *argument)
{
    (void)argument;
    if (loop->index == 0)
        loop_start_job(loop, &jobs[0].job);
}

static void only_background_jobs_give_way(void **state)
{
    (void)state;
    jobs[0].job =
        (struct job){.step = look_at_pace, .done = first_done, .job_class = JOB_BACKGROUND};
    jobs[1].job = (struct job){.step = look_at_pace, .done = second_done, .job_class = JOB_DEVICE};
    jobs[1].has_pace = true;
    const struct node_options options = {.shards = 1,
                                         .diagnostics = host_diagnostics(LOG_LEVEL_WARN),
                                         .boot = boot,
                                         .keep_signals = true};
    assert_int_equal(node_run(&options), 0);
    assert_true(jobs[0].has_pace);
    assert_false(jobs[1].has_pace);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_core_is_offered_first_and_after_each_slice),
        cmocka_unit_test(a_long_call_offers_the_core),
        cmocka_unit_test(an_open_file_outlives_its_name),
        cmocka_unit_test(only_background_jobs_give_way),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
