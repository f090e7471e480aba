/*
 * The common life: ticks, as soon as the topic is there and the coordinator is found. A tick does
 * one thing: misbehave, commit, read, or what the protocol has to do.
 */
#include "tests/sim/group_member.h"

#include <stdio.h>

static const uint64_t ms = 1000000;
static const uint64_t retry_ns = 40000000;

const char group_topic[] = "sim";

const char *group_name(unsigned group)
{
    static const char *const names[GROUP_COUNT] = {"g0", "g1", "g2"};
    return names[group];
}

/* ---- Sending ---- */

static void begin_request(struct group_member *member)
{
    sim_require(group_sim(member), !member->busy, "two requests at once");
    member->busy = true;
    member->sent_ns = sim_now_ns(group_sim(member));
    member->witness = cluster_client_witness(&member->cluster, CLUSTER_GROUP);
}

void group_member_send(struct group_member *member, enum kafka_api api, int16_t version,
                       const struct writer *body)
{
    begin_request(member);
    kafka_client_send(member->link, api, version, body, NULL);
}

void group_member_send_flexible(struct group_member *member, enum kafka_api api, int16_t version,
                                const struct writer *body)
{
    begin_request(member);
    kafka_client_send_flexible(member->link, api, version, body, NULL);
}

bool group_member_is_passing(struct group_member *member, int16_t error)
{
    if (error != 14 && error != 15 && error != 16)
        return false;
    cluster_client_forget(&member->cluster, CLUSTER_GROUP);
    member->must_report = true; /* what it was to be told may be decided: as with a lost answer */
    return true;
}

void group_member_answered_well(struct group_member *member)
{
    member->is_leaders = cluster_client_is_leaders(&member->cluster, &member->witness);
}

void group_member_contact(struct group_member *member)
{
    const struct group_role *role = member->role;
    group_member_answered_well(member);
    if (member->is_leaders)
        group_history_contact(role->history, role->group, role->member, member->sent_ns);
}

void group_member_release(struct group_member *member)
{
    memset(member->owns, 0, sizeof(member->owns));
    group_history_release(member->role->history, member->role->group, member->role->member);
    member->role->is_stable = false;
}

/* ---- Offsets ---- */

static void read_offsets(struct group_member *member)
{
    uint8_t memory[128];
    struct writer body = writer_of(memory, sizeof(memory));
    kafka_write_string(&body, group_name(member->role->group));
    write_i32(&body, 1);
    kafka_write_string(&body, group_topic);
    write_i32(&body, GROUP_PARTITIONS);
    for (int32_t i = 0; i < GROUP_PARTITIONS; i++)
        write_i32(&body, i);
    group_member_send(member, KAFKA_OFFSET_FETCH, 5, &body);
}

static void offsets_answered(struct group_member *member, struct reader *body)
{
    struct sim *sim = group_sim(member);
    int64_t offsets[GROUP_PARTITIONS];
    int16_t worst = 0;
    read_i32(body); /* throttle */
    int32_t topics = read_i32(body);
    int32_t count = topics == 1 ? (kafka_skip_string(body), read_i32(body)) : 0;
    sim_require(sim, count == 0 || count == GROUP_PARTITIONS, "offsets of %d partitions", count);
    for (int32_t i = 0; i < count; i++) {
        int32_t partition = read_i32(body);
        sim_require(sim, partition >= 0 && partition < GROUP_PARTITIONS, "a strange partition");
        offsets[partition] = read_i64(body);
        read_i32(body); /* leader epoch */
        kafka_skip_string(body);
        int16_t error = read_i16(body);
        worst = error ? error : worst;
    }
    int16_t error = read_i16(body);
    sim_require(sim, !body->failed, "a malformed answer to OffsetFetch");
    error = error ? error : worst;
    if (group_member_is_passing(member, error))
        return;
    sim_require(sim, error == 0 && count == GROUP_PARTITIONS, "OffsetFetch: %d", error);
    group_member_answered_well(member);
    for (int32_t i = 0; i < GROUP_PARTITIONS; i++)
        group_history_read(member->role->history, member->role->group, i, offsets[i],
                           member->sent_ns, member->is_leaders);
}

static bool begin_commit(struct group_member *member)
{
    int32_t partition = (int32_t)random_below(&member->random, GROUP_PARTITIONS);
    if (!member->owns[partition])
        return false;
    member->commit_partition = partition;
    member->commit_offset = group_history_commit(member->role->history, member->role->group,
                                                 member->role->member, partition);
    member->protocol->commit(member);
    return true;
}

static enum commit_outcome outcome_of(const struct group_member *member, int16_t error)
{
    switch (error) {
    case 0:
        return COMMIT_DONE;
    case 14: /* accepted, perhaps, and lost with the coordinator */
    case 15:
    case 16:
        return COMMIT_UNKNOWN;
    case 22:  /* ILLEGAL_GENERATION */
    case 25:  /* UNKNOWN_MEMBER_ID */
    case 27:  /* REBALANCE_IN_PROGRESS */
    case 69:  /* GROUP_ID_NOT_FOUND */
    case 113: /* STALE_MEMBER_EPOCH */
        return COMMIT_REFUSED;
    default:
        sim_fail(group_sim(member), "a commit of group %u is answered %d", member->role->group,
                 error);
    }
}

