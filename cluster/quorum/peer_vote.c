/* Vote and pre-vote on the wire (KIP-595, KIP-853, KIP-996). */
#include "cluster/quorum/peer_shape.h"
#include "protocol/messages/vote.h"

PEER_MESSAGE(vote, API_KEY_VOTE);

static const void *build(const struct metadata_log *log, const struct quorum_message *message,
                         struct arena *arena)
{
    struct vote_request *request = vote_begin(log, arena);
    if (!request)
        return NULL;
    struct vote_request_partition_data *partition = &request->topics[0].partitions[0];
    request->voter_id = message->to.id;
    partition->replica_epoch = message->epoch;
    partition->replica_id = message->from.id;
    partition->replica_directory_id = message->from.directory_id;
    partition->voter_directory_id = message->to.directory_id;
    partition->last_offset_epoch = message->last_epoch;
    partition->last_offset = message->last_offset;
    partition->pre_vote = message->is_pre_vote;
    return request;
}

static bool hear(const void *response, struct quorum_answer *answer,
                 struct quorum_endpoint *endpoint)
{
    const struct vote_response_partition_data *partition = vote_heard(response, answer, endpoint);
    if (partition)
        answer->is_granted = partition->vote_granted;
    return partition != NULL;
}

static enum kafka_error read(const struct metadata_log *log, const void *message, int16_t version,
                             struct quorum_message *asked, struct quorum_endpoint *leader)
{
    const struct vote_request *request = message;
    enum kafka_error error = vote_check(log, request);
    if (error != KAFKA_ERROR_NONE)
        return error;
    (void)version;
    (void)leader;
    const struct vote_request_partition_data *partition = &request->topics[0].partitions[0];
    asked->from = (struct quorum_node){partition->replica_id, partition->replica_directory_id};
    asked->to = (struct quorum_node){request->voter_id, partition->voter_directory_id};
    asked->epoch = partition->replica_epoch;
    asked->is_pre_vote = partition->pre_vote;
    asked->last_epoch = partition->last_offset_epoch;
    asked->last_offset = partition->last_offset;
    return KAFKA_ERROR_NONE;
}

static void respond(struct quorum_call *call, enum kafka_error error,
                    const struct quorum_answer *answer, const struct quorum_endpoint *leader)
{
    struct vote_response_partition_data *partition = vote_answer(call, error, answer, leader);
    if (partition)
        partition->vote_granted = answer->is_granted;
}

const struct peer_message peer_vote = {
    .call = &vote_call,
    .version_max = VOTE_REQUEST_VERSION_MAX,
    .pre_vote_version = 2,
    .build = build,
    .hear = hear,
    .read = read,
    .respond = respond,
};
