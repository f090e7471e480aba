/*
 * A consumer of a cluster: reads each partition from its first offset, at the leader or at a
 * follower, and notes every record. Now and then it asks a leader where a partition ends: never
 * below what this consumer has read already.
 */
#include "tests/sim/client_batch.h"
#include "tests/sim/cluster_role.h"

static const uint64_t retry_ns = UINT64_C(20000000);

struct consumer {
    struct cluster_client cluster;
    struct cluster_role *role;
    struct timer wait; /* goes on after an answer without records, or when there was no way */
    int32_t partition; /* being read */
    int32_t node;      /* asked; -1: nothing is under way */
    int32_t epoch;     /* that was sent along */
    bool at_leader;
};

static struct sim *sim_here(const struct consumer *consumer)
{
    return sim_of(consumer->cluster.loop);
}

/*
 * What is under way was asked of a history that is no more: true, and it goes on at the cut. A
 * consumer in the world learns that from the epochs of what it reads and from offsets out of range.
 */
static bool was_cut(struct consumer *consumer)
{
    struct cluster_role *role = consumer->role;
    int32_t partition = consumer->partition;
    unsigned cuts = role->shared->history->partitions[partition].cut_count;
    if (role->cuts[partition] == cuts)
        return false;
    role->positions[partition] = history_resume(role->shared->history, partition,
                                                role->cuts[partition], role->positions[partition]);
    role->cuts[partition] = cuts;
    return true;
}

/* ---- Asking ---- */

static void send_fetch(struct consumer *consumer, struct kafka_client *kafka)
{
    uint8_t memory[160];
    struct random_stream *random = &consumer->cluster.random;
    struct writer body = writer_of(memory, sizeof(memory));
    write_i32(&body, -1); /* not a replica */
    write_i32(&body, 200);
    write_i32(&body, 1);
    write_i32(&body, 1 << 20);
    write_i8(&body, (int8_t)random_below(random, 2)); /* isolation */
    write_i32(&body, 0);                              /* no session */
    write_i32(&body, -1);
    write_i32(&body, 1);
    kafka_write_string(&body, cluster_topic);
    write_i32(&body, 1);
    write_i32(&body, consumer->partition);
    write_i32(&body, consumer->epoch);
    write_i64(&body, consumer->role->positions[consumer->partition]);
    write_i64(&body, -1); /* log start offset */
    write_i32(&body, 1 + (int32_t)random_below(random, 100000));
    write_i32(&body, 0);           /* nothing forgotten */
    kafka_write_string(&body, ""); /* rack */
    kafka_client_send(kafka, KAFKA_FETCH, 11, &body, NULL);
}

static void send_list_offsets(struct consumer *consumer, struct kafka_client *kafka)
{
    uint8_t memory[96];
    struct writer body = writer_of(memory, sizeof(memory));
    write_i32(&body, -1);
    write_i8(&body, 0);
    write_i32(&body, 1);
    kafka_write_string(&body, cluster_topic);
    write_i32(&body, 1);
    write_i32(&body, consumer->partition);
    write_i32(&body, consumer->epoch);
    write_i64(&body, -1); /* latest */
    kafka_client_send(kafka, KAFKA_LIST_OFFSETS, 4, &body, NULL);
}

static void go_on(struct consumer *consumer, bool at_once);

static void ask(struct consumer *consumer)
{
    struct random_stream *random = &consumer->cluster.random;
    const struct cluster_leader *leader = &consumer->cluster.leaders[consumer->partition];
    int32_t node = leader->node;
    bool elsewhere = consumer->role->reads_followers && random_chance(random, 1, 2);
    if (elsewhere) {
        int32_t other = cluster_client_any(&consumer->cluster);
        if (leader->replicas >> other & 1)
            node = other;
    }
    struct kafka_client *kafka = node >= 0 ? cluster_client_to(&consumer->cluster, node) : NULL;
    if (!kafka) {
        cluster_client_refresh(&consumer->cluster);
        go_on(consumer, false);
        return;
    }
    was_cut(consumer);
    consumer->node = node;
    consumer->epoch = leader->epoch;
    consumer->at_leader = node == leader->node;
    if (consumer->at_leader && random_chance(random, 1, 8))
        send_list_offsets(consumer, kafka);
    else
        send_fetch(consumer, kafka);
}

static void go_on(struct consumer *consumer, bool at_once)
{
    struct random_stream *random = &consumer->cluster.random;
    consumer->node = -1;
    consumer->partition = (consumer->partition + 1) % HISTORY_PARTITIONS;
    uint64_t wait = at_once ? 0 : random_below(random, retry_ns);
    loop_set_timer(consumer->cluster.loop, &consumer->wait, wait);
}

static void on_wait(struct timer *timer)
{
    ask(container_of(timer, struct consumer, wait));
}

/* ---- Answers ---- */

