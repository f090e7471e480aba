/*
 * UpdateRaftVoter: voters that stand in controller.quorum.voters cannot change (kraft.version 0),
 * and those in the log cannot yet.
 */
#include "protocol/messages/update_raft_voter.h"

#include "broker/request.h"

API_CODEC(update_raft_voter);

static void update_raft_voter_split(struct request *request)
{
    struct update_raft_voter_response response;
    update_raft_voter_response_init(&response);
    response.error_code = KAFKA_ERROR_UNSUPPORTED_VERSION;
    request_respond(request, &response);
}

const struct api_row api_row_update_raft_voter = {
    API_ROW(update_raft_voter, API_KEY_UPDATE_RAFT_VOTER),
    .route = API_ROUTE_HERE,
    .split = update_raft_voter_split,
};
