/*
 * Producers and copiers. A transaction goes through the steps below; what ends it early is a fence
 * (somebody else has the id now, or the coordinator gave up waiting), a crash, or a draw.
 *
 *     TOPICS -> INIT -> (copier: POSITION) -> IDLE
 *     IDLE -> (version 1: ADD) -> PRODUCE each entry -> (copier: ADD_OFFSETS in version 1,
 *     OFFSETS) -> END -> IDLE                         any fence: INIT
 *     a copier in IDLE reads (READ) until there is something to copy
 */
#include <stdio.h>

#include "protocol/batch_builder.h"
#include "tests/sim/transaction_client.h"

enum {
    ENTRIES_MAX = 3,
    VALUES_MAX = 24,
    BODY_SIZE = 16384,
    PRODUCE_VERSION_1 = 7,
    PRODUCE_VERSION_2 = 12,
    END_VERSION_1 = 1,
    END_VERSION_2 = 5,
    OFFSETS_VERSION_1 = 2,
    OFFSETS_VERSION_2 = 5
};

static const uint64_t ms = 1000000;
static const char group[] = "copiers";

enum step {
    STEP_TOPICS,
    STEP_INIT,
    STEP_POSITION,
    STEP_IDLE,
    STEP_READ,
    STEP_ADD,
    STEP_PRODUCE,
    STEP_ADD_OFFSETS,
    STEP_OFFSETS,
    STEP_END
};

/* Of a request. */
struct form {
    enum kafka_api api;
    int16_t version;
    bool is_flexible;
};

struct entry {
    int32_t number; /* partition */
    uint64_t values[VALUES_MAX];
    int32_t count;
    bool is_done;
};

struct producer {
    struct cluster_client cluster;
    struct cluster_witness witness; /* of the request under way */
    struct transaction_role *role;
    struct random_stream random;
    struct timer tick;
    enum step step;
    bool busy;
    bool was_replaced; /* when the request under way was sent (T6) */
    char id[16];
    int64_t producer_id;
    int16_t epoch;
    int32_t sequences[TRANSACTION_PARTITIONS];
    bool is_open; /* a transaction is under way: */
    uint32_t transaction;
    struct entry entries[ENTRIES_MAX];
    unsigned entry_count;
    unsigned at; /* entry being produced */
    bool commits;
    bool end_was_sent;
    int64_t position;      /* copier: where it reads next */
    int64_t next_position; /* behind what it copies now */
};

static struct sim *sim_here(const struct producer *producer)
{
    return sim_of(producer->cluster.loop);
}

static const struct entry *entry_under_way(const struct producer *producer)
{
    return &producer->entries[producer->at];
}

/* ---- Ends ---- */

static void set_outcome(struct producer *producer, enum transaction_outcome outcome)
{
    transaction_history_set(producer->role->history, producer->role->client, producer->transaction,
                            outcome);
}

/* The transaction is left as it is: without a commit it can never be read. */
static void give_up(struct producer *producer)
{
    if (producer->is_open && !(producer->commits && producer->end_was_sent))
        set_outcome(producer, TRANSACTION_ABORTED);
    producer->is_open = false;
    producer->step = STEP_INIT;
}

static void finished(struct producer *producer)
{
    set_outcome(producer, producer->commits ? TRANSACTION_COMMITTED : TRANSACTION_ABORTED);
    if (producer->commits)
        producer->position = producer->next_position;
    producer->is_open = false;
    producer->step = STEP_IDLE;
}

static void abort_next(struct producer *producer)
{
    producer->commits = false;
    producer->step = STEP_END;
}

/* ---- Beginnings ---- */

static void begin(struct producer *producer)
{
    producer->is_open = true;
    producer->end_was_sent = false;
    producer->at = 0;
    producer->commits = producer->role->pauses || !random_chance(&producer->random, 1, 4);
    producer->step = producer->role->is_newer ? STEP_PRODUCE : STEP_ADD;
}

