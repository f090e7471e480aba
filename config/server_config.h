/*
 * A broker's own configuration: server.properties and --override, checked and typed.
 *
 * `struct broker_settings` is generated: one field per acting broker key, named as the key with
 * underscores for dots. What needs more than a typed value (listeners, directories, voters, the
 * topic defaults) is parsed into the structs here.
 *
 * Without a file: one node (node.id 1), broker and controller, data in ./klamm-data, listening on
 * localhost:9092, topics created on first use with replication factor 1 for internal topics.
 *
 * Invariants:
 *  1. Built once; immutable afterwards. Dynamic broker entries give a new `struct broker_settings`
 *     through broker_settings_resolve, never a change in place.
 *  2. All text is held by the arena given at build.
 */
#ifndef KLAMM_CONFIG_SERVER_CONFIG_H
#define KLAMM_CONFIG_SERVER_CONFIG_H

#include "config/broker_settings.h"
#include "config/topic_config.h"

/* Numbers of Kafka's protocol fields (registration records carry them). */
enum security_protocol {
    SECURITY_PLAINTEXT = 0,
    SECURITY_SSL = 1,
    SECURITY_SASL_PLAINTEXT = 2,
    SECURITY_SASL_SSL = 3
};

/* One address to listen on or to advertise. */
struct listener_config {
    struct view name; /* upper case, e.g. PLAINTEXT, CONTROLLER, EXTERNAL */
    struct view host; /* without brackets; empty: every interface */
    int32_t port;     /* 0: any free port */
    enum security_protocol protocol;
    bool is_controller; /* named in controller.listener.names */
};

struct voter_config {
    int32_t id;
    struct view host;
    int32_t port;
};

struct server_config {
    int32_t node_id;
    bool is_broker;
    bool is_controller;
    bool has_file; /* false: built from defaults and overrides alone */

    struct listener_config *listeners;
    size_t listener_count;
    /* Empty when advertised.listeners is not set: each client is told where it reached us. */
    struct listener_config *advertised;
    size_t advertised_count;
    struct view inter_broker_listener_name;
    struct config_list controller_listener_names;

    struct voter_config *voters; /* static quorum; empty: a sole voter, or bootstrap servers */
    size_t voter_count;
    struct config_list bootstrap_servers; /* host:port of a dynamic quorum */

    struct config_list log_dirs;
    struct view metadata_log_dir; /* the first of log_dirs unless set */

    struct config_set file;          /* every key that was given, by its own name, as written */
    struct broker_settings settings; /* file and defaults, without dynamic entries */
    struct topic_config topic_defaults;
};

enum config_severity { CONFIG_NOTICE, CONFIG_WARNING, CONFIG_ERROR };

/* What building has to say, in order; the caller prints it. */
struct config_message {
    enum config_severity severity;
    struct view text; /* one line, without its end */
};

struct config_report {
    struct config_message *messages;
    size_t count;
    size_t capacity;
    size_t error_count;
};

/* One property file and the overrides that go above it. */
struct server_config_input {
    struct view file_name;        /* for messages; null when there is no file */
    struct view file_text;        /* null when there is no file */
    const struct view *overrides; /* "key=value", later ones win */
    size_t override_count;
};

/*
 * Builds a configuration. False when the report has errors; every error is one line that names
 * file and line (or --override), key, value and what is allowed. Unknown keys are warnings with the
 * nearest known name, keys without effect notices with the reason.
 */
bool server_config_build(struct server_config *config, const struct server_config_input *input,
                         struct config_report *report, struct arena *arena);
/*
 * The settings under given layers (the topic layer is ignored). Values that do not parse are
 * skipped. Text and lists are held by the arena.
 */
void broker_settings_resolve(struct broker_settings *settings, const struct config_layers *layers,
                             struct arena *arena);
/*
 * Whether the user gave `name` in file or override: internal topics whose replication factor is not
 * set get as many replicas as there are brokers, at most three.
 */
bool server_config_is_set(const struct server_config *config, const char *name);
/*
 * The row behind a name that may carry a listener prefix ("listener.name.external.ssl.key.password"
 * or with a SASL mechanism before the key), or NULL. *prefix_size (may be NULL) gets the bytes
 * before the key.
 */
const struct config_definition *config_find_prefixed(struct view name, size_t *prefix_size);
/*
 * The address of one of the node's listeners that others are told: that of advertised.listeners, or
 * where it is not there, of listeners (the host may be empty then). NULL: no such listener.
 */
const struct listener_config *server_config_endpoint(const struct server_config *config,
                                                     struct view name);
/*
 * The host that others are told for it: its own, or where it is every interface, `host_name` (the
 * machine's).
 */
struct view listener_config_host(const struct listener_config *listener, struct view host_name);
/* The listener that the quorum uses: the first of controller.listener.names; NULL: there is none.
 */
const struct listener_config *server_config_controller_endpoint(const struct server_config *config);

/* How a node stands to the quorum. */
enum config_quorum {
    CONFIG_QUORUM_ALONE,   /* the only voter there will be, unless the log says otherwise */
    CONFIG_QUORUM_VOTER,   /* one of several in controller.quorum.voters */
    CONFIG_QUORUM_DYNAMIC, /* a controller of a quorum that is found at its bootstrap servers */
    CONFIG_QUORUM_OBSERVER /* not a controller */
};

enum config_quorum server_config_quorum(const struct server_config *config);
/* The security protocol's name, such as "SASL_SSL". */
const char *security_protocol_name(enum security_protocol protocol);

#endif
