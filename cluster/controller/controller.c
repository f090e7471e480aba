/*
 * The life of a write: decide on the head -> replay into a draft -> append -> (durable) commit ->
 * publish -> shown by every shard -> the waiter is told.
 *
 * Start of a node that is alone: metadata log -> first publication (the difference to the empty
 * image) -> activated -> bootstrap records when the log is empty -> controller and broker
 * registration -> unfenced -> ready. The registrations are appended one behind the other and share
 * the log's syncs.
 *
 * A node among others publishes what it hears to be committed; the first of it makes it ready. When
 * its log leads it claims: the newest published image is the head. When the log resigns it
 * renounces: what is appended and not committed is dropped, and its waits end.
 */
#include "cluster/controller/controller.h"

#include <stdio.h>

#include "base/assert.h"
#include "cluster/controller/assign_replicas_to_dirs.h"
#include "cluster/controller/broker_heartbeat.h"
#include "cluster/controller/broker_registration.h"
#include "cluster/controller/bootstrap_records.h"
#include "cluster/controller/eligible_leaders.h"
#include "cluster/controller/features.h"
#include "cluster/metadata/loader.h"
#include "protocol/messages/abort_transaction_record.h"
#include "protocol/messages/begin_transaction_record.h"
#include "protocol/messages/end_transaction_record.h"
#include "protocol/messages/feature_level_record.h"
#include "protocol/messages/register_controller_record.h"

enum {
    CONTROLLER_RANDOM_PURPOSE = 0x6374726c, /* stream of topic ids and placement */
    BUILDER_KEPT_SIZE = 256 * 1024,
};

/* An image whose records are appended and not committed yet. */
struct controller_append {
    struct list link;
    int64_t end_offset;
    const struct image *image;
    struct image_delta *delta;
};

/* ---- Waiting --------------------------------------------------------------------------------- */

static void tell_refused(struct deferred *deferred)
{
    struct controller *controller = container_of(deferred, struct controller, tell);
    struct list *link;
    while ((link = list_pop_front(&controller->refused)) != NULL) {
        struct controller_wait *wait = container_of(link, struct controller_wait, link);
        wait->done(wait, wait->error);
    }
}

static void refuse_wait(struct controller *controller, struct controller_wait *wait,
                        enum kafka_error error)
{
    wait->error = error;
    list_push_back(&controller->refused, &wait->link);
    loop_defer(controller->loop, &controller->tell);
}

static void wait_shown(struct publisher_waiter *shown)
{
    struct controller_wait *wait = container_of(shown, struct controller_wait, shown);
    list_remove(&wait->link);
    wait->done(wait, KAFKA_ERROR_NONE);
}

static void wait_for_version(struct controller *controller, struct controller_wait *wait,
                             uint64_t version)
{
    wait->controller = controller;
    wait->shown = (struct publisher_waiter){.version = version, .shown = wait_shown};
    list_push_back(&controller->waits, &wait->link);
    publisher_wait(controller->options.publisher, &wait->shown);
}

static void wait_for_head(struct controller *controller, struct controller_wait *wait)
{
    wait_for_version(controller, wait, controller->head->version);
}

/* ---- Writing --------------------------------------------------------------------------------- */

bool controller_decide(struct controller *controller, struct decision *decision,
                       struct arena *arena)
{
    if (!controller->is_active)
        return false;
    decision_init(decision, controller->head, controller->options.config, &controller->random,
                  arena, metadata_log_next_offset(&controller->log));
    decision->test_points = controller->loop->test_points;
    decision->log = &controller->log;
    return true;
}

