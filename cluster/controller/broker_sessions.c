/* Entries are found by broker id; the list has them by their last contact. */
#include "cluster/controller/broker_sessions.h"

#include "base/assert.h"

void broker_sessions_init(struct broker_sessions *sessions, struct heap *heap, uint64_t timeout_ns,
                          int32_t own_id)
{
    *sessions = (struct broker_sessions){.heap = heap, .timeout_ns = timeout_ns, .own_id = own_id};
    map_init(&sessions->sessions, heap, MEMORY_STATE, 0);
    list_init(&sessions->tracked);
}

static struct broker_session *find(const struct broker_sessions *sessions, int32_t id)
{
    return map_get_number(&sessions->sessions, (uint32_t)id);
}

const struct broker_session *broker_session_find(const struct broker_sessions *sessions, int32_t id)
{
    return find(sessions, id);
}

static void forget(struct broker_sessions *sessions, struct broker_session *session)
{
    list_remove(&session->link);
    map_remove_number(&sessions->sessions, (uint32_t)session->id);
    heap_put(sessions->heap, MEMORY_STATE, session, sizeof(*session));
}

/* Puts a session behind those that were heard before. */
static void track(struct broker_sessions *sessions, struct broker_session *session)
{
    list_remove(&session->link);
    if (session->id != sessions->own_id)
        list_push_back(&sessions->tracked, &session->link);
}

static struct broker_session *add(struct broker_sessions *sessions, const struct image_node *broker,
                                  uint64_t now_ns)
{
    struct broker_session *session = heap_must_get(sessions->heap, MEMORY_STATE, sizeof(*session));
    *session = (struct broker_session){
        .id = broker->id,
        .epoch = broker->epoch,
        .contact_ns = now_ns,
        .metadata_offset = BROKER_OFFSET_UNKNOWN,
        .shutdown_offset = BROKER_OFFSET_UNKNOWN,
    };
    list_link_init(&session->link);
    klamm_assert(map_put_number(&sessions->sessions, (uint32_t)broker->id, session));
    return session;
}

void broker_sessions_claim(struct broker_sessions *sessions, const struct image *image,
                           uint64_t now_ns)
{
    broker_sessions_renounce(sessions);
    struct image_walk walk;
    image_walk_start(&image->brokers, &walk);
    for (const struct image_node *broker = image_walk_next_node(&walk); broker;
         broker = image_walk_next_node(&walk)) {
        struct broker_session *session = add(sessions, broker, now_ns);
        /* Where it began is not known any more: it has begun when all this is seen. */
        if (broker->in_controlled_shutdown)
            session->shutdown_offset = image->offset;
        if (!broker->fenced)
            track(sessions, session);
    }
}

void broker_sessions_renounce(struct broker_sessions *sessions)
{
    map_for_each(entry, &sessions->sessions) forget(sessions, entry->value);
    map_deinit(&sessions->sessions);
    map_init(&sessions->sessions, sessions->heap, MEMORY_STATE, 0);
}

void broker_sessions_follow(struct broker_sessions *sessions, const struct image *image, int32_t id,
                            uint64_t now_ns)
{
    const struct image_node *broker = image_broker(image, id);
    struct broker_session *session = find(sessions, id);
    if (session && (!broker || broker->epoch != session->epoch)) {
        forget(sessions, session);
        session = NULL;
    }
    if (!broker)
        return;
    if (!session)
        session = add(sessions, broker, now_ns);
    if (broker->fenced) {
        list_remove(&session->link);
        session->shutdown_offset = BROKER_OFFSET_UNKNOWN;
    } else if (!list_is_linked(&session->link)) {
        session->contact_ns = now_ns;
        track(sessions, session);
    }
}

void broker_sessions_touch(struct broker_sessions *sessions, int32_t id, int64_t epoch,
                           int64_t metadata_offset, uint64_t now_ns)
{
    struct broker_session *session = find(sessions, id);
    if (!session || session->epoch != epoch)
        return;
    session->contact_ns = now_ns;
    session->metadata_offset = metadata_offset;
    if (list_is_linked(&session->link))
        track(sessions, session);
}