/* Up to three partitions; a copier's output is chosen by what it read. */
static void draw_entries(struct producer *producer)
{
    struct random_stream *random = &producer->random;
    unsigned client = producer->role->client;
    producer->transaction = transaction_history_begin(producer->role->history, client);
    producer->entry_count = 1 + (unsigned)random_below(random, ENTRIES_MAX);
    uint32_t place = 0;
    int32_t first = (int32_t)random_below(random, TRANSACTION_SOURCE_PARTITIONS);
    for (unsigned i = 0; i < producer->entry_count; i++) {
        struct entry *entry = &producer->entries[i];
        *entry = (struct entry){.number = (first + (int32_t)i) % TRANSACTION_SOURCE_PARTITIONS};
        entry->count = 1 + (int32_t)random_below(random, 4);
        for (int32_t k = 0; k < entry->count; k++)
            entry->values[k] = transaction_value(client, producer->transaction, place++);
    }
    transaction_history_entry(producer->role->history, client, producer->transaction)->values =
        place;
}

static void copy_value(void *context, int64_t offset, uint64_t value)
{
    struct producer *producer = context;
    struct entry *entry = &producer->entries[0];
    transaction_history_saw(producer->role->history, 0, offset, value, false);
    if (entry->count == VALUES_MAX)
        return;
    entry->values[entry->count++] = value;
    producer->next_position = offset + 1;
}

static void read_answered(struct producer *producer, struct reader *body)
{
    producer->entries[0] = (struct entry){.number = TRANSACTION_COPY};
    producer->entry_count = 1;
    struct transaction_fetch fetch = {.client = &producer->cluster,
                                      .witness = &producer->witness,
                                      .value = copy_value,
                                      .context = producer};
    transaction_read_fetch(producer->role, 0, producer->position, body, &fetch);
    producer->step = STEP_IDLE;
    if (fetch.error != 0) {
        cluster_client_forget(&producer->cluster, 0);
        return;
    }
    if (producer->entries[0].count < VALUES_MAX)
        producer->next_position = fetch.next_offset;
    if (producer->entries[0].count == 0) {
        producer->position = producer->next_position; /* markers and aborted values only */
        return;
    }
    /* Its own history entry only says how it ended; its values are its source's. */
    producer->transaction =
        transaction_history_begin(producer->role->history, producer->role->client);
    begin(producer);
}

/* ---- Requests ---- */

static void write_name(struct writer *body, bool is_flexible, const char *text)
{
    if (is_flexible)
        kafka_write_compact(body, text);
    else
        kafka_write_string(body, text);
}

static void write_count(struct writer *body, bool is_flexible, int32_t count)
{
    if (is_flexible)
        write_u8(body, (uint8_t)(count + 1));
    else
        write_i32(body, count);
}

static void write_tags(struct writer *body, bool is_flexible)
{
    if (is_flexible)
        write_u8(body, 0);
}

static void write_identity(struct producer *producer, struct writer *body)
{
    write_i64(body, producer->producer_id);
    write_i16(body, producer->epoch);
}

static void write_init(struct producer *producer, struct writer *body)
{
    kafka_write_string(body, producer->id);
    write_i32(body, producer->role->timeout_ms);
}

static void write_position(struct writer *body)
{
    kafka_write_string(body, group);
    write_i32(body, 1);
    kafka_write_string(body, transaction_topic(0));
    write_i32(body, 1);
    write_i32(body, 0);
}

static void write_add(struct producer *producer, struct writer *body)
{
    kafka_write_string(body, producer->id);
    write_identity(producer, body);
    write_i32(body, 1);
    kafka_write_string(body, transaction_topic(producer->entries[0].number));
    write_i32(body, (int32_t)producer->entry_count);
    for (unsigned i = 0; i < producer->entry_count; i++)
        write_i32(body, transaction_partition(producer->entries[i].number));
}

