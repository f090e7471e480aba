/* See the header. */
#include "tests/unit/cluster/controller_fixture.h"

#include <stdarg.h>
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

#include "cluster/controller/create_topics.h"

#define DIRECTORY "/data"

static void show(struct image_update *update, struct loop *shard)
{
    (void)shard;
    image_update_shown(update);
}

static void on_ready(void *owner)
{
    ((struct fixture *)owner)->is_ready = true;
}

static void on_failed(void *owner, const char *text)
{
    struct fixture *fixture = owner;
    snprintf(fixture->failure, sizeof(fixture->failure), "%s", text);
}

static void on_closed(void *owner, bool clean)
{
    struct fixture *fixture = owner;
    fixture->is_closed = true;
    fixture->is_clean = clean;
}

static const struct controller_events events = {
    .ready = on_ready, .failed = on_failed, .closed = on_closed};

/* A block of the node's memory: a crash drops them all. */
struct block {
    struct list link;
    _Alignas(16) uint8_t data[];
};

static void *block_get(struct heap *heap, size_t size)
{
    struct list *blocks = heap->backend;
    struct block *block = malloc(sizeof(*block) + size);
    assert_non_null(block);
    list_push_back(blocks, &block->link);
    return block->data;
}

static void block_put(struct heap *heap, void *data, size_t size)
{
    (void)heap;
    (void)size;
    struct block *block = container_of(data, struct block, data);
    list_remove(&block->link);
    free(block);
}

static void take_over_memory(struct fixture *fixture)
{
    list_init(&fixture->blocks);
    for (unsigned i = 0; i < MEMORY_NODE_LOOPS; i++)
        fixture->node.loops[i].heap =
            (struct heap){.get = block_get, .put = block_put, .backend = &fixture->blocks};
}

/* What was under way is gone: memory, timers, messages, deferred work. */
static void drop_memory(struct fixture *fixture)
{
    struct list *link;
    while ((link = list_pop_front(&fixture->blocks)) != NULL)
        free(container_of(link, struct block, link));
    take_over_memory(fixture);
    for (unsigned i = 0; i < MEMORY_NODE_LOOPS; i++) {
        struct memory_loop *at = &fixture->node.loops[i];
        struct loop old = at->loop;
        loop_init(&at->loop, i, old.count, &at->heap, old.storage, old.transport, old.host,
                  old.diagnostics);
        loop_turn_begin(&at->loop, old.now_ns, old.wall_ms);
        at->first_message = NULL;
        at->last_message = &at->first_message;
    }
}

static void make_config(struct fixture *fixture, const struct view *overrides, size_t count)
{
    struct config_report report = {0};
    struct server_config_input input = {.overrides = overrides, .override_count = count};
    assert_true(server_config_build(&fixture->config, &input, &report, &fixture->arena));
}

void fixture_init(struct fixture *fixture)
{
    fixture_init_with(fixture, NULL, 0);
}

void fixture_init_with(struct fixture *fixture, const struct view *overrides, size_t count)
{
    memset(fixture, 0, sizeof(*fixture));
    memory_node_init(&fixture->node);
    take_over_memory(fixture);
    memory_node_make_directory(&fixture->node, DIRECTORY);
    heap_init_plain(&fixture->heap);
    arena_init(&fixture->arena, &fixture->heap, MEMORY_SCRATCH, 0);
    make_config(fixture, overrides, count);
    fixture->directory_id = uuid_of_halves(0x1122334455667788, 0x8877665544332211);
    fixture->listener = (struct broker_registration_request_listener){
        VIEW_LITERAL("PLAINTEXT"), VIEW_LITERAL("localhost"), 9092, 0};
    broker_registration_request_init(&fixture->registration);
    fixture->registration.broker_id = fixture->config.node_id;
    fixture->cluster_id = VIEW_LITERAL("cluster");
    fixture->registration.listeners = &fixture->listener;
    fixture->registration.listeners_count = 1;
    fixture->registration.log_dirs = &fixture->directory_id;
    fixture->registration.log_dirs_count = 1;
}

