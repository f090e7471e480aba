/*
 * A producer of a cluster: up to five batches of a partition are on their way to its leader, and
 * each is sent again, in order, until it is acknowledged. A partition changes its leader only while
 * nothing of it is under way.
 *
 * Where a leader does not know the sequence numbers of a producer any more (it lost batches that
 * acks=1 acknowledged, or knows of a producer only the newest batch, from a snapshot), what is
 * pending is abandoned: its outcome stays unknown, and the producer goes on under a new producer
 * id and, in the history, as somebody else.
 */
#include "tests/sim/client_batch.h"
#include "tests/sim/cluster_role.h"

enum { REQUEST_MAX = 65536 };

static const uint64_t ms = UINT64_C(1000000);

struct pending_batch {
    unsigned identity;
    uint32_t first_number;
    int32_t count;
    int32_t sequence;
    unsigned sends;
    unsigned starts; /* of brokers, when it was sent first */
    bool is_under_way;
};

struct producer_partition {
    struct pending_batch pending[CLUSTER_PENDING_MAX]; /* oldest first */
    unsigned count;
    unsigned under_way;
    int32_t node; /* where they are under way */
    bool must_resend;
    uint32_t next_number;
    int32_t next_sequence;
};

struct producer {
    struct cluster_client cluster;
    struct cluster_role *role;
    struct timer tick;
    struct producer_partition partitions[HISTORY_PARTITIONS];
    unsigned identity;
    int64_t producer_id; /* -1: not known yet, or not idempotent */
    int16_t producer_epoch;
    int32_t asked_node; /* for a producer id; -1: nobody */
    bool is_abandoning;
};

/* Travels with a request. */
struct produce_context {
    int32_t partition;
    unsigned identity;
    uint32_t first_number;
    int32_t node;
    int32_t epoch; /* in which it leads then, seen from outside */
};

static struct sim *sim_here(const struct producer *producer)
{
    return sim_of(producer->cluster.loop);
}

static bool is_ready(const struct producer *producer)
{
    return !producer->role->is_idempotent || producer->producer_id >= 0;
}

/* ---- Sending ---- */

static void write_request(struct producer *producer, int32_t number,
                          const struct pending_batch *pending, struct writer *body)
{
    bool is_idempotent = producer->role->is_idempotent;
    kafka_write_string(body, NULL); /* transactional id */
    write_i16(body, producer->role->acks);
    write_i32(body, 3000); /* timeout */
    write_i32(body, 1);
    kafka_write_string(body, cluster_topic);
    write_i32(body, 1);
    write_i32(body, number);
    struct client_batch batch = {.client = pending->identity,
                                 .first_number = pending->first_number,
                                 .count = pending->count,
                                 .partition = number,
                                 .producer_id = is_idempotent ? producer->producer_id : -1,
                                 .producer_epoch = producer->producer_epoch,
                                 .sequence = pending->sequence};
    client_batch_write(sim_here(producer), producer->cluster.loop->heap, &batch, body);
    sim_require(sim_here(producer), !body->failed, "the request is too large");
}

/* The batch leaves for the leader; false when there is no way to it now. */
static bool send_batch(struct producer *producer, int32_t number, struct pending_batch *pending)
{
    struct producer_partition *partition = &producer->partitions[number];
    struct kafka_client *kafka = cluster_client_to_leader(&producer->cluster, number);
    int32_t leader = producer->cluster.leaders[number].node;
    if (!kafka || (partition->under_way > 0 && partition->node != leader))
        return false;
    struct heap *heap = producer->cluster.loop->heap;
    uint8_t *memory = heap_get(heap, MEMORY_SCRATCH, REQUEST_MAX);
    struct writer body = writer_of(memory, REQUEST_MAX);
    write_request(producer, number, pending, &body);
    struct produce_context *context = heap_get(heap, MEMORY_SCRATCH, sizeof(*context));
    const struct cluster_clients *shared = producer->role->shared;
    *context = (struct produce_context){number, pending->identity, pending->first_number, leader,
                                        shared->leads(shared->context, leader, number)};
    producer->role->retries += pending->sends > 0;
    pending->sends++;
    pending->is_under_way = true;
    partition->under_way++;
    partition->node = leader;
    kafka_client_send(kafka, KAFKA_PRODUCE, 7, &body, context);
    heap_put(heap, MEMORY_SCRATCH, memory, REQUEST_MAX);
    return true;
}

