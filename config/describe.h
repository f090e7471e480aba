/*
 * DescribeConfigs: which keys of a resource are shown, with which value and from where.
 *
 * Pure functions over layers of overrides; the request handler only maps entries onto the wire.
 * Rules: a topic, group, client-metrics resource and the broker's own id list every key that is not
 * internal; the broker resource with an empty name lists only what is stored there. Sensitive and
 * unknown keys are shown without value.
 */
#ifndef KLAMM_CONFIG_DESCRIBE_H
#define KLAMM_CONFIG_DESCRIBE_H

#include "config/topic_config.h"

/* Where a value comes from, with the numbers of the wire. */
enum config_source {
    CONFIG_SOURCE_UNKNOWN = 0,
    CONFIG_SOURCE_TOPIC = 1,
    CONFIG_SOURCE_DYNAMIC_BROKER = 2,
    CONFIG_SOURCE_DYNAMIC_CLUSTER = 3,
    CONFIG_SOURCE_FILE = 4,
    CONFIG_SOURCE_DEFAULT = 5,
    CONFIG_SOURCE_DYNAMIC_LOGGER = 6,
    CONFIG_SOURCE_CLIENT_METRICS = 7,
    CONFIG_SOURCE_GROUP = 8
};

/* One place that gives the key (or a key that stands behind it) a value. */
struct config_described_synonym {
    struct view name;
    struct view value; /* null when sensitive */
    enum config_source source;
};

struct config_described {
    struct view name;
    struct view value; /* null: sensitive, or without value */
    enum config_source source;
    enum config_type type;
    bool is_read_only;
    bool is_sensitive;
    struct view documentation;                 /* null unless asked */
    struct config_described_synonym *synonyms; /* most specific first; empty unless asked */
    size_t synonym_count;
};

struct config_describe_request {
    enum config_scope scope;
    bool cluster_default;    /* the broker resource with the empty name */
    const struct view *keys; /* wanted keys; NULL or key_count 0: all */
    size_t key_count;
    bool with_synonyms;
    bool with_documentation;
    struct config_layers
        layers; /* `topic` holds the overrides of a topic, group or metrics resource */
};

struct config_described_list {
    struct config_described *items; /* sorted by name */
    size_t count;
};

/* Fills `list` with memory of the arena; false when the arena refuses. */
bool config_describe(const struct config_describe_request *request,
                     struct config_described_list *list, struct arena *arena);

#endif
