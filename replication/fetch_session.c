/*
 * The key of a partition is its index followed by its topic id or name, in the partition's own
 * block. Sessions stand in a list by last use; admission looks at the first one only.
 */
#include "replication/fetch_session.h"

#include "base/assert.h"

static const uint64_t EVICTION_NS = UINT64_C(120) * 1000000000;

void fetch_sessions_init(struct fetch_sessions *sessions, struct loop *loop, uint32_t limit)
{
    *sessions = (struct fetch_sessions){.loop = loop, .limit = limit};
    list_init(&sessions->sessions);
}

void fetch_sessions_deinit(struct fetch_sessions *sessions)
{
    while (!list_is_empty(&sessions->sessions))
        fetch_session_close(container_of(sessions->sessions.next, struct fetch_session, link));
    klamm_assert(sessions->ending == 0);
}

void fetch_sessions_await(struct fetch_sessions *sessions,
                          void (*ended)(struct fetch_sessions *sessions))
{
    klamm_assert(list_is_empty(&sessions->sessions));
    if (sessions->ending == 0)
        ended(sessions);
    else
        sessions->ended = ended;
}

/* ---- The end ---- */

static void partition_free(struct fetch_session *session, struct fetch_partition *partition)
{
    list_remove(&partition->link);
    list_remove(&partition->due_link);
    heap_put(session->owner->loop->heap, MEMORY_CONNECTION, partition, partition->held_size);
}

void fetch_session_free_dropped(struct fetch_session *session, struct fetch_partition *partition)
{
    klamm_assert(partition->ask.interest == NULL);
    partition_free(session, partition);
}

static void free_partitions(struct fetch_session *session, struct list *list)
{
    while (!list_is_empty(list))
        partition_free(session, container_of(list->next, struct fetch_partition, link));
}

static void session_free(struct fetch_session *session)
{
    struct fetch_sessions *owner = session->owner;
    free_partitions(session, &session->partitions);
    free_partitions(session, &session->dropped);
    map_deinit(&session->by_key);
    heap_put(owner->loop->heap, MEMORY_CONNECTION, session,
             sizeof(*session) + session->seat_count * sizeof(session->seats[0]));
    owner->ending--;
    if (owner->ending == 0 && owner->ended)
        owner->ended(owner);
}

static void seat_is_back(struct message *message, struct loop *at)
{
    (void)at;
    struct fetch_seat *seat = container_of(message, struct fetch_seat, message);
    if (--seat->session->seats_out == 0)
        session_free(seat->session);
}

/* On the loop of the interests. */
static void seat_has_arrived(struct message *message, struct loop *at)
{
    struct fetch_seat *seat = container_of(message, struct fetch_seat, message);
    unsigned home = seat->session->owner->loop->index;
    fetch_interests_destroy(seat->interests);
    message->deliver = seat_is_back;
    if (home == at->index)
        seat_is_back(message, at);
    else
        loop_post(at, home, message);
}

static void free_seats(struct fetch_session *session)
{
    struct loop *loop = session->owner->loop;
    session->seats_out = 1;
    for (unsigned i = 0; i < session->seat_count; i++) {
        struct fetch_seat *seat = &session->seats[i];
        if (!seat->interests)
            continue;
        session->seats_out++;
        seat->message.deliver = seat_has_arrived;
        if (i == loop->index)
            seat_has_arrived(&seat->message, loop);
        else
            loop_post(loop, i, &seat->message);
    }
    if (--session->seats_out == 0)
        session_free(session);
}

void fetch_session_close(struct fetch_session *session)
{
    struct fetch_sessions *owner = session->owner;
    list_remove(&session->link);
    owner->count--;
    owner->ending++;
    *session->place = NULL;
    session->place = NULL;
    if (!session->is_busy)
        free_seats(session);
}

void fetch_session_end(struct fetch_session *session)
{
    session->is_busy = false;
    if (!session->place)
        free_seats(session);
}

/* ---- Admission ---- */

/* Room for one more: free, or that of a session that is unused for long. */
static bool make_room(struct fetch_sessions *sessions)
{
    if (sessions->count < sessions->limit)
        return true;
    if (list_is_empty(&sessions->sessions))
        return false;
    struct fetch_session *oldest =
        container_of(sessions->sessions.next, struct fetch_session, link);
    if (oldest->is_busy || sessions->loop->now_ns - oldest->used_ns <= EVICTION_NS)
        return false;
    fetch_session_close(oldest);
    sessions->evicted++;
    return true;
}

