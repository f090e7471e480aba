/*
 * An entry waits in `queued`, moves to `sent` when the request is built, and ends or goes back. The
 * request names directories, topics and partitions in the order of their ids.
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

enum { KEY_SIZE = UUID_SIZE + 4 };

struct entry {
    struct list link;
    uint8_t key[KEY_SIZE];
    struct uuid topic_id;
    int32_t partition;
    struct uuid directory;
    bool is_sent;    /* in the request under way */
    bool is_changed; /* told otherwise since it left */
};

static struct entry *entry_of(struct list *link)
{
    return container_of(link, struct entry, link);
}

static void make_key(uint8_t *key, struct uuid topic_id, int32_t partition)
{
    memcpy(key, topic_id.bytes, UUID_SIZE);
    store_u32(key + UUID_SIZE, (uint32_t)partition);
}

static void end(struct directory_sender *sender, struct entry *entry)
{
    map_remove(&sender->by_partition, view_of(entry->key, KEY_SIZE));
    list_remove(&entry->link);
    heap_put(sender->options.loop->heap, MEMORY_STATE, entry, sizeof(*entry));
}

static void end_all(struct directory_sender *sender, struct list *entries)
{
    while (!list_is_empty(entries))
        end(sender, entry_of(entries->next));
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
    request->directories = arena_must_get(&sender->arena, count, sizeof(*request->directories));
    request_topic *topic = arena_must_get(&sender->arena, count, sizeof(*topic));
    request_partition *partition = arena_must_get(&sender->arena, count, sizeof(*partition));
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
    arena_reset(&sender->arena);
    assign_replicas_to_dirs_request_init(request);
    request->broker_id = sender->options.broker_id;
    request->broker_epoch = sender->options.broker_epoch(sender->options.self);
    struct entry **entries = arena_must_get(&sender->arena, count, sizeof(struct entry *));
    struct entry **scratch = arena_must_get(&sender->arena, count, sizeof(struct entry *));
    size_t filled = 0;
    list_for_each(link, &sender->sent) entries[filled++] = entry_of(link);
    sort_stable(entries, count, sizeof(struct entry *), scratch, compare, NULL);
    fill(sender, entries, count);
}

/* ---- Its answer ---- */

static void retry_later(struct directory_sender *sender)
{
    if (sender->is_closed)
        return;
    sender->retry_ns = sender->retry_ns == 0 ? RETRY_FIRST_NS : 2 * sender->retry_ns;
    if (sender->retry_ns > RETRY_LAST_NS)
        sender->retry_ns = RETRY_LAST_NS;
    if (!timer_is_set(&sender->retry))
        loop_set_timer(sender->options.loop, &sender->retry, sender->retry_ns);
}

/* What is still in `sent` goes before what was told since. */
static void take_back_sent(struct directory_sender *sender)
{
    list_for_each(link, &sender->sent)
    {
        entry_of(link)->is_sent = false;
        entry_of(link)->is_changed = false;
    }
    list_splice_back(&sender->sent, &sender->queued);
    list_splice_back(&sender->queued, &sender->sent);
}

static void take_topic(struct directory_sender *sender, const response_topic *topic)
{
    for (size_t i = 0; i < topic->partitions_count; i++) {
        uint8_t key[KEY_SIZE];
        make_key(key, topic->topic_id, topic->partitions[i].partition_index);
        struct entry *entry = map_get(&sender->by_partition, view_of(key, KEY_SIZE));
        if (!entry || !entry->is_sent || topic->partitions[i].error_code != KAFKA_ERROR_NONE)
            continue;
        sender->told++;
        if (!entry->is_changed)
            end(sender, entry);
    }
}

static void take_answer(struct directory_sender *sender,
                        const struct assign_replicas_to_dirs_response *answer)
{
    sender->last_error = KAFKA_ERROR_NONE;
    for (size_t i = 0; i < answer->directories_count; i++) {
        const response_directory *directory = &answer->directories[i];
        for (size_t k = 0; k < directory->topics_count; k++)
            take_topic(sender, &directory->topics[k]);
    }
    bool is_refused = false;
    list_for_each(link, &sender->sent) is_refused |= !entry_of(link)->is_changed;
    if (is_refused)
        retry_later(sender);
    else
        sender->retry_ns = 0;
}

static void note_failure(struct directory_sender *sender, enum kafka_error error, const char *text)
{
    if ((int16_t)error != sender->last_error)
        log_warn(sender->options.loop->diagnostics,
                 "the directories of replicas are not assigned yet: %s", text);
    sender->last_error = (int16_t)error;
}

