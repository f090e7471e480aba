/*
 * The step function's driver: events in, effects carried out, time, and the requests of others.
 *
 * While quorum-state is being written, or the log is being cut, the quorum takes no events but
 * those of the log. Requests wait in line meanwhile, answers to own messages are dropped (they are
 * asked for again), and the time is looked at afterwards.
 *
 * What may follow from any event (a timer to move, a fetch to send, a parked fetch to answer, a
 * line of requests to go on with, a leader to tell of) is done once in the deferred phase: pump.
 */
#include "cluster/quorum/metadata_log_internal.h"

#include "base/assert.h"
#include "cluster/quorum/quorum_internal.h"

/* ---- quorum-state ---------------------------------------------------------------------------- */

static enum job_progress state_step(struct job *job, const struct job_context *context)
{
    struct metadata_log *log = container_of(job, struct metadata_log, state_job);
    char text[QUORUM_STATE_SIZE_MAX];
    size_t size = quorum_state_encode(&log->quorum.persisted, text, sizeof(text));
    log->state_status = file_content_replace(context->storage, log->boot.directory.text,
                                             QUORUM_STATE_FILE_NAME, view_of(text, size));
    return JOB_FINISHED;
}

static void state_written(struct job *job)
{
    struct metadata_log *log = container_of(job, struct metadata_log, state_job);
    log->is_state_writing = false;
    if (log->state_status != STORAGE_OK) {
        if (!log->is_closing)
            metadata_log_fail(log, "quorum-state cannot be written");
    } else {
        struct quorum_event event = {.kind = QUORUM_EVENT_PERSISTED};
        metadata_log_step(log, &event, NULL);
    }
    if (log->is_closing)
        metadata_log_close_next(log);
}

static void persist(struct metadata_log *log)
{
    klamm_assert(!log->is_state_writing);
    log->state_job =
        (struct job){.step = state_step, .done = state_written, .job_class = JOB_DEVICE};
    log->is_state_writing = true;
    loop_start_job(log->loop, &log->state_job);
}

/* ---- Effects --------------------------------------------------------------------------------- */

static const enum quorum_message_kind message_kinds[QUORUM_CALL_KINDS] = {
    [QUORUM_CALL_VOTE] = QUORUM_MESSAGE_VOTE,
    [QUORUM_CALL_BEGIN_EPOCH] = QUORUM_MESSAGE_BEGIN_EPOCH,
    [QUORUM_CALL_END_EPOCH] = QUORUM_MESSAGE_END_EPOCH,
};

struct quorum_endpoint metadata_log_leader_endpoint(const struct metadata_log *log)
{
    struct quorum_endpoint endpoint = {.id = QUORUM_NODE_NONE};
    int32_t id = log->quorum.leader_id;
    const struct quorum_peer *peer = quorum_peer_find(log, id);
    if (id == QUORUM_NODE_NONE)
        return endpoint;
    if (id == log->options.voter.id)
        endpoint = (struct quorum_endpoint){id, log->options.voter.host, log->options.voter.port};
    else if (peer)
        endpoint = (struct quorum_endpoint){id, view_of_string(peer->host), peer->port};
    return endpoint;
}

/* The wire form of a call that is a message of elections. */
static const struct peer_message *message_of(const struct quorum_call *call)
{
    return peer_message_of(message_kinds[call->kind]);
}

static void answer_call(struct metadata_log *log, struct quorum_call *call,
                        const struct quorum_answer *answer)
{
    struct quorum_endpoint leader = metadata_log_leader_endpoint(log);
    message_of(call)->respond(call, KAFKA_ERROR_NONE, answer, &leader);
    call->done(call);
}

static void take_answer(struct metadata_log *log, const struct quorum_effects *effects,
                        struct quorum_call *call)
{
    if (effects->has_answer) {
        struct quorum_call *answered = call ? call : log->asked;
        if (!call)
            log->asked = NULL;
        if (answered)
            answer_call(log, answered, &effects->answer);
    } else if (call && effects->persist) {
        log->asked = call;
    }
}

static void take_resigned(struct metadata_log *log)
{
    followers_clear(log);
    kraft_upgrade_forget(log);
    voter_change_abort(log, KAFKA_ERROR_NOT_LEADER_OR_FOLLOWER);
    if (!log->is_active)
        return;
    log->has_resigned = true;
    log_info(log->loop->diagnostics, "not the active controller any more: epoch=%d",
             log->quorum.epoch);
}

