/* The request that CreateTopics would have carried, decided and committed in the same way. */
#include "broker/auto_create.h"

#include "base/assert.h"
#include "broker/control.h"
#include "broker/internal_topics.h"
#include "cluster/controller/create_topics.h"

static void created(struct controller_wait *wait, enum kafka_error error)
{
    (void)error;
    struct auto_create *create = container_of(wait, struct auto_create, wait);
    part_done(&create->part, create->at);
}

static void fill_topic(struct decision *decision, struct view name,
                       struct create_topics_request_creatable_topic *topic)
{
    if (image_topic_name_is_internal(name)) {
        internal_topic_fill(decision, name, topic);
        return;
    }
    create_topics_request_creatable_topic_init(topic);
    topic->name = name;
    topic->num_partitions = -1;
    topic->replication_factor = -1;
}

static void report_refusals(const struct loop *at, const struct create_topics_response *response)
{
    for (size_t i = 0; i < response->topics_count; i++) {
        const struct create_topics_response_creatable_topic_result *result = &response->topics[i];
        if (result->error_code == KAFKA_ERROR_NONE ||
            result->error_code == KAFKA_ERROR_TOPIC_ALREADY_EXISTS ||
            !image_topic_name_is_internal(result->name))
            continue;
        log_warn(at->diagnostics, "cannot create %.*s: %.*s", (int)result->name.size,
                 (const char *)result->name.data, (int)result->error_message.size,
                 (const char *)result->error_message.data);
    }
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
    for (size_t i = 0; i < create->count; i++)
        fill_topic(&create->decision, create->names[i], &request.topics[i]);
    decide_create_topics(&create->decision, &request, &response);
    report_refusals(at, &response);
    create->wait = (struct controller_wait){.done = created};
    controller_commit(&control->controller, &create->decision, &create->wait);
}
