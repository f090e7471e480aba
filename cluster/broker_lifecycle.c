/*
 * One request after the other: `ask` sends what the state calls for, its answer moves the state and
 * sets `next`. What cannot wait for `next` (a failed directory, the owner serves, the node leaves)
 * asks at once, or right behind the request that is under way.
 */
#include "cluster/broker_lifecycle.h"

#include "base/assert.h"
#include "protocol/api_keys.h"

enum {
    REGISTRATION_VERSION = 4, /* before it a feature that may be off cannot be declared */
    LIFECYCLE_RANDOM_PURPOSE = 0x62726f6b,
};

static const uint64_t NS_PER_MS = UINT64_C(1000000);
static const uint64_t RETRY_FIRST_NS = UINT64_C(100000000);
static const uint64_t RETRY_LAST_NS = UINT64_C(1000000000);
static const uint64_t UNFENCE_RETRY_NS = UINT64_C(100000000);
static const uint64_t LEAVE_FIRST_NS = UINT64_C(50000000);
static const uint64_t LEAVE_LAST_NS = UINT64_C(500000000);
/* Without any answer for this long nobody is there to hand leaderships over. */
static const uint64_t LEAVE_ANSWER_NS = UINT64_C(5000000000);
static const uint64_t LEAVE_PATIENCE_NS = UINT64_C(300000000000);

CHANNEL_CALL(broker_registration, API_KEY_BROKER_REGISTRATION);
CHANNEL_CALL(broker_heartbeat, API_KEY_BROKER_HEARTBEAT);

static enum kafka_error registration_error(const void *response)
{
    return (enum kafka_error)((const struct broker_registration_response *)response)->error_code;
}

static enum kafka_error heartbeat_error(const void *response)
{
    return (enum kafka_error)((const struct broker_heartbeat_response *)response)->error_code;
}

static const struct broker_settings *settings_of(const struct broker_lifecycle *lifecycle)
{
    return &lifecycle->options.config->settings;
}

/* Kafka sets no bounds to these settings; nothing here can be faster than a timer. */
static uint64_t ms_to_ns(int64_t ms)
{
    return ms > 0 ? (uint64_t)ms * NS_PER_MS : NS_PER_MS;
}

static uint64_t session_ns_of(const struct broker_lifecycle *lifecycle)
{
    return ms_to_ns(settings_of(lifecycle)->broker_session_timeout_ms);
}

static struct broker_lifecycle *lifecycle_of(struct controller_call *call)
{
    return container_of(call, struct broker_lifecycle, call);
}

/* ---- When to ask ---- */

static void ask(struct broker_lifecycle *lifecycle);

static void ask_now(struct broker_lifecycle *lifecycle)
{
    timer_clear(&lifecycle->next);
    if (lifecycle->is_asking)
        lifecycle->is_urgent = true;
    else
        ask(lifecycle);
}

static void next_due(struct timer *timer)
{
    ask_now(container_of(timer, struct broker_lifecycle, next));
}

/* After an answer: sets when the next request leaves. */
static void ask_after(struct broker_lifecycle *lifecycle, uint64_t delay_ns)
{
    if (lifecycle->is_urgent)
        delay_ns = 0;
    lifecycle->is_urgent = false;
    loop_set_timer(lifecycle->loop, &lifecycle->next, delay_ns);
}

static void ask_after_interval(struct broker_lifecycle *lifecycle)
{
    lifecycle->retry_ns = 0;
    ask_after(lifecycle, ms_to_ns(settings_of(lifecycle)->broker_heartbeat_interval_ms));
}

/*
 * Twice as long as after the failure before, up to a second: a broker that is back must not wait
 * long after its controller or the end of a session. A fifth of it by chance, so that brokers that
 * lost one controller do not come back in step.
 */
static void ask_after_failure(struct broker_lifecycle *lifecycle)
{
    lifecycle->retry_ns = lifecycle->retry_ns == 0 ? RETRY_FIRST_NS : lifecycle->retry_ns * 2;
    if (lifecycle->retry_ns > RETRY_LAST_NS)
        lifecycle->retry_ns = RETRY_LAST_NS;
    uint64_t fifth_ns = lifecycle->retry_ns / 5;
    ask_after(lifecycle,
              lifecycle->retry_ns - fifth_ns + random_below(&lifecycle->random, 2 * fifth_ns + 1));
}

