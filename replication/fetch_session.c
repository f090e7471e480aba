/*
 * The key of a partition is its index followed by its topic id or name, in the partition's own
 * block. Sessions stand in a list by last use; admission looks at the first one only.
 */
#include "replication/fetch_session.h"

#include "base/assert.h"

static const uint64_t EVICTION_NS = UINT64_C(120) * 1000000000;

void fetch_sessions_init(struct fetch_sessions *sessions, struct heap *heap, uint32_t limit,
                         uint64_t seed)
{
    *sessions = (struct fetch_sessions){.heap = heap, .limit = limit, .seed = seed};
    list_init(&sessions->sessions);
}

void fetch_sessions_deinit(struct fetch_sessions *sessions)
{
    while (!list_is_empty(&sessions->sessions))
        fetch_session_close(container_of(sessions->sessions.next, struct fetch_session, link));
}

static void partition_remove(struct fetch_session *session, struct fetch_partition *partition)
{
    map_remove(&session->by_key, view_of(partition->key, partition->key_size));
    list_remove(&partition->link);
    heap_put(session->owner->heap, MEMORY_CONNECTION, partition, partition->held_size);
}

void fetch_session_close(struct fetch_session *session)
{
    struct fetch_sessions *owner = session->owner;
    while (!list_is_empty(&session->partitions))
        partition_remove(session,
                         container_of(session->partitions.next, struct fetch_partition, link));
    map_deinit(&session->by_key);
    list_remove(&session->link);
    owner->count--;
    *session->place = NULL;
    heap_put(owner->heap, MEMORY_CONNECTION, session, sizeof(*session));
}

/* Room for one more: free, or that of a session that is unused for long. */
static bool make_room(struct fetch_sessions *sessions, uint64_t now_ns)
{
    if (sessions->count < sessions->limit)
        return true;
    if (list_is_empty(&sessions->sessions))
        return false;
    struct fetch_session *oldest =
        container_of(sessions->sessions.next, struct fetch_session, link);
    if (oldest->is_busy || now_ns - oldest->used_ns <= EVICTION_NS)
        return false;
    fetch_session_close(oldest);
    sessions->evicted++;
    return true;
}

static struct fetch_session *session_create(struct fetch_sessions *sessions, bool uses_ids,
                                            uint64_t now_ns, uint64_t random)
{
    struct fetch_session *session =
        heap_must_get(sessions->heap, MEMORY_CONNECTION, sizeof(*session));
    int32_t id = (int32_t)(random & INT32_MAX);
    session->owner = sessions;
    session->id = id ? id : 1;
    session->epoch = 1;
    session->uses_ids = uses_ids;
    session->created_ns = now_ns;
    session->used_ns = now_ns;
    map_init(&session->by_key, sessions->heap, MEMORY_CONNECTION, sessions->seed);
    list_init(&session->partitions);
    list_push_back(&sessions->sessions, &session->link);
    sessions->count++;
    sessions->created++;
    return session;
}

enum { KEY_SIZE_MAX = 4 + 32767 };

/* Writes index and topic id or name; returns the size. */
static size_t write_key(const struct fetch_session *session, struct uuid topic_id,
                        struct view topic, int32_t partition, uint8_t key[KEY_SIZE_MAX])
{
    store_u32(key, (uint32_t)partition);
    if (session->uses_ids) {
        memcpy(key + 4, topic_id.bytes, UUID_SIZE);
        return 4 + UUID_SIZE;
    }
    memcpy(key + 4, topic.data, topic.size);
    return 4 + topic.size;
}

static struct fetch_partition *partition_create(struct fetch_session *session, const uint8_t *key,
                                                size_t key_size)
{
    size_t size = sizeof(struct fetch_partition) + key_size;
    struct fetch_partition *partition =
        heap_must_get(session->owner->heap, MEMORY_CONNECTION, size);
    memcpy(partition->key, key, key_size);
    partition->key_size = key_size;
    partition->held_size = size;
    partition->told_high_watermark = -1;
    partition->told_log_start = -1;
    bool added = map_put(&session->by_key, view_of(partition->key, key_size), partition);
    klamm_assert(added);
    list_push_back(&session->partitions, &partition->link);
    return partition;
}