static void write_batch(struct producer *producer, const struct entry *entry, struct writer *body,
                        bool is_flexible)
{
    struct batch_options options = BATCH_OPTIONS_DEFAULT;
    options.transactional = true;
    options.producer_id = producer->producer_id;
    options.producer_epoch = producer->epoch;
    options.base_sequence = producer->sequences[entry->number];
    struct batch_builder builder;
    batch_builder_init(&builder, producer->cluster.loop->heap, 0, &options);
    for (int32_t i = 0; i < entry->count; i++) {
        uint8_t value[64] = {0};
        store_u64(value, entry->values[i]);
        struct batch_record record = {.timestamp_ms = 1700000000000,
                                      .key = view_of(value, 4),
                                      .value = view_of(value, sizeof(value))};
        sim_require(sim_here(producer), batch_builder_append(&builder, &record), "no batch");
    }
    struct view batch;
    sim_require(sim_here(producer), batch_builder_finish(&builder, &batch) == COMPRESSION_OK,
                "no batch");
    if (is_flexible)
        write_uvarint(body, (uint32_t)batch.size + 1);
    else
        write_i32(body, (int32_t)batch.size);
    write_view(body, batch);
    batch_builder_deinit(&builder);
}

static void write_produce(struct producer *producer, struct writer *body)
{
    bool is_flexible = producer->role->is_newer;
    const struct entry *entry = entry_under_way(producer);
    write_name(body, is_flexible, producer->id);
    write_i16(body, -1);
    write_i32(body, 5000);
    write_count(body, is_flexible, 1);
    write_name(body, is_flexible, transaction_topic(entry->number));
    write_count(body, is_flexible, 1);
    write_i32(body, transaction_partition(entry->number));
    write_batch(producer, entry, body, is_flexible);
    for (int i = 0; i < 3; i++)
        write_tags(body, is_flexible);
}

static void write_add_offsets(struct producer *producer, struct writer *body)
{
    kafka_write_string(body, producer->id);
    write_identity(producer, body);
    kafka_write_string(body, group);
}

static void write_offsets(struct producer *producer, struct writer *body)
{
    bool is_flexible = producer->role->is_newer;
    write_name(body, is_flexible, producer->id);
    write_name(body, is_flexible, group);
    write_identity(producer, body);
    if (is_flexible) {
        write_i32(body, -1); /* no generation, member or instance */
        write_name(body, is_flexible, "");
        write_name(body, is_flexible, NULL);
    }
    write_count(body, is_flexible, 1);
    write_name(body, is_flexible, transaction_topic(0));
    write_count(body, is_flexible, 1);
    write_i32(body, 0);
    write_i64(body, producer->next_position);
    write_i32(body, -1); /* leader epoch */
    write_name(body, is_flexible, "");
    for (int i = 0; i < 3; i++)
        write_tags(body, is_flexible);
}

static void write_end(struct producer *producer, struct writer *body)
{
    write_name(body, producer->role->is_newer, producer->id);
    write_identity(producer, body);
    write_u8(body, producer->commits);
    write_tags(body, producer->role->is_newer);
    if (producer->commits && !producer->end_was_sent)
        set_outcome(producer, TRANSACTION_UNKNOWN);
    producer->end_was_sent = true;
}

/* Who is asked in this step. */
static int32_t place_of(const struct producer *producer)
{
    switch (producer->step) {
    case STEP_PRODUCE:
        return entry_under_way(producer)->number;
    case STEP_POSITION:
    case STEP_OFFSETS:
        return CLUSTER_GROUP;
    case STEP_TOPICS:
    case STEP_IDLE:
    case STEP_READ:
        return 0;
    case STEP_INIT:
    case STEP_ADD:
    case STEP_ADD_OFFSETS:
    case STEP_END:
        break;
    }
    return CLUSTER_TRANSACTION;
}

