/*
 * What a Fetch request says: everything when a session begins, and then what changed. Partitions
 * that follow each other and belong to one topic share its entry.
 */
#include "base/assert.h"
#include "replication/fetcher.h"

/* ---- The session ---- */

void fetcher_forget(struct fetcher *fetcher, const struct replica *replica)
{
    struct heap *heap = fetcher->fetchers->options.loop->heap;
    struct forgotten_partition *forgotten = heap_must_get(heap, MEMORY_STATE, sizeof(*forgotten));
    memcpy(forgotten->key, replica->key, REPLICA_KEY_SIZE);
    forgotten->topic_id = replica->topic_id;
    forgotten->partition = replica->partition;
    bool added = map_put(&fetcher->forgotten, view_of(forgotten->key, REPLICA_KEY_SIZE), forgotten);
    klamm_assert(added);
}

static void clear_forgotten(struct fetcher *fetcher)
{
    struct heap *heap = fetcher->fetchers->options.loop->heap;
    map_for_each(entry, &fetcher->forgotten)
    {
        struct forgotten_partition *forgotten = entry->value;
        map_remove_entry(&fetcher->forgotten, entry);
        heap_put(heap, MEMORY_STATE, forgotten, sizeof(*forgotten));
    }
    map_clear(&fetcher->forgotten);
}

void fetcher_reset_session(struct fetcher *fetcher)
{
    fetcher->session_epoch = 0;
    fetcher->session_count = 0;
    fetcher->lost_news = false;
    clear_forgotten(fetcher);
    while (list_pop_front(&fetcher->unready))
        continue;
    list_for_each(link, &fetcher->followers)
    {
        struct follower *follower = container_of(link, struct follower, link);
        follower->told = (struct follower_told){0};
        list_remove(&follower->queue_link);
        if (follower->state == FOLLOWER_READY)
            list_push_back(&fetcher->changed, &follower->queue_link);
    }
}

/* ---- The message ---- */

/* Arrays as large as they can get, filled from the front. */
struct builder {
    struct fetcher *fetcher;
    struct fetch_request_fetch_topic *topics;
    size_t topics_count;
    struct fetch_request_fetch_partition *partitions;
    size_t partitions_count;
    struct fetch_request_forgotten_topic *forgotten_topics;
    size_t forgotten_topics_count;
    int32_t *forgotten;
    size_t forgotten_count;
};

static size_t list_size(const struct list *list)
{
    size_t count = 0;
    for (const struct list *link = list->next; link != list; link = link->next)
        count++;
    return count;
}

static void builder_init(struct builder *builder, struct fetcher *fetcher, size_t told_count,
                         size_t forgotten_count)
{
    *builder = (struct builder){.fetcher = fetcher};
    arena_reset(&fetcher->arena);
    builder->topics = arena_must_get(&fetcher->arena, told_count, sizeof(*builder->topics));
    builder->partitions = arena_must_get(&fetcher->arena, told_count, sizeof(*builder->partitions));
    builder->forgotten_topics =
        arena_must_get(&fetcher->arena, forgotten_count, sizeof(*builder->forgotten_topics));
    builder->forgotten =
        arena_must_get(&fetcher->arena, forgotten_count, sizeof(*builder->forgotten));
}

/* Invariant 3 of the fetchers: asking for an offset acknowledges everything below it. */
static void assert_is_there(const struct follower *follower)
{
    const struct replica *replica = follower->replica;
    klamm_assert(follower->state == FOLLOWER_READY);
    klamm_assert(follower->fetch_offset == partition_log_end_offset(replica->log));
    klamm_assert(follower->fetch_offset <= replica_local_end(replica));
}

static void tell(struct builder *builder, struct follower *follower)
{
    assert_is_there(follower);
    const struct replica *replica = follower->replica;
    struct fetch_request_fetch_partition *partition =
        &builder->partitions[builder->partitions_count++];
    struct fetch_request_fetch_topic *topic =
        builder->topics_count ? &builder->topics[builder->topics_count - 1] : NULL;
    if (!topic || !uuid_equal(topic->topic_id, replica->topic_id)) {
        topic = &builder->topics[builder->topics_count++];
        fetch_request_fetch_topic_init(topic);
        topic->topic_id = replica->topic_id;
        topic->partitions = partition;
    }
    topic->partitions_count++;
    if (!follower->told.in_session)
        builder->fetcher->session_count++;
    follower->told = (struct follower_told){
        .in_session = true,
        .leader_epoch = replica->leader_epoch,
        .last_fetched_epoch = follower->last_fetched_epoch,
        .fetch_offset = follower->fetch_offset,
        .log_start_offset = partition_log_start_offset(replica->log),
    };
    fetch_request_fetch_partition_init(partition);
    partition->partition = replica->partition;
    partition->current_leader_epoch = follower->told.leader_epoch;
    partition->fetch_offset = follower->told.fetch_offset;
    partition->last_fetched_epoch = follower->told.last_fetched_epoch;
    partition->log_start_offset = follower->told.log_start_offset;
    partition->partition_max_bytes = builder->fetcher->fetchers->options.max_bytes;
}

