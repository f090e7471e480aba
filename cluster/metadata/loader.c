/*
 * Records go into one draft until somebody asks for the image. A transaction's begin closes the
 * draft and starts another one that only its end makes visible.
 */
#include "cluster/metadata/loader.h"

#include <stdio.h>

#include "base/assert.h"
#include "protocol/batch.h"
#include "protocol/record.h"

void loader_init(struct metadata_loader *loader, const struct image *image)
{
    *loader = (struct metadata_loader){
        .heap = image->heap, .stable = image, .next_offset = image->offset + 1};
    arena_init(&loader->arena, image->heap, MEMORY_SCRATCH, 0);
}

void loader_deinit(struct metadata_loader *loader)
{
    if (loader->is_drafting)
        draft_drop(&loader->draft);
    loader->is_drafting = false;
    image_release(loader->stable);
    loader->stable = NULL;
    arena_deinit(&loader->arena);
}

static void need_draft(struct metadata_loader *loader)
{
    if (!loader->is_drafting)
        draft_begin(&loader->draft, loader->stable);
    loader->is_drafting = true;
}

/* Makes the draft the stable image. */
static void settle(struct metadata_loader *loader)
{
    const struct image *before = loader->stable;
    struct image_delta *delta = NULL;
    if (loader->has_leadership)
        draft_set_leadership(&loader->draft, loader->leadership.id, loader->leadership.epoch,
                             loader->leadership.kraft_version);
    loader->has_leadership = false;
    loader->stable = draft_finish(&loader->draft, loader->settled ? &delta : NULL);
    loader->is_drafting = false;
    if (loader->settled)
        loader->settled(loader->context, loader->stable, delta);
    image_release(before);
}

void loader_set_leadership(struct metadata_loader *loader, int32_t controller_id,
                           int32_t controller_epoch, int16_t kraft_version)
{
    const struct image *stable = loader->stable;
    loader->has_leadership = stable->controller_id != controller_id ||
                             stable->controller_epoch != controller_epoch ||
                             stable->kraft_version != kraft_version;
    loader->leadership.id = controller_id;
    loader->leadership.epoch = controller_epoch;
    loader->leadership.kraft_version = kraft_version;
}

void loader_settle(struct metadata_loader *loader)
{
    if (loader->is_in_transaction)
        return;
    if (loader->has_leadership)
        need_draft(loader);
    if (loader->is_drafting)
        settle(loader);
}

bool loader_abandon_transaction(struct metadata_loader *loader)
{
    if (!loader->is_in_transaction)
        return false;
    loader->is_in_transaction = false;
    draft_drop(&loader->draft);
    loader->is_drafting = false;
    return true;
}

static bool fail(struct metadata_loader *loader, int64_t offset, const char *what)
{
    snprintf(loader->problem, sizeof(loader->problem), "metadata record at offset %lld: %s",
             (long long)offset, what);
    return false;
}

static bool apply_mark(struct metadata_loader *loader, enum replay_mark mark, int64_t offset)
{
    switch (mark) {
    case REPLAY_PLAIN:
        return true;
    case REPLAY_BEGIN:
        if (loader->is_in_transaction)
            return fail(loader, offset, "a transaction begins inside another one");
        settle(loader);
        need_draft(loader);
        loader->is_in_transaction = true;
        return true;
    case REPLAY_END:
        if (!loader->is_in_transaction)
            return fail(loader, offset, "a transaction ends that did not begin");
        loader->is_in_transaction = false;
        return true;
    case REPLAY_ABORT:
        if (!loader->is_in_transaction)
            return fail(loader, offset, "a transaction is aborted that did not begin");
        loader->is_in_transaction = false;
        draft_drop(&loader->draft);
        loader->is_drafting = false;
        need_draft(loader);
        return true;
    }
    return false;
}

static bool apply_records(struct metadata_loader *loader, struct view batch)
{
    struct batch_header header;
    batch_header_read(batch.data, &header);
    struct record_cursor cursor;
    record_cursor_init(&cursor, batch_records(batch), header.record_count);
    struct record record;
    enum record_status status;
    while ((status = record_cursor_next(&cursor, &record)) == RECORD_OK) {
        need_draft(loader);
        int64_t offset = header.base_offset + record.offset_delta;
        struct replay replay = {.draft = &loader->draft,
                                .arena = &loader->arena,
                                .offset = offset,
                                .test_points = loader->test_points};
        enum replay_mark mark;
        if (!replay_record(&replay, record.value, &mark))
            return fail(loader, offset, replay.problem);
        if (!apply_mark(loader, mark, offset))
            return false;
        loader->record_count++;
        arena_reset(&loader->arena);
    }
    if (status == RECORD_MALFORMED)
        return fail(loader, header.base_offset, "the batch is malformed");
    return true;
}

bool loader_apply(struct metadata_loader *loader, struct view batch, bool is_snapshot)
{
    struct batch_header header;
    batch_header_read(batch.data, &header);
    if (!batch_crc_is_valid(batch))
        return fail(loader, header.base_offset, "the checksum of the batch is wrong");
    if (!is_snapshot && header.base_offset != loader->next_offset)
        return fail(loader, header.base_offset, "the batch does not follow the one before");
    if ((header.attributes & BATCH_ATTRIBUTE_CODEC_MASK) != 0)
        return fail(loader, header.base_offset, "the batch is compressed");
    bool is_control = header.attributes & BATCH_ATTRIBUTE_CONTROL;
    if (!is_control && !apply_records(loader, batch))
        return false;
    if (!is_snapshot) {
        int64_t last = header.base_offset + header.last_offset_delta;
        need_draft(loader);
        draft_set_position(&loader->draft, last, header.leader_epoch, header.max_timestamp);
        loader->next_offset = last + 1;
    }
    return true;
}