/* ---- What every shard shows ---- */

static void prepare(struct broker_lifecycle *lifecycle)
{
    lifecycle->state = BROKER_FENCED;
    if (!lifecycle->was_prepared) {
        lifecycle->was_prepared = true;
        lifecycle->options.events->prepare(lifecycle->options.owner);
    }
    if (lifecycle->serves)
        ask_now(lifecycle);
}

/* The image that every shard shows, or NULL while they are on their way to it. */
static const struct image *shown_image(const struct broker_lifecycle *lifecycle)
{
    return lifecycle->shown.version > lifecycle->watched->version ? lifecycle->watched : NULL;
}

static void look(struct broker_lifecycle *lifecycle)
{
    const struct image *image = shown_image(lifecycle);
    const struct image_node *node =
        image ? image_broker(image, lifecycle->registration.broker_id) : NULL;
    if (!node || node->epoch != lifecycle->epoch ||
        !uuid_equal(node->incarnation, lifecycle->registration.incarnation_id))
        return;
    if (lifecycle->state == BROKER_CATCHING_UP)
        prepare(lifecycle);
    if (lifecycle->state == BROKER_RUNNING && !node->fenced && !lifecycle->was_unfenced) {
        lifecycle->was_unfenced = true;
        lifecycle->options.events->unfenced(lifecycle->options.owner);
    }
}

static void version_shown(struct publisher_waiter *waiter);

static void watch_version(struct broker_lifecycle *lifecycle, uint64_t version)
{
    lifecycle->shown = (struct publisher_waiter){.version = version, .shown = version_shown};
    publisher_wait(lifecycle->options.publisher, &lifecycle->shown);
}

static void watch_newest(struct broker_lifecycle *lifecycle)
{
    const struct image *newest = lifecycle->options.publisher->current;
    image_acquire(newest);
    if (lifecycle->watched)
        image_release(lifecycle->watched);
    lifecycle->watched = newest;
    watch_version(lifecycle, newest->version);
}

static void version_shown(struct publisher_waiter *waiter)
{
    struct broker_lifecycle *lifecycle = container_of(waiter, struct broker_lifecycle, shown);
    if (waiter->version > lifecycle->watched->version) {
        watch_newest(lifecycle);
        return;
    }
    lifecycle->shown_offset = lifecycle->watched->offset;
    watch_version(lifecycle, lifecycle->watched->version + 1);
    look(lifecycle);
}

/* ---- Registering ---- */

static void register_again(struct broker_lifecycle *lifecycle)
{
    lifecycle->state = BROKER_REGISTERING;
    lifecycle->last_error = KAFKA_ERROR_NONE;
    ask_after(lifecycle, 0);
}

static void registration_failed(struct broker_lifecycle *lifecycle, enum channel_status status,
                                const struct broker_registration_response *response)
{
    int16_t error = response ? response->error_code : (int16_t)KAFKA_ERROR_UNKNOWN_SERVER_ERROR;
    if (error != lifecycle->last_error)
        log_warn(lifecycle->loop->diagnostics, "this broker is not registered yet: %s",
                 response ? kafka_error_text((enum kafka_error)error)
                          : channel_status_text(status));
    lifecycle->last_error = error;
    ask_after_failure(lifecycle);
}

static void registration_answered(struct controller_call *call, enum channel_status status,
                                  const void *response)
{
    struct broker_lifecycle *lifecycle = lifecycle_of(call);
    const struct broker_registration_response *answer = response;
    lifecycle->is_asking = false;
    if (lifecycle->state != BROKER_REGISTERING)
        return;
    if (!answer || answer->error_code != KAFKA_ERROR_NONE) {
        registration_failed(lifecycle, status, answer);
        return;
    }
    timer_clear(&lifecycle->patience);
    lifecycle->epoch = answer->broker_epoch;
    lifecycle->state = BROKER_CATCHING_UP;
    log_info(lifecycle->loop->diagnostics, "registered: broker=%d epoch=%lld",
             lifecycle->registration.broker_id, (long long)lifecycle->epoch);
    ask_after_interval(lifecycle);
    look(lifecycle);
}

