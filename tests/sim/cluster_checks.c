/*
 * The watch behind every event looks at the node of the event only; what it saw of the others is
 * kept here. Nothing here draws or changes anything.
 */
#include "tests/sim/cluster_checks_internal.h"

#include <stdio.h>

/* An answer may be under way for so long. */
static const uint64_t leaving_ns = UINT64_C(10000000000);

/* ---- Tables ---- */

unsigned epoch_table_set(struct cluster_checks *checks, struct epoch_table *table, int32_t epoch,
                         unsigned node)
{
    size_t place = (size_t)epoch;
    if (place >= table->capacity) {
        size_t before = table->capacity;
        size_t capacity = before ? before * 2 : 64;
        while (capacity <= place)
            capacity *= 2;
        table->nodes = heap_resize(&checks->heap, MEMORY_STATE, table->nodes,
                                   before * sizeof(int32_t), capacity * sizeof(int32_t));
        memset(table->nodes + before, 0, (capacity - before) * sizeof(int32_t));
        table->capacity = capacity;
    }
    if (table->nodes[place] == 0)
        table->nodes[place] = (int32_t)node + 1;
    return (unsigned)table->nodes[place] - 1;
}

void epoch_table_free(struct cluster_checks *checks, struct epoch_table *table)
{
    if (table->capacity > 0)
        heap_put(&checks->heap, MEMORY_STATE, table->nodes, table->capacity * sizeof(int32_t));
    *table = (struct epoch_table){0};
}

struct seen_partition *checks_partition(struct cluster_checks *checks, struct uuid topic_id,
                                        struct view topic, int32_t partition)
{
    for (size_t i = 0; i < checks->partition_count; i++) {
        struct seen_partition *seen = checks->partitions[i];
        if (seen->partition == partition && uuid_equal(seen->topic_id, topic_id))
            return seen;
    }
    sim_require(checks->sim, checks->partition_count < SEEN_PARTITIONS_MAX, "too many partitions");
    struct seen_partition *seen = heap_must_get(&checks->heap, MEMORY_STATE, sizeof(*seen));
    seen->topic_id = topic_id;
    seen->partition = partition;
    seen->image_offset = -1;
    char directory[256];
    snprintf(directory, sizeof(directory), "/data/%.*s-%d", (int)topic.size,
             (const char *)topic.data, partition);
    committed_log_init(&seen->log, checks->sim, directory);
    checks->partitions[checks->partition_count++] = seen;
    return seen;
}

/* ---- Looking ---- */

const struct sim_broker_process *checks_process(const struct cluster_checks *checks, unsigned node)
{
    const struct sim_broker *broker = &checks->cluster->nodes[node].broker;
    return sim_is_running(checks->sim, node) ? broker->process : NULL;
}

const struct image *checks_image(const struct sim_broker_process *process)
{
    const struct control *control = &process->control;
    return control->has_controller ? control->publisher.current : NULL;
}

static void look(void *context, unsigned node)
{
    struct cluster_checks *checks = context;
    if (node >= checks->cluster->count)
        return;
    const struct sim_broker_process *process = checks_process(checks, node);
    if (!process)
        return;
    if (checks->lives[node] != checks->cluster->nodes[node].broker.starts) {
        checks->lives[node] = checks->cluster->nodes[node].broker.starts;
        checks->life_began_ns[node] = sim_now_ns(checks->sim);
    }
    checks_quorum(checks, node, process);
    checks_image_of(checks, node, process);
    checks_replicas(checks, node, process);
}

void cluster_checks_init(struct cluster_checks *checks, struct cluster *cluster)
{
    *checks = (struct cluster_checks){.cluster = cluster, .sim = cluster->sim};
    heap_init_plain(&checks->heap);
    committed_log_init(&checks->metadata, cluster->sim, "/data/__cluster_metadata-0");
    sim_watch(cluster->sim, look, checks);
}

void cluster_checks_deinit(struct cluster_checks *checks)
{
    sim_watch(checks->sim, NULL, NULL);
    for (size_t i = 0; i < checks->partition_count; i++) {
        struct seen_partition *seen = checks->partitions[i];
        committed_log_deinit(&seen->log);
        epoch_table_free(checks, &seen->leaders);
        heap_put(&checks->heap, MEMORY_STATE, seen, sizeof(*seen));
    }
    for (unsigned i = 0; i < CLUSTER_NODES_MAX; i++) {
        struct seen_quorum *seen = &checks->quorums[i];
        epoch_table_free(checks, &seen->directory.votes);
        for (unsigned k = 0; k < seen->lost_count; k++)
            epoch_table_free(checks, &seen->lost[k].votes);
    }
    epoch_table_free(checks, &checks->quorum_leaders);
    committed_log_deinit(&checks->metadata);
    if (checks->image_capacity > 0)
        heap_put(&checks->heap, MEMORY_STATE, checks->image_hashes,
                 checks->image_capacity * sizeof(uint64_t));
}

