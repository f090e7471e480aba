/*
 * The settings of one topic, typed and complete: what logs and replicas look at.
 *
 * A value comes from the first layer that has it: the topic's own override, then for the topic's
 * broker synonyms in order the broker's dynamic entry, the cluster's dynamic default, the file, and
 * last the default.
 *
 * Invariants:
 *  1. A topic_config is plain data and immutable once resolved; copies are fine.
 *  2. Values that do not parse are skipped: a layer that was valid when written stays usable when a
 *     later build narrows a rule. Checking happens before storing (config/alter.h).
 *  3. durability is SYNC when flush_messages is 1.
 */
#ifndef KLAMM_CONFIG_TOPIC_CONFIG_H
#define KLAMM_CONFIG_TOPIC_CONFIG_H

#include "config/set.h"
#include "config/value.h"

/* Codec numbers of the record batch; PRODUCER keeps what the producer chose. */
enum topic_compression {
    TOPIC_COMPRESSION_NONE = 0,
    TOPIC_COMPRESSION_GZIP = 1,
    TOPIC_COMPRESSION_SNAPPY = 2,
    TOPIC_COMPRESSION_LZ4 = 3,
    TOPIC_COMPRESSION_ZSTD = 4,
    TOPIC_COMPRESSION_PRODUCER = 5
};

/* Numbers of the batch attribute. */
enum topic_timestamp_type { TOPIC_TIMESTAMP_CREATE = 0, TOPIC_TIMESTAMP_LOG_APPEND = 1 };

/* klamm.durability: what an acknowledgement promises. */
enum topic_durability { TOPIC_DURABILITY_SYNC, TOPIC_DURABILITY_CACHE };

struct topic_config {
    bool cleanup_delete; /* cleanup.policy contains delete */
    bool cleanup_compact;
    enum topic_compression compression_type;
    int32_t compression_gzip_level;
    int32_t compression_lz4_level;
    int32_t compression_zstd_level;
    int64_t delete_retention_ms;
    int64_t file_delete_delay_ms;
    int64_t flush_messages;
    int64_t flush_ms;
    int32_t index_interval_bytes;
    int64_t local_retention_bytes; /* -2: as retention_bytes */
    int64_t local_retention_ms;
    int64_t max_compaction_lag_ms;
    int32_t max_message_bytes;
    int64_t message_timestamp_after_max_ms;
    int64_t message_timestamp_before_max_ms;
    enum topic_timestamp_type message_timestamp_type;
    double min_cleanable_dirty_ratio;
    int64_t min_compaction_lag_ms;
    int32_t min_insync_replicas;
    bool preallocate;
    bool remote_storage_enable;
    bool remote_log_copy_disable;
    bool remote_log_delete_on_disable;
    int64_t retention_bytes; /* -1: no limit */
    int64_t retention_ms;    /* -1: no limit */
    int32_t segment_bytes;
    int32_t segment_index_bytes;
    int64_t segment_jitter_ms;
    int64_t segment_ms;
    bool unclean_leader_election_enable;
    struct view leader_throttled_replicas;    /* text as set, borrowed from the topic's override */
    struct view follower_throttled_replicas;  /* the same */
    enum topic_durability durability_setting; /* klamm.durability as it is set */
    enum topic_durability durability;         /* with flush.messages taken into account */
};

/* Where values come from, most specific first; any may be NULL. */
struct config_layers {
    const struct config_set *topic;           /* overrides of the topic */
    const struct config_set *dynamic_broker;  /* entries of this broker's own resource */
    const struct config_set *dynamic_cluster; /* entries of the broker resource with empty name */
    const struct config_set *file;            /* server.properties and --override */
};

/* Resolves all fields. Allocates nothing that outlives the call; `arena` is scratch. */
void topic_config_resolve(struct topic_config *config, const struct config_layers *layers,
                          struct arena *arena);
/*
 * The same for a topic whose broker layers have been resolved before: `base` with the topic's own
 * overrides on top (may be NULL). Costs what the overrides cost, where a full resolution takes
 * about 10 us; start-up does this for every partition.
 */
void topic_config_override(struct topic_config *config, const struct topic_config *base,
                           const struct config_set *overrides, struct arena *arena);
/* All defaults; `arena` is scratch. */
void topic_config_default(struct topic_config *config, struct arena *arena);
/*
 * Whether the keys of a topic agree with each other under all layers (each by itself is checked by
 * config/alter.h, which also is what callers use). False with *error constant or in the arena.
 */
bool topic_config_check_together(const struct config_set *overrides,
                                 const struct config_layers *layers, struct view *error,
                                 struct arena *arena);

#endif
