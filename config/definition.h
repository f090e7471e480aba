/*
 * The table of every setting: name, type, default, what is allowed, where and when it may be set.
 *
 * One row per key and scope, generated from config/settings/ (the project's own notation). Parsing,
 * validation, DescribeConfigs answers and docs/configuration.md all come from these rows, so a
 * setting is described in exactly one place. Broker, topic, group and client-metrics rows are those
 * of Kafka 4.2; keys that begin with "klamm." are our own.
 *
 * Invariants:
 *  1. Rows of a scope are sorted by name (unsigned byte order) and names are unique in a scope.
 *  2. Rows are constant and live as long as the program; callers may keep pointers to them.
 *  3. A default that is neither null nor absent passes the row's own rule (a unit test walks all).
 */
#ifndef KLAMM_CONFIG_DEFINITION_H
#define KLAMM_CONFIG_DEFINITION_H

#include "base/bytes.h"

/* Kafka's types, with the numbers that DescribeConfigs (v3+) puts on the wire. */
enum config_type {
    CONFIG_UNKNOWN = 0,
    CONFIG_BOOLEAN = 1,
    CONFIG_STRING = 2,
    CONFIG_INT = 3,
    CONFIG_SHORT = 4,
    CONFIG_LONG = 5,
    CONFIG_DOUBLE = 6,
    CONFIG_LIST = 7,
    CONFIG_CLASS = 8,
    CONFIG_PASSWORD = 9
};

/* What kind of resource a setting belongs to. */
enum config_scope {
    CONFIG_SCOPE_BROKER,
    CONFIG_SCOPE_TOPIC,
    CONFIG_SCOPE_GROUP,
    CONFIG_SCOPE_CLIENT_METRICS,
    CONFIG_SCOPES
};

/* Whether a running broker takes a new value; topic, group and metrics keys are all changeable. */
enum config_dynamic {
    CONFIG_READ_ONLY,    /* server.properties only */
    CONFIG_PER_BROKER,   /* per broker, not as cluster default */
    CONFIG_CLUSTER_WIDE, /* per broker and as cluster default */
};

/* What values a row allows beyond its type. */
enum config_rule {
    CONFIG_RULE_ANY,
    CONFIG_RULE_RANGE,           /* minimum <= value <= maximum; a minimum alone has maximum huge */
    CONFIG_RULE_RANGE_OR,        /* the range, or `also_allowed` */
    CONFIG_RULE_ONE_OF,          /* one of `allowed`; for a LIST: each element */
    CONFIG_RULE_ONE_OF_ANY_CASE, /* the same without regard to case */
    CONFIG_RULE_NOT_EMPTY,       /* text that is not empty */
    CONFIG_RULE_THROTTLED,       /* a list of partition:broker, or `*` */
    CONFIG_RULE_OFFSET_RESET,    /* latest, earliest or by_duration:<ISO 8601 duration> */
    CONFIG_RULE_METRICS_MATCH,   /* a list of selector=pattern */
    CONFIG_RULE_VOTERS,          /* a list of id@host:port */
    CONFIG_RULE_SERVERS,         /* a list of host:port */
};

/* A broker key that stands behind a topic or broker key, with the factor that converts its unit. */
struct config_synonym {
    struct view name;
    int64_t factor; /* value of this key * factor = value of the key it stands behind */
};

struct config_definition {
    struct view name;
    struct view default_value; /* canonical text; null: no value unless set */
    struct view documentation; /* one or two sentences */
    struct view no_effect;     /* why the key does nothing here; null: it acts */
    const struct view *allowed;
    const struct config_synonym *synonyms; /* broker keys behind this one, most specific first */
    uint16_t allowed_count;
    uint16_t synonym_count;
    uint8_t type;      /* enum config_type */
    uint8_t scope;     /* enum config_scope */
    uint8_t dynamic;   /* enum config_dynamic */
    uint8_t rule;      /* enum config_rule */
    bool required;     /* has no default: server.properties must name it (unless klammd fills it) */
    bool filled;       /* LIST: without elements it is refused */
    bool internal;     /* accepted, never listed */
    bool unlisted;     /* listed only where it is set */
    bool dynamic_only; /* unlisted, and refused in server.properties */
    int64_t minimum;   /* of the range; DOUBLE rows use the doubles below */
    int64_t maximum;
    int64_t also_allowed;
    double minimum_real;
    double maximum_real;
};

/* A list of rows. */
struct config_definitions {
    const struct config_definition *rows;
    size_t count;
};

/* All rows of a scope, sorted by name. */
struct config_definitions config_all(enum config_scope scope);
/* The row of `name`, or NULL when the scope has no such key. */
const struct config_definition *config_find(enum config_scope scope, struct view name);
/* PASSWORD rows: their value never leaves the process. */
static inline bool config_is_sensitive(const struct config_definition *row)
{
    return row->type == CONFIG_PASSWORD;
}
/*
 * The known name nearest to `name` (edit distance, at most a third of its length), for "did you
 * mean"; NULL when nothing is near.
 */
const struct config_definition *config_nearest(enum config_scope scope, struct view name);
/* "BOOLEAN", "LONG" and so on. */
const char *config_type_name(enum config_type type);

#endif
