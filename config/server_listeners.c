/*
 * First the map from listener name to protocol, then listeners, then what is advertised, then the
 * two roles a listener can have (controllers, between brokers). Checks follow Kafka's, each with a
 * line that names the key to change.
 */
#include "config/server_internal.h"

#include "base/text.h"

static bool read_protocol(struct view text, enum security_protocol *protocol)
{
    for (int i = SECURITY_PLAINTEXT; i <= SECURITY_SASL_SSL; i++) {
        if (text_equal_any_case(
                text, view_of_string(security_protocol_name((enum security_protocol)i)))) {
            *protocol = (enum security_protocol)i;
            return true;
        }
    }
    return false;
}

/* Listener names are compared in upper case, as Kafka does. */
static struct view upper_case(struct view text, struct arena *arena)
{
    uint8_t *upper = arena_get(arena, text.size);
    if (!upper)
        return VIEW_NULL;
    for (size_t i = 0; i < text.size; i++)
        upper[i] = text.data[i] >= 'a' && text.data[i] <= 'z' ? text.data[i] - 32 : text.data[i];
    return view_of(upper, text.size);
}

static bool is_listener_name(struct view name)
{
    for (size_t i = 0; i < name.size; i++) {
        uint8_t c = name.data[i] | 0x20;
        bool other = name.data[i] == '.' || name.data[i] == '_' || name.data[i] == '-';
        if (!(c >= 'a' && c <= 'z') && !(c >= '0' && c <= '9') && !other)
            return false;
    }
    return name.size > 0;
}

/*
 * The protocol of a listener from listener.security.protocol.map. Where the map is not set, a
 * controller listener of any other name is PLAINTEXT (KIP-801).
 */
static bool find_protocol(const struct server_config *config, struct view name,
                          enum security_protocol *protocol, struct arena *arena)
{
    struct config_list pairs;
    struct view map = server_value(config, "listener.security.protocol.map", arena).text;
    if (!config_split(map, &pairs, arena))
        return false;
    for (size_t i = 0; i < pairs.count; i++) {
        struct view pair = pairs.items[i];
        size_t colon = text_find(pair, ':');
        if (colon < pair.size && text_equal_any_case(text_trim(view_of(pair.data, colon)), name))
            return read_protocol(text_trim(view_of(pair.data + colon + 1, pair.size - colon - 1)),
                                 protocol);
    }
    *protocol = SECURITY_PLAINTEXT;
    return !server_config_is_set(config, "listener.security.protocol.map") &&
           config_list_has(&config->controller_listener_names, name);
}

/* Reads "NAME://host:port"; adds an error and returns false when it is not that. */
static bool read_listener(const struct server_config *config, const char *key, struct view text,
                          struct listener_config *listener, struct config_report *report,
                          struct arena *arena)
{
    size_t colon = text_find(text, ':');
    struct view rest = view_of(text.data + colon, text.size - colon);
    *listener = (struct listener_config){.name = view_of(text.data, colon)};
    if (!is_listener_name(listener->name) || !text_starts_with(rest, VIEW_LITERAL("://")) ||
        !config_read_endpoint(view_of(rest.data + 3, rest.size - 3), &listener->host,
                              &listener->port)) {
        report_add(report, arena, CONFIG_ERROR,
                   "%s = %.*s: must be NAME://host:port entries separated by commas", key,
                   SHOW(text));
        return false;
    }
    listener->name = upper_case(listener->name, arena);
    listener->is_controller = config_list_has(&config->controller_listener_names, listener->name);
    if (find_protocol(config, listener->name, &listener->protocol, arena))
        return true;
    report_add(report, arena, CONFIG_ERROR,
               "%s = %.*s: listener.security.protocol.map must give %.*s one of PLAINTEXT, SSL, "
               "SASL_PLAINTEXT, SASL_SSL",
               key, SHOW(text), SHOW(listener->name));
    return false;
}