/* The next image; NULL when a record was refused, which is a bug that must not reach the log. */
static const struct image *replay_records(struct controller *controller,
                                          const struct metadata_records *records,
                                          struct image_delta **delta)
{
    struct image_draft draft;
    draft_begin(&draft, controller->head);
    struct arena arena;
    arena_init(&arena, controller->loop->heap, MEMORY_SCRATCH, 0);
    int64_t offset = metadata_log_next_offset(&controller->log);
    bool ok = true;
    for (size_t i = 0; ok && i < records->count; i++) {
        struct replay replay = {.draft = &draft,
                                .arena = &arena,
                                .offset = offset++,
                                .test_points = controller->loop->test_points};
        enum replay_mark mark;
        ok = replay_record(&replay, records->values[i], &mark);
        if (!ok)
            log_error(controller->loop->diagnostics, "a decision cannot be replayed: %s",
                      replay.problem);
        arena_reset(&arena);
    }
    arena_deinit(&arena);
    if (!ok) {
        draft_drop(&draft);
        return NULL;
    }
    draft_set_position(&draft, offset - 1, metadata_log_epoch(&controller->log),
                       controller->loop->wall_ms);
    draft_set_leadership(&draft, controller->head->controller_id,
                         controller->head->controller_epoch,
                         metadata_log_kraft_version(&controller->log));
    return draft_finish(&draft, delta);
}

static void adopt(struct controller *controller, const struct image *image,
                  struct image_delta *delta)
{
    struct controller_append *append =
        heap_must_get(controller->loop->heap, MEMORY_STATE, sizeof(*append));
    /* The delta points into the image before, which a later head would otherwise free. */
    image_acquire(delta->before);
    image_acquire(image);
    append->image = image;
    append->delta = delta;
    append->end_offset = metadata_log_next_offset(&controller->log);
    list_push_back(&controller->pending, &append->link);
    image_release(controller->head);
    controller->head = image;
    controller_duties_follow(&controller->duties, delta);
}

/* A large batch (a topic of 10,000 partitions) leaves memory behind that the next ones do not need.
 */
static void trim_builder(struct controller *controller)
{
    if (controller->builder.plain.capacity <= BUILDER_KEPT_SIZE)
        return;
    struct batch_options options = BATCH_OPTIONS_DEFAULT;
    batch_builder_deinit(&controller->builder);
    batch_builder_init(&controller->builder, controller->loop->heap, METADATA_BATCH_SIZE_MAX,
                       &options);
}

static enum kafka_error write_records(struct controller *controller,
                                      const struct decision *decision)
{
    const struct metadata_records *records = &decision->records;
    klamm_assert(decision->image == controller->head);
    /* It stays raised if the records are refused below; the next ones show it. */
    if (decision->raises_kraft_version && !decision->failed &&
        !kraft_upgrade_append(&controller->log))
        return controller->log.quorum.is_active ? KAFKA_ERROR_KAFKA_STORAGE_ERROR
                                                : KAFKA_ERROR_NOT_CONTROLLER;
    struct view batch;
    if (decision->failed ||
        !metadata_records_build(records, 0, records->count, &controller->builder,
                                metadata_log_next_offset(&controller->log),
                                metadata_log_epoch(&controller->log), controller->loop->wall_ms,
                                &batch))
        return KAFKA_ERROR_UNKNOWN_SERVER_ERROR;
    struct image_delta *delta;
    const struct image *image = replay_records(controller, records, &delta);
    if (!image)
        return KAFKA_ERROR_UNKNOWN_SERVER_ERROR;
    if (!metadata_log_append(&controller->log, batch)) {
        image_delta_destroy(controller->loop->heap, delta);
        image_release(image);
        return controller->log.quorum.is_active ? KAFKA_ERROR_KAFKA_STORAGE_ERROR
                                                : KAFKA_ERROR_NOT_CONTROLLER;
    }
    adopt(controller, image, delta);
    trim_builder(controller);
    return KAFKA_ERROR_NONE;
}

enum kafka_error controller_append(struct controller *controller, const struct decision *decision)
{
    if (!controller->is_active)
        return KAFKA_ERROR_NOT_CONTROLLER;
    if (decision->records.count == 0 && !decision->failed)
        return KAFKA_ERROR_NONE;
    return write_records(controller, decision);
}

void controller_commit(struct controller *controller, const struct decision *decision,
                       struct controller_wait *wait)
{
    enum kafka_error error = controller_append(controller, decision);
    if (error != KAFKA_ERROR_NONE)
        refuse_wait(controller, wait, error);
    else
        wait_for_head(controller, wait);
}

