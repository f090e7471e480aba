#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "tests/unit/replication/follower_fixture.h"

#include "cluster/metadata/draft.h"

/* ---- Names ---- */

struct uuid fixture_topic_id(unsigned partition)
{
    return uuid_of_halves(1, partition / 2 + 1);
}

unsigned fixture_partition_of(struct uuid topic_id, int32_t index)
{
    return (unsigned)(uuid_least(topic_id) - 1) * 2 + (unsigned)index;
}

/* ---- The node ---- */

static void opened(struct log_open_job *job)
{
    *(bool *)job->context = true;
}

static void make_replica(struct follower_fixture *fixture, unsigned partition)
{
    bool is_done = false;
    char name[] = "topic-0";
    char directory[64];
    name[6] = (char)('0' + partition / 2);
    snprintf(directory, sizeof(directory), "/logs/%s-%u", name, partition % 2);
    struct log_open_job job = {
        .create = true,
        .opened = opened,
        .context = &is_done,
        .options = {.shard = &fixture->shard,
                    .directory = directory,
                    .topic = view_of(name, sizeof(name) - 1),
                    .partition = (int32_t)partition % 2,
                    .topic_id = fixture_topic_id(partition),
                    .producers = &fixture->producers,
                    .committer = &fixture->committer,
                    .cleaner_offset = -1},
    };
    log_config_of_topic(&job.options.config, &fixture->topic);
    partition_log_open(&job);
    memory_node_run(&fixture->node);
    assert_true(is_done);
    assert_int_equal(job.status, LOG_OPEN_OK);
    struct replica *replica =
        replica_create(&fixture->host, view_of(name, sizeof(name) - 1), fixture_topic_id(partition),
                       (int32_t)partition % 2, &fixture->topic);
    replica_table_add(&fixture->replicas, replica);
    fixture->replica[partition] = replica;
    replica_attach(replica, job.log);
}

static void closed(struct fetchers *fetchers)
{
    container_of(fetchers, struct follower_fixture, fetchers)->is_closed = true;
}

static void committer_stopped(struct committer *committer)
{
    (void)committer;
}

/* The other brokers never fetch from this node. */
static struct replica_broker no_broker(void *owner, int32_t broker_id)
{
    (void)owner, (void)broker_id;
    return (struct replica_broker){.epoch = -1, .is_active = false};
}

static const struct replica_events host_events = {.broker = no_broker};

void follower_fixture_init(struct follower_fixture *fixture, enum topic_durability durability,
                           unsigned partition_count)
{
    memset(fixture, 0, sizeof(*fixture));
    memory_node_init(&fixture->node);
    heap_init_plain(&fixture->heap);
    model_leaders_stand_in(fixture);
    memory_node_make_directory(&fixture->node, "/logs");
    fixture->node.wall_ms = 1700000000000;
    fixture->loop = memory_node_loop(&fixture->node, 1);
    fixture->producers = (struct producer_state_options){.expiration_ms = 86400000};
    arena_init(&fixture->topic_arena, &fixture->heap, MEMORY_SCRATCH, 0);
    topic_config_default(&fixture->topic, &fixture->topic_arena);
    fixture->topic.durability = durability;
    log_shard_init(&fixture->shard, fixture->loop,
                   &(struct log_shard_options){.open_files_limit = 20});
    committer_init(&fixture->committer, fixture->loop, "/logs", NULL, NULL, NULL);
    const struct replica_host_options host_options = {.loop = fixture->loop,
                                                      .heap = fixture->loop->heap,
                                                      .node_id = FIXTURE_NODE,
                                                      .events = &host_events};
    replica_host_init(&fixture->host, &host_options, 1);
    replica_table_init(&fixture->replicas, fixture->loop->heap, 1);
    const struct fetchers_options options = {
        .loop = fixture->loop,
        .replicas = &fixture->replicas,
        .node_id = FIXTURE_NODE,
        .listener = VIEW_LITERAL("INTERNAL"),
        .wait_max_ms = 500,
        .min_bytes = 1,
        .max_bytes = 1024 * 1024,
        .response_max_bytes = 10 * 1024 * 1024,
        .backoff_ms = 1000,
        .socket_timeout_ms = 30000,
    };
    fetchers_init(&fixture->fetchers, &options);
    fixture->leader_loop = (struct loop){.index = 1, .count = 2, .heap = &fixture->heap};
    for (unsigned i = 0; i < FIXTURE_LEADERS; i++) {
        fixture->leaders[i].id = (int32_t)i + 2;
        fetch_sessions_init(&fixture->leaders[i].sessions, &fixture->leader_loop, 10);
    }
    fixture->image = image_create_empty(&fixture->heap, VIEW_LITERAL("c"));
    fixture_show(fixture, 70, 0, 21);
    for (unsigned i = 0; i < partition_count; i++)
        make_replica(fixture, i);
}

