/*
 * DescribeLogDirs: the log directories of this node with the sizes of their partitions (KIP-113)
 * and of their devices (KIP-827).
 *
 * Every shard lists its logs, all of them or the asked ones, and the connection's loop asks the
 * devices for their space meanwhile. The answer is grouped at home, by directory and topic. What is
 * asked for and not here is left out, as are directories' contents that failed.
 */
#include "protocol/messages/describe_log_dirs.h"

#include "base/sort.h"
#include "broker/request.h"
#include "broker/shard.h"
#include "broker/topic_lookup.h"

API_CODEC(describe_log_dirs);

enum { SPACE_SINCE_VERSION = 4 };

struct asked_log {
    struct asked_log *next;
    struct uuid topic_id;
    int32_t partition;
};

struct found_log {
    struct uuid topic_id;
    int32_t partition;
    uint32_t directory;
    uint64_t size; /* bytes */
};

struct directory_state {
    struct storage_request space;
    struct dirs_part *part;
    bool is_failed;
};

struct dirs_part {
    struct part part;
    /* A shard's half. */
    bool lists_all;
    struct asked_log *asked;
    struct found_log *found; /* in the part's arena */
    size_t found_count;
    /* The own loop's half: the directories. */
    bool describes_directories;
    bool asks_space;
    struct directory_state *directories; /* in the request's arena */
    unsigned waiting;                    /* space requests, and one while the part begins */
    struct loop *at;
};

struct dirs_context {
    struct dirs_part *shards[LOOP_COUNT_MAX]; /* by loop index */
    struct dirs_part *directories;
};

/* ---- On the shards ---- */

static void add_log(struct dirs_part *part, const struct directories *directories,
                    const struct replica *replica)
{
    if (!replica || !replica->log)
        return;
    int place = directories_find_path(directories, partition_log_directory(replica->log));
    if (place < 0)
        return;
    part->found[part->found_count++] = (struct found_log){
        .topic_id = replica->topic_id,
        .partition = replica->partition,
        .directory = (uint32_t)place,
        .size = partition_log_size(replica->log),
    };
}

static void list_logs(struct dirs_part *part, struct loop *at)
{
    const struct shard *shard = shard_of(at);
    const struct directories *directories = shard->broker->directories;
    size_t count = part->lists_all ? replica_table_count(&shard->replicas) : 0;
    for (const struct asked_log *asked = part->asked; asked; asked = asked->next)
        count++;
    part->found = arena_get_array(&part->part.arena, count, sizeof(*part->found));
    if (part->found && part->lists_all) {
        list_for_each(link, &shard->replicas.replicas)
            add_log(part, directories, container_of(link, struct replica, link));
    }
    for (const struct asked_log *asked = part->asked; asked && part->found; asked = asked->next)
        add_log(part, directories,
                replica_table_find(&shard->replicas, asked->topic_id, asked->partition));
    part_done(&part->part, at);
}

static void one_space_less(struct dirs_part *part)
{
    if (--part->waiting == 0)
        part_done(&part->part, part->at);
}

static void space_known(struct storage_request *request)
{
    struct directory_state *directory = container_of(request, struct directory_state, space);
    if (request->status != STORAGE_OK)
        directory->is_failed = true;
    one_space_less(directory->part);
}

static void describe_directories(struct dirs_part *part, struct loop *at)
{
    const struct shard *shard = shard_of(at);
    const struct directories *directories = shard->broker->directories;
    part->at = at;
    part->waiting = 1;
    for (size_t i = 0; i < directories->count; i++) {
        struct directory_state *directory = &part->directories[i];
        directory->part = part;
        directory->is_failed = directories->found[i].is_failed || shard->directories[i].is_failed;
        if (directory->is_failed || !part->asks_space)
            continue;
        directory->space.operation = STORAGE_SPACE;
        directory->space.path = directories->found[i].path.text;
        directory->space.done = space_known;
        part->waiting++;
        storage_submit(at->storage, &directory->space);
    }
    one_space_less(part);
}

static void describe_log_dirs_part(struct part *base, struct loop *at)
{
    struct dirs_part *part = container_of(base, struct dirs_part, part);
    if (part->describes_directories)
        describe_directories(part, at);
    else
        list_logs(part, at);
}

/* ---- At home ---- */

static void ask_for(struct request *request, struct view topic_name, int32_t partition)
{
    struct dirs_context *context = request->context;
    const struct image_topic *topic;
    if (topic_lookup(request->shard->image, false, UUID_ZERO, topic_name, partition, &topic) !=
        KAFKA_ERROR_NONE)
        return;
    struct asked_log *asked = request_get(request, 1, sizeof(*asked));
    unsigned owner = shard_of_partition(request->shard->broker, topic->id, partition);
    asked->topic_id = topic->id;
    asked->partition = partition;
    asked->next = context->shards[owner]->asked;
    context->shards[owner]->asked = asked;
}

