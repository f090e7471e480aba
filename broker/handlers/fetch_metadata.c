/*
 * Fetch on a controller listener: the metadata log, for the quorum's other members and for brokers.
 * The log answers by itself, or when there are records.
 */
#include "broker/handlers/fetch.h"

#include "broker/quorum_part.h"

static const struct api_row *metadata_row(void);

void fetch_metadata_split(struct request *request)
{
    request->row = metadata_row();
    quorum_part_post(request, QUORUM_CALL_FETCH, sizeof(struct fetch_response));
}

API_CODEC(fetch);

static const struct api_row row = {
    API_ROW(fetch, API_KEY_FETCH), .route = API_ROUTE_CONTROL, .split = fetch_metadata_split,
    .part = quorum_part_run,       .join = quorum_part_join,
};

static const struct api_row *metadata_row(void)
{
    return &row;
}