static struct fetch_session *session_create(struct fetch_sessions *sessions, bool uses_ids,
                                            uint64_t random)
{
    struct loop *loop = sessions->loop;
    struct fetch_session *session = heap_must_get(
        loop->heap, MEMORY_CONNECTION, sizeof(*session) + loop->count * sizeof(session->seats[0]));
    int32_t id = (int32_t)(random & INT32_MAX);
    session->owner = sessions;
    session->id = id ? id : 1;
    session->epoch = 1;
    session->uses_ids = uses_ids;
    session->created_ns = loop->now_ns;
    session->used_ns = loop->now_ns;
    session->seat_count = loop->count;
    for (unsigned i = 0; i < loop->count; i++)
        session->seats[i].session = session;
    map_init(&session->by_key, loop->heap, MEMORY_CONNECTION, loop->seed);
    list_init(&session->partitions);
    list_init(&session->due);
    list_init(&session->dropped);
    list_push_back(&sessions->sessions, &session->link);
    sessions->count++;
    sessions->created++;
    return session;
}

/* ---- Partitions ---- */

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

static void make_due(struct fetch_session *session, struct fetch_partition *partition)
{
    if (!list_is_linked(&partition->due_link))
        list_push_back(&session->due, &partition->due_link);
}

static struct fetch_partition *partition_create(struct fetch_session *session, const uint8_t *key,
                                                size_t key_size)
{
    size_t size = sizeof(struct fetch_partition) + key_size;
    struct fetch_partition *partition =
        heap_must_get(session->owner->loop->heap, MEMORY_CONNECTION, size);
    memcpy(partition->key, key, key_size);
    partition->key_size = key_size;
    partition->held_size = size;
    list_link_init(&partition->due_link);
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
        struct view name = session->uses_ids ? VIEW_LITERAL("")
                                             : view_of(partition->key + 4, partition->key_size - 4);
        fetch_ask_fill(&partition->ask, name, topic->topic_id, asked);
        make_due(session, partition);
    }
}

static void forget_topic(struct fetch_session *session,
                         const struct fetch_request_forgotten_topic *topic)
{
    uint8_t key[KEY_SIZE_MAX];
    for (size_t i = 0; i < topic->partitions_count; i++) {
        size_t size = write_key(session, topic->topic_id, topic->topic, topic->partitions[i], key);
        struct fetch_partition *partition = map_remove(&session->by_key, view_of(key, size));
        if (!partition)
            continue;
        list_remove(&partition->link);
        list_remove(&partition->due_link);
        list_push_back(&session->dropped, &partition->link);
    }
}

void fetch_session_show(struct fetch_session *session, uint64_t image_version)
{
    if (session->image_version == image_version)
        return;
    session->image_version = image_version;
    list_for_each(link, &session->partitions)
        make_due(session, container_of(link, struct fetch_partition, link));
}

/* ---- Requests ---- */

static void apply_request(struct fetch_session *session, const struct fetch_request *request)
{
    for (size_t i = 0; i < request->topics_count; i++)
        apply_topic(session, &request->topics[i]);
    for (size_t i = 0; i < request->forgotten_topics_data_count; i++)
        forget_topic(session, &request->forgotten_topics_data[i]);
}

static enum kafka_error continue_session(struct fetch_session *session,
                                         const struct fetch_request *request, bool uses_ids,
                                         enum fetch_session_kind *kind)
{
    if (!session || session->id != request->session_id)
        return KAFKA_ERROR_FETCH_SESSION_ID_NOT_FOUND;
    if (session->epoch != request->session_epoch)
        return KAFKA_ERROR_INVALID_FETCH_SESSION_EPOCH;
    if (session->uses_ids != uses_ids)
        return KAFKA_ERROR_FETCH_SESSION_TOPIC_ID_ERROR;
    apply_request(session, request);
    session->epoch = fetch_session_next_epoch(session->epoch);
    session->used_ns = session->owner->loop->now_ns;
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
                                     uint64_t random, enum fetch_session_kind *kind)
{
    bool is_full = request->session_epoch == FETCH_SESSION_EPOCH_INITIAL ||
                   request->session_epoch == FETCH_SESSION_EPOCH_FINAL;
    if (!is_full)
        return continue_session(*place, request, uses_ids, kind);
    if (*place && (*place)->id == request->session_id)
        fetch_session_close(*place);
    *kind = FETCH_SESSION_NONE;
    if (request->session_epoch == FETCH_SESSION_EPOCH_FINAL || request->topics_count == 0)
        return KAFKA_ERROR_NONE;
    /* A client that starts over without naming its session has given the old one up. */
    if (*place)
        fetch_session_close(*place);
    if (!make_room(sessions))
        return KAFKA_ERROR_NONE;
    *place = session_create(sessions, uses_ids, random);
    (*place)->place = place;
    apply_request(*place, request);
    (*place)->is_busy = true;
    *kind = FETCH_SESSION_NEW;
    return KAFKA_ERROR_NONE;
}
