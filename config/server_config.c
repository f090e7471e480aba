/*
 * Reading goes in three steps. Every given key is looked up and parsed by its row; what is wrong is
 * reported with its place, and only good values, as written, enter config->file. Then the
 * typed structs are filled from file and defaults. Last come the checks that compare keys.
 */
#include "config/server_config.h"

#include <stdarg.h>
#include <stdio.h>

#include "base/map.h"
#include "base/text.h"
#include "config/definition_tables.h"
#include "config/layers.h"
#include "config/properties.h"
#include "config/server_internal.h"

void report_add(struct config_report *report, struct arena *arena, enum config_severity severity,
                const char *format, ...)
{
    char text[1024];
    va_list arguments;
    report->error_count += severity == CONFIG_ERROR;
    va_start(arguments, format);
    int wanted = vsnprintf(text, sizeof(text), format, arguments);
    va_end(arguments);
    if (report->count == report->capacity) {
        size_t capacity = report->capacity == 0 ? 16 : report->capacity * 2;
        struct config_message *messages = arena_get_array(arena, capacity, sizeof(*messages));
        if (!messages)
            return;
        if (report->count > 0)
            memcpy(messages, report->messages, report->count * sizeof(*messages));
        report->messages = messages;
        report->capacity = capacity;
    }
    size_t size = wanted < 0                      ? 0
                  : (size_t)wanted < sizeof(text) ? (size_t)wanted
                                                  : sizeof(text) - 1;
    report->messages[report->count++] =
        (struct config_message){severity, arena_copy(arena, view_of(text, size))};
}

const char *security_protocol_name(enum security_protocol protocol)
{
    switch (protocol) {
    case SECURITY_PLAINTEXT:
        return "PLAINTEXT";
    case SECURITY_SSL:
        return "SSL";
    case SECURITY_SASL_PLAINTEXT:
        return "SASL_PLAINTEXT";
    case SECURITY_SASL_SSL:
        return "SASL_SSL";
    }
    return "?";
}

const struct config_definition *config_find_prefixed(struct view name, size_t *prefix_size)
{
    struct view prefix = VIEW_LITERAL("listener.name.");
    const struct config_definition *row = config_find(CONFIG_SCOPE_BROKER, name);
    size_t skipped = 0;
    if (!row && text_starts_with(name, prefix)) {
        /* The listener's name, and with SASL the mechanism's, end at a dot. */
        struct view rest = view_of(name.data + prefix.size, name.size - prefix.size);
        for (int part = 0; part < 2 && !row; part++) {
            size_t dot = text_find(rest, '.');
            if (dot == rest.size)
                break;
            rest = view_of(rest.data + dot + 1, rest.size - dot - 1);
            row = config_find(CONFIG_SCOPE_BROKER, rest);
            skipped = name.size - rest.size;
        }
    }
    if (prefix_size)
        *prefix_size = row ? skipped : 0;
    return row;
}

/* One given key and where it was given. */
struct given {
    struct view name;
    struct view value;
    uint32_t line; /* 0: an --override */
};

struct given_list {
    struct given *items;
    size_t count;
};

/* "server.properties:12" or "--override". */
static struct view place_of(const struct server_config_input *input, const struct given *given,
                            struct arena *arena)
{
    if (given->line == 0)
        return VIEW_LITERAL("--override");
    return config_text(arena, "%.*s:%u", SHOW(input->file_name), (unsigned)given->line);
}

