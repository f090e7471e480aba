/*
 * First everything is looked at, then everything is written; meta.properties comes last in each
 * directory, and the metadata's directory comes last of all.
 */
#include "broker/format.h"

#include <stdarg.h>
#include <stdio.h>

#include "base/text.h"
#include "cluster/controller/bootstrap_records.h"
#include "cluster/quorum/quorum_format.h"
#include "config/value.h"
#include "log/log_directory.h"

enum { META_FILE_SIZE_MAX = 65536, VOTERS_MAX = 64 };

struct format_directory {
    char *path;
    bool is_formatted;
    struct meta_properties meta;
};

struct format_run {
    const struct format_request *request;
    struct arena arena;
    struct format_directory directories[LOG_DIRECTORY_COUNT_MAX];
    size_t count;
    struct sole_voter *voters; /* NULL: none are written */
    size_t voter_count;
    struct controller_initial_levels levels;
    struct uuid own_directory_id; /* as the list of voters names it; zero: free */
    char cluster_id[META_CLUSTER_ID_MAX + 1];
    char *message;
    size_t capacity;
};

static enum format_status refuse(struct format_run *run, enum format_status status,
                                 const char *text, ...) __attribute__((format(printf, 3, 4)));

static enum format_status refuse(struct format_run *run, enum format_status status,
                                 const char *text, ...)
{
    va_list arguments;
    va_start(arguments, text);
    vsnprintf(run->message, run->capacity, text, arguments);
    va_end(arguments);
    return status;
}

static struct uuid fresh_id(const struct format_request *request)
{
    uint64_t words[2];
    struct uuid id;
    do {
        request->entropy(words, sizeof(words));
        id = uuid_of_random(words[0], words[1]);
    } while (uuid_text_begins_with_dash(id));
    return id;
}

/* ---- The first voters ---- */

static enum format_status vote_alone(struct format_run *run)
{
    const struct server_config *config = run->request->config;
    const struct listener_config *listener = server_config_controller_endpoint(config);
    run->voters = arena_get_array(&run->arena, 1, sizeof(*run->voters));
    run->voter_count = 1;
    if (!run->voters)
        return refuse(run, FORMAT_FAILED, "out of memory");
    run->own_directory_id = fresh_id(run->request);
    run->voters[0] = (struct sole_voter){
        .id = config->node_id,
        .directory_id = run->own_directory_id,
        /* A node that is alone needs no controller listener; these are what Kafka would look for.
         */
        .listener = listener ? listener->name : VIEW_LITERAL("CONTROLLER"),
        .host = listener ? listener_config_host(listener, view_of_string(run->request->host_name))
                         : VIEW_LITERAL("localhost"),
        .port = listener ? (uint16_t)listener->port : 9093,
    };
    return FORMAT_DONE;
}

/* Reads "id@host:port:directory-id". */
static bool read_voter(struct view text, struct sole_voter *voter)
{
    size_t at = text_find(text, '@');
    size_t colon = text.size;
    while (colon > at && text.data[colon - 1] != ':')
        colon--;
    int64_t id;
    int32_t port;
    if (at == text.size || colon <= at + 1 ||
        !text_parse_i64(view_of(text.data, at), 0, INT32_MAX, &id) ||
        !config_read_endpoint(view_of(text.data + at + 1, colon - at - 2), &voter->host, &port) ||
        !uuid_parse(view_of(text.data + colon, text.size - colon), &voter->directory_id))
        return false;
    voter->id = (int32_t)id;
    voter->port = (uint16_t)port;
    return voter->host.size > 0 && port > 0 && !uuid_is_zero(voter->directory_id);
}

