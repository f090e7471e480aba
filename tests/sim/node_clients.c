/*
 * Consumers, and what both kinds of clients share. A consumer reads each partition from its first
 * offset, one request at a time, and notes every record; a scenario may set it back.
 */
#include "tests/sim/node_clients.h"

#include "tests/sim/client_batch.h"
#include "tests/sim/kafka_client.h"
#include "tests/sim/node_producer.h"

const char client_topic[] = "sim";

static const uint64_t retry_ns = 30000000;

struct consumer {
    struct kafka_client client;
    struct client_role *role;
    struct random_stream random;
    struct timer wait; /* reconnects, or goes on after an answer without records */
    int32_t next_partition;
};

bool kafka_read_metadata(struct reader *body)
{
    read_i32(body); /* throttle */
    for (int32_t left = read_i32(body); left > 0 && !body->failed; left--) {
        read_i32(body);
        kafka_skip_string(body);
        read_i32(body);
        kafka_skip_string(body);
    }
    kafka_skip_string(body); /* cluster id */
    read_i32(body);          /* controller */
    if (read_i32(body) != 1)
        return false;
    int16_t error = read_i16(body);
    kafka_skip_string(body);
    read_u8(body);
    int32_t count = read_i32(body);
    bool usable = error == 0 && count == HISTORY_PARTITIONS;
    for (int32_t left = count; left > 0 && !body->failed; left--) {
        usable = read_i16(body) == 0 && usable;
        read_i32(body);
        usable = read_i32(body) >= 0 && usable;
        for (int list = 0; list < 2; list++) {
            for (int32_t replicas = read_i32(body); replicas > 0 && !body->failed; replicas--)
                read_i32(body);
        }
    }
    return usable;
}

static struct sim *sim_here(const struct consumer *consumer)
{
    return sim_of(consumer->client.loop);
}

static void fetch_next(struct consumer *consumer)
{
    uint8_t memory[128];
    int32_t partition = consumer->next_partition;
    struct writer body = writer_of(memory, sizeof(memory));
    write_i32(&body, -1); /* not a replica */
    write_i32(&body, 200);
    write_i32(&body, 1);
    write_i32(&body, 1 << 20);
    write_i8(&body, (int8_t)random_below(&consumer->random, 2)); /* isolation */
    write_i32(&body, 1);
    kafka_write_string(&body, client_topic);
    write_i32(&body, 1);
    write_i32(&body, partition);
    write_i64(&body, consumer->role->positions[partition]);
    write_i32(&body, 1 + (int32_t)random_below(&consumer->random, 100000));
    kafka_client_send(&consumer->client, KAFKA_FETCH, 4, &body, NULL);
}

static void fetch_answered(struct consumer *consumer, struct reader *body)
{
    struct sim *sim = sim_here(consumer);
    int32_t partition = consumer->next_partition;
    read_i32(body); /* throttle */
    sim_require(sim, read_i32(body) == 1, "a fetch answer with another topic count");
    kafka_skip_string(body);
    sim_require(sim, read_i32(body) == 1, "a fetch answer with another partition count");
    sim_require(sim, read_i32(body) == partition, "a fetch answer for another partition");
    int16_t error = read_i16(body);
    int64_t watermark = read_i64(body);
    read_i64(body); /* last stable offset */
    for (int32_t aborted = read_i32(body); aborted > 0 && !body->failed; aborted--)
        reader_take(body, 16);
    int32_t size = read_i32(body);
    const uint8_t *bytes = size > 0 ? reader_take(body, (size_t)size) : NULL;
    sim_require(sim, !body->failed, "a malformed fetch answer");
    sim_require(sim, error == 0 || error == 3 || error == 5 || error == 6 || error == 56,
                "reading partition %d at %lld fails with %d", partition,
                (long long)consumer->role->positions[partition], error);
    struct view rest = view_of(bytes ? bytes : (const uint8_t *)"", bytes ? (size_t)size : 0);
    int64_t *position = &consumer->role->positions[partition];
    int64_t next = client_batch_read(consumer->role->history, partition, rest, *position,
                                     &consumer->role->read);
    bool any = next > *position;
    *position = next;
    if (error == 0)
        sim_require(sim, *position <= watermark, "read up to %lld above the watermark %lld",
                    (long long)*position, (long long)watermark);
    consumer->next_partition = (partition + 1) % HISTORY_PARTITIONS;
    if (any)
        fetch_next(consumer);
    else
        loop_set_timer(consumer->client.loop, &consumer->wait,
                       random_below(&consumer->random, 20000000));
}

static void answered(struct kafka_client *client, enum kafka_api api, void *context,
                     struct reader *body)
{
    (void)api;
    (void)context;
    fetch_answered(container_of(client, struct consumer, client), body);
}

static void connected(struct kafka_client *client)
{
    fetch_next(container_of(client, struct consumer, client));
}

static void broken(struct kafka_client *client)
{
    struct consumer *consumer = container_of(client, struct consumer, client);
    loop_set_timer(client->loop, &consumer->wait, retry_ns);
}

static const struct kafka_client_events client_events = {connected, answered, broken};

static void on_wait(struct timer *timer)
{
    struct consumer *consumer = container_of(timer, struct consumer, wait);
    if (consumer->client.is_usable)
        fetch_next(consumer);
    else if (!consumer->client.is_open)
        kafka_client_connect(&consumer->client);
}

void consumer_start(struct loop *loop, struct client_role *role)
{
    struct consumer *consumer = heap_must_get(loop->heap, MEMORY_STATE, sizeof(*consumer));
    consumer->role = role;
    random_init(&consumer->random, loop_random_seed(loop, 1), 0);
    timer_init(&consumer->wait, on_wait);
    kafka_client_init(&consumer->client, loop, &client_events, role->host, CLIENT_PORT);
    kafka_client_connect(&consumer->client);
}

void client_boot(struct loop *loop, void *role)
{
    struct client_role *own = role;
    if (own->is_rude)
        rude_start(loop, own);
    else if (own->is_producer)
        producer_start(loop, own);
    else
        consumer_start(loop, own);
}
