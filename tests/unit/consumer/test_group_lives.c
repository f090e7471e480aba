/*
 * Random lives of one group and its offsets: members join, sync, beat, commit, leave, fall silent
 * and come back late; the log refuses, holds, loses; the coordinator loads again. After every step:
 *
 *  1. The state that lasts is what a load of the log gives (checked by loading).
 *  2. An acknowledged commit is found again, or one that came after it.
 *  3. The generation that a member is told never falls, and nobody is told two assignments of one
 *     generation.
 *  4. Every call is answered once; at the end nothing is left over.
 */
#include "tests/unit/consumer/group_bench.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/random.h"

enum { MEMBERS = 5, PARTITIONS = 3, STEPS = 400, SEEDS = 40, CALLS = 64 };

static const char *const g = "g";

/* A client: what it believes. */
struct client {
    char id[128];
    char instance[8]; /* "": dynamic */
    int32_t generation;
    char protocol[16];
    bool leads;
    bool joins; /* a join is under way */
};

enum kind { FREE, JOIN, SYNC, COMMIT, OTHER };

struct flight {
    enum kind kind;
    struct client *client;
    int64_t offset;
    int32_t partition;
    char ids[MEMBERS][128];
    struct asked asked;
};

static struct client clients[MEMBERS];
static struct flight flights[CALLS];
static struct random_stream random_numbers;
static int64_t next_offset;
static int64_t acknowledged[PARTITIONS];
static int32_t highest_generation[MEMBERS]; /* that a client was told */
/* Of each generation: the assignment that a member was told, by client. */
static char told[MEMBERS][64];
static int32_t told_generation[MEMBERS];

static bool chance(uint64_t count, uint64_t total)
{
    return random_chance(&random_numbers, count, total);
}

static struct flight *take_flight(enum kind kind, struct client *client)
{
    for (int i = 0; i < CALLS; i++) {
        if (flights[i].kind != FREE)
            continue;
        flights[i].kind = kind;
        flights[i].client = client;
        return &flights[i];
    }
    return NULL;
}

static void land_join(struct flight *flight)
{
    struct client *client = flight->client;
    const struct join_group_response *answer = &flight->asked.join;
    client->joins = false;
    if (answer->error_code == KAFKA_ERROR_UNKNOWN_MEMBER_ID ||
        answer->error_code == KAFKA_ERROR_FENCED_INSTANCE_ID)
        client->id[0] = 0;
    if (answer->error_code == KAFKA_ERROR_NONE ||
        answer->error_code == KAFKA_ERROR_MEMBER_ID_REQUIRED) {
        if (!view_equal(answer->member_id, view_of_string(client->id)))
            told_generation[client - clients] = 0; /* another member, with a share of its own */
        snprintf(client->id, sizeof(client->id), "%.*s", (int)answer->member_id.size,
                 (const char *)answer->member_id.data);
    }
    if (answer->error_code != KAFKA_ERROR_NONE)
        return;
    int32_t *highest = &highest_generation[client - clients];
    assert_true(answer->generation_id >= *highest);
    *highest = answer->generation_id;
    client->generation = answer->generation_id;
    client->leads = view_equal(answer->leader, answer->member_id);
    snprintf(client->protocol, sizeof(client->protocol), "%.*s", (int)answer->protocol_name.size,
             (const char *)answer->protocol_name.data);
}

static void land_sync(struct flight *flight)
{
    struct client *client = flight->client;
    const struct sync_group_response *answer = &flight->asked.sync;
    if (answer->error_code != KAFKA_ERROR_NONE)
        return;
    long number = client - clients;
    char text[64];
    snprintf(text, sizeof(text), "%.*s", (int)answer->assignment.size,
             (const char *)answer->assignment.data);
    int32_t generation = flight->asked.sync_request.generation_id;
    if (told_generation[number] == generation)
        assert_string_equal(told[number], text);
    told_generation[number] = generation;
    memcpy(told[number], text, sizeof(text));
}