static void answered(struct controller_call *call, enum channel_status status, const void *response)
{
    struct directory_sender *sender = container_of(call, struct directory_sender, call);
    const struct assign_replicas_to_dirs_response *answer = response;
    sender->is_asking = false;
    if (!answer && (status == CHANNEL_UNSUPPORTED || status == CHANNEL_MALFORMED))
        note_failure(sender, KAFKA_ERROR_UNSUPPORTED_VERSION, channel_status_text(status));
    else if (answer && answer->error_code != KAFKA_ERROR_NONE)
        note_failure(sender, (enum kafka_error)answer->error_code,
                     kafka_error_text((enum kafka_error)answer->error_code));
    if (answer && answer->error_code == KAFKA_ERROR_NONE)
        take_answer(sender, answer);
    else
        retry_later(sender);
    take_back_sent(sender);
    loop_defer(sender->options.loop, &sender->pump);
}

static enum kafka_error error_of(const void *response)
{
    const struct assign_replicas_to_dirs_response *answer = response;
    return (enum kafka_error)answer->error_code;
}

/* ---- Sending ---- */

static size_t choose(struct directory_sender *sender)
{
    size_t count = 0;
    while (!list_is_empty(&sender->queued) && count < DIRECTORY_SENDER_BATCH) {
        struct entry *entry = entry_of(sender->queued.next);
        if (!is_needed(sender, entry)) {
            end(sender, entry);
            continue;
        }
        list_remove(&entry->link);
        list_push_back(&sender->sent, &entry->link);
        entry->is_sent = true;
        count++;
    }
    return count;
}

static void send(struct directory_sender *sender)
{
    if (sender->options.broker_epoch(sender->options.self) < 0) {
        retry_later(sender);
        return;
    }
    size_t count = choose(sender);
    if (count == 0)
        return;
    build_request(sender, count);
    sender->call = (struct controller_call){
        .api = &assign_replicas_to_dirs_call,
        .message = &sender->request,
        .version_max = ASSIGN_REPLICAS_TO_DIRS_REQUEST_VERSION_MAX,
        .error_of = error_of,
        .done = answered,
    };
    sender->is_asking = true;
    sender->requests++;
    controller_channel_send(sender->options.channel, &sender->call);
}

/* A request that runs on this node itself is waited for. */
static void finish_close(struct directory_sender *sender)
{
    end_all(sender, &sender->queued);
    if (sender->is_asking)
        return;
    end_all(sender, &sender->sent);
    arena_deinit(&sender->arena);
    map_deinit(&sender->by_partition);
}

static void pump(struct deferred *deferred)
{
    struct directory_sender *sender = container_of(deferred, struct directory_sender, pump);
    if (sender->is_closed)
        finish_close(sender);
    else if (!sender->is_asking && !timer_is_set(&sender->retry) && !list_is_empty(&sender->queued))
        send(sender);
}

static void retry_due(struct timer *timer)
{
    struct directory_sender *sender = container_of(timer, struct directory_sender, retry);
    loop_defer(sender->options.loop, &sender->pump);
}

void directory_sender_init(struct directory_sender *sender,
                           const struct directory_sender_options *options)
{
    *sender = (struct directory_sender){.options = *options};
    list_init(&sender->queued);
    list_init(&sender->sent);
    map_init(&sender->by_partition, options->loop->heap, MEMORY_STATE, options->loop->seed);
    arena_init(&sender->arena, options->loop->heap, MEMORY_SCRATCH, 0);
    timer_init(&sender->retry, retry_due);
    deferred_init(&sender->pump, pump);
}

void directory_sender_add(struct directory_sender *sender, struct uuid topic_id, int32_t partition,
                          struct uuid directory)
{
    if (sender->is_closed)
        return;
    uint8_t key[KEY_SIZE];
    make_key(key, topic_id, partition);
    struct entry *entry = map_get(&sender->by_partition, view_of(key, KEY_SIZE));
    if (!entry) {
        entry = heap_must_get(sender->options.loop->heap, MEMORY_STATE, sizeof(*entry));
        *entry = (struct entry){.topic_id = topic_id, .partition = partition};
        memcpy(entry->key, key, KEY_SIZE);
        bool ok = map_put(&sender->by_partition, view_of(entry->key, KEY_SIZE), entry);
        klamm_assert(ok);
        list_push_back(&sender->queued, &entry->link);
    }
    if (entry->is_sent && !uuid_equal(entry->directory, directory))
        entry->is_changed = true;
    entry->directory = directory;
    loop_defer(sender->options.loop, &sender->pump);
}

void directory_sender_close(struct directory_sender *sender)
{
    if (sender->is_closed)
        return;
    sender->is_closed = true;
    timer_clear(&sender->retry);
    finish_close(sender);
}
