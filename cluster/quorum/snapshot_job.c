/*
 * Each step writes one batch of records. The records of a step lie in an arena on the job's own
 * heap, which ends with the step.
 */
#include "cluster/quorum/snapshot_job.h"

#include "base/list.h"

static bool begin(struct snapshot_job *job, const struct job_context *context)
{
    struct snapshot_voters voters = {VIEW_NULL, VIEW_NULL};
    if (job->kraft_version_size)
        voters.kraft_version = view_of(job->kraft_version, job->kraft_version_size);
    if (job->voters)
        voters.voters = view_of(job->voters, job->voters_size);
    struct snapshot_id id = {job->image->offset + 1, job->image->epoch};
    image_records_start(job->image, &job->walk);
    return snapshot_writer_begin(&job->writer, context->storage, context->heap, job->directory.text,
                                 id, job->image->timestamp_ms, context->wall_ms, &voters);
}

static enum job_progress fail(struct snapshot_job *job)
{
    snapshot_writer_abort(&job->writer);
    return JOB_FINISHED;
}

static enum job_progress snapshot_step(struct job *base, const struct job_context *context)
{
    struct snapshot_job *job = container_of(base, struct snapshot_job, job);
    if (!job->is_started) {
        job->is_started = true;
        return begin(job, context) ? JOB_MORE : fail(job);
    }
    if (atomic_load(&base->cancelled))
        return fail(job);
    job->writer.storage = context->storage;
    struct arena arena;
    arena_init(&arena, context->heap, MEMORY_SCRATCH, 0);
    struct metadata_records records;
    metadata_records_init(&records, &arena);
    bool failed;
    bool more = image_records_next(&job->walk, &records, SNAPSHOT_STEP_RECORDS, &failed);
    bool ok = !failed && snapshot_writer_append(&job->writer, records.values, records.count);
    arena_deinit(&arena);
    if (!ok)
        return fail(job);
    if (more)
        return JOB_MORE;
    job->is_written = snapshot_writer_finish(&job->writer, NULL);
    job->written_size = job->writer.size;
    if (!job->is_written)
        return fail(job);
    /* Old snapshots go only after the new one is durable. */
    snapshot_files_remove_before(context->storage, context->heap, job->directory.text,
                                 job->previous_end);
    return JOB_FINISHED;
}

void snapshot_job_init(struct snapshot_job *job, const struct image *image, const char *directory)
{
    *job = (struct snapshot_job){.job = {.step = snapshot_step, .job_class = JOB_BACKGROUND},
                                 .image = image};
    log_path_set(&job->directory, directory);
}