static void log_closed(struct log_close *close, bool clean)
{
    (void)clean;
    *(bool *)close->context = true;
}

void follower_fixture_deinit(struct follower_fixture *fixture)
{
    fixture->node.hold = false;
    while (memory_node_held(&fixture->node) > 0)
        memory_node_complete(&fixture->node, 0);
    fetchers_close(&fixture->fetchers, closed);
    assert_false(fixture->is_closed);
    memory_node_run(&fixture->node);
    assert_true(fixture->is_closed);
    assert_true(list_is_empty(&fixture->channels));
    for (unsigned i = 0; i < FIXTURE_PARTITIONS; i++) {
        struct replica *replica = fixture->replica[i];
        if (!replica)
            continue;
        bool is_done = false;
        struct log_close close = {.closed = log_closed, .context = &is_done};
        partition_log_drop(replica_detach(replica, KAFKA_ERROR_NOT_LEADER_OR_FOLLOWER), &close);
        memory_node_run(&fixture->node);
        assert_true(is_done);
        replica_table_remove(&fixture->replicas, replica);
        replica_destroy(replica);
    }
    replica_table_deinit(&fixture->replicas);
    replica_host_deinit(&fixture->host);
    committer_stop(&fixture->committer, committer_stopped);
    memory_node_run(&fixture->node);
    fixture->shard.open_files_limit = 0;
    log_shard_deinit(&fixture->shard);
    for (unsigned i = 0; i < FIXTURE_LEADERS; i++) {
        fetch_sessions_deinit(&fixture->leaders[i].sessions);
        for (unsigned j = 0; j < FIXTURE_PARTITIONS; j++)
            model_clear(&fixture->leaders[i].logs[j]);
    }
    image_release(fixture->image);
    arena_deinit(&fixture->topic_arena);
    for (size_t i = 0; i < MEMORY_CLASSES; i++)
        assert_int_equal(fixture->loop->heap->used[i], 0);
    memory_node_deinit(&fixture->node);
}

void fixture_show(struct follower_fixture *fixture, int64_t broker_epoch, unsigned shift,
                  int16_t metadata_version)
{
    const struct image *before = fixture->image;
    struct image_draft draft;
    draft_begin(&draft, before);
    for (int32_t id = FIXTURE_NODE; id < 2 + FIXTURE_LEADERS; id++) {
        const struct image_endpoint endpoints[] = {
            {.name = VIEW_LITERAL("CLIENT"), .host = VIEW_LITERAL("wrong"), .port = 1},
            {.name = VIEW_LITERAL("INTERNAL"),
             .host = VIEW_LITERAL("broker"),
             .port = (uint16_t)(FIXTURE_PORT_BASE + (unsigned)id + shift)},
        };
        struct image_node node = {
            .id = id,
            .epoch = broker_epoch,
            .incarnation = uuid_of_halves(9, id == FIXTURE_NODE ? 9 : (uint64_t)id),
            .endpoints = endpoints,
            .endpoint_count = 2,
        };
        if (id == FIXTURE_NODE && broker_epoch < 0) /* of an incarnation before */
            node.incarnation = uuid_of_halves(9, 8);
        draft_set_broker(&draft, &node);
    }
    draft_set_feature(&draft, VIEW_LITERAL("metadata.version"), metadata_version);
    fixture->image = draft_finish(&draft, NULL);
    fetchers_show(&fixture->fetchers, fixture->image, uuid_of_halves(9, 9));
    image_release(before);
}

