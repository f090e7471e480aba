/* From the topic of a request (a name or an id, by its version) to the topic of the image. */
#ifndef KLAMM_BROKER_TOPIC_LOOKUP_H
#define KLAMM_BROKER_TOPIC_LOOKUP_H

#include "cluster/metadata/image.h"
#include "protocol/errors.h"

/*
 * Finds topic and partition. UNKNOWN_TOPIC_OR_PARTITION, or UNKNOWN_TOPIC_ID when asked by id;
 * *topic is NULL then, or the topic that lacks the partition.
 */
static inline enum kafka_error topic_lookup(const struct image *image, bool by_id, struct uuid id,
                                            struct view name, int32_t partition,
                                            const struct image_topic **topic)
{
    *topic = by_id ? image_topic_by_id(image, id) : image_topic_by_name(image, name);
    if (!*topic)
        return by_id ? KAFKA_ERROR_UNKNOWN_TOPIC_ID : KAFKA_ERROR_UNKNOWN_TOPIC_OR_PARTITION;
    if (!image_topic_partition(*topic, partition))
        return KAFKA_ERROR_UNKNOWN_TOPIC_OR_PARTITION;
    return KAFKA_ERROR_NONE;
}

#endif
