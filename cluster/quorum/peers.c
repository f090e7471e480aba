/*
 * A message goes out when the quorum wants it and nothing else is under way to that member. When
 * its answer is there, or it failed, the member is looked at again: what the quorum is by then
 * decides whether something is said to it, so a vote of an election that is over is not repeated.
 */
#include "cluster/quorum/peers.h"

#include "base/text.h"
#include "cluster/quorum/metadata_log_internal.h"

/* ---- Who there is ---------------------------------------------------------------------------- */

static void send_to(struct quorum_peer *peer);
static void answered(struct channel_request *request, enum channel_status status,
                     const void *response);

static void retry(struct timer *timer)
{
    send_to(container_of(timer, struct quorum_peer, retry));
}

struct quorum_peer *quorum_peer_find(const struct metadata_log *log, int32_t id)
{
    list_for_each(link, &log->peers.list)
    {
        struct quorum_peer *peer = container_of(link, struct quorum_peer, link);
        if (peer->id == id)
            return peer;
    }
    return NULL;
}

static struct quorum_peer *add_peer(struct metadata_log *log, int32_t id)
{
    struct quorum_peer *peer = heap_must_get(log->loop->heap, MEMORY_STATE, sizeof(*peer));
    *peer = (struct quorum_peer){.log = log, .id = id};
    arena_init(&peer->arena, log->loop->heap, MEMORY_SCRATCH, 0);
    timer_init(&peer->retry, retry);
    list_push_back(&log->peers.list, &peer->link);
    log->peers.count++;
    return peer;
}

void quorum_peer_learn(struct metadata_log *log, int32_t id, struct view host, uint16_t port)
{
    struct quorum_peer *peer = quorum_peer_find(log, id);
    if (host.size == 0 || host.size >= QUORUM_HOST_SIZE || port == 0 || id == log->options.voter.id)
        return;
    if (!peer)
        peer = add_peer(log, id);
    if (view_equal(view_of_string(peer->host), host) && peer->port == port)
        return;
    text_to_string(host, peer->host, sizeof(peer->host));
    peer->port = port;
    if (peer->elections)
        channel_set_address(peer->elections, host, port);
    if (peer->fetches)
        channel_set_address(peer->fetches, host, port);
    metadata_log_wake(log);
}

struct quorum_peer *quorum_peer_any(struct metadata_log *log, const struct quorum_peer *but)
{
    struct quorum_peer *chosen = NULL;
    uint64_t seen = 0;
    list_for_each(link, &log->peers.list)
    {
        struct quorum_peer *peer = container_of(link, struct quorum_peer, link);
        if (peer == but)
            continue;
        if (random_below(&log->peers.random, ++seen) == 0)
            chosen = peer;
    }
    return chosen;
}

static void learn_bootstrap(struct metadata_log *log, struct view text, int32_t id)
{
    size_t colon = text.size;
    while (colon > 0 && text.data[colon - 1] != ':')
        colon--;
    int64_t port;
    if (colon == 0 ||
        !text_parse_i64(view_of(text.data + colon, text.size - colon), 1, UINT16_MAX, &port))
        return;
    struct view host = view_of(text.data, colon - 1);
    if (host.size > 2 && host.data[0] == '[' && host.data[host.size - 1] == ']')
        host = view_of(host.data + 1, host.size - 2);
    quorum_peer_learn(log, id, host, (uint16_t)port);
}

void quorum_peers_init(struct metadata_log *log)
{
    const struct metadata_log_options *options = &log->options;
    list_init(&log->peers.list);
    random_init(&log->peers.random, loop_random_seed(log->loop, 2), 1);
    for (size_t i = 0; i < options->voter_count; i++)
        quorum_peer_learn(log, options->voters[i].id, options->voters[i].host,
                          (uint16_t)options->voters[i].port);
    for (size_t i = 0; i < options->bootstrap_servers.count; i++)
        learn_bootstrap(log, options->bootstrap_servers.items[i], QUORUM_BOOTSTRAP_ID - (int32_t)i);
}

void quorum_peers_deinit(struct metadata_log *log)
{
    struct list *link;
    while ((link = list_pop_front(&log->peers.list)) != NULL) {
        struct quorum_peer *peer = container_of(link, struct quorum_peer, link);
        timer_clear(&peer->retry);
        if (peer->elections)
            channel_close(peer->elections);
        if (peer->fetches)
            channel_close(peer->fetches);
        arena_deinit(&peer->arena);
        heap_put(log->loop->heap, MEMORY_STATE, peer, sizeof(*peer));
    }
    log->peers.count = 0;
}

/* ---- Channels -------------------------------------------------------------------------------- */

static struct channel *make_channel(const struct quorum_peer *peer)
{
    const struct metadata_log_options *options = &peer->log->options;
    struct channel_options channel = {
        .loop = peer->log->loop,
        .host = view_of_string(peer->host),
        .port = peer->port,
        .client_id = VIEW_LITERAL("raft"),
        .request_timeout_ns = options->request_timeout_ns,
        .connect_timeout_ns = options->request_timeout_ns,
        .backoff_ns = options->retry_backoff_ns,
        .backoff_max_ns = options->election_timeout_ns / 4 + 1,
    };
    return channel_create(&channel);
}

struct channel *quorum_peer_fetches(struct quorum_peer *peer)
{
    if (!peer->fetches)
        peer->fetches = make_channel(peer);
    return peer->fetches;
}

struct channel *quorum_peer_elections(struct quorum_peer *peer)
{
    if (!peer->elections)
        peer->elections = make_channel(peer);
    return peer->elections;
}

/* ---- Messages -------------------------------------------------------------------------------- */

