/* Both files are snapshots, so both are complete or not there. */
#include "cluster/quorum/quorum_format.h"

#include "base/text.h"
#include "cluster/quorum/quorum_boot.h"
#include "cluster/quorum/snapshot_file.h"
#include "log/log_directory.h"

/* The value of KRAFT_VOTERS; null when memory is refused or a text is too long. */
static struct view encode_voters(const struct quorum_format *format, struct arena *arena)
{
    struct voters_record_voter *list = arena_get_array(arena, format->voter_count, sizeof(*list));
    struct voters_record_endpoint *endpoints =
        arena_get_array(arena, format->voter_count, sizeof(*endpoints));
    if (!list || !endpoints)
        return VIEW_NULL;
    for (size_t i = 0; i < format->voter_count; i++) {
        const struct sole_voter *voter = &format->voters[i];
        endpoints[i] = (struct voters_record_endpoint){voter->listener, voter->host, voter->port};
        list[i] = (struct voters_record_voter){
            .voter_id = voter->id,
            .voter_directory_id = voter->directory_id,
            .endpoints = &endpoints[i],
            .endpoints_count = 1,
            .kraft_version_feature = {KRAFT_VERSION_STATIC, KRAFT_VERSION_DYNAMIC},
        };
    }
    struct voters_record record = {.voters = list, .voters_count = format->voter_count};
    return voters_encode(&record, arena);
}

static enum storage_status write_checkpoint(const struct quorum_format *format,
                                            struct storage storage, struct heap *heap,
                                            const char *directory, const char *name,
                                            const struct snapshot_voters *voters,
                                            const struct view *values, size_t count)
{
    struct snapshot_writer writer;
    if (snapshot_writer_begin(&writer, storage, heap, directory, (struct snapshot_id){0, 0}, 0,
                              format->wall_ms, voters) &&
        snapshot_writer_append(&writer, values, count) && snapshot_writer_finish(&writer, name))
        return STORAGE_OK;
    enum storage_status status = writer.status;
    snapshot_writer_abort(&writer);
    return status != STORAGE_OK ? status : STORAGE_LIMIT;
}

static enum storage_status write_voters(const struct quorum_format *format, struct storage storage,
                                        struct heap *heap, struct arena *arena)
{
    struct log_path directory;
    uint8_t version[16];
    if (!log_path_join(&directory, format->log_directory, QUORUM_DIRECTORY_NAME))
        return STORAGE_LIMIT;
    enum storage_status status = log_directory_make(storage, directory.text);
    if (status != STORAGE_OK)
        return status;
    struct snapshot_voters voters = {
        view_of(version,
                voters_encode_kraft_version(KRAFT_VERSION_DYNAMIC, version, sizeof(version))),
        encode_voters(format, arena)};
    if (view_is_null(voters.voters))
        return STORAGE_LIMIT;
    return write_checkpoint(format, storage, heap, directory.text, NULL, &voters, NULL, 0);
}

enum storage_status quorum_format(const struct quorum_format *format, struct storage storage,
                                  struct heap *heap)
{
    struct arena arena;
    enum storage_status status =
        write_checkpoint(format, storage, heap, format->log_directory, QUORUM_BOOTSTRAP_NAME, NULL,
                         format->bootstrap, format->bootstrap_count);
    if (status != STORAGE_OK || !format->voters)
        return status;
    arena_init(&arena, heap, MEMORY_SCRATCH, 0);
    status = write_voters(format, storage, heap, &arena);
    arena_deinit(&arena);
    return status;
}

/* What a run of quorum_format that was cut short leaves. */
static bool is_of_formatting(const char *name)
{
    struct snapshot_id id;
    return text_ends_with(view_of_string(name), VIEW_LITERAL(SNAPSHOT_PART_SUFFIX)) ||
           (snapshot_name_parse(name, &id) && id.end_offset == 0);
}

enum storage_status quorum_format_is_used(struct storage storage, struct heap *heap,
                                          const char *log_directory, bool *is_used)
{
    struct log_path directory;
    struct storage_listing *listing;
    *is_used = false;
    if (!log_path_join(&directory, log_directory, QUORUM_DIRECTORY_NAME))
        return STORAGE_LIMIT;
    enum storage_status status = storage_run_list(storage, directory.text, heap, &listing);
    if (status == STORAGE_NOT_FOUND)
        return STORAGE_OK;
    if (status != STORAGE_OK)
        return status;
    for (size_t i = 0; i < listing->count; i++)
        *is_used |= !is_of_formatting(listing->entries[i].name);
    storage_listing_release(listing);
    return STORAGE_OK;
}