/* What both kinds of answers may say instead of an answer. */
static bool may_retry(int16_t error)
{
    switch (error) {
    case 3:  /* UNKNOWN_TOPIC_OR_PARTITION */
    case 5:  /* LEADER_NOT_AVAILABLE */
    case 6:  /* NOT_LEADER_OR_FOLLOWER */
    case 9:  /* REPLICA_NOT_AVAILABLE */
    case 56: /* KAFKA_STORAGE_ERROR */
    case 74: /* FENCED_LEADER_EPOCH */
    case 75: /* UNKNOWN_LEADER_EPOCH */
    case 78: /* OFFSET_NOT_AVAILABLE */
        return true;
    default:
        return false;
    }
}

static void check_error(struct consumer *consumer, int16_t error)
{
    /* A follower may not have come so far; who leads in this epoch has. */
    bool is_behind = error == 1 && !consumer->at_leader;
    sim_require(sim_here(consumer), error == 0 || is_behind || may_retry(error),
                "partition %d, node %d, epoch %d: reading at %lld fails with %d",
                consumer->partition, consumer->node, consumer->epoch,
                (long long)consumer->role->positions[consumer->partition], error);
    if (error != 0)
        cluster_client_refresh(&consumer->cluster);
}

static void begin_answer(struct consumer *consumer, struct reader *body)
{
    struct sim *sim = sim_here(consumer);
    sim_require(sim, read_i32(body) == 1, "an answer with another topic count");
    kafka_skip_string(body);
    sim_require(sim, read_i32(body) == 1, "an answer with another partition count");
    sim_require(sim, read_i32(body) == consumer->partition, "an answer for another partition");
}

static void fetch_answered(struct consumer *consumer, struct reader *body)
{
    struct sim *sim = sim_here(consumer);
    struct cluster_role *role = consumer->role;
    int32_t partition = consumer->partition;
    read_i32(body); /* throttle */
    int16_t top_error = read_i16(body);
    read_i32(body); /* session */
    if (top_error != 0) {
        check_error(consumer, top_error);
        go_on(consumer, false);
        return;
    }
    begin_answer(consumer, body);
    int16_t error = read_i16(body);
    int64_t watermark = read_i64(body);
    read_i64(body); /* last stable offset */
    read_i64(body); /* log start offset */
    for (int32_t aborted = read_i32(body); aborted > 0 && !body->failed; aborted--)
        reader_take(body, 16);
    read_i32(body); /* preferred replica */
    int32_t size = read_i32(body);
    const uint8_t *bytes = size > 0 ? reader_take(body, (size_t)size) : NULL;
    sim_require(sim, !body->failed, "a malformed fetch answer");
    check_error(consumer, error);
    struct view records = view_of(bytes ? bytes : (const uint8_t *)"", bytes ? (size_t)size : 0);
    int64_t from = role->positions[partition];
    int64_t to = client_batch_read(role->shared->history, partition, records, from, &role->read);
    if (to > from)
        sim_require(sim, to <= watermark, "partition %d: read up to %lld above the watermark %lld",
                    partition, (long long)to, (long long)watermark);
    role->positions[partition] = to;
    go_on(consumer, to > from);
}

static void offsets_answered(struct consumer *consumer, struct reader *body)
{
    read_i32(body); /* throttle */
    begin_answer(consumer, body);
    int16_t error = read_i16(body);
    read_i64(body); /* timestamp */
    int64_t offset = read_i64(body);
    read_i32(body); /* leader epoch */
    sim_require(sim_here(consumer), !body->failed, "a malformed answer to ListOffsets");
    check_error(consumer, error);
    int64_t position = consumer->role->positions[consumer->partition];
    if (error == 0) {
        sim_require(sim_here(consumer), offset >= position,
                    "partition %d ends at %lld, says node %d in epoch %d; %lld was read",
                    consumer->partition, (long long)offset, consumer->node, consumer->epoch,
                    (long long)position);
        consumer->role->listed++;
    }
    go_on(consumer, error == 0);
}

static void answered(struct cluster_client *client, int32_t node, enum kafka_api api, void *context,
                     struct reader *body)
{
    struct consumer *consumer = container_of(client, struct consumer, cluster);
    (void)context;
    sim_require(sim_here(consumer), node == consumer->node, "an answer of another node");
    if (was_cut(consumer)) {
        cluster_client_refresh(client);
        go_on(consumer, false);
        return;
    }
    if (api == KAFKA_FETCH)
        fetch_answered(consumer, body);
    else
        offsets_answered(consumer, body);
}

static void broken(struct cluster_client *client, int32_t node)
{
    struct consumer *consumer = container_of(client, struct consumer, cluster);
    cluster_client_refresh(client);
    if (node == consumer->node)
        go_on(consumer, false);
}

static const struct cluster_client_events client_events = {answered, broken, NULL};

void cluster_consumer_boot(struct loop *loop, void *argument)
{
    struct consumer *consumer = heap_must_get(loop->heap, MEMORY_STATE, sizeof(*consumer));
    consumer->role = argument;
    consumer->node = -1;
    cluster_client_init(&consumer->cluster, loop, &client_events, &consumer->role->client);
    timer_init(&consumer->wait, on_wait);
    go_on(consumer, false);
}