static void apply_topic(struct fetch_session *session,
                        const struct fetch_request_fetch_topic *topic)
{
    uint8_t key[KEY_SIZE_MAX];
    for (size_t i = 0; i < topic->partitions_count; i++) {
        const struct fetch_request_fetch_partition *asked = &topic->partitions[i];
        size_t key_size = write_key(session, topic->topic_id, topic->topic, asked->partition, key);
        struct fetch_partition *partition = map_get(&session->by_key, view_of(key, key_size));
        if (!partition)
            partition = partition_create(session, key, key_size);
        partition->topic_id = topic->topic_id;
        partition->topic = session->uses_ids ? VIEW_LITERAL("")
                                             : view_of(partition->key + 4, partition->key_size - 4);
        partition->partition = asked->partition;
        partition->max_bytes = asked->partition_max_bytes;
        partition->leader_epoch = asked->current_leader_epoch;
        partition->last_fetched_epoch = asked->last_fetched_epoch;
        partition->fetch_offset = asked->fetch_offset;
        partition->log_start_offset = asked->log_start_offset;
    }
}

static void forget_topic(struct fetch_session *session,
                         const struct fetch_request_forgotten_topic *topic)
{
    uint8_t key[KEY_SIZE_MAX];
    for (size_t i = 0; i < topic->partitions_count; i++) {
        size_t size = write_key(session, topic->topic_id, topic->topic, topic->partitions[i], key);
        struct fetch_partition *partition = map_get(&session->by_key, view_of(key, size));
        if (partition)
            partition_remove(session, partition);
    }
}

static void apply_request(struct fetch_session *session, const struct fetch_request *request)
{
    for (size_t i = 0; i < request->topics_count; i++)
        apply_topic(session, &request->topics[i]);
    for (size_t i = 0; i < request->forgotten_topics_data_count; i++)
        forget_topic(session, &request->forgotten_topics_data[i]);
}

static enum kafka_error continue_session(struct fetch_session *session,
                                         const struct fetch_request *request, bool uses_ids,
                                         uint64_t now_ns, enum fetch_session_kind *kind)
{
    if (!session || session->id != request->session_id)
        return KAFKA_ERROR_FETCH_SESSION_ID_NOT_FOUND;
    if (session->epoch != request->session_epoch)
        return KAFKA_ERROR_INVALID_FETCH_SESSION_EPOCH;
    if (session->uses_ids != uses_ids)
        return KAFKA_ERROR_FETCH_SESSION_TOPIC_ID_ERROR;
    apply_request(session, request);
    session->epoch = fetch_session_next_epoch(session->epoch);
    session->used_ns = now_ns;
    list_remove(&session->link);
    list_push_back(&session->owner->sessions, &session->link);
    if (list_is_empty(&session->partitions)) {
        fetch_session_close(session);
        *kind = FETCH_SESSION_NONE;
        return KAFKA_ERROR_NONE;
    }
    session->is_busy = true;
    *kind = FETCH_SESSION_INCREMENTAL;
    return KAFKA_ERROR_NONE;
}

enum kafka_error fetch_session_begin(struct fetch_sessions *sessions, struct fetch_session **place,
                                     const struct fetch_request *request, bool uses_ids,
                                     uint64_t now_ns, uint64_t random,
                                     enum fetch_session_kind *kind)
{
    bool is_full = request->session_epoch == FETCH_SESSION_EPOCH_INITIAL ||
                   request->session_epoch == FETCH_SESSION_EPOCH_FINAL;
    if (!is_full)
        return continue_session(*place, request, uses_ids, now_ns, kind);
    if (*place && (*place)->id == request->session_id)
        fetch_session_close(*place);
    *kind = FETCH_SESSION_NONE;
    if (request->session_epoch == FETCH_SESSION_EPOCH_FINAL || request->topics_count == 0)
        return KAFKA_ERROR_NONE;
    /* A client that starts over without naming its session has given the old one up. */
    if (*place)
        fetch_session_close(*place);
    if (!make_room(sessions, now_ns))
        return KAFKA_ERROR_NONE;
    *place = session_create(sessions, uses_ids, now_ns, random);
    (*place)->place = place;
    apply_request(*place, request);
    (*place)->is_busy = true;
    *kind = FETCH_SESSION_NEW;
    return KAFKA_ERROR_NONE;
}

void fetch_session_end(struct fetch_session *session)
{
    if (session)
        session->is_busy = false;
}

bool fetch_partition_tell(struct fetch_session *session, struct fetch_partition *partition,
                          enum kafka_error error, int64_t high_watermark, int64_t log_start,
                          bool has_data)
{
    bool tell = has_data || error != KAFKA_ERROR_NONE ||
                partition->told_high_watermark != high_watermark ||
                partition->told_log_start != log_start;
    if (!tell)
        return false;
    partition->told_log_start = log_start;
    /* After an error the next good answer is news. */
    partition->told_high_watermark = error != KAFKA_ERROR_NONE ? -1 : high_watermark;
    if (has_data) {
        list_remove(&partition->link);
        list_push_back(&session->partitions, &partition->link);
    }
    return true;
}