/* Everything that is pending goes out again, oldest first. */
static void resend(struct producer *producer, int32_t number)
{
    struct producer_partition *partition = &producer->partitions[number];
    if (!partition->must_resend || partition->under_way > 0 || !is_ready(producer) ||
        producer->is_abandoning)
        return;
    for (unsigned i = 0; i < partition->count; i++) {
        if (!send_batch(producer, number, &partition->pending[i]))
            return; /* all of them later: a part of them would be out of order behind an error */
    }
    partition->must_resend = false;
}

static void send_new(struct producer *producer)
{
    struct random_stream *random = &producer->cluster.random;
    int32_t number = (int32_t)random_below(random, HISTORY_PARTITIONS);
    struct producer_partition *partition = &producer->partitions[number];
    if (partition->count == CLUSTER_PENDING_MAX || partition->must_resend)
        return;
    struct pending_batch *pending = &partition->pending[partition->count++];
    int32_t count = 1 + (int32_t)random_below(random, 8);
    *pending = (struct pending_batch){.identity = producer->identity,
                                      .first_number = partition->next_number,
                                      .count = count,
                                      .sequence = partition->next_sequence,
                                      .starts = *producer->role->shared->starts};
    partition->next_number += (uint32_t)count;
    partition->next_sequence += count;
    producer->role->pending++;
    if (!send_batch(producer, number, pending))
        partition->must_resend = true;
}

static void ask_producer_id(struct producer *producer)
{
    if (producer->asked_node >= 0)
        return;
    int32_t node = cluster_client_any(&producer->cluster);
    struct kafka_client *kafka = cluster_client_to(&producer->cluster, node);
    if (!kafka)
        return;
    uint8_t memory[64];
    struct writer body = writer_of(memory, sizeof(memory));
    kafka_write_string(&body, NULL);
    write_i32(&body, 60000);
    producer->asked_node = node;
    kafka_client_send(kafka, KAFKA_INIT_PRODUCER_ID, 1, &body, NULL);
}

static void abandon_pending(struct producer *producer);

static void on_tick(struct timer *timer)
{
    struct producer *producer = container_of(timer, struct producer, tick);
    struct random_stream *random = &producer->cluster.random;
    if (producer->is_abandoning)
        abandon_pending(producer);
    if (!is_ready(producer))
        ask_producer_id(producer);
    else {
        for (int32_t i = 0; i < HISTORY_PARTITIONS; i++)
            resend(producer, i);
        uint64_t count = random_below(random, 4);
        for (uint64_t i = 0; i < count && !producer->role->pauses; i++)
            send_new(producer);
    }
    loop_set_timer(producer->cluster.loop, &producer->tick,
                   ms + random_below(random, producer->role->pace_ns));
}

/* ---- Answers ---- */

static bool may_retry(int16_t error)
{
    switch (error) {
    case 3:  /* UNKNOWN_TOPIC_OR_PARTITION: not known to this broker yet */
    case 5:  /* LEADER_NOT_AVAILABLE */
    case 6:  /* NOT_LEADER_OR_FOLLOWER */
    case 7:  /* REQUEST_TIMED_OUT */
    case 9:  /* REPLICA_NOT_AVAILABLE */
    case 19: /* NOT_ENOUGH_REPLICAS */
    case 20: /* NOT_ENOUGH_REPLICAS_AFTER_APPEND */
    case 56: /* KAFKA_STORAGE_ERROR */
        return true;
    default:
        return false;
    }
}

