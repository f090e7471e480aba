/*
 * IncrementalAlterConfigs and AlterConfigs: what a list of wanted changes does to a resource.
 *
 * Pure functions over the stored overrides: they check everything and give back the entries to
 * write, so that the controller turns them into ConfigRecords (a null value deletes) or, with
 * validate-only, throws them away.
 *
 * Invariants:
 *  1. All or nothing per resource: after a refusal there are no entries.
 *  2. Refusal codes are Kafka's: topics, groups and client metrics 40, brokers 42, see below.
 */
#ifndef KLAMM_CONFIG_ALTER_H
#define KLAMM_CONFIG_ALTER_H

#include "config/topic_config.h"

/* Numbers of the request field. */
enum config_operation { CONFIG_SET = 0, CONFIG_DELETE = 1, CONFIG_APPEND = 2, CONFIG_SUBTRACT = 3 };

/* The same numbers as the protocol's error codes. */
enum config_refusal {
    CONFIG_ACCEPTED = 0,
    CONFIG_INVALID_CONFIG = 40,
    CONFIG_INVALID_REQUEST = 42,
    CONFIG_OUT_OF_MEMORY = -1 /* the arena refused: UNKNOWN_SERVER_ERROR */
};

struct config_change {
    struct view name;
    int8_t operation; /* as received; numbers outside the enum are refused with 42 */
    struct view value;
};

struct config_alter_request {
    enum config_scope scope;
    bool cluster_default;        /* the broker resource with the empty name */
    struct config_set existing;  /* stored overrides of this very resource */
    struct config_layers layers; /* broker layers, for checks that compare keys; `topic` unused */
    const struct config_change *changes;
    size_t change_count;
};

struct config_altered {
    enum config_refusal refusal;
    struct view message;          /* null when accepted */
    struct config_entry *entries; /* to write, sorted by name; value null: delete */
    size_t entry_count;
    struct config_set result; /* the resource's overrides afterwards */
};

/* Applies set, delete, append and subtract. Everything in *altered is held by the arena or
 * borrowed. */
void config_alter_incremental(const struct config_alter_request *request,
                              struct config_altered *altered, struct arena *arena);
/* The old form: the changes (operation ignored) become the whole set; all other overrides go. */
void config_alter_replace(const struct config_alter_request *request,
                          struct config_altered *altered, struct arena *arena);
/* Checks a complete set for a new resource (CreateTopics). Refusal as above. */
void config_check(const struct config_alter_request *request, const struct config_set *set,
                  struct config_altered *altered, struct arena *arena);

#endif
