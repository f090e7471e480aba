/* Looks at every version of the metadata; what it misses is asked for after a pause. */
#include "cluster/enrolment.h"

#include "base/assert.h"
#include "protocol/api_keys.h"

enum { REGISTRATION_SINCE = 15 }; /* metadata.version */

static const uint64_t PAUSE_FIRST_NS = UINT64_C(100000000);
static const uint64_t PAUSE_LAST_NS = UINT64_C(120000000000);

CHANNEL_CALL(controller_registration, API_KEY_CONTROLLER_REGISTRATION);

static enum kafka_error registration_error(const void *response)
{
    return (enum kafka_error)((const struct controller_registration_response *)response)
        ->error_code;
}

static bool is_enrolled(const struct enrolment *enrolment, const struct image *image)
{
    const struct image_node *node = image_controller(image, enrolment->options.controller_id);
    return node && uuid_equal(node->incarnation, enrolment->options.incarnation);
}

/* Invariant 2. */
static bool is_wanted(const struct enrolment *enrolment, const struct image *image)
{
    return image_feature_level(image, VIEW_LITERAL("metadata.version")) >= REGISTRATION_SINCE &&
           !is_enrolled(enrolment, image);
}

static void set_pause(struct enrolment *enrolment)
{
    uint64_t pause_ns = enrolment->pause_ns == 0 ? PAUSE_FIRST_NS : 2 * enrolment->pause_ns;
    enrolment->pause_ns = pause_ns < PAUSE_LAST_NS ? pause_ns : PAUSE_LAST_NS;
    loop_set_timer(enrolment->options.loop, &enrolment->pause, enrolment->pause_ns);
}

static void look(struct enrolment *enrolment)
{
    const struct image *image = enrolment->options.publisher->current;
    bool is_missing = is_wanted(enrolment, image);
    if (enrolment->was_enrolled && is_missing)
        log_warn(enrolment->options.loop->diagnostics,
                 "another process has registered as controller %d: node.id must be unique",
                 enrolment->options.controller_id);
    enrolment->was_enrolled = is_enrolled(enrolment, image);
    if (is_missing && !enrolment->is_asking && !timer_is_set(&enrolment->pause))
        set_pause(enrolment);
}

static void shown(struct publisher_waiter *waiter);

static void watch(struct enrolment *enrolment)
{
    struct publisher *publisher = enrolment->options.publisher;
    enrolment->next =
        (struct publisher_waiter){.version = publisher->current->version + 1, .shown = shown};
    publisher_wait(publisher, &enrolment->next);
}

static void shown(struct publisher_waiter *waiter)
{
    struct enrolment *enrolment = container_of(waiter, struct enrolment, next);
    look(enrolment);
    watch(enrolment);
}

/* ---- Asking ---- */

static void answered(struct controller_call *call, enum channel_status status, const void *response)
{
    struct enrolment *enrolment = container_of(call, struct enrolment, call);
    const struct controller_registration_response *answer = response;
    enrolment->is_asking = false;
    if (!enrolment->is_started || status == CHANNEL_CLOSED)
        return;
    int16_t error = answer ? answer->error_code : (int16_t)KAFKA_ERROR_UNKNOWN_SERVER_ERROR;
    if (error != KAFKA_ERROR_NONE && error != enrolment->last_error)
        log_warn(enrolment->options.loop->diagnostics, "this controller is not registered: %s",
                 answer ? kafka_error_text((enum kafka_error)error) : channel_status_text(status));
    enrolment->last_error = error;
    set_pause(enrolment);
}

static void ask(struct enrolment *enrolment)
{
    klamm_assert(!enrolment->is_asking);
    const struct enrolment_options *options = &enrolment->options;
    struct controller_registration_request *request = &enrolment->request;
    struct image_feature_range ranges[CONTROLLER_FEATURE_COUNT];
    size_t count = controller_features_declare(options->publisher->current, ranges);
    for (size_t i = 0; i < count; i++)
        enrolment->features[i] = (struct controller_registration_request_feature){
            ranges[i].name, ranges[i].minimum, ranges[i].maximum};
    enrolment->listener = (struct controller_registration_request_listener){
        options->listener, options->host, options->port, 0};
    controller_registration_request_init(request);
    request->controller_id = options->controller_id;
    request->incarnation_id = options->incarnation;
    request->listeners = &enrolment->listener;
    request->listeners_count = 1;
    request->features = enrolment->features;
    request->features_count = count;
    enrolment->call = (struct controller_call){
        .api = &controller_registration_call,
        .message = request,
        .version_max = CONTROLLER_REGISTRATION_REQUEST_VERSION_MAX,
        .error_of = registration_error,
        .done = answered,
    };
    enrolment->is_asking = true;
    controller_channel_send(options->channel, &enrolment->call);
}

static void pause_over(struct timer *timer)
{
    struct enrolment *enrolment = container_of(timer, struct enrolment, pause);
    if (is_wanted(enrolment, enrolment->options.publisher->current))
        ask(enrolment);
}

/* ---- Life ---- */

void enrolment_start(struct enrolment *enrolment, const struct enrolment_options *options)
{
    *enrolment = (struct enrolment){.options = *options, .is_started = true};
    timer_init(&enrolment->pause, pause_over);
    look(enrolment);
    watch(enrolment);
}

void enrolment_stop(struct enrolment *enrolment)
{
    if (!enrolment->is_started)
        return;
    enrolment->is_started = false;
    timer_clear(&enrolment->pause);
    list_remove(&enrolment->next.link);
}