static void describe_log_dirs_split(struct request *request)
{
    const struct describe_log_dirs_request *message = REQUEST_MESSAGE(describe_log_dirs, request);
    const struct broker *broker = request->shard->broker;
    struct dirs_context *context = request_get(request, 1, sizeof(*context));
    request->context = context;
    for (unsigned i = 1; i <= broker->shard_count; i++) {
        context->shards[i] = request_add_part(request, sizeof(struct dirs_part));
        context->shards[i]->lists_all = message->topics == NULL;
    }
    for (size_t i = 0; message->topics && i < message->topics_count; i++)
        for (size_t j = 0; j < message->topics[i].partitions_count; j++)
            ask_for(request, message->topics[i].topic, message->topics[i].partitions[j]);
    struct dirs_part *directories = request_add_part(request, sizeof(*directories));
    context->directories = directories;
    directories->describes_directories = true;
    directories->asks_space = request_version(request) >= SPACE_SINCE_VERSION;
    directories->directories =
        request_get(request, broker->directories->count, sizeof(*directories->directories));
    request_post_part(request, &directories->part, request_loop(request)->index);
    for (unsigned i = 1; i <= broker->shard_count; i++)
        request_post_part(request, &context->shards[i]->part, i);
    request_await_parts(request);
}

static int compare_logs(const void *a, const void *b, void *unused)
{
    (void)unused;
    const struct found_log *left = a;
    const struct found_log *right = b;
    if (left->directory != right->directory)
        return left->directory < right->directory ? -1 : 1;
    int order = uuid_compare(left->topic_id, right->topic_id);
    if (order != 0)
        return order;
    return (left->partition > right->partition) - (left->partition < right->partition);
}

/* All logs of all shards, in the order of the answer, each once. */
static struct found_log *gather(struct request *request, size_t *count)
{
    const struct dirs_context *context = request->context;
    size_t total = 0;
    for (unsigned i = 1; i <= request->shard->broker->shard_count; i++)
        total += context->shards[i]->found_count;
    struct found_log *logs = request_get(request, total, sizeof(*logs));
    size_t filled = 0;
    for (unsigned i = 1; i <= request->shard->broker->shard_count; i++) {
        size_t size = context->shards[i]->found_count * sizeof(*logs);
        if (size > 0)
            memcpy(logs + filled, context->shards[i]->found, size);
        filled += context->shards[i]->found_count;
    }
    sort_stable(logs, total, sizeof(*logs), request_get(request, total, sizeof(*logs)),
                compare_logs, NULL);
    *count = 0;
    for (size_t i = 0; i < total; i++)
        if (*count == 0 || compare_logs(&logs[*count - 1], &logs[i], NULL) != 0)
            logs[(*count)++] = logs[i];
    return logs;
}

/* The topics of one directory from its logs; a topic that is deleted meanwhile is left out. */
static void fill_topics(struct request *request, const struct found_log *logs, size_t count,
                        struct describe_log_dirs_response_describe_log_dirs_result *out)
{
    struct describe_log_dirs_response_describe_log_dirs_partition *partitions =
        request_get(request, count, sizeof(*partitions));
    out->topics = request_get(request, count, sizeof(*out->topics));
    for (size_t i = 0, end; i < count; i = end) {
        for (end = i; end < count && uuid_equal(logs[end].topic_id, logs[i].topic_id); end++)
            partitions[end] = (struct describe_log_dirs_response_describe_log_dirs_partition){
                .partition_index = logs[end].partition,
                .partition_size = (int64_t)logs[end].size,
            };
        const struct image_topic *topic =
            image_topic_by_id(request->shard->image, logs[i].topic_id);
        if (!topic)
            continue;
        struct describe_log_dirs_response_describe_log_dirs_topic *named =
            &out->topics[out->topics_count++];
        describe_log_dirs_response_describe_log_dirs_topic_init(named);
        named->name = topic->name;
        named->partitions = &partitions[i];
        named->partitions_count = end - i;
    }
}

static void describe_log_dirs_join(struct request *request)
{
    const struct dirs_context *context = request->context;
    const struct directories *directories = request->shard->broker->directories;
    struct describe_log_dirs_response response;
    describe_log_dirs_response_init(&response);
    response.results = request_get(request, directories->count, sizeof(*response.results));
    response.results_count = directories->count;
    size_t count;
    const struct found_log *logs = gather(request, &count);
    for (size_t i = 0, first = 0, end; i < directories->count; i++, first = end) {
        struct describe_log_dirs_response_describe_log_dirs_result *out = &response.results[i];
        const struct directory_state *state = &context->directories->directories[i];
        for (end = first; end < count && logs[end].directory == i; end++)
            continue;
        describe_log_dirs_response_describe_log_dirs_result_init(out);
        out->log_dir = view_of_string(directories->found[i].path.text);
        if (state->is_failed) {
            out->error_code = KAFKA_ERROR_KAFKA_STORAGE_ERROR;
            continue;
        }
        fill_topics(request, logs + first, end - first, out);
        if (context->directories->asks_space) {
            out->total_bytes = (int64_t)state->space.result_total;
            out->usable_bytes = (int64_t)state->space.result_size;
        }
    }
    request_respond(request, &response);
}

const struct api_row api_row_describe_log_dirs = {
    API_ROW(describe_log_dirs, API_KEY_DESCRIBE_LOG_DIRS),
    .route = API_ROUTE_EVERY_SHARD,
    .split = describe_log_dirs_split,
    .part = describe_log_dirs_part,
    .join = describe_log_dirs_join,
};
