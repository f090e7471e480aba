/* Entries are sorted by name, so a partition is found by binary search in each directory. */
#include "broker/directories.h"

#include "base/hash.h"

enum { DIRECTORY_RESERVED_MAX = 100, DIRECTORY_LOST = 2 };

/* The place of the directory with this id, or -1. */
static int find(const struct directories *directories, struct uuid id)
{
    for (size_t i = 0; i < directories->count; i++)
        if (uuid_equal(directories->found[i].meta.directory_id, id))
            return (int)i;
    return -1;
}

int directories_find_path(const struct directories *directories, const char *path)
{
    for (size_t i = 0; i < directories->count; i++) {
        const struct log_path *directory = &directories->found[i].path;
        size_t size = strlen(directory->text);
        if (strncmp(path, directory->text, size) == 0 && path[size] == '/')
            return (int)i;
    }
    return -1;
}

static const struct log_directory_entry *search(const struct log_directory_found *found,
                                                const char *name)
{
    size_t low = 0;
    size_t high = found->entry_count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        int order = strcmp(found->entries[middle].name, name);
        if (order == 0)
            return &found->entries[middle];
        if (order < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return NULL;
}

const struct log_directory_entry *directories_find_entry(const struct directories *directories,
                                                         struct view topic, struct uuid topic_id,
                                                         int32_t partition, size_t *place)
{
    char name[LOG_FILE_NAME_MAX + 1];
    if (!directory_name_format(name, topic, partition, DIRECTORY_PLAIN, UUID_ZERO))
        return NULL;
    for (size_t i = 0; i < directories->count; i++) {
        if (directories->found[i].is_failed)
            continue;
        const struct log_directory_entry *entry = search(&directories->found[i], name);
        if (!entry || !(uuid_is_zero(entry->topic_id) || uuid_equal(entry->topic_id, topic_id)))
            continue;
        *place = i;
        return entry;
    }
    return NULL;
}

/* Reserved ids name no directory; one of them says that it is lost. */
static bool is_unassigned(struct uuid id)
{
    return uuid_most(id) == 0 && uuid_least(id) <= DIRECTORY_RESERVED_MAX &&
           uuid_least(id) != DIRECTORY_LOST;
}

int directories_choose(const struct directories *directories, const struct directory_shard *shards,
                       struct uuid named, struct uuid topic_id, int32_t partition)
{
    int place = find(directories, named);
    if (place >= 0)
        return place;
    size_t alive = 0;
    for (size_t i = 0; i < directories->count; i++)
        alive += !directories->found[i].is_failed && !shards[i].is_failed;
    if (alive == 0 || (alive < directories->count && !is_unassigned(named)))
        return -1;
    uint64_t hash = hash_u64(uuid_most(topic_id) ^ uuid_least(topic_id), (uint32_t)partition);
    size_t skip = (size_t)(hash % alive);
    for (size_t i = 0; i < directories->count; i++)
        if (!directories->found[i].is_failed && !shards[i].is_failed && skip-- == 0)
            return (int)i;
    return -1;
}
