/*
 * Entries wait in an outbox, which sends and repeats; here is what a request says and what its
 * answer means. The request names directories, topics and partitions in the order of their ids.
 *
 * An answer that a partition is not known may come from a controller that is behind, or from one
 * that is none any more; only the metadata decides that there is nothing to tell.
 */
#include "cluster/directory_sender.h"

#include "base/assert.h"
#include "base/sort.h"
#include "protocol/api_keys.h"

static const uint64_t RETRY_FIRST_NS = UINT64_C(100000000);
static const uint64_t RETRY_LAST_NS = UINT64_C(10000000000);

CHANNEL_CALL(assign_replicas_to_dirs, API_KEY_ASSIGN_REPLICAS_TO_DIRS);

typedef struct assign_replicas_to_dirs_request_directory_data request_directory;
typedef struct assign_replicas_to_dirs_request_topic_data request_topic;
typedef struct assign_replicas_to_dirs_request_partition_data request_partition;
typedef struct assign_replicas_to_dirs_response_directory_data response_directory;
typedef struct assign_replicas_to_dirs_response_topic_data response_topic;

struct entry {
    struct outbox_item item;
    struct uuid topic_id;
    int32_t partition;
    struct uuid directory;
    bool is_changed; /* told otherwise since it left */
};

static struct directory_sender *sender_of(struct outbox *outbox)
{
    return container_of(outbox, struct directory_sender, outbox);
}

static struct entry *entry_of(struct outbox_item *item)
{
    return container_of(item, struct entry, item);
}

static struct entry *linked_entry(struct list *link)
{
    return entry_of(container_of(link, struct outbox_item, link));
}

static void end(struct outbox *outbox, struct outbox_item *item)
{
    struct entry *entry = entry_of(item);
    outbox_remove(outbox, item);
    heap_put(outbox->loop->heap, MEMORY_STATE, entry, sizeof(*entry));
}

/* Whether the metadata says otherwise of a replica that is still here. */
static bool is_needed(const struct directory_sender *sender, const struct entry *entry)
{
    const struct image *image = sender->options.publisher->current;
    const struct image_topic *topic = image_topic_by_id(image, entry->topic_id);
    const struct image_partition *partition =
        topic ? image_topic_partition(topic, entry->partition) : NULL;
    if (!partition)
        return false;
    int32_t place = node_list_find(image_partition_replicas(partition), sender->options.broker_id);
    return place >= 0 &&
           !uuid_equal(image_partition_directory(partition, (uint32_t)place), entry->directory);
}

/* ---- The request ---- */

static int compare(const void *a, const void *b, void *unused)
{
    (void)unused;
    const struct entry *left = *(struct entry *const *)a;
    const struct entry *right = *(struct entry *const *)b;
    int order = uuid_compare(left->directory, right->directory);
    if (order == 0)
        order = uuid_compare(left->topic_id, right->topic_id);
    if (order == 0)
        order = (left->partition > right->partition) - (left->partition < right->partition);
    return order;
}

/* All lists lie one behind the other: each array has room for as many as there are entries. */
static void fill(struct directory_sender *sender, struct entry *const *entries, size_t count)
{
    struct assign_replicas_to_dirs_request *request = &sender->request;
    request->directories =
        arena_must_get(&sender->outbox.arena, count, sizeof(*request->directories));
    request_topic *topic = arena_must_get(&sender->outbox.arena, count, sizeof(*topic));
    request_partition *partition = arena_must_get(&sender->outbox.arena, count, sizeof(*partition));
    for (size_t i = 0; i < count; i++) {
        bool is_new = i == 0 || !uuid_equal(entries[i - 1]->directory, entries[i]->directory);
        if (is_new)
            request->directories[request->directories_count++] =
                (request_directory){.id = entries[i]->directory, .topics = topic};
        request_directory *directory = &request->directories[request->directories_count - 1];
        if (is_new || !uuid_equal(entries[i - 1]->topic_id, entries[i]->topic_id)) {
            *topic++ = (request_topic){.topic_id = entries[i]->topic_id, .partitions = partition};
            directory->topics_count++;
        }
        *partition++ = (request_partition){entries[i]->partition};
        directory->topics[directory->topics_count - 1].partitions_count++;
    }
}

static void build_request(struct directory_sender *sender, size_t count)
{
    struct assign_replicas_to_dirs_request *request = &sender->request;
    arena_reset(&sender->outbox.arena);
    assign_replicas_to_dirs_request_init(request);
    request->broker_id = sender->options.broker_id;
    request->broker_epoch = sender->options.broker_epoch(sender->options.self);
    struct entry **entries = arena_must_get(&sender->outbox.arena, count, sizeof(struct entry *));
    struct entry **scratch = arena_must_get(&sender->outbox.arena, count, sizeof(struct entry *));
    size_t filled = 0;
    list_for_each(link, &sender->outbox.sent) entries[filled++] = linked_entry(link);
    sort_stable(entries, count, sizeof(struct entry *), scratch, compare, NULL);
    fill(sender, entries, count);
}

