/* The wish is found once per set of voters; the request is made when it is sent. */
#include "cluster/quorum/own_vote.h"

#include "cluster/quorum/voter_change_internal.h"
#include "cluster/quorum/quorum_internal.h"
#include "protocol/api_info.h"
#include "protocol/messages/add_raft_voter.h"
#include "protocol/messages/remove_raft_voter.h"
#include "protocol/messages/update_raft_voter.h"

CHANNEL_CALL(add_raft_voter, API_KEY_ADD_RAFT_VOTER);
CHANNEL_CALL(remove_raft_voter, API_KEY_REMOVE_RAFT_VOTER);
CHANNEL_CALL(update_raft_voter, API_KEY_UPDATE_RAFT_VOTER);

static void pause_over(struct timer *timer)
{
    own_vote_run(container_of(timer, struct metadata_log, own_vote.pause));
}

void own_vote_init(struct metadata_log *log)
{
    log->own_vote = (struct own_vote){.wish = OWN_VOTE_NONE, .reported_epoch = -1};
    arena_init(&log->own_vote.arena, log->loop->heap, MEMORY_SCRATCH, 0);
    timer_init(&log->own_vote.pause, pause_over);
}

void own_vote_deinit(struct metadata_log *log)
{
    timer_clear(&log->own_vote.pause);
    arena_deinit(&log->own_vote.arena);
}

/* ---- The wish -------------------------------------------------------------------------------- */

/* Whether the record says where this node listens. */
static bool is_current(const struct metadata_log *log, const struct voters_record_voter *voter)
{
    const struct sole_voter *self = &log->options.voter;
    for (size_t i = 0; i < voter->endpoints_count; i++) {
        const struct voters_record_endpoint *endpoint = &voter->endpoints[i];
        if (view_equal(endpoint->name, self->listener))
            return view_equal(endpoint->host, self->host) && endpoint->port == self->port;
    }
    return false;
}

bool own_vote_correct(const struct metadata_log *log, struct voters_record *record,
                      struct arena *arena)
{
    const struct sole_voter *self = &log->options.voter;
    size_t index = voter_change_find(record, self->id, self->directory_id);
    if (index == record->voters_count || is_current(log, &record->voters[index]))
        return false;
    struct voters_record_endpoint *endpoint = arena_get_array(arena, 1, sizeof(*endpoint));
    if (!endpoint)
        return false;
    *endpoint = (struct voters_record_endpoint){self->listener, self->host, self->port};
    record->voters[index].endpoints = endpoint;
    record->voters[index].endpoints_count = 1;
    return true;
}

/* Whether the settings name this node as a voter. */
static bool is_of_settings(const struct metadata_log *log)
{
    for (size_t i = 0; i < log->options.voter_count; i++)
        if (log->options.voters[i].id == log->options.voter.id)
            return true;
    return false;
}

static enum own_vote_wish find_wish(struct metadata_log *log, const struct voters_record *record)
{
    const struct sole_voter *self = &log->options.voter;
    for (size_t i = 0; i < record->voters_count; i++) {
        const struct voters_record_voter *voter = &record->voters[i];
        if (voter->voter_id != self->id)
            continue;
        if (uuid_equal(voter->voter_directory_id, self->directory_id))
            return is_current(log, voter) ? OWN_VOTE_NONE : OWN_VOTE_UPDATE;
        log->own_vote.old_directory_id = voter->voter_directory_id;
        return log->options.joins ? OWN_VOTE_LEAVE : OWN_VOTE_NONE;
    }
    return log->options.joins ? OWN_VOTE_JOIN : OWN_VOTE_NONE;
}

void own_vote_look(struct metadata_log *log)
{
    const struct voter_set *set = voter_history_last(&log->voters);
    struct voters_record record;
    struct arena arena;
    log->own_vote.wish = OWN_VOTE_NONE;
    if (!log->options.may_vote || !log->options.is_reachable)
        return;
    if (set->count == 0) {
        log->own_vote.wish = is_of_settings(log) ? OWN_VOTE_REPORT : OWN_VOTE_NONE;
        return;
    }
    arena_init(&arena, log->loop->heap, MEMORY_SCRATCH, 0);
    if (voters_decode(set->value, &record, &arena))
        log->own_vote.wish = find_wish(log, &record);
    arena_deinit(&arena);
}

/* ---- Asking ---------------------------------------------------------------------------------- */

static int16_t error_of(enum own_vote_wish wish, const void *response)
{
    switch (wish) {
    case OWN_VOTE_REPORT:
    case OWN_VOTE_UPDATE:
        return ((const struct update_raft_voter_response *)response)->error_code;
    case OWN_VOTE_LEAVE:
        return ((const struct remove_raft_voter_response *)response)->error_code;
    case OWN_VOTE_JOIN:
        return ((const struct add_raft_voter_response *)response)->error_code;
    case OWN_VOTE_NONE:
        break;
    }
    return KAFKA_ERROR_NONE;
}

