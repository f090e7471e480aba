/*
 * One classic group, one connection a member. First all join an empty group (which includes the
 * broker's initial rebalance delay), then the leader asks for another round: the others learn of it
 * by heartbeat and rejoin.
 *
 *     joining -> (MEMBER_ID_REQUIRED: joining again) -> syncing -> idle -> beating -> joining ...
 *
 * The figure of a round is the time from the last JoinGroup sent to the last SyncGroup answered:
 * what the broker needs once everybody is there.
 */
#include "bench/loads.h"

#include <stdio.h>

#include "bench/coordinator_requests.h"
#include "bench/load.h"
#include "protocol/api_info.h"

struct group_load;

struct group_member {
    struct bench_member member;
    struct arena arena; /* of the request under way */
    struct request_template template;
};

struct group_load {
    struct bench_load base;
    struct group_member *members;  /* by connection */
    struct bench_member *snapshot; /* all members, for the leader's assignment */
    unsigned joined;               /* members whose join of this round was answered */
    unsigned synced;
    unsigned stale; /* members that learnt of the round */
    uint64_t last_join_ns;
    uint64_t last_sync_ns;
};

static void send(struct group_load *load, unsigned index)
{
    struct bench_client *client = &load->base.pool.clients[index];
    bench_client_ask(client, &load->members[index].template, bench_now_ns());
}

static void join(struct group_load *load, unsigned index)
{
    struct group_member *member = &load->members[index];
    arena_reset(&member->arena);
    bench_join_template(&member->arena, &member->member, &member->template);
    send(load, index);
    load->last_join_ns = bench_now_ns();
}

static void sync_member(struct group_load *load, unsigned index)
{
    struct group_member *member = &load->members[index];
    unsigned count = member->member.is_leader ? load->base.options->connections : 0;
    for (unsigned i = 0; i < count; i++)
        load->snapshot[i] = load->members[i].member;
    arena_reset(&member->arena);
    bench_sync_template(&member->arena, &member->member, load->snapshot, count, &member->template);
    send(load, index);
}

static void beat(struct group_load *load, unsigned index)
{
    struct group_member *member = &load->members[index];
    arena_reset(&member->arena);
    bench_heartbeat_template(&member->arena, &member->member, &member->template);
    send(load, index);
}

static void joined(struct group_load *load, unsigned index, const uint8_t *body, size_t size)
{
    enum kafka_error error =
        bench_read_join(&load->base.scratch, body, size, &load->members[index].member);
    if (error == KAFKA_ERROR_MEMBER_ID_REQUIRED || error == KAFKA_ERROR_REBALANCE_IN_PROGRESS ||
        bench_is_passing(error)) {
        join(load, index);
        return;
    }
    if (error != KAFKA_ERROR_NONE)
        bench_fail("join: %s", kafka_error_name(error));
    load->joined++;
    sync_member(load, index);
}

static void synced(struct group_load *load, unsigned index, const uint8_t *body, size_t size,
                   uint64_t now_ns)
{
    enum kafka_error error = bench_read_sync(&load->base.scratch, body, size);
    if (error == KAFKA_ERROR_REBALANCE_IN_PROGRESS) { /* not all had come: another generation */
        load->joined--;
        join(load, index);
        return;
    }
    if (error != KAFKA_ERROR_NONE)
        bench_fail("sync: %s", kafka_error_name(error));
    load->synced++;
    load->last_sync_ns = now_ns;
}

/* A heartbeat that overtook the leader's join is asked again. */
static void beaten(struct group_load *load, unsigned index, const uint8_t *body, size_t size)
{
    enum kafka_error error = bench_read_heartbeat(&load->base.scratch, body, size);
    if (error == KAFKA_ERROR_NONE)
        beat(load, index);
    else if (error == KAFKA_ERROR_REBALANCE_IN_PROGRESS)
        load->stale++;
    else
        bench_fail("heartbeat: %s", kafka_error_name(error));
}

static void group_answered(struct bench_client *client, const struct bench_send *send,
                           const uint8_t *body, size_t size, uint64_t now_ns)
{
    struct group_load *load = client->pool->owner;
    report_request(&load->base.report, send->intended_ns, now_ns);
    switch (send->template->api_key) {
    case API_KEY_JOIN_GROUP:
        joined(load, client->index, body, size);
        break;
    case API_KEY_SYNC_GROUP:
        synced(load, client->index, body, size, now_ns);
        break;
    default:
        beaten(load, client->index, body, size);
        break;
    }
}

/* Turns until `*counter` is the number of members (or `count`). */
static void await(struct group_load *load, const unsigned *counter, unsigned count)
{
    uint64_t end_ns = bench_now_ns() + 120000000000u;
    while (*counter < count) {
        bench_load_turn(&load->base, BENCH_TURN_NS);
        if (bench_now_ns() > end_ns)
            bench_fail("%u of %u members after two minutes", *counter, count);
    }
}

static double first_round(struct group_load *load)
{
    uint64_t start_ns = bench_now_ns();
    for (unsigned i = 0; i < load->base.options->connections; i++)
        join(load, i);
    await(load, &load->synced, load->base.options->connections);
    return (double)(load->last_sync_ns - start_ns) / 1e9;
}

static unsigned leader_of(const struct group_load *load)
{
    for (unsigned i = 0; i < load->base.options->connections; i++)
        if (load->members[i].member.is_leader)
            return i;
    bench_fail("the group has no leader");
}

static double another_round(struct group_load *load)
{
    unsigned count = load->base.options->connections;
    unsigned leader = leader_of(load);
    load->joined = load->synced = load->stale = 0;
    join(load, leader);
    for (unsigned i = 0; i < count; i++)
        if (i != leader)
            beat(load, i);
    await(load, &load->stale, count - 1);
    for (unsigned i = 0; i < count; i++)
        if (i != leader)
            join(load, i);
    await(load, &load->synced, count);
    return (double)(load->last_sync_ns - load->last_join_ns) / 1e9;
}

static void prepare(struct group_load *load)
{
    unsigned count = load->base.options->connections;
    load->members = arena_get_array(&load->base.arena, count, sizeof(*load->members));
    load->snapshot = arena_get_array(&load->base.arena, count, sizeof(*load->snapshot));
    for (unsigned i = 0; i < count; i++) {
        load->members[i].member.group = load->base.options->group;
        arena_init(&load->members[i].arena, &load->base.pool.heap, MEMORY_SCRATCH, 0);
    }
    bench_await_coordinator(&load->base.pool, load->base.options->group, BENCH_KEY_GROUP);
}

void load_group(const struct bench_options *options)
{
    struct group_load load = {0};
    bench_load_open(&load.base, options);
    prepare(&load);
    bench_load_start(&load.base, group_answered, &load);
    double first_s = first_round(&load);
    double total_s = 0, most_s = 0;
    for (unsigned i = 0; i < options->rounds; i++) {
        double round_s = another_round(&load);
        total_s += round_s;
        most_s = round_s > most_s ? round_s : most_s;
    }
    report_add(&load.base.report, "members", options->connections, "");
    report_add(&load.base.report, "first_join_s", first_s, "s");
    if (options->rounds > 0) {
        report_add(&load.base.report, "rebalance_mean_s", total_s / options->rounds, "s");
        report_add(&load.base.report, "rebalance_max_s", most_s, "s");
    }
    bench_load_finish(&load.base);
    for (unsigned i = 0; i < options->connections; i++)
        arena_deinit(&load.members[i].arena);
    bench_load_close(&load.base);
}
