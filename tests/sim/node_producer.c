/*
 * A producer keeps up to five batches per partition on their way and retries each until it is
 * acknowledged, in order, as a client library with idempotence does. After an error or a broken
 * connection it waits until nothing of the partition is under way and sends all again from the
 * oldest.
 *
 * Producer snapshots hold only the newest batch of a producer, as Kafka's do. So a broker that was
 * started anew may know a batch as old without knowing it as a duplicate, and answers that it is
 * out of order. Like a client library, the producer then takes a new id and leaves what was
 * pending: whether it was written is unknown.
 */
#include <stdio.h>

#include "tests/sim/client_batch.h"
#include "tests/sim/kafka_client.h"
#include "tests/sim/node_producer.h"

static const uint64_t retry_ns = 20000000;

struct pending_batch {
    uint32_t first_number;
    int32_t count;
    int32_t sequence;
    bool is_under_way;
    bool was_sent;
    unsigned restarts; /* of the broker, when it was sent first */
};

struct producer_partition {
    struct pending_batch pending[PENDING_MAX]; /* oldest first */
    unsigned count;
    unsigned under_way;
    bool must_resend;
    uint32_t next_number;
    int32_t next_sequence;
};

struct producer {
    struct kafka_client client;
    struct client_role *role;
    struct random_stream random;
    struct timer tick;
    struct timer reconnect;
    struct producer_partition partitions[HISTORY_PARTITIONS];
    int64_t producer_id; /* -1: not known yet, or not idempotent */
    int16_t producer_epoch;
    bool is_ready; /* topic there, producer id known */
    bool is_abandoning;
};

/* Travels with a request. */
struct produce_context {
    int32_t partition;
    uint32_t first_number;
};

static struct sim *sim_here(const struct producer *producer)
{
    return sim_of(producer->client.loop);
}

static void abandon_pending(struct producer *producer);

/* ---- Sending ---- */

static void write_batch(struct producer *producer, const struct pending_batch *pending,
                        int32_t partition, struct writer *writer)
{
    struct client_batch batch = {.client = producer->role->number,
                                 .first_number = pending->first_number,
                                 .count = pending->count,
                                 .partition = partition,
                                 .producer_id =
                                     producer->role->is_idempotent ? producer->producer_id : -1,
                                 .producer_epoch = producer->producer_epoch,
                                 .sequence = pending->sequence};
    client_batch_write(sim_here(producer), producer->client.loop->heap, &batch, writer);
}

static void send_batch(struct producer *producer, int32_t number, struct pending_batch *pending)
{
    uint8_t *memory = heap_get(producer->client.loop->heap, MEMORY_SCRATCH, 65536);
    struct writer body = writer_of(memory, 65536);
    kafka_write_string(&body, NULL); /* transactional id */
    write_i16(&body, producer->role->acks);
    write_i32(&body, 5000); /* timeout */
    write_i32(&body, 1);
    kafka_write_string(&body, client_topic);
    write_i32(&body, 1);
    write_i32(&body, number);
    write_batch(producer, pending, number, &body);
    sim_require(sim_here(producer), !body.failed, "the request is too large");
    struct produce_context *context =
        heap_get(producer->client.loop->heap, MEMORY_SCRATCH, sizeof(*context));
    *context = (struct produce_context){number, pending->first_number};
    producer->role->retries += pending->was_sent;
    pending->is_under_way = pending->was_sent = true;
    producer->partitions[number].under_way++;
    kafka_client_send(&producer->client, KAFKA_PRODUCE, 7, &body, context);
    heap_put(producer->client.loop->heap, MEMORY_SCRATCH, memory, 65536);
}

/* Everything that is pending goes out again, oldest first. */
static void resend(struct producer *producer, int32_t number)
{
    struct producer_partition *partition = &producer->partitions[number];
    if (!partition->must_resend || partition->under_way > 0 || !producer->is_ready)
        return;
    partition->must_resend = false;
    for (unsigned i = 0; i < partition->count; i++)
        send_batch(producer, number, &partition->pending[i]);
}

static void send_new(struct producer *producer)
{
    int32_t number = (int32_t)random_below(&producer->random, HISTORY_PARTITIONS);
    struct producer_partition *partition = &producer->partitions[number];
    if (partition->count == PENDING_MAX || partition->must_resend)
        return;
    struct pending_batch *pending = &partition->pending[partition->count++];
    int32_t count = 1 + (int32_t)random_below(&producer->random, 8);
    *pending = (struct pending_batch){.first_number = partition->next_number,
                                      .count = count,
                                      .sequence = partition->next_sequence,
                                      .restarts = *producer->role->restarts};
    partition->next_number += (uint32_t)count;
    partition->next_sequence += count;
    producer->role->pending++;
    send_batch(producer, number, pending);
}

