/*
 * The client is a simulated node of its own. It looks every millisecond whether the test has a
 * request for it; the test runs the simulator until the answer is there.
 */
#include "tests/unit/broker/broker_fixture.h"

#include "broker/control.h"
#include "broker/shard.h"
#include "protocol/batch_builder.h"
#include "protocol/messages/create_topics.h"
#include "tests/sim/kafka_client.h"

static const uint64_t poll_ns = 1000000;
static const uint64_t moment_ns = 100 * 1000000;
static const uint64_t limit_ns = UINT64_C(60) * 1000000000;

/* In the broker's memory. */
struct fixture_process {
    struct broker broker;
    struct control control;
    struct shard shards[FIXTURE_SHARDS + 1];
};

/* In the client's memory. */
struct fixture_client {
    struct kafka_client client;
    struct broker_fixture *fixture;
    struct timer poll;
};

/* ---- The broker ---- */

static void node_ready(void *self)
{
    ((struct broker_fixture *)self)->is_ready = true;
}

static void node_ended(void *self, int status)
{
    struct broker_fixture *fixture = self;
    sim_node_stop(fixture->process->control.loop, status);
}

static void broker_boot(struct loop *loop, void *argument)
{
    struct broker_fixture *fixture = argument;
    if (!fixture->process) {
        fixture->process = heap_must_get(loop->heap, MEMORY_STATE, sizeof(*fixture->process));
        fixture->process->broker = (struct broker){.config = &fixture->config,
                                                   .diagnostics = loop->diagnostics,
                                                   .shard_count = FIXTURE_SHARDS,
                                                   .request_memory = 16 * 1024 * 1024,
                                                   .open_files_limit = 64,
                                                   .coordinator_kinds = fixture->coordinator_kinds,
                                                   .control = &fixture->process->control};
    }
    struct fixture_process *process = fixture->process;
    if (loop->index > 0) {
        shard_boot(&process->shards[loop->index], &process->broker, loop);
        return;
    }
    struct control_host host = {.ready = node_ready, .ended = node_ended, .self = fixture};
    control_boot(&process->control, &process->broker, loop, host);
}

static void broker_stop(struct loop *control)
{
    control_stop(control->owner);
}

static void build_config(struct broker_fixture *fixture, const char *const *settings, size_t count)
{
    static const char *const own[] = {"log.dirs=/data", "klamm.shards=2"};
    size_t total = count + sizeof(own) / sizeof(own[0]);
    struct view *overrides = broker_fixture_get(fixture, total, sizeof(*overrides));
    for (size_t i = 0; i < total; i++)
        overrides[i] = view_of_string(i < total - count ? own[i] : settings[i - (total - count)]);
    struct server_config_input input = {.overrides = overrides, .override_count = total};
    struct config_report report = {0};
    assert_true(server_config_build(&fixture->config, &input, &report, &fixture->arena));
}

/* ---- The client ---- */

static void client_connected(struct kafka_client *client)
{
    (void)client;
}

static void client_answered(struct kafka_client *client, enum kafka_api api, void *context,
                            struct reader *body)
{
    struct fixture_client *own = container_of(client, struct fixture_client, client);
    struct broker_fixture *fixture = own->fixture;
    (void)api;
    (void)context;
    size_t size = reader_left(body);
    fixture->answer = arena_copy(&fixture->arena, view_of(reader_take(body, size), size));
    fixture->state = FIXTURE_ANSWERED;
}

static void client_broken(struct kafka_client *client)
{
    struct fixture_client *own = container_of(client, struct fixture_client, client);
    if (own->fixture->state == FIXTURE_SENT)
        own->fixture->state = FIXTURE_CLOSED;
}

static const struct kafka_client_events client_events = {client_connected, client_answered,
                                                         client_broken};

static void client_poll(struct timer *timer)
{
    struct fixture_client *own = container_of(timer, struct fixture_client, poll);
    struct broker_fixture *fixture = own->fixture;
    loop_set_timer(own->client.loop, timer, poll_ns);
    if (fixture->hangs_up) {
        fixture->hangs_up = false;
        fixture->state = FIXTURE_CLOSED;
        kafka_client_drop(&own->client);
        return;
    }
    if (fixture->is_ready && !own->client.is_open) {
        own->client.port = fixture->port;
        kafka_client_connect(&own->client);
    }
    if (fixture->state != FIXTURE_ASKED || !own->client.is_usable)
        return;
    struct writer body =
        writer_of((uint8_t *)(uintptr_t)fixture->request.data, fixture->request.size);
    body.size = fixture->request.size;
    fixture->state = FIXTURE_SENT;
    kafka_client_send(&own->client, (enum kafka_api)fixture->info->key, fixture->version, &body,
                      NULL);
}

static void client_boot(struct loop *loop, void *argument)
{
    struct fixture_client *own = heap_must_get(loop->heap, MEMORY_STATE, sizeof(*own));
    own->fixture = argument;
    kafka_client_init(&own->client, loop, &client_events, "node-0", own->fixture->port);
    timer_init(&own->poll, client_poll);
    loop_set_timer(loop, &own->poll, poll_ns);
}

