/*
 * A change from its record to its answer; what comes before is the file of its message.
 *
 * Ways to fail: the time is over, this node resigns, the device is full and the record is cut off
 * again (then the old voters hold, and the call waits in vain until its time is over).
 */
#include "cluster/quorum/voter_change.h"

#include "base/assert.h"
#include "cluster/quorum/voter_change_internal.h"
#include "protocol/control_record.h"
#include "protocol/messages/add_raft_voter.h"
#include "protocol/messages/remove_raft_voter.h"
#include "protocol/messages/update_raft_voter.h"

static void expired(struct timer *timer)
{
    voter_change_end(container_of(timer, struct metadata_log, change_of_voters.deadline),
                     (struct voter_refusal){KAFKA_ERROR_REQUEST_TIMED_OUT,
                                            "the change was not committed in time"});
}

void voter_change_init(struct metadata_log *log)
{
    log->change_of_voters = (struct voter_change){.offset = -1};
    timer_init(&log->change_of_voters.deadline, expired);
}

void voter_change_tidy(struct metadata_log *log)
{
    struct voter_change *change = &log->change_of_voters;
    if (change->call || !change->channel)
        return;
    channel_close(change->channel);
    change->channel = NULL;
}

void voter_change_deinit(struct metadata_log *log)
{
    klamm_assert(!log->change_of_voters.call);
    voter_change_tidy(log);
}

/* ---- Answers --------------------------------------------------------------------------------- */

static void fill_update(const struct metadata_log *log, struct quorum_call *call,
                        enum kafka_error error)
{
    struct update_raft_voter_response *response = call->response;
    update_raft_voter_response_init(response);
    response->error_code = (int16_t)error;
    if (!log)
        return;
    struct quorum_endpoint leader = metadata_log_leader_endpoint(log);
    response->current_leader.leader_id = log->quorum.leader_id;
    response->current_leader.leader_epoch = log->quorum.epoch;
    response->current_leader.host = leader.host;
    response->current_leader.port = leader.port;
}

static void fill(const struct metadata_log *log, struct quorum_call *call,
                 struct voter_refusal outcome)
{
    struct view text = VIEW_NULL;
    if (outcome.error != KAFKA_ERROR_NONE)
        text = view_of_string(outcome.text ? outcome.text : kafka_error_text(outcome.error));
    if (call->kind == QUORUM_CALL_ADD_VOTER) {
        struct add_raft_voter_response *response = call->response;
        add_raft_voter_response_init(response);
        response->error_code = (int16_t)outcome.error;
        response->error_message = text;
    } else if (call->kind == QUORUM_CALL_REMOVE_VOTER) {
        struct remove_raft_voter_response *response = call->response;
        remove_raft_voter_response_init(response);
        response->error_code = (int16_t)outcome.error;
        response->error_message = text;
    } else {
        fill_update(log, call, outcome.error);
    }
}

void voter_change_answer(const struct metadata_log *log, struct quorum_call *call,
                         struct voter_refusal outcome)
{
    fill(log, call, outcome);
    call->done(call);
}

void voter_change_refuse(struct quorum_call *call, enum kafka_error error)
{
    fill(NULL, call, (struct voter_refusal){error, NULL});
}

void voter_change_end(struct metadata_log *log, struct voter_refusal outcome)
{
    struct voter_change *change = &log->change_of_voters;
    struct quorum_call *call = change->call;
    timer_clear(&change->deadline);
    channel_cancel(&change->probe);
    change->call = NULL;
    change->offset = -1;
    metadata_log_wake(log); /* for voter_change_tidy */
    voter_change_answer(log, call, outcome);
}

void voter_change_abort(struct metadata_log *log, enum kafka_error error)
{
    if (log->change_of_voters.call)
        voter_change_end(log, (struct voter_refusal){error, NULL});
}

void voter_change_committed(struct metadata_log *log)
{
    const struct voter_change *change = &log->change_of_voters;
    if (change->call && change->offset >= 0 && log->quorum.high_watermark > change->offset)
        voter_change_end(log, (struct voter_refusal){KAFKA_ERROR_NONE, NULL});
}

/* ---- What every change does ------------------------------------------------------------------ */