static void land(struct flight *flight)
{
    assert_int_equal(flight->asked.call.told, 1);
    bool is_whole = flight->asked.call.call.error == KAFKA_ERROR_NONE;
    if (flight->kind == JOIN && is_whole)
        land_join(flight);
    else if (flight->kind == JOIN)
        flight->client->joins = false;
    if (flight->kind == SYNC && is_whole)
        land_sync(flight);
    if (flight->kind == COMMIT && is_whole &&
        flight->asked.commit.topics[0].partitions[0].error_code == KAFKA_ERROR_NONE &&
        flight->offset > acknowledged[flight->partition])
        acknowledged[flight->partition] = flight->offset;
    asked_end(&flight->asked);
    flight->kind = FREE;
}

static uint64_t loads_seen;

/* What was told of a generation that was never written may be told anew after a load. */
static void forget_generations(void)
{
    loads_seen = bench()->host.counters.loads;
    memset(highest_generation, 0, sizeof(highest_generation));
    memset(told_generation, 0, sizeof(told_generation));
}

static void land_all(void)
{
    if (bench()->host.counters.loads != loads_seen)
        forget_generations();
    for (int i = 0; i < CALLS; i++)
        if (flights[i].kind != FREE && asked_is_told(&flights[i].asked))
            land(&flights[i]);
}

/* ---- Steps ---- */

static void step_join(struct client *client)
{
    struct flight *flight = client->joins ? NULL : take_flight(JOIN, client);
    if (!flight)
        return;
    client->joins = true;
    bool has_changed = chance(1, 3);
    struct joining joining = {
        .group = g,
        .version = chance(1, 3) ? 3 : 9,
        .member = client->id,
        .protocols = {has_changed ? "a" : "b", has_changed ? "b" : "a"},
        .rebalance_ms = 8000,
    };
    if (joining.version >= 5 && client->instance[0])
        joining.instance = client->instance;
    ask_join(&flight->asked, &joining);
}

static void step_sync(struct client *client)
{
    struct flight *flight = take_flight(SYNC, client);
    if (!flight)
        return;
    struct syncing syncing = {.group = g, .member = client->id, .generation = client->generation};
    static char assignments[3][32];
    for (int i = 0; client->leads && i < 3; i++) {
        struct client *other = &clients[random_below(&random_numbers, MEMBERS)];
        memcpy(flight->ids[i], other->id, sizeof(other->id));
        snprintf(assignments[i], sizeof(assignments[i]), "%d of %d", (int)next_offset++,
                 (int)client->generation);
        syncing.to[i] = flight->ids[i];
        syncing.assignment[i] = assignments[i];
    }
    ask_sync(&flight->asked, &syncing);
}

static void step_commit(struct client *client)
{
    struct flight *flight = take_flight(COMMIT, client);
    if (!flight)
        return;
    flight->offset = ++next_offset;
    flight->partition = (int32_t)random_below(&random_numbers, PARTITIONS);
    ask_commit(&flight->asked, &(struct committing){.group = g,
                                                    .member = client->id,
                                                    .generation = client->generation,
                                                    .partition = flight->partition,
                                                    .offset = flight->offset});
}

static void step_other(struct client *client)
{
    struct flight *flight = take_flight(OTHER, client);
    if (!flight)
        return;
    if (chance(3, 4)) {
        ask_heartbeat(&flight->asked, g, client->id, NULL, client->generation);
        return;
    }
    ask_leave(&flight->asked, g, client->id, NULL);
    client->id[0] = 0;
}

/* What lasts of the group, as text. */
static void describe(char *text, size_t size)
{
    const struct group *group = bench_group(g);
    int used = snprintf(text, size, "%s", group ? "" : "no group");
    for (int32_t i = 0; group && i < PARTITIONS; i++) {
        const struct committed_offset *at =
            topic_offsets_find(group_offsets_topic(group, VIEW_LITERAL("topic")), i);
        used +=
            snprintf(text + used, size - (size_t)used, "%d:%d ", (int)i, at ? (int)at->offset : -1);
    }
    const struct classic_group *classic =
        group && group->type == GROUP_CLASSIC ? group->classic : NULL;
    /* Between generations the log has the last one that was assigned. */
    if (!classic || (classic->state != CLASSIC_STABLE && classic->state != CLASSIC_EMPTY))
        return;
    /* A group with offsets that was given ids but never a generation is as one with offsets. */
    if (classic->generation == 0)
        return;
    used += snprintf(text + used, size - (size_t)used, "generation %d ", (int)classic->generation);
    list_for_each(link, &classic->members)
    {
        const struct classic_member *member = container_of(link, struct classic_member, link);
        used += snprintf(text + used, size - (size_t)used, "%.*s=%.*s ", (int)member->id.size,
                         (const char *)member->id.data, (int)member->assignment.size,
                         (const char *)member->assignment.data);
    }
}

