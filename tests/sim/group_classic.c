/*
 * The classic protocol, eager: a member gives up everything before it joins, and the leader deals
 * the partitions out. Whatever is embedded in JoinGroup and SyncGroup has the form of consumers, so
 * that a broker which looks inside understands it.
 *
 *     join -> (MEMBER_ID_REQUIRED: join with the id) -> sync -> heartbeats -> (27) join -> ...
 */
#include "tests/sim/group_member.h"

enum { BODY_MAX = 4096 };

static const uint64_t heartbeat_ns = 150000000;

static void write_subscription(struct writer *body)
{
    write_i32(body, 2 + 4 + 2 + (int32_t)strlen(group_topic) + 4);
    write_i16(body, 0); /* version */
    write_i32(body, 1);
    kafka_write_string(body, group_topic);
    write_i32(body, -1); /* user data */
}

static void join(struct group_member *member)
{
    uint8_t memory[512];
    struct writer body = writer_of(memory, sizeof(memory));
    group_member_release(member);
    member->is_joined = member->must_join = false;
    member->role->rebalances++;
    kafka_write_string(&body, group_name(member->role->group));
    write_i32(&body, (int32_t)(member->role->session_ns / 1000000));
    write_i32(&body, (int32_t)(member->role->rebalance_ns / 1000000));
    kafka_write_string(&body, member->id);
    kafka_write_string(&body, NULL); /* instance id */
    kafka_write_string(&body, "consumer");
    write_i32(&body, 1);
    kafka_write_string(&body, "range");
    write_subscription(&body);
    group_member_send(member, KAFKA_JOIN_GROUP, 5, &body);
}

static void forget(struct group_member *member)
{
    member->id[0] = '\0';
    member->is_joined = member->must_join = false;
    member->generation = -1;
}

/* Errors that are the member's own: true when handled. */
static bool is_fenced(struct group_member *member, int16_t error)
{
    if (error != 22 && error != 25)
        return false;
    group_member_release(member);
    if (error == 25)
        forget(member);
    member->is_joined = false;
    return true;
}

/* ---- Sync ---- */

/* Partition p goes to member (p + generation) mod count, so that they move. */
static void write_assignment(struct writer *body, const struct group_member *member, uint32_t place,
                             uint32_t count)
{
    int32_t mine[GROUP_PARTITIONS];
    int32_t mine_count = 0;
    for (int32_t p = 0; p < GROUP_PARTITIONS; p++)
        if ((uint32_t)(p + member->generation) % count == place)
            mine[mine_count++] = p;
    write_i32(body, 2 + 4 + 2 + (int32_t)strlen(group_topic) + 4 + 4 * mine_count + 4);
    write_i16(body, 0);
    write_i32(body, 1);
    kafka_write_string(body, group_topic);
    write_i32(body, mine_count);
    for (int32_t i = 0; i < mine_count; i++)
        write_i32(body, mine[i]);
    write_i32(body, -1);
}

/* `members`: the list of the join answer, when this one leads; else NULL. */
static void sync_members(struct group_member *member, struct reader *members, uint32_t count)
{
    uint8_t memory[BODY_MAX];
    struct writer body = writer_of(memory, sizeof(memory));
    kafka_write_string(&body, group_name(member->role->group));
    write_i32(&body, member->generation);
    kafka_write_string(&body, member->id);
    kafka_write_string(&body, NULL);
    write_i32(&body, (int32_t)count);
    for (uint32_t i = 0; i < count; i++) {
        char id[MEMBER_ID_SIZE];
        kafka_read_text(members, id, sizeof(id));
        kafka_skip_string(members); /* instance */
        int32_t size = read_i32(members);
        reader_take(members, (size_t)size);
        kafka_write_string(&body, id);
        write_assignment(&body, member, i, count);
    }
    group_member_send(member, KAFKA_SYNC_GROUP, 3, &body);
}

static void join_answered(struct group_member *member, struct reader *body)
{
    struct sim *sim = group_sim(member);
    char leader[MEMBER_ID_SIZE], id[MEMBER_ID_SIZE];
    read_i32(body); /* throttle */
    int16_t error = read_i16(body);
    int32_t generation = read_i32(body);
    kafka_skip_string(body); /* protocol */
    kafka_read_text(body, leader, sizeof(leader));
    kafka_read_text(body, id, sizeof(id));
    int32_t count = read_i32(body);
    if (error == 79) {
        memcpy(member->id, id, sizeof(id));
        return;
    }
    if (group_member_is_passing(member, error) || is_fenced(member, error) || error == 27)
        return;
    sim_require(sim, error == 0 && !body->failed, "JoinGroup: %d", error);
    group_member_answered_well(member);
    memcpy(member->id, id, sizeof(id));
    member->generation = generation;
    bool leads = strcmp(leader, id) == 0;
    sim_require(sim, leads == (count > 0), "the leader alone is told the members");
    sync_members(member, body, (uint32_t)count);
}

