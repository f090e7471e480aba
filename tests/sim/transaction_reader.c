/*
 * Reading at read_committed as clients do it: batches of an aborted transaction are those of its
 * producer between the first offset that the answer names and its marker.
 */
#include <assert.h>

#include "protocol/batch.h"
#include "protocol/control_record.h"
#include "protocol/record.h"
#include "tests/sim/transaction_client.h"

enum { ABORTED_MAX = 256 };

static_assert((int)TRANSACTION_COPY == (int)CLUSTER_SECOND,
              "partitions have the numbers of places");

static const uint64_t ms = 1000000;

const char *transaction_topic(int32_t number)
{
    return number == TRANSACTION_COPY ? "copy" : "sim";
}

void transaction_write_fetch(struct writer *body, int32_t number, int64_t offset, int32_t max_bytes,
                             int32_t wait_ms)
{
    write_i32(body, -1); /* not a replica */
    write_i32(body, wait_ms);
    write_i32(body, 1);
    write_i32(body, 1 << 20);
    write_i8(body, 1); /* read_committed */
    write_i32(body, 1);
    kafka_write_string(body, transaction_topic(number));
    write_i32(body, 1);
    write_i32(body, transaction_partition(number));
    write_i64(body, offset);
    write_i32(body, max_bytes);
}

/* ---- One answer ---- */

struct aborted_list {
    struct {
        int64_t producer_id;
        int64_t first_offset;
        bool is_over;
    } entries[ABORTED_MAX];
    int32_t count;
};

static bool is_aborted(const struct aborted_list *aborted, const uint8_t *batch)
{
    for (int32_t i = 0; i < aborted->count; i++)
        if (!aborted->entries[i].is_over &&
            aborted->entries[i].producer_id == batch_producer_id(batch) &&
            aborted->entries[i].first_offset <= batch_base_offset(batch))
            return true;
    return false;
}

/* An abort marker ends the transaction of its producer that stands in the list. */
static void pass_marker(struct aborted_list *aborted, struct view batch)
{
    struct control_marker marker;
    if (!control_record_parse_marker(batch, &marker) || marker.commit)
        return;
    for (int32_t i = 0; i < aborted->count; i++) {
        if (!aborted->entries[i].is_over && aborted->entries[i].producer_id == marker.producer_id &&
            aborted->entries[i].first_offset <= batch_base_offset(batch.data)) {
            aborted->entries[i].is_over = true;
            return;
        }
    }
}

static void take_records(struct transaction_history *history, struct view batch, int64_t offset,
                         const struct transaction_fetch *fetch)
{
    struct record_cursor cursor;
    record_cursor_init(&cursor,
                       view_of(batch.data + BATCH_HEADER_SIZE, batch.size - BATCH_HEADER_SIZE),
                       batch_record_count(batch.data));
    struct record record;
    while (record_cursor_next(&cursor, &record) == RECORD_OK) {
        int64_t at = batch_base_offset(batch.data) + record.offset_delta;
        sim_require(history->sim, record.value.size >= 8, "a record without its value");
        if (at >= offset)
            fetch->value(fetch->context, at, load_u64(record.value.data));
    }
}

bool transaction_fetch_is_passing(int16_t error)
{
    return error == 3 || error == 5 || error == 6 || error == 56;
}

/*
 * What a leader tells to be stable never falls. The next one may have to be told first what is
 * committed; until then it shows less, as in Apache Kafka.
 */
static void note_stable(struct transaction_role *role, const struct transaction_fetch *fetch,
                        int32_t number, int64_t last_stable, int64_t watermark)
{
    int32_t epoch = fetch->is_leaders ? fetch->witness->standing.epoch : -1;
    if (!fetch->is_leaders || role->stable_epoch[number] != epoch)
        role->stable[number] = 0;
    role->stable_epoch[number] = epoch;
    transaction_history_stable(role->history, number, last_stable, watermark,
                               &role->stable[number]);
}

