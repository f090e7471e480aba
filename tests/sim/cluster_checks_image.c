/*
 * M4, M5 and what every image must say. An image is turned into the records of a snapshot of it,
 * whose hash must be the same wherever it is made.
 */
#include "base/hash.h"
#include "cluster/metadata/image_records.h"
#include "tests/sim/cluster_checks_internal.h"

enum { RECORDS_PER_STEP = 64 };

static uint64_t image_hash(struct cluster_checks *checks, const struct image *image)
{
    struct arena arena;
    struct metadata_records records;
    struct image_records_walk walk;
    arena_init(&arena, &checks->heap, MEMORY_STATE, 0);
    metadata_records_init(&records, &arena);
    image_records_start(image, &walk);
    bool failed = false;
    while (image_records_next(&walk, &records, RECORDS_PER_STEP, &failed))
        ;
    sim_require(checks->sim, !failed, "an image cannot be written as records");
    uint64_t hash = 1;
    for (size_t i = 0; i < records.count; i++)
        hash = hash_u64(hash, hash_bytes(1, records.values[i]));
    arena_deinit(&arena);
    return hash ? hash : 1;
}

static void note_hash(struct cluster_checks *checks, unsigned node, int64_t offset, uint64_t hash)
{
    size_t place = (size_t)offset;
    if (place >= checks->image_capacity) {
        size_t capacity = checks->image_capacity ? checks->image_capacity * 2 : 1024;
        while (capacity <= place)
            capacity *= 2;
        size_t before = checks->image_capacity;
        checks->image_hashes = heap_resize(&checks->heap, MEMORY_STATE, checks->image_hashes,
                                           before * sizeof(uint64_t), capacity * sizeof(uint64_t));
        memset(checks->image_hashes + before, 0, (capacity - before) * sizeof(uint64_t));
        checks->image_capacity = capacity;
    }
    uint64_t *known = &checks->image_hashes[place];
    sim_require(checks->sim, *known == 0 || *known == hash,
                "the image of node %u at offset %lld is another one", node, (long long)offset);
    *known = hash;
    checks->images++;
}

static bool has_repeats(struct node_list list)
{
    for (uint32_t i = 0; i < list.count; i++)
        for (uint32_t k = 0; k < i; k++)
            if (list.ids[i] == list.ids[k])
                return true;
    return false;
}

static bool is_part_of(struct node_list part, struct node_list whole)
{
    for (uint32_t i = 0; i < part.count; i++)
        if (!node_list_contains(whole, part.ids[i]))
            return false;
    return true;
}

static uint32_t bits_of(struct node_list list)
{
    uint32_t bits = 0;
    for (uint32_t i = 0; i < list.count; i++)
        bits |= UINT32_C(1) << list.ids[i];
    return bits;
}

/* Whether leaders of the partition may lack what was committed. */
static bool is_unclean_allowed(const struct cluster_checks *checks, const struct image *image,
                               const struct image_topic *topic)
{
    if (!checks->history || !view_equal(topic->name, view_of_string(cluster_topic)))
        return false;
    struct view value = image_config_value(image_config(image, CONFIG_RESOURCE_TOPIC, topic->name),
                                           VIEW_LITERAL("unclean.leader.election.enable"));
    return view_equal(value, VIEW_LITERAL("true"));
}

/*
 * R7: nobody of the new in-sync set was in sync or eligible, and the image says so: an unclean
 * election makes a partition recover. Or a reassignment was cancelled while only replicas that it
 * added were in sync. What the next leader lacks is known when it leads. Where changes between two
 * images were not seen, there may have been one.
 */
static bool is_unclean(const struct seen_partition *seen, const struct partition_state *state)
{
    uint32_t sound = seen->in_sync | seen->eligible;
    uint32_t members = bits_of(state->isr);
    bool is_replaced = members != 0 && (members & sound) == 0;
    bool is_recovering = state->recovery == IMAGE_RECOVERING;
    bool is_cancelled = seen->is_growing && state->adding.count == 0;
    if (state->partition_epoch == seen->partition_epoch + 1)
        return is_recovering ? is_replaced || seen->recovery == IMAGE_RECOVERED
                             : is_replaced && is_cancelled;
    bool is_leader_new = state->leader != IMAGE_LEADER_NONE && !(sound >> state->leader & 1);
    return is_replaced || is_leader_new || state->leader_epoch > seen->leader_epoch + 1;
}

static void note_unclean(struct cluster_checks *checks, const struct image *image,
                         const struct image_topic *topic, struct seen_partition *seen,
                         const struct partition_state *state)
{
    if (seen->image_offset < 0 || state->leader_epoch == seen->leader_epoch ||
        !is_unclean_allowed(checks, image, topic) || !is_unclean(seen, state))
        return;
    seen->unclean_epoch = state->leader_epoch;
    seen->is_cut_due = true;
}

