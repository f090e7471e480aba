/*
 * The consumer protocol (KIP-848): heartbeats carry everything. What the broker takes away is given
 * up at once and reported with the next heartbeat; what it adds is owned from its answer on.
 */
#include "tests/sim/group_member.h"

#include <stdio.h>

enum { HEARTBEAT_VERSION = 1, COMMIT_VERSION = 9 };

static const uint64_t heartbeat_ns = 150000000;

static void forget(struct group_member *member)
{
    snprintf(member->id, sizeof(member->id), "m%u-%08x", member->role->member,
             (unsigned)random_u64(&member->random));
    member->is_joined = false;
    member->generation = 0;
    member->must_report = false;
}

static void write_owned(struct writer *body, const struct group_member *member)
{
    uint8_t count = 0;
    for (int32_t p = 0; p < GROUP_PARTITIONS; p++)
        count += member->owns[p];
    if (count == 0) {
        write_u8(body, 1); /* no topics */
        return;
    }
    write_u8(body, 2);
    write_bytes(body, member->topic_id, sizeof(member->topic_id));
    write_u8(body, count + 1);
    for (int32_t p = 0; p < GROUP_PARTITIONS; p++)
        if (member->owns[p])
            write_i32(body, p);
    write_u8(body, 0);
}

/* `full`: everything is told anew (joining, and after a lost answer). */
static void heartbeat(struct group_member *member, int32_t epoch, bool full)
{
    struct group_ownership *seen = group_member_ownership(member);
    if (seen->asked_ns == 0)
        seen->asked_ns = sim_now_ns(group_sim(member));
    uint8_t memory[512];
    struct writer body = writer_of(memory, sizeof(memory));
    kafka_write_compact(&body, group_name(member->role->group));
    kafka_write_compact(&body, member->id);
    write_i32(&body, epoch);
    write_u8(&body, 0); /* instance */
    write_u8(&body, 0); /* rack */
    write_i32(&body, full ? (int32_t)(member->role->rebalance_ns / 1000000) : -1);
    if (full) {
        write_u8(&body, 2);
        kafka_write_compact(&body, group_topic);
    } else {
        write_u8(&body, 0);
    }
    write_u8(&body, 0); /* regex */
    write_u8(&body, 0); /* assignor */
    if (full || member->must_report)
        write_owned(&body, member);
    else
        write_u8(&body, 0);
    write_u8(&body, 0); /* tags */
    group_member_send_flexible(member, KAFKA_CONSUMER_GROUP_HEARTBEAT, HEARTBEAT_VERSION, &body);
}

static void join(struct group_member *member)
{
    group_member_release(member);
    member->role->rebalances++;
    heartbeat(member, 0, true);
}

static void tick(struct group_member *member)
{
    if (sim_now_ns(group_sim(member)) < member->heartbeat_due_ns && !member->must_report)
        return;
    heartbeat(member, member->generation, member->must_report);
}

static void leave(struct group_member *member)
{
    group_member_release(member);
    heartbeat(member, -1, false);
    forget(member);
}

static void take_assignment(struct group_member *member, struct reader *body)
{
    struct sim *sim = group_sim(member);
    bool owns[GROUP_PARTITIONS] = {false};
    for (int32_t topics = kafka_read_compact_count(body); topics > 0 && !body->failed; topics--) {
        const uint8_t *id = reader_take(body, sizeof(member->topic_id));
        if (id)
            memcpy(member->topic_id, id, sizeof(member->topic_id));
        for (int32_t left = kafka_read_compact_count(body); left > 0 && !body->failed; left--) {
            int32_t partition = read_i32(body);
            sim_require(sim, partition >= 0 && partition < GROUP_PARTITIONS, "a strange partition");
            owns[partition] = true;
        }
        kafka_skip_tags(body);
    }
    kafka_skip_tags(body);
    member->must_report = memcmp(owns, member->owns, sizeof(owns)) != 0;
    memcpy(member->owns, owns, sizeof(owns));
    const struct group_role *role = member->role;
    group_history_own(role->history, role->group, role->member, owns, -1, member->is_leaders);
}

static void heartbeat_answered(struct group_member *member, struct reader *body)
{
    struct sim *sim = group_sim(member);
    const struct group_role *role = member->role;
    read_i32(body); /* throttle */
    int16_t error = read_i16(body);
    kafka_skip_compact(body); /* message */
    kafka_skip_compact(body); /* member id */
    int32_t epoch = read_i32(body);
    read_i32(body); /* interval */
    int8_t has_assignment = read_i8(body);
    if (group_member_is_passing(member, error))
        return;
    if (error == 25 || error == 110 || error == 69) { /* unknown, fenced, or no such group */
        group_member_release(member);
        forget(member);
        return;
    }
    sim_require(sim, error == 0 && !body->failed, "ConsumerGroupHeartbeat: %d", error);
    if (epoch < 0) /* it has left */
        return;
    sim_require(sim, !member->is_joined || epoch >= member->generation,
                "G4: member %u of group %u falls from epoch %d to %d", role->member, role->group,
                member->generation, epoch);
    member->generation = epoch;
    member->is_joined = true;
    group_member_answered_well(member);
    member->must_report = false;
    if (has_assignment >= 0)
        take_assignment(member, body);
    group_member_contact(member);
    if (!member->must_report && member->is_leaders)
        group_member_ownership(member)->asked_ns = 0;
    member->role->is_stable = !member->must_report;
    member->heartbeat_due_ns = sim_now_ns(sim) + heartbeat_ns;
}

static void commit(struct group_member *member)
{
    uint8_t memory[512];
    struct writer body = writer_of(memory, sizeof(memory));
    kafka_write_compact(&body, group_name(member->role->group));
    write_i32(&body, member->generation);
    kafka_write_compact(&body, member->id);
    write_u8(&body, 0); /* instance */
    write_u8(&body, 2);
    kafka_write_compact(&body, group_topic);
    write_u8(&body, 2);
    write_i32(&body, member->commit_partition);
    write_i64(&body, member->commit_offset);
    write_i32(&body, -1);
    kafka_write_compact(&body, "");
    write_u8(&body, 0);
    write_u8(&body, 0);
    write_u8(&body, 0);
    group_member_send_flexible(member, KAFKA_OFFSET_COMMIT, COMMIT_VERSION, &body);
}

static void commit_answered(struct group_member *member, struct reader *body)
{
    read_i32(body);
    sim_require(group_sim(member), kafka_read_compact_count(body) == 1,
                "a commit of another topic count");
    kafka_skip_compact(body);
    sim_require(group_sim(member), kafka_read_compact_count(body) == 1,
                "a commit of another partition count");
    read_i32(body);
    int16_t error = read_i16(body);
    group_member_committed(member, error);
    if (error == 25 || error == 69) {
        group_member_release(member);
        forget(member);
    }
}

static void answered(struct group_member *member, enum kafka_api api, struct reader *body)
{
    if (api == KAFKA_OFFSET_COMMIT)
        commit_answered(member, body);
    else
        heartbeat_answered(member, body);
}

const struct group_protocol group_consumer_protocol = {
    .join = join,
    .tick = tick,
    .leave = leave,
    .commit = commit,
    .answered = answered,
    .forget = forget,
};
