/*
 * A resolution keeps names, not pointers: the image may change from turn to turn. What changed
 * behind its back is found by its version, which is that of the image it began with.
 */
#include "consumer/consumer_group_regex.h"

#include "base/assert.h"
#include "consumer/consumer_group_records.h"
#include "consumer/consumer_group_subscription.h"
#include "consumer/topic_regex.h"

enum {
    REFRESH_MIN_MS = 10000,
    NAME_MAX_SIZE = 249,
    /* Work of one turn, in bytes of compiled patterns looked at; a name costs its patterns' size.
     * Measured at about half a millisecond for plain patterns. */
    PIECE_WORK = 256 * 1024,
    PIECE_NAMES = 2048
};

/* One pattern and what it matched so far. */
struct resolving {
    struct view pattern; /* in the resolution's arena */
    struct topic_regex *regex;
    struct view *topics; /* names in the arena */
    uint32_t count;
    uint32_t capacity;
};

struct regex_resolution {
    struct deferred deferred;
    struct consumer_group *consumer;
    struct arena arena; /* all below */
    struct resolving *patterns;
    uint32_t count;
    int64_t version;      /* metadata offset of the image it began with */
    int64_t timestamp_ms; /* when it began */
    size_t next_size;     /* of the name to go on behind; 0: from the first */
    uint8_t next[NAME_MAX_SIZE];
};

static void destroy(struct regex_resolution *resolution)
{
    for (uint32_t i = 0; i < resolution->count; i++)
        topic_regex_free(resolution->patterns[i].regex);
    list_remove(&resolution->deferred.link);
    struct heap *heap = resolution->arena.heap;
    arena_deinit(&resolution->arena);
    heap_put(heap, MEMORY_STATE, resolution, sizeof(*resolution));
}

void consumer_group_stop_resolution(struct consumer_group *consumer)
{
    if (consumer->resolution)
        destroy(consumer->resolution);
    consumer->resolution = NULL;
}

/* ---- The end --------------------------------------------------------------------------------- */

