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

/* One replica as the leader sees it; itself as it is now. */
static void describe_replica(const struct controller_part *part, const struct loop *at,
                             struct quorum_node node, const struct quorum_follower *follower,
                             struct describe_quorum_response_replica_state *out)
{
    const struct control *control = at->owner;
    const struct quorum *quorum = &control->controller.log.quorum;
    bool is_self = node.id == quorum->options.self.id;
    describe_quorum_response_replica_state_init(out);
    out->replica_id = node.id;
    out->log_end_offset = is_self ? quorum->log_end : follower ? follower->offset : -1;
    if (part->version >= TIMESTAMPS_SINCE_VERSION) {
        out->last_fetch_timestamp = is_self ? at->wall_ms : follower ? follower->fetch_ms : -1;
        out->last_caught_up_timestamp = is_self    ? at->wall_ms
                                        : follower ? follower->caught_up_ms
                                                   : -1;
    }
    if (part->version < NODES_SINCE_VERSION)
        return;
    out->replica_directory_id = is_self ? quorum->options.self.directory_id
                                : follower && uuid_is_zero(node.directory_id)
                                    ? follower->node.directory_id
                                    : node.directory_id;
}

static bool is_voter(const struct quorum *quorum, struct quorum_node node)
{
    for (uint32_t i = 0; i < quorum->voter_count; i++) {
        struct uuid known = quorum->voters[i].node.directory_id;
        if (quorum->voters[i].node.id == node.id &&
            (uuid_is_zero(known) || uuid_equal(known, node.directory_id)))
            return true;
    }
    return false;
}

static void describe(struct controller_part *part, struct loop *at,
                     struct describe_quorum_response_partition_data *out)
{
    struct control *control = at->owner;
    const struct controller *controller = &control->controller;
    const struct metadata_log *log = &controller->log;
    const struct quorum *quorum = &log->quorum;
    out->leader_id = quorum->options.self.id;
    out->leader_epoch = quorum->epoch;
    out->high_watermark = controller_high_watermark(controller);
    out->current_voters =
        decision_get(&part->decision, quorum->voter_count, sizeof(*out->current_voters));
    for (uint32_t i = 0; i < quorum->voter_count; i++) {
        struct quorum_node node = quorum->voters[i].node;
        describe_replica(part, at, node, followers_find(log, node),
                         &out->current_voters[out->current_voters_count++]);
    }
    out->observers = decision_get(&part->decision, log->follower_count, sizeof(*out->observers));
    list_for_each(link, &log->followers)
    {
        const struct quorum_follower *follower = container_of(link, struct quorum_follower, link);
        if (!is_voter(quorum, follower->node))
            describe_replica(part, at, follower->node, follower,
                             &out->observers[out->observers_count++]);
    }
}

/* Where each voter is reached, as far as that is known. */
static void list_nodes(struct controller_part *part, struct loop *at,
                       struct describe_quorum_response *response)
{
    struct control *control = at->owner;
    const struct metadata_log *log = &control->controller.log;
    const struct sole_voter *self = &log->options.voter;
    uint32_t count = log->quorum.voter_count;
    struct describe_quorum_response_listener *listeners =
        decision_get(&part->decision, count, sizeof(*listeners));
    response->nodes = decision_get(&part->decision, count, sizeof(*response->nodes));
    for (uint32_t i = 0; i < count; i++) {
        int32_t id = log->quorum.voters[i].node.id;
        const struct quorum_peer *peer = quorum_peer_find(log, id);
        if (id == self->id)
            listeners[i] =
                (struct describe_quorum_response_listener){self->listener, self->host, self->port};
        else if (peer)
            listeners[i] = (struct describe_quorum_response_listener){
                self->listener, decision_text(&part->decision, "%s", peer->host), peer->port};
        else
            continue;
        response->nodes[response->nodes_count++] =
            (struct describe_quorum_response_node){id, &listeners[i], 1};
    }
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