static void fill_features(struct broker_lifecycle *lifecycle)
{
    struct image_feature_range ranges[CONTROLLER_FEATURE_COUNT];
    size_t count = controller_features_declare(lifecycle->options.publisher->current, ranges);
    for (size_t i = 0; i < count; i++)
        lifecycle->features[i] = (struct broker_registration_request_feature){
            ranges[i].name, ranges[i].minimum, ranges[i].maximum};
    lifecycle->registration.features = lifecycle->features;
    lifecycle->registration.features_count = count;
}

static void ask_registration(struct broker_lifecycle *lifecycle)
{
    fill_features(lifecycle);
    lifecycle->call = (struct controller_call){
        .api = &broker_registration_call,
        .message = &lifecycle->registration,
        .version_min = REGISTRATION_VERSION,
        .version_max = BROKER_REGISTRATION_REQUEST_VERSION_MAX,
        .error_of = registration_error,
        .done = registration_answered,
    };
}

/* ---- Heartbeats ---- */

static void leave_done(struct broker_lifecycle *lifecycle)
{
    lifecycle->state = BROKER_LEFT;
    timer_clear(&lifecycle->next);
    timer_clear(&lifecycle->patience);
    timer_clear(&lifecycle->report);
    loop_defer(lifecycle->loop, &lifecycle->tell);
}

static void note_reported(struct broker_lifecycle *lifecycle)
{
    lifecycle->reported_count = lifecycle->asked_count;
    if (lifecycle->reported_count == lifecycle->failed_count)
        timer_clear(&lifecycle->report);
}

static void leaving_answered(struct broker_lifecycle *lifecycle, bool should_shut_down)
{
    if (should_shut_down) {
        leave_done(lifecycle);
        return;
    }
    uint64_t pause_ns = lifecycle->leave_pause_ns;
    lifecycle->leave_pause_ns = pause_ns * 2 < LEAVE_LAST_NS ? pause_ns * 2 : LEAVE_LAST_NS;
    ask_after(lifecycle, pause_ns);
}

static void heartbeat_accepted(struct broker_lifecycle *lifecycle,
                               const struct broker_heartbeat_response *answer)
{
    note_reported(lifecycle);
    if (lifecycle->state == BROKER_LEAVING) {
        leaving_answered(lifecycle, answer->should_shut_down);
        return;
    }
    if (lifecycle->state == BROKER_FENCED && !answer->is_fenced)
        lifecycle->state = BROKER_RUNNING;
    if (lifecycle->state == BROKER_FENCED && !lifecycle->heartbeat.want_fence)
        ask_after(lifecycle, UNFENCE_RETRY_NS); /* refused: its records are not all shown yet */
    else
        ask_after_interval(lifecycle);
    look(lifecycle);
}

static void heartbeat_refused(struct broker_lifecycle *lifecycle, enum kafka_error error)
{
    if (error != KAFKA_ERROR_STALE_BROKER_EPOCH) {
        log_warn(lifecycle->loop->diagnostics, "a heartbeat was refused: %s",
                 kafka_error_text(error));
        ask_after_failure(lifecycle);
        return;
    }
    if (lifecycle->state == BROKER_LEAVING) {
        leave_done(lifecycle);
        return;
    }
    log_warn(lifecycle->loop->diagnostics,
             "the registration of this broker is gone: epoch=%lld; registering anew",
             (long long)lifecycle->epoch);
    register_again(lifecycle);
}

static void heartbeat_lost(struct broker_lifecycle *lifecycle, enum channel_status status)
{
    log_warn(lifecycle->loop->diagnostics, "no answer to a heartbeat: %s",
             channel_status_text(status));
    if (lifecycle->state == BROKER_LEAVING) {
        log_warn(lifecycle->loop->diagnostics,
                 "no controller answers: stopping without handing leaderships over");
        leave_done(lifecycle);
        return;
    }
    ask_after_failure(lifecycle);
}

