/* The notes are the message; they grow in the shard's heap until they are sent. */
#include "broker/directory_notes.h"

#include "broker/control.h"

enum { DIRECTORIES_SINCE = 17, /* metadata.version */ NOTES_FIRST = 16 };

struct directory_note {
    struct uuid topic_id;
    struct uuid directory;
    int32_t partition;
};

struct directory_notes {
    struct message message;
    uint32_t count;
    uint32_t capacity;
    struct directory_note notes[];
};

static size_t size_of(uint32_t capacity)
{
    return sizeof(struct directory_notes) + capacity * sizeof(struct directory_note);
}

static void come_home(struct message *message, struct loop *at)
{
    struct directory_notes *notes = container_of(message, struct directory_notes, message);
    heap_put(at->heap, MEMORY_STATE, notes, size_of(notes->capacity));
}

static void arrive(struct message *message, struct loop *at)
{
    struct directory_notes *notes = container_of(message, struct directory_notes, message);
    struct control *control = control_of(at);
    for (uint32_t i = 0; i < notes->count; i++)
        membership_tell_directory(&control->membership, notes->notes[i].topic_id,
                                  notes->notes[i].partition, notes->notes[i].directory);
    message->deliver = come_home;
    loop_post(at, message->from, message);
}

static void grow(struct directory_notes **notes, struct heap *heap)
{
    struct directory_notes *old = *notes;
    uint32_t capacity = old ? 2 * old->capacity : NOTES_FIRST;
    struct directory_notes *grown = heap_must_get(heap, MEMORY_STATE, size_of(capacity));
    if (old) {
        memcpy(grown, old, size_of(old->count));
        heap_put(heap, MEMORY_STATE, old, size_of(old->capacity));
    }
    grown->capacity = capacity;
    *notes = grown;
}

void directory_notes_take(struct directory_notes **notes, struct shard *shard,
                          const struct image *image, const struct replica *replica,
                          const struct image_partition *state)
{
    if (!replica->log || replica->state == REPLICA_GONE ||
        image_feature_level(image, VIEW_LITERAL("metadata.version")) < DIRECTORIES_SINCE)
        return;
    const struct directories *directories = shard->broker->directories;
    int place = directories_find_path(directories, partition_log_directory(replica->log));
    int32_t self = node_list_find(image_partition_replicas(state), shard->broker->config->node_id);
    if (place < 0 || self < 0)
        return;
    struct uuid directory = directories->found[place].meta.directory_id;
    if (uuid_equal(image_partition_directory(state, (uint32_t)self), directory))
        return;
    if (!*notes || (*notes)->count == (*notes)->capacity)
        grow(notes, shard->loop->heap);
    (*notes)->notes[(*notes)->count++] =
        (struct directory_note){replica->topic_id, directory, replica->partition};
}

void directory_notes_send(struct directory_notes **notes, struct shard *shard)
{
    if (!*notes)
        return;
    (*notes)->message.deliver = arrive;
    loop_post(shard->loop, 0, &(*notes)->message);
    *notes = NULL;
}
