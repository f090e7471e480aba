/*
 * RemoveRaftVoter: voters that stand in controller.quorum.voters cannot change (kraft.version 0),
 * and those in the log cannot yet.
 */
#include "protocol/messages/remove_raft_voter.h"

#include "broker/request.h"

API_CODEC(remove_raft_voter);

static void remove_raft_voter_split(struct request *request)
{
    struct remove_raft_voter_response response;
    remove_raft_voter_response_init(&response);
    response.error_code = KAFKA_ERROR_UNSUPPORTED_VERSION;
    response.error_message = VIEW_LITERAL("the voters of this quorum cannot be changed");
    request_respond(request, &response);
}

const struct api_row api_row_remove_raft_voter = {
    API_ROW(remove_raft_voter, API_KEY_REMOVE_RAFT_VOTER),
    .route = API_ROUTE_HERE,
    .split = remove_raft_voter_split,
};