void metadata_log_step(struct metadata_log *log, struct quorum_event *event,
                       struct quorum_call *call)
{
    struct quorum_effects effects;
    event->now_ns = log->loop->now_ns;
    quorum_step(&log->quorum, event, &effects);
    if (event->kind == QUORUM_EVENT_CUT)
        voter_history_cut(&log->voters, event->offset);
    if (effects.persist)
        persist(log);
    if (effects.conflict)
        log_error(log->loop->diagnostics, "two leaders in one epoch of the quorum: epoch=%d",
                  log->quorum.epoch);
    if (effects.committed) {
        partition_log_set_high_watermark(log->log, log->quorum.high_watermark);
        if (log->is_active && !log->has_resigned)
            log->options.events->committed(log->options.owner, log->quorum.high_watermark);
        else
            metadata_log_apply(log);
        voter_change_committed(log);
    }
    if (effects.resigned)
        take_resigned(log);
    if (effects.append_change && !metadata_log_append_change(log))
        metadata_log_fail(log, "the metadata log refuses the first record of this epoch");
    if (effects.activated) {
        /* What a start before this one left behind, when it did not come to removing it. */
        if (log->boot.has_snapshot)
            partition_log_advance_start(log->log, log->boot.oldest.end_offset);
        metadata_log_try_activate(log);
    }
    if (effects.send != QUORUM_MESSAGE_NONE)
        quorum_peers_send(log);
    take_answer(log, &effects, call);
    if (event->kind == QUORUM_EVENT_CUT || event->kind == QUORUM_EVENT_REPLACED)
        metadata_log_tell_voters(log);
    metadata_log_wake(log);
}

/* ---- Voters ---------------------------------------------------------------------------------- */

/* Where the voters are that the log names. */
static void learn_addresses(struct metadata_log *log, const struct voter_set *set)
{
    struct arena arena;
    struct voters_record record;
    arena_init(&arena, log->loop->heap, MEMORY_SCRATCH, 0);
    if (set->count > 0 && voters_decode(set->value, &record, &arena)) {
        for (size_t i = 0; i < record.voters_count; i++) {
            const struct voters_record_endpoint *endpoint =
                voters_endpoint(&record.voters[i], log->options.voter.listener);
            quorum_peer_learn(log, record.voters[i].voter_id, endpoint->host, endpoint->port);
        }
    }
    arena_deinit(&arena);
}

/* The voters: from the newest record of them, or from the settings. */
static void fill_voters(struct metadata_log *log, struct quorum_event *event,
                        struct quorum_node *nodes)
{
    const struct metadata_log_options *options = &log->options;
    const struct voter_set *set = voter_history_last(&log->voters);
    struct quorum_node self = {options->voter.id, options->voter.directory_id};
    event->voters = set->nodes;
    event->voter_count = set->count;
    event->voters_offset = set->offset;
    event->was_voter = options->may_vote && voter_history_was_voter(&log->voters, self);
    event->state_version = set->kraft_version >= KRAFT_VERSION_DYNAMIC ? 1 : 0;
    if (set->count > 0)
        return;
    event->voters = nodes;
    for (size_t i = 0; i < options->voter_count && i < QUORUM_VOTERS_MAX; i++)
        nodes[event->voter_count++] = (struct quorum_node){.id = options->voters[i].id};
}

void metadata_log_tell_voters(struct metadata_log *log)
{
    const struct voter_set *set = voter_history_last(&log->voters);
    if (set->offset == log->quorum.voters_offset)
        return;
    struct quorum_node nodes[QUORUM_VOTERS_MAX];
    struct quorum_event event = {.kind = QUORUM_EVENT_VOTERS};
    learn_addresses(log, set);
    own_vote_look(log);
    fill_voters(log, &event, nodes);
    metadata_log_step(log, &event, NULL);
}

/* ---- Requests of others ---------------------------------------------------------------------- */

static void serve_message(struct metadata_log *log, struct quorum_call *call)
{
    struct quorum_message message = {.kind = message_kinds[call->kind]};
    struct quorum_endpoint leader = {.id = QUORUM_NODE_NONE};
    enum kafka_error error =
        message_of(call)->read(log, call->message, call->version, &message, &leader);
    if (error != KAFKA_ERROR_NONE) {
        message_of(call)->respond(call, error, NULL, NULL);
        call->done(call);
        return;
    }
    if (leader.id >= 0 && message.epoch >= log->quorum.epoch)
        quorum_peer_learn(log, leader.id, leader.host, leader.port);
    struct quorum_event event = {.kind = QUORUM_EVENT_REQUEST, .message = &message};
    metadata_log_step(log, &event, call);
}