static void assert_commits_hold(void)
{
    for (int32_t i = 0; i < PARTITIONS; i++)
        assert_true(committed(g, "topic", i) >= acknowledged[i]);
}

static void step_log(void)
{
    char before[2048], after[2048];
    switch (random_below(&random_numbers, 5)) {
    case 0: {
        coordinator_fixture_run(bench());
        describe(before, sizeof(before));
        bool is_settled =
            bench_group(g) && bench_group(g)->type == GROUP_CLASSIC &&
            (bench_classic(g)->state == CLASSIC_STABLE || bench_classic(g)->state == CLASSIC_EMPTY);
        coordinator_fixture_reload(bench());
        describe(after, sizeof(after));
        if (is_settled)
            assert_string_equal(before, after);
        break;
    }
    case 1:
        coordinator_fixture_crash(bench());
        break;
    case 2:
        coordinator_fixture_refuse(bench(), true);
        step_commit(&clients[0]);
        step_join(&clients[1]);
        step_sync(&clients[2]);
        coordinator_fixture_refuse(bench(), false);
        break;
    case 3:
        coordinator_fixture_lose_next(bench());
        step_commit(&clients[3]);
        coordinator_fixture_run(bench());
        coordinator_fixture_reload(bench());
        break;
    default:
        coordinator_fixture_hold(bench());
        step_commit(&clients[0]);
        step_sync(&clients[1]);
        step_sync(&clients[2]);
        coordinator_fixture_commit(bench());
        break;
    }
    land_all();
    assert_commits_hold();
}

static void step(void)
{
    struct client *client = &clients[random_below(&random_numbers, MEMBERS)];
    switch (random_below(&random_numbers, 12)) {
    case 0:
    case 1:
    case 2:
        step_join(client);
        break;
    case 3:
    case 4:
    case 5:
        step_sync(client);
        break;
    case 6:
    case 7:
        step_commit(client);
        break;
    case 8:
    case 9:
        step_other(client);
        break;
    case 10:
        bench_stall(random_between(&random_numbers, 1, 4000));
        break;
    default:
        if (chance(1, 2))
            step_log();
        break;
    }
    land_all();
    struct group *group = bench_group(g);
    if (group && group->type == GROUP_CLASSIC)
        classic_group_check(group->classic);
}

static void live(uint64_t seed)
{
    random_init(&random_numbers, seed, 7);
    memset(clients, 0, sizeof(clients));
    memset(acknowledged, -1, sizeof(acknowledged));
    snprintf(clients[0].instance, sizeof(clients[0].instance), "i");
    snprintf(clients[1].instance, sizeof(clients[1].instance), "i"); /* they fence each other */
    group_bench_prepare();
    /* A sweep would take an empty group without offsets away, and its generation with it. */
    bench()->config.settings.offsets_retention_check_interval_ms = 1 << 30;
    group_bench_load();
    for (int i = 0; i < STEPS; i++)
        step();
    assert_commits_hold();
    coordinator_fixture_resign(bench());
    land_all();
    for (int i = 0; i < CALLS; i++)
        assert_int_equal(flights[i].kind, FREE);
    group_bench_end();
}

static void random_lives(void **state)
{
    (void)state;
    const char *one = getenv("GROUP_LIFE");
    if (one)
        live(strtoull(one, NULL, 10));
    for (uint64_t seed = 1; !one && seed <= SEEDS; seed++) {
        print_message("GROUP_LIFE=%d\n", (int)seed);
        live(seed);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(random_lives)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