/* The controlled shutdown of a broker begins with the batch that ends at this offset. */
static void begin_shutdown(struct broker_sessions *sessions, int32_t id, int64_t batch_last_offset)
{
    struct broker_session *session = find(sessions, id);
    if (session)
        session->shutdown_offset = batch_last_offset;
}

bool broker_sessions_is_alive(const struct broker_sessions *sessions, const struct image *image,
                              int32_t id, uint64_t now_ns)
{
    const struct broker_session *session = find(sessions, id);
    const struct image_node *broker = image_broker(image, id);
    if (!session || !broker || broker->fenced)
        return false;
    return id == sessions->own_id || session->contact_ns + sessions->timeout_ns >= now_ns;
}

/*
 * The lowest metadata offset among the active brokers, INT64_MAX when there are none. The own
 * broker has seen everything that was answered, so it does not count.
 */
static int64_t lowest_offset(const struct broker_sessions *sessions, const struct image *image)
{
    int64_t lowest = INT64_MAX;
    list_for_each(link, &sessions->tracked)
    {
        const struct broker_session *session = container_of(link, struct broker_session, link);
        if (image_broker_is_active(image, session->id) && session->metadata_offset < lowest)
            lowest = session->metadata_offset;
    }
    return lowest;
}

const struct broker_session *broker_sessions_expired(const struct broker_sessions *sessions,
                                                     uint64_t now_ns)
{
    return broker_sessions_next_ns(sessions) > now_ns
               ? NULL
               : container_of(sessions->tracked.next, struct broker_session, link);
}

uint64_t broker_sessions_next_ns(const struct broker_sessions *sessions)
{
    if (list_is_empty(&sessions->tracked))
        return UINT64_MAX;
    const struct broker_session *oldest =
        container_of(sessions->tracked.next, struct broker_session, link);
    return oldest->contact_ns + sessions->timeout_ns + 1;
}

void broker_sessions_heartbeat(struct broker_sessions *sessions, struct decision *decision,
                               const struct broker_heartbeat_request *request, uint64_t now_ns,
                               struct broker_heartbeat_response *response)
{
    const struct image_node *broker = image_broker(decision->image, request->broker_id);
    const struct broker_session *session = find(sessions, request->broker_id);
    int64_t shutdown_offset = session ? session->shutdown_offset : BROKER_OFFSET_UNKNOWN;
    decide_broker_heartbeat(decision, request, lowest_offset(sessions, decision->image),
                            shutdown_offset, response);
    if (response->error_code != KAFKA_ERROR_NONE)
        return;
    broker_sessions_touch(sessions, request->broker_id, request->broker_epoch,
                          request->current_metadata_offset, now_ns);
    if (request->want_shut_down && !broker->fenced && !broker->in_controlled_shutdown &&
        !response->is_fenced)
        begin_shutdown(sessions, broker->id,
                       decision->next_offset + (int64_t)decision->records.count - 1);
}

void broker_sessions_register(const struct broker_sessions *sessions, struct decision *decision,
                              const struct broker_registration_request *request, bool is_own,
                              uint64_t now_ns, struct broker_registration_response *response)
{
    bool replaces = is_own && request->broker_id == sessions->own_id;
    bool has_session = !replaces && broker_sessions_is_alive(sessions, decision->image,
                                                             request->broker_id, now_ns);
    decide_broker_registration(decision, request, decision->version, has_session, response);
}

void broker_sessions_check(const struct broker_sessions *sessions, const struct image *image)
{
    klamm_assert(map_count(&sessions->sessions) == image->brokers.count);
    map_for_each(entry, &sessions->sessions)
    {
        const struct broker_session *session = entry->value;
        const struct image_node *broker = image_broker(image, session->id);
        klamm_assert(broker);
        klamm_assert(broker->epoch == session->epoch);
        klamm_assert(list_is_linked(&session->link) ==
                     (!broker->fenced && session->id != sessions->own_id));
    }
    uint64_t last = 0;
    list_for_each(link, &sessions->tracked)
    {
        const struct broker_session *session = container_of(link, struct broker_session, link);
        klamm_assert(session->contact_ns >= last);
        last = session->contact_ns;
    }
}