/* The request of the step. */
static struct form write_step(struct producer *producer, struct writer *body)
{
    bool newer = producer->role->is_newer;
    switch (producer->step) {
    case STEP_INIT:
        write_init(producer, body);
        return (struct form){KAFKA_INIT_PRODUCER_ID, 1, false};
    case STEP_POSITION:
        write_position(body);
        return (struct form){KAFKA_OFFSET_FETCH, 5, false};
    case STEP_READ:
        transaction_write_fetch(body, 0, producer->position, 20000, 10);
        return (struct form){KAFKA_FETCH, 4, false};
    case STEP_ADD:
        write_add(producer, body);
        return (struct form){KAFKA_ADD_PARTITIONS_TO_TXN, 1, false};
    case STEP_PRODUCE:
        write_produce(producer, body);
        return (struct form){KAFKA_PRODUCE, newer ? PRODUCE_VERSION_2 : PRODUCE_VERSION_1, newer};
    case STEP_ADD_OFFSETS:
        write_add_offsets(producer, body);
        return (struct form){KAFKA_ADD_OFFSETS_TO_TXN, 1, false};
    case STEP_OFFSETS:
        write_offsets(producer, body);
        return (struct form){KAFKA_TXN_OFFSET_COMMIT, newer ? OFFSETS_VERSION_2 : OFFSETS_VERSION_1,
                             newer};
    case STEP_END:
        write_end(producer, body);
        return (struct form){KAFKA_END_TXN, newer ? END_VERSION_2 : END_VERSION_1, newer};
    case STEP_TOPICS:
    case STEP_IDLE:
        break;
    }
    sim_fail(sim_here(producer), "step %d has no request", (int)producer->step);
}

/* Sends the request of the step, when whom it is for is known and can be reached. */
static void act(struct producer *producer)
{
    const struct transaction_role *role = producer->role;
    if (producer->step == STEP_TOPICS || producer->step == STEP_IDLE)
        return;
    int32_t place = place_of(producer);
    struct kafka_client *link = cluster_client_to_leader(&producer->cluster, place);
    if (!link)
        return;
    struct heap *heap = producer->cluster.loop->heap;
    uint8_t *memory = heap_get(heap, MEMORY_SCRATCH, BODY_SIZE);
    struct writer body = writer_of(memory, BODY_SIZE);
    struct form form = write_step(producer, &body);
    producer->busy = true;
    producer->witness = cluster_client_witness(&producer->cluster, place);
    producer->was_replaced = transaction_history_is_replaced(
        role->history, role->id, producer->producer_id, producer->epoch);
    if (form.is_flexible)
        kafka_client_send_flexible(link, form.api, form.version, &body, NULL);
    else
        kafka_client_send(link, form.api, form.version, &body, NULL);
    heap_put(heap, MEMORY_SCRATCH, memory, BODY_SIZE);
}

/* ---- Answers ---- */

/* What every step has in common; false when the step is over. */
static bool is_handled(struct producer *producer, int16_t error)
{
    switch (error) {
    case 0:
        if (!cluster_client_is_leaders(&producer->cluster, &producer->witness)) {
            /* Somebody else should be asked by now: what this one says may be old. */
            producer->role->history->doubtful++;
            cluster_client_forget(&producer->cluster, producer->witness.place);
            return true;
        }
        sim_require(sim_here(producer), !producer->was_replaced,
                    "T6: client %u, epoch %d, was served in step %d after it was replaced",
                    producer->role->client, producer->epoch, (int)producer->step);
        return false;
    case 3: /* not there yet, and other things that pass */
    case 5:
    case 6:
    case 7:
    case 14:
    case 15:
    case 16:
    case 19:
    case 20:
    case 51:
    case 56:
        if (error != 51)
            cluster_client_forget(&producer->cluster, producer->witness.place);
        return true;
    case 45:  /* lost its place when the broker was started anew */
    case 48:  /* the coordinator has ended it */
    case 120: /* abortable */
        /* Of version 2 the epoch would be over, too, and say so. */
        sim_require(sim_here(producer),
                    error != 48 || !producer->role->is_newer || producer->step == STEP_END,
                    "client %u, step %d: the transaction is said not to be open",
                    producer->role->client, (int)producer->step);
        if (producer->step == STEP_END)
            give_up(producer);
        else
            abort_next(producer);
        return true;
    case 47: /* fenced */
    case 49:
    case 90:
        producer->role->history->fenced++;
        give_up(producer);
        return true;
    default:
        sim_fail(sim_here(producer), "client %u, step %d: error %d", producer->role->client,
                 (int)producer->step, error);
    }
}