static int order_of(const struct resolving *pattern, struct view name)
{
    uint32_t low = 0;
    uint32_t high = pattern->count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        int order = view_compare(pattern->topics[middle], name);
        if (order == 0)
            return 0;
        if (order < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return 1;
}

static bool is_same(const struct consumer_regex *known, const struct resolving *pattern)
{
    if (!known->resolved || known->topic_count != pattern->count)
        return known->resolved ? false : pattern->count == 0;
    for (uint32_t i = 0; i < known->topic_count; i++) {
        if (order_of(pattern, known->topics[i]->name) != 0)
            return false;
    }
    return true;
}

/* Writes what was found. The epoch rises with it when any pattern means other topics now. */
static enum kafka_error write_result(struct regex_resolution *resolution)
{
    struct consumer_group *consumer = resolution->consumer;
    struct consumer_records batch;
    consumer_records_begin(&batch, consumer->groups, consumer->group->id, &resolution->arena);
    bool changed = false;
    for (uint32_t i = 0; i < resolution->count; i++) {
        const struct resolving *pattern = &resolution->patterns[i];
        const struct consumer_regex *known = consumer_group_find_regex(consumer, pattern->pattern);
        if (!known || known->subscribers == 0)
            continue;
        changed |= !is_same(known, pattern);
        static const struct view none = {NULL, 0};
        put_regex(&batch, pattern->pattern, pattern->topics ? pattern->topics : &none,
                  pattern->count, resolution->version, resolution->timestamp_ms);
    }
    enum kafka_error error = coordinator_append(&batch.records);
    if (error != KAFKA_ERROR_NONE)
        return error;
    /* Now the group's subscriptions include them: the hash is that of the new ones. */
    struct subscription_change nothing = {.leaving_count = 0};
    struct group_subscription subscription;
    if (!group_subscription_compute(consumer, &nothing, &resolution->arena, &subscription))
        return KAFKA_ERROR_UNKNOWN_SERVER_ERROR;
    if (!changed && subscription.hash == consumer->metadata_hash)
        return KAFKA_ERROR_NONE;
    consumer_records_begin(&batch, consumer->groups, consumer->group->id, &resolution->arena);
    put_group_epoch(&batch, consumer->epoch + 1, subscription.hash);
    return coordinator_append(&batch.records);
}

/* ---- Piece by piece -------------------------------------------------------------------------- */

static bool add_topic(struct regex_resolution *resolution, struct resolving *pattern,
                      struct view name)
{
    if (pattern->count == pattern->capacity) {
        uint32_t capacity = pattern->capacity ? pattern->capacity * 2 : 16;
        struct view *topics = arena_get(&resolution->arena, capacity * sizeof(*topics));
        if (!topics)
            return false;
        if (pattern->count)
            memcpy(topics, pattern->topics, pattern->count * sizeof(*topics));
        pattern->topics = topics;
        pattern->capacity = capacity;
    }
    pattern->topics[pattern->count++] = name;
    return true;
}

static bool match(struct regex_resolution *resolution, struct view name)
{
    struct view copy = VIEW_NULL;
    for (uint32_t i = 0; i < resolution->count; i++) {
        struct resolving *pattern = &resolution->patterns[i];
        if (!pattern->regex || !topic_regex_matches(pattern->regex, name))
            continue;
        if (view_is_null(copy))
            copy = arena_copy(&resolution->arena, name);
        if (view_is_null(copy) || !add_topic(resolution, pattern, copy))
            return false;
    }
    return true;
}

enum piece { PIECE_MORE, PIECE_LAST, PIECE_NO_MEMORY };

static enum piece run_piece(struct regex_resolution *resolution)
{
    const struct image *image = coordinator_image(resolution->consumer->groups->coordinator);
    struct view after = view_of(resolution->next, resolution->next_size);
    struct image_topic_walk walk;
    image_topic_walk_start(image, after.size ? after : VIEW_NULL, &walk);
    size_t work = 0;
    for (unsigned names = 0; names < PIECE_NAMES && work < PIECE_WORK; names++) {
        const struct image_topic *topic = image_topic_walk_next(&walk);
        if (!topic)
            return PIECE_LAST;
        if (after.size && view_equal(topic->name, after))
            continue;
        if (!match(resolution, topic->name))
            return PIECE_NO_MEMORY;
        for (uint32_t i = 0; i < resolution->count; i++)
            work += topic_regex_cost(resolution->patterns[i].regex);
        klamm_assert(topic->name.size <= NAME_MAX_SIZE);
        memcpy(resolution->next, topic->name.data, topic->name.size);
        resolution->next_size = topic->name.size;
        after = VIEW_NULL;
    }
    return PIECE_MORE;
}

static void resolution_run(struct deferred *deferred)
{
    struct regex_resolution *resolution = container_of(deferred, struct regex_resolution, deferred);
    struct consumer_group *consumer = resolution->consumer;
    switch (run_piece(resolution)) {
    case PIECE_MORE:
        loop_defer(coordinator_loop(consumer->groups->coordinator), deferred);
        return;
    case PIECE_LAST:
        /* Taken out first: what is appended may end the coordinator, and it. */
        consumer->resolution = NULL;
        write_result(resolution); /* an error: the next heartbeat finds that it is still due */
        destroy(resolution);
        return;
    case PIECE_NO_MEMORY:
        consumer_group_stop_resolution(consumer);
        return;
    }
}

/* ---- The beginning --------------------------------------------------------------------------- */

static void start(struct consumer_group *consumer)
{
    struct groups *groups = consumer->groups;
    struct loop *loop = coordinator_loop(groups->coordinator);
    struct regex_resolution *resolution =
        heap_must_get(groups->heap, MEMORY_STATE, sizeof(*resolution));
    deferred_init(&resolution->deferred, resolution_run);
    resolution->consumer = consumer;
    arena_init(&resolution->arena, groups->heap, MEMORY_SCRATCH, 0);
    resolution->version = coordinator_image(groups->coordinator)->offset;
    resolution->timestamp_ms = loop->wall_ms;
    resolution->patterns =
        arena_must_get(&resolution->arena, consumer->regex_subscribed, sizeof(struct resolving));
    map_for_each(entry, &consumer->regexes)
    {
        const struct consumer_regex *regex = entry->value;
        if (regex->subscribers == 0)
            continue;
        struct resolving *pattern = &resolution->patterns[resolution->count++];
        const char *message;
        pattern->pattern = arena_copy(&resolution->arena, regex->pattern);
        /* One that another node took and this one does not matches nothing. */
        pattern->regex = topic_regex_compile(groups->heap, regex->pattern, &message);
    }
    consumer->resolution = resolution;
    loop_defer(loop, &resolution->deferred);
}

void consumer_group_refresh_regexes(struct consumer_group *consumer)
{
    if (consumer->regex_subscribed == 0 || consumer->resolution)
        return;
    const struct groups *groups = consumer->groups;
    int64_t now_ms = coordinator_loop(groups->coordinator)->wall_ms;
    int64_t last_ms = INT64_MIN;
    int64_t version = INT64_MAX;
    bool unresolved = false;
    map_for_each(entry, &consumer->regexes)
    {
        const struct consumer_regex *regex = entry->value;
        if (!regex->resolved) {
            unresolved = true;
            continue;
        }
        if (regex->timestamp_ms > last_ms)
            last_ms = regex->timestamp_ms;
        if (regex->version < version)
            version = regex->version;
    }
    if (last_ms != INT64_MIN && now_ms <= last_ms + REFRESH_MIN_MS)
        return;
    int32_t interval_ms = groups_settings(groups)->group_consumer_regex_refresh_interval_ms;
    if (unresolved || version < groups->consumer.topics_created_offset ||
        now_ms > last_ms + interval_ms)
        start(consumer);
}