struct voter_refusal voter_change_check_leader(const struct metadata_log *log,
                                               struct view cluster_id)
{
    enum kafka_error error = peer_cluster_check(log, cluster_id);
    if (error != KAFKA_ERROR_NONE)
        return (struct voter_refusal){error, NULL};
    if (log->quorum.role != QUORUM_LEADER)
        return (struct voter_refusal){KAFKA_ERROR_NOT_LEADER_OR_FOLLOWER, NULL};
    if (log->change_of_voters.call)
        return (struct voter_refusal){KAFKA_ERROR_REQUEST_TIMED_OUT,
                                      "another change of the voters is under way"};
    if (!log->quorum.is_active)
        return (struct voter_refusal){KAFKA_ERROR_REQUEST_TIMED_OUT,
                                      "the leader has committed nothing of its epoch yet"};
    return (struct voter_refusal){KAFKA_ERROR_NONE, NULL};
}

struct voter_refusal voter_change_check(const struct metadata_log *log, struct view cluster_id)
{
    struct voter_refusal refused = voter_change_check_leader(log, cluster_id);
    if (refused.error != KAFKA_ERROR_NONE)
        return refused;
    if (metadata_log_kraft_version(log) < KRAFT_VERSION_DYNAMIC)
        return (struct voter_refusal){KAFKA_ERROR_UNSUPPORTED_VERSION,
                                      "the voters are those of controller.quorum.voters and do "
                                      "not change before kraft.version is raised to 1"};
    if (!quorum_may_change_voters(&log->quorum))
        return (struct voter_refusal){KAFKA_ERROR_REQUEST_TIMED_OUT,
                                      "the last change of the voters is not committed yet"};
    return (struct voter_refusal){KAFKA_ERROR_NONE, NULL};
}

bool voter_change_copy(const struct metadata_log *log, struct voters_record *record,
                       struct arena *arena)
{
    struct voters_record now;
    const struct voter_set *set = voter_history_last(&log->voters);
    if (!voters_decode(set->value, &now, arena))
        return false;
    *record = now;
    record->voters = arena_get_array(arena, now.voters_count + 1, sizeof(*record->voters));
    for (size_t i = 0; record->voters && i < now.voters_count; i++)
        record->voters[i] = now.voters[i];
    return record->voters != NULL;
}

size_t voter_change_find(const struct voters_record *record, int32_t id, struct uuid directory_id)
{
    size_t i = 0;
    while (i < record->voters_count &&
           (record->voters[i].voter_id != id ||
            !uuid_equal(record->voters[i].voter_directory_id, directory_id)))
        i++;
    return i;
}

/* The records of a change. */
static bool add_records(const struct metadata_log *log, struct batch_builder *builder,
                        struct view kraft_version, struct view voters)
{
    int64_t now_ms = log->loop->wall_ms;
    return !view_is_null(voters) &&
           (view_is_null(kraft_version) ||
            control_record_append(builder, CONTROL_RECORD_KRAFT_VERSION, now_ms, kraft_version)) &&
           control_record_append(builder, CONTROL_RECORD_KRAFT_VOTERS, now_ms, voters);
}

int64_t voter_change_append(struct metadata_log *log, const struct voters_record *record,
                            struct arena *arena)
{
    return voter_change_append_version(log, VIEW_NULL, record, arena);
}

int64_t voter_change_append_version(struct metadata_log *log, struct view kraft_version,
                                    const struct voters_record *record, struct arena *arena)
{
    klamm_assert(quorum_may_change_voters(&log->quorum));
    struct view value = voters_encode(record, arena);
    struct batch_options options = BATCH_OPTIONS_DEFAULT;
    int64_t offset = log->quorum.log_end;
    options.base_offset = offset;
    options.leader_epoch = log->quorum.epoch;
    options.control = true;
    struct batch_builder builder;
    struct view batch;
    batch_builder_init(&builder, log->loop->heap, 0, &options);
    bool ok = !log->is_closing && add_records(log, &builder, kraft_version, value) &&
              batch_builder_finish(&builder, &batch) == COMPRESSION_OK &&
              metadata_log_append_bytes(log, batch, true) && metadata_log_take_control(log, batch);
    batch_builder_deinit(&builder);
    if (!ok)
        return -1;
    log_info(log->loop->diagnostics, "quorum: voters change: offset=%lld voters=%zu",
             (long long)offset, record->voters_count);
    metadata_log_tell_voters(log);
    return offset;
}

void voter_change_await(struct metadata_log *log, struct quorum_call *call, int64_t offset,
                        uint64_t timeout_ns)
{
    struct voter_change *change = &log->change_of_voters;
    change->call = call;
    change->offset = offset;
    loop_set_timer(log->loop, &change->deadline, timeout_ns);
}