static void answered(struct channel_request *request, enum channel_status status,
                     const void *response)
{
    struct metadata_log *log = request->context;
    struct own_vote *own = &log->own_vote;
    own->is_asking = false;
    if (status == CHANNEL_CLOSED || log->is_closing)
        return;
    int16_t error = status == CHANNEL_OK ? error_of(own->asked, response) : KAFKA_ERROR_NONE;
    bool is_too_old = status == CHANNEL_UNSUPPORTED || error == KAFKA_ERROR_UNSUPPORTED_VERSION;
    bool is_report = own->asked == OWN_VOTE_REPORT;
    if (is_report && (is_too_old || (status == CHANNEL_OK && error == KAFKA_ERROR_NONE)))
        own->reported_epoch = own->asked_epoch;
    if (is_report) /* one that is too old, or not ready, is no matter for the operator */
        error = KAFKA_ERROR_NONE;
    if (error != own->refused && error != KAFKA_ERROR_NONE)
        log_warn(log->loop->diagnostics, "quorum: the leader does not change this node's vote: %s",
                 kafka_error_text((enum kafka_error)error));
    own->refused = error;
    loop_set_timer(log->loop, &own->pause, log->options.fetch_timeout_ns);
}

static const void *build_update(struct metadata_log *log, struct arena *arena)
{
    const struct sole_voter *self = &log->options.voter;
    struct update_raft_voter_request *request = arena_get_array(arena, 1, sizeof(*request));
    struct update_raft_voter_request_listener *listener =
        arena_get_array(arena, 1, sizeof(*listener));
    if (!request || !listener)
        return NULL;
    update_raft_voter_request_init(request);
    *listener = (struct update_raft_voter_request_listener){self->listener, self->host, self->port};
    request->cluster_id = log->options.cluster_id;
    request->current_leader_epoch = log->quorum.epoch;
    request->voter_id = self->id;
    request->voter_directory_id = self->directory_id;
    request->listeners = listener;
    request->listeners_count = 1;
    request->kraft_version_feature = (struct update_raft_voter_request_kraft_version_feature){
        KRAFT_VERSION_STATIC, KRAFT_VERSION_DYNAMIC};
    return request;
}

static const void *build_join(struct metadata_log *log, struct arena *arena)
{
    const struct sole_voter *self = &log->options.voter;
    struct add_raft_voter_request *request = arena_get_array(arena, 1, sizeof(*request));
    struct add_raft_voter_request_listener *listener = arena_get_array(arena, 1, sizeof(*listener));
    if (!request || !listener)
        return NULL;
    add_raft_voter_request_init(request);
    *listener = (struct add_raft_voter_request_listener){self->listener, self->host, self->port};
    request->cluster_id = log->options.cluster_id;
    request->timeout_ms = (int32_t)(log->options.request_timeout_ns / NS_PER_MS);
    request->voter_id = self->id;
    request->voter_directory_id = self->directory_id;
    request->listeners = listener;
    request->listeners_count = 1;
    request->ack_when_committed = true; /* version 0 knows nothing else */
    return request;
}

static const void *build_leave(struct metadata_log *log, struct arena *arena)
{
    struct remove_raft_voter_request *request = arena_get_array(arena, 1, sizeof(*request));
    if (!request)
        return NULL;
    remove_raft_voter_request_init(request);
    request->cluster_id = log->options.cluster_id;
    request->voter_id = log->options.voter.id;
    request->voter_directory_id = log->own_vote.old_directory_id;
    return request;
}

static const struct {
    const void *(*build)(struct metadata_log *log, struct arena *arena);
    const struct channel_call *call;
    int16_t version_max;
} messages[] = {
    [OWN_VOTE_REPORT] = {build_update, &update_raft_voter_call,
                         UPDATE_RAFT_VOTER_REQUEST_VERSION_MAX},
    [OWN_VOTE_UPDATE] = {build_update, &update_raft_voter_call,
                         UPDATE_RAFT_VOTER_REQUEST_VERSION_MAX},
    [OWN_VOTE_LEAVE] = {build_leave, &remove_raft_voter_call,
                        REMOVE_RAFT_VOTER_REQUEST_VERSION_MAX},
    [OWN_VOTE_JOIN] = {build_join, &add_raft_voter_call, ADD_RAFT_VOTER_REQUEST_VERSION_MAX},
};

/* The leader is followed, and it has told how far the log is committed: this node is up to date. */
static bool has_caught_up(const struct metadata_log *log)
{
    return log->quorum.role == QUORUM_FOLLOWER && log->leader_end >= 0 &&
           log->quorum.high_watermark >= log->leader_end &&
           log->quorum.high_watermark > log->quorum.voters_offset;
}

void own_vote_run(struct metadata_log *log)
{
    struct own_vote *own = &log->own_vote;
    if (own->wish == OWN_VOTE_NONE || own->is_asking || timer_is_set(&own->pause) ||
        log->is_closing || log->has_failed || !has_caught_up(log) ||
        (own->wish == OWN_VOTE_REPORT && own->reported_epoch == log->quorum.epoch))
        return;
    struct quorum_peer *leader = quorum_peer_find(log, log->quorum.leader_id);
    arena_reset(&own->arena);
    const void *message = messages[own->wish].build(log, &own->arena);
    if (!leader || !message)
        return;
    own->is_asking = true;
    own->asked = own->wish;
    own->asked_epoch = log->quorum.epoch;
    own->request = (struct channel_request){
        .call = messages[own->wish].call,
        .message = message,
        .version_max = messages[own->wish].version_max,
        .done = answered,
        .context = log,
    };
    channel_send(quorum_peer_elections(leader), &own->request);
}