/* ---- Commits --------------------------------------------------------------------------------- */

/* Closing goes on when what was appended is committed, taken back, or in the hands of others. */
static void end_if_settled(struct controller *controller)
{
    if (controller->is_closing && !controller->log.is_closing &&
        (list_is_empty(&controller->pending) || controller->has_failed))
        metadata_log_close(&controller->log);
}

static void end_failed(struct deferred *deferred)
{
    end_if_settled(container_of(deferred, struct controller, end));
}

static void release_append(struct controller *controller, struct controller_append *append)
{
    list_remove(&append->link);
    heap_put(controller->loop->heap, MEMORY_STATE, append, sizeof(*append));
}

static void committed(void *owner, int64_t high_watermark)
{
    struct controller *controller = owner;
    const struct image *newest = NULL;
    while (!list_is_empty(&controller->pending)) {
        struct controller_append *append =
            container_of(controller->pending.next, struct controller_append, link);
        if (append->end_offset > high_watermark)
            break;
        const struct image *before = append->delta->before;
        newest = append->image;
        publisher_publish(controller->options.publisher, append->image, append->delta);
        image_release(before);
        release_append(controller, append);
    }
    if (newest)
        metadata_log_offer(&controller->log, newest);
    end_if_settled(controller);
}

static void refuse_waits_behind(struct controller *controller, uint64_t version,
                                enum kafka_error error)
{
    list_for_each_safe(link, after, &controller->waits)
    {
        struct controller_wait *wait = container_of(link, struct controller_wait, link);
        if (wait->shown.version <= version)
            continue;
        list_remove(&wait->shown.link);
        list_remove(&wait->link);
        refuse_wait(controller, wait, error);
    }
}

static void drop_append(struct controller *controller, struct controller_append *append)
{
    image_release(append->delta->before);
    image_release(append->image);
    image_delta_destroy(controller->loop->heap, append->delta);
    release_append(controller, append);
}

/* Takes back what the log took back: images, and the waits for them. */
static void cut(void *owner, int64_t log_end)
{
    struct controller *controller = owner;
    const struct image *head = controller->options.publisher->current;
    list_for_each_safe(link, after, &controller->pending)
    {
        struct controller_append *append = container_of(link, struct controller_append, link);
        if (append->end_offset <= log_end) {
            head = append->image;
            continue;
        }
        drop_append(controller, append);
    }
    image_acquire(head);
    image_release(controller->head);
    controller->head = head;
    if (controller->is_active)
        controller_duties_claim(&controller->duties);
    refuse_waits_behind(controller, head->version, KAFKA_ERROR_KAFKA_STORAGE_ERROR);
    end_if_settled(controller);
}

static void failed(void *owner, const char *text)
{
    struct controller *controller = owner;
    controller->is_active = false;
    controller_duties_renounce(&controller->duties);
    if (controller->has_failed)
        return;
    controller->has_failed = true;
    /* Whether these were committed is not known to anybody before the next start. */
    refuse_waits_behind(controller, controller->options.publisher->current->version,
                        KAFKA_ERROR_KAFKA_STORAGE_ERROR);
    if (controller->is_closing && !controller->log.is_closing)
        loop_defer(controller->loop, &controller->end); /* the log is in the middle of failing */
    controller->options.events->failed(controller->options.owner, text);
}

/* ---- Start ----------------------------------------------------------------------------------- */

static void ready(struct controller_wait *wait, enum kafka_error error)
{
    struct controller *controller = wait->controller;
    if (error != KAFKA_ERROR_NONE || controller->has_failed) {
        failed(controller, "the node cannot be registered");
        return;
    }
    controller->is_ready = true;
    controller->options.events->ready(controller->options.owner);
}

/* Appends a decision of the start; nobody waits for it. */
static bool write_own(struct controller *controller, const struct decision *decision)
{
    enum kafka_error error = controller_append(controller, decision);
    if (error == KAFKA_ERROR_NONE)
        return true;
    failed(controller, error == KAFKA_ERROR_KAFKA_STORAGE_ERROR
                           ? "the metadata log does not take the first records"
                           : "the first metadata records are not valid");
    return false;
}

