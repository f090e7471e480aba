/* DescribeQuorum: leader, voters and high watermark of the metadata log, asked of the controller.
 */
#include "protocol/messages/describe_quorum.h"

#include "broker/control.h"
#include "broker/controller_part.h"

API_CODEC(describe_quorum);

enum { TIMESTAMPS_SINCE_VERSION = 1, NODES_SINCE_VERSION = 2 };

#define METADATA_TOPIC VIEW_LITERAL("__cluster_metadata")

static void describe_quorum_split(struct request *request)
{
    controller_part_post_until(request, request->message, sizeof(struct describe_quorum_response),
                               request->front->broker->config->settings.request_timeout_ms);
}

/* The one partition that may be asked for. */
static bool asks_for_metadata(const struct describe_quorum_request *message)
{
    return message->topics_count == 1 &&
           view_equal(message->topics[0].topic_name, METADATA_TOPIC) &&
           message->topics[0].partitions_count == 1 &&
           message->topics[0].partitions[0].partition_index == 0;
}

static void describe(struct controller_part *part, struct loop *at,
                     struct describe_quorum_response_partition_data *out)
{
    struct control *control = at->owner;
    const struct controller *controller = &control->controller;
    const struct quorum *quorum = &controller->log.quorum;
    out->leader_id = quorum->options.self.id;
    out->leader_epoch = quorum->epoch;
    out->high_watermark = controller_high_watermark(controller);
    out->current_voters = decision_get(&part->decision, 1, sizeof(*out->current_voters));
    out->current_voters_count = 1;
    struct describe_quorum_response_replica_state *voter = out->current_voters;
    describe_quorum_response_replica_state_init(voter);
    voter->replica_id = quorum->options.self.id;
    voter->log_end_offset = quorum->log_end;
    if (part->version >= TIMESTAMPS_SINCE_VERSION) {
        voter->last_fetch_timestamp = at->wall_ms;
        voter->last_caught_up_timestamp = at->wall_ms;
    }
    if (part->version >= NODES_SINCE_VERSION)
        voter->replica_directory_id = quorum->options.self.directory_id;
}

static void list_nodes(struct controller_part *part, struct loop *at,
                       struct describe_quorum_response *response)
{
    struct control *control = at->owner;
    const struct sole_voter *voter = &control->controller.log.options.voter;
    struct describe_quorum_response_listener *listener =
        decision_get(&part->decision, 1, sizeof(*listener));
    *listener =
        (struct describe_quorum_response_listener){voter->listener, voter->host, voter->port};
    response->nodes = decision_get(&part->decision, 1, sizeof(*response->nodes));
    response->nodes_count = 1;
    response->nodes[0] = (struct describe_quorum_response_node){voter->id, listener, 1};
}

static void describe_quorum_part(struct part *base, struct loop *at)
{
    struct controller_part *part = container_of(base, struct controller_part, part);
    if (!controller_part_begin(part, at))
        return;
    struct describe_quorum_response *response = part->response;
    describe_quorum_response_init(response);
    if (asks_for_metadata(part->message)) {
        response->topics = decision_get(&part->decision, 1, sizeof(*response->topics));
        response->topics_count = 1;
        response->topics[0].topic_name = METADATA_TOPIC;
        response->topics[0].partitions =
            decision_get(&part->decision, 1, sizeof(*response->topics[0].partitions));
        response->topics[0].partitions_count = 1;
        describe_quorum_response_partition_data_init(response->topics[0].partitions);
        describe(part, at, response->topics[0].partitions);
        if (part->version >= NODES_SINCE_VERSION)
            list_nodes(part, at, response);
    }
    part_done(base, at);
}

/* Every partition that was asked for gets the error. */
static void refuse_partitions(struct request *request, enum kafka_error error)
{
    const struct describe_quorum_request *message = REQUEST_MESSAGE(describe_quorum, request);
    struct describe_quorum_response response;
    describe_quorum_response_init(&response);
    response.topics = request_get(request, message->topics_count, sizeof(*response.topics));
    response.topics_count = message->topics_count;
    for (size_t i = 0; i < message->topics_count; i++) {
        const struct describe_quorum_request_topic_data *asked = &message->topics[i];
        struct describe_quorum_response_topic_data *out = &response.topics[i];
        out->topic_name = asked->topic_name;
        out->partitions = request_get(request, asked->partitions_count, sizeof(*out->partitions));
        out->partitions_count = asked->partitions_count;
        for (size_t k = 0; k < asked->partitions_count; k++) {
            describe_quorum_response_partition_data_init(&out->partitions[k]);
            out->partitions[k].partition_index = asked->partitions[k].partition_index;
            out->partitions[k].error_code = (int16_t)error;
            if (request_version(request) >= NODES_SINCE_VERSION)
                out->partitions[k].error_message = view_of_string(kafka_error_text(error));
        }
    }
    request_respond(request, &response);
}

static void describe_quorum_join(struct request *request)
{
    enum kafka_error error;
    const struct describe_quorum_response *response = controller_part_response(request, &error);
    if (response && response->topics_count > 0) {
        request_respond(request, response);
    } else if (response) {
        refuse_partitions(request, KAFKA_ERROR_UNKNOWN_TOPIC_OR_PARTITION);
    } else {
        struct describe_quorum_response refused;
        describe_quorum_response_init(&refused);
        refused.error_code = (int16_t)error;
        refused.error_message = view_of_string(kafka_error_text(error));
        request_respond(request, &refused);
    }
}

const struct api_row api_row_describe_quorum = {
    API_ROW(describe_quorum, API_KEY_DESCRIBE_QUORUM),
    .route = API_ROUTE_CONTROLLER,
    .split = describe_quorum_split,
    .part = describe_quorum_part,
    .join = describe_quorum_join,
    .arrived = controller_part_arrived,
    .release = controller_part_release,
};