/* Reads the list at `key`; stops at the first bad entry. */
static void read_listeners(const struct server_config *config, const char *key,
                           struct listener_config **listeners, size_t *count,
                           struct config_report *report, struct arena *arena)
{
    struct config_value value = server_value(config, key, arena);
    *listeners = NULL;
    *count = 0;
    if (value.is_null)
        return;
    *listeners = arena_get_array(arena, value.list.count, sizeof(**listeners));
    for (size_t i = 0; *listeners && i < value.list.count; i++) {
        if (!read_listener(config, key, value.list.items[i], &(*listeners)[i], report, arena))
            return;
        *count = i + 1;
    }
}

static const struct listener_config *find_listener(const struct listener_config *listeners,
                                                   size_t count, struct view name)
{
    for (size_t i = 0; i < count; i++) {
        if (view_equal(listeners[i].name, name))
            return &listeners[i];
    }
    return NULL;
}

static bool has_colon(struct view host)
{
    return text_find(host, ':') < host.size;
}

/* No name twice, and no port twice unless one address is IPv4 and the other IPv6. */
static void check_distinct(const struct server_config *config, struct config_report *report,
                           struct arena *arena)
{
    for (size_t i = 0; i < config->listener_count; i++) {
        const struct listener_config *a = &config->listeners[i];
        if (find_listener(config->listeners, i, a->name))
            report_add(report, arena, CONFIG_ERROR,
                       "listeners: the name %.*s is there twice; each listener needs its own",
                       SHOW(a->name));
        for (size_t j = 0; j < i; j++) {
            const struct listener_config *b = &config->listeners[j];
            if (a->port == b->port && a->port != 0 && has_colon(a->host) == has_colon(b->host))
                report_add(report, arena, CONFIG_ERROR,
                           "listeners: %.*s and %.*s have the same port %d; each needs its own",
                           SHOW(b->name), SHOW(a->name), (int)a->port);
        }
    }
}

static void check_advertised(const struct server_config *config, struct config_report *report,
                             struct arena *arena)
{
    for (size_t i = 0; i < config->advertised_count; i++) {
        const struct listener_config *advertised = &config->advertised[i];
        if (view_equal(advertised->host, VIEW_LITERAL("0.0.0.0")) ||
            view_equal(advertised->host, VIEW_LITERAL("::")))
            report_add(report, arena, CONFIG_ERROR,
                       "advertised.listeners: %.*s names no address that clients could reach; "
                       "give a host name or leave the key out",
                       SHOW(advertised->name));
        if (!find_listener(config->listeners, config->listener_count, advertised->name))
            report_add(report, arena, CONFIG_ERROR,
                       "advertised.listeners: %.*s is not among listeners", SHOW(advertised->name));
    }
}

/* Which listeners the node's roles need and forbid. */
static void check_roles(const struct server_config *config, struct config_report *report,
                        struct arena *arena)
{
    size_t broker_count = 0;
    size_t controller_count = 0;
    for (size_t i = 0; i < config->listener_count; i++)
        *(config->listeners[i].is_controller ? &controller_count : &broker_count) += 1;
    bool alone = config->is_broker && config->is_controller;
    if (config->is_broker && broker_count == 0)
        report_add(report, arena, CONFIG_ERROR,
                   "listeners: a broker needs a listener that is not in "
                   "controller.listener.names");
    if (!config->is_controller && controller_count > 0)
        report_add(report, arena, CONFIG_ERROR,
                   "listeners: a node without the controller role must not listen on a name of "
                   "controller.listener.names");
    if (!config->is_broker && broker_count > 0)
        report_add(report, arena, CONFIG_ERROR,
                   "listeners: a controller without the broker role listens only on names of "
                   "controller.listener.names");
    if (!alone && config->controller_listener_names.count == 0)
        report_add(report, arena, CONFIG_ERROR,
                   "controller.listener.names must be set unless one node is broker and "
                   "controller");
    if (config->is_controller && config->controller_listener_names.count > 0 &&
        controller_count == 0)
        report_add(report, arena, CONFIG_ERROR,
                   "listeners: none of the names in controller.listener.names is there");
}

