/*
 * One function per scope. Each first checks the changed keys by their rows, then what several keys
 * say together, under all layers.
 */
#include "config/alter_check.h"

#include "base/text.h"
#include "config/layers.h"
#include "config/report.h"

static void refuse(struct config_altered *altered, enum config_refusal refusal, struct view message)
{
    altered->refusal = refusal;
    altered->message = message;
}

/* Topics. */

static void check_topic(const struct config_alter_request *request,
                        const struct config_set *changed, const struct config_set *result,
                        struct config_altered *altered, struct arena *arena)
{
    struct view error;
    for (size_t i = 0; i < changed->count; i++) {
        const struct config_entry *entry = &changed->entries[i];
        const struct config_definition *row = config_find(CONFIG_SCOPE_TOPIC, entry->name);
        struct config_value value;
        if (view_is_null(entry->value))
            continue;
        if (!row) {
            refuse(altered, CONFIG_INVALID_CONFIG,
                   config_text(arena, "Unknown topic config: %.*s", SHOW(entry->name)));
            return;
        }
        if (!config_value_parse(row, entry->value, &value, &error, arena)) {
            refuse(altered, CONFIG_INVALID_CONFIG, error);
            return;
        }
    }
    if (!topic_config_check_together(result, &request->layers, &error, arena))
        refuse(altered, CONFIG_INVALID_CONFIG, error);
}

/* Groups. */

/* A number of the broker, under its file and default. */
static int64_t broker_number(const struct config_alter_request *request, const char *name,
                             struct arena *arena)
{
    struct config_chain chain;
    const struct config_definition *row = config_find(CONFIG_SCOPE_BROKER, view_of_string(name));
    config_chain_build(&chain, row->name, row, &request->layers);
    return config_chain_value(&chain, row, NULL, arena).integer;
}

/* A number of the group after the change. */
static int64_t group_number(const struct config_alter_request *request,
                            const struct config_set *result, const char *name, struct arena *arena)
{
    struct config_chain chain;
    struct config_layers layers = request->layers;
    const struct config_definition *row = config_find(CONFIG_SCOPE_GROUP, view_of_string(name));
    layers.topic = result;
    config_chain_build(&chain, row->name, row, &layers);
    return config_chain_value(&chain, row, NULL, arena).integer;
}

/* Bounds that the broker's own settings put on a group's. */
static const struct {
    const char *key;
    const char *minimum; /* NULL: none */
    const char *maximum;
} group_bounds[] = {
    {"consumer.heartbeat.interval.ms", "group.consumer.min.heartbeat.interval.ms",
     "group.consumer.max.heartbeat.interval.ms"},
    {"consumer.session.timeout.ms", "group.consumer.min.session.timeout.ms",
     "group.consumer.max.session.timeout.ms"},
    {"share.heartbeat.interval.ms", "group.share.min.heartbeat.interval.ms",
     "group.share.max.heartbeat.interval.ms"},
    {"share.session.timeout.ms", "group.share.min.session.timeout.ms",
     "group.share.max.session.timeout.ms"},
    {"share.record.lock.duration.ms", "group.share.min.record.lock.duration.ms",
     "group.share.max.record.lock.duration.ms"},
    {"streams.heartbeat.interval.ms", "group.streams.min.heartbeat.interval.ms",
     "group.streams.max.heartbeat.interval.ms"},
    {"streams.session.timeout.ms", "group.streams.min.session.timeout.ms",
     "group.streams.max.session.timeout.ms"},
    {"streams.num.standby.replicas", NULL, "group.streams.max.standby.replicas"},
};

/* A session must outlast a heartbeat. */
static const char *const group_pairs[][2] = {
    {"consumer.heartbeat.interval.ms", "consumer.session.timeout.ms"},
    {"share.heartbeat.interval.ms", "share.session.timeout.ms"},
    {"streams.heartbeat.interval.ms", "streams.session.timeout.ms"},
};

static bool check_group_bounds(const struct config_alter_request *request,
                               const struct config_set *result, struct config_altered *altered,
                               struct arena *arena)
{
    for (size_t i = 0; i < sizeof(group_bounds) / sizeof(group_bounds[0]); i++) {
        int64_t value = group_number(request, result, group_bounds[i].key, arena);
        int64_t maximum = broker_number(request, group_bounds[i].maximum, arena);
        int64_t minimum = group_bounds[i].minimum
                              ? broker_number(request, group_bounds[i].minimum, arena)
                              : INT64_MIN;
        bool low = value < minimum;
        if (!low && value <= maximum)
            continue;
        refuse(altered, CONFIG_INVALID_CONFIG,
               config_text(arena, "%s = %lld: must be at %s %lld, as %s says", group_bounds[i].key,
                           (long long)value, low ? "least" : "most",
                           (long long)(low ? minimum : maximum),
                           low ? group_bounds[i].minimum : group_bounds[i].maximum));
        return false;
    }
    return true;
}

static void check_group(const struct config_alter_request *request,
                        const struct config_set *changed, const struct config_set *result,
                        struct config_altered *altered, struct arena *arena)
{
    for (size_t i = 0; i < changed->count; i++) {
        const struct config_entry *entry = &changed->entries[i];
        const struct config_definition *row = config_find(CONFIG_SCOPE_GROUP, entry->name);
        struct config_value value;
        struct view error;
        if (view_is_null(entry->value))
            continue;
        if (!row) {
            refuse(altered, CONFIG_INVALID_CONFIG,
                   config_text(arena, "Unknown group config: %.*s", SHOW(entry->name)));
            return;
        }
        if (!config_value_parse(row, entry->value, &value, &error, arena)) {
            refuse(altered, CONFIG_INVALID_CONFIG, error);
            return;
        }
    }
    if (!check_group_bounds(request, result, altered, arena))
        return;
    for (size_t i = 0; i < sizeof(group_pairs) / sizeof(group_pairs[0]); i++) {
        int64_t heartbeat = group_number(request, result, group_pairs[i][0], arena);
        int64_t session = group_number(request, result, group_pairs[i][1], arena);
        if (heartbeat >= session)
            refuse(altered, CONFIG_INVALID_CONFIG,
                   config_text(arena, "%s (%lld) must be smaller than %s (%lld)", group_pairs[i][0],
                               (long long)heartbeat, group_pairs[i][1], (long long)session));
    }
}