static void sync_answered(struct group_member *member, struct reader *body)
{
    struct sim *sim = group_sim(member);
    read_i32(body);
    int16_t error = read_i16(body);
    int32_t size = read_i32(body);
    if (group_member_is_passing(member, error) || is_fenced(member, error) || error == 27)
        return;
    sim_require(sim, error == 0 && size > 0, "SyncGroup: %d, %d bytes", error, size);
    read_i16(body);
    sim_require(sim, read_i32(body) == 1, "an assignment of another topic count");
    kafka_skip_string(body);
    memset(member->owns, 0, sizeof(member->owns));
    for (int32_t left = read_i32(body); left > 0 && !body->failed; left--) {
        int32_t partition = read_i32(body);
        sim_require(sim, partition >= 0 && partition < GROUP_PARTITIONS, "a strange partition");
        member->owns[partition] = true;
    }
    read_i32(body); /* user data */
    const struct group_role *role = member->role;
    group_member_contact(member);
    group_history_own(role->history, role->group, role->member, member->owns, member->generation,
                      member->is_leaders);
    member->is_joined = member->role->is_stable = true;
    member->heartbeat_due_ns = sim_now_ns(sim) + heartbeat_ns;
}

/* ---- Staying and leaving ---- */

static void tick(struct group_member *member)
{
    if (sim_now_ns(group_sim(member)) < member->heartbeat_due_ns)
        return;
    uint8_t memory[256];
    struct writer body = writer_of(memory, sizeof(memory));
    kafka_write_string(&body, group_name(member->role->group));
    write_i32(&body, member->generation);
    kafka_write_string(&body, member->id);
    kafka_write_string(&body, NULL);
    group_member_send(member, KAFKA_HEARTBEAT, 3, &body);
}

static void heartbeat_answered(struct group_member *member, struct reader *body)
{
    read_i32(body);
    int16_t error = read_i16(body);
    member->heartbeat_due_ns = sim_now_ns(group_sim(member)) + heartbeat_ns;
    if (error == 0)
        group_member_contact(member);
    else if (error == 27)
        member->must_join = true;
    else
        sim_require(group_sim(member),
                    is_fenced(member, error) || group_member_is_passing(member, error),
                    "Heartbeat: %d", error);
}

static void leave(struct group_member *member)
{
    uint8_t memory[256];
    struct writer body = writer_of(memory, sizeof(memory));
    group_member_release(member);
    kafka_write_string(&body, group_name(member->role->group));
    kafka_write_string(&body, member->id);
    forget(member);
    group_member_send(member, KAFKA_LEAVE_GROUP, 2, &body);
}

static void commit(struct group_member *member)
{
    uint8_t memory[512];
    struct writer body = writer_of(memory, sizeof(memory));
    kafka_write_string(&body, group_name(member->role->group));
    write_i32(&body, member->generation);
    kafka_write_string(&body, member->id);
    kafka_write_string(&body, NULL);
    write_i32(&body, 1);
    kafka_write_string(&body, group_topic);
    write_i32(&body, 1);
    write_i32(&body, member->commit_partition);
    write_i64(&body, member->commit_offset);
    write_i32(&body, -1);
    kafka_write_string(&body, "");
    group_member_send(member, KAFKA_OFFSET_COMMIT, 7, &body);
}

static void commit_answered(struct group_member *member, struct reader *body)
{
    read_i32(body);
    sim_require(group_sim(member), read_i32(body) == 1, "a commit of another topic count");
    kafka_skip_string(body);
    sim_require(group_sim(member), read_i32(body) == 1, "a commit of another partition count");
    read_i32(body);
    int16_t error = read_i16(body);
    group_member_committed(member, error);
    is_fenced(member, error);
    if (error == 27)
        member->must_join = true;
}

static void leave_answered(struct group_member *member, struct reader *body)
{
    read_i32(body);
    int16_t error = read_i16(body);
    sim_require(group_sim(member),
                error == 0 || error == 25 || group_member_is_passing(member, error),
                "LeaveGroup: %d", error);
}

static void answered(struct group_member *member, enum kafka_api api, struct reader *body)
{
    if (api == KAFKA_JOIN_GROUP)
        join_answered(member, body);
    else if (api == KAFKA_SYNC_GROUP)
        sync_answered(member, body);
    else if (api == KAFKA_HEARTBEAT)
        heartbeat_answered(member, body);
    else if (api == KAFKA_OFFSET_COMMIT)
        commit_answered(member, body);
    else
        leave_answered(member, body);
}

const struct group_protocol group_classic_protocol = {
    .join = join,
    .tick = tick,
    .leave = leave,
    .commit = commit,
    .answered = answered,
    .forget = forget,
};