/* All given keys, the file's first. False with an error when the input cannot be read. */
static bool collect(const struct server_config_input *input, struct given_list *list,
                    struct config_report *report, struct arena *arena)
{
    struct properties properties = {NULL, 0};
    uint32_t error_line = 0;
    if (!view_is_null(input->file_text) &&
        !properties_read(input->file_text, &properties, &error_line, arena)) {
        report_add(report, arena, CONFIG_ERROR,
                   "%.*s:%u: \\u must be followed by four "
                   "hexadecimal digits",
                   SHOW(input->file_name), (unsigned)error_line);
        return false;
    }
    list->count = 0;
    list->items =
        arena_get_array(arena, properties.count + input->override_count, sizeof(*list->items));
    if (!list->items)
        return false;
    for (size_t i = 0; i < properties.count; i++)
        list->items[list->count++] = (struct given){
            properties.items[i].name, properties.items[i].value, properties.items[i].line};
    for (size_t i = 0; i < input->override_count; i++) {
        struct view text = input->overrides[i];
        size_t equal = text_find(text, '=');
        if (equal == text.size || equal == 0) {
            report_add(report, arena, CONFIG_ERROR, "--override %.*s: must be key=value",
                       SHOW(text));
            return false;
        }
        list->items[list->count++] =
            (struct given){text_trim(view_of(text.data, equal)),
                           view_of(text.data + equal + 1, text.size - equal - 1), 0};
    }
    return true;
}

/* Of keys that are given more than once only the last stays. False when memory is refused. */
static bool drop_repeated(struct given_list *list, struct arena *arena)
{
    struct map last;
    bool refused = false;
    map_init(&last, arena->heap, MEMORY_SCRATCH, 0);
    for (size_t i = 0; i < list->count && !refused; i++) {
        struct map_entry *entry = map_add(&last, list->items[i].name, NULL);
        refused = entry == NULL;
        if (entry)
            entry->number = i;
    }
    size_t kept = 0;
    for (size_t i = 0; i < list->count && !refused; i++) {
        if (map_find(&last, list->items[i].name)->number == i)
            list->items[kept++] = list->items[i];
    }
    list->count = kept;
    map_deinit(&last);
    return !refused;
}

/* Beyond this many lines nobody reads guesses, and each costs a walk over all names. */
enum { GUESSES_MAX = 100 };

static void report_unknown(const struct server_config_input *input, const struct given *given,
                           struct config_report *report, struct arena *arena)
{
    struct view place = place_of(input, given, arena);
    const struct config_definition *near = NULL;
    if (report->count < GUESSES_MAX)
        near = config_nearest(CONFIG_SCOPE_BROKER, given->name);
    if (near)
        report_add(report, arena, CONFIG_WARNING,
                   "%.*s: %.*s is not a known setting; did you mean %.*s?", SHOW(place),
                   SHOW(given->name), SHOW(near->name));
    else
        report_add(report, arena, CONFIG_WARNING, "%.*s: %.*s is not a known setting", SHOW(place),
                   SHOW(given->name));
}

/* Checks one key and gives the text that is kept, null when it is refused. */
static struct view check_given(const struct server_config_input *input, const struct given *given,
                               struct config_report *report, struct arena *arena)
{
    struct config_value value;
    struct view error;
    const struct config_definition *row = config_find_prefixed(given->name, NULL);
    if (!row) {
        report_unknown(input, given, report, arena);
        return given->value;
    }
    struct view place = place_of(input, given, arena);
    if (row->dynamic_only) {
        report_add(report, arena, CONFIG_WARNING,
                   "%.*s: %.*s can only be set while the broker runs and is ignored here",
                   SHOW(place), SHOW(given->name));
        return VIEW_NULL;
    }
    if (!config_value_parse(row, given->value, &value, &error, arena)) {
        report_add(report, arena, CONFIG_ERROR, "%.*s: %.*s", SHOW(place), SHOW(error));
        return VIEW_NULL;
    }
    if (!view_is_null(row->no_effect))
        report_add(report, arena, CONFIG_NOTICE, "%.*s: %.*s has no effect here: %.*s", SHOW(place),
                   SHOW(given->name), SHOW(row->no_effect));
    return given->value;
}

