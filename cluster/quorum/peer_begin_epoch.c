/* BeginQuorumEpoch on the wire: a leader tells its voters (KIP-595, KIP-853). */
#include "cluster/quorum/peer_shape.h"
#include "protocol/messages/begin_quorum_epoch.h"

PEER_MESSAGE_OF_LEADER(begin_quorum_epoch, API_KEY_BEGIN_QUORUM_EPOCH);

static const void *build(const struct metadata_log *log, const struct quorum_message *message,
                         struct arena *arena)
{
    struct begin_quorum_epoch_request *request = begin_quorum_epoch_begin(log, arena);
    if (!request || !begin_quorum_epoch_name_leader(log, request, arena))
        return NULL;
    struct begin_quorum_epoch_request_partition_data *partition = &request->topics[0].partitions[0];
    request->voter_id = message->to.id;
    partition->voter_directory_id = message->to.directory_id;
    partition->leader_id = message->from.id;
    partition->leader_epoch = message->epoch;
    return request;
}

static enum kafka_error read(const struct metadata_log *log, const void *message, int16_t version,
                             struct quorum_message *asked, struct quorum_endpoint *leader)
{
    const struct begin_quorum_epoch_request *request = message;
    enum kafka_error error = begin_quorum_epoch_check(log, request);
    if (error != KAFKA_ERROR_NONE)
        return error;
    (void)version;
    begin_quorum_epoch_leader(request, asked, leader);
    asked->to = (struct quorum_node){request->voter_id,
                                     request->topics[0].partitions[0].voter_directory_id};
    return KAFKA_ERROR_NONE;
}

const struct peer_message peer_begin_epoch = {
    .call = &begin_quorum_epoch_call,
    .version_max = BEGIN_QUORUM_EPOCH_REQUEST_VERSION_MAX,
    .build = build,
    .hear = hear,
    .read = read,
    .respond = respond,
};