/* ---- Its answer ---- */

static uint64_t grown_pause_ns(struct directory_sender *sender)
{
    sender->retry_ns = sender->retry_ns == 0 ? RETRY_FIRST_NS : 2 * sender->retry_ns;
    if (sender->retry_ns > RETRY_LAST_NS)
        sender->retry_ns = RETRY_LAST_NS;
    return sender->retry_ns;
}

static void take_topic(struct outbox *outbox, const response_topic *topic)
{
    for (size_t i = 0; i < topic->partitions_count; i++) {
        struct outbox_item *item =
            outbox_find(outbox, topic->topic_id, topic->partitions[i].partition_index);
        if (!item || !item->is_sent || topic->partitions[i].error_code != KAFKA_ERROR_NONE)
            continue;
        sender_of(outbox)->told++;
        if (!entry_of(item)->is_changed)
            end(outbox, item);
    }
}

static uint64_t answered(struct outbox *outbox, const void *response, bool is_hopeless)
{
    (void)is_hopeless;
    struct directory_sender *sender = sender_of(outbox);
    const struct assign_replicas_to_dirs_response *answer = response;
    if (!answer)
        return grown_pause_ns(sender);
    for (size_t i = 0; i < answer->directories_count; i++) {
        const response_directory *directory = &answer->directories[i];
        for (size_t k = 0; k < directory->topics_count; k++)
            take_topic(outbox, &directory->topics[k]);
    }
    bool is_refused = false;
    list_for_each(link, &outbox->sent) is_refused |= !linked_entry(link)->is_changed;
    if (is_refused)
        return grown_pause_ns(sender);
    sender->retry_ns = 0;
    return 0;
}

static enum kafka_error error_of(const void *response)
{
    const struct assign_replicas_to_dirs_response *answer = response;
    return (enum kafka_error)answer->error_code;
}

/* ---- Sending ---- */

static size_t choose(struct directory_sender *sender)
{
    struct outbox *outbox = &sender->outbox;
    size_t count = 0;
    while (!list_is_empty(&outbox->queued) && count < DIRECTORY_SENDER_BATCH) {
        struct entry *entry = linked_entry(outbox->queued.next);
        if (!is_needed(sender, entry)) {
            end(outbox, &entry->item);
            continue;
        }
        outbox_take(outbox);
        entry->is_changed = false;
        count++;
    }
    return count;
}

static void ask(struct outbox *outbox)
{
    struct directory_sender *sender = sender_of(outbox);
    if (sender->options.broker_epoch(sender->options.self) < 0) {
        outbox_pause(outbox, grown_pause_ns(sender));
        return;
    }
    size_t count = choose(sender);
    if (count == 0)
        return;
    build_request(sender, count);
    outbox_send(outbox, &sender->request);
}

static const struct outbox_kind kind = {
    .api = &assign_replicas_to_dirs_call,
    .version_max = ASSIGN_REPLICAS_TO_DIRS_REQUEST_VERSION_MAX,
    .not_yet = "the directories of replicas are not assigned yet",
    .error_of = error_of,
    .ask = ask,
    .answered = answered,
    .drop = end,
};

void directory_sender_init(struct directory_sender *sender,
                           const struct directory_sender_options *options)
{
    *sender = (struct directory_sender){.options = *options};
    outbox_init(&sender->outbox, &kind, options->loop, options->channel);
}

void directory_sender_add(struct directory_sender *sender, struct uuid topic_id, int32_t partition,
                          struct uuid directory)
{
    struct outbox *outbox = &sender->outbox;
    if (outbox->is_closed)
        return;
    struct outbox_item *item = outbox_find(outbox, topic_id, partition);
    if (!item) {
        struct entry *entry = heap_must_get(outbox->loop->heap, MEMORY_STATE, sizeof(*entry));
        *entry = (struct entry){.topic_id = topic_id, .partition = partition};
        item = &entry->item;
        bool ok = outbox_add(outbox, item, topic_id, partition);
        klamm_assert(ok);
    }
    struct entry *entry = entry_of(item);
    if (item->is_sent && !uuid_equal(entry->directory, directory))
        entry->is_changed = true;
    entry->directory = directory;
}

void directory_sender_close(struct directory_sender *sender)
{
    outbox_close(&sender->outbox);
}
