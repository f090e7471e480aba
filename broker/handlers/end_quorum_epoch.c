/* EndQuorumEpoch: a leader tells that it resigned. */
#include "protocol/messages/end_quorum_epoch.h"

#include "broker/quorum_part.h"

API_CODEC(end_quorum_epoch);

static void end_quorum_epoch_split(struct request *request)
{
    quorum_part_post(request, QUORUM_CALL_END_EPOCH, sizeof(struct end_quorum_epoch_response));
}

const struct api_row api_row_end_quorum_epoch = {
    API_ROW(end_quorum_epoch, API_KEY_END_QUORUM_EPOCH),
    .route = API_ROUTE_CONTROL,
    .split = end_quorum_epoch_split,
    .part = quorum_part_run,
    .join = quorum_part_join,
};