/* The listener between brokers: by name, or the first with the wanted protocol. */
static void find_inter_broker(struct server_config *config, struct config_report *report,
                              struct arena *arena)
{
    struct config_value name = server_value(config, "inter.broker.listener.name", arena);
    if (!config->is_broker)
        return;
    if (!name.is_null && server_config_is_set(config, "security.inter.broker.protocol"))
        report_add(report, arena, CONFIG_ERROR,
                   "inter.broker.listener.name and security.inter.broker.protocol must not both "
                   "be set");
    if (name.is_null)
        name.text = server_value(config, "security.inter.broker.protocol", arena).text;
    config->inter_broker_listener_name = upper_case(name.text, arena);
    const struct listener_config *listener = find_listener(
        config->listeners, config->listener_count, config->inter_broker_listener_name);
    if (listener && !listener->is_controller)
        return;
    /* Alone, nobody connects between brokers: the first broker listener stands for it. */
    bool asked = !name.is_null || server_config_is_set(config, "security.inter.broker.protocol");
    for (size_t i = 0; !asked && i < config->listener_count; i++) {
        if (!config->listeners[i].is_controller) {
            config->inter_broker_listener_name = config->listeners[i].name;
            return;
        }
    }
    report_add(report, arena, CONFIG_ERROR,
               "inter.broker.listener.name = %.*s: must be a name in listeners that is not in "
               "controller.listener.names",
               SHOW(config->inter_broker_listener_name));
}

/* What this build cannot speak yet must not look as if it were safe. */
static void check_offered(const struct server_config *config, struct config_report *report,
                          struct arena *arena)
{
    for (size_t i = 0; i < config->listener_count; i++) {
        const struct listener_config *listener = &config->listeners[i];
        if (listener->protocol != SECURITY_PLAINTEXT)
            report_add(report, arena, CONFIG_ERROR,
                       "listeners: %.*s asks for %s, which is not offered yet; use PLAINTEXT",
                       SHOW(listener->name), security_protocol_name(listener->protocol));
    }
}

void server_listeners_build(struct server_config *config, struct config_report *report,
                            struct arena *arena)
{
    size_t errors = report->error_count;
    struct config_list names = server_value(config, "controller.listener.names", arena).list;
    struct view *upper = arena_get_array(arena, names.count, sizeof(*upper));
    for (size_t i = 0; upper && i < names.count; i++)
        upper[i] = upper_case(names.items[i], arena);
    config->controller_listener_names = (struct config_list){upper, upper ? names.count : 0};
    read_listeners(config, "listeners", &config->listeners, &config->listener_count, report, arena);
    read_listeners(config, "advertised.listeners", &config->advertised, &config->advertised_count,
                   report, arena);
    if (report->error_count > errors)
        return;
    check_distinct(config, report, arena);
    check_advertised(config, report, arena);
    check_roles(config, report, arena);
    check_offered(config, report, arena);
    find_inter_broker(config, report, arena);
}

const struct listener_config *server_config_endpoint(const struct server_config *config,
                                                     struct view name)
{
    const struct listener_config *advertised =
        find_listener(config->advertised, config->advertised_count, name);
    return advertised ? advertised : find_listener(config->listeners, config->listener_count, name);
}

const struct listener_config *server_config_controller_endpoint(const struct server_config *config)
{
    if (config->controller_listener_names.count == 0)
        return NULL;
    return server_config_endpoint(config, config->controller_listener_names.items[0]);
}

struct view listener_config_host(const struct listener_config *listener, struct view host_name)
{
    bool is_every = listener->host.size == 0 ||
                    view_equal(listener->host, VIEW_LITERAL("0.0.0.0")) ||
                    view_equal(listener->host, VIEW_LITERAL("::"));
    return is_every ? host_name : listener->host;
}