static void forget(struct builder *builder, struct uuid topic_id, int32_t index)
{
    int32_t *place = &builder->forgotten[builder->forgotten_count++];
    struct fetch_request_forgotten_topic *topic =
        builder->forgotten_topics_count
            ? &builder->forgotten_topics[builder->forgotten_topics_count - 1]
            : NULL;
    if (!topic || !uuid_equal(topic->topic_id, topic_id)) {
        topic = &builder->forgotten_topics[builder->forgotten_topics_count++];
        fetch_request_forgotten_topic_init(topic);
        topic->topic_id = topic_id;
        topic->partitions = place;
    }
    *place = index;
    topic->partitions_count++;
}

static void tell_all(struct builder *builder, struct fetcher *fetcher)
{
    fetcher_reset_session(fetcher);
    list_for_each(link, &fetcher->followers)
    {
        struct follower *follower = container_of(link, struct follower, link);
        if (follower->state != FOLLOWER_READY)
            continue;
        list_remove(&follower->queue_link);
        tell(builder, follower);
    }
}

static void tell_changes(struct builder *builder, struct fetcher *fetcher)
{
    for (struct list *link; (link = list_pop_front(&fetcher->changed)) != NULL;)
        tell(builder, container_of(link, struct follower, queue_link));
    for (struct list *link; (link = list_pop_front(&fetcher->unready)) != NULL;) {
        struct follower *follower = container_of(link, struct follower, queue_link);
        forget(builder, follower->replica->topic_id, follower->replica->partition);
        follower->told = (struct follower_told){0};
        fetcher->session_count--;
    }
    map_for_each(entry, &fetcher->forgotten)
    {
        const struct forgotten_partition *forgotten = entry->value;
        forget(builder, forgotten->topic_id, forgotten->partition);
    }
    clear_forgotten(fetcher);
}

static void fill_header(struct fetcher *fetcher)
{
    const struct fetchers *fetchers = fetcher->fetchers;
    const struct fetchers_options *options = &fetchers->options;
    struct fetch_request *fetch = &fetcher->fetch;
    fetch_request_init(fetch);
    if (fetchers->fetch_version >= 15) {
        fetch->replica_state.replica_id = options->node_id;
        fetch->replica_state.replica_epoch = fetchers->broker_epoch;
    } else {
        fetch->replica_id = options->node_id;
    }
    fetch->max_wait_ms = options->wait_max_ms;
    if (fetcher->main && fetch->max_wait_ms > FETCHER_EXPRESS_WAIT_MS)
        fetch->max_wait_ms = FETCHER_EXPRESS_WAIT_MS;
    fetch->min_bytes = options->min_bytes;
    fetch->max_bytes = options->response_max_bytes;
    fetch->session_id = fetcher->session_id;
    fetch->session_epoch = fetcher->session_epoch;
}

bool fetcher_build_request(struct fetcher *fetcher)
{
    struct builder builder;
    if (fetcher->lost_news)
        fetcher_reset_session(fetcher);
    fetcher->is_full = fetcher->session_epoch == 0;
    if (fetcher->is_full) {
        builder_init(&builder, fetcher, fetcher->follower_count, 0);
        tell_all(&builder, fetcher);
    } else {
        builder_init(&builder, fetcher, list_size(&fetcher->changed),
                     list_size(&fetcher->unready) + map_count(&fetcher->forgotten));
        tell_changes(&builder, fetcher);
    }
    if (fetcher->session_count == 0) { /* the leader would end a session without partitions */
        fetcher_reset_session(fetcher);
        return false;
    }
    fill_header(fetcher);
    fetcher->fetch.topics = builder.topics;
    fetcher->fetch.topics_count = builder.topics_count;
    fetcher->fetch.forgotten_topics_data = builder.forgotten_topics;
    fetcher->fetch.forgotten_topics_data_count = builder.forgotten_topics_count;
    return true;
}
