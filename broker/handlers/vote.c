/* Vote: a candidate, or who might be one, asks for this node's vote. */
#include "protocol/messages/vote.h"

#include "broker/quorum_part.h"

API_CODEC(vote);

static void vote_split(struct request *request)
{
    quorum_part_post(request, QUORUM_CALL_VOTE, sizeof(struct vote_response));
}

const struct api_row api_row_vote = {
    API_ROW(vote, API_KEY_VOTE), .route = API_ROUTE_CONTROL, .split = vote_split,
    .part = quorum_part_run,     .join = quorum_part_join,
};
