/* RemoveRaftVoter (KIP-853): a voter leaves the quorum. */
#include "protocol/messages/remove_raft_voter.h"

#include "broker/voter_part.h"

API_CODEC(remove_raft_voter);

static void remove_raft_voter_split(struct request *request)
{
    controller_part_post(request, request->message, sizeof(struct remove_raft_voter_response));
}

static void remove_raft_voter_part(struct part *part, struct loop *at)
{
    voter_part_run(part, at, QUORUM_CALL_REMOVE_VOTER);
}

static void remove_raft_voter_join(struct request *request)
{
    enum kafka_error error;
    const struct remove_raft_voter_response *response = voter_part_response(request, &error);
    if (response) {
        request_respond(request, response);
        return;
    }
    struct remove_raft_voter_response refused;
    remove_raft_voter_response_init(&refused);
    refused.error_code = (int16_t)error;
    refused.error_message = view_of_string(kafka_error_text(error));
    request_respond(request, &refused);
}

const struct api_row api_row_remove_raft_voter = {
    API_ROW(remove_raft_voter, API_KEY_REMOVE_RAFT_VOTER),
    .route = API_ROUTE_CONTROLLER,
    .split = remove_raft_voter_split,
    .part = remove_raft_voter_part,
    .join = remove_raft_voter_join,
    .arrived = controller_part_arrived,
    .release = controller_part_release,
};
