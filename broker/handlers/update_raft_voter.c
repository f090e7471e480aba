/* UpdateRaftVoter (KIP-853): a voter tells the leader where it listens now. */
#include "protocol/messages/update_raft_voter.h"

#include "broker/quorum_part.h"

API_CODEC(update_raft_voter);

static void update_raft_voter_split(struct request *request)
{
    quorum_part_post(request, QUORUM_CALL_UPDATE_VOTER, sizeof(struct update_raft_voter_response));
}

const struct api_row api_row_update_raft_voter = {
    API_ROW(update_raft_voter, API_KEY_UPDATE_RAFT_VOTER),
    .route = API_ROUTE_CONTROL,
    .split = update_raft_voter_split,
    .part = quorum_part_run,
    .join = quorum_part_join,
};