void transaction_read_fetch(struct transaction_role *role, int32_t number, int64_t offset,
                            struct reader *body, struct transaction_fetch *fetch)
{
    struct transaction_history *history = role->history;
    struct sim *sim = history->sim;
    read_i32(body); /* throttle */
    sim_require(sim, read_i32(body) == 1, "a fetch answer with another topic count");
    kafka_skip_string(body);
    sim_require(sim, read_i32(body) == 1, "a fetch answer with another partition count");
    read_i32(body);
    fetch->error = read_i16(body);
    int64_t watermark = read_i64(body);
    int64_t last_stable = read_i64(body);
    struct aborted_list aborted = {.count = read_i32(body)};
    sim_require(sim, aborted.count <= ABORTED_MAX, "%d aborted transactions", aborted.count);
    for (int32_t i = 0; i < aborted.count; i++) {
        aborted.entries[i].producer_id = read_i64(body);
        aborted.entries[i].first_offset = read_i64(body);
    }
    int32_t size = read_i32(body);
    const uint8_t *bytes = size > 0 ? reader_take(body, (size_t)size) : NULL;
    fetch->next_offset = offset;
    fetch->is_leaders =
        fetch->error == 0 && cluster_client_is_leaders(fetch->client, fetch->witness);
    if (fetch->error != 0)
        return;
    note_stable(role, fetch, number, last_stable, watermark);
    struct view rest = view_of(bytes, bytes ? (size_t)size : 0);
    struct view batch;
    while (rest.size > 0 && batch_next(&rest, &batch) == BATCH_OK) {
        sim_require(sim, batch_last_offset(batch.data) < last_stable,
                    "T7: partition %d: a batch up to %lld above the stable offset %lld", number,
                    (long long)batch_last_offset(batch.data), (long long)last_stable);
        if (batch_is_control(batch.data))
            pass_marker(&aborted, batch);
        else if (!batch_is_transactional(batch.data) || !is_aborted(&aborted, batch.data))
            take_records(history, batch, offset, fetch);
        fetch->next_offset = batch_last_offset(batch.data) + 1;
    }
}

/* ---- The reader ---- */

struct transaction_reader {
    struct cluster_client cluster;
    struct cluster_witness witness; /* of the request under way */
    struct transaction_role *role;
    struct random_stream random;
    struct timer tick;
    int32_t number; /* partition being read */
    bool busy;
    bool is_whole; /* this round found nothing new so far */
};

static void reader_value(void *context, int64_t offset, uint64_t value)
{
    struct transaction_reader *reader = context;
    transaction_history_saw(reader->role->history, reader->number, offset, value,
                            reader->role->notes);
}

static void reader_answered(struct cluster_client *client, int32_t node, enum kafka_api api,
                            void *context, struct reader *body)
{
    struct transaction_reader *reader = container_of(client, struct transaction_reader, cluster);
    struct transaction_role *role = reader->role;
    (void)api;
    (void)context;
    (void)node;
    reader->busy = false;
    struct transaction_fetch fetch = {
        .client = client, .witness = &reader->witness, .value = reader_value, .context = reader};
    int64_t *position = &role->positions[reader->number];
    transaction_read_fetch(role, reader->number, *position, body, &fetch);
    sim_require(role->history->sim, fetch.error == 0 || transaction_fetch_is_passing(fetch.error),
                "reading partition %d fails with %d", reader->number, fetch.error);
    if (!fetch.is_leaders)
        cluster_client_forget(client, reader->number);
    if (!fetch.is_leaders || fetch.next_offset != *position)
        reader->is_whole = false;
    *position = fetch.next_offset;
    if (fetch.error == 0 && *position < role->stable[reader->number])
        return; /* the same partition goes on */
    reader->number = (reader->number + 1) % TRANSACTION_PARTITIONS;
    if (reader->number == 0) {
        role->rounds += reader->is_whole;
        reader->is_whole = true;
    }
}

static void reader_broken(struct cluster_client *client, int32_t node)
{
    struct transaction_reader *reader = container_of(client, struct transaction_reader, cluster);
    if (!reader->busy || reader->witness.node != node)
        return;
    reader->busy = reader->is_whole = false;
    cluster_client_forget(client, reader->number);
}

static const struct cluster_client_events reader_events = {reader_answered, reader_broken, NULL};

static void reader_ask(struct transaction_reader *reader)
{
    struct kafka_client *link = cluster_client_to_leader(&reader->cluster, reader->number);
    if (!link)
        return;
    uint8_t memory[128];
    struct writer body = writer_of(memory, sizeof(memory));
    transaction_write_fetch(&body, reader->number, reader->role->positions[reader->number],
                            1 + (int32_t)random_below(&reader->random, 50000), 10);
    kafka_client_send(link, KAFKA_FETCH, 4, &body, NULL);
    reader->witness = cluster_client_witness(&reader->cluster, reader->number);
    reader->busy = true;
}

static void reader_tick(struct timer *timer)
{
    struct transaction_reader *reader = container_of(timer, struct transaction_reader, tick);
    if (!reader->busy)
        reader_ask(reader);
    loop_set_timer(reader->cluster.loop, &reader->tick,
                   ms + random_below(&reader->random, 20 * ms));
}

void transaction_reader_start(struct loop *loop, struct transaction_role *role)
{
    struct transaction_reader *reader = heap_must_get(loop->heap, MEMORY_STATE, sizeof(*reader));
    reader->role = role;
    random_init(&reader->random, loop_random_seed(loop, 1), 0);
    timer_init(&reader->tick, reader_tick);
    cluster_client_init(&reader->cluster, loop, &reader_events, &role->links);
    reader_tick(&reader->tick);
}

void transaction_client_boot(struct loop *loop, void *argument)
{
    struct transaction_role *role = argument;
    if (role->kind == TRANSACTION_READER)
        transaction_reader_start(loop, role);
    else
        transaction_producer_start(loop, role);
}