/* R3, from the side of the controller: who it calls in sync has everything, and has said so. */
static void check_in_sync(struct cluster_checks *checks, const struct image *image,
                          struct seen_partition *seen, const struct partition_state *state)
{
    if (state->partition_epoch == seen->partition_epoch)
        return;
    uint32_t before = seen->in_sync;
    seen->in_sync = bits_of(state->isr);
    seen->eligible = bits_of(state->eligible);
    int64_t committed = committed_log_end(&seen->log);
    for (uint32_t i = 0; i < state->isr.count; i++) {
        int32_t id = state->isr.ids[i];
        const struct seen_replica *member = &seen->replicas[id];
        bool is_known = checks_is_known(checks, seen, (unsigned)id);
        sim_require(checks->sim, !is_known || seen->is_cut_due || member->durable_end >= committed,
                    "%s: %d is called in sync with [.., %lld) of %lld", seen->log.directory, id,
                    (long long)member->durable_end, (long long)committed);
        const struct image_node *broker = image_broker(image, id);
        /* The leader spoke of the life that the broker was in then (KIP-903). */
        bool is_proposed = !(before >> id & 1) && member->proposal > 0 &&
                           member->proposed_leader_epoch == state->leader_epoch;
        sim_require(checks->sim,
                    !is_proposed || !broker || member->proposed_broker_epoch >= broker->epoch,
                    "%s: %d is in sync by what it had in epoch %lld, and has %lld since then",
                    seen->log.directory, id, (long long)member->proposed_broker_epoch,
                    broker ? (long long)broker->epoch : -1);
    }
}

static void check_partition(struct cluster_checks *checks, const struct image *image,
                            const struct image_topic *topic, int32_t number)
{
    struct sim *sim = checks->sim;
    const struct image_partition *partition = image_topic_partition(topic, number);
    struct partition_state state = image_partition_state(partition);
    struct seen_partition *seen = checks_partition(checks, topic->id, topic->name, number);
    const char *name = seen->log.directory;
    sim_require(sim,
                state.leader == IMAGE_LEADER_NONE || node_list_contains(state.isr, state.leader),
                "%s: the leader %d is not in sync", name, state.leader);
    sim_require(sim,
                is_part_of(state.isr, state.replicas) && !has_repeats(state.isr) &&
                    !has_repeats(state.replicas) && state.replicas.count > 0,
                "%s: a wrong set of replicas", name);
    sim_require(
        sim, is_part_of(state.adding, state.replicas) && is_part_of(state.removing, state.replicas),
        "%s: a reassignment of what is no replica", name);
    sim_require(sim,
                state.isr.count > 0 || (state.leader == IMAGE_LEADER_NONE &&
                                        state.eligible.count + state.last_known.count > 0),
                "%s: nobody is in sync", name);
    for (uint32_t i = 0; i < state.eligible.count; i++)
        sim_require(sim, !node_list_contains(state.isr, state.eligible.ids[i]),
                    "%s: %d is in sync and eligible", name, state.eligible.ids[i]);
    /* Who is alone in sync may come back as it was (controller/broker_departure.h). */
    for (uint32_t i = 0; state.isr.count > 1 && i < state.isr.count; i++) {
        const struct image_node *member = image_broker(image, state.isr.ids[i]);
        sim_require(sim, member && !member->fenced, "%s: %d, which is in sync, is fenced", name,
                    state.isr.ids[i]);
    }
    bool has_eligible =
        image_feature_level(image, VIEW_LITERAL("eligible.leader.replicas.version")) > 0;
    sim_require(sim,
                state.recovery == IMAGE_RECOVERED || has_eligible ||
                    is_unclean_allowed(checks, image, topic),
                "%s: node %d is elected uncleanly, which nobody allowed", name, state.leader);
    if (seen->replicas_min == 0 || (int32_t)state.replicas.count < seen->replicas_min)
        seen->replicas_min = (int32_t)state.replicas.count;
    if (image->offset < seen->image_offset)
        return; /* of a node that is behind: equal to what was seen there, says the hash */
    sim_require(sim,
                state.leader_epoch >= seen->leader_epoch &&
                    state.partition_epoch >= seen->partition_epoch,
                "%s: epochs fall from %d and %d to %d and %d", name, seen->leader_epoch,
                seen->partition_epoch, state.leader_epoch, state.partition_epoch);
    note_unclean(checks, image, topic, seen, &state);
    check_in_sync(checks, image, seen, &state);
    seen->leader_epoch = state.leader_epoch;
    seen->partition_epoch = state.partition_epoch;
    seen->recovery = state.recovery;
    seen->is_growing = state.adding.count > 0;
    seen->image_offset = image->offset;
}

static void note_min_isr(struct cluster_checks *checks, const struct image *image)
{
    if (!image_topic_by_name(image, view_of_string(cluster_topic)))
        return;
    struct view value = image_config_value(
        image_config(image, CONFIG_RESOURCE_TOPIC, view_of_string(cluster_topic)),
        VIEW_LITERAL("min.insync.replicas"));
    int32_t min_isr = value.size == 1 ? value.data[0] - '0' : 1;
    if (checks->min_isr == 0 || min_isr < checks->min_isr)
        checks->min_isr = min_isr;
}

void checks_image_of(struct cluster_checks *checks, unsigned node,
                     const struct sim_broker_process *process)
{
    const struct image *image = checks_image(process);
    unsigned life = checks->cluster->nodes[node].broker.starts;
    if (!image || image->offset < 0 ||
        (checks->image_lives[node] == life && checks->image_versions[node] == image->version))
        return;
    checks->image_lives[node] = life;
    checks->image_versions[node] = image->version;
    sim_require(checks->sim, image->offset < committed_log_end(&checks->metadata),
                "node %u shows an image of offset %lld, committed is [.., %lld)", node,
                (long long)image->offset, (long long)committed_log_end(&checks->metadata));
    note_hash(checks, node, image->offset, image_hash(checks, image));
    note_min_isr(checks, image);
    struct image_topic_walk walk;
    image_topic_walk_start(image, (struct view){0}, &walk);
    for (const struct image_topic *topic; (topic = image_topic_walk_next(&walk)) != NULL;) {
        for (int32_t i = 0; i < (int32_t)topic->partition_count; i++)
            check_partition(checks, image, topic, i);
    }
}