static void refuse_message(struct quorum_call *call, enum kafka_error error)
{
    message_of(call)->respond(call, error, NULL, NULL);
}

static const struct {
    void (*serve)(struct metadata_log *log, struct quorum_call *call);
    void (*refuse)(struct quorum_call *call, enum kafka_error error);
} services[QUORUM_CALL_KINDS] = {
    [QUORUM_CALL_VOTE] = {serve_message, refuse_message},
    [QUORUM_CALL_BEGIN_EPOCH] = {serve_message, refuse_message},
    [QUORUM_CALL_END_EPOCH] = {serve_message, refuse_message},
    [QUORUM_CALL_FETCH] = {fetch_server_serve, fetch_server_refuse},
    [QUORUM_CALL_FETCH_SNAPSHOT] = {snapshot_server_serve, snapshot_server_refuse},
    [QUORUM_CALL_ADD_VOTER] = {add_voter_serve, voter_change_refuse},
    [QUORUM_CALL_REMOVE_VOTER] = {remove_voter_serve, voter_change_refuse},
    [QUORUM_CALL_UPDATE_VOTER] = {update_voter_serve, voter_change_refuse},
};

static void refuse_call(struct quorum_call *call)
{
    services[call->kind].refuse(call, KAFKA_ERROR_BROKER_NOT_AVAILABLE);
    call->done(call);
}

bool metadata_log_is_busy(const struct metadata_log *log)
{
    return log->quorum.is_persisting || log->is_cutting;
}

void metadata_log_serve(struct metadata_log *log, struct quorum_call *call)
{
    call->log = log;
    call->is_expired = call->is_counted = call->is_warming = false;
    list_link_init(&call->link);
    timer_init(&call->deadline, NULL);
    if (!log || !log->quorum.is_started || log->has_failed || log->is_closing) {
        refuse_call(call);
    } else if (metadata_log_is_busy(log) || !list_is_empty(&log->waiting)) {
        list_push_back(&log->waiting, &call->link);
        metadata_log_wake(log);
    } else {
        services[call->kind].serve(log, call);
    }
}

/* Nobody waits for a log that ends. */
void metadata_log_refuse_calls(struct metadata_log *log)
{
    struct list *link;
    if (log->asked)
        refuse_call(log->asked);
    log->asked = NULL;
    while ((link = list_pop_front(&log->waiting)) != NULL)
        refuse_call(container_of(link, struct quorum_call, link));
    voter_change_abort(log, KAFKA_ERROR_BROKER_NOT_AVAILABLE);
    fetch_server_stop(log);
}

/* ---- Time and everything else ---------------------------------------------------------------- */

static void quorum_time(struct timer *timer)
{
    struct metadata_log *log = container_of(timer, struct metadata_log, quorum_timer);
    if (!log->is_cutting && log->loop->now_ns >= quorum_deadline_ns(&log->quorum)) {
        struct quorum_event event = {.kind = QUORUM_EVENT_TIME};
        metadata_log_step(log, &event, NULL);
    }
    metadata_log_wake(log);
}

static void set_quorum_timer(struct metadata_log *log)
{
    uint64_t due_ns = quorum_deadline_ns(&log->quorum);
    if (due_ns == UINT64_MAX || log->is_cutting) {
        timer_clear(&log->quorum_timer);
        return;
    }
    uint64_t now_ns = log->loop->now_ns;
    loop_set_timer(log->loop, &log->quorum_timer, due_ns > now_ns ? due_ns - now_ns : 0);
}

static void tell_leader(struct metadata_log *log)
{
    struct quorum_endpoint leader = metadata_log_leader_endpoint(log);
    bool has_address = leader.id != QUORUM_NODE_NONE;
    if (log->told_leader == log->quorum.leader_id && log->told_epoch == log->quorum.epoch &&
        log->is_told_address == has_address)
        return;
    log->told_leader = log->quorum.leader_id;
    log->told_epoch = log->quorum.epoch;
    log->is_told_address = has_address;
    if (log->quorum.voter_count != 1 || !quorum_is_voter(&log->quorum))
        log_info(log->loop->diagnostics, "quorum: epoch=%d leader=%d", log->told_epoch,
                 log->told_leader);
    if (log->options.events->leader_changed)
        log->options.events->leader_changed(log->options.owner);
}