static enum format_status vote_by_list(struct format_run *run)
{
    const struct server_config *config = run->request->config;
    struct view rest = run->request->voter_list;
    run->voters = arena_get_array(&run->arena, VOTERS_MAX, sizeof(*run->voters));
    if (!run->voters)
        return refuse(run, FORMAT_FAILED, "out of memory");
    for (struct view part; text_split(&rest, ',', &part);) {
        if (run->voter_count == VOTERS_MAX)
            return refuse(run, FORMAT_BAD_USAGE, "--initial-controllers: more than %d", VOTERS_MAX);
        struct sole_voter *voter = &run->voters[run->voter_count];
        part = text_trim(part);
        if (!read_voter(part, voter))
            return refuse(run, FORMAT_BAD_USAGE,
                          "--initial-controllers: %.*s is not id@host:port:directory-id",
                          (int)part.size, (const char *)part.data);
        voter->listener = config->controller_listener_names.items[0];
        for (size_t i = 0; i < run->voter_count; i++)
            if (run->voters[i].id == voter->id)
                return refuse(run, FORMAT_BAD_USAGE, "--initial-controllers: id %d is there twice",
                              voter->id);
        if (voter->id == config->node_id)
            run->own_directory_id = voter->directory_id;
        run->voter_count++;
    }
    if (uuid_is_zero(run->own_directory_id))
        return refuse(
            run, FORMAT_BAD_USAGE,
            "--initial-controllers: node.id %d is not among them; a node that joins later "
            "is formatted with --no-initial-controllers",
            config->node_id);
    return FORMAT_DONE;
}

static enum format_status choose_voters(struct format_run *run)
{
    const struct server_config *config = run->request->config;
    enum format_voters wanted = run->request->voters;
    enum config_quorum quorum = server_config_quorum(config);
    if (wanted != FORMAT_VOTERS_BY_CONFIG && config->voter_count > 0)
        return refuse(run, FORMAT_BAD_USAGE,
                      "the voters are those of controller.quorum.voters; options that name voters "
                      "go with controller.quorum.bootstrap.servers");
    if ((wanted == FORMAT_VOTERS_SELF || wanted == FORMAT_VOTERS_LIST) && !config->is_controller)
        return refuse(run, FORMAT_BAD_USAGE,
                      "this node is no controller (process.roles) and cannot be a voter");
    if (wanted == FORMAT_VOTERS_LIST && config->controller_listener_names.count == 0)
        return refuse(run, FORMAT_BAD_USAGE,
                      "--initial-controllers needs controller.listener.names");
    if (wanted == FORMAT_VOTERS_LIST)
        return vote_by_list(run);
    if (wanted == FORMAT_VOTERS_SELF)
        return vote_alone(run);
    if (wanted == FORMAT_VOTERS_NONE || config->voter_count > 0 || quorum == CONFIG_QUORUM_OBSERVER)
        return FORMAT_DONE;
    if (quorum == CONFIG_QUORUM_ALONE)
        return vote_alone(run);
    return refuse(run, FORMAT_BAD_USAGE,
                  "say how the quorum begins: --standalone on its first controller, "
                  "--initial-controllers on each of several, or --no-initial-controllers on one "
                  "that joins later");
}

/* ---- Looking ---- */

static enum format_status add_path(struct format_run *run, struct view path)
{
    for (size_t i = 0; i < run->count; i++)
        if (view_equal(path, view_of_string(run->directories[i].path)))
            return FORMAT_DONE;
    if (run->count == LOG_DIRECTORY_COUNT_MAX)
        return refuse(run, FORMAT_BAD_USAGE, "more than %d log directories",
                      LOG_DIRECTORY_COUNT_MAX);
    char *copy = arena_get(&run->arena, path.size + 1);
    if (!copy)
        return refuse(run, FORMAT_FAILED, "out of memory");
    memcpy(copy, path.data, path.size);
    copy[path.size] = 0;
    run->directories[run->count++] = (struct format_directory){.path = copy};
    return FORMAT_DONE;
}

static enum format_status cannot(struct format_run *run, const char *path, const char *what,
                                 enum storage_status status)
{
    return refuse(run, FORMAT_FAILED, "log directory %s: cannot %s: %s", path, what,
                  storage_status_text(status));
}

static enum format_status read_meta(struct format_run *run, struct format_directory *directory)
{
    const struct format_request *request = run->request;
    struct log_path path;
    struct file_content content;
    const char *problem = NULL;
    if (!log_path_join(&path, directory->path, META_PROPERTIES_FILE_NAME))
        return cannot(run, directory->path, "use it", STORAGE_LIMIT);
    enum storage_status status =
        file_content_read(request->storage, path.text, request->heap, META_FILE_SIZE_MAX, &content);
    if (status == STORAGE_NOT_FOUND)
        return FORMAT_DONE;
    if (status != STORAGE_OK)
        return cannot(run, directory->path, "read meta.properties", status);
    directory->is_formatted = meta_properties_decode(file_content_view(&content), &run->arena,
                                                     &directory->meta, &problem);
    file_content_release(&content);
    if (!directory->is_formatted)
        return refuse(run, FORMAT_FAILED, "%s cannot be used: %s", path.text, problem);
    return FORMAT_DONE;
}

