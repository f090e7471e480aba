/*
 * Leading with others: fetches of followers move what is known of them, that moves the high
 * watermark and the in-sync set, and answers of the controller or the metadata settle the set.
 *
 * A fetch only takes notes; the high watermark is looked at in the deferred phase of the turn, once
 * for all fetches of it, so nobody is told anything inside replica_fetched. Proposals leave at once
 * (at most one per partition is under way) and come back in another turn. What comes back too late
 * is known by its number and does nothing.
 */
#include "replication/replica_internal.h"

#include "base/assert.h"

/* ---- The numbers that the rules need ---- */

static struct in_sync_leader numbers_of(const struct replica *replica)
{
    return (struct in_sync_leader){
        .end_offset = partition_log_written_end(replica->log),
        .local_end = replica_local_end(replica),
        .high_watermark = replica_high_watermark(replica),
        .epoch_start_offset = replica->epoch_start_offset,
        .now_ns = (int64_t)replica->host->loop->now_ns,
        .lag_max_ns = replica->host->lag_max_ns,
        .test_points = replica->host->loop->test_points,
    };
}

static struct replica_broker find_broker(void *owner, int32_t broker_id)
{
    const struct replica_host *host = owner;
    return host->events->broker(host->owner, broker_id);
}

static struct in_sync_brokers brokers_of(const struct replica *replica)
{
    return (struct in_sync_brokers){.find = find_broker, .owner = replica->host};
}

static int32_t min_insync_replicas(const struct replica *replica)
{
    return replica_config(replica)->min_insync_replicas;
}

bool replica_has_enough(const struct replica *replica)
{
    const struct replica_leadership *leadership = replica->leadership;
    return !leadership || leadership->in_sync.committed_count >=
                              in_sync_minimum(&leadership->in_sync, min_insync_replicas(replica));
}

bool replica_is_followed(const struct replica *replica)
{
    const struct replica_leadership *leadership = replica->leadership;
    const struct replica_host *host = replica->host;
    return !leadership || in_sync_is_followed(&leadership->in_sync,
                                              (int64_t)host->loop->now_ns - host->silence_max_ns);
}

const struct in_sync *replica_in_sync(const struct replica *replica)
{
    return replica->leadership ? &replica->leadership->in_sync : NULL;
}

bool replica_is_in_sync(const struct replica *replica, int32_t broker_id)
{
    struct replica_leadership *leadership = replica->leadership;
    const struct remote_replica *remote =
        leadership ? in_sync_find(&leadership->in_sync, broker_id) : NULL;
    return remote && remote->is_in_sync;
}

/* ---- The high watermark ---- */

/*
 * Nothing is committed while there are too few in the set, so whoever waits for acks=all is never
 * told NOT_ENOUGH_REPLICAS_AFTER_APPEND: it goes on waiting until its time is over.
 */
void replica_advance(struct replica *replica)
{
    if (replica->state != REPLICA_LEADING)
        return;
    int64_t local_end = replica_local_end(replica);
    int64_t high_watermark = local_end;
    if (replica->leadership) {
        const struct in_sync_leader numbers = numbers_of(replica);
        const struct in_sync_brokers brokers = brokers_of(replica);
        high_watermark = in_sync_high_watermark(&replica->leadership->in_sync, &numbers,
                                                min_insync_replicas(replica), &brokers);
    }
    bool moved = high_watermark > replica_high_watermark(replica);
    if (moved)
        partition_log_set_high_watermark(replica->log, high_watermark);
    replica_pop_waits(&replica->local_waits, local_end);
    replica_pop_waits(&replica->commit_waits, replica_high_watermark(replica));
    if (moved)
        replica_fire_watches(&replica->watches);
}

static void look_later(struct replica_leadership *leadership)
{
    struct replica_host *host = leadership->replica->host;
    if (list_is_linked(&leadership->moved))
        return;
    list_push_back(&host->moved, &leadership->moved);
    loop_defer(host->loop, &host->look);
}

void replica_leadership_look(struct replica_leadership *leadership)
{
    replica_fire_watches(&leadership->start_watches);
    replica_advance(leadership->replica);
}

void replica_leadership_written(struct replica_leadership *leadership)
{
    replica_fire_watches(&leadership->end_watches);
}

/* ---- The in-sync set ---- */

static void describe(const struct replica *replica, const char *what)
{
    const struct in_sync *in_sync = &replica->leadership->in_sync;
    struct loop *loop = replica->host->loop;
    log_info(loop->diagnostics,
             "in-sync set: topic=%.*s partition=%d leader_epoch=%d partition_epoch=%d members=%u "
             "maximal=%u %s",
             (int)replica->topic.size, (const char *)replica->topic.data, (int)replica->partition,
             (int)replica->leader_epoch, (int)replica->partition_epoch,
             (unsigned)in_sync->committed_count, (unsigned)in_sync_maximal_count(in_sync), what);
}