/* Client metrics (KIP-714): a bad interval or unknown key is 42, a bad selector 40. */

static void check_client_metrics(const struct config_set *changed, struct config_altered *altered,
                                 struct arena *arena)
{
    for (size_t i = 0; i < changed->count; i++) {
        const struct config_entry *entry = &changed->entries[i];
        const struct config_definition *row = config_find(CONFIG_SCOPE_CLIENT_METRICS, entry->name);
        struct config_value value;
        struct view error;
        if (view_is_null(entry->value))
            continue;
        if (!row) {
            refuse(altered, CONFIG_INVALID_REQUEST,
                   config_text(arena, "Unknown client metrics config: %.*s", SHOW(entry->name)));
            return;
        }
        if (!config_value_parse(row, entry->value, &value, &error, arena)) {
            refuse(altered,
                   row->type == CONFIG_LIST ? CONFIG_INVALID_CONFIG : CONFIG_INVALID_REQUEST,
                   error);
            return;
        }
    }
}

/* Brokers. */

/* Keys that carry secrets or files of one listener: never without its prefix (KIP-226). */
static bool needs_listener_prefix(const struct config_definition *row)
{
    static const char *const names[] = {
        "ssl.key.password",
        "ssl.keystore.certificate.chain",
        "ssl.keystore.key",
        "ssl.keystore.location",
        "ssl.keystore.password",
        "ssl.keystore.type",
        "ssl.truststore.certificates",
        "ssl.truststore.location",
        "ssl.truststore.password",
        "ssl.truststore.type",
    };
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        if (view_equal(row->name, view_of_string(names[i])))
            return true;
    }
    return false;
}

/* Thread counts move at most by half or to double. They do nothing here, but tools see one rule. */
static bool is_thread_count(const struct config_definition *row)
{
    static const char *const names[] = {"background.threads", "num.io.threads",
                                        "num.network.threads", "num.recovery.threads.per.data.dir",
                                        "num.replica.fetchers"};
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        if (view_equal(row->name, view_of_string(names[i])))
            return true;
    }
    return false;
}

static bool check_thread_count(const struct config_alter_request *request,
                               const struct config_definition *row, int64_t wanted,
                               struct config_altered *altered, struct arena *arena)
{
    char name[64];
    struct text_builder builder;
    text_builder_init(&builder, name, sizeof(name));
    text_append(&builder, row->name);
    int64_t present = broker_number(request, name, arena);
    if (wanted >= present / 2 && wanted <= present * 2)
        return true;
    refuse(altered, CONFIG_INVALID_REQUEST,
           config_text(arena, "%s = %lld: must be from half to double the present %lld", name,
                       (long long)wanted, (long long)present));
    return false;
}

/* Whether a running broker takes this key at this level at all. */
static bool check_broker_level(const struct config_alter_request *request, struct view name,
                               const struct config_definition *row, struct config_altered *altered,
                               struct arena *arena)
{
    bool prefixed = !view_equal(name, row->name);
    const char *why = NULL;
    if (row->dynamic == CONFIG_READ_ONLY)
        why = "cannot be changed while the broker runs";
    else if (!prefixed && needs_listener_prefix(row))
        why = "can be changed only with a listener prefix";
    else if (request->cluster_default && (prefixed || row->dynamic == CONFIG_PER_BROKER))
        why = "can be changed only for one broker, not as the cluster's default";
    if (why)
        refuse(altered, CONFIG_INVALID_REQUEST, config_text(arena, "%.*s %s", SHOW(name), why));
    return why == NULL;
}

static void check_broker(const struct config_alter_request *request,
                         const struct config_set *changed, struct config_altered *altered,
                         struct arena *arena)
{
    for (size_t i = 0; i < changed->count; i++) {
        const struct config_entry *entry = &changed->entries[i];
        const struct config_definition *row = config_find_prefixed(entry->name, NULL);
        struct config_value value;
        struct view error;
        /* Unknown keys are stored, and anything may be removed. */
        if (!row || view_is_null(entry->value))
            continue;
        if (!check_broker_level(request, entry->name, row, altered, arena))
            return;
        if (!config_value_parse(row, entry->value, &value, &error, arena)) {
            refuse(altered, CONFIG_INVALID_REQUEST, error);
            return;
        }
        if (is_thread_count(row) &&
            !check_thread_count(request, row, value.integer, altered, arena))
            return;
    }
}

void config_check_changes(const struct config_alter_request *request,
                          const struct config_set *changed, const struct config_set *result,
                          struct config_altered *altered, struct arena *arena)
{
    refuse(altered, CONFIG_ACCEPTED, VIEW_NULL);
    switch (request->scope) {
    case CONFIG_SCOPE_BROKER:
        check_broker(request, changed, altered, arena);
        return;
    case CONFIG_SCOPE_TOPIC:
        check_topic(request, changed, result, altered, arena);
        return;
    case CONFIG_SCOPE_GROUP:
        check_group(request, changed, result, altered, arena);
        return;
    case CONFIG_SCOPE_CLIENT_METRICS:
        check_client_metrics(changed, altered, arena);
        return;
    case CONFIG_SCOPES:
        break;
    }
}