static bool copy_bootstrap_batch(void *context, struct view batch, const char **problem)
{
    struct metadata_records *records = context;
    if (batch_is_control(batch.data))
        return true;
    struct batch_header header;
    batch_header_read(batch.data, &header);
    struct record_cursor cursor;
    record_cursor_init(&cursor, batch_records(batch), header.record_count);
    struct record record;
    while (record_cursor_next(&cursor, &record) == RECORD_OK) {
        if (!metadata_records_add_value(records, record.value)) {
            *problem = "out of memory";
            return false;
        }
    }
    return true;
}

/* Whether the bootstrap records finalize eligible leader replicas. */
static bool finalizes_eligible(const struct metadata_records *records)
{
    for (size_t i = 0; i < records->count; i++) {
        struct reader in = reader_of(records->values[i]);
        struct metadata_frame frame;
        struct feature_level_record level;
        if (metadata_frame_read(&in, &frame) && frame.type == METADATA_RECORD_FEATURE_LEVEL &&
            feature_level_record_decode(&level, &in, frame.version, records->arena) &&
            view_equal(level.name, VIEW_LITERAL(ELIGIBLE_LEADERS_FEATURE)))
            return level.feature_level > 0;
    }
    return false;
}

/* The records of bootstrap.checkpoint, in one metadata transaction, as the first of the log. */
static bool write_bootstrap(struct controller *controller, struct arena *arena)
{
    struct view content = metadata_log_bootstrap(&controller->log);
    if (!metadata_log_is_empty(&controller->log))
        return true;
    struct decision decision;
    if (view_is_null(content) || !controller_decide(controller, &decision, arena)) {
        failed(controller, "the metadata log is empty and bootstrap.checkpoint is missing");
        return false;
    }
    struct begin_transaction_record begin = {VIEW_LITERAL("Bootstrap records")};
    struct end_transaction_record end;
    end_transaction_record_init(&end);
    const char *problem;
    decision_add(&decision, METADATA_RECORD_BEGIN_TRANSACTION, &begin);
    if (!snapshot_walk(content, copy_bootstrap_batch, &decision.records, &problem)) {
        failed(controller, problem);
        return false;
    }
    if (finalizes_eligible(&decision.records))
        eligible_leaders_begin(&decision);
    decision_add(&decision, METADATA_RECORD_END_TRANSACTION, &end);
    return write_own(controller, &decision);
}

static bool write_controller(struct controller *controller, struct arena *arena)
{
    struct decision decision;
    if (!controller_decide(controller, &decision, arena))
        return false;
    const struct sole_voter *voter = &controller->log.options.voter;
    struct register_controller_record_controller_endpoint endpoint = {voter->listener, voter->host,
                                                                      voter->port, 0};
    struct image_feature_range ranges[CONTROLLER_FEATURE_COUNT];
    struct register_controller_record_controller_feature features[CONTROLLER_FEATURE_COUNT];
    size_t count = controller_features_declare(decision.image, ranges);
    for (size_t i = 0; i < count; i++)
        features[i] = (struct register_controller_record_controller_feature){
            ranges[i].name, ranges[i].minimum, ranges[i].maximum};
    struct register_controller_record record;
    register_controller_record_init(&record);
    record.controller_id = voter->id;
    record.incarnation_id = controller->incarnation;
    record.end_points = &endpoint;
    record.end_points_count = 1;
    record.features = features;
    record.features_count = count;
    decision_add(&decision, METADATA_RECORD_REGISTER_CONTROLLER, &record);
    return write_own(controller, &decision);
}

