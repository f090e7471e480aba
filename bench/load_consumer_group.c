/*
 * One group of the consumer protocol (KIP-848), one connection a member. All but one join at once;
 * then, round after round, the last one joins and leaves again.
 *
 * Heartbeats are not sent by a clock but when there is something to hear: a member beats again at
 * once when an answer brought an assignment (it says what it owns now), the last one until it owns
 * something, and everybody once in a wave as long as partitions are on their way. So the figures
 * are what the broker needs, without the heartbeat interval that clients add.
 *
 * Invariant: owned_total is the sum of `owned_count`; it is the number of partitions when nothing
 * is on its way any more.
 */
#include "bench/loads.h"

#include <stdio.h>

#include "bench/coordinator_requests.h"
#include "bench/load.h"
#include "bench/template.h"
#include "protocol/messages/consumer_group_heartbeat.h"

enum { HEARTBEAT_VERSION = 1, JOIN_EPOCH = 0, LEAVE_EPOCH = -1 };

struct consumer_member {
    char id[64];
    int32_t epoch;
    int32_t *owned;
    size_t owned_count;
    bool tells_owned;   /* the next heartbeat names what is owned */
    uint64_t owned_ns;  /* when the last assignment with a partition came */
    struct arena arena; /* of the request under way */
    struct request_template template;
};

struct consumer_load {
    struct bench_load base;
    struct consumer_member *members; /* by connection; the last one comes and goes */
    struct uuid topic_id;
    uint64_t owned_total;
    uint64_t gained_ns; /* when a member last heard of a partition that it did not own */
    unsigned last;
    bool insists; /* the last member beats again until it owns something */
};

/* ---- Requests ---- */

static void send_heartbeat(struct consumer_load *load, unsigned index, int32_t epoch)
{
    struct consumer_member *member = &load->members[index];
    struct bench_client *client = &load->base.pool.clients[index];
    struct view topic = view_of_string(load->base.options->topic);
    struct consumer_group_heartbeat_request request;
    consumer_group_heartbeat_request_init(&request);
    struct consumer_group_heartbeat_request_topic_partitions owned = {.topic_id = load->topic_id,
                                                                      .partitions = member->owned,
                                                                      .partitions_count =
                                                                          member->owned_count};
    request.group_id = view_of_string(load->base.options->group);
    request.member_id = view_of_string(member->id);
    request.member_epoch = epoch;
    if (epoch == JOIN_EPOCH) {
        request.rebalance_timeout_ms = 120000;
        request.subscribed_topic_names = &topic;
        request.subscribed_topic_names_count = 1;
    }
    if (epoch == JOIN_EPOCH || member->tells_owned) {
        request.topic_partitions = &owned;
        request.topic_partitions_count = member->owned_count > 0 ? 1 : 0;
        member->tells_owned = false;
    }
    arena_reset(&member->arena);
    BENCH_TEMPLATE(consumer_group_heartbeat_request, API_KEY_CONSUMER_GROUP_HEARTBEAT, &request,
                   HEARTBEAT_VERSION, &member->arena, &member->template);
    bench_client_ask(client, &member->template, bench_now_ns());
}

static void beat(struct consumer_load *load, unsigned index)
{
    send_heartbeat(load, index, load->members[index].epoch);
}

/* ---- Answers ---- */

static void set_owned(struct consumer_load *load, struct consumer_member *member,
                      const int32_t *partitions, size_t count)
{
    struct heap *heap = &load->base.pool.heap;
    if (member->owned)
        heap_put(heap, MEMORY_STATE, member->owned, member->owned_count * sizeof(int32_t));
    load->owned_total = load->owned_total - member->owned_count + count;
    member->owned = NULL;
    member->owned_count = count;
    if (count == 0)
        return;
    member->owned = heap_must_get(heap, MEMORY_STATE, count * sizeof(int32_t));
    memcpy(member->owned, partitions, count * sizeof(int32_t));
}

static void take_assignment(struct consumer_load *load, struct consumer_member *member,
                            const struct consumer_group_heartbeat_response_assignment *assignment,
                            uint64_t now_ns)
{
    if (assignment->topic_partitions_count > 1)
        bench_fail("an assignment of topics that were not asked for");
    member->tells_owned = true;
    if (assignment->topic_partitions_count == 0) {
        set_owned(load, member, NULL, 0);
        return;
    }
    load->topic_id = assignment->topic_partitions[0].topic_id;
    size_t count = assignment->topic_partitions[0].partitions_count;
    if (count > member->owned_count)
        load->gained_ns = now_ns;
    set_owned(load, member, assignment->topic_partitions[0].partitions, count);
    member->owned_ns = now_ns;
}

static void heartbeat_answered(struct bench_client *client, const struct bench_send *send,
                               const uint8_t *body, size_t size, uint64_t now_ns)
{
    struct consumer_load *load = client->pool->owner;
    struct consumer_member *member = &load->members[client->index];
    struct consumer_group_heartbeat_response response;
    BENCH_DECODE(consumer_group_heartbeat_response, API_KEY_CONSUMER_GROUP_HEARTBEAT,
                 HEARTBEAT_VERSION, body, size, &response, &load->base.scratch);
    enum kafka_error error = (enum kafka_error)response.error_code;
    if (error != KAFKA_ERROR_NONE && !bench_is_passing(error))
        bench_fail("heartbeat: %s", kafka_error_name(error));
    report_request(&load->base.report, send->intended_ns, now_ns);
    if (error != KAFKA_ERROR_NONE) {
        bench_client_ask(client, send->template, now_ns);
        arena_reset(&load->base.scratch);
        return;
    }
    member->epoch = response.member_epoch;
    if (response.assignment)
        take_assignment(load, member, response.assignment, now_ns);
    bool waits = client->index == load->last && load->insists && member->owned_count == 0;
    if (member->epoch != LEAVE_EPOCH && (member->tells_owned || waits))
        beat(load, client->index);
    arena_reset(&load->base.scratch);
}

