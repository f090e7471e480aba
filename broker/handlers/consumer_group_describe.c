/* ConsumerGroupDescribe: consumer groups with members, epochs, assignments and targets, each at
 * its coordinator (consumer/consumer_group_describe.c). */
#include "protocol/messages/consumer_group_describe.h"

#include "broker/authorized_operations.h"
#include "broker/consumer_protocol.h"
#include "broker/coordinator_part.h"
#include "consumer/consumer_groups.h"

API_CODEC(consumer_group_describe);

typedef struct consumer_group_describe_response_described_group described_group;

struct described {
    struct coordinator_item item;
    described_group answer;
    enum kafka_error refused; /* not asked because of this */
};

static void consumer_group_describe_split(struct request *request)
{
    const struct consumer_group_describe_request *message =
        REQUEST_MESSAGE(consumer_group_describe, request);
    struct coordinator_items *items = request_get(request, 1, sizeof(*items));
    struct described *list = request_get(request, message->group_ids_count, sizeof(*list));
    request->context = list;
    bool is_served = consumer_protocol_is_served(request);
    for (size_t i = 0; i < message->group_ids_count; i++) {
        struct view id = message->group_ids[i];
        consumer_group_describe_response_described_group_init(&list[i].answer);
        if (!is_served)
            list[i].refused = KAFKA_ERROR_UNSUPPORTED_VERSION;
        else if (id.size == 0)
            list[i].refused = KAFKA_ERROR_INVALID_GROUP_ID;
        else
            coordinator_items_place(request, items, &list[i].item, COORDINATOR_GROUPS, id,
                                    &message->group_ids[i], &list[i].answer);
    }
    coordinator_items_post(request, items);
}

static void consumer_group_describe_at(void *groups, struct coordinator_call *call)
{
    consumer_group_describe(groups, call);
}

static void consumer_group_describe_part(struct part *part, struct loop *at)
{
    coordinator_part_run(part, at, consumer_group_describe_at);
}

static void consumer_group_describe_join(struct request *request)
{
    const struct consumer_group_describe_request *message =
        REQUEST_MESSAGE(consumer_group_describe, request);
    const struct described *list = request->context;
    struct consumer_group_describe_response response;
    consumer_group_describe_response_init(&response);
    response.groups_count = message->group_ids_count;
    response.groups = request_get(request, message->group_ids_count, sizeof(*response.groups));
    for (size_t i = 0; i < message->group_ids_count; i++) {
        described_group *out = &response.groups[i];
        enum kafka_error error = list[i].refused != KAFKA_ERROR_NONE
                                     ? list[i].refused
                                     : coordinator_item_answer(&list[i].item);
        consumer_group_describe_response_described_group_init(out);
        if (error == KAFKA_ERROR_NONE)
            *out = list[i].answer;
        else
            out->error_code = (int16_t)error;
        out->group_id = message->group_ids[i];
        if (message->include_authorized_operations && out->error_code == KAFKA_ERROR_NONE)
            out->authorized_operations = GROUP_OPERATIONS;
    }
    request_respond(request, &response);
}

const struct api_row api_row_consumer_group_describe = {
    API_ROW(consumer_group_describe, API_KEY_CONSUMER_GROUP_DESCRIBE),
    .route = API_ROUTE_PARTITION,
    .split = consumer_group_describe_split,
    .part = consumer_group_describe_part,
    .join = consumer_group_describe_join,
};