void fixture_set_throttled(struct follower_fixture *fixture, unsigned partition, struct view list)
{
    const struct image *before = fixture->image;
    struct replica *replica = fixture->replica[partition];
    struct image_draft draft;
    draft_begin(&draft, before);
    draft_set_config(&draft, CONFIG_RESOURCE_TOPIC, replica->topic,
                     VIEW_LITERAL("follower.replication.throttled.replicas"), list);
    fixture->image = draft_finish(&draft, NULL);
    fetchers_show(&fixture->fetchers, fixture->image, uuid_of_halves(9, 9));
    fetchers_reconfigure(&fixture->fetchers, replica);
    image_release(before);
}

static struct replica_assignment assign(int32_t leader, int32_t leader_epoch)
{
    static const int32_t all[] = {1, 2, 3};
    return (struct replica_assignment){
        .leader = leader,
        .leader_epoch = leader_epoch,
        .partition_epoch = leader_epoch,
        .replicas = {all, 3},
        .isr = {leader > 0 ? &all[leader - 1] : all, 1}, /* alone in sync */
    };
}

void fixture_follow(struct follower_fixture *fixture, unsigned partition, int32_t id,
                    int32_t leader_epoch)
{
    struct replica *replica = fixture->replica[partition];
    if (id >= 0)
        model_begin_epoch(&fixture_leader(fixture, id)->logs[partition], leader_epoch);
    const struct replica_assignment assignment = assign(id, leader_epoch);
    replica_follow(replica, &assignment);
    fetchers_follow(&fixture->fetchers, replica, id);
}

void fixture_lead(struct follower_fixture *fixture, unsigned partition, int32_t leader_epoch)
{
    const struct replica_assignment assignment = assign(FIXTURE_NODE, leader_epoch);
    replica_lead(fixture->replica[partition], &assignment);
}

static void stopped(struct follower_stop *stop)
{
    *(bool *)stop->context = true;
}

void fixture_unfollow(struct follower_fixture *fixture, unsigned partition)
{
    bool is_stopped = false;
    struct follower_stop stop = {.stopped = stopped, .context = &is_stopped};
    if (fetchers_unfollow(&fixture->fetchers, fixture->replica[partition], &stop))
        return;
    assert_false(is_stopped);
    memory_node_run(&fixture->node);
    assert_true(is_stopped);
}

/* ---- Turns ---- */

bool fixture_step(struct follower_fixture *fixture)
{
    memory_node_run(&fixture->node);
    bool any = model_leaders_serve(fixture, false);
    memory_node_run(&fixture->node);
    for (unsigned i = 0; i < FIXTURE_PARTITIONS; i++) {
        if (fixture->replica[i] && fixture->replica[i]->log &&
            !partition_log_is_failed(fixture->replica[i]->log))
            partition_log_check(fixture->replica[i]->log);
    }
    return any;
}

void fixture_run(struct follower_fixture *fixture)
{
    for (unsigned i = 0; i < 10000; i++) {
        if (!fixture_step(fixture))
            return;
    }
    fail_msg("followers and leaders never come to rest");
}

void fixture_answer_all(struct follower_fixture *fixture)
{
    memory_node_run(&fixture->node);
    model_leaders_serve(fixture, true);
    memory_node_run(&fixture->node);
}

void model_append(struct follower_fixture *fixture, struct model_log *log, int32_t count,
                  size_t value_size)
{
    model_log_append(log, &fixture->heap, fixture->node.wall_ms, count, value_size);
}

/* ---- Looking ---- */

static void warmed(struct log_warm *warm)
{
    *(bool *)warm->context = true;
}

static enum log_read_status read_log(struct follower_fixture *fixture, struct partition_log *log,
                                     const struct log_read *read, struct log_slice *slice)
{
    enum log_read_status status = partition_log_read(log, read, slice);
    for (unsigned i = 0; i < 4 && status == LOG_READ_NEEDS_IO; i++) {
        bool is_warm = false;
        struct log_warm warm = {.warmed = warmed, .context = &is_warm};
        partition_log_warm(log, read, &warm);
        memory_node_run(&fixture->node);
        assert_true(is_warm);
        status = partition_log_read(log, read, slice);
    }
    return status;
}

