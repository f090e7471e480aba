/*
 * The request that CreateTopics would have carried, decided and committed in the same way, or sent
 * to who decides. In the latter case the topics are known to the cluster when the answer comes, and
 * a moment later to this node: the part waits for that moment, not for ever.
 */
#include "broker/auto_create.h"

#include "broker/control.h"
#include "broker/internal_topics.h"
#include "cluster/controller/create_topics.h"
#include "protocol/api_keys.h"

CHANNEL_CALL(create_topics, API_KEY_CREATE_TOPICS);

enum { CREATE_TOPICS_VERSION_MIN = 4 }; /* since then -1 stands for the cluster's defaults */

static const uint64_t ASK_TIMEOUT_NS = UINT64_C(30000000000);
static const uint64_t PATIENCE_NS = UINT64_C(1000000000);

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

/* ---- Another node decides ---- */

static bool is_known(const struct auto_create *create, const struct image *image)
{
    for (size_t i = 0; i < create->count; i++)
        if (!image_topic_by_name(image, create->names[i]))
            return false;
    return true;
}

static void await_topics(struct auto_create *create);

static void version_shown(struct publisher_waiter *waiter)
{
    struct auto_create *create = container_of(waiter, struct auto_create, shown);
    if (timer_is_set(&create->patience)) {
        await_topics(create);
        return;
    }
    part_done(&create->part, create->at);
}

static void patience_over(struct timer *timer)
{
    struct auto_create *create = container_of(timer, struct auto_create, patience);
    list_remove(&create->shown.link);
    part_done(&create->part, create->at);
}

static void await_topics(struct auto_create *create)
{
    struct control *control = create->at->owner;
    const struct image *image = control->publisher.current;
    bool known = is_known(create, image);
    if (known)
        timer_clear(&create->patience);
    create->shown = (struct publisher_waiter){.version = image->version + (known ? 0 : 1),
                                              .shown = version_shown};
    publisher_wait(&control->publisher, &create->shown);
}

static bool any_created(const struct create_topics_response *response)
{
    for (size_t i = 0; i < response->topics_count; i++)
        if (response->topics[i].error_code == KAFKA_ERROR_NONE ||
            response->topics[i].error_code == KAFKA_ERROR_TOPIC_ALREADY_EXISTS)
            return true;
    return false;
}

static void call_done(struct controller_call *call, enum channel_status status,
                      const void *response)
{
    struct auto_create *create = container_of(call, struct auto_create, call);
    if (status != CHANNEL_OK) {
        part_done(&create->part, create->at);
        return;
    }
    report_refusals(create->at, response);
    if (!any_created(response)) {
        part_done(&create->part, create->at);
        return;
    }
    timer_init(&create->patience, patience_over);
    loop_set_timer(create->at, &create->patience, PATIENCE_NS);
    await_topics(create);
}

/* This node became the controller before the call was sent. */
static void run_here(struct controller_call *call)
{
    struct auto_create *create = container_of(call, struct auto_create, call);
    auto_create_run(&create->part, create->at);
}

/* A controller that is not active refuses every topic. */
static enum kafka_error error_of(const void *response)
{
    const struct create_topics_response *answer = response;
    return answer->topics_count > 0 ? (enum kafka_error)answer->topics[0].error_code
                                    : KAFKA_ERROR_NONE;
}

/* ---- What is asked ---- */

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

static void fill_message(struct auto_create *create)
{
    struct create_topics_request *message = &create->message;
    create_topics_request_init(message);
    message->topics = arena_must_get(&create->part.arena, create->count, sizeof(*message->topics));
    message->topics_count = create->count;
    for (size_t i = 0; i < create->count; i++)
        fill_topic(&create->decision, create->names[i], &message->topics[i]);
}

static void ask(struct auto_create *create)
{
    struct control *control = create->at->owner;
    const struct image *image = control->publisher.current;
    decision_init(&create->decision, image, control->broker->config, &control->controller.random,
                  &create->part.arena, 0);
    fill_message(create);
    create->call = (struct controller_call){
        .api = &create_topics_call,
        .message = &create->message,
        .version_min = CREATE_TOPICS_VERSION_MIN,
        .version_max = CREATE_TOPICS_REQUEST_VERSION_MAX,
        .timeout_ns = ASK_TIMEOUT_NS,
        .error_of = error_of,
        .done = call_done,
        .here = run_here,
    };
    controller_channel_send(&control->membership.forwarding, &create->call);
}

/* ---- This node decides ---- */

static void created(struct controller_wait *wait, enum kafka_error error)
{
    struct auto_create *create = container_of(wait, struct auto_create, wait);
    struct control *control = create->at->owner;
    if (error == KAFKA_ERROR_NOT_CONTROLLER && control->membership.is_open)
        ask(create);
    else
        part_done(&create->part, create->at);
}

void auto_create_run(struct part *part, struct loop *at)
{
    struct auto_create *create = container_of(part, struct auto_create, part);
    struct control *control = at->owner;
    create->at = at;
    bool decides = control->has_controller &&
                   controller_decide(&control->controller, &create->decision, &part->arena);
    if (!decides && control->membership.is_open) {
        ask(create);
        return;
    }
    if (!decides) {
        part_done(part, at);
        return;
    }
    struct create_topics_response response;
    create_topics_response_init(&response);
    fill_message(create);
    decide_create_topics(&create->decision, &create->message, &response);
    report_refusals(at, &response);
    create->wait = (struct controller_wait){.done = created};
    controller_commit(&control->controller, &create->decision, &create->wait);
}
