/* Kafka's settings of the topics, with the broker's own where it has a key for them. */
#include "broker/internal_topics.h"

#include "base/assert.h"
#include "coordinator/coordinators.h"

enum { REPLICAS_MAX = 3, SETTINGS_MAX = 5, SEGMENT_BYTES_MIN = 1024 * 1024 };

typedef struct create_topics_request_creatable_topic creatable_topic;

static int16_t broker_count(const struct image *image)
{
    struct image_walk walk;
    int16_t count = 0;
    image_walk_start(&image->brokers, &walk);
    for (const struct image_node *node; (node = image_walk_next_node(&walk)) != NULL;)
        count += image_broker_is_active(image, node->id);
    return count;
}

static int16_t replicas_of(const struct decision *decision, const char *key, int16_t configured)
{
    if (server_config_is_set(decision->config, key))
        return configured;
    int16_t count = broker_count(decision->image);
    if (count < 1)
        return 1;
    return count < REPLICAS_MAX ? count : REPLICAS_MAX;
}

/* A default of two would refuse every write of a topic that has one replica, and stop it with two
 * replicas when one is down. */
static int32_t min_isr_of(const struct decision *decision, const char *key, int32_t configured,
                          int16_t replicas)
{
    if (server_config_is_set(decision->config, key) || replicas > configured)
        return configured;
    return 1;
}

static void set(creatable_topic *topic, const char *name, struct view value)
{
    klamm_assert(topic->configs_count < SETTINGS_MAX);
    topic->configs[topic->configs_count++] =
        (struct create_topics_request_creatable_topic_config){view_of_string(name), value};
}

static void set_number(struct decision *decision, creatable_topic *topic, const char *name,
                       int64_t value)
{
    set(topic, name, decision_text(decision, "%lld", (long long)value));
}

/* The broker's keys allow less than a topic may have, which then could never be created. */
static void set_segment_bytes(struct decision *decision, creatable_topic *topic, int32_t configured)
{
    set_number(decision, topic, "segment.bytes",
               configured < SEGMENT_BYTES_MIN ? SEGMENT_BYTES_MIN : configured);
}

static void fill_offsets(struct decision *decision, creatable_topic *topic)
{
    const struct broker_settings *settings = &decision->config->settings;
    topic->num_partitions = settings->offsets_topic_num_partitions;
    topic->replication_factor = replicas_of(decision, "offsets.topic.replication.factor",
                                            settings->offsets_topic_replication_factor);
    set(topic, "cleanup.policy", VIEW_LITERAL("compact"));
    set(topic, "compression.type", VIEW_LITERAL("producer"));
    set_segment_bytes(decision, topic, settings->offsets_topic_segment_bytes);
}

static void fill_transactions(struct decision *decision, creatable_topic *topic)
{
    const struct broker_settings *settings = &decision->config->settings;
    topic->num_partitions = settings->transaction_state_log_num_partitions;
    topic->replication_factor = replicas_of(decision, "transaction.state.log.replication.factor",
                                            settings->transaction_state_log_replication_factor);
    set(topic, "cleanup.policy", VIEW_LITERAL("compact"));
    set(topic, "compression.type", VIEW_LITERAL("uncompressed"));
    set_number(decision, topic, "min.insync.replicas",
               min_isr_of(decision, "transaction.state.log.min.isr",
                          settings->transaction_state_log_min_isr, topic->replication_factor));
    set_segment_bytes(decision, topic, settings->transaction_state_log_segment_bytes);
    set(topic, "unclean.leader.election.enable", VIEW_LITERAL("false"));
}

void internal_topic_fill(struct decision *decision, struct view name, creatable_topic *topic)
{
    create_topics_request_creatable_topic_init(topic);
    topic->name = name;
    topic->configs = decision_get(decision, SETTINGS_MAX, sizeof(*topic->configs));
    if (view_equal(name, coordinator_slot_topic(COORDINATOR_GROUPS)))
        fill_offsets(decision, topic);
    else if (view_equal(name, coordinator_slot_topic(COORDINATOR_TRANSACTIONS)))
        fill_transactions(decision, topic);
    else
        klamm_unreachable("a topic that nobody asks for yet");
}
