/*
 * UpdateRaftVoter: a voter says at which addresses it listens now and which kraft.version it knows.
 * Answered as soon as the record is appended; the voter says it again if it gets lost. While the
 * voters are those of the settings there is no record: the leader remembers it (kraft_upgrade.h).
 */
#include "cluster/quorum/kraft_upgrade.h"
#include "cluster/quorum/voter_change_internal.h"
#include "protocol/messages/update_raft_voter.h"

static struct voter_refusal refusal(enum kafka_error error)
{
    return (struct voter_refusal){error, NULL};
}

static bool has_own_listener(const struct metadata_log *log,
                             const struct update_raft_voter_request *message)
{
    bool found = false;
    for (size_t i = 0; i < message->listeners_count; i++) {
        const struct update_raft_voter_request_listener *listener = &message->listeners[i];
        if (listener->host.size == 0 || listener->host.size >= QUORUM_HOST_SIZE ||
            listener->port == 0)
            return false;
        found |= view_equal(listener->name, log->options.voter.listener);
    }
    return found;
}

static struct voter_refusal check(const struct metadata_log *log,
                                  const struct update_raft_voter_request *message)
{
    int16_t version = metadata_log_kraft_version(log);
    enum kafka_error error = peer_cluster_check(log, message->cluster_id);
    if (error == KAFKA_ERROR_NONE)
        error = fetch_server_check_epoch(&log->quorum, message->current_leader_epoch);
    if (error != KAFKA_ERROR_NONE)
        return refusal(error);
    if (message->voter_id < 0 || uuid_is_zero(message->voter_directory_id) ||
        !has_own_listener(log, message))
        return refusal(KAFKA_ERROR_INVALID_REQUEST);
    struct voter_refusal refused = version < KRAFT_VERSION_DYNAMIC
                                       ? voter_change_check_leader(log, message->cluster_id)
                                       : voter_change_check(log, message->cluster_id);
    if (refused.error == KAFKA_ERROR_NONE &&
        (message->kraft_version_feature.min_supported_version > version ||
         message->kraft_version_feature.max_supported_version < version))
        refused = refusal(KAFKA_ERROR_INVALID_REQUEST);
    return refused;
}

/* Puts the new addresses in; false: out of memory. */
static bool replace(const struct update_raft_voter_request *message,
                    struct voters_record_voter *voter, struct arena *arena)
{
    size_t count = message->listeners_count;
    voter->endpoints = arena_get_array(arena, count, sizeof(*voter->endpoints));
    if (!voter->endpoints)
        return false;
    voter->endpoints_count = count;
    for (size_t i = 0; i < count; i++)
        voter->endpoints[i] = (struct voters_record_endpoint){
            message->listeners[i].name, message->listeners[i].host, message->listeners[i].port};
    voter->kraft_version_feature = (struct voters_record_kraft_version_feature){
        message->kraft_version_feature.min_supported_version,
        message->kraft_version_feature.max_supported_version};
    return true;
}

/* The voter of the log's newest record. */
static struct voter_refusal update_record(struct metadata_log *log,
                                          const struct update_raft_voter_request *message,
                                          struct arena *arena)
{
    struct voters_record record;
    if (!voter_change_copy(log, &record, arena))
        return refusal(KAFKA_ERROR_UNKNOWN_SERVER_ERROR);
    size_t index = voter_change_find(&record, message->voter_id, message->voter_directory_id);
    if (index == record.voters_count)
        return refusal(KAFKA_ERROR_VOTER_NOT_FOUND);
    if (!replace(message, &record.voters[index], arena))
        return refusal(KAFKA_ERROR_UNKNOWN_SERVER_ERROR);
    if (voter_change_append(log, &record, arena) < 0)
        return refusal(KAFKA_ERROR_KAFKA_STORAGE_ERROR);
    return refusal(KAFKA_ERROR_NONE);
}

/* One of the settings. */
static struct voter_refusal remember(struct metadata_log *log,
                                     const struct update_raft_voter_request *message,
                                     struct arena *arena)
{
    struct voters_record_voter voter = {.voter_id = message->voter_id,
                                        .voter_directory_id = message->voter_directory_id};
    if (!replace(message, &voter, arena))
        return refusal(KAFKA_ERROR_UNKNOWN_SERVER_ERROR);
    return refusal(kraft_upgrade_remember(log, &voter, arena));
}

void update_voter_serve(struct metadata_log *log, struct quorum_call *call)
{
    const struct update_raft_voter_request *message = call->message;
    struct arena arena;
    struct voter_refusal outcome = check(log, message);
    arena_init(&arena, log->loop->heap, MEMORY_SCRATCH, 0);
    if (outcome.error == KAFKA_ERROR_NONE)
        outcome = metadata_log_kraft_version(log) < KRAFT_VERSION_DYNAMIC
                      ? remember(log, message, &arena)
                      : update_record(log, message, &arena);
    arena_deinit(&arena);
    voter_change_answer(log, call, outcome);
}
