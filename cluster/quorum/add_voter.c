/*
 * AddRaftVoter: check, ask the new voter (ApiVersions), check that it has caught up, append.
 *
 * A voter has caught up when it held everything at one of its fetches in this leadership and
 * fetched within the last hour, as in Kafka; the hour is one of the monotonic clock.
 */
#include "cluster/quorum/voter_change_internal.h"
#include "protocol/api_info.h"
#include "protocol/messages/add_raft_voter.h"

CHANNEL_CALL(api_versions, API_KEY_API_VERSIONS);

enum { FEATURES_SINCE_VERSION = 3 };
static const uint64_t CAUGHT_UP_WITHIN_NS = UINT64_C(3600000000000);

static struct voter_refusal refusal(enum kafka_error error, const char *text)
{
    return (struct voter_refusal){error, text};
}

/* Where the quorum will reach the new voter; NULL: at no usable address. */
static const struct add_raft_voter_request_listener *
own_listener(const struct metadata_log *log, const struct add_raft_voter_request *message)
{
    const struct add_raft_voter_request_listener *found = NULL;
    for (size_t i = 0; i < message->listeners_count; i++) {
        const struct add_raft_voter_request_listener *listener = &message->listeners[i];
        if (listener->host.size == 0 || listener->host.size >= QUORUM_HOST_SIZE ||
            listener->port == 0)
            return NULL;
        if (view_equal(listener->name, log->options.voter.listener))
            found = listener;
    }
    return found;
}

static struct voter_refusal check(const struct metadata_log *log,
                                  const struct add_raft_voter_request *message)
{
    struct voter_refusal refused = voter_change_check(log, message->cluster_id);
    if (refused.error == KAFKA_ERROR_INCONSISTENT_CLUSTER_ID ||
        refused.error == KAFKA_ERROR_NOT_LEADER_OR_FOLLOWER)
        return refused;
    if (message->voter_id < 0 || uuid_is_zero(message->voter_directory_id))
        return refusal(KAFKA_ERROR_INVALID_REQUEST, "a voter has an id and a directory id");
    if (!own_listener(log, message))
        return refusal(KAFKA_ERROR_INVALID_REQUEST,
                       "the new voter has no address at the controller listener of this leader");
    if (refused.error != KAFKA_ERROR_NONE)
        return refused;
    const struct voter_set *set = voter_history_last(&log->voters);
    for (uint32_t i = 0; i < set->count; i++)
        if (set->nodes[i].id == message->voter_id)
            return refusal(KAFKA_ERROR_DUPLICATE_VOTER,
                           "a voter has this id already; remove it first");
    if (set->count == QUORUM_VOTERS_MAX)
        return refusal(KAFKA_ERROR_INVALID_REQUEST, "there are as many voters as there may be");
    return refusal(KAFKA_ERROR_NONE, NULL);
}

static bool has_caught_up(const struct metadata_log *log,
                          const struct add_raft_voter_request *message)
{
    const struct quorum_follower *follower =
        followers_find(log, (struct quorum_node){message->voter_id, message->voter_directory_id});
    return follower && uuid_equal(follower->node.directory_id, message->voter_directory_id) &&
           follower->caught_up_ms >= 0 &&
           log->loop->now_ns - follower->fetch_ns < CAUGHT_UP_WITHIN_NS;
}

/* What the new voter says of kraft.version; NULL: nothing. */
static const struct api_versions_response_supported_feature_key *
kraft_versions(const struct api_versions_response *response)
{
    for (size_t i = 0; i < response->supported_features_count; i++)
        if (view_equal(response->supported_features[i].name, VIEW_LITERAL("kraft.version")))
            return &response->supported_features[i];
    return NULL;
}