static void heartbeat_answered(struct controller_call *call, enum channel_status status,
                               const void *response)
{
    struct broker_lifecycle *lifecycle = lifecycle_of(call);
    const struct broker_heartbeat_response *answer = response;
    lifecycle->is_asking = false;
    if (lifecycle->state == BROKER_LEFT)
        return;
    if (!answer)
        heartbeat_lost(lifecycle, status);
    else if (answer->error_code != KAFKA_ERROR_NONE)
        heartbeat_refused(lifecycle, (enum kafka_error)answer->error_code);
    else
        heartbeat_accepted(lifecycle, answer);
}

static void ask_heartbeat(struct broker_lifecycle *lifecycle)
{
    struct broker_heartbeat_request *request = &lifecycle->heartbeat;
    broker_heartbeat_request_init(request);
    request->broker_id = lifecycle->registration.broker_id;
    request->broker_epoch = lifecycle->epoch;
    request->current_metadata_offset = lifecycle->shown_offset;
    request->want_fence = lifecycle->state == BROKER_CATCHING_UP ||
                          (lifecycle->state == BROKER_FENCED && !lifecycle->serves);
    request->want_shut_down = lifecycle->state == BROKER_LEAVING;
    request->offline_log_dirs = lifecycle->failed;
    request->offline_log_dirs_count = lifecycle->failed_count;
    lifecycle->asked_count = lifecycle->failed_count;
    uint64_t session_ns = session_ns_of(lifecycle);
    lifecycle->call = (struct controller_call){
        .api = &broker_heartbeat_call,
        .message = request,
        .version_min = BROKER_HEARTBEAT_REQUEST_VERSION_MAX,
        .version_max = BROKER_HEARTBEAT_REQUEST_VERSION_MAX,
        .timeout_ns = lifecycle->state == BROKER_LEAVING ? LEAVE_ANSWER_NS : session_ns,
        .attempt_timeout_ns = session_ns / 2,
        .error_of = heartbeat_error,
        .done = heartbeat_answered,
    };
}

static void ask(struct broker_lifecycle *lifecycle)
{
    if (lifecycle->state == BROKER_REGISTERING)
        ask_registration(lifecycle);
    else
        ask_heartbeat(lifecycle);
    lifecycle->is_asking = true;
    lifecycle->is_urgent = false;
    controller_channel_send(lifecycle->options.channel, &lifecycle->call);
}

/* ---- Patience ---- */

static void patience_over(struct timer *timer)
{
    struct broker_lifecycle *lifecycle = container_of(timer, struct broker_lifecycle, patience);
    if (lifecycle->state != BROKER_LEAVING) {
        lifecycle->options.events->failed(lifecycle->options.owner,
                                          "no controller has registered this broker within "
                                          "initial.broker.registration.timeout.ms");
        return;
    }
    log_warn(lifecycle->loop->diagnostics,
             "the controlled shutdown takes too long: stopping without it");
    leave_done(lifecycle);
}

static void report_late(struct timer *timer)
{
    struct broker_lifecycle *lifecycle = container_of(timer, struct broker_lifecycle, report);
    lifecycle->options.events->failed(
        lifecycle->options.owner,
        "a failed log directory could not be reported within log.dir.failure.timeout.ms");
}

/* ---- For the owner ---- */

static void tell(struct deferred *deferred)
{
    struct broker_lifecycle *lifecycle = container_of(deferred, struct broker_lifecycle, tell);
    lifecycle->options.events->left(lifecycle->options.owner);
}

static void begin(struct broker_lifecycle *lifecycle,
                  const struct broker_lifecycle_options *options)
{
    struct loop *loop = options->loop;
    *lifecycle = (struct broker_lifecycle){
        .options = *options, .loop = loop, .epoch = -1, .shown_offset = -1};
    lifecycle->registration = *options->registration;
    klamm_assert(!uuid_is_zero(lifecycle->registration.incarnation_id));
    timer_init(&lifecycle->next, next_due);
    timer_init(&lifecycle->patience, patience_over);
    timer_init(&lifecycle->report, report_late);
    deferred_init(&lifecycle->tell, tell);
    random_init(&lifecycle->random, loop_random_seed(loop, LIFECYCLE_RANDOM_PURPOSE), 0);
    watch_newest(lifecycle);
}