/* What a node is when nothing was given at all. */
static const struct {
    const char *name;
    const char *value;
} without_file[] = {
    {"node.id", "1"},
    {"process.roles", "broker,controller"},
    {"listeners", "PLAINTEXT://localhost:9092"},
    {"log.dirs", "./klamm-data"},
};

/* node.id and its old name are shown with one value, whichever was given. */
static bool mirror_node_id(struct server_config *config, struct arena *arena)
{
    struct config_entry node_id = {VIEW_LITERAL("node.id"), VIEW_NULL};
    struct config_entry broker_id = {VIEW_LITERAL("broker.id"), VIEW_NULL};
    node_id.value = config_set_get(&config->file, node_id.name);
    broker_id.value = config_set_get(&config->file, broker_id.name);
    if (view_is_null(node_id.value) == view_is_null(broker_id.value))
        return true;
    struct config_set given = config->file;
    if (view_is_null(node_id.value))
        node_id.value = broker_id.value;
    else
        broker_id.value = node_id.value;
    struct config_entry both[] = {broker_id, node_id};
    return config_set_apply(&config->file, &given, both, 2, arena);
}

static bool fill_file(struct server_config *config, const struct server_config_input *input,
                      struct config_report *report, struct arena *arena)
{
    struct given_list list;
    if (!collect(input, &list, report, arena) || !drop_repeated(&list, arena))
        return false;
    size_t defaults = sizeof(without_file) / sizeof(without_file[0]);
    struct config_entry *entries = arena_get_array(arena, defaults + list.count, sizeof(*entries));
    if (!entries)
        return false;
    size_t count = 0;
    for (size_t i = 0; !config->has_file && i < defaults; i++)
        entries[count++] = (struct config_entry){view_of_string(without_file[i].name),
                                                 view_of_string(without_file[i].value)};
    for (size_t i = 0; i < list.count; i++) {
        struct view value = check_given(input, &list.items[i], report, arena);
        if (!view_is_null(value))
            entries[count++] = (struct config_entry){arena_copy(arena, list.items[i].name),
                                                     arena_copy(arena, value)};
    }
    return config_set_build(&config->file, entries, count, arena) && mirror_node_id(config, arena);
}

bool server_config_is_set(const struct server_config *config, const char *name)
{
    return !view_is_null(config_set_get(&config->file, view_of_string(name)));
}

struct config_value server_value(const struct server_config *config, const char *name,
                                 struct arena *arena)
{
    struct config_chain chain;
    struct config_layers layers = {.file = &config->file};
    const struct config_definition *row = config_find(CONFIG_SCOPE_BROKER, view_of_string(name));
    config_chain_build(&chain, row->name, row, &layers);
    return config_chain_value(&chain, row, NULL, arena);
}

void broker_settings_resolve(struct broker_settings *settings, const struct config_layers *layers,
                             struct arena *arena)
{
    *settings = (struct broker_settings){0};
    for (size_t i = 0; i < broker_binding_count; i++) {
        struct config_chain chain;
        const struct config_definition *row = broker_bindings[i].row;
        config_chain_build(&chain, row->name, row, layers);
        struct config_value value = config_chain_value(&chain, row, NULL, arena);
        if (!value.is_null)
            config_value_store(&value, (char *)settings + broker_bindings[i].offset);
    }
}

