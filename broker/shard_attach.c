/* A failed directory takes all partitions on it with it. */
#include "broker/shard_attach.h"

#include "broker/broker.h"
#include "broker/cleaning.h"

static void attach_home(struct message *message, struct loop *at)
{
    (void)at;
    struct shard_attach *attach = container_of(message, struct shard_attach, message);
    attach->attached(attach);
}

static bool is_below(const char *path, const char *directory)
{
    size_t size = strlen(directory);
    return strncmp(path, directory, size) == 0 && path[size] == '/';
}

static void directory_failed(struct directory_shard *directory, void *context)
{
    struct shard *shard = context;
    list_for_each(link, &shard->replicas.replicas)
    {
        struct replica *replica = container_of(link, struct replica, link);
        if (replica->log && is_below(partition_log_directory(replica->log), directory->path.text))
            replica_fail(replica);
    }
}

static void attach_arrived(struct message *message, struct loop *at)
{
    struct shard_attach *attach = container_of(message, struct shard_attach, message);
    struct shard *shard = shard_of(at);
    const struct broker *broker = shard->broker;
    const struct broker_settings *settings = &broker->config->settings;
    struct committer_options options = {
        .flush_interval_ns = (uint64_t)settings->klamm_flush_interval_ms * 1000000,
        .flush_bytes = (uint64_t)settings->klamm_flush_bytes,
        .unsynced_bytes_max = (uint64_t)settings->klamm_unflushed_max_bytes / broker->shard_count,
        .is_journal_enabled = true,
    };
    size_t count = broker->directories->count;
    shard->directories = heap_must_get(at->heap, MEMORY_STATE, count * sizeof(*shard->directories));
    for (size_t i = 0; i < count; i++) {
        const struct log_directory_found *found = &broker->directories->found[i];
        shard->directories[i].is_failed = found->is_failed;
        if (!found->is_failed)
            directory_shard_init(&shard->directories[i], at, (unsigned)i, found->path.text,
                                 &attach->owners[i], &options, directory_failed, shard);
    }
    struct cleaner_options cleaning = cleaning_options(settings);
    cleaner_init(&shard->cleaner, &shard->logs, attach->permits, &cleaning);
    attach->directories = shard->directories;
    message->deliver = attach_home;
    loop_post(at, 0, message);
}

void shard_attach_post(struct shard_attach *attach, struct loop *control, unsigned shard_index)
{
    attach->message.deliver = attach_arrived;
    loop_post(control, shard_index, &attach->message);
}