static void append(struct metadata_log *log,
                   const struct api_versions_response_supported_feature_key *range)
{
    struct voter_change *change = &log->change_of_voters;
    const struct add_raft_voter_request *message = change->call->message;
    struct voters_record record;
    struct arena arena;
    int64_t offset = -1;
    arena_init(&arena, log->loop->heap, MEMORY_SCRATCH, 0);
    struct voters_record_endpoint *endpoints =
        arena_get_array(&arena, message->listeners_count, sizeof(*endpoints));
    if (endpoints && voter_change_copy(log, &record, &arena)) {
        for (size_t i = 0; i < message->listeners_count; i++)
            endpoints[i] = (struct voters_record_endpoint){
                message->listeners[i].name, message->listeners[i].host, message->listeners[i].port};
        record.voters[record.voters_count++] = (struct voters_record_voter){
            .voter_id = message->voter_id,
            .voter_directory_id = message->voter_directory_id,
            .endpoints = endpoints,
            .endpoints_count = message->listeners_count,
            .kraft_version_feature = {range->min_version, range->max_version},
        };
        change->offset = log->quorum.log_end; /* it may be committed inside */
        offset = voter_change_append(log, &record, &arena);
    }
    arena_deinit(&arena);
    if (!change->call)
        return;
    if (offset < 0)
        voter_change_end(log, refusal(KAFKA_ERROR_KAFKA_STORAGE_ERROR,
                                      "the leader cannot write the new voters down"));
    else if (change->call->version >= 1 && !message->ack_when_committed)
        voter_change_end(log, refusal(KAFKA_ERROR_NONE, NULL));
}

static void probed(struct channel_request *request, enum channel_status status, const void *answer)
{
    struct metadata_log *log = request->context;
    const struct api_versions_response *response = answer;
    const struct add_raft_voter_request *message;
    const struct api_versions_response_supported_feature_key *range;
    int16_t version = metadata_log_kraft_version(log);
    if (status == CHANNEL_CLOSED || !log->change_of_voters.call)
        return;
    message = log->change_of_voters.call->message;
    if (status == CHANNEL_UNSUPPORTED) {
        voter_change_end(log, refusal(KAFKA_ERROR_INVALID_REQUEST,
                                      "the new voter is too old for voters that change"));
        return;
    }
    if (status != CHANNEL_OK || response->error_code != KAFKA_ERROR_NONE) {
        voter_change_end(log, refusal(KAFKA_ERROR_REQUEST_TIMED_OUT,
                                      "the new voter does not answer at its controller listener"));
        return;
    }
    range = kraft_versions(response);
    if (!range || range->min_version > version || range->max_version < version)
        voter_change_end(log,
                         refusal(KAFKA_ERROR_INVALID_REQUEST,
                                 "the new voter does not support the cluster's kraft.version"));
    else if (!quorum_may_change_voters(&log->quorum))
        voter_change_end(log, refusal(KAFKA_ERROR_REQUEST_TIMED_OUT,
                                      "the last change of the voters is not committed yet"));
    else if (!has_caught_up(log, message))
        voter_change_end(log, refusal(KAFKA_ERROR_REQUEST_TIMED_OUT,
                                      "the new voter has not caught up with the metadata log"));
    else
        append(log, range);
}

/* Asks the new voter itself. */
static void probe(struct metadata_log *log, const struct add_raft_voter_request_listener *listener)
{
    struct voter_change *change = &log->change_of_voters;
    struct channel_options options = {
        .loop = log->loop,
        .host = listener->host,
        .port = listener->port,
        .client_id = VIEW_LITERAL("raft"),
        .request_timeout_ns = log->options.request_timeout_ns,
        .connect_timeout_ns = log->options.request_timeout_ns,
        .backoff_ns = log->options.retry_backoff_ns,
    };
    if (change->channel)
        channel_close(change->channel);
    change->channel = channel_create(&options);
    api_versions_request_init(&change->message);
    change->message.client_software_name = VIEW_LITERAL("klamm");
    change->message.client_software_version = VIEW_LITERAL("1");
    change->probe = (struct channel_request){
        .call = &api_versions_call,
        .message = &change->message,
        .version_min = FEATURES_SINCE_VERSION,
        .version_max = API_VERSIONS_REQUEST_VERSION_MAX,
        .done = probed,
        .context = log,
    };
    channel_send(change->channel, &change->probe);
}

void add_voter_serve(struct metadata_log *log, struct quorum_call *call)
{
    const struct add_raft_voter_request *message = call->message;
    struct voter_refusal refused = check(log, message);
    if (refused.error != KAFKA_ERROR_NONE) {
        voter_change_answer(log, call, refused);
        return;
    }
    uint64_t timeout_ns = message->timeout_ms > 0 ? (uint64_t)message->timeout_ms * NS_PER_MS
                                                  : log->options.request_timeout_ns;
    voter_change_await(log, call, -1, timeout_ns);
    probe(log, own_listener(log, message));
}
