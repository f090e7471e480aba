/*
 * What a voter told is kept as it would stand in the record: a KRAFT_VOTERS value of one voter in a
 * block of its own. The record is put together when it is wanted.
 */
#include "cluster/quorum/kraft_upgrade.h"

#include <string.h>

#include "cluster/quorum/voter_change_internal.h"

enum { TOLD_SIZE_MAX = 4096 /* with a listener or two it is 100 */ };

struct told {
    struct list link;
    struct quorum_node node;
    struct voters_record_kraft_version_feature range;
    size_t size; /* of this block */
    size_t value_size;
    uint8_t value[];
};

static void drop(struct metadata_log *log, struct told *told)
{
    list_remove(&told->link);
    heap_put(log->loop->heap, MEMORY_STATE, told, told->size);
}

void kraft_upgrade_init(struct metadata_log *log)
{
    list_init(&log->upgrade.told);
}

void kraft_upgrade_forget(struct metadata_log *log)
{
    list_for_each_safe(link, after, &log->upgrade.told)
        drop(log, container_of(link, struct told, link));
}

static struct told *find(const struct metadata_log *log, int32_t id)
{
    list_for_each(link, &log->upgrade.told)
    {
        struct told *told = container_of(link, struct told, link);
        if (told->node.id == id)
            return told;
    }
    return NULL;
}

static bool is_voter(const struct metadata_log *log, int32_t id)
{
    for (uint32_t i = 0; i < log->quorum.voter_count; i++)
        if (log->quorum.voters[i].node.id == id)
            return true;
    return false;
}

enum kafka_error kraft_upgrade_remember(struct metadata_log *log,
                                        const struct voters_record_voter *voter,
                                        struct arena *arena)
{
    if (!is_voter(log, voter->voter_id) || voter->voter_id == log->options.voter.id)
        return KAFKA_ERROR_VOTER_NOT_FOUND;
    struct voters_record_voter copy = *voter;
    struct voters_record record = {.voters = &copy, .voters_count = 1};
    struct view value = voters_encode(&record, arena);
    if (view_is_null(value) || value.size > TOLD_SIZE_MAX)
        return KAFKA_ERROR_INVALID_REQUEST;
    struct told *before = find(log, voter->voter_id);
    if (before)
        drop(log, before);
    size_t size = sizeof(struct told) + value.size;
    struct told *told = heap_must_get(log->loop->heap, MEMORY_STATE, size);
    *told = (struct told){.node = {voter->voter_id, voter->voter_directory_id},
                          .range = voter->kraft_version_feature,
                          .size = size,
                          .value_size = value.size};
    memcpy(told->value, value.data, value.size);
    list_push_back(&log->upgrade.told, &told->link);
    return KAFKA_ERROR_NONE;
}

/* ---- Raising --------------------------------------------------------------------------------- */

static enum kraft_upgrade_fault check_voter(const struct metadata_log *log, int32_t id)
{
    if (id == log->options.voter.id)
        return KRAFT_UPGRADE_POSSIBLE;
    const struct told *told = find(log, id);
    const struct quorum_follower *follower =
        followers_find(log, (struct quorum_node){id, UUID_ZERO});
    if (!told || !follower)
        return KRAFT_UPGRADE_SILENT;
    if (told->range.min_supported_version > KRAFT_VERSION_DYNAMIC ||
        told->range.max_supported_version < KRAFT_VERSION_DYNAMIC)
        return KRAFT_UPGRADE_TOO_OLD;
    return uuid_equal(follower->node.directory_id, told->node.directory_id) ? KRAFT_UPGRADE_POSSIBLE
                                                                            : KRAFT_UPGRADE_MOVED;
}

enum kraft_upgrade_fault kraft_upgrade_check(const struct metadata_log *log, int32_t *voter)
{
    *voter = QUORUM_NODE_NONE;
    if (metadata_log_kraft_version(log) >= KRAFT_VERSION_DYNAMIC || log->is_closing ||
        log->has_failed || !quorum_may_change_voters(&log->quorum))
        return KRAFT_UPGRADE_NOT_READY;
    for (uint32_t i = 0; i < log->quorum.voter_count; i++) {
        int32_t id = log->quorum.voters[i].node.id;
        enum kraft_upgrade_fault fault = check_voter(log, id);
        if (fault == KRAFT_UPGRADE_POSSIBLE)
            continue;
        *voter = id;
        return fault;
    }
    return KRAFT_UPGRADE_POSSIBLE;
}

/* This node as a voter. */
static bool fill_own(const struct metadata_log *log, struct voters_record_voter *voter,
                     struct arena *arena)
{
    const struct sole_voter *self = &log->options.voter;
    struct voters_record_endpoint *endpoint = arena_get_array(arena, 1, sizeof(*endpoint));
    if (!endpoint)
        return false;
    *endpoint = (struct voters_record_endpoint){self->listener, self->host, self->port};
    *voter = (struct voters_record_voter){
        .voter_id = self->id,
        .voter_directory_id = self->directory_id,
        .endpoints = endpoint,
        .endpoints_count = 1,
        .kraft_version_feature = {KRAFT_VERSION_STATIC, KRAFT_VERSION_DYNAMIC},
    };
    return true;
}

static bool fill(const struct metadata_log *log, int32_t id, struct voters_record_voter *voter,
                 struct arena *arena)
{
    if (id == log->options.voter.id)
        return fill_own(log, voter, arena);
    struct voters_record record;
    const struct told *told = find(log, id);
    if (!told || !voters_decode(view_of(told->value, told->value_size), &record, arena))
        return false;
    *voter = record.voters[0];
    return true;
}

static bool make_record(const struct metadata_log *log, struct voters_record *record,
                        struct arena *arena)
{
    size_t count = log->quorum.voter_count;
    *record = (struct voters_record){
        .voters = arena_get_array(arena, count, sizeof(*record->voters)), .voters_count = count};
    for (size_t i = 0; record->voters && i < count; i++)
        if (!fill(log, log->quorum.voters[i].node.id, &record->voters[i], arena))
            return false;
    return record->voters != NULL;
}

bool kraft_upgrade_append(struct metadata_log *log)
{
    int32_t voter;
    if (kraft_upgrade_check(log, &voter) != KRAFT_UPGRADE_POSSIBLE)
        return false;
    uint8_t version[16];
    size_t version_size =
        voters_encode_kraft_version(KRAFT_VERSION_DYNAMIC, version, sizeof(version));
    struct voters_record record;
    struct arena arena;
    arena_init(&arena, log->loop->heap, MEMORY_SCRATCH, 0);
    bool ok =
        make_record(log, &record, &arena) &&
        voter_change_append_version(log, view_of(version, version_size), &record, &arena) >= 0;
    arena_deinit(&arena);
    return ok;
}
