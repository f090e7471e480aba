/*
 * Numbers and booleans go through a table of key and member; what needs translation (lists, closed
 * choices) is set by hand, and what several keys decide together is derived last.
 */
#include "config/topic_config.h"

#include "base/assert.h"
#include "base/text.h"
#include "config/definition_tables.h"
#include "config/layers.h"

struct topic_member {
    const char *name;
    size_t offset;
};

#define MEMBER(key, member)                                                                        \
    {                                                                                              \
        key, offsetof(struct topic_config, member)                                                 \
    }

static const struct topic_member members[] = {
    MEMBER("compression.gzip.level", compression_gzip_level),
    MEMBER("compression.lz4.level", compression_lz4_level),
    MEMBER("compression.zstd.level", compression_zstd_level),
    MEMBER("delete.retention.ms", delete_retention_ms),
    MEMBER("file.delete.delay.ms", file_delete_delay_ms),
    MEMBER("flush.messages", flush_messages),
    MEMBER("flush.ms", flush_ms),
    MEMBER("index.interval.bytes", index_interval_bytes),
    MEMBER("local.retention.bytes", local_retention_bytes),
    MEMBER("local.retention.ms", local_retention_ms),
    MEMBER("max.compaction.lag.ms", max_compaction_lag_ms),
    MEMBER("max.message.bytes", max_message_bytes),
    MEMBER("message.timestamp.after.max.ms", message_timestamp_after_max_ms),
    MEMBER("message.timestamp.before.max.ms", message_timestamp_before_max_ms),
    MEMBER("min.cleanable.dirty.ratio", min_cleanable_dirty_ratio),
    MEMBER("min.compaction.lag.ms", min_compaction_lag_ms),
    MEMBER("min.insync.replicas", min_insync_replicas),
    MEMBER("preallocate", preallocate),
    MEMBER("remote.log.copy.disable", remote_log_copy_disable),
    MEMBER("remote.log.delete.on.disable", remote_log_delete_on_disable),
    MEMBER("remote.storage.enable", remote_storage_enable),
    MEMBER("retention.bytes", retention_bytes),
    MEMBER("retention.ms", retention_ms),
    MEMBER("segment.bytes", segment_bytes),
    MEMBER("segment.index.bytes", segment_index_bytes),
    MEMBER("segment.jitter.ms", segment_jitter_ms),
    MEMBER("segment.ms", segment_ms),
    MEMBER("unclean.leader.election.enable", unclean_leader_election_enable),
};

static enum topic_compression compression_of(struct view text)
{
    static const struct {
        const char *name;
        enum topic_compression compression;
    } names[] = {
        {"uncompressed", TOPIC_COMPRESSION_NONE}, {"gzip", TOPIC_COMPRESSION_GZIP},
        {"snappy", TOPIC_COMPRESSION_SNAPPY},     {"lz4", TOPIC_COMPRESSION_LZ4},
        {"zstd", TOPIC_COMPRESSION_ZSTD},
    };
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        if (view_equal(text, view_of_string(names[i].name)))
            return names[i].compression;
    }
    return TOPIC_COMPRESSION_PRODUCER;
}

static bool is_named(struct view name, const char *text)
{
    return view_equal(name, view_of_string(text));
}

/* Sets what a key of any kind but plain ones stands for. */
static void set_translated(struct topic_config *config, struct view name,
                           const struct config_value *value)
{
    if (is_named(name, "cleanup.policy")) {
        config->cleanup_delete = config_list_has(&value->list, VIEW_LITERAL("delete"));
        config->cleanup_compact = config_list_has(&value->list, VIEW_LITERAL("compact"));
    } else if (is_named(name, "compression.type")) {
        config->compression_type = compression_of(value->text);
    } else if (is_named(name, "message.timestamp.type")) {
        config->message_timestamp_type = is_named(value->text, "LogAppendTime")
                                             ? TOPIC_TIMESTAMP_LOG_APPEND
                                             : TOPIC_TIMESTAMP_CREATE;
    } else if (is_named(name, "klamm.durability")) {
        config->durability_setting =
            is_named(value->text, "cache") ? TOPIC_DURABILITY_CACHE : TOPIC_DURABILITY_SYNC;
    }
}

static void set_member(struct topic_config *config, struct view name,
                       const struct config_value *value)
{
    for (size_t i = 0; i < sizeof(members) / sizeof(members[0]); i++) {
        if (is_named(name, members[i].name)) {
            config_value_store(value, (char *)config + members[i].offset);
            return;
        }
    }
    set_translated(config, name, value);
}

/* What follows from several keys, or exists only as an override; needs all members set. */
static void derive(struct topic_config *config, const struct config_set *overrides)
{
    int64_t size;
    struct view text = config_set_get(overrides, VIEW_LITERAL("internal.segment.bytes"));
    if (!view_is_null(text) && text_parse_i64(text_trim(text), 1, INT32_MAX, &size))
        config->segment_bytes = (int32_t)size;
    struct view leader =
        config_set_get(overrides, VIEW_LITERAL("leader.replication.throttled.replicas"));
    struct view follower =
        config_set_get(overrides, VIEW_LITERAL("follower.replication.throttled.replicas"));
    config->leader_throttled_replicas = view_is_null(leader) ? VIEW_LITERAL("") : leader;
    config->follower_throttled_replicas = view_is_null(follower) ? VIEW_LITERAL("") : follower;
    config->durability =
        config->flush_messages == 1 ? TOPIC_DURABILITY_SYNC : config->durability_setting;
}

void topic_config_resolve(struct topic_config *config, const struct config_layers *layers,
                          struct arena *arena)
{
    struct config_definitions all = config_all(CONFIG_SCOPE_TOPIC);
    *config = (struct topic_config){0};
    for (size_t i = 0; i < all.count; i++) {
        struct config_chain chain;
        config_chain_build(&chain, all.rows[i].name, &all.rows[i], layers);
        struct config_value value = config_chain_value(&chain, &all.rows[i], NULL, arena);
        if (!value.is_null)
            set_member(config, all.rows[i].name, &value);
    }
    derive(config, layers->topic);
}

void topic_config_override(struct topic_config *config, const struct topic_config *base,
                           const struct config_set *overrides, struct arena *arena)
{
    *config = *base;
    for (size_t i = 0; overrides && i < overrides->count; i++) {
        struct config_value value;
        struct view error;
        const struct config_definition *row =
            config_find(CONFIG_SCOPE_TOPIC, overrides->entries[i].name);
        if (row && config_value_parse(row, overrides->entries[i].value, &value, &error, arena))
            set_member(config, row->name, &value);
    }
    derive(config, overrides);
}

void topic_config_default(struct topic_config *config, struct arena *arena)
{
    struct config_layers layers = {0};
    topic_config_resolve(config, &layers, arena);
}

bool topic_config_check_together(const struct config_set *overrides,
                                 const struct config_layers *layers, struct view *error,
                                 struct arena *arena)
{
    struct topic_config config;
    struct config_layers with = *layers;
    with.topic = overrides;
    topic_config_resolve(&config, &with, arena);
    if (config.min_compaction_lag_ms > config.max_compaction_lag_ms) {
        *error = config_text(arena,
                             "min.compaction.lag.ms (%lld) must not be larger than "
                             "max.compaction.lag.ms (%lld)",
                             (long long)config.min_compaction_lag_ms,
                             (long long)config.max_compaction_lag_ms);
        return false;
    }
    if (config.remote_storage_enable) {
        *error = VIEW_LITERAL("remote.storage.enable = true: tiered storage is not part of this "
                              "broker");
        return false;
    }
    return true;
}