static struct pending_batch *find_pending(struct producer_partition *partition,
                                          const struct produce_context *context)
{
    for (unsigned i = 0; i < partition->count; i++) {
        struct pending_batch *pending = &partition->pending[i];
        if (pending->first_number == context->first_number &&
            pending->identity == context->identity)
            return pending;
    }
    return NULL;
}

/* Where the partition was cut, only what was surely said by a leader since then is a promise. */
static bool is_promise(const struct producer *producer, const struct produce_context *asked)
{
    const struct cluster_clients *shared = producer->role->shared;
    const struct history_partition *partition = &shared->history->partitions[asked->partition];
    if (producer->role->acks != -1)
        return false; /* may be lost with its leader */
    return partition->cut_count == 0 ||
           (asked->epoch >= partition->cuts[partition->cut_count - 1].epoch &&
            asked->epoch == shared->leads(shared->context, asked->node, asked->partition));
}

static void acknowledged(struct producer *producer, const struct produce_context *asked,
                         struct pending_batch *pending, int64_t base_offset)
{
    int32_t number = asked->partition;
    struct producer_partition *partition = &producer->partitions[number];
    struct cluster_clients *shared = producer->role->shared;
    sim_require(sim_here(producer), base_offset >= 0, "success without an offset");
    bool promises = is_promise(producer, asked);
    for (int32_t i = 0; promises && i < pending->count; i++)
        history_see(shared->history, number, base_offset + i,
                    history_value(pending->identity, pending->first_number + (uint32_t)i), true);
    if (promises && shared->acknowledged)
        shared->acknowledged(shared->context, number, base_offset + pending->count - 1);
    producer->role->acknowledged += (uint64_t)pending->count;
    producer->role->pending--;
    size_t place = (size_t)(pending - partition->pending);
    partition->count--;
    memmove(pending, pending + 1, (partition->count - place) * sizeof(*pending));
}

/* OUT_OF_ORDER_SEQUENCE_NUMBER or UNKNOWN_PRODUCER_ID for the oldest batch. */
static bool may_abandon(const struct producer *producer, int32_t number,
                        const struct pending_batch *pending)
{
    if (producer->role->acks == 1 ||
        producer->role->shared->history->partitions[number].cut_count > 0)
        return true;
    /* All before it was acknowledged by all in sync: who leads must know it, unless it restarted.
     */
    return pending->sends > 1 || pending->starts != *producer->role->shared->starts;
}

static void refused(struct producer *producer, int32_t number, const struct pending_batch *pending,
                    int16_t error)
{
    struct producer_partition *partition = &producer->partitions[number];
    bool is_oldest = pending == &partition->pending[0];
    partition->must_resend = true;
    if (may_retry(error)) {
        cluster_client_refresh(&producer->cluster);
        return;
    }
    bool is_order = (error == 45 || error == 59) && producer->role->is_idempotent;
    if (is_order && is_oldest && may_abandon(producer, number, pending)) {
        producer->is_abandoning = true;
        return;
    }
    /* Behind a batch that failed, the next ones are out of order; the oldest never is. */
    sim_require(sim_here(producer), is_order && !is_oldest,
                "client %u, partition %d, value %u was refused with %d", producer->role->number,
                number, pending->first_number, error);
}

static void produce_answered(struct producer *producer, struct produce_context *context,
                             struct reader *body)
{
    struct produce_context asked = *context;
    heap_put(producer->cluster.loop->heap, MEMORY_SCRATCH, context, sizeof(*context));
    struct producer_partition *partition = &producer->partitions[asked.partition];
    struct pending_batch *pending = find_pending(partition, &asked);
    sim_require(sim_here(producer), read_i32(body) == 1, "an answer with another topic count");
    kafka_skip_string(body);
    sim_require(sim_here(producer), read_i32(body) == 1, "an answer with another partition count");
    int32_t answered = read_i32(body);
    int16_t error = read_i16(body);
    int64_t base_offset = read_i64(body);
    sim_require(sim_here(producer), !body->failed && answered == asked.partition,
                "a malformed answer");
    sim_require(sim_here(producer), pending != NULL && pending->is_under_way,
                "a batch was answered twice");
    pending->is_under_way = false;
    partition->under_way--;
    if (error == 0)
        acknowledged(producer, &asked, pending, base_offset);
    else
        refused(producer, asked.partition, pending, error);
}

