/* What the device refuses here is passed over: then the file is as it was. */
#include "tests/sim/state_damage.h"

#include "log/file_content.h"
#include "log/log_path.h"
#include "log/state_file.h"

enum kind { KIND_REMOVE, KIND_CUT, KIND_FLIP, KIND_STALE, KINDS };

/* Puts these bytes in the place of the file, as if they had always been there. */
static void put(struct storage storage, const char *path, const uint8_t *data, size_t size)
{
    struct storage_file *file;
    uint64_t old_size;
    if (storage_run_open(storage, path, STORAGE_FLAG_READ | STORAGE_FLAG_WRITE, &file, &old_size) !=
        STORAGE_OK)
        return;
    if (storage_run_truncate(storage, file, size) == STORAGE_OK && size > 0)
        storage_run_write(storage, file, 0, data, size);
    storage_run_sync(storage, file);
    storage_run_close(storage, file);
}

static void change(const struct state_damage *damage, struct storage storage, const char *path,
                   struct file_content *content)
{
    uint64_t place = damage->draw / (2 * KINDS);
    switch ((enum kind)(damage->draw / 2 % KINDS)) {
    case KIND_REMOVE:
        storage_run_path(storage, STORAGE_UNLINK, path, NULL);
        return;
    case KIND_CUT:
        put(storage, path, content->data, content->size ? place % content->size : 0);
        return;
    case KIND_FLIP:
        if (content->size)
            content->data[place % content->size] ^= (uint8_t)(1u << place % 8);
        put(storage, path, content->data, content->size);
        return;
    case KIND_STALE:
        if (damage->copy->size)
            put(storage, path, damage->copy->data, damage->copy->size);
        return;
    case KINDS:
        return;
    }
}

static enum job_progress damage_step(struct job *job, const struct job_context *context)
{
    struct state_damage *damage = container_of(job, struct state_damage, job);
    struct log_path path;
    struct file_content content;
    if (!log_path_join(&path, damage->directory, STATE_FILE_NAME) ||
        file_content_read(context->storage, path.text, context->heap, STATE_DAMAGE_COPY_MAX,
                          &content) != STORAGE_OK)
        return JOB_FINISHED;
    if (damage->draw % 2 == 0) {
        change(damage, context->storage, path.text, &content);
    } else {
        memcpy(damage->copy->data, content.data, content.size);
        damage->copy->size = content.size;
    }
    file_content_release(&content);
    return JOB_FINISHED;
}

static void damage_done(struct job *job)
{
    struct state_damage *damage = container_of(job, struct state_damage, job);
    damage->done(damage);
}

void state_damage_start(struct state_damage *damage, struct loop *loop, const char *directory,
                        struct state_damage_copy *copy, struct random_stream *random,
                        void (*done)(struct state_damage *damage))
{
    *damage = (struct state_damage){.loop = loop,
                                    .directory = directory,
                                    .copy = copy,
                                    .draw = random_below(random, UINT64_C(1) << 32),
                                    .done = done};
    damage->job.step = damage_step;
    damage->job.done = damage_done;
    damage->job.job_class = JOB_DEVICE;
    loop_start_job(loop, &damage->job);
}
