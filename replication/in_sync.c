/*
 * The rules are those of Kafka's Partition and its Replica, with the one difference that the leader
 * counts itself where its topic's durability says (replica_local_end).
 *
 * Times are those of the loop's clock. A replica is caught up when it has the leader's end, or has
 * had it within the lag limit. The second is known from fetches: one that asks for the leader's end
 * is caught up now, one that asks for what was the end at its previous fetch was caught up then.
 */
#include "replication/in_sync.h"

#include "base/assert.h"
#include "runtime/test_point.h"

static struct remote_replica unknown_replica(int32_t id)
{
    return (struct remote_replica){
        .id = id,
        .end_offset = -1,
        .log_start_offset = -1,
        .broker_epoch = -1,
        .fetched_at_end = -1,
        .last_fetch_ns = IN_SYNC_NEVER,
        .last_caught_up_ns = IN_SYNC_NEVER,
    };
}

struct remote_replica *in_sync_find(struct in_sync *in_sync, int32_t broker_id)
{
    for (uint32_t i = 0; i < in_sync->count; i++)
        if (in_sync->remotes[i].id == broker_id)
            return &in_sync->remotes[i];
    return NULL;
}

/* ---- Beginnings ---- */

/* Nobody enters the set before it has fetched in the new epoch; members get a full limit. */
static void begin_term(struct remote_replica *remote, const struct in_sync_leader *leader)
{
    int64_t now_ns = remote->is_in_sync ? leader->now_ns : IN_SYNC_NEVER;
    remote->last_caught_up_ns = now_ns;
    remote->last_fetch_ns = remote->end_offset >= 0 ? now_ns : IN_SYNC_NEVER;
    remote->fetched_at_end = remote->end_offset >= 0 ? leader->end_offset : -1;
}

/* Whether everybody in the pending proposal is still where it found them. */
static bool is_changing_still(const struct in_sync *in_sync, const struct in_sync *before)
{
    uint32_t missing = 0;
    for (uint32_t i = 0; i < before->count; i++)
        missing += before->remotes[i].is_changing;
    for (uint32_t i = 0; i < in_sync->count; i++) {
        const struct remote_replica *remote = &in_sync->remotes[i];
        missing -=
            remote->is_changing && remote->is_in_sync == (in_sync->state == IN_SYNC_SHRINKING);
    }
    return missing == 0;
}

void in_sync_begin(struct in_sync *in_sync, const struct in_sync *before, enum in_sync_begin begin,
                   int32_t self, struct node_list replicas, struct node_list isr,
                   const struct in_sync_leader *leader)
{
    klamm_assert(before || begin == IN_SYNC_NEW_LEADER);
    *in_sync = (struct in_sync){
        .state = IN_SYNC_COMMITTED, .committed_count = 1, .remotes = in_sync->remotes};
    for (uint32_t i = 0; i < replicas.count; i++) {
        int32_t id = replicas.ids[i];
        if (id == self)
            continue;
        struct remote_replica *remote = &in_sync->remotes[in_sync->count++];
        *remote = unknown_replica(id);
        const struct remote_replica *known =
            begin != IN_SYNC_NEW_LEADER ? in_sync_find((struct in_sync *)(uintptr_t)before, id)
                                        : NULL;
        if (known)
            *remote = *known;
        in_sync_end_rest(remote); /* whoever keeps the clock is told to look again */
        remote->is_in_sync = node_list_contains(isr, id);
        in_sync->committed_count += remote->is_in_sync;
        if (begin != IN_SYNC_SAME_STATE)
            remote->is_changing = false;
        if (begin == IN_SYNC_NEW_LEADER || begin == IN_SYNC_NEW_EPOCH)
            begin_term(remote, leader);
    }
    if (begin != IN_SYNC_SAME_STATE || before->state == IN_SYNC_COMMITTED)
        return;
    in_sync->state = before->state;
    in_sync->proposal = before->proposal;
    /* A proposal that does not fit this very state cannot be accepted. */
    if (!is_changing_still(in_sync, before))
        in_sync_withdraw(in_sync);
}