/* The directory is there, nobody works in it, and what it says does not contradict. */
static enum format_status look_at(struct format_run *run, struct format_directory *directory)
{
    const struct format_request *request = run->request;
    struct log_path path;
    bool is_used;
    enum storage_status status = log_directory_make(request->storage, directory->path);
    if (status != STORAGE_OK)
        return cannot(run, directory->path, "make it", status);
    if (!log_path_join(&path, directory->path, LOG_DIRECTORY_LOCK_NAME))
        return cannot(run, directory->path, "use it", STORAGE_LIMIT);
    struct storage_request lock = {.operation = STORAGE_LOCK, .path = path.text};
    status = storage_run(request->storage, &lock);
    if (status == STORAGE_LOCKED)
        return refuse(run, FORMAT_FAILED,
                      "log directory %s is in use by another process (its .lock is held)",
                      directory->path);
    if (status != STORAGE_OK)
        return cannot(run, directory->path, "lock it", status);
    enum format_status read = read_meta(run, directory);
    if (read != FORMAT_DONE)
        return read;
    if (directory->is_formatted && !request->ignore_formatted)
        return refuse(run, FORMAT_FAILED,
                      "log directory %s is formatted already (cluster %s, node %d); "
                      "--ignore-formatted formats only the others",
                      directory->path, directory->meta.cluster_id, directory->meta.node_id);
    status = quorum_format_is_used(request->storage, request->heap, directory->path, &is_used);
    if (status != STORAGE_OK)
        return cannot(run, directory->path, "list it", status);
    if (is_used && !directory->is_formatted)
        return refuse(run, FORMAT_FAILED,
                      "log directory %s holds a metadata log but no meta.properties: it is not "
                      "formatted over",
                      directory->path);
    return FORMAT_DONE;
}

static bool is_cluster_id(struct view id)
{
    for (size_t i = 0; i < id.size; i++) {
        uint8_t c = id.data[i];
        bool is_plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
        if (!is_plain && c != '-' && c != '_' && c != '.')
            return false;
    }
    return id.size > 0 && id.size <= META_CLUSTER_ID_MAX;
}

/* The given id, or that of the directories that are formatted, or a fresh one. */
static enum format_status agree(struct format_run *run)
{
    const struct format_request *request = run->request;
    if (!view_is_null(request->cluster_id)) {
        if (!is_cluster_id(request->cluster_id) ||
            !text_to_string(request->cluster_id, run->cluster_id, sizeof(run->cluster_id)))
            return refuse(run, FORMAT_BAD_USAGE,
                          "--cluster-id %.*s: letters, digits, '-', '_' and '.' make one",
                          (int)request->cluster_id.size, (const char *)request->cluster_id.data);
    }
    for (size_t i = 0; i < run->count; i++) {
        const struct format_directory *directory = &run->directories[i];
        if (!directory->is_formatted)
            continue;
        if (run->cluster_id[0] == 0)
            memcpy(run->cluster_id, directory->meta.cluster_id, sizeof(run->cluster_id));
        if (strcmp(run->cluster_id, directory->meta.cluster_id) != 0)
            return refuse(run, FORMAT_FAILED, "log directory %s belongs to cluster %s, not to %s",
                          directory->path, directory->meta.cluster_id, run->cluster_id);
        if (directory->meta.node_id >= 0 && directory->meta.node_id != request->config->node_id)
            return refuse(run, FORMAT_FAILED, "log directory %s belongs to node %d, not to node %d",
                          directory->path, directory->meta.node_id, request->config->node_id);
    }
    if (run->cluster_id[0] == 0)
        uuid_format(fresh_id(request), run->cluster_id);
    return FORMAT_DONE;
}

/* ---- Writing ---- */