/* The own registration, through the same decision as any broker's. */
static bool write_registration(struct controller *controller, struct arena *arena)
{
    struct decision decision;
    if (!controller_decide(controller, &decision, arena))
        return false;
    struct broker_registration_request request = *controller->options.registration;
    if (uuid_is_zero(request.incarnation_id))
        request.incarnation_id = decision_new_id(&decision);
    struct image_feature_range ranges[CONTROLLER_FEATURE_COUNT];
    struct broker_registration_request_feature features[CONTROLLER_FEATURE_COUNT];
    size_t count = controller_features_declare(decision.image, ranges);
    for (size_t i = 0; i < count; i++)
        features[i] = (struct broker_registration_request_feature){
            ranges[i].name, ranges[i].minimum, ranges[i].maximum};
    request.features = features;
    request.features_count = count;
    struct broker_registration_response response;
    decide_broker_registration(&decision, &request, BROKER_REGISTRATION_REQUEST_VERSION_MAX, false,
                               &response);
    if (response.error_code != KAFKA_ERROR_NONE) {
        failed(controller, kafka_error_text((enum kafka_error)response.error_code));
        return false;
    }
    controller->broker_epoch = response.broker_epoch;
    return write_own(controller, &decision);
}

static bool write_unfence(struct controller *controller, struct arena *arena)
{
    struct decision decision;
    if (!controller_decide(controller, &decision, arena))
        return false;
    struct broker_heartbeat_request request;
    broker_heartbeat_request_init(&request);
    request.broker_id = controller->options.registration->broker_id;
    request.broker_epoch = controller->broker_epoch;
    request.current_metadata_offset = controller->head->offset;
    struct broker_heartbeat_response response;
    decide_broker_heartbeat(&decision, &request, INT64_MAX, -1, &response);
    return write_own(controller, &decision);
}

void controller_report_directories(struct controller *controller, const struct uuid *directories,
                                   size_t count)
{
    const struct image_node *broker =
        controller->is_active ? image_broker(controller->head, controller->options.config->node_id)
                              : NULL;
    if (!broker || broker->epoch != controller->broker_epoch)
        return;
    struct arena arena;
    arena_init(&arena, controller->loop->heap, MEMORY_SCRATCH, 0);
    struct decision decision;
    controller_decide(controller, &decision, &arena);
    struct broker_heartbeat_request request;
    broker_heartbeat_request_init(&request);
    request.broker_id = broker->id;
    request.broker_epoch = broker->epoch;
    request.current_metadata_offset = controller->head->offset;
    request.offline_log_dirs = decision_get(&decision, count, sizeof(struct uuid));
    request.offline_log_dirs_count = count;
    for (size_t i = 0; i < count; i++)
        request.offline_log_dirs[i] = directories[i];
    struct broker_heartbeat_response response;
    decide_broker_heartbeat(&decision, &request, INT64_MAX, -1, &response);
    if (controller_append(controller, &decision) != KAFKA_ERROR_NONE)
        log_warn(controller->loop->diagnostics, "the failed directories could not be recorded");
    arena_deinit(&arena);
}

void controller_assign_directories(struct controller *controller,
                                   const struct assign_replicas_to_dirs_request *request,
                                   struct arena *arena,
                                   struct assign_replicas_to_dirs_response *response)
{
    struct decision decision;
    if (!controller_decide(controller, &decision, arena)) {
        assign_replicas_to_dirs_response_init(response);
        response->error_code = KAFKA_ERROR_NOT_CONTROLLER;
        return;
    }
    decide_assign_replicas_to_dirs(&decision, request, response);
    enum kafka_error error = controller_append(controller, &decision);
    if (error != KAFKA_ERROR_NONE)
        response->error_code = (int16_t)error;
}

/* The node shows committed metadata: whoever waits for that goes on. */
static void wait_for_ready(struct controller *controller)
{
    controller->ready_wait.done = ready;
    controller->has_awaited_ready = true;
    wait_for_version(controller, &controller->ready_wait,
                     controller->options.publisher->current->version);
}

/*
 * Metadata that another node's controller committed, or that was found at the start. A node among
 * others is ready with the first of it; one that is alone waits for its own registration.
 */
static void applied(void *owner, const struct image *image, struct image_delta *delta)
{
    struct controller *controller = owner;
    struct publisher *publisher = controller->options.publisher;
    if (!delta)
        delta = image_delta_between(controller->loop->heap, publisher->current, image);
    publisher_publish(publisher, image, delta);
    if (!controller->has_awaited_ready && !metadata_log_is_alone(&controller->log))
        wait_for_ready(controller);
}