static void tell_resigned(struct metadata_log *log)
{
    if (!log->has_resigned)
        return;
    log->has_resigned = false;
    log->is_active = false;
    log->has_open_transaction = false;
    log->options.events->resigned(log->options.owner);
    metadata_log_try_activate(log);
}

static void run_waiting(struct metadata_log *log)
{
    while (!list_is_empty(&log->waiting) && !metadata_log_is_busy(log)) {
        struct list *link = list_pop_front(&log->waiting);
        struct quorum_call *call = container_of(link, struct quorum_call, link);
        services[call->kind].serve(log, call);
    }
}

static void pump(struct deferred *deferred)
{
    struct metadata_log *log = container_of(deferred, struct metadata_log, pump);
    if (log->has_failed || log->stage != METADATA_LOG_OPEN || !log->log)
        return;
    set_quorum_timer(log);
    if (log->is_closing)
        return;
    voter_change_tidy(log);
    tell_resigned(log);
    tell_leader(log);
    run_waiting(log);
    if (!metadata_log_is_busy(log))
        fetch_server_run(log);
    fetch_client_run(log);
    own_vote_run(log);
}

void metadata_log_wake(struct metadata_log *log)
{
    loop_defer(log->loop, &log->pump);
}

void metadata_log_step_init(struct metadata_log *log)
{
    list_init(&log->waiting);
    list_init(&log->parked);
    list_init(&log->followers);
    log->told_leader = QUORUM_NODE_NONE;
    log->told_epoch = -1;
    deferred_init(&log->pump, pump);
    timer_init(&log->quorum_timer, quorum_time);
}

/* ---- The beginning --------------------------------------------------------------------------- */

/* A controller that is no voter follows; that takes somebody who may know the leader. */
static bool has_nobody_to_ask(const struct metadata_log *log, const struct quorum_event *event)
{
    struct quorum_node self = {log->options.voter.id, log->options.voter.directory_id};
    for (uint32_t i = 0; i < event->voter_count; i++)
        if (quorum_same_node(event->voters[i], self))
            return false;
    return log->options.may_vote && log->peers.count == 0;
}

void metadata_log_begin(struct metadata_log *log)
{
    const struct metadata_log_options *options = &log->options;
    struct quorum_node self = {options->voter.id, options->voter.directory_id};
    struct quorum_node nodes[QUORUM_VOTERS_MAX];
    struct quorum_event event = {.kind = QUORUM_EVENT_STARTED};
    learn_addresses(log, voter_history_last(&log->voters));
    own_vote_look(log);
    fill_voters(log, &event, nodes);
    if (has_nobody_to_ask(log, &event)) {
        metadata_log_fail(log, "the metadata log does not name this node's directory as a voter, "
                               "and no other node is known: controller.quorum.bootstrap.servers "
                               "tells where the quorum is");
        return;
    }
    event.started.file = log->boot.state;
    event.started.file.version = event.state_version;
    event.started.file.voter_count = 0;
    if (event.started.file.version == 0) {
        for (uint32_t i = 0; i < event.voter_count; i++)
            event.started.file.voters[i] = event.voters[i].id;
        event.started.file.voter_count = event.voter_count;
    }
    event.started.log_end = partition_log_end_offset(log->log);
    event.started.snapshot_end = log->snapshot_end;
    event.started.last_epoch = metadata_log_last_epoch(log);
    file_content_release(&log->boot.snapshot_content);
    struct quorum_options quorum_options = {.self = self,
                                            .election_timeout_ns = options->election_timeout_ns,
                                            .fetch_timeout_ns = options->fetch_timeout_ns,
                                            .backoff_max_ns = options->election_backoff_max_ns,
                                            .seed = loop_random_seed(log->loop, 1),
                                            .test_points = log->loop->test_points};
    quorum_init(&log->quorum, &quorum_options);
    metadata_log_step(log, &event, NULL);
}

bool metadata_log_is_alone(const struct metadata_log *log)
{
    return log->quorum.voter_count == 1 && quorum_is_voter(&log->quorum);
}

void metadata_log_leader(const struct metadata_log *log, int32_t *id, int32_t *epoch,
                         struct view *host, uint16_t *port)
{
    *id = log->quorum.is_started ? log->quorum.leader_id : QUORUM_NODE_NONE;
    *epoch = log->quorum.epoch;
    *host = VIEW_NULL;
    *port = 0;
    struct quorum_endpoint leader = metadata_log_leader_endpoint(log);
    if (leader.id == QUORUM_NODE_NONE || leader.id == log->options.voter.id)
        return;
    *host = leader.host;
    *port = leader.port;
}