static void init_answered(struct producer *producer, struct reader *body)
{
    read_i32(body);
    int16_t error = read_i16(body);
    int64_t producer_id = read_i64(body);
    int16_t epoch = read_i16(body);
    producer->was_replaced = false; /* it asks without an identity */
    if (is_handled(producer, error))
        return;
    producer->producer_id = producer_id;
    producer->epoch = epoch;
    memset(producer->sequences, 0, sizeof(producer->sequences));
    transaction_history_identity(producer->role->history, producer->role->id, producer_id, epoch);
    producer->step = producer->role->kind == TRANSACTION_COPIER ? STEP_POSITION : STEP_IDLE;
}

static void position_answered(struct producer *producer, struct reader *body)
{
    read_i32(body);
    int64_t offset = -1;
    int16_t error = 0;
    if (read_i32(body) == 1) {
        kafka_skip_string(body);
        sim_require(sim_here(producer), read_i32(body) == 1, "offsets of other partitions");
        read_i32(body);
        offset = read_i64(body);
        read_i32(body);
        kafka_skip_string(body);
        error = read_i16(body);
    }
    int16_t whole = read_i16(body);
    producer->was_replaced = false; /* reading is open to everybody */
    if (is_handled(producer, whole ? whole : error))
        return;
    producer->position = producer->next_position = offset < 0 ? 0 : offset;
    producer->step = STEP_IDLE;
}

/* A list of topics of partitions with an error each: the first error. */
static int16_t read_errors(struct reader *body)
{
    int16_t error = 0;
    for (int32_t topics = read_i32(body); topics > 0 && !body->failed; topics--) {
        kafka_skip_string(body);
        for (int32_t left = read_i32(body); left > 0 && !body->failed; left--) {
            read_i32(body);
            int16_t one = read_i16(body);
            /* 55: another one of the request was refused, which tells the reason. */
            error = error == 0 || error == 55 ? one : error;
        }
    }
    return error;
}

static int16_t read_errors_compact(struct reader *body)
{
    int16_t error = 0;
    for (int32_t topics = kafka_read_compact_count(body); topics > 0 && !body->failed; topics--) {
        kafka_skip_compact(body);
        for (int32_t left = kafka_read_compact_count(body); left > 0 && !body->failed; left--) {
            read_i32(body);
            int16_t one = read_i16(body);
            error = error == 0 ? one : error;
            kafka_skip_tags(body);
        }
        kafka_skip_tags(body);
    }
    return error;
}

static void produce_answered(struct producer *producer, struct reader *body)
{
    bool newer = producer->role->is_newer;
    int32_t topics = newer ? kafka_read_compact_count(body) : read_i32(body);
    sim_require(sim_here(producer), topics == 1, "an answer with another topic count");
    if (newer)
        kafka_skip_compact(body);
    else
        kafka_skip_string(body);
    int32_t count = newer ? kafka_read_compact_count(body) : read_i32(body);
    sim_require(sim_here(producer), count == 1, "an answer with another partition count");
    read_i32(body);
    if (is_handled(producer, read_i16(body)))
        return;
    struct entry *entry = &producer->entries[producer->at];
    producer->sequences[entry->number] += entry->count;
    entry->is_done = true;
    if (++producer->at < producer->entry_count)
        return;
    bool copies = producer->role->kind == TRANSACTION_COPIER;
    producer->step = !copies ? STEP_END : newer ? STEP_OFFSETS : STEP_ADD_OFFSETS;
    if (!producer->commits)
        producer->step = STEP_END;
}

static void end_answered(struct producer *producer, struct reader *body)
{
    read_i32(body);
    int16_t error = read_i16(body);
    if (producer->role->is_newer && error == 0) {
        producer->producer_id = read_i64(body);
        producer->epoch = read_i16(body);
        memset(producer->sequences, 0, sizeof(producer->sequences));
    }
    if (is_handled(producer, error))
        return;
    if (producer->role->is_newer)
        transaction_history_identity(producer->role->history, producer->role->id,
                                     producer->producer_id, producer->epoch);
    finished(producer);
}