/* The connection is gone: what was under way there is of unknown outcome. */
static void lost(struct producer *producer, int32_t node)
{
    if (producer->asked_node == node)
        producer->asked_node = -1;
    for (int i = 0; i < HISTORY_PARTITIONS; i++) {
        struct producer_partition *partition = &producer->partitions[i];
        if (partition->under_way == 0 || partition->node != node)
            continue;
        partition->under_way = 0;
        partition->must_resend = true;
        for (unsigned k = 0; k < partition->count; k++)
            partition->pending[k].is_under_way = false;
    }
}

static unsigned new_identity(struct producer *producer)
{
    struct cluster_clients *shared = producer->role->shared;
    unsigned identity = shared->identities++;
    sim_require(sim_here(producer), identity < HISTORY_CLIENTS, "too many identities");
    shared->history->idempotent[identity] = producer->role->is_idempotent;
    return identity;
}

/* The outcome of everything pending stays unknown; somebody else goes on behind it. */
static void abandon_pending(struct producer *producer)
{
    for (int32_t i = 0; i < CLUSTER_NODES_MAX; i++) {
        cluster_client_drop(&producer->cluster, i);
        lost(producer, i);
    }
    producer->is_abandoning = false;
    producer->producer_id = -1;
    producer->identity = new_identity(producer);
    for (int i = 0; i < HISTORY_PARTITIONS; i++) {
        struct producer_partition *partition = &producer->partitions[i];
        producer->role->pending -= partition->count;
        producer->role->abandoned += partition->count;
        partition->count = 0;
        partition->must_resend = false;
        partition->next_sequence = 0;
    }
}

static void producer_id_answered(struct producer *producer, struct reader *body)
{
    producer->asked_node = -1;
    read_i32(body); /* throttle */
    int16_t error = read_i16(body);
    int64_t producer_id = read_i64(body);
    int16_t epoch = read_i16(body);
    sim_require(sim_here(producer), !body->failed, "a malformed producer id");
    sim_require(sim_here(producer), error != -1, "a producer id is refused with %d", error);
    if (error != 0)
        return;
    producer->producer_id = producer_id;
    producer->producer_epoch = epoch;
}

static void answered(struct cluster_client *client, int32_t node, enum kafka_api api, void *context,
                     struct reader *body)
{
    struct producer *producer = container_of(client, struct producer, cluster);
    (void)node;
    if (api == KAFKA_PRODUCE)
        produce_answered(producer, context, body);
    else
        producer_id_answered(producer, body);
}

static void broken(struct cluster_client *client, int32_t node)
{
    lost(container_of(client, struct producer, cluster), node);
    cluster_client_refresh(client);
}

static void changed(struct cluster_client *client)
{
    struct producer *producer = container_of(client, struct producer, cluster);
    for (int32_t i = 0; i < HISTORY_PARTITIONS; i++)
        resend(producer, i);
}

static const struct cluster_client_events client_events = {answered, broken, changed};

void cluster_producer_boot(struct loop *loop, void *argument)
{
    struct producer *producer = heap_must_get(loop->heap, MEMORY_STATE, sizeof(*producer));
    producer->role = argument;
    producer->producer_id = -1;
    producer->asked_node = -1;
    for (int i = 0; i < HISTORY_PARTITIONS; i++)
        producer->partitions[i].next_number = 1;
    cluster_client_init(&producer->cluster, loop, &client_events, &producer->role->client);
    producer->identity = new_identity(producer);
    timer_init(&producer->tick, on_tick);
    on_tick(&producer->tick);
}
