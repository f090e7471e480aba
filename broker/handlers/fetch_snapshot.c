/* FetchSnapshot: a follower gets a piece of a snapshot of the metadata log. */
#include "protocol/messages/fetch_snapshot.h"

#include "broker/quorum_part.h"

API_CODEC(fetch_snapshot);

static void fetch_snapshot_split(struct request *request)
{
    quorum_part_post(request, QUORUM_CALL_FETCH_SNAPSHOT, sizeof(struct fetch_snapshot_response));
}

const struct api_row api_row_fetch_snapshot = {
    API_ROW(fetch_snapshot, API_KEY_FETCH_SNAPSHOT),
    .route = API_ROUTE_CONTROL,
    .split = fetch_snapshot_split,
    .part = quorum_part_run,
    .join = quorum_part_join,
};