static void on_tick(struct timer *timer)
{
    struct producer *producer = container_of(timer, struct producer, tick);
    if (producer->is_abandoning)
        abandon_pending(producer);
    if (producer->is_ready) {
        for (int32_t i = 0; i < HISTORY_PARTITIONS; i++)
            resend(producer, i);
        uint64_t count = random_below(&producer->random, 4);
        for (uint64_t i = 0; i < count && !producer->role->pauses; i++)
            send_new(producer);
    }
    loop_set_timer(producer->client.loop, &producer->tick,
                   1000000 + random_below(&producer->random, producer->role->pace_ns));
}

/* ---- Answers ---- */

static bool may_retry(int16_t error)
{
    switch (error) {
    case 3:  /* UNKNOWN_TOPIC_OR_PARTITION: being made, or not loaded yet */
    case 5:  /* LEADER_NOT_AVAILABLE */
    case 6:  /* NOT_LEADER_OR_FOLLOWER */
    case 7:  /* REQUEST_TIMED_OUT */
    case 19: /* NOT_ENOUGH_REPLICAS */
    case 20: /* NOT_ENOUGH_REPLICAS_AFTER_APPEND */
    case 56: /* KAFKA_STORAGE_ERROR */
        return true;
    default:
        return false;
    }
}

static struct pending_batch *find_pending(struct producer_partition *partition, uint32_t number)
{
    for (unsigned i = 0; i < partition->count; i++) {
        if (partition->pending[i].first_number == number)
            return &partition->pending[i];
    }
    return NULL;
}

static void acknowledged(struct producer *producer, int32_t number, struct pending_batch *pending,
                         int64_t base_offset)
{
    struct producer_partition *partition = &producer->partitions[number];
    sim_require(sim_here(producer), base_offset >= 0, "success without an offset");
    for (int32_t i = 0; i < pending->count; i++)
        history_see(producer->role->history, number, base_offset + i,
                    history_value(producer->role->number, pending->first_number + (uint32_t)i),
                    true);
    producer->role->acknowledged += (uint64_t)pending->count;
    producer->role->pending--;
    size_t place = (size_t)(pending - partition->pending);
    partition->count--;
    memmove(pending, pending + 1, (partition->count - place) * sizeof(*pending));
}

static void refused(struct producer *producer, int32_t number, const struct pending_batch *pending,
                    int16_t error)
{
    struct producer_partition *partition = &producer->partitions[number];
    bool is_oldest = pending == &partition->pending[0];
    partition->must_resend = true;
    if (may_retry(error))
        return;
    if (error == 45 && is_oldest && pending->restarts != *producer->role->restarts) {
        producer->is_abandoning = true;
        return;
    }
    /* Behind a batch that failed, the next ones are out of order; the oldest never is. */
    sim_require(sim_here(producer), error == 45 && !is_oldest && producer->role->is_idempotent,
                "client %u, partition %d, value %u was refused with %d", producer->role->number,
                number, pending->first_number, error);
}

static void produce_answered(struct producer *producer, struct produce_context *context,
                             struct reader *body)
{
    int32_t number = context->partition;
    struct producer_partition *partition = &producer->partitions[number];
    struct pending_batch *pending = find_pending(partition, context->first_number);
    heap_put(producer->client.loop->heap, MEMORY_SCRATCH, context, sizeof(*context));
    sim_require(sim_here(producer), read_i32(body) == 1, "an answer with another topic count");
    kafka_skip_string(body);
    sim_require(sim_here(producer), read_i32(body) == 1, "an answer with another partition count");
    int32_t answered = read_i32(body);
    int16_t error = read_i16(body);
    int64_t base_offset = read_i64(body);
    sim_require(sim_here(producer), !body->failed && answered == number, "a malformed answer");
    sim_require(sim_here(producer), pending != NULL, "a batch was answered twice");
    pending->is_under_way = false;
    partition->under_way--;
    if (error == 0)
        acknowledged(producer, number, pending, base_offset);
    else
        refused(producer, number, pending, error);
}