/* ---- The test's side ---- */

static bool is_ready(void *context)
{
    return ((const struct broker_fixture *)context)->is_ready;
}

static bool is_over(void *context)
{
    const struct broker_fixture *fixture = context;
    return fixture->state == FIXTURE_ANSWERED || fixture->state == FIXTURE_CLOSED;
}

void broker_fixture_init(struct broker_fixture *fixture, const char *const *settings, size_t count)
{
    broker_fixture_init_kinds(fixture, NULL, settings, count);
}

void broker_fixture_init_kinds(struct broker_fixture *fixture,
                               const struct coordinator_kind *const *kinds,
                               const char *const *settings, size_t count)
{
    *fixture =
        (struct broker_fixture){.sim = sim_create(1), .coordinator_kinds = kinds, .port = 9092};
    heap_init_plain(&fixture->heap);
    arena_init(&fixture->arena, &fixture->heap, MEMORY_SCRATCH, 0);
    build_config(fixture, settings, count);
    fixture->node =
        sim_add_node(fixture->sim, &(struct sim_node_spec){.loops = FIXTURE_SHARDS + 1,
                                                           .boot = broker_boot,
                                                           .stop_requested = broker_stop,
                                                           .argument = fixture});
    unsigned client =
        sim_add_node(fixture->sim,
                     &(struct sim_node_spec){.loops = 1, .boot = client_boot, .argument = fixture});
    sim_start(fixture->sim, fixture->node);
    sim_start(fixture->sim, client);
    assert_true(sim_run_to(fixture->sim, is_ready, fixture, limit_ns));
}

void broker_fixture_deinit(struct broker_fixture *fixture)
{
    sim_destroy(fixture->sim);
    arena_deinit(&fixture->arena);
}

void broker_fixture_add_client(struct broker_fixture *second, const struct broker_fixture *first)
{
    *second = (struct broker_fixture){.sim = first->sim,
                                      .node = first->node,
                                      .process = first->process,
                                      .is_ready = true,
                                      .port = first->port};
    heap_init_plain(&second->heap);
    arena_init(&second->arena, &second->heap, MEMORY_SCRATCH, 0);
    sim_start(second->sim,
              sim_add_node(second->sim, &(struct sim_node_spec){
                                            .loops = 1, .boot = client_boot, .argument = second}));
}

void broker_fixture_drop_client(struct broker_fixture *second)
{
    broker_fixture_hang_up(second);
    second->is_ready = false; /* it does not come back */
    arena_deinit(&second->arena);
}

void broker_fixture_restart(struct broker_fixture *fixture)
{
    sim_power_cut(fixture->sim, fixture->node);
    fixture->process = NULL;
    fixture->is_ready = false;
    sim_start(fixture->sim, fixture->node);
    assert_true(sim_run_to(fixture->sim, is_ready, fixture, sim_now_ns(fixture->sim) + limit_ns));
}

struct shard *broker_fixture_shard(struct broker_fixture *fixture, unsigned index)
{
    return &fixture->process->shards[index];
}

void *broker_fixture_get(struct broker_fixture *fixture, size_t count, size_t size)
{
    void *memory = arena_get_array(&fixture->arena, count ? count : 1, size);
    assert_non_null(memory);
    return memory;
}

/* A flexible header ends with a count of tagged fields, which is none. */
static struct view with_header_tags(struct broker_fixture *fixture, struct view body)
{
    bool has_tags = api_info_request_header_version(fixture->info, fixture->version) >= 2;
    uint8_t *bytes = broker_fixture_get(fixture, body.size + has_tags, 1);
    if (body.size)
        memcpy(bytes + has_tags, body.data, body.size);
    return view_of(bytes, body.size + has_tags);
}

static void begin_request(struct broker_fixture *fixture, int16_t key, int16_t version,
                          struct view body)
{
    fixture->info = api_info_find(key);
    fixture->version = version;
    fixture->request = with_header_tags(fixture, body);
    fixture->state = FIXTURE_ASKED;
}

void broker_fixture_send(struct broker_fixture *fixture, int16_t key, int16_t version,
                         struct view body)
{
    begin_request(fixture, key, version, body);
    sim_run_until(fixture->sim, sim_now_ns(fixture->sim) + moment_ns);
    assert_int_not_equal(fixture->state, FIXTURE_ASKED);
}

struct view broker_fixture_await(struct broker_fixture *fixture)
{
    bool over = sim_run_to(fixture->sim, is_over, fixture, sim_now_ns(fixture->sim) + limit_ns);
    assert_true(over);
    if (fixture->state == FIXTURE_CLOSED)
        return VIEW_NULL;
    size_t tags = api_info_response_header_version(fixture->info, fixture->version) > 0;
    return view_of(fixture->answer.data + tags, fixture->answer.size - tags);
}

struct view broker_fixture_exchange(struct broker_fixture *fixture, int16_t key, int16_t version,
                                    struct view body)
{
    begin_request(fixture, key, version, body);
    return broker_fixture_await(fixture);
}