/* ---- Fetches ---- */

static int64_t later(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

bool in_sync_fetched(struct remote_replica *remote, const struct replica_fetch *fetch,
                     const struct in_sync_leader *leader)
{
    bool moved = fetch->fetch_offset != remote->end_offset;
    if (fetch->fetch_offset >= leader->end_offset)
        remote->last_caught_up_ns = later(remote->last_caught_up_ns, leader->now_ns);
    else if (remote->fetched_at_end >= 0 && fetch->fetch_offset >= remote->fetched_at_end)
        remote->last_caught_up_ns = later(remote->last_caught_up_ns, remote->last_fetch_ns);
    remote->end_offset = fetch->fetch_offset;
    remote->log_start_offset = fetch->log_start_offset;
    remote->fetched_at_end = later(remote->fetched_at_end, leader->end_offset);
    remote->last_fetch_ns = leader->now_ns;
    remote->broker_epoch = fetch->broker_epoch;
    return moved;
}

int64_t in_sync_last_fetch_ns(const struct remote_replica *remote)
{
    return remote->rest_clock_ns ? later(remote->last_fetch_ns, *remote->rest_clock_ns)
                                 : remote->last_fetch_ns;
}

int64_t in_sync_last_caught_up_ns(const struct remote_replica *remote)
{
    return remote->rest_clock_ns ? later(remote->last_caught_up_ns, *remote->rest_clock_ns)
                                 : remote->last_caught_up_ns;
}

void in_sync_end_rest(struct remote_replica *remote)
{
    remote->last_fetch_ns = in_sync_last_fetch_ns(remote);
    remote->last_caught_up_ns = in_sync_last_caught_up_ns(remote);
    remote->rest_clock_ns = NULL;
}

static bool is_caught_up(const struct remote_replica *remote, const struct in_sync_leader *leader)
{
    if (remote->end_offset == leader->end_offset)
        return true;
    int64_t caught_up_ns = in_sync_last_caught_up_ns(remote);
    return caught_up_ns != IN_SYNC_NEVER && leader->now_ns - caught_up_ns <= leader->lag_max_ns;
}

bool in_sync_is_eligible(const struct remote_replica *remote, const struct in_sync_brokers *brokers)
{
    struct replica_broker broker = brokers->find(brokers->owner, remote->id);
    return broker.is_active && (remote->broker_epoch == -1 || remote->broker_epoch == broker.epoch);
}

/* ---- The sets ---- */

static bool is_in_maximal(const struct remote_replica *remote)
{
    /* What is changing is outside while expanding and inside while shrinking (invariant 3). */
    return remote->is_in_sync || remote->is_changing;
}

uint32_t in_sync_maximal_count(const struct in_sync *in_sync)
{
    uint32_t count = 1;
    for (uint32_t i = 0; i < in_sync->count; i++)
        count += is_in_maximal(&in_sync->remotes[i]);
    return count;
}

bool in_sync_is_followed(const struct in_sync *in_sync, int64_t since_ns)
{
    for (uint32_t i = 0; i < in_sync->count; i++) {
        const struct remote_replica *remote = &in_sync->remotes[i];
        if (remote->is_in_sync && in_sync_last_fetch_ns(remote) >= since_ns)
            return true;
    }
    return in_sync->committed_count == 1;
}

uint32_t in_sync_minimum(const struct in_sync *in_sync, int32_t min_insync_replicas)
{
    uint32_t replicas = in_sync->count + 1;
    uint32_t minimum = min_insync_replicas > 0 ? (uint32_t)min_insync_replicas : 0;
    return minimum < replicas ? minimum : replicas;
}

int64_t in_sync_high_watermark(const struct in_sync *in_sync, const struct in_sync_leader *leader,
                               int32_t min_insync_replicas, const struct in_sync_brokers *brokers)
{
    if (in_sync->committed_count < in_sync_minimum(in_sync, min_insync_replicas) &&
        !test_point_in(leader->test_points, BUG_ISR_IGNORE_MINIMUM))
        return -1;
    int64_t lowest = leader->local_end;
    for (uint32_t i = 0; i < in_sync->count; i++) {
        const struct remote_replica *remote = &in_sync->remotes[i];
        if (remote->end_offset >= lowest)
            continue;
        if (!remote->is_in_sync && test_point_in(leader->test_points, BUG_ISR_WATERMARK_COMMITTED))
            continue;
        if (is_in_maximal(remote) ||
            (is_caught_up(remote, leader) && in_sync_is_eligible(remote, brokers)))
            lowest = remote->end_offset;
    }
    return lowest;
}

int64_t in_sync_low_watermark(const struct in_sync *in_sync, int64_t log_start_offset,
                              const struct in_sync_brokers *brokers)
{
    int64_t lowest = log_start_offset;
    for (uint32_t i = 0; i < in_sync->count; i++) {
        const struct remote_replica *remote = &in_sync->remotes[i];
        if (remote->log_start_offset < lowest && brokers->find(brokers->owner, remote->id).is_alive)
            lowest = remote->log_start_offset;
    }
    return lowest;
}

bool in_sync_expand(struct in_sync *in_sync, struct remote_replica *remote,
                    const struct in_sync_leader *leader, const struct in_sync_brokers *brokers)
{
    if (in_sync->state != IN_SYNC_COMMITTED || remote->is_in_sync)
        return false;
    if (remote->end_offset < leader->high_watermark)
        return false;
    if (remote->end_offset < leader->epoch_start_offset &&
        !test_point_in(leader->test_points, BUG_ISR_JOIN_EARLY))
        return false;
    if (!in_sync_is_eligible(remote, brokers))
        return false;
    remote->is_changing = true;
    in_sync->state = IN_SYNC_EXPANDING;
    return true;
}

bool in_sync_shrink(struct in_sync *in_sync, const struct in_sync_leader *leader)
{
    if (in_sync->state != IN_SYNC_COMMITTED)
        return false;
    bool any = false;
    for (uint32_t i = 0; i < in_sync->count; i++) {
        struct remote_replica *remote = &in_sync->remotes[i];
        if (!remote->is_in_sync || is_caught_up(remote, leader))
            continue;
        remote->is_changing = true;
        any = true;
    }
    if (any)
        in_sync->state = IN_SYNC_SHRINKING;
    return any;
}

/* ---- Proposals ---- */

uint32_t in_sync_proposed(const struct in_sync *in_sync, struct in_sync_member *members)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < in_sync->count; i++) {
        const struct remote_replica *remote = &in_sync->remotes[i];
        if (remote->is_in_sync != remote->is_changing)
            members[count++] = (struct in_sync_member){remote->id, remote->broker_epoch};
    }
    return count;
}