static void forget_under_way(struct producer *producer)
{
    producer->is_ready = false;
    for (int i = 0; i < HISTORY_PARTITIONS; i++) {
        struct producer_partition *partition = &producer->partitions[i];
        partition->under_way = 0;
        partition->must_resend = partition->count > 0;
        for (unsigned k = 0; k < partition->count; k++)
            partition->pending[k].is_under_way = false;
    }
}

static void start_over(struct producer *producer);

/* The outcome of everything pending stays unknown; a new producer id goes on behind it. */
static void abandon_pending(struct producer *producer)
{
    producer->is_abandoning = false;
    producer->producer_id = -1;
    for (int i = 0; i < HISTORY_PARTITIONS; i++) {
        struct producer_partition *partition = &producer->partitions[i];
        producer->role->pending -= partition->count;
        producer->role->abandoned += partition->count;
        partition->count = 0;
        partition->next_sequence = 0;
    }
    start_over(producer);
    forget_under_way(producer);
}

static void ask_producer_id(struct producer *producer)
{
    uint8_t memory[64];
    struct writer body = writer_of(memory, sizeof(memory));
    kafka_write_string(&body, NULL);
    write_i32(&body, 60000);
    kafka_client_send(&producer->client, KAFKA_INIT_PRODUCER_ID, 1, &body, NULL);
}

static void ask_metadata(struct producer *producer)
{
    uint8_t memory[64];
    struct writer body = writer_of(memory, sizeof(memory));
    write_i32(&body, 1);
    kafka_write_string(&body, client_topic);
    write_u8(&body, 1); /* make it when missing */
    kafka_client_send(&producer->client, KAFKA_METADATA, 4, &body, NULL);
}

static void become_ready(struct producer *producer)
{
    producer->is_ready = true;
    for (int32_t i = 0; i < HISTORY_PARTITIONS; i++)
        resend(producer, i);
}

/* Asks again later, by way of a new connection. */
static void start_over(struct producer *producer)
{
    kafka_client_drop(&producer->client);
    loop_set_timer(producer->client.loop, &producer->reconnect, retry_ns);
}

static void metadata_answered(struct producer *producer, struct reader *body)
{
    bool usable = kafka_read_metadata(body);
    sim_require(sim_here(producer), !body->failed, "malformed metadata");
    if (!usable)
        start_over(producer);
    else if (producer->role->is_idempotent && producer->producer_id < 0)
        ask_producer_id(producer);
    else
        become_ready(producer);
}

static void producer_id_answered(struct producer *producer, struct reader *body)
{
    read_i32(body); /* throttle */
    int16_t error = read_i16(body);
    int64_t producer_id = read_i64(body);
    int16_t epoch = read_i16(body);
    sim_require(sim_here(producer), !body->failed, "a malformed producer id");
    if (error != 0) {
        sim_require(sim_here(producer), error != -1, "a producer id is refused with %d", error);
        start_over(producer);
        return;
    }
    producer->producer_id = producer_id;
    producer->producer_epoch = epoch;
    become_ready(producer);
}

static void answered(struct kafka_client *client, enum kafka_api api, void *context,
                     struct reader *body)
{
    struct producer *producer = container_of(client, struct producer, client);
    if (api == KAFKA_PRODUCE)
        produce_answered(producer, context, body);
    else if (api == KAFKA_METADATA)
        metadata_answered(producer, body);
    else
        producer_id_answered(producer, body);
}

static void connected(struct kafka_client *client)
{
    ask_metadata(container_of(client, struct producer, client));
}

static void broken(struct kafka_client *client)
{
    struct producer *producer = container_of(client, struct producer, client);
    forget_under_way(producer);
    loop_set_timer(client->loop, &producer->reconnect, retry_ns);
}

static const struct kafka_client_events client_events = {connected, answered, broken};

static void reconnect(struct timer *timer)
{
    struct producer *producer = container_of(timer, struct producer, reconnect);
    kafka_client_connect(&producer->client);
}

void producer_start(struct loop *loop, struct client_role *role)
{
    struct producer *producer = heap_must_get(loop->heap, MEMORY_STATE, sizeof(*producer));
    producer->role = role;
    producer->producer_id = -1;
    for (int i = 0; i < HISTORY_PARTITIONS; i++)
        producer->partitions[i].next_number = 1;
    random_init(&producer->random, loop_random_seed(loop, 1), 0);
    timer_init(&producer->tick, on_tick);
    timer_init(&producer->reconnect, reconnect);
    kafka_client_init(&producer->client, loop, &client_events, role->host, CLIENT_PORT);
    kafka_client_connect(&producer->client);
    on_tick(&producer->tick);
}
