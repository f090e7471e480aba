/*
 * RemoveRaftVoter: check, append. A leader that removes itself leads on, without counting itself,
 * until that is committed (quorum_leader.c).
 */
#include "cluster/quorum/voter_change_internal.h"
#include "protocol/messages/remove_raft_voter.h"

static struct voter_refusal refusal(enum kafka_error error, const char *text)
{
    return (struct voter_refusal){error, text};
}

/* Takes the voter out of the record. */
static struct voter_refusal take_out(const struct remove_raft_voter_request *message,
                                     struct voters_record *record)
{
    size_t index = voter_change_find(record, message->voter_id, message->voter_directory_id);
    if (index == record->voters_count)
        return refusal(KAFKA_ERROR_VOTER_NOT_FOUND, "there is no voter with this id and directory");
    if (record->voters_count == 1)
        return refusal(KAFKA_ERROR_INVALID_REQUEST, "the last voter cannot be removed");
    record->voters_count--;
    for (size_t i = index; i < record->voters_count; i++)
        record->voters[i] = record->voters[i + 1];
    return refusal(KAFKA_ERROR_NONE, NULL);
}

void remove_voter_serve(struct metadata_log *log, struct quorum_call *call)
{
    const struct remove_raft_voter_request *message = call->message;
    struct voters_record record;
    struct arena arena;
    struct voter_refusal refused = voter_change_check(log, message->cluster_id);
    if (refused.error != KAFKA_ERROR_INCONSISTENT_CLUSTER_ID &&
        refused.error != KAFKA_ERROR_NOT_LEADER_OR_FOLLOWER &&
        (message->voter_id < 0 || uuid_is_zero(message->voter_directory_id)))
        refused = refusal(KAFKA_ERROR_INVALID_REQUEST, "a voter has an id and a directory id");
    arena_init(&arena, log->loop->heap, MEMORY_SCRATCH, 0);
    if (refused.error == KAFKA_ERROR_NONE && !voter_change_copy(log, &record, &arena))
        refused = refusal(KAFKA_ERROR_UNKNOWN_SERVER_ERROR, "out of memory");
    if (refused.error == KAFKA_ERROR_NONE)
        refused = take_out(message, &record);
    if (refused.error == KAFKA_ERROR_NONE) {
        /* It may be committed inside. */
        voter_change_await(log, call, log->quorum.log_end, log->options.request_timeout_ns);
        if (voter_change_append(log, &record, &arena) < 0 && log->change_of_voters.call == call)
            voter_change_end(log, refusal(KAFKA_ERROR_KAFKA_STORAGE_ERROR,
                                          "the leader cannot write the new voters down"));
    } else {
        voter_change_answer(log, call, refused);
    }
    arena_deinit(&arena);
}