static void answered(struct cluster_client *client, int32_t node, enum kafka_api api, void *context,
                     struct reader *body)
{
    struct producer *producer = container_of(client, struct producer, cluster);
    (void)context;
    (void)node;
    producer->busy = false;
    switch (producer->step) {
    case STEP_INIT:
        init_answered(producer, body);
        break;
    case STEP_POSITION:
        position_answered(producer, body);
        break;
    case STEP_TOPICS:
    case STEP_IDLE:
        sim_fail(sim_here(producer), "an answer that nobody asked for");
    case STEP_READ:
        read_answered(producer, body);
        break;
    case STEP_ADD:
        read_i32(body);
        if (!is_handled(producer, read_errors(body)))
            producer->step = STEP_PRODUCE;
        break;
    case STEP_PRODUCE:
        produce_answered(producer, body);
        break;
    case STEP_ADD_OFFSETS:
        read_i32(body);
        if (!is_handled(producer, read_i16(body)))
            producer->step = STEP_OFFSETS;
        break;
    case STEP_OFFSETS:
        read_i32(body);
        if (!is_handled(producer,
                        producer->role->is_newer ? read_errors_compact(body) : read_errors(body)))
            producer->step = STEP_END;
        break;
    case STEP_END:
        end_answered(producer, body);
        break;
    }
    sim_require(sim_here(producer), !body->failed, "a malformed answer to API %d", (int)api);
}

/* ---- Life ---- */

static void crash(struct producer *producer)
{
    cluster_client_drop_all(&producer->cluster);
    producer->busy = false;
    if (producer->step > STEP_INIT)
        give_up(producer);
}

/* True when it is silent for a while. */
static bool misbehave(struct producer *producer)
{
    struct random_stream *random = &producer->random;
    if (producer->role->pauses || !random_chance(random, 1, 80))
        return false;
    if (random_chance(random, 1, 2)) {
        crash(producer);
        return false;
    }
    /* Longer than its transaction may last, perhaps. */
    loop_set_timer(producer->cluster.loop, &producer->tick,
                   random_below(random, (uint64_t)producer->role->timeout_ms * 2 * ms));
    return true;
}

static void go_on(struct producer *producer)
{
    if (producer->step == STEP_TOPICS && cluster_client_has_topics(&producer->cluster))
        producer->step = STEP_INIT;
    if (producer->step == STEP_IDLE) {
        if (producer->role->kind == TRANSACTION_COPIER) {
            producer->step = STEP_READ;
        } else if (!producer->role->pauses) {
            draw_entries(producer);
            begin(producer);
        }
    }
    producer->role->is_idle = producer->step == STEP_IDLE || producer->step == STEP_READ;
    producer->role->positions[0] = producer->position;
    act(producer);
}

static void on_tick(struct timer *timer)
{
    struct producer *producer = container_of(timer, struct producer, tick);
    if (producer->role->is_retired) {
        crash(producer);
        producer->role->is_idle = true;
        return;
    }
    if (misbehave(producer))
        return;
    if (!producer->busy)
        go_on(producer);
    loop_set_timer(producer->cluster.loop, &producer->tick,
                   ms + random_below(&producer->random, producer->role->pace_ns));
}

static void broken(struct cluster_client *client, int32_t node)
{
    struct producer *producer = container_of(client, struct producer, cluster);
    if (producer->busy && producer->witness.node == node)
        producer->busy = false;
}

static const struct cluster_client_events client_events = {answered, broken, NULL};

void transaction_producer_start(struct loop *loop, struct transaction_role *role)
{
    struct producer *producer = heap_must_get(loop->heap, MEMORY_STATE, sizeof(*producer));
    producer->role = role;
    producer->producer_id = -1;
    snprintf(producer->id, sizeof(producer->id), "t%u", role->id);
    random_init(&producer->random, loop_random_seed(loop, 1), 0);
    timer_init(&producer->tick, on_tick);
    role->links.group = group;
    role->links.transactional_id = producer->id;
    cluster_client_init(&producer->cluster, loop, &client_events, &role->links);
    loop_set_timer(loop, &producer->tick, random_below(&producer->random, 100 * ms));
}
