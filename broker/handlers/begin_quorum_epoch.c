/* BeginQuorumEpoch: a leader tells that it leads. */
#include "protocol/messages/begin_quorum_epoch.h"

#include "broker/quorum_part.h"

API_CODEC(begin_quorum_epoch);

static void begin_quorum_epoch_split(struct request *request)
{
    quorum_part_post(request, QUORUM_CALL_BEGIN_EPOCH, sizeof(struct begin_quorum_epoch_response));
}

const struct api_row api_row_begin_quorum_epoch = {
    API_ROW(begin_quorum_epoch, API_KEY_BEGIN_QUORUM_EPOCH),
    .route = API_ROUTE_CONTROL,
    .split = begin_quorum_epoch_split,
    .part = quorum_part_run,
    .join = quorum_part_join,
};