void fixture_deinit(struct fixture *fixture)
{
    arena_deinit(&fixture->arena);
    for (size_t i = 0; i < MEMORY_CLASSES; i++)
        assert_int_equal(fixture->node.loops[0].heap.used[i], 0);
    memory_node_deinit(&fixture->node);
}

void fixture_begin(struct fixture *fixture)
{
    struct loop *loop = memory_node_loop(&fixture->node, 0);
    fixture->is_ready = false;
    fixture->is_closed = false;
    fixture->failure[0] = '\0';
    fixture->registration.incarnation_id.bytes[0]++;
    fixture->registration.cluster_id = fixture->cluster_id;
    publisher_init(&fixture->publisher, loop, image_create_empty(loop->heap, fixture->cluster_id),
                   show);
    struct controller_options options = {
        .loop = loop,
        .publisher = &fixture->publisher,
        .config = &fixture->config,
        .log_directory = DIRECTORY,
        .directory_id = fixture->directory_id,
        .cluster_id = fixture->cluster_id,
        .may_format = !fixture->may_not_format,
        .registration = &fixture->registration,
        .events = &events,
        .owner = fixture,
    };
    controller_start(&fixture->controller, &options);
}

void fixture_start(struct fixture *fixture)
{
    fixture_begin(fixture);
    memory_node_run(&fixture->node);
}

void fixture_stop(struct fixture *fixture)
{
    controller_close(&fixture->controller);
    memory_node_run(&fixture->node);
    assert_true(fixture->is_closed);
    publisher_deinit(&fixture->publisher);
}

void fixture_crash(struct fixture *fixture)
{
    quorum_boot_release(&fixture->controller.log.boot); /* lies in the heap of its job */
    memory_node_crash(&fixture->node);
    drop_memory(fixture);
}

void fixture_decide(struct fixture *fixture, struct decision *decision)
{
    assert_true(controller_decide(&fixture->controller, decision, &fixture->arena));
}

struct test_wait {
    struct controller_wait wait;
    bool is_done;
    enum kafka_error error;
};

static void wait_done(struct controller_wait *wait, enum kafka_error error)
{
    struct test_wait *own = container_of(wait, struct test_wait, wait);
    own->is_done = true;
    own->error = error;
}

enum kafka_error fixture_commit(struct fixture *fixture, const struct decision *decision)
{
    struct test_wait wait = {.wait.done = wait_done};
    controller_commit(&fixture->controller, decision, &wait.wait);
    memory_node_run(&fixture->node);
    assert_true(wait.is_done);
    return wait.error;
}

/* Decides the creation of one topic; the error of its result. */
static enum kafka_error decide_topic(struct fixture *fixture, struct decision *decision,
                                     const char *name, int32_t partitions)
{
    struct create_topics_request_creatable_topic topic;
    create_topics_request_creatable_topic_init(&topic);
    topic.name = view_of_string(name);
    topic.num_partitions = partitions;
    topic.replication_factor = 1;
    struct create_topics_request request;
    create_topics_request_init(&request);
    request.topics = &topic;
    request.topics_count = 1;
    struct create_topics_response response;
    fixture_decide(fixture, decision);
    decide_create_topics(decision, &request, &response);
    return (enum kafka_error)response.topics[0].error_code;
}

enum kafka_error fixture_create_topic(struct fixture *fixture, const char *name, int32_t partitions)
{
    struct decision decision;
    enum kafka_error error = decide_topic(fixture, &decision, name, partitions);
    return error == KAFKA_ERROR_NONE ? fixture_commit(fixture, &decision) : error;
}

void fixture_try_topic(struct fixture *fixture, const char *name, int32_t partitions)
{
    struct decision decision;
    assert_int_equal(decide_topic(fixture, &decision, name, partitions), KAFKA_ERROR_NONE);
    struct test_wait *wait = arena_get_array(&fixture->arena, 1, sizeof(*wait));
    assert_non_null(wait);
    wait->wait.done = wait_done;
    controller_commit(&fixture->controller, &decision, &wait->wait);
    memory_node_run(&fixture->node);
}

const struct image *fixture_image(const struct fixture *fixture)
{
    assert_int_equal(fixture->publisher.shown_version, fixture->publisher.current->version);
    return fixture->publisher.current;
}