/* Another leader, or this node took up or gave back its office. */
static void leader_changed(void *owner)
{
    struct controller *controller = owner;
    if (controller->options.events->leader_changed)
        controller->options.events->leader_changed(controller->options.owner);
}

/* What another leader began and did not end. */
static bool write_abort(struct controller *controller, struct arena *arena)
{
    if (!controller->log.has_open_transaction)
        return true;
    struct decision decision;
    struct abort_transaction_record record = {VIEW_LITERAL("the controller changed")};
    if (!controller_decide(controller, &decision, arena))
        return false;
    decision_add(&decision, METADATA_RECORD_ABORT_TRANSACTION, &record);
    return write_own(controller, &decision);
}

static void activated(void *owner)
{
    struct controller *controller = owner;
    klamm_assert(controller->head == NULL);
    controller->head = controller->options.publisher->current;
    image_acquire(controller->head);
    controller->is_active = true;
    controller_duties_claim(&controller->duties);
    bool is_alone = metadata_log_is_alone(&controller->log);
    struct arena arena;
    arena_init(&arena, controller->loop->heap, MEMORY_SCRATCH, 0);
    bool ok = write_abort(controller, &arena) && write_bootstrap(controller, &arena) &&
              write_controller(controller, &arena);
    if (ok && is_alone && controller->options.registration)
        ok = write_registration(controller, &arena) && write_unfence(controller, &arena);
    arena_deinit(&arena);
    leader_changed(controller);
    if (!ok || controller->has_awaited_ready)
        return;
    controller->has_awaited_ready = true;
    controller->ready_wait.done = ready;
    wait_for_head(controller, &controller->ready_wait);
}

static void drop_pending(struct controller *controller)
{
    list_for_each_safe(link, after, &controller->pending)
        drop_append(controller, container_of(link, struct controller_append, link));
    if (controller->head)
        image_release(controller->head);
    controller->head = NULL;
}

/*
 * Whether what was appended and not committed stays is for the next leader to decide; who waits for
 * it asks that one. The log goes on from what is published.
 */
static void resigned(void *owner)
{
    struct controller *controller = owner;
    const struct image *current = controller->options.publisher->current;
    controller->is_active = false;
    controller_duties_renounce(&controller->duties);
    drop_pending(controller);
    refuse_waits_behind(controller, current->version, KAFKA_ERROR_NOT_CONTROLLER);
    if (controller->is_closing) {
        end_if_settled(controller);
        return;
    }
    image_acquire(current);
    metadata_log_resume(&controller->log, current);
    leader_changed(controller);
}

static void closed(void *owner, bool clean)
{
    struct controller *controller = owner;
    drop_pending(controller);
    batch_builder_deinit(&controller->builder);
    arena_deinit(&controller->bootstrap_arena);
    controller->options.events->closed(controller->options.owner, clean);
}

static const struct metadata_log_events log_events = {
    .applied = applied,
    .activated = activated,
    .resigned = resigned,
    .leader_changed = leader_changed,
    .committed = committed,
    .cut = cut,
    .failed = failed,
    .closed = closed,
};

/*
 * Where the others reach this node: the list of voters says so to all of them alike; else the first
 * controller listener, or where Kafka would look for one.
 */
static struct sole_voter own_voter(struct controller *controller)
{
    const struct server_config *config = controller->options.config;
    struct sole_voter voter = {
        .id = config->node_id,
        .directory_id = controller->options.directory_id,
        .listener = VIEW_LITERAL("CONTROLLER"),
        .host = VIEW_LITERAL("localhost"),
        .port = 9093,
    };
    const struct listener_config *listener = server_config_controller_endpoint(config);
    if (listener) {
        struct view host_name = controller->options.host_name;
        voter.listener = listener->name;
        voter.host =
            listener_config_host(listener, view_is_null(host_name) ? voter.host : host_name);
        voter.port = (uint16_t)listener->port;
    }
    for (size_t i = 0; i < config->voter_count; i++) {
        if (config->voters[i].id != config->node_id)
            continue;
        voter.host = config->voters[i].host;
        voter.port = (uint16_t)config->voters[i].port;
    }
    return voter;
}