bool cluster_checks_is_leaving(void *context, int32_t node)
{
    const struct cluster_checks *checks = context;
    const struct sim_broker_process *process = checks_process(checks, (unsigned)node);
    return !process || process->control.state != CONTROL_SERVING ||
           checks->life_began_ns[node] + leaving_ns > sim_now_ns(checks->sim);
}

/* ---- Coming to rest ---- */

const struct replica *checks_find_replica(const struct sim_broker_process *process,
                                          struct uuid topic_id, int32_t partition)
{
    for (unsigned i = 1; i <= SIM_BROKER_SHARDS; i++) {
        const struct replica *replica =
            process->shards[i].loop
                ? replica_table_find(&process->shards[i].replicas, topic_id, partition)
                : NULL;
        if (replica)
            return replica;
    }
    return NULL;
}

static bool is_partition_settled(const struct cluster_checks *checks,
                                 const struct image_topic *topic, int32_t number, char *text,
                                 size_t capacity)
{
    struct partition_state state = image_partition_state(image_topic_partition(topic, number));
    if (state.leader == IMAGE_LEADER_NONE || state.isr.count != state.replicas.count ||
        state.adding.count + state.removing.count > 0) {
        snprintf(text, capacity,
                 "%.*s-%d has leader %d, %u of %u replicas in sync, %u to add, %u to remove",
                 (int)topic->name.size, (const char *)topic->name.data, number, state.leader,
                 state.isr.count, state.replicas.count, state.adding.count, state.removing.count);
        return false;
    }
    int64_t end = -1;
    for (uint32_t i = 0; i < state.replicas.count; i++) {
        unsigned node = (unsigned)state.replicas.ids[i];
        const struct sim_broker_process *process = checks_process(checks, node);
        const struct replica *replica =
            process ? checks_find_replica(process, topic->id, number) : NULL;
        int64_t own = replica && replica->log ? partition_log_high_watermark(replica->log) : -1;
        bool is_whole = own >= 0 && own == partition_log_end_offset(replica->log);
        if (is_whole && (end < 0 || end == own)) {
            end = own;
            continue;
        }
        snprintf(text, capacity, "%.*s-%d of node %u shows %lld of %lld, another one %lld",
                 (int)topic->name.size, (const char *)topic->name.data, number, node,
                 (long long)own,
                 replica && replica->log ? (long long)partition_log_end_offset(replica->log) : -1,
                 (long long)end);
        return false;
    }
    return true;
}

static bool is_settled(const struct cluster_checks *checks, char *text, size_t capacity)
{
    const struct image *first = NULL;
    for (unsigned i = 0; i < checks->cluster->count; i++) {
        const struct sim_broker_process *process = checks_process(checks, i);
        const struct image *image =
            process && checks->cluster->nodes[i].broker.is_ready ? checks_image(process) : NULL;
        if (!image || (first && image->offset != first->offset)) {
            snprintf(text, capacity, "node %u shows the image of %lld, the first one that of %lld",
                     i, image ? (long long)image->offset : -1,
                     first ? (long long)first->offset : -1);
            return false;
        }
        first = image;
    }
    struct image_topic_walk walk;
    image_topic_walk_start(first, (struct view){0}, &walk);
    for (const struct image_topic *topic; (topic = image_topic_walk_next(&walk)) != NULL;) {
        for (int32_t i = 0; i < (int32_t)topic->partition_count; i++) {
            if (!is_partition_settled(checks, topic, i, text, capacity))
                return false;
        }
    }
    return true;
}

bool cluster_checks_is_settled(void *context)
{
    char text[256];
    return is_settled(context, text, sizeof(text));
}

void cluster_checks_require_settled(const struct cluster_checks *checks)
{
    char text[256] = "";
    bool settled = is_settled(checks, text, sizeof(text));
    sim_require(checks->sim, settled, "the cluster does not come to rest: %s", text);
}

void cluster_checks_finish(struct cluster_checks *checks)
{
    for (unsigned node = 0; node < checks->cluster->count; node++) {
        const struct sim_broker_process *process = checks_process(checks, node);
        const struct image *image = checks_image(process);
        for (size_t i = 0; i < checks->partition_count; i++) {
            const struct seen_partition *seen = checks->partitions[i];
            const struct image_topic *topic = image_topic_by_id(image, seen->topic_id);
            if (!topic || !node_list_contains(image_partition_replicas(
                                                  image_topic_partition(topic, seen->partition)),
                                              (int32_t)node))
                continue;
            const struct replica *replica =
                checks_find_replica(process, seen->topic_id, seen->partition);
            sim_require(checks->sim, replica && replica->log, "%s: node %u has no replica",
                        seen->log.directory, node);
            if (checks_is_as_written(checks, replica))
                committed_log_require_whole(&seen->log, node,
                                            partition_log_written_end(replica->log),
                                            partition_log_end_offset(replica->log), "is at rest");
        }
    }
}
