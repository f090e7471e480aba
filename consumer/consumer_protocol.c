/*
 * Names in, ids out, and back: the classic protocol names topics, partition sets know their ids. A
 * topic that the image does not have, or a partition that it has not, is left out.
 */
#include "consumer/consumer_protocol.h"

bool consumer_protocol_version(struct view bytes, int16_t *version)
{
    struct reader reader = reader_of(bytes);
    *version = read_i16(&reader);
    return !reader.failed && *version >= 0;
}

static int16_t at_most(int16_t version, int16_t most)
{
    return version < most ? version : most;
}

bool consumer_protocol_read_subscription(struct view bytes, struct arena *arena,
                                         struct consumer_protocol_subscription *subscription)
{
    struct reader reader = reader_of(bytes);
    int16_t version = read_i16(&reader);
    return !reader.failed && version >= 0 &&
           consumer_protocol_subscription_decode(
               subscription, &reader, at_most(version, CONSUMER_PROTOCOL_SUBSCRIPTION_VERSION_MAX),
               arena);
}

bool consumer_protocol_read_assignment(struct view bytes, struct arena *arena,
                                       struct consumer_protocol_assignment *assignment)
{
    struct reader reader = reader_of(bytes);
    int16_t version = read_i16(&reader);
    return !reader.failed && version >= 0 &&
           consumer_protocol_assignment_decode(
               assignment, &reader, at_most(version, CONSUMER_PROTOCOL_ASSIGNMENT_VERSION_MAX),
               arena);
}

static bool fill_topics(const struct image *image, const struct partition_set *assigned,
                        struct arena *arena, struct consumer_protocol_assignment *assignment)
{
    assignment->assigned_partitions =
        arena_get_array(arena, assigned->topic_count, sizeof(*assignment->assigned_partitions));
    if (!assignment->assigned_partitions)
        return false;
    for (uint32_t t = 0; t < assigned->topic_count; t++) {
        const struct partition_set_topic *topic = &assigned->topics[t];
        const struct image_topic *known = image_topic_by_id(image, topic->id);
        if (!known)
            continue;
        struct consumer_protocol_assignment_topic_partition *out =
            &assignment->assigned_partitions[assignment->assigned_partitions_count++];
        out->topic = known->name;
        out->partitions = arena_get(arena, topic->count * sizeof(int32_t));
        if (!out->partitions)
            return false;
        memcpy(out->partitions, partition_set_of(assigned, topic), topic->count * sizeof(int32_t));
        out->partitions_count = topic->count;
    }
    return true;
}

struct view consumer_protocol_write_assignment(const struct image *image,
                                               const struct partition_set *assigned,
                                               int16_t version, struct arena *arena)
{
    struct consumer_protocol_assignment assignment;
    consumer_protocol_assignment_init(&assignment);
    if (!fill_topics(image, assigned, arena, &assignment))
        return VIEW_NULL;
    version = at_most(version, CONSUMER_PROTOCOL_ASSIGNMENT_VERSION_MAX);
    size_t size = 2 + consumer_protocol_assignment_size(&assignment, version);
    uint8_t *bytes = arena_get(arena, size);
    if (!bytes)
        return VIEW_NULL;
    struct message_writer writer = message_writer_of(bytes, size);
    write_i16(&writer.bytes, version);
    consumer_protocol_assignment_encode(&assignment, &writer, version);
    return message_writer_failed(&writer) ? VIEW_NULL : view_of(bytes, size);
}

static void add_by_name(struct partition_set_builder *builder, const struct image *image,
                        struct view name, const int32_t *partitions, size_t count)
{
    const struct image_topic *topic = image_topic_by_name(image, name);
    for (size_t i = 0; topic && i < count; i++) {
        if (image_topic_partition(topic, partitions[i]))
            partition_set_add(builder, topic->id, partitions[i]);
    }
}

const struct partition_set *
consumer_protocol_partitions(const struct image *image,
                             const struct consumer_protocol_assignment *assignment,
                             struct arena *arena)
{
    struct partition_set_builder builder;
    partition_set_builder_init(&builder, arena);
    for (size_t t = 0; t < assignment->assigned_partitions_count; t++)
        add_by_name(&builder, image, assignment->assigned_partitions[t].topic,
                    assignment->assigned_partitions[t].partitions,
                    assignment->assigned_partitions[t].partitions_count);
    return partition_set_finish(&builder);
}

const struct partition_set *
consumer_protocol_owned(const struct image *image,
                        const struct consumer_protocol_subscription *subscription,
                        struct arena *arena)
{
    struct partition_set_builder builder;
    partition_set_builder_init(&builder, arena);
    for (size_t t = 0; t < subscription->owned_partitions_count; t++)
        add_by_name(&builder, image, subscription->owned_partitions[t].topic,
                    subscription->owned_partitions[t].partitions,
                    subscription->owned_partitions[t].partitions_count);
    return partition_set_finish(&builder);
}