/* node.id and its old name; a node that is alone may leave both out. */
static void fill_identity(struct server_config *config, struct config_report *report,
                          struct arena *arena)
{
    struct config_value roles = server_value(config, "process.roles", arena);
    struct config_value node_id = server_value(config, "node.id", arena);
    struct config_value broker_id = server_value(config, "broker.id", arena);
    bool quorum = server_config_is_set(config, "controller.quorum.voters") ||
                  server_config_is_set(config, "controller.quorum.bootstrap.servers");
    if (!node_id.is_null && broker_id.integer >= 0 && node_id.integer != broker_id.integer)
        report_add(report, arena, CONFIG_ERROR,
                   "node.id = %lld and broker.id = %lld: must be the same when both are set",
                   (long long)node_id.integer, (long long)broker_id.integer);
    if (node_id.is_null && broker_id.integer >= 0)
        node_id = broker_id;
    if (node_id.is_null && quorum)
        report_add(report, arena, CONFIG_ERROR, "node.id must be set where a quorum is named");
    if (roles.is_null && quorum)
        report_add(report, arena, CONFIG_ERROR,
                   "process.roles must be set where a quorum is named");
    config->node_id = node_id.is_null ? 1 : (int32_t)node_id.integer;
    config->is_broker = roles.is_null || config_list_has(&roles.list, VIEW_LITERAL("broker"));
    config->is_controller =
        roles.is_null || config_list_has(&roles.list, VIEW_LITERAL("controller"));
}

static void fill_directories(struct server_config *config, struct arena *arena)
{
    struct config_value dirs = server_value(config, "log.dirs", arena);
    if (dirs.is_null)
        dirs = server_value(config, "log.dir", arena);
    config->log_dirs = dirs.list;
    struct config_value metadata = server_value(config, "metadata.log.dir", arena);
    if (!metadata.is_null)
        config->metadata_log_dir = metadata.text;
    else if (dirs.list.count > 0)
        config->metadata_log_dir = dirs.list.items[0];
}

static void check_order(struct config_report *report, struct arena *arena, int64_t smaller,
                        const char *smaller_name, int64_t larger, const char *larger_name)
{
    if (smaller > larger)
        report_add(report, arena, CONFIG_ERROR, "%s = %lld: must not be larger than %s (%lld)",
                   smaller_name, (long long)smaller, larger_name, (long long)larger);
}

/* Pairs of settings that contradict each other. */
static void check_together(const struct server_config *config, struct config_report *report,
                           struct arena *arena)
{
    const struct broker_settings *settings = &config->settings;
    check_order(report, arena, settings->replica_fetch_wait_max_ms, "replica.fetch.wait.max.ms",
                settings->replica_lag_time_max_ms, "replica.lag.time.max.ms");
    check_order(report, arena, settings->group_min_session_timeout_ms,
                "group.min.session.timeout.ms", settings->group_max_session_timeout_ms,
                "group.max.session.timeout.ms");
    check_order(report, arena, config->topic_defaults.min_compaction_lag_ms,
                "log.cleaner.min.compaction.lag.ms", config->topic_defaults.max_compaction_lag_ms,
                "log.cleaner.max.compaction.lag.ms");
    check_order(report, arena, settings->broker_heartbeat_interval_ms,
                "broker.heartbeat.interval.ms", settings->broker_session_timeout_ms,
                "broker.session.timeout.ms");
    if (settings->queued_max_request_bytes > 0)
        check_order(report, arena, settings->socket_request_max_bytes, "socket.request.max.bytes",
                    settings->queued_max_request_bytes, "queued.max.request.bytes");
}

bool server_config_build(struct server_config *config, const struct server_config_input *input,
                         struct config_report *report, struct arena *arena)
{
    *config = (struct server_config){.has_file = !view_is_null(input->file_text)};
    *report = (struct config_report){0};
    if (!fill_file(config, input, report, arena)) {
        if (report->error_count == 0)
            report_add(report, arena, CONFIG_ERROR,
                       "out of memory while reading the configuration");
        return false;
    }
    struct config_layers layers = {.file = &config->file};
    broker_settings_resolve(&config->settings, &layers, arena);
    topic_config_resolve(&config->topic_defaults, &layers, arena);
    fill_identity(config, report, arena);
    fill_directories(config, arena);
    /* What follows builds on single values; a refused one would only bring false alarms. */
    if (report->error_count > 0)
        return false;
    server_listeners_build(config, report, arena);
    server_quorum_build(config, report, arena);
    check_together(config, report, arena);
    return report->error_count == 0;
}