void in_sync_withdraw(struct in_sync *in_sync)
{
    in_sync->state = IN_SYNC_COMMITTED;
    for (uint32_t i = 0; i < in_sync->count; i++)
        in_sync->remotes[i].is_changing = false;
}

void in_sync_commit(struct in_sync *in_sync, int32_t self, struct node_list isr)
{
    in_sync_withdraw(in_sync);
    klamm_assert(node_list_contains(isr, self));
    in_sync->committed_count = 1;
    for (uint32_t i = 0; i < in_sync->count; i++) {
        struct remote_replica *remote = &in_sync->remotes[i];
        remote->is_in_sync = node_list_contains(isr, remote->id);
        in_sync->committed_count += remote->is_in_sync;
    }
}

void in_sync_assert(const struct in_sync *in_sync)
{
    uint32_t committed = 1;
    uint32_t changing = 0;
    for (uint32_t i = 0; i < in_sync->count; i++) {
        const struct remote_replica *remote = &in_sync->remotes[i];
        committed += remote->is_in_sync;
        changing += remote->is_changing;
        if (remote->is_changing)
            klamm_assert(remote->is_in_sync == (in_sync->state == IN_SYNC_SHRINKING));
    }
    klamm_assert(committed == in_sync->committed_count);
    klamm_assert((changing > 0) == (in_sync->state != IN_SYNC_COMMITTED));
}