void broker_fixture_hang_up(struct broker_fixture *fixture)
{
    fixture->hangs_up = true;
    sim_run_until(fixture->sim, sim_now_ns(fixture->sim) + moment_ns);
    assert_false(fixture->hangs_up);
}

void broker_fixture_use_port(struct broker_fixture *fixture, uint16_t port)
{
    fixture->port = port;
    broker_fixture_hang_up(fixture);
}

void broker_fixture_begin_stop(struct broker_fixture *fixture)
{
    fixture->is_ready = false; /* the client does not come back */
    sim_stop(fixture->sim, fixture->node);
}

static bool is_down(void *context)
{
    const struct broker_fixture *fixture = context;
    return !sim_is_running(fixture->sim, fixture->node);
}

int broker_fixture_await_stop(struct broker_fixture *fixture)
{
    bool down = sim_run_to(fixture->sim, is_down, fixture, sim_now_ns(fixture->sim) + limit_ns);
    assert_true(down);
    return sim_exit_status(fixture->sim, fixture->node);
}

/* ---- What many tests need first ---- */

BROKER_FIXTURE_CALL(create_topics, API_KEY_CREATE_TOPICS)
BROKER_FIXTURE_CALL(produce, API_KEY_PRODUCE)

void broker_fixture_create_topic(struct broker_fixture *fixture, const char *name,
                                 int32_t partitions, const char *setting, const char *value)
{
    struct create_topics_request_creatable_topic_config config = {0};
    struct create_topics_request_creatable_topic topic;
    struct create_topics_request request;
    struct create_topics_response response;
    create_topics_request_init(&request);
    create_topics_request_creatable_topic_init(&topic);
    topic.name = view_of_string(name);
    topic.num_partitions = partitions;
    topic.replication_factor = 1;
    if (setting) {
        config.name = view_of_string(setting);
        config.value = view_of_string(value);
        topic.configs = &config;
        topic.configs_count = 1;
    }
    request.topics = &topic;
    request.topics_count = 1;
    call_create_topics(fixture, 7, &request, &response);
    assert_int_equal(response.topics_count, 1);
    assert_int_equal(response.topics[0].error_code, KAFKA_ERROR_NONE);
}

struct produce_response_partition_produce_response
broker_fixture_send_batch(struct broker_fixture *fixture, int16_t version,
                          const struct fixture_batch *batch)
{
    struct produce_request_partition_produce_data data;
    struct produce_request_topic_produce_data topic;
    struct produce_request request;
    struct produce_response response;
    produce_request_init(&request);
    produce_request_topic_produce_data_init(&topic);
    produce_request_partition_produce_data_init(&data);
    data.index = batch->partition;
    data.records.memory = batch->bytes;
    topic.name = view_of_string(batch->topic);
    topic.partition_data = &data;
    topic.partition_data_count = 1;
    request.transactional_id =
        batch->transactional_id ? view_of_string(batch->transactional_id) : VIEW_NULL;
    request.acks = -1;
    request.timeout_ms = 10000;
    request.topic_data = &topic;
    request.topic_data_count = 1;
    call_produce(fixture, version, &request, &response);
    return response.responses[0].partition_responses[0];
}

static int64_t produce_batch(struct broker_fixture *fixture, const char *topic, int32_t partition,
                             const struct batch_options *options, int32_t count,
                             int64_t timestamp_ms)
{
    struct batch_builder builder;
    batch_builder_init(&builder, &fixture->heap, 0, options);
    for (int32_t i = 0; i < count; i++) {
        struct batch_record record = {.timestamp_ms = timestamp_ms + i,
                                      .key = VIEW_LITERAL("key"),
                                      .value = VIEW_LITERAL("value")};
        assert_true(batch_builder_append(&builder, &record));
    }
    struct fixture_batch batch = {.topic = topic, .partition = partition};
    assert_int_equal(batch_builder_finish(&builder, &batch.bytes), COMPRESSION_OK);
    struct produce_response_partition_produce_response answer =
        broker_fixture_send_batch(fixture, 9, &batch);
    batch_builder_deinit(&builder);
    assert_int_equal(answer.error_code, KAFKA_ERROR_NONE);
    return answer.base_offset;
}

int64_t broker_fixture_produce(struct broker_fixture *fixture, const char *topic, int32_t partition,
                               int32_t count, int64_t timestamp_ms)
{
    struct batch_options options = BATCH_OPTIONS_DEFAULT;
    return produce_batch(fixture, topic, partition, &options, count, timestamp_ms);
}

int64_t broker_fixture_produce_as(struct broker_fixture *fixture, const char *topic,
                                  int32_t partition, int32_t count, int64_t producer_id,
                                  int32_t sequence)
{
    struct batch_options options = BATCH_OPTIONS_DEFAULT;
    options.producer_id = producer_id;
    options.producer_epoch = 0;
    options.base_sequence = sequence;
    return produce_batch(fixture, topic, partition, &options, count, 1000);
}
