/* The request that CreateTopics would have carried, decided and committed in the same way. */
#include "broker/auto_create.h"

#include "base/assert.h"
#include "broker/control.h"
#include "cluster/controller/create_topics.h"

static void created(struct controller_wait *wait, enum kafka_error error)
{
    (void)error;
    struct auto_create *create = container_of(wait, struct auto_create, wait);
    part_done(&create->part, create->at);
}

void auto_create_run(struct part *part, struct loop *at)
{
    struct auto_create *create = container_of(part, struct auto_create, part);
    struct control *control = at->owner;
    create->at = at;
    if (!control->has_controller ||
        !controller_decide(&control->controller, &create->decision, &part->arena)) {
        part_done(part, at);
        return;
    }
    struct create_topics_request request;
    struct create_topics_response response;
    create_topics_request_init(&request);
    create_topics_response_init(&response);
    request.topics = arena_get_array(&part->arena, create->count, sizeof(*request.topics));
    klamm_assert(request.topics != NULL);
    request.topics_count = create->count;
    for (size_t i = 0; i < create->count; i++) {
        create_topics_request_creatable_topic_init(&request.topics[i]);
        request.topics[i].name = create->names[i];
        request.topics[i].num_partitions = -1;
        request.topics[i].replication_factor = -1;
    }
    decide_create_topics(&create->decision, &request, &response);
    create->wait = (struct controller_wait){.done = created};
    controller_commit(&control->controller, &create->decision, &create->wait);
}