void broker_lifecycle_start(struct broker_lifecycle *lifecycle,
                            const struct broker_lifecycle_options *options)
{
    begin(lifecycle, options);
    lifecycle->state = BROKER_REGISTERING;
    loop_set_timer(lifecycle->loop, &lifecycle->patience,
                   ms_to_ns(settings_of(lifecycle)->initial_broker_registration_timeout_ms));
    ask(lifecycle);
}

void broker_lifecycle_adopt(struct broker_lifecycle *lifecycle,
                            const struct broker_lifecycle_options *options, int64_t epoch)
{
    begin(lifecycle, options);
    lifecycle->epoch = epoch;
    lifecycle->state = BROKER_RUNNING;
    lifecycle->serves = true;
    lifecycle->was_prepared = true;
    lifecycle->was_unfenced = true;
    ask_after_interval(lifecycle);
}

void broker_lifecycle_serve(struct broker_lifecycle *lifecycle)
{
    lifecycle->serves = true;
    if (lifecycle->state == BROKER_FENCED)
        ask_now(lifecycle);
}

void broker_lifecycle_fail_directory(struct broker_lifecycle *lifecycle, struct uuid directory)
{
    if (lifecycle->state == BROKER_IDLE || lifecycle->state == BROKER_LEFT ||
        lifecycle->failed_count == BROKER_LIFECYCLE_DIRECTORIES)
        return;
    lifecycle->failed[lifecycle->failed_count++] = directory;
    if (!timer_is_set(&lifecycle->report))
        loop_set_timer(lifecycle->loop, &lifecycle->report,
                       ms_to_ns(settings_of(lifecycle)->log_dir_failure_timeout_ms));
    if (lifecycle->state != BROKER_REGISTERING)
        ask_now(lifecycle);
}

/* Whether a controller could give leaderships of this node to another one. */
static bool can_hand_over(const struct broker_lifecycle *lifecycle)
{
    const struct image *image = lifecycle->watched;
    int32_t own = lifecycle->registration.broker_id;
    if (image->controller_id != own)
        return true;
    struct image_walk walk;
    image_walk_start(&image->brokers, &walk);
    for (const struct image_node *node; (node = image_walk_next_node(&walk)) != NULL;)
        if (node->id != own && image_broker_is_active(image, node->id))
            return true;
    return false;
}

void broker_lifecycle_leave(struct broker_lifecycle *lifecycle)
{
    if (lifecycle->state >= BROKER_LEAVING)
        return;
    bool leaves = lifecycle->state == BROKER_RUNNING &&
                  settings_of(lifecycle)->controlled_shutdown_enable && can_hand_over(lifecycle);
    if (!leaves) {
        leave_done(lifecycle);
        return;
    }
    log_info(lifecycle->loop->diagnostics, "handing leaderships over");
    lifecycle->state = BROKER_LEAVING;
    lifecycle->leave_pause_ns = LEAVE_FIRST_NS;
    loop_set_timer(lifecycle->loop, &lifecycle->patience, LEAVE_PATIENCE_NS);
    ask_now(lifecycle);
}

void broker_lifecycle_stop(struct broker_lifecycle *lifecycle)
{
    if (lifecycle->state == BROKER_IDLE)
        return;
    lifecycle->state = BROKER_LEFT;
    list_remove(&lifecycle->tell.link);
    timer_clear(&lifecycle->next);
    timer_clear(&lifecycle->patience);
    timer_clear(&lifecycle->report);
    list_remove(&lifecycle->shown.link);
    if (lifecycle->watched)
        image_release(lifecycle->watched);
    lifecycle->watched = NULL;
    if (lifecycle->is_asking && !lifecycle->call.is_local)
        controller_channel_cancel(&lifecycle->call);
    lifecycle->is_asking = lifecycle->is_asking && lifecycle->call.is_local;
}