static enum format_status write_directory(struct format_run *run,
                                          struct format_directory *directory,
                                          const struct metadata_records *bootstrap)
{
    const struct format_request *request = run->request;
    bool has_metadata =
        view_equal(request->config->metadata_log_dir, view_of_string(directory->path));
    struct quorum_format format = {
        .log_directory = directory->path,
        .bootstrap = bootstrap->values,
        .bootstrap_count = bootstrap->count,
        .voters = has_metadata ? run->voters : NULL,
        .voter_count = run->voter_count,
        .wall_ms = request->wall_ms,
    };
    directory->meta = (struct meta_properties){.version = 1, .node_id = request->config->node_id};
    memcpy(directory->meta.cluster_id, run->cluster_id, sizeof(run->cluster_id));
    directory->meta.directory_id = has_metadata && !uuid_is_zero(run->own_directory_id)
                                       ? run->own_directory_id
                                       : fresh_id(request);
    enum storage_status status = quorum_format(&format, request->storage, request->heap);
    if (status == STORAGE_OK)
        status = log_directory_sync_names(request->storage, directory->path);
    if (status == STORAGE_OK)
        status = log_directory_write_meta(request->storage, directory->path, &directory->meta);
    if (status != STORAGE_OK)
        return cannot(run, directory->path, "write to it", status);
    char line[META_CLUSTER_ID_MAX + 512];
    char id[UUID_TEXT_SIZE + 1];
    uuid_format(directory->meta.directory_id, id);
    snprintf(line, sizeof(line), "formatted %.300s: cluster %s, node %d, directory %s",
             directory->path, run->cluster_id, request->config->node_id, id);
    request->say(line);
    return FORMAT_DONE;
}

static enum format_status write_all(struct format_run *run)
{
    struct metadata_records bootstrap;
    enum format_status status = FORMAT_DONE;
    metadata_records_init(&bootstrap, &run->arena);
    add_bootstrap_records(&bootstrap, &run->levels);
    for (int last = 0; last <= 1; last++) {
        for (size_t i = 0; i < run->count && status == FORMAT_DONE; i++) {
            struct format_directory *directory = &run->directories[i];
            bool has_metadata =
                view_equal(run->request->config->metadata_log_dir, view_of_string(directory->path));
            if (!directory->is_formatted && has_metadata == (last == 1))
                status = write_directory(run, directory, &bootstrap);
        }
    }
    return status;
}

static enum format_status choose_levels(struct format_run *run)
{
    controller_initial_levels_init(&run->levels);
    for (size_t i = 0; i < run->request->feature_count; i++) {
        struct view text = run->request->features[i];
        const uint8_t *equals = text.size ? memchr(text.data, '=', text.size) : NULL;
        size_t size = equals ? (size_t)(equals - text.data) : text.size;
        int64_t level;
        if (!equals ||
            !text_parse_i64(view_of(equals + 1, text.size - size - 1), 0, INT16_MAX, &level) ||
            !controller_initial_levels_set(&run->levels, view_of(text.data, size), level))
            return refuse(run, FORMAT_BAD_USAGE,
                          "--feature %.*s: a new cluster cannot have that (name=level)",
                          (int)text.size, (const char *)text.data);
    }
    const struct controller_feature *fault = controller_initial_levels_fault(&run->levels);
    if (fault)
        return refuse(run, FORMAT_BAD_USAGE, "--feature: %.*s needs metadata.version=%d",
                      (int)fault->name.size, (const char *)fault->name.data, fault->needs);
    return FORMAT_DONE;
}

static enum format_status run_all(struct format_run *run)
{
    const struct server_config *config = run->request->config;
    enum format_status status = choose_voters(run);
    if (status == FORMAT_DONE)
        status = choose_levels(run);
    for (size_t i = 0; i < config->log_dirs.count && status == FORMAT_DONE; i++)
        status = add_path(run, config->log_dirs.items[i]);
    if (status == FORMAT_DONE)
        status = add_path(run, config->metadata_log_dir);
    for (size_t i = 0; i < run->count && status == FORMAT_DONE; i++)
        status = look_at(run, &run->directories[i]);
    if (status == FORMAT_DONE)
        status = agree(run);
    if (status == FORMAT_DONE)
        status = write_all(run);
    return status;
}

enum format_status format_node(const struct format_request *request, char *message, size_t capacity)
{
    struct format_run *run = heap_must_get(request->heap, MEMORY_STATE, sizeof(*run));
    run->request = request;
    run->message = message;
    run->capacity = capacity;
    arena_init(&run->arena, request->heap, MEMORY_SCRATCH, 0);
    enum format_status status = run_all(run);
    arena_deinit(&run->arena);
    heap_put(request->heap, MEMORY_STATE, run, sizeof(*run));
    return status;
}
