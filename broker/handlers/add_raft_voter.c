/* AddRaftVoter (KIP-853): a controller becomes a voter of the quorum. */
#include "protocol/messages/add_raft_voter.h"

#include "broker/voter_part.h"

API_CODEC(add_raft_voter);

static void add_raft_voter_split(struct request *request)
{
    controller_part_post(request, request->message, sizeof(struct add_raft_voter_response));
}

static void add_raft_voter_part(struct part *part, struct loop *at)
{
    voter_part_run(part, at, QUORUM_CALL_ADD_VOTER);
}

static void add_raft_voter_join(struct request *request)
{
    enum kafka_error error;
    const struct add_raft_voter_response *response = voter_part_response(request, &error);
    if (response) {
        request_respond(request, response);
        return;
    }
    struct add_raft_voter_response refused;
    add_raft_voter_response_init(&refused);
    refused.error_code = (int16_t)error;
    refused.error_message = view_of_string(kafka_error_text(error));
    request_respond(request, &refused);
}

const struct api_row api_row_add_raft_voter = {
    API_ROW(add_raft_voter, API_KEY_ADD_RAFT_VOTER),
    .route = API_ROUTE_CONTROLLER,
    .split = add_raft_voter_split,
    .part = add_raft_voter_part,
    .join = add_raft_voter_join,
    .arrived = controller_part_arrived,
    .release = controller_part_release,
};