/* ---- The run ---- */

static void await_idle(struct consumer_load *load)
{
    uint64_t end_ns = bench_now_ns() + 120000000000u;
    while (!bench_pool_is_idle(&load->base.pool)) {
        bench_load_turn(&load->base, BENCH_TURN_NS);
        if (bench_now_ns() > end_ns)
            bench_fail("heartbeats are unanswered after two minutes");
    }
}

static bool is_settled(const struct consumer_load *load)
{
    return load->owned_total == (uint64_t)load->base.options->partitions;
}

/* Waves of heartbeats by members [0, count) until every partition is owned. */
static void settle(struct consumer_load *load, unsigned count)
{
    uint64_t end_ns = bench_now_ns() + 120000000000u;
    do {
        for (unsigned i = 0; i < count; i++)
            if (bench_client_open_sends(&load->base.pool.clients[i]) == 0)
                beat(load, i);
        await_idle(load);
        if (bench_now_ns() > end_ns)
            bench_fail("partitions without an owner after two minutes");
    } while (!is_settled(load));
}

/* Sends one heartbeat of the last member and waits for its answer; milliseconds. */
static double change(struct consumer_load *load, int32_t epoch)
{
    uint64_t start_ns = bench_now_ns();
    send_heartbeat(load, load->last, epoch);
    uint64_t answered = load->base.pool.clients[load->last].answered;
    while (load->base.pool.clients[load->last].answered == answered)
        bench_load_turn(&load->base, BENCH_TURN_NS);
    return (double)(bench_now_ns() - start_ns) / 1e6;
}

struct times {
    double total;
    double most;
};

static void note(struct times *times, double value)
{
    times->total += value;
    times->most = value > times->most ? value : times->most;
}

static void run_round(struct consumer_load *load, struct times *join, struct times *assigned,
                      struct times *handed)
{
    struct consumer_member *last = &load->members[load->last];
    uint64_t start_ns = bench_now_ns();
    load->insists = true;
    note(join, change(load, JOIN_EPOCH));
    settle(load, load->base.options->connections);
    load->insists = false;
    note(assigned, (double)(last->owned_ns - start_ns) / 1e6);
    settle(load, load->base.options->connections); /* everybody has the last epoch */
    start_ns = bench_now_ns();
    change(load, LEAVE_EPOCH);
    set_owned(load, last, NULL, 0);
    last->tells_owned = false;
    settle(load, load->last);
    note(handed, (double)(load->gained_ns - start_ns) / 1e6);
}

static void prepare(struct consumer_load *load)
{
    unsigned count = load->base.options->connections;
    load->last = count - 1;
    load->members = arena_get_array(&load->base.arena, count, sizeof(*load->members));
    for (unsigned i = 0; i < count; i++) {
        snprintf(load->members[i].id, sizeof(load->members[i].id), "member-%06u", i);
        arena_init(&load->members[i].arena, &load->base.pool.heap, MEMORY_SCRATCH, 0);
    }
    bench_await_coordinator(&load->base.pool, load->base.options->group, BENCH_KEY_GROUP);
}

static void report_times(struct consumer_load *load, const struct times *times, const char *mean,
                         const char *most)
{
    report_add(&load->base.report, mean, times->total / load->base.options->rounds, "ms");
    report_add(&load->base.report, most, times->most, "ms");
}

void load_consumer_group(const struct bench_options *options)
{
    struct consumer_load load = {0};
    if (options->connections < 2 || (unsigned)options->partitions < options->connections)
        bench_fail("the consumer protocol takes 2 --connections and a partition for each");
    bench_load_open(&load.base, options);
    bench_create_topic(&load.base.pool, options);
    prepare(&load);
    bench_load_start(&load.base, heartbeat_answered, &load);
    uint64_t start_ns = bench_now_ns();
    for (unsigned i = 0; i < load.last; i++)
        send_heartbeat(&load, i, JOIN_EPOCH);
    await_idle(&load);
    double joined_s = (double)(bench_now_ns() - start_ns) / 1e9;
    settle(&load, load.last);
    double first_s = (double)(load.gained_ns - start_ns) / 1e9;
    struct times join = {0}, assigned = {0}, handed = {0};
    for (unsigned i = 0; i < options->rounds; i++)
        run_round(&load, &join, &assigned, &handed);
    report_add(&load.base.report, "members", options->connections, "");
    report_add(&load.base.report, "first_join_s", joined_s, "s");
    report_add(&load.base.report, "first_assignment_s", first_s, "s");
    if (options->rounds > 0) {
        report_times(&load, &join, "join_mean_ms", "join_max_ms");
        report_times(&load, &assigned, "assignment_mean_ms", "assignment_max_ms");
        report_times(&load, &handed, "handover_mean_ms", "handover_max_ms");
    }
    bench_load_finish(&load.base);
    for (unsigned i = 0; i < options->connections; i++) {
        set_owned(&load, &load.members[i], NULL, 0);
        arena_deinit(&load.members[i].arena);
    }
    bench_load_close(&load.base);
}