/* Sends what is pending. */
static void propose(struct replica *replica)
{
    struct replica_host *host = replica->host;
    struct in_sync *in_sync = &replica->leadership->in_sync;
    struct isr_proposal *proposal = isr_proposal_create(host->heap, in_sync->count + 1);
    struct replica_broker self = host->events->broker(host->owner, host->node_id);
    proposal->members[0] = (struct in_sync_member){host->node_id, self.epoch};
    uint32_t others = in_sync_proposed(in_sync, proposal->members + 1);
    proposal->member_count = 1 + others;
    proposal->topic_id = replica->topic_id;
    proposal->partition = replica->partition;
    proposal->leader_epoch = replica->leader_epoch;
    proposal->partition_epoch = replica->partition_epoch;
    proposal->recovery = IMAGE_RECOVERED;
    proposal->number = in_sync->proposal = ++host->proposal_number;
    proposal->error = KAFKA_ERROR_NONE;
    host->events->propose(host->owner, replica, proposal);
}

static bool can_propose(const struct replica *replica)
{
    return replica->host->events->propose != NULL;
}

void replica_leadership_check_lag(struct replica_leadership *leadership)
{
    struct replica *replica = leadership->replica;
    const struct in_sync_leader numbers = numbers_of(replica);
    if (can_propose(replica) && in_sync_shrink(&leadership->in_sync, &numbers)) {
        describe(replica, "shrinks");
        propose(replica);
    }
    /* Somebody outside the set may have held the high watermark back while it seemed to catch up,
     * or the low one while its broker was alive. */
    if (numbers.high_watermark < numbers.local_end || !list_is_empty(&leadership->start_watches))
        look_later(leadership);
}

/* The errors after which the controller knows more than this broker; the metadata will tell it. */
static bool is_overtaken(enum kafka_error error)
{
    switch ((int)error) {
    case KAFKA_ERROR_UNKNOWN_TOPIC_OR_PARTITION:
    case KAFKA_ERROR_UNKNOWN_TOPIC_ID:
    case KAFKA_ERROR_FENCED_LEADER_EPOCH:
    case KAFKA_ERROR_INVALID_UPDATE_VERSION:
    case KAFKA_ERROR_INVALID_REQUEST:
    case KAFKA_ERROR_NEW_LEADER_ELECTED:
        return true;
    default:
        return false;
    }
}

/* The controller's word on the pending proposal. */
static void accepted(struct replica *replica, const struct isr_proposal *proposal)
{
    struct replica_host *host = replica->host;
    struct in_sync *in_sync = &replica->leadership->in_sync;
    const struct node_list isr = {proposal->answered_isr, proposal->answered_count};
    if (proposal->answered_leader_epoch != replica->leader_epoch ||
        proposal->answered_partition_epoch < replica->partition_epoch ||
        !node_list_contains(isr, host->node_id))
        return; /* of another state than ours: the metadata will tell */
    if (in_sync->state == IN_SYNC_EXPANDING)
        host->counters.isr_expands++;
    else
        host->counters.isr_shrinks++;
    replica->partition_epoch = proposal->answered_partition_epoch;
    in_sync_commit(in_sync, host->node_id, isr);
    describe(replica, "committed");
    replica_fire_watches(&replica->leadership->end_watches); /* who is out must not rest */
    look_later(replica->leadership);
}

void replica_isr_answered(struct replica *replica, const struct isr_proposal *proposal)
{
    struct replica_leadership *leadership = replica->leadership;
    if (!leadership || leadership->in_sync.state == IN_SYNC_COMMITTED ||
        leadership->in_sync.proposal != proposal->number)
        return;
    if (proposal->error == KAFKA_ERROR_NONE) {
        accepted(replica, proposal);
        return;
    }
    replica->host->counters.isr_refused++;
    if (proposal->error == KAFKA_ERROR_OPERATION_NOT_ATTEMPTED ||
        proposal->error == KAFKA_ERROR_INELIGIBLE_REPLICA) {
        in_sync_withdraw(&leadership->in_sync);
        describe(replica, "refused for now");
    } else if (!is_overtaken(proposal->error)) {
        propose(replica);
    }
}

/* ---- Fetches of followers ---- */

enum kafka_error replica_check_fetch(struct replica *replica, int32_t leader_epoch,
                                     int32_t replica_id, int64_t broker_epoch)
{
    enum kafka_error error = replica_check(replica, leader_epoch);
    if (error != KAFKA_ERROR_NONE)
        return error;
    if (!replica->leadership || !in_sync_find(&replica->leadership->in_sync, replica_id))
        return leader_epoch >= 0 ? KAFKA_ERROR_UNKNOWN_LEADER_EPOCH
                                 : KAFKA_ERROR_NOT_LEADER_OR_FOLLOWER;
    /* An incarnation that has been replaced already. */
    if (broker_epoch >= 0 && broker_epoch < find_broker(replica->host, replica_id).epoch)
        return KAFKA_ERROR_NOT_LEADER_OR_FOLLOWER;
    return KAFKA_ERROR_NONE;
}

