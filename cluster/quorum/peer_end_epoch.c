/* EndQuorumEpoch on the wire: a leader that resigns tells its voters (KIP-595, KIP-853). */
#include "cluster/quorum/peer_shape.h"
#include "protocol/messages/end_quorum_epoch.h"

PEER_MESSAGE_OF_LEADER(end_quorum_epoch, API_KEY_END_QUORUM_EPOCH);

static bool list_successors(const struct quorum_message *message,
                            struct end_quorum_epoch_request_partition_data *partition,
                            struct arena *arena)
{
    size_t count = message->preferred_count;
    partition->preferred_successors =
        arena_get_array(arena, count, sizeof(*partition->preferred_successors));
    partition->preferred_candidates =
        arena_get_array(arena, count, sizeof(*partition->preferred_candidates));
    if (!partition->preferred_successors || !partition->preferred_candidates)
        return false;
    partition->preferred_successors_count = partition->preferred_candidates_count = count;
    for (size_t i = 0; i < count; i++) {
        const struct quorum_node *node = &message->preferred[i];
        partition->preferred_successors[i] = node->id;
        partition->preferred_candidates[i].candidate_id = node->id;
        partition->preferred_candidates[i].candidate_directory_id = node->directory_id;
    }
    return true;
}

static const void *build(const struct metadata_log *log, const struct quorum_message *message,
                         struct arena *arena)
{
    struct end_quorum_epoch_request *request = end_quorum_epoch_begin(log, arena);
    if (!request || !end_quorum_epoch_name_leader(log, request, arena))
        return NULL;
    struct end_quorum_epoch_request_partition_data *partition = &request->topics[0].partitions[0];
    partition->leader_id = message->from.id;
    partition->leader_epoch = message->epoch;
    return list_successors(message, partition, arena) ? request : NULL;
}

static enum kafka_error read(const struct metadata_log *log, const void *message, int16_t version,
                             struct quorum_message *asked, struct quorum_endpoint *leader)
{
    const struct end_quorum_epoch_request *request = message;
    enum kafka_error error = end_quorum_epoch_check(log, request);
    if (error != KAFKA_ERROR_NONE)
        return error;
    end_quorum_epoch_leader(request, asked, leader);
    asked->to.id = QUORUM_NODE_NONE;
    const struct end_quorum_epoch_request_partition_data *partition =
        &request->topics[0].partitions[0];
    size_t count =
        version < 1 ? partition->preferred_successors_count : partition->preferred_candidates_count;
    for (size_t i = 0; i < count && i < QUORUM_VOTERS_MAX; i++) {
        struct quorum_node *node = &asked->preferred[asked->preferred_count++];
        if (version < 1)
            *node = (struct quorum_node){.id = partition->preferred_successors[i]};
        else
            *node = (struct quorum_node){partition->preferred_candidates[i].candidate_id,
                                         partition->preferred_candidates[i].candidate_directory_id};
    }
    return KAFKA_ERROR_NONE;
}

const struct peer_message peer_end_epoch = {
    .call = &end_quorum_epoch_call,
    .version_max = END_QUORUM_EPOCH_REQUEST_VERSION_MAX,
    .build = build,
    .hear = hear,
    .read = read,
    .respond = respond,
};