void group_member_committed(struct group_member *member, int16_t error)
{
    enum commit_outcome outcome = outcome_of(member, error);
    group_history_committed(member->role->history, member->role->group, member->commit_partition,
                            member->commit_offset, outcome);
    member->commit_offset = 0;
    if (outcome == COMMIT_DONE)
        group_member_answered_well(member);
    if (outcome == COMMIT_DONE)
        member->role->last_commit_ns = sim_now_ns(group_sim(member));
    if (outcome == COMMIT_REFUSED)
        member->role->refused++;
    group_member_is_passing(member, error);
}

/* ---- Life ---- */

static void wait_for(struct group_member *member, uint64_t delay_ns)
{
    loop_set_timer(member->cluster.loop, &member->tick, delay_ns);
}

static void lose_connection(struct group_member *member)
{
    member->busy = false;
    member->must_report = true; /* an answer may be lost: say everything again */
    if (member->commit_offset > 0) {
        group_history_committed(member->role->history, member->role->group,
                                member->commit_partition, member->commit_offset, COMMIT_UNKNOWN);
        member->commit_offset = 0;
    }
}

static void crash(struct group_member *member)
{
    member->role->crashes++;
    cluster_client_drop_all(&member->cluster);
    lose_connection(member);
    group_member_release(member);
    member->protocol->forget(member);
}

/* Whom a request can be sent to now, if it can. */
static bool find_link(struct group_member *member)
{
    bool may_ask = !member->busy && cluster_client_has_topics(&member->cluster);
    member->link = may_ask ? cluster_client_to_leader(&member->cluster, CLUSTER_GROUP) : NULL;
    return member->link != NULL;
}

/* True when it did: then nothing else happens in this tick. */
static bool misbehave(struct group_member *member)
{
    struct random_stream *random = &member->random;
    if (member->role->behaves || !random_chance(random, 1, 60))
        return false;
    switch (random_below(random, 4)) {
    case 0: /* silent for longer than is allowed, and unaware of it */
        member->role->silences++;
        wait_for(member,
                 member->role->session_ns + random_below(random, 2 * member->role->session_ns));
        return true;
    case 1:
        crash(member);
        wait_for(member, random_below(random, 3 * member->role->session_ns));
        return true;
    case 2:
        if (!member->is_joined || !find_link(member))
            return false;
        member->protocol->leave(member);
        return true;
    default: /* the network */
        cluster_client_drop_all(&member->cluster);
        lose_connection(member);
        return false;
    }
}

static void act(struct group_member *member)
{
    struct random_stream *random = &member->random;
    if (!member->is_joined || member->must_join)
        member->protocol->join(member);
    else if (random_chance(random, 1, 4) && begin_commit(member))
        return;
    else if (random_chance(random, 1, 8))
        read_offsets(member);
    else
        member->protocol->tick(member);
}

static void on_tick(struct timer *timer)
{
    struct group_member *member = container_of(timer, struct group_member, tick);
    if (misbehave(member))
        return;
    if (find_link(member))
        act(member);
    member->link = NULL;
    wait_for(member, 5 * ms + random_below(&member->random, 60 * ms));
}

static void answered(struct cluster_client *client, int32_t node, enum kafka_api api, void *context,
                     struct reader *body)
{
    struct group_member *member = container_of(client, struct group_member, cluster);
    (void)context;
    (void)node;
    member->busy = false;
    /* What follows an answer goes to who gave it. */
    member->link = cluster_client_to(client, node);
    if (api == KAFKA_OFFSET_FETCH)
        offsets_answered(member, body);
    else
        member->protocol->answered(member, api, body);
    member->link = NULL;
    sim_require(group_sim(member), !body->failed, "a malformed answer to API %d", (int)api);
    if (!timer_is_set(&member->tick))
        wait_for(member, ms);
}

static void broken(struct cluster_client *client, int32_t node)
{
    struct group_member *member = container_of(client, struct group_member, cluster);
    if (!member->busy || member->witness.node != node)
        return;
    lose_connection(member);
    wait_for(member, retry_ns);
}

static const struct cluster_client_events client_events = {answered, broken, NULL};

void group_member_boot(struct loop *loop, void *argument)
{
    struct group_role *role = argument;
    struct group_member *member = heap_must_get(loop->heap, MEMORY_STATE, sizeof(*member));
    member->role = role;
    member->protocol =
        role->is_consumer_protocol ? &group_consumer_protocol : &group_classic_protocol;
    member->generation = -1;
    random_init(&member->random, loop_random_seed(loop, 1), 0);
    timer_init(&member->tick, on_tick);
    role->client.group = group_name(role->group);
    cluster_client_init(&member->cluster, loop, &client_events, &role->client);
    struct group_ownership *ownership = group_member_ownership(member);
    ownership->generation = -1;
    ownership->rebalance_allowed_ns = role->rebalance_ns;
    ownership->silence_allowed_ns =
        role->session_ns < role->rebalance_ns ? role->session_ns : role->rebalance_ns;
    if (role->clocks_differ) {
        ownership->rebalance_allowed_ns -= ownership->rebalance_allowed_ns / 50;
        ownership->silence_allowed_ns -= ownership->silence_allowed_ns / 50;
    }
    member->protocol->forget(member);
    wait_for(member, random_below(&member->random, 500 * ms));
}