uint8_t *fixture_read_log(struct follower_fixture *fixture, unsigned partition, size_t *size)
{
    struct partition_log *log = fixture->replica[partition]->log;
    uint8_t *bytes = malloc(1);
    struct log_read read = {.offset = partition_log_start_offset(log),
                            .max_bytes = 1024 * 1024,
                            .min_one = true,
                            .bound = LOG_READ_LOG_END};
    *size = 0;
    for (;;) {
        struct log_slice slice;
        assert_int_equal(read_log(fixture, log, &read, &slice), LOG_READ_OK);
        if (slice.size == 0)
            return bytes;
        bytes = realloc(bytes, *size + slice.size);
        assert_int_equal(log_slice_copy(&fixture->shard, &slice, 0, bytes + *size, slice.size),
                         LOG_READ_OK);
        *size += slice.size;
        read.offset = slice.next_offset;
        log_slice_release(&slice);
    }
}

void fixture_assert_same(struct follower_fixture *fixture, unsigned partition,
                         const struct model_log *log)
{
    const struct partition_log *own = fixture->replica[partition]->log;
    assert_int_equal(partition_log_end_offset(own), log->log_end);
    size_t size;
    uint8_t *bytes = fixture_read_log(fixture, partition, &size);
    size_t place = 0;
    for (size_t i = 0; i < log->batch_count; i++) {
        const struct model_batch *batch = &log->batches[i];
        if (batch->last_offset < partition_log_start_offset(own))
            continue;
        assert_true(place + batch->size <= size);
        assert_memory_equal(bytes + place, batch->bytes, batch->size);
        place += batch->size;
    }
    assert_int_equal(place, size);
    free(bytes);
}

/* What this node believes of a follower is what the session holds. */
static void assert_told(const struct fetch_session *session, unsigned partition,
                        const struct follower *follower)
{
    list_for_each(link, &session->partitions)
    {
        const struct fetch_ask *one = &container_of(link, struct fetch_partition, link)->ask;
        if (fixture_partition_of(one->topic_id, one->partition) != partition)
            continue;
        if (follower->told.leader_epoch < 0)
            return; /* of a follower before */
        assert_int_equal(one->fetch_offset, follower->told.fetch_offset);
        assert_int_equal(one->leader_epoch, follower->told.leader_epoch);
        assert_int_equal(one->last_fetched_epoch, follower->told.last_fetched_epoch);
        return;
    }
    fail_msg("a follower is not in the session");
}

static void assert_session(const struct follower_fixture *fixture, const struct fetcher *fetcher)
{
    const struct fetch_session *session = model_leader_session(fetcher->channel);
    if (!session) /* its connection broke while nothing was asked */
        return;
    unsigned count = map_count(&fetcher->forgotten);
    for (unsigned i = 0; i < FIXTURE_PARTITIONS; i++) {
        const struct replica *replica = fixture->replica[i];
        const struct follower *follower = replica ? replica->follower : NULL;
        if (!follower || follower->fetcher != fetcher || !follower->told.in_session)
            continue;
        count++;
        assert_told(session, i, follower);
    }
    assert_int_equal(count, map_count(&session->by_key));
}

void fixture_assert_sessions(const struct follower_fixture *fixture)
{
    list_for_each(link, &fixture->fetchers.fetchers)
    {
        const struct fetcher *fetcher = container_of(link, struct fetcher, link);
        bool is_on_its_way = fetcher->activity == FETCHER_FETCHING && !fetcher->request.is_sent;
        if (fetcher->session_epoch != 0 && !is_on_its_way)
            assert_session(fixture, fetcher);
    }
}

struct model_log *fixture_log_of(struct follower_fixture *fixture, int32_t id, unsigned partition)
{
    return &fixture_leader(fixture, id)->logs[partition];
}

struct follower *fixture_follower_of(const struct follower_fixture *fixture, unsigned partition)
{
    return fixture->replica[partition]->follower;
}

int64_t fixture_end_of(const struct follower_fixture *fixture, unsigned partition)
{
    return partition_log_end_offset(fixture->replica[partition]->log);
}

void fixture_complete_all(struct follower_fixture *fixture)
{
    while (memory_node_held(&fixture->node) > 0) {
        memory_node_complete(&fixture->node, 0);
        memory_node_run(&fixture->node);
    }
}