void loader_set_position(struct metadata_loader *loader, int64_t end_offset, int32_t epoch,
                         int64_t timestamp_ms)
{
    need_draft(loader);
    draft_set_position(&loader->draft, end_offset - 1, epoch, timestamp_ms);
    loader->next_offset = end_offset;
}

const struct image *loader_image(struct metadata_loader *loader)
{
    loader_settle(loader);
    image_acquire(loader->stable);
    return loader->stable;
}

/* Differences by walking. */

struct topic_diff {
    struct image_topic_change *changes; /* NULL while counting */
    uint32_t count;
};

static void diff_add_topic(struct topic_diff *diff, struct uuid id,
                           const struct image_topic *before, const struct image_topic *after)
{
    if (diff->changes)
        diff->changes[diff->count] = (struct image_topic_change){id, before, after};
    diff->count++;
}

static void diff_topics(const struct image *before, const struct image *after, bool deleted,
                        struct topic_diff *diff)
{
    struct image_tree_cursor cursor;
    image_tree_start(deleted ? &before->topics_by_id : &after->topics_by_id, &cursor);
    for (const struct image_topic *topic = (const void *)image_tree_next(&cursor); topic;
         topic = (const void *)image_tree_next(&cursor)) {
        const struct image_topic *other = image_topic_by_id(deleted ? after : before, topic->id);
        if (deleted && !other)
            diff_add_topic(diff, topic->id, topic, NULL);
        if (!deleted && other != topic)
            diff_add_topic(diff, topic->id, other, topic);
    }
}

static uint32_t diff_configs(const struct image *before, const struct image *after,
                             struct image_config_change *changes)
{
    uint32_t count = 0;
    for (int side = 0; side < 2; side++) {
        struct image_walk walk;
        image_walk_start(side == 0 ? &before->configs : &after->configs, &walk);
        for (const struct image_config *config = image_walk_next_config(&walk); config;
             config = image_walk_next_config(&walk)) {
            enum config_resource_type type = (enum config_resource_type)config->type;
            const struct image_config *other =
                image_config(side == 0 ? after : before, type, config->name);
            if ((side == 0 && other) || other == config)
                continue;
            if (changes)
                changes[count] = (struct image_config_change){
                    .type = config->type,
                    .name = config->name,
                    .before = side == 0 ? config : other,
                    .after = side == 0 ? NULL : config,
                };
            count++;
        }
    }
    return count;
}

static uint32_t diff_brokers(const struct image *before, const struct image *after,
                             struct image_node_change *changes)
{
    uint32_t count = 0;
    for (int side = 0; side < 2; side++) {
        struct image_walk walk;
        image_walk_start(side == 0 ? &before->brokers : &after->brokers, &walk);
        for (const struct image_node *node = image_walk_next_node(&walk); node;
             node = image_walk_next_node(&walk)) {
            const struct image_node *other = image_broker(side == 0 ? after : before, node->id);
            if ((side == 0 && other) || other == node)
                continue;
            if (changes)
                changes[count] = (struct image_node_change){node->id, side == 0 ? node : other,
                                                            side == 0 ? NULL : node};
            count++;
        }
    }
    return count;
}

struct image_delta *image_delta_between(struct heap *heap, const struct image *before,
                                        const struct image *after)
{
    struct topic_diff topics = {NULL, 0};
    diff_topics(before, after, true, &topics);
    diff_topics(before, after, false, &topics);
    size_t topics_size = topics.count * sizeof(*topics.changes);
    size_t configs_size = diff_configs(before, after, NULL) * sizeof(struct image_config_change);
    size_t brokers_size = diff_brokers(before, after, NULL) * sizeof(struct image_node_change);
    size_t size = sizeof(struct image_delta) + topics_size + configs_size + brokers_size;
    struct image_delta *delta = heap_must_get(heap, MEMORY_STATE, size);
    uint8_t *room = (uint8_t *)(delta + 1);
    struct image_config_change *configs = (void *)(room + topics_size);
    struct image_node_change *brokers = (void *)(room + topics_size + configs_size);
    topics = (struct topic_diff){(void *)room, 0};
    diff_topics(before, after, true, &topics);
    diff_topics(before, after, false, &topics);
    *delta = (struct image_delta){
        .before = before,
        .after = after,
        .topics = topics.changes,
        .topic_count = topics.count,
        .configs = configs,
        .config_count = diff_configs(before, after, configs),
        .brokers = brokers,
        .broker_count = diff_brokers(before, after, brokers),
        .controllers_changed = before->controllers.root != after->controllers.root,
        .features_changed = before->features.root != after->features.root,
        .quotas_changed = before->quotas.root != after->quotas.root,
        .acls_changed = before->acls.root != after->acls.root,
        .scrams_changed = before->scrams.root != after->scrams.root,
        .tokens_changed = before->tokens.root != after->tokens.root,
        .producer_ids_changed = before->producer_ids.next != after->producer_ids.next ||
                                before->producer_ids.broker_id != after->producer_ids.broker_id,
        .size = size,
    };
    return delta;
}
