/*
 * One function for each state of the broker: fenced, active, in controlled shutdown. Whoever is
 * told to shut down is fenced at once, so that its in-sync sets need not wait for its session to
 * end.
 *
 * The last active broker may go as it is: nobody could lead instead, and its partitions need not be
 * written twice. Where the controller lives on, the end of its session fences it.
 */
#include "cluster/controller/broker_heartbeat.h"

#include "cluster/controller/broker_departure.h"
#include "protocol/messages/broker_registration_change_record.h"

static void add_change(struct decision *decision, const struct image_node *broker, int8_t fenced,
                       int8_t in_controlled_shutdown)
{
    struct broker_registration_change_record record;
    broker_registration_change_record_init(&record);
    record.broker_id = broker->id;
    record.broker_epoch = broker->epoch;
    record.fenced = fenced;
    record.in_controlled_shutdown = in_controlled_shutdown;
    /* The lowest version that can say it, as Kafka writes it. */
    int16_t version = in_controlled_shutdown ? 1 : 0;
    if (!metadata_records_add(&decision->records, METADATA_RECORD_BROKER_REGISTRATION_CHANGE,
                              version, &record))
        decision->failed = true;
}

static void leave_partitions(struct decision *decision, int32_t broker_id)
{
    struct broker_departure departure = {.broker_id = broker_id, .removal = BROKER_REMOVAL_GONE};
    partition_changes_for_removed(decision, &departure);
}

void decide_fence_broker(struct decision *decision, const struct image_node *broker)
{
    leave_partitions(decision, broker->id);
    add_change(decision, broker, 1, 0);
}

static void shut_down(struct broker_heartbeat_response *response)
{
    response->is_fenced = true;
    response->should_shut_down = true;
}

static void when_fenced(struct decision *decision, const struct image_node *broker,
                        const struct broker_heartbeat_request *request,
                        struct broker_heartbeat_response *response)
{
    if (request->want_shut_down) {
        shut_down(response);
    } else if (!request->want_fence && response->is_caught_up && !broker->in_controlled_shutdown) {
        add_change(decision, broker, -1, 0);
        partition_changes_for_added(decision, broker->id);
        response->is_fenced = false;
    }
}

static void when_active(struct decision *decision, const struct image_node *broker,
                        const struct broker_heartbeat_request *request,
                        struct broker_heartbeat_response *response)
{
    if (request->want_fence) {
        decide_fence_broker(decision, broker);
        response->is_fenced = true;
        response->should_shut_down = request->want_shut_down;
        return;
    }
    response->is_fenced = false;
    if (!request->want_shut_down)
        return;
    if (broker_is_last_active(decision->image, broker->id)) {
        shut_down(response);
        return;
    }
    if (partition_count_led_by(decision->image, broker->id) == 0) {
        decide_fence_broker(decision, broker);
        shut_down(response);
        return;
    }
    add_change(decision, broker, 0, 1);
    leave_partitions(decision, broker->id);
}

static void when_leaving(struct decision *decision, const struct image_node *broker,
                         int64_t others_offset, int64_t shutdown_offset,
                         struct broker_heartbeat_response *response)
{
    response->is_fenced = false;
    bool leads = partition_count_led_by(decision->image, broker->id) > 0;
    if (leads || shutdown_offset > others_offset)
        return;
    decide_fence_broker(decision, broker);
    shut_down(response);
}

static bool is_offline(const struct broker_heartbeat_request *request, struct uuid directory)
{
    for (size_t i = 0; i < request->offline_log_dirs_count; i++) {
        if (uuid_equal(request->offline_log_dirs[i], directory))
            return true;
    }
    return false;
}

/* The directories that still work are the registration's when this heartbeat names failed ones. */
static struct broker_departure working_directories(struct decision *decision,
                                                   const struct image_node *broker,
                                                   const struct broker_heartbeat_request *request)
{
    struct broker_departure departure = {.broker_id = broker->id,
                                         .removal = BROKER_REMOVAL_DIRECTORIES};
    struct uuid *working = decision_get(decision, broker->directory_count, sizeof(*working));
    for (uint32_t i = 0; i < broker->directory_count; i++) {
        if (!is_offline(request, broker->directories[i]))
            working[departure.directory_count++] = broker->directories[i];
    }
    departure.directories = working;
    return departure;
}

/* Directories that failed (KIP-858): the registration keeps the others. */
static void add_directories(struct decision *decision, const struct image_node *broker,
                            const struct broker_departure *departure)
{
    struct broker_registration_change_record record;
    broker_registration_change_record_init(&record);
    record.broker_id = broker->id;
    record.broker_epoch = broker->epoch;
    record.log_dirs = decision_get(decision, departure->directory_count, sizeof(struct uuid));
    record.log_dirs_count = departure->directory_count;
    for (size_t i = 0; i < departure->directory_count; i++)
        record.log_dirs[i] = departure->directories[i];
    decision_add(decision, METADATA_RECORD_BROKER_REGISTRATION_CHANGE, &record);
}

/*
 * True when that is all that this heartbeat does. A partition changes once per decision, so a
 * transition waits for the next heartbeat, unless it takes the broker out of all partitions anyway.
 */
static bool drop_directories(struct decision *decision, const struct image_node *broker,
                             const struct broker_heartbeat_request *request)
{
    struct broker_departure departure = working_directories(decision, broker, request);
    /* Without any directory left the broker ends; an empty list would say that nothing changed. */
    if (departure.directory_count == broker->directory_count || departure.directory_count == 0)
        return false;
    add_directories(decision, broker, &departure);
    bool wants_out = request->want_fence || request->want_shut_down;
    if (!broker->fenced && !broker->in_controlled_shutdown && wants_out &&
        !broker_is_last_active(decision->image, broker->id))
        return false;
    partition_changes_for_removed(decision, &departure);
    return true;
}

void decide_broker_heartbeat(struct decision *decision,
                             const struct broker_heartbeat_request *request, int64_t others_offset,
                             int64_t shutdown_offset, struct broker_heartbeat_response *response)
{
    broker_heartbeat_response_init(response);
    const struct image_node *broker = image_broker(decision->image, request->broker_id);
    if (!broker || broker->epoch != request->broker_epoch) {
        response->error_code = KAFKA_ERROR_STALE_BROKER_EPOCH;
        return;
    }
    response->is_caught_up = request->current_metadata_offset >= broker->register_offset;
    if (request->offline_log_dirs_count > 0 && drop_directories(decision, broker, request))
        response->is_fenced = broker->fenced;
    else if (broker->fenced)
        when_fenced(decision, broker, request, response);
    else if (broker->in_controlled_shutdown)
        when_leaving(decision, broker, others_offset, shutdown_offset, response);
    else
        when_active(decision, broker, request, response);
}
