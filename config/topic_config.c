/*
 * Numbers and booleans go through a table of key and member; what needs translation (lists, closed
 * choices, durability) is set by hand behind it.
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

static struct config_value topic_value(const char *name, const struct config_layers *layers,
                                       struct arena *arena)
{
    struct config_chain chain;
    const struct config_definition *row = config_find(CONFIG_SCOPE_TOPIC, view_of_string(name));
    klamm_assert(row != NULL);
    config_chain_build(&chain, row->name, row, layers);
    return config_chain_value(&chain, row, NULL, arena);
}

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

/* Throttled replicas exist only as overrides of the topic; their text outlives the scratch. */
static struct view throttled(const struct config_layers *layers, const char *name)
{
    struct view text = config_set_get(layers->topic, view_of_string(name));
    return view_is_null(text) ? VIEW_LITERAL("") : text;
}

/* flush.messages=1 means sync; a broker-wide 1 as well, since the field is resolved already. */
static enum topic_durability durability_of(const struct topic_config *config, struct view text)
{
    if (config->flush_messages == 1 || !view_equal(text, VIEW_LITERAL("cache")))
        return TOPIC_DURABILITY_SYNC;
    return TOPIC_DURABILITY_CACHE;
}

void topic_config_resolve(struct topic_config *config, const struct config_layers *layers,
                          struct arena *arena)
{
    *config = (struct topic_config){0};
    for (size_t i = 0; i < sizeof(members) / sizeof(members[0]); i++) {
        struct config_value value = topic_value(members[i].name, layers, arena);
        klamm_assert(!value.is_null);
        config_value_store(&value, (char *)config + members[i].offset);
    }
    struct config_value internal_size = topic_value("internal.segment.bytes", layers, arena);
    if (!internal_size.is_null && internal_size.integer > 0)
        config->segment_bytes = (int32_t)internal_size.integer;
    struct config_value policy = topic_value("cleanup.policy", layers, arena);
    config->cleanup_delete = config_list_has(&policy.list, VIEW_LITERAL("delete"));
    config->cleanup_compact = config_list_has(&policy.list, VIEW_LITERAL("compact"));
    config->compression_type = compression_of(topic_value("compression.type", layers, arena).text);
    bool append_time = view_equal(topic_value("message.timestamp.type", layers, arena).text,
                                  VIEW_LITERAL("LogAppendTime"));
    config->message_timestamp_type =
        append_time ? TOPIC_TIMESTAMP_LOG_APPEND : TOPIC_TIMESTAMP_CREATE;
    config->leader_throttled_replicas = throttled(layers, "leader.replication.throttled.replicas");
    config->follower_throttled_replicas =
        throttled(layers, "follower.replication.throttled.replicas");
    config->durability = durability_of(config, topic_value("klamm.durability", layers, arena).text);
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