/* What a new cluster begins with: the initial feature levels, metadata.version first. */
static size_t make_bootstrap(struct controller *controller)
{
    struct metadata_records records;
    arena_init(&controller->bootstrap_arena, controller->loop->heap, MEMORY_STATE, 0);
    metadata_records_init(&records, &controller->bootstrap_arena);
    struct controller_initial_levels levels;
    controller_initial_levels_init(&levels);
    add_bootstrap_records(&records, &levels);
    klamm_assert(records.count <= sizeof(controller->bootstrap) / sizeof(struct view));
    for (size_t i = 0; i < records.count; i++)
        controller->bootstrap[i] = records.values[i];
    return records.count;
}

static uint64_t ms_to_ns(int32_t ms, int32_t least_ms)
{
    return (uint64_t)(ms > least_ms ? ms : least_ms) * 1000000;
}

void controller_start(struct controller *controller, const struct controller_options *options)
{
    *controller =
        (struct controller){.options = *options, .loop = options->loop, .broker_epoch = -1};
    list_init(&controller->pending);
    list_init(&controller->waits);
    list_init(&controller->refused);
    deferred_init(&controller->tell, tell_refused);
    deferred_init(&controller->end, end_failed);
    struct batch_options batch_options = BATCH_OPTIONS_DEFAULT;
    batch_builder_init(&controller->builder, controller->loop->heap, METADATA_BATCH_SIZE_MAX,
                       &batch_options);
    uint64_t seed;
    loop_entropy(controller->loop, &seed, sizeof(seed));
    random_init(&controller->random, seed, CONTROLLER_RANDOM_PURPOSE);
    controller->incarnation =
        uuid_of_random(random_u64(&controller->random), random_u64(&controller->random));
    controller_duties_init(&controller->duties, controller);
    size_t bootstrap_count = make_bootstrap(controller);
    const struct broker_settings *settings = &options->config->settings;
    struct metadata_log_options log_options = {
        .loop = options->loop,
        .log_directory = options->log_directory,
        .voter = own_voter(controller),
        .cluster_id = options->cluster_id,
        .may_format = options->may_format,
        .may_vote = options->config->is_controller,
        .forms_quorum = options->config->voter_count == 0 &&
                        server_config_quorum(options->config) == CONFIG_QUORUM_ALONE,
        .joins = settings->controller_quorum_auto_join_enable,
        .is_reachable = server_config_controller_endpoint(options->config) != NULL,
        .voters = options->config->voters,
        .voter_count = options->config->voter_count,
        .bootstrap_servers = options->config->bootstrap_servers,
        .bootstrap = controller->bootstrap,
        .bootstrap_count = bootstrap_count,
        .election_timeout_ns = ms_to_ns(settings->controller_quorum_election_timeout_ms, 1),
        .fetch_timeout_ns = ms_to_ns(settings->controller_quorum_fetch_timeout_ms, 1),
        .election_backoff_max_ns = ms_to_ns(settings->controller_quorum_election_backoff_max_ms, 0),
        .request_timeout_ns = ms_to_ns(settings->controller_quorum_request_timeout_ms, 1),
        .retry_backoff_ns = ms_to_ns(settings->controller_quorum_retry_backoff_ms, 1),
        .segment_bytes = settings->metadata_log_segment_bytes,
        .snapshot_bytes = settings->metadata_log_max_record_bytes_between_snapshots,
        .snapshot_interval_ms = settings->metadata_log_max_snapshot_interval_ms,
        .events = &log_events,
        .owner = controller,
    };
    metadata_log_start(&controller->log, &log_options);
}

void controller_close(struct controller *controller)
{
    controller->is_active = false;
    controller_duties_renounce(&controller->duties);
    controller->is_closing = true;
    end_if_settled(controller);
}