static const struct peer_message *const peer_messages[] = {
    [QUORUM_MESSAGE_VOTE] = &peer_vote,
    [QUORUM_MESSAGE_BEGIN_EPOCH] = &peer_begin_epoch,
    [QUORUM_MESSAGE_END_EPOCH] = &peer_end_epoch,
};

const struct peer_message *peer_message_of(enum quorum_message_kind kind)
{
    return peer_messages[kind];
}

enum kafka_error peer_cluster_check(const struct metadata_log *log, struct view cluster_id)
{
    return view_is_null(cluster_id) || view_equal(cluster_id, log->options.cluster_id)
               ? KAFKA_ERROR_NONE
               : KAFKA_ERROR_INCONSISTENT_CLUSTER_ID;
}

/* What the quorum says to others in its present role. */
static enum quorum_message_kind present_kind(const struct quorum *quorum)
{
    switch (quorum->role) {
    case QUORUM_PROSPECTIVE:
    case QUORUM_CANDIDATE:
        return QUORUM_MESSAGE_VOTE;
    case QUORUM_LEADER:
        return QUORUM_MESSAGE_BEGIN_EPOCH;
    case QUORUM_RESIGNED:
        return QUORUM_MESSAGE_END_EPOCH;
    case QUORUM_UNATTACHED:
    case QUORUM_FOLLOWER:
        break;
    }
    return QUORUM_MESSAGE_NONE;
}

/* The message for this member now; false: there is none. */
static bool message_for(const struct quorum_peer *peer, struct quorum_message *message)
{
    const struct quorum *quorum = &peer->log->quorum;
    enum quorum_message_kind kind = present_kind(quorum);
    if (kind == QUORUM_MESSAGE_NONE || quorum->is_persisting)
        return false;
    for (uint32_t i = 0; i < quorum->voter_count; i++)
        if (quorum->voters[i].node.id == peer->id)
            return quorum_message_to(quorum, kind, i, message);
    return false;
}

static void send_to(struct quorum_peer *peer)
{
    struct metadata_log *log = peer->log;
    struct quorum_message message;
    if (peer->sent != QUORUM_MESSAGE_NONE) {
        peer->wants_again = true;
        return;
    }
    peer->wants_again = false;
    timer_clear(&peer->retry);
    if (log->has_failed || !message_for(peer, &message))
        return;
    const struct peer_message *wire = peer_message_of(message.kind);
    arena_reset(&peer->arena);
    const void *built = wire->build(log, &message, &peer->arena);
    if (!built)
        return;
    peer->sent = message.kind;
    peer->sent_epoch = message.epoch;
    peer->is_pre_vote = message.is_pre_vote;
    peer->request = (struct channel_request){
        .call = wire->call,
        .message = built,
        .version_min = message.is_pre_vote ? wire->pre_vote_version : 0,
        .version_max = wire->version_max,
        .done = answered,
        .context = peer,
    };
    channel_send(quorum_peer_elections(peer), &peer->request);
}

static void hear(struct quorum_peer *peer, const struct peer_message *wire, const void *response,
                 struct quorum_answer *answer)
{
    struct metadata_log *log = peer->log;
    struct quorum_endpoint endpoint = {.id = QUORUM_NODE_NONE};
    if (wire->hear(response, answer, &endpoint)) {
        peer->is_foreign = false;
        if (endpoint.id != QUORUM_NODE_NONE)
            quorum_peer_learn(log, endpoint.id, endpoint.host, endpoint.port);
    } else if (answer->error == KAFKA_ERROR_INCONSISTENT_CLUSTER_ID && !peer->is_foreign) {
        peer->is_foreign = true;
        log_warn(log->loop->diagnostics, "quorum: node %d belongs to another cluster", peer->id);
    }
}

static void answered(struct channel_request *request, enum channel_status status,
                     const void *response)
{
    struct quorum_peer *peer = request->context;
    struct metadata_log *log = peer->log;
    struct quorum_answer answer = {
        .kind = peer->sent,
        .error = KAFKA_ERROR_NONE,
        .from = peer->id,
        .epoch = peer->sent_epoch,
        .leader_id = QUORUM_NODE_NONE,
        .is_pre_vote = peer->is_pre_vote,
        .asked_epoch = peer->sent_epoch,
    };
    bool is_heard = status == CHANNEL_OK;
    if (is_heard)
        hear(peer, peer_message_of(peer->sent), response, &answer);
    if (status == CHANNEL_UNSUPPORTED) {
        answer.error = KAFKA_ERROR_UNSUPPORTED_VERSION;
        is_heard = true;
    }
    peer->sent = QUORUM_MESSAGE_NONE;
    if (status == CHANNEL_CLOSED)
        return;
    if (is_heard && !metadata_log_is_busy(log)) {
        struct quorum_event event = {.kind = QUORUM_EVENT_ANSWER, .answer = &answer};
        metadata_log_step(log, &event, NULL);
    }
    if (peer->wants_again && peer->sent == QUORUM_MESSAGE_NONE)
        send_to(peer);
    if (log->is_closing)
        metadata_log_close_next(log);
    else if (peer->sent == QUORUM_MESSAGE_NONE)
        loop_set_timer(log->loop, &peer->retry, log->options.retry_backoff_ns);
}

void quorum_peers_send(struct metadata_log *log)
{
    list_for_each_safe(link, after, &log->peers.list)
        send_to(container_of(link, struct quorum_peer, link));
}

bool quorum_peers_are_talking(const struct metadata_log *log)
{
    list_for_each(link, &log->peers.list)
    {
        if (container_of(link, struct quorum_peer, link)->sent != QUORUM_MESSAGE_NONE)
            return true;
    }
    return false;
}