void replica_fetched(struct replica *replica, const struct replica_fetch *fetch)
{
    struct replica_leadership *leadership = replica->leadership;
    struct remote_replica *remote = in_sync_find(&leadership->in_sync, fetch->replica_id);
    const struct in_sync_leader numbers = numbers_of(replica);
    int64_t start_before = remote->log_start_offset;
    bool moved = in_sync_fetched(remote, fetch, &numbers);
    const struct in_sync_brokers brokers = brokers_of(replica);
    if (can_propose(replica) && in_sync_expand(&leadership->in_sync, remote, &numbers, &brokers)) {
        describe(replica, "expands");
        propose(replica);
    }
    if (moved || remote->log_start_offset != start_before)
        look_later(leadership);
}

bool replica_may_rest(const struct replica *replica, const struct replica_fetch *fetch)
{
    struct replica_leadership *leadership = replica->leadership;
    const struct remote_replica *remote =
        leadership ? in_sync_find(&leadership->in_sync, fetch->replica_id) : NULL;
    return remote && remote->is_in_sync && !remote->is_changing &&
           remote->end_offset == fetch->fetch_offset &&
           fetch->fetch_offset == partition_log_written_end(replica->log);
}

void replica_follower_rests(struct replica *replica, int32_t replica_id, const int64_t *clock_ns)
{
    in_sync_find(&replica->leadership->in_sync, replica_id)->rest_clock_ns = clock_ns;
}

void replica_follower_stirs(struct replica *replica, int32_t replica_id, const int64_t *clock_ns)
{
    struct replica_leadership *leadership = replica->leadership;
    struct remote_replica *remote =
        leadership ? in_sync_find(&leadership->in_sync, replica_id) : NULL;
    if (remote && remote->rest_clock_ns == clock_ns)
        in_sync_end_rest(remote);
}

int64_t replica_low_watermark(const struct replica *replica)
{
    const struct replica_leadership *leadership = replica->leadership;
    int64_t log_start = partition_log_start_offset(replica->log);
    if (!leadership)
        return log_start;
    const struct in_sync_brokers brokers = brokers_of(replica);
    return in_sync_low_watermark(&leadership->in_sync, log_start, &brokers);
}

void replica_watch_start(struct replica *replica, struct replica_watch *watch)
{
    klamm_assert(replica->leadership != NULL);
    list_push_back(&replica->leadership->start_watches, &watch->link);
}

void replica_watch_end(struct replica *replica, struct replica_watch *watch)
{
    klamm_assert(replica->leadership != NULL);
    list_push_back(&replica->leadership->end_watches, &watch->link);
}

/* ---- Life ---- */

static void destroy(struct replica_leadership *leadership)
{
    struct replica_host *host = leadership->replica->host;
    list_remove(&leadership->link);
    list_remove(&leadership->moved);
    heap_put(host->heap, MEMORY_STATE, leadership, leadership->held_size);
}

void replica_leadership_end(struct replica *replica)
{
    struct replica_leadership *leadership = replica->leadership;
    if (!leadership)
        return;
    replica->leadership = NULL;
    replica_fire_watches(&leadership->end_watches);
    replica_fire_watches(&leadership->start_watches);
    destroy(leadership);
}

static struct replica_leadership *create(struct replica *replica, uint32_t others)
{
    struct replica_host *host = replica->host;
    size_t size = sizeof(struct replica_leadership) + others * sizeof(struct remote_replica);
    struct replica_leadership *leadership = heap_must_get(host->heap, MEMORY_STATE, size);
    leadership->replica = replica;
    leadership->held_size = size;
    leadership->in_sync.remotes = leadership->remotes;
    list_push_back(&host->leaderships, &leadership->link);
    list_link_init(&leadership->moved);
    list_init(&leadership->end_watches);
    list_init(&leadership->start_watches);
    return leadership;
}

void replica_leadership_begin(struct replica *replica, const struct replica_assignment *assignment,
                              enum in_sync_begin begin)
{
    struct replica_leadership *before = replica->leadership;
    int32_t self = replica->host->node_id;
    uint32_t others =
        assignment->replicas.count - (uint32_t)node_list_contains(assignment->replicas, self);
    if (others == 0 || !replica->host->events) {
        klamm_assert(others == 0);
        replica_leadership_end(replica);
        return;
    }
    struct replica_leadership *leadership = create(replica, others);
    const struct in_sync_leader numbers = numbers_of(replica);
    /* A partition that gets its first other replicas knows nothing of them. */
    in_sync_begin(&leadership->in_sync, before ? &before->in_sync : NULL,
                  before ? begin : IN_SYNC_NEW_LEADER, self, assignment->replicas, assignment->isr,
                  &numbers);
    replica->leadership = leadership;
    if (!before)
        return;
    list_splice_back(&leadership->end_watches, &before->end_watches);
    list_splice_back(&leadership->start_watches, &before->start_watches);
    destroy(before);
    replica_fire_watches(&leadership->end_watches);
    replica_fire_watches(&leadership->start_watches);
}
