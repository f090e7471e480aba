/*
 * Whether this node serves the consumer protocol (KIP-848): the feature group.version is finalized
 * and group.coordinator.rebalance.protocols names it.
 */
#ifndef KLAMM_BROKER_CONSUMER_PROTOCOL_H
#define KLAMM_BROKER_CONSUMER_PROTOCOL_H

#include "broker/broker.h"
#include "broker/request.h"
#include "broker/shard.h"

static inline bool consumer_protocol_is_served(const struct request *request)
{
    const struct image *image = request->shard->image;
    const struct broker_settings *settings = &request->shard->broker->config->settings;
    return image && image_feature_level(image, VIEW_LITERAL("group.version")) >= 1 &&
           config_list_has(&settings->group_coordinator_rebalance_protocols,
                           VIEW_LITERAL("consumer"));
}

#endif
